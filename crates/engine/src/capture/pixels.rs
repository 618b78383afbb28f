//! The shared pixel loops: resize, crop, luma, warp, turning upright, and laying on a ground.
//!
//! Coordinates are those of OpenCV: the *centre* of the top left pixel is (0, 0).

use fast_image_resize as fir;
use image::{GrayImage, RgbImage};

mod orient;
mod samples;
mod warp;

pub(super) use orient::{Area, Turn};
pub(super) use samples::{Colour, Depth, mixed, narrow, rgba_to_rgb_in_place, to_rgb};
pub use warp::warp;

/// Resizes to `width` × `height`. Shrinking averages over the whole area that an output pixel
/// stands for, so that fine patterns and noise do not alias; enlarging interpolates linearly.
///
/// An empty input or output gives a black picture of the asked size.
pub fn resize(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    let mut out = RgbImage::new(width, height);
    if image.is_empty() || out.is_empty() {
        return out;
    }
    let options = fir::ResizeOptions::new()
        .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear))
        .use_alpha(false);
    let source = fir::images::ImageRef::new(
        image.width(),
        image.height(),
        image.as_raw(),
        fir::PixelType::U8x3,
    );
    let target = fir::images::Image::from_slice_u8(width, height, &mut out, fir::PixelType::U8x3);
    if let (Ok(source), Ok(mut target)) = (source, target) {
        // Both sizes are non-zero and the types agree, which is all that it can refuse.
        let _ = fir::Resizer::new().resize(&source, &mut target, &options);
    }
    out
}

/// The `width` × `height` pixels whose top left corner is (`x`, `y`), clipped to the picture.
pub fn crop(image: &RgbImage, x: u32, y: u32, width: u32, height: u32) -> RgbImage {
    let x = x.min(image.width());
    let y = y.min(image.height());
    let width = width.min(image.width() - x);
    let height = height.min(image.height() - y);
    let stride = image.width() as usize * 3;
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    for row in y as usize..(y + height) as usize {
        let start = row * stride + x as usize * 3;
        out.extend_from_slice(&image.as_raw()[start..start + width as usize * 3]);
    }
    RgbImage::from_raw(width, height, out).unwrap_or_default()
}

/// Brightness by ITU-R BT.601, 0–255.
pub fn luma(image: &RgbImage) -> GrayImage {
    let plane = image
        .as_raw()
        .as_chunks::<3>()
        .0
        .iter()
        .map(|&[red, green, blue]| {
            // 0.299, 0.587 and 0.114 in 1/65536. Their sum is exactly 65536, so white stays 255.
            let sum =
                19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 32768;
            (sum >> 16) as u8
        })
        .collect();
    GrayImage::from_raw(image.width(), image.height(), plane).unwrap_or_default()
}

/// What shows through transparent pixels: middle grey, neither under- nor overexposed.
const GROUND: u8 = 128;

#[cfg(test)]
mod tests;
