//! OpenVINO answers as ONNX Runtime's own kernels do, near enough, also in bf16; and what is chosen
//! is the fastest as measured.

use std::fs;
use std::path::Path;

use faceood_lab::degrade::{Degradation, DegradationKind, degrade};
use serde_json::Value;

use crate::support::daemon::Home;
use crate::support::{Admin, admin, photos, program, repository};

/// Least cosine between the two embeddings of one picture.
const LEAST_SIMILARITY: f64 = 0.999;

/// Most difference between the two quality scores of one picture.
const SCORE_TOLERANCE: f64 = 0.01;

/// Width of the face in the committed photo.
const FACE_PX: f32 = 90.0;

/// Each file's face as this provider sees it. A process loads one ONNX Runtime, hence one process
/// for each.
fn faces(provider: &str, files: &[String]) -> Vec<Value> {
    let mut command = admin::command();
    command.args(["extract", "--json"]).args(files);
    command.env("FACEOOD_RUNTIME__PROVIDER", provider);
    let run = Admin::finish(command).success();
    let answers = run.stdout.lines().map(|line| {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["model"]["provider"], provider);
        answer["faces"][0].clone()
    });
    answers.collect()
}

#[test]
fn openvino_agrees_with_full_precision() {
    if !repository().join("vendor/openvino").is_dir() {
        eprintln!("skipped: vendor/openvino is not there (./scripts/setup fetches it with AVX2)");
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let photo = photos::pixels(&photos::astronaut());
    let mut worse: Vec<(String, Vec<Degradation>)> = vec![("clean".to_owned(), Vec::new())];
    for kind in DegradationKind::ALL {
        for strength in [0.2, 0.5] {
            let name = format!("{kind:?} {strength}");
            worse.push((name, vec![kind.at(strength, FACE_PX, 0.3)]));
        }
    }
    let files: Vec<String> = worse
        .iter()
        .enumerate()
        .map(|(index, (_, steps))| {
            let file = folder.path().join(format!("{index}.bmp"));
            let picture = degrade(&photo, steps, 7);
            fs::write(&file, photos::encoded(&picture, image::ImageFormat::Bmp)).unwrap();
            file.to_str().unwrap().to_owned()
        })
        .collect();
    let (full, openvino) = (faces("cpu", &files), faces("openvino", &files));
    assert_eq!((full.len(), openvino.len()), (worse.len(), worse.len()));
    for ((name, _), (full, openvino)) in worse.iter().zip(full.iter().zip(&openvino)) {
        let cosine: f64 = crate::support::client::embedding(full)
            .iter()
            .zip(crate::support::client::embedding(openvino))
            .map(|(one, other)| one * other)
            .sum();
        let score = |face: &Value| face["quality"]["score"].as_f64().unwrap();
        let gap = (score(full) - score(openvino)).abs();
        assert!(
            cosine >= LEAST_SIMILARITY && gap <= SCORE_TOLERANCE,
            "{name}: cosine {cosine}, scores {} and {}",
            score(full),
            score(openvino)
        );
    }
}

/// What `models tune` measured, with its data in `folder`; `wrapper` is the head of the command
/// line.
fn tuned(folder: &Path, wrapper: &[&str]) -> Value {
    let program = program("faceood-admin");
    let mut words = wrapper.iter().copied().chain([program.as_str()]);
    let mut command = admin::clean(words.next().unwrap());
    command.args(words).arg("--data-dir").arg(folder);
    command.args(["models", "tune", "--format", "json"]);
    let out = folder.join("tune.json");
    command.arg("--out").arg(&out);
    Admin::finish(command).success();
    serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap()
}

#[test]
fn the_fastest_candidate_is_chosen_kept_and_told() {
    let folder = tempfile::TempDir::new().unwrap();
    let tuning = tuned(folder.path(), &[]);
    let trials = tuning["trials"].as_array().unwrap();
    let rate = |trial: &&Value| trial["requests_per_second"].as_f64().unwrap();
    let fit = trials.iter().filter(|trial| trial["excluded"].is_null());
    let fastest = fit
        .max_by(|one, other| rate(one).total_cmp(&rate(other)))
        .unwrap();
    for field in ["provider", "precision", "form", "threads"] {
        assert_eq!(tuning["chosen"][field], fastest[field], "{tuning:#}");
    }
    assert!(
        trials
            .iter()
            .any(|trial| trial["provider"] == "cpu" && rate(&trial) > 0.0)
    );
    for trial in trials {
        let excluded = trial["excluded"].as_str();
        assert!(
            excluded.is_some_and(|reason| !reason.is_empty()) || trial["embed_ms"].is_number(),
            "{trial:#}"
        );
    }

    let home = Home::new();
    fs::create_dir_all(home.data_dir()).unwrap();
    let kept = home.data_dir().join("provider.json");
    fs::copy(folder.path().join("provider.json"), &kept).unwrap();
    let before = fs::read(&kept).unwrap();
    let daemon = home.start();
    let provider = daemon.client().get("/v1/info").ok()["provider"].clone();
    assert_eq!(provider["name"], tuning["chosen"]["provider"]);
    assert_eq!(provider["precision"], tuning["chosen"]["precision"]);
    assert_eq!(provider["chosen_by"]["measured_at"], tuning["measured_at"]);
    let told = provider["chosen_by"]["candidates"].as_array().unwrap();
    assert_eq!(told.len(), trials.len());
    assert!(
        daemon.output().contains("fastest as measured on"),
        "{}",
        daemon.output()
    );
    assert_eq!(
        fs::read(&kept).unwrap(),
        before,
        "a kept choice is not measured again"
    );

    let data = daemon.data_dir();
    let doctor = Admin::run(["--data-dir", data.to_str().unwrap(), "doctor", "--json"]).json();
    let checks = doctor["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["name"] == "provider")
        .unwrap();
    assert_eq!(check["status"], "ok", "{check:#}");
    assert!(
        check["found"]
            .as_str()
            .unwrap()
            .contains("fastest as measured on")
    );
}

#[test]
fn only_the_cores_of_the_affinity_are_used() {
    let folder = tempfile::TempDir::new().unwrap();
    let tuning = tuned(folder.path(), &["taskset", "--cpu-list", "0"]);
    assert_eq!(tuning["basis"]["cores"], 1);
    for trial in tuning["trials"].as_array().unwrap() {
        let layout = (trial["sessions"].as_u64(), trial["threads"].as_u64());
        assert_eq!(layout, (Some(1), Some(1)), "{trial:#}");
    }
}
