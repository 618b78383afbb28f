//! Groups low rows that resemble each other; the number of groups is not given. HDBSCAN
//! (Campello, Moulavi and Sander 2013) clusters the points of [`features`](super::features).
//! Rows that it leaves out are assigned afterwards.
//!
//! HDBSCAN alone splits one broad population into pieces. So two groups are merged unless fewer
//! rows lie between them than at either of them.

use std::collections::BTreeMap;

use hdbscan::{Hdbscan, HdbscanHyperParams, NnAlgorithm};

use super::features::{DIMENSIONS, FeaturePoint, centre, distance};
use super::significance::at_most;
use super::survey::CAUSES;

/// Neighbours of a row in a dense region (HDBSCAN's minimum of samples).
const NEIGHBOURS: usize = 5;

/// Two groups stay apart if the p-value of the valley between them is below this.
const VALLEY: f64 = 0.05;

/// Groups are one pattern from this cosine of their mean causes, even if their components
/// differ.
const SAME_CAUSES: f32 = 0.93;

/// Rows of a group that others are compared with.
const REFERENCES: usize = 48;

/// Reach of a group: a row belongs to the nearest group up to this times the distance that 99
/// of 100 of its own rows stay below.
const REACH: f32 = 1.5;

/// Factor on the squared distance when the row's first cause is the group's first cause. The
/// cause counts more than differences in the components.
const OWN_CAUSE: f32 = 0.25;

/// Squared distance due to storing causes in 255ths.
const ROUNDING: f32 = 1e-3;

/// A group whose most frequent first cause has a smaller share than this is clustered again on
/// its own. It is no pattern if that finds none.
const COHERENT: f64 = 0.6;

/// The same for two causes that share the first place.
const COHERENT_PAIR: f64 = 0.8;

/// Fewest rows in a group's dense core (HDBSCAN's minimum cluster size).
const LEAST_CORE: usize = 10;

/// Depth of repeated clustering.
const DEPTH: u32 = 3;

/// The directions of a row's causes alone.
type Direction = [f32; CAUSES];

/// What was learnt: where the groups are.
#[derive(Clone, Debug)]
pub(super) struct Groups(Vec<Group>);

#[derive(Clone, Debug)]
struct Group {
    references: Vec<FeaturePoint>,
    /// Square of the distance up to which a row belongs.
    reach: f32,
    /// The causes of the references, and their reach in causes alone. Rows outside the sample are
    /// assigned by them.
    directions: Vec<Direction>,
    direction_reach: f32,
    /// The cause that comes first in most of its rows.
    cause: usize,
}

impl Groups {
    /// Learns from `points`, whose order must not depend on the order of rows. Gives the groups,
    /// and the one of each point.
    pub(super) fn learn(points: &[FeaturePoint], min_size: usize) -> (Self, Vec<Option<usize>>) {
        let everything: Vec<usize> = (0..points.len()).collect();
        let core = LEAST_CORE.max(min_size / 2).min(min_size);
        let mut groups = split(points, &everything, core, DEPTH);
        join(points, &mut groups);
        groups.retain(|group| is_pattern(points, group));
        groups.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        loop {
            let learnt = groups.iter().map(|members| Group::of(points, members));
            let learnt = Self(learnt.collect());
            let found: Vec<Option<usize>> = points.iter().map(|point| learnt.of(point)).collect();
            let mut members = vec![Vec::new(); groups.len()];
            for (at, group) in found.iter().enumerate() {
                if let Some(group) = *group {
                    members[group].push(at);
                }
            }
            // Too small, or a heap, with all that belongs to it: its rows may belong to another.
            let is_none =
                |members: &Vec<usize>| members.len() < min_size || !is_pattern(points, members);
            match members.iter().rposition(is_none) {
                None => return (learnt, found),
                Some(group) => drop(groups.remove(group)),
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The group that a row belongs to.
    pub(super) fn of(&self, point: &FeaturePoint) -> Option<usize> {
        self.best(first_cause(point), |group| {
            let away = |reference: &FeaturePoint| distance(point, reference);
            (nearest(&group.references, false, away), group.reach)
        })
    }

    /// The group that a row with these causes belongs to. Its components would have to be read,
    /// which takes longer than all else, and they hardly ever decide.
    pub(super) fn by_causes(&self, direction: &Direction) -> Option<usize> {
        self.best(first_cause(direction), |group| {
            let away = |reference: &Direction| direction_distance(direction, reference);
            (
                nearest(&group.directions, false, away),
                group.direction_reach,
            )
        })
    }

    /// The nearest group, if the row is within its reach; `look` gives both.
    fn best(&self, first: usize, look: impl Fn(&Group) -> (f32, f32)) -> Option<usize> {
        let looks = self.0.iter().map(|group| {
            let (away, reach) = look(group);
            let factor = if group.cause == first { OWN_CAUSE } else { 1.0 };
            (away * factor, reach)
        });
        let best = looks.enumerate().min_by(|a, b| a.1.0.total_cmp(&b.1.0));
        let (group, (away, reach)) = best?;
        (away <= reach).then_some(group)
    }
}

impl Group {
    fn of(points: &[FeaturePoint], members: &[usize]) -> Self {
        let step = members.len().div_ceil(REFERENCES).max(1);
        let causes = |point: &FeaturePoint| -> Direction { std::array::from_fn(|at| point[at]) };
        let references = members.iter().step_by(step).map(|&at| points[at]);
        let references: Vec<FeaturePoint> = references.collect();
        let directions: Vec<Direction> = references.iter().map(causes).collect();
        // A reference is at distance 0 from itself: the others say how far rows of the group are.
        let reach = |away: &dyn Fn(&FeaturePoint) -> f32| {
            let mut away: Vec<f32> = members.iter().map(|&at| away(&points[at])).collect();
            away.sort_by(f32::total_cmp);
            let far = away[(away.len() - 1) * 99 / 100];
            (far.sqrt() * REACH).powi(2)
        };
        Self {
            reach: reach(&|point| nearest(&references, true, |other| distance(point, other))),
            direction_reach: reach(&|point| {
                let own = causes(point);
                nearest(&directions, true, |other| direction_distance(&own, other))
            })
            .max(ROUNDING),
            references,
            directions,
            cause: firsts(points, members)[0].1,
        }
    }
}

/// Square of the distance to the nearest of `references`; with `but_itself` not to one in the same
/// place.
fn nearest<T>(references: &[T], but_itself: bool, distance: impl Fn(&T) -> f32) -> f32 {
    let away = references.iter().map(distance);
    let others = away.filter(|away| !but_itself || *away > 0.0);
    let least = others.fold(f32::INFINITY, f32::min);
    // All in one place.
    if least.is_infinite() { 0.0 } else { least }
}

fn direction_distance(one: &Direction, other: &Direction) -> f32 {
    let mut sum = 0.0;
    for cause in 0..CAUSES {
        let gap = one[cause] - other[cause];
        sum += gap * gap;
    }
    sum
}

/// Dense groups among `members`. One without a leading cause is looked at on its own: the tree's
/// choice of the most lasting groups may prefer two large ones to the six that they consist of.
fn split(
    points: &[FeaturePoint],
    members: &[usize],
    min_size: usize,
    depth: u32,
) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    for group in dense(points, members, min_size) {
        let is_coherent = leading(points, &group).len() as f64 >= COHERENT * group.len() as f64;
        let inner = if is_coherent || depth == 0 || group.len() < 2 * min_size {
            Vec::new()
        } else {
            split(points, &group, min_size, depth - 1)
        };
        if inner.is_empty() {
            groups.push(group);
        } else {
            groups.extend(inner);
        }
    }
    groups
}

/// HDBSCAN's groups among `members`, or those of the one cause that nearly all have.
fn dense(points: &[FeaturePoint], members: &[usize], min_size: usize) -> Vec<Vec<usize>> {
    if members.len() < min_size.max(NEIGHBOURS + 1) {
        return Vec::new();
    }
    // Rows that are all alike have no nearest neighbour; a thousandth of what parts rows gives them
    // one.
    let row = |&at: &usize| {
        let mut row = points[at].to_vec();
        let mut mixed = at as u64 + 1;
        for value in &mut row {
            mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ 0x5851_f42d;
            *value += 1e-4 * (mixed >> 40) as f32 / (1_u64 << 24) as f32;
        }
        row
    };
    let rows: Vec<Vec<f32>> = members.iter().map(row).collect();
    let settings = HdbscanHyperParams::builder()
        .min_cluster_size(min_size)
        .min_samples(NEIGHBOURS)
        .nn_algorithm(NnAlgorithm::KdTree)
        .build();
    // It fails only on input that is empty or not finite, which points are not.
    let labels = Hdbscan::new(&rows, settings).cluster().unwrap_or_default();
    let mut groups: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (&member, label) in members.iter().zip(labels) {
        // Rows in no group have a negative label.
        if label >= 0 {
            groups.entry(label).or_default().push(member);
        }
    }
    if groups.is_empty() {
        // Nothing parts them. They are one group, of those that have its leading cause, if there is
        // one.
        let leading = leading(points, members);
        let share = leading.len() as f64 / members.len() as f64;
        if share >= COHERENT {
            groups.insert(0, leading);
        }
    }
    groups.into_values().collect()
}

/// The rows whose first cause is the one that most of them have.
fn leading(points: &[FeaturePoint], group: &[usize]) -> Vec<usize> {
    let most = firsts(points, group)[0].1;
    let has_it = |&at: &usize| first_cause(&points[at]) == most;
    group.iter().copied().filter(has_it).collect()
}

/// Whether rows that were put together are more than a heap: a cause, or a pair of causes that come
/// together, leads in most of them.
fn is_pattern(points: &[FeaturePoint], group: &[usize]) -> bool {
    let firsts = firsts(points, group);
    let of_all = |count: usize| count as f64 / group.len().max(1) as f64;
    of_all(firsts[0].0) >= COHERENT || of_all(firsts[0].0 + firsts[1].0) >= COHERENT_PAIR
}

/// How often each cause comes first, most frequent one first.
fn firsts(points: &[FeaturePoint], group: &[usize]) -> [(usize, usize); CAUSES] {
    let mut counts: [(usize, usize); CAUSES] = std::array::from_fn(|cause| (0, cause));
    for &at in group {
        counts[first_cause(&points[at])].0 += 1;
    }
    counts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    counts
}

/// The cause of largest weight; of equals the first, as everywhere.
fn first_cause(point: &[f32]) -> usize {
    (0..CAUSES)
        .max_by(|&a, &b| point[a].total_cmp(&point[b]).then(b.cmp(&a)))
        .unwrap_or(CAUSES - 1)
}

/// Puts groups together that are one, nearest ones first.
fn join(points: &[FeaturePoint], groups: &mut Vec<Vec<usize>>) {
    loop {
        let centre = |group: &Vec<usize>| centre(group.iter().map(|&at| &points[at]));
        let centres: Vec<FeaturePoint> = groups.iter().map(centre).collect();
        let mut pairs: Vec<(f32, usize, usize)> = (0..groups.len())
            .flat_map(|one| (0..one).map(move |other| (other, one)))
            .map(|(one, other)| (distance(&centres[one], &centres[other]), one, other))
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let same = pairs.into_iter().find(|&(_, one, other)| {
            cosine(&centres[one], &centres[other]) >= SAME_CAUSES
                || valley(points, &centres, one, other) > VALLEY
        });
        let Some((_, one, other)) = same else {
            return;
        };
        let moved = groups.remove(other);
        groups[one].extend(moved);
        groups[one].sort_unstable();
    }
}

fn cosine(one: &FeaturePoint, other: &FeaturePoint) -> f32 {
    let dot = |a: &FeaturePoint, b: &FeaturePoint| -> f32 {
        (0..CAUSES).map(|index| a[index] * b[index]).sum()
    };
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt().max(1e-9)
}

/// How likely chance leaves so few rows between two groups, were there as many as at the smaller
/// one. All rows that are nearer to these two than to any other count, also those that the tree
/// left out: they are what fills a valley that is none.
fn valley(points: &[FeaturePoint], centres: &[FeaturePoint], one: usize, other: usize) -> f64 {
    let (from, to) = (&centres[one], &centres[other]);
    let length = distance(from, to).max(1e-12);
    let is_near = |point: &&FeaturePoint| {
        let here = distance(point, from).min(distance(point, to));
        centres.iter().all(|centre| distance(point, centre) >= here)
    };
    let along = |point: &FeaturePoint| {
        let parts = (0..DIMENSIONS).map(|at| (point[at] - from[at]) * (to[at] - from[at]));
        parts.sum::<f32>() / length
    };
    let places: Vec<f32> = points.iter().filter(is_near).map(along).collect();
    // A sixth of the way to each side of either centre, and of any place in the middle third.
    let around = |centre: f32| {
        let is_around = |place: &&f32| (**place - centre).abs() < 1.0 / 6.0;
        places.iter().filter(is_around).count() as u64
    };
    let peak = around(0.0).min(around(1.0));
    let between = (0..=8).map(|step| around(1.0 / 3.0 + step as f32 / 24.0));
    let between = between.min().unwrap_or(0);
    at_most(between, between + peak, 0.5)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::changes::tests::normal;

    fn around(random: &mut ChaCha8Rng, cause: usize, spread: f32) -> FeaturePoint {
        let mut point = [0.0; DIMENSIONS];
        point[cause] = 1.0;
        for value in &mut point {
            *value += spread * normal(random) as f32;
        }
        point
    }

    #[test]
    fn planted_groups_are_found_and_one_broad_population_has_none_but_itself() {
        for seed in 0..5 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let planted: Vec<FeaturePoint> = (0..240)
                .map(|row| around(&mut random, row % 3, 0.06))
                .collect();
            let (groups, found) = Groups::learn(&planted, 20);
            assert_eq!(groups.len(), 3, "seed {seed}");
            for (row, group) in found.iter().enumerate() {
                assert_eq!(*group, found[row % 3], "seed {seed} row {row}");
            }
            let broad: Vec<FeaturePoint> = (0..240).map(|_| around(&mut random, 0, 0.3)).collect();
            assert!(Groups::learn(&broad, 20).0.len() <= 1, "seed {seed}");
        }
    }

    #[test]
    fn causes_alone_say_where_a_row_belongs() {
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let mut rows = |count: usize| -> Vec<FeaturePoint> {
            (0..count)
                .map(|row| around(&mut random, row % 4, 0.08))
                .collect()
        };
        let (groups, found) = Groups::learn(&rows(400), 20);
        assert_eq!(groups.len(), 4);
        let fresh = rows(400);
        let agreed = (0..400).filter(|&row| {
            let causes = std::array::from_fn(|cause| fresh[row][cause]);
            groups.by_causes(&causes) == found[row % 4]
        });
        assert!(agreed.count() >= 390);
    }

    #[test]
    fn few_equal_and_no_rows_do_no_harm() {
        assert_eq!(Groups::learn(&[], 20).0.len(), 0);
        assert_eq!(Groups::learn(&[[0.0; DIMENSIONS]; 19], 20).0.len(), 0);
        let (groups, found) = Groups::learn(&[[0.5; DIMENSIONS]; 60], 20);
        assert_eq!(groups.len(), 1);
        assert_eq!(found, vec![Some(0); 60]);
    }
}
