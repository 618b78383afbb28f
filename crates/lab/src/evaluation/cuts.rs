//! Cuts on the similarity that a set of photos asks for: a recogniser of one's own has other
//! similarities than the default pack.

use serde::Serialize;

use super::comparisons::{MOST_IMPOSTORS, compare_all};
use super::error_rates::{ErrorRates, Rate};
use faceood_engine::embed::Embedding;
use faceood_engine::policy::Thresholds;

/// The rates of false matches that cuts are measured for: from the last one on two captures show
/// the same person, below the first one different people.
const TARGETS: [f64; 2] = [1e-3, 1e-4];
/// Fewest impostor comparisons that tell all of these rates.
pub const LEAST_IMPOSTORS: usize = 10_000;
/// Standard deviations of a normal distribution within which 95 of 100 values lie.
const WITHIN_95: f64 = 1.96;

/// A cut, and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasuredCut {
    /// Share of the impostor comparisons that reach the cut.
    pub fmr: f64,
    /// The similarity; `None` with too few impostor comparisons to tell such a rate.
    pub similarity: Option<f32>,
    /// Where the cut lies 95 times in 100 by the number of false matches alone. People who look
    /// alike meet in several comparisons, so the truth is a little wider.
    pub interval: Option<[f32; 2]>,
    /// Impostor comparisons at or above the cut, of those that were made.
    pub false_matches: Rate,
    /// Genuine comparisons below the cut.
    pub fnmr: Rate,
}

/// The cuts that these captures ask for; `persons` says whose each is.
pub fn measure(embeddings: &[&Embedding], persons: &[usize]) -> Vec<MeasuredCut> {
    let made = compare_all(embeddings, persons, MOST_IMPOSTORS);
    let genuine = made.genuine.iter().map(|one| one.similarity);
    let impostor = made.impostor.iter().map(|one| one.similarity);
    let rates = ErrorRates::new(genuine.collect(), impostor.collect());
    TARGETS
        .map(|fmr| cut(&rates, made.impostor.len(), fmr))
        .into()
}

/// The verdicts' cuts, of measured ones; `None` with too few comparisons.
pub fn thresholds(cuts: &[MeasuredCut]) -> Option<Thresholds> {
    let different = cuts.first()?.similarity?;
    Thresholds::new(cuts.last()?.similarity?, different).ok()
}

fn cut(rates: &ErrorRates, comparisons: usize, fmr: f64) -> MeasuredCut {
    let similarity = rates.threshold_at_fmr(fmr);
    let expected = fmr * comparisons as f64;
    let apart = WITHIN_95 * expected.sqrt();
    let at = |matches: f64| rates.threshold_at_fmr(matches / comparisons as f64);
    // More false matches among as many comparisons belong to a lower cut.
    let ends = at(expected + apart).zip(at(expected - apart));
    let reaching = similarity.unwrap_or(f32::INFINITY);
    MeasuredCut {
        fmr,
        similarity,
        interval: similarity.and(ends).map(|(low, high)| [low, high]),
        false_matches: rates.fmr(reaching),
        fnmr: rates.fnmr(similarity.unwrap_or(f32::NEG_INFINITY)),
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::degrade::unit;
    use faceood_engine::embed::EMBEDDING_LENGTH;

    /// People without anything in common, two captures each that differ in one number.
    fn people(count: usize) -> (Vec<Embedding>, Vec<usize>) {
        let persons: Vec<usize> = (0..2 * count).map(|capture| capture / 2).collect();
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut values = vec![0.0; EMBEDDING_LENGTH];
        let embeddings = (0..2 * count).map(|capture| {
            if capture % 2 == 0 {
                values.fill_with(|| unit(&mut random) - 0.5);
            }
            values[0] += 0.5 * (capture % 2) as f32;
            Embedding::normalise(&values).unwrap().0
        });
        (embeddings.collect(), persons)
    }

    fn measured(count: usize) -> Vec<MeasuredCut> {
        let (embeddings, persons) = people(count);
        measure(&embeddings.iter().collect::<Vec<_>>(), &persons)
    }

    #[test]
    fn a_cut_has_the_rate_that_it_was_measured_for_and_lies_in_its_interval() {
        let cuts = measured(120);
        for cut in &cuts {
            let found = cut.false_matches.rate.unwrap();
            assert!(found <= cut.fmr && found > 0.0, "{cut:?}");
            assert_eq!(cut.false_matches.of, 240 * 238 / 2);
        }
        let [low, high] = cuts[0].interval.unwrap();
        let middle = cuts[0].similarity.unwrap();
        assert!(low < middle && middle < high, "{cuts:?}");
        assert!(cuts[1].similarity > cuts[0].similarity);
        let carried = thresholds(&cuts).unwrap();
        assert_eq!(
            (Some(carried.different), Some(carried.same)),
            (cuts[0].similarity, cuts[1].similarity)
        );
    }

    #[test]
    fn too_few_comparisons_tell_no_rate() {
        let cuts = measured(10);
        assert_eq!((cuts[0].similarity, cuts[0].interval), (None, None));
        assert_eq!(thresholds(&cuts), None);
        assert_eq!(cuts[0].false_matches.errors, 0);
        assert_eq!(cuts[0].fnmr.errors, 0);
    }
}
