use image::{Rgb, RgbImage};
use proptest::prelude::*;

use super::*;
use crate::capture::Patch;
use crate::face::Pose;
use crate::geometry::{BoundingBox, Point, Transform};
use scene::Scene;

pub(in crate::quality) mod scene;

/// For each component: its own degradation, which way and how far at least it moves the value, and
/// one that leaves it alone (to a quarter of that at most).
type Case = (Component, fn(Scene) -> Scene, f32, fn(Scene) -> Scene);

fn cases() -> Vec<Case> {
    vec![
        (Component::Sharpness, Scene::blurred, -0.8, |s| {
            s.exposed(0.5)
        }),
        (
            Component::UnderExposurePrevention,
            |s| s.exposed(0.004),
            -0.5,
            |s| s.noisy(10.0),
        ),
        (
            Component::OverExposurePrevention,
            |s| s.exposed(6.0),
            -0.2,
            |s| s.exposed(0.1),
        ),
        (
            Component::LuminanceMean,
            |s| s.exposed(0.1),
            -0.2,
            Scene::blurred,
        ),
        (Component::LuminanceVariance, Scene::flattened, -0.01, |s| {
            s.noisy(5.0)
        }),
        (Component::DynamicRange, Scene::flattened, -1.0, |s| {
            s.noisy(5.0)
        }),
        (
            Component::IlluminationUniformity,
            Scene::lit_from_the_left,
            -0.25,
            |s| s.noisy(5.0),
        ),
        (
            Component::CompressionArtifacts,
            |s| s.compressed(8),
            -0.3,
            |s| s.noisy(10.0),
        ),
        (
            Component::Noise,
            |s| s.noisy(20.0),
            10.0,
            |s| s.compressed(30),
        ),
        (
            Component::MotionBlur,
            |s| s.moved(1, 1),
            0.4,
            Scene::blurred,
        ),
        (Component::RecapturePattern, Scene::recaptured, 1.5, |s| {
            s.noisy(20.0)
        }),
        (
            Component::InterEyeDistance,
            |s| s.reduced(3),
            -20.0,
            Scene::blurred,
        ),
        (Component::HeadPoseYaw, Scene::turned, -30.0, Scene::blurred),
        (
            Component::HeadPosePitch,
            Scene::turned,
            16.0,
            Scene::blurred,
        ),
        (Component::HeadPoseRoll, Scene::turned, 8.0, Scene::blurred),
        (
            Component::MouthOcclusionPrevention,
            Scene::masked,
            -0.7,
            |s| s.noisy(20.0),
        ),
    ]
}

#[test]
fn each_component_is_moved_by_its_own_degradation_and_not_by_another() {
    let clean = Scene::astronaut().measure();
    let mut wrong = Vec::new();
    for (component, own, least, other) in cases() {
        let change =
            |scene: Scene| scene.measure().get(component).unwrap() - clean.get(component).unwrap();
        let (moved, unmoved) = (
            change(own(Scene::astronaut())),
            change(other(Scene::astronaut())),
        );
        if moved * least.signum() < least.abs() || unmoved.abs() > least.abs() / 4.0 {
            wrong.push(format!(
                "{component:?}: {moved} for {least}, {unmoved} for nothing"
            ));
        }
        match component.direction() {
            Direction::HigherIsBetter => assert!(least < 0.0, "{component:?}"),
            Direction::LowerIsBetter => assert!(least > 0.0, "{component:?}"),
            Direction::Neither => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The direction is no amount: `motion_is_seen_in_its_direction` is its test.
    let covered: Vec<_> = cases().into_iter().map(|case| case.0).collect();
    let all = Component::ALL.into_iter();
    let expected: Vec<_> = all
        .filter(|&one| one != Component::MotionDirection)
        .collect();
    assert_eq!(covered, expected, "every component has its case");
}

#[test]
fn motion_is_seen_in_its_direction() {
    for (dx, dy, expected) in [(1, 0, 0.0), (1, 1, 45.0), (0, 1, 90.0), (1, -1, 135.0)] {
        let components = Scene::astronaut().moved(dx, dy).measure();
        let direction = components.get(Component::MotionDirection).unwrap();
        let off = (direction - expected).rem_euclid(180.0);
        assert!(off.min(180.0 - off) <= 15.0, "{direction}° for {expected}°");
    }
}

#[test]
fn the_noise_is_measured_in_levels() {
    for deviation in [12.0, 20.0, 32.0] {
        let noise = Scene::astronaut()
            .noisy(deviation)
            .measure()
            .get(Component::Noise);
        // Independent noise in three channels is smaller in luma: √(.299² + .587² + .114²).
        let expected = deviation * 0.669;
        let ratio = noise.unwrap() / expected;
        assert!((0.85..1.15).contains(&ratio), "{noise:?} for {expected}");
    }
}

#[test]
fn blocks_are_found_at_any_phase() {
    let scene = Scene::astronaut().compressed(8);
    let (aligned, detected) = scene.aligned();
    let reference = measure(&aligned, &detected)
        .components
        .get(Component::CompressionArtifacts)
        .unwrap();
    for (left, top) in [(1, 0), (3, 5), (7, 7)] {
        let mut shifted = aligned.clone();
        let patch = &mut shifted.patch;
        let (width, height) = (patch.pixels.width() - left, patch.pixels.height() - top);
        patch.pixels =
            image::imageops::crop_imm(&patch.pixels, left, top, width, height).to_image();
        patch.origin = Point::new(left as f32, top as f32);
        let freedom = measure(&shifted, &detected)
            .components
            .get(Component::CompressionArtifacts)
            .unwrap();
        assert!(
            (freedom - reference).abs() < 0.02,
            "{freedom} for {reference}"
        );
    }
}

#[test]
fn enlarging_is_seen_and_blur_is_not_taken_for_it() {
    for factor in [3, 4] {
        let found = Scene::astronaut().enlarged(factor).evidence().enlargement;
        assert!((found - factor as f32).abs() < 0.2, "{found} for {factor}");
    }
    assert_eq!(Scene::astronaut().evidence().enlargement, 1.0);
    assert_eq!(Scene::astronaut().blurred().evidence().enlargement, 1.0);
}

#[test]
fn dark_glasses_hide_the_eyes() {
    assert_eq!(Scene::astronaut().evidence().eyes_visible, 1.0);
    assert_eq!(
        Scene::astronaut().exposed(0.05).evidence().eyes_visible,
        1.0
    );
    assert_eq!(
        Scene::astronaut().in_dark_glasses().evidence().eyes_visible,
        0.0
    );
}

#[test]
fn what_lies_outside_the_picture_is_not_dark() {
    // The picture ends at the mouth; the rest of the grid is black.
    let mut scene = Scene::astronaut();
    scene.picture = image::imageops::crop_imm(&scene.picture, 0, 0, 512, 140).to_image();
    let components = scene.measure();
    assert!(components.get(Component::UnderExposurePrevention).unwrap() > 0.95);
}

#[test]
fn the_registry_is_complete_and_names_are_columns() {
    let mut names: Vec<_> = Component::ALL.map(Component::name).to_vec();
    for (index, component) in Component::ALL.into_iter().enumerate() {
        assert_eq!(component as usize, index, "{component:?} is out of order");
        assert!(
            component
                .name()
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        );
        assert!(!component.unit().is_empty());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Component::ALL.len());
}

#[test]
fn a_number_that_is_not_finite_counts_as_not_assessed() {
    let mut components = Components::default();
    components.set(Component::Noise, 3.0);
    components.set(Component::Noise, f32::NAN);
    assert_eq!(components.get(Component::Noise), None);
}

fn measure_anything(
    picture: RgbImage,
    crop: RgbImage,
    transform: Transform,
    face: BoundingBox,
    origin: Point,
    scale: f32,
) -> Components {
    let points = [origin; 5];
    let aligned = AlignedFace {
        crop,
        transform,
        landmarks: points,
        contour: vec![],
        pose: Pose {
            yaw: face.x,
            pitch: face.y,
            roll: scale,
        },
        patch: Patch {
            pixels: picture,
            origin,
            scale,
        },
    };
    let detected = DetectedFace {
        bounding_box: face,
        detection_score: scale,
        points,
    };
    measure(&aligned, &detected).components
}

#[test]
fn flat_pictures_are_measured() {
    for level in [0, 1, 128, 255] {
        let grey = |side| RgbImage::from_pixel(side, side, Rgb([level; 3]));
        let transform = Transform {
            a: 1.0,
            b: 0.0,
            tx: 0.0,
            ty: 0.0,
        };
        let components = measure_anything(
            grey(112),
            grey(112),
            transform,
            BoundingBox::new(0.0, 0.0, 112.0, 112.0),
            Point::default(),
            1.0,
        );
        assert_eq!(
            components.get(Component::RecapturePattern),
            Some(0.0),
            "{level}"
        );
        assert_eq!(
            components.get(Component::CompressionArtifacts),
            Some(1.0),
            "{level}"
        );
        assert!(
            components.get(Component::MotionBlur).unwrap() < 0.1,
            "{level}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_picture_panics(
        (width, height) in (0_u32..40, 0_u32..40),
        crop_side in prop::sample::select(vec![0_u32, 1, 2, 3, 111, 112, 113, 140]),
        pixels in prop::collection::vec(any::<u8>(), 64),
        numbers in prop::collection::vec(prop_oneof![prop::num::f32::ANY, -200.0_f32..200.0], 11),
    ) {
        let fill = |width: u32, height: u32| {
            RgbImage::from_fn(width, height, |x, y| {
                let at = |offset: u32| pixels[((x * 7 + y * 13 + offset) % 64) as usize];
                Rgb([at(0), at(1), at(2)])
            })
        };
        let transform = Transform { a: numbers[0], b: numbers[1], tx: numbers[2], ty: numbers[3] };
        let face = BoundingBox::new(numbers[4], numbers[5], numbers[6], numbers[7]);
        let origin = Point::new(numbers[8], numbers[9]);
        let components =
            measure_anything(fill(width, height), fill(crop_side, crop_side), transform, face, origin, numbers[10]);
        for (component, value) in components.iter() {
            prop_assert!(value.is_none_or(f32::is_finite), "{component:?}");
            if let (Some(value), "share") = (value, component.unit()) {
                prop_assert!((0.0..=1.0).contains(&value), "{component:?} is {value}");
            }
        }
    }
}
