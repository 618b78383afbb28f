//! Sensor noise, at native resolution.
//!
//! Source: J. Immerkær, "Fast noise variance estimation" (CVIU 64, 1996). The difference of two
//! Laplacians cancels what varies linearly; noise and texture remain. The estimate is taken
//! from the calmer blocks of the face, to keep texture out as Donoho's median does. Noise that
//! strong compression or enlarging has smoothed away is not seen.

use super::plane::Plane;

/// Side of the blocks of which the calmer ones are believed.
const BLOCK: usize = 8;

/// Which of the blocks, ordered from calm to busy, gives the estimate.
const CALM: f32 = 0.35;

/// Brighter and darker blocks lie in the clipped ends of the scale, where noise is cut off.
const UNCLIPPED: std::ops::RangeInclusive<f32> = 4.0..=250.0;

/// Standard deviation of the noise in 8-bit levels; `None` where there is nothing to measure it on.
pub(super) fn deviation(plane: &Plane) -> Option<f32> {
    if plane.width < 3 || plane.height < 3 {
        return None;
    }
    let columns = (plane.width - 2).div_ceil(BLOCK);
    let rows = (plane.height - 2).div_ceil(BLOCK);
    // Sum of absolute responses, sum of luma, count.
    let mut blocks = vec![(0.0_f32, 0.0_f32, 0.0_f32); columns * rows];
    let inner = plane.width - 2;
    let mut bends = [(); 3].map(|()| vec![0.0; inner]);
    let mut responses = vec![0.0; inner];
    for y in 0..plane.height {
        bends.rotate_left(1);
        let row = plane.row(y);
        let around = row.iter().zip(&row[1..]).zip(&row[2..]);
        for (bend, ((left, here), right)) in bends[2].iter_mut().zip(around) {
            *bend = left - 2.0 * here + right;
        }
        if y < 2 {
            continue;
        }
        let [above, here, below] = &bends;
        let rows = above.iter().zip(here).zip(below);
        for (response, ((above, here), below)) in responses.iter_mut().zip(rows) {
            *response = (above - 2.0 * here + below).abs();
        }
        let line = &mut blocks[(y - 2) / BLOCK * columns..][..columns];
        let lumas = plane.row(y - 1)[1..=inner].chunks(BLOCK);
        for (block, (responses, lumas)) in line.iter_mut().zip(responses.chunks(BLOCK).zip(lumas)) {
            for (response, luma) in responses.iter().zip(lumas) {
                block.0 += response;
                block.1 += luma;
            }
            block.2 += responses.len() as f32;
        }
    }
    let mut means: Vec<f32> = blocks
        .iter()
        .filter(|block| {
            block.2 >= (BLOCK * BLOCK / 2) as f32 && UNCLIPPED.contains(&(block.1 / block.2))
        })
        .map(|block| block.0 / block.2)
        .collect();
    if means.is_empty() {
        return None;
    }
    let rank = ((means.len() - 1) as f32 * CALM).round() as usize;
    let (_, calm, _) = means.select_nth_unstable_by(rank, f32::total_cmp);
    // The mask's weights have the norm 6; the mean of |N(0, s)| is s·√(2/π).
    Some(*calm / 6.0 * (std::f32::consts::PI / 2.0).sqrt())
}
