//! A small JSON body without pictures, under the same guard as one with them.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::Deserialize;

use super::{Lease, declared_length, limits_of, parse_json};
use crate::server::body::{BodyFault, BodyLimits, GuardedBody};
use crate::server::parameters::quoted;
use crate::server::problem_response::Problem;

/// Most bytes of such a body.
const MOST_BYTES: usize = 16 * 1024;

/// The text of a JSON body.
#[derive(Debug)]
pub struct JsonText {
    text: Bytes,
    /// Keeps the memory accounted for until the text has been read.
    _lease: Lease,
}

impl JsonText {
    /// What the text says.
    ///
    /// # Errors
    ///
    /// `malformed_request`, naming key, line and column.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        parse_json(&self.text)
    }

    async fn read(request: HttpRequest, payload: Payload) -> Result<Self, Problem> {
        let essence = request.content_type();
        // A page of another origin can send everything but this without being asked for permission.
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Problem::malformed(format!(
                "Content-Type is {}; send JSON with `Content-Type: application/json`",
                quoted(essence)
            )));
        }
        let limits = limits_of(&request)?;
        let of_body = BodyLimits {
            bytes: MOST_BYTES,
            idle: limits.idle,
            total: limits.total,
        };
        let body = GuardedBody::new(payload, of_body, &limits.memory);
        let read = body.collect(declared_length(&request)).await;
        let (text, lease) = read.map_err(|fault| match fault {
            // No picture is too large here: the request is not what is taken.
            BodyFault::TooLarge { .. } => Problem::malformed(fault.to_string()),
            fault => Problem::from(&fault),
        })?;
        Ok(Self {
            text,
            _lease: lease,
        })
    }
}

impl FromRequest for JsonText {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(Self::read(request.clone(), payload.take()))
    }
}
