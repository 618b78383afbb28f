//! Compression: block transforms with coarse quantisation, chroma at half the resolution, and
//! repeated compression.

use image::RgbImage;

use faceood_engine::capture::pixels;

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// JPEG with colours at full resolution.
    Jpeg,
    /// JPEG with colours at half the resolution in both directions (4:2:0), as cameras write it.
    JpegHalfColour,
    /// WebP, lossy: predicts blocks from their neighbours and smooths their edges.
    Webp,
}

/// Written with `quality` (1–100) and read again. The picture is scaled by `scale` before that, and
/// enlarged afterwards. Messengers and recorders do so, and the next file's blocks then lie
/// elsewhere.
///
/// A picture that the codec refuses stays as it is, which keeps a sweep going.
pub(super) fn written(picture: &RgbImage, codec: Codec, quality: u8, scale: f32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let side = |length: u32| ((length as f32 * scale).round() as u32).max(1);
    let small = pixels::resize(picture, side(width), side(height));
    let quality = quality.clamp(1, 100);
    let read = match codec {
        Codec::Jpeg => jpeg(&small, quality, turbojpeg::Subsamp::None),
        Codec::JpegHalfColour => jpeg(&small, quality, turbojpeg::Subsamp::Sub2x2),
        Codec::Webp => webp(&small, quality),
    };
    pixels::resize(&read.unwrap_or(small), width, height)
}

fn jpeg(picture: &RgbImage, quality: u8, colours: turbojpeg::Subsamp) -> Option<RgbImage> {
    let pixels = turbojpeg::Image {
        pixels: picture.as_raw().as_slice(),
        width: picture.width() as usize,
        pitch: 3 * picture.width() as usize,
        height: picture.height() as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    let file = turbojpeg::compress(pixels, i32::from(quality), colours).ok()?;
    let read = turbojpeg::decompress(&file, turbojpeg::PixelFormat::RGB).ok()?;
    RgbImage::from_raw(picture.width(), picture.height(), read.pixels)
}

fn webp(picture: &RgbImage, quality: u8) -> Option<RgbImage> {
    let encoder = webp::Encoder::from_rgb(picture.as_raw(), picture.width(), picture.height());
    let file = encoder.encode_simple(false, f32::from(quality)).ok()?;
    Some(image::load_from_memory(&file).ok()?.into_rgb8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_loses_more_at_a_lower_quality_and_on_a_detour() {
        let picture = RgbImage::from_fn(64, 48, |x, y| {
            image::Rgb([(4 * x) as u8, (x * y % 256) as u8, (200 - 3 * y) as u8])
        });
        let loss = |codec, quality, scale| {
            let read = written(&picture, codec, quality, scale);
            assert_eq!(read.dimensions(), picture.dimensions());
            let pairs = picture.as_raw().iter().zip(read.as_raw());
            pairs.map(|(&a, &b)| u32::from(a.abs_diff(b))).sum::<u32>()
        };
        for codec in [Codec::Jpeg, Codec::JpegHalfColour, Codec::Webp] {
            let (fine, coarse) = (loss(codec, 95, 1.0), loss(codec, 10, 1.0));
            assert!(0 < fine && fine < coarse, "{codec:?}: {fine} {coarse}");
            assert!(loss(codec, 95, 0.7) > fine, "{codec:?}");
        }
        assert!(loss(Codec::JpegHalfColour, 95, 1.0) > loss(Codec::Jpeg, 95, 1.0));
    }
}
