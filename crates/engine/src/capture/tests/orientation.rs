//! All eight EXIF orientations, in every format that carries them, against the upright picture.

use image::codecs::{png::PngEncoder, webp::WebPEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageEncoder};

use super::*;

/// How a camera that was held so stores the upright `scene`: the inverse of what a viewer does.
fn stored(scene: &RgbImage, orientation: u8) -> RgbImage {
    let undo = match orientation {
        // Quarter turns undo each other; everything else undoes itself.
        6 => 8,
        8 => 6,
        other => other,
    };
    let mut image = DynamicImage::from(scene.clone());
    image.apply_orientation(Orientation::from_exif(undo).unwrap());
    image.into_rgb8()
}

#[test]
fn jpeg_is_turned_upright() {
    let scene = scene(96, 64);
    for orientation in 1..=8 {
        for big_endian in [false, true] {
            let bytes = with_exif(
                &jpeg(&stored(&scene, orientation), BASELINE),
                &exif(orientation, big_endian),
            );
            let capture = decoded(&bytes);
            assert_eq!((capture.width(), capture.height()), (96, 64));
            let loss = difference(capture.overview(), &scene);
            assert!(loss < 1.5, "orientation {orientation}: {loss}");
        }
    }
}

#[test]
fn png_and_webp_are_turned_upright() {
    let scene = scene(33, 20);
    for orientation in 1..=8 {
        let image = stored(&scene, orientation);
        let (width, height) = image.dimensions();
        let rgb = image::ExtendedColorType::Rgb8;

        let mut png = Vec::new();
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif(orientation, true)).unwrap();
        encoder.write_image(&image, width, height, rgb).unwrap();
        assert_eq!(decoded(&png).overview(), &scene, "PNG {orientation}");

        let mut webp = Vec::new();
        let mut encoder = WebPEncoder::new_lossless(&mut webp);
        encoder.set_exif_metadata(exif(orientation, false)).unwrap();
        encoder.write_image(&image, width, height, rgb).unwrap();
        assert_eq!(decoded(&webp).overview(), &scene, "WebP {orientation}");
    }
}

/// An uncompressed RGB TIFF of one strip with an orientation tag.
fn tiff(image: &RgbImage, orientation: u8) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let count = image.as_raw().len() as u32;
    // Header (8), then 10 entries of 12 bytes between a count and a next offset, then three depths,
    // then the pixels.
    let depths = 8 + 2 + 10 * 12 + 4;
    let pixels = depths + 6;
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend_from_slice(&10_u16.to_le_bytes());
    let entries: [(u16, u16, u32, u32); 10] = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, depths),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, pixels),
        (274, 3, 1, u32::from(orientation)),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, count),
    ];
    for (tag, kind, count, value) in entries {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&[8, 0, 8, 0, 8, 0]);
    out.extend_from_slice(image.as_raw());
    out
}

#[test]
fn tiff_is_turned_upright() {
    let scene = scene(33, 20);
    for orientation in 1..=8 {
        let bytes = tiff(&stored(&scene, orientation), orientation);
        assert_eq!(decoded(&bytes).overview(), &scene, "{orientation}");
    }
}

#[test]
fn nonsense_in_exif_leaves_the_picture_as_it_is() {
    let scene = scene(48, 32);
    let plain = jpeg(&scene, BASELINE);
    let upright = decoded(&plain);
    for block in [
        exif(0, false),
        exif(9, true),
        exif(200, true),
        vec![1, 2, 3],
        vec![],
    ] {
        let capture = decoded(&with_exif(&plain, &block));
        assert_eq!(capture.overview(), upright.overview(), "{block:?}");
    }
    // Cut off at every length.
    let block = exif(6, true);
    for length in 0..block.len() {
        let capture = decoded(&with_exif(&plain, &block[..length]));
        assert_eq!(capture.overview().as_raw().len(), 48 * 32 * 3);
    }
}

#[test]
fn a_preview_inside_exif_is_not_the_picture() {
    let scene = scene(80, 60);
    let preview = jpeg(&RgbImage::new(16, 16), BASELINE);
    let block = [exif(1, true), preview].concat();
    let capture = decoded(&with_exif(&jpeg(&scene, BASELINE), &block));
    assert_eq!((capture.width(), capture.height()), (80, 60));
    assert!(difference(capture.overview(), &scene) < 1.5);
}

#[test]
fn areas_of_stored_and_upright_pictures_map_onto_each_other() {
    let scene = scene(30, 20);
    let upright = pixels::Area {
        x: 3,
        y: 5,
        width: 7,
        height: 4,
    };
    for orientation in 1..=8 {
        let image = stored(&scene, orientation);
        let (width, height) = image.dimensions();
        let turn = pixels::Turn::from(Orientation::from_exif(orientation).unwrap());
        let area = turn.stored(upright, width, height);
        assert_eq!(turn.upright(area, width, height), upright);
        let part = pixels::crop(&image, area.x, area.y, area.width, area.height);
        let expected = pixels::crop(&scene, 3, 5, 7, 4);
        assert_eq!(turn.apply(part), expected, "orientation {orientation}");
    }
}
