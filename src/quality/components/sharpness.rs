//! Fine detail, on the recogniser's grid.
//!
//! Source: the idea of re-blurring (F. Crété et al., "The blur effect", SPIE 6492, 2007), with Sobel energy as OFIQ's
//! sharpness uses it. An edge that is blurred by b pixels keeps the energy 1 / √(b² + s²) at the scale s, so the ratio
//! of the energies at two scales tells b, whatever the contrast. The noise's own energy is taken off first.

use super::plane::{Plane, oval, smooth};

/// Smoothing passes between the fine and the coarse scale; each adds a variance of ½ pixel².
const PASSES: usize = 12;

/// A Sobel gradient's share of the variance of white noise, both directions together.
const SOBEL_NOISE: f32 = 2.0 * 12.0 / 64.0;

/// Gradient energy (levels²) that is added to both scales: a face without any contrast is not sharp.
const FLOOR: f32 = 0.25;

/// 0 where nothing is finer than eyes and lips, 1 to 3 for a crisp face. `noise` is the noise's deviation on this grid.
pub(super) fn index(crop: &Plane, noise: f32) -> Option<f32> {
    let fine = (energy(crop)? - noise * noise * SOBEL_NOISE).max(0.0);
    let coarse = energy(&smooth(crop, PASSES))?;
    let ratio = (fine + FLOOR) / (coarse + FLOOR);
    Some(((ratio - 1.0) / 2.0).max(0.0))
}

/// Mean square of the Sobel gradient over the oval, in levels² per pixel².
fn energy(plane: &Plane) -> Option<f32> {
    let mut sum = 0.0;
    let mut count = 0;
    for (y, first, end) in oval() {
        if y == 0 || y + 1 >= plane.height || first == 0 || end >= plane.width {
            continue;
        }
        let (above, here, below) = (plane.row(y - 1), plane.row(y), plane.row(y + 1));
        for x in first..end {
            let across = (above[x + 1] - above[x - 1])
                + 2.0 * (here[x + 1] - here[x - 1])
                + (below[x + 1] - below[x - 1]);
            let down = (below[x - 1] - above[x - 1])
                + 2.0 * (below[x] - above[x])
                + (below[x + 1] - above[x + 1]);
            sum += across * across + down * down;
        }
        count += end - first;
    }
    (count > 0).then(|| sum / (64.0 * count as f32))
}
