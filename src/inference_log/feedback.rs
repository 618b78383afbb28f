//! What became of an answer, told by its caller later: a few columns of the request's rows, written by the one writer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::writer::Command;
use super::{InferenceLog, LogError, row};

/// How a capture turned out, where somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The person was who they were taken for.
    Genuine,
    /// It was somebody else.
    Impostor,
    /// The picture was good for nothing.
    Unusable,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Genuine, Self::Impostor, Self::Unusable];

    /// The word on the wire and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Impostor => "impostor",
            Self::Unusable => "unusable",
        }
    }
}

/// What a caller tells of an earlier request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The earlier request.
    pub request_id: String,
    /// How it turned out.
    pub outcome: Outcome,
    /// The caller's words.
    pub note: Option<String>,
}

impl InferenceLog {
    /// Writes `feedback` beside the rows of its request and says since when it stands there: told again, nothing changes; told
    /// otherwise, the later word counts. `None` where no row has that request id.
    ///
    /// # Errors
    /// Where it cannot be written, whatever `on_failure` says: feedback is worth nothing but its place in the log.
    pub async fn tell(&self, feedback: Feedback) -> Result<Option<DateTime<Utc>>, LogError> {
        let (reply, answer) = oneshot::channel();
        self.asked(Command::Feedback(feedback, reply), answer).await
    }
}

/// One statement: all rows of the request, or none.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    feedback: &Feedback,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    // To the end, although the first row tells all: a statement that is left in the middle is not committed.
    let times: Vec<String> = sqlx::query_scalar(
        "UPDATE inferences SET outcome = ?1, outcome_note = ?2, outcome_time = \
         CASE WHEN outcome IS ?1 AND outcome_note IS ?2 THEN outcome_time ELSE ?3 END \
         WHERE request_id = ?4 RETURNING outcome_time",
    )
    .bind(feedback.outcome.name())
    .bind(feedback.note.as_deref())
    .bind(row::time_text(Utc::now()))
    .bind(&feedback.request_id)
    .fetch_all(connection)
    .await?;
    let time = times.first().map(|time| row::parse_time(time));
    time.transpose()
        .map_err(|found| sqlx::Error::Decode(found.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference_log::fixture::{context, keep_all, open};
    use crate::inference_log::{Filter, InferenceRecord, Role};
    use crate::problem::ProblemCode;

    fn feedback(request_id: &str, outcome: Outcome, note: Option<&str>) -> Feedback {
        Feedback {
            request_id: request_id.to_owned(),
            outcome,
            note: note.map(str::to_owned),
        }
    }

    fn row(request_id: &str, role: Role) -> InferenceRecord {
        context(request_id, "gate").failed(role, ProblemCode::NoFace, "", None)
    }

    #[test]
    fn names_are_the_words_on_the_wire() {
        for outcome in Outcome::ALL {
            assert_eq!(row::word(&outcome).as_deref(), Some(outcome.name()));
        }
    }

    #[tokio::test]
    async fn it_stands_in_every_row_of_its_request_and_in_no_other() {
        let (_folder, log) = open(&keep_all()).await;
        let pair = vec![row("pair", Role::Probe), row("pair", Role::Reference)];
        log.append_all(pair).await.unwrap();
        log.append(row("other", Role::Image)).await.unwrap();
        let told = feedback("pair", Outcome::Impostor, Some("a brother"));
        let time = log.tell(told).await.unwrap();
        assert!(time.is_some());
        for row in log.reader().by_request("pair").await.unwrap() {
            assert_eq!(row.outcome, Some(Outcome::Impostor));
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
        let first = log.tell(feedback("r", Outcome::Genuine, None)).await;
        let again = log.tell(feedback("r", Outcome::Genuine, None)).await;
        assert_eq!(first.unwrap(), again.unwrap());
        let later = log.tell(feedback("r", Outcome::Unusable, Some("a wall")));
        let later = later.await.unwrap();
        let rows = log.reader().by_request("r").await.unwrap();
        assert_eq!(rows[0].outcome, Some(Outcome::Unusable));
        assert_eq!(rows[0].outcome_time, later);
    }

    #[tokio::test]
    async fn a_request_without_rows_is_told_from_a_failure() {
        let (_folder, log) = open(&keep_all()).await;
        let told = log.tell(feedback("nobody", Outcome::Genuine, None)).await;
        assert_eq!(told.unwrap(), None);
        let count = log.reader().count(&Filter::default()).await.unwrap();
        assert_eq!(count.rows, 0);
        log.close().await;
        let told = log.tell(feedback("nobody", Outcome::Genuine, None)).await;
        assert!(matches!(told, Err(LogError::Closed)), "{told:?}");
    }
}
