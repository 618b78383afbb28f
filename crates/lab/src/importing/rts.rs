//! Imports the network of Random Temperature Scaling (RTS; Shang et al., arXiv 2212.01015) from
//! its checkpoint: IR-SE-64, an embedding of 512 numbers, and a second head that gives the
//! logarithm of the temperature's variance.
//!
//! The network is written once, as a walk of [`Writer`] over its layers. The first walk,
//! without numbers, collects names and shapes to compare with the checkpoint. The second walk
//! reads the numbers.

use std::collections::BTreeMap;

use super::checkpoint::{CheckpointError, TorchCheckpoint};
use crate::building::head::operators;
use crate::building::recipe::{self, TEMPLATE};
use faceood_engine::embed::EMBEDDING_LENGTH;
use faceood_engine::pack::manifest::{Channels, Embedder, Ood, OodTransform, Polarity, Source};
use faceood_engine::pack::network::graph::{Graph, Model, Node, ValueInfo};

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
/// Version of the file format that came with the operators of [`operators`].
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
    /// `alpha` outputs, each a log variance. The signal is the logarithm of the mean of their
    /// variances: with one output it is the plain head's, and its `exp` is a variance in both.
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
    /// The published architecture.
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
    /// The head that was asked for, whose tensors have this prefix, is not there.
    #[error("the checkpoint has no {0}.0.weight; it holds the other head: leave --head out")]
    OtherHead(&'static str),
}

/// How a checkpoint's tensors differ from those of the network, one line for each difference.
/// `Display` shows the first few of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Tensors of the network that the checkpoint lacks.
    pub missing: Vec<String>,
    /// What the checkpoint has and the network has not.
    pub extra: Vec<String>,
    /// Tensors of another shape.
    pub misshapen: Vec<String>,
}

impl std::fmt::Display for Differences {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MOST_SHOWN: usize = 8;
        for (kind, lines) in [
            ("missing", &self.missing),
            ("extra", &self.extra),
            ("misshapen", &self.misshapen),
        ] {
            for line in lines.iter().take(MOST_SHOWN) {
                write!(formatter, "\n  {kind}: {line}")?;
            }
            if lines.len() > MOST_SHOWN {
                let more = lines.len() - MOST_SHOWN;
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

/// Reads the network. Without `head` it takes the head that the checkpoint has. If there are both,
/// it takes the plain one, as the published pipeline does, which shows one score for a face.
///
/// # Errors
/// If the file is no checkpoint, or its tensors' names and shapes are not the network's. All
/// missing, extra and misshapen ones are named.
pub fn import(
    checkpoint: &mut TorchCheckpoint,
    architecture: &Architecture,
    head: Option<Head>,
) -> Result<ImportedRts, RtsError> {
    let with_outputs = |head: Head| {
        let name = format!("{}.0.weight", head.prefix());
        let (_, shape) = checkpoint.shapes().find(|(found, _)| *found == name)?;
        Some((head, shape.first().copied().unwrap_or(1)))
    };
    let heads = [Head::Rts, Head::RtsPlus].into_iter();
    let present: Vec<(Head, usize)> = heads.filter_map(with_outputs).collect();
    let is_wanted = |found: Head| head.is_none_or(|head| head == found);
    let chosen = present.iter().find(|(found, _)| is_wanted(*found));
    let &(head, head_outputs) = chosen.ok_or(match head {
        None => RtsError::NoHead,
        Some(head) => RtsError::OtherHead(head.prefix()),
    })?;

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
    let mut take = |name: &str, _: &[usize]| checkpoint.floats(name);
    Ok(ImportedRts {
        model: Model {
            ir_version: Some(IR_VERSION),
            producer_name: Some("faceood".to_owned()),
            producer_version: None,
            graph: Some(walk(architecture, head, head_outputs, &mut take)?),
            opset_import: operators(),
        },
        head,
        has_both_heads: present.len() > 1,
        head_outputs,
    })
}

/// How the manifest describes the network in `bytes`.
pub fn described(bytes: &[u8], polarity: Polarity, licence: &str, source: Source) -> Embedder {
    let picture = [None, Some(3), Some(SIDE), Some(SIDE)];
    Embedder {
        file: recipe::file(super::EMBEDDER_FILE, bytes, licence, vec![source]),
        input: recipe::picture(INPUT, &picture, Channels::Rgb, MEAN, SCALE),
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
            Some(got) if got == shape => {}
            Some(got) => {
                let misshapen = format!("{name} is {got:?}, expected {shape:?}");
                differences.misshapen.push(misshapen);
            }
        }
    }
    let is_counter = |name: &str| {
        let layer = name.strip_suffix(COUNTER);
        layer.is_some_and(|layer| expected.contains_key(&format!("{layer}.running_mean")))
    };
    let extra = &mut differences.extra;
    for (name, shape) in &found {
        if !expected.contains_key(*name) && !is_counter(name) {
            extra.push(format!("{name} {shape:?}"));
        }
    }
    let others = checkpoint.others().iter();
    extra.extend(others.map(|name| format!("{name}, which is no tensor")));
    differences
}

/// Walks over the network's layers, taking every tensor once.
fn walk(
    architecture: &Architecture,
    head: Head,
    head_outputs: usize,
    take: &mut Take<'_>,
) -> Result<Graph, CheckpointError> {
    let picture = [None, Some(3), Some(SIDE), Some(SIDE)];
    let mut writer = Writer {
        graph: Graph {
            name: Some("RTS".to_owned()),
            input: vec![ValueInfo::floats(INPUT, &picture)],
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
    let stages = architecture.channels.into_iter().zip(architecture.units);
    let units = stages.flat_map(|(depth, units)| (0..units).map(move |unit| (depth, unit)));
    for (number, (depth, unit)) in units.enumerate() {
        let stride = if unit == 0 { 2 } else { 1 };
        x = writer.unit(&x, number, [channels, depth], stride)?;
        channels = depth;
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
        Head::Rts => drop(writer.batch_norm_as(&x, &layer(1), head_outputs, OOD_LOGIT)?),
        Head::RtsPlus => {
            let x = writer.batch_norm(&x, &layer(1), head_outputs)?;
            writer.log_of_mean_variance(&x, head_outputs);
        }
    }
    Ok(writer.graph)
}
