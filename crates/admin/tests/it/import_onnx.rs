//! Recognisers of one's own: they are tapped at their last feature map, give the same embedding
//! within the pack as alone, and can be given a head; what is no such recogniser is refused with
//! what was found.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use faceood_engine::pack::manifest::Channels;
use faceood_engine::pack::network::graph::{
    Attribute, Graph, Model, Node, OperatorSet, Tensor as Constant, ValueInfo,
};
use faceood_engine::pack::{Pack, verify};
use faceood_engine::quality::Calibration;
use faceood_engine::runtime::{
    GraphForm, Placement, PlaneNumber, ProviderChoice, Runtime, Session, Settings, Tensor,
};
use faceood_lab::building::head::{HEAD_OUTPUTS, LinearHead};
use faceood_lab::importing::onnx::{self, Feeding, OnnxError};
use faceood_lab::importing::retrain;
use tempfile::TempDir;

use crate::support::{Admin, models};
use crate::torch::hashed;

const FEEDING: Feeding = Feeding {
    channels: Channels::Bgr,
    mean: PlaneNumber::All(127.5),
    scale: PlaneNumber::All(1.0 / 127.5),
};
/// Channels of the last feature map, at 7×7 positions.
const CHANNELS: usize = 8;

/// How a recogniser gets from its last feature map to the embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// `Reshape` to `[1, −1]` with a `Constant` node, linear layer, batch norm.
    Flattened,
    /// Mean over positions, linear layer.
    Averaged,
    /// A convolution over all positions, as in MobileFaceNet, and then the linear layer.
    Depthwise,
}

fn random(name: &str, dims: &[usize]) -> Constant {
    let values: Vec<f32> = hashed(name, dims.iter().product())
        .map(|u| u * 0.3)
        .collect();
    Constant::floats(name, dims, &values)
}

/// A recogniser with an embedding of `length` numbers; the last feature map is `map`.
fn recogniser(end: End, length: usize) -> Graph {
    let convolution = |from: &str, weight: &str, to: &str, stride: i64| {
        Node::new("Conv", &[from, weight], to)
            .with_ints("strides", &[stride; 2])
            .with_ints("pads", &[1; 4])
    };
    let mut graph = Graph {
        node: vec![
            convolution("data", "w0", "c0", 4),
            Node::new("PRelu", &["c0", "slope"], "a0"),
            convolution("a0", "w1", "c1", 4),
            Node::new("Relu", &["c1"], "map"),
        ],
        initializer: vec![
            random("w0", &[CHANNELS, 3, 3, 3]),
            Constant::floats("slope", &[CHANNELS, 1, 1], &[0.25; CHANNELS]),
            random("w1", &[CHANNELS, CHANNELS, 3, 3]),
        ],
        input: vec![ValueInfo::floats(
            "data",
            &[Some(1), Some(3), Some(112), Some(112)],
        )],
        output: vec![ValueInfo::floats("out", &[Some(1), Some(length)])],
        ..Graph::default()
    };
    let linear = |from: &str, to: &str| Node::new("Gemm", &[from, "w2", "b2"], to);
    let inputs = if end == End::Flattened {
        CHANNELS * 49
    } else {
        CHANNELS
    };
    graph.initializer.push(random("w2", &[inputs, length]));
    graph.initializer.push(random("b2", &[length]));
    match end {
        End::Flattened => {
            let mut shape = Node::new("Constant", &[], "shape");
            shape.attribute.push(Attribute {
                name: Some("value".to_owned()),
                t: Some(Constant::integers("", &[1, -1])),
                kind: Some(4),
                ..Attribute::default()
            });
            graph.node.push(shape);
            graph
                .node
                .push(Node::new("Reshape", &["map", "shape"], "flat"));
            graph.node.push(linear("flat", "line"));
            for (name, value) in [
                ("scale", 1.5),
                ("shift", 0.1),
                ("mean", 0.2),
                ("variance", 2.0),
            ] {
                let values = vec![value; length];
                graph
                    .initializer
                    .push(Constant::floats(name, &[length], &values));
            }
            let inputs = ["line", "scale", "shift", "mean", "variance"];
            graph
                .node
                .push(Node::new("BatchNormalization", &inputs, "out"));
        }
        End::Averaged => {
            graph
                .node
                .push(Node::new("GlobalAveragePool", &["map"], "pool"));
            graph.node.push(Node::new("Flatten", &["pool"], "flat"));
            graph.node.push(linear("flat", "out"));
        }
        End::Depthwise => {
            graph.initializer.push(random("w3", &[CHANNELS, 1, 7, 7]));
            graph
                .node
                .push(Node::new("Conv", &["map", "w3"], "deep").with_int("group", CHANNELS as i64));
            graph.node.push(Node::new("Flatten", &["deep"], "flat"));
            graph.node.push(linear("flat", "out"));
        }
    }
    graph
}

fn file(graph: Graph, operators: i64) -> Vec<u8> {
    Model {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![OperatorSet {
            domain: Some(String::new()),
            version: Some(operators),
        }],
        ..Model::default()
    }
    .write()
}

fn cpu() -> Runtime {
    Runtime::load(&Settings {
        provider: ProviderChoice::Cpu,
        ..Settings::default()
    })
    .unwrap()
}

fn session(bytes: &[u8]) -> Session {
    cpu().open("embedder", bytes, Placement::Host).unwrap()
}

fn import(graph: Graph, output: Option<&str>) -> Result<onnx::ImportedOnnx, OnnxError> {
    onnx::import("own.onnx", file(graph, 13), output, FEEDING, &cpu())
}

/// One aligned face of noise, as the network is fed.
fn face(name: &str) -> Vec<f32> {
    hashed(name, 3 * 112 * 112).collect()
}

fn output<'a>(outputs: &'a [(String, Tensor)], name: &str) -> &'a [f32] {
    let found = outputs.iter().find(|(found, _)| found == name);
    &found.expect(name).1.values
}

fn length(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>().sqrt()
}

#[track_caller]
fn assert_close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    let size = length(expected).max(1.0);
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= 1e-4 * size,
            "{index}: {got}, {expected}"
        );
    }
}

#[test]
fn every_end_is_tapped_at_the_last_feature_map_and_keeps_the_embedding() {
    let shape = [1, 3, 112, 112];
    for end in [End::Flattened, End::Averaged, End::Depthwise] {
        for (operators, numbers) in [(11, 128), (13, 512), (17, 256), (21, 512)] {
            let graph = recogniser(end, numbers);
            let bytes = file(graph.clone(), operators);
            let imported = onnx::import("own", bytes.clone(), None, FEEDING, &cpu()).unwrap();
            assert_eq!(imported.feature_map, "map", "{end:?}, {operators}");
            assert_eq!(imported.feature_shape, [1, CHANNELS, 7, 7]);
            assert_eq!(imported.length, numbers);

            let mut alone = session(&bytes);
            let mut within = session(&imported.model.write());
            let faces = [face("one"), face("two")];
            let both = within.run(&[2, 3, 112, 112], &faces.concat()).unwrap();
            for (index, face) in faces.iter().enumerate() {
                let raw = alone.run(&shape, face).unwrap().remove(0).1.values;
                let mut unit: Vec<f32> = raw.iter().map(|x| x / length(&raw)).collect();
                unit.resize(512, 0.0);
                assert_close(
                    &output(&both, "embedding")[index * 512..(index + 1) * 512],
                    &unit,
                );
                assert_close(
                    &output(&both, "embedding_norm")[index..=index],
                    &[length(&raw)],
                );
                assert_close(&output(&both, "ood_logit")[index..=index], &[length(&raw)]);
            }
        }
    }
}

#[test]
fn what_is_no_recogniser_is_refused_with_what_was_found() {
    let refused = |graph: Graph, output: Option<&str>, words: &[&str]| {
        let message = import(graph, output).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{word}\n{message}");
        }
    };
    let mut large = recogniser(End::Averaged, 512);
    large.input[0] = ValueInfo::floats("data", &[None, Some(3), Some(224), Some(224)]);
    refused(large, None, &["data [?, 3, 224, 224]", "[N, 3, 112, 112]"]);

    refused(
        recogniser(End::Averaged, 1024),
        None,
        &["out is [1, 1024]", "512 at most"],
    );

    let mut several = recogniser(End::Averaged, 512);
    several
        .output
        .push(ValueInfo::floats("flat", &[Some(1), Some(CHANNELS)]));
    refused(several.clone(), None, &["out, flat", "--output"]);
    refused(several.clone(), Some("embedding"), &["out, flat"]);
    assert_eq!(import(several, Some("flat")).unwrap().length, CHANNELS);

    let mut shallow = recogniser(End::Averaged, 512);
    shallow.node = vec![
        Node::new("Flatten", &["data"], "flat"),
        Node::new("MatMul", &["flat", "w"], "out"),
    ];
    shallow.initializer = vec![random("w", &[3 * 112 * 112, 16])];
    shallow.output = vec![ValueInfo::floats("out", &[Some(1), Some(16)])];
    refused(shallow, None, &["no feature map", "out"]);

    let mut branching = recogniser(End::Averaged, 512);
    branching.node.push(Node::new("If", &["flat"], "either"));
    refused(branching, None, &["branches or loops (If)"]);

    let mut elsewhere = recogniser(End::Averaged, 512);
    elsewhere.initializer[0].raw_data = None;
    refused(elsewhere, None, &["keeps the constant w0 elsewhere"]);

    let old = file(recogniser(End::Averaged, 512), 6);
    let error = onnx::import("own", old, None, FEEDING, &cpu()).unwrap_err();
    assert!(error.to_string().contains("operator set 6"), "{error}");
}

/// A pack of a recogniser, imported as an operator does it.
fn imported_pack(folder: &TempDir) -> PathBuf {
    imported_pack_with(folder, &[])
}

/// The same with these arguments besides.
fn imported_pack_with(folder: &TempDir, more: &[&str]) -> PathBuf {
    let path = folder.path().join("own.onnx");
    fs::write(&path, file(recogniser(End::Depthwise, 256), 12)).unwrap();
    let pack = folder.path().join("own");
    let more = more.iter().map(OsStr::new);
    let base = models().join("default");
    let arguments = [
        "models".as_ref(),
        "import-onnx".as_ref(),
        path.as_os_str(),
        "--out".as_ref(),
        pack.as_os_str(),
        "--base".as_ref(),
        base.as_os_str(),
        "--input".as_ref(),
        "bgr".as_ref(),
        "--licence".as_ref(),
        "MIT".as_ref(),
    ];
    let shown = Admin::run(arguments.into_iter().chain(more)).success();
    assert!(shown.stdout.contains("NOT CALIBRATED"), "{}", shown.stdout);
    assert!(
        shown.stderr.contains("map [1, 8, 7, 7]"),
        "{}",
        shown.stderr
    );
    pack
}

#[test]
fn an_imported_pack_is_sound_and_says_how_it_is_fed() {
    let folder = TempDir::new().unwrap();
    let path = imported_pack(&folder);
    let pack = Pack::open(&path).unwrap();
    let embedder = &pack.manifest().embedder;
    assert_eq!(embedder.input.channels, Channels::Bgr);
    assert_eq!(
        (embedder.input.mean, embedder.input.scale),
        (FEEDING.mean, FEEDING.scale)
    );
    assert_eq!(
        (embedder.networks[0].length, embedder.networks[0].directions),
        (256, 512)
    );
    assert_eq!(embedder.file.licence, "MIT");
    assert!(pack.manifest().calibration.id.starts_with("uncalibrated-"));
    for form in [GraphForm::Convolutions, GraphForm::Published] {
        let mut opened = session(&pack.embedder_for(form).unwrap());
        verify::check_embedder(&pack, &mut opened).unwrap();
    }
    Admin::run(["models".as_ref(), "verify".as_ref(), path.as_os_str()]).success();
}

#[test]
fn each_colour_may_have_a_mean_and_a_scale_of_its_own() {
    let folder = TempDir::new().unwrap();
    let numbers = [
        "--mean",
        "103.5,116.3,123.7",
        "--scale",
        "0.0174,0.0175,0.0171",
    ];
    let pack = Pack::open(&imported_pack_with(&folder, &numbers)).unwrap();
    let input = &pack.manifest().embedder.input;
    assert_eq!(input.mean, PlaneNumber::Each([103.5, 116.3, 123.7]));
    assert_eq!(input.scale, PlaneNumber::Each([0.0174, 0.0175, 0.0171]));
    let mut opened = session(&pack.embedder_for(GraphForm::Published).unwrap());
    verify::check_embedder(&pack, &mut opened).unwrap();
}

#[test]
fn a_calibration_of_another_network_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = imported_pack(&folder);
    let before = fs::read(path.join("manifest.toml")).unwrap();
    let json = fs::read_to_string(models().join("default/calibration.json")).unwrap();
    let calibration = Calibration::load(&json).unwrap();
    let file = folder.path().join("calibration.json");
    let set = |sha256: &str| {
        let bound = calibration.clone().for_embedder(sha256);
        fs::write(&file, bound.to_json().unwrap()).unwrap();
        Admin::run([
            "models".as_ref(),
            "set-calibration".as_ref(),
            file.as_os_str(),
            path.as_os_str(),
        ])
    };
    let refused = set("0123").expect_code(1);
    assert!(
        refused.stderr.contains("made for the embedder 0123"),
        "{}",
        refused.stderr
    );
    assert_eq!(fs::read(path.join("manifest.toml")).unwrap(), before);
    let own = Pack::open(&path)
        .unwrap()
        .manifest()
        .embedder
        .file
        .sha256
        .clone();
    set(&own).success();
    let pack = Pack::open(&path).unwrap();
    let calibration = Calibration::load(pack.calibration_json()).unwrap();
    assert!(calibration.is_calibrated());
    assert_eq!(calibration.embedder(), Some(own.as_str()));
}

#[test]
fn features_are_mean_and_deviation_of_the_map_and_a_head_is_their_linear_function() {
    let folder = TempDir::new().unwrap();
    let pack = Pack::open(&imported_pack(&folder)).unwrap();
    let face = face("one");
    let shape = [1, 3, 112, 112];

    let mut shown = recogniser(End::Depthwise, 256);
    shown.output.push(ValueInfo::floats(
        "map",
        &[Some(1), Some(CHANNELS), Some(7), Some(7)],
    ));
    let alone = session(&file(shown, 12)).run(&shape, &face).unwrap();
    let raw = length(output(&alone, "out"));
    let positions: Vec<&[f32]> = output(&alone, "map").chunks_exact(49).collect();
    let means: Vec<f32> = positions
        .iter()
        .map(|of| of.iter().sum::<f32>() / 49.0)
        .collect();
    let deviations = positions
        .iter()
        .zip(&means)
        .map(|(of, mean)| (of.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 49.0).sqrt());
    let expected: Vec<f32> = means
        .iter()
        .copied()
        .chain(deviations)
        .chain([raw])
        .collect();
    let graph = retrain::feature_graph(&pack).unwrap();
    let outputs = session(&graph).run(&shape, &face).unwrap();
    assert_close(output(&outputs, "features"), &expected);

    let head = LinearHead {
        weights: (0..HEAD_OUTPUTS)
            .map(|output| hashed(&format!("head {output}"), expected.len()).collect())
            .collect(),
        bias: (0..HEAD_OUTPUTS)
            .map(|output| 0.1 * output as f32)
            .collect(),
    };
    let trained = retrain::with_head(&pack, &head, &[raw * 2.0]).unwrap();
    let outputs = session(&trained).run(&shape, &face).unwrap();
    let said: Vec<f32> = head
        .weights
        .iter()
        .zip(&head.bias)
        .map(|(weights, bias)| {
            bias + weights
                .iter()
                .zip(&expected)
                .map(|(w, x)| w * x)
                .sum::<f32>()
        })
        .collect();
    // Three experts, of whom the second and the third have a share that their gates say; then the
    // causes.
    let toward = |signal: f32, expert: usize| {
        let share = 1.0 / (1.0 + (-said[expert + 1]).exp());
        signal + share * (said[expert] - signal)
    };
    let mixed = toward(toward(said[0], 1), 3);
    assert_close(output(&outputs, "ood_logit"), &[mixed]);
    assert_close(output(&outputs, "cause_logits"), &said[5..]);
    assert_close(output(&outputs, "embedding_norm"), &[0.5]);

    let short = LinearHead {
        weights: vec![vec![0.0; 3]; HEAD_OUTPUTS],
        bias: vec![0.0; HEAD_OUTPUTS],
    };
    let message = retrain::with_head(&pack, &short, &[1.0])
        .unwrap_err()
        .to_string();
    assert!(message.contains("45 weights"), "{message}");
}
