//! Pictures as real writers write them: each case comes from a public report about another decoder.

use image::{DynamicImage, ImageEncoder};

use super::formats::{deflated, header, png_of};
use super::*;

/// A quarter turn, as a camera stores it, and the upright scene.
fn turned() -> (RgbImage, RgbImage) {
    let upright = scene(48, 32);
    let mut stored = DynamicImage::from(upright.clone());
    stored.apply_orientation(image::metadata::Orientation::Rotate270);
    (stored.into_rgb8(), upright)
}

fn png_chunks(image: &RgbImage, extra: (&[u8; 4], &[u8]), is_last: bool) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let rows: Vec<u8> = image
        .as_raw()
        .chunks_exact(width as usize * 3)
        .flat_map(|row| [&[0], row].concat())
        .collect();
    let (start, pixels) = (header(width, height, 8, 2), deflated(&rows));
    let mut chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"IHDR", &start), (b"IDAT", &pixels)];
    chunks.insert(if is_last { 2 } else { 1 }, extra);
    chunks.push((b"IEND", &[]));
    png_of(&chunks)
}

#[test]
fn exif_may_begin_with_the_name_that_it_has_in_jpeg() {
    let (stored, upright) = turned();
    let (width, height) = stored.dimensions();
    for block in [exif(6, true), [b"Exif\0\0", &exif(6, false)[..]].concat()] {
        let mut webp = Vec::new();
        let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
        encoder.set_exif_metadata(block.clone()).unwrap();
        encoder
            .write_image(&stored, width, height, image::ExtendedColorType::Rgb8)
            .unwrap();
        assert_eq!(decoded(&webp).overview(), &upright);
        // Before the pixels or behind them.
        for is_last in [false, true] {
            let png = png_chunks(&stored, (b"eXIf", &block), is_last);
            assert_eq!(decoded(&png).overview(), &upright);
        }
    }
}

#[test]
fn the_first_of_two_exif_blocks_counts() {
    let plain = jpeg(&scene(48, 32), BASELINE);
    let both = with_exif(&with_exif(&plain, &exif(1, true)), &exif(6, true));
    let capture = decoded(&both);
    assert_eq!((capture.width(), capture.height()), (32, 48));
    let both = with_exif(&with_exif(&plain, &exif(6, true)), &exif(1, true));
    assert_eq!(decoded(&both).width(), 48);
}

#[test]
fn orientation_may_be_a_byte_or_a_long() {
    let (stored, _) = turned();
    let plain = jpeg(&stored, BASELINE);
    for big_endian in [false, true] {
        for (kind, bytes) in [(1_u16, 1_usize), (4, 4)] {
            let mut block = exif(6, big_endian);
            let number = |value: u32, bytes: usize| {
                let all = value.to_be_bytes();
                let mut out = all[4 - bytes..].to_vec();
                if !big_endian {
                    out.reverse();
                }
                out
            };
            block[12..14].copy_from_slice(&number(kind.into(), 2));
            block[18..22].fill(0);
            block[18..18 + bytes].copy_from_slice(&number(6, bytes));
            let capture = decoded(&with_exif(&plain, &block));
            assert_eq!(
                (capture.width(), capture.height()),
                (48, 32),
                "{kind} {big_endian}"
            );
        }
    }
}

#[test]
fn exif_in_a_text_of_png_turns_the_picture() {
    let (stored, upright) = turned();
    let block = [b"Exif\0\0", &exif(6, true)[..]].concat();
    let digits = hex::encode(&block);
    let lines: Vec<_> = digits
        .as_bytes()
        .chunks(72)
        .map(|it| String::from_utf8_lossy(it))
        .collect();
    for keyword in ["exif", "APP1"] {
        let text = format!("\n{keyword}\n{:>8}\n{}\n", block.len(), lines.join("\n"));
        let start = format!("Raw profile type {keyword}\0");
        let plain = [start.as_bytes(), text.as_bytes()].concat();
        let packed = [start.as_bytes(), &[0], &deflated(text.as_bytes())].concat();
        for (name, body) in [(b"tEXt", plain), (b"zTXt", packed)] {
            let png = png_chunks(&stored, (name, &body), false);
            assert_eq!(decoded(&png).overview(), &upright, "{keyword}");
        }
    }
}

#[test]
fn texts_and_profiles_of_png_that_unpack_to_gigabytes_cost_nothing() {
    let zeros = deflated(&vec![b'0'; 64 << 20]);
    let scene = scene(20, 20);
    for (name, start) in [
        (b"zTXt", &b"Raw profile type exif\0\0"[..]),
        (b"iCCP", b"ICC\0\0"),
    ] {
        let body = [start, &zeros].concat();
        let settings = Settings {
            max_memory_bytes: 1_000_000,
            ..Settings::default()
        };
        let png = png_chunks(&scene, (name, &body), false);
        assert_eq!(decode(&png, &settings).unwrap().overview(), &scene);
    }
}

#[test]
fn an_alpha_channel_of_bmp_that_nobody_filled_is_ignored() {
    let image =
        image::RgbaImage::from_fn(9, 5, |x, y| image::Rgba([x as u8 * 20, y as u8 * 40, 7, 0]));
    let bytes = encoded(&image.clone().into(), Kind::Bmp);
    let expected = RgbImage::from_fn(9, 5, |x, y| {
        let image::Rgba([red, green, blue, _]) = *image.get_pixel(x, y);
        Rgb([red, green, blue])
    });
    assert_eq!(decoded(&bytes).overview(), &expected);
    // One pixel with opacity, and the channel is meant.
    let mut image = image;
    image.put_pixel(0, 0, image::Rgba([1, 2, 3, 255]));
    let picture = decoded(&encoded(&image.into(), Kind::Bmp));
    assert_eq!(picture.overview().get_pixel(0, 0), &Rgb([1, 2, 3]));
    assert_eq!(picture.overview().get_pixel(1, 1), &Rgb([128; 3]));
}

#[test]
fn jpeg_without_its_end_marker_is_decoded_where_nothing_else_is_missing() {
    for image in [scene(120, 90), scene(2700, 1800)] {
        let whole = jpeg(&image, BASELINE);
        let expected = decoded(&whole);
        for length in [whole.len() - 2, whole.len() - 1] {
            let capture = decoded(&whole[..length]);
            assert_eq!(capture.overview(), expected.overview());
            let area = crate::geometry::BoundingBox::new(10.0, 10.0, 60.0, 60.0);
            let patch = capture.patch(area, 1.0).unwrap();
            assert_eq!(patch.pixels, expected.patch(area, 1.0).unwrap().pixels);
        }
        for missing in [30, 300] {
            let error = refused(&whole[..whole.len() - missing]);
            assert!(matches!(error, CaptureError::Truncated { .. }), "{error}");
        }
    }
    // Which scans of a progressive file are missing, nobody can tell.
    let how = Jpeg {
        progressive: true,
        ..BASELINE
    };
    let progressive = jpeg(&scene(120, 90), how);
    let error = refused(&progressive[..progressive.len() - 2]);
    assert!(matches!(error, CaptureError::Truncated { .. }), "{error}");
}

#[test]
fn what_a_stream_puts_before_a_picture_is_passed_over() {
    let scene = scene(40, 30);
    let picture = jpeg(&scene, BASELINE);
    let expected = decoded(&picture);
    for before in [
        "\r\n",
        "\n",
        "\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 4711\r\n\r\n",
        "--frame\r\nContent-Type: image/jpeg\r\n\r\n",
        "--frame\nContent-type: image/jpeg\n\n",
        "Content-Type: image/jpeg\r\n\r\n",
    ] {
        let bytes = [before.as_bytes(), &picture, b"\r\n--frame--"].concat();
        assert_eq!(
            decoded(&bytes).overview(),
            expected.overview(),
            "{before:?}"
        );
    }
    for before in [
        "--frame\r\nContent-Type: text/plain\r\n\r\nhello",
        "\r\nhello",
        "--",
    ] {
        let error = refused(before.as_bytes());
        assert_eq!(
            error.problem(),
            ProblemCode::UnsupportedMediaType,
            "{error}"
        );
    }
}

#[test]
fn rare_kinds_of_jpeg_are_named() {
    let frame = |marker: u8, bits: u8| {
        let mut bytes = jpeg(&scene(16, 16), BASELINE);
        let at = bytes.windows(2).position(|it| it == [0xFF, 0xC0]).unwrap();
        bytes[at + 1] = marker;
        bytes[at + 4] = bits;
        bytes
    };
    for (bytes, said) in [
        (frame(0xF7, 8), "JPEG-LS"),
        (frame(0xC3, 16), "lossless, 16 bits per sample"),
        (frame(0xC5, 8), "hierarchical coding"),
        (frame(0xCB, 8), "lossless arithmetic coding"),
    ] {
        refused_by_name(&bytes, said);
    }
}

#[test]
fn a_panic_of_a_decoder_is_no_damage() {
    let error = super::super::decoding::guarded::<()>(ImageFormat::Tiff, || panic!("as a test"))
        .unwrap_err();
    assert_eq!(error.problem(), ProblemCode::UnsupportedMediaType);
    assert!(error.to_string().contains("the decoder stopped"), "{error}");
}

#[test]
fn interlaced_png_comes_back_exactly() {
    // Adam7 by hand: the pixels of each pass, row by row.
    let scene = scene(19, 13);
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let mut rows = Vec::new();
    for (left, top, across, down) in passes {
        for y in (top..13).step_by(down) {
            rows.push(0);
            for x in (left..19).step_by(across) {
                rows.extend_from_slice(&scene.get_pixel(x, y).0);
            }
        }
    }
    let mut start = header(19, 13, 8, 2);
    start[12] = 1;
    let png = png_of(&[
        (b"IHDR", &start),
        (b"IDAT", &deflated(&rows)),
        (b"IEND", &[]),
    ]);
    assert_eq!(decoded(&png).overview(), &scene);
}
