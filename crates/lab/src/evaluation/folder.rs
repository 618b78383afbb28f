//! Evaluates a folder of photos: from [`Dataset`] and [`PhotoOutcome`]s to the [`FolderReport`].

use std::collections::BTreeMap;

use super::bootstrap::{by_person, grouped, of_rate};
use super::calibration_error::{expected_error, reliability};
use super::comparisons::{Comparison, Comparisons, MOST_IMPOSTORS, compare_all};
use super::dataset::Dataset;
use super::error_rates::{ErrorRates, Histogram, Rate};
use super::measure::{MeasuredPhoto, PhotoOutcome};
use super::report::{
    AtThreshold, CalibrationFigures, Data, EvaluatedModel, FolderReport, ForeseenMisses,
    PhotoGroup, ReliabilityFigures, ReportThresholds, SCHEMA, ScenarioFigures, Skipped,
    ThresholdFrom,
};
use super::signals::{SignalFigures, Truth, figures};
use faceood_engine::embed::Embedding;
use faceood_engine::policy::{self, Action, Policies};
use faceood_engine::quality::score::from_similarity;
use faceood_engine::stats::mean;
use faceood_report::plural;

const DET_POINTS: usize = 120;
/// FMR whose threshold the EDC is drawn at.
const FMR: f64 = 1e-3;
/// Score from which a picture counts as good: the accept cut of a door.
const GOOD_SCORE: f32 = 0.6;
/// Name of the captures that have no cause.
const NO_CAUSE: &str = "none";
/// Name of the captures whose source is not known.
const NO_SOURCE: &str = "unknown";

/// What the figures need besides the photos.
pub struct Terms<'a> {
    /// What was measured with.
    pub model: EvaluatedModel,
    /// The thresholds on the similarity that are in force.
    pub similarity: policy::Thresholds,
    /// The similarity at which the calibration counts a capture as passed.
    pub pass_similarity: f64,
    /// The scenarios.
    pub policies: &'a Policies,
    /// Names of the rivals, in the order of their values.
    pub rivals: Vec<String>,
    /// The EDC's threshold, if the operator names one.
    pub threshold: Option<f32>,
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no person has two photos with a face ({captures} of {persons}): there is nothing to compare; give each person's folder several photos"
)]
pub struct NothingToCompare {
    captures: String,
    persons: String,
}

/// What the figures are computed from. The captures, which are the photos with a face, stand side
/// by side.
struct Evidence<'a> {
    dataset: &'a Dataset,
    outcomes: &'a [PhotoOutcome],
    measured: Vec<&'a MeasuredPhoto>,
    persons: Vec<usize>,
    /// Similarity reached against the person's other captures.
    reach: Vec<Option<f64>>,
    made: Comparisons,
    rates: ErrorRates,
    thresholds: ReportThresholds,
    pass_similarity: f64,
}

/// Captures of each group, by name; and its pictures without a face, if they are counted.
type Groups<'a> = BTreeMap<&'a str, (Vec<usize>, Option<usize>)>;

/// All figures on `dataset`, whose pictures came to `outcomes`.
///
/// # Errors
/// If no genuine comparison is possible.
pub fn evaluate(
    dataset: &Dataset,
    outcomes: &[PhotoOutcome],
    terms: Terms<'_>,
) -> Result<FolderReport, NothingToCompare> {
    let pictures = dataset.pictures.iter().zip(outcomes);
    let captures = pictures.filter_map(|(picture, outcome)| match outcome {
        PhotoOutcome::MeasuredPhoto(measured) => Some((&**measured, picture.person)),
        _ => None,
    });
    let (measured, persons): (Vec<&MeasuredPhoto>, Vec<usize>) = captures.unzip();
    let embeddings: Vec<&Embedding> = measured.iter().map(|m| &m.face.embedding).collect();
    let made = compare_all(&embeddings, &persons, MOST_IMPOSTORS);
    if made.genuine.is_empty() {
        return Err(NothingToCompare {
            captures: plural(measured.len(), "capture", "captures"),
            persons: plural(dataset.persons.len(), "person", "persons"),
        });
    }
    let similarities =
        |comparisons: &[Comparison]| comparisons.iter().map(|made| made.similarity).collect();
    let rates = ErrorRates::new(similarities(&made.genuine), similarities(&made.impostor));
    let evidence = Evidence {
        dataset,
        outcomes,
        reach: made.reach(measured.len()),
        measured,
        persons,
        made,
        thresholds: thresholds(&rates, &terms),
        pass_similarity: terms.pass_similarity,
        rates,
    };
    let scenarios = terms.policies.iter();
    Ok(FolderReport {
        schema: SCHEMA,
        data: evidence.data(),
        error_rates: evidence.error_rates(),
        foreseen: evidence.foreseen(),
        thresholds: evidence.thresholds,
        equal_error_rate: evidence.rates.equal(),
        det: evidence.rates.det(DET_POINTS),
        histogram: Histogram::of(&evidence.rates),
        signals: evidence.signals(&terms.rivals),
        calibration: evidence.calibration(),
        causes: evidence.causes(),
        sources: evidence.sources(),
        scenarios: scenarios
            .map(|(name, policy)| evidence.scenario(name, policy))
            .collect(),
        model: terms.model,
    })
}

fn thresholds(rates: &ErrorRates, terms: &Terms<'_>) -> ReportThresholds {
    let policy::Thresholds { same, different } = terms.similarity;
    let fmr_1e3 = rates.threshold_at_fmr(FMR);
    let (edc, edc_from) = match (terms.threshold, fmr_1e3) {
        (Some(given), _) => (given, ThresholdFrom::Option),
        (None, Some(found)) => (found, ThresholdFrom::Fmr1e3),
        (None, None) => (same, ThresholdFrom::Pack),
    };
    ReportThresholds {
        same,
        different,
        fmr_1e3,
        fmr_1e4: rates.threshold_at_fmr(FMR / 10.0),
        edc,
        edc_from,
    }
}

impl Evidence<'_> {
    fn data(&self) -> Data {
        let homeless = self.dataset.homeless.iter();
        let mut without_face = Vec::new();
        let mut skipped: Vec<Skipped> = homeless
            .map(|path| Skipped {
                file: path.display().to_string(),
                reason: "lies in no person's folder".to_owned(),
            })
            .collect();
        for (picture, outcome) in self.dataset.pictures.iter().zip(self.outcomes) {
            let file = picture.path.display().to_string();
            match outcome {
                PhotoOutcome::MeasuredPhoto(_) => {}
                PhotoOutcome::NoFace => without_face.push(file),
                PhotoOutcome::Unreadable(reason) => skipped.push(Skipped {
                    file,
                    reason: reason.clone(),
                }),
            }
        }
        let captures = self.measured.len();
        Data {
            persons: self.dataset.persons.len(),
            pictures: self.dataset.pictures.len() + self.dataset.homeless.len(),
            captures,
            failures_to_acquire: Rate::new(without_face.len(), without_face.len() + captures),
            genuine: self.made.genuine.len(),
            impostor: self.made.impostor.len(),
            impostor_possible: self.made.impostor_possible,
            without_face,
            skipped,
        }
    }

    fn error_rates(&self) -> Vec<AtThreshold> {
        let interval = |threshold: f32| {
            let genuine = self.made.genuine.iter();
            let errors = genuine.map(|made| (self.persons[made.one], made.similarity < threshold));
            of_rate(&grouped(errors))
        };
        let thresholds = self.thresholds;
        let is_given = thresholds.edc_from == ThresholdFrom::Option;
        let named = [
            ("same", Some(thresholds.same)),
            ("different", Some(thresholds.different)),
            ("fmr_1e3", thresholds.fmr_1e3),
            ("fmr_1e4", thresholds.fmr_1e4),
            ("given", is_given.then_some(thresholds.edc)),
        ];
        let at = |(name, threshold): (_, Option<f32>)| {
            let threshold = threshold?;
            Some(AtThreshold {
                name,
                threshold,
                fnmr: self.rates.fnmr(threshold),
                fnmr_interval: interval(threshold),
                fmr: self.rates.fmr(threshold),
            })
        };
        named.into_iter().filter_map(at).collect()
    }

    fn foreseen(&self) -> ForeseenMisses {
        let is_low = |capture: usize| self.measured[capture].face.quality.score < GOOD_SCORE;
        let low = |least: f32| {
            let genuine = self.made.genuine.iter();
            let chosen = genuine.filter(|made| made.similarity < least);
            let sides = chosen.map(|made| is_low(made.one) || is_low(made.other));
            let sides: Vec<bool> = sides.collect();
            Rate::new(sides.iter().filter(|is_low| **is_low).count(), sides.len())
        };
        ForeseenMisses {
            score: GOOD_SCORE,
            misses: low(self.thresholds.same),
            all: low(f32::INFINITY),
        }
    }

    /// Our score first, then what it is compared with.
    fn signals(&self, rivals: &[String]) -> Vec<SignalFigures> {
        let passes =
            |reach: &Option<f64>| reach.map(|similarity| similarity >= self.pass_similarity);
        let passes: Vec<Option<bool>> = self.reach.iter().map(passes).collect();
        let truth = Truth {
            persons: &self.persons,
            passes: &passes,
            genuine: &self.made.genuine,
            threshold: self.thresholds.edc,
        };
        let signal = |name: &str, value: &dyn Fn(&MeasuredPhoto) -> Option<f64>| {
            let values: Vec<Option<f64>> = self.measured.iter().map(|m| value(m)).collect();
            figures(name, &values, &truth)
        };
        let mut signals = vec![
            signal("quality_score", &|m| Some(m.face.quality.score.into())),
            signal("embedding_norm", &|m| Some(m.face.embedding_norm.into())),
            signal("detection_score", &|m| Some(m.face.detection_score.into())),
            signal("laplacian_sharpness", &|m| m.laplacian),
        ];
        for (index, name) in rivals.iter().enumerate() {
            signals.push(signal(name, &|m| m.rivals.get(index).copied().flatten()));
        }
        signals
    }

    fn calibration(&self) -> CalibrationFigures {
        CalibrationFigures {
            score: self.calibrated(|measured, reach| {
                let score = measured.face.quality.score;
                (score.into(), from_similarity(reach))
            }),
            pass_probability: self.calibrated(|measured, reach| {
                let probability = measured.face.quality.pass_probability;
                let passes = u8::from(reach >= self.pass_similarity);
                (probability.into(), passes.into())
            }),
        }
    }

    fn calibrated(&self, of: impl Fn(&MeasuredPhoto, f64) -> (f64, f64)) -> ReliabilityFigures {
        let captures = self.persons.iter().zip(&self.measured).zip(&self.reach);
        let groups =
            grouped(captures.filter_map(|((&person, measured), reach)| {
                Some((person, of(measured, (*reach)?)))
            }));
        let all = groups.concat();
        ReliabilityFigures {
            captures: all.len(),
            ece: expected_error(&all),
            ece_interval: by_person(&groups, expected_error),
            reliability: reliability(&all),
        }
    }

    /// Captures by the cause with the largest weight.
    fn causes(&self) -> Vec<PhotoGroup> {
        let mut groups = Groups::new();
        for (index, measured) in self.measured.iter().enumerate() {
            let leading = measured.face.quality.causes.first();
            let name = leading.map_or(NO_CAUSE, |cause| cause.name.name());
            groups.entry(name).or_default().0.push(index);
        }
        self.groups(groups)
    }

    /// Captures by source; empty if no source is known.
    fn sources(&self) -> Vec<PhotoGroup> {
        let pictures = &self.dataset.pictures;
        if pictures.iter().all(|picture| picture.source.is_none()) {
            return Vec::new();
        }
        let mut groups = Groups::new();
        let mut captures = 0..;
        for (picture, outcome) in pictures.iter().zip(self.outcomes) {
            if matches!(outcome, PhotoOutcome::Unreadable(_)) {
                continue;
            }
            // A source all of whose pictures are without a face has a row as well.
            let name = picture.source.as_deref().unwrap_or(NO_SOURCE);
            let (indices, failures) = groups.entry(name).or_default();
            let failures = failures.get_or_insert(0);
            match outcome {
                PhotoOutcome::NoFace => *failures += 1,
                _ => indices.extend(captures.next()),
            }
        }
        self.groups(groups)
    }

    /// The figures of each group, most frequent first.
    fn groups(&self, groups: Groups<'_>) -> Vec<PhotoGroup> {
        let mut groups: Vec<PhotoGroup> = groups
            .into_iter()
            .map(|(name, (indices, failures))| self.group(name, &indices, failures))
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.captures));
        groups
    }

    /// `indices` are those of the captures, rising.
    fn group(&self, name: &str, indices: &[usize], failures: Option<usize>) -> PhotoGroup {
        let score = |&index: &usize| f64::from(self.measured[index].face.quality.score);
        let scores: Vec<f64> = indices.iter().map(score).collect();
        let reached: Vec<f64> = indices.iter().filter_map(|&i| self.reach[i]).collect();
        let on_scale: Vec<f64> = reached
            .iter()
            .map(|&reach| from_similarity(reach))
            .collect();
        let passing = reached
            .iter()
            .filter(|&&reach| reach >= self.pass_similarity);
        let is_member = |capture: usize| indices.binary_search(&capture).is_ok();
        let genuine = self.made.genuine.iter();
        let touching = genuine.filter(|made| is_member(made.one) || is_member(made.other));
        PhotoGroup {
            name: name.to_owned(),
            captures: indices.len(),
            failures_to_acquire: failures,
            score: mean(&scores),
            reached: (!reached.is_empty()).then(|| mean(&on_scale)),
            pass: Rate::new(passing.count(), reached.len()),
            fnmr: missed(touching, self.thresholds.same),
        }
    }

    fn scenario(&self, name: &str, policy: &policy::Policy) -> ScenarioFigures {
        let decide = |measured: &&MeasuredPhoto| {
            let (face, faces) = (&measured.face, measured.faces_found);
            let side = face.bounding_box.shorter_side();
            let decision = policy.decide(name, face.quality.score, side, faces);
            decision.action
        };
        let actions: Vec<Action> = self.measured.iter().map(decide).collect();
        let share = |wanted: Action| {
            let found = actions.iter().filter(|&&action| action == wanted);
            Rate::new(found.count(), actions.len())
        };
        let passes = |made: &&Comparison| {
            actions[made.one] != Action::Reject && actions[made.other] != Action::Reject
        };
        let same = self.thresholds.same;
        let impostors = missed(self.made.impostor.iter().filter(passes), same);
        ScenarioFigures {
            name: name.to_owned(),
            rejected: share(Action::Reject),
            reviewed: share(Action::Review),
            fnmr: missed(self.made.genuine.iter().filter(passes), same),
            // What is not below the threshold is a match.
            fmr: Rate::new(impostors.of - impostors.errors, impostors.of),
        }
    }
}

/// Comparisons below `threshold`.
fn missed<'a>(comparisons: impl Iterator<Item = &'a Comparison>, threshold: f32) -> Rate {
    let (mut errors, mut of) = (0, 0);
    for comparison in comparisons {
        of += 1;
        errors += usize::from(comparison.similarity < threshold);
    }
    Rate::new(errors, of)
}

#[cfg(test)]
mod tests;
