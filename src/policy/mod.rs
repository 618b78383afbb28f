//! What a scenario makes of a quality score: accept, review or reject; and, for two faces, the verdict. Pure.
//!
//! A *scenario* is a name; its [`Policy`] holds the rules. Four are built in, and [`Settings`] changes them or adds more.
//! [`decide`] applies one policy to one face, [`verdict()`] joins two decisions and a similarity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod decide;
mod verdict;

pub use verdict::{Thresholds, ThresholdsError, verdict};

/// The scenario that applies when a request names none.
pub const DEFAULT_SCENARIO: &str = "access";

/// Longest name that a scenario may have.
const MAX_NAME_LENGTH: usize = 32;

/// The rules of one scenario. Both cuts are on the *quality score*, not on similarity (that is [`Thresholds`]).
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

/// What a policy decides on one face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Trust it.
    Accept,
    /// A person should look.
    Review,
    /// Do not believe it.
    Reject,
}

impl Action {
    /// Every action, from the best to the worst.
    pub const ALL: [Self; 3] = [Self::Accept, Self::Review, Self::Reject];

    /// Name in JSON, in the log and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Review => "review",
            Self::Reject => "reject",
        }
    }
}

/// Why an action is not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The quality score is under a cut.
    Quality,
    /// The face's shorter side is under `min_face_px`.
    FaceTooSmall,
    /// More than one face where the policy wants one.
    SeveralFaces,
}

impl Reason {
    /// Every reason, in the order in which a decision lists them.
    pub const ALL: [Self; 3] = [Self::Quality, Self::FaceTooSmall, Self::SeveralFaces];

    /// Name in JSON and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::FaceTooSmall => "face_too_small",
            Self::SeveralFaces => "several_faces",
        }
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

/// The answer on a pair of faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// One person.
    Same,
    /// A person should look.
    Review,
    /// Two people.
    Different,
    /// A side is not believed, whatever the similarity.
    Untrusted,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Same, Self::Review, Self::Different, Self::Untrusted];

    /// Name in JSON, in the log and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Review => "review",
            Self::Different => "different",
            Self::Untrusted => "untrusted",
        }
    }
}

/// What the configuration says of one scenario. What it leaves out stays as built in; a new scenario must give both cuts.
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
        Self(
            Policies::default()
                .iter()
                .map(|(name, policy)| (name.to_owned(), PolicySettings::from(policy)))
                .collect(),
        )
    }
}

/// Why settings make no policies. Carries the scenario and the values, so that the message says what to change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The name cannot stand in a query string and in a metric's label.
    #[error(
        "policy name {name:?} is not allowed: use 1 to {MAX_NAME_LENGTH} of a-z, 0-9, '_' and '-'"
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// A scenario that is not built in leaves a cut out.
    #[error(
        "policy {name:?} is not built in and has no `{key}`: a new policy needs both `accept` and `review`"
    )]
    MissingCut {
        /// The scenario.
        name: String,
        /// The key that is missing.
        key: &'static str,
    },
    /// The cuts are not in order, or not on the score's scale.
    #[error(
        "policy {name:?} has review = {review} and accept = {accept}: they must satisfy 0 <= review <= accept <= 1"
    )]
    Cuts {
        /// The scenario.
        name: String,
        /// Its accept cut.
        accept: f32,
        /// Its review cut.
        review: f32,
    },
}

/// Scenario name → policy, validated. Always holds the built-in four.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Policies(BTreeMap<String, Policy>);

impl Default for Policies {
    fn default() -> Self {
        let built_in = [
            ("access", 0.60, 0.40, 48),
            ("search", 0.45, 0.35, 0),
            ("alarm", 0.60, 0.35, 0),
            ("enroll", 0.70, 0.60, 112),
        ];
        Self(
            built_in
                .into_iter()
                .map(|(name, accept, review, min_face_px)| {
                    let policy = Policy {
                        accept,
                        review,
                        min_face_px,
                        single_face: false,
                    };
                    (name.to_owned(), policy)
                })
                .collect(),
        )
    }
}

impl Policies {
    /// The built-in policies with `settings` laid over them.
    ///
    /// # Errors
    /// The first [`PolicyError`] in the order of names.
    pub fn new(settings: &Settings) -> Result<Self, PolicyError> {
        let mut policies = Self::default();
        for (name, given) in &settings.0 {
            check_name(name)?;
            let base = policies.get(name);
            let cut = |given: Option<f32>, built_in: Option<f32>, key| {
                given.or(built_in).ok_or_else(|| PolicyError::MissingCut {
                    name: name.clone(),
                    key,
                })
            };
            let policy = Policy {
                accept: cut(given.accept, base.map(|policy| policy.accept), "accept")?,
                review: cut(given.review, base.map(|policy| policy.review), "review")?,
                min_face_px: given
                    .min_face_px
                    .or(base.map(|policy| policy.min_face_px))
                    .unwrap_or_default(),
                single_face: given
                    .single_face
                    .or(base.map(|policy| policy.single_face))
                    .unwrap_or_default(),
            };
            // Written so that a NaN fails too.
            let ordered =
                0.0 <= policy.review && policy.review <= policy.accept && policy.accept <= 1.0;
            if !ordered {
                return Err(PolicyError::Cuts {
                    name: name.clone(),
                    accept: policy.accept,
                    review: policy.review,
                });
            }
            policies.0.insert(name.clone(), policy);
        }
        Ok(policies)
    }

    /// The policy of the scenario `name`.
    #[must_use]
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
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
    };
    if (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(PolicyError::Name {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
