//! Which measured components explain a low score.
//!
//! Each cause has a *deficit*: 0 if the component is as on clean faces, 1 if it is so bad that
//! the recogniser no longer knows the face. Some defects change the component of another defect:
//! motion also lowers sharpness, and few pixels also lose detail. That effect is subtracted. What
//! the score lacks to a good one is then divided among the causes in proportion to their deficits.
//!
//! `docs/score-report.md` tells how often the planted cause of foreign degradations comes first.
//!
//! The clean ends of the ranges come from clean photos: 100 press and 315 web pictures (worst
//! of 50, rounded towards the bad end). The other ends come from the same photos, degraded
//! until the face is hardly recognised. The ignored test `tests/it/components_on_photos.rs`
//! prints the percentiles for a folder of photos.

use super::components::{Component, Evidence};
use super::{Cause, CauseName, Grade, Symptoms};

/// A deficit below this occurs now and then on clean faces.
const LEAST_DEFICIT: f32 = 0.1;

/// A face with a good score gets a cause only from this deficit on.
const OUTSTANDING: f32 = 0.35;

/// If all deficits together reach this, they explain a low score; the remainder is `unknown`.
const EXPLAINED: f32 = 0.5;

/// Distance between the eyes on the recogniser's grid, in its pixels.
const EYES_ON_GRID: f32 = 35.24;

/// The causes of a low `score`, largest weight first (equals in the contract's order).
///
/// The weights of a face below [`Grade::Good`] sum to 1; [`CauseName::Unknown`] has what the
/// components do not explain. A face with a good score has no causes unless a component stands
/// out: then that one is named, with its deficit as weight.
pub fn causes(score: f32, evidence: &Evidence, symptoms: Option<&Symptoms>) -> Vec<Cause> {
    let is_good = Grade::of(score) >= Grade::Good;
    let least = if is_good { OUTSTANDING } else { LEAST_DEFICIT };
    let outstanding: Vec<(CauseName, f32)> = deficits(evidence)
        .into_iter()
        .map(|(name, measured)| (name, deficit(name, measured, symptoms)))
        .filter(|&(_, deficit)| deficit >= least)
        .collect();
    let sum: f32 = outstanding.iter().map(|&(_, deficit)| deficit).sum();
    let whole = sum.max(if is_good { 1.0 } else { EXPLAINED });
    let cause = |(name, deficit): (CauseName, f32)| Cause {
        name,
        weight: deficit / whole,
    };
    let mut causes: Vec<Cause> = outstanding.into_iter().map(cause).collect();
    if !is_good && sum < EXPLAINED {
        let (name, weight) = (CauseName::Unknown, 1.0 - sum / EXPLAINED);
        causes.push(Cause { name, weight });
    }
    causes.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.name.cmp(&b.name)));
    causes
}

/// The deficit of a cause that components put at `measured`. The network's value is used where
/// it has one, because it was trained on faults of many cameras. It cannot know that a face has
/// few pixels, because it sees every face at one size.
fn deficit(name: CauseName, measured: f32, symptoms: Option<&Symptoms>) -> f32 {
    match symptoms.and_then(|symptoms| symptoms.of(name)) {
        Some(seen) if name == CauseName::LowResolution => seen.max(measured),
        Some(seen) => seen,
        None => measured,
    }
}

/// The deficit of each cause from components alone, 0…1; 0 where it was not assessed.
fn deficits(evidence: &Evidence) -> Vec<(CauseName, f32)> {
    let value = |component| evidence.components.get(component);
    let ramp_of = |component, clean, bad| value(component).map_or(0.0, |v| ramp(v, clean, bad));

    let yaw = value(Component::HeadPoseYaw).unwrap_or_default().abs();
    let pitch = value(Component::HeadPosePitch).unwrap_or_default().abs();
    // A turned head has its eyes nearer to each other without having fewer pixels.
    let eyes = value(Component::InterEyeDistance).map(|px| px / yaw.to_radians().cos().max(0.5));
    let pixels_lack = |enlargement: f32| eyes.map_or(0.0, |px| ramp(px / enlargement, 30.0, 10.0));
    // An enlarged picture has the pixels it was taken with. The more detail it still has, the
    // likelier its period is that of a pattern, as some masks have.
    let enlarged =
        pixels_lack(evidence.enlargement.max(1.0)) * ramp_of(Component::Sharpness, 1.3, 0.6);
    let few_pixels = pixels_lack(1.0).max(enlarged);

    // A large picture's noise is averaged away on the grid; a small face's detail looks like noise.
    let noise = value(Component::Noise).map_or(0.0, |level| {
        let px = eyes.unwrap_or(EYES_ON_GRID).max(1.0);
        let on_grid = level * (EYES_ON_GRID / px).min(1.0);
        let natural = 1.5 + 45.0 / px;
        ramp(on_grid, natural, natural + 12.0)
    });
    // On a small face few block edges are seen, and its own detail counts among them.
    let blocks = value(Component::CompressionArtifacts).map_or(0.0, |freedom| {
        let natural = 0.72 - 0.01 * (25.0 - eyes.unwrap_or(EYES_ON_GRID)).max(0.0);
        ramp(freedom, natural, 0.35)
    });

    let lost_detail = ramp_of(Component::Sharpness, 0.85, 0.15);
    let one_sided = ramp_of(Component::MotionBlur, 0.35, 0.75);
    // Motion leaves the detail across its path, so it is believed before all detail is gone.
    let motion = one_sided * ramp_of(Component::Sharpness, 1.7, 0.9);
    let blur = (lost_detail - few_pixels).max(0.0) * (1.0 - motion);

    let no_light = ramp_of(Component::UnderExposurePrevention, 0.7, 0.1);
    let dark = ramp_of(Component::LuminanceMean, 0.25, 0.06).max(no_light);
    let clipped = ramp_of(Component::OverExposurePrevention, 0.9, 0.4);
    let covered = ramp_of(Component::MouthOcclusionPrevention, 0.6, 0.2);
    let turned = ramp(yaw, 25.0, 50.0).max(ramp(pitch, 20.0, 45.0));
    let recaptured = ramp_of(Component::RecapturePattern, 0.4, 2.0);
    let occluded = 1.0 - evidence.eyes_visible.clamp(0.0, 1.0);

    vec![
        (CauseName::Noise, noise),
        (CauseName::Blur, blur),
        (CauseName::MotionBlur, motion),
        (CauseName::LowResolution, few_pixels),
        (CauseName::Compression, blocks),
        (CauseName::Underexposure, dark),
        (CauseName::Overexposure, clipped),
        (CauseName::ScreenRecapture, recaptured),
        (CauseName::Occlusion, occluded),
        (CauseName::Mask, covered),
        (CauseName::Pose, turned),
    ]
}

/// 0 at `clean` and beyond, 1 at `bad` and beyond, linear between. Either may be the larger.
fn ramp(value: f32, clean: f32, bad: f32) -> f32 {
    ((value - clean) / (bad - clean)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quality::Components;
    use crate::quality::symptoms::tests::symptoms;

    /// A clean face: the medians of clean photos.
    fn clean() -> Evidence {
        let mut components = Components::default();
        for (component, value) in [
            (Component::Sharpness, 1.75),
            (Component::UnderExposurePrevention, 1.0),
            (Component::OverExposurePrevention, 1.0),
            (Component::LuminanceMean, 0.55),
            (Component::CompressionArtifacts, 0.9),
            (Component::Noise, 0.7),
            (Component::MotionBlur, 0.02),
            (Component::RecapturePattern, 0.0),
            (Component::InterEyeDistance, 60.0),
            (Component::HeadPoseYaw, 5.0),
            (Component::HeadPosePitch, -4.0),
            (Component::HeadPoseRoll, 2.0),
            (Component::MouthOcclusionPrevention, 0.98),
        ] {
            components.set(component, value);
        }
        seen(components)
    }

    fn seen(components: Components) -> Evidence {
        Evidence {
            components,
            enlargement: 1.0,
            eyes_visible: 1.0,
        }
    }

    fn with(changes: &[(Component, f32)]) -> Evidence {
        let mut evidence = clean();
        for &(component, value) in changes {
            evidence.components.set(component, value);
        }
        evidence
    }

    #[test]
    fn a_good_picture_has_no_causes_and_a_bad_one_without_defects_is_unknown() {
        assert_eq!(causes(0.85, &clean(), None), []);
        assert_eq!(causes(0.60, &clean(), None), []);
        for evidence in [clean(), seen(Components::default())] {
            assert_eq!(
                causes(0.3, &evidence, None),
                [Cause {
                    name: CauseName::Unknown,
                    weight: 1.0
                }]
            );
        }
    }

    #[test]
    fn each_defect_names_its_cause() {
        for (name, changes) in [
            (CauseName::Noise, vec![(Component::Noise, 20.0)]),
            (CauseName::Blur, vec![(Component::Sharpness, 0.2)]),
            (
                CauseName::MotionBlur,
                vec![(Component::Sharpness, 0.5), (Component::MotionBlur, 0.9)],
            ),
            (
                CauseName::LowResolution,
                vec![
                    (Component::Sharpness, 0.6),
                    (Component::InterEyeDistance, 11.0),
                ],
            ),
            (
                CauseName::Compression,
                vec![(Component::CompressionArtifacts, 0.3)],
            ),
            (
                CauseName::Underexposure,
                vec![
                    (Component::LuminanceMean, 0.05),
                    (Component::UnderExposurePrevention, 0.2),
                    (Component::Noise, 5.0),
                ],
            ),
            (
                CauseName::Overexposure,
                vec![(Component::OverExposurePrevention, 0.4)],
            ),
            (
                CauseName::ScreenRecapture,
                vec![(Component::RecapturePattern, 3.0)],
            ),
            (
                CauseName::Mask,
                vec![(Component::MouthOcclusionPrevention, 0.02)],
            ),
            (CauseName::Pose, vec![(Component::HeadPoseYaw, -48.0)]),
        ] {
            let found = causes(0.35, &with(&changes), None);
            assert_eq!(
                found.first().map(|cause| cause.name),
                Some(name),
                "{found:?}"
            );
            assert!(found[0].weight > 0.6, "{found:?}");
        }
    }

    #[test]
    fn what_the_network_sees_is_believed_before_what_was_measured() {
        let noisy = with(&[(Component::Noise, 20.0)]);
        let seen = symptoms(&[(CauseName::Noise, 0.05), (CauseName::Compression, 0.8)]);
        let found = causes(0.35, &noisy, Some(&seen));
        assert_eq!(found[0].name, CauseName::Compression);
        assert_eq!(found.len(), 1, "{found:?}");
        // It sees every face at one size: few pixels are counted.
        let few = with(&[(Component::InterEyeDistance, 11.0)]);
        let seen = symptoms(&[(CauseName::LowResolution, 0.0)]);
        assert_eq!(
            causes(0.35, &few, Some(&seen))[0].name,
            CauseName::LowResolution
        );
        assert_eq!(causes(0.85, &clean(), Some(&seen)), []);
    }

    #[test]
    fn findings_without_a_column_name_their_causes() {
        let mut enlarged = with(&[(Component::Sharpness, 0.6)]);
        assert_ne!(
            causes(0.3, &enlarged, None)[0].name,
            CauseName::LowResolution
        );
        enlarged.enlargement = 5.0;
        assert_eq!(
            causes(0.3, &enlarged, None)[0].name,
            CauseName::LowResolution
        );
        let mut in_dark_glasses = clean();
        in_dark_glasses.eyes_visible = 0.0;
        assert_eq!(
            causes(0.3, &in_dark_glasses, None)[0].name,
            CauseName::Occlusion
        );
    }

    #[test]
    fn a_small_defect_explains_a_low_score_only_in_part() {
        let found = causes(0.35, &with(&[(Component::Noise, 6.5)]), None);
        assert_eq!(
            found.iter().map(|cause| cause.name).collect::<Vec<_>>(),
            [CauseName::Unknown, CauseName::Noise]
        );
    }

    #[test]
    fn an_outstanding_defect_is_named_in_a_good_picture_too() {
        let found = causes(0.7, &with(&[(Component::HeadPoseYaw, 40.0)]), None);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, CauseName::Pose);
        assert!(found[0].weight < 1.0);
    }

    proptest! {
        #[test]
        fn weights_are_sorted_and_never_more_than_the_whole(
            score in prop::num::f32::ANY,
            values in prop::collection::vec(prop::num::f32::ANY, Component::ALL.len()),
            scaled in prop::collection::vec(0.0_f32..50.0, Component::ALL.len()),
            wild: bool,
            enlargement in prop_oneof![prop::num::f32::ANY, 1.0_f32..10.0],
            eyes_visible in prop_oneof![0.0_f32..=1.0],
        ) {
            let mut components = Components::default();
            for (component, value) in Component::ALL.into_iter().zip(if wild { values } else { scaled }) {
                components.set(component, value);
            }
            let evidence = Evidence { components, enlargement, eyes_visible };
            let found = causes(score, &evidence, None);
            let sum: f32 = found.iter().map(|cause| cause.weight).sum();
            prop_assert!(sum <= 1.0 + 1e-5, "{found:?}");
            prop_assert!(found.iter().all(|cause| cause.weight > 0.0 && cause.weight <= 1.0));
            prop_assert!(found.is_sorted_by(|a, b| a.weight >= b.weight));
            if Grade::of(score) < Grade::Good {
                prop_assert!((sum - 1.0).abs() < 1e-4, "a low score is accounted for: {found:?}");
            }
            let mut names: Vec<_> = found.iter().map(|cause| cause.name).collect();
            names.sort_unstable();
            names.dedup();
            prop_assert_eq!(names.len(), found.len());
        }
    }
}
