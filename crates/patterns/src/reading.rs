//! Reads the inputs into the survey and its samples.

use std::collections::{HashMap, HashSet};
use std::fs;

use faceood_log::{Filter, LogError, Observation};
use rayon::prelude::*;
use uuid::Uuid;

use super::report::Cluster;
use super::survey::{Sampled, Survey};
use super::{AnalysisError, Input, Rows, Settings, parquet};

/// Scores from here on are good (`Grade::Good`): they say what is usual.
const GOOD: f32 = 0.6;

pub(super) struct Samples {
    pub(super) low: Vec<Sampled>,
    pub(super) good: Vec<Sampled>,
}

impl Samples {
    /// Whether there are more low rows than were sampled.
    pub(super) fn are_part_of(&self, survey: &Survey) -> bool {
        survey.low_rows > self.low.len() as u64
    }

    /// For each pattern, which input has each of its exemplars.
    pub(super) fn inputs_of_exemplars(&self, clusters: &[Cluster]) -> Vec<Vec<usize>> {
        let input_of = |id: &Uuid| {
            let row = self.low.iter().find(|row| row.id == *id);
            row.map_or(0, |row| row.input)
        };
        let exemplars = clusters.iter().map(|cluster| cluster.exemplars.iter());
        exemplars.map(|ids| ids.map(input_of).collect()).collect()
    }
}

/// A survey before its first row.
pub(super) fn unseen(settings: &Settings) -> Survey {
    Survey::new(settings, GOOD.max(settings.max_score))
}

/// Reads every row of the inputs once, then the sampled rows in full.
pub(super) fn survey(
    inputs: &[Input],
    settings: &Settings,
) -> Result<(Survey, Samples), AnalysisError> {
    refuse_same_files(inputs)?;
    let mut survey = unseen(settings);
    for (index, input) in inputs.iter().enumerate() {
        let seen = |filter: &Filter| -> Result<Survey, LogError> {
            let mut part = unseen(settings);
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
    survey.settle()?;
    let [mut low, mut good] = survey.take_samples();
    refuse_same_rows(inputs, &low)?;
    refuse_same_rows(inputs, &good)?;
    complete(inputs, &mut low)?;
    complete(inputs, &mut good)?;
    Ok((survey, Samples { low, good }))
}

/// A file that is given twice would be counted twice.
fn refuse_same_files(inputs: &[Input]) -> Result<(), AnalysisError> {
    let mut seen = HashSet::new();
    for input in inputs {
        // What cannot be found says so when it is opened.
        let file = fs::canonicalize(input.path()).unwrap_or_else(|_| input.path().to_owned());
        if !seen.insert(file) {
            return Err(AnalysisError::SameFile(input.path().to_owned()));
        }
    }
    Ok(())
}

/// A row that two inputs have, as a log and its backup do, would be counted twice. The samples
/// show it, since the ids decide which rows are in them.
fn refuse_same_rows(inputs: &[Input], rows: &[Sampled]) -> Result<(), AnalysisError> {
    let is_same = |pair: &&[Sampled]| pair[0].id == pair[1].id && pair[0].input != pair[1].input;
    let Some(pair) = rows.windows(2).find(is_same) else {
        return Ok(());
    };
    let path = |row: &Sampled| inputs[row.input].path().to_owned();
    Err(AnalysisError::SameRows(path(&pair[0]), path(&pair[1]), pair[0].id))
}

/// Shows every row of `input` that `filter` finds to `visit`.
fn each(
    input: &Input,
    filter: &Filter,
    mut visit: impl FnMut(&Observation<'_>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    // Inputs have different prefixes, and a source may be asked for with its prefix.
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

/// Completes the sampled rows with what the first pass left out.
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
