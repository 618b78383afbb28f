//! The result of an analysis, and its JSON (schema 1). Text and HTML are views of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::comparison::EarlierComparison;
use super::failures::FailureCount;
use super::survey::SourceCounts;
use faceood_engine::policy::{Action, Reason};
use faceood_engine::quality::{Cause, Language};

/// Version of the JSON's shape.
pub const SCHEMA: u32 = 1;

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatternReport {
    /// [`SCHEMA`].
    pub schema: u32,
    pub(crate) window: Window,
    pub(crate) totals: Totals,
    /// Why requests failed, the most frequent first; empty where rows were counted by the hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) failures: Vec<FailureCount>,
    /// What helps most, in the order in which it should be done.
    #[serde(default)]
    pub(crate) first_steps: Vec<FirstStep>,
    /// Recurring patterns among the low rows, largest first.
    pub clusters: Vec<Cluster>,
    /// Low rows that belong to no pattern.
    pub(crate) unclustered: u64,
    pub(crate) norm_anomalies: Vec<NormAnomaly>,
    /// Sources against each other, most rows first.
    pub(crate) fleet: Vec<FleetRow>,
    /// Low rows over the window.
    pub(crate) timeline: Vec<TimeBin>,
    /// For the sources with most low rows.
    pub(crate) source_hours: Vec<SourceHours>,
    pub(crate) method: Method,
    /// Against an earlier report, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<EarlierComparison>,
}

/// The analysed part of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// As asked for, or the first row.
    pub(crate) from: Option<DateTime<Utc>>,
    /// As asked for, or the last row.
    pub(crate) to: Option<DateTime<Utc>>,
    /// Difference of local time to UTC at its end, as `+08:00`. Hours are local ones.
    pub(crate) utc_offset: String,
    /// The one source that was asked for.
    pub(crate) source: Option<String>,
    /// What makes a row low. Reports before this field were by the score.
    #[serde(default)]
    pub(crate) low_by: LowBy,
    /// Rows up to this score are low, where that is by the score.
    pub(crate) max_score: Option<f32>,
    /// Where the rows came from.
    pub(crate) inputs: Vec<String>,
}

/// What makes a row low.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LowBy {
    /// It was not accepted, by the action that was logged.
    Action,
    /// Its score, up to a cut.
    #[default]
    Score,
}

impl LowBy {
    pub(crate) fn of(max_score: Option<f32>) -> Self {
        match max_score {
            None => Self::Action,
            Some(_) => Self::Score,
        }
    }
}

/// Rows by the action that was logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ActionCounts {
    pub(crate) accept: u64,
    pub(crate) review: u64,
    pub(crate) reject: u64,
}

impl ActionCounts {
    pub(crate) fn of([accept, review, reject]: [u64; Action::ALL.len()]) -> Self {
        Self {
            accept,
            review,
            reject,
        }
    }
}

/// Numbers of rows in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) inferences: u64,
    /// Those with a score.
    pub(crate) scored: u64,
    /// Those with a low one.
    pub(crate) low: u64,
    /// Those with an error code.
    pub(crate) errors: u64,
    /// Those that a policy judged, by its action.
    #[serde(default)]
    pub(crate) actions: ActionCounts,
}

impl Totals {
    /// The actions of all sources; the other numbers are 0.
    pub(crate) fn of_actions(counts: &[SourceCounts]) -> Self {
        let sum = |action: Action| {
            counts
                .iter()
                .map(|count| count.actions[action as usize])
                .sum::<u64>()
        };
        Self {
            actions: ActionCounts::of(Action::ALL.map(sum)),
            ..Self::default()
        }
    }
}

/// A recurring pattern among the low rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its number in this report, from 1 by size.
    pub id: u32,
    pub(crate) size: u64,
    /// Its share of the low rows.
    pub(crate) share: f64,
    /// A cause, two joined by `+`, or `unknown`.
    pub label: String,
    /// Mean weights of the causes, largest first.
    pub causes: Vec<Cause>,
    /// What, where, when, in one sentence.
    pub(crate) summary: String,
    pub(crate) summary_zh: String,
    /// What an installer can do.
    pub(crate) advice: String,
    pub(crate) advice_zh: String,
    /// Share of these captures that would pass if they were like the others of their
    /// sources, or like all others where these have few; `None` without others.
    pub(crate) expected_gain: Option<f64>,
    pub(crate) first_seen: DateTime<Utc>,
    pub(crate) last_seen: DateTime<Utc>,
    /// Start of the pattern, if it was not there from the beginning.
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) trend: TrendKind,
    /// The numbers behind the trend.
    pub(crate) trend_detail: Trend,
    /// Sources with significantly more than their share, most rows first.
    pub(crate) sources: Vec<SourceShare>,
    /// Rows by hour of the day, local time.
    pub(crate) hours: [u64; 24],
    /// The hours of most of its rows (the first, and the one after the last), if they
    /// differ from the hours of all captures.
    pub(crate) peak_hours: Option<[u32; 2]>,
    /// Rows over the window, in the bins of [`PatternReport::timeline`].
    pub(crate) timeline: Vec<u64>,
    /// Of the quality score.
    pub quality: QualityStatistics,
    pub(crate) embedding_norm: NormStatistics,
    /// Measures by how they differ from good captures.
    pub components: BTreeMap<String, ComponentStatistics>,
    /// The most typical rows.
    pub exemplars: Vec<Uuid>,
    pub(crate) p_values: PValues,
}

/// Something to be done at a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FirstStep {
    /// Where; empty is at all sources.
    pub(crate) sources: Vec<String>,
    /// The number of the pattern that it is about, if it is about one.
    pub(crate) pattern: Option<u32>,
    /// A pattern's label, a cause's name, or the reason `several_faces`.
    pub(crate) label: String,
    /// The low rows that it is about.
    pub(crate) captures: u64,
    /// Their share of all captures of these sources.
    pub(crate) share: f64,
    pub(crate) remedy: String,
    pub(crate) remedy_zh: String,
    /// Share of these captures that would pass afterwards, where that can be foretold.
    pub(crate) expected_gain: Option<f64>,
}

/// How a pattern goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TrendKind {
    /// It was not there at the beginning of the window.
    New,
    /// Its share of all captures rises.
    Growing,
    Steady,
    /// Its share falls.
    Fading,
    /// The rows span too short a time to tell.
    Unknown,
}

impl TrendKind {
    /// In words. The English word is the name in JSON, too.
    pub(crate) fn word(self, language: Language) -> &'static str {
        match self {
            Self::New => language.pick("new", "新出现"),
            Self::Growing => language.pick("growing", "持续增多"),
            Self::Steady => language.pick("steady", "保持稳定"),
            Self::Fading => language.pick("fading", "逐渐减少"),
            Self::Unknown => language.pick("unknown", "数据不足三天，无法判断趋势"),
        }
    }

    /// Whether that calls for attention.
    pub(crate) fn is_up(self) -> bool {
        matches!(self, Self::New | Self::Growing)
    }
}

/// How fast a pattern grows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trend {
    /// Growth of its share of all captures a day: 0.1 is 10 % more each day.
    pub(crate) slope_per_day: f64,
    /// Confidence interval of the slope, 95 %.
    pub(crate) interval: [f64; 2],
    pub(crate) p_value: f64,
}

/// A source's part in a pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceShare {
    pub(crate) source: String,
    /// Its rows in the pattern.
    pub(crate) count: u64,
    /// Its share of the pattern ÷ its share of all captures.
    pub(crate) lift: f64,
    pub(crate) p_value: f64,
}

/// Statistics of scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityStatistics {
    /// Mean.
    pub mean: f64,
    /// One in ten is below.
    pub p10: f64,
    /// One in ten is above.
    pub p90: f64,
}

/// Statistics of embedding norms; `None` where no row has one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NormStatistics {
    pub(crate) mean: Option<f64>,
    pub(crate) std: Option<f64>,
    /// By how many standard deviations of good captures of the same pack the mean differs from
    /// theirs.
    pub(crate) z: Option<f64>,
}

/// A measure in a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentStatistics {
    /// Its median, in the component's unit.
    pub median: f64,
    /// By how many robust deviations of good captures that differs from theirs.
    pub z: f64,
}

/// How likely chance alone would show what is reported.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PValues {
    /// p-value of the pattern: the smallest of the following, times their number.
    pub(crate) cluster: f64,
    /// p-value of so many such captures at a site without faults.
    pub(crate) share: f64,
    /// p-value of its sources, against those of all captures.
    pub(crate) sources: f64,
    /// p-value of its hours, against those of all captures.
    pub(crate) hours: f64,
}

/// What an anomaly shows in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NormSignal {
    /// The norm itself: the captures changed, and so did their scores.
    Norm,
    /// The norm given the score: the recogniser's input changed in a way that the score
    /// does not see.
    Residual,
}

/// A period in which a source's embedding norm left its usual level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NormAnomaly {
    /// Its first row.
    pub(crate) from: DateTime<Utc>,
    /// Its last row.
    pub(crate) to: DateTime<Utc>,
    pub(crate) source: String,
    /// Each pack is judged by itself.
    pub(crate) pack: String,
    pub(crate) signal: NormSignal,
    /// By how many standard deviations the level differs from the source's usual one.
    pub(crate) z: f64,
    /// `lower` or `higher`.
    pub(crate) direction: String,
    /// The usual level.
    pub(crate) before: f64,
    /// The level in this part.
    pub(crate) after: f64,
    pub(crate) rows: u64,
    pub(crate) p_value: f64,
    /// Whether it lasts to the source's last row.
    pub(crate) is_lasting: bool,
    /// Mean of the signal over the window, in the bins of [`PatternReport::timeline`].
    pub(crate) course: Vec<Option<f64>>,
    /// What began about then: `cluster 2`, `pack NAME`, `calibration ID`.
    pub(crate) coincides: Vec<String>,
}

/// One source beside the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FleetRow {
    /// Empty for rows without one.
    pub(crate) source: String,
    pub(crate) inferences: u64,
    /// Those with a score.
    #[serde(default)]
    pub(crate) captures: u64,
    /// Its failed requests.
    pub(crate) errors: u64,
    pub(crate) low: u64,
    /// Its rows that a policy judged, by its action.
    #[serde(default)]
    pub(crate) actions: ActionCounts,
    /// Its low rows by the reason of their action; a row may have several.
    #[serde(default)]
    pub(crate) reasons: BTreeMap<Reason, u64>,
    /// Low rows ÷ rows with a score.
    pub(crate) share_low: Option<f64>,
    /// Whether that is significantly more than elsewhere.
    pub(crate) is_worse: bool,
    pub(crate) median_score: Option<f64>,
    /// Mean embedding norm.
    pub(crate) embedding_norm: Option<f64>,
    /// The most frequent first cause of its low rows.
    pub(crate) top_cause: Option<String>,
    pub(crate) drift: Option<Drift>,
}

impl FleetRow {
    /// The most frequent cause of its low rows; other people in the picture, if that is more often
    /// the reason than any cause.
    pub(crate) fn main_cause(&self) -> Option<&str> {
        let several = self.reasons.get(&Reason::SeveralFaces).copied();
        let is_several = several.is_some_and(|rows| 2 * rows > self.low);
        if is_several {
            Some(Reason::SeveralFaces.name())
        } else {
            self.top_cause.as_deref()
        }
    }
}

/// A change of a source's low share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drift {
    pub(crate) is_rising: bool,
    pub(crate) since: DateTime<Utc>,
    /// The low share before.
    pub(crate) before: f64,
    /// The low share since.
    pub(crate) after: f64,
    pub(crate) p_value: f64,
}

/// A part of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TimeBin {
    pub(crate) from: DateTime<Utc>,
    /// Rows with a score.
    pub(crate) scored: u64,
    pub(crate) low: u64,
}

/// A source's day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceHours {
    pub(crate) source: String,
    /// Rows with a score by local hour.
    pub(crate) scored: [u64; 24],
    pub(crate) low: [u64; 24],
}

/// How the patterns were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Method {
    /// Smallest pattern, in sampled low rows.
    pub(crate) min_cluster_size: usize,
    /// Low rows that were learnt from.
    pub(crate) learnt_from: u64,
    /// Whether these are a sample; the other low rows were assigned to its groups.
    pub(crate) is_sample: bool,
    /// Seed of the sample.
    pub(crate) seed: u64,
    /// Good rows that say what is usual.
    pub(crate) good_rows: u64,
    /// What the numbers of rows come from, where not every row was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counted_by: Option<CountedBy>,
    /// Causes of low rows that are left out because this release does not know them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) unknown_causes: u64,
    /// Groups that were not reported because they are not significant.
    pub(crate) groups_set_aside: usize,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How rows were counted that were too many to be read one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CountedBy {
    /// By the centre, for each whole hour. Low rows were all read, of the others a sample.
    Hour,
}

impl PatternReport {
    /// Whether both reports call the same rows low. Numbers of different rows say nothing about a
    /// change.
    pub fn is_comparable(&self, other: &Self) -> bool {
        let rule = |report: &Self| (report.window.low_by, report.window.max_score);
        rule(self) == rule(other)
    }

    /// What makes a row low, in words.
    pub fn rule(&self) -> String {
        match self.window.max_score {
            None => "captures that were not accepted".to_owned(),
            Some(score) => format!("captures that score {score} or less"),
        }
    }

    /// Whether something is new or growing, for `--fail-on-drift`.
    pub fn has_drift(&self) -> bool {
        let is_rising = |row: &FleetRow| row.drift.is_some_and(|drift| drift.is_rising);
        let is_worse = |comparison: &EarlierComparison| {
            !comparison.new.is_empty() || !comparison.grown.is_empty()
        };
        self.clusters.iter().any(|cluster| cluster.trend.is_up())
            || self.fleet.iter().any(is_rising)
            || self.norm_anomalies.iter().any(|anomaly| anomaly.is_lasting)
            || self.comparison.as_ref().is_some_and(is_worse)
    }
}
