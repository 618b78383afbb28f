//! Feedback: callers report how a request turned out. The writer adds it to the request's rows.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, SqliteConnection};

use super::clock::ClockMark;
use super::error::At;
use super::outbox::{Sequence, Words};
use super::query::LogReader;
use super::record::{InferenceRecord, ReportedOutcome};
use super::{LogError, row};

/// What a caller tells of an earlier request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The earlier request.
    pub request_id: String,
    /// How it turned out.
    pub outcome: ReportedOutcome,
    /// The caller's words.
    pub note: Option<String>,
    /// Who says so, in the caller's words.
    pub author: Option<String>,
    /// From where it is told.
    pub address: Option<String>,
    /// Where it is given, only requests that this token allowed count: what a terminal may speak of.
    pub only_token: Option<String>,
}

/// One word about a request, as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredFeedback {
    /// When.
    pub time: DateTime<Utc>,
    /// How it turned out.
    pub outcome: ReportedOutcome,
    /// The caller's words.
    pub note: Option<String>,
    /// Who said so, in the caller's words.
    pub author: Option<String>,
    /// From where it was told.
    pub address: Option<String>,
}

/// Text of a column that may be NULL.
type Nullable = Option<String>;

impl LogReader {
    /// What has been told of the request that this row belongs to, in the order in which it was
    /// told: the last word is in force. A column that does not fit is [`LogError::BadColumn`].
    pub async fn feedback_on(
        &self,
        record: &InferenceRecord,
    ) -> Result<Vec<StoredFeedback>, LogError> {
        let lines: Vec<(String, String, Nullable, Nullable, Nullable)> = sqlx::query_as(
            "SELECT time, outcome, note, author, address FROM feedback \
             WHERE request_id = ? AND request_key IS ? ORDER BY id",
        )
        .bind(&record.request_id)
        .bind(record.request_key.map(|key| key.to_string()))
        .fetch_all(&self.pool())
        .await
        .at(self.path())?;
        let stored = |(time, outcome, note, author, address): (String, String, _, _, _)| {
            let known = ReportedOutcome::from_name(&outcome).ok_or(outcome);
            Ok(StoredFeedback {
                time: row::parse_time(&time).map_err(LogError::in_column("time"))?,
                outcome: known.map_err(LogError::in_column("outcome"))?,
                note,
                author,
                address,
            })
        };
        lines.into_iter().map(stored).collect()
    }
}

/// One transaction: all rows of the request and the line in the history, or nothing. Where no row
/// is meant, the words are kept if there is `late`, the present mark of the clock and the running
/// time.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    feedback: &Feedback,
    seq: &mut Sequence,
    late: Option<(Option<ClockMark>, i64)>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // The request's id and key, and the outcome, note and time that stand in its rows.
    let found: Option<(String, Nullable, Nullable, Nullable, Nullable)> = sqlx::query_as(
        "SELECT request_id, request_key, outcome, outcome_note, outcome_time FROM inferences \
         WHERE (request_id = ?1 OR id = ?1) AND (?2 IS NULL OR token = ?2) ORDER BY rowid DESC LIMIT 1",
    )
    .bind(&feedback.request_id)
    .bind(feedback.only_token.as_deref())
    .fetch_optional(&mut *transaction)
    .await?;
    let decoded =
        |time: String| row::parse_time(&time).map_err(|found| sqlx::Error::Decode(found.into()));
    let Some((request_id, request_key, outcome, note, time)) = found else {
        let Some(mark) = late else {
            return Ok(None);
        };
        let words = Words {
            request_id: &feedback.request_id,
            outcome: feedback.outcome,
            note: feedback.note.as_deref(),
            only_token: feedback.only_token.as_deref(),
        };
        let time = words.keep(&mut transaction, mark).await?;
        transaction.commit().await?;
        return decoded(time).map(Some);
    };
    let is_same = outcome.as_deref() == Some(feedback.outcome.name()) && note == feedback.note;
    if let Some(time) = time.filter(|_| is_same) {
        return decoded(time).map(Some);
    }
    let time = row::time_text(Utc::now());
    // Each row gets a `seq` of its own: whoever ships them may take some now and the rest later.
    let updated = sqlx::query(
        "WITH told AS (SELECT rowid AS number, row_number() OVER (ORDER BY rowid) AS place FROM inferences \
         WHERE request_id = ?1 AND request_key IS ?2) \
         UPDATE inferences SET outcome = ?3, outcome_note = ?4, outcome_time = ?5, seq = ?6 + told.place \
         FROM told WHERE inferences.rowid = told.number",
    )
    .bind(&request_id)
    .bind(&request_key)
    .bind(feedback.outcome.name())
    .bind(feedback.note.as_deref())
    .bind(&time)
    .bind(seq.last())
    .execute(&mut *transaction)
    .await?;
    seq.take(updated.rows_affected());
    sqlx::query(
        "INSERT INTO feedback (time, request_id, request_key, outcome, note, author, address) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&time)
    .bind(&request_id)
    .bind(&request_key)
    .bind(feedback.outcome.name())
    .bind(feedback.note.as_deref())
    .bind(feedback.author.as_deref())
    .bind(feedback.address.as_deref())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    decoded(time).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{context, keep_all, open};
    use crate::{Filter, InferenceRecord, Role};
    use faceood_engine::problem::ProblemCode;
    use faceood_engine::problem::texts::LogFault;

    fn feedback(request_id: &str, outcome: ReportedOutcome, note: Option<&str>) -> Feedback {
        Feedback {
            request_id: request_id.to_owned(),
            outcome,
            note: note.map(str::to_owned),
            author: Some("guard".to_owned()),
            address: Some("192.0.2.7".to_owned()),
            only_token: None,
        }
    }

    fn row(request_id: &str, role: Role) -> InferenceRecord {
        context(request_id, "gate").failed(role, ProblemCode::NoFace, "", None)
    }

    #[test]
    fn names_are_the_words_on_the_wire() {
        for outcome in ReportedOutcome::ALL {
            assert_eq!(row::word(&outcome).as_deref(), Some(outcome.name()));
        }
    }

    #[tokio::test]
    async fn it_stands_in_every_row_of_its_request_and_in_no_other() {
        let (_folder, log) = open(&keep_all()).await;
        let of_pair = context("pair", "gate");
        let side = |role| of_pair.failed(role, ProblemCode::NoFace, "", None);
        let pair = vec![side(Role::Probe), side(Role::Reference)];
        log.append_all(pair).await.unwrap();
        log.append(row("other", Role::Image)).await.unwrap();
        let feedback = feedback("pair", ReportedOutcome::Impostor, Some("a brother"));
        let time = log.record_feedback(feedback).await.unwrap();
        assert!(time.is_some());
        for row in log.reader().by_request("pair").await.unwrap() {
            assert_eq!(row.outcome, Some(ReportedOutcome::Impostor));
            assert_eq!(row.outcome_note.as_deref(), Some("a brother"));
            assert_eq!(row.outcome_time, time);
        }
        let other = log.reader().by_request("other").await.unwrap();
        assert_eq!((other[0].outcome, other[0].outcome_time), (None, None));
    }

    #[tokio::test]
    async fn the_same_word_changes_nothing_and_a_later_one_counts() {
        let (_folder, log) = open(&keep_all()).await;
        log.append(row("r", Role::Image)).await.unwrap();
        let first = log
            .record_feedback(feedback("r", ReportedOutcome::Genuine, None))
            .await;
        let again = log
            .record_feedback(feedback("r", ReportedOutcome::Genuine, None))
            .await;
        assert_eq!(first.unwrap(), again.unwrap());
        let later = log.record_feedback(feedback("r", ReportedOutcome::Unusable, Some("a wall")));
        let later = later.await.unwrap();
        let rows = log.reader().by_request("r").await.unwrap();
        assert_eq!(rows[0].outcome, Some(ReportedOutcome::Unusable));
        assert_eq!(rows[0].outcome_time, later);
        // What was said before is not lost, and goes with the row.
        let told = log.reader().feedback_on(&rows[0]).await.unwrap();
        let words: Vec<_> = told.iter().map(|told| told.outcome).collect();
        assert_eq!(words, [ReportedOutcome::Genuine, ReportedOutcome::Unusable]);
        assert_eq!(told[0].author.as_deref(), Some("guard"));
        assert_eq!(told[1].note.as_deref(), Some("a wall"));
        assert_eq!(Some(told[1].time), later);
        log.execute("DELETE FROM inferences").await;
        assert_eq!(log.reader().feedback_on(&rows[0]).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_repeated_id_is_about_its_last_request_alone() {
        let (_folder, log) = open(&keep_all()).await;
        for _ in 0..2 {
            log.append(row("gate-3.42", Role::Image)).await.unwrap();
        }
        let outcomes = async || {
            let rows = log.reader().by_request("gate-3.42").await.unwrap();
            [rows[0].outcome, rows[1].outcome]
        };
        log.record_feedback(feedback("gate-3.42", ReportedOutcome::Impostor, None))
            .await
            .unwrap();
        assert_eq!(outcomes().await, [None, Some(ReportedOutcome::Impostor)]);
        // The earlier one is named by its row.
        let rows = log.reader().by_request("gate-3.42").await.unwrap();
        let id = rows[0].id.to_string();
        let told = log
            .record_feedback(feedback(&id, ReportedOutcome::Genuine, None))
            .await;
        assert!(told.unwrap().is_some());
        assert_eq!(
            outcomes().await,
            [
                Some(ReportedOutcome::Genuine),
                Some(ReportedOutcome::Impostor)
            ]
        );
    }

    #[tokio::test]
    async fn a_terminal_speaks_of_its_own_requests_only() {
        let (_folder, log) = open(&keep_all()).await;
        let of = |token: Option<&str>| {
            let mut row = row("gate-3.42", Role::Image);
            row.token = token.map(str::to_owned);
            row
        };
        let rows = [Some("east"), Some("west"), None].map(of);
        log.append_all(rows.to_vec()).await.unwrap();
        let told = async |id: &str, token: &str| {
            let mut feedback = feedback(id, ReportedOutcome::Impostor, None);
            feedback.only_token = Some(token.to_owned());
            log.record_feedback(feedback).await.unwrap().is_some()
        };
        let outcomes = async || {
            let rows = log.reader().by_request("gate-3.42").await.unwrap();
            rows.iter().map(|row| row.outcome).collect::<Vec<_>>()
        };
        // Neither by the shared id nor by the id of a row that is another's or nobody's.
        assert!(!told("gate-3.42", "north").await);
        for other in [&rows[1], &rows[2]] {
            assert!(!told(&other.id.to_string(), "east").await);
        }
        assert_eq!(outcomes().await, [None, None, None]);
        // Of several requests with one id it is the terminal's own.
        assert!(told("gate-3.42", "east").await);
        let impostor = Some(ReportedOutcome::Impostor);
        assert_eq!(outcomes().await, [impostor, None, None]);
    }

    #[tokio::test]
    async fn words_about_a_request_of_another_box_are_kept_where_that_is_wanted() {
        let settings = crate::Settings {
            keep_late_feedback: true,
            ..crate::Settings::default()
        };
        let (folder, log) = open(&settings).await;
        log.append(row("here", Role::Image)).await.unwrap();
        let tell = async |id: &str, outcome, token: Option<&str>| {
            let mut feedback = feedback(id, outcome, Some("seen"));
            feedback.only_token = token.map(str::to_owned);
            log.record_feedback(feedback).await.unwrap().unwrap()
        };
        let first = tell("there", ReportedOutcome::Genuine, Some("east")).await;
        let again = tell("there", ReportedOutcome::Genuine, Some("east")).await;
        assert_eq!(first, again);
        tell("there", ReportedOutcome::Impostor, Some("east")).await;
        tell("there", ReportedOutcome::Impostor, None).await;
        tell("here", ReportedOutcome::Genuine, None).await;
        let path = folder.path().join(crate::FILE_NAME);
        let mut outbox = crate::Outbox::open(&path, "centre", true).await.unwrap();
        let late = outbox.late_feedback(10).await.unwrap();
        let told: Vec<_> = late
            .iter()
            .map(|it| (it.outcome, it.only_token.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (ReportedOutcome::Genuine, Some("east")),
                (ReportedOutcome::Impostor, Some("east")),
                (ReportedOutcome::Impostor, None)
            ]
        );
        assert_eq!(
            (late[0].time, late[0].note.as_deref()),
            (first, Some("seen"))
        );
        assert!(late.iter().all(|it| it.request_id == "there"));
        // The newest stay.
        log.execute("UPDATE sqlite_sequence SET seq = 100002 WHERE name = 'late_feedback'")
            .await;
        tell("elsewhere", ReportedOutcome::Genuine, None).await;
        let left = outbox.late_feedback(10).await.unwrap();
        assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [100_003]);
    }

    #[tokio::test]
    async fn a_request_without_rows_is_told_from_a_failure() {
        let (_folder, log) = open(&keep_all()).await;
        let told = log
            .record_feedback(feedback("nobody", ReportedOutcome::Genuine, None))
            .await;
        assert_eq!(told.unwrap(), None);
        let count = log.reader().count(&Filter::default()).await.unwrap();
        assert_eq!(count.rows, 0);
        log.close().await;
        let told = log
            .record_feedback(feedback("nobody", ReportedOutcome::Genuine, None))
            .await;
        assert!(
            matches!(told, Err(LogError::Told(LogFault::Closed))),
            "{told:?}"
        );
    }
}
