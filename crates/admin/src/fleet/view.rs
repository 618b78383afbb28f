//! The report as text and as a page.

use chrono::{DateTime, TimeDelta, Utc};
use faceood_report::{html, plural};
use maud::html;

use super::compare::{BoxRow, FleetReport};
use crate::output;
use crate::sinks::terminal_line;

/// A clock that is off by more than this is named.
const CLOCK_SECONDS: f64 = 60.0;

const COUNTS: [&str; 9] = [
    "box",
    "site",
    "ring",
    "last seen",
    "waiting",
    "rows",
    "low",
    "rejected",
    "others",
];

/// What the columns mean.
const LEGEND: [&str; 3] = [
    "waiting: rows that the box had not shipped yet at its last visit.",
    "low: share of the scored faces with a score of at most 0.4.",
    "rejected: share of the box's faces that were rejected; others: of all other boxes.",
];

/// A table of its own: with the counts it would be wider than a terminal.
const RELEASES: [&str; 5] = ["box", "version", "pack", "calibration", "provider"];

pub(super) fn text(report: &FleetReport) -> String {
    let mut blocks = vec![window(report)];
    if report.boxes.is_empty() {
        blocks.push(NO_BOX.to_owned());
    } else {
        let rows = report.boxes.iter().map(|row| counts(report, row));
        blocks.push(text_table(&COUNTS, rows));
        blocks.push(LEGEND.join("\n"));
        blocks.push(text_table(&RELEASES, report.boxes.iter().map(releases)));
    }
    blocks.extend(alarms(report));
    blocks.join("\n\n")
}

fn text_table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows = rows.map(|row| row.into_iter().map(Into::into).collect());
    output::table(head, rows)
}

pub(super) fn html(report: &FleetReport) -> String {
    let body = html! {
        p class="quiet" { (window(report)) }
        h2 { "Alarms" }
        @let alarms = alarms(report);
        @if alarms.is_empty() { p { "none" } }
        @for alarm in alarms { p { (alarm) } }
        h2 { "Boxes" }
        @if report.boxes.is_empty() { p { (NO_BOX) } } @else {
            (html::table(&COUNTS, report.boxes.iter().map(|row| counts(report, row))))
            @for line in LEGEND { p class="quiet" { (line) } }
            h2 { "Releases" }
            (html::table(&RELEASES, report.boxes.iter().map(releases)))
        }
    };
    html::page("Fleet", "en", "", &body)
}

const NO_BOX: &str = "no box is admitted: faceood-admin fleet enrol NAME";

fn window(report: &FleetReport) -> String {
    let time = |time: DateTime<Utc>| time.format("%F %H:%M").to_string();
    let boxes = plural(report.boxes.len(), "box", "boxes");
    format!(
        "{}: {boxes}, counts from {} to {} UTC",
        report.target,
        time(report.since),
        time(report.until)
    )
}

fn counts(report: &FleetReport, row: &BoxRow) -> Vec<String> {
    let state = &row.state;
    let seen = state.last_seen.map(|seen| ago(report.now - seen));
    vec![
        terminal_line(&state.node).into_owned(),
        or_dash(state.site.as_deref()),
        or_dash(state.ring.as_deref()),
        seen.unwrap_or_else(|| "never".to_owned()),
        state
            .unshipped
            .map_or_else(|| "–".to_owned(), |rows| rows.to_string()),
        row.counts.rows.to_string(),
        percent(row.share_low),
        percent(row.share_rejected),
        percent(row.others_share_rejected),
    ]
}

fn releases(row: &BoxRow) -> Vec<String> {
    let state = &row.state;
    let pack = [&state.pack, &state.pack_version].map(|part| or_dash(part.as_deref()));
    vec![
        terminal_line(&state.node).into_owned(),
        or_dash(state.version.as_deref()),
        pack.join(" ").trim_end_matches(" –").to_owned(),
        or_dash(state.calibration_id.as_deref()),
        or_dash(state.provider.as_deref()),
    ]
}

fn or_dash(text: Option<&str>) -> String {
    text.map_or_else(|| "–".to_owned(), |text| terminal_line(text).into_owned())
}

/// What somebody should look at, the most serious first.
fn alarms(report: &FleetReport) -> Vec<String> {
    let mut alarms: Vec<String> = report.clones.iter().map(clone).collect();
    for row in &report.boxes {
        let state = &row.state;
        let node = terminal_line(&state.node);
        if row.is_worse {
            let since = match row.worse_since {
                Some(day) => format!("since {day}"),
                None => "in the whole window".to_owned(),
            };
            alarms.push(format!(
                "{node} rejects {} of its faces, the others {}, {since}: faceood-admin analyze-logs says why",
                percent(row.share_rejected),
                percent(row.others_share_rejected)
            ));
        }
        match state.last_seen {
            None => alarms.push(format!(
                "{node} has never connected: look at faceood-ship on that box"
            )),
            Some(seen) if row.is_late => alarms.push(format!(
                "{node} was last seen {} ago: look at that box, its network and its service faceood-ship",
                ago(report.now - seen)
            )),
            Some(_) => {}
        }
        if let Some(rows) = state.quarantined.filter(|rows| *rows > 0) {
            let rows = plural(rows, "row", "rows");
            alarms.push(format!(
                "{node} has {rows} that the centre cannot take: its journal says which, and why"
            ));
        }
        if let Some(ahead) = state
            .clock_ahead_seconds
            .filter(|off| off.abs() > CLOCK_SECONDS)
        {
            alarms.push(format!(
                "the clock of {node} is {:.0} s {}: look at its time service",
                ahead.abs(),
                if ahead > 0.0 { "ahead" } else { "behind" }
            ));
        }
    }
    if report.feedback_waiting > 0 {
        let waiting = plural(
            report.feedback_waiting,
            "piece of feedback waits",
            "pieces of feedback wait",
        );
        alarms.push(format!(
            "{waiting} for a request that no box has shipped, or whose own box has given feedback"
        ));
    }
    if report.rows_without_month > 0 {
        let have = plural(report.rows_without_month, "row has", "rows have");
        alarms.push(format!(
            "{have} the time of a broken clock: SELECT DISTINCT node FROM inferences_default"
        ));
    }
    alarms
}

fn clone(alarm: &faceood_fleet::CloneAlarm) -> String {
    let who = alarm.nodes.iter().zip(&alarm.addresses);
    let who: Vec<_> = who
        .map(|(node, address)| format!("{} at {address}", terminal_line(node)))
        .collect();
    format!(
        "one log ({}) is shipped by two at once: {}, last on {} UTC: one is a clone. Stop it, delete its log, and give it a \
         name and a certificate of its own",
        alarm.log_id,
        who.join(" and "),
        alarm.until.format("%F %H:%M")
    )
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// A span of time in its largest unit.
fn ago(span: TimeDelta) -> String {
    match span.num_seconds().max(0) {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7200 => format!("{} min", seconds / 60),
        seconds if seconds < 172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare;
    use super::*;
    use faceood_fleet::{BoxDay, BoxState, CloneAlarm, FleetState};
    use uuid::Uuid;

    #[test]
    fn what_is_wrong_is_named_with_what_to_do() {
        let now = Utc::now();
        let box_of = |node: &str| BoxState {
            node: node.to_owned(),
            last_seen: Some(now),
            ..BoxState::default()
        };
        let bad = BoxDay {
            rows: 100,
            decided: 100,
            rejected: 90,
            ..BoxDay::default()
        };
        let good = BoxDay { rejected: 1, ..bad };
        let boxes = vec![
            BoxState {
                days: [(now.date_naive(), bad)].into(),
                quarantined: Some(2),
                clock_ahead_seconds: Some(-90.0),
                ..box_of("<b>\x1b[31m")
            },
            BoxState {
                days: [(now.date_naive(), good)].into(),
                last_seen: Some(now - TimeDelta::hours(3)),
                ..box_of("late")
            },
            BoxState {
                last_seen: None,
                ..box_of("new")
            },
        ];
        let clones = vec![CloneAlarm {
            log_id: Uuid::from_u128(5),
            nodes: vec!["a".to_owned(), "b".to_owned()],
            addresses: vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
            since: now,
            until: now,
        }];
        let state = FleetState {
            now,
            boxes,
            clones,
            feedback_waiting: 3,
            rows_without_month: 1,
        };
        let report = compare::report("centre/faceood", [now, now], state);
        let (text, page) = (text(&report), html(&report));
        for said in [
            "rejects 90.0 % of its faces, the others 1.0 %, in the whole window",
            "late was last seen 3 h ago",
            "new has never connected",
            "2 rows that the centre cannot take",
            "90 s behind",
            "a at 192.0.2.1 and b at 192.0.2.2",
            "3 pieces of feedback",
            "1 row has the time of a broken clock",
        ] {
            assert!(text.contains(said), "{said}: {text}");
            assert!(page.contains(said), "{said}: {page}");
        }
        assert!(text.contains("\\u001b") && !page.contains("<b>"), "{text}");
        let empty = compare::report("centre/faceood", [now, now], FleetState::default());
        assert!(super::text(&empty).contains("fleet enrol"));
    }
}
