//! Draws the degraded copies of a photo. The seed depends on the photo and the copy only, so
//! adding a photo does not change the copies of others.

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::photos::Group;
use super::worn::{cap, cover, pick, rims};
use crate::degrade::{Codec, Degradation, DegradationKind, Recipe, degrade, unit};
use faceood_engine::capture::pixels;
use faceood_engine::cause::CauseName;
use faceood_engine::geometry::{BoundingBox, Point};

/// Degraded copies of a photo of a named person, of a person with one photo, and of a web crop.
const COPIES: [(Group, u32); 4] = [
    (Group::Named, 40),
    (Group::Single, 16),
    (Group::Wild, 3),
    (Group::Press, 7),
];
/// Copies of a photo as the web passes it on: see [`pass_on`].
const PASSED_ON: [(Group, u32); 4] = [
    (Group::Named, 8),
    (Group::Single, 3),
    (Group::Press, 2),
    (Group::Masked, 1),
];
/// Range of the width of faces in pictures that are passed on, before they are enlarged again.
const PASSED_ON_PX: [f32; 2] = [45.0, 110.0];
/// One of so many copies wears glasses with thick rims, which hide no eye.
const RIMS_EVERY: u32 = 8;
/// The first scene of copies that are passed on; a photo has fewer others.
const PASSED_ON_SCENE: u32 = 800;
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
    /// The part of the photo that is left, in its pixels, where it was cut before all else.
    pub(super) cut: Option<BoundingBox>,
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
            cut: None,
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
        let part = self.cut.map(|part| {
            let [x, y, width, height] = [part.x, part.y, part.width, part.height];
            pixels::crop(picture, x as u32, y as u32, width as u32, height as u32)
        });
        let picture = part.as_ref().unwrap_or(picture);
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
    face: &BoundingBox,
    contour: &[Point],
    faults: &Faults,
) -> Vec<Copy> {
    let face_px = face.width.max(face.height);
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
    for scene in (PASSED_ON_SCENE..).take(count_of(&PASSED_ON) as usize) {
        let mut random = ChaCha8Rng::seed_from_u64(photo * 1000 + u64::from(scene));
        copies.push(pass_on(scene, face, contour, group, &mut random));
    }
    copies
}

/// A copy as the web passes pictures on: cut tight around the face, shrunk, written, enlarged and
/// written again; some are retouched, tinted, grey or grained. So every kind of person has such
/// pictures, and not only those of the web crops.
fn pass_on(
    scene: u32,
    face: &BoundingBox,
    contour: &[Point],
    group: Group,
    random: &mut ChaCha8Rng,
) -> Copy {
    let face_px = face.width.max(face.height);
    let mut margin = || (0.5 * unit(random) - 0.06) * face_px;
    let (left, top) = ((face.x - margin()).max(0.0), (face.y - margin()).max(0.0));
    let right = face.x + face.width + margin();
    let bottom = face.y + face.height + margin();
    let (left, top) = (left.floor(), top.floor());
    let small_px = PASSED_ON_PX[0] * (PASSED_ON_PX[1] / PASSED_ON_PX[0]).powf(unit(random));
    let enlarged = 1.0 + 1.5 * unit(random);
    let mut copy = Copy::untouched();
    copy.scene = scene;
    copy.cut = Some(BoundingBox::new(left, top, right - left, bottom - top));
    copy.scale = small_px * enlarged / face_px;
    let at =
        |point: &Point| Point::new((point.x - left) * copy.scale, (point.y - top) * copy.scale);
    let contour: Vec<Point> = contour.iter().map(at).collect();
    if group != Group::Masked && random.next_u32().is_multiple_of(COVERED_EVERY) {
        let (cause, covers) = cover(&contour, random);
        copy.steps.extend(covers);
        show(cause, 1.0, &mut copy.symptoms);
    } else if random.next_u32().is_multiple_of(RIMS_EVERY) {
        copy.steps.extend(rims(&contour, random));
    }
    if unit(random) < 0.3 {
        copy.steps.push(Degradation::Noise {
            iso: 200.0 * (4.0 * unit(random)).exp2(),
            smoothing: unit(random),
        });
    }
    copy.steps.push(Degradation::Filter {
        contrast: 0.75 + 0.6 * unit(random),
        saturation: if unit(random) < 0.25 {
            0.0
        } else {
            0.5 + unit(random)
        },
        smoothing: (unit(random) - 0.6).max(0.0) / 0.4,
    });
    let quality = 25 + (random.next_u32() % 36) as u8;
    copy.steps.push(Degradation::Compression {
        codec: if unit(random) < 0.2 {
            Codec::Webp
        } else {
            Codec::JpegHalfColour
        },
        quality,
        scale: 1.0 / enlarged,
    });
    copy.steps.push(Degradation::Compression {
        codec: Codec::JpegHalfColour,
        quality: 80,
        scale: 1.0,
    });
    show(
        CauseName::Compression,
        f64::from(60 - quality) / 35.0,
        &mut copy.symptoms,
    );
    let few = (PASSED_ON_PX[1] / small_px).log2() / (PASSED_ON_PX[1] / PASSED_ON_PX[0]).log2();
    show(
        CauseName::LowResolution,
        0.7 * f64::from(few),
        &mut copy.symptoms,
    );
    copy.seed = random.next_u64();
    copy
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
    } else if random.next_u32().is_multiple_of(RIMS_EVERY) {
        copy.steps.extend(rims(&contour, random));
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
        let face = BoundingBox::new(30.0, 20.0, 150.0, 150.0);
        plan(group, 7, &face, &contour, faults)
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
    fn copies_that_are_passed_on_are_cut_around_the_face_and_some_are_covered() {
        let passed: Vec<Copy> = (0..40)
            .flat_map(|photo| {
                let face = BoundingBox::new(100.0, 80.0, 60.0, 70.0);
                plan(Group::Named, photo, &face, &[], &Faults::default())
            })
            .filter(|copy| copy.cut.is_some())
            .collect();
        assert_eq!(passed.len(), 40 * 8);
        for copy in &passed {
            let cut = copy.cut.unwrap();
            assert!(
                (55.0..=105.0).contains(&cut.x) && cut.width < 60.0 + 80.0,
                "{cut:?}"
            );
            let written = copy.steps.iter().filter_map(|step| match step {
                Degradation::Compression { quality, scale, .. } => Some((*quality, *scale)),
                _ => None,
            });
            let written: Vec<(u8, f32)> = written.collect();
            let (quality, scale) = written[0];
            assert!((25..=60).contains(&quality) && scale <= 1.0);
            let small_px = 70.0 * copy.scale * scale;
            assert!((44.9..110.1).contains(&small_px), "{small_px}");
            assert_eq!(written[1], (80, 1.0));
        }
        let covered = passed.iter().filter(|copy| {
            CauseName::COVERS
                .into_iter()
                .any(|cause| shows(&copy.symptoms, cause))
        });
        assert!((30..110).contains(&covered.count()));
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
            let gate = |faults| -> Vec<Copy> {
                let copies = planned(group, faults).into_iter();
                copies.filter(|copy| copy.cut.is_none()).collect()
            };
            let (with, without) = (gate(&faults), gate(&only));
            assert_eq!(named(&with[..without.len()]), named(&without));
            let added = &with[without.len()..];
            assert!(added.iter().all(blurred));
            let second_shots = added.iter().filter(|copy| copy.shift != [0, 0]).count();
            assert_eq!(added.len() - second_shots, 2 * more as usize);
        }
        let masked = planned(Group::Masked, &faults);
        assert!(masked.iter().all(|copy| copy.cut.is_some()));
    }
}
