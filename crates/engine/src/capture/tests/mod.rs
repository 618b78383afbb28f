//! The stage from outside: bytes in, pictures or reasons out. All pictures are made here; a photo
//! comes from `tests/photos`.

use std::io::Cursor;
use std::sync::LazyLock;

use image::{ImageFormat as Kind, Rgb, RgbImage};
use turbojpeg::{Colorspace, Compressor, PixelFormat, Subsamp};

use super::exif::ORIENTATION;
use super::exif::tests::block;
use super::*;
use crate::own_program::OwnProgram;
use crate::problem::{Explain, ProblemCode};

mod broken;
mod formats;
mod limits;
mod orientation;
mod patches;
mod random;
mod tiffs;
mod writers;

/// A real photo of 512 × 512 pixels (scikit-image's astronaut, public domain).
const PHOTO: &[u8] = include_bytes!("../../../../../tests/photos/astronaut.jpg");

/// A smooth picture without any symmetry, so that every wrong turn shows.
fn scene(width: u32, height: u32) -> RgbImage {
    let part = |at: u32, of: u32, full: f32| full * (at as f32 + 0.5) / of as f32;
    RgbImage::from_fn(width, height, |x, y| {
        let wave = (part(x, width, 9.0) + part(y, height, 4.0)).sin() * 30.0;
        Rgb([
            part(x, width, 255.0) as u8,
            part(y, height, 255.0) as u8,
            (110.0 + wave + part(x, width, 60.0)) as u8,
        ])
    })
}

fn encoded(image: &image::DynamicImage, kind: Kind) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, kind).unwrap();
    bytes.into_inner()
}

fn png(image: &RgbImage) -> Vec<u8> {
    encoded(&image.clone().into(), Kind::Png)
}

#[derive(Clone, Copy)]
struct Jpeg {
    quality: i32,
    subsampling: Subsamp,
    progressive: bool,
}

const BASELINE: Jpeg = Jpeg {
    quality: 95,
    subsampling: Subsamp::Sub2x2,
    progressive: false,
};

fn jpeg_of(
    pixels: &[u8],
    (width, height): (u32, u32),
    format: PixelFormat,
    stored: Option<Colorspace>,
    how: Jpeg,
) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(how.quality).unwrap();
    compressor.set_subsamp(how.subsampling).unwrap();
    compressor.set_progressive(how.progressive).unwrap();
    if let Some(stored) = stored {
        compressor.set_colorspace(stored).unwrap();
    }
    compressor
        .compress_to_vec(turbojpeg::Image {
            pixels,
            width: width as usize,
            pitch: width as usize * format.size(),
            height: height as usize,
            format,
        })
        .unwrap()
}

fn jpeg(image: &RgbImage, how: Jpeg) -> Vec<u8> {
    jpeg_of(
        image.as_raw(),
        image.dimensions(),
        PixelFormat::RGB,
        None,
        how,
    )
}

/// A TIFF structure with one entry: the orientation, in either byte order, and the end of the list
/// behind it.
fn exif(orientation: u8, big_endian: bool) -> Vec<u8> {
    const SHORT: u16 = 3;
    let entry = block(big_endian, ORIENTATION, SHORT, orientation.into());
    [entry, vec![0; 4]].concat()
}

/// `jpeg` with a segment put in right after the start marker.
fn with_segment(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    out.extend_from_slice(&[0xFF, marker]);
    out.extend_from_slice(&u16::try_from(body.len() + 2).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&jpeg[2..]);
    out
}

fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    with_segment(jpeg, 0xE1, &[b"Exif\0\0", exif].concat())
}

/// Mean absolute difference of the samples, in 8-bit steps.
fn difference(left: &RgbImage, right: &RgbImage) -> f64 {
    assert_eq!(left.dimensions(), right.dimensions());
    let sum: u64 = left
        .iter()
        .zip(right.iter())
        .map(|(&left, &right)| u64::from(left.abs_diff(right)))
        .sum();
    sum as f64 / left.as_raw().len() as f64
}

/// Decodes in a process of its own, as the daemon does, and holds that it gives what this one gives.
fn decoded(bytes: &[u8]) -> Capture {
    let here = decode(bytes, &Settings::default()).unwrap();
    let confined = decode_confined(bytes).unwrap();
    assert_eq!(confined.overview(), here.overview());
    confined
}

fn refused(bytes: &[u8]) -> CaptureError {
    let error = decode(bytes, &Settings::default()).unwrap_err();
    assert_eq!(decode_confined(bytes).unwrap_err(), error);
    error
}

fn decode_confined(bytes: &[u8]) -> Result<Capture, CaptureError> {
    static DECODER: LazyLock<Decoder> = LazyLock::new(|| confined(&Settings::default()));
    decode_by(&DECODER, bytes, &Settings::default())
}

fn confined(settings: &Settings) -> Decoder {
    let program = OwnProgram {
        program: faceood_test_support::program("faceoodd").into(),
        arguments: vec!["--decoder".to_owned()],
    };
    let memory = Memory::new(settings.memory_bytes(1));
    Decoder::confined(&program, settings, &memory).unwrap()
}

fn decode_by(
    decoder: &Decoder,
    bytes: &[u8],
    settings: &Settings,
) -> Result<Capture, CaptureError> {
    let memory = Memory::new(settings.memory_bytes(1));
    decode_within(bytes, settings, &memory, decoder)
}

/// Holds that `bytes` are of a kind that is not read, and that the error calls it by `name`.
fn refused_by_name(bytes: &[u8], name: &str) {
    let error = refused(bytes);
    assert_eq!(
        error.problem(),
        ProblemCode::UnsupportedMediaType,
        "{error}"
    );
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn capture_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Capture>();
}

#[test]
fn capture_says_what_was_sent() {
    let capture = decoded(PHOTO);
    assert_eq!((capture.width(), capture.height()), (512, 512));
    assert_eq!(capture.format(), ImageFormat::Jpeg);
    assert_eq!(capture.byte_len(), PHOTO.len());
    assert_eq!(capture.overview_scale, 1.0);
}
