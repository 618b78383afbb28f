//! Every kind of file that is accepted comes out as the picture that went in.

use image::{DynamicImage, ImageBuffer, ImageEncoder, Luma, LumaA, Rgba};

use super::*;

/// What 8-bit JPEG at quality 95 may cost on the smooth scene, in mean 8-bit steps.
const JPEG_LOSS: f64 = 2.5;

#[test]
fn jpeg_baseline_and_progressive_at_every_subsampling() {
    let scene = scene(123, 77);
    for subsampling in [
        Subsamp::None,
        Subsamp::Sub2x1,
        Subsamp::Sub2x2,
        Subsamp::Sub1x2,
        Subsamp::Sub4x1,
        Subsamp::Sub1x4,
    ] {
        for progressive in [false, true] {
            let how = Jpeg {
                subsampling,
                progressive,
                ..BASELINE
            };
            let capture = decoded(&jpeg(&scene, how));
            let loss = difference(capture.overview(), &scene);
            assert!(loss < JPEG_LOSS, "{subsampling:?} {progressive}: {loss}");
        }
    }
}

#[test]
fn jpeg_grey_is_grey_in_all_channels() {
    let plane = pixels::luma(&scene(64, 48));
    let how = Jpeg {
        subsampling: Subsamp::Gray,
        ..BASELINE
    };
    let bytes = jpeg_of(plane.as_raw(), (64, 48), PixelFormat::GRAY, None, how);
    let capture = decoded(&bytes);
    let expected = DynamicImage::from(plane).into_rgb8();
    assert!(difference(capture.overview(), &expected) < JPEG_LOSS);
}

/// CMYK samples of the scene as Adobe stores them: light, not ink, and no black.
fn cmyk(scene: &RgbImage) -> Vec<u8> {
    scene
        .pixels()
        .flat_map(|&Rgb([red, green, blue])| [red, green, blue, 0xFF])
        .collect()
}

#[test]
fn jpeg_cmyk_and_ycck_of_adobe_are_stored_as_light() {
    let scene = scene(64, 48);
    for stored in [Colorspace::CMYK, Colorspace::YCCK] {
        let how = Jpeg {
            subsampling: Subsamp::None,
            ..BASELINE
        };
        let bytes = jpeg_of(
            &cmyk(&scene),
            (64, 48),
            PixelFormat::CMYK,
            Some(stored),
            how,
        );
        let loss = difference(decoded(&bytes).overview(), &scene);
        assert!(loss < 2.0, "{stored:?}: {loss}");
    }
}

#[test]
fn jpeg_cmyk_without_adobes_marker_is_stored_as_light_too() {
    let scene = scene(64, 48);
    let how = Jpeg {
        subsampling: Subsamp::None,
        ..BASELINE
    };
    let mut bytes = jpeg_of(
        &cmyk(&scene),
        (64, 48),
        PixelFormat::CMYK,
        Some(Colorspace::CMYK),
        how,
    );
    let adobe = bytes.windows(7).position(|w| w == b"\0\x0EAdobe").unwrap();
    bytes.drain(adobe - 2..adobe + 14);
    assert!(difference(decoded(&bytes).overview(), &scene) < 2.0);
}

#[test]
fn jpeg_cmyk_black_darkens() {
    let pixels = [255, 255, 255, 128].repeat(64);
    let how = Jpeg {
        subsampling: Subsamp::None,
        ..BASELINE
    };
    let bytes = jpeg_of(
        &pixels,
        (8, 8),
        PixelFormat::CMYK,
        Some(Colorspace::CMYK),
        how,
    );
    for &value in decoded(&bytes).overview().iter() {
        assert!(value.abs_diff(128) <= 2, "{value}");
    }
}

#[test]
fn png_comes_back_exactly() {
    let scene = scene(37, 23);
    let capture = decoded(&png(&scene));
    assert_eq!(capture.overview(), &scene);
    assert_eq!(capture.format(), ImageFormat::Png);
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let scene = scene(40, 30);
    let wide = DynamicImage::from(scene.clone()).into_rgb16();
    for kind in [Kind::Png, Kind::Tiff] {
        let bytes = encoded(&DynamicImage::ImageRgb16(wide.clone()), kind);
        assert_eq!(decoded(&bytes).overview(), &scene, "{kind:?}");
    }
    let dim = ImageBuffer::from_pixel(3, 3, Luma([0x0180_u16]));
    let bytes = encoded(&DynamicImage::ImageLuma16(dim), Kind::Png);
    assert!(decoded(&bytes).overview().iter().all(|&v| v == 1));
}

#[test]
fn grey_is_spread_over_the_channels() {
    let plane = pixels::luma(&scene(40, 30));
    let expected = DynamicImage::from(plane.clone()).into_rgb8();
    for kind in [Kind::Png, Kind::Tiff, Kind::Bmp] {
        let bytes = encoded(&plane.clone().into(), kind);
        assert_eq!(decoded(&bytes).overview(), &expected, "{kind:?}");
    }
}

#[test]
fn transparent_pixels_lie_on_middle_grey() {
    let rgba = |alpha| ImageBuffer::from_pixel(9, 9, Rgba([200_u8, 100, 0, alpha]));
    for kind in [Kind::Png, Kind::WebP, Kind::Tiff] {
        for (alpha, expected) in [
            (255, [200, 100, 0]),
            (0, [128, 128, 128]),
            (128, [164, 114, 64]),
        ] {
            let capture = decoded(&encoded(&rgba(alpha).into(), kind));
            for Rgb(pixel) in capture.overview().pixels() {
                let near = pixel
                    .iter()
                    .zip(expected)
                    .all(|(&got, want)| got.abs_diff(want) <= 1);
                assert!(near, "{kind:?}, alpha {alpha}: {pixel:?}");
            }
        }
    }
    let grey = ImageBuffer::from_pixel(4, 4, LumaA([255_u8, 0]));
    let capture = decoded(&encoded(&grey.into(), Kind::Png));
    assert!(capture.overview().iter().all(|&value| value == 128));
}

/// A PNG by hand, for what no encoder here writes: chunks with their checksums.
pub(super) fn png_of(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1A\n".to_vec();
    for (name, body) in chunks {
        out.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        let start = out.len();
        out.extend_from_slice(*name);
        out.extend_from_slice(body);
        let mut crc = flate2::Crc::new();
        crc.update(&out[start..]);
        out.extend_from_slice(&crc.sum().to_be_bytes());
    }
    out
}

pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn header(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let mut out = width.to_be_bytes().to_vec();
    out.extend_from_slice(&height.to_be_bytes());
    out.extend_from_slice(&[depth, colour, 0, 0, 0]);
    out
}

#[test]
fn png_palette_with_a_transparent_entry() {
    // 4 × 1 pixels of 2 bits: entries 0, 1, 2, 3, of which 3 is transparent.
    let bytes = png_of(&[
        (b"IHDR", &header(4, 1, 2, 3)),
        (
            b"PLTE",
            &[10, 20, 30, 40, 50, 60, 70, 80, 90, 255, 255, 255],
        ),
        (b"tRNS", &[255, 255, 255, 0]),
        (b"IDAT", &deflated(&[0, 0b00_01_10_11])),
        (b"IEND", &[]),
    ]);
    let capture = decoded(&bytes);
    let expected = [10, 20, 30, 40, 50, 60, 70, 80, 90, 128, 128, 128];
    assert_eq!(capture.overview().as_raw(), &expected);
}

#[test]
fn animated_png_counts_as_its_default_image() {
    let frame = |sequence: u32| {
        let mut body = sequence.to_be_bytes().to_vec();
        for value in [1_u32, 1, 0, 0] {
            body.extend_from_slice(&value.to_be_bytes());
        }
        body.extend_from_slice(&[0, 1, 0, 10, 0, 0]);
        body
    };
    let second = [2_u32.to_be_bytes().to_vec(), deflated(&[0, 9, 9, 9])].concat();
    let bytes = png_of(&[
        (b"IHDR", &header(1, 1, 8, 2)),
        (b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
        (b"fcTL", &frame(0)),
        (b"IDAT", &deflated(&[0, 1, 2, 3])),
        (b"fcTL", &frame(1)),
        (b"fdAT", &second),
        (b"IEND", &[]),
    ]);
    assert_eq!(decoded(&bytes).overview().as_raw(), &[1, 2, 3]);
}

fn webp(image: &RgbImage) -> Vec<u8> {
    encoded(&image.clone().into(), Kind::WebP)
}

#[test]
fn webp_lossless_comes_back_exactly() {
    let scene = scene(41, 29);
    let capture = decoded(&webp(&scene));
    assert_eq!(capture.overview(), &scene);
    assert_eq!(capture.format(), ImageFormat::Webp);
}

/// `scene(64, 48)` in WebP's lossy format at quality 90, written with libwebp: no encoder here
/// writes it.
const LOSSY_WEBP: &[u8] = include_bytes!("lossy.webp");

#[test]
fn webp_lossy_is_near() {
    let capture = decoded(LOSSY_WEBP);
    let scene = scene(64, 48);
    assert!(difference(capture.overview(), &scene) < 4.0);
}

#[test]
fn animated_webp_counts_as_its_first_frame() {
    let size = |value: u32| value.to_le_bytes()[..3].to_vec();
    let chunk = |name: &[u8], body: &[u8]| {
        let mut out = name.to_vec();
        out.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
        out.extend_from_slice(body);
        out.resize(out.len() + body.len() % 2, 0);
        out
    };
    // The `VP8L` chunk of a still file is what a frame holds; flag 2 says that it replaces what was
    // there.
    let frame = |pixel: [u8; 3]| {
        let still = webp(&RgbImage::from_pixel(8, 6, Rgb(pixel)));
        let mut body = [size(0), size(0), size(7), size(5), size(40), vec![2]].concat();
        body.extend_from_slice(&still[12..]);
        chunk(b"ANMF", &body)
    };
    let mut body = b"WEBP".to_vec();
    body.extend(chunk(
        b"VP8X",
        &[vec![0x02, 0, 0, 0], size(7), size(5)].concat(),
    ));
    body.extend(chunk(b"ANIM", &[0; 6]));
    body.extend(frame([250, 10, 20]));
    body.extend(frame([0, 0, 255]));
    let bytes = chunk(b"RIFF", &body);
    let capture = decoded(&bytes);
    assert_eq!(
        capture.overview(),
        &RgbImage::from_pixel(8, 6, Rgb([250, 10, 20]))
    );
}

#[test]
fn bmp_and_tiff_come_back_exactly() {
    let scene = scene(41, 29);
    for (kind, format) in [
        (Kind::Bmp, ImageFormat::Bmp),
        (Kind::Tiff, ImageFormat::Tiff),
    ] {
        let capture = decoded(&encoded(&scene.clone().into(), kind));
        assert_eq!(capture.overview(), &scene);
        assert_eq!(capture.format(), format);
    }
}

#[test]
fn tiff_cmyk_is_ink() {
    let mut bytes = Cursor::new(Vec::new());
    image::codecs::tiff::TiffEncoder::new(&mut bytes)
        .write_image(&[200; 4 * 4], 2, 2, image::ExtendedColorType::Rgba8)
        .unwrap();
    let mut bytes = bytes.into_inner();
    // From RGBA to CMYK: the photometric tag becomes 5, and the extra (alpha) sample is no longer
    // declared.
    let entry = |tag: u16| [tag.to_le_bytes(), 3_u16.to_le_bytes()].concat();
    let at = |tag: u16, bytes: &[u8]| bytes.windows(4).position(|w| w == entry(tag)).unwrap();
    let photometric = at(262, &bytes);
    bytes[photometric + 8] = 5;
    let extra = bytes.windows(4).position(|window| window == entry(338));
    if let Some(extra) = extra {
        // An unknown tag in its place.
        bytes[extra..extra + 2].copy_from_slice(&339_u16.to_le_bytes());
    }
    // 200 of 255 ink on 200 of 255 black: (55 × 55) / 255.
    for &value in decoded(&bytes).overview().iter() {
        assert!(value.abs_diff(12) <= 1, "{value}");
    }
}
