//! Points, boxes and similarity transforms, in pixels with the origin top left.

/// A position in pixels, x to the right and y downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
}

impl Point {
    /// The point at (`x`, `y`).
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Euclidean distance to `other`, in pixels.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// An axis-aligned rectangle in pixels; it may reach outside the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Extent to the right, never negative.
    pub width: f32,
    /// Extent downwards, never negative.
    pub height: f32,
}

impl BoundingBox {
    /// The box with this corner and these extents.
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// The square of side `side` around `centre`.
    pub fn square(centre: Point, side: f32) -> Self {
        Self::new(centre.x - side / 2.0, centre.y - side / 2.0, side, side)
    }

    /// Square pixels covered.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// The middle of the box.
    pub fn centre(&self) -> Point {
        Point::new(self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// The lesser of width and height.
    pub fn shorter_side(&self) -> f32 {
        self.width.min(self.height)
    }

    /// Square pixels that both boxes cover.
    pub fn intersection(&self, other: &Self) -> f32 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, 0…1; 0 where both boxes are empty.
    pub fn iou(&self, other: &Self) -> f32 {
        let both = self.intersection(other);
        let either = self.area() + other.area() - both;
        if either > 0.0 {
            (both / either).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
}

/// Uniform scale, rotation and shift: `x' = a·x − b·y + tx`, `y' = b·x + a·y + ty`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// Scale × cosine of the rotation.
    pub a: f32,
    /// Scale × sine of the rotation.
    pub b: f32,
    /// Shift to the right, applied last.
    pub tx: f32,
    /// Shift downwards, applied last.
    pub ty: f32,
}

impl Transform {
    /// Where `point` lands.
    pub fn apply(&self, point: Point) -> Point {
        Point::new(
            self.a * point.x - self.b * point.y + self.tx,
            self.b * point.x + self.a * point.y + self.ty,
        )
    }

    /// Output pixels per input pixel.
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// Rotation in degrees, positive clockwise on the screen (y points down).
    pub fn rotation_deg(&self) -> f32 {
        self.b.atan2(self.a).to_degrees()
    }

    /// The transform that undoes this one, or `None` where it squeezes everything into one point.
    pub fn inverse(&self) -> Option<Self> {
        let square = self.a * self.a + self.b * self.b;
        if square <= f32::EPSILON {
            return None;
        }
        let (a, b) = (self.a / square, -self.b / square);
        Some(Self {
            a,
            b,
            tx: -(a * self.tx - b * self.ty),
            ty: -(b * self.tx + a * self.ty),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_undoes_transform() {
        let there = Transform {
            a: 0.7,
            b: -1.3,
            tx: 11.0,
            ty: -4.0,
        };
        let back = there.inverse().unwrap();
        let point = Point::new(31.0, 17.0);
        assert!(back.apply(there.apply(point)).distance(point) < 1e-4);
    }

    #[test]
    fn iou_is_one_for_equal_and_zero_for_disjoint_boxes() {
        let one = BoundingBox::new(0.0, 0.0, 10.0, 20.0);
        assert!((one.iou(&one) - 1.0).abs() < 1e-6);
        assert_eq!(one.iou(&BoundingBox::new(50.0, 0.0, 10.0, 20.0)), 0.0);
        assert_eq!(BoundingBox::default().iou(&BoundingBox::default()), 0.0);
    }
}
