//! Windows over a large picture, in which small faces are searched at full resolution.

use crate::geometry::BoundingBox;

/// Square windows of `side` that cover `width` × `height`, neighbours sharing at least `overlap`
/// (pixels): a face up to that size lies whole in one window. Row by row; a picture smaller than a
/// window gives one window of its own size.
pub(super) fn windows(width: f32, height: f32, side: f32, overlap: f32) -> Vec<BoundingBox> {
    let columns = starts(width, side, overlap);
    let window = |x, y| BoundingBox::new(x, y, side.min(width), side.min(height));
    let rows = starts(height, side, overlap).into_iter();
    rows.flat_map(|y| columns.iter().map(move |&x| window(x, y)))
        .collect()
}

/// Evenly spread starts of windows along one axis; the last ends at the picture's end.
fn starts(length: f32, side: f32, overlap: f32) -> Vec<f32> {
    if length <= side {
        return vec![0.0];
    }
    // At least an eighth of the window is progress, whatever overlap was asked for.
    let step = (side - overlap).max(side / 8.0);
    let steps = ((length - side) / step).ceil().max(1.0);
    (0..=steps as usize)
        .map(|index| (length - side) * index as f32 / steps)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_face_up_to_the_overlap_lies_whole_in_a_window(
            width in 50f32..4000.0,
            height in 50f32..4000.0,
            x in 0f32..1.0,
            y in 0f32..1.0,
            extent in 1f32..100.0,
        ) {
            let extent = extent.min(width).min(height);
            let face = BoundingBox::new(x * (width - extent), y * (height - extent), extent, extent);
            let whole = windows(width, height, 640.0, 100.0)
                .iter()
                .any(|window| window.intersection(&face) > face.area() * 0.999);
            prop_assert!(whole);
        }
    }

    #[test]
    fn a_small_picture_is_one_window() {
        assert_eq!(
            windows(300.0, 200.0, 640.0, 100.0),
            [BoundingBox::new(0.0, 0.0, 300.0, 200.0)]
        );
    }

    #[test]
    fn windows_do_not_leave_the_picture() {
        let windows = windows(1920.0, 1080.0, 640.0, 80.0);
        assert_eq!(windows.len(), 8);
        for window in windows {
            assert!(window.x >= 0.0 && window.x + window.width <= 1920.5);
            assert!(window.y >= 0.0 && window.y + window.height <= 1080.5);
        }
    }
}
