//! Finds recurring patterns among captures that were not accepted: which degradations keep coming
//! back, where, and since when. It also finds changes of the embedding norm. It reads only rows
//! of the log, no pictures and no models.
//!
//! The steps of [`analyze`]:
//! 1. [`reading`] passes every row once to [`survey`], which counts rows and keeps a sample of
//!    low and of good ones. [`centre`] does so with the rows of a fleet.
//! 2. [`features`] turns each sampled row into a point, scaled by the good rows. [`cluster`]
//!    groups the points.
//! 3. Every low row is assigned to a group. [`tally`] counts the rows of each group.
//! 4. [`describe`] tests each group for significance and describes it, with [`trend`],
//!    [`words`] and [`baseline`].
//! 5. [`norms`] and [`fleet`] examine each source over time, with [`changes`].
//! 6. [`first_steps`] says what to do first. [`report`] is the result. [`render`] shows it as text or HTML.

use std::io;
use std::path::PathBuf;

use chrono::{DateTime, DurationRound as _, NaiveDateTime, TimeDelta, Utc};
use uuid::Uuid;

use faceood_fleet::{CentreReader, FleetError};
use faceood_log::{Filter, LogError, LogReader};

mod baseline;
mod centre;
mod changes;
mod cluster;
pub mod compare;
pub mod comparison;
mod describe;
mod exact_sum;
mod failures;
mod features;
mod first_steps;
mod fleet;
mod norms;
mod parquet;
mod reading;
pub mod render;
pub mod report;
pub mod significance;
mod streams;
mod survey;
mod tally;
mod trend;
pub mod words;

pub use report::PatternReport;

use baseline::{GoodNorms, WindowCounts};
use cluster::Groups;
use describe::{Background, ClusterCandidate};
use failures::FailureCount;
use features::{FeaturePoint, NormModel, Scale};
use reading::Samples;
use report::{CountedBy, LowBy, Method, SCHEMA, Totals, Window};
use streams::Streams;
use survey::{Sampled, Survey};
use tally::{Counted, LocalHours};
use trend::Bins;

/// Converts UTC to local time.
pub type LocalTime = fn(DateTime<Utc>) -> NaiveDateTime;

/// What to look for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From this time on.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// Only of this source.
    pub source: Option<String>,
    /// Rows up to this score are low; `None` takes those that were not accepted, by the action that
    /// was logged.
    pub max_score: Option<f32>,
    /// Smallest pattern in rows; `None` derives it from the data.
    pub min_cluster_size: Option<usize>,
    /// Score from which a capture passes, where the action does not say it.
    pub accept: f32,
    /// Seed of the sample.
    pub seed: u64,
    /// The time zone of hours and days.
    pub local_time: LocalTime,
    /// Whether to return the pattern of each row.
    pub with_assignments: bool,
    /// Only of these boxes: at a centre, or of logs with such a prefix.
    pub nodes: Option<Vec<String>>,
    /// Up to so many rows a centre's rows are read one by one, above they are counted by the hour.
    pub most_rows: u64,
    /// Largest samples of low and of good rows. Further low rows are assigned to the groups of the
    /// sample.
    pub sample_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            source: None,
            max_score: None,
            min_cluster_size: None,
            accept: 0.6,
            seed: 1,
            local_time: |time| time.naive_utc(),
            with_assignments: false,
            nodes: None,
            most_rows: 100_000_000,
            sample_rows: 4000,
        }
    }
}

/// Source of rows.
#[derive(Clone, Debug)]
pub enum Rows {
    /// A log, live or not.
    Database(LogReader),
    /// An export of one.
    Parquet(PathBuf),
    /// The centre of a fleet. Its sources have their box's name as prefix.
    Centre(Box<CentreReader>),
}

/// One log among those that are analysed together.
#[derive(Clone, Debug)]
pub struct Input {
    /// Prefix of its sources' names, followed by `/`; empty if there is only one input.
    pub prefix: String,
    /// Its rows.
    pub rows: Rows,
}

/// The result of [`analyze`].
#[derive(Clone, Debug)]
pub struct PatternAnalysis {
    /// The report.
    pub report: PatternReport,
    /// Row and pattern, in the order of ids; empty unless asked for.
    pub assignments: Vec<(Uuid, u32)>,
    /// For each exemplar of each pattern, the index of its input.
    pub exemplar_inputs: Vec<Vec<usize>>,
}

/// Smallest pattern in rows, where the data are few.
const LEAST_CLUSTER: usize = 20;

/// Smallest pattern as a share of the sampled low rows, where they are many.
const CLUSTER_SHARE: f64 = 0.01;

/// Why there is no analysis.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// What an input's database or file says.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What the centre of a fleet says.
    #[error(transparent)]
    Centre(#[from] FleetError),
    /// The centre cannot be asked.
    #[error("cannot start an async runtime: {0}")]
    Runtime(#[source] io::Error),
    /// Too many rows to be read one by one, and some that no centre has counted.
    #[error(
        "the centre has {0} rows in this window, and above {1} they are counted by the hour, which \
         files cannot be: give the centre alone, or a shorter window with --since and --until"
    )]
    TooManyRows(u64, u64),
    /// One log stands among the inputs twice.
    #[error("{0} is given twice, and its rows would be counted twice: give it once")]
    SameInput(String),
    /// Two inputs have the same rows, such as a log and its backup.
    #[error(
        "{0} and {1} hold the same rows, such as {2}, which would be counted twice: give only one \
         of them, or exports of windows that do not overlap"
    )]
    SameRows(String, String, Uuid),
    /// Rows name their model by 16 bits.
    #[error(
        "the rows were judged by more than 65,536 packs and calibrations, which is more than one \
         report can hold: give a shorter window with --since and --until"
    )]
    TooManyModels,
}

/// Finds the patterns in `inputs`. The report follows from the set of their rows, not from the
/// order of rows or of inputs. Blocks the thread.
///
/// # Errors
/// What an input's database or file says; if inputs have the same rows.
pub fn analyze(inputs: &[Input], settings: &Settings) -> Result<PatternAnalysis, AnalysisError> {
    let (survey, samples) = reading::survey(inputs, settings)?;
    let names = inputs.iter().map(Input::name);
    Ok(found_in(&survey, &samples, names.collect(), settings))
}

/// Finds the patterns in what was read.
fn found_in(
    survey: &Survey,
    samples: &Samples,
    inputs: Vec<String>,
    settings: &Settings,
) -> PatternAnalysis {
    let whole_hours;
    let settings = match &survey.hours {
        None => settings,
        Some(_) => {
            whole_hours = settings.in_whole_hours();
            &whole_hours
        }
    };
    let window = settings.window(survey);
    let mut bins = Bins::over(window[0], window[1]);
    if survey.hours.is_some() {
        bins = bins.in_whole_hours();
    }
    let all: Vec<&Sampled> = samples.low.iter().chain(&samples.good).collect();
    let good: Vec<&Sampled> = samples.good.iter().collect();
    let scale = Scale::fit(&good, NormModel::fit(&all));
    let points: Vec<FeaturePoint> = samples.low.iter().map(|row| scale.point(row)).collect();
    let min_cluster_size = settings.min_cluster_size(points.len());
    let ((learnt, counts), (mut norm_anomalies, fleet, source_hours)) = rayon::join(
        || {
            let learnt = Groups::learn(&points, min_cluster_size);
            (learnt, WindowCounts::of(survey, settings, &bins))
        },
        || {
            let streams = Streams::new(survey);
            let local = settings.local_time;
            (
                norms::anomalies(&streams, &scale.norms, &bins),
                fleet::table(&streams, local),
                fleet::source_hours(&streams, local),
            )
        },
    );
    let (candidates, membership) = assign(survey, samples, &learnt, &bins, settings);
    let background = Background {
        survey,
        scale: &scale,
        bins: &bins,
        counts: &counts,
        settings,
    };
    let (clusters, numbers) = describe::describe(&candidates, &background);
    let since_when = counts.first_of_model(survey);
    norms::coincide(&mut norm_anomalies, &clusters, &since_when, window);
    let clustered = clusters.iter().map(|cluster| cluster.size).sum();
    PatternAnalysis {
        // Groups that became no pattern have no number.
        assignments: membership
            .into_iter()
            .filter_map(|(id, group)| Some((id, numbers[group]?)))
            .collect(),
        exemplar_inputs: samples.inputs_of_exemplars(&clusters),
        report: PatternReport {
            schema: SCHEMA,
            window: Window {
                from: settings.since.or(survey.span.map(|span| span[0])),
                to: settings.until.or(survey.span.map(|span| span[1])),
                utc_offset: offset(window[1], settings.local_time),
                source: settings.source.clone(),
                low_by: LowBy::of(settings.max_score),
                max_score: settings.max_score,
                inputs,
            },
            totals: Totals {
                inferences: survey.rows,
                scored: survey.scored,
                low: survey.low_rows,
                errors: survey.errors,
                ..Totals::of_actions(&survey.counts)
            },
            failures: FailureCount::list(survey.failures),
            unclustered: survey.low_rows.saturating_sub(clustered),
            method: Method {
                min_cluster_size,
                learnt_from: samples.low.len() as u64,
                is_sample: samples.are_part_of(survey),
                seed: settings.seed,
                good_rows: samples.good.len() as u64,
                counted_by: survey.hours.as_ref().map(|_| CountedBy::Hour),
                unknown_causes: survey.unknown_causes,
                groups_set_aside: candidates.len() - clusters.len(),
            },
            first_steps: first_steps::list(&clusters, &fleet, survey),
            norm_anomalies,
            clusters,
            fleet,
            timeline: counts.timeline(&bins),
            source_hours,
            comparison: None,
        },
    }
}

/// Counts every low row in its group: the sampled rows in the groups that they formed, or, if the
/// samples are only a part of the low rows, all of these in the group whose causes are nearest.
/// Also returns the rows with their groups, if these are asked for.
fn assign<'a>(
    survey: &Survey,
    samples: &'a Samples,
    (groups, group_of): &(Groups, Vec<Option<usize>>),
    bins: &Bins,
    settings: &Settings,
) -> (Vec<ClusterCandidate<'a>>, Vec<(Uuid, usize)>) {
    let low = &samples.low;
    let levels = GoodNorms::of(&samples.good);
    let mut hours = LocalHours::new(settings.local_time);
    let mut candidates = vec![ClusterCandidate::default(); groups.len()];
    let mut membership = Vec::new();
    for (row, group) in low.iter().zip(group_of) {
        if let Some(group) = group {
            candidates[*group].rows.push(row);
        }
    }
    let counted = |time, source, model, score, norm| Counted {
        time,
        source,
        score,
        norm,
        norm_z: levels.z(model, norm),
    };
    let mut count = |row: &Counted, id: Option<Uuid>, group: Option<usize>| {
        let Some(group) = group else { return };
        candidates[group].tally.add(row, bins, &mut hours);
        membership.extend(id.map(|id| (id, group)));
    };
    if samples.are_part_of(survey) {
        for (at, low) in survey.lows.iter().flatten().enumerate() {
            let row = survey.low_row(*low);
            let counted = counted(row.time(), row.source, row.model, row.score(), row.norm);
            let directed = low.causes().map(features::direction);
            let group = directed.and_then(|direction| groups.by_causes(&direction));
            count(&counted, survey.low_ids.get(at).copied(), group);
        }
    } else {
        for (row, group) in low.iter().zip(group_of) {
            let counted = counted(row.time, row.source, row.model, row.score, row.norm);
            let id = settings.with_assignments.then_some(row.id);
            count(&counted, id, *group);
        }
    }
    membership.sort_unstable();
    (candidates, membership)
}

impl Input {
    fn name(&self) -> String {
        match &self.rows {
            Rows::Database(reader) => reader.path().display().to_string(),
            Rows::Parquet(path) => path.display().to_string(),
            Rows::Centre(reader) => reader.target().to_owned(),
        }
    }
}

impl Settings {
    fn min_cluster_size(&self, low_rows: usize) -> usize {
        let share = (CLUSTER_SHARE * low_rows as f64).ceil() as usize;
        self.min_cluster_size
            .unwrap_or_else(|| LEAST_CLUSTER.max(share))
    }

    /// The window that the hours cover which have a part of it.
    fn in_whole_hours(&self) -> Self {
        let hour = TimeDelta::hours(1);
        let begin = |time: DateTime<Utc>| time.duration_trunc(hour).unwrap_or(time);
        let end = |time| match begin(time) {
            whole if whole == time => time,
            earlier => earlier + hour,
        };
        Self {
            since: self.since.map(begin),
            until: self.until.map(end),
            ..self.clone()
        }
    }

    fn filter(&self) -> Filter {
        Filter {
            since: self.since,
            until: self.until,
            source: self.source.clone(),
            ..Filter::default()
        }
    }

    /// The window: as asked for, or what the rows span.
    fn window(&self, survey: &Survey) -> [DateTime<Utc>; 2] {
        let [first, last] = survey.span.unwrap_or([self.since.unwrap_or_default(); 2]);
        let from = self.since.unwrap_or(first);
        [from, self.until.unwrap_or(last).max(from)]
    }
}

/// Difference of local time to UTC at `time`.
fn offset(time: DateTime<Utc>, local: LocalTime) -> String {
    let minutes = (local(time) - time.naive_utc()).num_minutes();
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

#[cfg(test)]
mod tests;
