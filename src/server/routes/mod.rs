//! The endpoints, the same few lines in each: read, analyse, record, answer.

mod authority;
mod compare;
mod descriptions;
mod docs;
mod extract;
mod feedback;
mod health;
mod inference;
mod inferences;
mod info;
mod metrics;
mod page;
mod recent;
mod report;
mod session;
mod tokens;

use std::future::ready;

use actix_web::guard::{Any, Get, Head};
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, Resource, Route, web};

#[cfg(test)]
use self::docs::openapi;
use super::problem_response::Problem;
use faceood_engine::problem::ProblemCode;

/// Every route of the service.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    let inference = |path: &str| takes(path, "POST").wrap(from_fn(inference::record_failure));
    let tokens = |path: &str, allow| takes(path, allow).wrap(from_fn(tokens::over_the_socket));
    config
        .service(inference("/v1/extract").route(web::post().to(extract::extract)))
        .service(inference("/v1/quality").route(web::post().to(extract::quality)))
        .service(inference("/v1/compare").route(web::post().to(compare::compare)))
        .service(takes("/v1/feedback", "POST").route(web::post().to(feedback::feedback)))
        .service(reads("/v1/info").route(read().to(info::info)))
        .service(reads("/v1/inferences").route(read().to(inferences::inferences)))
        .service(
            tokens("/v1/tokens", "GET, HEAD, POST")
                .route(read().to(tokens::list))
                .route(web::post().to(tokens::add)),
        )
        .service(tokens("/v1/tokens/{name}", "DELETE").route(web::delete().to(tokens::revoke)))
        .service(tokens("/v1/tokens/{name}/rotate", "POST").route(web::post().to(tokens::rotate)))
        .service(reads("/healthz").route(read().to(health::healthz)))
        .service(reads("/ca.pem").route(read().to(authority::authority)))
        .service(reads("/readyz").route(read().to(health::readyz)))
        .service(reads("/metrics").route(read().to(metrics::metrics)))
        .service(reads("/openapi.json").route(read().to(docs::openapi_json)))
        .service(reads("/docs").route(read().to(docs::docs_page)))
        .service(reads("/docs/").route(read().to(docs::to_docs_page)))
        .service(reads("/docs/{file}").route(read().to(docs::docs_file)))
        .service(
            takes("/session", "GET, HEAD, POST, DELETE")
                .route(read().to(session::who))
                .route(web::post().to(session::begin))
                .route(web::delete().to(session::end)),
        )
        .service(reads("/").route(read().to(page::index)))
        .service(reads("/reports/latest").route(read().to(report::report)))
        .service(reads("/page/{file}").route(read().to(page::file)))
        .default_service(web::route().to(not_found));
}

fn read() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

fn reads(path: &str) -> Resource {
    takes(path, "GET, HEAD")
}

/// A resource that answers every method which it does not route with 405 and what it `allow`s.
fn takes(path: &str, allow: &'static str) -> Resource {
    let refuse = move |request: HttpRequest| {
        let method = request.method().as_str();
        let problem = Problem::method_not_allowed(method, request.path(), allow);
        ready(Err::<&'static str, _>(problem))
    };
    web::resource(path.to_owned()).default_service(web::route().to(refuse))
}

async fn not_found(request: HttpRequest) -> Result<&'static str, Problem> {
    const PLACES: [&str; 15] = [
        "/v1/extract",
        "/v1/quality",
        "/v1/compare",
        "/v1/feedback",
        "/v1/info",
        "/v1/inferences",
        "/v1/tokens",
        "/healthz",
        "/readyz",
        "/ca.pem",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/reports/latest",
        "/",
    ];
    let detail = super::parameters::unknown("path", request.path(), &PLACES);
    Err(Problem::new(ProblemCode::NotFound, detail))
}

#[cfg(test)]
mod tests;
