//! Decides which groups are reported as patterns, and describes each from its counts.

use std::collections::BTreeMap;

use super::features::{LEAST_GOOD, MEASURES, Scale, measure_names, median};
use super::report::{
    Cluster, ComponentStatistics, NormStatistics, PValues, QualityStatistics, SourceShare,
    TrendKind,
};
use super::significance::{at_least, departs, discoveries, discoveries_among};
use super::survey::{CAUSES, Sampled, Survey, first};
use super::tally::Tally;
use super::trend::{Bins, trend};
use super::words::Facts;
use super::{Settings, features};
use faceood::quality::{Cause, CauseName, Language};

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
    /// Rows with a score by part of the window and by hour.
    pub(super) by_bin: &'a [u64],
    pub(super) by_hour: &'a [u64; 24],
    /// Rows with a score, and those that pass, by source.
    pub(super) passing: &'a [u64],
    pub(super) settings: &'a Settings,
}

/// A group with what was counted, and the rows of the sample that belong to it in the order of the sample.
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
    let scored = all.by_hour.iter().sum::<u64>().max(1);
    let low = all.survey.low_rows.max(1);
    let sources = significant_sources(candidates, all, scored);
    let judged: Vec<PValues> = candidates
        .iter()
        .zip(&sources)
        .map(|(candidate, sources)| p_values(&candidate.tally, sources, all, scored))
        .collect();
    let stands = discoveries(&judged.iter().map(|p| p.cluster).collect::<Vec<_>>());
    let hours_stand = discoveries(&judged.iter().map(|p| p.hours).collect::<Vec<_>>());
    let mut found: Vec<(usize, Cluster)> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let is_clear = stands[index] && judged[index].cluster < STRICT;
        if !is_clear || candidate.rows.is_empty() {
            continue;
        }
        let (causes, names) = label(&candidate.rows);
        let components = components(&candidate.rows, all.scale);
        let mut differing: Vec<(String, f64)> = Vec::new();
        if names == [CauseName::Unknown] {
            differing = standing_out(&components);
            let is_local = sources[index].iter().any(|part| part.p_value <= STRICT);
            if differing.is_empty() && !is_local {
                continue;
            }
        }
        let tally = &candidate.tally;
        let Some([first_seen, last_seen]) = tally.seen else {
            continue;
        };
        let (kind, detail, begun) = trend(&tally.bins, all.by_bin, all.bins);
        let since =
            begun.and_then(|bin| tally.first_of_bin[bin..].iter().flatten().next().copied());
        let peak_hours = (hours_stand[index] && judged[index].hours < STRICT)
            .then(|| peak(&tally.hours))
            .flatten();
        let share = tally.size as f64 / low as f64;
        let facts = Facts {
            causes: &names,
            differing: &differing,
            sources: &sources[index],
            hours: peak_hours,
            since: since.unwrap_or(first_seen),
            trend: kind,
            size: tally.size,
            share,
            gain: gain(tally, &sources[index], all),
            scenario: &all.settings.scenario,
        };
        let local = all.settings.local_time;
        let norms = tally.norms();
        found.push((
            index,
            Cluster {
                id: 0,
                size: tally.size,
                share,
                label: names
                    .iter()
                    .map(|name| name.name())
                    .collect::<Vec<_>>()
                    .join("+"),
                causes,
                summary: facts.summary(Language::English, local),
                summary_zh: facts.summary(Language::Chinese, local),
                advice: facts.advice(Language::English),
                advice_zh: facts.advice(Language::Chinese),
                expected_gain: facts.gain,
                first_seen,
                last_seen,
                since: if kind == TrendKind::New { since } else { None },
                trend: kind,
                trend_detail: detail,
                sources: sources[index].clone(),
                hours: tally.hours,
                peak_hours,
                timeline: tally.bins.clone(),
                quality: QualityStatistics {
                    mean: tally.mean_score(),
                    p10: tally.score_quantile(0.1),
                    p90: tally.score_quantile(0.9),
                },
                embedding_norm: NormStatistics {
                    mean: norms.map(|norms| norms[0]),
                    std: norms.map(|norms| norms[1]),
                    z: norms.map(|norms| norms[2]).filter(|z| z.is_finite()),
                },
                components,
                exemplars: exemplars(&candidate.rows, all.scale),
                p_values: judged[index],
            },
        ));
    }
    found.sort_by(|a, b| b.1.size.cmp(&a.1.size).then(a.1.label.cmp(&b.1.label)));
    let mut numbers = vec![None; candidates.len()];
    for ((index, cluster), id) in found.iter_mut().zip(1..) {
        cluster.id = id;
        numbers[*index] = Some(id);
    }
    (
        found.into_iter().map(|(_, cluster)| cluster).collect(),
        numbers,
    )
}

/// For each candidate, the sources that have a significantly larger share of it than of all
/// captures.
fn significant_sources(
    candidates: &[ClusterCandidate<'_>],
    all: &Background<'_>,
    scored: u64,
) -> Vec<Vec<SourceShare>> {
    let counts = &all.survey.counts;
    let active = counts.iter().filter(|count| count.scored > 0).count();
    let mut parts: Vec<(usize, SourceShare)> = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        for (&source, &count) in &candidate.tally.sources {
            let chance = counts[source as usize].scored as f64 / scored as f64;
            let lift = count as f64 / candidate.tally.size as f64 / chance;
            parts.push((
                index,
                SourceShare {
                    source: all.survey.sources[source as usize].clone(),
                    count,
                    lift,
                    p_value: at_least(count, candidate.tally.size, chance),
                },
            ));
        }
    }
    let p_values: Vec<f64> = parts.iter().map(|(_, part)| part.p_value).collect();
    // Every source was tested for each group, including those without a row of it.
    let stands = discoveries_among(&p_values, active * candidates.len());
    let mut by_candidate = vec![Vec::new(); candidates.len()];
    for ((index, part), stands) in parts.into_iter().zip(stands) {
        if stands && part.lift >= LEAST_LIFT {
            by_candidate[index].push(part);
        }
    }
    for sources in &mut by_candidate {
        sources.sort_by(|a: &SourceShare, b| {
            b.count.cmp(&a.count).then_with(|| a.source.cmp(&b.source))
        });
    }
    by_candidate
}

fn p_values(tally: &Tally, sources: &[SourceShare], all: &Background<'_>, scored: u64) -> PValues {
    let share = at_least(tally.size, scored, ORDINARY);
    let active = all
        .survey
        .counts
        .iter()
        .filter(|count| count.scored > 0)
        .count();
    let least = sources.iter().map(|part| part.p_value).fold(1.0, f64::min);
    let sources = (least * active as f64).min(1.0);
    let expected: Vec<f64> = all
        .by_hour
        .iter()
        .map(|&count| count as f64 * tally.size as f64 / scored as f64)
        .collect();
    let hours = departs(&tally.hours.map(|count| count as f64), &expected);
    PValues {
        cluster: (3.0 * share.min(sources).min(hours)).min(1.0),
        share,
        sources,
        hours,
    }
}

/// Mean weights of the causes, and the one or two that name the group.
fn label(rows: &[&Sampled]) -> (Vec<Cause>, Vec<CauseName>) {
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
    let names = match causes.as_slice() {
        [] => vec![CauseName::Unknown],
        [one, other, ..]
            if other.weight >= JOINED * one.weight
                && one.name != CauseName::Unknown
                && other.name != CauseName::Unknown =>
        {
            vec![one.name, other.name]
        }
        [one, ..] => vec![one.name],
    };
    (causes, names)
}

/// Every measure's median, and how it differs from good captures.
fn components(rows: &[&Sampled], scale: &Scale) -> BTreeMap<String, ComponentStatistics> {
    let deviations: Vec<[f32; MEASURES]> = rows.iter().map(|row| scale.deviations(row)).collect();
    let mut found = BTreeMap::new();
    for (index, name) in measure_names().into_iter().enumerate() {
        let z = median(deviations.iter().map(|row| f64::from(row[index])));
        let value = z.map(|z| scale.value(index, z));
        if let (Some(z), Some(median)) = (z, value) {
            found.insert(name.to_owned(), ComponentStatistics { median, z });
        }
    }
    found
}

/// The measures that differ most, if any stands out.
fn standing_out(components: &BTreeMap<String, ComponentStatistics>) -> Vec<(String, f64)> {
    let mut all: Vec<(String, f64)> = components
        .iter()
        .filter(|(_, value)| value.z.abs() >= STANDS_OUT)
        .map(|(name, value)| (name.clone(), value.z))
        .collect();
    all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
    all.truncate(3);
    all
}

/// The shortest run of hours around the clock that has [`PEAK`] of the rows: its first hour and the one after its last. `None` where that is
/// nearly the whole day.
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

/// Which share of the sources' other captures pass.
fn gain(tally: &Tally, sources: &[SourceShare], all: &Background<'_>) -> Option<f64> {
    let is_meant = |source: usize| {
        sources.is_empty()
            || sources
                .iter()
                .any(|part| part.source == all.survey.sources[source])
    };
    let (mut passing, mut others) = (0, 0);
    for (source, counts) in all.survey.counts.iter().enumerate() {
        if is_meant(source) {
            let own = tally.sources.get(&(source as u32)).copied().unwrap_or(0);
            passing += all.passing[source];
            others += counts.scored - own;
        }
    }
    (others >= LEAST_GOOD as u64).then(|| passing as f64 / others as f64)
}

/// The rows nearest to the middle of the group.
fn exemplars(rows: &[&Sampled], scale: &Scale) -> Vec<uuid::Uuid> {
    let points: Vec<features::FeaturePoint> = rows.iter().map(|row| scale.point(row)).collect();
    let centre: features::FeaturePoint = std::array::from_fn(|index| {
        points.iter().map(|point| point[index]).sum::<f32>() / points.len().max(1) as f32
    });
    let mut order: Vec<(f32, uuid::Uuid)> = points
        .iter()
        .zip(rows)
        .map(|(point, row)| (features::distance(point, &centre), row.id))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order
        .into_iter()
        .take(EXEMPLARS)
        .map(|(_, id)| id)
        .collect()
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
