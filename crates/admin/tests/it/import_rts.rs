//! The network of Random Temperature Scaling from its checkpoint: what PyTorch computes, our ONNX
//! computes; what does not belong is named; and the daemon serves the pack without letting anybody
//! in before it is calibrated.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use faceood_engine::pack::{Pack, verify};
use faceood_engine::quality::Calibration;
use faceood_engine::runtime::{GraphForm, Placement, ProviderChoice, Runtime, Session, Settings};
use faceood_lab::importing::checkpoint::{CheckpointError, TorchCheckpoint};
use faceood_lab::importing::rts::{self, Architecture, Head, RtsError};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::daemon::Home;
use crate::support::{Admin, models, photos, repository};
use crate::torch::{self, SMALL, Shape};

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

/// A checkpoint of the small network with `edit` done to its list of tensors.
fn small(folder: &TempDir, edit: impl FnOnce(&mut Vec<Shape>)) -> PathBuf {
    let path = folder.path().join("small.pt");
    let mut shapes = torch::shapes(&SMALL);
    edit(&mut shapes);
    torch::write(&path, &shapes);
    path
}

fn import(path: &Path, head: Option<Head>) -> Result<rts::ImportedRts, RtsError> {
    rts::import(&mut TorchCheckpoint::open(path)?, &SMALL, head)
}

fn session(bytes: &[u8]) -> Session {
    let settings = Settings {
        provider: ProviderChoice::Cpu,
        ..Settings::default()
    };
    let runtime = Runtime::load(&settings).unwrap();
    runtime.open("embedder", bytes, Placement::Host).unwrap()
}

/// The pictures of the reference, planes of levels 0–255.
fn pictures() -> [(&'static str, Vec<f32>); 2] {
    let golden = verify::golden_picture();
    let planes = (0..3).flat_map(|plane| golden.iter().skip(plane).step_by(3));
    let noise = torch::hashed("noise", 3 * 112 * 112).map(|u| ((u + 1.0) * 128.0).floor());
    [
        ("pattern", planes.map(|&level| f32::from(level)).collect()),
        ("noise", noise.collect()),
    ]
}

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Logarithm of the mean of the variances whose logarithms these are.
fn log_of_mean(logarithms: &[f32]) -> f32 {
    let sum: f64 = logarithms.iter().map(|&x| f64::from(x).exp()).sum();
    (sum / logarithms.len() as f64).ln() as f32
}

/// `network` of the reference against a session: embedding and OOD logit to 1e-4 of their size.
#[track_caller]
fn assert_equals_pytorch(session: &mut Session, network: &str, head: Head) {
    let text = fs::read_to_string(repository().join("tests/reference/rts.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    for (picture, levels) in pictures() {
        let row = rows
            .iter()
            .find(|row| row["network"] == network && row["picture"] == picture)
            .unwrap();
        let face: Vec<f32> = levels
            .iter()
            .map(|level| (level - rts::MEAN) * rts::SCALE)
            .collect();
        let outputs = session.run(&[1, 3, 112, 112], &face).unwrap();
        let output = |name: &str| {
            let found = outputs.iter().find(|(found, _)| found == name);
            &found.expect(name).1.values
        };
        let expected = numbers(&row["embedding"]);
        let length = expected.iter().map(|x| x * x).sum::<f32>().sqrt();
        let got = output(rts::EMBEDDING);
        assert_eq!(got.len(), expected.len());
        for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let off = (got - expected).abs() / length;
            assert!(
                off <= 1e-4,
                "{network}, {picture}, {index}: {got}, {expected}"
            );
        }
        let expected = match head {
            Head::Rts => numbers(&Value::from(vec![row["logvar"].clone()]))[0],
            Head::RtsPlus => log_of_mean(&numbers(&row["logvar_plus"])),
        };
        let got = output(rts::OOD_LOGIT)[0];
        let off = (got - expected).abs() / expected.abs().max(1.0);
        assert!(off <= 1e-4, "{network}, {picture}: {got}, {expected}");
    }
}

#[test]
fn both_heads_of_a_small_network_equal_pytorch() {
    let folder = folder();
    let path = small(&folder, |_| {});
    for (asked, got, outputs) in [
        (None, Head::Rts, 1),
        (Some(Head::Rts), Head::Rts, 1),
        (Some(Head::RtsPlus), Head::RtsPlus, torch::ALPHA),
    ] {
        let imported = import(&path, asked).unwrap();
        assert!(imported.has_both_heads);
        assert_eq!((imported.head, imported.head_outputs), (got, outputs));
        assert_equals_pytorch(&mut session(&imported.model.write()), "small", got);
    }
}

#[test]
fn the_head_that_is_there_is_taken() {
    let folder = folder();
    for (prefix, kept) in [
        ("logvar_rts_plus_backbone", Head::Rts),
        ("logvar_rts_backbone", Head::RtsPlus),
    ] {
        let path = small(&folder, |shapes| {
            shapes.retain(|(name, _)| !name.starts_with(prefix));
        });
        let imported = import(&path, None).unwrap();
        assert_eq!(imported.head, kept);
        assert!(!imported.has_both_heads);
        let other = match kept {
            Head::Rts => Head::RtsPlus,
            Head::RtsPlus => Head::Rts,
        };
        let message = import(&path, Some(other)).unwrap_err().to_string();
        assert!(message.contains(prefix), "{message}");
    }
    let path = small(&folder, |shapes| {
        shapes.retain(|(name, _)| !name.starts_with("logvar"));
    });
    assert!(matches!(import(&path, None), Err(RtsError::NoHead)));
}

#[test]
fn what_is_missing_extra_or_misshapen_is_named() {
    let folder = folder();
    let path = small(&folder, |shapes| {
        shapes.retain(|(name, _)| name != "features.1.2.res_layer.5.fc2.weight");
        let stem = shapes
            .iter_mut()
            .find(|(name, _)| name == "features.0.0.weight");
        stem.unwrap().1 = vec![16, 1, 3, 3];
        shapes.push(("classifier.weight".to_owned(), vec![10, 512]));
    });
    let message = import(&path, None).unwrap_err().to_string();
    for line in [
        "missing: features.1.2.res_layer.5.fc2.weight [16, 1, 1, 1]",
        "misshapen: features.0.0.weight is [16, 1, 3, 3], expected [16, 3, 3, 3]",
        "extra: classifier.weight [10, 512]",
    ] {
        assert!(message.contains(line), "{line}\n{message}");
    }
    assert_eq!(message.lines().count(), 4, "{message}");
}

#[test]
fn counters_of_batches_are_not_needed() {
    let folder = folder();
    let path = small(&folder, |shapes| {
        shapes.retain(|(name, _)| !name.ends_with("num_batches_tracked"));
    });
    import(&path, None).unwrap();
}

#[test]
fn another_depth_is_no_ir_se_64() {
    let folder = folder();
    let path = small(&folder, |_| {});
    let shown = Admin::run([
        "models".as_ref(),
        "import-rts".as_ref(),
        path.as_os_str(),
        "--out".as_ref(),
        folder.path().join("pack").as_os_str(),
    ])
    .expect_code(1);
    for words in [
        "small.pt",
        "IR-SE-64",
        "missing: features.1.10.",
        "more misshapen",
    ] {
        assert!(shown.stderr.contains(words), "{words}\n{}", shown.stderr);
    }
    assert!(!folder.path().join("pack").exists());
}

#[test]
fn every_layout_that_pytorch_writes_is_read() {
    // Written by PyTorch itself: nested under state_dict, with DataParallel's prefix, among things
    // that are no tensors.
    let path = repository().join("tests/reference/tensors.pt");
    let mut checkpoint = TorchCheckpoint::open(&path).unwrap();
    assert!(checkpoint.others().is_empty());
    let mut read = |name: &str| -> (Vec<usize>, Vec<f32>) {
        let (_, shape) = checkpoint
            .shapes()
            .find(|(found, _)| *found == name)
            .unwrap();
        let shape = shape.to_vec();
        let bytes = checkpoint.floats(name).unwrap();
        let (fours, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty());
        (
            shape,
            fours.iter().map(|&four| f32::from_le_bytes(four)).collect(),
        )
    };
    let block: Vec<f32> = (0_u8..24).map(f32::from).collect();
    assert_eq!(read("float"), (vec![2, 3, 4], block.clone()));
    let transposed: Vec<f32> = (0..24)
        .map(|at| block[(at / 3 % 2) * 12 + (at % 3) * 4 + at / 6])
        .collect();
    assert_eq!(read("transposed"), (vec![4, 2, 3], transposed));
    assert_eq!(read("part"), (vec![2, 4], block[16..].to_vec()));
    assert_eq!(read("parameter"), (vec![2], vec![1.5, -2.5]));
    assert_eq!(
        read("half"),
        (vec![3], vec![0.099_975_586, -65_504.0, 5.960_464_5e-8])
    );
    assert_eq!(
        read("bfloat16"),
        (vec![2], vec![3.140_625, -1.000_255_55e30])
    );
    assert_eq!(read("double"), (vec![1], vec![1.0 / 3.0]));
    assert_eq!(read("scalar"), (vec![], vec![-7.0]));
    assert!(matches!(
        checkpoint.floats("absent"),
        Err(CheckpointError::NoTensor { .. })
    ));
}

#[test]
fn what_is_no_checkpoint_says_what_to_do() {
    let folder = folder();
    let path = folder.path().join("file");
    // The form before PyTorch 1.6 begins with a pickle of a magic number.
    fs::write(&path, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    let message = TorchCheckpoint::open(&path).unwrap_err().to_string();
    assert!(message.contains("torch.save(torch.load("), "{message}");

    // A whole model in place of its tensors: its class is named, not looked for.
    torch::write_pickle(&path, b"\x80\x02cmodels.rts\nRTSBackbone\nq\x00)\x81}b.");
    let message = TorchCheckpoint::open(&path).unwrap_err().to_string();
    assert!(message.contains("models.rts.RTSBackbone"), "{message}");
    assert!(message.contains("state_dict()"), "{message}");

    torch::write_pickle(&path, b"\x80\x02}(X\x05\x00\x00\x00epochK\x03u.");
    let message = TorchCheckpoint::open(&path).unwrap_err().to_string();
    assert!(message.contains("it holds: epoch"), "{message}");

    let whole = fs::read(small(&folder, |_| {})).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let message = TorchCheckpoint::open(&path).unwrap_err().to_string();
    assert!(message.contains("damaged"), "{message}");
}

/// The whole way of an owner of the published network, on random weights of its shape.
#[test]
fn the_full_network_equals_pytorch_and_the_daemon_serves_it() {
    let folder = folder();
    let checkpoint = folder.path().join("pytorch_model.bin");
    torch::write(&checkpoint, &torch::shapes(&Architecture::IR_SE_64));
    // The published file has 183 MB.
    let size = fs::metadata(&checkpoint).unwrap().len();
    assert_eq!(size >> 20, 182);

    let models_dir = folder.path().join("models");
    let pack_folder = models_dir.join("rts");
    let arguments = [
        "models".as_ref(),
        "import-rts".as_ref(),
        checkpoint.as_os_str(),
        "--out".as_ref(),
        pack_folder.as_os_str(),
    ];
    let shown = Admin::run(arguments).success();
    assert!(shown.stdout.contains("NOT CALIBRATED"), "{}", shown.stdout);
    assert!(shown.stderr.contains("--head rts-plus"), "{}", shown.stderr);
    let again = Admin::run(arguments).expect_code(1);
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);

    let pack = Pack::open(&pack_folder).unwrap();
    assert_eq!(pack.id(), "rts");
    let mut opened = session(&pack.embedder_for(GraphForm::Convolutions).unwrap());
    assert_equals_pytorch(&mut opened, "full", Head::Rts);
    verify::check_embedder(&pack, &mut opened).unwrap();
    drop((opened, pack));

    let mut plus = TorchCheckpoint::open(&checkpoint).unwrap();
    let plus = rts::import(&mut plus, &Architecture::IR_SE_64, Some(Head::RtsPlus)).unwrap();
    assert_equals_pytorch(&mut session(&plus.model.write()), "full", Head::RtsPlus);
    drop(plus);

    let daemon = Home::new()
        .models_dir(&models_dir)
        .config("pack = \"rts\"\n[pipeline]\nworkers = 1\n")
        .start();
    let client = daemon.client();
    let info = client.get("/v1/info").json();
    let id = info["calibration_id"].as_str().unwrap();
    assert!(id.starts_with("uncalibrated-"), "{id}");
    let answer = client.post_raw("/v1/extract", "image/jpeg", &photos::astronaut());
    assert_eq!(answer.status, 200);
    let face = &answer.json()["faces"][0];
    let embedding = numbers(&face["embedding"]);
    assert_eq!(embedding.len(), 512);
    let length = embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() < 1e-4);
    assert!(face["embedding_norm"].as_f64().unwrap() > 1.0);
    assert!(face["quality"]["score"].as_f64().unwrap() < 0.40);
    assert_eq!(face["decision"]["action"], "reject");
    assert!(
        daemon.output().contains("brings no calibration"),
        "{}",
        daemon.output()
    );

    let doctor = Admin::run([
        "doctor".as_ref(),
        "--json".as_ref(),
        "--config".as_ref(),
        daemon.home().config_file().as_os_str(),
        "--models-dir".as_ref(),
        models_dir.as_os_str(),
        "--data-dir".as_ref(),
        daemon.data_dir().as_os_str(),
    ]);
    let report = doctor.json();
    let checks = report["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["name"] == "calibration")
        .unwrap();
    assert_eq!(check["status"], "warning", "{check}");
    assert!(check["found"].as_str().unwrap().contains("NOT CALIBRATED"));

    // Any calibration takes the stand-in's place; this one is the default pack's.
    let calibration = models().join("default/calibration.json");
    Admin::run([
        "models".as_ref(),
        "set-calibration".as_ref(),
        calibration.as_os_str(),
        pack_folder.as_os_str(),
    ])
    .success();
    let pack = Pack::open(&pack_folder).unwrap();
    let calibration = Calibration::load(pack.calibration_json()).unwrap();
    assert!(calibration.is_calibrated());
    assert_eq!(pack.manifest().calibration.id, calibration.id());
}

/// Python with PyTorch: `FACEOOD_TEST_PYTHON`, or `python3`.
fn python_with_torch() -> Option<Command> {
    let python = std::env::var("FACEOOD_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import torch"]).output();
    found
        .is_ok_and(|output| output.status.success())
        .then(|| Command::new(python))
}

#[test]
fn a_checkpoint_that_pytorch_writes_here_is_the_same_network() {
    let Some(mut python) = python_with_torch() else {
        eprintln!("skipped: there is no PyTorch; name a Python that has it in FACEOOD_TEST_PYTHON");
        return;
    };
    let folder = folder();
    let path = folder.path().join("torch.pt");
    let output = python
        .arg(repository().join("tests/reference/rts_reference.py"))
        .args(["--small", "--checkpoint"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let imported = import(&path, None).unwrap();
    assert_equals_pytorch(&mut session(&imported.model.write()), "small", Head::Rts);
}
