//! Light on the face, on the aligned crop: clipping, brightness, contrast, uniformity.
//!
//! Source: ISO/IEC 29794-5 as its open implementation OFIQ describes it: under- and
//! over-exposure prevention, luminance mean and variance, dynamic range, illumination
//! uniformity. They are taken on the recogniser's grid, not on a segmented portrait. Brightness
//! also depends on the skin, so none of these is a verdict.

use super::plane::{Inside, Plane, oval};
use super::{Component, Components};

/// Luma up to this level counts as too dark to hold detail (OFIQ: 25).
const DARK: f32 = 25.0;

/// Luma from this level counts as clipped (OFIQ: 247).
const CLIPPED: f32 = 247.0;

/// Bins of the histograms that compare the two halves: coarse, since a half has few pixels here.
const UNIFORMITY_BINS: usize = 16;

pub(super) fn measure(crop: &Plane, inside: &Inside, components: &mut Components) {
    let mut histogram = [0_u32; 256];
    let mut halves = [[0_u32; UNIFORMITY_BINS]; 2];
    let (mut count, mut sum, mut square, mut dark, mut clipped) = (0_u32, 0.0, 0.0, 0_u32, 0_u32);
    for (y, first, end) in oval().filter(|&(y, _, end)| y < crop.height && end <= crop.width) {
        for x in inside.columns(y, first..end) {
            let luma = crop.row(y)[x].clamp(0.0, 255.0);
            count += 1;
            sum += f64::from(luma);
            square += f64::from(luma) * f64::from(luma);
            dark += u32::from(luma <= DARK);
            clipped += u32::from(luma >= CLIPPED);
            histogram[luma as usize] += 1;
            halves[usize::from(2 * x >= crop.width)][luma as usize * UNIFORMITY_BINS / 256] += 1;
        }
    }
    if count == 0 {
        return;
    }
    let share = |of: u32| of as f32 / count as f32;
    let mean = sum / f64::from(count);
    let variance = (square / f64::from(count) - mean * mean).max(0.0);
    components.set(Component::UnderExposurePrevention, 1.0 - share(dark));
    components.set(Component::OverExposurePrevention, 1.0 - share(clipped));
    components.set(Component::LuminanceMean, (mean / 255.0) as f32);
    let variance = (variance / (255.0 * 255.0)) as f32;
    components.set(Component::LuminanceVariance, variance);
    let filled = histogram.iter().filter(|&&bin| bin > 0);
    let entropy = filled.map(|&bin| -share(bin) * share(bin).log2()).sum();
    components.set(Component::DynamicRange, entropy);
    components.set(Component::IlluminationUniformity, overlap(&halves));
}

/// Intersection of the two normalised histograms: 0 is no level in common, 1 the same distribution.
fn overlap(halves: &[[u32; UNIFORMITY_BINS]; 2]) -> f32 {
    let totals = halves.map(|half| half.iter().sum::<u32>().max(1) as f32);
    let both = |bin: usize| {
        let shares = [0, 1].map(|half: usize| halves[half][bin] as f32 / totals[half]);
        shares[0].min(shares[1])
    };
    (0..UNIFORMITY_BINS).map(both).sum()
}
