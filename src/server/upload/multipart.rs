//! Pictures out of a form.

use actix_multipart::{Multipart, MultipartError};
use actix_web::error::PayloadError;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::sides::blame;
use crate::problem::ProblemCode;
use crate::server::body::{Account, GuardedBody};
use crate::server::parameters::quoted;
use crate::server::problem_response::Problem;

/// What callers of other services put into the form; here they belong into the address.
const QUERY_PARAMETERS: [&str; 4] = ["scenario", "source", "faces", "embedding"];

/// Reads the parts called `names`, each of at most `limit` bytes, and nothing else.
///
/// # Errors
///
/// `malformed_request` for a part that is unknown, missing, empty or given twice; `image_too_large` for one over `limit`.
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
    let mut form = Multipart::new(headers, body);
    let mut found: [Option<Bytes>; N] = std::array::from_fn(|_| None);
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|error| refused(&error, &account))?;
        let name = field.name().unwrap_or_default().to_owned();
        let Some(index) = names.iter().position(|known| *known == name) else {
            return Err(Problem::malformed(wrong_part(&name, &names)));
        };
        if found[index].is_some() {
            return Err(Problem::malformed(format!(
                "the part `{name}` is there twice"
            )));
        }
        let mut bytes = BytesMut::new();
        while let Some(piece) = field.next().await {
            let piece = piece.map_err(|error| refused(&error, &account))?;
            if bytes.len() + piece.len() > limit {
                let detail =
                    format!("the part `{name}` has more than {limit} bytes, which is the limit");
                let chinese = format!("图片超过 {limit} 字节的上限；请缩小图片。");
                let problem = Problem::new(ProblemCode::ImageTooLarge, detail).in_chinese(chinese);
                return Err(blame(problem, &name));
            }
            bytes.extend_from_slice(&piece);
        }
        if bytes.is_empty() {
            let detail = format!("the part `{name}` is empty; a picture is expected");
            let problem = Problem::malformed(detail).in_chinese("图片为空（0 字节）。");
            return Err(blame(problem, &name));
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

fn wrong_part(name: &str, names: &[&str]) -> String {
    if QUERY_PARAMETERS.contains(&name) {
        return format!(
            "found the part `{name}`, which is a query parameter: put it into the address (?{name}=…)"
        );
    }
    if name.is_empty() {
        return format!("found a part without a name; expected: {}", listed(names));
    }
    format!(
        "found the part {}; expected: {}",
        quoted(name),
        listed(names)
    )
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(" and ")
}

fn refused(error: &MultipartError, account: &Account) -> Problem {
    if let Some(fault) = account.fault() {
        return fault.problem();
    }
    let detail = match error {
        MultipartError::BoundaryMissing => {
            "the Content-Type has no boundary; let your HTTP library set this header \
                                            instead of writing multipart/form-data yourself"
                .to_owned()
        }
        MultipartError::Incomplete => {
            "the form ends early: its closing boundary is missing".to_owned()
        }
        MultipartError::ContentDispositionMissing
        | MultipartError::ContentDispositionNameMissing => {
            "a part of the form has no Content-Disposition with a name".to_owned()
        }
        MultipartError::Nested => "a form within a form is not taken".to_owned(),
        other => format!("the form cannot be read: {other}"),
    };
    Problem::malformed(detail)
}
