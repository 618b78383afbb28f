//! How many bad faces are found, and how many are seen where there are none. Measured on photos
//! that are not in the repository, so by hand:
//!
//! ```text
//! FACEOOD_PHOTOS=../shared/photos \
//!     cargo test --release --package faceood-engine --test it -- --ignored --nocapture detection_rates
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use faceood_engine::capture::Capture;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::face::{DetectedFace, Detector, FaceError, Search};
use faceood_engine::geometry::BoundingBox;
use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::support::photos;
use crate::support::stages::{Stages, capture};

/// A way to make a picture worse, and the share of faces that must still be found; 0 where it is
/// only reported.
struct Row {
    name: &'static str,
    least: f32,
    worsen: fn(&RgbImage, u64) -> RgbImage,
}

const ROWS: [Row; 15] = [
    row("clean", 1.0, |picture, _| picture.clone()),
    row("noise σ 40", 0.95, |picture, seed| {
        photos::noisy(picture, 40.0, seed)
    }),
    row("noise σ 80", 0.76, |picture, seed| {
        photos::noisy(picture, 80.0, seed)
    }),
    row("blur σ 4 px", 0.95, |picture, _| {
        photos::blurred(picture, 4.0)
    }),
    row("blur σ 7 px", 0.95, |picture, _| {
        photos::blurred(picture, 7.0)
    }),
    row("1/8 resolution", 0.95, |picture, _| {
        let (width, height) = picture.dimensions();
        photos::resized(
            &photos::resized(picture, width / 8, height / 8),
            width,
            height,
        )
    }),
    row("light 1/50", 0.95, |picture, seed| {
        dark(picture, 50.0, seed)
    }),
    row("light 1/170", 0.95, |picture, seed| {
        dark(picture, 170.0, seed)
    }),
    row("JPEG quality 3", 0.95, |picture, _| {
        photos::pixels(&photos::jpeg(picture, 3))
    }),
    row("overexposed 20×", 0.5, |picture, _| {
        light(picture, |linear, _| 20.0 * linear, 0)
    }),
    row("motion 21 px", 0.95, |picture, _| motion(picture, 21)),
    row("roll −30°", 0.95, |picture, _| rolled(picture, -30.0)),
    row("roll 30°", 0.95, |picture, _| rolled(picture, 30.0)),
    row("upright frame, lying picture", 0.0, |picture, _| {
        image::imageops::rotate90(picture)
    }),
    row("tight crop", 0.95, |picture, _| {
        let (width, height) = picture.dimensions();
        image::imageops::crop_imm(
            picture,
            width * 3 / 10,
            height / 4,
            width * 2 / 5,
            height / 2,
        )
        .to_image()
    }),
];

const fn row(name: &'static str, least: f32, worsen: fn(&RgbImage, u64) -> RgbImage) -> Row {
    Row {
        name,
        least,
        worsen,
    }
}

/// The folder of photos, or a line that says why nothing is measured.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("FACEOOD_PHOTOS").map(PathBuf::from)?;
    folder.is_dir().then_some(folder)
}

fn pictures(folder: &Path) -> Vec<RgbImage> {
    let mut paths: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| {
            Some(
                image::load_from_memory(&std::fs::read(path).ok()?)
                    .ok()?
                    .to_rgb8(),
            )
        })
        .collect()
}

fn as_capture(picture: &RgbImage) -> Capture {
    capture(&photos::encoded(picture, image::ImageFormat::Bmp))
}

fn find(detector: &mut Detector, picture: &RgbImage, search: Search) -> Vec<DetectedFace> {
    match detector.detect(&as_capture(picture), search, &Checkpoint::OPEN) {
        Ok(faces) => faces,
        Err(FaceError::NoFace { .. }) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
#[ignore = "needs FACEOOD_PHOTOS, and minutes"]
fn bad_faces_are_found() {
    let Some(folder) = folder() else {
        eprintln!("SKIPPED: FACEOOD_PHOTOS names no folder");
        return;
    };
    let mut detector = Stages::open().detector;
    let named = pictures(&folder.join("named"));
    let truth: Vec<BoundingBox> = named
        .iter()
        .map(|picture| find(&mut detector, picture, Search::Largest)[0].bounding_box)
        .collect();
    let mut short = Vec::new();
    for row in ROWS {
        let mut found = 0;
        let mut elapsed = Duration::ZERO;
        for (seed, (picture, bounds)) in named.iter().zip(&truth).enumerate() {
            let worse = (row.worsen)(picture, seed as u64);
            let worse = as_capture(&worse);
            let begin = Instant::now();
            let faces = detector
                .detect(&worse, Search::Largest, &Checkpoint::OPEN)
                .unwrap_or_default();
            elapsed += begin.elapsed();
            // Rotated and cropped pictures have their face elsewhere: there the middle must be
            // inside it.
            let middle = BoundingBox::new(
                worse.width() as f32 / 2.0,
                worse.height() as f32 / 2.0,
                1.0,
                1.0,
            );
            let is_moved = row.name.contains("roll")
                || row.name.contains("crop")
                || row.name.contains("lying");
            found += usize::from(faces.first().is_some_and(|face| {
                if is_moved {
                    face.bounding_box.intersection(&middle) > 0.0
                } else {
                    face.bounding_box.iou(bounds) > 0.35
                }
            }));
        }
        let share = found as f32 / named.len() as f32;
        eprintln!(
            "{:30} {share:.2}  {:.1} ms",
            row.name,
            elapsed.as_secs_f64() * 1e3 / named.len() as f64
        );
        if share < row.least {
            short.push(format!("{}: {share} of {}", row.name, row.least));
        }
    }
    let masked = pictures(&folder.join("masked"));
    let share = masked
        .iter()
        .filter(|picture| !find(&mut detector, picture, Search::Largest).is_empty())
        .count() as f32
        / masked.len() as f32;
    eprintln!("{:30} {share:.2}", "real masks");
    if share < 0.9 {
        short.push(format!("real masks: {share}"));
    }
    let mut found = 0;
    let mut elapsed = Duration::ZERO;
    for (seed, (picture, bounds)) in named.iter().zip(&truth).enumerate() {
        let (frame, expected) = small_in_full_hd(picture, bounds, seed as u64);
        let begin = Instant::now();
        let faces = detector
            .detect(&frame, Search::Largest, &Checkpoint::OPEN)
            .unwrap_or_default();
        elapsed += begin.elapsed();
        found += usize::from(
            faces
                .iter()
                .any(|face| face.bounding_box.iou(&expected) > 0.35),
        );
    }
    let share = found as f32 / named.len() as f32;
    eprintln!(
        "{:30} {share:.2}  {:.1} ms",
        "42 px in 1920×1080, JPEG 35",
        elapsed.as_secs_f64() * 1e3 / named.len() as f64
    );
    if share < 0.95 {
        short.push(format!("42 px in full HD: {share}"));
    }
    assert!(short.is_empty(), "{short:#?}");
}

#[test]
#[ignore = "needs FACEOOD_TEST_PHOTOS, and minutes"]
fn pictures_without_a_face_have_none() {
    let Some(folder) = std::env::var_os("FACEOOD_TEST_PHOTOS").map(PathBuf::from) else {
        eprintln!("SKIPPED: FACEOOD_TEST_PHOTOS names no folder");
        return;
    };
    const FACELESS: [&str; 22] = [
        "brick.png",
        "cell.png",
        "chelsea.png",
        "chessboard_GRAY.png",
        "clock_motion.png",
        "coffee.png",
        "coins.png",
        "color.png",
        "grass.png",
        "gravel.png",
        "horse.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "logo.png",
        "microaneurysms.png",
        "moon.png",
        "motorcycle_left.png",
        "page.png",
        "phantom.png",
        "retina.jpg",
        "rocket.jpg",
        "text.png",
    ];
    let sources: Vec<RgbImage> = FACELESS
        .iter()
        .filter_map(|name| std::fs::read(folder.join(name)).ok())
        .map(|bytes| photos::pixels(&bytes))
        .collect();
    let mut detector = Stages::open().detector;
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut seen = 0;
    let mut elapsed = Duration::ZERO;
    let count = 1000;
    for index in 0..count {
        let picture = if index % 10 == 9 {
            photos::without_face(320, 240, index)
        } else {
            let source = &sources[below(&mut random, sources.len() as u32) as usize];
            let shorter = source.width().min(source.height());
            let side = (shorter / 4 + below(&mut random, shorter * 3 / 4)).max(32);
            let x = below(&mut random, source.width() - side.min(source.width()) + 1);
            let y = below(&mut random, source.height() - side.min(source.height()) + 1);
            let part = image::imageops::crop_imm(source, x, y, side, side).to_image();
            let target = [160, 250, 400, 640][below(&mut random, 4) as usize];
            let picture = photos::resized(&part, target, target);
            match below(&mut random, 20) {
                choice @ 0..=9 => (ROWS[1 + choice as usize].worsen)(&picture, index),
                _ => picture,
            }
        };
        let capture = as_capture(&picture);
        let begin = Instant::now();
        let faces = detector
            .detect(&capture, Search::Largest, &Checkpoint::OPEN)
            .unwrap_or_default();
        elapsed += begin.elapsed();
        if let Some(face) = faces.first() {
            seen += 1;
            eprintln!(
                "{index}: {:?} {:.2}",
                face.bounding_box, face.detection_score
            );
        }
    }
    eprintln!(
        "faces seen in {seen} of {count} pictures without any, {:.1} ms each",
        elapsed.as_secs_f64() * 1e3 / count as f64
    );
    assert!(seen * 200 <= count, "{seen} of {count}");
}

/// Milliseconds of a search, on one thread.
#[test]
#[ignore = "a measurement"]
fn time_of_a_search() {
    let mut stages = Stages::open();
    let astronaut = photos::pixels(&photos::astronaut());
    let full_hd = photos::resized(&astronaut, 1080, 1080);
    let full_hd = photos::pasted(&photos::without_face(1920, 1080, 1), &full_hd, 420, 0);
    let empty = photos::without_face(1920, 1080, 2);
    for (name, picture) in [
        ("512×512", &astronaut),
        ("1920×1080", &full_hd),
        ("1920×1080 without face", &empty),
    ] {
        let capture = as_capture(picture);
        for search in [Search::Largest, Search::All] {
            let mut times: Vec<f64> = (0..30)
                .map(|_| {
                    let begin = Instant::now();
                    let _ = stages.detector.detect(&capture, search, &Checkpoint::OPEN);
                    begin.elapsed().as_secs_f64() * 1e3
                })
                .collect();
            times.sort_by(f64::total_cmp);
            eprintln!(
                "detect {name} {search:?}: least {:.2} ms, median {:.2} ms",
                times[0], times[15]
            );
        }
    }
    let capture = as_capture(&astronaut);
    let faces = stages
        .detector
        .detect(&capture, Search::Largest, &Checkpoint::OPEN)
        .unwrap();
    let mut times: Vec<f64> = (0..30)
        .map(|_| {
            let begin = Instant::now();
            let _ = stages.aligner.align(&capture, &faces[0]);
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    eprintln!(
        "align 512×512: least {:.2} ms, median {:.2} ms",
        times[0], times[15]
    );
}

fn below(random: &mut ChaCha8Rng, end: u32) -> u32 {
    random.next_u32() % end.max(1)
}

/// The picture with its light, linear and 0–1, changed by `change`, which is given a standard
/// normal number.
fn light(picture: &RgbImage, change: impl Fn(f32, f32) -> f32, seed: u64) -> RgbImage {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut changed = picture.clone();
    for value in changed.iter_mut() {
        let normal = (0..12)
            .map(|_| random.next_u32() as f32 / u32::MAX as f32)
            .sum::<f32>()
            - 6.0;
        let linear = (f32::from(*value) / 255.0).powf(2.2);
        let changed = change(linear, normal).clamp(0.0, 1.0);
        *value = (changed.powf(1.0 / 2.2) * 255.0).round() as u8;
    }
    changed
}

/// The picture in 1/`factor` of its light, with shot noise of 4000 photons at white and a little
/// read noise.
fn dark(picture: &RgbImage, factor: f32, seed: u64) -> RgbImage {
    light(
        picture,
        |linear, normal| {
            let light = linear / factor;
            light + normal * (light / 4000.0 + 1e-6).sqrt()
        },
        seed,
    )
}

/// The picture smeared over `length` pixels to the right.
fn motion(picture: &RgbImage, length: u32) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let mut sums = [0u32; 3];
        for step in 0..length {
            let from = (x + step)
                .saturating_sub(length / 2)
                .min(picture.width() - 1);
            for (sum, value) in sums.iter_mut().zip(picture.get_pixel(from, y).0) {
                *sum += u32::from(value);
            }
        }
        image::Rgb(sums.map(|sum| (sum / length) as u8))
    })
}

/// The picture turned about its middle, clockwise on the screen; what was outside repeats the edge.
fn rolled(picture: &RgbImage, degrees: f32) -> RgbImage {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let (sin, cos) = degrees.to_radians().sin_cos();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (dx, dy) = (x as f32 - width / 2.0, y as f32 - height / 2.0);
        let from_x = (width / 2.0 + cos * dx + sin * dy).clamp(0.0, width - 1.0);
        let from_y = (height / 2.0 - sin * dx + cos * dy).clamp(0.0, height - 1.0);
        *picture.get_pixel(from_x.round() as u32, from_y.round() as u32)
    })
}

/// The photo, its face brought to 42 px of width, somewhere in a frame of 1920×1080 that is stored
/// as a JPEG of quality 35.
fn small_in_full_hd(picture: &RgbImage, bounds: &BoundingBox, seed: u64) -> (Capture, BoundingBox) {
    let scale = 42.0 / bounds.width;
    let width = (picture.width() as f32 * scale) as u32;
    let height = (picture.height() as f32 * scale) as u32;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (x, y) = (
        below(&mut random, 1920 - width),
        below(&mut random, 1080 - height),
    );
    let frame = photos::pasted(
        &photos::without_face(1920, 1080, seed),
        &photos::resized(picture, width, height),
        x,
        y,
    );
    let expected = BoundingBox::new(
        x as f32 + bounds.x * scale,
        y as f32 + bounds.y * scale,
        bounds.width * scale,
        bounds.height * scale,
    );
    (capture(&photos::jpeg(&frame, 35)), expected)
}
