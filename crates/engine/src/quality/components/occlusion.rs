//! Whether the lower face and the eyes are visible, on the recogniser's grid.
//!
//! Source: ISO/IEC 29794-5 mouth occlusion prevention is a share of segmented pixels. There is
//! no segmentation network here. A logistic model combines what a mask, a scarf or a hand
//! changes: colour of the lower face against the cheeks, redness of the lips, dark lines of
//! mouth and nostrils, edges across the cheeks, and texture. No cue decides alone, colour is
//! relative to the same face's cheeks, and grey pictures were in the training set.
//!
//! The weights were fitted on 489 real masks and about 980 bare faces of many skin colours
//! (with beards, glasses and hands), on painted masks and hands, and on noisy, blurred,
//! compressed, dark, grey and tinted copies of all. Five-fold cross-validation over people, at
//! a visible share of ½: .92 of real masks and .98 of painted hands are found. Bare faces taken
//! for covered: .009 (grey .012, blurred beyond recognition .04, overexposed twenty-fold .12,
//! in dark glasses .08).

use std::ops::Range;
use std::sync::LazyLock;

use super::plane::{Inside, Plane};
use crate::face::ALIGNED_SIDE;
use image::RgbImage;

const SIDE: usize = ALIGNED_SIDE as usize;

type Area = (Range<usize>, Range<usize>);

/// Skin that a mask leaves bare: under the eyes, and between them.
const UPPER: [Area; 3] = [(34..46, 59..66), (66..78, 59..66), (50..62, 44..56)];

/// Skin around the mouth: beside it, chin, upper lip.
const LOWER: [Area; 4] = [
    (30..42, 78..92),
    (70..82, 78..92),
    (46..66, 101..110),
    (48..64, 78..86),
];

const EYES: Area = (32..80, 44..60);
const MOUTH: Area = (42..70, 84..102);
const LIPS: Area = (42..70, 84..100);
const NOSTRILS: Area = (46..66, 72..82);
const JAW: Area = (34..78, 80..104);

/// What all areas cover, with the pixels right and below that [`steps`] reads.
const READ: Area = (28..85, 44..111);

/// Columns of the cheeks, between which the nose stands.
const CHEEKS: [Range<usize>; 2] = [32..46, 66..80];

/// Rows over which a mask's upper edge may run, and how far apart two rows are compared.
const EDGE_ROWS: Range<usize> = 57..84;
const EDGE_STEP: usize = 6;

const CUES: usize = 14;

/// For each cue: mean and inverse deviation in the training, weight, weight of its square.
const MODEL: [(f32, f32, f32, f32); CUES] = [
    (0.0009, 7.139, -1.602, 0.776),
    (0.0466, 12.793, 0.999, -0.285),
    (0.1976, 5.114, -1.005, 0.365),
    (-0.1084, 6.276, 0.642, 0.495),
    (-0.1185, 7.114, -0.585, -0.332),
    (-0.3092, 3.938, 0.684, 0.198),
    (-0.3450, 3.858, 0.698, 0.253),
    (-0.3467, 1.348, -1.109, 0.744),
    (-0.5832, 1.658, 0.543, 0.183),
    (-1.6449, 0.788, 0.403, 0.227),
    (0.3344, 3.291, 1.243, -0.198),
    (-2.7974, 0.976, -0.932, -0.257),
    (-3.4744, 1.369, 1.006, -0.029),
    (0.1731, 5.609, -0.945, 0.173),
];

const BIAS: f32 = -4.422;

/// A cue further from its mean than this many deviations says no more than at it.
const FAR: f32 = 4.0;

/// How much of the lower face is visible: the model's probability that nothing covers it, 0…1.
/// `None` where too little of the face lies inside the picture.
pub(super) fn mouth_visible(channels: &Channels) -> Option<f32> {
    let cues = channels.cues()?;
    let logit: f32 = cues
        .iter()
        .zip(&MODEL)
        .map(|(&cue, &(mean, scale, weight, square))| {
            // A cue that cannot be told is as the average.
            let z = cue.map_or(0.0, |cue| ((cue - mean) * scale).clamp(-FAR, FAR));
            z * (weight + square * z)
        })
        .sum::<f32>()
        + BIAS;
    Some(1.0 / (1.0 + logit.exp()))
}

/// The eyes with their lids, left and right.
const EYE_BOXES: [Area; 2] = [(28..49, 45..58), (63..84, 45..58)];

/// Skin that the eyes are compared with: under each, and the nose.
const BESIDE_EYES: [Area; 3] = [(34..46, 59..66), (66..78, 59..66), (46..66, 64..74)];

/// How bright the brightest fifth of the lighter eye is against that skin (difference of
/// logarithms). At the first number the eyes are free, at the second they are covered. Of 975 bare
/// faces only two, in dark glasses, fell below −.8. Glasses painted black reach −1.9 to −1.1.
const EYES_DARK: (f32, f32) = (-0.75, -0.95);

/// How much of the eyes is visible, 0…1. Bare eyes have bright lids and whites, also behind clear
/// glasses; dark glasses leave nothing bright. Light or mirroring ones are not noticed.
pub(super) fn eyes_visible(channels: &Channels) -> Option<f32> {
    let light = &channels.light;
    let skin = mean_of(light, &BESIDE_EYES)?;
    let brightest = |area: &Area| {
        let mut values = inner(light, area);
        (values.len() >= 100).then(|| quantile(&mut values, 0.8))?
    };
    let lighter = brightest(&EYE_BOXES[0])?.max(brightest(&EYE_BOXES[1])?) - skin;
    let covered = (lighter - EYES_DARK.0) / (EYES_DARK.1 - EYES_DARK.0);
    Some(1.0 - covered.clamp(0.0, 1.0))
}

/// The crop as logarithms, where light and white balance are mere shifts; NaN outside.
pub(super) struct Channels {
    /// Of luma.
    light: Vec<f32>,
    /// Of red to green.
    red: Vec<f32>,
    /// Of blue to green.
    blue: Vec<f32>,
}

/// Steps of luma that are told apart.
const LEVELS: usize = 1020;

/// Logarithms of luma and of a colour's 8-bit value. The offsets keep dark pixels, whose ratios are
/// chance, near neutral.
static LIGHT: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let level = |at: usize| 255.0 * at as f32 / LEVELS as f32;
    (0..=LEVELS).map(|at| (level(at) + 8.0).ln()).collect()
});
static COLOUR: LazyLock<Vec<f32>> =
    LazyLock::new(|| (0..256).map(|at| (at as f32 + 12.0).ln()).collect());

impl Channels {
    /// `luma` is the crop's.
    pub(super) fn of(crop: &RgbImage, luma: &Plane, inside: &Inside) -> Option<Self> {
        if crop.dimensions() != (ALIGNED_SIDE, ALIGNED_SIDE) {
            return None;
        }
        let mut channels = Self {
            light: vec![f32::NAN; SIDE * SIDE],
            red: vec![f32::NAN; SIDE * SIDE],
            blue: vec![f32::NAN; SIDE * SIDE],
        };
        let pixels = crop.as_raw().as_chunks::<3>().0;
        for y in READ.1 {
            for x in inside.columns(y, READ.0) {
                let at = y * SIDE + x;
                // To the nearest, which `round` would need a call for.
                let level = luma.values[at] * LEVELS as f32 / 255.0;
                let below = level as usize;
                let nearest = below + usize::from(level - below as f32 >= 0.5);
                channels.light[at] = LIGHT.get(nearest).copied().unwrap_or(f32::NAN);
                let [red, green, blue] = pixels[at].map(|value| COLOUR[usize::from(value)]);
                channels.red[at] = red - green;
                channels.blue[at] = blue - green;
            }
        }
        Some(channels)
    }

    fn cues(&self) -> Option<[Option<f32>; CUES]> {
        let (light, red, blue) = (&self.light, &self.red, &self.blue);
        let upper = [mean_of(red, &UPPER)?, mean_of(blue, &UPPER)?];
        let lower = [mean_of(red, &LOWER)?, mean_of(blue, &LOWER)?];
        let eyes = [steps(light, &EYES, 1)?, steps(light, &EYES, SIDE)?];
        let relative = |area: &Area, stride: usize| {
            let reference = if stride == 1 { eyes[0] } else { eyes[1] };
            steps(light, area, stride).map(|energy| energy - reference)
        };
        let cheeks = [relative(&LOWER[0], SIDE), relative(&LOWER[1], SIDE)];
        Some([
            Some(lower[0] - upper[0]),
            Some((lower[1] - upper[1]).abs()),
            Some(lower[0]),
            Some(lower[1]),
            Some(upper[1]),
            mouth_line(light),
            below_median(light, &NOSTRILS, 0.08),
            relative(&MOUTH, SIDE),
            relative(&MOUTH, 1),
            cheeks[0].zip(cheeks[1]).map(|(left, right)| left + right),
            cheek_edge(light),
            deviation(&inner(blue, &JAW)).map(|spread| (spread + 0.01).ln()),
            upper_spread(red),
            quantile(&mut inner(red, &LIPS), 0.9)
                .zip(quantile(&mut inner(red, &JAW), 0.5))
                .map(|(lips, jaw)| lips - jaw),
        ])
    }
}

fn inner(channel: &[f32], area: &Area) -> Vec<f32> {
    let mut values = Vec::with_capacity(area.0.len() * area.1.len());
    for y in area.1.clone() {
        let row = &channel[y * SIDE..][area.0.clone()];
        if row.iter().fold(true, |all, value| all & value.is_finite()) {
            values.extend_from_slice(row);
        } else {
            values.extend(row.iter().filter(|value| value.is_finite()));
        }
    }
    values
}

/// The area's mean, if more than half of it lies inside the picture.
fn mean(channel: &[f32], area: &Area) -> Option<f32> {
    let values = inner(channel, area);
    (2 * values.len() > area.0.len() * area.1.len())
        .then(|| values.iter().sum::<f32>() / values.len() as f32)
}

/// Mean of the areas' means, of those that lie inside the picture.
fn mean_of(channel: &[f32], areas: &[Area]) -> Option<f32> {
    let means: Vec<f32> = areas
        .iter()
        .filter_map(|area| mean(channel, area))
        .collect();
    (!means.is_empty()).then(|| means.iter().sum::<f32>() / means.len() as f32)
}

/// Logarithm of the mean absolute step to the next pixel, `stride` values on.
fn steps(channel: &[f32], area: &Area, stride: usize) -> Option<f32> {
    let (mut sum, mut count) = (0.0, 0);
    for y in area.1.clone() {
        for x in area.0.clone() {
            let at = y * SIDE + x;
            let step = channel[at + stride] - channel[at];
            if step.is_finite() {
                sum += step.abs();
                count += 1;
            }
        }
    }
    (5 * count > 2 * area.0.len() * area.1.len()).then(|| (sum / count as f32 + 0.004).ln())
}

/// How much darker the darkest row of the mouth is than its rows are in the middle.
fn mouth_line(light: &[f32]) -> Option<f32> {
    let rows = MOUTH.1.filter_map(|y| mean(light, &(46..66, y..y + 1)));
    let mut rows: Vec<f32> = rows.collect();
    if rows.len() <= 6 {
        return None;
    }
    let darkest = rows.iter().copied().fold(f32::INFINITY, f32::min);
    quantile(&mut rows, 0.5).map(|middle| darkest - middle)
}

/// How far the area's quantile lies under its median.
fn below_median(channel: &[f32], area: &Area, share: f32) -> Option<f32> {
    let mut values = inner(channel, area);
    if values.len() <= 20 {
        return None;
    }
    let low = quantile(&mut values, share)?;
    quantile(&mut values, 0.5).map(|middle| low - middle)
}

fn cheek_edge(light: &[f32]) -> Option<f32> {
    let profile: Vec<f32> = EDGE_ROWS
        .map(|y| {
            let of = |columns: &Range<usize>| inner(light, &(columns.clone(), y..y + 3));
            let values: Vec<f32> = CHEEKS.iter().flat_map(of).collect();
            values.iter().sum::<f32>() / values.len() as f32
        })
        .collect();
    profile
        .windows(EDGE_STEP + 1)
        .map(|rows| (rows[EDGE_STEP] - rows[0]).abs())
        .filter(|edge| edge.is_finite())
        .max_by(f32::total_cmp)
}

/// How differently red the upper skin's parts are, as a logarithm.
fn upper_spread(red: &[f32]) -> Option<f32> {
    let means: Option<Vec<f32>> = UPPER.iter().map(|area| mean(red, area)).collect();
    deviation(&means?).map(|spread| (spread + 0.01).ln())
}

fn deviation(values: &[f32]) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let square = values.iter().map(|value| (value - mean).powi(2));
    Some((square.sum::<f32>() / count).sqrt())
}

/// The value below which `share` of the values lie; reorders them.
fn quantile(values: &mut [f32], share: f32) -> Option<f32> {
    let rank = (values.len().checked_sub(1)? as f32 * share).round() as usize;
    let (_, &mut value, _) = values.select_nth_unstable_by(rank, f32::total_cmp);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_is_read() {
        let cheeks = CHEEKS.map(|columns| (columns, EDGE_ROWS.start..EDGE_ROWS.end + 2));
        let areas = [&UPPER[..], &LOWER, &EYE_BOXES, &BESIDE_EYES, &cheeks].concat();
        for (columns, rows) in [EYES, MOUTH, LIPS, NOSTRILS, JAW].into_iter().chain(areas) {
            assert!(READ.0.start <= columns.start && columns.end < READ.0.end);
            assert!(READ.1.start <= rows.start && rows.end < READ.1.end);
        }
    }
}
