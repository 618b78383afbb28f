//! Turning a picture upright as its EXIF orientation says.

use image::RgbImage;
use image::metadata::Orientation;

/// Side of the squares in which a picture is transposed: 32 × 32 pixels of source and target fit the first-level cache.
const TILE: usize = 32;

/// `image` as it is meant to be seen.
#[must_use]
pub(in crate::capture) fn turn_upright(mut image: RgbImage, orientation: Orientation) -> RgbImage {
    // Every orientation is a transposition (rows become columns) or not, followed by mirrorings.
    let (transposed, mirror_x, mirror_y) = match orientation {
        Orientation::NoTransforms => return image,
        Orientation::FlipHorizontal => (false, true, false),
        Orientation::Rotate180 => (false, true, true),
        Orientation::FlipVertical => (false, false, true),
        Orientation::Rotate90FlipH => (true, false, false),
        Orientation::Rotate90 => (true, true, false),
        Orientation::Rotate270FlipH => (true, true, true),
        Orientation::Rotate270 => (true, false, true),
    };
    if transposed {
        return transpose(&image, mirror_x, mirror_y);
    }
    let stride = image.width() as usize * 3;
    if stride == 0 {
        return image;
    }
    if mirror_x {
        for row in image.chunks_exact_mut(stride) {
            row.as_chunks_mut::<3>().0.reverse();
        }
    }
    if mirror_y {
        let height = image.height() as usize;
        let (upper, lower) = image.split_at_mut(height / 2 * stride);
        for (high, low) in upper
            .chunks_exact_mut(stride)
            .zip(lower.chunks_exact_mut(stride).rev())
        {
            high.swap_with_slice(low);
        }
    }
    image
}

/// Rows become columns; then, in the result, x and y may be mirrored.
fn transpose(image: &RgbImage, mirror_x: bool, mirror_y: bool) -> RgbImage {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut out = RgbImage::new(image.height(), image.width());
    let source = image.as_raw().as_chunks::<3>().0;
    let target = out.as_chunks_mut::<3>().0;
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            let bottom = (top + TILE).min(height);
            for x in left..(left + TILE).min(width) {
                let row = if mirror_y { width - 1 - x } else { x };
                let line = &mut target[row * height..(row + 1) * height];
                for y in top..bottom {
                    let column = if mirror_x { height - 1 - y } else { y };
                    line[column] = source[y * width + x];
                }
            }
        }
    }
    out
}
