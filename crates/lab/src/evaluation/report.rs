//! The evaluation of a folder of photos. JSON is the contract; text and HTML are views of it.
//! An interval holds 95 of 100 repetitions with other persons; `null` with fewer than two persons.

use serde::Serialize;

use super::calibration_error::ReliabilityBin;
use super::error_rates::{DetPoint, Histogram, Rate};
use super::signals::SignalFigures;

/// Version of the JSON that is written here.
pub const SCHEMA: u32 = 1;

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct FolderReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The models that measured.
    pub model: EvaluatedModel,
    /// The photos.
    pub data: Data,
    /// The thresholds on the similarity.
    pub thresholds: ReportThresholds,
    /// FNMR and FMR at each named threshold.
    pub error_rates: Vec<AtThreshold>,
    /// How many false non-matches the score saw coming.
    pub foreseen: ForeseenMisses,
    /// Where FNMR and FMR are equal.
    pub equal_error_rate: Option<DetPoint>,
    /// FNMR against FMR over all thresholds.
    pub det: Vec<DetPoint>,
    /// Similarities of genuine and of impostor comparisons.
    pub histogram: Histogram,
    /// Our score and what it is compared with.
    pub signals: Vec<SignalFigures>,
    /// Whether predictions come true.
    pub calibration: CalibrationFigures,
    /// Captures by what pulls their score down most.
    pub causes: Vec<PhotoGroup>,
    /// Captures by terminal or camera; empty where none is known.
    pub sources: Vec<PhotoGroup>,
    /// What each scenario would have refused.
    pub scenarios: Vec<ScenarioFigures>,
}

/// The models that measured.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluatedModel {
    /// Name of the model pack.
    pub pack: String,
    /// Version of the pack.
    pub version: String,
    /// SHA-256 of the pack.
    pub sha256: String,
    /// Execution provider: `cuda`, `openvino` or `cpu`.
    pub provider: String,
    /// The calibration that turned logits into scores.
    pub calibration_id: String,
}

/// The photos.
#[derive(Clone, Debug, Serialize)]
pub struct Data {
    /// Folders of persons.
    pub persons: usize,
    /// Files that look like pictures.
    pub pictures: usize,
    /// Pictures with a face: the captures of all figures.
    pub captures: usize,
    /// Pictures without a face, out of those that can be read. They take part in no comparison.
    pub failures_to_acquire: Rate,
    /// Comparisons within a person.
    pub genuine: usize,
    /// Comparisons between persons that were made.
    pub impostor: usize,
    /// Comparisons between persons that are possible; of too many, every n-th is made.
    pub impostor_possible: usize,
    /// Pictures in which no face was found.
    pub without_face: Vec<String>,
    /// Files that were left out, and why.
    pub skipped: Vec<Skipped>,
}

/// A file that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Path of the file.
    pub file: String,
    /// Why it was left out.
    pub reason: String,
}

/// The thresholds on the similarity.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReportThresholds {
    /// The pack's: from here on two trusted faces are one person.
    pub same: f32,
    /// The pack's: below, they are two.
    pub different: f32,
    /// Where these photos give a false match in 1,000 impostor comparisons; `null` with fewer.
    pub fmr_1e3: Option<f32>,
    /// The same for 1 in 10,000.
    pub fmr_1e4: Option<f32>,
    /// Below this similarity a comparison counts as failed in the EDC.
    pub edc: f32,
    /// Where the EDC's threshold comes from.
    pub edc_from: ThresholdFrom,
}

/// Where the EDC's threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdFrom {
    /// One false match in 1,000 on these photos.
    #[serde(rename = "fmr_1e3")]
    Fmr1e3,
    /// The pack's `same`, for want of impostor comparisons.
    Pack,
    /// The command line.
    Option,
}

/// Genuine comparisons one of whose sides scores below `score`: of those that fail at the pack's
/// `same`, and of all. The score is worth something where the first share is far above the second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ForeseenMisses {
    /// Where a good picture begins.
    pub score: f32,
    /// Of the comparisons below `same`.
    pub misses: Rate,
    /// Of all comparisons.
    pub all: Rate,
}

/// Both errors at one threshold.
#[derive(Clone, Debug, Serialize)]
pub struct AtThreshold {
    /// `same`, `different`, `fmr_1e3`, `fmr_1e4` or `given`.
    pub name: &'static str,
    /// The similarity.
    pub threshold: f32,
    /// Genuine comparisons below it.
    pub fnmr: Rate,
    /// Interval of the FNMR. Without an error, or with nothing else, it comes from the number of
    /// persons.
    pub fnmr_interval: Option<[f64; 2]>,
    /// Impostor comparisons at or above it.
    pub fmr: Rate,
}

/// Whether predictions come true.
#[derive(Clone, Debug, Serialize)]
pub struct CalibrationFigures {
    /// Quality score against the similarity that is reached, on the score's scale.
    pub score: ReliabilityFigures,
    /// Pass probability against whether the capture passes.
    pub pass_probability: ReliabilityFigures,
}

/// A prediction against what came true.
#[derive(Clone, Debug, Serialize)]
pub struct ReliabilityFigures {
    /// Captures of persons with another capture.
    pub captures: usize,
    /// Expected calibration error over the bins of `reliability`.
    pub ece: Option<f64>,
    /// Interval of the error.
    pub ece_interval: Option<[f64; 2]>,
    /// Bins of equal count.
    pub reliability: Vec<ReliabilityBin>,
}

/// Captures that have something in common.
#[derive(Clone, Debug, Serialize)]
pub struct PhotoGroup {
    /// The cause, `none`, or the source.
    pub name: String,
    /// Number of captures.
    pub captures: usize,
    /// Pictures of the group without a face; `null` by cause, which only a face has.
    pub failures_to_acquire: Option<usize>,
    /// Mean quality score.
    pub score: f64,
    /// Mean of the similarity reached against the person's other captures, on the score's scale.
    pub reached: Option<f64>,
    /// Share of captures that pass.
    pub pass: Rate,
    /// False non-matches at the pack's `same`, of genuine comparisons with a capture of the group.
    pub fnmr: Rate,
}

/// One scenario on these photos.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioFigures {
    /// Name of the scenario.
    pub name: String,
    /// Captures that are refused.
    pub rejected: Rate,
    /// Captures that a person has to review.
    pub reviewed: Rate,
    /// False non-matches at the pack's `same`, of genuine comparisons whose captures both pass.
    pub fnmr: Rate,
    /// False matches at the pack's `same`, of impostor comparisons whose captures both pass.
    pub fmr: Rate,
}
