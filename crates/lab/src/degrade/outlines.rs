//! Outlines of things that cover a face, from its 68-point contour (iBUG order: 0–16 jaw, 17–26
//! brows, 27–35 nose, 36–47 eyes, 48–67 mouth).

use faceood::geometry::Point;

/// Points of the contour that all outlines go by.
const CONTOUR_POINTS: usize = 68;
/// Corners of an ellipse's or a finger's outline.
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
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::SurgicalMask,
        Self::ClothMask,
        Self::Respirator,
        Self::Scarf,
        Self::HandOverMouth,
        Self::HandOverEyes,
        Self::Sunglasses,
        Self::EyeBar,
        Self::HalfFace,
        Self::Cap,
        Self::CapShade,
    ];

    /// Its outlines in pixels, over a face with this contour; none with contours of another kind. `turn` (0–1) chooses what the shape
    /// leaves open: how high it sits, from where a hand comes.
    #[must_use]
    pub fn outlines(self, contour: &[Point], turn: f32) -> Vec<Vec<Point>> {
        let Some(face) = FaceFrame::of(contour) else {
            return Vec::new();
        };
        match self {
            Self::SurgicalMask => vec![mask(contour, 1, 0.75 + 0.25 * turn, 0.0)],
            Self::ClothMask => vec![mask(contour, 3, 0.35 + 0.4 * turn, 0.0)],
            Self::Respirator => vec![mask(contour, 3, 0.7 + 0.3 * turn, 0.12 + 0.12 * turn)],
            Self::Scarf => {
                let top = face.place(contour[30]).1 - 0.1 + 0.3 * turn;
                vec![vec![
                    face.at(-0.95, top - 0.15),
                    face.at(-0.4, top + 0.05),
                    face.at(0.0, top),
                    face.at(0.45, top + 0.06),
                    face.at(0.95, top - 0.1),
                    face.at(1.3, 2.6),
                    face.at(-1.3, 2.6),
                ]]
            }
            Self::HandOverMouth => {
                let mouth = face.place(contour[62]);
                // From below, leaning to one side.
                fingers(&face, (mouth.0, mouth.1 - 0.05), 60.0 + 60.0 * turn, 1.3)
            }
            Self::HandOverEyes => fingers(&face, (0.0, 0.0), 15.0 * (turn - 0.5), 1.7),
            Self::Sunglasses => {
                let (wide, high) = (0.29 + 0.06 * turn, 0.22 + 0.08 * turn);
                let eye = |from: usize| {
                    let (x, y) = face.place(middle(&contour[from..from + 6]));
                    face.ellipse((x, y + 0.03), wide, high)
                };
                vec![
                    eye(36),
                    eye(42),
                    vec![
                        face.at(-0.2, -0.08),
                        face.at(0.2, -0.08),
                        face.at(0.2, -0.02),
                        face.at(-0.2, -0.02),
                    ],
                ]
            }
            Self::EyeBar => vec![vec![
                face.at(-0.7, -0.24),
                face.at(0.7, -0.24),
                face.at(0.7, 0.24),
                face.at(-0.7, 0.24),
            ]],
            Self::HalfFace => {
                // The left half or the right one, up to a little before or beyond the middle.
                let side = if turn < 0.5 { -1.0 } else { 1.0 };
                let edge = 0.2 * (2.0 * turn).fract() - 0.1;
                vec![vec![
                    face.at(side * edge, -1.8),
                    face.at(side * 2.4, -1.8),
                    face.at(side * 2.4, 2.8),
                    face.at(side * edge, 2.8),
                ]]
            }
            Self::Cap => {
                let brim = -0.42 + 0.16 * turn;
                vec![vec![
                    face.at(-0.95, brim - 0.1),
                    face.at(-0.5, brim),
                    face.at(0.0, brim + 0.05),
                    face.at(0.5, brim),
                    face.at(0.95, brim - 0.1),
                    face.at(0.8, -1.3),
                    face.at(-0.8, -1.3),
                ]]
            }
            Self::CapShade => {
                let brim = -0.42 + 0.16 * turn;
                let edge = 0.25 + 0.5 * turn;
                vec![vec![
                    face.at(-1.0, brim - 0.2),
                    face.at(1.0, brim - 0.2),
                    face.at(1.0, edge - 0.1),
                    face.at(0.0, edge),
                    face.at(-1.0, edge - 0.1),
                ]]
            }
        }
    }
}

/// A face's own axes: origin between the eyes, 1 from outer corner to outer corner of the eyes, y downwards.
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
        Point::new(
            self.origin.x + x * self.along.x - y * self.along.y,
            self.origin.y + x * self.along.y + y * self.along.x,
        )
    }

    /// Where a point of the picture lies on these axes.
    fn place(&self, point: Point) -> (f32, f32) {
        let (x, y) = (point.x - self.origin.x, point.y - self.origin.y);
        let scale = self.along.x * self.along.x + self.along.y * self.along.y;
        (
            (x * self.along.x + y * self.along.y) / scale,
            (y * self.along.x - x * self.along.y) / scale,
        )
    }

    fn ellipse(&self, (x, y): (f32, f32), wide: f32, high: f32) -> Vec<Point> {
        (0..CORNERS)
            .map(|corner| {
                let turned = std::f32::consts::TAU * f32::from(corner) / f32::from(CORNERS);
                self.at(x + wide * turned.cos(), y + high * turned.sin())
            })
            .collect()
    }
}

/// From point `first` of the jaw round the chin to its counterpart, and back over the nose at `height` of its bridge (0 at the tip,
/// 1 between the eyes). `drawn_in` pulls the sides towards the mouth.
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

/// Four fingers side by side, `length` long, their middle at `place`, pointing `angle_deg` clockwise from the face's right.
fn fingers(face: &FaceFrame, place: (f32, f32), angle_deg: f32, length: f32) -> Vec<Vec<Point>> {
    const THICK: f32 = 0.17;
    let (sin, cos) = angle_deg.to_radians().sin_cos();
    [-1.5_f32, -0.5, 0.5, 1.5]
        .map(|finger| {
            // The middle ones are longer.
            let half = 0.5 * length * (1.08 - 0.07 * finger.abs());
            let across = finger * THICK;
            (0..CORNERS)
                .map(|corner| {
                    let turned = std::f32::consts::TAU * f32::from(corner) / f32::from(CORNERS);
                    let end = if turned.cos() >= 0.0 { half } else { -half };
                    let (u, v) = (
                        end + 0.5 * THICK * turned.cos(),
                        across + 0.52 * THICK * turned.sin(),
                    );
                    face.at(place.0 + u * cos - v * sin, place.1 + u * sin + v * cos)
                })
                .collect()
        })
        .to_vec()
}

fn middle(points: &[Point]) -> Point {
    let count = points.len().max(1) as f32;
    Point::new(
        points.iter().map(|point| point.x).sum::<f32>() / count,
        points.iter().map(|point| point.y).sum::<f32>() / count,
    )
}

fn between(from: Point, to: Point, part: f32) -> Point {
    Point::new(
        from.x + part * (to.x - from.x),
        from.y + part * (to.y - from.y),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A rough face in a picture of 96 × 110: jaw on a half circle, eyes above, nose and mouth on the axis.
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
        for shape in Shape::ALL {
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
