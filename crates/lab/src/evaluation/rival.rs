//! Baselines for our score: common sharpness, and any quality network in ONNX.

use image::{GrayImage, RgbImage};

use faceood::capture::{self, pixels};
use faceood::face::align::{ARCFACE_TEMPLATE, umeyama};
use faceood::geometry::BoundingBox;
use faceood::pipeline::Face;
use faceood::runtime::{Placement, Runtime, RuntimeError, Session};

/// Side of the aligned face that quality networks take.
const SIDE: u32 = 112;

/// How much of the surroundings is read: the warp of a rolled head reaches that far.
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
    /// How it is called in the report.
    pub name: String,
    /// The ONNX file's bytes.
    pub model: Vec<u8>,
    /// Which output is the quality; `None`: the only one of one number.
    pub output: Option<String>,
    /// How pixels go in; RGB planes, NCHW.
    pub pixels: PixelRange,
    /// Whether it says the worse the larger.
    pub lower_is_better: bool,
}

/// Why another network cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum RivalError {
    /// ONNX Runtime refuses it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Its outputs do not tell which one is the quality.
    #[error(
        "{name} gives {found} for one face; the quality must be one number: name its output as FILE.onnx#OUTPUT"
    )]
    Output {
        /// The network.
        name: String,
        /// What it gives.
        found: String,
    },
}

pub(super) struct OpenRival<'a> {
    rival: &'a Rival,
    session: Session,
}

impl Rival {
    /// Opens it and tries it on a grey face.
    ///
    /// # Errors
    /// Where it is no model that takes an aligned face and gives one number.
    pub(super) fn open(&self, runtime: &Runtime) -> Result<OpenRival<'_>, RivalError> {
        let session = runtime.open(&self.name, &self.model, Placement::Host)?;
        let mut open = OpenRival {
            rival: self,
            session,
        };
        open.judge(&RgbImage::from_pixel(SIDE, SIDE, image::Rgb([128; 3])))?;
        Ok(open)
    }
}

impl OpenRival<'_> {
    /// The quality of an aligned face, turned so that more is better.
    pub(super) fn judge(&mut self, crop: &RgbImage) -> Result<f64, RivalError> {
        let scaled = |level: u8| match self.rival.pixels {
            PixelRange::Signed => (f32::from(level) - 127.5) / 127.5,
            PixelRange::Unit => f32::from(level) / 255.0,
            PixelRange::Raw => f32::from(level),
        };
        let levels = crop.as_raw();
        let planes: Vec<f32> = (0..3)
            .flat_map(|channel| {
                levels
                    .iter()
                    .skip(channel)
                    .step_by(3)
                    .map(|&level| scaled(level))
            })
            .collect();
        let outputs = self
            .session
            .run(&[1, 3, SIDE as usize, SIDE as usize], &planes)?;
        let fits = |name: &str, numbers: usize| match &self.rival.output {
            Some(wanted) => name == wanted,
            None => numbers == 1,
        };
        let candidates: Vec<_> = outputs
            .iter()
            .filter(|(name, tensor)| fits(name, tensor.values.len()))
            .collect();
        match candidates[..] {
            [(_, tensor)] if tensor.values.len() == 1 => {
                let sign = if self.rival.lower_is_better {
                    -1.0
                } else {
                    1.0
                };
                Ok(sign * f64::from(tensor.values[0]))
            }
            _ => Err(RivalError::Output {
                name: self.rival.name.clone(),
                found: outputs
                    .iter()
                    .map(|(name, tensor)| format!("{name:?} of {} numbers", tensor.values.len()))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }
}

/// The face on the 112×112 grid of quality networks; `None` where the picture cannot be read again.
pub(super) fn aligned(
    upload: &[u8],
    face: &Face,
    settings: &capture::Settings,
) -> Option<RgbImage> {
    let capture = capture::decode(upload, settings).ok()?;
    let bounds = face.bounding_box;
    let area = BoundingBox::square(
        bounds.centre(),
        PATCH_SIDE * bounds.width.max(bounds.height),
    );
    let transform = umeyama(&face.landmarks, &ARCFACE_TEMPLATE)?;
    let patch = capture.patch(area, transform.scale().min(1.0)).ok()?;
    Some(pixels::warp(&patch, &transform, SIDE))
}

/// Variance of the Laplacian of the brightness: the measure of focus in most tutorials (Pech-Pacheco et al., ICPR 2000). Grows
/// with noise as much as with sharpness, which is why it stands here to be compared with.
#[must_use]
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
    let mean = faceood::stats::mean(&values);
    let squares: Vec<f64> = values.iter().map(|value| (value - mean).powi(2)).collect();
    faceood::stats::mean(&squares)
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
