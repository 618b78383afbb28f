//! Finds periods in which a source's embedding norm, or its residual given the score, left its
//! usual level. Each source and each pack is examined by itself, because norms of different
//! packs are not comparable.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use rayon::prelude::*;

use super::changes::{Levels, Segment, levels};
use super::features::NormModel;
use super::report::{Cluster, NormAnomaly, NormSignal};
use super::significance::discoveries;
use super::streams::Streams;
use super::survey::JudgingModel;
use super::trend::{BINS, Bins};

/// p-value below which a change is considered, before the correction over all sources.
pub(super) const STRICT: f64 = 1e-4;

/// Smallest difference of levels that is reported, in standard deviations.
const LEAST_SHIFT: f64 = 0.5;

/// The usual level is the first that has one row in so many.
const USUAL: usize = 4;

/// Events within this share of the window from a change coincide with it.
const ABOUT_THEN: f64 = 0.05;

struct NormCandidate {
    source: u32,
    sha256: String,
    signal: NormSignal,
    levels: Levels,
    times: Vec<[DateTime<Utc>; 2]>,
    is_last: Vec<bool>,
    course: Vec<Option<f64>>,
}

pub(super) fn anomalies(
    streams: &Streams<'_>,
    models: &[JudgingModel],
    norms: &NormModel,
    sources: &[String],
    bins: &Bins,
) -> Vec<NormAnomaly> {
    let found: Vec<_> = (0..sources.len())
        .into_par_iter()
        .flat_map_iter(|source| candidates(source, streams, models, norms, bins))
        .collect();
    let p_values: Vec<f64> = found.iter().map(|(p_value, _)| *p_value).collect();
    let stands = discoveries(&p_values);
    let kept = found.into_iter().zip(stands).filter(|(_, stands)| *stands);
    let mut anomalies: Vec<NormAnomaly> = kept
        .filter_map(|((_, candidate), _)| candidate)
        .flat_map(|candidate| described(&candidate, models, sources))
        .collect();
    merge_signals(&mut anomalies);
    anomalies.sort_by(|a, b| b.z.abs().total_cmp(&a.z.abs()).then(a.from.cmp(&b.from)));
    anomalies
}

/// Of each pack and signal of a source, how likely chance makes its clearest change, and its levels
/// where there are several.
fn candidates(
    source: usize,
    streams: &Streams<'_>,
    models: &[JudgingModel],
    norms: &NormModel,
    bins: &Bins,
) -> Vec<(f64, Option<NormCandidate>)> {
    let mut by_pack: HashMap<&str, Vec<u32>> = HashMap::new();
    let mut last_row = None;
    for at in streams.of(source) {
        let row = streams.row(at);
        last_row = Some(at);
        if row.norm.is_finite() {
            let pack = models[row.model as usize].sha256.as_str();
            by_pack.entry(pack).or_default().push(at);
        }
    }
    let mut packs: Vec<_> = by_pack.into_iter().collect();
    packs.sort_unstable();
    let mut found = Vec::new();
    for (sha256, rows) in packs {
        for signal in [NormSignal::Norm, NormSignal::Residual] {
            let values: Vec<f64> = rows
                .iter()
                .map(|&at| {
                    let row = streams.row(at);
                    match signal {
                        NormSignal::Norm => f64::from(row.norm),
                        NormSignal::Residual => norms
                            .given_score(row.score(), row.norm, row.model)
                            .unwrap_or_default(),
                    }
                })
                .collect();
            let levels = levels(&values, STRICT);
            if levels.segments.len() < 2 {
                found.push((levels.p_value, None));
                continue;
            }
            let place = |at: usize| streams.row(rows[at]).time();
            let ends = |part: &Segment| [place(part.from), place(part.to - 1)];
            let times = (0..values.len()).map(place);
            let course = course(times.zip(values.iter().copied()), bins);
            let candidate = NormCandidate {
                source: source as u32,
                sha256: sha256.to_owned(),
                signal,
                times: levels.segments.iter().map(ends).collect(),
                is_last: levels
                    .segments
                    .iter()
                    .map(|part| part.to == rows.len() && rows.last().copied() == last_row)
                    .collect(),
                levels,
                course,
            };
            found.push((candidate.levels.p_value, Some(candidate)));
        }
    }
    found
}

/// The mean of what was measured in each part of the window.
fn course(values: impl Iterator<Item = (DateTime<Utc>, f64)>, bins: &Bins) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); BINS];
    for (time, value) in values {
        let sum = &mut sums[bins.of(time)];
        *sum = (sum.0 + value, sum.1 + 1);
    }
    let mean = |(sum, count)| (count > 0).then(|| sum / f64::from(count));
    sums.into_iter().map(mean).collect()
}

/// Every part of a stream whose level differs from the usual one.
fn described(
    candidate: &NormCandidate,
    models: &[JudgingModel],
    sources: &[String],
) -> Vec<NormAnomaly> {
    let Levels {
        segments,
        deviation,
        p_value,
    } = &candidate.levels;
    let rows: usize = segments.iter().map(|part| part.to - part.from).sum();
    let is_long = |part: &&Segment| part.to - part.from >= rows / USUAL;
    let Some(usual) = segments.iter().find(is_long).or(segments.first()) else {
        return Vec::new();
    };
    let spread = deviation.max(1e-6);
    let pack = models.iter().find(|model| model.sha256 == candidate.sha256);
    segments
        .iter()
        .zip(candidate.times.iter().zip(&candidate.is_last))
        .filter(|(part, _)| (part.mean - usual.mean).abs() >= LEAST_SHIFT * spread)
        .map(|(part, (time, is_last))| NormAnomaly {
            from: time[0],
            to: time[1],
            source: sources[candidate.source as usize].clone(),
            pack: pack.map_or(String::new(), |model| model.pack.clone()),
            signal: candidate.signal,
            z: (part.mean - usual.mean) / spread,
            direction: if part.mean < usual.mean {
                "lower"
            } else {
                "higher"
            }
            .to_owned(),
            before: usual.mean,
            after: part.mean,
            rows: (part.to - part.from) as u64,
            p_value: *p_value,
            is_lasting: *is_last,
            course: candidate.course.clone(),
            coincides: Vec::new(),
        })
        .collect()
}

/// A change often shows in the norm and in its residual: it is reported once, by the clearer of
/// the two signals.
fn merge_signals(anomalies: &mut Vec<NormAnomaly>) {
    let mut kept: Vec<NormAnomaly> = Vec::new();
    anomalies.sort_by(|a, b| b.z.abs().total_cmp(&a.z.abs()).then(a.from.cmp(&b.from)));
    for anomaly in anomalies.drain(..) {
        let is_told = kept.iter().any(|other| {
            other.source == anomaly.source
                && other.pack == anomaly.pack
                && other.signal != anomaly.signal
                && other.from <= anomaly.to
                && anomaly.from <= other.to
        });
        if !is_told {
            kept.push(anomaly);
        }
    }
    *anomalies = kept;
}

/// Adds to each anomaly what began at that time: patterns at its source, packs and
/// calibrations.
pub(super) fn coincide(
    anomalies: &mut [NormAnomaly],
    clusters: &[Cluster],
    models: &[(JudgingModel, DateTime<Utc>)],
    window: [DateTime<Utc>; 2],
) {
    let about = TimeDelta::milliseconds(
        ((window[1] - window[0]).num_milliseconds() as f64 * ABOUT_THEN) as i64,
    )
    .max(TimeDelta::minutes(5));
    let begins = |then: DateTime<Utc>, anomaly: &NormAnomaly| (then - anomaly.from).abs() <= about;
    for anomaly in anomalies {
        for cluster in clusters {
            let is_there = cluster
                .sources
                .iter()
                .any(|part| part.source == anomaly.source);
            if is_there && begins(cluster.since.unwrap_or(cluster.first_seen), anomaly) {
                anomaly.coincides.push(format!("cluster {}", cluster.id));
            }
        }
        // The first of each is no change.
        for (index, (model, since)) in models.iter().enumerate().skip(1) {
            if !begins(*since, anomaly) {
                continue;
            }
            let is_new_pack = models[..index]
                .iter()
                .all(|(other, _)| other.sha256 != model.sha256);
            anomaly.coincides.push(if is_new_pack {
                format!("pack {}", model.pack)
            } else {
                format!("calibration {}", model.calibration)
            });
        }
    }
}
