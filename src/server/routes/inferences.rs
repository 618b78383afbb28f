//! `GET /v1/inferences`: the log, newest first, page by page.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::inference_log::{Cursor, Filter, InferenceRecord, LARGEST_PAGE, Order, to_json};
use crate::problem::ProblemCode;
use crate::server::parameters::{Parameters, quoted};
use crate::server::problem_response::Problem;
use crate::server::state::AppState;

/// Columns that hold what a person could be recognised by: stored only where the operator says so, and never sent.
const PRIVATE: [&str; 2] = ["embedding", "thumbnail"];

/// A page ends with the row that passes this: an answer waits in memory until its reader has taken
/// it.
const MOST_BYTES: usize = 512 * 1024;

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Inferences)]
pub(super) struct InferencesAnswer {
    /// Rows, newest first: each column of the table `inferences` but embeddings and thumbnails.
    #[schema(value_type = Vec<Object>)]
    pub(super) inferences: Vec<serde_json::Map<String, serde_json::Value>>,
    /// The value of `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub(super) next_cursor: Option<String>,
}

/// Rows of the log.
#[utoipa::path(
    get,
    path = "/v1/inferences",
    tag = "log",
    params(
        ("since" = Option<String>, Query, description = "At or after: RFC 3339, or back from now such as `30m`, `24h`, `7d`."),
        ("until" = Option<String>, Query, description = "Before: RFC 3339, or back from now."),
        ("source" = Option<String>, Query, description = "Of this terminal or camera."),
        ("max_score" = Option<f32>, Query, description = "With a quality score of at most this."),
        ("limit" = Option<u32>, Query, description = "Most rows of a page, 1–1000; default 100. A page ends earlier at about 512 kB."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of rows.", body = InferencesAnswer),
        super::docs::ReadProblems,
    )
)]
pub(super) async fn inferences(
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let known = ["since", "until", "source", "max_score", "limit", "cursor"];
    let parameters = Parameters::read(&request, &known)?;
    let now = Utc::now();
    let filter = Filter {
        since: time(&parameters, "since", now)?,
        until: time(&parameters, "until", now)?,
        source: parameters.source()?,
        max_score: parameters.number("max_score", 0.0, 1.0)?,
        limit: parameters.number("limit", 1, LARGEST_PAGE)?,
        order: Order::NewestFirst,
        ..Filter::default()
    };
    let cursor = match parameters.text("cursor") {
        None => None,
        Some(text) => Some(text.parse::<Cursor>().map_err(|_| {
            Problem::parameter(format!(
                "`cursor` is {}; the `next_cursor` of an earlier page is expected",
                quoted(text)
            ))
        })?),
    };
    let page = state
        .log
        .query(&filter, cursor.as_ref())
        .await
        .map_err(|error| {
            tracing::error!(%error, "the log cannot be read");
            Problem::new(
                ProblemCode::NotReady,
                "the log cannot be read; see the daemon's text log",
            )
        })?;
    let mut bytes = 0;
    let mut inferences = Vec::new();
    let mut next = page.next;
    for record in &page.records {
        let row = shown(record);
        bytes += serde_json::to_vec(&row).map_or(0, |text| text.len());
        inferences.push(row);
        if bytes > MOST_BYTES && inferences.len() < page.records.len() {
            next = Some(Cursor::after(record));
            break;
        }
    }
    Ok(HttpResponse::Ok().json(InferencesAnswer {
        inferences,
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}

fn shown(record: &InferenceRecord) -> serde_json::Map<String, serde_json::Value> {
    let mut row = to_json(record);
    row.retain(|name, _| !PRIVATE.contains(&name.as_str()));
    row
}

fn time(
    parameters: &Parameters,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = parameters.text(name) else {
        return Ok(None);
    };
    // A `+` that nobody escaped arrives as a space: `…T10:00:00+08:00`.
    let escaped = text.replace(' ', "+");
    DateTime::parse_from_rfc3339(&escaped)
        .map(|time| time.to_utc())
        .ok()
        .or_else(|| now.checked_sub_signed(span(text)?))
        .map(Some)
        .ok_or_else(|| {
            Problem::parameter(format!(
                "`{name}` is {}; a time such as 2026-01-31T08:00:00Z is expected, or one back from now such as 30m, 24h, 7d",
                quoted(text)
            ))
        })
}

/// `90s`, `30m`, `24h`, `7d`, `2w` as a length of time.
fn span(text: &str) -> Option<TimeDelta> {
    let unit = text.chars().next_back()?;
    let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
    if count < 0 {
        return None;
    }
    match unit {
        's' => TimeDelta::try_seconds(count),
        'm' => TimeDelta::try_minutes(count),
        'h' => TimeDelta::try_hours(count),
        'd' => TimeDelta::try_days(count),
        'w' => TimeDelta::try_weeks(count),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_numbers_of_a_unit() {
        assert_eq!(span("90s"), TimeDelta::try_seconds(90));
        assert_eq!(span("7d"), TimeDelta::try_days(7));
        assert_eq!(span("2w"), TimeDelta::try_days(14));
        for wrong in [
            "",
            "d",
            "-1d",
            "1.5h",
            "7",
            "7 d",
            "9223372036854775807w",
            "7日",
        ] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }
}
