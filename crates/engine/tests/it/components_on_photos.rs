//! What the quality components show on a folder of photos: the percentiles that the constants in
//! `crates/engine/src/quality` were chosen by. It prints and asserts nothing but that faces were found:
//!
//! ```text
//! FACEOOD_PHOTOS=DIR cargo test --release --package faceood-engine --test it components_on_photos -- \
//!     --ignored --nocapture
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use faceood_engine::capture;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::pipeline::{Ask, Assembly, Faces};
use faceood_engine::policy::{DEFAULT_SCENARIO, Policies};
use faceood_engine::quality::{Component, Quality};
use faceood_engine::runtime::{self, Runtime};
use walkdir::WalkDir;

const SHARES: [f64; 5] = [0.02, 0.1, 0.5, 0.9, 0.98];

#[test]
#[ignore = "needs a folder of photos in FACEOOD_PHOTOS; prints percentiles for each of its folders"]
fn components_on_photos() {
    let photos = std::env::var("FACEOOD_PHOTOS").expect("FACEOOD_PHOTOS names a folder of photos");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/default");
    let runtime = Runtime::load(&runtime::Settings::default()).unwrap();
    let assembly = Assembly::open(runtime, &models, capture::Settings::default()).unwrap();
    let mut pipeline = assembly.pipeline().unwrap();
    let ask = Ask {
        scenario: DEFAULT_SCENARIO.to_owned(),
        policy: Policies::default().get(DEFAULT_SCENARIO).cloned().unwrap(),
        faces: Faces::Largest,
        needs_face: false,
    };

    let mut groups: BTreeMap<String, Vec<Quality>> = BTreeMap::new();
    for entry in WalkDir::new(&photos)
        .sort_by_file_name()
        .into_iter()
        .flatten()
    {
        let Ok(upload) = std::fs::read(entry.path()) else {
            continue;
        };
        let Ok(analysis) = pipeline.analyze(&upload, &ask, Duration::ZERO, &Checkpoint::OPEN)
        else {
            continue;
        };
        let inside = entry.path().strip_prefix(&photos).unwrap();
        let folder = inside.iter().next().unwrap().to_string_lossy();
        let found = analysis.faces.into_iter().map(|face| face.quality);
        groups.entry(folder.into_owned()).or_default().extend(found);
    }
    assert!(!groups.is_empty(), "no face in {photos}");
    for (folder, found) in &groups {
        eprintln!("{folder}: {} faces; percentiles {SHARES:?}", found.len());
        let line = |name: &str, values: Vec<f32>| eprintln!("  {name:28} {}", percentiles(values));
        line("score", found.iter().map(|quality| quality.score).collect());
        for component in Component::ALL {
            let values = found
                .iter()
                .filter_map(|quality| quality.components.get(component));
            line(component.name(), values.collect());
        }
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for quality in found {
            let name = quality
                .causes
                .first()
                .map_or("none", |cause| cause.name.name());
            *first.entry(name).or_default() += 1;
        }
        eprintln!("  first causes: {first:?}");
    }
}

fn percentiles(mut values: Vec<f32>) -> String {
    values.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| values.get(((values.len() as f64 - 1.0) * share).round() as usize);
    SHARES
        .iter()
        .filter_map(|&share| at(share))
        .map(|value| format!("{value:9.3}"))
        .collect()
}
