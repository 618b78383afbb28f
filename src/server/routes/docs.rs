//! `GET /openapi.json` and `GET /docs`: the description, made from the code that serves it.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::{HttpResponse, web};
use faceood_engine::problem::ProblemCode;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Type;
use utoipa_swagger_ui::Config;

use super::descriptions::header;
use crate::server::parameters::quoted;
use crate::server::problem_response::{Problem, ProblemBody};

/// The page may talk to this service alone, whatever the code of Swagger UI would like. It sets
/// styles on elements, hence `unsafe-inline` for these.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// Not Swagger UI's own, so that it works at `/docs` without a slash and behind a prefix.
const DOCS_PAGE: &str = include_str!("../page/docs.html");

#[derive(OpenApi)]
#[openapi(
    info(
        title = "faceood",
        description = "A face recognition appliance that says first whether a picture can be trusted.\n\n\
                       Failures are RFC 9457 problems: `type` is `urn:faceood:problem:` and a code. Every answer carries \
                       `X-Request-Id`; the caller's own is kept if it is 1–64 of `[A-Za-z0-9._:-]`. It also carries \
                       `X-Faceood-Node`, the name of the box that has answered.",
        license(name = "MIT", identifier = "MIT")
    ),
    paths(
        super::extract::extract,
        super::extract::quality,
        super::compare::compare,
        super::info::info,
        super::inferences::inferences,
        super::feedback::feedback,
        super::tokens::list,
        super::tokens::add,
        super::tokens::rotate,
        super::tokens::revoke,
        super::health::healthz,
        super::health::readyz,
        super::authority::authority,
        super::metrics::metrics
    ),
    components(schemas(ProblemBody<'static>)),
    tags(
        (name = "faces", description = "Questions about pictures of faces."),
        (name = "log", description = "Earlier answers, and how they turned out."),
        (name = "tokens", description = "Who may call the service. Only over the Unix socket of the box."),
        (name = "service", description = "State and settings of the service."),
    )
)]
struct Api;

pub(super) fn openapi() -> Value {
    let mut api = Api::openapi();
    let items = api.paths.paths.values_mut();
    for operation in items
        .flat_map(|item| [&mut item.get, &mut item.post, &mut item.delete])
        .flatten()
    {
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                for (name, described) in [
                    ("X-Request-Id", "Names the request in the log."),
                    ("X-Faceood-Node", "Names the box that has answered."),
                ] {
                    let header = RefOr::T(header(Type::String, described));
                    response.headers.insert(name.to_owned(), header);
                }
            }
        }
    }
    let mut api = serde_json::to_value(api).unwrap_or_default();
    let answered = ProblemCode::ALL.iter().filter(|code| code.is_answered());
    let urns = answered.map(|code| format!("urn:faceood:problem:{}", code.code()));
    api["components"]["schemas"]["Problem"]["properties"]["type"]["enum"] = urns.collect();
    api
}

/// Lists forms before other kinds of body: Swagger UI offers the first one, and a form lets the reader
/// choose a file.
struct FormFirst<'a>(&'a Value);

impl Serialize for FormFirst<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let (forms, others): (Vec<_>, Vec<_>) = fields
                    .iter()
                    .partition(|(name, _)| *name == "multipart/form-data");
                let fields = forms.into_iter().chain(others);
                serializer.collect_map(fields.map(|(name, value)| (name, Self(value))))
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Self)),
            plain => plain.serialize(serializer),
        }
    }
}

pub(super) async fn openapi_json() -> HttpResponse {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string(&FormFirst(&openapi())).unwrap_or_default());
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
        Ok(_) => {
            let detail = format!("the documentation has no file {}", quoted(&file));
            Err(Problem::new(ProblemCode::NotFound, detail))
        }
        Err(error) => {
            let what = "the documentation cannot be served";
            tracing::error!(%error, "{what}");
            Err(Problem::new(ProblemCode::Internal, what))
        }
    }
}
