//! What a scenario makes of a quality score: accept, review or reject; and, for two faces, the verdict. Pure.

use serde::{Deserialize, Serialize};

/// The rules of one scenario.
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

/// Why an action is not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The quality score is under a cut.
    Quality,
    /// The face's shorter side is under `min_face_px`.
    FaceTooSmall,
    /// More than one face where the policy wants one.
    SeveralFaces,
}

/// A policy's answer for one face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Name of the scenario whose policy decided.
    pub scenario: String,
    /// What to do.
    pub action: Action,
    /// The policy's accept cut.
    pub threshold: f32,
    /// What decided; empty for accept.
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
