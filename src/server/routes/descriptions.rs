//! What the descriptions of several endpoints share: forms, and what can go wrong.

use std::collections::BTreeMap;

use faceood_engine::problem::ProblemCode;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::server::problem_response::CONTENT_TYPE;

/// The headers of a request about pictures.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents headers that are read one by one")]
pub(super) struct Headers {
    /// `zh` gives hints, and what is wrong with a picture, in Chinese.
    #[param(rename = "Accept-Language")]
    language: Option<String>,
    /// Kept if it is 1–64 of `[A-Za-z0-9._:-]`.
    #[param(rename = "X-Request-Id")]
    request_id: Option<String>,
}

/// A picture in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents a form that is read part by part")]
pub(super) struct ImageForm {
    /// JPEG, PNG, WebP, BMP or TIFF; the bytes say which.
    #[schema(content_media_type = "image/*")]
    image: Binary,
}

/// Two pictures in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents a form that is read part by part")]
pub(super) struct PairForm {
    /// The sample being questioned.
    probe: Binary,
    /// The sample it is compared with.
    reference: Binary,
}

/// Bytes without an encoding.
pub(super) struct Binary;

impl utoipa::PartialSchema for Binary {
    fn schema() -> RefOr<utoipa::openapi::Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .content_media_type("application/octet-stream")
            .description(Some("JPEG, PNG, WebP, BMP or TIFF; the bytes say which."))
            .into()
    }
}

impl ToSchema for Binary {
    fn name() -> std::borrow::Cow<'static, str> {
        "Binary".into()
    }
}

/// What can go wrong where a picture is asked about: everything.
pub(super) struct Problems;

/// What can go wrong where the service is asked about itself.
pub(super) struct ReadProblems;

/// What can go wrong where a request changes what is kept.
pub(super) struct ChangeProblems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses_of(&ProblemCode::ALL)
    }
}

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses_of(&OF_READING)
    }
}

impl IntoResponses for ChangeProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        use ProblemCode::{MalformedRequest, NotFound, Overloaded};
        responses_of(&[&OF_READING[..], &[MalformedRequest, NotFound, Overloaded]].concat())
    }
}

const OF_READING: [ProblemCode; 7] = [
    ProblemCode::InvalidParameter,
    ProblemCode::Unauthenticated,
    ProblemCode::Forbidden,
    ProblemCode::MethodNotAllowed,
    ProblemCode::RateLimited,
    ProblemCode::Internal,
    ProblemCode::NotReady,
];

/// One response per status, naming the codes that it stands for.
fn responses_of(possible: &[ProblemCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    for code in ProblemCode::ALL {
        if code.is_answered() && possible.contains(&code) {
            by_status.entry(code.status()).or_default().push(code);
        }
    }
    let described = |codes: Vec<ProblemCode>| {
        let line = |code: &ProblemCode| format!("`{}`: {}", code.code(), code.title());
        let lines: Vec<_> = codes.iter().map(line).collect();
        let problem = Some(Ref::from_schema_name("Problem"));
        let mut response = ResponseBuilder::new()
            .description(lines.join("; "))
            .content(CONTENT_TYPE, ContentBuilder::new().schema(problem).build());
        if codes.iter().any(|code| code.is_retryable()) {
            let described = header(Type::Integer, "Seconds to wait before another try.");
            response = response.header("Retry-After", described);
        }
        RefOr::T(response.build())
    };
    let responses = by_status.into_iter();
    responses
        .map(|(status, codes)| (status.to_string(), described(codes)))
        .collect()
}

pub(super) fn header(kind: Type, description: &str) -> Header {
    let mut header = Header::new(ObjectBuilder::new().schema_type(kind));
    header.description = Some(description.to_owned());
    header
}
