//! `/session`: signing in to the page with a token, and out again. The page alone uses it.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse, web};
use faceood_engine::problem::ProblemCode;
use faceood_engine::problem::texts::AccessFault;
use serde::{Deserialize, Serialize};

use crate::access::{Role, SESSION_SECONDS};
use crate::server::guard::{COOKIE, Caller, is_tls, sign_in};
use crate::server::parameters::{NoParameters, read};
use crate::server::problem_response::Problem;
use crate::server::state::AppState;
use crate::server::upload::JsonText;

/// Who is signed in.
#[derive(Debug, Serialize)]
struct SessionAnswer<'a> {
    /// Whether this address asks for a token.
    protected: bool,
    /// The name of the token by which the caller is known.
    name: Option<&'a str>,
    role: Option<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn<'a> {
    token: &'a str,
}

pub(super) async fn who(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let _: NoParameters = read(&request)?;
    let caller = Caller::of(&request);
    Ok(HttpResponse::Ok().json(SessionAnswer {
        protected: caller.is_protected,
        name: caller.name(),
        role: caller.token.as_ref().map(|token| token.role),
    }))
}

pub(super) async fn begin(
    request: HttpRequest,
    state: web::Data<AppState>,
    body: JsonText,
) -> Result<HttpResponse, Problem> {
    let _: NoParameters = read(&request)?;
    let body: SignIn<'_> = body.parse()?;
    let token = sign_in(&request, &state.access, body.token).await?;
    if !token.role.may_sign_in() {
        let (name, role) = (token.name, token.role.name());
        return Err(Problem::from(&AccessFault::Page { name, role }));
    }
    let secret = state.access.sign_in(&token).map_err(|error| {
        tracing::error!(%error, "a session cannot begin");
        Problem::new(ProblemCode::Internal, "the system has no random numbers")
    })?;
    let cookie = cookie(&request, secret.as_str(), SESSION_SECONDS);
    Ok(HttpResponse::NoContent().cookie(cookie).finish())
}

pub(super) async fn end(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    if let Some(cookie) = request.cookie(COOKIE) {
        state.access.sign_out(cookie.value());
    }
    let cookie = cookie(&request, "", 0);
    HttpResponse::NoContent().cookie(cookie).finish()
}

fn cookie(request: &HttpRequest, secret: &str, seconds: u64) -> Cookie<'static> {
    Cookie::build(COOKIE, secret.to_owned())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(is_tls(request))
        .max_age(Duration::seconds(seconds as i64))
        .finish()
}
