//! Whether a picture was enlarged after it was taken, and by how much. An enlarged face has
//! fewer real pixels than its size suggests.
//!
//! Source: A. Gallagher, "Detection of linear and cubic interpolation in JPEG compressed
//! images" (CRV 2005). An interpolated row is smoother between the original pixels than at
//! them. So the mean size of the second difference is periodic, with the factor as its period.
//! It is measured over several spans: rounding hides the differences of a smooth interpolation
//! between neighbours, but over a span of four they are sixteen times as large. This is not a
//! component of its own; it corrects the cause of low resolution.
//!
//! `docs/score-report.md` has the detection rates. Enlargement with windowed sinc functions
//! (Lanczos) leaves almost no period and is rarely detected.

use std::sync::LazyLock;

use super::plane::{Plane, sums_of_lines};

/// Step of the frequencies that are tried, in cycles per pixel.
const STEP: f32 = 1.0 / 256.0;

/// The first frequency that is tried, in steps: factors up to 21.
const FIRST: usize = 12;

/// How many frequencies are tried, up to factors from 2 on.
const COUNT: usize = 114;

/// Twice the cosine of each frequency's turn a pixel.
static TURNS: LazyLock<[f32; COUNT]> =
    LazyLock::new(|| std::array::from_fn(|at| 2.0 * (std::f32::consts::TAU * frequency(at)).cos()));

/// Half the spans over which second differences are taken, pixels, and the power times cycles in
/// the face from which on a period is believed. A face's own ups and downs have less power the more
/// of them there are. Neighbours also differ in untouched pictures.
const SPANS: [(usize, f32); 3] = [(1, 16.0), (2, 8.0), (4, 8.0)];

/// A period's double or triple is the true one where it has this share of its power, because sharp
/// transitions have overtones.
const FUNDAMENTAL: f32 = 0.22;

/// Second difference (levels) that is added before the logarithm: rounding has no period.
const FLOOR: f32 = 0.05;

/// Columns over which the profile's own ups and downs are taken off.
const TREND: usize = 9;

/// Shortest side of a face in which a period is looked for, pixels.
const SHORTEST: usize = 30;

/// From this freedom from blocks on, a period of 8, 4 or 8/3 pixels is not the trace of JPEG's
/// blocks.
const NO_BLOCKS_FROM: f32 = 0.9;

/// Freedom from blocks below which blocks are all that is left to be seen.
const ONLY_BLOCKS_BELOW: f32 = 0.6;

/// Picture pixels per pixel that was taken, at least 1; 1 where there is no sign of enlargement.
/// `freedom` is the freedom from blocks of the same plane.
pub(super) fn factor(plane: &Plane, freedom: f32) -> f32 {
    if freedom < ONLY_BLOCKS_BELOW || plane.width.min(plane.height) < SHORTEST {
        return 1.0;
    }
    let side = plane.width.min(plane.height) as f32;
    // Steps over which one frequency's power spreads under the window.
    let spread = ((1.0 / (STEP * side)) as usize).max(3);
    let is_block_grid = |at: usize| {
        let from_harmonic = (FIRST + at + 16) % 32;
        freedom < NO_BLOCKS_FROM && from_harmonic.abs_diff(16) <= spread
    };
    // How far each frequency is above what a picture has by itself, in the span that shows it most.
    let mut signs = [0.0_f32; COUNT];
    for (span, believed) in SPANS {
        let (across, down) = profiles(plane, span);
        let (across, down) = (powers(&across), powers(&down));
        for (at, sign) in signs.iter_mut().enumerate() {
            if !is_block_grid(at) {
                // Both directions must have the period.
                let power = (across[at] * down[at]).sqrt();
                *sign = sign.max(power * frequency(at) * side / believed);
            }
        }
    }
    let strongest = |from: usize, to: usize| {
        let range = from..to.min(COUNT);
        range.max_by(|&a, &b| signs[a].total_cmp(&signs[b]))
    };
    let Some(peak) = strongest(0, COUNT).filter(|&at| signs[at] >= 1.0) else {
        return 1.0;
    };
    let fundamental = [3, 2].into_iter().find_map(|overtone| {
        let at = ((FIRST + peak + overtone / 2) / overtone).checked_sub(FIRST + 1)?;
        strongest(at, at + 3).filter(|&at| signs[at] >= FUNDAMENTAL * signs[peak])
    });
    1.0 / frequency(fundamental.unwrap_or(peak))
}

fn frequency(at: usize) -> f32 {
    (FIRST + at) as f32 * STEP
}

/// Logarithm of the mean absolute second difference over this span, by column and by row, freed
/// from its trend.
fn profiles(plane: &Plane, span: usize) -> (Vec<f32>, Vec<f32>) {
    let ends = 2 * span;
    let mut across = vec![0.0_f32; plane.width - ends];
    for row in plane.values.chunks_exact(plane.width) {
        let bends = row.iter().zip(&row[span..]).zip(&row[ends..]);
        for (sum, ((left, here), right)) in across.iter_mut().zip(bends) {
            *sum += (left - 2.0 * here + right).abs();
        }
    }
    let down = sums_of_lines(plane.height - ends, plane.width, |y, line| {
        let (above, here, below) = (plane.row(y), plane.row(y + span), plane.row(y + ends));
        let bends = above.iter().zip(here).zip(below);
        for (bend, ((a, b), c)) in line.iter_mut().zip(bends) {
            *bend = (a - 2.0 * b + c).abs();
        }
    });
    let across = flattened(&across, plane.height);
    (across, flattened(&down, plane.width))
}

fn flattened(sums: &[f32], count: usize) -> Vec<f32> {
    let logs = sums.iter().map(|sum| (sum / count as f32 + FLOOR).ln());
    let logs: Vec<f32> = logs.collect();
    let last = logs.len() - 1;
    let at = |place: isize| logs[place.clamp(0, last as isize) as usize];
    let reach = (TREND / 2) as isize;
    (0..logs.len() as isize)
        .map(|place| {
            let around = (-reach..=reach).map(|offset| at(place + offset));
            at(place) - around.sum::<f32>() / TREND as f32
        })
        .collect()
}

/// Power at each of the frequencies, under a Hann window, by Goertzel's recurrence.
fn powers(profile: &[f32]) -> [f32; COUNT] {
    let length = profile.len() as f32;
    let turns: &[f32; COUNT] = &TURNS;
    let (mut before, mut last) = ([0.0_f32; COUNT], [0.0_f32; COUNT]);
    for (place, value) in profile.iter().enumerate() {
        let window = (std::f32::consts::PI * (place as f32 + 0.5) / length)
            .sin()
            .powi(2);
        // All frequencies side by side: each by itself would wait for its own last step.
        for at in 0..COUNT {
            let next = window * value + turns[at] * last[at] - before[at];
            (before[at], last[at]) = (last[at], next);
        }
    }
    // Mean square of a Hann window: 3/8.
    let energy = 0.375 * length;
    std::array::from_fn(|at| {
        let (before, last) = (before[at], last[at]);
        (last * last + before * before - turns[at] * last * before).max(0.0) / energy
    })
}
