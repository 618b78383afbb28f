//! What a caller would rather get (RFC 9110 §12): in which language, and whether a page or JSON.

use std::cmp::Reverse;

use actix_web::HttpRequest;
use actix_web::http::header::{
    ACCEPT_LANGUAGE, Accept, Header, Quality, QualityItem, from_comma_delimited,
};
use actix_web::mime::{self, Mime};
use faceood_engine::quality::Language;

/// Remembers the language that the reader switched to.
const COOKIE: &str = "faceood_language";

/// The language of the highest weight in `Accept-Language` (RFC 9110 §12.5.4), the first of equals;
/// English where none is named. What is malformed is skipped.
pub(crate) fn language(request: &HttpRequest) -> Language {
    // As text: a tag of the library's own would refuse `zh_CN`, which some programs send.
    let ranges = request.headers().get_all(ACCEPT_LANGUAGE);
    let ranges: Vec<QualityItem<String>> = from_comma_delimited(ranges).unwrap_or_default();
    ranges
        .iter()
        .filter(|range| range.quality > Quality::ZERO)
        .filter_map(|range| Some((range.quality, Language::of_range(&range.item)?)))
        .min_by_key(|&(weight, _)| Reverse(weight))
        .map_or(Language::English, |(_, language)| language)
}

/// The language that the reader chose on the page, else the one that the browser asks for.
pub(crate) fn chosen_language(request: &HttpRequest) -> Language {
    let cookie = request.cookie(COOKIE);
    let chosen = cookie.and_then(|cookie| Language::of_tag(cookie.value()));
    chosen.unwrap_or_else(|| language(request))
}

/// Whether the caller would rather have a page than JSON, as browsers do. Whoever does not care gets
/// JSON.
pub(crate) fn prefers_page(request: &HttpRequest) -> bool {
    let Ok(accept) = Accept::parse(request) else {
        return false;
    };
    let ranked = accept.ranked();
    let place = |is_it: fn(&Mime) -> bool| ranked.iter().position(is_it);
    let is_page = |kind: &Mime| kind.essence_str() == mime::TEXT_HTML.essence_str();
    let is_json =
        |kind: &Mime| ["application/json", "application/*", "*/*"].contains(&kind.essence_str());
    place(is_page).is_some_and(|page| place(is_json).is_none_or(|json| page < json))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    /// The language of a caller who sends these headers.
    fn language_of(headers: &[&str]) -> Language {
        let request = TestRequest::default();
        let request = headers.iter().fold(request, |request, &header| {
            request.append_header((ACCEPT_LANGUAGE, header))
        });
        language(&request.to_http_request())
    }

    #[test]
    fn the_highest_weight_wins_and_english_is_the_default() {
        use Language::{Chinese, English};
        for (header, expected) in [
            ("", English),
            ("zh", Chinese),
            ("ZH-cn", Chinese),
            ("zh_CN", Chinese),
            ("zh-Hant-TW", Chinese),
            ("zh-CN,zh;q=0.9,en;q=0.8", Chinese),
            ("en-US,en;q=0.9,zh;q=0.8", English),
            ("en;q=0.3, zh;q=0.7", Chinese),
            ("en;q=0.7, zh;q=0.3", English),
            ("fr, zh;q=0.2", Chinese),
            ("fr", English),
            ("de-DE, *;q=0.5", English),
            ("zh;q=0", English),
            ("zh;q=0.0", English),
            ("zh;q=0, en;q=0.1", English),
            ("zh;q=nan", English),
            ("zh;q=7", English),
            ("zh;q=7, zh;q=0.1", Chinese),
            ("zh ; q=0.8 , en ; q=0.9", English),
            ("zh ; q=0.9 , en ; q=0.8", Chinese),
            ("en, zh", English),
            ("zh, en", Chinese),
            ("zh;q=0.5, en;q=0.5", Chinese),
            ("zho", English),
            (";;,,=q", English),
        ] {
            assert_eq!(language_of(&[header]), expected, "{header:?}");
        }
        assert_eq!(language_of(&[]), English);
        assert_eq!(language_of(&["fr", "zh;q=0.2"]), Chinese);
        // As long as a head may be.
        assert_eq!(language_of(&["fr,".repeat(40_000).as_str(), "zh"]), Chinese);
    }

    proptest! {
        #[test]
        fn any_header_gives_a_language(header in "[\\x20-\\x7e\\u{80}-\\u{ff}]{0,80}") {
            let _ = language_of(&[&header]);
        }
    }

    #[test]
    fn a_page_is_for_those_who_ask_for_it_before_json() {
        for (accept, expected) in [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (Some("text/html"), true),
            (
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
                true,
            ),
            (Some("application/json, text/html;q=0.5"), false),
            (Some("text/html;q=0.5, application/json;q=0.9"), false),
            (Some("text/plain"), false),
            (Some("; nonsense"), false),
        ] {
            let mut request = TestRequest::default();
            if let Some(accept) = accept {
                request = request.insert_header(("Accept", accept));
            }
            assert_eq!(
                prefers_page(&request.to_http_request()),
                expected,
                "{accept:?}"
            );
        }
    }
}
