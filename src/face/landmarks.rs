//! 68 landmarks of a face by a small network, and the five points that the recogniser's template is about.

use super::{DetectedFace, FaceError};
use crate::capture::{Patch, pixels};
use crate::geometry::{Point, Transform};
use crate::runtime::Session;

/// Side of the network's grey input in pixels.
const INPUT_SIDE: u32 = 64;

/// Side of the square that the network sees, as a multiple of the detector's longer box side (1.0 to 1.3 are nearly as
/// good).
const CROP_SIDE: f32 = 1.15;

/// Number of landmarks, in iBUG order: jaw 0–16, brows 17–26, nose 27–35, eyes 36–47, mouth 48–67.
pub const LANDMARK_COUNT: usize = 68;

const NAME: &str = "landmark";

/// The landmarks of one face in the original picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Contour {
    /// All 68.
    pub points: Vec<Point>,
    /// Eyes, nose tip, mouth corners, image left to right.
    pub five: [Point; 5],
}

/// The 68-point network with its input buffer.
pub struct LandmarkNetwork {
    session: Session,
    input: Vec<f32>,
}

impl LandmarkNetwork {
    /// `session` takes [1, 1, 64, 64] grey of 0–1 and gives 136 numbers: x and y as shares of the crop's side.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self {
            session,
            input: Vec::with_capacity((INPUT_SIDE * INPUT_SIDE) as usize),
        }
    }

    /// Landmarks of `face`, read from `patch`. The network was trained on upright faces: its crop is turned by the
    /// detector's eye line.
    ///
    /// # Errors
    /// If the network cannot be run or answers with anything but 136 finite numbers.
    pub fn find(&mut self, patch: &Patch, face: &DetectedFace) -> Result<Contour, FaceError> {
        let side = CROP_SIDE * face.bounding_box.width.max(face.bounding_box.height);
        let crop = upright_square(face.bounding_box.centre(), side, eye_line(&face.points));
        let points = self.run(patch, crop)?;
        let five = five_points(&points);
        Ok(Contour { points, five })
    }

    /// Runs the network on the 64×64 picture that `crop` takes from the original, and maps its answer back.
    fn run(&mut self, patch: &Patch, crop: Transform) -> Result<Vec<Point>, FaceError> {
        let picture = pixels::warp(patch, &crop, INPUT_SIDE);
        self.input.clear();
        self.input
            .extend(picture.as_raw().chunks_exact(3).map(|pixel| {
                let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
                // ITU-R BT.601 luma.
                (0.299 * red + 0.587 * green + 0.114 * blue) / 256.0
            }));
        let side = INPUT_SIDE as usize;
        let outputs = self.session.run(&[1, 1, side, side], &self.input)?;
        let (name, values) = outputs
            .into_iter()
            .next()
            .map(|(name, tensor)| (name, tensor.values))
            .unwrap_or_default();
        if values.len() != 2 * LANDMARK_COUNT {
            return Err(FaceError::Output {
                network: NAME,
                name,
                got: format!("{} numbers", values.len()),
                expected: format!("{} numbers", 2 * LANDMARK_COUNT),
            });
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(FaceError::NotFinite {
                network: NAME,
                name,
            });
        }
        let side = INPUT_SIDE as f32;
        // The crop's transform comes from a box of some pixels: it squeezes nothing into one point.
        let back = crop.inverse().unwrap_or(Transform {
            a: 1.0,
            b: 0.0,
            tx: 0.0,
            ty: 0.0,
        });
        Ok(values
            .chunks_exact(2)
            .map(|pair| back.apply(Point::new(pair[0] * side, pair[1] * side)))
            .collect())
    }
}

/// Original → network input: the square of side `side` around `centre`, turned so that `angle` (radians, clockwise on
/// the screen) becomes horizontal.
fn upright_square(centre: Point, side: f32, angle: f32) -> Transform {
    let scale = INPUT_SIDE as f32 / side.max(1.0);
    let (sin, cos) = (-angle).sin_cos();
    let (a, b) = (scale * cos, scale * sin);
    let middle = INPUT_SIDE as f32 / 2.0;
    Transform {
        a,
        b,
        tx: middle - (a * centre.x - b * centre.y),
        ty: middle - (b * centre.x + a * centre.y),
    }
}

/// Angle of the line through both eyes, in radians, clockwise on the screen.
fn eye_line(points: &[Point; 5]) -> f32 {
    let [left, right, ..] = points;
    (right.y - left.y).atan2(right.x - left.x)
}

/// Eyes, nose tip, mouth corners out of 68 points in iBUG order. Fewer points give none.
fn five_points(points: &[Point]) -> [Point; 5] {
    let mean = |indices: &[usize]| {
        let count = indices.len() as f32;
        indices
            .iter()
            .filter_map(|&index| points.get(index))
            .fold(Point::default(), |sum, point| {
                Point::new(sum.x + point.x / count, sum.y + point.y / count)
            })
    };
    [
        mean(&[37, 38, 40, 41]),
        mean(&[43, 44, 46, 47]),
        mean(&[30]),
        mean(&[48, 60]),
        mean(&[54, 64]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upright_square_puts_the_centre_in_the_middle_and_levels_the_eyes() {
        let centre = Point::new(120.0, 80.0);
        for degrees in [-30.0f32, 0.0, 12.0, 45.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let left = Point::new(centre.x - 20.0 * cos, centre.y - 20.0 * sin);
            let right = Point::new(centre.x + 20.0 * cos, centre.y + 20.0 * sin);
            let angle = eye_line(&[left, right, centre, centre, centre]);
            let crop = upright_square(centre, 100.0, angle);
            assert!(crop.apply(centre).distance(Point::new(32.0, 32.0)) < 1e-3);
            let (left, right) = (crop.apply(left), crop.apply(right));
            assert!(
                (left.y - right.y).abs() < 1e-3 && left.x < right.x,
                "{degrees}"
            );
            assert!((right.x - left.x - 40.0 * 0.64).abs() < 1e-2);
        }
    }

    #[test]
    fn five_points_are_means_of_their_landmarks() {
        let points: Vec<Point> = (0..LANDMARK_COUNT)
            .map(|index| Point::new(index as f32, 0.0))
            .collect();
        let xs = five_points(&points).map(|point| point.x);
        assert_eq!(xs, [39.0, 45.0, 30.0, 54.0, 59.0]);
    }
}
