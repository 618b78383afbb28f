//! A small JSON body without pictures, under the same guard as one with them.

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde::Deserialize;

use super::{Lease, UploadLimits, declared_length, parse_json, problem};
use crate::server::body::BodyFault;
use crate::server::parameters::quoted;
use crate::server::problem_response::Problem;

const MOST_BYTES: usize = 16 * 1024;

pub(crate) struct JsonText {
    text: Bytes,
    /// Keeps the memory accounted for until the text has been read.
    _lease: Lease,
}

impl JsonText {
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        parse_json(&self.text, "the fields that /docs describes")
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
        let body = UploadLimits::of(&request)?.guard(&request, payload, MOST_BYTES);
        let read = body.collect(declared_length(&request)).await;
        let (text, _lease) = read.map_err(|fault| match fault {
            // No picture is too large here: the request is not what is taken.
            BodyFault::TooLarge { .. } => Problem::malformed(fault.to_string()),
            fault => problem(&fault),
        })?;
        Ok(Self { text, _lease })
    }
}

impl FromRequest for JsonText {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Self::read(request.clone(), payload.take()).boxed_local()
    }
}
