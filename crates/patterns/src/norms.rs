//! Finds periods in which a source's embedding norm, or its residual given the score, left its
//! usual level. Each source and each pack is examined by itself, because norms of different
//! packs are not comparable.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rayon::prelude::*;

use super::changes::{Segment, levels};
use super::features::NormModel;
use super::report::{Cluster, NormAnomaly, NormSignal};
use super::significance::discoveries;
use super::streams::Streams;
use super::survey::{JudgingModel, StreamRow};
use super::trend::{BINS, Bins};

/// p-value below which a change is considered, before the correction over all sources.
pub(super) const STRICT: f64 = 1e-4;

/// Smallest difference of levels that is reported, in standard deviations.
const LEAST_SHIFT: f64 = 0.5;

/// The usual level is the first that has one row in so many.
const USUAL: usize = 4;

/// Events within this share of the window from a change coincide with it.
const ABOUT_THEN: f64 = 0.05;

pub(super) fn anomalies(streams: &Streams<'_>, norms: &NormModel, bins: &Bins) -> Vec<NormAnomaly> {
    let found: Vec<_> = (0..streams.survey.sources.len())
        .into_par_iter()
        .flat_map_iter(|source| candidates(source, streams, norms, bins))
        .collect();
    let stands = discoveries(found.iter().map(|(p_value, _)| *p_value));
    let kept = found.into_iter().zip(stands).filter(|(_, stands)| *stands);
    merge_signals(kept.flat_map(|((_, anomalies), _)| anomalies).collect())
}

/// For each pack and signal of a source, the p-value of its clearest change, and the parts whose
/// level differs from the usual one.
fn candidates(
    source: usize,
    streams: &Streams<'_>,
    norms: &NormModel,
    bins: &Bins,
) -> Vec<(f64, Vec<NormAnomaly>)> {
    let models = &streams.survey.models;
    let mut by_pack: BTreeMap<&str, Vec<StreamRow>> = BTreeMap::new();
    // The pack of the last row, if that has a norm.
    let mut last = None;
    for row in streams.of(source) {
        let pack = models[usize::from(row.model)].sha256.as_str();
        last = row.norm.is_finite().then_some(pack);
        if last.is_some() {
            by_pack.entry(pack).or_default().push(row);
        }
    }
    let mut found = Vec::new();
    for (sha256, rows) in by_pack {
        let pack = models.iter().find(|model| model.sha256 == sha256);
        for signal in [NormSignal::Norm, NormSignal::Residual] {
            let value = |row: &StreamRow| match signal {
                NormSignal::Norm => f64::from(row.norm),
                NormSignal::Residual => norms
                    .given_score(row.score(), row.norm, row.model)
                    .unwrap_or_default(),
            };
            let values: Vec<f64> = rows.iter().map(value).collect();
            let levels = levels(&values, STRICT);
            let segments = &levels.segments;
            let is_long = |part: &&Segment| part.to - part.from >= rows.len() / USUAL;
            let Some(usual) = segments.iter().find(is_long).or(segments.first()) else {
                continue;
            };
            let spread = levels.deviation.max(1e-6);
            let is_shifted =
                |part: &&Segment| (part.mean - usual.mean).abs() >= LEAST_SHIFT * spread;
            let course = match segments.len() {
                1 => Vec::new(),
                _ => course(rows.iter().zip(values), bins),
            };
            let anomaly = |part: &Segment| NormAnomaly {
                from: rows[part.from].time(),
                to: rows[part.to - 1].time(),
                source: streams.survey.sources[source].clone(),
                pack: pack.map_or(String::new(), |model| model.pack.clone()),
                signal,
                z: (part.mean - usual.mean) / spread,
                direction: if part.mean < usual.mean {
                    "lower".to_owned()
                } else {
                    "higher".to_owned()
                },
                before: usual.mean,
                after: part.mean,
                rows: (part.to - part.from) as u64,
                p_value: levels.p_value,
                is_lasting: part.to == rows.len() && last == Some(sha256),
                course: course.clone(),
                coincides: Vec::new(),
            };
            let anomalies = segments.iter().filter(is_shifted).map(anomaly).collect();
            found.push((levels.p_value, anomalies));
        }
    }
    found
}

/// The mean of what was measured in each part of the window.
fn course<'a>(values: impl Iterator<Item = (&'a StreamRow, f64)>, bins: &Bins) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); BINS];
    for (row, value) in values {
        let sum = &mut sums[bins.of(row.time())];
        *sum = (sum.0 + value, sum.1 + 1);
    }
    let mean = |(sum, count)| (count > 0).then(|| sum / f64::from(count));
    sums.into_iter().map(mean).collect()
}

/// Sorts anomalies, clearest first. A change often shows in the norm and in its residual: it is
/// reported once, by the clearer of the two signals.
fn merge_signals(mut anomalies: Vec<NormAnomaly>) -> Vec<NormAnomaly> {
    anomalies.sort_by(|a, b| b.z.abs().total_cmp(&a.z.abs()).then(a.from.cmp(&b.from)));
    let mut kept: Vec<NormAnomaly> = Vec::new();
    for anomaly in anomalies {
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
    kept
}

/// Adds to each anomaly what began at that time: patterns at its source, packs and
/// calibrations.
pub(super) fn coincide(
    anomalies: &mut [NormAnomaly],
    clusters: &[Cluster],
    models: &[(&JudgingModel, DateTime<Utc>)],
    window: [DateTime<Utc>; 2],
) {
    let span = (window[1] - window[0]).num_milliseconds() as f64;
    let about = TimeDelta::milliseconds((span * ABOUT_THEN) as i64).max(TimeDelta::minutes(5));
    for anomaly in anomalies {
        let from = anomaly.from;
        let begins = |then: DateTime<Utc>| (then - from).abs() <= about;
        for cluster in clusters {
            let mut sources = cluster.sources.iter();
            let is_there = sources.any(|part| part.source == anomaly.source);
            if is_there && begins(cluster.since.unwrap_or(cluster.first_seen)) {
                anomaly.coincides.push(format!("cluster {}", cluster.id));
            }
        }
        // The first of each is no change.
        for (index, (model, since)) in models.iter().enumerate().skip(1) {
            if !begins(*since) {
                continue;
            }
            let mut earlier = models[..index].iter();
            let is_new_pack = earlier.all(|(other, _)| other.sha256 != model.sha256);
            let (kind, name) = if is_new_pack {
                ("pack", &model.pack)
            } else {
                ("calibration", &model.calibration)
            };
            anomaly.coincides.push(format!("{kind} {name}"));
        }
    }
}
