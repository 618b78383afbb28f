//! Evidence from photos: the similarity of each to the person's other photos.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use chrono::Utc;

use super::{Evidence, Need};
use crate::output;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::embed::Embedding;
use faceood_engine::face::FaceError;
use faceood_engine::pipeline::{AnalyzeError, Ask, Assembly, Faces};
use faceood_engine::policy::{DEFAULT_SCENARIO, Policies};
use faceood_engine::quality::calibration::site::SiteSample;
use faceood_lab::evaluation::cuts;
use faceood_lab::evaluation::dataset::{self, SourceFrom};
use faceood_lab::training::mean_of_best;

/// Fewest photos of people of whom there are several. A knot of a map rests on 40, so this gives
/// seven; over all of them a share of passes near .9 is then known to ±.034 (1.96 · √(.09 / 300)).
const LEAST_CAPTURES: usize = 300;
/// Fewest people. Photos of one person resemble each other: at a correlation of .3, ten each of 30
/// people tell as much as 80 of 80. Below 30 an interval by drawing people again is too narrow as
/// well (Cameron, Gelbach and Miller 2008).
const LEAST_PEOPLE: usize = 30;
const METHOD: &str = "Learnt on site from photos: isotonic over bins of equal count on the mean of the three best similarities to \
                      other photos of the person; the pack's own maps beyond the site's captures";

struct JudgedPhoto {
    signal: f64,
    embedding: Embedding,
}

/// The photos in `folder`. Where `carries_cuts`, a capture passes at the cut that they ask for.
pub(super) fn gather(
    folder: &Path,
    assembly: &Assembly,
    carries_cuts: bool,
) -> anyhow::Result<Evidence> {
    let dataset = dataset::find(folder, SourceFrom::default())?;
    let mut people = vec![Vec::new(); dataset.persons.len()];
    for picture in &dataset.pictures {
        people[picture.person].push(&picture.path);
    }
    let mut pipeline = assembly.pipeline()?;
    let ood = &assembly.pack().manifest().embedder.ood;
    let ask = ask()?;
    let bar = output::progress(dataset.pictures.len() as u64, "photos");
    let (mut faceless, mut unreadable, mut alone) = (0, 0, 0);
    let mut samples: Vec<SiteSample> = Vec::new();
    let (mut embeddings, mut persons) = (Vec::new(), Vec::new());
    let mut group = 0;
    for (person, photos) in people.into_iter().enumerate() {
        let mut seen = Vec::new();
        for path in photos {
            bar.inc(1);
            let shown = path.display();
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
            match pipeline.analyze(&bytes, &ask, Duration::ZERO, &Checkpoint::OPEN) {
                Ok(analysis) => {
                    let face = analysis.faces.into_iter().next();
                    seen.extend(face.map(|face| JudgedPhoto {
                        signal: f64::from(ood.signal(face.ood_logit)),
                        embedding: face.embedding,
                    }));
                }
                Err(AnalyzeError::Face(FaceError::NoFace { .. })) => faceless += 1,
                Err(error) if error.problem().status() < 500 => {
                    output::note(&format!("{shown} is left out: {error}"));
                    unreadable += 1;
                }
                Err(error) => return Err(error).with_context(|| shown.to_string()),
            }
        }
        embeddings.extend(
            seen.iter()
                .map(|photo: &JudgedPhoto| photo.embedding.clone()),
        );
        persons.resize(embeddings.len(), person);
        if seen.len() < 2 {
            alone += seen.len() as u64;
            continue;
        }
        samples.extend(judged(&seen, group));
        group += 1;
    }
    bar.finish_and_clear();
    let cuts = cuts::measure(&embeddings.iter().collect::<Vec<_>>(), &persons);
    let need = |of, got, least| Need { of, got, least };
    let pairs = cuts.first().filter(|_| carries_cuts).map(|cut| {
        need(
            "pairs of different people, for the cuts",
            cut.false_matches.of,
            cuts::LEAST_IMPOSTORS,
        )
    });
    let thresholds = cuts::thresholds(&cuts).filter(|_| carries_cuts);
    let least = thresholds.map_or_else(
        || assembly.calibration().pass_similarity(),
        |carried| carried.same.into(),
    );
    let fails = samples.iter().filter(|sample| !sample.passes(least));
    let fails = fails.count();
    let of_several = "photos with a face, of people with several";
    Ok(Evidence {
        counts: BTreeMap::from([
            ("captures", samples.len() as u64),
            ("fails", fails as u64),
            ("people", group as u64),
            ("without_a_face", faceless),
            ("unreadable", unreadable),
            ("only_one_of_the_person", alone),
        ]),
        needs: [
            need(of_several, samples.len(), LEAST_CAPTURES),
            need("people with several such photos", group, LEAST_PEOPLE),
        ]
        .into_iter()
        .chain(pairs)
        .collect(),
        samples,
        thresholds,
        cuts,
        method: METHOD,
        date: Utc::now().date_naive().to_string(),
    })
}

/// The largest face, whatever a policy would make of it.
fn ask() -> anyhow::Result<Ask> {
    let policies = Policies::default();
    let policy = policies.get(DEFAULT_SCENARIO);
    Ok(Ask {
        scenario: DEFAULT_SCENARIO.to_owned(),
        policy: policy.context("there is no default policy")?.clone(),
        faces: Faces::Largest,
        needs_face: true,
    })
}

/// Each photo of a person with what it reaches against the others.
fn judged(seen: &[JudgedPhoto], group: usize) -> impl Iterator<Item = SiteSample> {
    seen.iter().enumerate().map(move |(index, photo)| {
        let others = seen.iter().enumerate().filter(|(other, _)| *other != index);
        let similarities = others.map(|(_, other)| photo.embedding.similarity(&other.embedding));
        SiteSample {
            signal: photo.signal,
            similarity: mean_of_best(similarities.map(f64::from)),
            group,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceood_engine::embed::EMBEDDING_LENGTH;
    use faceood_engine::quality::calibration::PASS_SIMILARITY;

    #[test]
    fn a_photo_is_judged_by_the_three_others_that_are_most_like_it() {
        // In a plane, at these angles.
        let seen: Vec<JudgedPhoto> = [0.0_f32, 0.1, 0.2, 0.4, 1.5]
            .into_iter()
            .map(|angle| {
                let mut values = vec![0.0; EMBEDDING_LENGTH];
                (values[0], values[1]) = (angle.cos(), angle.sin());
                JudgedPhoto {
                    signal: f64::from(angle),
                    embedding: Embedding::normalise(&values).unwrap().0,
                }
            })
            .collect();
        let samples: Vec<SiteSample> = judged(&seen, 7).collect();
        let expected = (0.1_f64.cos() + 0.2_f64.cos() + 0.4_f64.cos()) / 3.0;
        assert!((samples[0].similarity.unwrap() - expected).abs() < 1e-5);
        assert!(!samples[4].passes(PASS_SIMILARITY) && samples[0].passes(PASS_SIMILARITY));
        assert!(samples.iter().all(|sample| sample.group == 7));
    }
}
