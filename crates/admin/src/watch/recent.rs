//! The rows of the last ten minutes, updated with new ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::sinks::terminal_line;
use faceood_engine::policy::Action;
use faceood_log::{Filter, InferenceRecord, LARGEST_PAGE, LogError, LogReader, Order};

pub(super) const WINDOW: TimeDelta = TimeDelta::minutes(10);

/// The span over which requests a second are counted.
const RATE_SPAN: TimeDelta = TimeDelta::seconds(10);

/// Rows may be committed later than newer ones by this much: read again, and known by their ids.
const OVERLAP: TimeDelta = TimeDelta::seconds(5);

/// Rows of the window, at most: what a busy box makes in ten minutes would fill no screen better.
const MOST_ROWS: usize = 100_000;

pub(super) struct WatchedRow {
    pub(super) time: DateTime<Utc>,
    pub(super) request_id: String,
    pub(super) scenario: String,
    pub(super) source: String,
    pub(super) score: Option<f32>,
    pub(super) norm: Option<f32>,
    pub(super) action: Option<Action>,
    /// Why it was not accepted, in words.
    pub(super) why: String,
    pub(super) is_error: bool,
}

impl From<InferenceRecord> for WatchedRow {
    fn from(row: InferenceRecord) -> Self {
        let causes = row.causes.iter().flatten();
        let causes = causes.map(|it| format!("{} {:.0}%", it.name.name(), it.weight * 100.0));
        let reasons = row.reasons.iter().flatten();
        let reasons = reasons.map(|reason| reason.name().to_owned());
        let why: Vec<_> = match row.error_code {
            Some(code) => vec![code.code().to_owned()],
            None => reasons.chain(causes).collect(),
        };
        Self {
            time: row.time,
            request_id: terminal_line(&row.request_id).into_owned(),
            scenario: terminal_line(&row.scenario.unwrap_or_default()).into_owned(),
            source: terminal_line(row.source.as_deref().unwrap_or("–")).into_owned(),
            score: row.quality_score,
            norm: row.embedding_norm,
            action: row.action,
            why: why.join(", "),
            is_error: row.error_code.is_some(),
        }
    }
}

#[derive(Default)]
pub(super) struct SourceLine {
    pub(super) name: String,
    pub(super) faces: usize,
    pub(super) reviewed: usize,
    pub(super) rejected: usize,
    /// In equal parts of the window, oldest first.
    pub(super) quality: Vec<Mean>,
    pub(super) norm: Vec<Mean>,
}

impl SourceLine {
    /// How many of a thousand faces were not accepted.
    fn per_mille_not_accepted(&self) -> usize {
        1000 * (self.reviewed + self.rejected) / self.faces.max(1)
    }
}

/// The rows of the window, by id and so by time.
#[derive(Default)]
pub(super) struct Recent {
    samples: BTreeMap<Uuid, WatchedRow>,
    read_until: Option<DateTime<Utc>>,
}

impl Recent {
    pub(super) async fn update(
        &mut self,
        reader: &LogReader,
        now: DateTime<Utc>,
    ) -> Result<(), LogError> {
        let start = now - WINDOW;
        if self.read_until.is_some_and(|until| until > now + OVERLAP) {
            // The clock was set back: what is new lies before what was read.
            *self = Self::default();
        }
        let since = self.read_until.map_or(start, |until| until - OVERLAP);
        // Newest first: on a box with more rows than are kept, the oldest are left out.
        let filter = Filter {
            since: Some(since.max(start)),
            limit: Some(LARGEST_PAGE),
            order: Order::NewestFirst,
            ..Filter::default()
        };
        let (mut cursor, mut read) = (None, 0);
        loop {
            let page = reader.query(&filter, cursor.as_ref()).await?;
            read += page.records.len();
            for row in page.records {
                self.insert(row);
            }
            cursor = page.next;
            if cursor.is_none() || read >= MOST_ROWS {
                break;
            }
        }
        self.read_until = Some(now);
        self.samples.retain(|_, sample| sample.time >= start);
        while self.samples.len() > MOST_ROWS {
            self.samples.pop_first();
        }
        Ok(())
    }

    /// Takes a row, once.
    pub(super) fn insert(&mut self, row: InferenceRecord) {
        self.samples.entry(row.id).or_insert_with(|| row.into());
    }

    /// Requests a second of late.
    pub(super) fn rate(&self, now: DateTime<Utc>) -> f64 {
        let of_late = self.since(now - RATE_SPAN);
        let requests: HashSet<_> = of_late.map(|sample| sample.request_id.as_str()).collect();
        requests.len() as f64 / RATE_SPAN.as_seconds_f64()
    }

    pub(super) fn errors(&self, now: DateTime<Utc>) -> usize {
        let last_minute = self.since(now - TimeDelta::minutes(1));
        last_minute.filter(|sample| sample.is_error).count()
    }

    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        self.samples.values().map(|sample| sample.time).max()
    }

    /// Accepted, to be reviewed, rejected: by scenario.
    pub(super) fn actions(&self) -> BTreeMap<&str, [usize; 3]> {
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for sample in self.samples.values() {
            if let Some(action) = sample.action {
                counts.entry(&sample.scenario).or_default()[action as usize] += 1;
            }
        }
        counts
    }

    /// Each source with its quality and norm over the window in `parts`. Those come first that have
    /// the largest share of faces that were not accepted.
    pub(super) fn sources(&self, now: DateTime<Utc>, parts: usize) -> Vec<SourceLine> {
        let mut lines: BTreeMap<&str, SourceLine> = BTreeMap::new();
        for sample in self.samples.values().filter(|sample| !sample.is_error) {
            let line = lines.entry(&sample.source).or_insert_with(|| SourceLine {
                name: sample.source.clone(),
                quality: vec![Mean::default(); parts],
                norm: vec![Mean::default(); parts],
                ..SourceLine::default()
            });
            line.faces += 1;
            line.reviewed += usize::from(sample.action == Some(Action::Review));
            line.rejected += usize::from(sample.action == Some(Action::Reject));
            let part = part_of(sample.time, now, parts);
            line.quality[part].add(sample.score);
            line.norm[part].add(sample.norm);
        }
        let mut lines: Vec<_> = lines.into_values().collect();
        // Sources that are equal in both stay in the order of their names.
        lines.sort_by_key(|line| Reverse((line.per_mille_not_accepted(), line.faces)));
        lines
    }

    /// What was rejected or failed, the newest first.
    pub(super) fn rejected_or_failed(&self) -> impl Iterator<Item = &WatchedRow> {
        let rows = self.samples.values().rev();
        rows.filter(|sample| sample.is_error || sample.action == Some(Action::Reject))
    }

    fn since(&self, start: DateTime<Utc>) -> impl Iterator<Item = &WatchedRow> {
        let rows = self.samples.values();
        rows.filter(move |sample| sample.time >= start)
    }
}

/// Into which of `parts` of the window `time` falls.
fn part_of(time: DateTime<Utc>, now: DateTime<Utc>, parts: usize) -> usize {
    let age = (now - time).as_seconds_f64().max(0.0) / WINDOW.as_seconds_f64();
    let back = (age * parts as f64) as usize;
    (parts - 1).saturating_sub(back)
}

#[derive(Clone, Copy, Default)]
pub(super) struct Mean {
    sum: f32,
    count: u16,
}

impl Mean {
    fn add(&mut self, value: Option<f32>) {
        if let (Some(value), Some(count)) = (value, self.count.checked_add(1)) {
            self.sum += value;
            self.count = count;
        }
    }

    pub(super) fn value(&self) -> Option<f32> {
        (self.count > 0).then(|| self.sum / f32::from(self.count))
    }
}
