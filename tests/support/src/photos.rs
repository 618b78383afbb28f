//! Pictures to send: one public photo of a face, what can be made of it, and pictures without any
//! face. All that is random comes from a seed.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{ImageFormat, Rgb, RgbImage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The astronaut Eileen Collins, 512×512 JPEG: a NASA photo in the public domain, from
/// scikit-image. One clear frontal face.
pub fn astronaut() -> Vec<u8> {
    std::fs::read(super::repository().join("tests/photos/astronaut.jpg"))
        .expect("tests/photos/astronaut.jpg is there")
}

/// A picture's pixels.
pub fn pixels(encoded: &[u8]) -> RgbImage {
    image::load_from_memory(encoded)
        .expect("a picture of ours decodes")
        .to_rgb8()
}

/// JPEG of a quality from 1 to 100.
pub fn jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(picture)
        .expect("a JPEG is written");
    bytes
}

/// A JPEG with the EXIF orientation that a phone writes instead of turning the pixels.
pub fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    // One directory with one entry: tag 0x112, one 16-bit number.
    let exif = [
        b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
        &[orientation, 0, 0, 0, 0, 0, 0],
    ];
    [&jpeg[..2], &exif.concat(), &jpeg[2..]].concat()
}

/// The picture in a lossless or other format.
pub fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, format)
        .expect("a picture is written");
    bytes.into_inner()
}

/// The picture at another size.
pub fn resized(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    image::imageops::resize(picture, width, height, FilterType::Triangle)
}

/// The picture blurred by a Gaussian of this many pixels.
pub fn blurred(picture: &RgbImage, sigma_px: f32) -> RgbImage {
    image::imageops::blur(picture, sigma_px)
}

/// The picture with Gaussian noise of this standard deviation, in steps of 0–255, on each channel.
pub fn noisy(picture: &RgbImage, sigma: f32, seed: u64) -> RgbImage {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut noisy = picture.clone();
    for value in noisy.iter_mut() {
        // Twelve uniform numbers sum to nearly a normal one, of variance 1.
        let normal = (0..12).map(|_| uniform(&mut random)).sum::<f32>() - 6.0;
        *value = (f32::from(*value) + sigma * normal)
            .round()
            .clamp(0.0, 255.0) as u8;
    }
    noisy
}

/// The picture in less or more light.
pub fn lit(picture: &RgbImage, gain: f32) -> RgbImage {
    let mut lit = picture.clone();
    for value in lit.iter_mut() {
        *value = (f32::from(*value) * gain).round().clamp(0.0, 255.0) as u8;
    }
    lit
}

/// The first picture with the second one laid on it, at this place.
pub fn pasted(ground: &RgbImage, picture: &RgbImage, x: u32, y: u32) -> RgbImage {
    let mut pasted = ground.clone();
    image::imageops::replace(&mut pasted, picture, i64::from(x), i64::from(y));
    pasted
}

/// A picture without a face: soft coloured blobs, other ones for another seed.
pub fn without_face(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let coarse = RgbImage::from_fn(7, 5, |_, _| {
        Rgb([0; 3].map(|_: u8| (uniform(&mut random) * 256.0) as u8))
    });
    resized(&coarse, width, height)
}

/// Uniform in 0…1.
fn uniform(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / (1 << 24) as f32
}
