//! Power spectrum of a small plane, for motion and recapture.

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

/// A weight for each pixel of a plane, with the sums that every spectrum under it needs.
pub(super) struct Weights {
    values: Vec<f32>,
    sum: f32,
    energy: f32,
}

impl Weights {
    pub(super) fn new(values: Vec<f32>) -> Self {
        let (mut sum, mut energy) = (0.0, 0.0);
        for weight in &values {
            sum += weight;
            energy += weight * weight;
        }
        Self {
            values,
            sum,
            energy,
        }
    }
}

/// Power by frequency. It lies as the transform leaves it; [`place`] says where.
pub(super) struct Spectrum {
    pub(super) power: Vec<f32>,
}

impl Spectrum {
    /// The spectra of the planes' deviations from their means under `weights`, scaled so that white
    /// noise of variance v has the mean power v. The planes have the same size.
    pub(super) fn of<const N: usize>(planes: [&Plane; N], weights: &Weights) -> Option<[Self; N]> {
        let fits = |plane: &Plane| {
            let is_covered = plane.values.len() == weights.values.len();
            is_covered && plane.width <= SIDE && plane.height <= SIDE
        };
        if !planes.into_iter().all(fits) || weights.energy <= f32::EPSILON {
            return None;
        }
        // Side by side, since each sum by itself would wait for its own last step.
        let mut sums = [0.0; N];
        for (at, weight) in weights.values.iter().enumerate() {
            for (sum, plane) in sums.iter_mut().zip(planes) {
                *sum += plane.values[at] * weight;
            }
        }
        let mut means = sums.iter().map(|sum| sum / weights.sum);
        Some(planes.map(|plane| {
            let mean = means.next().unwrap_or_default();
            Self::about(plane, mean, weights)
        }))
    }

    fn about(plane: &Plane, mean: f32, weights: &Weights) -> Self {
        let mut down = vec![Row::<SIDE>::ZERO; SIDE];
        let rows = plane.values.chunks_exact(plane.width.max(1));
        let weight_rows = weights.values.chunks_exact(plane.width.max(1));
        for (y, (row, weights)) in rows.zip(weight_rows).enumerate() {
            let target = &mut down[reversed(y)].re;
            for (value, (luma, weight)) in target.iter_mut().zip(row.iter().zip(weights)) {
                *value = (luma - mean) * weight;
            }
        }
        transform(&mut down);
        // Rows are vertical frequencies now. The plane was real, so those up to the middle suffice.
        let mut across = vec![Row::<STRIDE>::ZERO; SIDE];
        for (group, rows) in down.as_chunks::<BESIDE>().0[..STRIDE / BESIDE]
            .iter()
            .enumerate()
        {
            let columns = group * BESIDE..(group + 1) * BESIDE;
            for x in 0..SIDE {
                let target = &mut across[reversed(x)];
                target.re[columns.clone()].copy_from_slice(&rows.each_ref().map(|row| row.re[x]));
                target.im[columns.clone()].copy_from_slice(&rows.each_ref().map(|row| row.im[x]));
            }
        }
        transform(&mut across);
        let mut power = Vec::with_capacity(SIDE * STRIDE);
        for row in &across {
            let parts = row.re.iter().zip(&row.im);
            power.extend(parts.map(|(re, im)| (re * re + im * im) / weights.energy));
        }
        Self { power }
    }
}

/// Where the power of a frequency lies: row = vertical frequency (0 … SIDE − 1, the upper half
/// negative), column = horizontal (0 … SIDE / 2).
pub(super) fn place(row: usize, column: usize) -> usize {
    // The transform keeps the upper half of the vertical frequencies; the lower half mirrors it.
    if row < COLUMNS {
        column * STRIDE + row
    } else {
        (SIDE - column) % SIDE * STRIDE + (SIDE - row)
    }
}

pub(super) fn all_frequencies() -> impl Iterator<Item = (usize, usize)> {
    (0..SIDE).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)))
}

/// Frequencies of a row and column in cycles per pixel, horizontal 0…½, vertical −½…½.
pub(super) fn frequency(row: usize, column: usize) -> (f32, f32) {
    let vertical = if row < SIDE / 2 {
        row as f32
    } else {
        row as f32 - SIDE as f32
    };
    (column as f32 / SIDE as f32, vertical / SIDE as f32)
}

/// The middle one of the values, which must not be negative; the upper one of two. Reorders them.
pub(super) fn median(values: &mut [u32]) -> Option<f32> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| f32::from_bits(*values.select_nth_unstable(middle).1))
}

/// Numbers that are moved and reckoned with together.
const BESIDE: usize = 8;

/// COLUMNS, rounded up to whole groups: what lies beyond is not used.
const STRIDE: usize = COLUMNS.next_multiple_of(BESIDE);

/// A row of complex numbers.
#[derive(Clone, Copy)]
struct Row<const N: usize> {
    re: [f32; N],
    im: [f32; N],
}

impl<const N: usize> Row<N> {
    const ZERO: Self = Self {
        re: [0.0; N],
        im: [0.0; N],
    };
}

/// The place that the transform wants this row at.
fn reversed(row: usize) -> usize {
    row.reverse_bits() >> (usize::BITS - SIDE.trailing_zeros())
}

/// Radix-2 transform down each column of SIDE rows, which stand at their [`reversed`] places. Two
/// steps are taken at a time, which halves the traffic with memory and rounds as single steps do.
fn transform<const N: usize>(rows: &mut [Row<N>]) {
    let twiddle = |half: usize, k: usize| TWIDDLES[k * (SIDE / 2 / half)];
    let mut half = 1;
    while half < SIDE / 2 {
        for block in rows.chunks_exact_mut(4 * half) {
            let (upper, lower) = block.split_at_mut(2 * half);
            let (first, second) = upper.split_at_mut(half);
            let (third, fourth) = lower.split_at_mut(half);
            let upper = first.iter_mut().zip(second);
            let lower = third.iter_mut().zip(fourth);
            for (k, ((a, b), (c, d))) in upper.zip(lower).enumerate() {
                let (even, odd) = (twiddle(2 * half, k), twiddle(2 * half, k + half));
                let turns = [twiddle(half, k), even, odd];
                two_steps(a, b, c, d, turns);
            }
        }
        half *= 4;
    }
    if half < SIDE {
        let (upper, lower) = rows.split_at_mut(half);
        for (k, (a, b)) in upper.iter_mut().zip(lower).enumerate() {
            one_step(a, b, twiddle(half, k));
        }
    }
}

type Complex = (f32, f32);

/// Sum and difference of `a` and the turned `b`.
fn butterfly(a: Complex, b: Complex, (cos, sin): Complex) -> (Complex, Complex) {
    let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
    (
        (a.0 + turned.0, a.1 + turned.1),
        (a.0 - turned.0, a.1 - turned.1),
    )
}

// Functions of their own, so that the compiler knows that the rows do not overlap and makes vector
// instructions.
#[inline(never)]
fn one_step<const N: usize>(a: &mut Row<N>, b: &mut Row<N>, turn: Complex) {
    for i in 0..N {
        ((a.re[i], a.im[i]), (b.re[i], b.im[i])) =
            butterfly((a.re[i], a.im[i]), (b.re[i], b.im[i]), turn);
    }
}

#[inline(never)]
fn two_steps<const N: usize>(
    a: &mut Row<N>,
    b: &mut Row<N>,
    c: &mut Row<N>,
    d: &mut Row<N>,
    [first, even, odd]: [Complex; 3],
) {
    for i in 0..N {
        let (p, q) = butterfly((a.re[i], a.im[i]), (b.re[i], b.im[i]), first);
        let (r, s) = butterfly((c.re[i], c.im[i]), (d.re[i], d.im[i]), first);
        ((a.re[i], a.im[i]), (c.re[i], c.im[i])) = butterfly(p, r, even);
        ((b.re[i], b.im[i]), (d.re[i], d.im[i])) = butterfly(q, s, odd);
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
        let weights = Weights::new(vec![1.0; width * height]);
        let [spectrum] = Spectrum::of([&plane], &weights).unwrap();
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
            let got = spectrum.power[place(row, column)];
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
        let weights = Weights::new(vec![1.0; SIDE * SIDE]);
        let [spectrum] = Spectrum::of([&plane], &weights).unwrap();
        let powers = all_frequencies().map(|(row, column)| spectrum.power[place(row, column)]);
        let mean = powers.sum::<f32>() / (SIDE * COLUMNS) as f32;
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
        assert!(Spectrum::of([&empty], &Weights::new(vec![])).is_none());
    }
}
