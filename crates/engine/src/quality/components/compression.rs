//! Block artefacts of JPEG-like compression, at native resolution.
//!
//! Source: Z. Wang, H. Sheikh and A. Bovik, "No-reference perceptual quality assessment of JPEG
//! compressed images" (ICIP 2002). Steps at the block grid are compared with steps inside the
//! blocks. The face may start anywhere in the grid, so every phase is tried. A picture that was
//! scaled after compression no longer has a grid of this period.

use super::plane::{Plane, sums_of_lines};

/// Side of a JPEG block in original pixels.
const BLOCK: f32 = 8.0;

/// Step (8-bit levels) that is added to the activity: what nobody sees is no artefact.
const FLOOR: f32 = 1.0;

/// 1 where no block grid shows, towards 0 the more of all steps lie on it. `scale` is the plane's
/// pixels per original pixel. `None` where the plane is too small, or was reduced so far that
/// blocks are no longer seen.
pub(super) fn freedom(plane: &Plane, scale: f32) -> Option<f32> {
    let period = (BLOCK * scale).round() as usize;
    let is_whole = (BLOCK * scale - period as f32).abs() < 0.05;
    let is_seen = is_whole && (4..=8).contains(&period);
    if !is_seen || plane.width.min(plane.height) < 3 * period {
        return None;
    }
    // Sums of the steps from each column to the next, and from each row to the next.
    let mut across = vec![0.0_f32; plane.width - 1];
    for row in plane.values.chunks_exact(plane.width) {
        for (sum, pair) in across.iter_mut().zip(row.windows(2)) {
            *sum += (pair[1] - pair[0]).abs();
        }
    }
    let down = sums_of_lines(plane.height - 1, plane.width, |y, line| {
        let steps = plane.row(y).iter().zip(plane.row(y + 1));
        for (step, (above, below)) in line.iter_mut().zip(steps) {
            *step = (below - above).abs();
        }
    });
    let pixels = (plane.width * plane.height) as f32;
    let activity = (across.iter().sum::<f32>() + down.iter().sum::<f32>()) / (2.0 * pixels);
    let excess = f32::midpoint(
        excess(&across, period) / plane.height as f32,
        excess(&down, period) / plane.width as f32,
    );
    Some(1.0 / (1.0 + excess / (activity + FLOOR)))
}

/// How far the steps at the best phase, less their neighbours', stand out from those at the others.
fn excess(steps: &[f32], period: usize) -> f32 {
    let over_neighbours = steps
        .windows(3)
        .map(|near| near[1] - f32::midpoint(near[0], near[2]));
    let over_neighbours: Vec<f32> = over_neighbours.collect();
    let mut phases: Vec<f32> = (0..period)
        .map(|phase| {
            let on_phase = over_neighbours.iter().skip(phase).step_by(period);
            let count = on_phase.len().max(1);
            on_phase.sum::<f32>() / count as f32
        })
        .collect();
    phases.sort_unstable_by(f32::total_cmp);
    let others = &phases[..period - 1];
    (phases[period - 1] - others[others.len() / 2]).max(0.0)
}
