//! `POST /v1/extract`: a picture → faces with embedding, quality and decision. `POST /v1/quality`:
//! the same without embeddings, for a terminal that checks each frame before it takes a picture.

use actix_web::HttpResponse;
use faceood_engine::pipeline::view::ExtractAnswer;
use serde::Deserialize;
use utoipa::IntoParams;

use super::inference::{Asked, FaceChoice, InferenceQuery};
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
        super::descriptions::Headers,
    ),
    request_body(
        description = "One picture: as the part `image`, as the raw body, or as base64 in JSON.",
        content(
            (super::descriptions::ImageForm = "multipart/form-data"),
            (crate::server::upload::ImageBody<'static> = "application/json"),
            (super::descriptions::Binary = "image/*"),
        )
    ),
    responses(
        (status = 200, description = "The faces; their row is in the log.", body = ExtractAnswer<'static>),
        super::descriptions::Problems,
    )
)]
pub(super) async fn extract(
    asked: Asked<ExtractQuery>,
    upload: Upload,
) -> Result<HttpResponse, Problem> {
    let (faces, with_embeddings) = (asked.query.faces, asked.query.embedding.unwrap_or(true));
    asked
        .inference
        .answer(&upload, faces, with_embeddings)
        .await
}

/// The query parameters of `POST /v1/quality` alone.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct QualityQuery {
    /// `largest` (default) or `all`.
    #[param(inline)]
    faces: Option<FaceChoice>,
}

/// Quality and decision of the faces in a picture, without embeddings.
///
/// A picture without a face is no error here: the answer has no faces and the hint `no_face`.
#[utoipa::path(
    post,
    path = "/v1/quality",
    tag = "faces",
    params(
        InferenceQuery,
        QualityQuery,
        super::descriptions::Headers,
    ),
    request_body(
        description = "One picture: as the part `image`, as the raw body, or as base64 in JSON.",
        content(
            (super::descriptions::ImageForm = "multipart/form-data"),
            (crate::server::upload::ImageBody<'static> = "application/json"),
            (super::descriptions::Binary = "image/*"),
        )
    ),
    responses(
        (status = 200, description = "The faces; their row is in the log.", body = ExtractAnswer<'static>),
        super::descriptions::Problems,
    )
)]
pub(super) async fn quality(
    asked: Asked<QualityQuery>,
    upload: Upload,
) -> Result<HttpResponse, Problem> {
    asked
        .inference
        .answer(&upload, asked.query.faces, false)
        .await
}
