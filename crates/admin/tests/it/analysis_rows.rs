//! What the real pipeline measures on pictures made worse: the rows that `support::log_fixture`
//! mixes its logs from, and a small log through the live daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use faceood_engine::capture;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::geometry::Point;
use faceood_engine::pipeline::{Ask, Assembly, Face, Faces, Pipeline};
use faceood_engine::policy::{DEFAULT_SCENARIO, Policies};
use faceood_engine::quality::{CauseName, Component};
use faceood_engine::runtime::{self, Runtime};
use faceood_lab::degrade::{Degradation, DegradationKind, Material, Pattern, degrade};
use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::support::database::Outsider;
use crate::support::{Admin, Daemon, log_fixture, models, photos};

/// The cause that each kind is meant to show as.
const KINDS: [(&str, DegradationKind); 8] = [
    ("noise", DegradationKind::Noise),
    ("blur", DegradationKind::DefocusBlur),
    ("motion_blur", DegradationKind::MotionBlur),
    ("low_resolution", DegradationKind::LowResolution),
    ("compression", DegradationKind::Compression),
    ("underexposure", DegradationKind::Underexposure),
    ("overexposure", DegradationKind::Overexposure),
    ("screen_recapture", DegradationKind::Recapture),
];

/// Width of the face in the photo, pixels.
const FACE_PX: f32 = 90.0;

fn unit(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / 16_777_216.0
}

/// The photo as another moment has it: mirrored or not, nearer or farther, brighter or darker.
fn moment(photo: &RgbImage, random: &mut ChaCha8Rng) -> RgbImage {
    let side = (512.0 * (0.4 + 0.5 * unit(random))) as u32;
    let mut seen = photos::lit(
        &photos::resized(photo, side, side),
        0.8 + 0.35 * unit(random),
    );
    if unit(random) < 0.5 {
        seen = image::imageops::flip_horizontal(&seen);
    }
    seen
}

/// The moment, made worse by a kind at a strength of `strengths`.
fn worse(
    photo: &RgbImage,
    kind: DegradationKind,
    strengths: [f32; 2],
    random: &mut ChaCha8Rng,
) -> RgbImage {
    let seen = moment(photo, random);
    let strength = strengths[0] + (strengths[1] - strengths[0]) * unit(random);
    let face = FACE_PX * seen.width() as f32 / 512.0;
    let steps = kind.draw(strength, face, random);
    degrade(&seen, &steps, random.next_u64())
}

/// A cloth over mouth and chin, by where eyes, nose and mouth are.
fn masked(seen: &RgbImage, face: &Face, random: &mut ChaCha8Rng) -> RgbImage {
    let [left, right, nose, left_mouth, right_mouth] = face.landmarks;
    let between = |a: Point, b: Point, part: f32| Point {
        x: a.x + part * (b.x - a.x),
        y: a.y + part * (b.y - a.y),
    };
    let outline = vec![
        between(left, left_mouth, 0.45),
        between(nose, between(left, right, 0.5), 0.3),
        between(right, right_mouth, 0.45),
        between(right, right_mouth, 1.8),
        between(left, left_mouth, 1.8),
    ];
    let colour = [0; 3].map(|_: u8| (60.0 + 190.0 * unit(random)) as u8);
    let material = Material {
        colour,
        second_colour: colour,
        pattern: Pattern::Plain,
        repeats: 1.0,
        opacity: 1.0,
    };
    degrade(seen, &[Degradation::Cover { outline, material }], 1)
}

fn analysed(pipeline: &mut Pipeline, picture: &RgbImage) -> Option<Face> {
    let ask = Ask {
        scenario: DEFAULT_SCENARIO.to_owned(),
        policy: Policies::default().get(DEFAULT_SCENARIO).cloned().unwrap(),
        faces: Faces::Largest,
        needs_face: false,
    };
    let upload = photos::jpeg(picture, 92);
    let analysis = pipeline
        .analyze(&upload, &ask, Duration::ZERO, &Checkpoint::OPEN)
        .ok()?;
    analysis.faces.into_iter().next()
}

#[test]
#[ignore = "writes tests/support/src/log_fixture/measured.csv anew; takes minutes"]
fn measure_rows() {
    let runtime = Runtime::load(&runtime::Settings::default()).unwrap();
    let assembly = Assembly::open(
        runtime,
        &models().join("default"),
        capture::Settings::default(),
    )
    .unwrap();
    let mut pipeline = assembly.pipeline().unwrap();
    let photo = photos::pixels(&photos::astronaut());
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut out = csv::Writer::from_path(log_fixture::measured_path()).unwrap();
    out.write_record(log_fixture::head()).unwrap();
    let mut write = |kind: &str, face: &Face| {
        let quality = &face.quality;
        let mut cells = vec![kind.to_owned()];
        let mut number =
            |value: Option<f32>| cells.push(value.map_or(String::new(), |v| format!("{v:.5}")));
        number(Some(quality.score));
        number(Some(face.embedding_norm));
        number(Some(face.bounding_box.width));
        number(Some(face.bounding_box.height));
        for name in CauseName::ALL {
            let found = quality.causes.iter().find(|cause| cause.name == name);
            number(Some(found.map_or(0.0, |cause| cause.weight)));
        }
        for component in Component::ALL {
            number(quality.components.get(component));
        }
        out.write_record(&cells).unwrap();
    };
    // A clean site's pictures have a little of everything.
    for number in 0..80 {
        let kind = KINDS[number % KINDS.len()].1;
        let picture = worse(&photo, kind, [0.0, 0.3], &mut random);
        if let Some(face) = analysed(&mut pipeline, &picture) {
            write("clean", &face);
        }
    }
    for (name, kind) in KINDS {
        for _ in 0..60 {
            let picture = worse(&photo, kind, [0.6, 1.0], &mut random);
            if let Some(face) = analysed(&mut pipeline, &picture) {
                write(name, &face);
            }
        }
    }
    for _ in 0..40 {
        let seen = moment(&photo, &mut random);
        let Some(face) = analysed(&mut pipeline, &seen) else {
            continue;
        };
        let picture = masked(&seen, &face, &mut random);
        if let Some(face) = analysed(&mut pipeline, &picture) {
            write("mask", &face);
        }
    }
    out.flush().unwrap();
}

#[test]
fn what_is_planted_through_the_live_daemon_is_found() {
    let daemon = Daemon::with_config("[log]\nkeep_thumbnails = true\n");
    let client = daemon.client();
    let photo = photos::pixels(&photos::astronaut());
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut planted = BTreeMap::new();
    let mut send = |picture: &RgbImage, source: &str, kind: &str| {
        let answer = client.quality(&photos::jpeg(picture, 92), &format!("?source={source}"));
        let id = answer.ok()["request_id"].as_str().unwrap().to_owned();
        planted.insert(id, kind.to_owned());
    };
    for number in 0..45 {
        let picture = moment(&photo, &mut random);
        send(
            &picture,
            ["gate-1", "gate-2", "gate-3"][number % 3],
            "clean",
        );
    }
    for (name, kind, source, count, strengths) in [
        ("noise", DegradationKind::Noise, "gate-2", 36, [0.7, 0.9]),
        (
            "motion_blur",
            DegradationKind::MotionBlur,
            "gate-3",
            24,
            [0.8, 1.0],
        ),
    ] {
        for _ in 0..count {
            let picture = worse(&photo, kind, strengths, &mut random);
            send(&picture, source, name);
        }
    }
    let csv = daemon.data_dir().join("assignments.csv");
    let data = daemon.data_dir();
    let report = Admin::run([
        "--data-dir",
        data.to_str().unwrap(),
        "analyze-logs",
        // Some faces are too small for `access`, which would be a pattern of its own.
        "--max-score",
        "0.4",
        "--min-cluster-size",
        "12",
        "--format",
        "json",
        "--assignments",
        csv.to_str().unwrap(),
    ])
    .success()
    .json();
    let labels: Vec<&str> = report["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cluster| cluster["causes"][0]["name"].as_str().unwrap())
        .collect();
    let mut sorted = labels.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["motion_blur", "noise"], "{report:#}");
    for cluster in report["clusters"].as_array().unwrap() {
        let source = match cluster["label"].as_str().unwrap() {
            "noise" => "gate-2",
            _ => "gate-3",
        };
        assert_eq!(cluster["sources"][0]["source"], source, "{cluster:#}");
    }
    let assigned = std::fs::read_to_string(&csv).unwrap().lines().count() - 1;
    let low = report["totals"]["low"].as_u64().unwrap() as usize;
    assert!(assigned * 100 >= low * 85, "{assigned} of {low}");

    // A pattern as material to learn from: its rows, and what makes a clean picture like it.
    let folder = daemon.data_dir().join("pattern");
    let export = |id: &str| {
        Admin::run([
            "--data-dir",
            data.to_str().unwrap(),
            "analyze-logs",
            "--max-score",
            "0.4",
            "--min-cluster-size",
            "12",
            "--export-cluster",
            id,
            "--out",
            folder.to_str().unwrap(),
        ])
    };
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let kept: BTreeMap<String, Vec<u8>> = Outsider::open(&daemon.database())
        .thumbnails()
        .into_iter()
        .filter_map(|(request, face)| Some((request, face?)))
        .collect();
    let pictures = || {
        let files = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut pictures: Vec<(String, Vec<u8>)> = files
            .filter(|path| path.extension().is_some_and(|extension| extension == "jpg"))
            .map(|path| {
                let id = path.file_stem().unwrap().to_str().unwrap();
                (id.to_owned(), std::fs::read(&path).unwrap())
            })
            .collect();
        pictures.sort_unstable();
        pictures
    };
    for (label, source, planted_most) in [("noise", "gate-2", 0.9), ("motion_blur", "gate-3", 1.0)]
    {
        let of_label = |cluster: &&serde_json::Value| cluster["label"] == label;
        let clusters = report["clusters"].as_array().unwrap();
        let cluster = clusters.iter().find(of_label).unwrap();
        export(&cluster["id"].to_string()).success();
        assert_eq!(read("cluster.json"), *cluster);
        let rows = read("exemplars.json");
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), cluster["exemplars"].as_array().unwrap().len());
        let is_bare = |row: &serde_json::Value| row["embedding"].is_null();
        assert!(
            rows.iter()
                .all(|row| row["source"] == source && is_bare(row))
        );
        // Their faces, as the log keeps them; none of the pattern that was here before.
        let mut faces: Vec<(String, Vec<u8>)> = rows
            .iter()
            .map(|row| {
                let request = row["request_id"].as_str().unwrap();
                (
                    row["id"].as_str().unwrap().to_owned(),
                    kept[request].clone(),
                )
            })
            .collect();
        faces.sort_unstable();
        assert!(pictures() == faces, "{} pictures", pictures().len());
        let recipe = read("recipe.json");
        assert_eq!(recipe["kinds"][0]["kind"], label, "{recipe:#}");
        let [least, most] =
            [0, 1].map(|end| recipe["kinds"][0]["strengths"][end].as_f64().unwrap());
        // Weaker cases are learnt from, too.
        assert!(least < 0.6, "{recipe:#}");
        assert!((most - planted_most).abs() < 0.35, "{recipe:#}");
    }
    let none = export("99").expect_code(1);
    assert!(
        none.stderr.contains("no pattern 99") && none.stderr.contains("there are 1, 2"),
        "{}",
        none.stderr
    );
}

#[test]
fn what_cannot_be_learnt_from_is_told_before_the_photos_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let train = |option: &str, value: &str| {
        Admin::run([
            "models", "train", "--photos", place, "--out", place, option, value,
        ])
    };
    let none = train("--augment", place).expect_code(1);
    assert!(none.stderr.contains("--export-cluster"), "{}", none.stderr);
    let recipe = r#"{"schema": 2, "label": "pose", "kinds": []}"#;
    std::fs::write(folder.path().join("recipe.json"), recipe).unwrap();
    let empty = train("--augment", place).expect_code(1);
    let says = "none makes pictures like the pattern pose";
    assert!(empty.stderr.contains(says), "{}", empty.stderr);
    let unknown = train("--without", "fog").expect_code(2);
    assert!(unknown.stderr.contains("motion_blur"), "{}", unknown.stderr);
}
