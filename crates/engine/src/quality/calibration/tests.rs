//! Calibrations of known truths, and files that are none.

use super::*;
use proptest::prelude::*;

fn observations() -> Observations {
    let signals: Vec<f64> = (0..2000).map(|index| f64::from(index) / 2000.0).collect();
    // A known truth with a regular disturbance around it.
    let similarities = signals
        .iter()
        .enumerate()
        .map(|(index, signal)| 0.8 * signal + if index % 2 == 0 { 0.05 } else { -0.05 })
        .collect();
    let pairs = signals.iter().map(|&s| [s, s + 0.03]).collect();
    Observations {
        signals,
        similarities,
        pairs,
    }
}

fn provenance() -> Provenance {
    Provenance {
        method: "test".to_owned(),
        date: "2026-01-01".to_owned(),
        counts: BTreeMap::from([("captures".to_owned(), 2000)]),
    }
}

fn fitted() -> Calibration {
    Calibration::fit(&observations(), provenance()).unwrap()
}

#[test]
fn a_planted_relation_is_found_again() {
    let calibration = fitted();
    for signal in [0.2_f32, 0.5, 0.8] {
        assert!((calibration.expected_similarity(signal) - 0.8 * signal).abs() < 0.02);
    }
    assert!(calibration.pass_probability(0.3) < 0.05);
    assert!(calibration.pass_probability(0.9) > 0.95);
    assert!(calibration.score(-5.0) < 1e-6);
    let [low, high] = calibration.interval(0.5);
    assert!(low < 0.49 && high > 0.51);
}

#[test]
fn save_and_load_keep_everything() {
    let calibration = fitted();
    let json = calibration.to_json().unwrap();
    assert_eq!(Calibration::load(&json).unwrap(), calibration);
}

#[test]
fn an_edited_file_is_refused_by_its_id() {
    let json = fitted().to_json().unwrap();
    let edited = json.replace("2026-01-01", "2026-01-02");
    assert!(matches!(
        Calibration::load(&edited),
        Err(CalibrationError::Id { .. })
    ));
    let newer = json.replace("\"schema\": 1", "\"schema\": 2");
    assert!(matches!(
        Calibration::load(&newer),
        Err(CalibrationError::Schema(2))
    ));
}

#[test]
fn a_stand_in_says_so_in_its_id_and_accepts_nobody() {
    let stand_in = Calibration::uncalibrated(-4.0, 0.0);
    assert!(!stand_in.is_calibrated() && fitted().is_calibrated());
    assert!(stand_in.id().starts_with("uncalibrated-"));
    let again = Calibration::load(&stand_in.to_json().unwrap()).unwrap();
    assert_eq!(again, stand_in);
    assert!(stand_in.score(-3.0) < stand_in.score(-1.0));
    assert!(stand_in.score(100.0) < 0.40);
    assert_eq!(stand_in.pass_probability(100.0), 0.0);
    assert_eq!(stand_in.interval(0.2), [0.0, 1.0]);
}

#[test]
fn a_falling_table_is_refused() {
    assert!(check("pass", &[[0.0, 0.1], [1.0, 0.9]]).is_ok());
    assert!(matches!(
        check("pass", &[[0.0, 0.9], [1.0, 0.1]]),
        Err(CalibrationError::Table(_, 1))
    ));
    assert!(check("pass", &[[0.0, 1.5]]).is_err());
}

#[test]
fn too_few_observations_are_refused_with_the_count() {
    let few = Observations {
        signals: vec![0.1; 10],
        similarities: vec![0.1; 10],
        pairs: Vec::new(),
    };
    assert!(matches!(
        Calibration::fit(&few, provenance()),
        Err(CalibrationError::TooFew(10))
    ));
}

#[test]
fn cuts_are_kept_with_an_id_of_their_own_and_refused_out_of_order() {
    let without = fitted();
    let cuts = Thresholds::new(0.32, 0.21).unwrap();
    let with = without.clone().with_thresholds(Some(cuts));
    assert_ne!(with.id(), without.id());
    let again = Calibration::load(&with.to_json().unwrap()).unwrap();
    assert_eq!(again.thresholds(), Some(cuts));
    assert_eq!(again.with_thresholds(None), without);
    let wrong = Thresholds {
        same: 0.21,
        different: 0.32,
    };
    let json = without.with_thresholds(Some(wrong)).to_json().unwrap();
    assert!(matches!(
        Calibration::load(&json),
        Err(CalibrationError::Thresholds(_))
    ));
}

proptest! {
    #[test]
    fn maps_are_monotone_and_within_bounds(a in -3.0_f32..3.0, b in -3.0_f32..3.0) {
        let calibration = fitted();
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        prop_assert!(calibration.score(low) <= calibration.score(high));
        prop_assert!(calibration.pass_probability(low) <= calibration.pass_probability(high));
        let score = calibration.score(a);
        prop_assert!((0.0..=1.0).contains(&score));
        let [from, to] = calibration.interval(score);
        prop_assert!(0.0 <= from && from <= score && score <= to && to <= 1.0);
    }
}
