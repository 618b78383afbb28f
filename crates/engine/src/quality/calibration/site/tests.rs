use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::policy::Thresholds;
use crate::quality::calibration::{Observations, check};

/// A calibration under which the similarity is the signal, with another shot a twentieth off either
/// way.
fn own() -> Calibration {
    let signals: Vec<f64> = (0..2000).map(|step| f64::from(step) / 2000.0).collect();
    let observations = Observations {
        similarities: signals.clone(),
        pairs: signals
            .iter()
            .map(|&signal| [signal, signal + 0.05])
            .collect(),
        signals,
    };
    Calibration::fit(&observations, Provenance::default()).unwrap()
}

/// Captures of `groups` groups, ten of each, with signals from .4 to .9, whose similarity lies
/// `off` the signal and a regular disturbance around that.
fn site(groups: usize, off: f64) -> Vec<SiteSample> {
    (0..groups * 10)
        .map(|index| {
            // Ten signals of a group lie all over the range; no two groups have the same.
            let place = (index * 7919 % (groups * 10)) as f64 / (groups * 10) as f64;
            let signal = 0.4 + 0.5 * place;
            let disturbance = if index % 2 == 0 { 0.04 } else { -0.04 };
            SiteSample {
                signal,
                similarity: Some(signal + off + disturbance),
                group: index / 10,
            }
        })
        .collect()
}

fn refit(samples: &[SiteSample]) -> Calibration {
    own().refit(samples, Provenance::default()).unwrap()
}

#[test]
fn what_the_site_shows_is_learnt_and_elsewhere_the_pack_goes_on() {
    let new = refit(&site(40, -0.15));
    for signal in [0.5_f32, 0.65, 0.8] {
        let expected = new.expected_similarity(signal);
        assert!(
            (expected - (signal - 0.15)).abs() < 0.03,
            "{signal}: {expected}"
        );
    }
    // Lower where the site is lower, and as steep as the pack below it.
    assert!((new.expected_similarity(0.3) - 0.15).abs() < 0.03);
    assert!(new.expected_similarity(0.1) < 0.01);
    assert!(new.pass_probability(0.5) < 0.2 && own().pass_probability(0.5) > 0.9);

    // A site that does better says nothing for pictures that it has not shown.
    let better = refit(&site(40, 0.1));
    assert!(better.expected_similarity(0.6) > 0.68);
    assert!((better.expected_similarity(0.2) - own().expected_similarity(0.2)).abs() < 0.01);
}

#[test]
fn another_shot_lies_as_far_off_in_signal_as_before() {
    let (own, new) = (own(), refit(&site(40, -0.15)));
    // A twentieth of signal, at a signal of .65: before and after.
    for by in [&own, &new] {
        let [low, high] = by.interval(by.score(0.65));
        for (end, signal) in [(low, 0.6), (high, 0.7)] {
            let there = by.score(signal);
            assert!((end - there).abs() < 0.04, "{end} {there}");
        }
    }
}

#[test]
fn unusable_pictures_fail_and_have_no_similarity() {
    let mut samples = site(40, 0.1);
    let useful = refit(&samples);
    samples.extend((0..200).map(|index| SiteSample {
        signal: 0.5 + f64::from(index % 10) / 1000.0,
        similarity: None,
        group: 40 + index as usize / 10,
    }));
    let new = refit(&samples);
    assert!(new.pass_probability(0.5) < useful.pass_probability(0.5) - 0.3);
    assert_eq!(
        new.expected_similarity(0.5),
        useful.expected_similarity(0.5)
    );
}

#[test]
fn a_capture_passes_at_the_cut_that_the_calibration_carries() {
    let cuts = Thresholds::new(0.7, 0.6).unwrap();
    let own = own().with_thresholds(Some(cuts));
    let new = own.refit(&site(40, 0.0), Provenance::default()).unwrap();
    assert_eq!(new.thresholds(), Some(cuts));
    assert!(new.pass_probability(0.6) < 0.1 && new.pass_probability(0.8) > 0.9);
    let trial = own.trial(&own, &site(60, 0.0)).unwrap();
    // The pack's map is for another cut, and the one that was learnt is for this.
    assert!(trial.pass.change.interval[1] < -0.1, "{trial:?}");
}

#[test]
fn a_trial_finds_what_is_wrong_and_that_it_is_cured() {
    let off = own().trial(&own(), &site(60, -0.15)).unwrap();
    assert_eq!(off.bins, 12);
    let similarity = off.similarity;
    assert!(
        (similarity.before.value - 0.15).abs() < 0.02,
        "{similarity:?}"
    );
    assert!(similarity.after.value < 0.03, "{similarity:?}");
    assert!(similarity.change.interval[1] < -0.08, "{similarity:?}");
    assert!(off.pass.change.interval[1] < 0.0, "{off:?}");
    for figure in [similarity.before, similarity.after, similarity.change] {
        assert!(figure.interval[0] <= figure.interval[1]);
    }
    // Where nothing is wrong nothing is gained, and the interval says so.
    let right = own().trial(&own(), &site(60, 0.0)).unwrap();
    assert!(right.similarity.change.interval[1] > -0.005, "{right:?}");
    assert_eq!(
        own().trial(&own(), &site(60, -0.15)).unwrap(),
        off,
        "it is seeded"
    );
}

#[test]
fn a_trial_does_not_judge_groups_by_what_it_learnt_from_them() {
    // The best pictures are all of one fold, and reach a tenth less than the pack says: only who
    // has seen them can know.
    let mut samples = site(50, 0.0);
    for sample in &mut samples {
        let is_apart = sample.group % FOLDS == 0;
        let place = (sample.signal - 0.4) / 0.5;
        sample.signal = if is_apart {
            0.7 + 0.2 * place
        } else {
            0.4 + 0.2 * place
        };
        sample.similarity = Some(sample.signal - if is_apart { 0.1 } else { 0.0 });
    }
    let all = refit(&samples);
    assert!((all.expected_similarity(0.8) - 0.7).abs() < 0.02);
    let after = own().trial(&own(), &samples).unwrap().similarity.after;
    // A fifth of the captures, a tenth off.
    assert!((after.value - 0.02).abs() < 0.008, "{after:?}");
}

#[test]
fn too_few_are_refused() {
    let few = own().refit(&site(7, 0.0), Provenance::default());
    assert!(matches!(few, Err(CalibrationError::TooFew(70))));
    assert_eq!(LEAST, 80);
}

proptest! {
    #[test]
    fn whatever_the_site_shows_the_maps_are_monotone_within_bounds_and_survive_the_file(
        points in prop::collection::vec((-1.0_f64..2.0, prop::option::of(-0.2_f64..1.0)), 200..400),
    ) {
        let samples: Vec<SiteSample> = points
            .iter()
            .enumerate()
            .map(|(index, &(signal, similarity))| SiteSample { signal, similarity, group: index / 4 })
            .collect();
        let outcome = own().refit(&samples, Provenance { counts: BTreeMap::new(), ..Provenance::default() });
        let Ok(new) = outcome else { return Ok(()) };
        prop_assert!(check("similarity", &new.content.similarity).is_ok());
        prop_assert!(check("pass", &new.content.pass).is_ok());
        prop_assert_eq!(&Calibration::load(&new.to_json().unwrap()).unwrap(), &new);
        prop_assert!(new.content.spread.is_sorted_by(|a, b| a.score <= b.score));
    }
}
