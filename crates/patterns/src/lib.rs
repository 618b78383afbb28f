//! Patterns among low scorers, from the log alone: which degradations keep coming, where, since when, and where the embedding norm is not
//! what it was.
//!
//! The data's way: [`survey`] looks at every row once, counts, and keeps a sample of low and good rows; [`features`] makes points of them,
//! scaled by the good ones; [`cluster`] finds groups and assigns the rows that the sample does not have; [`tally`] counts
//! them; [`describe`] tests and words them, with [`trend`] and [`words`]; [`norms`] and [`fleet`] look at each source's course
//! ([`changes`]). [`report`] is what comes out, [`render`] shows it. It reads the log and nothing else: no picture, no model.

use std::collections::HashMap;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDateTime, Utc};
use rayon::prelude::*;
use uuid::Uuid;

use faceood::inference_log::{Filter, LogError, LogReader, Observation};

mod changes;
mod cluster;
pub mod compare;
mod describe;
mod features;
mod fleet;
mod norms;
mod parquet;
pub mod render;
pub mod report;
mod significance;
mod streams;
mod survey;
mod tally;
mod trend;
mod words;

pub use features::usual_spread;
pub use report::Report;

use cluster::Groups;
use describe::{Background, Candidate};
use features::{NormModel, Point, Scale};
use report::{Bin, Method, SCHEMA, Totals, Window};
use streams::Streams;
use survey::{Sampled, Survey};
use tally::{Counted, LocalHours, Tally};
use trend::{BINS, Bins};

/// What time a clock on the wall shows.
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
    /// Rows that a pattern needs; from the data where not given.
    pub min_cluster_size: Option<usize>,
    /// A capture passes from this score on.
    pub accept: f32,
    /// Name of the scenario in which it does.
    pub scenario: String,
    /// What a sample is drawn by.
    pub seed: u64,
    /// The time zone of hours and days.
    pub local_time: LocalTime,
    /// Whether to say which row belongs to which pattern.
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

/// Where rows come from.
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
    /// What its sources' names begin with, with a `/`; empty where there is one input only.
    pub prefix: String,
    /// Its rows.
    pub rows: Rows,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The report.
    pub report: Report,
    /// Row and pattern, in the order of the inputs and of time; empty unless asked for.
    pub assignments: Vec<(Uuid, u32)>,
    /// Of each pattern's exemplars, which input has the row.
    pub exemplar_inputs: Vec<Vec<usize>>,
}

/// Rows that a pattern needs at least, where the data are few.
const LEAST_CLUSTER: usize = 20;

/// Share of the rows that were learnt from which a pattern needs, where they are many.
const CLUSTER_SHARE: f64 = 0.01;

/// Scores from here on are good (`Grade::Good`): they say what is usual.
const GOOD: f32 = 0.6;

/// Finds the patterns in `inputs`. Blocks the thread.
///
/// # Errors
/// What an input's database or file says.
pub fn analyze(inputs: &[Input], settings: &Settings) -> Result<Analysis, LogError> {
    let good_score = GOOD.max(settings.max_score);
    let unseen = || {
        Survey::new(
            settings.max_score,
            good_score,
            settings.seed,
            settings.with_assignments,
        )
    };
    let mut survey = unseen();
    for (index, input) in inputs.iter().enumerate() {
        let seen = |filter: &Filter| -> Result<Survey, LogError> {
            let mut part = unseen();
            each(input, filter, |row| part.see(index, &input.prefix, row))?;
            Ok(part)
        };
        let parts = match &input.rows {
            Rows::Database(reader) => reader.halves(&settings.filter())?,
            Rows::Parquet(_) => vec![settings.filter()],
        };
        let parts: Vec<Survey> = parts.par_iter().map(seen).collect::<Result<_, _>>()?;
        parts.into_iter().for_each(|part| survey.append(part));
    }
    let (mut low, mut good) = survey.take_samples();
    complete(inputs, &mut low)?;
    complete(inputs, &mut good)?;
    let everybody: Vec<&Sampled> = low.iter().chain(&good).collect();
    let good_rows: Vec<&Sampled> = good.iter().collect();
    let scale = Scale::fit(&good_rows, NormModel::fit(&everybody));
    let levels = GoodNorms::of(&good);

    let min_size = settings
        .min_cluster_size
        .unwrap_or_else(|| LEAST_CLUSTER.max((CLUSTER_SHARE * low.len() as f64).ceil() as usize));
    let points: Vec<Point> = low.iter().map(|row| scale.point(row)).collect();
    let [from, to] = settings.window(&survey);
    let bins = Bins::over(from, to);
    let learn = || {
        let learnt = Groups::learn(&points, min_size);
        (learnt, Everything::of(&survey, settings, &bins))
    };
    let look = || {
        let (counts, sources, max_score) = (&survey.counts, &survey.sources, settings.max_score);
        let streams = Streams::new(&survey.stream, sources.len());
        let norms = norms::anomalies(&streams, &survey.models, scale.norms(), sources, &bins);
        let fleet = fleet::table(&streams, sources, counts, max_score, settings.local_time);
        let mut hours = LocalHours::new(settings.local_time);
        let day = fleet::source_hours(&streams, sources, counts, max_score, &mut hours);
        (norms, fleet, day)
    };
    let (learnt, looked) = rayon::join(learn, look);
    let ((groups, found), everything) = learnt;
    let (mut norm_anomalies, fleet, source_hours) = looked;

    let mut hours = LocalHours::new(settings.local_time);
    let mut tallies = vec![Tally::default(); groups.len()];
    let mut membership: Vec<(Uuid, usize)> = Vec::new();
    let is_sample = survey.low_rows > low.len() as u64;
    let mut count = |row: &Counted, id: Option<Uuid>, group: Option<usize>| {
        let Some(group) = group else { return };
        tallies[group].add(row, &bins, &mut hours);
        if let Some(id) = id {
            membership.push((id, group));
        }
    };
    if is_sample {
        for (at, low) in survey.lows.iter().flatten().enumerate() {
            let row = survey.row(low.row);
            let row = levels.counted(row.time(), row.source, row.model, row.score(), row.norm);
            let group = groups.by_causes(&features::direction(low.causes()));
            count(&row, survey.low_ids.get(at).copied(), group);
        }
    } else {
        let mut order: Vec<usize> = (0..low.len()).collect();
        order.sort_by_key(|&at| (low[at].input, low[at].time, low[at].id));
        for at in order {
            let row = &low[at];
            let id = settings.with_assignments.then_some(row.id);
            let row = levels.counted(row.time, row.source, row.model, row.score, row.norm);
            count(&row, id, found[at]);
        }
    }

    let mut candidates: Vec<Candidate<'_>> = tallies
        .into_iter()
        .map(|tally| Candidate {
            tally,
            rows: Vec::new(),
        })
        .collect();
    for (row, group) in low.iter().zip(&found) {
        if let Some(group) = group {
            candidates[*group].rows.push(row);
        }
    }
    let background = Background {
        survey: &survey,
        scale: &scale,
        bins: &bins,
        by_bin: &everything.by_bin,
        by_hour: &everything.by_hour,
        passing: &everything.passing,
        settings,
    };
    let (clusters, numbers) = describe::describe(&candidates, &background);
    let since_when = everything.first_of_model(&survey);
    norms::coincide(&mut norm_anomalies, &clusters, &since_when, [from, to]);
    let input_of = |id: &Uuid| {
        low.iter()
            .find(|row| row.id == *id)
            .map_or(0, |row| row.input)
    };
    let exemplar_inputs = clusters
        .iter()
        .map(|cluster| cluster.exemplars.iter().map(input_of).collect())
        .collect();
    let clustered: u64 = clusters.iter().map(|cluster| cluster.size).sum();
    let assignments = membership
        .into_iter()
        .filter_map(|(id, group)| Some((id, numbers[group]?)))
        .collect();
    let report = Report {
        schema: SCHEMA,
        window: Window {
            from: settings.since.or(survey.span.map(|span| span[0])),
            to: settings.until.or(survey.span.map(|span| span[1])),
            utc_offset: offset(to, settings.local_time),
            source: settings.source.clone(),
            max_score: settings.max_score,
            inputs: inputs.iter().map(Input::name).collect(),
        },
        totals: Totals {
            inferences: survey.rows,
            scored: everything.by_bin.iter().sum(),
            low: survey.low_rows,
            errors: survey.errors,
        },
        unclustered: survey.low_rows.saturating_sub(clustered),
        method: Method {
            min_cluster_size: min_size,
            learnt_from: low.len() as u64,
            is_sample,
            seed: settings.seed,
            good_rows: good.len() as u64,
            groups_set_aside: groups.len() - clusters.len(),
        },
        clusters,
        norm_anomalies,
        fleet,
        timeline: everything.timeline(&bins),
        source_hours,
        comparison: None,
    };
    Ok(Analysis {
        report,
        assignments,
        exemplar_inputs,
    })
}

impl Input {
    fn name(&self) -> String {
        match &self.rows {
            Rows::Database(reader) => reader.path().display().to_string(),
            Rows::Parquet(path) => path.display().to_string(),
        }
    }
}

/// Shows every row of `input` that `filter` finds to `visit`.
fn each(
    input: &Input,
    filter: &Filter,
    mut visit: impl FnMut(&Observation<'_>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    // Inputs are told apart by a prefix, and one source may be asked for with it.
    let mut filter = filter.clone();
    if let (false, Some(source)) = (input.prefix.is_empty(), &filter.source)
        && let Some((prefix, name)) = source.split_once('/')
    {
        if prefix != input.prefix {
            return Ok(());
        }
        filter.source = Some(name.to_owned());
    }
    match &input.rows {
        Rows::Database(reader) => reader.scan(&filter, visit),
        Rows::Parquet(path) => parquet::scan(path, &filter, &mut visit),
    }
}

/// Reads what the first look left out, of the rows that were sampled.
fn complete(inputs: &[Input], rows: &mut [Sampled]) -> Result<(), LogError> {
    for (index, input) in inputs.iter().enumerate() {
        // An export is read as a whole from the start.
        let Rows::Database(reader) = &input.rows else {
            continue;
        };
        let mut places: HashMap<Uuid, &mut Sampled> = rows
            .iter_mut()
            .filter(|row| row.input == index)
            .map(|row| (row.id, row))
            .collect();
        let ids: Vec<Uuid> = places.keys().copied().collect();
        reader.scan_ids(&ids, |row| {
            if let Some(sampled) = places.get_mut(&row.id) {
                sampled.complete(row);
            }
            Ok(())
        })?;
    }
    Ok(())
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

/// Mean and standard deviation of good captures' norms, by model.
struct GoodNorms(Vec<Option<[f64; 2]>>);

impl GoodNorms {
    fn of(good: &[Sampled]) -> Self {
        let models = good.iter().map(|row| usize::from(row.model) + 1).max();
        let mut sums = vec![[0.0; 3]; models.unwrap_or(0)];
        for row in good.iter().filter(|row| row.norm.is_finite()) {
            let norm = f64::from(row.norm);
            let sum = &mut sums[usize::from(row.model)];
            *sum = [sum[0] + 1.0, sum[1] + norm, sum[2] + norm * norm];
        }
        let level = |[count, sum, squares]: [f64; 3]| {
            let mean = sum / count;
            let deviation = (squares / count - mean * mean).max(0.0).sqrt();
            (count >= 2.0).then(|| [mean, deviation.max(1e-6)])
        };
        Self(sums.into_iter().map(level).collect())
    }

    fn counted(
        &self,
        time: DateTime<Utc>,
        source: u32,
        model: u16,
        score: f32,
        norm: f32,
    ) -> Counted {
        let level = self.0.get(usize::from(model)).copied().flatten();
        Counted {
            time,
            source,
            score,
            norm,
            norm_z: level.map_or(f64::NAN, |[mean, deviation]| {
                (f64::from(norm) - mean) / deviation
            }),
        }
    }
}

/// What all rows with a score are.
struct Everything {
    by_bin: Vec<u64>,
    low_by_bin: Vec<u64>,
    by_hour: [u64; 24],
    passing: Vec<u64>,
    first_of_model: Vec<u32>,
}

impl Everything {
    fn of(survey: &Survey, settings: &Settings, bins: &Bins) -> Self {
        let mut all = Self {
            by_bin: vec![0; BINS],
            low_by_bin: vec![0; BINS],
            by_hour: [0; 24],
            passing: vec![0; survey.sources.len()],
            first_of_model: vec![u32::MAX; survey.models.len()],
        };
        let mut hours = LocalHours::new(settings.local_time);
        for row in survey.stream.iter().flatten() {
            let bin = bins.of(row.time());
            all.by_bin[bin] += 1;
            all.low_by_bin[bin] += u64::from(row.is_low(settings.max_score));
            all.by_hour[hours.of(row.time())] += 1;
            all.passing[row.source as usize] += u64::from(row.passes(settings.accept));
            let first = &mut all.first_of_model[usize::from(row.model)];
            *first = row.seconds.min(*first);
        }
        all
    }

    fn first_of_model(&self, survey: &Survey) -> Vec<(survey::Model, DateTime<Utc>)> {
        let mut models: Vec<_> = survey
            .models
            .iter()
            .cloned()
            .zip(
                self.first_of_model
                    .iter()
                    .map(|&seconds| survey::time_of(seconds)),
            )
            .collect();
        models.sort_by_key(|(_, since)| *since);
        models
    }

    fn timeline(&self, bins: &Bins) -> Vec<Bin> {
        let both = self.by_bin.iter().zip(&self.low_by_bin).enumerate();
        both.map(|(bin, (&scored, &low))| Bin {
            from: bins.begin(bin),
            scored,
            low,
        })
        .collect()
    }
}
