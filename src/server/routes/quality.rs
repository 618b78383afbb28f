//! `POST /v1/quality`: the check that a terminal runs on each frame before it takes a picture.

use actix_web::HttpResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::inference::{Asked, FaceChoice, InferenceQuery};
use crate::server::dto::ExtractAnswer;
use crate::server::problem_response::Problem;
use crate::server::upload::Upload;

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
pub(super) async fn quality(
    asked: Asked<QualityQuery>,
    upload: Upload,
) -> Result<HttpResponse, Problem> {
    let Asked { inference, query } = asked;
    inference.answer(&upload, query.faces, false).await
}
