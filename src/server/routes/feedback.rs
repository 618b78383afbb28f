//! `POST /v1/feedback`: how an earlier answer turned out, so that calibration can learn from it.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::SecondsFormat;
use faceood_engine::problem::ProblemCode;
use faceood_engine::problem::texts::ServiceFault;
use faceood_log::{Feedback, ReportedOutcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Role;
use crate::plain_name::is_plain_name;
use crate::server::guard::Caller;
use crate::server::parameters::{NoParameters, quoted, read};
use crate::server::problem_response::Problem;
use crate::server::state::AppState;
use crate::server::upload::JsonText;

/// Most characters of a note: a sentence or two for whoever looks at the row.
const LONGEST_NOTE: usize = 500;

/// Most characters of an author's name.
const LONGEST_AUTHOR: usize = 64;

/// What a caller tells of an earlier request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FeedbackRequest, title = "FeedbackRequest")]
struct FeedbackBody {
    /// The `request_id` of the answer that it is about; of several with one id the last is meant,
    /// and a row's `id` names another.
    request_id: String,
    /// How it turned out.
    #[schema(value_type = OutcomeWord)]
    outcome: ReportedOutcome,
    /// A few words for whoever looks at the row, at most 500 characters.
    #[serde(default)]
    #[schema(max_length = 500)]
    note: Option<String>,
    /// Who says so, at most 64 characters; nobody checks it.
    #[serde(default)]
    #[schema(max_length = 64)]
    author: Option<String>,
}

/// How a capture turned out.
#[derive(ToSchema)]
#[schema(as = Outcome, rename_all = "snake_case")]
#[expect(dead_code, reason = "documents a word that the log's own type reads")]
enum OutcomeWord {
    /// The person was who they were taken for.
    Genuine,
    /// It was somebody else.
    Impostor,
    /// The picture was good for nothing.
    Unusable,
}

/// What stands in the log now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Feedback)]
struct FeedbackAnswer<'a> {
    /// The request that it is about.
    request_id: &'a str,
    /// How it turned out.
    #[schema(value_type = OutcomeWord)]
    outcome: ReportedOutcome,
    /// The words that came with it.
    #[schema(required = true)]
    note: Option<&'a str>,
    /// Since when this stands in the log, RFC 3339.
    time: String,
}

/// How an earlier answer turned out.
///
/// Stored in the rows of that request, and read by `faceood-admin calibrate --from-log`. Sent again
/// it changes nothing; sent otherwise the later word counts, and the earlier one is kept in the
/// history that `faceood-admin explain` shows.
#[utoipa::path(
    post,
    path = "/v1/feedback",
    tag = "log",
    request_body(content = FeedbackBody),
    responses(
        (status = 200, description = "It stands in the log.", body = FeedbackAnswer<'static>),
        super::descriptions::ChangeProblems,
    )
)]
pub(super) async fn feedback(
    request: HttpRequest,
    state: web::Data<AppState>,
    body: JsonText,
) -> Result<HttpResponse, Problem> {
    let _: NoParameters = read(&request)?;
    let body: FeedbackBody = body.parse()?;
    if !is_plain_name(&body.request_id) {
        return Err(Problem::parameter(format!(
            "`request_id` is {}; the `request_id` of an earlier answer is expected",
            quoted(&body.request_id)
        )));
    }
    for (name, text, longest) in [
        ("note", &body.note, LONGEST_NOTE),
        ("author", &body.author, LONGEST_AUTHOR),
    ] {
        let length = text.as_ref().map_or(0, |text| text.chars().count());
        if length > longest {
            return Err(Problem::parameter(format!(
                "`{name}` has {length} characters; at most {longest} are kept"
            )));
        }
    }
    let caller = Caller::of(&request);
    let feedback = Feedback {
        request_id: body.request_id,
        outcome: body.outcome,
        note: body.note,
        author: body.author,
        address: request.peer_addr().map(|peer| peer.ip().to_string()),
        only_token: caller
            .token
            .filter(|token| token.role == Role::Terminal)
            .map(|token| token.name),
    };
    let recorded = state.log.record_feedback(feedback.clone()).await;
    let recorded = recorded.map_err(|error| {
        tracing::error!(%error, "the log did not take feedback");
        let fault = error.told();
        Problem::from(&ServiceFault::FeedbackLost { fault })
    })?;
    let Some(time) = recorded else {
        let detail = format!(
            "no row of the log has the request id {}; it may have been mistyped, or its rows are older than the log is kept",
            quoted(&feedback.request_id)
        );
        return Err(Problem::new(ProblemCode::NotFound, detail));
    };
    Ok(HttpResponse::Ok().json(FeedbackAnswer {
        request_id: &feedback.request_id,
        outcome: feedback.outcome,
        note: feedback.note.as_deref(),
        time: time.to_rfc3339_opts(SecondsFormat::Micros, true),
    }))
}
