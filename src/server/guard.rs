//! The middleware that lets a request pass: was it meant for this box, who is its caller, may that
//! caller use the endpoint, and is its budget not used up.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use faceood_engine::problem::ProblemCode;
use faceood_engine::problem::texts::AccessFault;
use faceood_log::AccessRefusal;
use tracing::Span;

use super::origin::Origins;
use super::peer::{Peer, Way};
use super::problem_response::Problem;
use super::state::AppState;
use crate::access::{
    AccessControl, Credentials, Meter, OverLimit, Role, Token, Unknown, whole_seconds,
};
use crate::telemetry::metrics;

/// How the service is reached.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) origins: Origins,
    /// Whether nobody is asked for a token (`server.open`).
    pub(super) is_open: bool,
}

/// The cookie of whoever is signed in to the page.
pub(super) const COOKIE: &str = "faceood_session";

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// How long callers with a wrong token, or over a limit, wait for their answer: guessing is slow
/// then, and a flood over many connections costs little.
const DELAY: Duration = Duration::from_millis(500);

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The token by which it is known; `None` where none was asked for.
    pub(crate) token: Option<Token>,
    /// What it may do. `None`: only what is open to everybody.
    pub(crate) role: Option<Role>,
    /// Whether the listener asks for tokens.
    pub(crate) is_protected: bool,
}

impl Caller {
    /// The caller of `request`, as the middleware found it.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let known = request.extensions().get::<Self>().cloned();
        known.unwrap_or(Self {
            token: None,
            role: None,
            is_protected: true,
        })
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.name.as_str())
    }

    /// The source of its request: what it names, if it may, else what its token is bound to.
    pub(crate) fn source(&self, named: Option<String>) -> Result<Option<String>, AccessFault> {
        let Some(token) = self
            .token
            .as_ref()
            .filter(|token| !token.sources.is_empty())
        else {
            return Ok(named);
        };
        match named {
            Some(source) if !token.sources.contains(&source) => Err(AccessFault::Source {
                name: token.name.clone(),
                asked: source,
                allowed: token.sources.join(", "),
            }),
            Some(source) => Ok(Some(source)),
            None => Ok(token.sources.first().cloned()),
        }
    }
}

/// Lets `request` pass, or answers why it may not.
pub(super) async fn admit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (Some(state), Some(admission)) = (
        request.app_data::<web::Data<AppState>>().cloned(),
        request.app_data::<web::Data<Admission>>().cloned(),
    ) else {
        let detail = "this endpoint is not set up";
        return Ok(request.error_response(Problem::new(ProblemCode::Internal, detail)));
    };
    // Routes are found by the decoded path, and all else here goes by the path as it was sent. No
    // path of ours needs encoding, so nothing can pass as something else.
    if request.path().contains('%') {
        let detail = "no path of this service has a percent sign; write it without encoding";
        return Ok(request.error_response(Problem::new(ProblemCode::NotFound, detail)));
    }
    let peer = request.conn_data::<Peer>().cloned();
    let address = peer.as_ref().and_then(|peer| peer.address);
    let way = peer.as_ref().map_or(Way::Network, |peer| peer.way);
    let endpoint = request.match_pattern();
    let endpoint = endpoint.as_deref().unwrap_or("other");
    let refused = |refusal, token: Option<&str>| {
        state.access.note_refusal(address, token, endpoint, refusal);
    };

    let is_protected = !admission.is_open && way == Way::Network;
    let bytes = announced(&request);
    if let Some(address) = address.filter(|_| is_protected)
        && let Err(over) = state.access.count_from(address, bytes)
    {
        refused(AccessRefusal::RateLimit, None);
        tokio::time::sleep(DELAY).await;
        return Ok(request.error_response(over_limit(over)));
    }

    if let Err(fault) = admission.origins.check(&request, way) {
        let is_host = matches!(fault, AccessFault::Host { .. });
        let refusal = if is_host {
            AccessRefusal::Host
        } else {
            AccessRefusal::CrossSite
        };
        refused(refusal, None);
        return Ok(request.error_response(Problem::of_caller(&fault)));
    }

    let is_needed = Role::is_needed_for(endpoint);
    // What is open stays open for a load balancer with an old token, and blocks nobody. Only who
    // asks for the name behind a token is one who may guess.
    let is_asking_who = endpoint == "/session";
    let guesser = address.filter(|_| is_protected && (is_needed || is_asking_who));
    let caller = match state
        .access
        .identify(guesser, shown(&request, peer.as_ref()))
    {
        Ok(token) => Caller {
            role: Some(token.role),
            token: Some(token),
            is_protected,
        },
        // Where no token is asked for, one that is shown still counts, so that its name and its
        // sources hold on this machine too. A wrong one is ignored.
        Err(_) if !is_protected => Caller {
            token: None,
            role: Some(Role::Admin),
            is_protected,
        },
        Err(_) if !is_needed => Caller {
            token: None,
            role: None,
            is_protected,
        },
        Err(unknown) => {
            let (refusal, name, fault) = told(unknown);
            refused(refusal, name.as_deref());
            if matches!(refusal, AccessRefusal::WrongToken | AccessRefusal::Blocked) {
                tokio::time::sleep(DELAY).await;
            }
            return Ok(request.error_response(Problem::of_caller(&fault)));
        }
    };
    if let Some(token) = &caller.token {
        state.access.note_use(&token.name, address);
        metrics::token_request(&token.name);
        Span::current().record("token", token.name.as_str());
        if !token.role.may_use(endpoint) {
            refused(AccessRefusal::Role, Some(&token.name));
            let fault = AccessFault::Role {
                name: token.name.clone(),
                role: token.role.name(),
                endpoint: endpoint.to_owned(),
            };
            return Ok(request.error_response(Problem::of_caller(&fault)));
        }
    }

    let counted = match caller.name() {
        Some(name) => state.access.count_of(name, bytes),
        None => Ok(()),
    };
    let pictures = pictures_at(endpoint);
    let turn = match (counted, caller.name()) {
        (Ok(()), Some(name)) if pictures > 0 => {
            let patience = Duration::from_millis(state.pool.settings().deadline_ms);
            state.access.turn(name, pictures, patience).await.map(Some)
        }
        (counted, _) => counted.map(|()| None),
    };
    let turn = match turn {
        Ok(turn) => turn,
        Err(over) => {
            refused(AccessRefusal::RateLimit, caller.name());
            tokio::time::sleep(DELAY).await;
            return Ok(request.error_response(over_limit(over)));
        }
    };

    // A chunked body announces nothing: it is counted while it is read.
    request.extensions_mut().insert(Meter {
        access: state.access.clone(),
        address,
        is_address_charged: is_protected,
        token: caller.name().map(ToOwned::to_owned),
        endpoint: endpoint.to_owned(),
        announced: bytes,
        received: 0,
    });
    request.extensions_mut().insert(caller);
    if let Some(turn) = turn {
        request.extensions_mut().insert(turn);
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Notes that `request` named a source that its token may not use.
pub(super) fn note_foreign_source(request: &HttpRequest) {
    let (caller, endpoint) = (Caller::of(request), request.match_pattern());
    if let Some(state) = request.app_data::<web::Data<AppState>>() {
        let address = request.conn_data::<Peer>().and_then(|peer| peer.address);
        let endpoint = endpoint.as_deref().unwrap_or_default();
        let refusal = AccessRefusal::Source;
        state
            .access
            .note_refusal(address, caller.name(), endpoint, refusal);
    }
}

fn shown<'r>(request: &'r ServiceRequest, peer: Option<&'r Peer>) -> Credentials<'r> {
    Credentials {
        token: token_in(request),
        session: session_in(request),
        certificate: peer.and_then(|peer| peer.certificate_name.as_deref()),
    }
}

/// The token that the caller of `POST /session` signs in with.
pub(super) async fn sign_in(
    request: &HttpRequest,
    access: &AccessControl,
    token: &str,
) -> Result<Token, Problem> {
    let address = request.conn_data::<Peer>().and_then(|peer| peer.address);
    let shown = Credentials {
        token: Some(token),
        ..Credentials::default()
    };
    match access.identify(address, shown) {
        Ok(token) => Ok(token),
        Err(unknown) => {
            let (refusal, name, fault) = told(unknown);
            access.note_refusal(address, name.as_deref(), "/session", refusal);
            tokio::time::sleep(DELAY).await;
            Err(Problem::of_caller(&fault))
        }
    }
}

/// Whether the connection of `request` is encrypted.
pub(super) fn is_tls(request: &HttpRequest) -> bool {
    request.conn_data::<Peer>().is_some_and(|peer| peer.is_tls)
}

fn session_in(request: &ServiceRequest) -> Option<&str> {
    let cookies = request.headers().get_all(actix_web::http::header::COOKIE);
    let pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    let mut named = pairs.filter_map(|pair| pair.trim().split_once('='));
    named
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

fn token_in(request: &ServiceRequest) -> Option<&str> {
    let text = |name: &HeaderName| request.headers().get(name)?.to_str().ok();
    let bearer = text(&AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| text(&API_KEY).map(str::trim))
}

/// Bytes of the body, as the caller announces them.
fn announced(request: &ServiceRequest) -> u64 {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

/// How many pictures a request to `endpoint` has in flight. It is asked before the body is read, so
/// a comparison with a kept embedding counts as two, too.
fn pictures_at(endpoint: &str) -> u32 {
    match endpoint {
        "/v1/extract" | "/v1/quality" => 1,
        "/v1/compare" => 2,
        _ => 0,
    }
}

fn told(unknown: Unknown) -> (AccessRefusal, Option<String>, AccessFault) {
    match unknown {
        Unknown::NoToken => (AccessRefusal::NoToken, None, AccessFault::NoToken),
        Unknown::Wrong => (AccessRefusal::WrongToken, None, AccessFault::WrongToken),
        Unknown::Certificate(name) => (
            AccessRefusal::Certificate,
            None,
            AccessFault::Certificate { name },
        ),
        Unknown::Expired(name) => (
            AccessRefusal::Expired,
            Some(name.clone()),
            AccessFault::Expired { name },
        ),
        Unknown::Revoked(name) => (
            AccessRefusal::Revoked,
            Some(name.clone()),
            AccessFault::Revoked { name },
        ),
        Unknown::Blocked(left) => {
            let seconds = whole_seconds(left);
            (
                AccessRefusal::Blocked,
                None,
                AccessFault::Blocked { seconds },
            )
        }
    }
}

fn over_limit(over: OverLimit) -> Problem {
    Problem::of_caller(&AccessFault::from(over))
}
