//! Options that take one of several words.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A word, its help, and what it stands for.
pub(crate) type Choice<T> = (&'static str, &'static str, T);

pub(crate) fn choice<T: Copy + Send + Sync + 'static>(
    choices: &'static [Choice<T>],
) -> impl TypedValueParser<Value = T> {
    let words = choices.iter();
    let words = words.map(|(word, help, _)| PossibleValue::new(*word).help(*help));
    PossibleValuesParser::new(words).try_map(move |given| {
        let chosen = choices.iter().find(|(word, ..)| *word == given);
        chosen.map(|(.., value)| *value).ok_or("no such word")
    })
}
