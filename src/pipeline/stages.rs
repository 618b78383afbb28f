//! Reads the stages' settings from a pack's manifest, so that the stages need not know it.

use crate::embed::EmbedderSettings;
use crate::face::{AlignerSettings, DetectorSettings, LandmarkSettings, Overlap, SecondOpinion};
use crate::geometry::Point;
use crate::pack::manifest::{self, OutputTensor};

/// How faces are found.
#[must_use]
pub fn detector_settings(detector: &manifest::Detector) -> DetectorSettings {
    let opinion = &detector.second_opinion;
    DetectorSettings {
        input: detector.input.transform(),
        strides: detector
            .strides
            .iter()
            .map(|&stride| stride as usize)
            .collect(),
        first_side: detector.first_side,
        sure_score: detector.sure_score,
        middling_score: detector.middling_score,
        refined_score: detector.refined_score,
        floor_score: detector.floor_score,
        overlap: Overlap {
            iou: detector.overlap_threshold,
            containment: detector.containment_threshold,
        },
        second_opinion: SecondOpinion {
            least_score: opinion.least_score,
            least_iou: opinion.least_overlap,
            smallest_share: opinion.smallest_share,
            weights: opinion.weights,
            bias: opinion.bias,
        },
    }
}

/// How faces are brought onto the recogniser's grid: points from the landmark network, `template` from the embedder.
#[must_use]
pub fn aligner_settings(
    landmarks: &manifest::Landmarks,
    template: &[[f32; 2]; 5],
) -> AlignerSettings {
    AlignerSettings {
        landmarks: LandmarkSettings {
            input: landmarks.input.transform(),
            input_side: landmarks.input.side(),
            output: landmarks.output.name.clone(),
            crop_scale: landmarks.crop_scale,
            five_points: landmarks.five_points.clone(),
        },
        template: template.map(|[x, y]| Point::new(x, y)),
    }
}

/// How the embedder is fed and read.
#[must_use]
pub fn embedder_settings(embedder: &manifest::Embedder) -> EmbedderSettings {
    let name = |tensor: &OutputTensor| tensor.name.clone();
    EmbedderSettings {
        input: embedder.input.transform(),
        embedding: name(&embedder.embedding),
        embedding_norm: embedder.embedding_norm.as_ref().map(name),
        network_norms: embedder.network_norms.as_ref().map(name),
        networks: embedder
            .networks
            .iter()
            .map(|network| network.name.clone())
            .collect(),
        ood_logit: name(&embedder.ood.output),
        cause_logits: embedder
            .causes
            .as_ref()
            .map(|causes| (name(&causes.output), causes.names.len())),
    }
}
