//! The comparisons: every two captures of one person (genuine), and every two of different
//! people (impostor). ISO/IEC 2382-37 calls them mated and non-mated.

use faceood_engine::embed::Embedding;
use faceood_engine::stats::mean;

/// Indices of two captures, and the cosine of their embeddings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    pub(super) one: usize,
    pub(super) other: usize,
    pub(super) similarity: f32,
}

/// All comparisons within a set of captures.
#[derive(Default)]
pub(super) struct Comparisons {
    pub(super) genuine: Vec<Comparison>,
    /// Those that were made.
    pub(super) impostor: Vec<Comparison>,
    pub(super) impostor_possible: usize,
}

/// Most impostor comparisons: enough to tell an FMR of 1 in 100,000, and they still fit into
/// memory.
pub(super) const MOST_IMPOSTORS: usize = 4_000_000;

/// The reach of a capture is the mean of so many of its best similarities: a good reference is one
/// of the better photos, and a wrong label among the others does no harm.
const BEST: usize = 3;

/// Compares all captures. If more than `most_impostors` comparisons of different people are
/// possible, every n-th is made.
pub(super) fn compare_all(
    embeddings: &[&Embedding],
    persons: &[usize],
    most_impostors: usize,
) -> Comparisons {
    let count = embeddings.len().min(persons.len());
    let pairs = || (0..count).flat_map(move |one| (one + 1..count).map(move |other| (one, other)));
    let is_impostor = |&(one, other): &(usize, usize)| persons[one] != persons[other];
    let possible = pairs().filter(is_impostor).count();
    let every = possible.div_ceil(most_impostors.max(1)).max(1);
    let mut made = Comparisons {
        impostor_possible: possible,
        ..Comparisons::default()
    };
    let mut seen = 0;
    for (one, other) in pairs() {
        let compare = || Comparison {
            one,
            other,
            similarity: embeddings[one].similarity(embeddings[other]),
        };
        if !is_impostor(&(one, other)) {
            made.genuine.push(compare());
        } else {
            if seen % every == 0 {
                made.impostor.push(compare());
            }
            seen += 1;
        }
    }
    made
}

impl Comparisons {
    /// For each of `captures` captures the similarity that it reaches against a good reference
    /// photo of the person: the mean of its three best genuine similarities. `None` if the person
    /// has no other capture.
    pub(super) fn reach(&self, captures: usize) -> Vec<Option<f64>> {
        let mut similarities: Vec<Vec<f64>> = vec![Vec::new(); captures];
        for comparison in &self.genuine {
            for side in [comparison.one, comparison.other] {
                similarities[side].push(f64::from(comparison.similarity));
            }
        }
        let reach = |mut all: Vec<f64>| {
            all.sort_by(|a, b| b.total_cmp(a));
            all.truncate(BEST);
            (!all.is_empty()).then(|| mean(&all))
        };
        similarities.into_iter().map(reach).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An embedding that points along the axis of `person` and a little along another.
    fn embedding(person: usize, aside: usize, tilt: f32) -> Embedding {
        let mut values = [0.0; 512];
        values[person] = 1.0;
        values[100 + aside] = tilt;
        Embedding::normalise(&values).unwrap().0
    }

    #[test]
    fn every_pair_is_compared_once_and_reach_is_the_mean_of_the_best_three() {
        let persons = [0, 0, 1, 0, 2, 0, 0, 1];
        let owned: Vec<Embedding> = persons
            .iter()
            .enumerate()
            .map(|(index, &person)| embedding(person, index, 0.1 * index as f32))
            .collect();
        let embeddings: Vec<&Embedding> = owned.iter().collect();
        let made = compare_all(&embeddings, &persons, 1000);
        assert_eq!(made.genuine.len(), 5 * 4 / 2 + 1);
        assert_eq!(made.genuine.len() + made.impostor.len(), 8 * 7 / 2);
        assert_eq!(made.impostor_possible, made.impostor.len());
        for comparison in made.genuine.iter().chain(&made.impostor) {
            let expected = owned[comparison.one].similarity(&owned[comparison.other]);
            assert_eq!(comparison.similarity, expected);
        }
        let reach = made.reach(persons.len());
        for (index, &person) in persons.iter().enumerate() {
            let mut others: Vec<f64> = (0..persons.len())
                .filter(|&other| other != index && persons[other] == person)
                .map(|other| f64::from(owned[index].similarity(&owned[other])))
                .collect();
            others.sort_by(|a, b| b.total_cmp(a));
            others.truncate(3);
            let expected =
                (!others.is_empty()).then(|| others.iter().sum::<f64>() / others.len() as f64);
            assert_eq!(reach[index].is_some(), expected.is_some());
            assert!((reach[index].unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12);
        }
        assert_eq!(reach[4], None);
    }

    #[test]
    fn too_many_impostors_are_thinned_evenly() {
        let persons: Vec<usize> = (0..40).collect();
        let owned: Vec<Embedding> = persons.iter().map(|&p| embedding(p, p, 0.2)).collect();
        let embeddings: Vec<&Embedding> = owned.iter().collect();
        let made = compare_all(&embeddings, &persons, 100);
        assert_eq!(made.impostor_possible, 780);
        assert_eq!(made.impostor.len(), 780_usize.div_ceil(8));
        assert!(made.genuine.is_empty());
        let last = made.impostor.last().unwrap();
        assert!(last.one > 25, "the last people are compared too: {last:?}");
    }
}
