//! A face that can be made worse, for tests.

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

use super::super::{Components, Evidence, measure};
use crate::capture::{Patch, pixels};
use crate::face::{ALIGNED_SIDE, AlignedFace, DetectedFace, Pose};
use crate::geometry::{BoundingBox, Point, Transform};

/// A picture of one face whose place is known.
#[derive(Clone)]
pub(in crate::quality) struct Scene {
    pub(in crate::quality) picture: RgbImage,
    /// Picture pixels per pixel of the original photo.
    scale: f32,
    pose: Pose,
}

/// Where the face lies in the photo, and the transform onto the grid, as OpenCV computes them.
const FACE: BoundingBox = BoundingBox::new(179.05, 62.35, 90.34, 112.56);
const ONTO_GRID: Transform = Transform {
    a: 0.883_467_56,
    b: -0.053_475_656,
    tx: -148.749_65,
    ty: -24.796_068,
};

impl Scene {
    pub(in crate::quality) fn astronaut() -> Self {
        let photo = include_bytes!("../../../../../../tests/photos/astronaut.jpg");
        Self {
            picture: image::load_from_memory(photo).unwrap().into_rgb8(),
            scale: 1.0,
            pose: Pose::default(),
        }
    }

    pub(in crate::quality) fn aligned(&self) -> (AlignedFace, DetectedFace) {
        let transform = Transform {
            a: ONTO_GRID.a / self.scale,
            b: ONTO_GRID.b / self.scale,
            ..ONTO_GRID
        };
        let bounding_box = BoundingBox::new(
            FACE.x * self.scale,
            FACE.y * self.scale,
            FACE.width * self.scale,
            FACE.height * self.scale,
        );
        let back = transform.inverse().unwrap();
        let template = [
            (38.3, 51.7),
            (73.5, 51.5),
            (56.0, 71.7),
            (41.5, 92.4),
            (70.7, 92.2),
        ];
        let landmarks = template.map(|(x, y)| back.apply(Point::new(x, y)));
        let patch = Patch {
            pixels: self.picture.clone(),
            origin: Point::default(),
            scale: 1.0,
        };
        let aligned = AlignedFace {
            crop: pixels::warp(&patch, &transform, ALIGNED_SIDE),
            transform,
            landmarks,
            contour: vec![],
            pose: self.pose,
            patch,
        };
        let detected = DetectedFace {
            bounding_box,
            detection_score: 0.9,
            points: landmarks,
        };
        (aligned, detected)
    }

    pub(in crate::quality) fn evidence(&self) -> Evidence {
        let (aligned, detected) = self.aligned();
        measure(&aligned, &detected)
    }

    pub(in crate::quality) fn measure(&self) -> Components {
        self.evidence().components
    }

    /// Changes each channel's value, given the pixel's place.
    fn map(mut self, mut change: impl FnMut(f32, f32, usize, f32) -> f32) -> Self {
        for (x, y, pixel) in self.picture.enumerate_pixels_mut() {
            for (channel, value) in pixel.0.iter_mut().enumerate() {
                *value = change(x as f32, y as f32, channel, f32::from(*value))
                    .round()
                    .clamp(0.0, 255.0) as u8;
            }
        }
        self
    }

    pub(in crate::quality) fn noisy(self, deviation: f32) -> Self {
        let mut state = 7_u64;
        let mut uniform = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
        };
        // Four uniforms of variance 1/12 each are near enough to a normal variable.
        self.map(move |_, _, _, value| {
            let sum = uniform() + uniform() + uniform() + uniform();
            value + deviation * sum * 3.0_f32.sqrt()
        })
    }

    /// The mean along a path of offsets.
    pub(in crate::quality) fn averaged(mut self, path: &[(i64, i64)]) -> Self {
        let source = self.picture.clone();
        let (width, height) = (i64::from(source.width()), i64::from(source.height()));
        for (x, y, pixel) in self.picture.enumerate_pixels_mut() {
            let mut sums = [0_u32; 3];
            for (dx, dy) in path {
                let at = (
                    (i64::from(x) + dx).clamp(0, width - 1) as u32,
                    (i64::from(y) + dy).clamp(0, height - 1) as u32,
                );
                for (sum, value) in sums.iter_mut().zip(source[at].0) {
                    *sum += u32::from(value);
                }
            }
            *pixel = Rgb(sums.map(|sum| (sum / path.len() as u32) as u8));
        }
        self
    }

    pub(in crate::quality) fn blurred(self) -> Self {
        let square = |side: i64| -> Vec<(i64, i64)> {
            (-side..=side)
                .flat_map(|x| (-side..=side).map(move |y| (x, y)))
                .collect()
        };
        self.averaged(&square(2)).averaged(&square(2))
    }

    pub(in crate::quality) fn moved(self, dx: i64, dy: i64) -> Self {
        let path: Vec<_> = (-7..=7).map(|step| (step * dx, step * dy)).collect();
        self.averaged(&path)
    }

    pub(in crate::quality) fn exposed(self, factor: f32) -> Self {
        self.map(|_, _, _, value| 255.0 * (factor * (value / 255.0).powf(2.2)).powf(1.0 / 2.2))
    }

    pub(in crate::quality) fn flattened(self) -> Self {
        self.map(|_, _, _, value| 128.0 + (value - 128.0) * 0.3)
    }

    pub(in crate::quality) fn lit_from_the_left(self) -> Self {
        self.map(|x, _, _, value| value * if x < 224.0 { 1.2 } else { 0.35 })
    }

    pub(in crate::quality) fn compressed(mut self, quality: u8) -> Self {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode_image(&self.picture)
            .unwrap();
        self.picture = image::load_from_memory(&bytes).unwrap().into_rgb8();
        self
    }

    pub(in crate::quality) fn reduced(mut self, factor: u32) -> Self {
        let (width, height) = (
            self.picture.width() / factor,
            self.picture.height() / factor,
        );
        let scale = 1.0 / factor as f32;
        self.picture = image::imageops::thumbnail(&self.picture, width, height);
        self.scale *= scale;
        self
    }

    /// A screen's coloured stripes, a little aslant.
    pub(in crate::quality) fn recaptured(self) -> Self {
        self.map(|x, y, channel, value| {
            let phase = 1.9 * x + 0.2 * y + channel as f32 * 2.1;
            value * (0.85 + 0.15 * phase.sin())
        })
    }

    /// A light blue cloth from the nose down.
    pub(in crate::quality) fn masked(self) -> Self {
        self.map(|x, y, channel, value| {
            let on_grid = ONTO_GRID.apply(Point::new(x, y));
            let is_cloth = on_grid.y > 66.0 && on_grid.y < 120.0 && (on_grid.x - 56.0).abs() < 42.0;
            let shade = 0.85 + 0.15 * ((on_grid.y - 66.0) / 9.0).sin();
            if is_cloth {
                [170.0, 200.0, 225.0][channel] * shade
            } else {
                value
            }
        })
    }

    /// Black glasses.
    pub(in crate::quality) fn in_dark_glasses(self) -> Self {
        self.map(|x, y, _, value| {
            let on_grid = ONTO_GRID.apply(Point::new(x, y));
            let is_glass =
                |centre: f32| ((on_grid.x - centre) / 14.0).hypot((on_grid.y - 52.0) / 9.0) < 1.0;
            if is_glass(38.3) || is_glass(73.5) {
                25.0
            } else {
                value
            }
        })
    }

    /// Reduced, and enlarged to the former size.
    pub(in crate::quality) fn enlarged(mut self, factor: u32) -> Self {
        let (width, height) = self.picture.dimensions();
        let small = image::imageops::thumbnail(&self.picture, width / factor, height / factor);
        let filter = image::imageops::FilterType::CatmullRom;
        self.picture = image::imageops::resize(&small, width, height, filter);
        self
    }

    pub(in crate::quality) fn turned(mut self) -> Self {
        self.pose = Pose {
            yaw: -31.0,
            pitch: 17.0,
            roll: 9.0,
        };
        self
    }
}
