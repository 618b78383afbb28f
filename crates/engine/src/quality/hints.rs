//! Advice for the person in front of the camera, in English and Chinese.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::language::Language;
use super::{Cause, CauseName, Component, Quality};
use crate::geometry::BoundingBox;
use crate::policy::{Decision, Reason};

/// Pictures whose shorter side is under this many pixels get [`HintCode::ImageTooSmall`].
const LEAST_IMAGE_SIDE_PX: u32 = 300;

/// Eyes nearer to each other than this, in original pixels, get [`HintCode::MoveCloser`]: the
/// recogniser's grid has them 35 px apart, so below that its input is enlarged and not reduced.
const LEAST_INTER_EYE_DISTANCE_PX: f32 = 35.0;

const LEAST_WEIGHT: f32 = 0.15;

/// Makes [`HintCode`] of one list: the name in JSON, and what the person should do, as a complete
/// sentence in English and in Chinese.
macro_rules! hints {
    ($(
        $(#[$doc:meta])*
        $hint:ident $code:literal, $english:literal, $chinese:literal;
    )+) => {
        /// One piece of advice.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum HintCode {
            $($(#[$doc])* $hint,)+
        }

        impl HintCode {
            /// Every hint. Where two help alike, an answer lists them in this order.
            pub const ALL: [Self; [$($code),+].len()] = [$(Self::$hint),+];

            /// Name in JSON.
            pub const fn code(self) -> &'static str {
                match self {$( Self::$hint => $code, )+}
            }

            /// What the person should do.
            pub const fn message(self, language: Language) -> &'static str {
                match (self, language) {$(
                    (Self::$hint, Language::English) => $english,
                    (Self::$hint, Language::Chinese) => $chinese,
                )+}
            }
        }
    };
}

hints! {
    /// There is no face.
    NoFace "no_face",
        "No face was found: step in front of the camera and look into it.",
        "未检测到人脸，请站到镜头前并正视镜头。";
    /// The picture lies on its side or upside down.
    TurnPicture "turn_picture",
        "The picture lies on its side or upside down: turn it upright, or turn the camera.",
        "图片横置或上下颠倒，请将图片或摄像头转正。";
    /// The picture's shorter side is under 300 px.
    ImageTooSmall "image_too_small",
        "The picture is too small: use one of at least 300 × 300 pixels.",
        "图片尺寸过小，请使用至少 300 × 300 像素的图片。";
    /// The face has too few pixels.
    MoveCloser "move_closer",
        "The face is too small in the picture: come closer to the camera.",
        "画面中的人脸过小，请靠近镜头。";
    /// Too dark.
    MoreLight "more_light",
        "There is too little light: turn on a light or move to a brighter place.",
        "光线不足，请开灯或移到更明亮的地方。";
    /// Too bright.
    LessLight "less_light",
        "There is too much light: turn away from the lamp or the sun, or dim the light.",
        "光线过强，请避开灯光或阳光直射，或调暗光线。";
    /// Blurred.
    HoldStill "hold_still",
        "The picture is blurred: hold still until it is taken.",
        "画面模糊，请保持不动，直到拍摄完成。";
    /// Turned away.
    FaceCamera "face_camera",
        "The face is turned away: look straight into the camera.",
        "人脸偏转，请正对镜头。";
    /// Something covers the face.
    UncoverFace "uncover_face",
        "The face is covered: take off the mask, sunglasses or whatever hides it.",
        "面部被遮挡，请摘下口罩、墨镜或其他遮挡物。";
    /// More than one person.
    SeveralFaces "several_faces",
        "There are several faces: only one person should be in the picture.",
        "画面中有多张人脸，请确保只有一人入镜。";
    /// A picture of a screen.
    AvoidScreen "avoid_screen",
        "This looks like a picture of a screen: use the person or the original picture.",
        "图片疑似翻拍自屏幕，请拍摄本人或使用原始图片。";
    /// Not accepted, and nothing better is known.
    Retake "retake",
        "The picture is not good enough: take another one.",
        "图片质量不合格，请重新拍摄。";
}

/// The input of hints: one picture as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Upright width of the picture in pixels.
    pub width: u32,
    /// Upright height of the picture in pixels.
    pub height: u32,
    /// Whether a face is found with certainty only if the picture is turned.
    pub is_turned: bool,
    /// Faces that were found, judged or not.
    pub face_count: usize,
    /// Whether every face that was judged is accepted.
    pub is_accepted: bool,
    /// The largest face, where there is one.
    pub largest: Option<(&'a BoundingBox, &'a Quality, &'a Decision)>,
}

/// The advice for this picture, each at most once: what would help most comes first, and there is
/// some whenever a face is not accepted.
///
/// What the policy rejects for its own sake comes first, then the causes by their weight. Noise asks
/// for more light, its source. Compression asks for nothing, because the person in front of the
/// camera cannot change it. Nor does low resolution of a face with enough pixels, where blur and
/// compression weigh more: coming closer would not bring the detail back.
pub fn hints(scene: &Scene<'_>) -> Vec<HintCode> {
    let mut found = Found::default();
    if scene.face_count == 0 {
        found.add(HintCode::NoFace, f32::INFINITY);
    }
    if scene.is_turned {
        found.add(HintCode::TurnPicture, 1.0);
        // What was measured is not a face as it is meant to be seen.
        return found.ranked();
    }
    if let Some((bounding_box, quality, decision)) = scene.largest {
        for reason in &decision.reasons {
            match reason {
                Reason::FaceTooSmall => found.add(HintCode::MoveCloser, f32::INFINITY),
                Reason::SeveralFaces => found.add(HintCode::SeveralFaces, f32::INFINITY),
                Reason::Quality => {}
            }
        }
        // A turned head has its eyes nearer. The box says whether the pixels are few.
        let eyes = quality.components.get(Component::InterEyeDistance);
        let is_small = eyes.is_some_and(|eyes| eyes < LEAST_INTER_EYE_DISTANCE_PX)
            && bounding_box.shorter_side() < 3.0 * LEAST_INTER_EYE_DISTANCE_PX;
        for cause in &quality.causes {
            if cause.weight >= LEAST_WEIGHT
                && (is_small && cause.name == CauseName::LowResolution
                    || !is_explained(cause, &quality.causes))
                && let Some(hint) = advice(cause.name)
            {
                found.add(hint, cause.weight);
            }
        }
        if is_small {
            found.add(HintCode::MoveCloser, 0.0);
        }
    }
    if scene.width.min(scene.height) < LEAST_IMAGE_SIDE_PX {
        found.add(HintCode::ImageTooSmall, 0.0);
    }
    if scene.face_count > 1 {
        found.add(HintCode::SeveralFaces, 0.0);
    }
    if found.0.is_empty() && !scene.is_accepted {
        found.add(HintCode::Retake, 0.0);
    }
    found.ranked()
}

/// Whether other causes explain why this one shows. Blur and compression take detail away as too
/// few pixels do. A face that is blurred, heavily compressed or dark looks covered.
fn is_explained(cause: &Cause, causes: &[Cause]) -> bool {
    use CauseName::{Blur, Compression, LowResolution, Mask, MotionBlur, Occlusion, Underexposure};
    let (others, times): (&[CauseName], f32) = match cause.name {
        LowResolution => (&[Blur, MotionBlur, Compression], 1.0),
        Occlusion | Mask => (&[Blur, MotionBlur, Compression, Underexposure], 2.0),
        _ => return false,
    };
    let others = causes.iter().filter(|other| others.contains(&other.name));
    others.map(|other| other.weight).sum::<f32>() >= times * cause.weight
}

/// How much each hint would help: the sum of the weights of what it would mend.
#[derive(Default)]
struct Found(BTreeMap<HintCode, f32>);

impl Found {
    fn add(&mut self, hint: HintCode, weight: f32) {
        *self.0.entry(hint).or_default() += weight;
    }

    fn ranked(self) -> Vec<HintCode> {
        let mut hints: Vec<_> = self.0.into_iter().collect();
        hints.sort_by(|one, other| other.1.total_cmp(&one.1));
        hints.into_iter().map(|(hint, _)| hint).collect()
    }
}

const fn advice(cause: CauseName) -> Option<HintCode> {
    match cause {
        CauseName::Noise | CauseName::Underexposure => Some(HintCode::MoreLight),
        CauseName::Overexposure => Some(HintCode::LessLight),
        CauseName::Blur | CauseName::MotionBlur => Some(HintCode::HoldStill),
        CauseName::LowResolution => Some(HintCode::MoveCloser),
        CauseName::ScreenRecapture => Some(HintCode::AvoidScreen),
        CauseName::Occlusion | CauseName::Mask => Some(HintCode::UncoverFace),
        CauseName::Pose => Some(HintCode::FaceCamera),
        CauseName::Compression | CauseName::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Action;
    use crate::quality::{Components, Grade};

    fn quality(causes: &[(CauseName, f32)], inter_eye_distance: f32) -> Quality {
        let mut components = Components::default();
        components.set(Component::InterEyeDistance, inter_eye_distance);
        Quality {
            score: 0.5,
            interval: [0.4, 0.6],
            pass_probability: 0.8,
            grade: Grade::Fair,
            components,
            causes: causes
                .iter()
                .map(|&(name, weight)| Cause { name, weight })
                .collect(),
        }
    }

    fn decision(action: Action, reasons: &[Reason]) -> Decision {
        Decision {
            scenario: "access".to_owned(),
            action,
            threshold: 0.6,
            reasons: reasons.to_vec(),
        }
    }

    fn hints_for(
        side: u32,
        face_count: usize,
        face_px: f32,
        causes: &[(CauseName, f32)],
    ) -> Vec<HintCode> {
        let bounding_box = BoundingBox::new(0.0, 0.0, face_px, face_px);
        let quality = quality(causes, face_px * 0.42);
        let decision = decision(Action::Accept, &[]);
        hints(&Scene {
            width: side,
            height: side + 100,
            is_turned: false,
            face_count,
            is_accepted: true,
            largest: (face_count > 0).then_some((&bounding_box, &quality, &decision)),
        })
    }

    /// Of a large face with these causes that the policy decides on like that.
    fn hints_of(action: Action, reasons: &[Reason], causes: &[(CauseName, f32)]) -> Vec<HintCode> {
        let bounding_box = BoundingBox::new(0.0, 0.0, 200.0, 200.0);
        let quality = quality(causes, 80.0);
        hints(&Scene {
            width: 600,
            height: 600,
            is_turned: false,
            face_count: 1,
            is_accepted: action == Action::Accept,
            largest: Some((&bounding_box, &quality, &decision(action, reasons))),
        })
    }

    #[test]
    fn what_would_help_most_comes_first() {
        use CauseName as C;
        use HintCode as H;
        let causes = [(C::Blur, 0.6), (C::LowResolution, 0.19)];
        let quality = [Reason::Quality];
        let hints = hints_of(Action::Reject, &quality, &causes);
        assert_eq!(hints, [H::HoldStill], "a large face need not come closer");
        let hints = hints_for(600, 1, 80.0, &causes);
        assert_eq!(hints, [H::HoldStill, H::MoveCloser]);
        let causes = [(C::Compression, 0.72), (C::LowResolution, 0.18)];
        assert_eq!(hints_of(Action::Reject, &quality, &causes), [H::Retake]);
        let causes = [
            (C::LowResolution, 0.57),
            (C::Compression, 0.18),
            (C::Blur, 0.17),
        ];
        let hints = hints_of(Action::Reject, &quality, &causes);
        assert_eq!(hints, [H::MoveCloser, H::HoldStill]);
        let causes = [(C::MotionBlur, 0.85), (C::Mask, 0.15)];
        assert_eq!(hints_of(Action::Reject, &quality, &causes), [H::HoldStill]);
        let causes = [(C::Underexposure, 0.83), (C::Mask, 0.17)];
        assert_eq!(hints_of(Action::Reject, &quality, &causes), [H::MoreLight]);
        let causes = [
            (C::Compression, 0.55),
            (C::LowResolution, 0.19),
            (C::Occlusion, 0.18),
        ];
        assert_eq!(hints_of(Action::Reject, &quality, &causes), [H::Retake]);
        let causes = [(C::Blur, 0.45), (C::Occlusion, 0.16)];
        let hints = hints_for(600, 1, 80.0, &causes);
        assert_eq!(hints, [H::HoldStill, H::MoveCloser]);
        let causes = [(C::Blur, 0.5), (C::Mask, 0.4)];
        let hints = hints_of(Action::Reject, &quality, &causes);
        assert_eq!(hints, [H::HoldStill, H::UncoverFace]);
        // Two causes with one remedy outweigh one that is larger than either.
        let causes = [(C::Pose, 0.4), (C::Noise, 0.3), (C::Underexposure, 0.3)];
        assert_eq!(
            hints_of(Action::Review, &quality, &causes),
            [H::MoreLight, H::FaceCamera]
        );
        let reasons = [Reason::Quality, Reason::FaceTooSmall];
        assert_eq!(
            hints_of(Action::Reject, &reasons, &[(C::Blur, 0.9)]),
            [H::MoveCloser, H::HoldStill]
        );
        assert_eq!(
            hints_of(Action::Reject, &[Reason::SeveralFaces], &[]),
            [H::SeveralFaces]
        );
    }

    proptest::proptest! {
        #[test]
        fn whoever_is_not_accepted_is_told_what_to_do(
            weights in proptest::collection::vec(0.0_f32..1.0, CauseName::ALL.len()),
            action in proptest::sample::select(vec![Action::Review, Action::Reject]),
            reason in proptest::sample::select(vec![Reason::Quality, Reason::FaceTooSmall, Reason::SeveralFaces]),
        ) {
            let causes: Vec<_> = CauseName::ALL.into_iter().zip(weights).collect();
            let hints = hints_of(action, &[reason], &causes);
            assert!(!hints.is_empty());
            assert!(!hints.contains(&HintCode::Retake) || hints.len() == 1, "{hints:?}");
        }
    }

    #[test]
    fn a_good_picture_gets_no_advice() {
        assert_eq!(hints_for(600, 1, 200.0, &[]), []);
    }

    #[test]
    fn the_picture_and_the_count_are_looked_at() {
        assert_eq!(hints_for(300, 0, 0.0, &[]), [HintCode::NoFace]);
        assert_eq!(
            hints_for(299, 0, 0.0, &[]),
            [HintCode::NoFace, HintCode::ImageTooSmall]
        );
        assert_eq!(hints_for(600, 2, 200.0, &[]), [HintCode::SeveralFaces]);
        assert_eq!(hints_for(600, 1, 60.0, &[]), [HintCode::MoveCloser]);
    }

    #[test]
    fn a_turned_head_is_not_told_to_come_closer() {
        let bounding_box = BoundingBox::new(0.0, 0.0, 200.0, 240.0);
        let quality = quality(&[(CauseName::Pose, 0.8)], 20.0);
        let decision = decision(Action::Accept, &[]);
        let scene = Scene {
            width: 800,
            height: 800,
            is_turned: false,
            face_count: 1,
            is_accepted: true,
            largest: Some((&bounding_box, &quality, &decision)),
        };
        assert_eq!(hints(&scene), [HintCode::FaceCamera]);
    }

    #[test]
    fn every_cause_gives_its_advice_once() {
        use CauseName as C;
        use HintCode as H;
        for (cause, expected) in [
            (C::Noise, vec![H::MoreLight]),
            (C::Underexposure, vec![H::MoreLight]),
            (C::Overexposure, vec![H::LessLight]),
            (C::Blur, vec![H::HoldStill]),
            (C::MotionBlur, vec![H::HoldStill]),
            (C::LowResolution, vec![H::MoveCloser]),
            (C::ScreenRecapture, vec![H::AvoidScreen]),
            (C::Occlusion, vec![H::UncoverFace]),
            (C::Mask, vec![H::UncoverFace]),
            (C::Pose, vec![H::FaceCamera]),
            (C::Compression, vec![]),
            (C::Unknown, vec![]),
        ] {
            assert_eq!(
                hints_for(600, 1, 200.0, &[(cause, 0.5)]),
                expected,
                "{cause:?}"
            );
            assert_eq!(hints_for(600, 1, 200.0, &[(cause, 0.1)]), [], "{cause:?}");
            let hints = hints_of(Action::Review, &[Reason::Quality], &[(cause, 0.1)]);
            assert_eq!(hints, [H::Retake], "{cause:?}");
        }
        assert_eq!(
            hints_for(600, 1, 200.0, &[(C::Underexposure, 0.5), (C::Noise, 0.3)]),
            [H::MoreLight]
        );
    }

    #[test]
    fn every_hint_is_a_sentence_in_both_languages() {
        for hint in HintCode::ALL {
            assert_eq!(
                serde_json::to_value(hint).unwrap(),
                serde_json::json!(hint.code())
            );
            let english = hint.message(Language::English);
            assert!(english.is_ascii() || english.contains('×'), "{english}");
            assert!(english.ends_with('.'), "{english}");
            let chinese = hint.message(Language::Chinese);
            assert!(chinese.ends_with('。'), "{chinese}");
            assert!(
                chinese
                    .chars()
                    .any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
            );
        }
        let mut messages: Vec<_> = HintCode::ALL
            .iter()
            .flat_map(|hint| Language::ALL.map(|language| hint.message(language)))
            .collect();
        messages.sort_unstable();
        messages.dedup();
        assert_eq!(messages.len(), 2 * HintCode::ALL.len());
        assert!(HintCode::ALL.is_sorted());
    }
}
