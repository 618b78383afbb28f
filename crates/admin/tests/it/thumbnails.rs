//! Small pictures of faces in the log: only where the operator has them kept, never over HTTP, gone
//! with their rows.

use base64::Engine as _;
use serde_json::Value;

use crate::support::database::Outsider;
use crate::support::{Admin, Daemon, photos, repository};

/// Asks each of the endpoints that look at faces, and once without a face; gives the number of
/// faces with a row.
fn ask_all(daemon: &Daemon) -> usize {
    let client = daemon.client();
    let photo = photos::astronaut();
    client.extract(&photo, "?source=gate").ok();
    client.quality(&photo, "").ok();
    client.compare(&photo, &photo, "").ok();
    let nobody = photos::jpeg(&photos::without_face(200, 200, 1), 90);
    client.quality(&nobody, "").ok();
    4
}

/// Mean difference of two pictures' levels.
fn difference(one: &image::RgbImage, other: &image::RgbImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let levels = one.as_raw().iter().zip(other.as_raw());
    let total: u32 = levels.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(total) / one.as_raw().len() as f64
}

#[test]
fn nothing_is_kept_unless_asked_for() {
    let daemon = Daemon::start();
    let faces = ask_all(&daemon);
    let rows = Outsider::open(&daemon.database()).thumbnails();
    assert_eq!(rows.len(), faces + 1);
    assert!(rows.iter().all(|(_, thumbnail)| thumbnail.is_none()));
    let privacy = &daemon.client().get("/v1/info").ok()["privacy"];
    assert_eq!(privacy["keeps_thumbnails"], false);
}

#[test]
fn each_face_is_kept_as_it_was_judged_and_goes_with_its_row() {
    let daemon = Daemon::with_config("[log]\nkeep_thumbnails = true\n");
    let faces = ask_all(&daemon);
    let rows = Outsider::open(&daemon.database()).thumbnails();
    let kept: Vec<&Vec<u8>> = rows.iter().filter_map(|(_, kept)| kept.as_ref()).collect();
    assert_eq!((rows.len(), kept.len()), (faces + 1, faces));
    let aligned = repository().join("tests/reference/astronaut_aligned.png");
    let aligned = image::open(aligned).unwrap().into_rgb8();
    for thumbnail in &kept {
        assert!(thumbnail.starts_with(&[0xff, 0xd8]) && thumbnail.len() < 10_000);
        let off = difference(&photos::pixels(thumbnail), &aligned);
        assert!(off < 8.0, "{off} levels from the reference's alignment");
    }

    let client = daemon.client();
    assert_eq!(
        client.get("/v1/info").ok()["privacy"]["keeps_thumbnails"],
        true
    );
    let log = client.get("/v1/inferences").ok();
    let mut shown = log["inferences"].as_array().unwrap().iter();
    assert!(
        shown.all(|row| row.get("thumbnail").is_none()),
        "a face is sent"
    );

    let data = daemon.data_dir();
    let admin = |arguments: &[&str]| {
        let mut all = vec!["--data-dir", data.to_str().unwrap()];
        all.extend(arguments);
        Admin::run(all).success()
    };
    let line = admin(&["export", "--format", "jsonl", "--source", "gate"]).stdout;
    let row: Value = serde_json::from_str(&line).unwrap();
    let exported =
        base64::engine::general_purpose::STANDARD.decode(row["thumbnail"].as_str().unwrap());
    assert_eq!(&exported.unwrap(), kept[0]);

    admin(&["prune", "--max-size", "1KB"]);
    assert_eq!(Outsider::open(&daemon.database()).thumbnails(), []);
}
