//! Outlines of things that cover a face, from its 68-point contour (iBUG order: 0–16 jaw, 17–26
//! brows, 27–35 nose, 36–47 eyes, 48–67 mouth).

use faceood_engine::geometry::Point;

const CONTOUR_POINTS: usize = 68;
/// Corners of a round outline: a lens of glasses, a finger.
const CORNERS: u16 = 20;

/// Something that people wear or hold before a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Wide, from ear to ear, up to the bridge of the nose.
    SurgicalMask,
    /// Follows the cheeks, up to the middle of the nose.
    ClothMask,
    /// Small and pointed, high on the nose (FFP2, KN95).
    Respirator,
    /// From the tip of the nose down over chin and shoulders.
    Scarf,
    /// Fingers over mouth and chin.
    HandOverMouth,
    /// Fingers over the eyes.
    HandOverEyes,
    /// Two dark glasses with a bridge.
    Sunglasses,
    /// Thick rims of glasses and their bridge: the eyes between them stay visible.
    Rims,
    /// A bar over both eyes.
    EyeBar,
    /// Whatever hides one half: a door, a pillar, somebody in front, the picture's edge.
    HalfFace,
    /// The front of a cap, over forehead and hair.
    Cap,
    /// The shade that a cap throws over brows and eyes.
    CapShade,
}

impl Shape {
    /// Its outlines in pixels, over a face with this contour; none if the contour has not 68
    /// points. `turn` (0–1) chooses what the shape leaves open: how high it sits, where a hand
    /// comes from.
    pub fn outlines(self, contour: &[Point], turn: f32) -> Vec<Vec<Point>> {
        let Some(face) = FaceFrame::of(contour) else {
            return Vec::new();
        };
        let outline = match self {
            Self::SurgicalMask => mask(contour, 1, 0.75 + 0.25 * turn, 0.0),
            Self::ClothMask => mask(contour, 3, 0.35 + 0.4 * turn, 0.0),
            Self::Respirator => mask(contour, 3, 0.7 + 0.3 * turn, 0.12 + 0.12 * turn),
            Self::Scarf => {
                let top = face.place(contour[30]).1 - 0.1 + 0.3 * turn;
                vec![
                    face.at(-0.95, top - 0.15),
                    face.at(-0.4, top + 0.05),
                    face.at(0.0, top),
                    face.at(0.45, top + 0.06),
                    face.at(0.95, top - 0.1),
                    face.at(1.3, 2.6),
                    face.at(-1.3, 2.6),
                ]
            }
            Self::HandOverMouth => {
                let (x, y) = face.place(contour[62]);
                // From below, leaning to one side.
                return fingers(&face, (x, y - 0.05), 60.0 + 60.0 * turn, 1.3);
            }
            Self::HandOverEyes => return fingers(&face, (0.0, 0.0), 15.0 * (turn - 0.5), 1.7),
            Self::Sunglasses => {
                let (wide, high) = (0.29 + 0.06 * turn, 0.22 + 0.08 * turn);
                let eye = |from: usize| {
                    let (x, y) = face.place(middle(&contour[from..from + 6]));
                    corners()
                        .map(|(cos, sin)| face.at(x + wide * cos, y + 0.03 + high * sin))
                        .collect()
                };
                return vec![eye(36), eye(42), face.rectangle(-0.2, -0.08, 0.2, -0.02)];
            }
            Self::Rims => return rims(contour, &face, turn),
            Self::EyeBar => face.rectangle(-0.7, -0.24, 0.7, 0.24),
            Self::HalfFace => {
                // The left half or the right one, up to a little before or beyond the middle.
                let side = if turn < 0.5 { -1.0 } else { 1.0 };
                let edge = 0.2 * (2.0 * turn).fract() - 0.1;
                face.rectangle(side * edge, -1.8, side * 2.4, 2.8)
            }
            Self::Cap => {
                let brim = -0.42 + 0.16 * turn;
                vec![
                    face.at(-0.95, brim - 0.1),
                    face.at(-0.5, brim),
                    face.at(0.0, brim + 0.05),
                    face.at(0.5, brim),
                    face.at(0.95, brim - 0.1),
                    face.at(0.8, -1.3),
                    face.at(-0.8, -1.3),
                ]
            }
            Self::CapShade => {
                let brim = -0.42 + 0.16 * turn;
                let edge = 0.25 + 0.5 * turn;
                vec![
                    face.at(-1.0, brim - 0.2),
                    face.at(1.0, brim - 0.2),
                    face.at(1.0, edge - 0.1),
                    face.at(0.0, edge),
                    face.at(-1.0, edge - 0.1),
                ]
            }
        };
        vec![outline]
    }
}

/// A face's own axes: the origin lies between the eyes, their outer corners are 1 apart, and y
/// points downwards.
struct FaceFrame {
    origin: Point,
    along: Point,
}

impl FaceFrame {
    fn of(contour: &[Point]) -> Option<Self> {
        if contour.len() != CONTOUR_POINTS {
            return None;
        }
        let (left, right) = (contour[36], contour[45]);
        Some(Self {
            origin: between(left, right, 0.5),
            along: Point::new(right.x - left.x, right.y - left.y),
        })
    }

    fn at(&self, x: f32, y: f32) -> Point {
        let (origin, Point { x: dx, y: dy }) = (self.origin, self.along);
        Point::new(origin.x + x * dx - y * dy, origin.y + x * dy + y * dx)
    }

    /// Where a point of the picture lies on these axes.
    fn place(&self, point: Point) -> (f32, f32) {
        let (x, y) = (point.x - self.origin.x, point.y - self.origin.y);
        let Point { x: dx, y: dy } = self.along;
        let scale = dx * dx + dy * dy;
        ((x * dx + y * dy) / scale, (y * dx - x * dy) / scale)
    }

    fn rectangle(&self, left: f32, top: f32, right: f32, bottom: f32) -> Vec<Point> {
        [(left, top), (right, top), (right, bottom), (left, bottom)]
            .map(|(x, y)| self.at(x, y))
            .to_vec()
    }
}

/// Cosine and sine of evenly spread angles: the corners of a round outline.
fn corners() -> impl Iterator<Item = (f32, f32)> {
    (0..CORNERS).map(|corner| {
        let turned = std::f32::consts::TAU * f32::from(corner) / f32::from(CORNERS);
        (turned.cos(), turned.sin())
    })
}

/// Each rim as a chain of short bars, round or wide, and the bridge between both.
fn rims(contour: &[Point], face: &FaceFrame, turn: f32) -> Vec<Vec<Point>> {
    let (wide, high) = (0.24 + 0.05 * turn, 0.24 - 0.07 * turn);
    let thick = 0.03 + 0.05 * (7.0 * turn).fract();
    let corners: Vec<(f32, f32)> = corners().collect();
    let mut outlines = vec![face.rectangle(-0.16, -0.08, 0.16, thick - 0.08)];
    for from in [36, 42] {
        let (x, y) = face.place(middle(&contour[from..from + 6]));
        let at = |(cos, sin): (f32, f32), more: f32| {
            face.at(x + (wide + more) * cos, y + 0.03 + (high + more) * sin)
        };
        for corner in 0..corners.len() {
            let (one, next) = (corners[corner], corners[(corner + 1) % corners.len()]);
            outlines.push(vec![
                at(one, 0.0),
                at(next, 0.0),
                at(next, thick),
                at(one, thick),
            ]);
        }
    }
    outlines
}

/// From point `first` of the jaw round the chin to its counterpart, and back over the nose at
/// `height` of its bridge (0 at the tip, 1 between the eyes). `drawn_in` pulls the sides towards
/// the mouth.
fn mask(contour: &[Point], first: usize, height: f32, drawn_in: f32) -> Vec<Point> {
    let last = 16 - first;
    let mouth = middle(&contour[48..68]);
    // The chin is covered with some to spare.
    let mut outline: Vec<Point> = contour[first..=last]
        .iter()
        .map(|&jaw| between(jaw, mouth, drawn_in))
        .collect();
    outline[8 - first] = between(contour[30], contour[8], 1.12);
    let bridge = between(contour[30], contour[27], height);
    outline.push(between(outline[last - first], bridge, 0.6));
    outline.push(bridge);
    outline.push(between(outline[0], bridge, 0.6));
    outline
}

/// Four fingers side by side, `length` long, with their middle at `place`. They point `angle_deg`
/// clockwise from the face's right.
fn fingers(face: &FaceFrame, place: (f32, f32), angle_deg: f32, length: f32) -> Vec<Vec<Point>> {
    const THICK: f32 = 0.17;
    let (sin, cos) = angle_deg.to_radians().sin_cos();
    [-1.5_f32, -0.5, 0.5, 1.5]
        .map(|finger| {
            // The middle ones are longer.
            let half = 0.5 * length * (1.08 - 0.07 * finger.abs());
            let across = finger * THICK;
            corners()
                .map(|(turned_cos, turned_sin)| {
                    let end = if turned_cos >= 0.0 { half } else { -half };
                    let u = end + 0.5 * THICK * turned_cos;
                    let v = across + 0.52 * THICK * turned_sin;
                    face.at(place.0 + u * cos - v * sin, place.1 + u * sin + v * cos)
                })
                .collect()
        })
        .to_vec()
}

fn middle(points: &[Point]) -> Point {
    let count = points.len().max(1) as f32;
    let mean = |axis: fn(&Point) -> f32| points.iter().map(axis).sum::<f32>() / count;
    Point::new(mean(|point| point.x), mean(|point| point.y))
}

fn between(from: Point, to: Point, part: f32) -> Point {
    let mix = |from: f32, to: f32| from + part * (to - from);
    Point::new(mix(from.x, to.x), mix(from.y, to.y))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const ALL: [Shape; 12] = [
        Shape::SurgicalMask,
        Shape::ClothMask,
        Shape::Respirator,
        Shape::Scarf,
        Shape::HandOverMouth,
        Shape::HandOverEyes,
        Shape::Sunglasses,
        Shape::Rims,
        Shape::EyeBar,
        Shape::HalfFace,
        Shape::Cap,
        Shape::CapShade,
    ];

    /// A rough face in a picture of 96 × 110: the jaw is a half circle, eyes above, nose and mouth
    /// on the axis.
    pub(in crate::degrade) fn contour() -> Vec<Point> {
        let mut contour = vec![Point::new(48.0, 40.0); CONTOUR_POINTS];
        for (index, point) in contour.iter_mut().take(17).enumerate() {
            let angle = std::f32::consts::PI * (1.0 - index as f32 / 16.0);
            *point = Point::new(48.0 + 30.0 * angle.cos(), 35.0 + 35.0 * angle.sin());
        }
        for (index, point) in contour[27..31].iter_mut().enumerate() {
            *point = Point::new(48.0, 32.0 + 5.0 * index as f32);
        }
        for (from, x) in [(36, 36.0), (42, 60.0)] {
            for (index, dx) in [-7.0, -3.0, 3.0, 7.0, 3.0, -3.0].into_iter().enumerate() {
                contour[from + index] = Point::new(x + dx, 30.0);
            }
        }
        contour[48..68].fill(Point::new(48.0, 57.0));
        contour
    }

    #[test]
    fn every_shape_has_outlines_on_a_face_and_none_without() {
        for shape in ALL {
            for turn in [0.0, 0.5, 1.0] {
                let outlines = shape.outlines(&contour(), turn);
                assert!(!outlines.is_empty(), "{shape:?}");
                for outline in outlines {
                    assert!(outline.len() >= 4, "{shape:?}");
                    assert!(
                        outline
                            .iter()
                            .all(|point| point.x.is_finite() && point.y.is_finite())
                    );
                }
            }
            assert!(shape.outlines(&contour()[..5], 0.5).is_empty());
        }
    }

    #[test]
    fn a_turned_face_has_turned_axes() {
        let mut turned = contour();
        for point in &mut turned {
            *point = Point::new(-point.y, point.x);
        }
        let frame = FaceFrame::of(&turned).unwrap();
        let (x, y) = frame.place(frame.at(0.3, -0.8));
        assert!((x - 0.3).abs() < 1e-5 && (y + 0.8).abs() < 1e-5);
        let below = frame.at(0.0, 1.0);
        assert!(
            below.x < frame.origin.x - 20.0,
            "down is the picture's left now"
        );
    }
}
