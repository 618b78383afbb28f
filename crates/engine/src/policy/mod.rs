//! What a scenario makes of quality scores: an action for each face, a verdict for two.
//!
//! A *scenario* is a name; its [`Policy`] holds the rules. Four are built in, and [`Settings`]
//! changes them or adds more. [`decide`] applies one policy to one face, [`verdict()`] joins two
//! decisions and a similarity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::named;

mod decide;
mod verdict;

pub use verdict::{Thresholds, ThresholdsError, verdict};

/// The scenario that applies when a request names none.
pub const DEFAULT_SCENARIO: &str = "access";

/// Longest name that a scenario may have.
const MAX_NAME_LENGTH: usize = 32;

/// The rules of one scenario. Both cuts are on *quality*, not on similarity ([`Thresholds`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// At or above this quality score the action is accept.
    pub accept: f32,
    /// At or above this quality score (and below `accept`) the action is review, below it reject.
    pub review: f32,
    /// A face whose shorter box side is under this many pixels is rejected.
    #[serde(default)]
    pub min_face_px: u32,
    /// Whether a picture with several faces is rejected.
    #[serde(default)]
    pub single_face: bool,
}

named! {
    /// What a policy decides on one face, from the best to the worst: by this order the worst vote
    /// wins.
    Action {
        /// Trust it.
        Accept "accept",
        /// A person should look.
        Review "review",
        /// Do not believe it.
        Reject "reject",
    }
}

named! {
    /// Why an action is not accept.
    Reason {
        /// The quality score is under a cut.
        Quality "quality",
        /// The face's shorter side is under `min_face_px`.
        FaceTooSmall "face_too_small",
        /// More than one face where the policy wants one.
        SeveralFaces "several_faces",
    }
}

/// What the scenario's policy makes of a face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// The scenario that decided.
    #[schema(example = "access")]
    pub scenario: String,
    /// `accept`, `review` or `reject`.
    #[schema(value_type = String, example = "accept")]
    pub action: Action,
    /// The policy's accept cut on the quality score.
    pub threshold: f32,
    /// What decided, where the action is not accept: `quality`, `face_too_small`, `several_faces`.
    #[schema(value_type = Vec<String>)]
    pub reasons: Vec<Reason>,
}

named! {
    /// The answer on a pair of faces.
    Verdict {
        /// One person.
        Same "same",
        /// A person should look.
        Review "review",
        /// Two people.
        Different "different",
        /// A side is not believed, whatever the similarity.
        Untrusted "untrusted",
    }
}

/// What the configuration says of one scenario. What it leaves out stays as built in; a new
/// scenario must give both cuts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// See [`Policy::accept`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<f32>,
    /// See [`Policy::review`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<f32>,
    /// See [`Policy::min_face_px`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_face_px: Option<u32>,
    /// See [`Policy::single_face`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_face: Option<bool>,
}

impl From<&Policy> for PolicySettings {
    fn from(policy: &Policy) -> Self {
        Self {
            accept: Some(policy.accept),
            review: Some(policy.review),
            min_face_px: Some(policy.min_face_px),
            single_face: Some(policy.single_face),
        }
    }
}

/// Scenario name → what the configuration says of it. The default spells the built-in policies out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(pub BTreeMap<String, PolicySettings>);

impl Default for Settings {
    fn default() -> Self {
        let built_in = Policies::default().0;
        let settings = |(name, policy): (String, Policy)| (name, (&policy).into());
        Self(built_in.into_iter().map(settings).collect())
    }
}

/// Why settings make no policies.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The scenario's name cannot stand in a query string and in a metric's label.
    #[error(
        "policy name {0:?} is not allowed: use 1 to {MAX_NAME_LENGTH} of a-z, 0-9, '_' and '-'"
    )]
    Name(String),
    /// A scenario that is not built in leaves out this cut.
    #[error(
        "policy {0:?} is not built in and has no `{1}`: a new policy needs both `accept` and `review`"
    )]
    MissingCut(String, &'static str),
    /// The scenario's accept and review cuts are not in order, or not on the score's scale.
    #[error(
        "policy {name:?} has review = {review} and accept = {accept}: they must satisfy 0 <= review <= accept <= 1"
    )]
    Cuts {
        /// Its scenario.
        name: String,
        /// At or above this score a face is accepted.
        accept: f32,
        /// At or above this one it is reviewed.
        review: f32,
    },
}

/// Scenario name → policy, validated. Always holds the built-in four.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Policies(BTreeMap<String, Policy>);

impl Default for Policies {
    fn default() -> Self {
        let policy = |name: &str, accept, review, min_face_px| {
            let policy = Policy {
                accept,
                review,
                min_face_px,
                single_face: false,
            };
            (name.to_owned(), policy)
        };
        let built_in = [
            policy("access", 0.60, 0.40, 48),
            policy("search", 0.45, 0.35, 0),
            policy("alarm", 0.60, 0.35, 0),
            policy("enroll", 0.70, 0.60, 112),
        ];
        Self(built_in.into())
    }
}

impl Policies {
    /// The built-in policies with `settings` laid over them. An error is the first in the order of
    /// their names.
    pub fn new(settings: &Settings) -> Result<Self, PolicyError> {
        let mut policies = Self::default();
        for (name, given) in &settings.0 {
            check_name(name)?;
            let base = policies.get(name).map(PolicySettings::from);
            let base = base.unwrap_or_default();
            let missing = |key| PolicyError::MissingCut(name.clone(), key);
            let accept = given.accept.or(base.accept);
            let accept = accept.ok_or_else(|| missing("accept"))?;
            let review = given.review.or(base.review);
            let review = review.ok_or_else(|| missing("review"))?;
            // Written so that a NaN fails too.
            let is_ordered = 0.0 <= review && review <= accept && accept <= 1.0;
            if !is_ordered {
                return Err(PolicyError::Cuts {
                    name: name.clone(),
                    accept,
                    review,
                });
            }
            let policy = Policy {
                accept,
                review,
                min_face_px: given.min_face_px.or(base.min_face_px).unwrap_or(0),
                single_face: given.single_face.or(base.single_face).unwrap_or(false),
            };
            policies.0.insert(name.clone(), policy);
        }
        Ok(policies)
    }

    /// The policy of the scenario `name`.
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.0.get(name)
    }

    /// Every scenario with its policy, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Policy)> {
        self.0.iter().map(|(name, policy)| (name.as_str(), policy))
    }

    /// The names of all scenarios, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn check_name(name: &str) -> Result<(), PolicyError> {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(PolicyError::Name(name.to_owned()))
}

#[cfg(test)]
mod tests;
