//! A clean photo at the size in which cameras see a face, ready to be degraded.

use std::io::Cursor;
use std::path::PathBuf;

use image::{ImageFormat, RgbImage};

use super::MeasureError;
use super::measure::Instrument;
use super::picture::small;
use super::rival::around;
use faceood_engine::capture::{self, pixels};
use faceood_engine::pipeline::Face;

/// Width of a face in pixels for which the noise of [`crate::degrade`] is that of the camera at a
/// door or a gate.
pub const USUAL_FACE_PX: f32 = 110.0;
/// Side of the square that is kept, in sides of the face: noise on the far background would only
/// cost time.
const SURROUNDINGS: f32 = 5.0;

/// A clean photo.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The file.
    pub path: PathBuf,
    /// The pixels at the wanted size.
    pub picture: RgbImage,
    /// What the pipeline says of it at that size.
    pub face: Face,
}

impl Scene {
    /// A small picture of the face, as a JPEG.
    pub fn small_picture(&self) -> Vec<u8> {
        small(&self.picture, Some(self.face.bounding_box))
    }
}

/// Reads each photo and brings its face to a width of `face_px`; smaller ones are left as they are.
/// The inner `Err` holds the reason why a photo cannot be used.
///
/// # Errors
/// If the models cannot be opened.
pub fn load(
    instrument: &Instrument<'_>,
    paths: &[PathBuf],
    face_px: f32,
) -> Result<Vec<Result<Scene, String>>, MeasureError> {
    instrument.each(paths.len(), |worker, index| {
        let path = paths[index].clone();
        let upload = std::fs::read(&path).map_err(|error| error.to_string())?;
        let (face, _) = worker.face(&upload).map_err(|error| error.to_string())?;
        let capture = capture::decode(&upload, instrument.capture);
        let capture = capture.map_err(|error| error.to_string())?;
        let area = around(face.bounding_box, SURROUNDINGS);
        let scale = (face_px / face.bounding_box.width).min(1.0);
        let patch = capture.patch(area, scale);
        let patch = patch.map_err(|error| error.to_string())?;
        let side = |length: u32| ((length as f32 * scale / patch.scale).round() as u32).max(1);
        let (width, height) = patch.pixels.dimensions();
        let picture = pixels::resize(&patch.pixels, side(width), side(height));
        let (face, _) = worker.face(&upload_of(&picture)).map_err(|error| {
            format!("the face is lost when it is made {face_px:.0} px wide: {error}")
        })?;
        Ok(Scene {
            path,
            picture,
            face,
        })
    })
}

/// The picture as an upload that loses nothing.
pub fn upload_of(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    // This writes into memory in a format without limits that matter here. If it failed all the
    // same, the decoder would refuse the empty picture.
    let _ = picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Bmp);
    bytes
}
