//! The outermost middleware. Every request gets an id, a metric and one line in the text log, and a
//! failed one gets a problem body in its caller's language.

use std::fmt;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, HeaderMap,
    HeaderName, HeaderValue, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use faceood_engine::problem::ProblemCode;
use tracing::field::Empty;
use tracing::{Instrument, error_span};
use uuid::Uuid;

use super::connections::OneTooMany;
use super::negotiation::language;
use super::problem_page;
use super::problem_response::Problem;
use super::state::AppState;
use crate::plain_name::is_plain_name;
use crate::telemetry::metrics;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Names the box that has answered.
pub(crate) const NODE_HEADER: HeaderName = HeaderName::from_static("x-faceood-node");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

const TOO_MANY_CONNECTIONS: &str = "this address holds as many connections as it may (server.max_connections_per_address); \
     close those that are not in use, or keep one open for many requests";

/// Names one request in answers, log lines and rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// The caller's own id if it is a plain name, else a new one.
    fn choose(headers: &HeaderMap) -> Self {
        let own = headers.get(HEADER).and_then(|value| value.to_str().ok());
        match own.filter(|text| is_plain_name(text)) {
            Some(own) => Self(own.to_owned()),
            None => Self(Uuid::now_v7().to_string()),
        }
    }

    /// The id of `request`, which [`with_request_id`] gave it.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let known = request.extensions().get::<Self>().cloned();
        known.unwrap_or_else(|| Self::choose(request.headers()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a handler learned of its request, for the line in the log and for the row of a failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RequestOutcome {
    pub(crate) source: Option<String>,
    pub(crate) scenario: Option<String>,
    /// The action or the verdict.
    pub(crate) action: Option<&'static str>,
    /// The quality score of the face that decided.
    pub(crate) score: Option<f32>,
    /// Whether this request's rows are in the log already.
    pub(crate) is_recorded: bool,
}

impl RequestOutcome {
    pub(crate) fn note(request: &HttpRequest, change: impl FnOnce(&mut Self)) {
        let mut outcome = Self::of(request);
        change(&mut outcome);
        request.extensions_mut().insert(outcome);
    }

    pub(crate) fn of(request: &HttpRequest) -> Self {
        let known = request.extensions().get::<Self>().cloned();
        known.unwrap_or_default()
    }
}

/// The outermost middleware. What is logged below it, also by a worker, is in a span that carries
/// the request's id, endpoint and, once it is read, source. The error is only what actix raises
/// before a request has a response; no handler's failure ends up there.
pub(crate) async fn with_request_id<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = RequestId::choose(request.headers());
    request.extensions_mut().insert(id.clone());
    // The pattern, not the path: a scanner must not be able to make metrics without end.
    let endpoint = request.match_pattern();
    let endpoint = endpoint.as_deref().unwrap_or("other");
    // Of the highest level, so that no level of the text log takes it from a line.
    let span = error_span!("request", request_id = %id, endpoint, source = Empty, token = Empty);
    answered(request, next, &id, endpoint)
        .instrument(span)
        .await
}

async fn answered<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
    id: &RequestId,
    endpoint: &str,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let is_one_too_many = is_one_too_many(&request);
    let state = request.app_data::<web::Data<AppState>>();
    let is_leaving = state.is_some_and(|state| state.readiness.is_leaving());
    let node = state.and_then(|state| HeaderValue::from_str(state.info.node.as_str()).ok());
    let response = if is_one_too_many {
        request.error_response(Problem::new(ProblemCode::RateLimited, TOO_MANY_CONNECTIONS))
    } else {
        next.call(request).await?.map_into_boxed_body()
    };

    let problem = problem_of(&response);
    let mut response = match &problem {
        Some(problem) => {
            let (asked, id) = (response.request(), id.as_str());
            let mut answer = problem.respond(id, language(asked));
            if problem_page::is_for(problem, asked, endpoint) {
                answer = problem_page::in_place_of(answer, problem, asked, id);
            }
            // A page that may call the service must be able to read why a call failed.
            for name in [
                ACCESS_CONTROL_ALLOW_ORIGIN,
                ACCESS_CONTROL_EXPOSE_HEADERS,
                VARY,
            ] {
                if let Some(value) = response.headers().get(&name) {
                    answer.headers_mut().insert(name, value.clone());
                }
            }
            response.into_response(answer)
        }
        None => response,
    };
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    if let Some(node) = node {
        response.headers_mut().insert(NODE_HEADER, node);
    }
    // Who keeps a connection open shall take the next one to whoever serves then.
    if is_one_too_many || is_leaving {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    let path = response.request().path();
    if ["/v1/", "/reports/", "/session"]
        .iter()
        .any(|start| path.starts_with(start))
    {
        // About faces or callers: no proxy and no browser may keep it.
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    }
    report(&response, problem.as_ref(), endpoint, started);
    Ok(response)
}

fn is_one_too_many(request: &ServiceRequest) -> bool {
    // Monitoring must work also from an address that holds too many connections.
    let is_watching = ["/healthz", "/readyz", "/metrics"].contains(&request.path());
    let connection = request.conn_data::<OneTooMany>();
    !is_watching && connection.is_some_and(|connection| connection.0)
}

/// The problem that `response` stands for, if it is an error.
fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<Problem> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let error = response.response().error();
    let ours = error.and_then(Error::as_error::<Problem>).cloned();
    ours.or_else(|| Some(Problem::from_status(status, error.map(ToString::to_string))))
}

fn report(
    response: &ServiceResponse<BoxBody>,
    problem: Option<&Problem>,
    endpoint: &str,
    started: Instant,
) {
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    let code = problem.map_or("ok", |problem| problem.code.code());
    metrics::request(endpoint, status, code, elapsed);

    let outcome = RequestOutcome::of(response.request());
    let ms = rounded(elapsed.as_secs_f64() * 1e3, 1);
    let scenario = outcome.scenario.as_deref();
    let action = outcome.action;
    let score = outcome.score.map(|score| rounded(f64::from(score), 4));
    let detail = problem.map(|problem| problem.detail.as_str());
    if status >= 500 {
        tracing::warn!(status, code, scenario, ms, detail, "request failed");
    } else if endpoint.starts_with("/v1/") || status == 429 {
        tracing::info!(status, code, scenario, action, score, ms, detail, "request");
    } else {
        tracing::debug!(status, code, ms, "request");
    }
}

/// Rounds a number so that the text log shows few digits of it.
fn rounded(number: f64, decimals: i32) -> f64 {
    let scale = 10.0_f64.powi(decimals);
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(own: &'static str) -> RequestId {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static(own));
        RequestId::choose(&headers)
    }

    #[test]
    fn plain_ids_are_kept() {
        for own in ["a", "terminal-7:2026.11_x", "0"] {
            assert_eq!(chosen(own).as_str(), own);
        }
        let longest: &'static str = Box::leak("x".repeat(64).into_boxed_str());
        assert_eq!(chosen(longest).as_str(), longest);
    }

    #[test]
    fn others_are_replaced_by_a_new_one() {
        let too_long: &'static str = Box::leak("x".repeat(65).into_boxed_str());
        for own in ["", "a b", "a\"b", "a/b", too_long] {
            let id = chosen(own);
            assert_ne!(id.as_str(), own);
            assert_eq!(Uuid::parse_str(id.as_str()).unwrap().get_version_num(), 7);
        }
    }
}
