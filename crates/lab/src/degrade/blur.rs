//! Blur: a disc for defocus, a path for motion.

use super::light::{Light, Tap, box_mean};

/// Samples of a pixel in each direction, so that edges of discs and lines are smooth, not jagged.
const FINE: isize = 5;

/// Spreads each point over a disc of `radius_px`.
pub(super) fn defocus(light: &mut Light, radius_px: f32) {
    let reach = radius_px.ceil() as isize + 1;
    let offset = |whole: isize, fine: isize| whole as f32 + (fine as f32 + 0.5) / FINE as f32 - 0.5;
    let mut taps = Vec::new();
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let inside = (0..FINE * FINE)
                .filter(|fine| offset(dx, fine % FINE).hypot(offset(dy, fine / FINE)) <= radius_px);
            let weight = inside.count() as f32;
            if weight > 0.0 {
                taps.push(Tap { dx, dy, weight });
            }
        }
    }
    light.convolve(taps);
}

/// Spreads each point along a path of `length_px`, because a hand shakes in curves. The path begins
/// at `angle_deg` clockwise from the picture's right, less half of `bend_deg`. At its end it has
/// turned by `bend_deg`.
pub(super) fn motion(light: &mut Light, length_px: f32, angle_deg: f32, bend_deg: f32) {
    let steps = (length_px * FINE as f32).ceil().max(1.0) as usize;
    let step_px = length_px / steps as f32;
    let mut path = vec![(0.0_f32, 0.0_f32)];
    for step in 0..steps {
        let turned = bend_deg * ((step as f32 + 0.5) / steps as f32 - 0.5);
        let (sin, cos) = (angle_deg + turned).to_radians().sin_cos();
        let (x, y) = path.last().copied().unwrap_or_default();
        path.push((x + step_px * cos, y + step_px * sin));
    }
    // The middle of the path stands still, so that the face stays where it was.
    let points = path.len() as f32;
    let middle = |part: fn(&(f32, f32)) -> f32| path.iter().map(part).sum::<f32>() / points;
    let (middle_x, middle_y) = (middle(|at| at.0), middle(|at| at.1));
    let mut weights = std::collections::BTreeMap::<(isize, isize), f32>::new();
    for (x, y) in path {
        let (x, y) = (x - middle_x, y - middle_y);
        let (left, top) = (x.floor(), y.floor());
        let (part_x, part_y) = (x - left, y - top);
        for (dx, share_x) in [(0, 1.0 - part_x), (1, part_x)] {
            for (dy, share_y) in [(0, 1.0 - part_y), (1, part_y)] {
                let place = (left as isize + dx, top as isize + dy);
                *weights.entry(place).or_default() += share_x * share_y;
            }
        }
    }
    let taps = weights
        .into_iter()
        .filter(|(_, weight)| *weight > 0.0)
        .map(|((dx, dy), weight)| Tap { dx, dy, weight })
        .collect();
    light.convolve(taps);
}

/// Spreads `share` of the light evenly over a square of about `radius_px` around each pixel.
pub(super) fn scatter(light: &mut Light, share: f32, radius_px: f32) {
    let share = share.clamp(0.0, 1.0);
    let reach = radius_px.max(0.0).round() as usize;
    for channel in 0..3 {
        let plane: Vec<f32> = light.pixels().iter().map(|pixel| pixel[channel]).collect();
        let spread = box_mean(&plane, light.width, reach);
        for (pixel, mean) in light.pixels_mut().iter_mut().zip(spread) {
            pixel[channel] += share * (mean - pixel[channel]);
        }
    }
}
