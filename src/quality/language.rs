//! Which of the two languages a person reads, from the `Accept-Language` header.

/// A language that hints (and the page) are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English, also for everybody whose language is not offered.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The tag for `Content-Language` and for file names.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// Chooses by an `Accept-Language` value (RFC 9110 §12.5.4): the offered language with the highest weight, the
    /// first of equals; English where none is named. Any Chinese (`zh`, `zh-TW`, `zh-Hans-CN` …) is Chinese. What is
    /// malformed is skipped.
    #[must_use]
    pub fn negotiate(header: &str) -> Self {
        let mut best = (Self::default(), 0.0);
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(language) = parts.next().and_then(Self::from_range) else {
                continue;
            };
            let weight = match parts.find_map(|part| part.strip_prefix("q=")) {
                None => 1.0,
                Some(text) => text
                    .trim()
                    .parse::<f32>()
                    .ok()
                    .filter(|weight| (0.0..=1.0).contains(weight))
                    .unwrap_or(0.0),
            };
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }

    fn from_range(range: &str) -> Option<Self> {
        let primary = range.split(['-', '_']).next()?;
        if primary.eq_ignore_ascii_case("zh") {
            Some(Self::Chinese)
        } else if primary.eq_ignore_ascii_case("en") || primary == "*" {
            Some(Self::English)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_highest_weight_wins_and_english_is_the_default() {
        use Language::{Chinese, English};
        for (header, expected) in [
            ("", English),
            ("zh", Chinese),
            ("ZH-cn", Chinese),
            ("zh-Hant-TW", Chinese),
            ("zh-CN,zh;q=0.9,en;q=0.8", Chinese),
            ("en-US,en;q=0.9,zh;q=0.8", English),
            ("en;q=0.3, zh;q=0.7", Chinese),
            ("en;q=0.7, zh;q=0.3", English),
            ("fr, zh;q=0.2", Chinese),
            ("fr", English),
            ("de-DE, *;q=0.5", English),
            ("zh;q=0", English),
            ("zh;q=0, en;q=0.1", English),
            ("zh;q=nan", English),
            ("zh;q=7", English),
            ("zh ; q=0.8 , en ; q=0.9", English),
            ("en, zh", English),
            ("zh, en", Chinese),
            ("zho", English),
            (";;,,=q", English),
        ] {
            assert_eq!(Language::negotiate(header), expected, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_gives_a_language(header in ".{0,80}") {
            let _ = Language::negotiate(&header);
        }
    }
}
