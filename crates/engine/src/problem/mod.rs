//! Every failure that a caller can see: one table of codes, statuses and titles, and one of
//! [`texts`]. The server turns a code into an RFC 9457 body, the log stores it as `error_code`.

use std::fmt;

pub mod texts;

/// A failure that a caller can see. `Display` is its English text.
pub trait Explain: fmt::Display {
    /// The code that the caller sees.
    fn problem(&self) -> ProblemCode;

    /// The text in Chinese.
    fn chinese(&self) -> String;
}

/// Makes [`ProblemCode`] of one table: variant, HTTP status, code, title.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $status:literal $code:literal $title:literal;)+) => {
        /// What went wrong, as the contract names it. The wire form is [`ProblemCode::code`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $variant,)+
        }

        impl ProblemCode {
            /// All codes, in the order of their status.
            pub const ALL: [Self; [$($status),+].len()] = [$(Self::$variant),+];

            /// The stable name on the wire and in the log.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The HTTP status, as a number.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }

            /// A short English summary, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)+
                }
            }
        }
    };
}

codes! {
    /// The request is not what the endpoint takes (body, parts, JSON).
    MalformedRequest 400 "malformed_request" "The request cannot be read";
    /// `scenario` names no configured policy.
    UnknownScenario 400 "unknown_scenario" "No such scenario";
    /// A query parameter is unknown or its value is not allowed.
    InvalidParameter 400 "invalid_parameter" "A parameter is not valid";
    /// A token is required and was not given, or is wrong.
    Unauthenticated 401 "unauthenticated" "A valid token is needed";
    /// The token does not permit this.
    Forbidden 403 "forbidden" "This is not allowed";
    /// No such path.
    NotFound 404 "not_found" "No such resource";
    /// The path exists, the method does not.
    MethodNotAllowed 405 "method_not_allowed" "This method is not offered here";
    /// An embedding of another model pack was given.
    ModelMismatch 409 "model_mismatch" "The embedding comes from another model";
    /// More bytes, or more pixels, than the limits allow.
    ImageTooLarge 413 "image_too_large" "The picture is too large";
    /// The bytes are no picture type that is supported.
    UnsupportedMediaType 415 "unsupported_media_type" "This kind of picture is not supported";
    /// The type is right, the content is broken.
    UndecodableImage 422 "undecodable_image" "The picture cannot be decoded";
    /// A picture without a face.
    NoFace 422 "no_face" "No face was found";
    /// Too many requests from this caller.
    RateLimited 429 "rate_limited" "Too many requests";
    /// The caller closed the connection before there was an answer. Nobody sees this one: it stands
    /// in the log.
    // 499 is nginx's status for the same.
    CallerLeft 499 "caller_left" "The caller closed the connection";
    /// A fault of ours; the log has it under the request id.
    Internal 500 "internal" "The service failed";
    /// The queue is full.
    Overloaded 503 "overloaded" "The service is busy";
    /// The request used up its time.
    DeadlineExceeded 503 "deadline_exceeded" "The answer took too long";
    /// Models are warming, the log cannot be written, or the service is stopping.
    NotReady 503 "not_ready" "The service is not ready";
}

impl ProblemCode {
    /// Whether a caller can be answered with it; else it stands only in the log.
    pub const fn is_answered(self) -> bool {
        !matches!(self, Self::CallerLeft)
    }

    /// Whether the same request may succeed later, so that the answer carries `Retry-After`.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::Overloaded | Self::DeadlineExceeded | Self::NotReady
        )
    }

    /// The code that is called `code` on the wire.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.code() == code)
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
