//! Which rows are read.

use chrono::{DateTime, Utc};
use faceood_log::LOW_SCORE;

/// Which rows of the centre. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CentreFilter {
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// Of these boxes; `None` is all.
    pub nodes: Option<Vec<String>>,
    /// Of this terminal or camera of any box.
    pub source: Option<String>,
    /// With a quality score of at most this; leaves out rows without a score.
    pub max_score: Option<f32>,
    /// With a quality score above this.
    pub above_score: Option<f32>,
    /// With a quality score, and not accepted (`true`) or accepted (`false`), as
    /// [`Observation::is_refused`](faceood_log::Observation::is_refused) says.
    pub is_refused: Option<bool>,
    /// With an outcome.
    pub has_outcome: bool,
    /// With a `draw` below this: so large a share of the rows, by chance.
    pub share: Option<f32>,
}

impl CentreFilter {
    /// Takes over a source as reports name it: `node/source` is of one box, `source` of any.
    pub fn of_source(mut self, source: Option<&str>) -> Self {
        match source.map(|source| source.split_once('/').ok_or(source)) {
            None => {}
            Some(Err(source)) => self.source = Some(source.to_owned()),
            Some(Ok((node, source))) => {
                let is_asked = |nodes: &Vec<String>| nodes.iter().any(|asked| asked == node);
                let is_one = self.nodes.as_ref().is_none_or(is_asked);
                self.nodes = Some(is_one.then(|| node.to_owned()).into_iter().collect());
                self.source = Some(source.to_owned());
            }
        }
        self
    }

    /// The conditions on a row. Texts are taken from the session, where [the session] put them.
    pub(super) fn conditions(&self) -> String {
        let time = |time: DateTime<Utc>| {
            let time = faceood_log::time_text(time);
            format!("'{time}'::timestamptz")
        };
        let conditions = [
            self.since.map(|since| format!("time >= {}", time(since))),
            self.until.map(|until| format!("time < {}", time(until))),
            self.nodes.as_ref().map(|_| format!("node = ANY ({NODES})")),
            self.source.as_ref().map(|_| format!("source = {SOURCE}")),
            self.max_score
                .map(|score| format!("quality_score <= {score}::real")),
            self.above_score
                .map(|score| format!("quality_score > {score}::real")),
            self.is_refused.map(|is_refused| {
                let accepted =
                    format!("coalesce(action = 'accept', quality_score > {LOW_SCORE}::real)");
                let condition = if is_refused { "NOT " } else { "" };
                format!("quality_score IS NOT NULL AND {condition}{accepted}")
            }),
            self.has_outcome.then(|| "outcome IS NOT NULL".to_owned()),
            self.share.map(|share| format!("draw < {share}::real")),
        ];
        let conditions: Vec<String> = conditions.into_iter().flatten().collect();
        if conditions.is_empty() {
            "true".to_owned()
        } else {
            conditions.join(" AND ")
        }
    }
}

pub(super) const NODES: &str = "current_setting('faceood.nodes')::text[]";
const SOURCE: &str = "current_setting('faceood.source')";

/// The filter on `hourly`: whole hours, and nothing of scores.
pub(super) fn in_hours(filter: &CentreFilter) -> String {
    let hour = |time: DateTime<Utc>| time.timestamp().div_euclid(3600) * 3600;
    let until = filter.until.map(|until| {
        // The hour in which the window ends counts.
        let end = hour(until);
        let is_whole = until.timestamp() == end && until.timestamp_subsec_nanos() == 0;
        if is_whole { end } else { end + 3600 }
    });
    let conditions = [
        filter
            .since
            .map(|since| format!("hour >= to_timestamp({})", hour(since))),
        until.map(|until| format!("hour < to_timestamp({until})")),
        filter
            .nodes
            .as_ref()
            .map(|_| format!("node = ANY ({NODES})")),
        filter.source.as_ref().map(|_| format!("source = {SOURCE}")),
    ];
    let conditions = conditions.into_iter().flatten();
    let all = std::iter::once("true".to_owned()).chain(conditions);
    all.collect::<Vec<_>>().join(" AND ")
}
