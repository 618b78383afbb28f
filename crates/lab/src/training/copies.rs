//! Draws the degraded copies of a photo. The seed depends on the photo and the copy only, so
//! adding a photo does not change the copies of others.

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::photos::Group;
use crate::degrade::{
    Codec, Degradation, DegradationKind, Material, Pattern, Recipe, Shape, degrade, unit,
};
use faceood_engine::capture::pixels;
use faceood_engine::cause::CauseName;
use faceood_engine::geometry::Point;

/// Degraded copies of a photo of a named person, of a person with one photo, and of a web crop.
const COPIES: [(Group, u32); 3] = [(Group::Named, 40), (Group::Single, 16), (Group::Wild, 3)];
/// Copies of a photo of each group for each additional recipe: about as many as the recipe's
/// own have of one kind.
const MORE_COPIES: [(Group, u32); 2] = [(Group::Named, 8), (Group::Single, 4)];
/// Every nth copy has a second shot of the same scene.
const SECOND_SHOT_EVERY: u32 = 3;
/// In every nth copy the face is covered.
const COVERED_EVERY: u32 = 5;
/// Range of the width of faces as gate cameras take them, in pixels. Copies are spread evenly over
/// it on a logarithmic scale.
const GATE_PX: [f32; 2] = [44.0, 220.0];

/// How often each kind is drawn, out of the sum; none is the shade of a cap.
const SHARES: [(Option<DegradationKind>, u32); 9] = [
    (Some(DegradationKind::Noise), 6),
    (Some(DegradationKind::DefocusBlur), 4),
    (Some(DegradationKind::MotionBlur), 4),
    (Some(DegradationKind::LowResolution), 6),
    (Some(DegradationKind::Compression), 4),
    (Some(DegradationKind::Underexposure), 3),
    (Some(DegradationKind::Overexposure), 3),
    (Some(DegradationKind::Recapture), 4),
    (None, 1),
];

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

/// How clearly each of the head's causes shows, 0–1, in the head's order.
pub(super) type CauseStrengths = [f64; CauseName::LEARNT.len()];

/// Strength from which a single fault shows clearly.
const PLAIN: f64 = 0.3;

/// A copy to be made of a photo.
#[derive(Clone)]
pub(super) struct Copy {
    /// Size in which the camera takes it, as a share of the photo's.
    pub(super) scale: f32,
    /// Degradations in pixels of that size.
    steps: Vec<Degradation>,
    pub(super) symptoms: CauseStrengths,
    /// The scene's number within the photo: shots of one scene share it.
    pub(super) scene: u32,
    /// Pixels cut off at the left and the top, because another shot has another pixel grid.
    pub(super) shift: [u32; 2],
    seed: u64,
}

impl Copy {
    pub(super) fn untouched() -> Self {
        Self {
            scale: 1.0,
            steps: Vec::new(),
            symptoms: CauseStrengths::default(),
            scene: 0,
            shift: [0, 0],
            seed: 0,
        }
    }

    /// A drawing hides all of the face. It is a scene of its own.
    pub(super) fn drawing() -> Self {
        let mut drawing = Self::untouched();
        drawing.scene = u32::MAX;
        show(CauseName::Occlusion, 1.0, &mut drawing.symptoms);
        drawing
    }

    pub(super) fn of(&self, picture: &RgbImage) -> RgbImage {
        let side = |length: u32| ((length as f32 * self.scale).round() as u32).max(1);
        let taken = pixels::resize(picture, side(picture.width()), side(picture.height()));
        let [left, top] = self.shift;
        let width = taken.width().saturating_sub(left);
        let height = taken.height().saturating_sub(top);
        let cut = pixels::crop(&taken, left, top, width, height);
        degrade(&cut, &self.steps, self.seed)
    }
}

/// Degradations to train on in place of those of the default pack.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Kinds that no copy shows.
    pub without: Vec<DegradationKind>,
    /// Additional recipes, found at sites.
    pub more: Vec<Recipe>,
}

/// The copies of photo number `photo`, whose face is `face_px` wide and has this contour.
pub(super) fn plan(
    group: Group,
    photo: u64,
    face_px: f32,
    contour: &[Point],
    faults: &Faults,
) -> Vec<Copy> {
    let count_of = |counts: &[(Group, u32)]| {
        let found = counts.iter().find(|(of, _)| *of == group);
        found.map_or(0, |(_, count)| *count)
    };
    let (count, more) = (count_of(&COPIES), count_of(&MORE_COPIES));
    let mut copies = Vec::new();
    if count > 0 {
        // Another shot of the clean scene.
        copies.push(another_shot(&Copy::untouched(), photo, 0));
    }
    let recipes = faults
        .more
        .iter()
        .flat_map(|recipe| (0..more).map(move |_| Some(recipe)));
    for (scene, recipe) in (1..).zip((0..count).map(|_| None).chain(recipes)) {
        let mut random = ChaCha8Rng::seed_from_u64(photo * 1000 + u64::from(scene));
        let copy = draw(recipe, scene, face_px, contour, &mut random);
        let is_shown = |kind: &DegradationKind| shows(&copy.symptoms, kind.cause());
        if recipe.is_none() && faults.without.iter().any(is_shown) {
            continue;
        }
        if scene % SECOND_SHOT_EVERY == 1 {
            copies.push(another_shot(&copy, photo, scene));
        }
        copies.push(copy);
    }
    copies
}

/// The first shot of a scene, as a gate camera takes it and writes it: with the faults of `recipe`,
/// or with those of the default pack.
fn draw(
    recipe: Option<&Recipe>,
    scene: u32,
    face_px: f32,
    contour: &[Point],
    random: &mut ChaCha8Rng,
) -> Copy {
    let gate_px = GATE_PX[0] * (GATE_PX[1] / GATE_PX[0]).powf(unit(random));
    let mut copy = Copy::untouched();
    copy.scene = scene;
    copy.scale = (gate_px / face_px).min(1.0);
    let face_px = face_px * copy.scale;
    let faults = match recipe {
        None => add_faults(&mut copy, face_px, contour, random),
        Some(recipe) => {
            let (steps, faults) = recipe.draw(face_px, random);
            copy.steps = steps;
            faults
        }
    };
    // The strongest fault shows fully, the others in proportion to it.
    let strengths = faults.iter().map(|(_, strength)| f64::from(*strength));
    let strongest = strengths.fold(1e-6, f64::max);
    for (kind, strength) in faults {
        let strength = f64::from(strength);
        let seen = (strength / PLAIN).min(1.0) * strength / strongest;
        show(kind.cause(), seen, &mut copy.symptoms);
    }
    // Hardly a camera sends its pixels as they are.
    if unit(random) < 0.7 {
        copy.steps.push(Degradation::Compression {
            codec: Codec::JpegHalfColour,
            quality: 75 + (random.next_u32() % 22) as u8,
            scale: 1.0,
        });
    }
    copy.seed = random.next_u64();
    copy
}

/// Adds the default pack's faults to a copy, and returns their strengths.
fn add_faults(
    copy: &mut Copy,
    face_px: f32,
    contour: &[Point],
    random: &mut ChaCha8Rng,
) -> Vec<(DegradationKind, f32)> {
    let contour: Vec<Point> = contour
        .iter()
        .map(|point| Point::new(point.x * copy.scale, point.y * copy.scale))
        .collect();
    let is_covered = copy.scene.is_multiple_of(COVERED_EVERY);
    if is_covered {
        let (cause, covers) = cover(&contour, random);
        copy.steps.extend(covers);
        show(cause, 1.0, &mut copy.symptoms);
    }
    // A covered face is often a good picture otherwise. Most others have one fault, some two or
    // three.
    let kinds = match (is_covered, random.next_u32() % 10) {
        (true, 0..5) => 0,
        (true, _) | (false, 0..7) => 1,
        (false, 7..9) => 2,
        (false, _) => 3,
    };
    let mut faults = Vec::new();
    for _ in 0..kinds {
        // Several at once are each milder, like pictures that people still submit.
        let most = if kinds > 1 { 0.7 } else { 1.0 };
        let strength = most * unit(random);
        let kind = pick(&SHARES, random);
        match kind {
            Some(kind) => copy.steps.extend(kind.draw(strength, face_px, random)),
            None => copy.steps.extend(cap(&contour, strength, face_px, random)),
        }
        // A cap's shade is a lack of light.
        faults.push((kind.unwrap_or(DegradationKind::Underexposure), strength));
    }
    faults
}

/// The same scene a moment later: other noise, another place on the pixel grid, slightly other
/// light, a slight move of the hand.
fn another_shot(copy: &Copy, photo: u64, scene: u32) -> Copy {
    let mut random = ChaCha8Rng::seed_from_u64(photo * 1000 + 500 + u64::from(scene));
    let mut again = copy.clone();
    again.shift = [1 + random.next_u32() % 7, 1 + random.next_u32() % 7];
    let stops = 0.4 * (unit(&mut random) - 0.5);
    again.steps.push(Degradation::Exposure(stops));
    again.steps.push(Degradation::MotionBlur {
        length_px: 1.5 * unit(&mut random),
        angle_deg: 180.0 * unit(&mut random),
        bend_deg: 0.0,
    });
    again.seed = random.next_u64();
    // Outlines are in the photo's pixels: they move with the grid.
    for step in &mut again.steps {
        if let Degradation::Cover { outline, .. } | Degradation::Shade { outline, .. } = step {
            for point in outline {
                point.x -= again.shift[0] as f32;
                point.y -= again.shift[1] as f32;
            }
        }
    }
    again
}

/// Raises the visibility of `cause` to `seen`, unless it is higher already.
fn show(cause: CauseName, seen: f64, symptoms: &mut CauseStrengths) {
    if let Some(place) = cause.place() {
        symptoms[place] = symptoms[place].max(seen);
    }
}

pub(super) fn shows(symptoms: &CauseStrengths, cause: CauseName) -> bool {
    cause.place().is_some_and(|place| symptoms[place] > 0.0)
}

/// Something over mouth or eyes, with its cause.
fn cover(contour: &[Point], random: &mut ChaCha8Rng) -> (CauseName, Vec<Degradation>) {
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
fn cap(
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

/// One of `choices`, as often as its share says.
fn pick<T: std::marker::Copy>(choices: &[(T, u32)], random: &mut ChaCha8Rng) -> T {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::degrade::Dose;

    fn planned(group: Group, faults: &Faults) -> Vec<Copy> {
        // The head's outline does not matter here, as long as it has a width and a height.
        let contour: Vec<Point> = (0..68_u16)
            .map(|point| {
                let turn = f32::from(point);
                Point::new(100.0 + 50.0 * turn.cos(), 100.0 + 60.0 * turn.sin())
            })
            .collect();
        plan(group, 7, 150.0, &contour, faults)
    }

    /// What makes a copy the one that it is.
    fn named(copies: &[Copy]) -> Vec<(u32, [u32; 2], u64)> {
        let name = |copy: &Copy| (copy.scene, copy.shift, copy.seed);
        copies.iter().map(name).collect()
    }

    fn blurred(copy: &Copy) -> bool {
        shows(&copy.symptoms, CauseName::MotionBlur)
    }

    #[test]
    fn a_kind_that_is_left_out_takes_its_copies_along_and_changes_no_others() {
        let all = planned(Group::Named, &Faults::default());
        let rest = planned(
            Group::Named,
            &Faults {
                without: vec![DegradationKind::MotionBlur],
                more: Vec::new(),
            },
        );
        assert!(all.iter().any(blurred));
        let expected: Vec<Copy> = all.into_iter().filter(|copy| !blurred(copy)).collect();
        assert_eq!(named(&rest), named(&expected));
    }

    #[test]
    fn a_pattern_adds_copies_of_its_kind_and_changes_no_others() {
        let recipe = Recipe {
            kinds: vec![Dose {
                kind: DegradationKind::MotionBlur,
                strengths: [0.4, 0.8],
            }],
        };
        let faults = Faults {
            without: vec![DegradationKind::MotionBlur],
            more: vec![recipe.clone(), recipe],
        };
        let only = Faults {
            more: Vec::new(),
            ..faults.clone()
        };
        for (group, more) in MORE_COPIES {
            let (with, without) = (planned(group, &faults), planned(group, &only));
            assert_eq!(named(&with[..without.len()]), named(&without));
            let added = &with[without.len()..];
            assert!(added.iter().all(blurred));
            let second_shots = added.iter().filter(|copy| copy.shift != [0, 0]).count();
            assert_eq!(added.len() - second_shots, 2 * more as usize);
        }
        let masked = planned(Group::Masked, &faults);
        assert!(masked.is_empty());
    }
}
