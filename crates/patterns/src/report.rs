//! The result of an analysis, and its JSON (schema 1). Text and HTML are views of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use faceood::quality::{Cause, Language};

/// Version of the JSON's shape.
pub const SCHEMA: u32 = 1;

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatternReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The analysed part of the log.
    pub window: Window,
    /// Numbers of rows.
    pub totals: Totals,
    /// Recurring patterns among the low rows, largest first.
    pub clusters: Vec<Cluster>,
    /// Low rows that belong to no pattern.
    pub unclustered: u64,
    /// Periods in which a source's embedding norm left its usual level.
    pub norm_anomalies: Vec<NormAnomaly>,
    /// Sources against each other, most rows first.
    pub fleet: Vec<FleetRow>,
    /// Low rows over the window.
    pub timeline: Vec<TimeBin>,
    /// Low rows by hour of the day, for the sources with most of them.
    pub source_hours: Vec<SourceHours>,
    /// How it was found.
    pub method: Method,
    /// Against an earlier report, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<EarlierComparison>,
}

/// The analysed part of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its begin: as asked for, or the first row.
    pub from: Option<DateTime<Utc>>,
    /// Its end: as asked for, or the last row.
    pub to: Option<DateTime<Utc>>,
    /// Difference of local time to UTC at its end, as `+08:00`. Hours are local ones.
    pub utc_offset: String,
    /// The one source that was asked for.
    pub source: Option<String>,
    /// Rows up to this score are low.
    pub max_score: f32,
    /// Where the rows came from.
    pub inputs: Vec<String>,
}

/// Numbers of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All rows in the window.
    pub inferences: u64,
    /// Those with a score.
    pub scored: u64,
    /// Those with a low one.
    pub low: u64,
    /// Those with an error code.
    pub errors: u64,
}

/// A recurring pattern among the low rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its number in this report, from 1 by size.
    pub id: u32,
    /// Its rows.
    pub size: u64,
    /// Their share of the low rows.
    pub share: f64,
    /// A cause, two joined by `+`, or `unknown`.
    pub label: String,
    /// Mean weights of the causes, largest first.
    pub causes: Vec<Cause>,
    /// What, where, when, in one sentence.
    pub summary: String,
    /// The same in Chinese.
    pub summary_zh: String,
    /// What an installer can do.
    pub advice: String,
    /// The same in Chinese.
    pub advice_zh: String,
    /// Share of these captures that would pass if they were like the others of their
    /// sources; `None` without others.
    pub expected_gain: Option<f64>,
    /// Time of its first row.
    pub first_seen: DateTime<Utc>,
    /// Time of its last row.
    pub last_seen: DateTime<Utc>,
    /// Start of the pattern, if it was not there from the beginning.
    pub since: Option<DateTime<Utc>>,
    /// How it goes on.
    pub trend: TrendKind,
    /// The numbers behind that.
    pub trend_detail: Trend,
    /// Sources with significantly more than their share, most rows first.
    pub sources: Vec<SourceShare>,
    /// Rows by hour of the day, local time.
    pub hours: [u64; 24],
    /// The hours of most of its rows (the first, and the one after the last), if they
    /// differ from the hours of all captures.
    pub peak_hours: Option<[u32; 2]>,
    /// Rows over the window, in the bins of [`PatternReport::timeline`].
    pub timeline: Vec<u64>,
    /// Of the quality score.
    pub quality: QualityStatistics,
    /// Of the embedding norm.
    pub embedding_norm: NormStatistics,
    /// Measures by how they differ from good captures.
    pub components: BTreeMap<String, ComponentStatistics>,
    /// The most typical rows.
    pub exemplars: Vec<Uuid>,
    /// How likely chance alone would show this.
    pub p_values: PValues,
}

/// How a pattern goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrendKind {
    /// It was not there at the beginning of the window.
    New,
    /// Its share of all captures rises.
    Growing,
    /// Neither.
    Steady,
    /// Its share falls.
    Fading,
}

impl TrendKind {
    /// Name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Growing => "growing",
            Self::Steady => "steady",
            Self::Fading => "fading",
        }
    }

    /// In words.
    #[must_use]
    pub const fn word(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::English, kind) => kind.name(),
            (Language::Chinese, Self::New) => "新出现",
            (Language::Chinese, Self::Growing) => "持续增多",
            (Language::Chinese, Self::Steady) => "保持稳定",
            (Language::Chinese, Self::Fading) => "逐渐减少",
        }
    }
}

/// How fast a pattern grows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Growth of its share of all captures a day: 0.1 is 10 % more each day.
    pub slope_per_day: f64,
    /// Where that lies 95 times in 100.
    pub interval: [f64; 2],
    /// How likely chance makes such a slope.
    pub p_value: f64,
}

/// A source's part in a pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceShare {
    /// The source.
    pub source: String,
    /// Its rows in the pattern.
    pub count: u64,
    /// Its share of the pattern ÷ its share of all captures.
    pub lift: f64,
    /// How likely chance makes it so many.
    pub p_value: f64,
}

/// Statistics of scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityStatistics {
    /// Their mean.
    pub mean: f64,
    /// One in ten is below.
    pub p10: f64,
    /// One in ten is above.
    pub p90: f64,
}

/// Statistics of norms; `None` where no row has one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormStatistics {
    /// Their mean.
    pub mean: Option<f64>,
    /// Their standard deviation.
    pub std: Option<f64>,
    /// By how many standard deviations of good captures of the same pack the mean differs from theirs.
    pub z: Option<f64>,
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
pub struct PValues {
    /// p-value of the pattern: the smallest of the following, times their number.
    pub cluster: f64,
    /// p-value of so many such captures at a site without faults.
    pub share: f64,
    /// That its sources are those of all captures.
    pub sources: f64,
    /// p-value of its hours, against those of all captures.
    pub hours: f64,
}

/// What an anomaly shows in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormSignal {
    /// The norm itself: the captures changed, and so did their scores.
    Norm,
    /// The norm given the score: the recogniser's input changed in a way that the score
    /// does not see.
    Residual,
}

/// A period in which a source's embedding norm left its usual level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormAnomaly {
    /// Its first row.
    pub from: DateTime<Utc>,
    /// Its last row.
    pub to: DateTime<Utc>,
    /// Where.
    pub source: String,
    /// Which pack; each is judged by itself.
    pub pack: String,
    /// In what it shows.
    pub signal: NormSignal,
    /// By how many standard deviations the level differs from the source's usual one.
    pub z: f64,
    /// `lower` or `higher`.
    pub direction: String,
    /// The usual level.
    pub before: f64,
    /// The level in this part.
    pub after: f64,
    /// Its rows.
    pub rows: u64,
    /// How likely chance makes such a change.
    pub p_value: f64,
    /// Whether it lasts to the source's last row.
    pub is_lasting: bool,
    /// Mean of the signal over the window, in the bins of [`PatternReport::timeline`].
    pub course: Vec<Option<f64>>,
    /// What began about then: `cluster 2`, `pack NAME`, `calibration ID`.
    pub coincides: Vec<String>,
}

/// One source beside the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetRow {
    /// The source; empty for rows without one.
    pub source: String,
    /// Its rows.
    pub inferences: u64,
    /// Its failed requests.
    pub errors: u64,
    /// Low rows.
    pub low: u64,
    /// Low rows ÷ rows with a score.
    pub share_low: Option<f64>,
    /// Whether that is significantly more than elsewhere.
    pub is_worse: bool,
    /// Median quality score.
    pub median_score: Option<f64>,
    /// Mean embedding norm.
    pub embedding_norm: Option<f64>,
    /// The most frequent first cause of its low rows.
    pub top_cause: Option<String>,
    /// How its low share changed.
    pub drift: Option<Drift>,
}

/// A change of a source's low share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Whether it rose.
    pub is_rising: bool,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The low share before.
    pub before: f64,
    /// The low share since.
    pub after: f64,
    /// How likely chance makes such a change.
    pub p_value: f64,
}

/// A part of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBin {
    /// Its begin.
    pub from: DateTime<Utc>,
    /// Rows with a score.
    pub scored: u64,
    /// Low ones.
    pub low: u64,
}

/// A source's day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceHours {
    /// The source.
    pub source: String,
    /// Rows with a score by local hour.
    pub scored: [u64; 24],
    /// Low ones.
    pub low: [u64; 24],
}

/// How the patterns were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Smallest pattern, in sampled low rows.
    pub min_cluster_size: usize,
    /// Low rows that were learnt from.
    pub learnt_from: u64,
    /// Whether these are a sample; the other low rows were assigned to its groups.
    pub is_sample: bool,
    /// What the sample was drawn by.
    pub seed: u64,
    /// Good rows that say what is usual.
    pub good_rows: u64,
    /// Groups that were not reported because they are not significant.
    pub groups_set_aside: usize,
}

/// This report against an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EarlierComparison {
    /// Patterns that the earlier one does not have.
    pub new: Vec<u32>,
    /// Labels and sources of patterns of the earlier report that are gone.
    pub gone: Vec<String>,
    /// Patterns whose share of all captures rose significantly.
    pub grown: Vec<Growth>,
}

/// A pattern that grew since the earlier report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Its number here.
    pub id: u32,
    /// Its number there.
    pub earlier_id: u32,
    /// Its share of all captures here ÷ there.
    pub factor: f64,
    /// How likely chance makes such a rise.
    pub p_value: f64,
}

impl PatternReport {
    /// Whether something is new or growing, for `--fail-on-drift`.
    #[must_use]
    pub fn has_drift(&self) -> bool {
        let is_up =
            |cluster: &Cluster| matches!(cluster.trend, TrendKind::New | TrendKind::Growing);
        let is_rising = |row: &FleetRow| row.drift.is_some_and(|drift| drift.is_rising);
        let is_worse_than_before = |comparison: &EarlierComparison| {
            !comparison.new.is_empty() || !comparison.grown.is_empty()
        };
        self.clusters.iter().any(is_up)
            || self.fleet.iter().any(is_rising)
            || self.norm_anomalies.iter().any(|anomaly| anomaly.is_lasting)
            || self.comparison.as_ref().is_some_and(is_worse_than_before)
    }
}
