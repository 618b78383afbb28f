//! `--export-cluster`: writes a pattern as training material. It contains the most typical
//! rows, their pictures if the log keeps them, and the degradation that makes a clean picture
//! look like the pattern ([`faceood_lab::fitting`]). `models train --augment` reads it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Context, offline, out_file, output};
use faceood_engine::pipeline::{Ask, Faces};
use faceood_engine::policy::DEFAULT_SCENARIO;
use faceood_lab::degrade::Recipe;
use faceood_lab::fitting::{self, Appearance, COMPONENTS, Fitted, Target};
use faceood_log::to_json;
use faceood_patterns::report::Cluster;
use faceood_patterns::{Input, PatternAnalysis, Rows};

/// Version of `recipe.json`.
const SCHEMA: u32 = 2;
const RECIPE_FILE: &str = "recipe.json";

/// `recipe.json`: what makes a clean picture like the pattern.
#[derive(Debug, Serialize)]
struct WrittenRecipe<'a> {
    schema: u32,
    label: &'a str,
    #[serde(flatten)]
    recipe: &'a Recipe,
    pattern: &'a Appearance,
    /// What the degraded clean picture shows that comes nearest.
    nearest: Option<&'a Appearance>,
    /// How far apart these two are: 0 the same, 1.4 about another cause.
    distance: Option<f64>,
}

/// As much of `recipe.json` as training needs.
#[derive(Debug, Deserialize)]
struct StoredRecipe {
    schema: u32,
    label: String,
    #[serde(flatten)]
    recipe: Recipe,
}

/// The recipe in a folder that [`export`] has written.
pub(crate) fn recipe_in(folder: &Path) -> anyhow::Result<Recipe> {
    let path = folder.join(RECIPE_FILE);
    let shown = path.display();
    let bytes = fs::read(&path).with_context(|| {
        format!("cannot read {shown}; give a folder that analyze-logs --export-cluster has written")
    })?;
    let read: StoredRecipe = serde_json::from_slice(&bytes).with_context(|| {
        format!("{shown} is no recipe of this version; export the pattern again")
    })?;
    if read.schema != SCHEMA {
        let schema = read.schema;
        bail!("{shown} has schema {schema}, this program reads {SCHEMA}; export the pattern again");
    }
    if read.recipe.kinds.is_empty() {
        bail!(
            "{shown} names no kind of degradation, since none makes pictures like the pattern {}: there is nothing to learn from it",
            read.label
        );
    }
    match read.recipe.check() {
        Ok(()) => Ok(read.recipe),
        Err(wrong) => bail!("{shown}: {wrong}"),
    }
}

fn target(cluster: &Cluster) -> Target {
    let deviations = COMPONENTS.iter().filter_map(|component| {
        let name = component.name();
        Some((name, cluster.components.get(name)?.z))
    });
    let face_px = cluster.components.get("face_px");
    Target {
        appearance: Appearance {
            score: cluster.quality.mean,
            causes: cluster.causes.clone(),
            deviations: deviations.collect(),
        },
        scores: cluster.quality.p10..=cluster.quality.p90,
        face_px: face_px.map(|size| size.median as f32),
    }
}

fn fit(target: &Target, context: &Context) -> anyhow::Result<Fitted> {
    let parts = offline::parts(context)?;
    let ask = Ask {
        scenario: DEFAULT_SCENARIO.to_owned(),
        policy: parts.policy(DEFAULT_SCENARIO)?.clone(),
        faces: Faces::Largest,
        needs_face: false,
    };
    let bar = output::progress(fitting::STEPS, "kinds of degradation");
    let fitted = fitting::fit(target, parts.assembly.pipeline()?, &ask, &|| bar.inc(1))?;
    bar.finish_and_clear();
    Ok(fitted)
}

/// Deletes the pictures of the pattern that was in `folder` before: nobody asked for them to stay.
fn forget_pictures(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot clear the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let is_of_row = name.is_some_and(|name| Uuid::parse_str(name).is_ok());
        if is_of_row && path.extension().is_some_and(|kind| kind == "jpg") {
            fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))?;
        }
    }
    Ok(())
}

/// Writes the pattern with number `id` into `folder`, which is made; the pattern that was there
/// before is replaced.
pub(super) fn export(
    id: u32,
    folder: &Path,
    inputs: &[Input],
    found: &PatternAnalysis,
    context: &Context,
) -> anyhow::Result<()> {
    let clusters = &found.report.clusters;
    let Some(place) = clusters.iter().position(|cluster| cluster.id == id) else {
        let known = clusters.iter().map(|cluster| cluster.id.to_string());
        let known = match known.collect::<Vec<_>>().as_slice() {
            [] => ": there is none at all".to_owned(),
            known => format!("; there are {}", known.join(", ")),
        };
        bail!("there is no pattern {id} in this window{known}");
    };
    let cluster = &clusters[place];
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {shown}"))?;
    let save = |name: &str, bytes: &[u8]| out_file::write(&folder.join(name), bytes);
    forget_pictures(folder)?;
    context.block_on(async {
        let mut rows = Vec::new();
        for (id, input) in cluster.exemplars.iter().zip(&found.exemplar_inputs[place]) {
            let found = match &inputs[*input].rows {
                Rows::Database(reader) => reader.by_id(*id).await?,
                Rows::Centre(reader) => reader.by_id(*id).await?.map(|(_, record)| record),
                Rows::Parquet(_) => None,
            };
            if let Some(mut record) = found {
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
    let target = target(cluster);
    let fitted = fit(&target, context)?;
    let nearest = fitted.nearest.as_ref();
    let written = WrittenRecipe {
        schema: SCHEMA,
        label: &cluster.label,
        recipe: &fitted.recipe,
        pattern: &target.appearance,
        nearest: nearest.map(|(_, appearance)| appearance),
        distance: nearest.map(|(distance, _)| *distance),
    };
    save(RECIPE_FILE, &serde_json::to_vec_pretty(&written)?)?;
    let doses = fitted.recipe.kinds.iter().map(|dose| {
        let (kind, [least, most]) = (dose.kind.name(), dose.strengths);
        format!("{kind} from {least:.2} to {most:.2} of its scale")
    });
    let comes_nearest = match doses.collect::<Vec<_>>().as_slice() {
        [] => "no kind of degradation makes a clean picture like it".to_owned(),
        doses => format!("{} comes nearest", doses.join(" with ")),
    };
    let label = &cluster.label;
    output::note(&format!(
        "pattern {id} ({label}) is in {shown}: {comes_nearest}"
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Recipe, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(RECIPE_FILE), text).unwrap();
        recipe_in(folder.path()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_recipe_that_cannot_be_learnt_from_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let message = format!("{:#}", recipe_in(folder.path()).unwrap_err());
        assert!(message.contains("--export-cluster"), "{message}");
        for (text, says) in [
            ("{}", "export the pattern again"),
            (
                r#"{"schema": 1, "label": "noise", "kinds": []}"#,
                "export the pattern again",
            ),
            (
                r#"{"schema": 2, "label": "pose", "kinds": []}"#,
                "nothing to learn from",
            ),
            (
                r#"{"schema": 2, "label": "noise", "kinds": [{"kind": "fog", "strengths": [0.1, 0.2]}]}"#,
                "fog",
            ),
            (
                r#"{"schema": 2, "label": "noise", "kinds": [{"kind": "noise", "strengths": [0.9, 0.2]}]}"#,
                "between 0 and 1",
            ),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(says), "{message}");
        }
        let good = r#"{"schema": 2, "label": "noise", "kinds": [{"kind": "noise", "strengths": [0.1, 0.2]}], "distance": 0.3}"#;
        assert_eq!(read(good).unwrap().kinds[0].strengths, [0.1, 0.2]);
    }
}
