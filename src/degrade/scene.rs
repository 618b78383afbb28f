//! What happens before the lens: things in front of a face, and a screen in place of one.

use super::light::{Light, to_linear};
use crate::geometry::Point;

/// Points 0–16 of a 68-point contour run along the jaw, 27–35 along the nose (iBUG order).
const CONTOUR_POINTS: usize = 68;

/// The outline of a mask over nose, mouth and chin of a face with this 68-point contour; `None` with other contours.
#[must_use]
pub fn mask_outline(contour: &[Point]) -> Option<Vec<Point>> {
    if contour.len() != CONTOUR_POINTS {
        return None;
    }
    // Up the jaw on one side, over the bridge of the nose, down the other. The chin is covered with some to spare.
    let chin = Point::new(
        contour[8].x + 0.12 * (contour[8].x - contour[30].x),
        contour[8].y + 0.12 * (contour[8].y - contour[30].y),
    );
    let mut outline: Vec<Point> = contour[2..8].to_vec();
    outline.push(chin);
    outline.extend_from_slice(&contour[9..15]);
    outline.push(between(contour[14], contour[28], 0.6));
    outline.push(contour[28]);
    outline.push(between(contour[2], contour[28], 0.6));
    Some(outline)
}

/// The outline of a bar over both eyes (dark glasses, a hat's shadow, a hand).
#[must_use]
pub fn eye_bar_outline(contour: &[Point]) -> Option<Vec<Point>> {
    if contour.len() != CONTOUR_POINTS {
        return None;
    }
    let (left, right) = (contour[36], contour[45]);
    // Half the bar's height, across the line between the eyes' outer corners.
    let (along_x, along_y) = (right.x - left.x, right.y - left.y);
    let (across_x, across_y) = (-0.24 * along_y, 0.24 * along_x);
    let at = |along: f32, across: f32| {
        Point::new(
            left.x + along * along_x + across * across_x,
            left.y + along * along_y + across * across_y,
        )
    };
    Some(vec![
        at(-0.2, -1.0),
        at(1.2, -1.0),
        at(1.2, 1.0),
        at(-0.2, 1.0),
    ])
}

fn between(from: Point, to: Point, part: f32) -> Point {
    Point::new(
        from.x + part * (to.x - from.x),
        from.y + part * (to.y - from.y),
    )
}

/// Fills `outline` with cloth of `colour`: lit as the face behind it was on the whole, with folds.
pub(super) fn cover(light: &mut Light, outline: &[Point], colour: [u8; 3]) {
    let top = outline.iter().map(|point| point.y).fold(f32::MAX, f32::min);
    let bottom = outline.iter().map(|point| point.y).fold(f32::MIN, f32::max);
    let base = colour.map(|level| to_linear(f32::from(level) / 255.0));
    let first = top.floor().max(0.0) as usize;
    let last = (bottom.ceil().max(0.0) as usize).min(light.height.saturating_sub(1));
    for row in first..=last {
        for (from, to) in crossings(outline, row as f32 + 0.5) {
            let start = from.ceil().max(0.0) as usize;
            let end = (to.floor() + 1.0).clamp(0.0, light.width as f32) as usize;
            for column in start..end {
                // Folds along the cloth and a fall of light towards its sides.
                let across = (column as f32 - from) / (to - from).max(1.0);
                let down = (row as f32 - top) / (bottom - top).max(1.0);
                let fold = 1.0 + 0.08 * (down * 19.0).sin();
                let fall = 1.0 - 0.45 * (2.0 * across - 1.0).powi(2);
                let at = 3 * (row * light.width + column);
                for (value, base) in light.values[at..at + 3].iter_mut().zip(base) {
                    *value = base * fold * fall;
                }
            }
        }
    }
}

/// Where a row crosses the outline, in pairs from left to right.
fn crossings(outline: &[Point], y: f32) -> Vec<(f32, f32)> {
    let mut places: Vec<f32> = outline
        .iter()
        .zip(outline.iter().cycle().skip(1))
        .filter(|(from, to)| (from.y <= y) != (to.y <= y))
        .map(|(from, to)| from.x + (y - from.y) / (to.y - from.y) * (to.x - from.x))
        .collect();
    places.sort_by(f32::total_cmp);
    places
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&[from, to]| (from, to))
        .collect()
}

/// Shows the scene on a screen: stripes of colour at the screen's pitch seen through the sensor's, and a glare.
pub(super) fn show_on_screen(light: &mut Light, contrast: f32, pitch_px: f32) {
    let (width, height) = (light.width as f32, light.height as f32);
    let glare = Point::new(0.7 * width, 0.25 * height);
    for row in 0..light.height {
        for column in 0..light.width {
            let (x, y) = (column as f32, row as f32);
            let distance = Point::new(x, y).distance(glare) / (0.35 * width.max(height));
            let shine = 0.25 * contrast * (-distance * distance).exp();
            // The grid stands a little askew; each colour's stripes lie a third of a pitch apart.
            let along = (x + 0.13 * y) / pitch_px;
            let across = (y - 0.13 * x) / pitch_px;
            let rows = 0.5 + 0.5 * (std::f32::consts::TAU * across).cos();
            let at = 3 * (row * light.width + column);
            for channel in 0..3_u8 {
                let phase = along + f32::from(channel) / 3.0;
                let columns = 0.5 + 0.5 * (std::f32::consts::TAU * phase).cos();
                let lit = 1.0 - contrast * (0.6 * columns + 0.4 * rows);
                let value = &mut light.values[at + usize::from(channel)];
                *value = *value * lit + shine;
            }
        }
    }
}
