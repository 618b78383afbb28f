//! Fine detail, on the recogniser's grid.
//!
//! Source: re-blurring (F. Crété et al., "The blur effect", SPIE 6492, 2007), with Sobel energy
//! as in OFIQ's sharpness. An edge blurred by b pixels keeps the energy 1 / √(b² + s²) at the
//! scale s. So the ratio of the energies at two scales gives b, whatever the contrast. The
//! energy of the noise is subtracted first.

use super::plane::{Plane, oval, smooth};

/// Smoothing passes between the fine and the coarse scale; each adds a variance of ½ pixel².
const PASSES: usize = 12;

/// A Sobel gradient's share of the variance of white noise, both directions together.
const SOBEL_NOISE: f32 = 2.0 * 12.0 / 64.0;

/// Gradient energy (levels²) that is added to both scales: a face without contrast is not sharp.
const FLOOR: f32 = 0.25;

/// 0 where nothing is finer than eyes and lips, 1 to 3 for a crisp face. `noise`: its deviation.
pub(super) fn index(crop: &Plane, noise: f32) -> Option<f32> {
    let [fine, coarse] = energies([crop, &smooth(crop, PASSES)])?;
    let fine = (fine - noise * noise * SOBEL_NOISE).max(0.0);
    let ratio = (fine + FLOOR) / (coarse + FLOOR);
    Some(((ratio - 1.0) / 2.0).max(0.0))
}

/// Mean square of each plane's Sobel gradient over the oval, in levels² per pixel². The planes have
/// the same size.
fn energies(planes: [&Plane; 2]) -> Option<[f32; 2]> {
    let [Plane { width, height, .. }, _] = planes;
    let mut squares = [(); 2].map(|()| vec![0.0; *width]);
    let mut sums = [0.0; 2];
    let mut count = 0;
    for (y, first, end) in oval() {
        if y == 0 || y + 1 >= *height || first == 0 || end >= *width {
            continue;
        }
        for (squares, plane) in squares.iter_mut().zip(planes) {
            let rows = [y - 1, y, y + 1].map(|y| &plane.row(y)[first - 1..=end]);
            gradients(rows, &mut squares[..end - first]);
        }
        // Side by side, since each sum by itself would wait for its own last step.
        for (fine, coarse) in squares[0].iter().zip(&squares[1]).take(end - first) {
            sums[0] += fine;
            sums[1] += coarse;
        }
        count += end - first;
    }
    (count > 0).then(|| sums.map(|sum| sum / (64.0 * count as f32)))
}

/// Squares of the Sobel gradients of a row's inner pixels, from it and the rows beside it.
fn gradients(rows: [&[f32]; 3], squares: &mut [f32]) {
    let count = squares.len();
    let [above, here, below] = rows.map(|row| [&row[..count], &row[1..=count], &row[2..count + 2]]);
    for (x, square) in squares.iter_mut().enumerate() {
        let across = (above[2][x] - above[0][x])
            + 2.0 * (here[2][x] - here[0][x])
            + (below[2][x] - below[0][x]);
        let down = (below[0][x] - above[0][x])
            + 2.0 * (below[1][x] - above[1][x])
            + (below[2][x] - above[2][x]);
        *square = across * across + down * down;
    }
}
