//! `POST /v1/quality`: the check that a terminal runs on each frame before it takes a picture.

use actix_web::HttpResponse;

use super::inference::Inference;
use crate::server::dto::ExtractAnswer;
use crate::server::problem_response::Problem;
use crate::server::upload::Upload;

/// Quality and decision of the faces in a picture, without embeddings.
///
/// A picture without a face is no error here: the answer has no faces and the hint `no_face`.
#[utoipa::path(
    post,
    path = "/v1/quality",
    tag = "faces",
    params(
        ("scenario" = Option<String>, Query, description = "The configured policy that decides; default `access`."),
        ("source" = Option<String>, Query, description = "The caller's terminal or camera, 1–64 of `[A-Za-z0-9._:-]`."),
        ("faces" = inline(Option<super::docs::FaceChoice>), Query, description = "`largest` (default) or `all`."),
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
pub(super) async fn quality(inference: Inference, upload: Upload) -> Result<HttpResponse, Problem> {
    inference.answer(&upload, false).await
}
