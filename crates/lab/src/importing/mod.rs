//! Builds packs around a recogniser from elsewhere: an RTS checkpoint, or any ONNX embedder.
//! Detector and landmark network come from an existing pack.
//!
//! An imported pack has no calibration yet, because only pictures of the site can give one.
//! `quality::Calibration::uncalibrated` stands in for it; this module only carries its text.

use crate::building::{BuildError, recipe};
use faceood_engine::pack::manifest::{
    CalibrationFile, Embedder, Golden, MANIFEST_VERSION, Manifest, SimilarityThresholds,
};
use faceood_engine::pack::network::graph::{FLOAT, TensorType, ValueInfo, ValueType};
use faceood_engine::pack::{MANIFEST_FILE, Pack};
use faceood_engine::policy::Thresholds;

pub mod checkpoint;
pub mod onnx;
mod pickle;
pub mod retrain;
pub mod rts;

/// Name of the embedder's file in an imported pack.
pub const EMBEDDER_FILE: &str = "embedder.onnx";

/// What the new pack says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The pack's name, as `model.pack` on the wire.
    pub id: String,
    /// The pack's version.
    pub version: String,
    /// One sentence for the operator.
    pub description: String,
}

/// A calibration as the text of its file.
#[derive(Clone, Copy, Debug)]
pub struct CalibrationText<'a> {
    /// The file's text.
    pub json: &'a str,
    /// The id that belongs to the content.
    pub id: &'a str,
}

impl CalibrationText<'_> {
    fn described(&self) -> CalibrationFile {
        CalibrationFile {
            file: recipe::file("calibration.json", self.json.as_bytes(), "MIT", Vec::new()),
            id: self.id.to_owned(),
        }
    }

    /// The calibration's file and the manifest, by name.
    fn with(&self, manifest: &Manifest) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
        let calibration = &manifest.calibration.file.path;
        Ok(vec![
            (calibration.clone(), self.json.as_bytes().to_vec()),
            (MANIFEST_FILE.to_owned(), toml::to_string(manifest)?.into()),
        ])
    }
}

/// The manifest of a pack whose embedder is `embedder` and whose other networks are those of
/// `base`. The golden output is still empty.
pub fn manifest(
    base: &Pack,
    naming: Naming,
    embedder: Embedder,
    calibration: CalibrationText<'_>,
) -> Manifest {
    Manifest {
        manifest_version: MANIFEST_VERSION,
        id: naming.id,
        version: naming.version,
        description: naming.description,
        // The contract's thresholds, with which every verdict is explained.
        similarity: SimilarityThresholds {
            same: 0.45,
            review: 0.35,
        },
        detector: base.manifest().detector.clone(),
        landmarks: base.manifest().landmarks.clone(),
        embedder,
        calibration: calibration.described(),
        golden: Golden::default(),
        training: None,
    }
}

/// Every file of that pack but the embedder's, by name, the manifest last.
///
/// # Errors
/// If the manifest cannot be written.
pub fn files(
    base: &Pack,
    manifest: &Manifest,
    calibration: CalibrationText<'_>,
) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
    let copied = [
        (&manifest.detector.file, base.detector_file()),
        (&manifest.landmarks.file, base.landmarks_file()),
    ];
    let mut files = copied
        .map(|(file, bytes)| (file.path.clone(), bytes.to_vec()))
        .to_vec();
    files.extend(calibration.with(manifest)?);
    Ok(files)
}

/// `pack` with another calibration, and with `thresholds` where this carries some: the
/// calibration's file and the manifest.
///
/// # Errors
/// If the manifest cannot be written.
pub fn recalibrated(
    pack: &Pack,
    calibration: CalibrationText<'_>,
    thresholds: Option<Thresholds>,
) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
    let mut manifest = pack.manifest().clone();
    manifest.calibration = calibration.described();
    if let Some(Thresholds { same, different }) = thresholds {
        let review = different;
        manifest.similarity = SimilarityThresholds { same, review };
    }
    calibration.with(&manifest)
}

/// A float tensor without a shape.
fn of_any_shape(name: &str) -> ValueInfo {
    ValueInfo {
        name: Some(name.to_owned()),
        value_type: Some(ValueType {
            tensor_type: Some(TensorType {
                elem_type: Some(FLOAT),
                shape: None,
            }),
        }),
    }
}
