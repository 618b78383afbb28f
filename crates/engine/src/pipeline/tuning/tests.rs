//! Choosing by measurement, with a shell script in the place of the program that runs trials.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::runtime::{Precision, Provider};

const OPENVINO: Candidate = Candidate::new(Provider::Openvino, Precision::F32);
const BF16: Candidate = Candidate::new(Provider::Openvino, Precision::Bf16);

fn site() -> Site {
    Site {
        runtime: runtime::Settings::default(),
        // As many as that leave no core for a second thread.
        pipeline: super::super::Settings {
            workers: 4096,
            ..super::super::Settings::default()
        },
        pack_dir: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/default"),
    }
}

/// What a trial answers that reaches this rate with an embedding so many degrees away from the
/// reference's.
fn answer(rate: f64, degrees: f32, score: f32) -> String {
    let mut embedding = vec![0.0; 512];
    (embedding[1], embedding[0]) = degrees.to_radians().sin_cos();
    let measured = Measured {
        requests_per_second: rate,
        embed_ms: 1000.0 / rate,
        embedding,
        score,
    };
    format!(
        r#"{{"measured":{}}}"#,
        serde_json::to_string(&measured).unwrap()
    )
}

/// A program that says of each candidate what stands here, and of others nothing. `log` gets a line
/// for each trial.
fn program(folder: &TempDir, answers: &[(Candidate, String)]) -> OwnProgram {
    let mut script = format!(
        "order=$(cat); echo tried >> {}/log\n",
        folder.path().display()
    );
    for (index, (candidate, answer)) in answers.iter().enumerate() {
        let file = folder.path().join(format!("answer-{index}"));
        fs::write(&file, answer).unwrap();
        let name = candidate.provider.name();
        let precision = candidate.precision.name();
        script.push_str(&format!(
            r#"case "$order" in *'"provider":"{name}","precision":"{precision}"'*) cat {};; esac"#,
            file.display()
        ));
        script.push('\n');
    }
    OwnProgram {
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".to_owned(), script],
    }
}

fn measured(folder: &TempDir, answers: &[(Candidate, String)]) -> Result<Tuning, TuningError> {
    let candidates = [BF16, OPENVINO, Candidate::REFERENCE];
    let possible = candidates.map(|candidate| (candidate, Ok(())));
    measure_these(possible.into(), &site(), &program(folder, answers), &|_| {})
}

fn excluded(tuning: &Tuning, candidate: Candidate) -> &str {
    let trial = tuning
        .trials
        .iter()
        .find(|trial| trial.candidate == candidate);
    trial.unwrap().excluded.as_deref().unwrap_or_default()
}

#[test]
fn the_fastest_that_computes_the_same_is_chosen_and_the_others_say_why_not() {
    let folder = TempDir::new().unwrap();
    // The cosine of 3° is .9986.
    let tuning = measured(
        &folder,
        &[
            (Candidate::REFERENCE, answer(20.0, 0.0, 0.8)),
            (OPENVINO, answer(30.0, 1.0, 0.805)),
            (BF16, answer(50.0, 3.0, 0.8)),
        ],
    )
    .unwrap();
    assert_eq!(tuning.chosen, OPENVINO);
    assert!(excluded(&tuning, BF16).contains("cosine of 0.9986"));
    let reason = tuning.reason();
    assert!(
        reason.contains("openvino f32 30/s, cpu f32 20/s; not openvino bf16"),
        "{reason}"
    );

    let off = [
        (Candidate::REFERENCE, answer(20.0, 0.0, 0.8)),
        (OPENVINO, answer(30.0, 0.0, 0.82)),
    ];
    let tuning = measured(&folder, &off).unwrap();
    assert_eq!(tuning.chosen, Candidate::REFERENCE);
    assert!(excluded(&tuning, OPENVINO).contains("score differs by 0.020"));
    assert!(excluded(&tuning, BF16).contains("ended without an answer"));
}

#[test]
fn where_nothing_works_each_candidate_says_why() {
    let folder = TempDir::new().unwrap();
    let broken = r#"{"failed":"the library is damaged"}"#.to_owned();
    let error = measured(&folder, &[(OPENVINO, broken)])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("openvino f32: the library is damaged"),
        "{error}"
    );
    assert!(
        error.contains("cpu f32: its trial ended without an answer"),
        "{error}"
    );
}

#[test]
fn a_choice_is_kept_until_what_it_depends_on_changes() {
    let (scripts, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let program = program(
        &scripts,
        &[
            (Candidate::REFERENCE, answer(20.0, 0.0, 0.8)),
            (OPENVINO, answer(30.0, 0.0, 0.8)),
        ],
    );
    let tried = || {
        fs::read_to_string(scripts.path().join("log"))
            .unwrap_or_default()
            .lines()
            .count()
    };
    let choose = |site: &Site| choose(site, data.path(), &program, &|_| {}).unwrap();

    let first = choose(&site());
    let once = tried();
    assert!(once > 0 && first.tuning.is_some());
    assert_eq!(
        choose(&site()).tuning,
        first.tuning,
        "kept, to the last digit"
    );
    assert_eq!(tried(), once, "nothing is measured twice");

    let fewer = Site {
        pipeline: super::super::Settings {
            workers: 2048,
            ..site().pipeline
        },
        ..site()
    };
    choose(&fewer);
    assert!(tried() > once, "other settings are measured anew");

    let before = tried();
    fs::write(data.path().join(FILE_NAME), "{").unwrap();
    choose(&fewer);
    assert!(tried() > before, "a damaged file is measured anew");

    let named = Site {
        runtime: runtime::Settings {
            provider: ProviderChoice::Cpu,
            ..runtime::Settings::default()
        },
        ..site()
    };
    let (before, chosen) = (tried(), choose(&named));
    assert_eq!((tried(), chosen.tuning), (before, None));
    assert_eq!(chosen.plan.candidate, Candidate::REFERENCE);
}

#[test]
fn what_changed_is_named() {
    let now = Basis::of(&site());
    assert_eq!(now.difference(&now), None);
    assert_eq!(now.cores, crate::pipeline::cores());
    assert!(!now.processor.is_empty() && !now.libraries.is_empty());
    let elsewhere = Basis {
        processor: "another".to_owned(),
        ..now.clone()
    };
    assert_eq!(elsewhere.difference(&now), Some("the processor"));
    let smaller = Basis {
        cores: now.cores + 1,
        ..now.clone()
    };
    assert_eq!(smaller.difference(&now), Some("the number of cores"));
}
