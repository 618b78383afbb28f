//! Compares sources with each other, and finds changes in a source's share of low captures.

use rayon::prelude::*;

use super::LocalTime;
use super::changes::{LEAST_ROWS, levels};
use super::features::median;
use super::norms::STRICT;
use super::report::{Drift, FleetRow, SourceHours};
use super::significance::{at_least, discoveries};
use super::streams::Streams;
use super::survey::{CAUSES, SourceCounts, StreamRow};
use super::tally::LocalHours;
use faceood::quality::CauseName;

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
pub(super) fn table(
    streams: &Streams<'_>,
    sources: &[String],
    counts: &[SourceCounts],
    max_score: f32,
    local: LocalTime,
) -> Vec<FleetRow> {
    let scored: u64 = counts.iter().map(|count| count.scored).sum();
    let low: u64 = counts.iter().map(|count| count.low).sum();
    let look = |(source, count): (usize, &SourceCounts)| {
        let stream: Vec<StreamRow> = streams.of(source).map(|at| streams.row(at)).collect();
        let drift = drift(&stream, max_score, LocalHours::new(local));
        let others = (low - count.low) as f64 / (scored - count.scored).max(1) as f64;
        let share = count.low as f64 / count.scored.max(1) as f64;
        let is_lead = scored > count.scored && count.low >= LEAST_LOW && share >= WORSE * others;
        let lead = if is_lead {
            at_least(count.low, count.scored, others.max(1e-9))
        } else {
            1.0
        };
        let norms = stream
            .iter()
            .map(|row| f64::from(row.norm))
            .filter(|norm| norm.is_finite());
        let (sum, number) = norms.fold((0.0, 0_u32), |(sum, n), norm| (sum + norm, n + 1));
        let row = FleetRow {
            source: sources[source].clone(),
            inferences: count.rows,
            errors: count.errors,
            low: count.low,
            share_low: (count.scored > 0).then_some(share),
            is_worse: false,
            median_score: median(stream.iter().map(|row| f64::from(row.score())))
                .map(|score| (score * 1e4).round() / 1e4),
            embedding_norm: (number > 0).then(|| sum / f64::from(number)),
            top_cause: top(&count.causes),
            drift: None,
        };
        (row, lead, drift)
    };
    let looks: Vec<_> = counts.par_iter().enumerate().map(look).collect();
    let lead: Vec<f64> = looks.iter().map(|(_, lead, _)| *lead).collect();
    let (mut rows, drifts): (Vec<_>, Vec<_>) = looks
        .into_iter()
        .map(|(row, _, drift)| (row, drift))
        .unzip();
    for (row, stands) in rows.iter_mut().zip(discoveries(&lead)) {
        row.is_worse = stands;
    }
    let p_values: Vec<f64> = drifts
        .iter()
        .map(|drift| drift.map_or(1.0, |drift| drift.p_value))
        .collect();
    for ((row, drift), stands) in rows.iter_mut().zip(drifts).zip(discoveries(&p_values)) {
        row.drift = drift.filter(|_| stands);
    }
    rows.sort_by(|a, b| {
        b.inferences
            .cmp(&a.inferences)
            .then_with(|| a.source.cmp(&b.source))
    });
    rows
}

/// The day of each of the sources that have most low rows.
pub(super) fn source_hours(
    streams: &Streams<'_>,
    sources: &[String],
    counts: &[SourceCounts],
    max_score: f32,
    hours: &mut LocalHours,
) -> Vec<SourceHours> {
    let mut order: Vec<usize> = (0..sources.len())
        .filter(|&at| counts[at].low > 0)
        .collect();
    order.sort_by(|&a, &b| {
        counts[b]
            .low
            .cmp(&counts[a].low)
            .then_with(|| sources[a].cmp(&sources[b]))
    });
    order.truncate(DAYS_SHOWN);
    let day = |source: usize| {
        let mut day = SourceHours {
            source: sources[source].clone(),
            scored: [0; 24],
            low: [0; 24],
        };
        for at in streams.of(source) {
            let row = streams.row(at);
            let hour = hours.of(row.time());
            day.scored[hour] += 1;
            day.low[hour] += u64::from(row.is_low(max_score));
        }
        day
    };
    order.into_iter().map(day).collect()
}

fn top(causes: &[u32; CAUSES]) -> Option<String> {
    let first = (0..CAUSES).max_by(|&a, &b| causes[a].cmp(&causes[b]).then(b.cmp(&a)))?;
    (causes[first] > 0).then(|| CauseName::ALL[first].name().to_owned())
}

/// The latest change of a stream's share of low captures, beyond its usual daily course. A new
/// calibration or pack changes the scores of equal captures, so only rows of the latest one
/// count.
fn drift(stream: &[StreamRow], max_score: f32, mut hours: LocalHours) -> Option<Drift> {
    let last = stream.last()?.model;
    let stream: Vec<StreamRow> = stream
        .iter()
        .copied()
        .filter(|row| row.model == last)
        .collect();
    let is_low = |row: &StreamRow| f64::from(u8::from(row.is_low(max_score)));
    let hours: Vec<usize> = stream.iter().map(|row| hours.of(row.time())).collect();
    let usual = course(&stream, &is_low, &hours);
    let values: Vec<f64> = stream
        .iter()
        .zip(&hours)
        .map(|(row, &hour)| is_low(row) - usual[hour])
        .collect();
    let found = levels(&values, STRICT);
    let [.., before, after] = found.segments.as_slice() else {
        return None;
    };
    let low = |from: usize, to: usize| stream[from..to].iter().map(&is_low).sum::<f64>() as u64;
    let (all_before, all_after) = (before.to - before.from, after.to - after.from);
    let (low_before, low_after) = (low(before.from, before.to), low(after.from, after.to));
    let share = |low: u64, all: usize| low as f64 / all.max(1) as f64;
    let (from, to) = (share(low_before, all_before), share(low_after, all_after));
    let is_rising = to > from;
    if (to - from).abs() < LEAST_CHANGE || low_before.max(low_after) < LEAST_LOW {
        return None;
    }
    // The approximation behind `levels` is a poor one for rare events: of all low rows, so many on one side, at any of the places.
    let part = |all: usize| all as f64 / (all_before + all_after) as f64;
    let exact = if is_rising {
        at_least(low_after, low_before + low_after, part(all_after))
    } else {
        at_least(low_before, low_before + low_after, part(all_before))
    };
    let places = (all_before + all_after).div_ceil(LEAST_ROWS) as f64;
    let p_value = (exact * places).min(1.0).max(found.p_value);
    (p_value < STRICT).then(|| Drift {
        is_rising,
        since: stream[after.from].time(),
        before: from,
        after: to,
        p_value,
    })
}

/// The usual low share by hour, less the mean: nothing unless the stream has run for some days. Hours with few rows are drawn to the mean.
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
