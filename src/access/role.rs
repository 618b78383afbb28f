//! Roles, and which of them each endpoint asks for.

use faceood_engine::named;

named! {
    /// What a token is for.
    Role {
        /// An access terminal: asks about pictures and tells how its own requests turned out.
        Terminal "terminal",
        /// A person at the page: asks, reads the log and reports, tells of all requests.
        Operator "operator",
        /// Monitoring: metrics and readiness.
        Metrics "metrics",
        /// Everything.
        Admin "admin",
    }
}

const ASKING: &[Role] = &[Role::Terminal, Role::Operator];
const READING: &[Role] = &[Role::Operator];
const WATCHING: &[Role] = &[Role::Metrics];
const ANYBODY: &[Role] = &Role::ALL;

/// Route patterns, and the roles that may use them beside [`Role::Admin`]. `None`: open to callers
/// without a token. A test compares this list with the routes that the daemon has.
const ENDPOINTS: [(&str, Option<&[Role]>); 21] = [
    ("/v1/extract", Some(ASKING)),
    ("/v1/quality", Some(ASKING)),
    ("/v1/compare", Some(ASKING)),
    ("/v1/feedback", Some(ASKING)),
    ("/v1/info", Some(READING)),
    ("/v1/inferences", Some(READING)),
    // They answer on the Unix socket alone.
    ("/v1/tokens", Some(&[])),
    ("/v1/tokens/{name}", Some(&[])),
    ("/v1/tokens/{name}/rotate", Some(&[])),
    ("/reports/latest", Some(READING)),
    ("/metrics", Some(WATCHING)),
    ("/openapi.json", Some(ANYBODY)),
    ("/docs", Some(ANYBODY)),
    ("/docs/", Some(ANYBODY)),
    ("/docs/{file}", Some(ANYBODY)),
    // It says without a token only whether the daemon is ready, and not why.
    ("/readyz", None),
    ("/healthz", None),
    ("/ca.pem", None),
    ("/session", None),
    // The page's own files are the same for everybody. What it shows comes from /v1.
    ("/", None),
    ("/page/{file}", None),
];

impl Role {
    /// Whether this role may use the endpoint with the route `pattern`.
    pub fn may_use(self, pattern: &str) -> bool {
        match Self::asked_for_by(pattern) {
            Some(Some(roles)) => self == Self::Admin || roles.contains(&self),
            // What does not exist is not found, whoever asks.
            Some(None) | None => true,
        }
    }

    /// Whether a caller without a token may use the endpoint with the route `pattern`.
    pub fn is_needed_for(pattern: &str) -> bool {
        matches!(Self::asked_for_by(pattern), Some(Some(_)))
    }

    /// Whether this role may sign in to the page.
    pub fn may_sign_in(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }

    /// The route patterns of the table.
    #[cfg(test)]
    pub(crate) fn endpoints() -> impl Iterator<Item = &'static str> {
        ENDPOINTS.iter().map(|(pattern, _)| *pattern)
    }

    /// `None` for a route that the table does not have.
    pub(crate) fn asked_for_by(pattern: &str) -> Option<Option<&'static [Self]>> {
        let mut rows = ENDPOINTS.iter();
        rows.find(|(known, _)| *known == pattern)
            .map(|(_, roles)| *roles)
    }
}
