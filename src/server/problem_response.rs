//! The RFC 9457 body of every failure, whether our code or actix found it.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use faceood_engine::pipeline::ImageFacts;
pub(crate) use faceood_engine::pipeline::view::Part;
use faceood_engine::problem::texts::AccessFault;
use faceood_engine::problem::{Explain, ProblemCode};
use faceood_engine::quality::Language;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// What a caller should wait before another try. The queue is short (seconds of work at most), so a
/// second is long enough to matter and short enough for a door.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Which credentials a 401 asks for (RFC 6750 §3).
const CHALLENGE: &str = "Bearer realm=\"faceood\"";

/// A failure on its way to the caller.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) code: ProblemCode,
    /// What was got, what was expected and what to do; safe to show.
    pub(crate) detail: String,
    /// The same in Chinese, where it is a failure that the page's user can meet.
    pub(crate) chinese: Option<String>,
    /// The side of a comparison that is at fault.
    pub(crate) part: Option<Part>,
    /// The picture, where it was understood before the failure: for the row, not for the caller.
    pub(crate) image: Option<ImageFacts>,
    /// Methods that the path does take, for the `Allow` header of a 405.
    allow: Option<&'static str>,
    /// Seconds after which another try can succeed, where they are known.
    wait: Option<u64>,
}

impl Problem {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            chinese: None,
            part: None,
            image: None,
            allow: None,
            wait: None,
        }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::MalformedRequest, detail)
    }

    pub(crate) fn parameter(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::InvalidParameter, detail)
    }

    /// The method is not offered; `allow` lists those that are.
    pub(crate) fn method_not_allowed(method: &str, path: &str, allow: &'static str) -> Self {
        let detail = format!("{path} does not take {method}; use {allow}");
        Self {
            allow: Some(allow),
            ..Self::new(ProblemCode::MethodNotAllowed, detail)
        }
    }

    /// The same problem, after which another try can succeed in so many seconds.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.wait = Some(seconds);
        self
    }

    /// The same problem, blamed on one side of a comparison.
    #[must_use]
    pub(crate) fn on(mut self, part: Part) -> Self {
        self.part = Some(part);
        self
    }

    /// The same problem, with the picture that it is about.
    #[must_use]
    pub(crate) fn with_image(mut self, image: ImageFacts) -> Self {
        self.image = Some(image);
        self
    }

    /// The problem of who may not call, which says when to come again where that is known.
    pub(crate) fn of_caller(fault: &AccessFault) -> Self {
        let problem = Self::from(fault);
        match fault {
            AccessFault::Blocked { seconds } | AccessFault::OverLimit { seconds, .. } => {
                problem.retry_after(*seconds)
            }
            _ => problem,
        }
    }

    /// The problem that stands for an error answer of actix itself, which has no body.
    pub(crate) fn from_status(status: StatusCode, said: Option<String>) -> Self {
        let code = match status.as_u16() {
            401 => ProblemCode::Unauthenticated,
            403 => ProblemCode::Forbidden,
            404 => ProblemCode::NotFound,
            405 => ProblemCode::MethodNotAllowed,
            413 => ProblemCode::ImageTooLarge,
            415 => ProblemCode::UnsupportedMediaType,
            429 => ProblemCode::RateLimited,
            503 => ProblemCode::NotReady,
            400..=499 => ProblemCode::MalformedRequest,
            _ => ProblemCode::Internal,
        };
        // What actix says of a client's mistake helps it; the rest is for the log alone.
        let detail = said
            .filter(|text| status.is_client_error() && !text.is_empty())
            .unwrap_or_else(|| format!("{}.", code.title()));
        Self::new(code, detail)
    }

    /// The detail for a reader of `language`; English where it is there in no other.
    pub(crate) fn detail_in(&self, language: Language) -> &str {
        let chinese = self
            .chinese
            .as_ref()
            .filter(|_| language == Language::Chinese);
        chinese.unwrap_or(&self.detail)
    }

    /// The answer as it goes out to a reader of `language`.
    pub(crate) fn respond(&self, request_id: &str, language: Language) -> HttpResponse {
        let detail = self.detail_in(language);
        let mut builder = HttpResponse::build(self.status_code());
        builder.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE)));
        if self.code.is_retryable() {
            let seconds = self.wait.unwrap_or(RETRY_AFTER_SECONDS);
            builder.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.code == ProblemCode::Unauthenticated {
            builder.insert_header((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(CHALLENGE),
            ));
        }
        if let Some(allow) = self.allow {
            builder.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        let mut body = ProblemBody::new(self.code, self.code.status(), detail, request_id);
        body.part = self.part;
        match serde_json::to_string(&body) {
            Ok(body) => builder.body(body),
            Err(_) => builder.finish(),
        }
    }
}

impl<E: Explain + ?Sized> From<&E> for Problem {
    fn from(error: &E) -> Self {
        Self {
            chinese: Some(error.chinese()),
            ..Self::new(error.problem(), error.to_string())
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code.code(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Only the status: the middleware, which knows the request id, writes the body.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// An RFC 9457 problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, title = "Problem")]
pub(crate) struct ProblemBody<'a> {
    /// `urn:faceood:problem:` and the code.
    #[schema(example = "urn:faceood:problem:no_face")]
    pub(crate) r#type: String,
    /// A short summary, the same for every occurrence.
    pub(crate) title: &'a str,
    /// The HTTP status again.
    pub(crate) status: u16,
    /// What was got, what was expected, what to do.
    pub(crate) detail: &'a str,
    /// Under which the log has more.
    pub(crate) request_id: &'a str,
    /// The side of a comparison that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<Part>,
}

impl<'a> ProblemBody<'a> {
    pub(crate) fn new(
        code: ProblemCode,
        status: u16,
        detail: &'a str,
        request_id: &'a str,
    ) -> Self {
        Self {
            r#type: format!("urn:faceood:problem:{}", code.code()),
            title: code.title(),
            status,
            detail,
            request_id,
            part: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_that_http_knows_and_retryable_ones_say_when() {
        for code in ProblemCode::ALL {
            let response = Problem::new(code, "detail").respond("id", Language::English);
            assert_eq!(response.status().as_u16(), code.status());
            assert_eq!(
                response.headers().contains_key(header::RETRY_AFTER),
                code.is_retryable(),
                "{}",
                code.code()
            );
        }
    }

    #[test]
    fn what_failed_inside_is_not_told() {
        let said = Some("thread panicked at /secret/path".to_owned());
        let problem = Problem::from_status(StatusCode::INTERNAL_SERVER_ERROR, said);
        assert_eq!(problem.code, ProblemCode::Internal);
        assert!(!problem.detail.contains("secret"));
    }
}
