//! Compares sources with each other, and finds changes in a source's share of low captures.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rayon::prelude::*;

use super::LocalTime;
use super::changes::{LEAST_ROWS, levels};
use super::features::median;
use super::norms::STRICT;
use super::report::{ActionCounts, Drift, FleetRow, SourceHours};
use super::significance::{at_least, discoveries};
use super::streams::Streams;
use super::survey::{CAUSES, SourceCounts, StreamRow, Survey, time_of};
use super::tally::LocalHours;
use faceood_engine::policy::Reason;
use faceood_engine::quality::CauseName;

/// A low share that changed by less is no news.
const LEAST_CHANGE: f64 = 0.05;

/// A source is worse than the others if its share of low captures is at least this many times
/// theirs.
const WORSE: f64 = 1.5;

/// Fewest low rows for a drift or a worse source, because one person who tries again and again
/// is no drift.
const LEAST_LOW: u64 = 15;

/// Sources whose days are shown.
const DAYS_SHOWN: usize = 12;

/// Days from which on a source's usual course of a day is known, and its rows then.
const COURSE_DAYS: u32 = 3;
const COURSE_ROWS: usize = 500;

/// The table of all sources, most rows first.
pub(super) fn table(streams: &Streams<'_>, local: LocalTime) -> Vec<FleetRow> {
    let counts = &streams.survey.counts;
    let scored: u64 = counts.iter().map(|count| count.scored).sum();
    let low: u64 = counts.iter().map(|count| count.low).sum();
    let look = |(source, count): (usize, &SourceCounts)| {
        let stream: Vec<StreamRow> = streams.of(source).collect();
        let others = (low - count.low) as f64 / (scored - count.scored).max(1) as f64;
        let share = count.low as f64 / count.scored.max(1) as f64;
        let is_lead = scored > count.scored && count.low >= LEAST_LOW && share >= WORSE * others;
        let lead = if is_lead {
            at_least(count.low, count.scored, others.max(1e-9))
        } else {
            1.0
        };
        let norms = stream.iter().map(|row| f64::from(row.norm));
        let norms = norms.filter(|norm| norm.is_finite());
        let (sum, number) = norms.fold((0.0, 0_u32), |(sum, n), norm| (sum + norm, n + 1));
        let row = FleetRow {
            source: streams.survey.sources[source].clone(),
            inferences: count.rows,
            captures: count.scored,
            errors: count.errors,
            actions: ActionCounts::of(count.actions),
            reasons: named_reasons(count),
            low: count.low,
            share_low: (count.scored > 0).then_some(share),
            is_worse: false,
            median_score: median(stream.iter().map(|row| f64::from(row.score())))
                .map(|score| (score * 1e4).round() / 1e4),
            embedding_norm: counted_norm(streams.survey, source)
                .or_else(|| (number > 0).then(|| sum / f64::from(number))),
            top_cause: top(&count.causes),
            drift: drift(&stream, LocalHours::new(local)),
        };
        (row, lead)
    };
    let looks: Vec<_> = counts.par_iter().enumerate().map(look).collect();
    let worse = discoveries(looks.iter().map(|(_, lead)| *lead));
    let drift_p = |row: &FleetRow| row.drift.map_or(1.0, |drift| drift.p_value);
    let drifts = discoveries(looks.iter().map(|(row, _)| drift_p(row)));
    let judged = looks.into_iter().zip(worse.into_iter().zip(drifts));
    let mut rows: Vec<FleetRow> = judged
        .map(|((row, _), (is_worse, drifts))| FleetRow {
            is_worse,
            drift: row.drift.filter(|_| drifts),
            ..row
        })
        .collect();
    rows.sort_by(|a, b| (b.inferences, &a.source).cmp(&(a.inferences, &b.source)));
    rows
}

/// The mean norm of a source by the hours' counts, where there are any.
fn counted_norm(survey: &Survey, source: usize) -> Option<f64> {
    let (rows, sum) = survey.hours.as_ref()?.norms.get(&(source as u32))?;
    (*rows > 0).then(|| sum.value() / *rows as f64)
}

/// The day of each of the sources that have most low rows.
pub(super) fn source_hours(streams: &Streams<'_>, local: LocalTime) -> Vec<SourceHours> {
    let mut hours = LocalHours::new(local);
    let (sources, counts) = (&streams.survey.sources, &streams.survey.counts);
    let mut order: Vec<usize> = (0..sources.len())
        .filter(|&at| counts[at].low > 0)
        .collect();
    order.sort_by_key(|&at| (Reverse(counts[at].low), &sources[at]));
    order.truncate(DAYS_SHOWN);
    let empty = |source: &usize| SourceHours {
        source: sources[*source].clone(),
        scored: [0; 24],
        low: [0; 24],
    };
    let mut days: Vec<SourceHours> = order.iter().map(empty).collect();
    let Some(counted) = &streams.survey.hours else {
        for (day, source) in days.iter_mut().zip(order) {
            for row in streams.of(source) {
                let hour = hours.of(row.time());
                day.scored[hour] += 1;
                day.low[hour] += u64::from(row.is_low());
            }
        }
        return days;
    };
    let place = |source: u32| order.iter().position(|&shown| shown == source as usize);
    for cell in counted.cells.iter().flatten() {
        if let Some(place) = place(cell.source) {
            days[place].scored[hours.of(time_of(cell.seconds))] += u64::from(cell.scored);
        }
    }
    for low in streams.survey.lows.iter().flatten() {
        let row = streams.survey.low_row(*low);
        if let Some(place) = place(row.source) {
            days[place].low[hours.of(row.time())] += 1;
        }
    }
    days
}

/// The low rows by reason, without reasons that no row has.
fn named_reasons(count: &SourceCounts) -> BTreeMap<Reason, u64> {
    let named = Reason::ALL.into_iter().zip(count.reasons);
    named.filter(|(_, rows)| *rows > 0).collect()
}

fn top(causes: &[u32; CAUSES]) -> Option<String> {
    let first = (0..CAUSES).max_by(|&a, &b| causes[a].cmp(&causes[b]).then(b.cmp(&a)))?;
    (causes[first] > 0).then(|| CauseName::ALL[first].name().to_owned())
}

/// The latest change of a stream's share of low captures, beyond its usual daily course. A new
/// calibration or pack changes the scores of equal captures, so only rows of the latest one
/// count.
fn drift(stream: &[StreamRow], mut hours: LocalHours) -> Option<Drift> {
    let last = stream.last()?.model;
    let of_last = stream.iter().copied().filter(|row| row.model == last);
    let stream: Vec<StreamRow> = of_last.collect();
    let is_low = |row: &StreamRow| f64::from(u8::from(row.is_low()));
    let hours: Vec<usize> = stream.iter().map(|row| hours.of(row.time())).collect();
    let usual = course(&stream, &is_low, &hours);
    let unusual = stream.iter().zip(&hours);
    let values: Vec<f64> = unusual
        .map(|(row, &hour)| is_low(row) - usual[hour])
        .collect();
    let found = levels(&values, STRICT);
    let [.., before, after] = found.segments.as_slice() else {
        return None;
    };
    let rows = [before, after].map(|part| &stream[part.from..part.to]);
    let all = rows.map(<[_]>::len);
    let low = rows.map(|rows| rows.iter().map(&is_low).sum::<f64>() as u64);
    let [from, to] = [0, 1].map(|side| low[side] as f64 / all[side].max(1) as f64);
    if (to - from).abs() < LEAST_CHANGE || low[0].max(low[1]) < LEAST_LOW {
        return None;
    }
    // The approximation behind `levels` is a poor one for rare events. This is the probability of
    // so many of all low rows on one side, times the places where a change could be.
    let more = usize::from(to > from);
    let rows = (all[0] + all[1]) as f64;
    let exact = at_least(low[more], low[0] + low[1], all[more] as f64 / rows);
    let places = (all[0] + all[1]).div_ceil(LEAST_ROWS) as f64;
    let p_value = (exact * places).min(1.0).max(found.p_value);
    (p_value < STRICT).then(|| Drift {
        is_rising: to > from,
        since: stream[after.from].time(),
        before: from,
        after: to,
        p_value,
    })
}

/// The usual low share by hour, less the mean: nothing unless the stream has run for some days.
/// Hours with few rows are drawn to the mean.
fn course(stream: &[StreamRow], is_low: &impl Fn(&StreamRow) -> f64, hours: &[usize]) -> [f64; 24] {
    let span = stream.iter().map(|row| row.seconds);
    let (first, last) = (span.clone().min().unwrap_or(0), span.max().unwrap_or(0));
    if last - first < COURSE_DAYS * 86_400 || stream.len() < COURSE_ROWS {
        return [0.0; 24];
    }
    let mean = stream.iter().map(is_low).sum::<f64>() / stream.len() as f64;
    let (mut low, mut all) = ([0.0; 24], [0.0; 24]);
    for (row, &hour) in stream.iter().zip(hours) {
        low[hour] += is_low(row);
        all[hour] += 1.0;
    }
    let drawn = LEAST_ROWS as f64;
    std::array::from_fn(|hour| (low[hour] + drawn * mean) / (all[hour] + drawn) - mean)
}
