//! Turning a picture upright as its EXIF orientation says.

use image::RgbImage;
use image::metadata::Orientation;
use serde::{Deserialize, Serialize};

/// Side of the squares that are transposed: 32 × 32 pixels of source and target fit the first-level
/// cache.
const TILE: usize = 32;

/// Whole pixels of a picture: a rectangle that lies inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::capture) struct Area {
    pub(in crate::capture) x: u32,
    pub(in crate::capture) y: u32,
    pub(in crate::capture) width: u32,
    pub(in crate::capture) height: u32,
}

impl Area {
    pub(in crate::capture) fn contains(&self, other: &Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.x + other.width <= self.x + self.width
            && other.y + other.height <= self.y + self.height
    }

    pub(in crate::capture) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// How stored pixels come to lie upright: first transposed or not, then mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Turn {
    transposed: bool,
    mirror_x: bool,
    mirror_y: bool,
}

impl From<Orientation> for Turn {
    fn from(orientation: Orientation) -> Self {
        let (transposed, mirror_x, mirror_y) = match orientation {
            Orientation::NoTransforms => (false, false, false),
            Orientation::FlipHorizontal => (false, true, false),
            Orientation::Rotate180 => (false, true, true),
            Orientation::FlipVertical => (false, false, true),
            Orientation::Rotate90FlipH => (true, false, false),
            Orientation::Rotate90 => (true, true, false),
            Orientation::Rotate270FlipH => (true, true, true),
            Orientation::Rotate270 => (true, false, true),
        };
        Self {
            transposed,
            mirror_x,
            mirror_y,
        }
    }
}

impl Turn {
    /// Whether the stored pixels already lie upright.
    pub(in crate::capture) fn is_nothing(self) -> bool {
        !self.transposed && !self.mirror_x && !self.mirror_y
    }

    /// Upright width and height of a picture that is stored as `width` × `height`.
    pub(in crate::capture) fn upright_size(self, width: u32, height: u32) -> (u32, u32) {
        if self.transposed {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// Where `area` of a stored picture of `width` × `height` lies once it is upright.
    pub(in crate::capture) fn upright(self, area: Area, width: u32, height: u32) -> Area {
        let (width, height) = self.upright_size(width, height);
        self.mirrored(self.transposed(area), width, height)
    }

    /// Where `area` of the upright picture is stored; `width` × `height` is the stored size.
    pub(in crate::capture) fn stored(self, area: Area, width: u32, height: u32) -> Area {
        let (width, height) = self.upright_size(width, height);
        self.transposed(self.mirrored(area, width, height))
    }

    fn mirrored(self, mut area: Area, width: u32, height: u32) -> Area {
        if self.mirror_x {
            area.x = width - area.x - area.width;
        }
        if self.mirror_y {
            area.y = height - area.y - area.height;
        }
        area
    }

    fn transposed(self, mut area: Area) -> Area {
        if self.transposed {
            std::mem::swap(&mut area.x, &mut area.y);
            std::mem::swap(&mut area.width, &mut area.height);
        }
        area
    }

    /// `image`, stored, as it is meant to be seen.
    pub(in crate::capture) fn apply(self, mut image: RgbImage) -> RgbImage {
        if self.transposed {
            return self.transpose(&image);
        }
        let stride = image.width() as usize * 3;
        if stride == 0 {
            return image;
        }
        if self.mirror_x {
            for row in image.chunks_exact_mut(stride) {
                row.as_chunks_mut::<3>().0.reverse();
            }
        }
        if self.mirror_y {
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

    fn transpose(self, image: &RgbImage) -> RgbImage {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut out = RgbImage::new(image.height(), image.width());
        let source = image.as_raw().as_chunks::<3>().0;
        let target = out.as_chunks_mut::<3>().0;
        for top in (0..height).step_by(TILE) {
            for left in (0..width).step_by(TILE) {
                let bottom = (top + TILE).min(height);
                for x in left..(left + TILE).min(width) {
                    let row = if self.mirror_y { width - 1 - x } else { x };
                    let line = &mut target[row * height..(row + 1) * height];
                    for y in top..bottom {
                        let column = if self.mirror_x { height - 1 - y } else { y };
                        line[column] = source[y * width + x];
                    }
                }
            }
        }
        out
    }
}
