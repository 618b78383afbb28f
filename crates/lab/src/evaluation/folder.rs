//! Evaluates a folder of photos: from [`Dataset`] and [`PhotoOutcome`]s to the
//! [`FolderReport`].

use std::collections::BTreeMap;

use super::bootstrap::by_person;
use super::calibration_error::{expected_error, reliability};
use super::comparisons::{Comparison, Comparisons, MOST_IMPOSTORS, compare_all};
use super::dataset::Dataset;
use super::error_rates::{ErrorRates, Histogram, Rate};
use super::measure::{MeasuredPhoto, PhotoOutcome};
use super::report::{
    AtThreshold, CalibrationFigures, Data, EvaluatedModel, FolderReport, PhotoGroup,
    ReliabilityFigures, ReportThresholds, SCHEMA, ScenarioFigures, Skipped, ThresholdFrom,
};
use super::signals::{ComparedSignal, Truth};
use faceood::embed::Embedding;
use faceood::policy::{self, Action, Policies};
use faceood::quality::calibration::PASS_SIMILARITY;
use faceood::quality::score::from_similarity;
use faceood::stats::mean;

const DET_POINTS: usize = 120;
/// FMR whose threshold the EDC is drawn at.
const FMR: f64 = 1e-3;
/// Name of the captures that have no cause.
const NO_CAUSE: &str = "none";
/// Name of the captures whose source is not known.
const NO_SOURCE: &str = "unknown";

/// What the figures need besides the photos.
pub struct Terms<'a> {
    /// What was measured with.
    pub model: EvaluatedModel,
    /// The pack's cuts on the similarity.
    pub similarity: policy::Thresholds,
    /// The scenarios.
    pub policies: &'a Policies,
    /// Names of the rivals, in the order of their values.
    pub rivals: Vec<String>,
    /// The EDC's threshold, where the operator names one.
    pub threshold: Option<f32>,
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no person has two photos with a face ({captures} captures of {persons} persons): there is nothing to compare; give each person's folder several photos"
)]
pub struct NothingToCompare {
    captures: usize,
    persons: usize,
}

/// The captures: what was measured, side by side.
struct Captures<'a> {
    measured: Vec<&'a MeasuredPhoto>,
    persons: Vec<usize>,
    sources: Vec<Option<&'a str>>,
    /// Similarity reached against the person's other captures.
    reach: Vec<Option<f64>>,
}

/// All figures on `dataset`, whose pictures came to `outcomes`.
///
/// # Errors
/// Where no genuine comparison is possible.
pub fn evaluate(
    dataset: &Dataset,
    outcomes: &[PhotoOutcome],
    terms: Terms<'_>,
) -> Result<FolderReport, NothingToCompare> {
    let mut captures = Captures {
        measured: Vec::new(),
        persons: Vec::new(),
        sources: Vec::new(),
        reach: Vec::new(),
    };
    for (picture, outcome) in dataset.pictures.iter().zip(outcomes) {
        if let PhotoOutcome::MeasuredPhoto(measured) = outcome {
            captures.measured.push(measured);
            captures.persons.push(picture.person);
            captures.sources.push(picture.source.as_deref());
        }
    }
    let embeddings: Vec<&Embedding> = captures
        .measured
        .iter()
        .map(|measured| &measured.face.embedding)
        .collect();
    let made = compare_all(&embeddings, &captures.persons, MOST_IMPOSTORS);
    if made.genuine.is_empty() {
        return Err(NothingToCompare {
            captures: captures.measured.len(),
            persons: dataset.persons.len(),
        });
    }
    captures.reach = made.reach(captures.measured.len());
    let similarities =
        |comparisons: &[Comparison]| comparisons.iter().map(|made| made.similarity).collect();
    let rates = ErrorRates::new(similarities(&made.genuine), similarities(&made.impostor));
    let thresholds = thresholds(&rates, &terms);
    let passes = captures.passes();
    let truth = Truth {
        persons: &captures.persons,
        passes: &passes,
        genuine: &made.genuine,
        threshold: thresholds.edc,
    };
    let signals = captures.signals(&terms.rivals);
    Ok(FolderReport {
        schema: SCHEMA,
        data: data(dataset, outcomes, &captures, &made),
        error_rates: error_rates(&rates, thresholds, &captures, &made),
        thresholds,
        equal_error_rate: rates.equal(),
        det: rates.det(DET_POINTS),
        histogram: Histogram::of(&rates),
        signals: signals
            .iter()
            .map(|signal| signal.figures(&truth))
            .collect(),
        calibration: captures.calibration(),
        causes: captures.causes(&made, terms.similarity.same),
        sources: captures.by_source(dataset, outcomes, &made, terms.similarity.same),
        scenarios: terms
            .policies
            .iter()
            .map(|(name, policy)| captures.scenario(name, policy, &made, terms.similarity.same))
            .collect(),
        model: terms.model,
    })
}

fn thresholds(rates: &ErrorRates, terms: &Terms<'_>) -> ReportThresholds {
    let same = terms.similarity.same;
    let fmr_1e3 = rates.threshold_at_fmr(FMR);
    let (edc, edc_from) = match (terms.threshold, fmr_1e3) {
        (Some(given), _) => (given, ThresholdFrom::Option),
        (None, Some(found)) => (found, ThresholdFrom::Fmr1e3),
        (None, None) => (same, ThresholdFrom::Pack),
    };
    ReportThresholds {
        same,
        different: terms.similarity.different,
        fmr_1e3,
        edc,
        edc_from,
    }
}

fn error_rates(
    rates: &ErrorRates,
    thresholds: ReportThresholds,
    captures: &Captures<'_>,
    made: &Comparisons,
) -> Vec<AtThreshold> {
    let by_person_genuine = captures.group_genuine(made);
    [
        ("same", Some(thresholds.same)),
        ("different", Some(thresholds.different)),
        ("fmr_1e3", thresholds.fmr_1e3),
        (
            "given",
            Some(thresholds.edc).filter(|_| thresholds.edc_from == ThresholdFrom::Option),
        ),
    ]
    .into_iter()
    .filter_map(|(name, threshold)| {
        let threshold = threshold?;
        Some(AtThreshold {
            name,
            threshold,
            fnmr: rates.fnmr(threshold),
            fnmr_interval: by_person(&by_person_genuine, |drawn| {
                let missed = drawn
                    .iter()
                    .filter(|&&similarity| similarity < threshold)
                    .count();
                Rate::new(missed, drawn.len()).rate
            }),
            fmr: rates.fmr(threshold),
        })
    })
    .collect()
}

fn data(
    dataset: &Dataset,
    outcomes: &[PhotoOutcome],
    captures: &Captures<'_>,
    made: &Comparisons,
) -> Data {
    let mut without_face = Vec::new();
    let mut skipped: Vec<Skipped> = dataset
        .homeless
        .iter()
        .map(|path| Skipped {
            file: path.display().to_string(),
            reason: "lies in no person's folder".to_owned(),
        })
        .collect();
    for (picture, outcome) in dataset.pictures.iter().zip(outcomes) {
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
    Data {
        persons: dataset.persons.len(),
        pictures: dataset.pictures.len() + dataset.homeless.len(),
        captures: captures.measured.len(),
        failures_to_acquire: Rate::new(
            without_face.len(),
            without_face.len() + captures.measured.len(),
        ),
        genuine: made.genuine.len(),
        impostor: made.impostor.len(),
        impostor_possible: made.impostor_possible,
        without_face,
        skipped,
    }
}

impl Captures<'_> {
    fn passes(&self) -> Vec<Option<bool>> {
        self.reach
            .iter()
            .map(|reach| reach.map(|similarity| similarity >= PASS_SIMILARITY))
            .collect()
    }

    /// Our score first, then what it is compared with.
    fn signals(&self, rivals: &[String]) -> Vec<ComparedSignal> {
        let signal = |name: &str, value: &dyn Fn(&MeasuredPhoto) -> Option<f64>| ComparedSignal {
            name: name.to_owned(),
            values: self
                .measured
                .iter()
                .map(|measured| value(measured))
                .collect(),
        };
        let mut signals = vec![
            signal("quality_score", &|m| Some(f64::from(m.face.quality.score))),
            signal("embedding_norm", &|m| {
                Some(f64::from(m.face.embedding_norm))
            }),
            signal("detection_score", &|m| {
                Some(f64::from(m.face.detection_score))
            }),
            signal("laplacian_sharpness", &|m| m.laplacian),
        ];
        for (index, name) in rivals.iter().enumerate() {
            signals.push(signal(name, &|m| m.rivals.get(index).copied().flatten()));
        }
        signals
    }

    fn calibration(&self) -> CalibrationFigures {
        let score = |measured: &MeasuredPhoto, reach: f64| {
            (
                f64::from(measured.face.quality.score),
                from_similarity(reach),
            )
        };
        let pass = |measured: &MeasuredPhoto, reach: f64| {
            let passes = f64::from(u8::from(reach >= PASS_SIMILARITY));
            (f64::from(measured.face.quality.pass_probability), passes)
        };
        CalibrationFigures {
            score: self.calibrated(score),
            pass_probability: self.calibrated(pass),
        }
    }

    fn calibrated(&self, of: impl Fn(&MeasuredPhoto, f64) -> (f64, f64)) -> ReliabilityFigures {
        let mut groups = vec![Vec::new(); self.person_count()];
        for (index, reach) in self.reach.iter().enumerate() {
            if let Some(reach) = *reach {
                groups[self.persons[index]].push(of(self.measured[index], reach));
            }
        }
        let all = groups.concat();
        ReliabilityFigures {
            captures: all.len(),
            ece: expected_error(&all),
            ece_interval: by_person(&groups, expected_error),
            reliability: reliability(&all),
        }
    }

    fn person_count(&self) -> usize {
        self.persons.iter().max().map_or(0, |last| last + 1)
    }

    /// The similarities of genuine comparisons, by person.
    fn group_genuine(&self, made: &Comparisons) -> Vec<Vec<f32>> {
        let mut groups = vec![Vec::new(); self.person_count()];
        for comparison in &made.genuine {
            groups[self.persons[comparison.one]].push(comparison.similarity);
        }
        groups
    }

    /// Captures by the cause with the largest weight, most frequent first.
    fn causes(&self, made: &Comparisons, same: f32) -> Vec<PhotoGroup> {
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, measured) in self.measured.iter().enumerate() {
            let leading = measured.face.quality.causes.first();
            let name = leading.map_or(NO_CAUSE, |cause| cause.name.name());
            members.entry(name).or_default().push(index);
        }
        self.groups(members, made, same)
    }

    /// Captures by source; none where no source is known.
    fn by_source(
        &self,
        dataset: &Dataset,
        outcomes: &[PhotoOutcome],
        made: &Comparisons,
        same: f32,
    ) -> Vec<PhotoGroup> {
        if dataset
            .pictures
            .iter()
            .all(|picture| picture.source.is_none())
        {
            return Vec::new();
        }
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
        for (picture, outcome) in dataset.pictures.iter().zip(outcomes) {
            let name = picture.source.as_deref().unwrap_or(NO_SOURCE);
            if !matches!(outcome, PhotoOutcome::Unreadable(_)) {
                // A source all of whose pictures are without a face has a row as well.
                members.entry(name).or_default();
                *failures.entry(name).or_default() +=
                    usize::from(matches!(outcome, PhotoOutcome::NoFace));
            }
        }
        for (index, source) in self.sources.iter().enumerate() {
            members
                .entry(source.unwrap_or(NO_SOURCE))
                .or_default()
                .push(index);
        }
        let mut groups = self.groups(members, made, same);
        for group in &mut groups {
            group.failures_to_acquire = failures.get(group.name.as_str()).copied();
        }
        groups
    }

    fn groups(
        &self,
        members: BTreeMap<&str, Vec<usize>>,
        made: &Comparisons,
        same: f32,
    ) -> Vec<PhotoGroup> {
        let mut groups: Vec<PhotoGroup> = members
            .into_iter()
            .map(|(name, indices)| self.group(name, &indices, made, same))
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.captures));
        groups
    }

    fn group(&self, name: &str, indices: &[usize], made: &Comparisons, same: f32) -> PhotoGroup {
        let mut is_member = vec![false; self.measured.len()];
        for &index in indices {
            is_member[index] = true;
        }
        let scores: Vec<f64> = indices
            .iter()
            .map(|&index| f64::from(self.measured[index].face.quality.score))
            .collect();
        let reached: Vec<f64> = indices
            .iter()
            .filter_map(|&index| self.reach[index])
            .collect();
        let on_scale: Vec<f64> = reached
            .iter()
            .map(|&reach| from_similarity(reach))
            .collect();
        let passing = reached
            .iter()
            .filter(|&&reach| reach >= PASS_SIMILARITY)
            .count();
        let touches =
            |comparison: &Comparison| is_member[comparison.one] || is_member[comparison.other];
        PhotoGroup {
            name: name.to_owned(),
            captures: indices.len(),
            failures_to_acquire: None,
            score: mean(&scores),
            reached: (!reached.is_empty()).then(|| mean(&on_scale)),
            pass: Rate::new(passing, reached.len()),
            fnmr: missed(made.genuine.iter().filter(|made| touches(made)), same),
        }
    }

    fn scenario(
        &self,
        name: &str,
        policy: &policy::Policy,
        made: &Comparisons,
        same: f32,
    ) -> ScenarioFigures {
        let actions: Vec<Action> = self
            .measured
            .iter()
            .map(|measured| {
                let side = measured.face.bounding_box.shorter_side();
                policy
                    .decide(
                        name,
                        measured.face.quality.score,
                        side,
                        measured.faces_found,
                    )
                    .action
            })
            .collect();
        let share = |wanted: Action| {
            Rate::new(
                actions.iter().filter(|&&action| action == wanted).count(),
                actions.len(),
            )
        };
        let passes = |comparison: &&Comparison| {
            actions[comparison.one] != Action::Reject && actions[comparison.other] != Action::Reject
        };
        let impostors = missed(made.impostor.iter().filter(passes), same);
        ScenarioFigures {
            name: name.to_owned(),
            rejected: share(Action::Reject),
            reviewed: share(Action::Review),
            fnmr: missed(made.genuine.iter().filter(passes), same),
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
