//! The view as lines of text, for a terminal of any size and for `--once`.

use chrono::{DateTime, Utc};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::recent::{Mean, Recent, SourceLine, WatchedRow};
use super::service::Service;
use faceood_report::columns::{left, shortened};
use faceood_report::{plural, sparkline};

/// Lines that are kept for what was rejected or failed, where there are more sources than lines.
const REJECTED_OR_FAILED: usize = 6;

/// Fixed columns beside the two sparklines.
const SOURCE_COLUMNS: usize = 50;

const GOOD: Style = Style::new().fg(Color::Green);
const MIDDLING: Style = Style::new().fg(Color::Yellow);
const BAD: Style = Style::new().fg(Color::Red);
const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);

pub(super) fn lines(
    recent: &Recent,
    service: &Service,
    now: DateTime<Utc>,
    width: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let mut lines = vec![head(service)];
    if let Service::Silent { advice, .. } = service {
        lines.extend(advice.map(|advice| Line::raw(format!("         {advice}"))));
    }
    lines.extend([
        flow(recent, service, now),
        Line::default(),
        Line::styled("Decisions, last 10 minutes", HEAD),
    ]);
    lines.extend(decisions(recent));
    lines.push(Line::default());
    let parts = (width.saturating_sub(SOURCE_COLUMNS) / 2).clamp(5, 60);
    let sources = recent.sources(now, parts);
    let head = format!(
        "{:<14}{:>6}{:>8}{:>8}  {:<width$}  {:<width$}",
        "Source",
        "faces",
        "review",
        "reject",
        "quality",
        "norm",
        width = parts + 5
    );
    lines.push(Line::styled(head, HEAD));
    // Below the sources are a blank line, a head, and what was rejected or failed.
    let rejected_or_failed = recent
        .rejected_or_failed()
        .take(REJECTED_OR_FAILED)
        .count()
        .max(1);
    let room = height
        .saturating_sub(lines.len() + 2 + rejected_or_failed)
        .max(1);
    // A line that says how many are hidden must hide at least two.
    let shown = if sources.len() > room {
        room.saturating_sub(1)
    } else {
        room
    };
    lines.extend(sources.iter().take(shown).map(source_line));
    if sources.len() > shown {
        let more = format!("… and {} more", sources.len() - shown);
        lines.push(Line::styled(more, QUIET));
    }
    lines.push(Line::default());
    lines.push(Line::styled("Last rejected or failed", HEAD));
    let room = height.saturating_sub(lines.len()).max(1);
    let rejected_or_failed: Vec<_> = recent
        .rejected_or_failed()
        .take(room)
        .map(failed_line)
        .collect();
    if rejected_or_failed.is_empty() {
        lines.push(Line::styled("none", QUIET));
    }
    lines.extend(rejected_or_failed);
    lines.truncate(height);
    lines.into_iter().map(|line| cut(line, width)).collect()
}

/// How to end, for the first line of a terminal.
pub(super) fn keys() -> Span<'static> {
    Span::styled("   q ends", QUIET)
}

fn head(service: &Service) -> Line<'static> {
    let mut spans = vec![Span::styled("faceood  ", HEAD)];
    match service {
        Service::Silent { reason, .. } => spans.push(Span::styled(reason.clone(), BAD)),
        Service::Answers {
            address,
            trouble,
            provider,
            ..
        } => {
            let provider = provider.as_deref().unwrap_or("?");
            spans.push(match trouble {
                None => Span::styled("ready", GOOD),
                Some(reason) => Span::styled(format!("not ready: {reason}"), BAD),
            });
            spans.push(Span::raw(format!("  {address}  {provider}")));
        }
    }
    Line::from(spans)
}

fn flow(recent: &Recent, service: &Service, now: DateTime<Utc>) -> Line<'static> {
    let age = recent
        .newest()
        .map(|time| (now - time).as_seconds_f64().max(0.0));
    let newest = match age {
        Some(age) => format!("newest row {age:.0} s ago"),
        None => "no row in 10 minutes".to_owned(),
    };
    let waiting = match service {
        Service::Answers {
            waiting_rows: Some(rows),
            ..
        } => plural(rows.round(), "row waits", "rows wait"),
        _ => "lag unknown".to_owned(),
    };
    let (rate, errors) = (recent.rate(now), recent.errors(now));
    let style = if errors > 0 { BAD } else { QUIET };
    Line::from(vec![
        Span::raw(format!("{rate:.1} requests/s  {waiting}  {newest}  ")),
        Span::styled(format!("{errors} failed in a minute"), style),
    ])
}

fn decisions(recent: &Recent) -> Vec<Line<'static>> {
    let actions = recent.actions();
    if actions.is_empty() {
        return vec![Line::styled("none", QUIET)];
    }
    let line = |(scenario, [accept, review, reject]): (&str, [usize; 3])| {
        let all = (accept + review + reject).max(1);
        let share = |count: usize| format!("{count:>6} {:>3}%", count * 100 / all);
        Line::from(vec![
            Span::raw(left(scenario, 12)),
            Span::styled(format!(" accept {}", share(accept)), GOOD),
            Span::styled(format!("  review {}", share(review)), MIDDLING),
            Span::styled(format!("  reject {}", share(reject)), BAD),
        ])
    };
    actions.into_iter().map(line).collect()
}

fn source_line(source: &SourceLine) -> Line<'static> {
    let [review, reject] =
        [source.reviewed, source.rejected].map(|count| count * 100 / source.faces.max(1));
    let [quality, norm] = [&source.quality, &source.norm]
        .map(|means| means.iter().map(Mean::value).collect::<Vec<_>>());
    let last = |values: &[Option<f32>]| number(values.iter().rev().find_map(|value| *value));
    let style = |share, bad| if share >= 20 { bad } else { Style::new() };
    Line::from(vec![
        Span::raw(format!("{} {:>6}", left(&source.name, 13), source.faces)),
        Span::styled(format!("{review:>7}%"), style(review, MIDDLING)),
        Span::styled(format!("{reject:>7}%"), style(reject, BAD)),
        Span::raw(format!(
            "  {} {}  {} {}",
            sparkline::values(&quality, 0.0, 1.0),
            last(&quality),
            norms(&norm),
            last(&norm)
        )),
    ])
}

fn number(value: Option<f32>) -> String {
    value.map_or_else(|| "   –".to_owned(), |value| format!("{value:.2}"))
}

/// Norms differ little: drawn between the window's least and most, at least a tenth apart so that
/// noise stays flat.
fn norms(values: &[Option<f32>]) -> String {
    let known = || values.iter().flatten().copied();
    let low = known().fold(f32::INFINITY, f32::min);
    let high = known().fold(f32::NEG_INFINITY, f32::max);
    let middle = f32::midpoint(low, high);
    let half = ((high - low) / 2.0).max(0.05);
    sparkline::values(values, middle - half, middle + half)
}

fn failed_line(sample: &WatchedRow) -> Line<'static> {
    let (source, scenario) = (left(&sample.source, 13), left(&sample.scenario, 8));
    Line::from(vec![
        Span::styled(sample.time.format("%H:%M:%S").to_string(), QUIET),
        Span::raw(format!("  {source} {scenario} ")),
        Span::styled(number(sample.score), BAD),
        Span::raw(format!("  {}", sample.why)),
    ])
}

/// The line without what would reach over the edge.
fn cut(line: Line<'static>, width: usize) -> Line<'static> {
    let mut free = width;
    let mut spans = Vec::new();
    for span in line.spans {
        let columns = span.width();
        if columns <= free {
            free -= columns;
            spans.push(span);
        } else {
            let kept = shortened(&span.content, free);
            spans.push(Span::styled(kept, span.style));
            break;
        }
    }
    Line::from(spans).style(line.style)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;
    use faceood_engine::policy::Action;
    use faceood_engine::problem::ProblemCode;
    use faceood_engine::quality::{Cause, CauseName};
    use faceood_log::InferenceRecord;
    use faceood_log::fixture::full_record;

    fn now() -> DateTime<Utc> {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    fn row(id: u128, age_s: i64, source: &str, score: f32, action: Action) -> InferenceRecord {
        InferenceRecord {
            id: Uuid::from_u128(id),
            time: now() - TimeDelta::seconds(age_s),
            request_id: format!("request-{id}"),
            source: Some(source.to_owned()),
            scenario: Some("access".to_owned()),
            quality_score: Some(score),
            embedding_norm: Some(0.9 + score / 10.0),
            action: Some(action),
            error_code: None,
            causes: Some(vec![Cause {
                name: CauseName::Noise,
                weight: 0.8,
            }]),
            reasons: Some(Vec::new()),
            ..full_record("r", 1)
        }
    }

    fn shown(recent: &Recent, service: &Service) -> Vec<String> {
        let lines = lines(recent, service, now(), 80, 24);
        lines.iter().map(ToString::to_string).collect()
    }

    fn ready() -> Service {
        Service::Answers {
            address: "127.0.0.1:7860".to_owned(),
            trouble: None,
            waiting_rows: Some(3.0),
            provider: Some("cpu".to_owned()),
        }
    }

    #[test]
    fn a_busy_box_fits_80_by_24_and_shows_what_happened() {
        let mut recent = Recent::default();
        for index in 0..400 {
            let source = format!("gate-with-a-long-name-{}", index % 9);
            let age = i64::try_from(index).unwrap() % 590;
            let action = [Action::Accept, Action::Review, Action::Reject][index % 3];
            recent.insert(row(1000 - index as u128, age, &source, 0.3, action));
        }
        recent.insert(InferenceRecord {
            error_code: Some(ProblemCode::NoFace),
            action: None,
            quality_score: None,
            ..row(5000, 1, "gate-1", 0.0, Action::Reject)
        });
        let shown = shown(&recent, &ready());
        assert!(shown.len() <= 24, "{shown:#?}");
        for line in &shown {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let all = shown.join("\n");
        assert!(shown[0].contains("ready  127.0.0.1:7860  cpu"), "{all}");
        assert!(
            shown[1].contains("3 rows wait  newest row 0 s ago"),
            "{all}"
        );
        assert!(shown[1].ends_with("1 failed in a minute"), "{all}");
        assert!(all.contains("access       accept    134  33%"), "{all}");
        assert!(
            !all.contains("more"),
            "there is room for nine sources: {all}"
        );
        assert!(all.contains("noise 80%"), "{all}");
        let newest = shown
            .iter()
            .position(|line| line == "Last rejected or failed")
            .unwrap()
            + 1;
        assert!(
            shown[newest].starts_with("11:59:59  gate-1        access      –  no_face"),
            "{all}"
        );
    }

    #[test]
    fn sources_stand_by_their_share_of_faces_not_accepted_and_fill_the_terminal() {
        let mut recent = Recent::default();
        for source in 0..7_u128 {
            for face in 0..10 {
                // Faces of gate-6 are accepted least often, and those of gate-0 always.
                let action = match face {
                    face if face >= source => Action::Accept,
                    0 | 1 => Action::Reject,
                    _ => Action::Review,
                };
                let name = format!("gate-{source}");
                recent.insert(row(100 * source + face, 30, &name, 0.5, action));
            }
        }
        let names = |height| -> Vec<String> {
            let lines = lines(&recent, &ready(), now(), 80, height);
            let shown = lines.iter().map(ToString::to_string);
            let from_sources = shown.skip_while(|line| !line.starts_with("Source")).skip(1);
            from_sources.take_while(|line| !line.is_empty()).collect()
        };
        let all = names(30);
        assert_eq!(all.len(), 7, "{all:#?}");
        assert!(
            all[0].starts_with("gate-6            10     40%     20%"),
            "{all:#?}"
        );
        assert!(
            all[6].starts_with("gate-0            10      0%      0%"),
            "{all:#?}"
        );
        // One line too few: then two are hidden, and not one.
        let few = names(21);
        assert_eq!(few.last().unwrap(), "… and 2 more", "{few:#?}");
        assert_eq!(few.len(), 6, "{few:#?}");
        assert_eq!(names(22).len(), 7, "{:#?}", names(22));
    }

    #[test]
    fn rates_count_requests_and_not_rows() {
        let mut recent = Recent::default();
        for id in 0..20 {
            let mut one = row(id, 2, "gate", 0.9, Action::Accept);
            one.request_id = format!("pair-{}", id / 2);
            recent.insert(one);
        }
        assert!(shown(&recent, &ready())[1].starts_with("1.0 requests/s"));
    }

    #[test]
    fn nothing_at_all_is_said_too() {
        let silent = |advice| Service::Silent {
            reason: "no daemon runs on this data folder".to_owned(),
            advice,
        };
        let advised = shown(&Recent::default(), &silent(Some("start it")));
        assert_eq!(advised[1], "         start it");
        let shown = shown(&Recent::default(), &silent(None));
        assert_eq!(shown[0], "faceood  no daemon runs on this data folder");
        assert!(shown[1].contains("no row in 10 minutes"), "{shown:#?}");
        assert_eq!(shown.last().unwrap(), "none");
    }

    #[test]
    fn norms_fill_the_range_unless_they_hardly_differ() {
        assert_eq!(norms(&[Some(0.9), None, Some(1.2)]), "▁ █");
        let calm = norms(&[Some(0.95), Some(0.951)]);
        assert!(calm.chars().all(|bar| "▄▅".contains(bar)), "{calm}");
        assert_eq!(norms(&[None]), " ");
    }

    #[test]
    fn a_tiny_terminal_is_no_trouble() {
        for (width, height) in [(0, 0), (1, 1), (20, 5)] {
            let lines = lines(&Recent::default(), &ready(), now(), width, height);
            assert!(lines.len() <= height);
            assert!(lines.iter().all(|line| line.width() <= width));
        }
    }
}
