//! 68 landmarks of a face by a small network, and the five points of the recogniser's template.

use super::{DetectedFace, FaceError};
use crate::capture::{Patch, pixels};
use crate::geometry::{Point, Transform};
use crate::pack::manifest;
use crate::runtime::Session;

/// Number of landmarks, in iBUG order: jaw 0–16, brows 17–26, nose 27–35, eyes 36–47, mouth 48–67.
const LANDMARK_COUNT: usize = 68;

const NAME: &str = "landmark";

pub(super) struct LandmarkNetwork {
    session: Session,
    settings: manifest::Landmarks,
    input: Vec<f32>,
}

impl LandmarkNetwork {
    /// `session` takes one square picture and gives 136 numbers: x and y as shares of its side.
    pub(super) fn new(session: Session, settings: manifest::Landmarks) -> Self {
        Self {
            session,
            settings,
            input: Vec::new(),
        }
    }

    /// All landmarks of `face` in the original picture, and the five alignment points. The network
    /// was trained on upright faces, so its crop is turned by the detector's eye line.
    pub(super) fn find(
        &mut self,
        patch: &Patch,
        face: &DetectedFace,
    ) -> Result<(Vec<Point>, [Point; 5]), FaceError> {
        let longer = face.bounding_box.width.max(face.bounding_box.height);
        let crop = upright_square(
            face.bounding_box.centre(),
            self.settings.crop_scale * longer,
            eye_line(&face.points),
            self.settings.input.side() as f32,
        );
        let points = self.run(patch, crop)?;
        let five = five_points(&points, &self.settings.five_points);
        Ok((points, five))
    }

    /// Runs the network on the picture that `crop` takes, and maps its answer back.
    fn run(&mut self, patch: &Patch, crop: Transform) -> Result<Vec<Point>, FaceError> {
        let name = &self.settings.output.name;
        let (input, input_side) = (self.settings.input.transform(), self.settings.input.side());
        let picture = pixels::warp(patch, &crop, input_side);
        let (side, planes) = (input_side as usize, input.channels.planes());
        self.input.resize(planes * side * side, 0.0);
        input.write(picture.as_raw(), &mut self.input, side * side, 0);
        let outputs = self.session.run(&[1, planes, side, side], &self.input)?;
        let found = outputs.into_iter().find(|(found, _)| found == name);
        let values = found.map(|(_, tensor)| tensor.values).unwrap_or_default();
        let expected = 2 * LANDMARK_COUNT;
        if values.len() != expected {
            let [got, expected] = [values.len(), expected].map(|count| format!("{count} numbers"));
            return Err(FaceError::Output {
                network: NAME,
                output: name.clone(),
                got,
                expected,
            });
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(FaceError::NotFinite(NAME, name.clone()));
        }
        let side = input_side as f32;
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

/// Original → network input of `input_side` pixels: the square of side `side` around `centre`,
/// turned so that `angle` (radians, clockwise on the screen) becomes horizontal.
fn upright_square(centre: Point, side: f32, angle: f32, input_side: f32) -> Transform {
    let scale = input_side / side.max(1.0);
    let (sin, cos) = (-angle).sin_cos();
    let (a, b) = (scale * cos, scale * sin);
    let middle = input_side / 2.0;
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

/// The means of the named landmarks. One that is not there counts for nothing.
fn five_points(points: &[Point], sets: &[Vec<usize>; 5]) -> [Point; 5] {
    sets.each_ref().map(|indices| {
        let count = indices.len() as f32;
        indices
            .iter()
            .filter_map(|&index| points.get(index))
            .fold(Point::default(), |sum, point| {
                Point::new(sum.x + point.x / count, sum.y + point.y / count)
            })
    })
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
            let crop = upright_square(centre, 100.0, angle, 64.0);
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
        let sets = [
            vec![37, 38, 40, 41],
            vec![43, 44, 46, 47],
            vec![30],
            vec![48, 60],
            vec![54, 64],
        ];
        let xs = five_points(&points, &sets).map(|point| point.x);
        assert_eq!(xs, [39.0, 45.0, 30.0, 54.0, 59.0]);
    }
}
