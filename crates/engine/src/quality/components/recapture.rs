//! Periodic patterns of a photographed screen or print, at native resolution.
//!
//! Source: moiré and pixel grids are isolated peaks in the spectrum (H. Cao and A. Kot,
//! "Identification of recaptured photographs on LCD screens", ICASSP 2010). Peaks are searched
//! in luma, and in the difference of green to red and blue: a screen's coloured stripes show
//! there, and a face has no fine detail there. Multiples of a JPEG block's frequency on the
//! axes do not count.

use std::sync::LazyLock;

use super::plane::Plane;
use super::spectrum::{SIDE, Spectrum, Weights, all_frequencies, frequency, median, place};

/// Rings of the spectrum whose median is the background of the peaks in them, 4 steps wide.
const RING_COUNT: usize = 24;

/// Lowest frequency of a pattern, in cycles per pixel; below it lies the face itself.
const FROM: f32 = 0.10;

/// Height over the background (log of power) that at most 1 in 50 faces without any pattern reach:
/// in luma (blurred by motion: 7.5) and in colour (compressed: 5.7).
const NATURAL: [f32; 2] = [7.5, 5.7];

/// The places of each ring in the spectrum, without those where no pattern is sought.
static RINGS: LazyLock<[Vec<usize>; RING_COUNT]> = LazyLock::new(|| {
    let mut rings = [const { Vec::new() }; RING_COUNT];
    for (row, column) in all_frequencies() {
        let (fx, fy) = frequency(row, column);
        let radius = fx.hypot(fy);
        let (x, y) = (column, row.min(SIDE - row));
        let is_harmonic = |step: usize| matches!(step % 16, 0 | 1 | 15);
        let is_block_grid = (is_harmonic(x) && y <= 2) || (is_harmonic(y) && x <= 2);
        if radius > FROM
            && !is_block_grid
            && let Some(ring) = rings.get_mut((radius * SIDE as f32 / 4.0) as usize)
        {
            ring.push(place(row, column));
        }
    }
    rings
});

/// How far the highest peak rises over what faces show by themselves, in units of the logarithm of
/// power; 0 = no pattern. `None` where there are too few pixels.
pub(super) fn pattern(luma: &Plane, colour: &Plane) -> Option<f32> {
    if luma.width < 12 || luma.height < 12 {
        return None;
    }
    let across = hann(luma.width);
    let mut window = Vec::with_capacity(luma.values.len());
    for down in hann(luma.height) {
        window.extend(across.iter().map(|weight| weight * down));
    }
    let [luma, colour] = Spectrum::of([luma, colour], &Weights::new(window))?;
    let peaks = [peak(&luma)?, peak(&colour)?];
    Some((peaks[0] - NATURAL[0]).max(peaks[1] - NATURAL[1]).max(0.0))
}

/// Height of the highest peak over the median of its ring.
fn peak(spectrum: &Spectrum) -> Option<f32> {
    let mut powers = Vec::new();
    RINGS
        .iter()
        .filter(|ring| ring.len() > 8)
        .filter_map(|ring| {
            powers.clear();
            powers.extend(ring.iter().map(|&place| spectrum.power[place].to_bits()));
            let highest = powers.iter().copied().max().map(f32::from_bits)?;
            let median = median(&mut powers)?;
            // Half a level² of rounding noise keeps the background from vanishing.
            Some(((highest + 0.5) / (median + 0.5)).ln())
        })
        .max_by(f32::total_cmp)
}

fn hann(length: usize) -> Vec<f32> {
    let angle = |at: usize| std::f32::consts::PI * (at as f32 + 1.0) / (length as f32 + 1.0);
    (0..length).map(|at| angle(at).sin().powi(2)).collect()
}
