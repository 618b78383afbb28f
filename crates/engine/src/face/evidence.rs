//! Checks a weak candidate again at other sizes and in even light. A real face, even a bad one, is
//! found each time, at the height of a head, with eyes, nose and mouth in the same places.
//! Headlights, letters and cups are found at one size only, or differently each time.

use super::network::Network;
use super::view::View;
use super::{DetectedFace, FaceError};
use crate::capture::Capture;
use crate::pack::manifest::SecondOpinion;

/// Longer sides at which the candidate is looked at again as it is, in pixels: small ones average
/// noise away, large ones show faces that fill the frame.
const SIDES: [f32; 4] = [24.0, 40.0, 64.0, 112.0];

/// Longer sides at which it is looked at again in even light.
const EVENED_SIDES: [f32; 2] = [28.0, 48.0];

/// One more look for faces of this share of the frame: masks in close-up are seen at no less.
const CLOSE_UP_SIDE: f32 = 176.0;
const CLOSE_UP_SHARE: f32 = 0.5;

/// Looks again at `candidate`: the face with the box of the best look and the best score, or `None`
/// where too little speaks for it.
pub(super) fn weigh(
    network: &mut Network,
    settings: &SecondOpinion,
    capture: &Capture,
    candidate: &DetectedFace,
) -> Result<Option<DetectedFace>, FaceError> {
    let longer = capture.width().max(capture.height()) as f32;
    let share = candidate.bounding_box.area().sqrt() / longer;
    let close_up = (share > CLOSE_UP_SHARE).then_some((CLOSE_UP_SIDE, false));
    let mut seen = Seen {
        share,
        candidate: candidate.clone(),
        looks: Vec::with_capacity(SIDES.len() + EVENED_SIDES.len() + 1),
    };
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
        seen.looks
            .extend(look(network, settings, &view, candidate)?);
    }
    Ok((seen.evidence(settings) > 0.0).then(|| seen.best()))
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
        .filter(|face| face.bounding_box.iou(&candidate.bounding_box) > settings.least_overlap)
        .max_by(|one, other| one.detection_score.total_cmp(&other.detection_score)))
}

/// A candidate and the looks that found it again.
struct Seen {
    /// Side of the candidate's box as a share of the frame's longer side.
    share: f32,
    candidate: DetectedFace,
    looks: Vec<DetectedFace>,
}

impl Seen {
    fn faces(&self) -> impl Iterator<Item = &DetectedFace> {
        std::iter::once(&self.candidate).chain(&self.looks)
    }

    /// The face of the highest score, the candidate itself where none is higher.
    fn best(&self) -> DetectedFace {
        let mut best = &self.candidate;
        for look in &self.looks {
            if look.detection_score > best.detection_score {
                best = look;
            }
        }
        best.clone()
    }

    /// The scores of the three best looks; 0 where there were fewer.
    fn best_scores(&self) -> [f32; 3] {
        let mut scores: Vec<f32> = self.looks.iter().map(|face| face.detection_score).collect();
        scores.sort_by(|one, other| other.total_cmp(one));
        scores.resize(3, 0.0);
        [scores[0], scores[1], scores[2]]
    }

    /// Mean over all looks, the surer the more, of `value`; and the deviation from it.
    fn mean(&self, value: impl Fn(&DetectedFace) -> f32) -> (f32, f32) {
        let weighted = |of: &dyn Fn(f32) -> f32| {
            let (sum, weights) = self.faces().fold((0.0, 0.0), |(sum, weights), face| {
                let weight = face.detection_score.powi(2).max(1e-6);
                (sum + weight * of(value(face)), weights + weight)
            });
            sum / weights
        };
        let mean = weighted(&|value| value);
        (mean, weighted(&|value| (value - mean).powi(2)).sqrt())
    }

    /// Logarithm of the box's height to its width: about .2 for faces, 0 for round things.
    fn elongation(&self) -> f32 {
        self.mean(|face| {
            let bounds = face.bounding_box;
            (bounds.height.max(1e-3) / bounds.width.max(1e-3)).ln()
        })
        .0
    }

    /// How far eyes, nose and mouth corners move between looks, as a share of the box's sides: mean
    /// deviation over the ten coordinates.
    fn unrest(&self) -> f32 {
        let deviations = (0..5).flat_map(|point| {
            let across = self.mean(|face| {
                let bounds = face.bounding_box;
                (face.points[point].x - bounds.x) / bounds.width.max(1e-3)
            });
            let down = self.mean(|face| {
                let bounds = face.bounding_box;
                (face.points[point].y - bounds.y) / bounds.height.max(1e-3)
            });
            [across.1, down.1]
        });
        deviations.sum::<f32>() / 10.0
    }

    /// Above zero where the candidate is taken for a face.
    fn evidence(&self, settings: &SecondOpinion) -> f32 {
        let [first, second, third] = self.best_scores();
        let features = [
            self.candidate.detection_score,
            first,
            second,
            third,
            self.share.max(settings.smallest_share).ln(),
            self.elongation(),
            self.unrest(),
        ];
        let weighted = settings.weights.iter().zip(features).map(|(a, b)| a * b);
        weighted.sum::<f32>() + settings.bias
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BoundingBox, Point};

    /// A face of this score and of 100 px width, its points moved by `move_by` of the box's sides.
    fn face(detection_score: f32, height: f32, move_by: f32) -> DetectedFace {
        DetectedFace {
            bounding_box: BoundingBox::new(50.0, 50.0, 100.0, height),
            detection_score,
            points: [
                (0.3, 0.4),
                (0.7, 0.4),
                (0.5, 0.6),
                (0.35, 0.75),
                (0.65, 0.75),
            ]
            .map(|(x, y)| Point::new(50.0 + 100.0 * (x + move_by), 50.0 + height * (y + move_by))),
        }
    }

    fn evidence(seen: &Seen) -> f32 {
        let settings = SecondOpinion {
            least_score: 0.05,
            least_overlap: 0.35,
            smallest_share: 0.06,
            weights: [2.88, 3.28, 3.01, 2.59, 1.81, 6.36, -25.26],
            bias: -4.8,
        };
        seen.evidence(&settings)
    }

    fn seen(looks: &[f32], share: f32) -> Seen {
        Seen {
            share,
            candidate: face(0.4, 122.0, 0.0),
            looks: looks.iter().map(|&score| face(score, 122.0, 0.0)).collect(),
        }
    }

    #[test]
    fn more_looks_and_a_larger_box_speak_for_a_face() {
        assert!(evidence(&seen(&[0.8, 0.8, 0.7], 0.3)) > 0.0);
        assert!(evidence(&seen(&[0.1], 0.3)) < 0.0);
        let base = evidence(&seen(&[0.5, 0.4, 0.3], 0.3));
        assert!(evidence(&seen(&[0.6, 0.4, 0.3], 0.3)) > base);
        assert!(evidence(&seen(&[0.5, 0.4, 0.3], 0.5)) > base);
    }

    #[test]
    fn very_small_boxes_are_alike() {
        let looks = [0.8, 0.7, 0.7];
        assert_eq!(evidence(&seen(&looks, 0.02)), evidence(&seen(&looks, 0.05)));
    }

    #[test]
    fn square_boxes_and_wandering_points_speak_against_a_face() {
        let looks = [0.6, 0.5, 0.5];
        let base = evidence(&seen(&looks, 0.3));
        let mut square = seen(&looks, 0.3);
        square.looks = looks.map(|score| face(score, 100.0, 0.0)).to_vec();
        assert!(evidence(&square) < base);
        let mut restless = seen(&looks, 0.3);
        restless.looks[1] = face(0.5, 122.0, 0.2);
        assert!(restless.unrest() > 0.05 && evidence(&restless) < base);
    }

    #[test]
    fn the_best_face_is_the_candidate_unless_a_look_is_surer() {
        assert_eq!(seen(&[0.3, 0.2], 0.3).best().detection_score, 0.4);
        assert_eq!(seen(&[0.3, 0.9], 0.3).best().detection_score, 0.9);
    }
}
