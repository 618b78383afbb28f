//! Blur: a disc for defocus, a path for motion.

use super::light::{Light, Tap, box_mean};

/// Parts of a pixel that a kernel is sampled with in each direction: edges of discs and lines are smooth, not jagged.
const FINE: i32 = 5;

/// Spreads each point over a disc of `radius_px`.
pub(super) fn defocus(light: &mut Light, radius_px: f32) {
    let reach = radius_px.ceil() as i32 + 1;
    let mut taps = Vec::new();
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let mut inside = 0_u16;
            for fine_y in 0..FINE {
                for fine_x in 0..FINE {
                    let offset = |whole: i32, fine: i32| {
                        whole as f32 + (fine as f32 + 0.5) / FINE as f32 - 0.5
                    };
                    inside += u16::from(offset(dx, fine_x).hypot(offset(dy, fine_y)) <= radius_px);
                }
            }
            if inside > 0 {
                taps.push(Tap {
                    dx,
                    dy,
                    weight: f32::from(inside),
                });
            }
        }
    }
    light.convolve(&scaled(taps));
}

/// Spreads each point along a path of `length_px` that sets out `angle_deg` clockwise from the picture's right, less half of
/// `bend_deg`, and has turned by `bend_deg` at its end: a hand shakes in curves.
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
    // Its middle stands still, so that the face stays where it was.
    let points = path.len() as f32;
    let middle = |part: fn(&(f32, f32)) -> f32| path.iter().map(part).sum::<f32>() / points;
    let (middle_x, middle_y) = (middle(|at| at.0), middle(|at| at.1));
    let mut weights = std::collections::BTreeMap::<(i32, i32), f32>::new();
    for (x, y) in path {
        let (x, y) = (x - middle_x, y - middle_y);
        let (left, top) = (x.floor(), y.floor());
        let (part_x, part_y) = (x - left, y - top);
        for (dx, share_x) in [(0, 1.0 - part_x), (1, part_x)] {
            for (dy, share_y) in [(0, 1.0 - part_y), (1, part_y)] {
                *weights
                    .entry((left as i32 + dx, top as i32 + dy))
                    .or_default() += share_x * share_y;
            }
        }
    }
    let taps = weights
        .into_iter()
        .filter(|(_, weight)| *weight > 0.0)
        .map(|((dx, dy), weight)| Tap { dx, dy, weight })
        .collect();
    light.convolve(&scaled(taps));
}

/// Sends `share` of the light astray, evenly over a square of about `radius_px` around it.
pub(super) fn scatter(light: &mut Light, share: f32, radius_px: f32) {
    let share = share.clamp(0.0, 1.0);
    let reach = radius_px.max(0.0).round() as usize;
    for channel in 0..3 {
        let plane: Vec<f32> = light
            .values
            .iter()
            .skip(channel)
            .step_by(3)
            .copied()
            .collect();
        let spread = box_mean(&plane, light.width, reach);
        for (value, astray) in light.values.iter_mut().skip(channel).step_by(3).zip(spread) {
            *value += share * (astray - *value);
        }
    }
}

/// The same taps with weights that sum to 1.
fn scaled(mut taps: Vec<Tap>) -> Vec<Tap> {
    let sum: f32 = taps.iter().map(|tap| tap.weight).sum();
    for tap in &mut taps {
        tap.weight /= sum;
    }
    taps
}
