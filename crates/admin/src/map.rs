//! `map`: a picture of the embeddings of clean and noisy photos, which shows whether identities stay together as noise rises.

use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;
use serde::Serialize;

use super::evaluate::{EvaluateOptions, ISO_RANGE, rising};
use super::offline;
use super::{CommandOutcome, Context, output};
use faceood_lab::evaluation::dataset::{self, Dataset, SourceFrom};
use faceood_lab::evaluation::noise::{NoisyFace, nearest_persons, with_noise};
use faceood_lab::evaluation::projection::{self, MOST_POINTS, ProjectionMethod};
use faceood_lab::evaluation::render::map::{Dot, NoiseStep};
use faceood_lab::evaluation::render::{counted, map as page};
use faceood_lab::evaluation::scene::{self, Scene, USUAL_FACE_PX};

#[derive(clap::Args, Debug)]
#[command(after_help = "\
DIR holds a folder for each person. The page shows dots, no faces; the names of files stand in it. At most 2,000 dots.

Examples:
  faceood-admin map photos --out map.html
  faceood-admin map photos --out map.html --iso 3200,12800 --method pca")]
pub(crate) struct Args {
    /// Folder with a folder of pictures for each person
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// File of the page
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// ISO numbers at which each photo is shown besides clean
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [1600_u32, 6400, 12800], value_parser = clap::value_parser!(u32).range(ISO_RANGE))]
    iso: Vec<u32>,
    /// How 512 numbers become two
    #[arg(long, value_enum, default_value_t = MapMethod::Tsne)]
    method: MapMethod,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Threads; the result is the same with any number [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZero<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum MapMethod {
    /// t-SNE: neighbours stay neighbours
    Tsne,
    /// Principal components: the plane of largest scatter
    Pca,
}

#[derive(Serialize)]
struct EmbeddingMap<'a> {
    persons: usize,
    photos: usize,
    method: MapMethod,
    steps: &'a [NoiseStep],
    points: Vec<MapPoint>,
}

#[derive(Serialize)]
struct MapPoint {
    person: String,
    file: String,
    iso: Option<u32>,
    score: f32,
    at: [f32; 2],
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    let shared = EvaluateOptions {
        html: Some(args.out.clone()),
        json: args.json,
        jobs: args.jobs,
    };
    let dataset = dataset::find(&args.dir, SourceFrom::Folder)?;
    let isos = rising(&args.iso);
    let copies = isos.len() + 1;
    let photos = dataset.pictures.len().min(MOST_POINTS / copies);
    if photos < dataset.pictures.len() {
        output::note(&format!(
            "{} photos are drawn evenly from {}: {copies} dots each, at most {MOST_POINTS} in all",
            photos,
            dataset.pictures.len()
        ));
    }
    let chosen: Vec<usize> = (0..photos)
        .map(|index| index * dataset.pictures.len() / photos)
        .collect();
    let file = shared.page()?;
    let parts = offline::parts(context)?;
    let bar = output::progress((photos * copies) as u64, "pictures");
    let progress = || bar.inc(1);
    let instrument = shared.instrument(&parts, &progress);
    let paths: Vec<PathBuf> = chosen
        .iter()
        .map(|&index| dataset.pictures[index].path.clone())
        .collect();
    let mut scenes = Vec::new();
    let mut persons = Vec::new();
    for (&index, scene) in chosen
        .iter()
        .zip(scene::load(&instrument, &paths, USUAL_FACE_PX)?)
    {
        match scene {
            Ok(scene) => {
                scenes.push(scene);
                persons.push(dataset.pictures[index].person);
            }
            Err(reason) => {
                output::note(&format!(
                    "skipped {}: {reason}",
                    dataset.pictures[index].path.display()
                ));
            }
        }
    }
    if scenes.is_empty() {
        bail!("no photo in {} shows a face", args.dir.display());
    }
    let shown = with_noise(&instrument, &scenes, &isos)?;
    bar.finish_and_clear();
    let steps = nearest_persons(&shown, &persons, &isos);
    let values: Vec<&[f32]> = shown.iter().map(|shown| shown.embedding.values()).collect();
    let method = match args.method {
        MapMethod::Tsne => ProjectionMethod::Tsne,
        MapMethod::Pca => ProjectionMethod::Pca,
    };
    let plane = projection::project(&values, method);
    let map = EmbeddingMap {
        persons: dataset.persons.len(),
        photos: scenes.len(),
        method: args.method,
        steps: &steps,
        points: shown
            .iter()
            .zip(&plane)
            .map(|(shown, &at)| MapPoint {
                person: dataset.persons[persons[shown.scene]].clone(),
                file: scenes[shown.scene].path.display().to_string(),
                iso: shown.iso,
                score: shown.score,
                at,
            })
            .collect(),
    };
    let words = format!(
        "{} persons, {} photos, each clean and at ISO {}; {}. Point at a dot to see whose it is.",
        map.persons,
        map.photos,
        isos.iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        match args.method {
            MapMethod::Tsne =>
                "t-SNE: which dots are neighbours means something, how far groups lie apart does not",
            MapMethod::Pca => "principal components",
        },
    );
    let html = || {
        page::html(
            &dots(&shown, &plane, &persons, &dataset, &scenes),
            &steps,
            &words,
        )
    };
    let text = || {
        let rows = steps
            .iter()
            .map(|step| vec![step.name.as_str().into(), counted(&step.misplaced).into()]);
        format!(
            "{words}\n\n{}",
            output::table(&["noise", "nearest clean photo is another person's"], rows)
        )
    };
    shared.show(&map, file, html, text)
}

fn dots(
    shown: &[NoisyFace],
    plane: &[[f32; 2]],
    persons: &[usize],
    dataset: &Dataset,
    scenes: &[Scene],
) -> Vec<Dot> {
    let noisiest = shown
        .iter()
        .filter_map(|shown| shown.iso)
        .max()
        .unwrap_or(1) as f32;
    shown
        .iter()
        .zip(plane)
        .map(|(shown, &at)| {
            let person = persons[shown.scene];
            let noise = shown
                .iso
                .map_or("clean".to_owned(), |iso| format!("ISO {iso}"));
            let file = scenes[shown.scene]
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            Dot {
                at,
                person,
                label: format!(
                    "{}, {file}, {noise}, score {:.2}",
                    dataset.persons[person], shown.score
                ),
                score: shown.score,
                // Stops, not numbers: from ISO 100 on.
                fade: shown.iso.map_or(0.0, |iso| {
                    ((iso as f32 / 100.0).ln() / (noisiest / 100.0).ln().max(f32::MIN_POSITIVE))
                        .clamp(0.0, 1.0)
                }),
            }
        })
        .collect()
}
