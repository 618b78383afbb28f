//! Reads pictures from a request: a part of a form, the raw body, or base64 in JSON.
//!
//! File names and the declared type of a picture are ignored, since the bytes say what they are. A
//! path or an address is never opened.

mod base64_text;
mod json_text;
mod multipart;
mod sides;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use serde::Deserialize;
use utoipa::ToSchema;

pub use self::base64_text::Text;
pub use self::json_text::JsonText;
use self::multipart::read_parts;
pub use self::sides::{GivenEmbedding, Pair, PairBody, Side, SideBody};
use super::body::{BodyFault, BodyLimits, GuardedBody, Lease, UploadMemory};
use super::problem_response::Problem;
use crate::problem::ProblemCode;

/// Name of the picture in a form and in JSON.
pub const IMAGE: &str = "image";

/// What a form or a JSON object may add to the pictures in it: boundaries, headers, keys, an embedding as numbers.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// One submitted picture, still encoded.
#[derive(Debug)]
pub struct Upload {
    /// The picture as it came.
    pub bytes: Bytes,
    /// Keeps the memory accounted for until the picture has been dealt with.
    _lease: Lease,
}

/// What uploads may cost.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// Most bytes of one picture.
    pub image_bytes: usize,
    /// Longest silence of a client while it sends.
    pub idle: Duration,
    /// Longest time that a body may take.
    pub total: Duration,
    /// The memory that all uploads share.
    pub memory: UploadMemory,
}

/// How pictures come in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapping {
    Multipart,
    Json,
    Raw,
}

/// A picture in JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImageRequest, title = "ImageRequest")]
pub struct ImageBody<'a> {
    /// The picture as base64; a prefix such as `data:image/jpeg;base64,` is fine. Never a path or an address.
    #[serde(borrow)]
    #[schema(value_type = String, example = "/9j/4AAQSkZJRgABAQ…")]
    image: Text<'a>,
}

impl Upload {
    /// Reads the one picture of `request`.
    ///
    /// # Errors
    ///
    /// `malformed_request`, `unsupported_media_type`, `image_too_large` or `overloaded`, saying what was got instead.
    async fn read(
        request: &HttpRequest,
        payload: Payload,
        limits: &UploadLimits,
    ) -> Result<Self, Problem> {
        let wrapping = wrapping_of(request)?;
        let body = guard(request, payload, limits, wrapping, 1)?;
        let upload = match wrapping {
            Wrapping::Raw => {
                let (bytes, lease) = collect(request, body).await?;
                Self {
                    bytes,
                    _lease: lease,
                }
            }
            Wrapping::Json => {
                let (text, lease) = collect(request, body).await?;
                let body: ImageBody<'_> = parse_json(&text)?;
                Self {
                    bytes: body.image.decode(IMAGE, limits.image_bytes)?,
                    _lease: lease,
                }
            }
            Wrapping::Multipart => {
                let account = body.account();
                let [bytes] =
                    read_parts(request.headers(), body, [IMAGE], limits.image_bytes).await?;
                Self {
                    bytes,
                    _lease: account.lease(),
                }
            }
        };
        if upload.bytes.is_empty() {
            return Err(Problem::malformed(
                "the body is empty; a picture is expected",
            ));
        }
        Ok(upload)
    }
}

impl FromRequest for Upload {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let limits = limits_of(&request)?;
            Self::read(&request, payload, &limits).await
        })
    }
}

fn limits_of(request: &HttpRequest) -> Result<UploadLimits, Problem> {
    request
        .app_data::<web::Data<UploadLimits>>()
        .map(|limits| UploadLimits::clone(limits))
        .ok_or_else(|| Problem::new(ProblemCode::Internal, "no limits are set up for uploads"))
}

/// Which of the ways of sending a picture `request` takes, by its headers.
fn wrapping_of(request: &HttpRequest) -> Result<Wrapping, Problem> {
    const WAYS: &str = "send multipart/form-data, or the picture itself with Content-Type image/jpeg (or another \
                        image/*), or application/json with base64";
    if let Some(encoding) = request.headers().get(CONTENT_ENCODING)
        && !is_identity(encoding.as_bytes())
    {
        return Err(Problem::new(
            ProblemCode::UnsupportedMediaType,
            "the body has a Content-Encoding; send it as it is (pictures do not get smaller by it)",
        ));
    }
    if !request.headers().contains_key(CONTENT_TYPE) {
        return Err(Problem::malformed(format!(
            "there is no Content-Type header; {WAYS}"
        )));
    }
    // Not as a `Mime`: that would refuse a picture for a space before a semicolon.
    let essence = request.content_type().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("multipart", "form-data")) => Ok(Wrapping::Multipart),
        Some(("application", "json")) => Ok(Wrapping::Json),
        Some(("application", kind)) if kind.ends_with("+json") => Ok(Wrapping::Json),
        Some(("image", _) | ("application", "octet-stream")) => Ok(Wrapping::Raw),
        Some(("application", "x-www-form-urlencoded")) => Err(Problem::new(
            ProblemCode::UnsupportedMediaType,
            format!(
                "Content-Type is {essence} (with curl: use -F image=@photo.jpg, or add -H 'Content-Type: image/jpeg' \
                 to --data-binary); {WAYS}"
            ),
        )),
        _ => Err(Problem::new(
            ProblemCode::UnsupportedMediaType,
            format!(
                "Content-Type is {}; {WAYS}",
                super::parameters::quoted(&essence)
            ),
        )),
    }
}

/// Whether a Content-Encoding says that nothing was done: by that name in any case, or by none.
fn is_identity(encoding: &[u8]) -> bool {
    let encoding = encoding.trim_ascii();
    encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
}

/// The body of `request` under the bounds that its wrapping and the number of `pictures` in it call for.
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
    if let Some(size) = declared_length(request)
        && size > bytes
    {
        return Err(Problem::from(&BodyFault::Announced {
            size,
            limit: limits.image_bytes,
            pictures,
        }));
    }
    let limits_of_body = BodyLimits {
        bytes,
        idle: limits.idle,
        total: limits.total,
    };
    Ok(GuardedBody::new(payload, limits_of_body, &limits.memory))
}

async fn collect(
    request: &HttpRequest,
    body: GuardedBody<Payload>,
) -> Result<(Bytes, Lease), Problem> {
    body.collect(declared_length(request))
        .await
        .map_err(|fault| Problem::from(&fault))
}

fn declared_length(request: &HttpRequest) -> Option<usize> {
    let value = request.headers().get(CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// Parses a JSON body; the message names key, line and column, and never repeats what stands there:
/// it may be a picture or an embedding, and the message goes into the log.
fn parse_json<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Problem> {
    /// What editors and programs on Windows put before UTF-8.
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::malformed("the body is empty; JSON is expected"));
    }
    if let [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [_, 0, ..] | [0, _, ..] = text {
        return Err(Problem::malformed(
            "the JSON body is in UTF-16; send it in UTF-8",
        ));
    }
    serde_json::from_slice(text).map_err(|error| {
        let said = without_content(&error.to_string());
        Problem::malformed(format!("the JSON body cannot be used: {said}"))
    })
}

/// `message` of the JSON parser without the values and unusual keys that it quotes.
fn without_content(message: &str) -> String {
    /// Longest key that may be a slip of the pen.
    const LONGEST_KEY: usize = 32;
    for start in ["invalid type: ", "invalid value: "] {
        // "invalid type: string "…", expected …": the type stays. What is expected is our own text,
        // and comes last.
        if let Some(rest) = message.strip_prefix(start)
            && let Some((found, expected)) = rest.rsplit_once(", expected ")
        {
            let kind = found.split(['"', '`']).next().unwrap_or_default().trim();
            return format!("{start}{kind}, expected {expected}");
        }
    }
    for start in ["unknown field `", "unknown variant `"] {
        if let Some(rest) = message.strip_prefix(start)
            && let Some((found, expected)) = rest.rsplit_once("`, expected ")
        {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            let shown = if found.len() <= LONGEST_KEY && found.bytes().all(is_word) {
                format!("`{found}`")
            } else {
                format!("of {} bytes", found.len())
            };
            return format!(
                "{}{shown}, expected {expected}",
                start.trim_end_matches('`')
            );
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests;
