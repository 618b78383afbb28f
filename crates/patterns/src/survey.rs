//! The first pass over the rows: it counts, and keeps a sample of low and of good rows to learn
//! from. Ids and seed alone decide which rows are sampled. Once it is [settled](Survey::settle), a
//! survey follows from the set of rows: neither their order nor the number of inputs matters.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::mem;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use faceood_engine::quality::{CauseName, Component};
use faceood_log::{LogError, Observation};

use super::{AnalysisError, Settings};

pub(super) const CAUSES: usize = CauseName::ALL.len();

/// Row of a stream in 16 bytes, so that ten million take 160 MB.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamRow {
    /// Seconds since [`EPOCH`].
    pub(super) seconds: u32,
    /// Index into [`Survey::sources`].
    pub(super) source: u32,
    /// Embedding norm; NaN where there is none.
    pub(super) norm: f32,
    /// Score in 65,535ths.
    score: u16,
    /// Index into [`Survey::models`].
    pub(super) model: u16,
}

/// The first second that a stream knows: 2000-01-01 UTC. Clocks that were never set begin later.
const EPOCH: i64 = 946_684_800;

impl StreamRow {
    /// The score, 0…1.
    pub(super) fn score(self) -> f32 {
        f32::from(self.score) / f32::from(u16::MAX)
    }

    /// Whether it is low. The score is kept in steps, so the cut gets half of one.
    pub(super) fn is_low(self, max_score: f32) -> bool {
        self.score() <= max_score + 0.5 / f32::from(u16::MAX)
    }

    /// Orders the rows of one source and one second, of which the stream knows no other order. It
    /// mixes what is known of a row: sorted scores would look like a course of time.
    pub(super) fn tie(self) -> u64 {
        let known = u64::from(self.norm.to_bits()) << 32
            | u64::from(self.score) << 16
            | u64::from(self.model);
        mixed(known.wrapping_add(u64::from(self.seconds).wrapping_mul(GOLDEN)))
    }

    pub(super) fn passes(self, accept: f32) -> bool {
        self.score() >= accept - 0.5 / f32::from(u16::MAX)
    }

    /// When it was, to the second.
    pub(super) fn time(self) -> DateTime<Utc> {
        time_of(self.seconds)
    }
}

/// The time that is `seconds` after the epoch of streams.
pub(super) fn time_of(seconds: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(EPOCH + i64::from(seconds), 0).unwrap_or_default()
}

/// A sampled row with all that the analysis uses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sampled {
    pub(super) id: Uuid,
    /// Which of the inputs has it.
    pub(super) input: usize,
    pub(super) time: DateTime<Utc>,
    /// Index into [`Survey::sources`].
    pub(super) source: u32,
    /// Index into [`Survey::models`].
    pub(super) model: u16,
    pub(super) score: f32,
    /// The embedding's norm; NaN where there is none.
    pub(super) norm: f32,
    /// Weights of the causes, in the order of `CauseName::ALL`.
    pub(super) causes: [f32; CAUSES],
    /// The components, in the order of `Component::ALL`.
    pub(super) components: [Option<f32>; Component::ALL.len()],
    /// Longer side of the face's box.
    pub(super) face_px: Option<f32>,
}

impl Sampled {
    /// Takes over what a brief look leaves out.
    pub(super) fn complete(&mut self, row: &Observation<'_>) {
        self.components = row.components;
        self.face_px = row.box_px.map(|[width, height]| width.max(height));
    }
}

/// Place of a sampled row: its rank and its id. The rest orders rows with the same id: time, name
/// of the source and input.
type Place = (u64, Uuid, DateTime<Utc>, String, usize);

type Sample = BTreeMap<Place, Sampled>;

/// Which pack and calibration judged.
#[derive(Clone, Debug)]
pub(super) struct JudgingModel {
    pub(super) pack: String,
    /// Of the pack.
    pub(super) sha256: String,
    pub(super) calibration: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SourceCounts {
    pub(super) rows: u64,
    pub(super) scored: u64,
    pub(super) low: u64,
    pub(super) errors: u64,
    /// First causes of its low rows.
    pub(super) causes: [u32; CAUSES],
}

/// A low row, in 16 bytes: its place in the stream, and its causes in 255ths.
#[derive(Clone, Copy, Debug)]
pub(super) struct LowRow {
    /// Handle for [`Survey::row`].
    pub(super) row: u32,
    causes: [u8; CAUSES],
}

impl LowRow {
    pub(super) fn causes(self) -> [f32; CAUSES] {
        self.causes.map(|weight| f32::from(weight) / 255.0)
    }
}

#[derive(Default)]
pub(super) struct Survey {
    max_score: f32,
    good_score: f32,
    seed: u64,
    keeps_ids: bool,
    /// Largest samples of low and of good rows.
    sample_rows: usize,
    /// Every low row; in pieces as the stream is.
    pub(super) lows: Vec<Vec<LowRow>>,
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
    /// Every row with a score, in any order. It is in pieces, since growing one would take twice
    /// the memory.
    pub(super) stream: Vec<Vec<StreamRow>>,
    pub(super) stream_rows: u32,
    low: Sample,
    good: Sample,
    pub(super) rows: u64,
    pub(super) low_rows: u64,
    pub(super) errors: u64,
    /// The earliest and the latest row.
    pub(super) span: Option<[DateTime<Utc>; 2]>,
}

/// Rows of a piece of the stream.
const PIECE: usize = 1 << 16;

impl Survey {
    /// A survey that has seen no row. Rows from `good_score` on say what is usual.
    pub(super) fn new(settings: &Settings, good_score: f32) -> Self {
        Self {
            max_score: settings.max_score,
            good_score,
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
        self.rows += 1;
        let [from, to] = self.span.unwrap_or([row.time; 2]);
        self.span = Some([from.min(row.time), to.max(row.time)]);
        let source = self.source(prefix, row.source.unwrap_or_default());
        let counts = &mut self.counts[source as usize];
        counts.rows += 1;
        if row.is_error {
            self.errors += 1;
            counts.errors += 1;
        }
        let Some(score) = row.quality_score else {
            return Ok(());
        };
        counts.scored += 1;
        let model = self.model(
            row.pack.unwrap_or_default(),
            row.pack_sha256.unwrap_or_default(),
            row.calibration_id.unwrap_or_default(),
        );
        let norm = row.embedding_norm.unwrap_or(f32::NAN);
        let seconds = (row.time.timestamp() - EPOCH).clamp(0, i64::from(u32::MAX)) as u32;
        let streamed = StreamRow {
            seconds,
            source,
            norm,
            score: (score.clamp(0.0, 1.0) * f32::from(u16::MAX)).round() as u16,
            model,
        };
        keep(&mut self.stream, streamed);
        let place = self.stream_rows;
        self.stream_rows += 1;
        let is_low = score <= self.max_score;
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
        let mut causes = [0.0; CAUSES];
        for cause in row.causes()? {
            causes[cause.name as usize] = cause.weight.clamp(0.0, 1.0);
        }
        if is_wanted {
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
            self.low_rows += 1;
            let low = LowRow {
                row: place,
                causes: causes.map(|weight| (weight * 255.0).round() as u8),
            };
            keep(&mut self.lows, low);
            if self.keeps_ids {
                self.low_ids.push(row.id);
            }
            let counts = &mut self.counts[source as usize];
            counts.low += 1;
            if let Some(first) = first(&causes) {
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
            let sum = &mut self.counts[source as usize];
            sum.rows += count.rows;
            sum.scored += count.scored;
            sum.low += count.low;
            sum.errors += count.errors;
            for (sum, count) in sum.causes.iter_mut().zip(count.causes) {
                *sum += count;
            }
        }
        for mut row in other.stream.into_iter().flatten() {
            (row.source, row.model) = renumbered(row.source, row.model);
            keep(&mut self.stream, row);
        }
        for mut low in other.lows.into_iter().flatten() {
            low.row += self.stream_rows;
            keep(&mut self.lows, low);
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
        self.low_rows += other.low_rows;
        self.errors += other.errors;
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
        let is_same = |order: &[u32]| order.is_sorted();
        if is_same(&sources) && is_same(&models) {
            return Ok(());
        }
        let (sources, models) = (inverted(&sources), inverted(&models));
        let renumber = |source: &mut u32, model: &mut u16| {
            *source = sources[*source as usize];
            *model = models[usize::from(*model)] as u16;
        };
        for row in self.stream.iter_mut().flatten() {
            renumber(&mut row.source, &mut row.model);
        }
        for row in self.low.values_mut().chain(self.good.values_mut()) {
            renumber(&mut row.source, &mut row.model);
        }
        Ok(())
    }

    pub(super) fn row(&self, at: u32) -> StreamRow {
        self.stream[at as usize / PIECE][at as usize % PIECE]
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

/// Puts a row into a sample, and takes the one of highest rank out if there are more than `most`.
fn add(sample: &mut Sample, place: Place, row: Sampled, most: usize) {
    sample.insert(place, row);
    if sample.len() > most {
        sample.pop_last();
    }
}

/// The old places in the order of `names`.
fn sorted<T: Ord>(names: &[T]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..names.len() as u32).collect();
    order.sort_unstable_by_key(|&place| &names[place as usize]);
    order
}

/// What stands at the places of `order`.
fn permuted<T: Clone>(all: &[T], order: &[u32]) -> Vec<T> {
    let one = |&place: &u32| all[place as usize].clone();
    order.iter().map(one).collect()
}

/// For each old place the new one.
fn inverted(order: &[u32]) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    for (new, &old) in (0..).zip(order) {
        places[old as usize] = new;
    }
    places
}

/// The cause of largest weight, if any.
pub(super) fn first(causes: &[f32; CAUSES]) -> Option<usize> {
    (0..CAUSES)
        .filter(|&index| causes[index] > 0.0)
        .max_by(|&a, &b| causes[a].total_cmp(&causes[b]).then(b.cmp(&a)))
}

/// 2^64 divided by the golden ratio, as SplitMix64 steps.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A pseudo-random number from id and seed.
fn rank(id: Uuid, seed: u64) -> u64 {
    let (high, low) = id.as_u64_pair();
    mixed(high.rotate_left(32) ^ low ^ seed.wrapping_mul(GOLDEN))
}

/// Mixes the bits of a number; no two become the same (the finaliser of SplitMix64; Steele, Lea
/// and Flood 2014).
fn mixed(mut number: u64) -> u64 {
    for factor in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        number = (number ^ (number >> 30)).wrapping_mul(factor);
    }
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
