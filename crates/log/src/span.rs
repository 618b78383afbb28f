//! Spans of time as people write them, such as how far back in the log to look.

use chrono::TimeDelta;

/// A whole number of one unit: `90s`, `30m` (or `30min`), `24h`, `7d`, `2w`.
pub fn parse_span(text: &str) -> Option<TimeDelta> {
    // `GET /v1/inferences` has always taken a sign.
    let text = text.strip_prefix('+').unwrap_or(text);
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    if !["s", "m", "min", "h", "d", "w"].contains(&unit) {
        return None;
    }
    TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_numbers_of_a_unit() {
        assert_eq!(parse_span("90s"), TimeDelta::try_seconds(90));
        assert_eq!(parse_span("90min"), TimeDelta::try_minutes(90));
        assert_eq!(parse_span("7d"), TimeDelta::try_days(7));
        assert_eq!(parse_span("+7d"), TimeDelta::try_days(7));
        assert_eq!(parse_span("2w"), TimeDelta::try_days(14));
        for wrong in [
            "",
            "d",
            "-1d",
            "1.5h",
            "7",
            "7 d",
            "9223372036854775807w",
            "7日",
        ] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }
}
