//! Periodic patterns as a screen or a print leaves them when it is photographed, at native resolution.
//!
//! Source: moiré and pixel grids are isolated peaks in the spectrum (B. Fasel's and others' recapture detectors look for
//! them; H. Cao and A. Kot, "Identification of recaptured photographs on LCD screens", ICASSP 2010). The peaks are
//! sought in luma, and in the difference of green to red and blue: a screen's coloured stripes fill that plane, in which
//! a face has nothing of fine scale. The multiples of a JPEG block's frequency on the axes do not count.

use std::sync::LazyLock;

use super::plane::Plane;
use super::spectrum::{COLUMNS, SIDE, Spectrum, frequency};

/// Rings of the spectrum whose median is the background of the peaks in them, 4 steps wide.
const RINGS: usize = 24;

/// Lowest frequency of a pattern, in cycles per pixel; below it lies the face itself.
const FROM: f32 = 0.10;

/// Height over the background (log of power) that faces reach without any pattern, at most 1 in 50, in luma (blurred by
/// motion: 7.5) and in colour (compressed: 5.7).
const NATURAL: [f32; 2] = [7.5, 5.7];

/// The ring of each place in the spectrum; none where no pattern is sought.
static RING: LazyLock<Vec<Option<usize>>> = LazyLock::new(|| {
    let place = |at: usize| {
        let (row, column) = (at / COLUMNS, at % COLUMNS);
        let (fx, fy) = frequency(row, column);
        let radius = fx.hypot(fy);
        let (x, y) = (column, row.min(SIDE - row));
        let is_harmonic = |step: usize| matches!(step % 16, 0 | 1 | 15);
        let is_block_grid = (is_harmonic(x) && y <= 2) || (is_harmonic(y) && x <= 2);
        (radius > FROM && !is_block_grid).then_some((radius * SIDE as f32 / 4.0) as usize)
    };
    (0..SIDE * COLUMNS).map(place).collect()
});

/// How far the highest peak rises over what faces show by themselves, in units of the logarithm of power; 0 = no
/// pattern. `None` where there are too few pixels.
pub(super) fn pattern(luma: &Plane, colour: &Plane) -> Option<f32> {
    let peaks = [peak(luma)?, peak(colour)?];
    Some((peaks[0] - NATURAL[0]).max(peaks[1] - NATURAL[1]).max(0.0))
}

/// Height of the highest peak over the median of its ring.
fn peak(plane: &Plane) -> Option<f32> {
    if plane.width < 12 || plane.height < 12 {
        return None;
    }
    let across = hann(plane.width);
    let window: Vec<f32> = hann(plane.height)
        .iter()
        .flat_map(|down| across.iter().map(move |weight| weight * down))
        .collect();
    let spectrum = Spectrum::of(plane, &window)?;
    let mut rings = vec![Vec::new(); RINGS];
    let mut highest = [0.0_f32; RINGS];
    for (&power, ring) in spectrum.power.iter().zip(RING.iter()) {
        if let Some(ring) = *ring
            && ring < RINGS
        {
            rings[ring].push(power);
            highest[ring] = highest[ring].max(power);
        }
    }
    rings
        .iter_mut()
        .zip(highest)
        .filter(|(ring, _)| ring.len() > 8)
        .map(|(ring, highest)| {
            let middle = ring.len() / 2;
            let (_, &mut median, _) = ring.select_nth_unstable_by(middle, f32::total_cmp);
            // Half a level² of rounding noise keeps the background from vanishing.
            ((highest + 0.5) / (median + 0.5)).ln()
        })
        .max_by(f32::total_cmp)
}

fn hann(length: usize) -> Vec<f32> {
    let angle = |at: usize| std::f32::consts::PI * (at as f32 + 1.0) / (length as f32 + 1.0);
    (0..length).map(|at| angle(at).sin().powi(2)).collect()
}
