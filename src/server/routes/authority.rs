//! `GET /ca.pem`: the box's own authority, which terminals are to trust.

use actix_web::{HttpResponse, web};
use faceood_engine::problem::ProblemCode;

use crate::server::problem_response::Problem;
use crate::server::state::AppState;
use crate::server::tls::Tls;

/// The certificate of the box's own authority, for clients that are to trust it.
///
/// Compare its fingerprint with the one in the box's log, or in `faceood-admin doctor`, before you
/// trust it.
#[utoipa::path(
    get,
    path = "/ca.pem",
    tag = "service",
    responses(
        (status = 200, description = "A certificate in PEM.", body = String, content_type = "application/x-pem-file"),
        (status = 404, description = "The box has no authority of its own.", body = crate::server::problem_response::ProblemBody<'static>, content_type = "application/problem+json"),
    )
)]
pub(super) async fn authority(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let in_force = state.tls.as_ref().map(Tls::in_force);
    let authority = in_force
        .as_ref()
        .and_then(|in_force| in_force.authority.as_ref());
    let (pem, _) = authority.ok_or_else(|| {
        let detail = "this box has no authority of its own: no address speaks TLS, or a certificate was configured (server.tls); \
                      trust the authority that has signed that one";
        Problem::new(ProblemCode::NotFound, detail)
    })?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-pem-file")
        .body(pem.clone()))
}
