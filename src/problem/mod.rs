//! Every failure that a caller can see: one table of codes, statuses and titles, and one of [`texts`]. Holds no HTTP
//! types; the server turns a code into an RFC 9457 body, the log stores it in its `error_code` column.

use std::fmt;

pub mod texts;

/// A failure that a caller can see. `Display` is its English text.
pub trait Explain: fmt::Display {
    /// The code that the caller sees.
    fn problem(&self) -> ProblemCode;

    /// The text in Chinese.
    fn chinese(&self) -> String;
}

/// What went wrong, as the contract names it. The wire form is [`ProblemCode::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemCode {
    /// The request is not what the endpoint takes (body, parts, JSON).
    MalformedRequest,
    /// `scenario` names no configured policy.
    UnknownScenario,
    /// A query parameter is unknown or its value is not allowed.
    InvalidParameter,
    /// A token is required and was not given, or is wrong.
    Unauthenticated,
    /// The token does not permit this.
    Forbidden,
    /// No such path.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// An embedding of another model pack was given.
    ModelMismatch,
    /// More bytes, or more pixels, than the limits allow.
    ImageTooLarge,
    /// The bytes are no picture type that is supported.
    UnsupportedMediaType,
    /// The type is right, the content is broken.
    UndecodableImage,
    /// A picture without a face.
    NoFace,
    /// Too many requests from this caller.
    RateLimited,
    /// The queue is full.
    Overloaded,
    /// The request used up its time.
    DeadlineExceeded,
    /// The caller closed the connection before there was an answer. Nobody sees this one: it stands
    /// in the log.
    CallerLeft,
    /// Models are warming, the log cannot be written, or the service is stopping.
    NotReady,
    /// A fault of ours; the log has it under the request id.
    Internal,
}

impl ProblemCode {
    /// All codes, in the order of their status.
    pub const ALL: [Self; 18] = [
        Self::MalformedRequest,
        Self::UnknownScenario,
        Self::InvalidParameter,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::ModelMismatch,
        Self::ImageTooLarge,
        Self::UnsupportedMediaType,
        Self::UndecodableImage,
        Self::NoFace,
        Self::RateLimited,
        Self::CallerLeft,
        Self::Internal,
        Self::Overloaded,
        Self::DeadlineExceeded,
        Self::NotReady,
    ];

    /// The stable name on the wire and in the log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status, as a number.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// A short English summary, the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Whether a caller can be answered with it; else it stands only in the log.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        !matches!(self, Self::CallerLeft)
    }

    /// Whether the same request may succeed later, so that the answer carries `Retry-After`.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::Overloaded | Self::DeadlineExceeded | Self::NotReady
        )
    }

    /// The code that is called `code` on the wire.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.code() == code)
    }

    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::MalformedRequest => ("malformed_request", 400, "The request cannot be read"),
            Self::UnknownScenario => ("unknown_scenario", 400, "No such scenario"),
            Self::InvalidParameter => ("invalid_parameter", 400, "A parameter is not valid"),
            Self::Unauthenticated => ("unauthenticated", 401, "A valid token is needed"),
            Self::Forbidden => ("forbidden", 403, "This token may not do that"),
            Self::NotFound => ("not_found", 404, "No such resource"),
            Self::MethodNotAllowed => {
                ("method_not_allowed", 405, "This method is not offered here")
            }
            Self::ModelMismatch => (
                "model_mismatch",
                409,
                "The embedding comes from another model",
            ),
            Self::ImageTooLarge => ("image_too_large", 413, "The picture is too large"),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                415,
                "This kind of picture is not supported",
            ),
            Self::UndecodableImage => ("undecodable_image", 422, "The picture cannot be decoded"),
            Self::NoFace => ("no_face", 422, "No face was found"),
            Self::RateLimited => ("rate_limited", 429, "Too many requests"),
            Self::Internal => ("internal", 500, "The service failed"),
            Self::Overloaded => ("overloaded", 503, "The service is busy"),
            Self::DeadlineExceeded => ("deadline_exceeded", 503, "The answer took too long"),
            // 499 is nginx's status for the same.
            Self::CallerLeft => ("caller_left", 499, "The caller closed the connection"),
            Self::NotReady => ("not_ready", 503, "The service is not ready"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_found_again() {
        for (index, problem) in ProblemCode::ALL.into_iter().enumerate() {
            assert_eq!(ProblemCode::from_code(problem.code()), Some(problem));
            assert!(
                ProblemCode::ALL[..index]
                    .iter()
                    .all(|earlier| earlier.code() != problem.code())
            );
        }
    }
}
