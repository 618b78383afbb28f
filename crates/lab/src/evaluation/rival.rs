//! Baselines for our score: common sharpness, and any quality network in ONNX.

use image::{GrayImage, RgbImage};

use super::MeasureError;
use faceood_engine::capture::{self, pixels};
use faceood_engine::face::align::{ARCFACE_TEMPLATE, umeyama};
use faceood_engine::geometry::BoundingBox;
use faceood_engine::pipeline::Face;
use faceood_engine::runtime::{Placement, Runtime, Session};

/// Side of the aligned face that quality networks take.
const SIDE: u32 = 112;
/// Side of the square that is read, in sides of the face: the warp of a rolled head reaches that
/// far.
const PATCH_SIDE: f32 = 2.0;

/// What a network takes for black and white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelRange {
    /// −1 to 1, as most networks for faces.
    #[default]
    Signed,
    /// 0 to 1.
    Unit,
    /// 0 to 255.
    Raw,
}

/// Another quality network.
#[derive(Clone, Debug)]
pub struct Rival {
    /// Its name in the report.
    pub name: String,
    /// The ONNX file's bytes.
    pub model: Vec<u8>,
    /// The output that is the quality; `None` for the only output of one number.
    pub output: Option<String>,
    /// The range of the input's pixels, which are RGB planes, NCHW.
    pub pixels: PixelRange,
    /// Whether a larger number means a worse picture.
    pub lower_is_better: bool,
}

pub(super) struct OpenRival<'a> {
    rival: &'a Rival,
    session: Session,
}

impl Rival {
    /// Opens it and tries it on a grey face, to fail early if it takes no aligned face or does not
    /// give one number.
    pub(super) fn open(&self, runtime: &Runtime) -> Result<OpenRival<'_>, MeasureError> {
        let mut open = OpenRival {
            rival: self,
            session: runtime.open(&self.name, &self.model, Placement::Host)?,
        };
        open.judge(&RgbImage::from_pixel(SIDE, SIDE, image::Rgb([128; 3])))?;
        Ok(open)
    }
}

impl OpenRival<'_> {
    /// The quality of an aligned face, turned so that more is better.
    pub(super) fn judge(&mut self, crop: &RgbImage) -> Result<f64, MeasureError> {
        let scaled = |level: &u8| match self.rival.pixels {
            PixelRange::Signed => (f32::from(*level) - 127.5) / 127.5,
            PixelRange::Unit => f32::from(*level) / 255.0,
            PixelRange::Raw => f32::from(*level),
        };
        let planes = (0..3).flat_map(|channel| crop.as_raw().iter().skip(channel).step_by(3));
        let planes: Vec<f32> = planes.map(scaled).collect();
        let shape = [1, 3, SIDE as usize, SIDE as usize];
        let outputs = self.session.run(&shape, &planes)?;
        let mut candidates = outputs
            .iter()
            .filter(|(name, tensor)| match &self.rival.output {
                Some(wanted) => name == wanted,
                None => tensor.values.len() == 1,
            });
        match (candidates.next(), candidates.next()) {
            (Some((_, tensor)), None) if tensor.values.len() == 1 => {
                let value = f64::from(tensor.values[0]);
                Ok(if self.rival.lower_is_better {
                    -value
                } else {
                    value
                })
            }
            _ => {
                let outputs = outputs.iter();
                let found = outputs
                    .map(|(name, tensor)| format!("{name:?} of {} numbers", tensor.values.len()));
                let found = found.collect::<Vec<_>>().join(", ");
                Err(MeasureError::RivalOutput(self.rival.name.clone(), found))
            }
        }
    }
}

/// The square around the centre of `bounds` whose side is `factor` times that of the face.
pub(super) fn around(bounds: BoundingBox, factor: f32) -> BoundingBox {
    BoundingBox::square(bounds.centre(), factor * bounds.width.max(bounds.height))
}

/// The face on the 112×112 grid of quality networks; `None` if the picture cannot be read again.
pub(super) fn aligned(
    upload: &[u8],
    face: &Face,
    settings: &capture::Settings,
) -> Option<RgbImage> {
    let capture = capture::decode(upload, settings).ok()?;
    let area = around(face.bounding_box, PATCH_SIDE);
    let transform = umeyama(&face.landmarks, &ARCFACE_TEMPLATE)?;
    let patch = capture.patch(area, transform.scale().min(1.0)).ok()?;
    Some(pixels::warp(&patch, &transform, SIDE))
}

/// Variance of the Laplacian of the brightness: the measure of focus in most tutorials
/// (Pech-Pacheco et al., ICPR 2000). It is a baseline, because it grows with noise as much as with
/// sharpness.
pub fn laplacian_variance(face: &RgbImage) -> f64 {
    let luma: GrayImage = pixels::luma(face);
    let at = |x: u32, y: u32| f64::from(luma.get_pixel(x, y)[0]);
    let (width, height) = luma.dimensions();
    let mut values = Vec::new();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            values.push(at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y));
        }
    }
    let mean = faceood_engine::stats::mean(&values);
    let squares: Vec<f64> = values.iter().map(|value| (value - mean).powi(2)).collect();
    faceood_engine::stats::mean(&squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laplacian_of_a_checkerboard_and_of_a_ramp_are_known() {
        let grey = |level: u32| image::Rgb([level as u8; 3]);
        let ramp = RgbImage::from_fn(20, 10, |x, y| grey(3 * x + 2 * y));
        assert!(laplacian_variance(&ramp) < 1e-9);
        // Each inner pixel's Laplacian is ±4 · 10, as many of each.
        let board = RgbImage::from_fn(12, 12, |x, y| grey(100 + 10 * ((x + y) % 2)));
        assert!((laplacian_variance(&board) - 1600.0).abs() < 1e-9);
        assert_eq!(laplacian_variance(&RgbImage::new(1, 1)), 0.0);
    }
}
