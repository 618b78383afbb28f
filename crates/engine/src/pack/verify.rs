//! Refuses a pack that is not what its manifest says: checked file by file when it is opened, and
//! once more with each session that is to serve, since only that shows what a provider computes.

use super::manifest::{Detector, Embedder, Extent, Golden, Manifest, OutputTensor, PictureInput};
use super::network::graph::{Graph, ValueInfo};
use super::{EMBEDDING_LENGTH, Pack, PackError};
use image::RgbImage;

use crate::runtime::{Session, Tensor};

/// Side of the golden input in pixels.
const SIDE: usize = 112;

/// Numbers of 68 landmarks.
const LANDMARK_NUMBERS: usize = 136;

/// Checks that the manifest asks for nothing that this program does not do.
pub(super) fn check_manifest(manifest: &Manifest) -> Result<(), PackError> {
    let Manifest {
        detector,
        landmarks,
        embedder,
        ..
    } = manifest;
    let planes = |input: &PictureInput| Some(input.channels.planes());
    let demand = |is_met: bool, field, got: String, expected| {
        if is_met {
            return Ok(());
        }
        Err(PackError::Unsupported(field, got, expected))
    };
    let shape = |field, shape: &[Extent], wanted: &[Option<usize>], expected| {
        let got: Vec<_> = shape.iter().map(Extent::fixed).collect();
        // Any batch will do: a network that takes one face at a time is fed one.
        let fits = got.len() == wanted.len() && got.iter().zip(wanted).skip(1).all(|(a, b)| a == b);
        demand(fits, field, describe(&got), expected)
    };
    shape(
        "detector.input.shape",
        &detector.input.shape,
        &[None, planes(&detector.input), None, None],
        "[?, as many planes as `channels` names, ?, ?]",
    )?;
    demand(
        are_cells(&detector.strides),
        "detector.strides",
        format!("{:?}", detector.strides),
        "numbers above 0, each a part of the largest",
    )?;
    demand(
        has_outputs(detector),
        "detector.outputs",
        format!("{} tensors", detector.outputs.len()),
        "cls_s, obj_s, bbox_s and kps_s for each stride s",
    )?;
    demand(
        detector.first_side > 0,
        "detector.first_side",
        detector.first_side.to_string(),
        "a number above 0",
    )?;
    let side = landmarks.input.side() as usize;
    shape(
        "landmarks.input.shape",
        &landmarks.input.shape,
        &[None, planes(&landmarks.input), Some(side), Some(side)],
        "[?, as many planes as `channels` names, side, side]",
    )?;
    demand(
        side > 0,
        "landmarks.input.shape",
        "without a side".to_owned(),
        "a fixed side",
    )?;
    shape(
        "landmarks.output.shape",
        &landmarks.output.shape,
        &[None, Some(LANDMARK_NUMBERS)],
        "[?, 136]: x and y of 68 points in iBUG order",
    )?;
    let is_known = |&point: &usize| point < LANDMARK_NUMBERS / 2;
    let mut sets = landmarks.five_points.iter();
    demand(
        sets.all(|set| !set.is_empty() && set.iter().all(is_known)),
        "landmarks.five_points",
        format!("{:?}", landmarks.five_points),
        "five sets of points 0–67, none empty",
    )?;
    shape(
        "embedder.input.shape",
        &embedder.input.shape,
        &[None, planes(&embedder.input), Some(SIDE), Some(SIDE)],
        "[?, as many planes as `channels` names, 112, 112]",
    )?;
    shape(
        "embedder.embedding.shape",
        &embedder.embedding.shape,
        &[None, Some(EMBEDDING_LENGTH)],
        "[?, 512]",
    )
}

fn are_cells(strides: &[u32]) -> bool {
    let largest = strides.iter().copied().max().unwrap_or(0);
    let fits = |&stride: &u32| stride > 0 && largest % stride == 0;
    largest > 0 && strides.iter().all(fits)
}

fn has_outputs(detector: &Detector) -> bool {
    let has = |name: String| detector.outputs.iter().any(|output| output.name == name);
    let has_all = |stride| {
        let mut kinds = ["cls", "obj", "bbox", "kps"].iter();
        kinds.all(|kind| has(format!("{kind}_{stride}")))
    };
    detector.strides.iter().all(has_all)
}

/// Checks that a graph takes and gives what the manifest says: names, ranks and extents.
pub(super) fn check_graph(
    file: &str,
    graph: &Graph,
    input: &PictureInput,
    outputs: &[&OutputTensor],
) -> Result<(), PackError> {
    let constants = graph.constants();
    let fed: Vec<&ValueInfo> = graph
        .input
        .iter()
        .filter(|value| !constants.contains_key(value.name()))
        .collect();
    check_value(file, &fed, &input.name, &input.shape)?;
    let given: Vec<&ValueInfo> = graph.output.iter().collect();
    for output in outputs {
        check_value(file, &given, &output.name, &output.shape)?;
    }
    Ok(())
}

fn check_value(
    file: &str,
    values: &[&ValueInfo],
    name: &str,
    expected: &[Extent],
) -> Result<(), PackError> {
    let Some(value) = values.iter().find(|value| value.name() == name) else {
        return Err(missing(file, name, values.iter().map(|value| value.name())));
    };
    let shape = value.shape();
    let fits = shape.len() == expected.len()
        && shape
            .iter()
            .zip(expected)
            .all(|(got, want)| want.fixed().is_none_or(|want| *got == Some(want)));
    if fits {
        return Ok(());
    }
    let expected: Vec<_> = expected.iter().map(Extent::fixed).collect();
    Err(misshapen(file, name, &shape, &expected))
}

fn missing<'a>(file: &str, tensor: &str, found: impl Iterator<Item = &'a str>) -> PackError {
    let found: Vec<&str> = found.collect();
    PackError::MissingTensor(file.to_owned(), tensor.to_owned(), found.join(", "))
}

fn misshapen(
    file: &str,
    tensor: &str,
    got: &[Option<usize>],
    expected: &[Option<usize>],
) -> PackError {
    let (got, expected) = (describe(got), describe(expected));
    PackError::Shape {
        file: file.to_owned(),
        tensor: tensor.to_owned(),
        got,
        expected,
    }
}

/// A shape as messages show it: `[?, 3, 112, 112]`.
pub fn describe(shape: &[Option<usize>]) -> String {
    let text = |extent: &Option<usize>| extent.map_or("?".to_owned(), |it| it.to_string());
    let extents: Vec<String> = shape.iter().map(text).collect();
    format!("[{}]", extents.join(", "))
}

/// A picture of 112×112 that every platform computes alike, interleaved RGB. No face is in it.
pub fn golden_picture() -> Vec<u8> {
    let mut levels = Vec::with_capacity(3 * SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            for channel in 0..3 {
                // Slopes and a fine pattern, so every filter sees something. Integers are exact.
                let slope = row * (channel + 1) + column * (3 - channel);
                let pattern = ((row / 7) ^ (column / 5)) * 13;
                levels.push(((slope / 3 + pattern) % 256) as u8);
            }
        }
    }
    levels
}

/// That picture as a crop that the embedder takes.
pub fn golden_crop() -> RgbImage {
    let side = u32::try_from(SIDE).unwrap_or_default();
    RgbImage::from_raw(side, side, golden_picture()).unwrap_or_default()
}

/// The golden input: that picture as the network wants it.
pub fn golden_input(input: &PictureInput) -> Tensor {
    let shape = vec![1, input.channels.planes(), SIDE, SIDE];
    let mut values = vec![0.0; shape.iter().product()];
    let transform = input.transform();
    transform.write(&golden_picture(), &mut values, SIDE * SIDE, 0);
    Tensor { shape, values }
}

/// Runs the embedder on the golden input and compares all that comes out with the manifest.
///
/// # Errors
/// Where the session fails, an output has another shape, holds a number that is not finite, or
/// differs from what the pack's maker saw by more than the manifest allows.
pub fn check_embedder(pack: &Pack, session: &mut Session) -> Result<(), PackError> {
    let manifest = pack.manifest();
    let embedder = &manifest.embedder;
    let face = golden_input(&embedder.input);
    let outputs = session
        .run(&face.shape, &face.values)
        .map_err(|error| PackError::Run(embedder.file.path.clone(), error))?;
    for tensor in embedder_outputs(embedder) {
        finite(&embedder.file.path, tensor, &outputs)?;
    }
    check_golden(manifest, &outputs)
}

/// The outputs that the manifest names.
pub(super) fn embedder_outputs(embedder: &Embedder) -> Vec<&OutputTensor> {
    [&embedder.embedding, &embedder.ood.output]
        .into_iter()
        .chain(&embedder.embedding_norm)
        .chain(&embedder.network_norms)
        .chain(embedder.causes.as_ref().map(|causes| &causes.output))
        .collect()
}

/// One output for a batch of one, found by name, of the right shape and finite.
fn finite<'a>(
    file: &str,
    wanted: &OutputTensor,
    outputs: &'a [(String, Tensor)],
) -> Result<&'a [f32], PackError> {
    let Some((_, tensor)) = outputs.iter().find(|(name, _)| *name == wanted.name) else {
        let found = outputs.iter().map(|(name, _)| name.as_str());
        return Err(missing(file, &wanted.name, found));
    };
    let extents = wanted.shape.iter();
    let expected: Vec<_> = extents.map(|extent| extent.fixed().or(Some(1))).collect();
    let got: Vec<_> = tensor.shape.iter().copied().map(Some).collect();
    if got != expected {
        return Err(misshapen(file, &wanted.name, &got, &expected));
    }
    if let Some(index) = tensor.values.iter().position(|value| !value.is_finite()) {
        let (file, tensor) = (file.to_owned(), wanted.name.clone());
        return Err(PackError::NotFinite(file, tensor, index));
    }
    Ok(&tensor.values)
}

fn check_golden(manifest: &Manifest, outputs: &[(String, Tensor)]) -> Result<(), PackError> {
    let file = &manifest.embedder.file.path;
    let seen = golden(&manifest.embedder, outputs)?;
    let golden = &manifest.golden;
    let compare = |tensor: &str, got: f32, expected: f32, tolerance: f32| {
        if (got - expected).abs() <= tolerance {
            return Ok(());
        }
        Err(PackError::Golden {
            file: file.clone(),
            tensor: tensor.to_owned(),
            got,
            expected,
            tolerance,
        })
    };
    let name = &manifest.embedder.embedding.name;
    for (got, expected) in seen.embedding.iter().zip(&golden.embedding) {
        compare(name, *got, *expected, golden.embedding_tolerance)?;
    }
    let compare_share = |tensor: &str, got, expected: f32| {
        let tolerance = golden.relative_tolerance * expected.abs().max(1.0);
        compare(tensor, got, expected, tolerance)
    };
    let (norm, logit) = (golden.embedding_norm, golden.ood_logit);
    compare_share("embedding_norm", seen.embedding_norm, norm)?;
    compare_share(&manifest.embedder.ood.output.name, seen.ood_logit, logit)
}

/// How many of the embedding's numbers the manifest keeps of the golden run.
const KEPT: usize = 16;

/// What a run on the golden input gave, in the manifest's form. Tolerances are those of bf16
/// arithmetic, the least precise that a provider may use.
///
/// # Errors
/// A missing output, one of another shape, or a number that is none.
pub fn golden(embedder: &Embedder, outputs: &[(String, Tensor)]) -> Result<Golden, PackError> {
    let file = &embedder.file.path;
    let embedding = finite(file, &embedder.embedding, outputs)?;
    let squares = embedding.iter().map(|value| value * value);
    let length = squares.sum::<f32>().sqrt();
    let embedding_norm = match &embedder.embedding_norm {
        Some(tensor) => finite(file, tensor, outputs)?[0],
        None => length,
    };
    let kept = embedding.iter().take(KEPT);
    Ok(Golden {
        embedding: kept.map(|value| rounded(value / length)).collect(),
        embedding_norm: rounded(embedding_norm),
        ood_logit: rounded(finite(file, &embedder.ood.output, outputs)?[0]),
        embedding_tolerance: 0.02,
        relative_tolerance: 0.1,
    })
}

/// Four decimals: far below the tolerances, and the same on CPUs that round differently.
fn rounded(value: f32) -> f32 {
    (value * 1e4).round() / 1e4
}
