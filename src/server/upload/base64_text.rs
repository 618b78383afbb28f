//! Base64 as callers write it: with or without padding, in lines, behind a `data:` prefix.

use std::borrow::Cow;

use actix_web::web::Bytes;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use faceood_engine::problem::ProblemCode;
use serde::Deserialize;

use crate::server::problem_response::Problem;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A text of JSON, borrowed from the body where it has no escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The picture in it; `name` is the key under which it stood. Refuses what is no base64, a path
    /// or an address with words of its own, and what is over `limit`.
    pub(crate) fn decode(&self, name: &str, limit: usize) -> Result<Bytes, Problem> {
        let text = payload_of(self.as_str(), name)?;
        if text.is_empty() {
            return Err(Problem::malformed(format!(
                "`{name}` is empty; a picture in base64 is expected"
            )));
        }
        let bytes = decode(text).map_err(|error| {
            Problem::malformed(format!(
                "`{name}` is not base64 ({error}); encode the bytes of the picture file"
            ))
        })?;
        if bytes.len() > limit {
            let detail = format!(
                "`{name}` has {} bytes; a picture may have {limit}; make it smaller, or save it as a JPEG of lower quality",
                bytes.len()
            );
            return Err(Problem::new(ProblemCode::ImageTooLarge, detail));
        }
        Ok(bytes.into())
    }
}

fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    // `%2F`, `%2B`, `%3D`: percent signs are no base64, so it was escaped for an address.
    let unescaped = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    if unescaped != text {
        return decode(&unescaped);
    }
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        // A form decoder makes spaces of plus signs. Where there is any other sign of that place in
        // the alphabet, spaces only divide lines; every 64th character of a picture is one.
        let has_sign = text.contains(['+', '-', '_']);
        let joined: String = text
            .chars()
            .filter(|letter| *letter == ' ' && !has_sign || !letter.is_ascii_whitespace())
            .map(|letter| if letter == ' ' { '+' } else { letter })
            .collect();
        return decode(&joined);
    }
    // The two alphabets differ in two characters, so the presence of either tells which one it is.
    if text.contains(['-', '_']) {
        URL_SAFE.decode(text)
    } else {
        STANDARD.decode(text)
    }
}

/// `text` without a `data:…;base64,` prefix; refuses what names a picture instead of holding it.
fn payload_of<'t>(text: &'t str, name: &str) -> Result<&'t str, Problem> {
    let text = text.trim();
    let start = text.get(..5).unwrap_or_default();
    if start.eq_ignore_ascii_case("data:") {
        return match text.split_once(',') {
            Some((head, payload)) if head.to_ascii_lowercase().ends_with(";base64") => Ok(payload),
            _ => Err(Problem::malformed(format!(
                "`{name}` is a data: address that is not base64; data:image/jpeg;base64,… is expected"
            ))),
        };
    }
    match named_elsewhere(text) {
        Some(what) => Err(Problem::malformed(format!(
            "`{name}` looks like {what}; nothing is fetched or opened here, send the picture itself as base64"
        ))),
        None => Ok(text),
    }
}

/// What `text` is, if it points to a picture rather than being one.
fn named_elsewhere(text: &str) -> Option<&'static str> {
    // Longer than any path, shorter than any picture worth sending.
    const LONGEST_PATH: usize = 4096;
    if text.len() > LONGEST_PATH {
        return None;
    }
    if text.contains("://") || text.starts_with("//") {
        return Some("an address (URL)");
    }
    let lower = text.to_ascii_lowercase();
    let has_suffix = [
        ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".gif",
    ]
    .iter()
    .any(|suffix| lower.ends_with(suffix));
    // `/9j/` is how the base64 of every JPEG begins; no other type's begins with a slash.
    let is_rooted = text.starts_with('/') && !text.starts_with("/9j/");
    let is_relative = text.starts_with("./") || text.starts_with("../") || text.starts_with("~/");
    let has_drive =
        matches!(text.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    (has_suffix || is_rooted || is_relative || has_drive).then_some("a path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text<'_> {
        Text(Cow::Borrowed(text))
    }

    #[test]
    fn every_common_way_of_writing_gives_the_same_bytes() {
        let bytes: Vec<u8> = (0..=255).collect();
        let padded = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let lines: Vec<_> = padded
            .as_bytes()
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        for written in [
            padded.clone(),
            padded.trim_end_matches('=').to_owned(),
            lines.join("\r\n"),
            format!("data:image/png;base64,{padded}"),
            format!("DATA:image/png;charset=x;BASE64,{padded}"),
            padded.replace('+', "-").replace('/', "_"),
            padded
                .replace('+', "%2B")
                .replace('/', "%2f")
                .replace('=', "%3D"),
            padded.replace('+', " "),
            lines.join(" "),
            format!("data:image/png;base64,{}", lines.join("%0D%0A")),
        ] {
            let got = text(&written).decode("image", 1000).unwrap();
            assert_eq!(&got[..], &bytes[..], "{written}");
        }
    }

    #[test]
    fn paths_and_addresses_are_told_so() {
        for (pointer, what) in [
            ("http://127.0.0.1/a.jpg", "URL"),
            ("file:///etc/passwd", "URL"),
            ("//host/share", "URL"),
            ("/etc/passwd", "path"),
            ("../../etc/shadow", "path"),
            ("C:\\photos\\me", "path"),
            ("photo.JPG", "path"),
        ] {
            let problem = text(pointer).decode("image", 1000).unwrap_err();
            assert_eq!(problem.code, ProblemCode::MalformedRequest);
            assert!(
                problem.detail.contains(what),
                "{pointer}: {}",
                problem.detail
            );
        }
    }

    #[test]
    fn a_jpeg_is_no_path() {
        assert!(text("/9j/4AAQSkZJRgABAQ==").decode("image", 1000).is_ok());
    }

    #[test]
    fn broken_text_names_the_place() {
        let problem = text("abc$def").decode("probe", 1000).unwrap_err();
        assert!(
            problem.detail.contains("`probe`") && problem.detail.contains('3'),
            "{}",
            problem.detail
        );
        assert!(text("data:image/png,abc").decode("image", 1000).is_err());
        assert!(
            text("  ")
                .decode("image", 1000)
                .unwrap_err()
                .detail
                .contains("empty")
        );
    }

    #[test]
    fn size_is_that_of_the_picture() {
        let problem = text(&"A".repeat(16)).decode("image", 10).unwrap_err();
        assert_eq!(problem.code, ProblemCode::ImageTooLarge);
        assert!(
            problem.detail.contains("12 bytes") && problem.detail.contains("10"),
            "{}",
            problem.detail
        );
    }
}
