//! `POST /v1/extract`: a picture → faces with embedding, quality and decision.

use actix_web::HttpResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::inference::{Asked, FaceChoice, InferenceQuery};
use crate::server::dto::ExtractAnswer;
use crate::server::problem_response::Problem;
use crate::server::upload::Upload;

/// The query parameters of `POST /v1/extract` alone.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExtractQuery {
    /// `largest` (default) or `all`.
    #[param(inline)]
    faces: Option<FaceChoice>,
    /// Whether the answer has embeddings; default true.
    embedding: Option<bool>,
}

/// Embedding, quality and decision of the faces in a picture.
///
/// The type is read from the bytes; file names are ignored. Never a path or an address. Faces come largest first.
#[utoipa::path(
    post,
    path = "/v1/extract",
    tag = "faces",
    params(
        InferenceQuery,
        ExtractQuery,
        ("Accept-Language" = Option<String>, Header, description = "`zh` gives hints, and what is wrong with a picture, in Chinese."),
        ("X-Request-Id" = Option<String>, Header, description = "Kept if it is 1–64 of `[A-Za-z0-9._:-]`."),
    ),
    request_body(
        description = "One picture: as the part `image`, as the raw body, or as base64 in JSON.",
        content(
            (super::docs::ImageForm = "multipart/form-data"),
            (crate::server::upload::ImageBody<'static> = "application/json"),
            (super::docs::Binary = "image/*"),
        )
    ),
    responses(
        (status = 200, description = "The faces; their row is in the log.", body = ExtractAnswer<'static>),
        super::docs::Problems,
    )
)]
pub(super) async fn extract(
    asked: Asked<ExtractQuery>,
    upload: Upload,
) -> Result<HttpResponse, Problem> {
    let Asked { inference, query } = asked;
    let with_embeddings = query.embedding.unwrap_or(true);
    inference
        .answer(&upload, query.faces, with_embeddings)
        .await
}
