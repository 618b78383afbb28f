//! What people wear or hold before their faces in degraded copies.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::degrade::{Degradation, Material, Pattern, Shape, unit};
use faceood_engine::cause::CauseName;
use faceood_engine::geometry::Point;

/// How often each thing covers a face, out of the sum.
const COVERS: [(Shape, u32); 9] = [
    (Shape::SurgicalMask, 4),
    (Shape::ClothMask, 4),
    (Shape::Respirator, 3),
    (Shape::Scarf, 2),
    (Shape::HandOverMouth, 2),
    (Shape::HandOverEyes, 2),
    (Shape::Sunglasses, 4),
    (Shape::EyeBar, 1),
    (Shape::HalfFace, 2),
];

/// Colours of skin, for hands.
const SKIN: [[u8; 3]; 5] = [
    [238, 205, 182],
    [220, 178, 148],
    [190, 140, 105],
    [140, 95, 68],
    [85, 58, 45],
];

/// Something over mouth or eyes, with its cause.
pub(super) fn cover(contour: &[Point], random: &mut ChaCha8Rng) -> (CauseName, Vec<Degradation>) {
    let shape = pick(&COVERS, random);
    let mut material = cloth(random);
    match shape {
        Shape::HandOverMouth | Shape::HandOverEyes => {
            material.pattern = Pattern::Plain;
            material.colour = SKIN[random.next_u32() as usize % SKIN.len()];
        }
        Shape::Sunglasses | Shape::EyeBar => {
            let dark = 5 + (random.next_u32() % 40) as u8;
            material.pattern = Pattern::Plain;
            material.colour = [dark, dark, dark + (random.next_u32() % 12) as u8];
            material.opacity = 0.8 + 0.2 * unit(random);
        }
        // Pleats have the mask's own colour, a little darker.
        Shape::SurgicalMask if material.pattern == Pattern::Stripes => {
            material.second_colour = material.colour.map(|level| level - level / 6);
        }
        _ => {}
    }
    let cause = match shape {
        Shape::SurgicalMask | Shape::ClothMask | Shape::Respirator | Shape::Scarf => {
            CauseName::Mask
        }
        _ => CauseName::Occlusion,
    };
    let covers = shape
        .outlines(contour, unit(random))
        .into_iter()
        .map(|outline| Degradation::Cover { outline, material })
        .collect();
    (cause, covers)
}

/// A cap that hides the forehead and shades the eyes in proportion to `strength`.
pub(super) fn cap(
    contour: &[Point],
    strength: f32,
    face_px: f32,
    random: &mut ChaCha8Rng,
) -> Vec<Degradation> {
    let turn = unit(random);
    let material = cloth(random);
    let brim = Shape::Cap.outlines(contour, turn).into_iter();
    let shade = Shape::CapShade.outlines(contour, turn).into_iter();
    brim.map(|outline| Degradation::Cover { outline, material })
        .chain(shade.map(|outline| Degradation::Shade {
            outline,
            depth: 0.4 + 0.58 * strength,
            softness_px: 0.15 * face_px,
        }))
        .collect()
}

/// Cloth in common colours of masks (white, light blue, black, grey, pink), or in any.
fn cloth(random: &mut ChaCha8Rng) -> Material {
    const COMMON: [[u8; 3]; 6] = [
        [236, 239, 242],
        [150, 190, 220],
        [24, 24, 27],
        [70, 80, 95],
        [205, 140, 150],
        [120, 150, 120],
    ];
    let mut any = || [0; 3].map(|_: u8| (random.next_u32() % 256) as u8);
    let (one, other) = (any(), any());
    let is_common = random.next_u32() % 10 < 7;
    Material {
        colour: if is_common {
            COMMON[random.next_u32() as usize % COMMON.len()]
        } else {
            one
        },
        second_colour: other,
        pattern: if is_common && random.next_u32() % 10 < 6 {
            Pattern::Plain
        } else {
            Pattern::ALL[random.next_u32() as usize % Pattern::ALL.len()]
        },
        repeats: 3.0 + 12.0 * unit(random),
        opacity: 1.0,
    }
}

/// Glasses with thick rims: the eyes stay visible.
pub(super) fn rims(contour: &[Point], random: &mut ChaCha8Rng) -> Vec<Degradation> {
    let dark = (random.next_u32() % 90) as u8;
    let material = Material {
        colour: [dark, dark / 2 + dark / 4, dark / 2],
        second_colour: [dark; 3],
        pattern: Pattern::Plain,
        repeats: 1.0,
        opacity: 1.0,
    };
    let outlines = Shape::Rims.outlines(contour, unit(random)).into_iter();
    outlines
        .map(|outline| Degradation::Cover { outline, material })
        .collect()
}

/// One of `choices`, as often as its share says.
pub(super) fn pick<T: std::marker::Copy>(choices: &[(T, u32)], random: &mut ChaCha8Rng) -> T {
    let sum: u32 = choices.iter().map(|(_, share)| share).sum();
    let mut left = random.next_u32() % sum;
    for &(choice, share) in choices {
        if left < share {
            return choice;
        }
        left -= share;
    }
    choices[0].0
}
