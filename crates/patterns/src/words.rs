//! Names, summaries and advice for patterns, in English and Chinese.

use chrono::{DateTime, Utc};

use super::LocalTime;
use super::report::{LowBy, SourceShare, TrendKind};
use faceood_engine::policy::Reason;
use faceood_engine::quality::{CauseName, Component, Language};

pub(super) fn cause(name: CauseName, language: Language) -> &'static str {
    let (english, chinese) = match name {
        CauseName::Noise => ("sensor noise", "传感器噪点"),
        CauseName::Blur => ("out of focus", "失焦模糊"),
        CauseName::MotionBlur => ("motion blur", "运动模糊"),
        CauseName::LowResolution => ("too few pixels on the face", "人脸像素不足"),
        CauseName::Compression => ("strong compression", "压缩失真"),
        CauseName::Underexposure => ("too dark", "曝光不足"),
        CauseName::Overexposure => ("too bright", "曝光过度"),
        CauseName::ScreenRecapture => ("pictures of a screen", "翻拍屏幕"),
        CauseName::Occlusion => ("covered faces", "面部遮挡"),
        CauseName::Mask => ("masks", "佩戴口罩"),
        CauseName::Pose => ("faces turned away", "人脸偏转"),
        CauseName::Unknown => ("a cause that is not measured", "未知原因"),
    };
    language.pick(english, chinese)
}

/// A pattern's label, a cause's name or a reason, as people read it. The names themselves are those
/// of the JSON.
pub(super) fn label(label: &str, language: Language) -> String {
    if label == Reason::SeveralFaces.name() {
        return language
            .pick("several people in the picture", "画面中有多人")
            .to_owned();
    }
    let word = |name| CauseName::from_name(name).map_or(name, |known| cause(known, language));
    let words: Vec<&str> = label.split('+').map(word).collect();
    words.join(language.pick(" and ", "、"))
}

/// A label as people read it, with its name in the JSON: `out of focus (blur)`.
pub fn named(name: &str, language: Language) -> String {
    let words = label(name, language);
    language.pick(format!("{words} ({name})"), format!("{words}（{name}）"))
}

/// A measure as people read it: a component, or one of the two that the analysis adds.
pub(super) fn measure(name: &str, language: Language) -> &str {
    match name {
        "face_px" => language.pick("Size of the face", "人脸尺寸"),
        "embedding_norm_residual" => language.pick(
            "Embedding norm beyond its score",
            "扣除质量分影响后的特征向量模长",
        ),
        name => {
            let mut all = Component::ALL.into_iter();
            let known = all.find(|component| component.name() == name);
            known.map_or(name, |component| component.label(language))
        }
    }
}

/// What low rows are called after `n %`.
pub(super) fn of_low(by: LowBy, language: Language) -> &'static str {
    match by {
        LowBy::Action => language.pick("of those not accepted", "未通过的抓拍"),
        LowBy::Score => language.pick("of the low ones", "低分抓拍"),
    }
}

/// What to do where other people are in the picture, without a full stop.
pub fn remedy_for_several(language: Language) -> &'static str {
    language.pick(
        "let one person at a time stand before the camera, and mark off where others wait",
        "请一次只让一人站到镜头前，并标出其他人的等候区域",
    )
}

/// A source as a person reads it. Control characters are replaced, because a log may hold anything
/// and a terminal would act on them.
pub(super) fn source(name: &str, language: Language) -> String {
    if name.is_empty() {
        return language.pick("(no source)", "（未注明来源）").to_owned();
    }
    name.replace(char::is_control, "\u{fffd}")
}

/// What to do about a cause, without a full stop.
pub fn remedy(name: CauseName, language: Language) -> &'static str {
    let (english, chinese) = match name {
        CauseName::Noise => (
            "add light in front of the camera or lower its gain (ISO)",
            "请在摄像头前补光，或降低增益（ISO）",
        ),
        CauseName::Blur => (
            "focus the lens on where people stand, and clean it",
            "请将镜头对焦到人员站立的位置，并清洁镜头",
        ),
        CauseName::MotionBlur => (
            "shorten the exposure time (with more light), or make people stop in front of the camera",
            "请缩短曝光时间（同时补光），或让人员在镜头前停留",
        ),
        CauseName::LowResolution => (
            "bring camera and people nearer to each other, use a longer lens, or send the full picture instead of a thumbnail",
            "请缩短摄像头与人员的距离、换用长焦镜头，或上传原图而非缩略图",
        ),
        CauseName::Compression => (
            "raise the bit rate or the JPEG quality, and use the main stream rather than the sub-stream",
            "请提高码率或 JPEG 质量，并使用主码流而非子码流",
        ),
        CauseName::Underexposure => (
            "add light, or lengthen the exposure; against the light switch on wide dynamic range",
            "请补光或延长曝光；逆光时开启宽动态",
        ),
        CauseName::Overexposure => (
            "shield the camera from sun and lamps, or lower the exposure",
            "请避免阳光或灯光直射镜头，或降低曝光",
        ),
        CauseName::ScreenRecapture => (
            "somebody holds a screen or a print up to the camera: check these captures, and require the person",
            "疑似有人对着镜头出示屏幕或打印照片：请核查这些抓拍，并要求本人到场",
        ),
        CauseName::Occlusion => (
            "ask people to take off what covers the face, and check that nothing stands before the lens",
            "请提示人员摘下遮挡物，并检查镜头前有无障碍物",
        ),
        CauseName::Mask => (
            "ask people to lower their masks in front of the camera",
            "请提示人员在镜头前摘下口罩",
        ),
        CauseName::Pose => (
            "mount the camera at eye height where people look, or give them something there to look at",
            "请将摄像头安装在人员视线的高度和方向上，或在该处设置吸引视线的标志",
        ),
        CauseName::Unknown => (
            "look at the exemplars' pictures at the source: what is measured does not explain these scores",
            "请在现场查看典型抓拍的图片：现有指标无法解释这些低分",
        ),
    };
    language.pick(english, chinese)
}

/// What to do about several causes, without a full stop.
pub(super) fn remedies(causes: &[CauseName], language: Language) -> String {
    let remedies = causes.iter().map(|&name| remedy(name, language));
    remedies.collect::<Vec<_>>().join(language.pick("; ", "；"))
}

/// What a sentence about a pattern is made of.
pub(super) struct Facts<'a> {
    /// One or two causes.
    pub(super) causes: &'a [CauseName],
    /// Measures that differ most, where the cause is unknown.
    pub(super) differing: &'a [(String, f64)],
    pub(super) sources: &'a [SourceShare],
    /// Its hours, where they are significant.
    pub(super) hours: Option<[u32; 2]>,
    pub(super) since: DateTime<Utc>,
    pub(super) trend: TrendKind,
    pub(super) size: u64,
    /// Share of the low rows.
    pub(super) share: f64,
    /// Share that would pass without the pattern.
    pub(super) gain: Option<f64>,
    pub(super) low_by: LowBy,
}

/// Sources that a sentence names.
const NAMED: usize = 3;

impl Facts<'_> {
    pub(super) fn summary(&self, language: Language, local: LocalTime) -> String {
        let (size, share) = (self.size, 100.0 * self.share);
        let since = local(self.since);
        let hours = |[from, to]: [u32; 2]| format!("{from:02}:00–{to:02}:00");
        let mut parts = Vec::new();
        parts.extend(self.place(language));
        parts.extend(self.hours.map(hours));
        parts.push(self.what(language));
        parts.push(language.pick(
            since.format("since %-d %b").to_string(),
            since.format("自 %-m 月 %-d 日起").to_string(),
        ));
        if self.trend != TrendKind::Unknown {
            parts.push(self.trend.word(language).to_owned());
        }
        let low = of_low(self.low_by, language);
        parts.push(language.pick(
            format!("{size} captures, {share:.0} % {low}"),
            format!("共 {size} 张抓拍，占{low}的 {share:.0}%"),
        ));
        parts.join(language.pick(", ", "，"))
    }

    /// What can be done, and what it would bring.
    pub(super) fn advice(&self, language: Language) -> String {
        let mut text = remedies(self.causes, language);
        if let Some(gain) = self.gain {
            let gain = 100.0 * gain;
            text += &language.pick(
                format!("; expected gain: {gain:.0} % of these captures would be accepted"),
                format!("；改善后预计其中 {gain:.0}% 可以通过"),
            );
        }
        text
    }

    fn place(&self, language: Language) -> Option<String> {
        let all = self.sources.len();
        let named = self.sources.iter().take(NAMED);
        let names: Vec<String> = named.map(|part| source(&part.source, language)).collect();
        let list = names.join(language.pick(", ", "、"));
        let (english, chinese) = match all {
            0 => return None,
            1 => (format!("camera {list}"), format!("摄像头 {list}")),
            2..=NAMED => (format!("cameras {list}"), format!("摄像头 {list}")),
            _ => (
                format!("cameras {list} and {} more", all - NAMED),
                format!("摄像头 {list} 等 {all} 个"),
            ),
        };
        Some(language.pick(english, chinese))
    }

    fn what(&self, language: Language) -> String {
        let names = self.causes.iter().map(|&name| cause(name, language));
        let mut what = names
            .collect::<Vec<_>>()
            .join(language.pick(" with ", "与"));
        if !self.differing.is_empty() {
            let measures = self.differing.iter().map(|(name, z)| {
                let is_low = *z < 0.0;
                let far = match language {
                    Language::English if is_low => " unusually low",
                    Language::English => " unusually high",
                    Language::Chinese if is_low => "偏低",
                    Language::Chinese => "偏高",
                };
                format!("{}{far}", measure(name, language))
            });
            let list = measures.collect::<Vec<_>>().join(language.pick(", ", "、"));
            what += &language.pick(format!(" ({list})"), format!("（{list}）"));
        }
        what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sources: &[SourceShare]) -> Facts<'_> {
        Facts {
            causes: &[CauseName::Noise],
            differing: &[],
            sources,
            hours: Some([22, 5]),
            since: DateTime::from_timestamp(1_794_440_000, 0).unwrap(),
            trend: TrendKind::Growing,
            size: 120,
            share: 0.4,
            gain: Some(0.612),
            low_by: LowBy::Action,
        }
    }

    #[test]
    fn a_pattern_is_told_in_one_sentence_and_advice_says_what_to_do() {
        let sources = [SourceShare {
            source: "gate-3".into(),
            count: 120,
            lift: 7.0,
            p_value: 0.0,
        }];
        let facts = facts(&sources);
        let utc = |time: DateTime<Utc>| time.naive_utc();
        assert_eq!(
            facts.summary(Language::English, utc),
            "camera gate-3, 22:00–05:00, sensor noise, since 11 Nov, growing, 120 captures, 40 % of those not accepted"
        );
        assert_eq!(
            facts.summary(Language::Chinese, utc),
            "摄像头 gate-3，22:00–05:00，传感器噪点，自 11 月 11 日起，持续增多，共 120 张抓拍，占未通过的抓拍的 40%"
        );
        assert!(
            facts
                .advice(Language::English)
                .ends_with("expected gain: 61 % of these captures would be accepted")
        );
        assert!(
            facts
                .advice(Language::Chinese)
                .ends_with("改善后预计其中 61% 可以通过")
        );
    }

    #[test]
    fn an_unknown_trend_is_not_told_and_unusual_measures_have_the_names_of_the_page() {
        let facts = Facts {
            causes: &[CauseName::Unknown],
            differing: &[("sharpness".to_owned(), -4.0), ("face_px".to_owned(), 5.0)],
            trend: TrendKind::Unknown,
            low_by: LowBy::Score,
            ..facts(&[])
        };
        let utc = |time: DateTime<Utc>| time.naive_utc();
        assert_eq!(
            facts.summary(Language::English, utc),
            "22:00–05:00, a cause that is not measured (Sharpness unusually low, Size of the face \
             unusually high), since 11 Nov, 120 captures, 40 % of the low ones"
        );
        let chinese = facts.summary(Language::Chinese, utc);
        assert!(
            chinese.contains("清晰度偏低、人脸尺寸偏高") && !chinese.contains("趋势"),
            "{chinese}"
        );
        assert_eq!(measure("made_up", Language::English), "made_up");
        assert_eq!(
            label("blur+noise", Language::English),
            "out of focus and sensor noise"
        );
        assert_eq!(label("several_faces", Language::Chinese), "画面中有多人");
        assert_eq!(named("blur", Language::English), "out of focus (blur)");
        assert_eq!(named("blur", Language::Chinese), "失焦模糊（blur）");
    }

    #[test]
    fn what_a_terminal_would_act_on_is_not_shown() {
        let english = |name| source(name, Language::English);
        assert_eq!(english("a\x1b[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(english(""), "(no source)");
        assert_eq!(source("", Language::Chinese), "（未注明来源）");
    }

    #[test]
    fn every_cause_has_words_and_a_remedy_in_both_languages() {
        for language in Language::ALL {
            for name in CauseName::ALL {
                assert!(!cause(name, language).is_empty());
                let is_chinese = remedy(name, language).chars().any(|c| c as u32 > 0x2fff);
                assert_eq!(is_chinese, language == Language::Chinese, "{name:?}");
            }
        }
    }
}
