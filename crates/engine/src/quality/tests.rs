use super::calibration::{Observations, Provenance};
use super::components::tests::scene::Scene;
use super::*;

/// A calibration under which the signal is the similarity.
fn calibration() -> Calibration {
    let signals: Vec<f64> = (0..4000).map(|at| f64::from(at) / 4000.0).collect();
    let observations = Observations {
        similarities: signals.clone(),
        pairs: signals.iter().map(|&at| [at, at + 0.03]).collect(),
        signals,
    };
    let provenance = Provenance {
        method: "planted".to_owned(),
        date: "2026-01-01".to_owned(),
        counts: std::collections::BTreeMap::new(),
    };
    Calibration::fit(&observations, provenance).unwrap()
}

fn judge_scene(scene: &Scene, signal: f32) -> Quality {
    let (aligned, detected) = scene.aligned();
    judge(&aligned, &detected, signal, None, &calibration())
}

#[test]
fn a_clean_face_with_a_good_signal_is_excellent_without_causes() {
    let quality = judge_scene(&Scene::astronaut(), 0.74);
    assert_eq!(quality.grade, Grade::Excellent);
    assert_eq!(quality.causes, []);
    assert!(quality.pass_probability > 0.9);
}

#[test]
fn a_face_that_is_not_whole_is_capped_but_keeps_its_pass_probability() {
    let whole = judge_scene(&Scene::astronaut(), 0.6);
    let masked = judge_scene(&Scene::astronaut().masked(), 0.6);
    assert!(whole.score > 0.6);
    assert!(masked.score < 0.4);
    assert!(masked.interval[0] <= masked.score && masked.score <= masked.interval[1]);
    assert!(masked.interval[1] < 0.4);
    assert_eq!(masked.grade, Grade::Poor);
    assert_eq!(masked.pass_probability, whole.pass_probability);
    assert_eq!(masked.causes[0].name, CauseName::Mask);
}

#[test]
fn a_pack_s_network_says_itself_whether_a_face_is_covered() {
    let (aligned, detected) = Scene::astronaut().aligned();
    let judged = |mask: f32| {
        let names = SymptomNames::new(&["mask".to_owned()], [0.5, 0.9]).unwrap();
        let symptoms = names.read(&[mask]);
        judge(&aligned, &detected, 0.74, Some(&symptoms), &calibration())
    };
    let (bare, doubtful, masked) = (judged(0.1), judged(0.7), judged(0.9));
    assert!((doubtful.score - (bare.score + COVERED_AT_MOST) / 2.0).abs() < 1e-6);
    let [low, high] = doubtful.interval;
    assert!(low <= doubtful.score && doubtful.score <= high && high < bare.interval[1]);
    assert_eq!(
        masked.interval[1], COVERED_AT_MOST,
        "to the bit: the page and explain ask for it"
    );
    assert!(bare.score > 0.8 && bare.causes.is_empty());
    assert!(masked.score < 0.4 && masked.interval[1] < 0.4);
    assert_eq!(masked.causes[0].name, CauseName::Mask);
}

#[test]
fn a_face_that_scores_lower_than_the_cap_keeps_its_score() {
    let whole = judge_scene(&Scene::astronaut(), 0.2);
    let masked = judge_scene(&Scene::astronaut().masked(), 0.2);
    assert_eq!(masked.score, whole.score);
}

#[test]
fn planted_defects_come_first_among_the_causes() {
    type Defect = (CauseName, fn(Scene) -> Scene);
    let defects: [Defect; 11] = [
        (CauseName::Noise, |s| s.noisy(45.0)),
        (CauseName::Blur, Scene::blurred),
        (CauseName::MotionBlur, |s| s.moved(1, 0)),
        (CauseName::LowResolution, |s| s.reduced(4)),
        (CauseName::LowResolution, |s| s.enlarged(4)),
        (CauseName::Compression, |s| s.compressed(4)),
        (CauseName::Underexposure, |s| s.exposed(0.01)),
        (CauseName::Overexposure, |s| s.exposed(15.0)),
        (CauseName::ScreenRecapture, Scene::recaptured),
        (CauseName::Mask, Scene::masked),
        (CauseName::Occlusion, Scene::in_dark_glasses),
    ];
    for (name, degrade) in defects {
        let quality = judge_scene(&degrade(Scene::astronaut()), 0.3);
        assert_eq!(
            quality.causes.first().map(|cause| cause.name),
            Some(name),
            "{:?} of {:?}",
            quality.causes,
            quality.components
        );
    }
}

#[test]
fn numbers_stay_on_their_scales_whatever_the_signal() {
    for signal in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 0.5, 1e30] {
        let quality = judge_scene(&Scene::astronaut().reduced(8), signal);
        let [low, high] = quality.interval;
        assert!(
            0.0 <= low && low <= quality.score && quality.score <= high && high <= 1.0,
            "{signal}: {quality:?}"
        );
        assert!((0.0..=1.0).contains(&quality.pass_probability), "{signal}");
    }
}

#[test]
fn names_of_causes_are_the_json_names() {
    for cause in CauseName::ALL {
        assert_eq!(
            serde_json::to_value(cause).unwrap(),
            serde_json::json!(cause.name())
        );
    }
}
