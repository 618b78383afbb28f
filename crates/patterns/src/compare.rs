//! Compares a report with an earlier one: which patterns are new, gone or grown.

use super::report::{Cluster, EarlierComparison, Growth, PatternReport};
use super::significance::{discoveries, two_sided};

/// Patterns whose mean causes are so alike (cosine) may be one.
const SAME_CAUSES: f64 = 0.9;

/// Says what is new, gone and grown since `earlier`.
#[must_use]
pub fn compare(now: &PatternReport, earlier: &PatternReport) -> EarlierComparison {
    let mut left: Vec<&Cluster> = earlier.clusters.iter().collect();
    let mut comparison = EarlierComparison::default();
    let mut grown = Vec::new();
    for cluster in &now.clusters {
        let likeness = |other: &&Cluster| {
            let cosine = cosine(cluster, other);
            (cosine >= SAME_CAUSES)
                .then(|| cosine + f64::from(u8::from(shares_a_source(cluster, other))))
        };
        let best = left
            .iter()
            .enumerate()
            .filter_map(|(place, other)| Some((likeness(other)?, place)))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, place)) = best else {
            comparison.new.push(cluster.id);
            continue;
        };
        let other = left.remove(place);
        grown.push(growth(
            [cluster, other],
            [now.totals.scored, earlier.totals.scored],
        ));
    }
    comparison.gone = left.iter().map(|cluster| cluster.summary.clone()).collect();
    let p_values: Vec<f64> = grown.iter().map(|growth| growth.p_value).collect();
    comparison.grown = grown
        .into_iter()
        .zip(discoveries(&p_values))
        .filter(|(growth, stands)| *stands && growth.factor > 1.0)
        .map(|(growth, _)| growth)
        .collect();
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
    let weight = |cluster: &Cluster, name| {
        let found = cluster.causes.iter().find(|cause| cause.name == name);
        found.map_or(0.0, |cause| f64::from(cause.weight))
    };
    let length = |cluster: &Cluster| {
        let squares = cluster
            .causes
            .iter()
            .map(|cause| f64::from(cause.weight).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let dot: f64 = one
        .causes
        .iter()
        .map(|cause| f64::from(cause.weight) * weight(other, cause.name))
        .sum();
    dot / (length(one) * length(other)).max(1e-12)
}

fn shares_a_source(one: &Cluster, other: &Cluster) -> bool {
    let names = |cluster: &Cluster| -> Vec<String> {
        cluster
            .sources
            .iter()
            .map(|part| part.source.clone())
            .collect()
    };
    let others = names(other);
    names(one).iter().any(|name| others.contains(name))
}
