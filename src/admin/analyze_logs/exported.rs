//! `--export-cluster`: a pattern as material to learn from. Its most typical rows, their pictures where the log keeps them, and the
//! degradation that makes a clean picture score like it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

use super::super::{Context, offline, output};
use crate::analysis::report::Cluster;
use crate::analysis::{Analysis, Input, Rows};
use crate::degrade::{Kind, degrade};
use crate::inference_log::to_json;
use crate::pipeline::{Ask, Pipeline};
use crate::policy::DEFAULT_SCENARIO;
use crate::quality::{Cause, CauseName, Quality};

/// Version of `recipe.json`.
const SCHEMA: u32 = 1;

/// A crop of scikit-image's `astronaut` (NASA, public domain): a clean face of which it is known that every pack finds it.
const CLEAN: &[u8] = include_bytes!("../../pipeline/probe.jpg");

/// Strengths that are tried, of a scale from 0 to 1.
const STEPS: u32 = 10;

/// Draws at each strength: a kind leaves much open that strength does not say.
const DRAWS: u64 = 3;

/// The cause that each kind of degradation shows as.
const fn kind_of(cause: CauseName) -> Option<Kind> {
    Some(match cause {
        CauseName::Noise => Kind::Noise,
        CauseName::Blur => Kind::DefocusBlur,
        CauseName::MotionBlur => Kind::MotionBlur,
        CauseName::LowResolution => Kind::LowResolution,
        CauseName::Compression => Kind::Compression,
        CauseName::Underexposure => Kind::Underexposure,
        CauseName::Overexposure => Kind::Overexposure,
        CauseName::ScreenRecapture => Kind::Recapture,
        // What covers or turns a face is no fault of a camera: `degrade` has no scale for it.
        CauseName::Occlusion | CauseName::Mask | CauseName::Pose | CauseName::Unknown => {
            return None;
        }
    })
}

/// What makes a clean picture like the pattern.
#[derive(Debug, Serialize)]
struct Recipe {
    schema: u32,
    /// The pattern's label.
    label: String,
    /// Name of the kind of degradation, as a cause; `None` where no kind comes near.
    kind: Option<&'static str>,
    /// On the kind's scale, 0–1.
    strength: Option<f32>,
    /// What the pattern shows, and what the degraded clean picture does.
    pattern: Shown,
    recipe: Option<Shown>,
    /// How far apart these two are: 0 the same, 1 about another cause.
    distance: Option<f64>,
}

/// What a capture shows.
#[derive(Clone, Debug, Serialize)]
struct Shown {
    score: f64,
    causes: Vec<Cause>,
}

/// Recipes further away than this are none: the nearest other cause is 1.4 away.
const FARTHEST: f64 = 0.7;

/// Writes the pattern with number `id` into `folder`, which is made.
pub(super) fn export(
    id: u32,
    folder: &Path,
    inputs: &[Input],
    found: &Analysis,
    context: &Context,
) -> anyhow::Result<()> {
    let clusters = &found.report.clusters;
    let Some(place) = clusters.iter().position(|cluster| cluster.id == id) else {
        let known: Vec<String> = clusters
            .iter()
            .map(|cluster| cluster.id.to_string())
            .collect();
        bail!(
            "there is no pattern {id} in this window{}",
            if known.is_empty() {
                ": there is none at all".to_owned()
            } else {
                format!("; there are {}", known.join(", "))
            }
        );
    };
    let cluster = &clusters[place];
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let save = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    context.block_on(async {
        let mut rows = Vec::new();
        for (id, input) in cluster.exemplars.iter().zip(&found.exemplar_inputs[place]) {
            let Rows::Database(reader) = &inputs[*input].rows else {
                continue;
            };
            if let Some(mut record) = reader.by_id(*id).await? {
                if let Some(picture) = record.thumbnail.take() {
                    save(&format!("{id}.jpg"), &picture)?;
                }
                // The embedding could be compared with other faces; what is learnt here needs none.
                record.embedding = None;
                rows.push(to_json(&record));
            }
        }
        save("exemplars.json", &serde_json::to_vec_pretty(&rows)?)
    })?;
    save("cluster.json", &serde_json::to_vec_pretty(cluster)?)?;
    let recipe = fit(cluster, context)?;
    save("recipe.json", &serde_json::to_vec_pretty(&recipe)?)?;
    output::note(&match (recipe.kind, recipe.strength) {
        (Some(kind), Some(strength)) => format!(
            "pattern {id} ({}) is in {}: {kind} at {strength:.1} of its scale comes nearest",
            cluster.label,
            folder.display()
        ),
        _ => format!(
            "pattern {id} ({}) is in {}: no kind of degradation makes a clean picture like it",
            cluster.label,
            folder.display()
        ),
    });
    Ok(())
}

/// Tries the kinds of the pattern's causes at rising strengths on a clean picture.
fn fit(cluster: &Cluster, context: &Context) -> anyhow::Result<Recipe> {
    let parts = offline::parts(context)?;
    let mut pipeline = parts.assembly.pipeline()?;
    let ask = Ask {
        scenario: DEFAULT_SCENARIO.to_owned(),
        policy: parts.policy(DEFAULT_SCENARIO)?.clone(),
        all_faces: false,
        needs_face: false,
    };
    let clean = image::load_from_memory(CLEAN)
        .context("the embedded picture cannot be read")?
        .to_rgb8();
    let face_px = look(&mut pipeline, &ask, &clean)?
        .map(|(width, _)| width)
        .context("no face is found in the embedded picture")?;
    let pattern = Shown {
        score: cluster.quality.mean,
        causes: cluster.causes.clone(),
    };
    let mut best: Option<(f64, CauseName, f32, Shown)> = None;
    for cause in CauseName::ALL {
        let named = cluster.causes.iter().any(|found| found.name == cause);
        let (true, Some(kind)) = (named, kind_of(cause)) else {
            continue;
        };
        for step in 1..=STEPS {
            let strength = step as f32 / STEPS as f32;
            for draw in 0..DRAWS {
                let mut random = ChaCha8Rng::seed_from_u64(draw);
                let steps = kind.draw(strength, face_px, &mut random);
                let worse = degrade(&clean, &steps, draw);
                let Some((_, quality)) = look(&mut pipeline, &ask, &worse)? else {
                    continue;
                };
                let shown = Shown {
                    score: f64::from(quality.score),
                    causes: quality.causes,
                };
                let distance = distance(&pattern, &shown);
                if best.as_ref().is_none_or(|(least, ..)| distance < *least) {
                    best = Some((distance, cause, strength, shown));
                }
            }
        }
    }
    let best = best.filter(|(distance, ..)| *distance <= FARTHEST);
    Ok(Recipe {
        schema: SCHEMA,
        label: cluster.label.clone(),
        kind: best.as_ref().map(|(_, cause, ..)| cause.name()),
        strength: best.as_ref().map(|(_, _, strength, _)| *strength),
        distance: best.as_ref().map(|(distance, ..)| *distance),
        recipe: best.map(|(.., shown)| shown),
        pattern,
    })
}

/// Width of the face and what is said of it.
fn look(
    pipeline: &mut Pipeline,
    ask: &Ask,
    picture: &image::RgbImage,
) -> anyhow::Result<Option<(f32, Quality)>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .context("a picture cannot be written")?;
    let analysis = pipeline.analyze(bytes.get_ref(), ask, Duration::ZERO)?;
    let face = analysis.faces.into_iter().next();
    Ok(face.map(|face| (face.bounding_box.width, face.quality)))
}

/// How unlike two captures are: the distance between the directions of their causes, and the difference of their scores.
fn distance(one: &Shown, other: &Shown) -> f64 {
    let direction = |shown: &Shown| {
        let weights = CauseName::ALL.map(|name| {
            let found = shown.causes.iter().find(|cause| cause.name == name);
            found.map_or(0.0, |cause| f64::from(cause.weight))
        });
        let length = weights
            .iter()
            .map(|weight| weight * weight)
            .sum::<f64>()
            .sqrt();
        weights.map(|weight| weight / length.max(1e-9))
    };
    let gaps = direction(one).into_iter().zip(direction(other));
    let causes: f64 = gaps.map(|(a, b)| (a - b).powi(2)).sum();
    (causes + (one.score - other.score).powi(2)).sqrt()
}
