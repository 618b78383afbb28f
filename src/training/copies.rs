//! Which degraded copies of a photo are made: drawn on a seed that belongs to the photo and the copy, so that adding a photo
//! changes no other photo's copies.

use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::photos::Group;
use crate::capture::pixels;
use crate::degrade::{Degradation, Kind, degrade, eye_bar_outline, mask_outline};
use crate::geometry::Point;

/// Degraded copies of a photo of a named person, and of a person with one photo.
const COPIES: [(Group, u32); 2] = [(Group::Named, 14), (Group::Single, 7)];
/// Every so many copies the same scene is shot twice.
const SECOND_SHOT_EVERY: u32 = 3;
/// Every so many copies the face is covered.
const COVERED_EVERY: u32 = 7;

/// How often each kind is drawn, out of the sum.
const SHARES: [(Kind, u32); 8] = [
    (Kind::Noise, 6),
    (Kind::DefocusBlur, 3),
    (Kind::MotionBlur, 3),
    (Kind::LowResolution, 4),
    (Kind::Compression, 3),
    (Kind::Underexposure, 3),
    (Kind::Overexposure, 2),
    (Kind::Recapture, 2),
];

/// A copy to be made of a photo.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Copy {
    /// What is done to it.
    pub(super) steps: Vec<Degradation>,
    /// Whether a part of the face is covered.
    pub(super) is_covered: bool,
    /// The scene's number within the photo: shots of one scene share it.
    pub(super) scene: u32,
    /// Pixels cut off at the left and the top: another shot never meets the same pixel grid.
    pub(super) shift: [u32; 2],
    seed: u64,
}

impl Copy {
    /// The photo as it is.
    pub(super) fn untouched() -> Self {
        Self {
            steps: Vec::new(),
            is_covered: false,
            scene: 0,
            shift: [0, 0],
            seed: 0,
        }
    }

    /// Makes the copy.
    pub(super) fn of(&self, picture: &RgbImage) -> RgbImage {
        let [left, top] = self.shift;
        if self.shift == [0, 0] {
            return degrade(picture, &self.steps, self.seed);
        }
        let cut = pixels::crop(
            picture,
            left,
            top,
            picture.width().saturating_sub(left),
            picture.height().saturating_sub(top),
        );
        degrade(&cut, &self.steps, self.seed)
    }
}

/// The copies of photo number `photo`, whose face is `face_px` wide and has this contour.
pub(super) fn plan(group: Group, photo: u64, face_px: f32, contour: &[Point]) -> Vec<Copy> {
    let count = COPIES
        .iter()
        .find(|(of, _)| *of == group)
        .map_or(0, |(_, count)| *count);
    let mut copies = Vec::new();
    if count > 0 {
        // Another shot of the clean scene.
        copies.push(another_shot(&Copy::untouched(), photo, 0));
    }
    for scene in 1..=count {
        let mut random = ChaCha8Rng::seed_from_u64(photo * 1000 + u64::from(scene));
        let is_covered = scene % COVERED_EVERY == 0;
        let mut steps = Vec::new();
        if is_covered {
            steps.extend(cover(contour, &mut random));
        }
        // A covered face is often a good picture otherwise; most others have one thing wrong, some two or three.
        let kinds = match (is_covered, random.next_u32() % 10) {
            (true, 0..5) => 0,
            (true, _) | (false, 0..6) => 1,
            (false, 6..9) => 2,
            (false, _) => 3,
        };
        for _ in 0..kinds {
            let kind = draw_kind(&mut random);
            // Several at once are each milder, as pictures are that somebody still sends in.
            let most = if kinds > 1 { 0.7 } else { 1.0 };
            steps.push(kind.at(most * unit(&mut random), face_px, unit(&mut random)));
        }
        let copy = Copy {
            steps,
            is_covered,
            scene,
            shift: [0, 0],
            seed: random.next_u64(),
        };
        if scene % SECOND_SHOT_EVERY == 1 {
            copies.push(another_shot(&copy, photo, scene));
        }
        copies.push(copy);
    }
    copies
}

/// The same scene a moment later: other noise, another place on the pixel grid, slightly other light, a hand's slight move.
fn another_shot(copy: &Copy, photo: u64, scene: u32) -> Copy {
    let mut random = ChaCha8Rng::seed_from_u64(photo * 1000 + 500 + u64::from(scene));
    let mut again = copy.clone();
    again.shift = [1 + random.next_u32() % 7, 1 + random.next_u32() % 7];
    again.steps.push(Degradation::Exposure {
        stops: 0.4 * (unit(&mut random) - 0.5),
    });
    again.steps.push(Degradation::MotionBlur {
        length_px: 1.5 * unit(&mut random),
        angle_deg: 180.0 * unit(&mut random),
    });
    again.seed = random.next_u64();
    // Outlines are in the photo's pixels: they move with the grid.
    for step in &mut again.steps {
        if let Degradation::Cover { outline, .. } = step {
            for point in outline {
                point.x -= again.shift[0] as f32;
                point.y -= again.shift[1] as f32;
            }
        }
    }
    again
}

fn cover(contour: &[Point], random: &mut ChaCha8Rng) -> Option<Degradation> {
    const CLOTH: [[u8; 3]; 5] = [
        [225, 232, 238],
        [140, 180, 215],
        [25, 25, 28],
        [60, 75, 95],
        [200, 130, 140],
    ];
    let outline = if random.next_u32().is_multiple_of(4) {
        eye_bar_outline(contour)
    } else {
        mask_outline(contour)
    }?;
    Some(Degradation::Cover {
        outline,
        colour: CLOTH[random.next_u32() as usize % CLOTH.len()],
    })
}

fn draw_kind(random: &mut ChaCha8Rng) -> Kind {
    let sum: u32 = SHARES.iter().map(|(_, share)| share).sum();
    let mut left = random.next_u32() % sum;
    for (kind, share) in SHARES {
        if left < share {
            return kind;
        }
        left -= share;
    }
    Kind::Noise
}

/// A number between 0 and 1, in steps that every machine draws alike.
pub(super) fn unit(random: &mut ChaCha8Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / 16_777_216.0
}
