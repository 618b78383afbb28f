//! The pipeline's stages one by one, on the pack that ships: for tests that look between them.

use faceood_engine::capture::{self, Capture};
use faceood_engine::embed::Embedder;
use faceood_engine::face::{Aligner, Detector};
use faceood_engine::pack::Pack;
use faceood_engine::runtime::{GraphForm, Placement, ProviderChoice, Runtime, Settings};

/// Decoded with the default limits.
pub fn capture(encoded: &[u8]) -> Capture {
    capture::decode(encoded, &capture::Settings::default()).expect("the picture decodes")
}

/// Stages with open sessions on the CPU.
pub struct Stages {
    /// Finds faces.
    pub detector: Detector,
    /// Aligns them.
    pub aligner: Aligner,
    /// Embeds them.
    pub embedder: Embedder,
}

impl Stages {
    /// Opens the default pack.
    pub fn open() -> Self {
        let runtime = Runtime::load(&Settings {
            provider: ProviderChoice::Cpu,
            ..Settings::default()
        })
        .expect("ONNX Runtime is there (./scripts/setup)");
        let pack = Pack::open(&super::models().join("default")).expect("the default pack is sound");
        let open = |name: &str, bytes: &[u8]| {
            runtime
                .open(name, bytes, Placement::Host)
                .expect("the model opens")
        };
        let detector = open("detector", &pack.detector_bytes().expect("detector"));
        let landmarks = open("landmarks", &pack.landmarks_bytes().expect("landmarks"));
        let embedder = open(
            "embedder",
            &pack
                .embedder_for(GraphForm::Convolutions)
                .expect("embedder"),
        );
        let manifest = pack.manifest();
        Self {
            detector: Detector::new(detector, manifest.detector.clone()),
            aligner: Aligner::new(
                landmarks,
                manifest.landmarks.clone(),
                manifest.embedder.template,
            ),
            embedder: Embedder::new(embedder, manifest.embedder.clone()),
        }
    }
}
