//! One pass of YuNet over one picture: pixels in, scored boxes with five points out.

use std::collections::BTreeMap;

use image::RgbImage;

use super::{DetectedFace, FaceError};
use crate::geometry::{BoundingBox, Point};
use crate::runtime::{InputTransform, Session, Tensor};

/// Largest exponent of a box's size that is believed: e⁶ cells are more than any picture holds.
const MAX_SIZE_EXPONENT: f32 = 6.0;

const NAME: &str = "detector";

const TOGETHER: usize = 16;

pub(super) struct Network {
    session: Session,
    transform: InputTransform,
    /// Cell sizes of the output grids, in pixels of the network's input.
    strides: Vec<usize>,
    /// Reused between passes: at 960×544 it is 6 MB.
    input: Vec<f32>,
}

impl Network {
    pub(super) fn new(session: Session, transform: InputTransform, strides: Vec<usize>) -> Self {
        Self {
            session,
            transform,
            strides,
            input: Vec::new(),
        }
    }

    /// All candidates of `threshold` or more, in pixels of `picture`, not yet thinned out. A black
    /// `border` is laid around it first: faces that the frame cuts off are found better so.
    pub(super) fn pass(
        &mut self,
        picture: &RgbImage,
        border: u32,
        threshold: f32,
    ) -> Result<Vec<DetectedFace>, FaceError> {
        let border = border as usize;
        // The network is fully convolutional, in multiples of the coarsest grid's cells.
        let multiple = self.strides.iter().copied().max().unwrap_or(1);
        let side = |length: u32| (length as usize + 2 * border).next_multiple_of(multiple);
        let (width, height) = (side(picture.width()), side(picture.height()));
        self.fill_input(picture, border, width, height);
        let shape = [1, self.transform.channels.planes(), height, width];
        let outputs = self.session.run(&shape, &self.input)?.into_iter().collect();
        let mut candidates = Vec::new();
        for &stride in &self.strides {
            let grid = Grid::of(&outputs, stride, width / stride, height / stride)?;
            grid.collect_into(&mut candidates, threshold)?;
        }
        let shift = border as f32;
        for candidate in &mut candidates {
            candidate.bounding_box.x -= shift;
            candidate.bounding_box.y -= shift;
            for point in &mut candidate.points {
                point.x -= shift;
                point.y -= shift;
            }
        }
        Ok(candidates)
    }

    /// The picture in the network's planes at (`border`, `border`), black around.
    fn fill_input(&mut self, picture: &RgbImage, border: usize, width: usize, height: usize) {
        let plane = width * height;
        let length = self.transform.channels.planes() * plane;
        // Where the picture covers everything, nothing needs to be black first.
        if (picture.width() as usize, picture.height() as usize) != (width, height) {
            self.input.clear();
        }
        if self.input.len() != length {
            self.input.clear();
            for number in 0..self.transform.channels.planes() {
                let black = self.transform.number(number, 0.0);
                self.input.resize((number + 1) * plane, black);
            }
        }
        let columns = picture.width() as usize;
        let rows = picture.as_raw().chunks_exact(3 * columns.max(1));
        for (y, row) in rows.enumerate() {
            let start = (y + border) * width + border;
            self.transform.write(row, &mut self.input, plane, start);
        }
    }
}

/// The four outputs of one stride: a row for each cell, row by row over the picture.
struct Grid<'a> {
    stride: usize,
    columns: usize,
    class: &'a [f32],
    object: &'a [f32],
    boxes: &'a [f32],
    points: &'a [f32],
}

impl<'a> Grid<'a> {
    fn of(
        outputs: &'a BTreeMap<String, Tensor>,
        stride: usize,
        columns: usize,
        rows: usize,
    ) -> Result<Self, FaceError> {
        let values = |kind: &str, numbers: usize| {
            let name = format!("{kind}_{stride}");
            let expected = columns * rows * numbers;
            let values = outputs.get(&name).map(|tensor| &tensor.values[..]);
            values
                .filter(|values| values.len() == expected)
                .ok_or_else(|| {
                    let got =
                        values.map_or("missing".to_owned(), |it| format!("{} numbers", it.len()));
                    FaceError::Output {
                        network: NAME,
                        output: name,
                        got,
                        expected: format!("{expected} numbers"),
                    }
                })
        };
        Ok(Self {
            stride,
            columns,
            class: values("cls", 1)?,
            object: values("obj", 1)?,
            boxes: values("bbox", 4)?,
            points: values("kps", 10)?,
        })
    }

    fn collect_into(
        &self,
        candidates: &mut Vec<DetectedFace>,
        threshold: f32,
    ) -> Result<(), FaceError> {
        // score = √(class · object): comparing squares spares a root for every cell.
        let least = threshold * threshold;
        let square = |class: f32, object: f32| class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0);
        let cells = self
            .class
            .chunks(TOGETHER)
            .zip(self.object.chunks(TOGETHER));
        for (group, (classes, objects)) in cells.enumerate() {
            // Nearly every cell is far below the threshold: many at once are passed over.
            let below = |some: bool, (&class, &object): (&f32, &f32)| {
                some & (square(class, object) < least)
            };
            if classes.iter().zip(objects).fold(true, below) {
                continue;
            }
            for (at, (&class, &object)) in classes.iter().zip(objects).enumerate() {
                let square = square(class, object);
                // A NaN compares as false with everything and must not pass for "no face here".
                if square.is_nan() {
                    return Err(self.not_finite("cls or obj"));
                }
                if square >= least {
                    candidates.push(self.candidate(group * TOGETHER + at, square.sqrt())?);
                }
            }
        }
        Ok(())
    }

    fn candidate(&self, index: usize, detection_score: f32) -> Result<DetectedFace, FaceError> {
        let cell = self.stride as f32;
        let column = (index % self.columns) as f32;
        let row = (index / self.columns) as f32;
        let bounds = &self.boxes[4 * index..4 * index + 4];
        let offsets = &self.points[10 * index..10 * index + 10];
        if bounds.iter().chain(offsets).any(|value| !value.is_finite()) {
            return Err(self.not_finite("bbox or kps"));
        }
        let width = bounds[2].min(MAX_SIZE_EXPONENT).exp() * cell;
        let height = bounds[3].min(MAX_SIZE_EXPONENT).exp() * cell;
        let centre = Point::new((column + bounds[0]) * cell, (row + bounds[1]) * cell);
        let (left, top) = (centre.x - width / 2.0, centre.y - height / 2.0);
        Ok(DetectedFace {
            bounding_box: BoundingBox::new(left, top, width, height),
            detection_score,
            points: std::array::from_fn(|at| {
                let (across, down) = (offsets[2 * at], offsets[2 * at + 1]);
                Point::new((column + across) * cell, (row + down) * cell)
            }),
        })
    }

    fn not_finite(&self, kind: &str) -> FaceError {
        FaceError::NotFinite(NAME, format!("{kind} of stride {}", self.stride))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid of 2×2 cells in which only the cell at column 1, row 0 is a face.
    fn outputs(class: [f32; 4], bounds: [f32; 4]) -> BTreeMap<String, Tensor> {
        let tensor = |values: Vec<f32>, numbers: usize| Tensor {
            shape: vec![1, values.len() / numbers, numbers],
            values,
        };
        let mut boxes = vec![0.0; 16];
        boxes[4..8].copy_from_slice(&bounds);
        let mut points = vec![0.0; 40];
        points[10..12].copy_from_slice(&[0.5, -0.25]);
        BTreeMap::from([
            ("cls_8".to_owned(), tensor(class.to_vec(), 1)),
            ("obj_8".to_owned(), tensor(vec![1.0; 4], 1)),
            ("bbox_8".to_owned(), tensor(boxes, 4)),
            ("kps_8".to_owned(), tensor(points, 10)),
        ])
    }

    fn decode(outputs: &BTreeMap<String, Tensor>) -> Result<Vec<DetectedFace>, FaceError> {
        let mut candidates = Vec::new();
        Grid::of(outputs, 8, 2, 2)?.collect_into(&mut candidates, 0.6)?;
        Ok(candidates)
    }

    #[test]
    fn a_cell_becomes_a_box_with_points() {
        let faces = decode(&outputs(
            [0.3, 0.64, 0.0, 0.2],
            [0.5, 0.5, 2f32.ln(), 3f32.ln()],
        ))
        .unwrap();
        assert_eq!(faces.len(), 1);
        let face = &faces[0];
        assert!((face.detection_score - 0.8).abs() < 1e-6);
        let bounds = face.bounding_box;
        for (got, wanted) in [
            (bounds.x, 4.0),
            (bounds.y, -8.0),
            (bounds.width, 16.0),
            (bounds.height, 24.0),
        ] {
            assert!((got - wanted).abs() < 1e-4, "{bounds:?}");
        }
        assert!(face.points[0].distance(Point::new(12.0, -2.0)) < 1e-4);
    }

    #[test]
    fn not_a_number_is_an_error() {
        let of_class = decode(&outputs([f32::NAN, 0.64, 0.0, 0.2], [0.0; 4]));
        assert!(
            matches!(of_class, Err(FaceError::NotFinite(..))),
            "{of_class:?}"
        );
        let of_box = decode(&outputs(
            [0.0, 0.64, 0.0, 0.2],
            [0.0, f32::INFINITY, 0.0, 0.0],
        ));
        assert!(
            matches!(of_box, Err(FaceError::NotFinite(..))),
            "{of_box:?}"
        );
    }

    #[test]
    fn faces_and_broken_numbers_are_found_behind_many_empty_cells() {
        let outputs = |class: f32, at: usize| {
            let mut classes = vec![0.0; 50];
            classes[at] = class;
            let (objects, boxes, points) = (vec![1.0; 50], vec![0.0; 200], vec![0.0; 500]);
            let tensor = |values: Vec<f32>| Tensor {
                shape: vec![values.len()],
                values,
            };
            BTreeMap::from([
                ("cls_8".to_owned(), tensor(classes)),
                ("obj_8".to_owned(), tensor(objects)),
                ("bbox_8".to_owned(), tensor(boxes)),
                ("kps_8".to_owned(), tensor(points)),
            ])
        };
        for at in [0, 15, 16, 31, 48, 49] {
            let outputs = |class: f32| outputs(class, at);
            let mut candidates = Vec::new();
            let grid = |outputs: &BTreeMap<String, Tensor>, candidates: &mut Vec<DetectedFace>| {
                Grid::of(outputs, 8, 10, 5)?.collect_into(candidates, 0.6)
            };
            grid(&outputs(0.5), &mut candidates).unwrap();
            assert_eq!(candidates.len(), 1, "{at}");
            let centre = candidates[0].bounding_box.centre();
            let expected = Point::new((at % 10) as f32 * 8.0, (at / 10) as f32 * 8.0);
            assert!(centre.distance(expected) < 1e-4, "{centre:?}");
            let broken = grid(&outputs(f32::NAN), &mut candidates);
            assert!(matches!(broken, Err(FaceError::NotFinite(..))), "{at}");
        }
    }

    #[test]
    fn a_missing_output_is_named() {
        let mut outputs = outputs([0.0; 4], [0.0; 4]);
        outputs.remove("obj_8");
        let message = decode(&outputs).unwrap_err().to_string();
        assert!(message.contains("\"obj_8\""), "{message}");
    }
}
