//! Compares a report with an earlier one: which patterns are new, gone or grown.

use super::comparison::{EarlierComparison, Growth};
use super::report::{Cluster, PatternReport, SourceShare};
use super::significance::{discoveries, two_sided};
use faceood_engine::quality::Cause;

/// Patterns whose mean causes are so alike (cosine) may be one.
const SAME_CAUSES: f64 = 0.9;

/// Says what is new, gone and grown since `earlier`.
pub fn compare(now: &PatternReport, earlier: &PatternReport) -> EarlierComparison {
    let mut left: Vec<&Cluster> = earlier.clusters.iter().collect();
    let mut comparison = EarlierComparison::default();
    for cluster in &now.clusters {
        let likeness = |other: &Cluster| {
            let cosine = cosine(cluster, other);
            let bonus = f64::from(u8::from(shares_a_source(cluster, other)));
            (cosine >= SAME_CAUSES).then_some(cosine + bonus)
        };
        let others = left.iter().enumerate();
        let best = others
            .filter_map(|(place, other)| Some((likeness(other)?, place)))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, place)) = best else {
            comparison.new.push(cluster.id);
            continue;
        };
        let captures = [now.totals.scored, earlier.totals.scored];
        let growth = growth([cluster, left.remove(place)], captures);
        comparison.grown.push(growth);
    }
    comparison.gone = left.iter().map(|cluster| cluster.summary.clone()).collect();
    let grown = comparison.grown.iter();
    let mut stand = discoveries(grown.map(|growth| growth.p_value)).into_iter();
    comparison
        .grown
        .retain(|growth| stand.next() == Some(true) && growth.factor > 1.0);
    comparison
}

/// The change of a pattern's share of all captures: two proportions, normal approximation.
fn growth([now, earlier]: [&Cluster; 2], captures: [u64; 2]) -> Growth {
    let [all_now, all_earlier] = captures.map(|count| count.max(1) as f64);
    let (share_now, share_earlier) = (now.size as f64 / all_now, earlier.size as f64 / all_earlier);
    let pooled = (now.size + earlier.size) as f64 / (all_now + all_earlier);
    let error = (pooled * (1.0 - pooled) * (1.0 / all_now + 1.0 / all_earlier)).sqrt();
    Growth {
        id: now.id,
        earlier_id: earlier.id,
        factor: share_now / share_earlier.max(1e-12),
        p_value: two_sided((share_now - share_earlier) / error.max(1e-12)),
    }
}

fn cosine(one: &Cluster, other: &Cluster) -> f64 {
    let dot = |one: &Cluster, other: &Cluster| -> f64 {
        let product = |cause: &Cause| {
            let same = other.causes.iter().find(|same| same.name == cause.name);
            f64::from(cause.weight) * same.map_or(0.0, |same| f64::from(same.weight))
        };
        one.causes.iter().map(product).sum()
    };
    dot(one, other) / (dot(one, one).sqrt() * dot(other, other).sqrt()).max(1e-12)
}

fn shares_a_source(one: &Cluster, other: &Cluster) -> bool {
    let is_also_there = |part: &SourceShare| {
        other
            .sources
            .iter()
            .any(|there| there.source == part.source)
    };
    one.sources.iter().any(is_also_there)
}
