//! Evidence from photos: what each reaches against the person's other photos.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::Utc;
use walkdir::WalkDir;

use super::{Evidence, Need};
use crate::admin::output;
use crate::embed::Embedding;
use crate::face::FaceError;
use crate::pipeline::{AnalyzeError, Ask, Assembly};
use crate::policy::{DEFAULT_SCENARIO, Policies};
use crate::quality::calibration::site::Sample;
use crate::training::mean_of_best;

/// Fewest photos of people of whom there are several. A knot of a map rests on 40, so this gives seven; over all of them a share
/// of passes near .9 is then known to ±.034 (1.96 · √(.09 / 300)).
const LEAST_CAPTURES: usize = 300;
/// Fewest people. Photos of one person resemble each other: at a correlation of .3, ten each of 30 people tell as much as 80 of 80.
/// Below 30 an interval by drawing people again is too narrow as well (Cameron, Gelbach and Miller 2008).
const LEAST_PEOPLE: usize = 30;
/// Files by these names are taken for pictures; what they are is read from their bytes.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];
/// For the file.
const METHOD: &str = "Learnt on site from photos: isotonic over bins of equal count on the mean of the three best similarities to \
                      other photos of the person; the pack's own maps beyond the site's captures";

/// One photo with a face.
struct Seen {
    signal: f64,
    embedding: Embedding,
}

/// Judges every photo under `folder`, which has a folder for each person.
///
/// # Errors
/// Where the folder cannot be read or holds no photo in a person's folder, or a model fails.
pub(super) fn gather(folder: &Path, assembly: &Assembly) -> anyhow::Result<Evidence> {
    let people = find(folder)?;
    let total: usize = people.values().map(Vec::len).sum();
    let mut pipeline = assembly.pipeline()?;
    let ood = &assembly.pack().manifest().embedder.ood;
    let ask = ask()?;
    let bar = output::progress(total as u64, "photos");
    let (mut faceless, mut unreadable, mut alone) = (0, 0, 0);
    let mut samples: Vec<Sample> = Vec::new();
    let mut group = 0;
    for photos in people.values() {
        let mut seen = Vec::new();
        for path in photos {
            bar.inc(1);
            let bytes =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            match pipeline.analyze(&bytes, &ask, Duration::ZERO) {
                Ok(analysis) => {
                    let face = analysis.faces.into_iter().next();
                    seen.extend(face.map(|face| Seen {
                        signal: f64::from(ood.signal(face.ood_logit)),
                        embedding: face.embedding,
                    }));
                }
                Err(AnalyzeError::Face(FaceError::NoFace { .. })) => faceless += 1,
                Err(error) if error.problem().status() < 500 => {
                    output::note(&format!("{} is left out: {error}", path.display()));
                    unreadable += 1;
                }
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        if seen.len() < 2 {
            alone += seen.len() as u64;
            continue;
        }
        samples.extend(judged(&seen, group));
        group += 1;
    }
    bar.finish_and_clear();
    let fails = samples.iter().filter(|sample| !sample.passes()).count();
    Ok(Evidence {
        counts: BTreeMap::from([
            ("captures", samples.len() as u64),
            ("fails", fails as u64),
            ("people", group as u64),
            ("without_a_face", faceless),
            ("unreadable", unreadable),
            ("only_one_of_the_person", alone),
        ]),
        needs: vec![
            Need {
                of: "photos with a face, of people with several",
                got: samples.len(),
                least: LEAST_CAPTURES,
            },
            Need {
                of: "people with several such photos",
                got: group,
                least: LEAST_PEOPLE,
            },
        ],
        samples,
        method: METHOD,
        date: Utc::now().date_naive().to_string(),
    })
}

/// The largest face, whatever a policy would make of it.
fn ask() -> anyhow::Result<Ask> {
    let policies = Policies::new(&crate::policy::Settings::default())?;
    let policy = policies
        .get(DEFAULT_SCENARIO)
        .context("there is no default policy")?;
    Ok(Ask {
        scenario: DEFAULT_SCENARIO.to_owned(),
        policy: policy.clone(),
        all_faces: false,
        needs_face: true,
    })
}

/// Each photo of a person with what it reaches against the others.
fn judged(seen: &[Seen], group: usize) -> impl Iterator<Item = Sample> {
    seen.iter().enumerate().map(move |(index, photo)| {
        let others = seen.iter().enumerate().filter(|(other, _)| *other != index);
        let similarities =
            others.map(|(_, other)| f64::from(photo.embedding.similarity(&other.embedding)));
        Sample {
            signal: photo.signal,
            similarity: mean_of_best(similarities),
            group,
        }
    })
}

/// The pictures below each person's folder, in the order of names. Hidden ones are left out.
fn find(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<PathBuf>>> {
    let mut people: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter();
    let entries = entries.filter_entry(|entry| {
        entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
    });
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let is_picture = entry.path().extension().is_some_and(|extension| {
            EXTENSIONS
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        });
        let inside = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if let Some(person) = inside.iter().next()
            && entry.depth() >= 2
            && entry.file_type().is_file()
            && is_picture
        {
            let photos = people.entry(PathBuf::from(person)).or_default();
            photos.push(entry.into_path());
        }
    }
    if people.is_empty() {
        bail!(
            "{} holds no photos in folders of people; expected is {0}/PERSON/PHOTO.jpg",
            folder.display()
        );
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::EMBEDDING_LENGTH;

    #[test]
    fn a_photo_is_judged_by_the_three_others_that_are_most_like_it() {
        // In a plane, at these angles.
        let seen: Vec<Seen> = [0.0_f32, 0.1, 0.2, 0.4, 1.5]
            .into_iter()
            .map(|angle| {
                let mut values = vec![0.0; EMBEDDING_LENGTH];
                (values[0], values[1]) = (angle.cos(), angle.sin());
                Seen {
                    signal: f64::from(angle),
                    embedding: Embedding::normalise(&values).unwrap().0,
                }
            })
            .collect();
        let samples: Vec<Sample> = judged(&seen, 7).collect();
        let expected = (0.1_f64.cos() + 0.2_f64.cos() + 0.4_f64.cos()) / 3.0;
        assert!((samples[0].similarity.unwrap() - expected).abs() < 1e-5);
        assert!(!samples[4].passes() && samples[0].passes());
        assert!(samples.iter().all(|sample| sample.group == 7));
    }

    #[test]
    fn people_are_folders_and_what_is_no_picture_is_none() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "anna/1.JPG",
            "anna/gate/2.png",
            "ben/3.webp",
            "ben/notes.txt",
            ".x/4.jpg",
            "5.jpg",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found: Vec<(String, usize)> = find(folder.path())
            .unwrap()
            .into_iter()
            .map(|(person, photos)| (person.to_string_lossy().into_owned(), photos.len()))
            .collect();
        assert_eq!(found, [("anna".to_owned(), 2), ("ben".to_owned(), 1)]);
        let empty = find(&folder.path().join("anna/gate"))
            .unwrap_err()
            .to_string();
        assert!(empty.contains("PERSON/PHOTO.jpg"), "{empty}");
    }
}
