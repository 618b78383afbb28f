use std::collections::BTreeMap;
use std::path::PathBuf;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::evaluation::dataset::Picture;
use faceood_engine::face::Pose;
use faceood_engine::geometry::{BoundingBox, Point};
use faceood_engine::pipeline::Face;
use faceood_engine::policy::Decision;
use faceood_engine::quality::{Cause, CauseName, Components, Grade, Quality};

/// Persons, and captures of each.
const PERSONS: usize = 6;
const CAPTURES: usize = 7;

fn unit(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / 16_777_216.0
}

/// A capture that lies the nearer to its person, and scores the higher, the better it is (0…1).
fn capture(person: usize, index: usize, good: f32, random: &mut ChaCha8Rng) -> PhotoOutcome {
    let mut values = vec![0.0; 512];
    values[person] = 0.4 + good;
    // Bad pictures resemble those of other people that went wrong in the same way, and none of the
    // same person.
    values[500 + index] = 1.2 * (1.0 - good);
    for value in &mut values[100..140] {
        *value = 0.15 * (unit(random) - 0.5);
    }
    let (embedding, embedding_norm) = Embedding::normalise(&values).unwrap();
    let score = (good + 0.2 * (unit(random) - 0.5)).clamp(0.0, 1.0);
    let causes = if score < 0.5 {
        vec![Cause {
            name: CauseName::Noise,
            weight: 0.5,
        }]
    } else {
        Vec::new()
    };
    PhotoOutcome::MeasuredPhoto(Box::new(MeasuredPhoto {
        face: Face {
            bounding_box: BoundingBox {
                x: 0.0,
                y: 0.0,
                width: 40.0 + 200.0 * good,
                height: 300.0,
            },
            detection_score: 0.9,
            landmarks: [Point::new(0.0, 0.0); 5],
            pose: Pose::default(),
            embedding,
            embedding_norm,
            network_norms: BTreeMap::new(),
            ood_logit: 0.0,
            quality: Quality {
                score,
                interval: [score, score],
                pass_probability: score,
                grade: Grade::of(score),
                components: Components::default(),
                causes,
            },
            decision: Decision {
                scenario: "access".to_owned(),
                action: Action::Accept,
                threshold: 0.6,
                reasons: Vec::new(),
            },
            thumbnail: None,
        },
        faces_found: 1,
        laplacian: (person > 0).then_some(f64::from(good)),
        rivals: vec![Some(f64::from(1.0 - good))],
    }))
}

/// A folder with everything in it: good and bad captures, two sources, a picture without a face, a
/// broken one, a stray.
fn folder() -> (Dataset, Vec<PhotoOutcome>) {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut dataset = Dataset {
        persons: (0..PERSONS)
            .map(|person| format!("person {person}"))
            .collect(),
        homeless: vec![PathBuf::from("stray.jpg")],
        ..Dataset::default()
    };
    let mut outcomes = Vec::new();
    for person in 0..PERSONS {
        for index in 0..CAPTURES {
            dataset.pictures.push(Picture {
                path: PathBuf::from(format!("{person}/{index}.jpg")),
                person,
                source: (index % 2 == 0).then(|| "gate".to_owned()),
            });
            outcomes.push(match (person, index) {
                (0, 0) => PhotoOutcome::NoFace,
                (0, 1) => PhotoOutcome::Unreadable("torn".to_owned()),
                _ => {
                    let good = unit(&mut random);
                    capture(person, index, good, &mut random)
                }
            });
        }
    }
    (dataset, outcomes)
}

fn terms(policies: &Policies) -> Terms<'_> {
    Terms {
        model: EvaluatedModel {
            pack: "p".to_owned(),
            version: "1".to_owned(),
            sha256: "0".to_owned(),
            provider: "cpu".to_owned(),
            calibration_id: "c".to_owned(),
        },
        similarity: policy::Thresholds::default(),
        pass_similarity: 0.45,
        policies,
        rivals: vec!["rival.onnx".to_owned()],
        threshold: None,
    }
}

fn report() -> FolderReport {
    let (dataset, outcomes) = folder();
    evaluate(&dataset, &outcomes, terms(&Policies::default())).unwrap()
}

/// Person, face and similarity to every other capture of the same person and of others, the plain
/// way.
struct Plain {
    persons: Vec<usize>,
    faces: Vec<Face>,
    /// (one, other, similarity)
    genuine: Vec<(usize, usize, f32)>,
    impostor: Vec<(usize, usize, f32)>,
}

fn plain() -> Plain {
    let (dataset, outcomes) = folder();
    let mut plain = Plain {
        persons: Vec::new(),
        faces: Vec::new(),
        genuine: Vec::new(),
        impostor: Vec::new(),
    };
    for (picture, outcome) in dataset.pictures.iter().zip(outcomes) {
        if let PhotoOutcome::MeasuredPhoto(measured) = outcome {
            plain.persons.push(picture.person);
            plain.faces.push(measured.face);
        }
    }
    for one in 0..plain.faces.len() {
        for other in 0..one {
            let similarity = plain.faces[one]
                .embedding
                .similarity(&plain.faces[other].embedding);
            if plain.persons[one] == plain.persons[other] {
                plain.genuine.push((one, other, similarity));
            } else {
                plain.impostor.push((one, other, similarity));
            }
        }
    }
    plain
}

impl Plain {
    fn reach(&self, capture: usize) -> f64 {
        let mut found: Vec<f64> = self
            .genuine
            .iter()
            .filter(|(one, other, _)| *one == capture || *other == capture)
            .map(|(_, _, similarity)| f64::from(*similarity))
            .collect();
        found.sort_by(|a, b| b.total_cmp(a));
        found[..3].iter().sum::<f64>() / 3.0
    }

    fn score(&self, capture: usize) -> f32 {
        self.faces[capture].quality.score
    }
}

#[test]
fn everything_is_counted_once_and_failures_apart() {
    let data = report().data;
    assert_eq!((data.persons, data.pictures, data.captures), (6, 43, 40));
    assert_eq!(data.failures_to_acquire, Rate::new(1, 41));
    assert_eq!(data.without_face, ["0/0.jpg"]);
    let skipped: Vec<&str> = data.skipped.iter().map(|file| file.file.as_str()).collect();
    assert_eq!(skipped, ["stray.jpg", "0/1.jpg"]);
    let plain = plain();
    assert_eq!(data.genuine, plain.genuine.len());
    assert_eq!(data.impostor, plain.impostor.len());
}

#[test]
fn error_rates_are_those_of_counting() {
    let (report, plain) = (report(), plain());
    assert_eq!(
        report.thresholds.edc_from,
        ThresholdFrom::Pack,
        "fewer than 1,000 impostor comparisons"
    );
    let same = &report.error_rates[0];
    let missed = plain.genuine.iter().filter(|pair| pair.2 < 0.45).count();
    let matched = plain.impostor.iter().filter(|pair| pair.2 >= 0.45).count();
    assert!(
        missed > 3 && matched > 3,
        "the example errs: {missed} {matched}"
    );
    assert_eq!((same.fnmr.errors, same.fmr.errors), (missed, matched));
    let [low, high] = same.fnmr_interval.unwrap();
    let rate = same.fnmr.rate.unwrap();
    assert!(low <= rate && rate <= high, "{low} {rate} {high}");
}

#[test]
fn no_error_among_a_few_persons_is_not_certain() {
    let (dataset, outcomes) = folder();
    let policies = Policies::default();
    let least = Terms {
        threshold: Some(-1.0),
        ..terms(&policies)
    };
    let report = evaluate(&dataset, &outcomes, least).unwrap();
    let given = report.error_rates.last().unwrap();
    assert_eq!((given.name, given.fnmr.errors), ("given", 0));
    let [low, high] = given.fnmr_interval.unwrap();
    // Six persons.
    assert!(low == 0.0 && (high - 0.4593).abs() < 5e-5, "{low} {high}");
}

#[test]
fn the_score_s_figures_are_those_of_sorting_by_hand() {
    let (report, plain) = (report(), plain());
    let ours = &report.signals[0];
    assert_eq!(ours.name, "quality_score");

    let mut pairs: Vec<(f32, bool)> = plain
        .genuine
        .iter()
        .map(|&(one, other, similarity)| {
            (
                plain.score(one).min(plain.score(other)),
                similarity < report.thresholds.edc,
            )
        })
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    // A share that drops a whole number of comparisons of distinct quality.
    for point in &ours.fnmr_after {
        let dropped = point.dropped * pairs.len() as f64;
        let rate = |dropped: usize| {
            let rest = &pairs[dropped..];
            // Comparisons that share their worse capture are tied: mean over the tie.
            let tied = |quality: f32| {
                let all: Vec<bool> = pairs
                    .iter()
                    .filter(|pair| pair.0 == quality)
                    .map(|pair| pair.1)
                    .collect();
                all.iter().filter(|error| **error).count() as f64 / all.len() as f64
            };
            rest.iter().map(|pair| tied(pair.0)).sum::<f64>() / rest.len() as f64
        };
        let below = rate(dropped.floor() as usize);
        let above = rate(dropped.floor() as usize + 1);
        let expected = below + dropped.fract() * (above - below);
        assert!(
            (point.fnmr.unwrap() - expected).abs() < 1e-9,
            "{point:?} {expected}"
        );
    }

    let (mut wins, mut compared) = (0.0, 0.0);
    for pass in 0..plain.faces.len() {
        for fail in 0..plain.faces.len() {
            if plain.reach(pass) >= 0.45 && plain.reach(fail) < 0.45 {
                compared += 1.0;
                let (one, other) = (plain.score(pass), plain.score(fail));
                wins += match one.total_cmp(&other) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
    }
    assert!(compared > 20.0, "{compared}");
    assert!((ours.auroc.unwrap() - wins / compared).abs() < 1e-12);
}

#[test]
fn signals_are_told_apart_and_a_missing_value_leaves_a_capture_out() {
    let report = report();
    let found = |name: &str| {
        report
            .signals
            .iter()
            .find(|signal| signal.name == name)
            .unwrap()
    };
    let (ours, wrong, sharpness) = (
        found("quality_score"),
        found("rival.onnx"),
        found("laplacian_sharpness"),
    );
    assert!(ours.auroc.unwrap() > 0.8);
    assert!(
        wrong.auroc.unwrap() < 0.2,
        "it ranks the wrong way round: {:?}",
        wrong.auroc
    );
    assert!(ours.edc_relative_area_50.unwrap() < 1.0 && wrong.edc_relative_area_50.unwrap() > 1.0);
    assert_eq!((ours.captures, sharpness.captures), (40, 35));
    // A constant puts nothing in order.
    let constant = found("detection_score");
    assert_eq!(constant.auroc, Some(0.5));
    assert!((constant.edc_relative_area_50.unwrap() - 1.0).abs() < 1e-9);
}

#[test]
fn calibration_is_held_against_what_was_reached() {
    let (report, plain) = (report(), plain());
    let captures: Vec<(f64, f64)> = (0..plain.faces.len())
        .map(|capture| {
            (
                f64::from(plain.score(capture)),
                from_similarity(plain.reach(capture)),
            )
        })
        .collect();
    let score = &report.calibration.score;
    assert_eq!(score.captures, 40);
    // Two bins of 20.
    let mut sorted = captures.clone();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let gaps: f64 = sorted
        .chunks(20)
        .map(|bin| bin.iter().map(|(p, o)| p - o).sum::<f64>().abs())
        .sum();
    assert!((score.ece.unwrap() - gaps / 40.0).abs() < 1e-9);
    let passes = report.calibration.pass_probability.reliability.iter();
    let observed: f64 = passes.map(|bin| bin.observed * bin.count as f64).sum();
    let expected = (0..40)
        .filter(|&capture| plain.reach(capture) >= 0.45)
        .count();
    assert!((observed - expected as f64).abs() < 1e-9);
}

#[test]
fn causes_sources_and_scenarios_divide_the_captures() {
    let (report, plain) = (report(), plain());
    let noisy = (0..40)
        .filter(|&capture| plain.score(capture) < 0.5)
        .count();
    let cause = |name: &str| {
        report
            .causes
            .iter()
            .find(|group| group.name == name)
            .unwrap()
    };
    assert_eq!(
        (cause("noise").captures, cause("none").captures),
        (noisy, 40 - noisy)
    );
    let touched = plain
        .genuine
        .iter()
        .filter(|(one, other, _)| plain.score(*one) < 0.5 || plain.score(*other) < 0.5);
    let touched: Vec<_> = touched.collect();
    let missed = touched.iter().filter(|pair| pair.2 < 0.45).count();
    assert_eq!(cause("noise").fnmr, Rate::new(missed, touched.len()));

    let source = |name: &str| {
        report
            .sources
            .iter()
            .find(|group| group.name == name)
            .unwrap()
    };
    assert_eq!(
        (source("gate").captures, source("unknown").captures),
        (23, 17)
    );
    assert_eq!(source("gate").failures_to_acquire, Some(1));

    let access = report
        .scenarios
        .iter()
        .find(|scenario| scenario.name == "access")
        .unwrap();
    // Refused below .40, and where the shorter side of the box is under 48 px.
    let refused = |capture: usize| {
        plain.score(capture) < 0.40 || plain.faces[capture].bounding_box.width < 48.0
    };
    let count = (0..40).filter(|&capture| refused(capture)).count();
    assert_eq!(access.rejected, Rate::new(count, 40));
    let passing = |pairs: &[(usize, usize, f32)]| -> Vec<f32> {
        let kept = pairs
            .iter()
            .filter(|(one, other, _)| !refused(*one) && !refused(*other));
        kept.map(|pair| pair.2).collect()
    };
    let (genuine, impostor) = (passing(&plain.genuine), passing(&plain.impostor));
    let below = |found: &[f32]| {
        found
            .iter()
            .filter(|&&similarity| similarity < 0.45)
            .count()
    };
    assert_eq!(access.fnmr, Rate::new(below(&genuine), genuine.len()));
    assert_eq!(
        access.fmr,
        Rate::new(impostor.len() - below(&impostor), impostor.len())
    );
}

#[test]
fn a_given_threshold_is_used_and_said() {
    let (dataset, outcomes) = folder();
    let policies = Policies::default();
    let report = evaluate(
        &dataset,
        &outcomes,
        Terms {
            threshold: Some(0.6),
            ..terms(&policies)
        },
    )
    .unwrap();
    assert_eq!(
        (report.thresholds.edc, report.thresholds.edc_from),
        (0.6, ThresholdFrom::Option)
    );
    assert_eq!(
        report.error_rates.last().map(|rates| rates.name),
        Some("given")
    );
}

#[test]
fn one_photo_a_person_is_nothing_to_compare() {
    let (mut dataset, mut outcomes) = folder();
    for picture in &mut dataset.pictures {
        picture.source = None;
    }
    dataset.pictures = dataset
        .pictures
        .chunks(CAPTURES)
        .map(|person| person[2].clone())
        .collect();
    outcomes = outcomes
        .chunks(CAPTURES)
        .map(|person| person[2].clone())
        .collect();
    let error = evaluate(&dataset, &outcomes, terms(&Policies::default())).unwrap_err();
    assert!(
        error.to_string().contains("6 captures of 6 persons"),
        "{error}"
    );
}

#[test]
fn the_page_is_self_contained_and_every_part_is_on_it() {
    let page = crate::evaluation::render::folder::html(&report());
    for part in [
        "Does it tell people apart?",
        "our quality score",
        "rival.onnx",
        "access",
        "gate",
        "torn",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for foreign in [
        "http:", "https:", "src=", "@import", "url(", "<script", "<img", "<image",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}
