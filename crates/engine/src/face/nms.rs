//! One face, one report: drops candidates that overlap a better one.

use std::cmp::Ordering;

use super::DetectedFace;
use crate::geometry::BoundingBox;

/// How far two boxes may overlap and still be two faces.
pub(super) struct Overlap {
    pub(super) iou: f32,
    /// Largest share of the smaller box that may lie inside the larger. Passes at different sizes
    /// see one face as boxes of different extent, one inside the other, whose IoU can be low. True
    /// faces hardly ever stand inside another's box.
    pub(super) containment: f32,
}

impl Overlap {
    /// Whether the boxes of the two are taken for the same face.
    pub(super) fn is_same(&self, one: &DetectedFace, other: &DetectedFace) -> bool {
        let (one, other) = (&one.bounding_box, &other.bounding_box);
        let smaller = one.area().min(other.area());
        one.iou(other) > self.iou
            || (smaller > 0.0 && one.intersection(other) / smaller > self.containment)
    }

    /// The candidates, best first, without those that are the same face as a better one. Equal
    /// scores are ordered by position, so the result depends only on the set of candidates.
    pub(super) fn suppress(&self, mut candidates: Vec<DetectedFace>) -> Vec<DetectedFace> {
        candidates.sort_by(|one, other| {
            other
                .detection_score
                .total_cmp(&one.detection_score)
                .then_with(|| by_position(&one.bounding_box, &other.bounding_box))
        });
        let mut kept: Vec<DetectedFace> = Vec::new();
        for candidate in candidates {
            if !kept.iter().any(|better| self.is_same(better, &candidate)) {
                kept.push(candidate);
            }
        }
        kept
    }
}

/// Sorts faces for the report: largest first, equal ones by nearness to the picture's centre.
pub(super) fn sort_for_report(faces: &mut [DetectedFace], width: f32, height: f32) {
    let off_centre = |face: &DetectedFace| {
        let centre = face.bounding_box.centre();
        (centre.x - width / 2.0).hypot(centre.y - height / 2.0)
    };
    faces.sort_by(|one, other| {
        other
            .bounding_box
            .area()
            .total_cmp(&one.bounding_box.area())
            .then_with(|| off_centre(one).total_cmp(&off_centre(other)))
            .then_with(|| by_position(&one.bounding_box, &other.bounding_box))
    });
}

fn by_position(one: &BoundingBox, other: &BoundingBox) -> Ordering {
    one.y.total_cmp(&other.y).then(one.x.total_cmp(&other.x))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::Point;

    const OVERLAP: Overlap = Overlap {
        iou: 0.3,
        containment: 0.7,
    };

    fn face(x: f32, y: f32, width: f32, height: f32, detection_score: f32) -> DetectedFace {
        DetectedFace {
            bounding_box: BoundingBox::new(x, y, width, height),
            detection_score,
            points: [Point::default(); 5],
        }
    }

    fn any_face() -> impl Strategy<Value = DetectedFace> {
        (
            0.0f32..200.0,
            0.0f32..200.0,
            1.0f32..120.0,
            1.0f32..120.0,
            0.0f32..1.0,
        )
            .prop_map(|(x, y, width, height, score)| face(x, y, width, height, score))
    }

    proptest! {
        #[test]
        fn no_two_kept_faces_are_the_same(candidates in prop::collection::vec(any_face(), 0..40)) {
            let kept = OVERLAP.suppress(candidates);
            for (index, one) in kept.iter().enumerate() {
                for other in &kept[index + 1..] {
                    prop_assert!(one.bounding_box.iou(&other.bounding_box) <= OVERLAP.iou);
                    prop_assert!(!OVERLAP.is_same(one, other));
                }
            }
        }

        #[test]
        fn every_dropped_face_has_a_better_one_in_its_place(candidates in prop::collection::vec(any_face(), 0..40)) {
            let kept = OVERLAP.suppress(candidates.clone());
            for candidate in candidates {
                let is_represented = kept.iter().any(|better| {
                    *better == candidate
                        || (better.detection_score >= candidate.detection_score
                            && OVERLAP.is_same(better, &candidate))
                });
                prop_assert!(is_represented);
            }
        }

        #[test]
        fn suppressing_twice_changes_nothing(candidates in prop::collection::vec(any_face(), 0..40)) {
            let once = OVERLAP.suppress(candidates);
            prop_assert_eq!(OVERLAP.suppress(once.clone()), once);
        }

        #[test]
        fn order_of_candidates_does_not_matter(candidates in prop::collection::vec(any_face(), 0..40)) {
            let mut reversed = candidates.clone();
            reversed.reverse();
            prop_assert_eq!(OVERLAP.suppress(candidates), OVERLAP.suppress(reversed));
        }

        #[test]
        fn iou_is_symmetric_and_a_share(one in any_face(), other in any_face()) {
            let iou = one.bounding_box.iou(&other.bounding_box);
            prop_assert!((0.0..=1.0).contains(&iou));
            prop_assert_eq!(iou, other.bounding_box.iou(&one.bounding_box));
        }
    }

    #[test]
    fn a_box_inside_a_better_one_is_dropped() {
        let kept = OVERLAP.suppress(vec![
            face(0.0, 0.0, 100.0, 100.0, 0.9),
            face(20.0, 20.0, 40.0, 40.0, 0.8),
        ]);
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn neighbours_are_two_faces() {
        let kept = OVERLAP.suppress(vec![
            face(0.0, 0.0, 100.0, 100.0, 0.9),
            face(80.0, 0.0, 100.0, 100.0, 0.8),
        ]);
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn report_goes_by_area_then_by_nearness_to_the_centre() {
        let mut faces = [
            face(0.0, 0.0, 10.0, 10.0, 0.9),
            face(45.0, 45.0, 10.0, 10.0, 0.5),
            face(0.0, 60.0, 20.0, 20.0, 0.4),
        ];
        sort_for_report(&mut faces, 100.0, 100.0);
        let scores: Vec<f32> = faces.iter().map(|face| face.detection_score).collect();
        assert_eq!(scores, [0.4, 0.5, 0.9]);
    }
}
