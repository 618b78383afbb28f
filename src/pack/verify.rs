//! Refuses a pack that is not what its manifest says: checked file by file when it is opened, and once more with each session
//! that is to serve, since only that shows what a provider computes.

use super::manifest::{Detector, Embedder, Extent, Golden, Manifest, OutputTensor, PictureInput};
use super::network::graph::{Graph, ValueInfo};
use super::{Pack, PackError};
use image::RgbImage;

use crate::runtime::{Session, Tensor};

/// Side of the golden input in pixels.
const SIDE: usize = 112;

/// Numbers of the embedding that callers get, as `embed::EMBEDDING_LENGTH`.
const EMBEDDING_LENGTH: usize = 512;

/// Numbers of 68 landmarks.
const LANDMARK_NUMBERS: usize = 136;

/// Checks that the manifest asks for nothing that this program does not do.
///
/// # Errors
/// Names the field, what it says and what would do.
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
        Err(PackError::Unsupported {
            field,
            got,
            expected,
        })
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
    demand(
        landmarks
            .five_points
            .iter()
            .all(|set| !set.is_empty() && set.iter().all(|&point| point < LANDMARK_NUMBERS / 2)),
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
    largest > 0
        && strides
            .iter()
            .all(|&stride| stride > 0 && largest % stride == 0)
}

fn has_outputs(detector: &Detector) -> bool {
    let has = |name: String| detector.outputs.iter().any(|output| output.name == name);
    detector.strides.iter().all(|stride| {
        ["cls", "obj", "bbox", "kps"]
            .iter()
            .all(|kind| has(format!("{kind}_{stride}")))
    })
}

/// Checks that a graph takes and gives what the manifest says: names, ranks and extents.
///
/// # Errors
/// Names file, tensor, what it is and what it should be.
pub(super) fn check_graph(
    file: &str,
    graph: &Graph,
    input: &PictureInput,
    outputs: &[&OutputTensor],
) -> Result<(), PackError> {
    let made: Vec<&str> = graph
        .initializer
        .iter()
        .map(super::network::graph::Tensor::name)
        .collect();
    let fed: Vec<&ValueInfo> = graph
        .input
        .iter()
        .filter(|value| !made.contains(&value.name()))
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
        let found: Vec<&str> = values.iter().map(|value| value.name()).collect();
        return Err(PackError::MissingTensor {
            file: file.to_owned(),
            tensor: name.to_owned(),
            found: found.join(", "),
        });
    };
    let shape = value.shape();
    let fits = shape.len() == expected.len()
        && shape
            .iter()
            .zip(expected)
            .all(|(got, want)| match (got, want.fixed()) {
                (Some(got), Some(want)) => *got == want,
                (None, Some(_)) => false,
                (_, None) => true,
            });
    if fits {
        return Ok(());
    }
    Err(PackError::Shape {
        file: file.to_owned(),
        tensor: name.to_owned(),
        got: describe(&shape),
        expected: describe(&expected.iter().map(Extent::fixed).collect::<Vec<_>>()),
    })
}

/// `[?, 3, 112, 112]`.
#[must_use]
pub fn describe(shape: &[Option<usize>]) -> String {
    let extents: Vec<String> = shape
        .iter()
        .map(|extent| extent.map_or_else(|| "?".to_owned(), |extent| extent.to_string()))
        .collect();
    format!("[{}]", extents.join(", "))
}

/// A picture of 112×112 that every platform computes alike, interleaved RGB. No face is in it.
#[must_use]
pub fn golden_picture() -> Vec<u8> {
    let mut levels = Vec::with_capacity(3 * SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            for channel in 0..3 {
                // Slopes and a fine pattern: every filter has something to see, and integers are exact everywhere.
                let slope = row * (channel + 1) + column * (3 - channel);
                let pattern = ((row / 7) ^ (column / 5)) * 13;
                levels.push(((slope / 3 + pattern) % 256) as u8);
            }
        }
    }
    levels
}

/// That picture as a crop that the embedder takes.
#[must_use]
pub fn golden_crop() -> RgbImage {
    let side = u32::try_from(SIDE).unwrap_or_default();
    RgbImage::from_raw(side, side, golden_picture()).unwrap_or_default()
}

/// The golden input: that picture as the network wants it.
#[must_use]
pub fn golden_input(input: &PictureInput) -> Tensor {
    let planes = input.channels.planes();
    let mut values = vec![0.0; planes * SIDE * SIDE];
    input
        .transform()
        .write(&golden_picture(), &mut values, SIDE * SIDE, 0);
    Tensor {
        shape: vec![1, planes, SIDE, SIDE],
        values,
    }
}

/// Runs the embedder on the golden input and compares names, shapes, finiteness and values with the manifest.
///
/// # Errors
/// Where the session fails, an output has another shape, holds a number that is not finite, or differs from what the
/// pack's maker saw by more than the manifest allows.
pub fn check_embedder(pack: &Pack, session: &mut Session) -> Result<(), PackError> {
    let manifest = pack.manifest();
    let embedder = &manifest.embedder;
    let outputs = run(embedder, session)?;
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

fn run(embedder: &Embedder, session: &mut Session) -> Result<Vec<(String, Tensor)>, PackError> {
    let face = golden_input(&embedder.input);
    session
        .run(&face.shape, &face.values)
        .map_err(|source| PackError::Run {
            file: embedder.file.path.clone(),
            source,
        })
}

/// One output for a batch of one, found by name, of the right shape and finite.
fn finite<'a>(
    file: &str,
    wanted: &OutputTensor,
    outputs: &'a [(String, Tensor)],
) -> Result<&'a [f32], PackError> {
    let Some((_, tensor)) = outputs.iter().find(|(name, _)| *name == wanted.name) else {
        let found: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        return Err(PackError::MissingTensor {
            file: file.to_owned(),
            tensor: wanted.name.clone(),
            found: found.join(", "),
        });
    };
    let expected: Vec<usize> = wanted
        .shape
        .iter()
        .map(|extent| extent.fixed().unwrap_or(1))
        .collect();
    if tensor.shape != expected {
        let some = |shape: &[usize]| describe(&shape.iter().copied().map(Some).collect::<Vec<_>>());
        return Err(PackError::Shape {
            file: file.to_owned(),
            tensor: wanted.name.clone(),
            got: some(&tensor.shape),
            expected: some(&expected),
        });
    }
    if let Some(index) = tensor.values.iter().position(|value| !value.is_finite()) {
        return Err(PackError::NotFinite {
            file: file.to_owned(),
            tensor: wanted.name.clone(),
            index,
        });
    }
    Ok(&tensor.values)
}

fn check_golden(manifest: &Manifest, outputs: &[(String, Tensor)]) -> Result<(), PackError> {
    let file = &manifest.embedder.file.path;
    let seen = golden(&manifest.embedder, outputs)?;
    let golden = &manifest.golden;
    let differs = |tensor: &str, got: f32, expected: f32, tolerance: f32| {
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
    for (got, expected) in seen.embedding.iter().zip(&golden.embedding) {
        differs(
            &manifest.embedder.embedding.name,
            *got,
            *expected,
            golden.embedding_tolerance,
        )?;
    }
    let share = |expected: f32| golden.relative_tolerance * expected.abs().max(1.0);
    differs(
        "embedding_norm",
        seen.embedding_norm,
        golden.embedding_norm,
        share(golden.embedding_norm),
    )?;
    differs(
        &manifest.embedder.ood.output.name,
        seen.ood_logit,
        golden.ood_logit,
        share(golden.ood_logit),
    )
}

/// How many of the embedding's numbers the manifest keeps of the golden run.
const KEPT: usize = 16;

/// What a run on the golden input gave, in the manifest's form. Tolerances are those of bf16 arithmetic, the least precise
/// that a provider may use.
///
/// # Errors
/// As [`check_embedder`].
pub fn golden(embedder: &Embedder, outputs: &[(String, Tensor)]) -> Result<Golden, PackError> {
    let file = &embedder.file.path;
    let embedding = finite(file, &embedder.embedding, outputs)?;
    let length = embedding
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt();
    let embedding_norm = match &embedder.embedding_norm {
        Some(tensor) => finite(file, tensor, outputs)?[0],
        None => length,
    };
    Ok(Golden {
        embedding: embedding
            .iter()
            .take(KEPT)
            .map(|value| rounded(value / length))
            .collect(),
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
