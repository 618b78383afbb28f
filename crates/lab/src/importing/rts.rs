//! Imports the network of Random Temperature Scaling (RTS; Shang et al., arXiv 2212.01015) from
//! its checkpoint: IR-SE-64, an embedding of 512 numbers, and a second head that gives the
//! logarithm of the temperature's variance.
//!
//! The network is written once, as a walk of [`Writer`] over its layers. The first walk,
//! without numbers, collects names and shapes to compare with the checkpoint. The second walk
//! reads the numbers.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::{CheckpointError, TorchCheckpoint};
use crate::building::recipe::{self, TEMPLATE};
use faceood::embed::EMBEDDING_LENGTH;
use faceood::pack::manifest::{Channels, Embedder, Ood, OodTransform, Polarity, Source};
use faceood::pack::network::graph::{Graph, Model, Node, OperatorSet, ValueInfo};

mod layers;

use layers::{Take, Writer};

/// The input tensor: `[N, 3, 112, 112]`, RGB, `(pixel / 255 − .5) / .5`.
pub const INPUT: &str = "face";
/// What is subtracted from a pixel.
pub const MEAN: f32 = 127.5;
/// What the difference is multiplied with.
pub const SCALE: f32 = 1.0 / 127.5;
/// The output `[N, 512]`, not normalised.
pub const EMBEDDING: &str = "embedding";
/// The output `[N, 1]`: log variance of the temperature.
pub const OOD_LOGIT: &str = "ood_logit";

/// Side of the input in pixels.
const SIDE: usize = 112;
/// Version of the standard operators: the default pack's.
const OPSET: i64 = 21;
/// Version of the file format that came with it.
const IR_VERSION: i64 = 10;

/// Prefixes of the second head, by variant.
const PLAIN_HEAD: &str = "logvar_rts_backbone";
const PLUS_HEAD: &str = "logvar_rts_plus_backbone";
/// A batch norm's counter of training steps; older checkpoints have none, and nobody needs it.
const COUNTER: &str = ".num_batches_tracked";

/// Which second head gives the OOD signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// One output: the log variance itself.
    Rts,
    /// `alpha` outputs, each a log variance. The signal is the logarithm of the mean of their variances, so that with one output
    /// it is the plain head's, and `exp` of it is a variance in both.
    RtsPlus,
}

impl Head {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Rts => PLAIN_HEAD,
            Self::RtsPlus => PLUS_HEAD,
        }
    }
}

/// Depth and width of the backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Units of each stage; the first of each halves the picture.
    pub units: [usize; 4],
    /// Channels of each stage.
    pub channels: [usize; 4],
}

impl Architecture {
    /// The published one.
    pub const IR_SE_64: Self = Self {
        units: [3, 8, 16, 3],
        channels: [64, 128, 256, 512],
    };

    /// Numbers that the two heads read: the last stage's channels at 7×7 positions.
    const fn flattened(&self) -> usize {
        let side = SIDE / 16;
        self.channels[3] * side * side
    }
}

/// Why a checkpoint is no RTS network.
#[derive(Debug, thiserror::Error)]
pub enum RtsError {
    /// The file cannot be read.
    #[error(transparent)]
    TorchCheckpoint(#[from] CheckpointError),
    /// Names or shapes are not those of the network.
    #[error("the checkpoint is not the RTS network (IR-SE-64):{0}")]
    Different(Differences),
    /// There is no second head.
    #[error(
        "the checkpoint has no head for the temperature's variance: neither {PLAIN_HEAD}.0.weight nor {PLUS_HEAD}.0.weight; it is a recogniser alone: export it to ONNX and use `faceood-admin models import-onnx`"
    )]
    NoHead,
    /// The head that was asked for is not there.
    #[error("the checkpoint has no {prefix}.0.weight; it holds the other head: leave --head out")]
    OtherHead {
        /// What its tensors' names begin with.
        prefix: &'static str,
    },
}

/// Where a checkpoint's tensors are not those of the network, a line each. Shown, it tells the first few of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Tensors of the network that the checkpoint lacks.
    pub missing: Vec<String>,
    /// What the checkpoint has and the network has not.
    pub extra: Vec<String>,
    /// Tensors of another shape.
    pub misshapen: Vec<String>,
}

/// Most differences of a kind that a message tells.
const MOST_LISTED: usize = 8;

impl std::fmt::Display for Differences {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (kind, lines) in [
            ("missing", &self.missing),
            ("extra", &self.extra),
            ("misshapen", &self.misshapen),
        ] {
            for line in lines.iter().take(MOST_LISTED) {
                write!(formatter, "\n  {kind}: {line}")?;
            }
            if lines.len() > MOST_LISTED {
                let more = lines.len() - MOST_LISTED;
                write!(formatter, "\n  … and {more} more {kind}")?;
            }
        }
        Ok(())
    }
}

/// An imported network.
#[derive(Debug)]
pub struct ImportedRts {
    /// Takes [`INPUT`], gives [`EMBEDDING`] and [`OOD_LOGIT`].
    pub model: Model,
    /// Which head it has.
    pub head: Head,
    /// Whether the checkpoint has the other head as well.
    pub has_both_heads: bool,
    /// How many outputs the head has in the checkpoint.
    pub head_outputs: usize,
}

/// Reads the network. Without `head` it is the one that the checkpoint has, and the plain one where it has both: the published
/// pipeline shows one score for a face.
///
/// # Errors
/// Where the file is none, or its tensors' names and shapes are not the network's: all missing, extra and misshapen ones are named.
pub fn import(
    checkpoint: &mut TorchCheckpoint,
    architecture: &Architecture,
    head: Option<Head>,
) -> Result<ImportedRts, RtsError> {
    let outputs_of = |head: Head| {
        let name = format!("{}.0.weight", head.prefix());
        let mut shapes = checkpoint.shapes();
        let (_, shape) = shapes.find(|(found, _)| *found == name)?;
        Some(shape.first().copied().unwrap_or(1))
    };
    let present: Vec<(Head, usize)> = [Head::Rts, Head::RtsPlus]
        .into_iter()
        .filter_map(|head| Some((head, outputs_of(head)?)))
        .collect();
    let chosen = match head {
        None => present.first().ok_or(RtsError::NoHead)?,
        Some(head) => {
            present
                .iter()
                .find(|(found, _)| *found == head)
                .ok_or(RtsError::OtherHead {
                    prefix: head.prefix(),
                })?
        }
    };
    let (head, head_outputs) = *chosen;

    let mut expected = BTreeMap::new();
    for &(head, outputs) in &present {
        walk(architecture, head, outputs, &mut |name, shape| {
            expected.insert(name.to_owned(), shape.to_vec());
            Ok(Vec::new())
        })?;
    }
    let differences = compare(&expected, checkpoint);
    if differences != Differences::default() {
        return Err(RtsError::Different(differences));
    }
    let graph = walk(architecture, head, head_outputs, &mut |name, _| {
        checkpoint.floats(name)
    })?;
    Ok(ImportedRts {
        model: Model {
            ir_version: Some(IR_VERSION),
            producer_name: Some("faceood".to_owned()),
            producer_version: None,
            graph: Some(graph),
            opset_import: vec![OperatorSet {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
        },
        head,
        has_both_heads: present.len() > 1,
        head_outputs,
    })
}

/// How the manifest describes the network in `bytes`.
#[must_use]
pub fn described(bytes: &[u8], polarity: Polarity, licence: &str, source: Source) -> Embedder {
    Embedder {
        file: recipe::file(super::EMBEDDER_FILE, bytes, licence, vec![source]),
        input: recipe::picture(
            INPUT,
            &[None, Some(3), Some(SIDE), Some(SIDE)],
            Channels::Rgb,
            MEAN,
            SCALE,
        ),
        template: TEMPLATE,
        embedding: recipe::output(EMBEDDING, &[None, Some(EMBEDDING_LENGTH)]),
        embedding_norm: None,
        network_norms: None,
        networks: Vec::new(),
        ood: Ood {
            output: recipe::output(OOD_LOGIT, &[None, Some(1)]),
            transform: OodTransform::Exp,
            polarity,
        },
        causes: None,
    }
}

/// Every tensor that is missing, misshapen or does not belong.
fn compare(expected: &BTreeMap<String, Vec<usize>>, checkpoint: &TorchCheckpoint) -> Differences {
    let found: BTreeMap<&str, &[usize]> = checkpoint.shapes().collect();
    let mut differences = Differences::default();
    for (name, shape) in expected {
        match found.get(name.as_str()) {
            None => differences.missing.push(format!("{name} {shape:?}")),
            Some(got) if got != shape => differences
                .misshapen
                .push(format!("{name} is {got:?}, expected {shape:?}")),
            Some(_) => {}
        }
    }
    let counters: BTreeSet<String> = expected
        .keys()
        .filter_map(|name| name.strip_suffix(".running_mean"))
        .map(|layer| format!("{layer}{COUNTER}"))
        .collect();
    for (name, shape) in &found {
        if !expected.contains_key(*name) && !counters.contains(*name) {
            differences.extra.push(format!("{name} {shape:?}"));
        }
    }
    let others = checkpoint.others().iter();
    differences
        .extra
        .extend(others.map(|name| format!("{name}, which is no tensor")));
    differences
}

/// Walks over the network's layers, taking every tensor once.
fn walk(
    architecture: &Architecture,
    head: Head,
    head_outputs: usize,
    take: &mut Take<'_>,
) -> Result<Graph, CheckpointError> {
    let mut writer = Writer {
        graph: Graph {
            name: Some("RTS".to_owned()),
            input: vec![ValueInfo::floats(
                INPUT,
                &[None, Some(3), Some(SIDE), Some(SIDE)],
            )],
            output: vec![
                ValueInfo::floats(EMBEDDING, &[None, Some(EMBEDDING_LENGTH)]),
                ValueInfo::floats(OOD_LOGIT, &[None, Some(1)]),
            ],
            ..Graph::default()
        },
        take,
    };
    let stem = architecture.channels[0];
    let x = writer.convolution(INPUT, "features.0.0", [stem, 3, 3], 1)?;
    let x = writer.batch_norm(&x, "features.0.1", stem)?;
    let mut x = writer.prelu(&x, "features.0.2", stem)?;
    let mut channels = stem;
    let mut number = 0;
    for (depth, units) in architecture.channels.into_iter().zip(architecture.units) {
        for unit in 0..units {
            let stride = if unit == 0 { 2 } else { 1 };
            x = writer.unit(&x, number, [channels, depth], stride)?;
            channels = depth;
            number += 1;
        }
    }
    let x = writer.batch_norm(&x, "features.2.0", channels)?;
    let flat = writer.push(Node::new("Flatten", &[&x], "flat").with_int("axis", 1));

    let shape = [EMBEDDING_LENGTH, architecture.flattened()];
    let x = writer.linear(&flat, "features_backbone.0", shape)?;
    writer.batch_norm_as(&x, "features_backbone.1", EMBEDDING_LENGTH, EMBEDDING)?;

    let layer = |part: usize| format!("{}.{part}", head.prefix());
    let shape = [head_outputs, architecture.flattened()];
    let x = writer.linear(&flat, &layer(0), shape)?;
    match head {
        Head::Rts => writer.batch_norm_as(&x, &layer(1), head_outputs, OOD_LOGIT)?,
        Head::RtsPlus => {
            let x = writer.batch_norm(&x, &layer(1), head_outputs)?;
            writer.log_of_mean_variance(&x, head_outputs);
        }
    }
    Ok(writer.graph)
}
