//! Patches of small and large pictures: where they lie, how fine they are, and that a region equals
//! the whole.

use crate::geometry::BoundingBox;

use super::*;

/// Large enough that the overview is half of it.
const LARGE: (u32, u32) = (2564, 411);

fn large_scene() -> RgbImage {
    // Fine stripes on the smooth scene: what a reduced picture cannot hold.
    let mut image = scene(LARGE.0, LARGE.1);
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        if (x / 3 + y / 5) % 2 == 0 {
            pixel.0 = pixel.0.map(|value| value / 2);
        }
    }
    image
}

fn turned(image: &RgbImage, orientation: u8) -> RgbImage {
    let turn = image::metadata::Orientation::from_exif(orientation).unwrap();
    let mut image = image::DynamicImage::from(image.clone());
    image.apply_orientation(turn);
    image.into_rgb8()
}

#[test]
fn small_pictures_are_whole() {
    for (width, height) in [(1920, 1080), (1080, 1920), (2559, 52), (16, 16)] {
        let capture = decoded(&jpeg(&scene(width, height), BASELINE));
        assert_eq!(capture.overview_scale, 1.0);
        assert_eq!(capture.overview().dimensions(), (width, height));
    }
}

#[test]
fn large_jpegs_are_reduced_but_never_below_1280() {
    for (width, height, scale) in [
        (2560, 52, 0.5),
        (4000, 80, 0.5),
        (104, 5120, 0.25),
        (10240, 208, 0.125),
        (16384, 328, 0.125),
    ] {
        let capture = decoded(&jpeg(&scene(width, height), BASELINE));
        assert_eq!(capture.overview_scale, scale);
        assert_eq!((capture.width(), capture.height()), (width, height));
        let (overview_width, overview_height) = capture.overview().dimensions();
        assert_eq!(overview_width, (width as f32 * scale).ceil() as u32);
        assert_eq!(overview_height, (height as f32 * scale).ceil() as u32);
        assert!(overview_width.max(overview_height) >= 1280);
    }
}

#[test]
fn large_progressive_jpegs_are_whole() {
    let how = Jpeg {
        progressive: true,
        ..BASELINE
    };
    assert_eq!(decoded(&jpeg(&scene(2600, 52), how)).overview_scale, 1.0);
}

#[test]
fn overview_shows_the_same_scene() {
    let (width, height) = LARGE;
    let scene = scene(width, height);
    let capture = decoded(&jpeg(&scene, BASELINE));
    let (small_width, small_height) = capture.overview().dimensions();
    let expected = pixels::resize(&scene, small_width, small_height);
    assert!(difference(capture.overview(), &expected) < 1.5);
}

#[test]
fn patch_is_clipped_and_says_where_it_lies() {
    let scene = scene(100, 80);
    let capture = decoded(&png(&scene));
    let patch = capture
        .patch(BoundingBox::new(-10.5, 60.2, 30.0, 500.0), 1.0)
        .unwrap();
    assert_eq!(
        (patch.origin.x, patch.origin.y, patch.scale),
        (0.0, 60.0, 1.0)
    );
    assert_eq!(patch.pixels, pixels::crop(&scene, 0, 60, 20, 20));
}

#[test]
fn patch_outside_is_an_error() {
    let capture = decoded(&png(&scene(100, 80)));
    for area in [
        BoundingBox::new(100.0, 0.0, 10.0, 10.0),
        BoundingBox::new(-20.0, 0.0, 10.0, 10.0),
        BoundingBox::new(10.0, 10.0, 0.0, 10.0),
        BoundingBox::new(f32::NAN, 10.0, 10.0, 10.0),
        BoundingBox::new(0.0, 0.0, f32::INFINITY, 10.0),
        BoundingBox::new(10.0, 10.0, -5.0, 10.0),
    ] {
        let error = capture.patch(area, 1.0).unwrap_err();
        let expected = CaptureError::OutsidePicture {
            width: 100,
            height: 80,
        };
        assert_eq!(error, expected, "{area:?}");
        assert_eq!(error.problem(), ProblemCode::Internal);
    }
}

#[test]
fn patch_comes_from_the_overview_where_that_is_fine_enough() {
    let capture = decoded(&jpeg(&scene(LARGE.0, LARGE.1), BASELINE));
    let patch = capture
        .patch(BoundingBox::new(101.0, 100.0, 300.0, 200.0), 0.5)
        .unwrap();
    assert_eq!(patch.scale, 0.5);
    assert_eq!((patch.origin.x, patch.origin.y), (100.0, 100.0));
    assert_eq!(
        patch.pixels,
        pixels::crop(capture.overview(), 50, 50, 151, 100)
    );
}

/// The region's pixels are exactly those of a whole decode, for every subsampling and orientation:
/// `min_scale` above the overview's brings the region first, then an area beyond it the whole.
#[test]
fn fine_patch_equals_the_whole_picture() {
    let scene = large_scene();
    for subsampling in [
        Subsamp::None,
        Subsamp::Sub2x1,
        Subsamp::Sub2x2,
        Subsamp::Gray,
    ] {
        let how = Jpeg {
            subsampling,
            ..BASELINE
        };
        check_fine_patches(&jpeg(&scene, how), 1);
    }
    let plain = jpeg(&scene, BASELINE);
    for orientation in 2..=8 {
        check_fine_patches(&with_exif(&plain, &exif(orientation, true)), orientation);
    }
}

fn check_fine_patches(bytes: &[u8], orientation: u8) {
    let whole: turbojpeg::Image<Vec<u8>> = turbojpeg::decompress(bytes, PixelFormat::RGB).unwrap();
    let whole = RgbImage::from_raw(LARGE.0, LARGE.1, whole.pixels).unwrap();
    let whole = turned(&whole, orientation);
    let capture = decoded(bytes);
    assert_eq!(capture.overview_scale, 0.5);
    assert_eq!((capture.width(), capture.height()), whole.dimensions());
    let (right, bottom) = (capture.width() - 70, capture.height() - 90);
    // The first brings a region, the second lies in it, the third and fourth do not.
    for (x, y, width, height) in [
        (301, 107, 100, 120),
        (320, 122, 50, 60),
        (0, 0, 40, 50),
        (right, bottom, 70, 90),
    ] {
        let area = BoundingBox::new(x as f32, y as f32, width as f32, height as f32);
        let patch = capture.patch(area, 0.51).unwrap();
        assert_eq!(patch.scale, 1.0);
        assert_eq!((patch.origin.x, patch.origin.y), (x as f32, y as f32));
        let expected = pixels::crop(&whole, x, y, width, height);
        assert_eq!(
            patch.pixels, expected,
            "orientation {orientation}, at {x} {y}"
        );
    }
}

#[test]
fn region_at_every_edge_equals_the_whole_picture() {
    let bytes = jpeg(&large_scene(), BASELINE);
    let whole = turbojpeg::decompress(&bytes, PixelFormat::RGB).unwrap();
    let whole = RgbImage::from_raw(LARGE.0, LARGE.1, whole.pixels).unwrap();
    let (right, bottom) = (LARGE.0 - 31, LARGE.1 - 33);
    for (x, y) in [
        (0, 0),
        (right, 0),
        (0, bottom),
        (right, bottom),
        (1271, 200),
    ] {
        // A capture each, so that each one is decoded as a region.
        let capture = decoded(&bytes);
        let area = BoundingBox::new(x as f32, y as f32, 31.0, 33.0);
        let patch = capture.patch(area, 1.0).unwrap();
        assert_eq!(patch.pixels, pixels::crop(&whole, x, y, 31, 33), "{x} {y}");
    }
}

#[test]
fn all_of_a_large_picture_can_be_had() {
    let bytes = jpeg(&large_scene(), BASELINE);
    let whole = turbojpeg::decompress(&bytes, PixelFormat::RGB).unwrap();
    let everything = BoundingBox::new(0.0, 0.0, LARGE.0 as f32, LARGE.1 as f32);
    let patch = decoded(&bytes).patch(everything, 7.0).unwrap();
    assert_eq!(patch.scale, 1.0);
    assert_eq!(patch.pixels.as_raw(), &whole.pixels);
}
