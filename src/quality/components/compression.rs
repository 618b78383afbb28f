//! Block artefacts of JPEG-like compression, at native resolution.
//!
//! Source: blocking as Z. Wang, H. Sheikh and A. Bovik measure it ("No-reference perceptual quality assessment of JPEG
//! compressed images", ICIP 2002): steps at the block grid against steps inside the blocks. The face may start anywhere
//! in the grid, so every phase is tried. A picture that was scaled after compression has no grid of this period left.

use super::plane::Plane;

/// Side of a JPEG block in original pixels.
const BLOCK: f32 = 8.0;

/// Step (8-bit levels) that is added to the activity: what nobody sees is no artefact.
const FLOOR: f32 = 1.0;

/// 1 where no block grid shows, towards 0 the more of all steps lie on it. `scale` is the plane's pixels per original
/// pixel. `None` where the plane is too small, or was reduced so far that blocks are no longer seen.
pub(super) fn freedom(plane: &Plane, scale: f32) -> Option<f32> {
    let period = (BLOCK * scale).round() as usize;
    let is_whole = (BLOCK * scale - period as f32).abs() < 0.05;
    if !is_whole || period < 4 || plane.width < 3 * period || plane.height < 3 * period {
        return None;
    }
    // Excess of each step over its two neighbours, summed along the possible boundary; and all steps.
    let mut columns = vec![0.0_f32; plane.width];
    let mut rows = vec![0.0_f32; plane.height];
    let mut activity = [0.0_f32; 2];
    for y in 0..plane.height {
        let row = plane.row(y);
        for (excess, near) in columns[2..].iter_mut().zip(row.windows(4)) {
            let steps = [
                (near[1] - near[0]).abs(),
                (near[2] - near[1]).abs(),
                (near[3] - near[2]).abs(),
            ];
            *excess += steps[1] - (steps[0] + steps[2]) / 2.0;
            activity[0] += steps[1];
        }
    }
    for y in 2..plane.height - 1 {
        let lines = [
            plane.row(y - 2),
            plane.row(y - 1),
            plane.row(y),
            plane.row(y + 1),
        ];
        for x in 0..plane.width {
            let steps = [
                (lines[1][x] - lines[0][x]).abs(),
                (lines[2][x] - lines[1][x]).abs(),
                (lines[3][x] - lines[2][x]).abs(),
            ];
            rows[y] += steps[1] - (steps[0] + steps[2]) / 2.0;
            activity[1] += steps[1];
        }
    }
    let across = excess(&columns, period, plane.height);
    let down = excess(&rows, period, plane.width);
    let pixels = (plane.width * plane.height) as f32;
    let activity = (activity[0] + activity[1]) / (2.0 * pixels);
    Some(1.0 / (1.0 + f32::midpoint(across, down) / (activity + FLOOR)))
}

/// How far the best phase stands out from the others, in levels per step.
fn excess(steps: &[f32], period: usize, length: usize) -> f32 {
    let inside = &steps[2..steps.len() - 1];
    let mut phases: Vec<f32> = (0..period)
        .map(|phase| {
            let on_phase = inside.iter().skip(phase).step_by(period);
            let count = on_phase.len().max(1);
            on_phase.sum::<f32>() / (count * length) as f32
        })
        .collect();
    phases.sort_unstable_by(f32::total_cmp);
    let others = &phases[..period - 1];
    let middle = others[others.len() / 2];
    (phases[period - 1] - middle).max(0.0)
}
