//! Power spectrum of a small plane: what motion and recapture are read from.

use std::f32::consts::PI;
use std::sync::LazyLock;

use super::plane::Plane;

/// Side of the transform; a smaller plane is padded with zeros.
pub(super) const SIDE: usize = 128;

/// Columns that are kept: the rest of a real plane's spectrum mirrors them.
pub(super) const COLUMNS: usize = SIDE / 2 + 1;

/// Cosine and minus sine of 2πk / SIDE for the first half turn.
static TWIDDLES: LazyLock<Vec<(f32, f32)>> = LazyLock::new(|| {
    (0..SIDE / 2)
        .map(|k| {
            let angle = -2.0 * PI * k as f32 / SIDE as f32;
            (angle.cos(), angle.sin())
        })
        .collect()
});

/// Power by frequency: row = vertical frequency (0 … SIDE − 1, the upper half negative), column = horizontal (0 … SIDE / 2).
pub(super) struct Spectrum {
    pub(super) power: Vec<f32>,
}

impl Spectrum {
    /// The spectrum of the plane's deviation from its mean under `window` (a weight for each pixel), scaled so that
    /// white noise of variance v has the mean power v.
    pub(super) fn of(plane: &Plane, window: &[f32]) -> Option<Self> {
        if plane.width > SIDE || plane.height > SIDE || plane.values.len() != window.len() {
            return None;
        }
        let weight: f32 = window.iter().sum();
        let energy: f32 = window.iter().map(|w| w * w).sum();
        if energy <= f32::EPSILON {
            return None;
        }
        let weighted = plane.values.iter().zip(window).map(|(value, w)| value * w);
        let mean = weighted.sum::<f32>() / weight;
        let mut re = vec![0.0; SIDE * SIDE];
        let rows = plane.values.chunks_exact(plane.width.max(1));
        let weights = window.chunks_exact(plane.width.max(1));
        for (target, (row, weights)) in re.chunks_exact_mut(SIDE).zip(rows.zip(weights)) {
            for (value, (luma, w)) in target.iter_mut().zip(row.iter().zip(weights)) {
                *value = (luma - mean) * w;
            }
        }
        let mut im = vec![0.0; SIDE * SIDE];
        transform(&mut re, &mut im, SIDE);
        // Rows are vertical frequencies now; the plane was real, so those up to the middle say everything.
        let (mut re, mut im) = (transposed(&re), transposed(&im));
        transform(&mut re, &mut im, COLUMNS);
        // Row = horizontal frequency, column = vertical: back, using the mirror image for the right half plane.
        let mut power = vec![0.0; SIDE * COLUMNS];
        for vertical in 0..SIDE {
            for horizontal in 0..COLUMNS {
                let (row, column) = if vertical < COLUMNS {
                    (horizontal, vertical)
                } else {
                    ((SIDE - horizontal) % SIDE, SIDE - vertical)
                };
                let at = row * COLUMNS + column;
                power[vertical * COLUMNS + horizontal] =
                    (re[at] * re[at] + im[at] * im[at]) / energy;
            }
        }
        Some(Self { power })
    }
}

/// Frequencies of a place in the spectrum in cycles per pixel, horizontal 0…½ and vertical −½…½.
pub(super) fn frequency(row: usize, column: usize) -> (f32, f32) {
    let vertical = if row < SIDE / 2 {
        row as f32
    } else {
        row as f32 - SIDE as f32
    };
    (column as f32 / SIDE as f32, vertical / SIDE as f32)
}

/// The first COLUMNS columns as rows: SIDE × SIDE → rows of COLUMNS values, one for each former column … of all rows.
fn transposed(square: &[f32]) -> Vec<f32> {
    let mut turned = vec![0.0; SIDE * COLUMNS];
    for (row, values) in square.chunks_exact(SIDE).enumerate().take(COLUMNS) {
        for (column, &value) in values.iter().enumerate() {
            turned[column * COLUMNS + row] = value;
        }
    }
    turned
}

/// Radix-2 transform down each of `columns` columns of SIDE rows. The inner loops run along rows, so that the compiler
/// makes them vector instructions.
fn transform(re: &mut [f32], im: &mut [f32], columns: usize) {
    let bits = SIDE.trailing_zeros();
    for row in 0..SIDE {
        let other = row.reverse_bits() >> (usize::BITS - bits);
        if row < other {
            for plane in [&mut *re, &mut *im] {
                let (head, tail) = plane.split_at_mut(other * columns);
                head[row * columns..(row + 1) * columns].swap_with_slice(&mut tail[..columns]);
            }
        }
    }
    let mut half = 1;
    while half < SIDE {
        for start in (0..SIDE).step_by(2 * half) {
            for k in 0..half {
                let (cos, sin) = TWIDDLES[k * (SIDE / 2 / half)];
                let (first, second) = ((start + k) * columns, (start + k + half) * columns);
                let (re_head, re_tail) = re.split_at_mut(second);
                let (im_head, im_tail) = im.split_at_mut(second);
                let upper = re_head[first..first + columns]
                    .iter_mut()
                    .zip(&mut im_head[first..first + columns]);
                let lower = re_tail[..columns].iter_mut().zip(&mut im_tail[..columns]);
                for ((ar, ai), (br, bi)) in upper.zip(lower) {
                    let (tr, ti) = (*br * cos - *bi * sin, *br * sin + *bi * cos);
                    (*br, *bi) = (*ar - tr, *ai - ti);
                    (*ar, *ai) = (*ar + tr, *ai + ti);
                }
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, one frequency at a time.
    fn by_definition(plane: &Plane, row: usize, column: usize) -> f32 {
        let mean = plane.values.iter().sum::<f32>() / plane.values.len() as f32;
        let (fx, fy) = frequency(row, column);
        let (mut re, mut im) = (0.0_f64, 0.0_f64);
        for y in 0..plane.height {
            for (x, value) in plane.row(y).iter().enumerate() {
                let angle = f64::from(-2.0 * PI * (fx * x as f32 + fy * y as f32));
                re += f64::from(value - mean) * angle.cos();
                im += f64::from(value - mean) * angle.sin();
            }
        }
        ((re * re + im * im) / plane.values.len() as f64) as f32
    }

    #[test]
    fn agrees_with_the_definition() {
        let (width, height) = (40, 31);
        let values = (0..width * height)
            .map(|i| ((i * 7919) % 251) as f32)
            .collect();
        let plane = Plane {
            width,
            height,
            values,
        };
        let spectrum = Spectrum::of(&plane, &vec![1.0; width * height]).unwrap();
        for (row, column) in [
            (0, 1),
            (1, 0),
            (5, 9),
            (64, 64),
            (65, 3),
            (127, 20),
            (100, 0),
        ] {
            let expected = by_definition(&plane, row, column);
            let got = spectrum.power[row * COLUMNS + column];
            assert!(
                (got - expected).abs() <= 1e-3 * expected.max(1.0),
                "({row}, {column}): {got} for {expected}"
            );
        }
    }

    #[test]
    fn white_noise_has_its_variance_as_mean_power() {
        let mut state = 1_u32;
        let values: Vec<f32> = (0..SIDE * SIDE)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as f32
            })
            .collect();
        let plane = Plane {
            width: SIDE,
            height: SIDE,
            values,
        };
        let spectrum = Spectrum::of(&plane, &vec![1.0; SIDE * SIDE]).unwrap();
        let mean = spectrum.power.iter().sum::<f32>() / spectrum.power.len() as f32;
        // Uniform over 256 levels: 256² / 12.
        assert!((mean / 5461.0 - 1.0).abs() < 0.1, "{mean}");
    }

    #[test]
    fn nothing_to_transform_gives_none() {
        let empty = Plane {
            width: 0,
            height: 0,
            values: vec![],
        };
        assert!(Spectrum::of(&empty, &[]).is_none());
    }
}
