//! The trend of a pattern's share of all captures: a Poisson regression with a logarithmic link
//! and the number of captures as offset (McCullagh and Nelder 1989). Days differ by more than
//! chance, so the interval is widened by the observed overdispersion.

use chrono::{DateTime, TimeDelta, Utc};

use super::report::{Trend, TrendKind};
use super::significance::{at_most, student};

/// Parts of the window; of a week, six hours each.
pub(super) const BINS: usize = 28;

/// A share that changes less than this in a day is steady, however significant that is.
const LEAST_SLOPE: f64 = 0.02;

/// A pattern is new if it was less than this share as frequent before.
const BEFORE_NEW: f64 = 0.1;

/// Significance level of a change of share: there is a report each week with several patterns.
const STRICT: f64 = 1e-3;

/// Days from which on a trend is one over days.
const LEAST_DAYS: usize = 5;

/// Rows of a shorter time have no trend: mornings differ from evenings at any site.
const LEAST_DATA: TimeDelta = TimeDelta::days(3);

/// Slopes are held within this, since JSON knows no infinity.
const STEEPEST: f64 = 1e3;

/// Steps of the iteration; it converges in five or so.
const STEPS: usize = 25;

/// The window in equal parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bins {
    from: DateTime<Utc>,
    length: TimeDelta,
    are_whole_hours: bool,
}

impl Bins {
    pub(super) fn over(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let length = (to - from) / BINS as i32 + TimeDelta::microseconds(1);
        Self {
            from,
            length: length.max(TimeDelta::microseconds(1)),
            are_whole_hours: false,
        }
    }

    /// The same parts, where rows are counted by the hour: each hour is in the part in which it
    /// begins, also the rows of it whose time is known.
    pub(super) fn in_whole_hours(self) -> Self {
        Self {
            are_whole_hours: true,
            ..self
        }
    }

    /// The part that has `time`.
    pub(super) fn of(&self, time: DateTime<Utc>) -> usize {
        let mut time = time;
        if self.are_whole_hours {
            let since = TimeDelta::seconds(time.timestamp().rem_euclid(3600));
            time -= since + TimeDelta::nanoseconds(time.timestamp_subsec_nanos().into());
        }
        let micros = |span: TimeDelta| span.num_microseconds().unwrap_or(i64::MAX);
        let place = micros(time - self.from) / micros(self.length).max(1);
        usize::try_from(place).unwrap_or(0).min(BINS - 1)
    }

    pub(super) fn begin(&self, bin: usize) -> DateTime<Utc> {
        self.from + self.length * bin as i32
    }

    fn days(&self) -> f64 {
        self.length.num_microseconds().unwrap_or(i64::MAX) as f64 / 86.4e9
    }
}

/// The trend of `counts` out of `totals`, and the bin in which the pattern began if it was not
/// there from the beginning. `data` is the time from the first row to the last.
pub(super) fn trend(
    counts: &[u64],
    totals: &[u64],
    bins: &Bins,
    data: TimeDelta,
) -> (TrendKind, Trend, Option<usize>) {
    let unknown = Trend {
        slope_per_day: 0.0,
        interval: [-STEEPEST, STEEPEST],
        p_value: 1.0,
    };
    if data < LEAST_DATA {
        return (TrendKind::Unknown, unknown, None);
    }
    // Nights differ from days: over some days, whole ones are looked at.
    let whole = (1.0 / bins.days()).round().max(1.0) as usize;
    let step = if BINS / whole >= LEAST_DAYS { whole } else { 1 };
    let sum = |values: &[u64]| values.iter().sum::<u64>() as f64;
    let parts = counts.chunks_exact(step).zip(totals.chunks_exact(step));
    let points = parts.enumerate().map(|(part, (counts, totals))| {
        let day = (part * step) as f64 * bins.days();
        (day, sum(counts), sum(totals))
    });
    let used: Vec<_> = points.filter(|(_, _, total)| *total > 0.0).collect();
    let detail = regression(&used).unwrap_or(unknown);
    let begun = begin(counts, totals);
    let is_clear = detail.p_value < STRICT;
    let kind = if begun.is_some() {
        TrendKind::New
    } else if is_clear && detail.slope_per_day >= LEAST_SLOPE {
        TrendKind::Growing
    } else if is_clear && detail.slope_per_day <= -LEAST_SLOPE {
        TrendKind::Fading
    } else {
        TrendKind::Steady
    };
    (kind, detail, begun)
}

/// log(count / total) = level + slope · day, by iterated weighted least squares.
fn regression(points: &[(f64, f64, f64)]) -> Option<Trend> {
    let all: f64 = points.iter().map(|point| point.1).sum();
    let captures: f64 = points.iter().map(|point| point.2).sum();
    if points.len() < 4 || all < 1.0 {
        return None;
    }
    let middle = points.iter().map(|point| point.0).sum::<f64>() / points.len() as f64;
    let (mut level, mut slope) = ((all / captures).ln(), 0.0_f64);
    let mut variance = f64::INFINITY;
    let expected = |total: f64, log: f64| total * log.clamp(-50.0, 0.7).exp();
    for _ in 0..STEPS {
        let (mut w, mut wx, mut wxx, mut r, mut rx) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for &(day, count, total) in points {
            let x = day - middle;
            let expected = expected(total, level + slope * x);
            w += expected;
            wx += expected * x;
            wxx += expected * x * x;
            r += count - expected;
            rx += (count - expected) * x;
        }
        let determinant = w * wxx - wx * wx;
        if determinant <= 1e-12 {
            return None;
        }
        level += (wxx * r - wx * rx) / determinant;
        slope += (w * rx - wx * r) / determinant;
        variance = w / determinant;
    }
    let freedom = points.len() as f64 - 2.0;
    let squares = points.iter().map(|&(day, count, total)| {
        let expected = expected(total, level + slope * (day - middle));
        (count - expected).powi(2) / expected.max(1e-9)
    });
    let pearson: f64 = squares.sum();
    let error = (variance * (pearson / freedom).max(1.0)).sqrt();
    if !error.is_finite() || !slope.is_finite() {
        return None;
    }
    let (p_value, wide) = student(slope / error.max(1e-12), freedom);
    let growth = |slope: f64| slope.exp_m1().clamp(-STEEPEST, STEEPEST);
    Some(Trend {
        slope_per_day: growth(slope),
        interval: [-wide, wide].map(|wide| growth(slope + wide * error)),
        p_value,
    })
}

/// The bin in which the pattern began, if enough captures before it show none.
fn begin(counts: &[u64], totals: &[u64]) -> Option<usize> {
    let (all, captures): (u64, u64) = (counts.iter().sum(), totals.iter().sum());
    let (mut before, mut captures_before) = (0, 0);
    let mut best: Option<(f64, usize)> = None;
    for bin in 1..counts.len() {
        before += counts[bin - 1];
        captures_before += totals[bin - 1];
        let (after, captures_after) = (all - before, captures - captures_before);
        if captures_before == 0 || captures_after == 0 || after == 0 {
            continue;
        }
        let rate_after = after as f64 / captures_after as f64;
        if before as f64 / captures_before as f64 > BEFORE_NEW * rate_after {
            continue;
        }
        // Were it as frequent as since then, so few would there be before.
        let p = at_most(before, captures_before, rate_after) * counts.len() as f64;
        if p < STRICT && best.is_none_or(|(least, _)| p < least) {
            best = Some((p, bin));
        }
    }
    best.map(|(_, bin)| bin)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: TimeDelta = TimeDelta::days(7);

    fn week() -> Bins {
        let from = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        Bins::over(from, from + TimeDelta::days(7))
    }

    fn counts(of: impl Fn(usize) -> u64) -> Vec<u64> {
        (0..BINS).map(of).collect()
    }

    #[test]
    fn growing_fading_steady_and_new_are_told_apart() {
        let totals = vec![200; BINS];
        for (counts, kind) in [
            (counts(|bin| 4 + bin as u64), TrendKind::Growing),
            (counts(|bin| 32 - bin as u64), TrendKind::Fading),
            (counts(|bin| 10 + (bin as u64 * 7) % 5), TrendKind::Steady),
            (counts(|bin| if bin < 12 { 0 } else { 15 }), TrendKind::New),
            (counts(|_| 0), TrendKind::Steady),
        ] {
            let (found, detail, begun) = trend(&counts, &totals, &week(), WEEK);
            assert_eq!(found, kind, "{detail:?}");
            assert_eq!(begun, (kind == TrendKind::New).then_some(12));
            assert!(detail.interval[0] <= detail.slope_per_day);
            assert!(detail.slope_per_day <= detail.interval[1]);
        }
    }

    #[test]
    fn less_than_three_days_have_no_trend() {
        let (totals, new) = (vec![200; BINS], counts(|bin| if bin < 12 { 0 } else { 15 }));
        for (data, kind) in [
            (TimeDelta::minutes(5), TrendKind::Unknown),
            (
                TimeDelta::days(3) - TimeDelta::seconds(1),
                TrendKind::Unknown,
            ),
            (TimeDelta::days(3), TrendKind::New),
        ] {
            let (found, detail, begun) = trend(&new, &totals, &week(), data);
            assert_eq!(found, kind, "{data}");
            assert_eq!(begun.is_some(), kind == TrendKind::New);
            assert!(kind == TrendKind::New || detail.interval[1] >= 1e3);
        }
    }

    #[test]
    fn growth_is_of_the_share_and_not_of_the_captures() {
        let totals = counts(|bin| 100 * (bin as u64 + 1));
        let share = counts(|bin| 10 * (bin as u64 + 1));
        let (kind, detail, _) = trend(&share, &totals, &week(), WEEK);
        assert_eq!(kind, TrendKind::Steady);
        assert!(detail.slope_per_day.abs() < 1e-6, "{detail:?}");
    }

    #[test]
    fn a_doubling_each_day_is_a_slope_of_one() {
        let totals = vec![100_000; BINS];
        let double = counts(|bin| (20.0 * 2_f64.powf(bin as f64 / 4.0)).round() as u64);
        let (_, detail, _) = trend(&double, &totals, &week(), WEEK);
        assert!((detail.slope_per_day - 1.0).abs() < 0.03, "{detail:?}");
    }

    #[test]
    fn every_moment_has_a_bin_and_a_window_of_no_length_too() {
        let bins = week();
        assert_eq!(bins.of(bins.begin(0)), 0);
        assert_eq!(bins.of(bins.begin(9)), 9);
        assert_eq!(bins.of(bins.begin(0) - TimeDelta::days(1)), 0);
        assert_eq!(bins.of(bins.begin(0) + TimeDelta::days(70)), BINS - 1);
        let now = Utc::now();
        assert_eq!(Bins::over(now, now).of(now), 0);
        let hours = bins.in_whole_hours();
        let late = bins.begin(9) + TimeDelta::minutes(3);
        assert_eq!([bins.of(late), hours.of(late)], [9, 8]);
    }
}
