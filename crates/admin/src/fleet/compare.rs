//! Each box against the others.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use faceood_fleet::{BoxDay, BoxState, CloneAlarm, FleetState};
use faceood_patterns::significance::{at_least, discoveries};
use serde::Serialize;

/// A box is worse than the others if it rejects at least this many times their share.
const WORSE: f64 = 1.5;

/// Fewest rejected faces for that: one person who tries again and again is no trend.
const LEAST_REJECTED: u64 = 15;

/// Below this probability, a day is taken for the beginning of a change.
const STRICT: f64 = 0.001;

/// A box that was not seen for so long is late: faceood-ship comes every minute.
const LATE: TimeDelta = TimeDelta::minutes(15);

#[derive(Debug, Serialize)]
pub(super) struct FleetReport {
    pub(super) target: String,
    pub(super) since: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    /// The time at the centre.
    pub(super) now: DateTime<Utc>,
    pub(super) boxes: Vec<BoxRow>,
    pub(super) clones: Vec<CloneAlarm>,
    /// Words about requests that no box has shipped yet.
    pub(super) feedback_waiting: u64,
    /// Rows with the time of a broken clock.
    pub(super) rows_without_month: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct BoxRow {
    #[serde(flatten)]
    pub(super) state: BoxState,
    /// Of the whole window.
    #[serde(flatten)]
    pub(super) counts: BoxDay,
    pub(super) share_low: Option<f64>,
    /// Rejected faces among those that were decided on.
    pub(super) share_rejected: Option<f64>,
    /// The same of all other boxes.
    pub(super) others_share_rejected: Option<f64>,
    pub(super) is_worse: bool,
    /// The day on which it became worse; `None` where it was so all the time.
    pub(super) worse_since: Option<NaiveDate>,
    /// It did not come for a while.
    pub(super) is_late: bool,
}

pub(super) fn report(
    target: &str,
    [since, until]: [DateTime<Utc>; 2],
    state: FleetState,
) -> FleetReport {
    let sum = |days: &mut dyn Iterator<Item = BoxDay>| days.fold(BoxDay::default(), BoxDay::and);
    let counts: Vec<BoxDay> = state
        .boxes
        .iter()
        .map(|one| sum(&mut one.days.values().copied()))
        .collect();
    let all = sum(&mut counts.iter().copied());
    let others =
        |counts: &BoxDay| share(all.rejected - counts.rejected, all.decided - counts.decided);
    let lead = |counts: &BoxDay| {
        let own = share(counts.rejected, counts.decided);
        let (Some(own), Some(others)) = (own, others(counts)) else {
            return 1.0;
        };
        if counts.rejected < LEAST_REJECTED || own < WORSE * others {
            return 1.0;
        }
        at_least(counts.rejected, counts.decided, others.max(1e-9))
    };
    let leads: Vec<f64> = counts.iter().map(lead).collect();
    let worse = discoveries(leads.iter().copied());
    let now = state.now;
    let rows = state.boxes.into_iter().zip(counts).zip(worse);
    let row = |((state, counts), is_worse): ((BoxState, BoxDay), bool)| BoxRow {
        share_low: share(counts.low, counts.scored),
        share_rejected: share(counts.rejected, counts.decided),
        others_share_rejected: others(&counts),
        is_worse,
        worse_since: if is_worse { worse_since(&state) } else { None },
        is_late: state.last_seen.is_none_or(|seen| now - seen > LATE),
        state,
        counts,
    };
    FleetReport {
        target: target.to_owned(),
        since,
        until,
        now,
        boxes: rows.map(row).collect(),
        clones: state.clones,
        feedback_waiting: state.feedback_waiting,
        rows_without_month: state.rows_without_month,
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// The day from which on the box rejects more than before, where one stands out: the probability
/// that so many of all rejected faces fall on one side by chance, times the places where the change
/// could be.
fn worse_since(state: &BoxState) -> Option<NaiveDate> {
    let days: Vec<(NaiveDate, BoxDay)> = state.days.iter().map(|(day, of)| (*day, *of)).collect();
    let all = days
        .iter()
        .fold(BoxDay::default(), |sum, (_, of)| sum.and(*of));
    let mut before = BoxDay::default();
    let mut best: Option<(f64, NaiveDate)> = None;
    for (day, of) in &days {
        let (rejected, decided) = (all.rejected - before.rejected, all.decided - before.decided);
        let earlier = share(before.rejected, before.decided);
        if earlier.is_some_and(|earlier| share(rejected, decided) > Some(earlier)) {
            let chance = decided as f64 / all.decided as f64;
            let p = at_least(rejected, all.rejected, chance) * (days.len() - 1) as f64;
            if best.is_none_or(|(least, _)| p < least) {
                best = Some((p, *day));
            }
        }
        before = before.and(*of);
    }
    best.filter(|(p, _)| *p < STRICT).map(|(_, day)| day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32, decided: u64, rejected: u64) -> (NaiveDate, BoxDay) {
        let counts = BoxDay {
            rows: decided,
            decided,
            rejected,
            scored: decided,
            ..BoxDay::default()
        };
        (NaiveDate::from_ymd_opt(2026, 11, day).unwrap(), counts)
    }

    fn fleet(boxes: Vec<Vec<(NaiveDate, BoxDay)>>) -> FleetReport {
        let boxes = boxes.into_iter().zip(1..).map(|(days, number)| BoxState {
            node: format!("box-{number}"),
            days: days.into_iter().collect(),
            ..BoxState::default()
        });
        let state = FleetState {
            boxes: boxes.collect(),
            ..FleetState::default()
        };
        report("centre/faceood", [Utc::now(); 2], state)
    }

    #[test]
    fn a_box_that_became_worse_is_found_with_its_day() {
        let usual = || (1..=7).map(|n| day(n, 200, 10)).collect::<Vec<_>>();
        let mut changed = usual();
        for one in &mut changed[4..] {
            one.1.rejected = 60;
        }
        let always = (1..=7).map(|n| day(n, 200, 40)).collect();
        let found = fleet(vec![usual(), usual(), usual(), usual(), changed, always]);
        let worse: Vec<bool> = found.boxes.iter().map(|row| row.is_worse).collect();
        assert_eq!(worse, [false, false, false, false, true, true]);
        let since: Vec<_> = found.boxes.iter().map(|row| row.worse_since).collect();
        assert_eq!(since[4], NaiveDate::from_ymd_opt(2026, 11, 5));
        assert_eq!(since[5], None);
        assert_eq!(found.boxes[4].share_rejected, Some(220.0 / 1400.0));
        assert!(found.boxes[0].is_late, "it never came");
    }

    #[test]
    fn one_box_alone_and_boxes_without_rows_are_worse_than_nobody() {
        let alone = fleet(vec![vec![day(1, 100, 90)], vec![]]);
        assert!(alone.boxes.iter().all(|row| !row.is_worse));
        assert_eq!(alone.boxes[0].others_share_rejected, None);
        // Fourteen rejected faces are too few to say anything.
        let few = fleet(vec![vec![day(1, 14, 14)], vec![day(1, 10_000, 10)]]);
        assert!(few.boxes.iter().all(|row| !row.is_worse));
    }
}
