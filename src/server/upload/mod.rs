//! Reads pictures from a request: a part of a form, the raw body, or base64 in JSON.
//!
//! File names and the declared type of a picture are ignored, since the bytes say what they are. A
//! path or an address is never opened.

mod base64_text;
mod json_text;
mod multipart;
mod sides;

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde::Deserialize;
use serde_path_to_error::Segment;
use utoipa::ToSchema;

pub(crate) use self::base64_text::Text;
pub(crate) use self::json_text::JsonText;
use self::multipart::read_parts;
pub(crate) use self::sides::{GivenEmbedding, Pair, PairBody, Side};
use super::body::{BodyFault, BodyLimits, GuardedBody, Lease, UploadMemory};
use super::parameters::{quoted, unknown};
use super::problem_response::Problem;
use crate::access::Meter;
use faceood_engine::problem::ProblemCode;

const IMAGE: &str = "image";
const IMAGE_FORM: &str = r#"{"image": "<base64>"}"#;

/// What a form or a JSON object may add to its pictures: boundaries, headers, keys, an embedding.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// One submitted picture, still encoded.
pub(crate) struct Upload {
    pub(crate) bytes: Bytes,
    /// Keeps the memory accounted for until the picture has been dealt with.
    pub(crate) lease: Arc<Lease>,
}

/// What uploads may cost.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// Most bytes of one picture.
    pub(super) image_bytes: usize,
    /// Longest silence of a client while it sends.
    pub(super) idle: Duration,
    /// Longest time that a body may take.
    pub(super) total: Duration,
    pub(super) memory: UploadMemory,
}

impl UploadLimits {
    fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let limits = request.app_data::<web::Data<Self>>();
        limits
            .map(|limits| Self::clone(limits))
            .ok_or_else(|| Problem::new(ProblemCode::Internal, "no limits are set up for uploads"))
    }

    /// The body of `request` under these limits and with at most so many `bytes`.
    fn guard(&self, request: &HttpRequest, payload: Payload, bytes: usize) -> GuardedBody<Payload> {
        let (idle, total) = (self.idle, self.total);
        let limits = BodyLimits { bytes, idle, total };
        let meter = request.extensions().get::<Meter>().cloned();
        GuardedBody::new(payload, limits, &self.memory).charged(meter)
    }
}

/// How pictures come in a body.
#[derive(Clone, Copy, PartialEq)]
enum Wrapping {
    Multipart,
    Json,
    Raw,
}

/// A picture in JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = ImageRequest, title = "ImageRequest")]
pub(crate) struct ImageBody<'a> {
    /// The picture as base64; a prefix such as `data:image/jpeg;base64,` is fine. Never a path or an address.
    #[serde(borrow)]
    #[schema(value_type = String, example = "/9j/4AAQSkZJRgABAQ…")]
    image: Text<'a>,
}

impl Upload {
    async fn read(request: HttpRequest, payload: Payload) -> Result<Self, Problem> {
        let limits = UploadLimits::of(&request)?;
        let wrapping = wrapping_of(&request)?;
        let body = guard(&request, payload, &limits, wrapping, 1)?;
        let (bytes, lease) = match wrapping {
            Wrapping::Raw => collect(&request, body).await?,
            Wrapping::Json => {
                let (text, lease) = collect(&request, body).await?;
                let body: ImageBody<'_> = parse_json(&text, IMAGE_FORM)?;
                (body.image.decode(IMAGE, limits.image_bytes)?, lease)
            }
            Wrapping::Multipart => {
                let (account, headers) = (body.account(), request.headers());
                let [bytes] = read_parts(headers, body, [IMAGE], limits.image_bytes).await?;
                (bytes, account.lease())
            }
        };
        if bytes.is_empty() {
            let detail = "the body is empty; a picture is expected";
            return Err(Problem::malformed(detail));
        }
        let lease = Arc::new(lease);
        Ok(Self { bytes, lease })
    }
}

impl FromRequest for Upload {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Self::read(request.clone(), payload.take()).boxed_local()
    }
}

/// Which of the ways of sending a picture `request` takes, by its headers.
fn wrapping_of(request: &HttpRequest) -> Result<Wrapping, Problem> {
    const WAYS: &str = "send multipart/form-data, or the picture itself with Content-Type image/jpeg (or another \
                        image/*), or application/json with base64";
    let unsupported = |detail: String| Problem::new(ProblemCode::UnsupportedMediaType, detail);
    if let Some(encoding) = request.headers().get(CONTENT_ENCODING)
        && !is_identity(encoding.as_bytes())
    {
        let detail =
            "the body has a Content-Encoding; send it as it is (pictures do not get smaller by it)";
        return Err(unsupported(detail.to_owned()));
    }
    if !request.headers().contains_key(CONTENT_TYPE) {
        let detail = format!("there is no Content-Type header; {WAYS}");
        return Err(Problem::malformed(detail));
    }
    // Not as a `Mime`: that would refuse a picture for a space before a semicolon.
    let essence = request.content_type().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("multipart", "form-data")) => Ok(Wrapping::Multipart),
        Some(("application", "json")) => Ok(Wrapping::Json),
        Some(("application", kind)) if kind.ends_with("+json") => Ok(Wrapping::Json),
        Some(("image", _) | ("application", "octet-stream")) => Ok(Wrapping::Raw),
        Some(("application", "x-www-form-urlencoded")) => Err(unsupported(format!(
            "Content-Type is {essence} (with curl: use -F image=@photo.jpg, or add -H 'Content-Type: image/jpeg' \
             to --data-binary); {WAYS}"
        ))),
        _ => Err(unsupported(format!(
            "Content-Type is {}; {WAYS}",
            quoted(&essence)
        ))),
    }
}

/// Whether a Content-Encoding says that nothing was done: by that name in any case, or by none.
fn is_identity(encoding: &[u8]) -> bool {
    let encoding = encoding.trim_ascii();
    encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
}

/// The body of `request` under the bounds for its wrapping and the number of `pictures` in it.
fn guard(
    request: &HttpRequest,
    payload: Payload,
    limits: &UploadLimits,
    wrapping: Wrapping,
    pictures: usize,
) -> Result<GuardedBody<Payload>, Problem> {
    let bytes = match wrapping {
        Wrapping::Raw => limits.image_bytes,
        Wrapping::Multipart => limits.image_bytes * pictures + ENVELOPE_BYTES,
        // base64 makes four characters of three bytes, and may be broken into lines.
        Wrapping::Json => limits.image_bytes * pictures / 2 * 3 + ENVELOPE_BYTES,
    };
    let limit = limits.image_bytes;
    match declared_length(request) {
        Some(size) if size > bytes => Err(Problem::from(&BodyFault::Announced {
            size,
            limit,
            pictures,
        })),
        _ => Ok(limits.guard(request, payload, bytes)),
    }
}

async fn collect(
    request: &HttpRequest,
    body: GuardedBody<Payload>,
) -> Result<(Bytes, Lease), Problem> {
    let collected = body.collect(declared_length(request)).await;
    collected.map_err(|fault| problem(&fault))
}

fn problem(fault: &BodyFault) -> Problem {
    match fault {
        BodyFault::OverLimit { fault } => Problem::of_caller(fault),
        fault => Problem::from(fault),
    }
}

fn declared_length(request: &HttpRequest) -> Option<usize> {
    let value = request.headers().get(CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// Parses a JSON body; the message names key, line and column, and never repeats what stands there:
/// it may be a picture or an embedding, and the message goes into the log. It ends with `form`, what
/// the body should be.
fn parse_json<'a, T: Deserialize<'a>>(text: &'a [u8], form: &str) -> Result<T, Problem> {
    /// What editors and programs on Windows put before UTF-8.
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::malformed("the body is empty; JSON is expected"));
    }
    if let [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [_, 0, ..] | [0, _, ..] = text {
        let detail = "the JSON body is in UTF-16; send it in UTF-8";
        return Err(Problem::malformed(detail));
    }
    let malformed = |said: &str| {
        Problem::malformed(format!("the JSON body cannot be used: {said}; send {form}"))
    };
    // serde would also take a list of the fields in their order.
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(malformed("expected an object at line 1"));
    }
    let mut parser = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let said = without_content(&error.inner().to_string());
        // The last name in the path of an unknown field is the caller's: it can be no side, and
        // must not be repeated.
        let is_unknown = said.starts_with("unknown field");
        let depth = error.path().iter().len();
        let depth = depth.saturating_sub(is_unknown.into());
        let side = match error.path().iter().take(depth).next() {
            Some(Segment::Map { key }) => key.as_str(),
            _ => "",
        };
        // Only of a wrong value is every name in the path one of ours.
        let is_of_value = ["invalid ", "unknown variant", "expected value"]
            .iter()
            .any(|start| said.starts_with(start));
        let path = error.path().to_string();
        let problem = if is_of_value && depth > 0 && !path.contains('?') {
            malformed(&format!("`{path}`: {said}"))
        } else {
            malformed(&said)
        };
        sides::blame(problem, side)
    })?;
    let rest = parser.end();
    rest.map_err(|error| malformed(&without_content(&error.to_string())))?;
    Ok(value)
}

/// `message` of the JSON parser without the values and unusual keys that it quotes. To an unknown
/// key it adds the nearest known one.
fn without_content(message: &str) -> String {
    /// Longest key that may be a slip of the pen.
    const LONGEST_KEY: usize = 32;
    for start in ["invalid type: ", "invalid value: "] {
        // "invalid type: string "…", expected …": the type and our own text, which is last, stay.
        if let Some(rest) = message.strip_prefix(start)
            && let Some((found, expected)) = rest.rsplit_once(", expected ")
        {
            // Rust's words for what JSON calls otherwise.
            let kind = match found.split(['"', '`']).next().unwrap_or_default().trim() {
                "map" => "object",
                "sequence" => "list",
                kind => kind,
            };
            let expected = expected
                .replacen("f32", "a number", 1)
                .replacen("u32", "a whole number", 1)
                .replacen("a sequence", "a list", 1);
            return format!("{start}{kind}, expected {expected}");
        }
    }
    for what in ["field", "variant"] {
        if let Some(rest) = message.strip_prefix(&format!("unknown {what} `"))
            && let Some((found, expected)) = rest.rsplit_once("`, expected ")
        {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            if found.len() > LONGEST_KEY || !found.bytes().all(is_word) {
                let length = found.len();
                return format!("unknown {what} of {length} bytes, expected {expected}");
            }
            // "one of `…`, `…` at line 1 column 2": names, and the place behind the last of them.
            let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            let place = expected.rsplit('`').next().unwrap_or_default();
            return unknown(what, found, &known) + place;
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests;
