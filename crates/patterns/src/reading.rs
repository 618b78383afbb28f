//! Reads the inputs into the survey and its samples.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use faceood_log::{Filter, LogError, Observation};
use rayon::prelude::*;
use uuid::Uuid;

use super::report::Cluster;
use super::survey::{Sampled, Survey};
use super::{AnalysisError, Input, Rows, Settings, centre, parquet};

pub(super) struct Samples {
    pub(super) low: Vec<Sampled>,
    pub(super) good: Vec<Sampled>,
}

impl Samples {
    /// Whether there are more low rows than were sampled.
    pub(super) fn are_part_of(&self, survey: &Survey) -> bool {
        survey.low_rows - survey.faultless > self.low.len() as u64
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

/// Reads every row of the inputs once, then the sampled rows in full.
pub(super) fn survey(
    inputs: &[Input],
    settings: &Settings,
) -> Result<(Survey, Samples), AnalysisError> {
    refuse_same_inputs(inputs)?;
    let share = centre::share(inputs, settings)?;
    let mut survey = Survey::new(settings);
    let is_wanted = |input: &Input| {
        let mut nodes = settings.nodes.iter().flatten();
        settings.nodes.is_none()
            || matches!(input.rows, Rows::Centre(_))
            || nodes.any(|node| *node == input.prefix)
    };
    for (index, input) in inputs
        .iter()
        .enumerate()
        .filter(|(_, input)| is_wanted(input))
    {
        let seen = |filter: &Filter| -> Result<Survey, LogError> {
            let mut part = Survey::new(settings);
            each(input, filter, |row| part.see(index, &input.prefix, row))?;
            Ok(part)
        };
        let parts = match &input.rows {
            Rows::Database(reader) => reader.halves(&settings.filter())?,
            Rows::Parquet(_) => vec![settings.filter()],
            Rows::Centre(reader) => {
                survey.append(centre::survey(index, reader, share, settings)?);
                continue;
            }
        };
        let parts: Vec<Survey> = parts.par_iter().map(seen).collect::<Result<_, _>>()?;
        parts.into_iter().for_each(|part| survey.append(part));
    }
    survey.settle()?;
    let [mut low, mut good] = survey.take_samples();
    refuse_same_rows(inputs, &low)?;
    refuse_same_rows(inputs, &good)?;
    complete(inputs, &mut low, &survey)?;
    complete(inputs, &mut good, &survey)?;
    Ok((survey, Samples { low, good }))
}

/// What is given twice would be counted twice.
fn refuse_same_inputs(inputs: &[Input]) -> Result<(), AnalysisError> {
    let mut seen = HashSet::new();
    for input in inputs {
        let name = match &input.rows {
            Rows::Database(reader) => same(reader.path()),
            Rows::Parquet(path) => same(path),
            // Its name has no port; the rows tell.
            Rows::Centre(_) => continue,
        };
        if !seen.insert(name) {
            return Err(AnalysisError::SameInput(input.name()));
        }
    }
    Ok(())
}

/// A file by its one true path. What cannot be found says so when it is read.
fn same(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A row that two inputs have, as a log and its backup do, would be counted twice. The samples
/// show it, since the ids decide which rows are in them.
fn refuse_same_rows(inputs: &[Input], rows: &[Sampled]) -> Result<(), AnalysisError> {
    let is_same = |pair: &&[Sampled]| pair[0].id == pair[1].id && pair[0].input != pair[1].input;
    let Some(pair) = rows.windows(2).find(is_same) else {
        return Ok(());
    };
    let name = |row: &Sampled| inputs[row.input].name();
    Err(AnalysisError::SameRows(
        name(&pair[0]),
        name(&pair[1]),
        pair[0].id,
    ))
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
        // It is read as a whole, partition by partition.
        Rows::Centre(_) => Ok(()),
    }
}

/// Completes the sampled rows with what the first pass left out.
fn complete(inputs: &[Input], rows: &mut [Sampled], survey: &Survey) -> Result<(), AnalysisError> {
    for (index, input) in inputs.iter().enumerate() {
        let of_input = rows.iter_mut().filter(|row| row.input == index);
        let reader = match &input.rows {
            Rows::Database(reader) => reader,
            // An export is read as a whole from the start.
            Rows::Parquet(_) => continue,
            Rows::Centre(reader) => {
                centre::complete(reader, of_input.collect(), &survey.sources)?;
                continue;
            }
        };
        let mut places: HashMap<Uuid, &mut Sampled> = of_input.map(|row| (row.id, row)).collect();
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
