//! One policy, one face: accept, review or reject, and what decided.

use super::{Action, Decision, Policy, Reason};

impl Policy {
    /// What this policy makes of a face with quality `score` whose shorter box side is
    /// `shorter_side_px`, in a picture with `face_count` faces. `name` only passes through.
    ///
    /// Each rule votes for an action and the worst vote wins; `reasons` are the rules that cast it.
    /// So a small face of middling quality is rejected for its size alone.
    /// A score that is no number is rejected.
    pub fn decide(
        &self,
        name: &str,
        score: f32,
        shorter_side_px: f32,
        face_count: usize,
    ) -> Decision {
        let by_quality = if score >= self.accept {
            Action::Accept
        } else if score >= self.review {
            Action::Review
        } else {
            Action::Reject
        };
        let reject_if = |broken| {
            if broken {
                Action::Reject
            } else {
                Action::Accept
            }
        };
        // The sizes that are compared lie far below 2^24, where f32 stops being exact.
        let is_large_enough = self.min_face_px == 0 || shorter_side_px >= self.min_face_px as f32;
        let votes = [
            (Reason::Quality, by_quality),
            (Reason::FaceTooSmall, reject_if(!is_large_enough)),
            (
                Reason::SeveralFaces,
                reject_if(self.single_face && face_count > 1),
            ),
        ];

        let worst = votes.iter().map(|&(_, vote)| vote).max();
        let action = worst.unwrap_or(Action::Reject);
        let reasons = votes
            .iter()
            .filter(|&&(_, vote)| vote == action && vote != Action::Accept)
            .map(|&(reason, _)| reason)
            .collect();
        Decision {
            scenario: name.to_owned(),
            action,
            threshold: self.accept,
            reasons,
        }
    }
}
