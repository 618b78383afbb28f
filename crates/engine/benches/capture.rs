//! What a picture costs before any network sees it: decoding at the sizes that cameras make, a
//! face's region at full size, and the warp onto the recogniser's grid.
//! `cargo bench --package faceood-engine --bench capture`.
//!
//! The pictures are a public-domain photo enlarged to size with grain on top, so that their entropy
//! is near a camera's.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use faceood_engine::capture::{Capture, Settings, decode, pixels};
use faceood_engine::geometry::{BoundingBox, Transform};
use image::RgbImage;
use rand::{RngExt, SeedableRng};
use turbojpeg::{Compressor, PixelFormat, Subsamp};

const PHOTO: &[u8] = include_bytes!("../../../tests/photos/astronaut.jpg");

/// Megapixels of a terminal's frame, a web camera, a 1080p frame, and three kinds of phone.
const SIZES: [(u32, u32); 6] = [
    (512, 512),
    (1280, 720),
    (1920, 1080),
    (2592, 1944),
    (4032, 3024),
    (5760, 4312),
];

fn photo(width: u32, height: u32) -> Vec<u8> {
    let small = image::load_from_memory(PHOTO)
        .map_or_else(|_| RgbImage::new(8, 8), image::DynamicImage::into_rgb8);
    let mut image = pixels::resize(&small, width, height);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    for value in image.iter_mut() {
        let grain = random.random_range(-6..=6);
        *value = value.saturating_add_signed(grain);
    }
    let written = Compressor::new().and_then(|mut compressor| {
        compressor.set_quality(88)?;
        compressor.set_subsamp(Subsamp::Sub2x2)?;
        compressor.compress_to_vec(turbojpeg::Image {
            pixels: image.as_raw().as_slice(),
            width: width as usize,
            pitch: width as usize * 3,
            height: height as usize,
            format: PixelFormat::RGB,
        })
    });
    written.unwrap_or_default()
}

fn capture(bytes: &[u8]) -> Option<Capture> {
    decode(bytes, &Settings::default()).ok()
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(20);
    for (width, height) in SIZES {
        let bytes = photo(width, height);
        group.throughput(Throughput::Elements(u64::from(width) * u64::from(height)));
        let name = format!("{width}x{height}");
        group.bench_function(BenchmarkId::new("overview", &name), |bencher| {
            bencher.iter(|| capture(black_box(&bytes)));
        });
        // A face in the upper middle, a tenth of the width, at full size: for large pictures a
        // second pass.
        let side = width as f32 / 5.0;
        let area = BoundingBox::new(width as f32 * 0.4, height as f32 * 0.2, side, side);
        group.bench_function(
            BenchmarkId::new("overview_and_small_face", &name),
            |bencher| {
                bencher.iter(|| capture(black_box(&bytes)).map(|capture| capture.patch(area, 1.0)));
            },
        );
    }
    group.finish();
}

fn warping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("warp_112");
    let Some(capture) = capture(&photo(2000, 2000)) else {
        return;
    };
    for shrink in [0.8_f32, 1.2, 2.0, 4.0, 8.0] {
        let side = 112.0 * shrink * 1.5;
        let Ok(patch) = capture.patch(BoundingBox::new(300.0, 300.0, side, side), 1.0) else {
            continue;
        };
        let transform = Transform {
            a: 0.98 / shrink,
            b: 0.17 / shrink,
            tx: -300.0 / shrink,
            ty: -370.0 / shrink,
        };
        group.bench_function(format!("1/{shrink}"), |bencher| {
            bencher.iter(|| pixels::warp(black_box(&patch), &transform, 112));
        });
    }
    group.finish();
}

fn resizing(criterion: &mut Criterion) {
    let image = RgbImage::from_fn(1920, 1080, |x, y| {
        image::Rgb([x as u8, y as u8, (x ^ y) as u8])
    });
    criterion.bench_function("resize/1920x1080 to 640x360", |bencher| {
        bencher.iter(|| pixels::resize(black_box(&image), 640, 360));
    });
    criterion.bench_function("luma/1920x1080", |bencher| {
        bencher.iter(|| pixels::luma(black_box(&image)));
    });
}

criterion_group!(benches, decoding, warping, resizing);
criterion_main!(benches);
