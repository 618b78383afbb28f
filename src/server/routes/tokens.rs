//! `/v1/tokens`: programs of this machine manage the tokens of callers over the Unix socket, without
//! a restart and without a shell.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use faceood_engine::problem::ProblemCode;
use faceood_engine::problem::texts::AccessFault;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::{AccessControl, ListedToken, Role, TokenError, Tokens};
use crate::server::parameters::{NoParameters, read};
use crate::server::peer::{Peer, Way};
use crate::server::problem_response::Problem;
use crate::server::state::AppState;
use crate::server::upload::JsonText;

/// How long the old secret stays valid unless the caller says otherwise, as in
/// `faceood-admin token rotate`.
const KEEP_OLD_SECONDS: u32 = 24 * 60 * 60;

/// What a caller is told where the file cannot be used. The log says why, and names the path.
const UNUSABLE: &str = "the daemon cannot use its file of tokens; its text log says why";

/// All tokens.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenList)]
struct TokensAnswer {
    /// In the order in which they were added.
    tokens: Vec<ListedToken>,
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewToken)]
struct NewTokenBody {
    /// Name in the log and in metrics: 1–64 of `[A-Za-z0-9._:-]`.
    name: String,
    /// `terminal`, `operator`, `metrics` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// The only sources for which a terminal may ask; without them it may ask for all.
    #[serde(default)]
    sources: Vec<String>,
    /// When it stops being valid, RFC 3339; without it, never.
    #[serde(default)]
    expires: Option<DateTime<Utc>>,
}

/// How the secret of a token is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenRotation)]
struct RotationBody {
    /// How long the old secret stays valid, in seconds.
    #[serde(default = "keep_old_seconds")]
    #[schema(default = 86400)]
    keep_old_seconds: u32,
}

const fn keep_old_seconds() -> u32 {
    KEEP_OLD_SECONDS
}

/// A token with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenSecret)]
struct SecretAnswer {
    name: String,
    /// What the caller sends as `Authorization: Bearer` or `X-API-Key`.
    token: String,
    /// Until when the former secret is valid too.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_until: Option<DateTime<Utc>>,
}

/// What becomes of a revoked token.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RevokeParameters {
    /// `true` takes it off the list, too: a caller who still uses it counts as one who guesses.
    #[serde(default)]
    forget: bool,
}

/// All tokens, without their secrets.
#[utoipa::path(
    get,
    path = "/v1/tokens",
    tag = "tokens",
    responses(
        (status = 200, description = "All tokens.", body = TokensAnswer),
        super::descriptions::ChangeProblems,
    )
)]
pub(super) async fn list(
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let _: NoParameters = read(&request)?;
    // Whoever has just changed the file on this machine wants to see that.
    let access = state.access.clone();
    let looked = web::block(move || access.read_again()).await;
    let is_read = looked.map_err(|error| {
        tracing::error!(%error, "the file of tokens cannot be read");
        Problem::new(ProblemCode::Internal, "the file of tokens cannot be read")
    })?;
    if !is_read {
        return Err(Problem::new(ProblemCode::Internal, UNUSABLE));
    }
    let uses = state.log.reader().token_uses().await.map_err(|error| {
        tracing::error!(%error, "the uses of tokens cannot be read");
        Problem::new(ProblemCode::NotReady, "the uses of tokens cannot be read")
    })?;
    let tokens = ListedToken::all(&state.access.tokens(), &uses, Utc::now());
    Ok(HttpResponse::Ok().json(TokensAnswer { tokens }))
}

/// Makes a token. Its secret is shown this once.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "tokens",
    request_body(content = NewTokenBody),
    responses(
        (status = 201, description = "The token opens from now on.", body = SecretAnswer),
        super::descriptions::ChangeProblems,
    )
)]
pub(super) async fn add(
    request: HttpRequest,
    state: web::Data<AppState>,
    body: JsonText,
) -> Result<HttpResponse, Problem> {
    let _: NoParameters = read(&request)?;
    let new: NewTokenBody = body.parse()?;
    let name = new.name.clone();
    let secret = change(&state.access, "added", &name, move |tokens| {
        tokens.add(&new.name, new.role, new.sources, new.expires, Utc::now())
    })
    .await?;
    Ok(HttpResponse::Created().json(SecretAnswer {
        name,
        token: secret.as_str().to_owned(),
        previous_until: None,
    }))
}

/// Gives a token a new secret, which is shown this once. The old one stays valid for a while.
#[utoipa::path(
    post,
    path = "/v1/tokens/{name}/rotate",
    tag = "tokens",
    params(("name" = String, Path, description = "Name of the token.")),
    request_body(content = RotationBody),
    responses(
        (status = 200, description = "Both secrets open until the time given.", body = SecretAnswer),
        super::descriptions::ChangeProblems,
    )
)]
pub(super) async fn rotate(
    request: HttpRequest,
    state: web::Data<AppState>,
    name: web::Path<String>,
    body: JsonText,
) -> Result<HttpResponse, Problem> {
    let _: NoParameters = read(&request)?;
    let RotationBody { keep_old_seconds } = body.parse()?;
    let now = Utc::now();
    let until = now + TimeDelta::seconds(keep_old_seconds.into());
    let (name, asked) = (name.clone(), name.into_inner());
    let secret = change(&state.access, "rotated", &name, move |tokens| {
        tokens.rotate(&asked, until, now)
    })
    .await?;
    Ok(HttpResponse::Ok().json(SecretAnswer {
        name,
        token: secret.as_str().to_owned(),
        previous_until: Some(until),
    }))
}

/// Revokes a token and the one that it replaced, at once.
#[utoipa::path(
    delete,
    path = "/v1/tokens/{name}",
    tag = "tokens",
    params(("name" = String, Path, description = "Name of the token."), RevokeParameters),
    responses(
        (status = 204, description = "The token opens nothing any more."),
        super::descriptions::ChangeProblems,
    )
)]
pub(super) async fn revoke(
    request: HttpRequest,
    state: web::Data<AppState>,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let RevokeParameters { forget } = read(&request)?;
    let (name, asked) = (name.clone(), name.into_inner());
    change(
        &state.access,
        "revoked",
        &name,
        move |tokens| match forget {
            true => tokens.forget(&asked),
            false => tokens.revoke(&asked, Utc::now()),
        },
    )
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Refuses callers who come by another way: whoever takes over a terminal or the operator's browser
/// must not be able to make tokens.
pub(super) async fn over_the_socket<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let peer = request.conn_data::<Peer>();
    if peer.is_none_or(|peer| peer.way != Way::Socket) {
        return Ok(request.error_response(Problem::from(&AccessFault::SocketOnly)));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Changes the file of tokens on a thread that may wait for the disk.
async fn change<T: Send + 'static>(
    access: &AccessControl,
    what: &'static str,
    name: &str,
    change: impl FnOnce(&mut Tokens) -> Result<T, TokenError> + Send + 'static,
) -> Result<T, Problem> {
    let shared = access.clone();
    let changed = web::block(move || shared.change_tokens(change)).await;
    let changed = changed.map_err(|error| {
        tracing::error!(%error, "the file of tokens cannot be changed");
        Problem::new(
            ProblemCode::Internal,
            "the file of tokens cannot be changed",
        )
    })?;
    let changed = changed.map_err(|error| problem(&error))?;
    tracing::info!(token = name, "a token was {what} over the Unix socket");
    Ok(changed)
}

fn problem(error: &TokenError) -> Problem {
    let code = match error {
        TokenError::Exists(_)
        | TokenError::Expired(_)
        | TokenError::Past(_)
        | TokenError::Name(_)
        | TokenError::Sources(_)
        | TokenError::ManySources(_)
        | TokenError::Full
        | TokenError::TooLarge => ProblemCode::InvalidParameter,
        TokenError::Missing(_) | TokenError::Revoked(_) => ProblemCode::NotFound,
        TokenError::Io(..) => {
            tracing::error!(%error, "the daemon cannot change the file of tokens");
            let detail = format!(
                "the daemon cannot change its file of tokens: {error}. Use `faceood-admin token` as root, or let \
                 access.tokens_file name a file in a folder that the daemon may write"
            );
            return Problem::new(ProblemCode::Forbidden, detail);
        }
        TokenError::Malformed(..) => {
            tracing::error!(%error, "the daemon cannot use the file of tokens");
            return Problem::new(ProblemCode::Internal, UNUSABLE);
        }
    };
    Problem::new(code, error.to_string())
}
