//! Query parameters. A struct per endpoint reads and documents them; this refuses what is not in
//! it, repeats and wrong values, and says what would be right.

use std::fmt::Display;
use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::web::Query;
use serde::de::value::{Error, MapDeserializer, StrDeserializer};
use serde::de::{Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use utoipa::IntoParams;

use super::problem_response::Problem;
use crate::plain_name::name_fault;

/// The query of an endpoint that takes no parameters.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct NoParameters {}

/// The parameters of one request: each known, each given once, in the order of the known ones.
#[derive(Debug)]
pub(crate) struct Parameters {
    given: Vec<(String, String)>,
}

/// Reads the query string of `request`, as [`Parameters::parse`] and [`Parameters::get`] do.
pub(crate) fn read<Q: IntoParams + for<'q> Deserialize<'q>>(
    request: &HttpRequest,
) -> Result<Q, Problem> {
    Parameters::parse(request.query_string(), &names::<Q>())?.get()
}

pub(crate) fn names<Q: IntoParams>() -> Vec<String> {
    let parameters = Q::into_params(|| None).into_iter();
    parameters.map(|parameter| parameter.name).collect()
}

impl Parameters {
    /// Reads a query string, for an endpoint that takes the parameters `known`. Refuses an unknown
    /// name (with the nearest known one) and one that is given twice.
    pub(crate) fn parse(query: &str, known: &[String]) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| Problem::parameter("the query string cannot be read"))?
            .into_inner();
        let mut given: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            if !known.contains(&name) {
                return Err(Problem::parameter(unknown("parameter", &name, known)));
            }
            if given.iter().any(|(earlier, _)| *earlier == name) {
                let detail = format!("parameter `{name}` is given twice; give it once");
                return Err(Problem::parameter(detail));
            }
            given.push((name, value));
        }
        given.sort_by_key(|(name, _)| known.iter().position(|known| known == name));
        Ok(Self { given })
    }

    /// The values of those that are fields of `Q`; refuses the first that does not fit.
    pub(crate) fn get<'q, Q: Deserialize<'q>>(&'q self) -> Result<Q, Problem> {
        let mut last = "";
        let pairs = self.given.iter().map(|(name, value)| {
            last = name;
            (name.as_str(), Value(value))
        });
        let read = Q::deserialize(MapDeserializer::new(pairs));
        read.map_err(|wrong: Error| Problem::parameter(format!("`{last}` {wrong}")))
    }
}

/// A parameter's value. Its errors lack the name, which [`Parameters::get`] adds.
struct Value<'de>(&'de str);

impl<'de> Value<'de> {
    fn one_of(&self, words: &[&str]) -> Result<StrDeserializer<'de, Error>, Error> {
        if words.contains(&self.0) {
            return Ok(self.0.into_deserializer());
        }
        let (given, words) = (quoted(self.0), words.join(" or "));
        Err(Error::custom(format_args!("is {given}; it can be {words}")))
    }
}

impl<'de> IntoDeserializer<'de> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.one_of(&["true", "false"])?;
        visitor.visit_bool(self.0 == "true")
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.one_of(words)?.deserialize_enum(name, words, visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Reads a caller's terminal or camera id: 1–64 of `[A-Za-z0-9._:-]`.
pub(crate) fn source<'q, D: Deserializer<'q>>(value: D) -> Result<Option<String>, D::Error> {
    let source = String::deserialize(value)?;
    match name_fault(&source) {
        None => Ok(Some(source)),
        Some(fault) => Err(D::Error::custom(format_args!(
            "{fault}; 1 to 64 of A-Z a-z 0-9 . _ : - are allowed"
        ))),
    }
}

pub(crate) fn number<'q, D: Deserializer<'q>, T>(
    value: D,
    least: T,
    most: T,
) -> Result<Option<T>, D::Error>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    let expected = format_args!("a number from {least} to {most} is expected");
    parsed(value, expected, |text| {
        let number = text.parse().ok();
        number.filter(|number| (&least..=&most).contains(&number))
    })
}

/// What `parse` makes of a value; where it is nothing, the error says what is `expected`.
pub(crate) fn parsed<'q, D: Deserializer<'q>, T>(
    value: D,
    expected: impl Display,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(value)?;
    let wrong = || D::Error::custom(format_args!("is {}; {expected}", quoted(&text)));
    parse(&text).map(Some).ok_or_else(wrong)
}

/// Says that `name` is not known and which of `known` may be meant.
pub(crate) fn unknown(what: &str, name: &str, known: &[impl AsRef<str>]) -> String {
    // Below this, two words of our own share no more than some letters, such as `limit` and `since`.
    const CLOSE: f64 = 0.8;
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let name = quoted(name);
    if known.is_empty() {
        return format!("unknown {what} {name}; none is taken here");
    }
    let likeness = |known: &str| strsim::jaro_winkler(name.trim_matches('`'), known);
    let close = known.iter().filter(|known| likeness(known) >= CLOSE);
    let nearest = close.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let meant = nearest.map_or_else(String::new, |nearest| {
        format!("; the nearest known one is `{nearest}`")
    });
    format!("unknown {what} {name}{meant} (known: {})", known.join(", "))
}

/// Whether a character is a control character, or invisible and changes the order or the place of
/// others.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A caller's text in backticks, made short and printable, so that it can stand in a message.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let start: String = text.chars().take(LONGEST).collect();
    let mut shown = start.replace(is_unprintable, "\u{fffd}");
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceood_engine::problem::ProblemCode;

    #[derive(Debug, Default, Deserialize, IntoParams)]
    #[serde(default)]
    struct Asked {
        scenario: Option<String>,
        #[serde(deserialize_with = "source")]
        source: Option<String>,
        faces: Option<Choice>,
        embedding: Option<bool>,
        #[serde(deserialize_with = "limit")]
        limit: Option<u32>,
    }

    #[derive(Debug, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Largest,
        All,
    }

    fn limit<'q, D: Deserializer<'q>>(value: D) -> Result<Option<u32>, D::Error> {
        number(value, 1, 1000)
    }

    fn asked(query: &str) -> Result<Asked, Problem> {
        Parameters::parse(query, &names::<Asked>())?.get()
    }

    fn refusal(query: &str) -> String {
        let problem = asked(query).unwrap_err();
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
            assert_eq!(
                refusal(&format!("{typed}=x")),
                format!(
                    "unknown parameter `{typed}`; the nearest known one is `{meant}` \
                     (known: scenario, source, faces, embedding, limit)"
                )
            );
        }
    }

    #[test]
    fn a_name_that_is_like_none_is_not_guessed_at() {
        for typed in ["threshold", "x", "api_key", "min_score"] {
            assert_eq!(
                refusal(&format!("{typed}=1")),
                format!(
                    "unknown parameter `{typed}` (known: scenario, source, faces, embedding, limit)"
                )
            );
        }
    }

    #[test]
    fn an_endpoint_without_parameters_takes_none() {
        let known = names::<NoParameters>();
        let refused = Parameters::parse("limit=1", &known).unwrap_err();
        assert_eq!(
            refused.detail,
            "unknown parameter `limit`; none is taken here"
        );
        let _: NoParameters = Parameters::parse("", &known).unwrap().get().unwrap();
    }

    #[test]
    fn repeats_are_refused() {
        let twice = "parameter `faces` is given twice; give it once";
        assert_eq!(refusal("faces=all&faces=all"), twice);
    }

    #[test]
    fn sources_are_short_plain_names() {
        let read = |text: &str| asked(&format!("source={text}")).map(|asked| asked.source);
        assert_eq!(read("door-1").unwrap().as_deref(), Some("door-1"));
        assert!(read(&"x".repeat(64)).is_ok());
        let allowed = "1 to 64 of A-Z a-z 0-9 . _ : - are allowed";
        for (text, fault) in [
            ("x".repeat(65), "65 characters"),
            (String::new(), "0 characters"),
            ("a%20b".into(), "the character ' '"),
            ("门%0A".into(), "the character '门'"),
            ("a%0A".into(), r"the character '\n'"),
        ] {
            assert_eq!(
                refusal(&format!("source={text}")),
                format!("`source` has {fault}; {allowed}")
            );
        }
    }

    #[test]
    fn values_are_read_and_what_is_absent_is_none() {
        let read = asked("limit=1000&embedding=false&faces=all&scenario=a%20b").unwrap();
        assert_eq!(read.scenario.as_deref(), Some("a b"));
        assert!(matches!(read.faces, Some(Choice::All)));
        assert_eq!((read.embedding, read.limit), (Some(false), Some(1000)));
        let largest = asked("faces=largest&embedding=true").unwrap();
        assert!(matches!(largest.faces, Some(Choice::Largest)));
        assert_eq!((largest.embedding, largest.limit), (Some(true), None));
        let nothing = asked("").unwrap();
        assert!(nothing.scenario.is_none() && nothing.faces.is_none());
        assert!(nothing.embedding.is_none() && nothing.source.is_none());
    }

    #[test]
    fn a_wrong_value_is_told_what_would_be_right() {
        let number = "a number from 1 to 1000 is expected";
        for (query, detail) in [
            ("faces=both", "`faces` is `both`; it can be largest or all"),
            ("faces=", "`faces` is ``; it can be largest or all"),
            ("embedding=1", "`embedding` is `1`; it can be true or false"),
            ("limit=0", &format!("`limit` is `0`; {number}")),
            ("limit=1001", &format!("`limit` is `1001`; {number}")),
            ("limit=x", &format!("`limit` is `x`; {number}")),
            // Of several, the one that the endpoint lists first.
            (
                "limit=0&embedding=1&faces=both",
                "`faces` is `both`; it can be largest or all",
            ),
        ] {
            assert_eq!(refusal(query), detail);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown_as_a_sign() {
        for hidden in [
            '\u{1b}', '\u{200b}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}',
            '\u{2060}', '\u{2069}', '\u{feff}',
        ] {
            let shown = quoted(&format!("a{hidden}b"));
            assert_eq!(shown, "`a\u{fffd}b`", "{hidden:?}");
        }
        assert_eq!(quoted("门 1–2…"), "`门 1–2…`");
    }

    #[test]
    fn what_a_caller_typed_cannot_break_a_message() {
        let long = "z".repeat(500);
        for query in [format!("{long}%0A=1"), format!("faces={long}%0A")] {
            let detail = refusal(&query);
            assert!(
                detail.chars().count() < 200 && !detail.contains('\n'),
                "{detail}"
            );
        }
    }
}
