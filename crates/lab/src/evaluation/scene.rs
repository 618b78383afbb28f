//! A clean photo at the size in which cameras see a face, ready to be degraded.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, RgbImage};

use super::measure::{Instrument, MeasureError, Worker};
use faceood::capture::{self, pixels};
use faceood::geometry::BoundingBox;
use faceood::pipeline::Face;

/// Width of a face in pixels for which the noise of [`crate::degrade`] is that of a door's or a gate's camera.
pub const USUAL_FACE_PX: f32 = 110.0;
/// Side of the square that is kept around the face, in widths of it: noise on the far background would only cost time.
const SURROUNDINGS: f32 = 5.0;

/// A clean photo.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its file.
    pub path: PathBuf,
    /// Its pixels at the wanted size.
    pub picture: RgbImage,
    /// What the pipeline says of it at that size.
    pub face: Face,
}

/// Reads each photo and brings its face to a width of `face_px`; smaller ones are left as they are. `Err` holds the reason why
/// one cannot be used.
///
/// # Errors
/// Where the models cannot be opened.
pub fn load(
    instrument: &Instrument<'_>,
    paths: &[PathBuf],
    face_px: f32,
) -> Result<Vec<Result<Scene, String>>, MeasureError> {
    instrument.each(paths.len(), |worker, index| {
        one(worker, instrument.capture, &paths[index], face_px)
    })
}

fn one(
    worker: &mut Worker<'_>,
    settings: &capture::Settings,
    path: &Path,
    face_px: f32,
) -> Result<Scene, String> {
    let upload = std::fs::read(path).map_err(|error| error.to_string())?;
    let (face, _) = worker.face(&upload).map_err(|error| error.to_string())?;
    let capture = capture::decode(&upload, settings).map_err(|error| error.to_string())?;
    let bounds = face.bounding_box;
    let area = BoundingBox::square(
        bounds.centre(),
        SURROUNDINGS * bounds.width.max(bounds.height),
    );
    let scale = (face_px / bounds.width).min(1.0);
    let patch = capture
        .patch(area, scale)
        .map_err(|error| error.to_string())?;
    let side = |length: u32| ((length as f32 * scale / patch.scale).round() as u32).max(1);
    let (width, height) = patch.pixels.dimensions();
    let picture = pixels::resize(&patch.pixels, side(width), side(height));
    let (face, _) = worker.face(&upload_of(&picture)).map_err(|error| {
        format!("the face is lost when it is made {face_px:.0} px wide: {error}")
    })?;
    Ok(Scene {
        path: path.to_owned(),
        picture,
        face,
    })
}

/// The picture as an upload that loses nothing.
#[must_use]
pub fn upload_of(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Into memory, in a format without limits that matter here: what fails is refused by the decoder as an empty picture.
    let _ = picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Bmp);
    bytes
}
