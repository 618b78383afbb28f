//! `map`: a picture of the embeddings of clean and noisy photos, which shows whether identities
//! stay together as noise rises.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;

use super::choice::{Choice, choice};
use super::evaluate::{self, iso, rising};
use super::out_file::{self, OutFile};
use super::report_out::{self, ReportFormat};
use super::{Context, offline, output};
use faceood_lab::evaluation::dataset::{self, SourceFrom};
use faceood_lab::evaluation::noise::{NoisyFace, nearest_persons, with_noise};
use faceood_lab::evaluation::projection::{self, MOST_POINTS, ProjectionMethod};
use faceood_lab::evaluation::render::map::{Dot, NoiseStep};
use faceood_lab::evaluation::render::{counted, map as page};
use faceood_lab::evaluation::scene::{self, Scene, USUAL_FACE_PX};
use faceood_report::plural;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
DIR holds a folder for each person. The page shows a dot for each picture, at most 2,000, and the face when somebody points at it; --no-pictures leaves the faces \
out. The names of files stand in it.

Examples:
  faceood-admin map photos --out map.html
  faceood-admin map photos --out map.html --iso 3200,12800 --method pca")]
pub(crate) struct Args {
    /// Folder with a folder of pictures for each person
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// File of the page, or of the report that --format names; an existing one is replaced
    #[arg(long, short, value_name = "FILE", required_unless_present = "format", value_parser = out_file::named())]
    out: Option<PathBuf>,
    /// Kind of report [default: the page in the file, and text on standard output]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<ReportFormat>,
    /// ISO numbers at which each photo is shown besides clean
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [1600_u32, 6400, 12800], value_parser = iso)]
    iso: Vec<u32>,
    /// How 512 numbers become two
    #[arg(long, default_value = "tsne", value_parser = choice(&METHODS))]
    method: ProjectionMethod,
    /// Leave the faces out of the page
    #[arg(long)]
    no_pictures: bool,
    /// Print JSON for programs, beside the page
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Threads; the result is the same with any number [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZero<usize>>,
}

const METHODS: [Choice<ProjectionMethod>; 2] = [
    (
        "tsne",
        "t-SNE: neighbours stay neighbours",
        ProjectionMethod::Tsne,
    ),
    (
        "pca",
        "Principal components: the plane of largest scatter",
        ProjectionMethod::Pca,
    ),
];

#[derive(Serialize)]
struct EmbeddingMap<'a> {
    persons: usize,
    photos: usize,
    method: &'static str,
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

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let dataset = dataset::find(&args.dir, SourceFrom::Folder)?;
    let isos = rising(&args.iso);
    let copies = isos.len() + 1;
    let all = dataset.pictures.len();
    let photos = all.min(MOST_POINTS / copies);
    if photos < all {
        output::note(&format!(
            "{photos} photos are drawn evenly from {all}: {copies} dots each, at most {MOST_POINTS} in all"
        ));
    }
    let chosen = (0..photos).map(|index| &dataset.pictures[index * all / photos]);
    let chosen: Vec<_> = chosen.collect();
    // Made before the work, so that a wrong place is told at once.
    let file = args.out.as_deref().map(OutFile::beside).transpose()?;
    let parts = offline::parts(context)?;
    let bar = output::progress((photos * copies) as u64, "pictures");
    let progress = || bar.inc(1);
    let instrument = evaluate::instrument(args.jobs, &parts, &progress);
    let paths: Vec<PathBuf> = chosen.iter().map(|picture| picture.path.clone()).collect();
    let mut scenes = Vec::new();
    let mut persons = Vec::new();
    let loaded = scene::load(&instrument, &paths, USUAL_FACE_PX)?;
    for (picture, scene) in chosen.iter().zip(loaded) {
        match scene {
            Ok(scene) => {
                scenes.push(scene);
                persons.push(picture.person);
            }
            Err(reason) => output::note(&format!("skipped {}: {reason}", picture.path.display())),
        }
    }
    if scenes.is_empty() {
        bail!("no photo in {} shows a face", args.dir.display());
    }
    let shown = with_noise(&instrument, &scenes, &isos)?;
    bar.finish_and_clear();
    let steps = nearest_persons(&shown, &persons, &isos);
    let values: Vec<&[f32]> = shown.iter().map(|shown| shown.embedding.values()).collect();
    let plane = projection::project(&values, args.method);
    let (method, meaning) = match args.method {
        ProjectionMethod::Tsne => (
            "tsne",
            "t-SNE: which dots are neighbours means something, how far groups lie apart does not",
        ),
        ProjectionMethod::Pca => ("pca", "principal components"),
    };
    let points = shown.iter().zip(&plane).map(|(shown, &at)| MapPoint {
        person: dataset.persons[persons[shown.scene]].clone(),
        file: scenes[shown.scene].path.display().to_string(),
        iso: shown.iso,
        score: shown.score,
        at,
    });
    let map = EmbeddingMap {
        persons: dataset.persons.len(),
        photos: scenes.len(),
        method,
        steps: &steps,
        points: points.collect(),
    };
    let isos: Vec<_> = isos.iter().map(u32::to_string).collect();
    let words = format!(
        "{}, {}, each clean and at ISO {}; {meaning}. Point at a dot to see whose it is.",
        plural(map.persons, "person", "persons"),
        plural(map.photos, "photo", "photos"),
        isos.join(", "),
    );
    let pictures: Vec<Vec<u8>> = if args.no_pictures {
        Vec::new()
    } else {
        scenes.iter().map(Scene::small_picture).collect()
    };
    let html = || {
        let dots = dots(&map.points, &shown, &persons, pictures.len());
        page::html(&dots, &pictures, &steps, &words)
    };
    let text = || {
        let table = output::Rows(&steps).table(&[
            ("noise", |step| step.name.clone()),
            ("nearest clean photo is another person's", |step| {
                counted(&step.misplaced)
            }),
        ]);
        format!("{words}\n\n{table}")
    };
    let (format, out) = match args.format {
        Some(format) => (format, args.out.as_deref()),
        None => {
            if let Some(mut file) = file {
                file.write_all(html().as_bytes())?;
                file.finish()?;
            }
            (ReportFormat::Text.or_json(args.json), None)
        }
    };
    let shown = match format {
        ReportFormat::Text => text(),
        ReportFormat::Json => serde_json::to_string_pretty(&map)?,
        ReportFormat::Html => html(),
    };
    report_out::write(out, &shown)
}

fn dots(points: &[MapPoint], shown: &[NoisyFace], persons: &[usize], pictures: usize) -> Vec<Dot> {
    let noisiest = points.iter().filter_map(|point| point.iso).max();
    let noisiest = noisiest.unwrap_or(1) as f32;
    let dot = |(point, shown): (&MapPoint, &NoisyFace)| {
        let (person, score) = (&point.person, point.score);
        let noise = point.iso.map(|iso| format!("ISO {iso}"));
        let noise = noise.unwrap_or("clean".to_owned());
        let file = Path::new(&point.file).file_name();
        let file = file.unwrap_or_default().display();
        Dot {
            at: point.at,
            person: persons[shown.scene],
            picture: Some(shown.scene).filter(|scene| *scene < pictures),
            label: format!("{person}, {file}, {noise}, score {score:.2}"),
            score,
            // Stops, not numbers: from ISO 100 on.
            fade: point.iso.map_or(0.0, |iso| {
                ((iso as f32 / 100.0).ln() / (noisiest / 100.0).ln().max(f32::MIN_POSITIVE))
                    .clamp(0.0, 1.0)
            }),
        }
    };
    points.iter().zip(shown).map(dot).collect()
}
