//! Where a CPU computes in bf16, OpenVINO answers as ONNX Runtime's own kernels do in full precision, near enough.

use std::fs;

use faceood::degrade::{Degradation, Kind, degrade};
use faceood::runtime::cpu_has_bf16;
use serde_json::Value;

use crate::support::{Admin, admin, photos, repository};

/// Least cosine between the two embeddings of one picture.
const LEAST_SIMILARITY: f64 = 0.999;

/// Most difference between the two quality scores of one picture.
const SCORE_TOLERANCE: f64 = 0.01;

/// Width of the face in the committed photo.
const FACE_PX: f32 = 90.0;

/// Each file's face as this provider sees it. A process loads one ONNX Runtime, hence one process for each.
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
fn openvino_in_bf16_agrees_with_full_precision() {
    let is_there = repository().join("vendor/openvino").is_dir();
    if !is_there || !cpu_has_bf16() {
        eprintln!(
            "skipped: this CPU has no bf16, or vendor/openvino is not there (./scripts/setup fetches it)"
        );
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    let photo = photos::pixels(&photos::astronaut());
    let mut worse: Vec<(String, Vec<Degradation>)> = vec![("clean".to_owned(), Vec::new())];
    for kind in Kind::ALL {
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
    let (full, bf16) = (faces("cpu", &files), faces("openvino", &files));
    assert_eq!((full.len(), bf16.len()), (worse.len(), worse.len()));
    for ((name, _), (full, bf16)) in worse.iter().zip(full.iter().zip(&bf16)) {
        let cosine: f64 = crate::extract::embedding(full)
            .iter()
            .zip(crate::extract::embedding(bf16))
            .map(|(one, other)| one * other)
            .sum();
        let score = |face: &Value| face["quality"]["score"].as_f64().unwrap();
        let gap = (score(full) - score(bf16)).abs();
        assert!(
            cosine >= LEAST_SIMILARITY && gap <= SCORE_TOLERANCE,
            "{name}: cosine {cosine}, scores {} and {}",
            score(full),
            score(bf16)
        );
    }
}
