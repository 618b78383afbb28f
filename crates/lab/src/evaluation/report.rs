//! The evaluation of a folder of photos: JSON is the contract, text and HTML are views of it.

use serde::Serialize;

use super::calibration_error::ReliabilityBin;
use super::error_rates::{DetPoint, Histogram, Rate};
use super::signals::SignalFigures;

/// The form of JSON that is written here.
pub const SCHEMA: u32 = 1;

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct FolderReport {
    /// The form, [`SCHEMA`].
    pub schema: u32,
    /// What was measured with.
    pub model: EvaluatedModel,
    /// What was measured on.
    pub data: Data,
    /// The cuts on the similarity.
    pub thresholds: ReportThresholds,
    /// FNMR and FMR at each named threshold.
    pub error_rates: Vec<AtThreshold>,
    /// Where FNMR and FMR are equal.
    pub equal_error_rate: Option<DetPoint>,
    /// FNMR against FMR over all thresholds.
    pub det: Vec<DetPoint>,
    /// Similarities of genuine and of impostor comparisons.
    pub histogram: Histogram,
    /// Our score and what it is compared with.
    pub signals: Vec<SignalFigures>,
    /// Whether the score comes true.
    pub calibration: CalibrationFigures,
    /// Captures by what pulls their score down most.
    pub causes: Vec<PhotoGroup>,
    /// Captures by terminal or camera; empty where none is known.
    pub sources: Vec<PhotoGroup>,
    /// What each scenario would have refused.
    pub scenarios: Vec<ScenarioFigures>,
}

/// What was measured with.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluatedModel {
    /// Name of the model pack.
    pub pack: String,
    /// Its version.
    pub version: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Where it ran.
    pub provider: String,
    /// Which calibration turned logits into scores.
    pub calibration_id: String,
}

/// What was measured on.
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
    /// Comparisons between persons that could be made; where they are too many, every n-th is.
    pub impostor_possible: usize,
    /// Pictures in which no face was found.
    pub without_face: Vec<String>,
    /// Files that were left out, and why.
    pub skipped: Vec<Skipped>,
}

/// A file that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its path.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// The cuts on the similarity.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReportThresholds {
    /// The pack's: from here on two trusted faces are one person.
    pub same: f32,
    /// The pack's: below, they are two.
    pub different: f32,
    /// Where these photos give a false match in 1,000 impostor comparisons; `null` with fewer than 1,000.
    pub fmr_1e3: Option<f32>,
    /// The one at which comparisons count as failed in the EDC.
    pub edc: f32,
    /// Where that one comes from.
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

/// Both errors at one threshold.
#[derive(Clone, Debug, Serialize)]
pub struct AtThreshold {
    /// What it is called.
    pub name: &'static str,
    /// The similarity.
    pub threshold: f32,
    /// Genuine comparisons below it.
    pub fnmr: Rate,
    /// Where the FNMR lies 95 times in 100 with other persons; `null` with fewer than two.
    pub fnmr_interval: Option<[f64; 2]>,
    /// Impostor comparisons at or above it.
    pub fmr: Rate,
}

/// Whether predictions come true.
#[derive(Clone, Debug, Serialize)]
pub struct CalibrationFigures {
    /// Quality score against the similarity that is reached, on the score's scale.
    pub score: ReliabilityFigures,
    /// Pass probability against whether .45 is reached.
    pub pass_probability: ReliabilityFigures,
}

/// One prediction against what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct ReliabilityFigures {
    /// Captures of persons with another capture.
    pub captures: usize,
    /// Expected calibration error over the bins of `reliability`.
    pub ece: Option<f64>,
    /// Where it lies 95 times in 100 with other persons.
    pub ece_interval: Option<[f64; 2]>,
    /// Bins of equal count.
    pub reliability: Vec<ReliabilityBin>,
}

/// Captures that have something in common.
#[derive(Clone, Debug, Serialize)]
pub struct PhotoGroup {
    /// The cause, `none`, or the source.
    pub name: String,
    /// How many captures.
    pub captures: usize,
    /// Pictures of it without a face; `null` by cause, which only a face has.
    pub failures_to_acquire: Option<usize>,
    /// Mean quality score.
    pub score: f64,
    /// Mean of the similarity reached against the person's other captures, on the score's scale.
    pub reached: Option<f64>,
    /// Share of captures that reach .45.
    pub pass: Rate,
    /// False non-matches at the pack's `same`, of genuine comparisons with a capture of the group.
    pub fnmr: Rate,
}

/// One scenario on these photos.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioFigures {
    /// Its name.
    pub name: String,
    /// Captures refused.
    pub rejected: Rate,
    /// Captures that a person would look at.
    pub reviewed: Rate,
    /// False non-matches at the pack's `same`, of genuine comparisons neither side of which is refused.
    pub fnmr: Rate,
    /// False matches at the pack's `same`, of impostor comparisons neither side of which is refused.
    pub fmr: Rate,
}
