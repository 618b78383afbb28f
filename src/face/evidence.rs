//! The second opinion on a candidate that one pass alone does not settle: is it seen again, larger and smaller, and in even
//! light? Real faces are, even bad ones; headlights, letters and flowers are seen at one size only.

use super::network::Network;
use super::view::View;
use super::{DetectedFace, FaceError};
use crate::capture::Capture;

/// Longer sides at which the candidate is looked at again as it is, in pixels: small ones average noise away, large ones
/// show faces that fill the frame.
const SIDES: [f32; 4] = [24.0, 40.0, 64.0, 112.0];

/// Longer sides at which it is looked at again in even light.
const EVENED_SIDES: [f32; 2] = [28.0, 48.0];

/// One more look for faces that take up this share of the frame: masks in close-up are seen at no less.
const CLOSE_UP_SIDE: f32 = 176.0;
const CLOSE_UP_SHARE: f32 = 0.5;

/// What looks count, and the logistic regression on them: above zero the candidate is taken for a face.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondOpinion {
    /// Scores below this say nothing.
    pub least_score: f32,
    /// A look counts when it finds the box again: least intersection over union.
    pub least_iou: f32,
    /// A candidate below this share of the frame's longer side is as unlikely as one of this share.
    pub smallest_share: f32,
    /// Weights of the candidate's own score, the three best looks, the logarithm of its share of the frame.
    pub weights: [f32; 5],
    /// Added to their sum.
    pub bias: f32,
}

/// Looks again at `candidate`; the face with the box of the best look and the best score, or `None` where too little speaks
/// for it.
pub(super) fn weigh(
    network: &mut Network,
    settings: &SecondOpinion,
    capture: &Capture,
    candidate: &DetectedFace,
) -> Result<Option<DetectedFace>, FaceError> {
    let longer = capture.width().max(capture.height()) as f32;
    let share = candidate.bounding_box.area().sqrt() / longer;
    let close_up = (share > CLOSE_UP_SHARE).then_some((CLOSE_UP_SIDE, false));
    let mut best = candidate.clone();
    let mut looks = Vec::with_capacity(SIDES.len() + EVENED_SIDES.len() + 1);
    for (side, is_evened) in SIDES
        .map(|side| (side, false))
        .into_iter()
        .chain(EVENED_SIDES.map(|side| (side, true)))
        .chain(close_up)
    {
        let mut view = View::around(capture, &candidate.bounding_box, side)?;
        if is_evened {
            view = view.evened(Some(&candidate.bounding_box));
        }
        let again = look(network, settings, &view, candidate)?;
        looks.push(again.as_ref().map_or(0.0, |face| face.detection_score));
        if let Some(again) = again
            && again.detection_score > best.detection_score
        {
            best = again;
        }
    }
    Ok((settings.evidence(candidate.detection_score, looks, share) > 0.0).then_some(best))
}

/// The best face of the view that is the candidate again.
pub(super) fn look(
    network: &mut Network,
    settings: &SecondOpinion,
    view: &View<'_>,
    candidate: &DetectedFace,
) -> Result<Option<DetectedFace>, FaceError> {
    let found = network.pass(view.picture(), 0, settings.least_score)?;
    Ok(found
        .iter()
        .map(|face| view.to_original(face))
        .filter(|face| face.bounding_box.iou(&candidate.bounding_box) > settings.least_iou)
        .max_by(|one, other| one.detection_score.total_cmp(&other.detection_score)))
}

impl SecondOpinion {
    /// Above zero where the candidate is taken for a face.
    fn evidence(&self, score: f32, mut looks: Vec<f32>, share: f32) -> f32 {
        looks.sort_by(|one, other| other.total_cmp(one));
        looks.resize(3, 0.0);
        let features = [
            score,
            looks[0],
            looks[1],
            looks[2],
            share.max(self.smallest_share).ln(),
        ];
        let sum: f32 = self.weights.iter().zip(features).map(|(a, b)| a * b).sum();
        sum + self.bias
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(score: f32, looks: Vec<f32>, share: f32) -> f32 {
        let settings = SecondOpinion {
            least_score: 0.05,
            least_iou: 0.35,
            smallest_share: 0.135,
            weights: [2.03, 7.09, 3.16, 1.25, 2.98],
            bias: -4.46,
        };
        settings.evidence(score, looks, share)
    }

    #[test]
    fn more_looks_and_a_larger_box_speak_for_a_face() {
        assert!(evidence(0.5, vec![0.8, 0.8, 0.7], 0.3) > 0.0);
        assert!(evidence(0.5, vec![0.1, 0.0, 0.0], 0.3) < 0.0);
        let base = evidence(0.4, vec![0.5, 0.4, 0.3], 0.3);
        assert!(evidence(0.4, vec![0.6, 0.4, 0.3], 0.3) > base);
        assert!(evidence(0.4, vec![0.5, 0.4, 0.3], 0.5) > base);
        assert!(evidence(0.5, vec![0.5, 0.4, 0.3], 0.3) > base);
    }

    #[test]
    fn very_small_boxes_are_alike() {
        let one = evidence(0.7, vec![0.8, 0.7, 0.7], 0.02);
        assert_eq!(one, evidence(0.7, vec![0.8, 0.7, 0.7], 0.05));
    }
}
