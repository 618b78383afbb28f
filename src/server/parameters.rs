//! Query parameters, checked before anything else is done: unknown names, repeats and values that are not allowed are told
//! apart and answered with what would be right.

use std::collections::BTreeMap;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::web::Query;

use super::problem_response::Problem;
use super::request_id::is_plain_name;

/// The parameters of one request: each known, each given once.
#[derive(Debug)]
pub struct Parameters {
    given: BTreeMap<String, String>,
}

impl Parameters {
    /// Reads the query string of `request`, of which `known` are the names that the endpoint takes.
    ///
    /// # Errors
    ///
    /// `invalid_parameter` for an unknown name (with the nearest known one) or one that is given twice.
    pub fn read(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        Self::parse(request.query_string(), known)
    }

    fn parse(query: &str, known: &[&str]) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| Problem::parameter("the query string cannot be read"))?
            .into_inner();
        let mut given = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                return Err(Problem::parameter(unknown("parameter", &name, known)));
            }
            if given.insert(name.clone(), value).is_some() {
                return Err(Problem::parameter(format!(
                    "parameter `{name}` is given twice"
                )));
            }
        }
        Ok(Self { given })
    }

    /// The value of `name` as it was given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// A caller's terminal or camera id.
    ///
    /// # Errors
    ///
    /// `invalid_parameter` for anything but 1–64 of `[A-Za-z0-9._:-]`.
    pub fn source(&self) -> Result<Option<String>, Problem> {
        match self.text("source") {
            None => Ok(None),
            Some(source) if is_plain_name(source) => Ok(Some(source.to_owned())),
            Some(source) => Err(Problem::parameter(format!(
                "`source` has {} characters; 1 to 64 of A-Z a-z 0-9 . _ : - are allowed",
                source.chars().count()
            ))),
        }
    }

    /// One of `choices`; the first is the default.
    ///
    /// # Errors
    ///
    /// `invalid_parameter` for anything else.
    pub fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, Problem> {
        let Some(value) = self.text(name) else {
            return Ok(default);
        };
        choices
            .iter()
            .find(|(word, _)| *word == value)
            .map(|&(_, meaning)| meaning)
            .ok_or_else(|| {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                Problem::parameter(format!(
                    "`{name}` is {}; it can be {}",
                    quoted(value),
                    words.join(" or ")
                ))
            })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    ///
    /// `invalid_parameter` for anything else.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        self.choice(name, &[("true", true), ("false", false)], default)
    }

    /// `largest` or `all`: whether all faces are asked for.
    ///
    /// # Errors
    ///
    /// `invalid_parameter` for anything else.
    pub fn all_faces(&self) -> Result<bool, Problem> {
        self.choice("faces", &[("largest", false), ("all", true)], false)
    }

    /// A number from `least` to `most`.
    ///
    /// # Errors
    ///
    /// `invalid_parameter` for what is no number or lies outside.
    pub fn number<T>(&self, name: &str, least: T, most: T) -> Result<Option<T>, Problem>
    where
        T: FromStr + PartialOrd + std::fmt::Display + Copy,
    {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match value.parse::<T>() {
            Ok(number) if number >= least && number <= most => Ok(Some(number)),
            _ => Err(Problem::parameter(format!(
                "`{name}` is {}; a number from {least} to {most} is expected",
                quoted(value)
            ))),
        }
    }
}

/// Says that `name` is not known and which of `known` may be meant.
#[must_use]
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    match nearest {
        Some(nearest) => format!(
            "unknown {what} {}; the nearest known one is `{nearest}` (known: {})",
            quoted(name),
            known.join(", ")
        ),
        None => format!("unknown {what} {}; none is taken here", quoted(name)),
    }
}

/// A caller's text in backticks, made short and printable, so that it can stand in a message.
#[must_use]
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|letter| {
            if letter.is_control() {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemCode;

    const KNOWN: &[&str] = &["scenario", "source", "faces", "embedding", "limit"];

    fn detail<T: std::fmt::Debug>(outcome: Result<T, Problem>) -> String {
        let problem = outcome.unwrap_err();
        assert_eq!(problem.code, ProblemCode::InvalidParameter);
        problem.detail
    }

    #[test]
    fn the_nearest_known_name_is_offered() {
        for (typed, meant) in [
            ("scenaro", "scenario"),
            ("face", "faces"),
            ("embeddings", "embedding"),
        ] {
            let detail = detail(Parameters::parse(&format!("{typed}=x"), KNOWN));
            assert!(detail.contains(&format!("is `{meant}`")), "{detail}");
        }
    }

    #[test]
    fn repeats_are_refused() {
        let detail = detail(Parameters::parse("faces=all&faces=all", KNOWN));
        assert!(detail.contains("twice"), "{detail}");
    }

    #[test]
    fn sources_are_short_plain_names() {
        let read = |text: &str| {
            Parameters::parse(&format!("source={text}"), KNOWN)
                .unwrap()
                .source()
        };
        assert_eq!(read("door-1").unwrap().as_deref(), Some("door-1"));
        assert!(read(&"x".repeat(64)).is_ok());
        assert!(detail(read(&"x".repeat(65))).contains("65 characters"));
        assert!(detail(read("")).contains("0 characters"));
        assert!(read("a%20b").is_err());
    }

    #[test]
    fn values_are_checked_and_the_right_ones_named() {
        let parameters = Parameters::parse("faces=both&embedding=yes&limit=0", KNOWN).unwrap();
        assert!(detail(parameters.all_faces()).contains("largest or all"));
        assert!(detail(parameters.flag("embedding", true)).contains("true or false"));
        assert!(detail(parameters.number::<u32>("limit", 1, 1000)).contains("1 to 1000"));
        let nothing = Parameters::parse("", KNOWN).unwrap();
        assert!(!nothing.all_faces().unwrap());
        assert!(nothing.flag("embedding", true).unwrap());
        assert_eq!(nothing.number::<u32>("limit", 1, 1000).unwrap(), None);
    }

    #[test]
    fn what_a_caller_typed_cannot_break_a_message() {
        let detail = detail(Parameters::parse(
            &format!("{}%0A=1", "z".repeat(500)),
            KNOWN,
        ));
        assert!(
            detail.chars().count() < 200 && !detail.contains('\n'),
            "{detail}"
        );
    }
}
