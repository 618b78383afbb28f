//! `GET /v1/inferences`: the log, newest first, page by page.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, ContentType, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use faceood_engine::problem::texts::ServiceFault;
use faceood_log::{Cursor, Filter, LARGEST_PAGE, Order, parse_span, to_json};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::recent;
use crate::server::negotiation::{chosen_language, prefers_page};
use crate::server::parameters::{self, number, parsed};
use crate::server::problem_page::POLICY;
use crate::server::problem_response::Problem;
use crate::server::state::AppState;

/// Columns that a person could be recognised by: stored only where the operator says so, and never
/// sent.
const PRIVATE: [&str; 2] = ["embedding", "thumbnail"];

/// A page ends with the row that passes this: answers wait in memory to be taken.
const MOST_BYTES: usize = 512 * 1024;

/// Which rows are asked for.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct InferencesQuery {
    /// At or after: RFC 3339, or back from now such as `30m`, `24h`, `7d`.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<String>)]
    since: Option<DateTime<Utc>>,
    /// Before: RFC 3339, or back from now.
    #[serde(deserialize_with = "time")]
    #[param(value_type = Option<String>)]
    until: Option<DateTime<Utc>>,
    /// Of this terminal or camera.
    #[serde(deserialize_with = "parameters::source")]
    source: Option<String>,
    /// With a quality score of at most this.
    #[serde(deserialize_with = "score")]
    max_score: Option<f32>,
    /// Most rows of a page, 1–1000; default 100. A page ends earlier at about 512 kB.
    #[serde(deserialize_with = "page_length")]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "cursor")]
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Inferences)]
struct InferencesAnswer {
    /// Rows, newest first: each column of the table `inferences` but embeddings and thumbnails.
    #[schema(value_type = Vec<Object>)]
    inferences: Vec<serde_json::Map<String, serde_json::Value>>,
    /// The value of `cursor` for the next page; null on the last.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Rows of the log, newest first.
///
/// A browser, which asks for `text/html`, gets a table of the same rows.
#[utoipa::path(
    get,
    path = "/v1/inferences",
    tag = "log",
    params(InferencesQuery),
    responses(
        (status = 200, description = "A page of rows.", content(
            (InferencesAnswer = "application/json"),
            (String = "text/html"),
        )),
        super::descriptions::ReadProblems,
    )
)]
pub(super) async fn inferences(
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let query: InferencesQuery = parameters::read(&request)?;
    if let (Some(since), Some(until)) = (query.since, query.until)
        && since > until
    {
        let detail = "`since` is later than `until`; give an earlier `since` or a later `until`";
        return Err(Problem::parameter(detail));
    }
    let filter = Filter {
        since: query.since,
        until: query.until,
        source: query.source,
        max_score: query.max_score,
        limit: query.limit,
        order: Order::NewestFirst,
        ..Filter::default()
    };
    let found = state
        .log
        .reader()
        .query(&filter, query.cursor.as_ref())
        .await
        .map_err(|error| {
            tracing::error!(%error, "the log cannot be read");
            Problem::from(&ServiceFault::LogUnreadable)
        })?;
    let mut bytes = 0;
    let mut inferences = Vec::new();
    let mut next = found.next;
    for record in &found.records {
        let mut row = to_json(record);
        row.retain(|name, _| !PRIVATE.contains(&name.as_str()));
        bytes += serde_json::to_vec(&row).map_or(0, |text| text.len());
        inferences.push(row);
        if bytes > MOST_BYTES && inferences.len() < found.records.len() {
            next = Some(Cursor::after(record));
            break;
        }
    }
    let next_cursor = next.map(|cursor| cursor.to_string());
    let mut answer = HttpResponse::Ok();
    answer.insert_header((VARY, "Accept"));
    if prefers_page(&request) {
        let rows = &found.records[..inferences.len()];
        let language = chosen_language(&request);
        let query = request.query_string();
        return Ok(answer
            .content_type(ContentType::html())
            .insert_header((CONTENT_LANGUAGE, language.tag()))
            .insert_header((VARY, "Accept, Accept-Language, Cookie"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header(("X-Content-Type-Options", "nosniff"))
            .body(recent::table(language, rows, query, next_cursor.as_deref())));
    }
    Ok(answer.json(InferencesAnswer {
        inferences,
        next_cursor,
    }))
}

fn time<'q, D: Deserializer<'q>>(value: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let expected = "a time such as 2026-01-31T08:00:00Z is expected, or one back from now such as 30m, 24h, 7d";
    parsed(value, expected, |text| {
        // A `+` that nobody escaped arrives as a space: `…T10:00:00+08:00`.
        let time = DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
        let time = time.ok().map(|time| time.to_utc());
        time.or_else(|| Utc::now().checked_sub_signed(parse_span(text)?))
    })
}

fn score<'q, D: Deserializer<'q>>(value: D) -> Result<Option<f32>, D::Error> {
    number(value, 0.0, 1.0)
}

fn page_length<'q, D: Deserializer<'q>>(value: D) -> Result<Option<u32>, D::Error> {
    number(value, 1, LARGEST_PAGE)
}

fn cursor<'q, D: Deserializer<'q>>(value: D) -> Result<Option<Cursor>, D::Error> {
    let expected = "the `next_cursor` of an earlier page is expected";
    parsed(value, expected, |text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_filter_is_read_and_a_wrong_one_is_told_what_is_expected() {
        let read = |query: &str| {
            let request = TestRequest::with_uri(&format!("/v1/inferences?{query}"));
            parameters::read::<InferencesQuery>(&request.to_http_request())
        };
        let filter = read("since=2026-01-31T08:00:00+08:00&max_score=0.5&limit=7").unwrap();
        let since = filter.since.unwrap().to_rfc3339();
        assert_eq!(since, "2026-01-31T00:00:00+00:00");
        assert_eq!((filter.max_score, filter.limit), (Some(0.5), Some(7)));
        let until = read("until=2h").unwrap().until.unwrap();
        assert_eq!((Utc::now() - until).num_minutes(), 120);

        let time = "a time such as 2026-01-31T08:00:00Z is expected, or one back from now such as 30m, 24h, 7d";
        for (query, detail) in [
            ("since=", format!("`since` is ``; {time}")),
            ("until=-2h", format!("`until` is `-2h`; {time}")),
            ("until=99999999w", format!("`until` is `99999999w`; {time}")),
            (
                "max_score=NaN",
                "`max_score` is `NaN`; a number from 0 to 1 is expected".to_owned(),
            ),
            (
                "limit=1.5",
                "`limit` is `1.5`; a number from 1 to 1000 is expected".to_owned(),
            ),
            (
                "cursor=abc",
                "`cursor` is `abc`; the `next_cursor` of an earlier page is expected".to_owned(),
            ),
        ] {
            assert_eq!(read(query).err().unwrap().detail, detail);
        }
    }
}
