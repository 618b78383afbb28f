//! What may name a request, a source or a token.

/// Most characters of such a name.
const LONGEST: usize = 64;

/// Whether `text` can be such a name: 1–64 of `[A-Za-z0-9._:-]`.
pub(crate) fn is_plain_name(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.chars().all(is_plain)
}

/// Why `text` cannot be such a name, if so. Does not repeat it: it may be long, or a secret.
pub(crate) fn name_fault(text: &str) -> Option<String> {
    if is_plain_name(text) {
        return None;
    }
    Some(match text.chars().find(|letter| !is_plain(*letter)) {
        Some(letter) => format!("has the character {letter:?}"),
        None => format!("has {} characters", text.len()),
    })
}

/// Whether `letter` may stand in such a name.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._:-".contains(letter)
}
