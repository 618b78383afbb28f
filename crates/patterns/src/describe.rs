//! Decides which groups are reported as patterns, and describes each from its counts.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use uuid::Uuid;

use super::Settings;
use super::baseline::WindowCounts;
use super::features::{
    FeaturePoint, LEAST_GOOD, MEASURES, Scale, centre, distance, measure_names, median,
};
use super::report::{Cluster, ComponentStatistics, LowBy, PValues, SourceShare, TrendKind};
use super::significance::{at_least, departs, discoveries, discoveries_among};
use super::survey::{CAUSES, Sampled, Survey, first};
use super::tally::Tally;
use super::trend::{Bins, trend};
use super::words::Facts;
use faceood_engine::quality::{Cause, CauseName, Language};

/// A group with the same sources and hours as all captures is a pattern only above this share
/// of them. At a site without faults so many captures may score low by one cause: one of 415
/// clean photos of different people did, for the most frequent cause.
const ORDINARY: f64 = 0.01;

/// Significance level: with a report each week and several groups in each, one false pattern in
/// twenty would be too many.
const STRICT: f64 = 1e-3;

/// A source has a lead worth naming from this lift on.
const LEAST_LIFT: f64 = 1.5;

/// Share of a pattern that its peak hours have.
const PEAK: f64 = 0.8;

/// A second cause is part of the label from this share of the first cause's weight.
const JOINED: f32 = 0.5;

/// A cause that is named at all.
const NAMED: f32 = 0.02;

/// A group without a common cause is a pattern only if a measure differs by this many
/// deviations from good captures.
const STANDS_OUT: f64 = 3.0;

/// Rows of a group that are most typical.
const EXEMPLARS: usize = 6;

/// What all captures are, against which a group is held.
pub(super) struct Background<'a> {
    pub(super) survey: &'a Survey,
    pub(super) scale: &'a Scale,
    pub(super) bins: &'a Bins,
    pub(super) counts: &'a WindowCounts,
    pub(super) settings: &'a Settings,
}

/// A group with what was counted, and the rows of the sample that belong to it in the order of the
/// sample.
#[derive(Clone, Default)]
pub(super) struct ClusterCandidate<'a> {
    pub(super) tally: Tally,
    pub(super) rows: Vec<&'a Sampled>,
}

/// Describes the groups that are patterns, largest first, and returns for each candidate its
/// number if it is one.
pub(super) fn describe(
    candidates: &[ClusterCandidate<'_>],
    all: &Background<'_>,
) -> (Vec<Cluster>, Vec<Option<u32>>) {
    let sources = significant_sources(candidates, all);
    let judged = candidates.iter().zip(&sources);
    let judged: Vec<PValues> = judged
        .map(|(candidate, sources)| p_values(&candidate.tally, sources, all))
        .collect();
    let stands = discoveries(judged.iter().map(|p| p.cluster));
    let hours_stand = discoveries(judged.iter().map(|p| p.hours));
    let data = all
        .survey
        .span
        .map_or(TimeDelta::zero(), |[from, to]| to - from);
    let mut found: Vec<(usize, Cluster)> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let (tally, sources, p_values) = (&candidate.tally, &sources[index], judged[index]);
        let is_clear = stands[index] && p_values.cluster < STRICT;
        let Some([first_seen, last_seen]) = tally.seen.filter(|_| is_clear) else {
            continue;
        };
        if candidate.rows.is_empty() {
            continue;
        }
        let (causes, names) = leading_causes(&candidate.rows);
        let components = components(&candidate.rows, all.scale);
        let mut differing = Vec::new();
        if names == [CauseName::Unknown] {
            differing = standing_out(&components);
            let is_local = sources.iter().any(|part| part.p_value <= STRICT);
            if differing.is_empty() && !is_local {
                continue;
            }
        }
        let (kind, detail, begun) = trend(&tally.bins, &all.counts.by_bin, all.bins, data);
        let since =
            begun.and_then(|bin| tally.first_of_bin[bin..].iter().flatten().next().copied());
        let peak_hours = (hours_stand[index] && p_values.hours < STRICT)
            .then(|| peak(&tally.hours))
            .flatten();
        let facts = Facts {
            causes: &names,
            differing: &differing,
            sources,
            hours: peak_hours,
            since: since.unwrap_or(first_seen),
            trend: kind,
            size: tally.size,
            share: tally.size as f64 / all.survey.low_rows.max(1) as f64,
            gain: gain(tally, sources, all),
            low_by: LowBy::of(all.settings.max_score),
        };
        let local = all.settings.local_time;
        let label: Vec<&str> = names.iter().map(|name| name.name()).collect();
        let cluster = Cluster {
            id: 0,
            size: tally.size,
            share: facts.share,
            label: label.join("+"),
            causes,
            summary: facts.summary(Language::English, local),
            summary_zh: facts.summary(Language::Chinese, local),
            advice: facts.advice(Language::English),
            advice_zh: facts.advice(Language::Chinese),
            expected_gain: facts.gain,
            first_seen,
            last_seen,
            since: since.filter(|_| kind == TrendKind::New),
            trend: kind,
            trend_detail: detail,
            sources: sources.clone(),
            hours: tally.hours,
            peak_hours,
            timeline: tally.bins.to_vec(),
            quality: tally.quality(),
            embedding_norm: tally.norms(),
            components,
            exemplars: exemplars(&candidate.rows, all.scale),
            p_values,
        };
        found.push((index, cluster));
    }
    found.sort_by(|a, b| b.1.size.cmp(&a.1.size).then(a.1.label.cmp(&b.1.label)));
    let mut numbers = vec![None; candidates.len()];
    for ((index, cluster), id) in found.iter_mut().zip(1..) {
        cluster.id = id;
        numbers[*index] = Some(id);
    }
    let clusters = found.into_iter().map(|(_, cluster)| cluster).collect();
    (clusters, numbers)
}

impl Background<'_> {
    /// Rows with a score.
    fn scored(&self) -> u64 {
        self.survey.scored.max(1)
    }

    /// Sources that have rows with a score.
    fn active(&self) -> usize {
        let counts = self.survey.counts.iter();
        counts.filter(|count| count.scored > 0).count()
    }
}

/// For each candidate, the sources that have a significantly larger share of it than of all
/// captures.
fn significant_sources(
    candidates: &[ClusterCandidate<'_>],
    all: &Background<'_>,
) -> Vec<Vec<SourceShare>> {
    let mut parts: Vec<(usize, SourceShare)> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        for (&source, &count) in &candidate.tally.sources {
            let source = source as usize;
            let chance = all.survey.counts[source].scored as f64 / all.scored() as f64;
            let part = SourceShare {
                source: all.survey.sources[source].clone(),
                count,
                lift: count as f64 / candidate.tally.size as f64 / chance,
                p_value: at_least(count, candidate.tally.size, chance),
            };
            parts.push((index, part));
        }
    }
    // Every source was tested for each group, including those without a row of it.
    let questions = all.active() * candidates.len();
    let stands = discoveries_among(parts.iter().map(|(_, part)| part.p_value), questions);
    let mut by_candidate = vec![Vec::new(); candidates.len()];
    for ((index, part), stands) in parts.into_iter().zip(stands) {
        if stands && part.lift >= LEAST_LIFT {
            by_candidate[index].push(part);
        }
    }
    for sources in &mut by_candidate {
        sources.sort_by(|a, b| (b.count, &a.source).cmp(&(a.count, &b.source)));
    }
    by_candidate
}

fn p_values(tally: &Tally, sources: &[SourceShare], all: &Background<'_>) -> PValues {
    let share = at_least(tally.size, all.scored(), ORDINARY);
    let least = sources.iter().map(|part| part.p_value).fold(1.0, f64::min);
    let sources = (least * all.active() as f64).min(1.0);
    let expected = all.counts.by_hour;
    let expected = expected.map(|count| count as f64 * tally.size as f64 / all.scored() as f64);
    let hours = departs(&tally.hours.map(|count| count as f64), &expected);
    PValues {
        cluster: (3.0 * share.min(sources).min(hours)).min(1.0),
        share,
        sources,
        hours,
    }
}

/// Mean weights of the causes, and the one or two that name the group.
fn leading_causes(rows: &[&Sampled]) -> (Vec<Cause>, Vec<CauseName>) {
    let mut sums = [0.0_f32; CAUSES];
    let mut firsts = [0_usize; CAUSES];
    for row in rows {
        for (sum, weight) in sums.iter_mut().zip(row.causes) {
            *sum += weight / rows.len() as f32;
        }
        firsts[first(&row.causes).unwrap_or(CauseName::Unknown as usize)] += 1;
    }
    let mut causes: Vec<Cause> = CauseName::ALL
        .into_iter()
        .zip(sums)
        .filter(|(_, weight)| *weight >= NAMED)
        .map(|(name, weight)| Cause { name, weight })
        .collect();
    causes.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.name.cmp(&b.name)));
    let is_joined = |[one, other]: [&Cause; 2]| {
        other.weight >= JOINED * one.weight
            && one.name != CauseName::Unknown
            && other.name != CauseName::Unknown
    };
    let names = match causes.as_slice() {
        [] => vec![CauseName::Unknown],
        [one, other, ..] if is_joined([one, other]) => vec![one.name, other.name],
        [one, ..] => vec![one.name],
    };
    (causes, names)
}

/// Every measure's median, and how it differs from good captures.
fn components(rows: &[&Sampled], scale: &Scale) -> BTreeMap<String, ComponentStatistics> {
    let deviations: Vec<[f32; MEASURES]> = rows.iter().map(|row| scale.deviations(row)).collect();
    let statistics = |(index, name): (usize, &str)| {
        let z = median(deviations.iter().map(|row| f64::from(row[index])))?;
        let median = scale.value(index, z);
        Some((name.to_owned(), ComponentStatistics { median, z }))
    };
    let names = measure_names().into_iter().enumerate();
    names.filter_map(statistics).collect()
}

/// The measures that differ most, if any stands out.
fn standing_out(components: &BTreeMap<String, ComponentStatistics>) -> Vec<(String, f64)> {
    let all = components.iter();
    let mut all: Vec<(String, f64)> = all
        .filter(|(_, value)| value.z.abs() >= STANDS_OUT)
        .map(|(name, value)| (name.clone(), value.z))
        .collect();
    all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
    all.truncate(3);
    all
}

/// The shortest run of hours around the clock that has [`PEAK`] of the rows: its first hour and the
/// one after its last. `None` where that is nearly the whole day.
fn peak(hours: &[u64; 24]) -> Option<[u32; 2]> {
    let all: u64 = hours.iter().sum();
    for length in 1..=18_usize {
        let run = |from: usize| -> u64 { (from..from + length).map(|hour| hours[hour % 24]).sum() };
        let best = (0..24).max_by_key(|&from| (run(from), 24 - from))?;
        if run(best) as f64 >= PEAK * all as f64 {
            return Some([best as u32, ((best + length) % 24) as u32]);
        }
    }
    None
}

/// Which share of the sources' other captures pass; of all other captures, where these are too few.
fn gain(tally: &Tally, sources: &[SourceShare], all: &Background<'_>) -> Option<f64> {
    let share = |is_meant: &dyn Fn(&String) -> bool| {
        let (mut passing, mut others) = (0, 0);
        for (source, name) in all.survey.sources.iter().enumerate() {
            if is_meant(name) {
                let own = tally.sources.get(&(source as u32)).copied().unwrap_or(0);
                passing += all.counts.passing[source];
                others += all.survey.counts[source].scored - own;
            }
        }
        (others >= LEAST_GOOD as u64).then(|| passing as f64 / others as f64)
    };
    let of_sources = share(&|name| sources.iter().any(|part| part.source == *name));
    of_sources.or_else(|| share(&|_| true))
}

/// The rows nearest to the middle of the group.
fn exemplars(rows: &[&Sampled], scale: &Scale) -> Vec<Uuid> {
    let points: Vec<FeaturePoint> = rows.iter().map(|row| scale.point(row)).collect();
    let centre = centre(points.iter());
    let away = points.iter().map(|point| distance(point, &centre));
    let mut order: Vec<(f32, Uuid)> = away.zip(rows.iter().map(|row| row.id)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let nearest = order.into_iter().take(EXEMPLARS);
    nearest.map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_hours_go_around_the_clock() {
        let mut hours = [1; 24];
        for hour in [22, 23, 0, 1, 2, 3, 4] {
            hours[hour] = 40;
        }
        assert_eq!(peak(&hours), Some([22, 4]));
        assert_eq!(peak(&[5; 24]), None);
        let mut one = [0; 24];
        one[7] = 3;
        assert_eq!(peak(&one), Some([7, 8]));
    }
}
