//! The default pack: it equals the networks it was made of, is built alike again, refuses what is
//! broken, and its score puts pictures in order.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faceood_engine::capture;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::pack::network::graph::{FLOAT, Model, Tensor as Constant};
use faceood_engine::pack::{Pack, PackError, sha256_hex, verify};
use faceood_engine::pipeline::{Ask, Assembly, Faces};
use faceood_engine::policy::{DEFAULT_SCENARIO, Policies};
use faceood_engine::quality::Calibration;
use faceood_engine::runtime::{
    self, GraphForm, Placement, ProviderChoice, Runtime, Session, Tensor,
};
use faceood_lab::building::recipe::PackSources;
use faceood_lab::degrade::{Degradation, degrade};
use image::RgbImage;

use crate::support::daemon::Home;
use crate::support::{Admin, PackCopy, models, repository};

const SIDE: usize = 112;

fn default_pack() -> PathBuf {
    models().join("default")
}

/// Full precision: what is compared to 1e-4 must not be rounded to bf16.
fn cpu() -> Runtime {
    let settings = runtime::Settings {
        provider: ProviderChoice::Cpu,
        ..runtime::Settings::default()
    };
    Runtime::load(&settings).unwrap()
}

fn open(pack: &Pack, form: GraphForm) -> Session {
    let bytes = pack.embedder_for(form).unwrap();
    cpu().open("embedder", &bytes, Placement::Host).unwrap()
}

fn run(session: &mut Session, faces: &[Vec<f32>]) -> Vec<(String, Tensor)> {
    session
        .run(&[faces.len(), 3, SIDE, SIDE], &faces.concat())
        .unwrap()
}

fn output<'a>(outputs: &'a [(String, Tensor)], name: &str) -> &'a [f32] {
    let found = outputs.iter().find(|(found, _)| found == name);
    &found.expect(name).1.values
}

fn planes(crop: &RgbImage) -> Vec<f32> {
    let levels = crop.as_raw();
    (0..3)
        .flat_map(|channel| levels.iter().skip(channel).step_by(3))
        .map(|&level| f32::from(level))
        .collect()
}

fn astronaut_crop() -> Vec<f32> {
    let path = repository().join("tests/reference/astronaut_aligned.png");
    planes(&image::open(path).unwrap().into_rgb8())
}

fn golden_crop() -> Vec<f32> {
    planes(&RgbImage::from_raw(112, 112, verify::golden_picture()).unwrap())
}

/// Noise of the generator that tests/reference/sface.py uses as well.
fn noise_crop(mut state: u64) -> Vec<f32> {
    let mut levels = Vec::new();
    for _ in 0..SIDE * SIDE * 3 {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        levels.push((state >> 23) as u8);
    }
    planes(&RgbImage::from_raw(112, 112, levels).unwrap())
}

fn crops() -> [(&'static str, Vec<f32>); 3] {
    [
        ("astronaut", astronaut_crop()),
        ("pattern", golden_crop()),
        ("noise", noise_crop(1)),
    ]
}

fn length(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// Largest difference, as a share of the expected vector's length.
fn difference(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let largest = got
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    largest / length(expected)
}

#[test]
fn no_form_of_the_default_embedder_has_a_subnormal_constant() {
    let pack = Pack::open(&default_pack()).unwrap();
    for form in [
        GraphForm::Convolutions,
        GraphForm::Minimum,
        GraphForm::Published,
    ] {
        let bytes = pack.embedder_for(form).unwrap().to_vec();
        let graph = Model::read("embedder.onnx", bytes).unwrap().into_graph();
        let floats = graph.initializer.iter().filter(|t| t.data_type() == FLOAT);
        let values = floats.flat_map(|tensor| tensor.to_floats().unwrap());
        let subnormal = values.filter(|value| value.is_subnormal()).count();
        assert_eq!(subnormal, 0, "{form:?}");
    }
}

#[test]
fn its_sface_part_equals_what_opencv_computes() {
    let pack = Pack::open(&default_pack()).unwrap();
    let share = pack.manifest().embedder.networks[1].weight;
    let directions = pack.manifest().embedder.networks[0].directions;
    let text = fs::read_to_string(repository().join("tests/reference/sface.json")).unwrap();
    let references: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    for form in [GraphForm::Convolutions, GraphForm::Published] {
        let mut session = open(&pack, form);
        for (name, crop) in crops() {
            let reference = references.iter().find(|row| row["crop"] == name).unwrap();
            let expected: Vec<f32> = serde_json::from_value(reference["sface"].clone()).unwrap();
            let outputs = run(&mut session, &[crop]);
            let norm = output(&outputs, "network_norms")[1];
            let part: Vec<f32> = output(&outputs, "embedding")[directions..]
                .iter()
                .map(|value| value * norm / share.sqrt())
                .collect();
            let off = difference(&part, &expected);
            assert!(off <= 1e-4, "{name}, {form:?}: {off}");
        }
    }
}

#[test]
fn its_small_part_keeps_every_similarity_of_the_published_network() {
    let path = sources().join("fr_feature.onnx");
    let Ok(published) = fs::read(&path) else {
        eprintln!(
            "skipped: {} is not there, run scripts/build-pack --fetch-only",
            path.display()
        );
        return;
    };
    let pack = Pack::open(&default_pack()).unwrap();
    let small = &pack.manifest().embedder.networks[0];
    let mut fused = open(&pack, GraphForm::Convolutions);
    let mut original = cpu().open("original", &published, Placement::Host).unwrap();
    let mut seen = Vec::new();
    for (_, crop) in crops() {
        let scaled: Vec<f32> = crop.iter().map(|level| (level - 127.0) / 128.0).collect();
        let raw = run(&mut original, &[scaled]).remove(0).1.values;
        let outputs = run(&mut fused, &[crop]);
        let norm = output(&outputs, "network_norms")[0];
        assert!((norm / length(&raw) - 1.0).abs() <= 1e-4);
        let part = output(&outputs, "embedding")[..small.directions].to_vec();
        seen.push((part, raw));
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    for (part, raw) in &seen {
        for (other_part, other_raw) in &seen {
            let expected = dot(raw, other_raw) / (length(raw) * length(other_raw));
            let got = dot(part, other_part) / small.weight;
            assert!((got - expected).abs() <= 1e-4, "{got} for {expected}");
        }
    }
}

#[test]
fn splitting_prelu_changes_nothing_but_rounding() {
    let pack = Pack::open(&default_pack()).unwrap();
    let mut whole = open(&pack, GraphForm::Published);
    for form in [GraphForm::Convolutions, GraphForm::Minimum] {
        let mut split = open(&pack, form);
        for (name, crop) in crops() {
            let one = run(&mut split, std::slice::from_ref(&crop));
            let other = run(&mut whole, &[crop]);
            for tensor in ["embedding", "embedding_norm", "network_norms", "ood_logit"] {
                let off = difference(output(&one, tensor), output(&other, tensor));
                assert!(off <= 1e-4, "{form:?}, {name}, {tensor}: {off}");
            }
        }
    }
}

#[test]
fn a_batch_equals_single_runs() {
    let pack = Pack::open(&default_pack()).unwrap();
    let mut session = open(&pack, GraphForm::Convolutions);
    let faces: Vec<Vec<f32>> = (1..=3)
        .map(noise_crop)
        .chain([astronaut_crop(), golden_crop()])
        .collect();
    let batch = run(&mut session, &faces);
    for (index, face) in faces.iter().enumerate() {
        for (name, single) in run(&mut session, std::slice::from_ref(face)) {
            let numbers = single.values.len();
            let row = &output(&batch, &name)[index * numbers..(index + 1) * numbers];
            let off = difference(row, &single.values);
            assert!(off <= 1e-6, "face {index}, {name}: {off}");
        }
    }
}

#[test]
fn the_golden_output_is_reproduced_on_this_machine() {
    let pack = Pack::open(&default_pack()).unwrap();
    verify::check_embedder(&pack, &mut open(&pack, GraphForm::Convolutions)).unwrap();
}

/// The refusal's message; it names `file` and says what to do.
#[track_caller]
fn refused(broken: &PackCopy, file: &str) -> PackError {
    let error = Pack::open(&broken.folder()).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(file), "{message}");
    let ways_out = ["restore", "upgrade", "rebuild", "--models-dir"];
    assert!(
        ways_out.iter().any(|way| message.contains(way)),
        "{message}"
    );
    error
}

#[test]
fn a_missing_file_is_named() {
    for file in [
        "manifest.toml",
        "detector.onnx",
        "landmarks.onnx",
        "embedder.onnx",
        "calibration.json",
    ] {
        let broken = PackCopy::new();
        fs::remove_file(broken.path(file)).unwrap();
        assert!(matches!(refused(&broken, file), PackError::Read { .. }));
    }
}

#[test]
fn a_changed_byte_is_found() {
    let broken = PackCopy::new();
    let mut bytes = fs::read(broken.path("embedder.onnx")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(broken.path("embedder.onnx"), bytes).unwrap();
    assert!(matches!(
        refused(&broken, "embedder.onnx"),
        PackError::Hash { .. }
    ));
    let shown = Admin::run([
        "models".as_ref(),
        "verify".as_ref(),
        broken.folder().as_os_str(),
    ]);
    assert_eq!(shown.code, 1);
    assert!(shown.stderr.contains("embedder.onnx"), "{}", shown.stderr);
}

#[test]
fn another_shape_and_another_name_are_found() {
    let broken = PackCopy::new();
    broken.edit_manifest(|table| {
        let norms = &mut table["embedder"]["network_norms"];
        norms["shape"] = vec![toml::Value::from("batch"), toml::Value::from(3)].into();
    });
    assert!(matches!(
        refused(&broken, "embedder.onnx"),
        PackError::Shape { .. }
    ));
    let broken = PackCopy::new();
    broken.edit_manifest(|table| {
        table["landmarks"]["output"]["name"] = "points".into();
    });
    assert!(matches!(
        refused(&broken, "landmarks.onnx"),
        PackError::MissingTensor { .. }
    ));
}

#[test]
fn a_newer_or_unreadable_manifest_is_refused() {
    let broken = PackCopy::new();
    broken.edit_manifest(|table| {
        table["manifest_version"] = 99.into();
        table.insert("something_new".to_owned(), true.into());
    });
    assert!(matches!(
        refused(&broken, "manifest.toml"),
        PackError::NewerManifest(_, 99)
    ));
    let broken = PackCopy::new();
    broken.edit_manifest(|table| {
        table.insert("misspelt".to_owned(), true.into());
    });
    assert!(matches!(
        refused(&broken, "manifest.toml"),
        PackError::Manifest { .. }
    ));
}

#[test]
fn a_file_outside_the_pack_is_refused() {
    let broken = PackCopy::new();
    broken.edit_manifest(|table| {
        table["detector"]["file"]["path"] = "../detector.onnx".into();
    });
    let error = Pack::open(&broken.folder()).unwrap_err();
    assert!(matches!(error, PackError::Path { .. }), "{error}");
}

/// The pack whose OOD head adds another number.
fn with_head_bias(broken: &PackCopy, bias: f32) -> Pack {
    broken.edit_graph("embedder", |graph| {
        let name = "fused.head_bias";
        let constants = &mut graph.initializer;
        let constant = constants.iter_mut().find(|tensor| tensor.name() == name);
        let constant = constant.unwrap();
        // Of every expert, gate and cause.
        let numbers = constant.shape().iter().product();
        *constant = Constant::floats(name, &constant.shape(), &vec![bias; numbers]);
    });
    Pack::open(&broken.folder()).unwrap()
}

#[test]
fn numbers_that_are_none_and_numbers_that_differ_are_found_by_a_run() {
    let broken = PackCopy::new();
    let pack = with_head_bias(&broken, f32::NAN);
    let error =
        verify::check_embedder(&pack, &mut open(&pack, GraphForm::Convolutions)).unwrap_err();
    assert!(matches!(error, PackError::NotFinite { .. }), "{error}");
    assert!(error.to_string().contains("embedder.onnx"), "{error}");

    let broken = PackCopy::new();
    let pack = with_head_bias(&broken, 5.0);
    let error =
        verify::check_embedder(&pack, &mut open(&pack, GraphForm::Convolutions)).unwrap_err();
    assert!(matches!(error, PackError::Golden { .. }), "{error}");
}

/// Both ways to start the daemon on it end with exit code 1, the message on standard error, and
/// without having listened.
#[track_caller]
fn refused_by_the_daemon(broken: &PackCopy, words: &[&str]) {
    let home = Home::new().models_dir(broken.models_dir());
    for arguments in [&["--check"][..], &[]] {
        let ended = home.command().args(arguments).output().unwrap();
        let message = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {message}");
        let folder = broken.folder().display().to_string();
        for word in words.iter().copied().chain(["faceoodd:", &folder]) {
            assert!(message.contains(word), "{word:?} is not in:\n{message}");
        }
        assert!(ended.stdout.is_empty(), "{arguments:?}");
        assert!(!home.data_dir().join("address").exists(), "{arguments:?}");
    }
}

#[test]
fn the_daemon_refuses_a_missing_file() {
    let broken = PackCopy::new();
    fs::remove_file(broken.path("landmarks.onnx")).unwrap();
    refused_by_the_daemon(&broken, &["landmarks.onnx", "restore the file"]);
}

#[test]
fn the_daemon_refuses_another_hash() {
    let broken = PackCopy::new();
    let mut bytes = fs::read(broken.path("detector.onnx")).unwrap();
    bytes[1000] ^= 1;
    fs::write(broken.path("detector.onnx"), bytes).unwrap();
    refused_by_the_daemon(&broken, &["detector.onnx", "SHA-256", "restore it"]);
}

#[test]
fn the_daemon_refuses_another_shape() {
    let broken = PackCopy::new();
    broken.edit_manifest(|table| {
        let norms = &mut table["embedder"]["network_norms"];
        norms["shape"] = vec![toml::Value::from("batch"), toml::Value::from(3)].into();
    });
    refused_by_the_daemon(&broken, &["embedder.onnx", "network_norms", "restore both"]);
}

#[test]
fn the_daemon_refuses_a_newer_manifest() {
    let broken = PackCopy::new();
    broken.edit_manifest(|table| table["manifest_version"] = 2.into());
    refused_by_the_daemon(
        &broken,
        &["manifest.toml", "manifest version 2", "upgrade faceood"],
    );
}

#[test]
fn the_daemon_refuses_a_network_that_gives_no_numbers() {
    let broken = PackCopy::new();
    with_head_bias(&broken, f32::NAN);
    refused_by_the_daemon(
        &broken,
        &[
            "embedder.onnx",
            "ood_logit",
            "not finite",
            "restore the file",
        ],
    );
}

#[test]
fn the_daemon_refuses_other_numbers_than_the_golden_ones() {
    let broken = PackCopy::new();
    with_head_bias(&broken, 5.0);
    refused_by_the_daemon(
        &broken,
        &[
            "embedder.onnx",
            "golden input",
            "ood_logit",
            "rebuild the pack",
        ],
    );
}

fn sources() -> PathBuf {
    repository().join("vendor/pack-sources")
}

/// Building is pure: it has to give the committed bytes on every machine. What is learnt
/// (`head.json`, `calibration.json`) needs the photos as well: `scripts/build-pack --check` learns
/// anew and compares.
#[test]
fn a_rebuild_gives_the_committed_bytes() {
    let Ok(sources) = PackSources::read(&sources()) else {
        eprintln!(
            "skipped: the published networks are not in vendor/pack-sources, run scripts/build-pack --fetch-only"
        );
        return;
    };
    let read = |file: &str| fs::read_to_string(default_pack().join(file)).unwrap();
    let learnt = serde_json::from_str(&read("head.json")).unwrap();
    for (file, bytes) in sources.build(&learnt, &read("calibration.json")).unwrap() {
        let committed = fs::read(default_pack().join(&file)).unwrap();
        assert_eq!(sha256_hex(&bytes), sha256_hex(&committed), "{file}");
    }
}

fn ask() -> Ask {
    Ask {
        scenario: DEFAULT_SCENARIO.to_owned(),
        policy: Policies::default().get(DEFAULT_SCENARIO).cloned().unwrap(),
        faces: Faces::Largest,
        needs_face: true,
    }
}

fn bmp(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut target = Cursor::new(&mut bytes);
    picture
        .write_to(&mut target, image::ImageFormat::Bmp)
        .unwrap();
    bytes
}

#[test]
fn clean_noisy_and_no_face_come_out_in_this_order_over_seeds() {
    let assembly = Assembly::open(cpu(), &default_pack(), capture::Settings::default()).unwrap();
    let mut pipeline = assembly.pipeline().unwrap();
    let mut score = |picture: &RgbImage| {
        let analysis = pipeline
            .analyze(&bmp(picture), &ask(), Duration::ZERO, &Checkpoint::OPEN)
            .unwrap();
        analysis.faces[0].quality.score
    };
    let path = repository().join("tests/photos/astronaut.jpg");
    let photo = image::open(path).unwrap().into_rgb8();
    let clean = score(&photo);

    let pack = Pack::open(&default_pack()).unwrap();
    let calibration = Calibration::load(pack.calibration_json()).unwrap();
    let mut session = open(&pack, GraphForm::Convolutions);
    let mut things = Vec::new();
    for crop in [golden_crop(), noise_crop(1), noise_crop(7)] {
        let outputs = run(&mut session, &[crop]);
        let raw = output(&outputs, "ood_logit")[0];
        things.push(calibration.score(pack.manifest().embedder.ood.signal(raw)));
    }
    let best_thing = things.iter().copied().fold(0.0, f32::max);

    for seed in 0..3 {
        let noisy = score(&degrade(
            &photo,
            &[Degradation::Noise {
                iso: 6400.0,
                smoothing: 0.0,
            }],
            seed,
        ));
        assert!(
            clean > noisy + 0.1 && noisy > best_thing,
            "seed {seed}: clean {clean}, ISO 6400 {noisy}, things {things:?}"
        );
    }
    assert!(clean >= 0.6, "{clean}");
    assert!(best_thing < 0.3, "{things:?}");
}

#[test]
fn the_committed_pack_is_small_enough_and_its_manifest_names_licences() {
    let pack = Pack::open(&default_pack()).unwrap();
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let total: u64 = fs::read_dir(default_pack())
        .unwrap()
        .map(|entry| size(&entry.unwrap().path()))
        .sum();
    assert!(total <= 24_000_000, "{total}");
    for file in pack.manifest().files() {
        assert!(!file.licence.is_empty(), "{}", file.path);
        assert_eq!(file.bytes, size(&default_pack().join(&file.path)));
    }
    let shown = Admin::run(["models", "inspect", "models/default"]).success();
    let stated = ["sure 0.88", "bias -4.8", "crop 1.15", "grey, (pixel"];
    let made_of = ["sface", "mobilefacenet", "Apache-2.0", pack.sha256()];
    for word in made_of.into_iter().chain(stated) {
        assert!(shown.stdout.contains(word), "{word}\n{}", shown.stdout);
    }
}
