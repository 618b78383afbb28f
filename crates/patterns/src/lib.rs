//! Finds recurring patterns among captures with low scores: which degradations keep coming
//! back, where, and since when. It also finds changes of the embedding norm. It reads only rows
//! of the log, no pictures and no models.
//!
//! The steps of [`analyze`]:
//! 1. [`reading`] passes every row once to [`survey`], which counts rows and keeps a sample of
//!    low and of good ones.
//! 2. [`features`] turns each sampled row into a point, scaled by the good rows. [`cluster`]
//!    groups the points.
//! 3. Every low row is assigned to a group. [`tally`] counts the rows of each group.
//! 4. [`describe`] tests each group for significance and describes it, with [`trend`],
//!    [`words`] and [`baseline`].
//! 5. [`norms`] and [`fleet`] examine each source over time, with [`changes`].
//! 6. [`report`] is the result. [`render`] shows it as text or HTML.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDateTime, Utc};
use uuid::Uuid;

use faceood::inference_log::{Filter, LogError, LogReader};

mod baseline;
mod changes;
mod cluster;
pub mod compare;
mod describe;
mod features;
mod fleet;
mod norms;
mod parquet;
mod reading;
pub mod render;
pub mod report;
mod significance;
mod streams;
mod survey;
mod tally;
mod trend;
mod words;

pub use report::PatternReport;

use baseline::{GoodNorms, WindowCounts};
use cluster::Groups;
use describe::{Background, ClusterCandidate};
use features::{FeaturePoint, NormModel, Scale};
use reading::Samples;
use report::{FleetRow, Method, NormAnomaly, SCHEMA, SourceHours, Totals, Window};
use streams::Streams;
use survey::{Sampled, Survey};
use tally::{Counted, LocalHours, Tally};
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
    /// Rows up to this score are low.
    pub max_score: f32,
    /// Smallest pattern in rows; `None` derives it from the data.
    pub min_cluster_size: Option<usize>,
    /// Score from which a capture passes.
    pub accept: f32,
    /// Name of the scenario with that threshold.
    pub scenario: String,
    /// Seed of the sample.
    pub seed: u64,
    /// The time zone of hours and days.
    pub local_time: LocalTime,
    /// Whether to return the pattern of each row.
    pub with_assignments: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            source: None,
            max_score: 0.4,
            min_cluster_size: None,
            accept: 0.6,
            scenario: "access".to_owned(),
            seed: 1,
            local_time: |time| time.naive_utc(),
            with_assignments: false,
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
    /// Row and pattern, in the order of inputs and time; empty unless asked for.
    pub assignments: Vec<(Uuid, u32)>,
    /// For each exemplar of each pattern, the index of its input.
    pub exemplar_inputs: Vec<Vec<usize>>,
}

/// Smallest pattern in rows, where the data are few.
const LEAST_CLUSTER: usize = 20;

/// Smallest pattern as a share of the sampled low rows, where they are many.
const CLUSTER_SHARE: f64 = 0.01;

/// Finds the patterns in `inputs`. Blocks the thread.
///
/// # Errors
/// What an input's database or file says.
pub fn analyze(inputs: &[Input], settings: &Settings) -> Result<PatternAnalysis, LogError> {
    let (survey, samples) = reading::survey(inputs, settings)?;
    let window = settings.window(&survey);
    let bins = Bins::over(window[0], window[1]);
    let all: Vec<&Sampled> = samples.low.iter().chain(&samples.good).collect();
    let good: Vec<&Sampled> = samples.good.iter().collect();
    let scale = Scale::fit(&good, NormModel::fit(&all));
    let (learnt, courses) = rayon::join(
        || LearntPatterns::new(&survey, &samples, &scale, &bins, settings),
        || Courses::of(&survey, &scale, &bins, settings),
    );
    let assigned = assign(&survey, &samples, &learnt, &bins, settings);
    let candidates = candidates(assigned.tallies, &samples, &learnt);
    let background = Background {
        survey: &survey,
        scale: &scale,
        bins: &bins,
        by_bin: &learnt.counts.by_bin,
        by_hour: &learnt.counts.by_hour,
        passing: &learnt.counts.passing,
        settings,
    };
    let (clusters, numbers) = describe::describe(&candidates, &background);
    Ok(PatternAnalysis {
        assignments: numbered(assigned.membership, &numbers),
        exemplar_inputs: samples.inputs_of_exemplars(&clusters),
        report: PatternReport {
            schema: SCHEMA,
            window: Window {
                from: settings.since.or(survey.span.map(|span| span[0])),
                to: settings.until.or(survey.span.map(|span| span[1])),
                utc_offset: offset(window[1], settings.local_time),
                source: settings.source.clone(),
                max_score: settings.max_score,
                inputs: inputs.iter().map(Input::name).collect(),
            },
            totals: Totals {
                inferences: survey.rows,
                scored: learnt.counts.by_bin.iter().sum(),
                low: survey.low_rows,
                errors: survey.errors,
            },
            unclustered: {
                let clustered = clusters.iter().map(|cluster| cluster.size).sum();
                survey.low_rows.saturating_sub(clustered)
            },
            method: Method {
                min_cluster_size: learnt.min_size,
                learnt_from: samples.low.len() as u64,
                is_sample: samples.are_part_of(&survey),
                seed: settings.seed,
                good_rows: samples.good.len() as u64,
                groups_set_aside: learnt.groups.len() - clusters.len(),
            },
            norm_anomalies: {
                let since_when = learnt.counts.first_of_model(&survey);
                let mut anomalies = courses.norm_anomalies;
                norms::coincide(&mut anomalies, &clusters, &since_when, window);
                anomalies
            },
            clusters,
            fleet: courses.fleet,
            timeline: learnt.counts.timeline(&bins),
            source_hours: courses.source_hours,
            comparison: None,
        },
    })
}

/// The groups that the sampled low rows form.
struct LearntPatterns {
    min_size: usize,
    groups: Groups,
    /// Of each sampled low row.
    group_of: Vec<Option<usize>>,
    counts: WindowCounts,
}

impl LearntPatterns {
    fn new(
        survey: &Survey,
        samples: &Samples,
        scale: &Scale,
        bins: &Bins,
        settings: &Settings,
    ) -> Self {
        let low = &samples.low;
        let share = (CLUSTER_SHARE * low.len() as f64).ceil() as usize;
        let min_size = settings
            .min_cluster_size
            .unwrap_or_else(|| LEAST_CLUSTER.max(share));
        let points: Vec<FeaturePoint> = low.iter().map(|row| scale.point(row)).collect();
        let (groups, group_of) = Groups::learn(&points, min_size);
        Self {
            min_size,
            groups,
            group_of,
            counts: WindowCounts::of(survey, settings, bins),
        }
    }
}

struct Courses {
    norm_anomalies: Vec<NormAnomaly>,
    fleet: Vec<FleetRow>,
    source_hours: Vec<SourceHours>,
}

impl Courses {
    fn of(survey: &Survey, scale: &Scale, bins: &Bins, settings: &Settings) -> Self {
        let (counts, sources, max_score) = (&survey.counts, &survey.sources, settings.max_score);
        let streams = Streams::new(&survey.stream, sources.len());
        let norm_anomalies =
            norms::anomalies(&streams, &survey.models, scale.norms(), sources, bins);
        let fleet = fleet::table(&streams, sources, counts, max_score, settings.local_time);
        let mut hours = LocalHours::new(settings.local_time);
        Self {
            norm_anomalies,
            fleet,
            source_hours: fleet::source_hours(&streams, sources, counts, max_score, &mut hours),
        }
    }
}

/// All low rows by the group that each belongs to.
struct Assigned {
    tallies: Vec<Tally>,
    /// Rows and their groups; empty unless asked for.
    membership: Vec<(Uuid, usize)>,
}

/// Rows and the numbers of their patterns; groups that became no pattern have no number.
fn numbered(membership: Vec<(Uuid, usize)>, numbers: &[Option<u32>]) -> Vec<(Uuid, u32)> {
    membership
        .into_iter()
        .filter_map(|(id, group)| Some((id, numbers[group]?)))
        .collect()
}

/// Counts every low row in its group: the sampled rows in the groups that they formed, or all rows in the group whose causes are
/// nearest, where the samples are only a part of them.
fn assign(
    survey: &Survey,
    samples: &Samples,
    learnt: &LearntPatterns,
    bins: &Bins,
    settings: &Settings,
) -> Assigned {
    let low = &samples.low;
    let levels = GoodNorms::of(&samples.good);
    let mut hours = LocalHours::new(settings.local_time);
    let mut assigned = Assigned {
        tallies: vec![Tally::default(); learnt.groups.len()],
        membership: Vec::new(),
    };
    let mut count = |row: &Counted, id: Option<Uuid>, group: Option<usize>| {
        let Some(group) = group else { return };
        assigned.tallies[group].add(row, bins, &mut hours);
        assigned.membership.extend(id.map(|id| (id, group)));
    };
    if samples.are_part_of(survey) {
        for (at, low) in survey.lows.iter().flatten().enumerate() {
            let row = survey.row(low.row);
            let row = levels.counted(row.time(), row.source, row.model, row.score(), row.norm);
            let group = learnt.groups.by_causes(&features::direction(low.causes()));
            count(&row, survey.low_ids.get(at).copied(), group);
        }
    } else {
        let mut order: Vec<usize> = (0..low.len()).collect();
        order.sort_by_key(|&at| (low[at].input, low[at].time, low[at].id));
        for at in order {
            let row = &low[at];
            let id = settings.with_assignments.then_some(row.id);
            let row = levels.counted(row.time, row.source, row.model, row.score, row.norm);
            count(&row, id, learnt.group_of[at]);
        }
    }
    assigned
}

/// The groups with their counts and their sampled rows.
fn candidates<'a>(
    tallies: Vec<Tally>,
    samples: &'a Samples,
    learnt: &LearntPatterns,
) -> Vec<ClusterCandidate<'a>> {
    let mut candidates: Vec<ClusterCandidate<'_>> = tallies
        .into_iter()
        .map(|tally| ClusterCandidate {
            tally,
            rows: Vec::new(),
        })
        .collect();
    for (row, group) in samples.low.iter().zip(&learnt.group_of) {
        if let Some(group) = group {
            candidates[*group].rows.push(row);
        }
    }
    candidates
}

impl Input {
    fn name(&self) -> String {
        match &self.rows {
            Rows::Database(reader) => reader.path().display().to_string(),
            Rows::Parquet(path) => path.display().to_string(),
        }
    }
}

impl Settings {
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
