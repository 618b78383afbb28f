//! Reads pictures from a multipart form.

use actix_multipart::{Multipart, MultipartError};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::sides::blame;
use crate::server::body::{Account, BodyFault, GuardedBody};
use crate::server::parameters::quoted;
use crate::server::problem_response::Problem;

/// What callers of other services put into the form; here they belong into the address.
const QUERY_PARAMETERS: [&str; 4] = ["scenario", "source", "faces", "embedding"];

/// Reads the parts called `names`, each of at most `limit` bytes, and refuses all others.
pub(super) async fn read_parts<S, const N: usize>(
    headers: &HeaderMap,
    body: GuardedBody<S>,
    names: [&'static str; N],
    limit: usize,
) -> Result<[Bytes; N], Problem>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin + 'static,
{
    let account = body.account();
    let mut form = Multipart::new(&as_mixed(headers), body);
    let mut found: [Option<Bytes>; N] = std::array::from_fn(|_| None);
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|error| refused(&error, &account))?;
        let name = name_of(field.headers());
        let Some(index) = names.iter().position(|known| *known == name) else {
            return Err(Problem::malformed(wrong_part(&name, &names)));
        };
        if found[index].is_some() {
            let detail = format!("the part `{name}` is there twice; send it once");
            return Err(Problem::malformed(detail));
        }
        let mut bytes = BytesMut::new();
        while let Some(piece) = field.next().await {
            let piece = piece.map_err(|error| refused(&error, &account))?;
            if bytes.len() + piece.len() > limit {
                let part = name.clone();
                let fault = BodyFault::PartTooLarge { part, limit };
                return Err(blame(Problem::from(&fault), &name));
            }
            bytes.extend_from_slice(&piece);
        }
        if bytes.is_empty() {
            let fault = BodyFault::EmptyPart { part: name.clone() };
            return Err(blame(Problem::from(&fault), &name));
        }
        found[index] = Some(bytes.freeze());
    }
    for (name, part) in names.iter().zip(&found) {
        if part.is_none() {
            return Err(Problem::malformed(format!(
                "the form has no part `{name}`; expected: {}",
                listed(&names)
            )));
        }
    }
    Ok(found.map(Option::unwrap_or_default))
}

/// `headers` with the form declared as `multipart/mixed`, which has the same shape: of a form the
/// library refuses a part whose file name is in GBK, Big5 or Latin-1.
fn as_mixed(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if let Some((_, rest)) = kind.and_then(|kind| kind.split_once(';'))
        && let Ok(mixed) = HeaderValue::from_str(&format!("multipart/mixed;{rest}"))
    {
        headers.insert(CONTENT_TYPE, mixed);
    }
    headers
}

/// The name of a part; empty where it has none. Other bytes than ASCII do not matter.
fn name_of(headers: &HeaderMap) -> String {
    let Some(disposition) = headers.get(CONTENT_DISPOSITION) else {
        return String::new();
    };
    let readable = |&byte: &u8| {
        if byte.is_ascii() {
            char::from(byte)
        } else {
            '?'
        }
    };
    let text: String = disposition.as_bytes().iter().map(readable).collect();
    let mut parameters = text
        .split(';')
        .skip(1)
        .filter_map(|it| it.trim().split_once('='));
    let name = parameters.find(|(key, _)| key.trim_end().eq_ignore_ascii_case("name"));
    name.map_or_else(String::new, |(_, name)| {
        name.trim().trim_matches('"').to_owned()
    })
}

fn wrong_part(name: &str, names: &[&str]) -> String {
    if QUERY_PARAMETERS.contains(&name) {
        return format!(
            "found the part `{name}`, which is a query parameter: put it into the address (?{name}=…)"
        );
    }
    if name.is_empty() {
        return format!("found a part without a name; expected: {}", listed(names));
    }
    let (found, expected) = (quoted(name), listed(names));
    format!("found the part {found}; expected: {expected}")
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(" and ")
}

fn refused(error: &MultipartError, account: &Account) -> Problem {
    if let Some(fault) = account.fault() {
        return super::problem(&fault);
    }
    Problem::malformed(match error {
        MultipartError::BoundaryMissing => {
            "the Content-Type has no boundary; let your HTTP library set this header \
             instead of writing multipart/form-data yourself"
        }
        MultipartError::Incomplete => "the form ends early: its closing boundary is missing",
        MultipartError::ContentDispositionMissing
        | MultipartError::ContentDispositionNameMissing => {
            "a part of the form has no Content-Disposition with a name"
        }
        MultipartError::Nested => "a form within a form is not taken",
        other => return Problem::malformed(format!("the form cannot be read: {other}")),
    })
}
