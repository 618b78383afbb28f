//! The first pass over the rows: it counts, and keeps a sample of low and of good rows to learn
//! from. Ids and seed alone decide which rows are sampled. Once it is [settled](Survey::settle), a
//! survey follows from the set of rows: neither their order nor the number of inputs matters.

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use faceood_engine::problem::ProblemCode;
use faceood_engine::quality::{CauseName, Component};
use faceood_fleet::HourCounts;
use faceood_log::{LogError, Observation};

use super::{AnalysisError, Settings};

mod counts;
mod order;
mod row;
mod rules;
mod sample;

pub(super) use counts::SourceCounts;
pub(super) use row::{StreamRow, time_of};
pub(super) use sample::Sampled;

use counts::add_each;
use order::{inverted, permuted, sorted};
use row::{HourCell, Hours, LowRow, NO_FAULT, Rated, seconds_of};
use rules::Rules;
use sample::{Sample, add, rank};

pub(super) const CAUSES: usize = CauseName::ALL.len();

/// A place for each problem code, and a last one for codes that this release does not know.
pub(super) const FAILURES: usize = ProblemCode::ALL.len() + 1;

/// Which pack and calibration judged.
#[derive(Clone, Debug)]
pub(super) struct JudgingModel {
    pub(super) pack: String,
    /// Of the pack.
    pub(super) sha256: String,
    pub(super) calibration: String,
}

#[derive(Default)]
pub(super) struct Survey {
    rules: Rules,
    good_score: f32,
    seed: u64,
    keeps_ids: bool,
    /// Largest samples of low and of good rows.
    sample_rows: usize,
    /// Every low row; in pieces as the stream is.
    pub(super) lows: Vec<Vec<LowRow>>,
    /// The rows of `lows` in the same order, where the stream does not have them all.
    low_stream: Vec<Vec<StreamRow>>,
    /// Ids of the low rows, where these are wanted.
    pub(super) low_ids: Vec<Uuid>,
    /// Names of the sources, in the order of names once settled; "" stands for rows without one.
    pub(super) sources: Vec<String>,
    places: HashMap<String, u32>,
    /// By source.
    pub(super) counts: Vec<SourceCounts>,
    /// Packs with their calibrations, in the order of hashes and ids once settled.
    pub(super) models: Vec<JudgingModel>,
    /// By hash of the pack and id of the calibration.
    model_places: HashMap<String, HashMap<String, u16>>,
    /// The model of the last row, which is mostly that of the next.
    last_model: u16,
    has_too_many_models: bool,
    /// Every row with a score, in any order; where rows are counted by the hour, a sample of them.
    /// It is in pieces, since growing one would take twice the memory.
    pub(super) stream: Vec<Vec<StreamRow>>,
    pub(super) stream_rows: u32,
    /// What the centre counted, where rows are counted by the hour.
    pub(super) hours: Option<Hours>,
    low: Sample,
    good: Sample,
    pub(super) rows: u64,
    /// Those with a score.
    pub(super) scored: u64,
    pub(super) low_rows: u64,
    /// Causes of low rows that this release does not know.
    pub(super) unknown_causes: u64,
    /// Of them, those that no fault of the face made low: they belong to no pattern.
    pub(super) faultless: u64,
    pub(super) errors: u64,
    /// Of them, those that were read one by one, in the order of `ProblemCode::ALL`.
    pub(super) failures: [u64; FAILURES],
    /// The earliest and the latest row.
    pub(super) span: Option<[DateTime<Utc>; 2]>,
}

/// Scores from here on are good (`Grade::Good`): they say what is usual.
const GOOD: f32 = 0.6;

/// Rows of a piece of the stream.
const PIECE: usize = 1 << 16;

impl Survey {
    /// A survey that has seen no row.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            rules: Rules::new(settings),
            good_score: GOOD.max(settings.max_score.unwrap_or_default()),
            seed: settings.seed,
            keeps_ids: settings.with_assignments,
            sample_rows: settings.sample_rows,
            ..Self::default()
        }
    }

    /// Takes in a row of input number `input`; `prefix` tells sources of different inputs apart.
    pub(super) fn see(
        &mut self,
        input: usize,
        prefix: &str,
        row: &Observation<'_>,
    ) -> Result<(), LogError> {
        let source = self.source(prefix, row.source.unwrap_or_default());
        self.counts[source as usize].count(row);
        self.rows += 1;
        self.scored += u64::from(row.quality_score.is_some());
        if let Some(code) = row.error_code {
            self.errors += 1;
            let mut known = ProblemCode::ALL.into_iter();
            let place = known.position(|problem| problem.code() == code);
            self.failures[place.unwrap_or(FAILURES - 1)] += 1;
        }
        self.look(input, source, row, true)
    }

    /// Takes in a row that the hours have counted; `is_drawn` says whether it is in the sample.
    pub(super) fn see_counted(
        &mut self,
        input: usize,
        prefix: &str,
        row: &Observation<'_>,
        is_drawn: bool,
    ) -> Result<(), LogError> {
        self.hours.get_or_insert_default();
        let source = self.source(prefix, row.source.unwrap_or_default());
        self.look(input, source, row, is_drawn)
    }

    /// Takes in the counts of an hour.
    pub(super) fn see_hour(&mut self, hour: &HourCounts<'_>) {
        let source = self.source(hour.node, hour.source.unwrap_or_default());
        self.counts[source as usize].count_hour(hour);
        self.rows += hour.rows;
        self.scored += hour.scored;
        self.errors += hour.errors;
        let cell = HourCell {
            seconds: seconds_of(hour.hour),
            source,
            scored: u32::try_from(hour.scored).unwrap_or(u32::MAX),
        };
        let hours = self.hours.get_or_insert_default();
        keep(&mut hours.cells, cell);
        let norms = hours.norms.entry(source).or_default();
        norms.0 += hour.normed;
        norms.1.add(hour.norm_sum);
    }

    /// Takes in what a row shows beyond its counts.
    fn look(
        &mut self,
        input: usize,
        source: u32,
        row: &Observation<'_>,
        is_streamed: bool,
    ) -> Result<(), LogError> {
        let [from, to] = self.span.unwrap_or([row.time; 2]);
        self.span = Some([from.min(row.time), to.max(row.time)]);
        let Some(score) = row.quality_score else {
            return Ok(());
        };
        let model = self.model(
            row.pack.unwrap_or_default(),
            row.pack_sha256.unwrap_or_default(),
            row.calibration_id.unwrap_or_default(),
        );
        let norm = row.embedding_norm.unwrap_or(f32::NAN);
        let is_low = self.rules.is_low(row);
        let streamed = StreamRow {
            seconds: seconds_of(row.time),
            source,
            norm,
            rated: Rated::new(score, is_low, self.rules.passes(row)),
            model,
        };
        let mut place = self.stream_rows;
        if is_streamed {
            keep(&mut self.stream, streamed);
            self.stream_rows += 1;
        }
        let rank = rank(row.id, self.seed);
        let sample = if is_low {
            &mut self.low
        } else {
            &mut self.good
        };
        let is_wanted = (is_low || score >= self.good_score)
            && (sample.len() < self.sample_rows
                || sample
                    .last_key_value()
                    .is_some_and(|(worst, _)| rank <= worst.0));
        if !is_low && !is_wanted {
            return Ok(());
        }
        let reasons = if is_low { row.reasons()? } else { Vec::new() };
        let (causes, unknown) = self.rules.causes(row, &reasons)?;
        if let (true, Some(causes)) = (is_wanted, causes) {
            let mut sampled = Sampled {
                id: row.id,
                input,
                time: row.time,
                source,
                model,
                score,
                norm,
                causes,
                components: [None; Component::ALL.len()],
                face_px: None,
            };
            sampled.complete(row);
            let name = self.sources[source as usize].clone();
            let place = (rank, row.id, row.time, name, input);
            add(sample, place, sampled, self.sample_rows);
        }
        if is_low {
            if self.hours.is_some() {
                place = self.low_rows as u32;
                keep(&mut self.low_stream, streamed);
            }
            self.low_rows += 1;
            self.unknown_causes += unknown;
            self.faultless += u64::from(causes.is_none());
            let bytes = |causes: [f32; CAUSES]| causes.map(|weight| (weight * 255.0).round() as u8);
            let low = LowRow {
                row: place,
                causes: causes.map_or(NO_FAULT, bytes),
            };
            keep(&mut self.lows, low);
            if self.keeps_ids {
                self.low_ids.push(row.id);
            }
            let counts = &mut self.counts[source as usize];
            counts.low += 1;
            for reason in reasons {
                counts.reasons[reason as usize] += 1;
            }
            if let Some(first) = causes.as_ref().and_then(first) {
                counts.causes[first] += 1;
            }
        }
        Ok(())
    }

    /// Takes in what `other` saw.
    pub(super) fn append(&mut self, other: Self) {
        let names = other.sources.iter();
        let sources: Vec<u32> = names.map(|name| self.source("", name)).collect();
        let models = other.models.iter();
        let models: Vec<u16> = models
            .map(|model| self.model(&model.pack, &model.sha256, &model.calibration))
            .collect();
        let renumbered = |source: u32, model: u16| {
            let (source, model) = (source as usize, usize::from(model));
            (sources[source], models[model])
        };
        for (count, &source) in other.counts.iter().zip(&sources) {
            self.counts[source as usize].add(count);
        }
        for (rows, others) in [
            (&mut self.stream, other.stream),
            (&mut self.low_stream, other.low_stream),
        ] {
            for mut row in others.into_iter().flatten() {
                (row.source, row.model) = renumbered(row.source, row.model);
                keep(rows, row);
            }
        }
        let rows_before = match &other.hours {
            None => self.stream_rows,
            Some(_) => self.low_rows as u32,
        };
        for mut low in other.lows.into_iter().flatten() {
            low.row += rows_before;
            keep(&mut self.lows, low);
        }
        if let Some(others) = other.hours {
            let hours = self.hours.get_or_insert_default();
            for mut cell in others.cells.into_iter().flatten() {
                cell.source = sources[cell.source as usize];
                keep(&mut hours.cells, cell);
            }
            for (source, (rows, sum)) in others.norms {
                let norms = hours.norms.entry(sources[source as usize]).or_default();
                norms.0 += rows;
                norms.1.join(sum);
            }
        }
        for (sample, others) in [(&mut self.low, other.low), (&mut self.good, other.good)] {
            for (place, mut row) in others {
                (row.source, row.model) = renumbered(row.source, row.model);
                add(sample, place, row, self.sample_rows);
            }
        }
        self.has_too_many_models |= other.has_too_many_models;
        self.low_ids.extend(other.low_ids);
        self.stream_rows += other.stream_rows;
        self.rows += other.rows;
        self.scored += other.scored;
        self.low_rows += other.low_rows;
        self.unknown_causes += other.unknown_causes;
        self.faultless += other.faultless;
        self.errors += other.errors;
        add_each(&mut self.failures, other.failures);
        let spans = self.span.into_iter().chain(other.span);
        self.span = spans.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]);
    }

    /// The source's number; the next free one where it has not been seen.
    fn source(&mut self, prefix: &str, name: &str) -> u32 {
        let full = if prefix.is_empty() {
            Cow::Borrowed(name)
        } else {
            format!("{prefix}/{name}").into()
        };
        if let Some(&place) = self.places.get(full.as_ref()) {
            return place;
        }
        let place = self.sources.len() as u32;
        self.sources.push(full.clone().into_owned());
        self.places.insert(full.into_owned(), place);
        self.counts.push(SourceCounts::default());
        place
    }

    /// The model's number; the next free one where it has not been seen.
    fn model(&mut self, pack: &str, sha256: &str, calibration: &str) -> u16 {
        let place = self.model_place(sha256, calibration).unwrap_or_else(|| {
            let Ok(place) = u16::try_from(self.models.len()) else {
                self.has_too_many_models = true;
                return u16::MAX;
            };
            self.models.push(JudgingModel {
                pack: pack.to_owned(),
                sha256: sha256.to_owned(),
                calibration: calibration.to_owned(),
            });
            let of_pack = self.model_places.entry(sha256.to_owned()).or_default();
            of_pack.insert(calibration.to_owned(), place);
            place
        });
        self.last_model = place;
        // A pack that was renamed has the first of its names.
        let known = &mut self.models[usize::from(place)].pack;
        if pack < known.as_str() {
            pack.clone_into(known);
        }
        place
    }

    fn model_place(&self, sha256: &str, calibration: &str) -> Option<u16> {
        let last = self.models.get(usize::from(self.last_model));
        let is_last =
            last.is_some_and(|last| last.sha256 == sha256 && last.calibration == calibration);
        if is_last {
            return Some(self.last_model);
        }
        self.model_places.get(sha256)?.get(calibration).copied()
    }

    /// Numbers sources and models in the order of their names, whichever row was seen first.
    ///
    /// # Errors
    /// If there are more models than rows can name.
    pub(super) fn settle(&mut self) -> Result<(), AnalysisError> {
        if self.has_too_many_models {
            return Err(AnalysisError::TooManyModels);
        }
        let sources = sorted(&self.sources);
        let by_key = |model: &JudgingModel| (model.sha256.clone(), model.calibration.clone());
        let models = sorted(&self.models.iter().map(by_key).collect::<Vec<_>>());
        self.sources = permuted(&self.sources, &sources);
        self.counts = permuted(&self.counts, &sources);
        self.models = permuted(&self.models, &models);
        // Numbers were only needed to see and to append.
        (self.places, self.model_places) = Default::default();
        if sources.is_sorted() && models.is_sorted() {
            return Ok(());
        }
        let (sources, models) = (inverted(&sources), inverted(&models));
        let renumber = |source: &mut u32, model: &mut u16| {
            *source = sources[*source as usize];
            *model = models[usize::from(*model)] as u16;
        };
        for row in self.stream.iter_mut().chain(&mut self.low_stream).flatten() {
            renumber(&mut row.source, &mut row.model);
        }
        if let Some(hours) = &mut self.hours {
            for cell in hours.cells.iter_mut().flatten() {
                cell.source = sources[cell.source as usize];
            }
            let norms = std::mem::take(&mut hours.norms).into_iter();
            hours.norms = norms
                .map(|(source, sum)| (sources[source as usize], sum))
                .collect();
        }
        for row in self.low.values_mut().chain(self.good.values_mut()) {
            renumber(&mut row.source, &mut row.model);
        }
        Ok(())
    }

    pub(super) fn row(&self, at: u32) -> StreamRow {
        self.stream[at as usize / PIECE][at as usize % PIECE]
    }

    pub(super) fn low_row(&self, low: LowRow) -> StreamRow {
        let rows = match self.hours {
            None => &self.stream,
            Some(_) => &self.low_stream,
        };
        rows[low.row as usize / PIECE][low.row as usize % PIECE]
    }

    /// The sampled low and good rows, each in the order of rank.
    pub(super) fn take_samples(&mut self) -> [Vec<Sampled>; 2] {
        [&mut self.low, &mut self.good].map(|sample| mem::take(sample).into_values().collect())
    }
}

/// Puts a row into the last piece, or into a new one if that is full.
fn keep<T>(pieces: &mut Vec<Vec<T>>, row: T) {
    if pieces.last().is_none_or(|piece| piece.len() == PIECE) {
        pieces.push(Vec::with_capacity(PIECE));
    }
    if let Some(piece) = pieces.last_mut() {
        piece.push(row);
    }
}

/// The cause of largest weight, if any.
pub(super) fn first(causes: &[f32; CAUSES]) -> Option<usize> {
    (0..CAUSES)
        .filter(|&index| causes[index] > 0.0)
        .max_by(|&a, &b| causes[a].total_cmp(&causes[b]).then(b.cmp(&a)))
}

#[cfg(test)]
mod tests;
