//! From a detected face to the recogniser's 112×112 grid: landmarks, transform, warp.

use super::landmarks::LandmarkNetwork;
use super::{ALIGNED_SIDE, AlignedFace, DetectedFace, FaceError, pose};
use crate::capture::{Capture, pixels};
use crate::geometry::{BoundingBox, Point, Transform};
use crate::pack::manifest;
use crate::runtime::Session;

/// Side of the square around the face that is read, as a multiple of the box's longer side. The
/// warp of a rolled head reaches 1.5 × that far, and recapture patterns want some background.
const PATCH_SIDE: f32 = 2.0;

/// The longer side of a face's box is read with at least this many pixels, where the picture has
/// them. Below, noise and blur would be averaged away before they are measured.
const JUDGED_PX: f32 = 256.0;

/// Brings faces onto the recogniser's grid.
pub struct Aligner {
    network: LandmarkNetwork,
    template: [Point; 5],
}

impl Aligner {
    /// `session` runs the 68-point network. `template` is where eyes, nose tip and mouth corners,
    /// image left to right, lie on the recogniser's grid.
    pub fn new(session: Session, landmarks: manifest::Landmarks, template: [[f32; 2]; 5]) -> Self {
        Self {
            network: LandmarkNetwork::new(session, landmarks),
            template: template.map(|[x, y]| Point::new(x, y)),
        }
    }

    /// Reads the face's surroundings, finds its landmarks there and samples it on the 112×112 grid.
    ///
    /// # Errors
    /// If the patch cannot be read, the network fails, or the landmarks fall into one point.
    pub fn align(
        &mut self,
        capture: &Capture,
        face: &DetectedFace,
    ) -> Result<AlignedFace, FaceError> {
        let longer = face.bounding_box.width.max(face.bounding_box.height);
        let centre = face.bounding_box.centre();
        let area = BoundingBox::square(centre, PATCH_SIDE * longer);
        let patch = capture.patch(area, (JUDGED_PX / longer).min(1.0))?;
        let (contour, landmarks) = self.network.find(&patch, face)?;
        let transform = umeyama(&landmarks, &self.template).ok_or(FaceError::Degenerate(centre))?;
        Ok(AlignedFace {
            crop: pixels::warp(&patch, &transform, ALIGNED_SIDE),
            transform,
            landmarks,
            pose: pose::estimate(&contour),
            contour,
            patch,
        })
    }
}

/// ArcFace's template for 112×112, which most published networks share: eyes, nose tip, mouth
/// corners, image left to right. A pack's manifest has its own.
pub const ARCFACE_TEMPLATE: [Point; 5] = [
    Point::new(38.2946, 51.6963),
    Point::new(73.5318, 51.5014),
    Point::new(56.0252, 71.7366),
    Point::new(41.5493, 92.3655),
    Point::new(70.7299, 92.2041),
];

/// The similarity transform that brings `from` closest to `to` by least squares (Umeyama 1991, in
/// the plane, without mirroring). `None` where `from` is one point or the best scale is zero.
pub fn umeyama<const N: usize>(from: &[Point; N], to: &[Point; N]) -> Option<Transform> {
    let mean = |points: &[Point; N]| {
        let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| {
            (x + f64::from(point.x), y + f64::from(point.y))
        });
        (x / N as f64, y / N as f64)
    };
    let (from_mean, to_mean) = (mean(from), mean(to));
    let (mut dot, mut cross, mut spread) = (0.0, 0.0, 0.0);
    for (one, other) in from.iter().zip(to) {
        let x = f64::from(one.x) - from_mean.0;
        let y = f64::from(one.y) - from_mean.1;
        let u = f64::from(other.x) - to_mean.0;
        let v = f64::from(other.y) - to_mean.1;
        dot += x * u + y * v;
        cross += x * v - y * u;
        spread += x * x + y * y;
    }
    let (a, b) = (dot / spread, cross / spread);
    if !(spread > 1e-9 && a.hypot(b) > 1e-9) {
        return None;
    }
    Some(Transform {
        a: a as f32,
        b: b as f32,
        tx: (to_mean.0 - a * from_mean.0 + b * from_mean.1) as f32,
        ty: (to_mean.1 - b * from_mean.0 - a * from_mean.1) as f32,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ARCFACE_TEMPLATE as TEMPLATE;
    use super::*;

    fn any_transform() -> impl Strategy<Value = Transform> {
        (
            0.05f32..5.0,
            -180.0f32..180.0,
            -500.0f32..500.0,
            -500.0f32..500.0,
        )
            .prop_map(|(scale, degrees, tx, ty)| {
                let (sin, cos) = degrees.to_radians().sin_cos();
                Transform {
                    a: scale * cos,
                    b: scale * sin,
                    tx,
                    ty,
                }
            })
    }

    proptest! {
        #[test]
        fn umeyama_recovers_a_known_transform(known in any_transform()) {
            let there = TEMPLATE.map(|point| known.apply(point));
            let found = umeyama(&TEMPLATE, &there).unwrap();
            prop_assert!((found.a - known.a).abs() < 1e-3 * known.scale().max(1.0));
            prop_assert!((found.b - known.b).abs() < 1e-3 * known.scale().max(1.0));
            for (point, wanted) in TEMPLATE.into_iter().zip(there) {
                prop_assert!(found.apply(point).distance(wanted) < 1e-2 * known.scale().max(1.0));
            }
        }

        #[test]
        fn aligning_and_its_inverse_cancel(known in any_transform(), x in -300f32..300.0, y in -300f32..300.0) {
            let there = TEMPLATE.map(|point| known.apply(point));
            let align = umeyama(&there, &TEMPLATE).unwrap();
            let back = align.inverse().unwrap();
            let point = Point::new(x, y);
            prop_assert!(back.apply(align.apply(point)).distance(point) < 0.05);
        }

        #[test]
        fn umeyama_is_the_best_of_its_neighbours(
            known in any_transform(),
            noise in prop::array::uniform10(-3f32..3.0),
            nudge in prop::array::uniform4(-0.01f32..0.01),
        ) {
            let mut there = TEMPLATE.map(|point| known.apply(point));
            for (point, pair) in there.iter_mut().zip(noise.chunks_exact(2)) {
                *point = Point::new(point.x + pair[0], point.y + pair[1]);
            }
            let error = |transform: &Transform| -> f32 {
                TEMPLATE.iter().zip(&there).map(|(&from, &to)| transform.apply(from).distance(to).powi(2)).sum()
            };
            let best = umeyama(&TEMPLATE, &there).unwrap();
            let other = Transform {
                a: best.a + nudge[0],
                b: best.b + nudge[1],
                tx: best.tx + 10.0 * nudge[2],
                ty: best.ty + 10.0 * nudge[3],
            };
            prop_assert!(error(&best) <= error(&other) * 1.001 + 1e-3);
        }
    }

    #[test]
    fn one_point_five_times_has_no_transform() {
        assert!(umeyama(&[Point::new(3.0, 4.0); 5], &TEMPLATE).is_none());
    }
}
