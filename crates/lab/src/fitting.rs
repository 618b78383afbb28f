//! Finds the degradation that makes a clean picture look like a pattern from the log. It tries
//! kinds and strengths of [`degrade`](crate::degrade) and compares score, causes and components of
//! the result with those of the pattern.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::RangeInclusive;
use std::time::Duration;

use image::{ImageFormat, RgbImage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

use faceood_engine::capture::pixels;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::pipeline::{AnalyzeError, Ask, Pipeline, TEST_FACE};
use faceood_engine::quality::components::{Component, Components};
use faceood_engine::quality::{Cause, CauseName, Quality};
use faceood_engine::stats::mean;

use crate::degrade::{Degradation, DegradationKind, Dose, Recipe, degrade};

/// Strengths at which every kind is tried, and those at which the likeliest are.
const FEW: [f32; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];
const ALL: [f32; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
const LIKELIEST: usize = 2;
/// Random draws at each strength, of every kind and of the likeliest ones: a kind leaves much open
/// that strength does not say.
const DRAWS: u64 = 2;
const MANY_DRAWS: u64 = 4;
/// One kind at this distance or less explains the pattern by itself.
const NEAR: f64 = 0.25;
/// A second kind has to reduce the distance by this factor, because two kinds always come a little
/// nearer than one.
const SECOND_KIND_GAIN: f64 = 0.75;
/// Largest distance of a recipe. Another cause is at least 1.4 away.
const FARTHEST: f64 = 0.8;
/// Weight of a component's deviation beside a cause's weight.
const MEASURE_WEIGHT: f64 = 0.1;
/// Larger deviations grow only with the logarithm.
const KNEE: f64 = 2.0;
/// Training starts at this share of the least strength, because weaker cases of a fault are not
/// among the low scores that the pattern consists of.
const WEAKER: f32 = 0.5;

/// The components that a degradation changes. Pose and size belong to the person.
pub const COMPONENTS: [Component; 11] = [
    Component::Sharpness,
    Component::UnderExposurePrevention,
    Component::OverExposurePrevention,
    Component::LuminanceMean,
    Component::LuminanceVariance,
    Component::DynamicRange,
    Component::IlluminationUniformity,
    Component::CompressionArtifacts,
    Component::Noise,
    Component::MotionBlur,
    Component::RecapturePattern,
];

/// Why no degradation can be tried.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// A picture cannot be read or written.
    #[error("the embedded test picture cannot be used: {0}")]
    Picture(#[from] image::ImageError),
    /// The pipeline failed.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// The detector finds no face in the embedded picture.
    #[error("no face is found in the embedded test picture; the pack's detector is damaged")]
    NoFace,
}

/// The pattern that a degradation has to match.
pub struct Target {
    /// The pattern's mean appearance.
    pub appearance: Appearance,
    /// The scores of most of its captures: the 10th to the 90th percentile.
    pub scores: RangeInclusive<f64>,
    /// Median width of its faces in pixels, if known.
    pub face_px: Option<f32>,
}

/// What comes nearest to a pattern.
#[derive(Default)]
pub struct Fitted {
    /// Empty if no kind comes near.
    pub recipe: Recipe,
    /// The distance of the nearest kinds, and the appearance that they give.
    pub nearest: Option<(f64, Appearance)>,
}

/// Score, causes and components of a capture, or the means of several.
#[derive(Clone, Debug, Serialize)]
pub struct Appearance {
    /// The quality score, 0…1.
    pub score: f64,
    /// The causes with their weights.
    pub causes: Vec<Cause>,
    /// For each component of [`COMPONENTS`] its difference from a clean capture, in usual
    /// deviations.
    pub deviations: BTreeMap<&'static str, f64>,
}

/// A kind at a strength, over some draws.
#[derive(Clone)]
struct FittingTrial {
    kind: DegradationKind,
    strength: f32,
    distance: f64,
    appearance: Appearance,
}

/// Most steps that [`fit`] reports.
pub const STEPS: u64 = (2 * DegradationKind::ALL.len() - 1 + LIKELIEST) as u64;

/// Tries all kinds at some strengths on a clean picture whose face is as large as the pattern's,
/// then the likeliest kinds at more strengths, then a second kind in addition. Calls `progress`
/// after each step.
///
/// # Errors
/// If the pipeline fails, or finds no face in the clean picture.
pub fn fit(
    target: &Target,
    pipeline: Pipeline,
    ask: &Ask,
    progress: &dyn Fn(),
) -> Result<Fitted, FitError> {
    let mut bench = Bench::open(target, pipeline, ask)?;
    let mut roughly: Vec<FittingTrial> = Vec::new();
    for kind in DegradationKind::ALL {
        roughly.extend(nearest_of(bench.try_kind(&[], kind, &FEW, DRAWS)?));
        progress();
    }
    roughly.sort_by(|one, other| one.distance.total_cmp(&other.distance));
    let mut tried = Vec::new();
    for likely in roughly.iter().take(LIKELIEST) {
        tried.extend(bench.try_kind(&[], likely.kind, &ALL, MANY_DRAWS)?);
        progress();
    }
    let Some(best) = nearest_of(tried.iter().cloned()) else {
        return Ok(Fitted::default());
    };
    let mut pairs = Vec::new();
    if best.distance > NEAR {
        for kind in DegradationKind::ALL {
            if kind != best.kind {
                let first = (best.kind, best.strength);
                pairs.extend(bench.try_kind(&[first], kind, &FEW, DRAWS)?);
                progress();
            }
        }
    }
    let second = nearest_of(pairs).filter(|pair| pair.distance < SECOND_KIND_GAIN * best.distance);
    let kinds = match &second {
        Some(pair) if pair.distance <= FARTHEST => vec![
            dose(best.kind, best.strength, best.strength),
            dose(pair.kind, pair.strength, pair.strength),
        ],
        None if best.distance <= FARTHEST => vec![alone(&best, &tried, &target.scores)],
        _ => Vec::new(),
    };
    let found = second.unwrap_or(best);
    Ok(Fitted {
        recipe: Recipe { kinds },
        nearest: Some((found.distance, found.appearance)),
    })
}

fn nearest_of(tried: impl IntoIterator<Item = FittingTrial>) -> Option<FittingTrial> {
    let tried = tried.into_iter();
    tried.min_by(|one, other| one.distance.total_cmp(&other.distance))
}

/// A kind that makes the pattern by itself, at the strengths whose scores are the pattern's.
fn alone(best: &FittingTrial, tried: &[FittingTrial], scores: &RangeInclusive<f64>) -> Dose {
    let is_of_pattern =
        |trial: &&FittingTrial| trial.kind == best.kind && scores.contains(&trial.appearance.score);
    let strengths = tried
        .iter()
        .filter(is_of_pattern)
        .map(|trial| trial.strength);
    let least = strengths.clone().fold(best.strength, f32::min);
    dose(best.kind, least, strengths.fold(best.strength, f32::max))
}

fn dose(kind: DegradationKind, least: f32, most: f32) -> Dose {
    Dose {
        kind,
        strengths: [WEAKER * least, most],
    }
}

struct Bench<'a> {
    target: &'a Appearance,
    pipeline: Pipeline,
    ask: &'a Ask,
    clean: RgbImage,
    clean_components: Components,
    face_px: f32,
}

impl<'a> Bench<'a> {
    fn open(target: &'a Target, mut pipeline: Pipeline, ask: &'a Ask) -> Result<Self, FitError> {
        let full = image::load_from_memory(TEST_FACE)?.to_rgb8();
        let (width, _) = look(&mut pipeline, ask, &full)?.ok_or(FitError::NoFace)?;
        let scale = (target.face_px.unwrap_or(width) / width).clamp(0.1, 1.0);
        let side = |length: u32| (length as f32 * scale).round() as u32;
        let clean = pixels::resize(&full, side(full.width()), side(full.height()));
        let (face_px, quality) = look(&mut pipeline, ask, &clean)?.ok_or(FitError::NoFace)?;
        Ok(Self {
            target: &target.appearance,
            pipeline,
            ask,
            clean,
            clean_components: quality.components,
            face_px,
        })
    }

    /// Tries `kind` at these strengths together with `others`. Strengths at which no face is found
    /// are left out.
    fn try_kind(
        &mut self,
        others: &[(DegradationKind, f32)],
        kind: DegradationKind,
        strengths: &[f32],
        draws: u64,
    ) -> Result<Vec<FittingTrial>, FitError> {
        let mut tried = Vec::new();
        for &strength in strengths {
            let mut all = Vec::new();
            for draw in 0..draws {
                let mut random = ChaCha8Rng::seed_from_u64(draw);
                let steps: Vec<Degradation> = others
                    .iter()
                    .chain(&[(kind, strength)])
                    .flat_map(|(kind, strength)| kind.draw(*strength, self.face_px, &mut random))
                    .collect();
                let worse = degrade(&self.clean, &steps, draw);
                if let Some((_, quality)) = look(&mut self.pipeline, self.ask, &worse)? {
                    all.push(self.shown(quality));
                }
            }
            // The pattern is a mean of many captures, too.
            let Some(shown) = mean_of(&all) else { continue };
            tried.push(FittingTrial {
                kind,
                strength,
                distance: distance(self.target, &shown),
                appearance: shown,
            });
        }
        Ok(tried)
    }

    fn shown(&self, quality: Quality) -> Appearance {
        let deviations = COMPONENTS.into_iter().filter_map(|component| {
            let clean = self.clean_components.get(component)?;
            let off = quality.components.get(component)? - clean;
            Some((
                component.name(),
                f64::from(off / component.usual().deviation),
            ))
        });
        Appearance {
            score: f64::from(quality.score),
            deviations: deviations.collect(),
            causes: quality.causes,
        }
    }
}

/// The mean of several captures: for each cause its mean weight, as in a pattern.
fn mean_of(all: &[Appearance]) -> Option<Appearance> {
    if all.is_empty() {
        return None;
    }
    let cause = |name| {
        let causes = all.iter().flat_map(|shown| &shown.causes);
        let weights = causes
            .filter(|cause| cause.name == name)
            .map(|cause| cause.weight);
        let weight = weights.sum::<f32>() / all.len() as f32;
        (weight > 0.0).then_some(Cause { name, weight })
    };
    let deviation = |component: Component| {
        let name = component.name();
        let of_each = all.iter().filter_map(|shown| shown.deviations.get(name));
        let values: Vec<f64> = of_each.copied().collect();
        (values.len() == all.len()).then(|| (name, mean(&values)))
    };
    let scores: Vec<f64> = all.iter().map(|shown| shown.score).collect();
    Some(Appearance {
        score: mean(&scores),
        causes: CauseName::ALL.into_iter().filter_map(cause).collect(),
        deviations: COMPONENTS.into_iter().filter_map(deviation).collect(),
    })
}

/// Width of the face in pixels, and its quality; `None` without a face.
fn look(
    pipeline: &mut Pipeline,
    ask: &Ask,
    picture: &RgbImage,
) -> Result<Option<(f32, Quality)>, FitError> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Bmp)?;
    let analysis = pipeline.analyze(bytes.get_ref(), ask, Duration::ZERO, &Checkpoint::OPEN)?;
    let face = analysis.faces.into_iter().next();
    Ok(face.map(|face| (face.bounding_box.width, face.quality)))
}

/// Distance of two captures: between the directions of their causes, between their scores, and
/// between their compressed deviations.
fn distance(one: &Appearance, other: &Appearance) -> f64 {
    let direction = |shown: &Appearance| {
        let weights = CauseName::ALL.map(|name| {
            let found = shown.causes.iter().find(|cause| cause.name == name);
            found.map_or(0.0, |cause| f64::from(cause.weight))
        });
        let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
        weights.map(|weight| weight / squares.sqrt().max(1e-9))
    };
    let gaps = direction(one).into_iter().zip(direction(other));
    let causes: f64 = gaps.map(|(a, b)| (a - b).powi(2)).sum();
    let measures: f64 = one
        .deviations
        .iter()
        .filter_map(|(name, z)| Some((z, other.deviations.get(name)?)))
        .map(|(a, b)| (MEASURE_WEIGHT * ((a / KNEE).asinh() - (b / KNEE).asinh())).powi(2))
        .sum();
    (causes + (one.score - other.score).powi(2) + measures).sqrt()
}
