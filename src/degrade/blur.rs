//! What lenses and movement do: a disc for a wrong focus, a line for a movement.

use super::light::{Light, Tap};

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

/// Spreads each point along a line of `length_px`, `angle_deg` clockwise from the picture's right.
pub(super) fn motion(light: &mut Light, length_px: f32, angle_deg: f32) {
    let (sin, cos) = angle_deg.to_radians().sin_cos();
    let steps = (length_px * FINE as f32).ceil().max(1.0) as i32;
    let mut weights = std::collections::BTreeMap::<(i32, i32), f32>::new();
    for step in 0..=steps {
        let along = length_px * (step as f32 / steps as f32 - 0.5);
        let (x, y) = (along * cos, along * sin);
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

/// The same taps with weights that sum to 1.
fn scaled(mut taps: Vec<Tap>) -> Vec<Tap> {
    let sum: f32 = taps.iter().map(|tap| tap.weight).sum();
    for tap in &mut taps {
        tap.weight /= sum;
    }
    taps
}
