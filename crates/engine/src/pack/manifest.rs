//! `manifest.toml`: what a pack's files are, how to feed them and how to read what comes out. All
//! that differs between packs stands here, so code never asks which pack it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::runtime::Channels;
use crate::runtime::{InputTransform, PlaneNumber};

/// The newest manifest this program reads. A pack written for a newer program is refused.
pub const MANIFEST_VERSION: u32 = 1;

/// A pack's description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Which form of manifest this is.
    pub manifest_version: u32,
    /// The pack's name, as `model.pack` on the wire.
    pub id: String,
    /// The pack's version, as `model.version` on the wire.
    pub version: String,
    /// One sentence for the operator.
    pub description: String,
    /// Below which similarity two faces differ.
    pub similarity: SimilarityThresholds,
    /// Finds faces.
    pub detector: Detector,
    /// Finds the points that a face is aligned by.
    pub landmarks: Landmarks,
    /// Turns an aligned face into numbers.
    pub embedder: Embedder,
    /// Maps the OOD signal onto scores.
    pub calibration: CalibrationFile,
    /// A known input with the embedder's output: does a provider compute what the maker saw?
    pub golden: Golden,
    /// How the OOD head came about; absent where the network brought its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
}

/// Cuts on similarity that belong to this embedder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimilarityThresholds {
    /// From here on two captures show the same person.
    pub same: f32,
    /// From here on a person has to look; below they differ.
    pub review: f32,
}

/// One file of the pack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackFile {
    /// Name inside the pack's folder.
    pub path: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// SPDX expression of its licence.
    pub licence: String,
    /// Where it comes from.
    pub sources: Vec<Source>,
}

/// A published file that a pack's file was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Package and version, as its registry names them.
    pub package: String,
    /// Path inside the package.
    pub path: String,
    /// SHA-256 of the published file.
    pub sha256: String,
    /// Its licence.
    pub licence: String,
}

/// An extent of a tensor: a number, or a name where any size goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Extent {
    /// Always this.
    Fixed(usize),
    /// Any; the name is for readers.
    Dynamic(String),
}

impl Extent {
    /// The number, where it is fixed.
    pub const fn fixed(&self) -> Option<usize> {
        match self {
            Self::Fixed(extent) => Some(*extent),
            Self::Dynamic(_) => None,
        }
    }
}

/// A tensor that a network gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputTensor {
    /// Its name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<Extent>,
}

/// The NCHW tensor that a network is fed: `(pixel − mean) · scale`, pixels 0–255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureInput {
    /// Its name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<Extent>,
    /// Order of the planes.
    pub channels: Channels,
    /// Subtracted from each pixel: one number, or one for each plane in their order.
    pub mean: PlaneNumber,
    /// What the difference is multiplied with, in the same way.
    pub scale: PlaneNumber,
}

impl PictureInput {
    /// How pixels become its numbers.
    pub const fn transform(&self) -> InputTransform {
        InputTransform {
            channels: self.channels,
            mean: self.mean,
            scale: self.scale,
        }
    }

    /// Width of the picture in pixels; 0 where it is free.
    pub fn side(&self) -> u32 {
        let side = self.shape.last().and_then(Extent::fixed).unwrap_or(0);
        u32::try_from(side).unwrap_or(0)
    }
}

/// How a detector's outputs are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoding {
    /// YuNet: per stride `cls_s`, `obj_s`, `bbox_s`, `kps_s`; score = √(cls · obj), offsets in
    /// cells, sizes as logarithms.
    Yunet,
}

/// Finds faces in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// The network.
    pub file: PackFile,
    /// What it is fed; height and width are multiples of the largest stride.
    pub input: PictureInput,
    /// What it gives.
    pub outputs: Vec<OutputTensor>,
    /// How that is read.
    pub decoding: Decoding,
    /// Cell sizes in pixels, each a part of the largest.
    pub strides: Vec<u32>,
    /// Longer side of the first pass over the whole picture, in pixels.
    pub first_side: u32,
    /// A candidate of this score is a face, and ends the search for the largest one.
    pub sure_score: f32,
    /// From here on a second opinion is asked before the next stage of the search.
    pub middling_score: f32,
    /// From here on a closer look at a face whose box is coarse is believed.
    pub refined_score: f32,
    /// A candidate of less is forgotten at once.
    pub floor_score: f32,
    /// Overlap (IoU) above which two boxes are one face.
    pub overlap_threshold: f32,
    /// Share of the smaller box inside the larger above which they are one face.
    pub containment_threshold: f32,
    /// How candidates below `sure_score` are judged.
    pub second_opinion: SecondOpinion,
}

/// A logistic regression on how a candidate is seen again at other sizes and in other light: above
/// zero it is a face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondOpinion {
    /// A look of less says nothing.
    pub least_score: f32,
    /// A look counts where it finds the box again: least overlap (IoU).
    pub least_overlap: f32,
    /// A box below this share of the picture's longer side is as unlikely as one of this share.
    pub smallest_share: f32,
    /// Of the candidate's own score, the three best looks in falling order, the logarithms of the
    /// box's share and of its height to width, and how far the points move, as a share of the box.
    pub weights: [f32; 7],
    /// Added to their sum.
    pub bias: f32,
}

/// Finds the points of a face that it is aligned by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landmarks {
    /// The network.
    pub file: PackFile,
    /// What it is fed.
    pub input: PictureInput,
    /// x and y in turn, 0–1 across the crop.
    pub output: OutputTensor,
    /// Side of the square that is cropped around the box's centre, in longer sides of the box.
    pub crop_scale: f32,
    /// For each of the five alignment points (eyes, nose, mouth corners, image left to right) the
    /// points it is the mean of.
    pub five_points: [Vec<usize>; 5],
}

/// Turns an aligned face into numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedder {
    /// The network.
    pub file: PackFile,
    /// What it is fed.
    pub input: PictureInput,
    /// Where the five points lie in an aligned face, in pixels.
    pub template: [[f32; 2]; 5],
    /// The tensor `[N, length]` that holds the embedding, of any length: readers normalise it.
    pub embedding: OutputTensor,
    /// The tensor `[N]` of the embedding norm; absent where it is the length of `embedding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_norm: Option<OutputTensor>,
    /// The tensor `[N, networks]` of each network's output length; absent where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_norms: Option<OutputTensor>,
    /// The networks, in the order of `network_norms`.
    pub networks: Vec<Network>,
    /// The OOD signal.
    pub ood: Ood,
    /// What the network itself says of what is wrong with a picture; absent where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causes: Option<Causes>,
}

/// What the network says of causes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Causes {
    /// The tensor, `[N, causes]`: 0 is not to be seen, 1 plainly.
    pub output: OutputTensor,
    /// Their names, in its order.
    pub names: Vec<String>,
    /// Sum of the numbers of `occlusion` and `mask` from which a face may be covered.
    pub covered_from: f32,
    /// The sum from which it surely is. Between both the chance rises evenly. Without it,
    /// `covered_from` is the cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covered_surely_from: Option<f32>,
}

/// One network inside the embedder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its name in the log.
    pub name: String,
    /// Its share of the similarity.
    pub weight: f32,
    /// Mean length of its output over clean faces.
    pub clean_norm: f32,
    /// How many numbers it gives.
    pub length: usize,
    /// How many of the embedding's numbers are its.
    pub directions: usize,
}

/// How the raw OOD output becomes a signal of which more is better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ood {
    /// The tensor, `[N]` or `[N, 1]`.
    pub output: OutputTensor,
    /// Applied to the raw number.
    pub transform: OodTransform,
    /// Which end is good.
    pub polarity: Polarity,
}

/// A function of the raw OOD output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OodTransform {
    /// The number as it is.
    Identity,
    /// e to its power: the variance, where a network gives its logarithm.
    Exp,
}

/// Which end of the OOD signal means a picture that can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

impl Ood {
    /// The signal that calibration maps onto scores, turned so that more is better.
    pub fn signal(&self, raw: f32) -> f32 {
        let transformed = match self.transform {
            OodTransform::Identity => raw,
            OodTransform::Exp => raw.exp(),
        };
        match self.polarity {
            Polarity::HigherIsBetter => transformed,
            Polarity::LowerIsBetter => -transformed,
        }
    }
}

/// The file that maps the OOD signal onto scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    /// The file.
    pub file: PackFile,
    /// Its id, as the log stores it.
    pub id: String,
}

/// What the embedder makes of [`super::verify::golden_picture`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The embedding's first numbers, of unit length as a whole.
    pub embedding: Vec<f32>,
    /// The embedding norm.
    pub embedding_norm: f32,
    /// The raw OOD output.
    pub ood_logit: f32,
    /// Largest difference that a provider may show in one of the embedding's numbers.
    pub embedding_tolerance: f32,
    /// Largest share by which norm and OOD output may differ.
    pub relative_tolerance: f32,
}

/// How the OOD head was learnt and how well it does on people it has not seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// What was done, in a sentence.
    pub recipe: String,
    /// Settings of the recipe by name.
    pub settings: BTreeMap<String, f64>,
    /// How many of what went in.
    pub counts: BTreeMap<String, u64>,
    /// Measured on held-out people.
    pub figures: BTreeMap<String, f64>,
}

impl Manifest {
    /// Every file the pack consists of, besides the manifest.
    pub fn files(&self) -> [&PackFile; 4] {
        [
            &self.detector.file,
            &self.landmarks.file,
            &self.embedder.file,
            &self.calibration.file,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polarity_and_transform_turn_a_log_variance_into_more_is_better() {
        let ood = Ood {
            output: OutputTensor {
                name: "logvar".to_owned(),
                shape: vec![Extent::Dynamic("N".to_owned()), Extent::Fixed(1)],
            },
            transform: OodTransform::Exp,
            polarity: Polarity::LowerIsBetter,
        };
        assert!(ood.signal(-1.0) > ood.signal(1.0));
        assert!((ood.signal(0.0) + 1.0).abs() < 1e-6);
    }
}
