//! A token as it is shown to whoever manages tokens.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use faceood_log::TokenUse;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Role, Token, TokenState, Tokens};

/// One token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct ListedToken {
    /// Stands in rows, log lines and metrics.
    pub name: String,
    /// What it is for.
    #[schema(value_type = String)]
    pub role: Role,
    /// The only sources for which it may ask; empty: all.
    pub sources: Vec<String>,
    /// Whether it opens anything: `valid`, `expired` or `revoked`.
    pub state: &'static str,
    /// When it was added.
    pub created: DateTime<Utc>,
    /// When it stops being valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<DateTime<Utc>>,
    /// Until when the secret before the last rotation is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<DateTime<Utc>>,
    /// Requests that it has allowed, as far as the log knows.
    pub uses: u64,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_use: Option<DateTime<Utc>>,
    /// From where that one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_address: Option<String>,
}

impl ListedToken {
    /// All `tokens` as they stand at the time `now`, with what the log knows of their `uses`.
    pub fn all(tokens: &Tokens, uses: &[TokenUse], now: DateTime<Utc>) -> Vec<Self> {
        let uses: HashMap<&str, _> = uses.iter().map(|uses| (&*uses.token, uses)).collect();
        let used = |token: &Token| uses.get(&*token.name).copied();
        let tokens = tokens.all.iter();
        tokens
            .map(|token| Self::new(token, used(token), now))
            .collect()
    }

    fn new(token: &Token, uses: Option<&TokenUse>, now: DateTime<Utc>) -> Self {
        Self {
            name: token.name.clone(),
            role: token.role,
            sources: token.sources.clone(),
            state: match token.state(now) {
                TokenState::Valid => "valid",
                TokenState::Expired => "expired",
                TokenState::Revoked => "revoked",
            },
            created: token.created,
            expires: token.expires,
            previous_until: token.previous_until.filter(|until| now < *until),
            uses: uses.map_or(0, |uses| uses.uses),
            last_use: uses.map(|uses| uses.last),
            last_address: uses.and_then(|uses| Some(uses.last_address?.to_string())),
        }
    }
}
