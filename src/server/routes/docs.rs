//! `GET /openapi.json` and `GET /docs`: the description of the service, made from the code that serves it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr};
use utoipa::{IntoResponses, OpenApi, ToSchema};
use utoipa_swagger_ui::Config;

use crate::problem::ProblemCode;
use crate::server::parameters::quoted;
use crate::server::problem_response::{CONTENT_TYPE, Problem, ProblemBody};

/// Nothing but this service may be talked to from the page, whatever the code of Swagger UI would like. It sets styles on
/// elements, hence `unsafe-inline` for these.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// Ours and not Swagger UI's own, so that it works at `/docs` without a slash and behind any prefix.
const DOCS_PAGE: &str = include_str!("../page/docs.html");

#[derive(OpenApi)]
#[openapi(
    info(
        title = "faceood",
        description = "A face recognition appliance that says first whether a picture can be trusted.\n\n\
                       Failures are RFC 9457 problems: `type` is `urn:faceood:problem:` and a code. Every answer carries \
                       `X-Request-Id`; the caller's own is kept if it is 1–64 of `[A-Za-z0-9._:-]`.",
        license(name = "MIT", identifier = "MIT")
    ),
    paths(
        super::extract::extract,
        super::quality::quality,
        super::compare::compare,
        super::info::info,
        super::inferences::inferences,
        super::feedback::feedback,
        super::health::healthz,
        super::health::readyz,
        super::metrics::metrics
    ),
    components(schemas(ProblemBody<'static>)),
    tags(
        (name = "faces", description = "What is asked about pictures."),
        (name = "log", description = "What was answered."),
        (name = "service", description = "How the service is."),
    )
)]
struct Api;

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

/// What can go wrong where something is told of an earlier request.
pub(super) struct FeedbackProblems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses_of(|_| true)
    }
}

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses_of(is_of_reading)
    }
}

impl IntoResponses for FeedbackProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses_of(|code| {
            is_of_reading(code)
                || matches!(
                    code,
                    ProblemCode::MalformedRequest | ProblemCode::NotFound | ProblemCode::Overloaded
                )
        })
    }
}

fn is_of_reading(code: ProblemCode) -> bool {
    matches!(
        code,
        ProblemCode::InvalidParameter
            | ProblemCode::Unauthenticated
            | ProblemCode::Forbidden
            | ProblemCode::MethodNotAllowed
            | ProblemCode::RateLimited
            | ProblemCode::Internal
            | ProblemCode::NotReady
    )
}

/// One response per status, naming the codes that it stands for.
fn responses_of(is_possible: impl Fn(ProblemCode) -> bool) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    for code in ProblemCode::ALL
        .into_iter()
        .filter(|&code| code.is_answered() && is_possible(code))
    {
        by_status.entry(code.status()).or_default().push(code);
    }
    let described = |codes: Vec<ProblemCode>| {
        let lines: Vec<_> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.code(), code.title()))
            .collect();
        let mut response = ResponseBuilder::new()
            .description(lines.join("; "))
            .content(
                CONTENT_TYPE,
                ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("Problem")))
                    .build(),
            );
        if codes.iter().any(|code| code.is_retryable()) {
            let mut header = Header::new(ObjectBuilder::new().schema_type(Type::Integer));
            header.description = Some("Seconds to wait before another try.".to_owned());
            response = response.header("Retry-After", header);
        }
        RefOr::T(response.build())
    };
    by_status
        .into_iter()
        .map(|(status, codes)| (status.to_string(), described(codes)))
        .collect()
}

/// The description, as it is served.
#[must_use]
pub fn openapi() -> Value {
    let mut api = Api::openapi();
    for item in api.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            add_request_id(operation);
        }
    }
    let mut api = serde_json::to_value(api).unwrap_or_default();
    let urns: Vec<_> = ProblemCode::ALL
        .iter()
        .filter(|code| code.is_answered())
        .map(|code| format!("urn:faceood:problem:{}", code.code()))
        .collect();
    api["components"]["schemas"]["Problem"]["properties"]["type"]["enum"] = json!(urns);
    api
}

/// Says of every response of `operation` that it carries the request's id.
fn add_request_id(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let mut header = Header::new(ObjectBuilder::new().schema_type(Type::String));
            header.description = Some("Names the request in the log.".to_owned());
            response
                .headers
                .insert("X-Request-Id".to_owned(), RefOr::T(header));
        }
    }
}

pub(super) async fn openapi_json() -> HttpResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| openapi().to_string());
    HttpResponse::Ok()
        .content_type("application/json")
        .body(TEXT.as_str())
}

pub(super) async fn docs_page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(DOCS_PAGE)
}

/// `/docs/` → `/docs`, relative, so that a prefix which a proxy adds is kept.
pub(super) async fn to_docs_page() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "../docs"))
        .finish()
}

pub(super) async fn docs_file(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    // Relative to the page; no badge that asks a foreign validator about the description.
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        Arc::new(
            Config::new(["openapi.json"])
                .validator_url("none")
                .try_it_out_enabled(true),
        )
    });
    match utoipa_swagger_ui::serve(&file, Arc::clone(&CONFIG)) {
        Ok(Some(found)) if !file.ends_with(".html") => Ok(HttpResponse::Ok()
            .content_type(found.content_type)
            .insert_header((CACHE_CONTROL, "max-age=3600"))
            .body(found.bytes.into_owned())),
        Ok(_) => Err(Problem::new(
            ProblemCode::NotFound,
            format!("the documentation has no file {}", quoted(&file)),
        )),
        Err(error) => {
            tracing::error!(%error, "the documentation cannot be served");
            Err(Problem::new(
                ProblemCode::Internal,
                "the documentation cannot be served",
            ))
        }
    }
}
