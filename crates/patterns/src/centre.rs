//! Reads rows from the centre of a fleet, several partitions at a time.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use faceood_fleet::{
    CentreConnection, CentreFilter, CentreKey, CentreMoment, CentrePart, CentreReader,
};
use uuid::Uuid;

use super::survey::{Sampled, Survey};
use super::{AnalysisError, Input, Rows, Settings};

/// Partitions that are read at a time: each takes a connection of the centre's.
const CONNECTIONS: usize = 4;

/// Blocks of a partition that one connection reads in one go: a gigabyte, of blocks of 8 kB.
const PIECE_BLOCKS: u32 = 131_072;

/// Share of [`Settings::most_rows`] that is sampled where rows are counted by the hour.
const SAMPLED: f64 = 0.5;

/// The share of rows that stands for all of them, where the centres among `inputs` have more rows
/// in the window than are read one by one.
///
/// # Errors
/// What a centre says, and if rows of files would have to be counted by the hour, too.
pub(super) fn share(inputs: &[Input], settings: &Settings) -> Result<Option<f32>, AnalysisError> {
    let readers: Vec<&CentreReader> = inputs.iter().filter_map(centre).collect();
    if readers.is_empty() {
        return Ok(None);
    }
    let filter = filter(settings);
    let rows = on_runtime(|| async {
        let mut rows = 0;
        for reader in readers {
            let mut snapshot = reader.snapshot().await?;
            rows += snapshot.rows(&filter).await?;
            snapshot.close().await;
        }
        Ok::<u64, AnalysisError>(rows)
    })??;
    if rows <= settings.most_rows {
        return Ok(None);
    }
    if inputs.iter().any(|input| centre(input).is_none()) {
        return Err(AnalysisError::TooManyRows(rows, settings.most_rows));
    }
    Ok(Some(
        (SAMPLED * settings.most_rows as f64 / rows as f64) as f32,
    ))
}

fn centre(input: &Input) -> Option<&CentreReader> {
    match &input.rows {
        Rows::Centre(reader) => Some(reader),
        _ => None,
    }
}

fn filter(settings: &Settings) -> CentreFilter {
    let filter = CentreFilter {
        since: settings.since,
        until: settings.until,
        nodes: settings.nodes.clone(),
        ..CentreFilter::default()
    };
    filter.of_source(settings.source.as_deref())
}

/// Reads the rows of the window once. With a `share` it reads the low rows and so large a part of
/// the others, and takes the counts from those that the centre keeps by the hour.
///
/// # Errors
/// What the centre says.
pub(super) fn survey(
    input: usize,
    reader: &CentreReader,
    share: Option<f32>,
    settings: &Settings,
) -> Result<Survey, AnalysisError> {
    on_runtime(|| async {
        let mut snapshot = reader.snapshot().await?;
        let all = match share {
            None => filter(settings),
            Some(_) => filter(&settings.in_whole_hours()),
        };
        let mut survey = Survey::new(settings);
        let mut wanted = vec![all.clone()];
        if share.is_some() {
            snapshot.hours(&all, |hour| survey.see_hour(hour)).await?;
            let (low, others) = low_and_others(&all, settings);
            wanted = vec![low, CentreFilter { share, ..others }];
        }
        let piece = share.is_none().then_some(PIECE_BLOCKS);
        let parts = snapshot.parts(piece).await?;
        let moment = snapshot.moment();
        let work = parts.into_iter().flat_map(|part| {
            let wanted = wanted.clone().into_iter();
            wanted.map(move |filter| (part.clone(), filter))
        });
        let work = Mutex::new(work.collect());
        // The snapshot lives until all have read.
        let read = thread::scope(|scope| {
            let read_one = || run(|| read_parts(input, &moment, &work, share, settings));
            let readers = [(); CONNECTIONS].map(|()| scope.spawn(read_one));
            readers.map(joined)
        });
        snapshot.close().await;
        for part in read {
            survey.append(part??);
        }
        Ok(survey)
    })?
}

/// The low rows of `all`, and the others.
fn low_and_others(all: &CentreFilter, settings: &Settings) -> (CentreFilter, CentreFilter) {
    let (mut low, mut others) = (all.clone(), all.clone());
    match settings.max_score {
        None => (low.is_refused, others.is_refused) = (Some(true), Some(false)),
        Some(most) => (low.max_score, others.above_score) = (Some(most), Some(most)),
    }
    (low, others)
}

type Work = Mutex<VecDeque<(CentrePart, CentreFilter)>>;

/// Reads one part after the other, as long as there are any.
async fn read_parts(
    input: usize,
    moment: &CentreMoment,
    work: &Work,
    share: Option<f32>,
    settings: &Settings,
) -> Result<Survey, AnalysisError> {
    let mut survey = Survey::new(settings);
    let mut connection = None;
    loop {
        let next = work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let Some((part, filter)) = next else {
            if let Some(connection) = connection {
                CentreConnection::close(connection).await;
            }
            return Ok(survey);
        };
        let reader = match &mut connection {
            Some(connection) => connection,
            none => none.insert(moment.connect().await?),
        };
        let scanned = reader.scan(&part, &filter, |node, draw, row| match share {
            None => survey.see(input, node, row),
            Some(share) => survey.see_counted(input, node, row, draw < share),
        });
        scanned.await?;
    }
}

/// Completes sampled rows of the centre with what the first pass left out.
///
/// # Errors
/// What the centre says.
pub(super) fn complete(
    reader: &CentreReader,
    rows: Vec<&mut Sampled>,
    sources: &[String],
) -> Result<(), AnalysisError> {
    let node = |row: &Sampled| {
        let source = &sources[row.source as usize];
        source
            .split_once('/')
            .map_or("", |(node, _)| node)
            .to_owned()
    };
    let key = |row: &&mut Sampled| CentreKey {
        node: node(row),
        time: row.time,
        id: row.id,
    };
    let keys: Vec<CentreKey> = rows.iter().map(key).collect();
    let named = rows.into_iter().map(|row| ((node(row), row.id), row));
    let mut places: HashMap<(String, Uuid), &mut Sampled> = named.collect();
    on_runtime(|| async {
        let mut snapshot = reader.snapshot().await?;
        let found = snapshot.scan_keys(&keys, |node, row| {
            if let Some(sampled) = places.get_mut(&(node.to_owned(), row.id)) {
                sampled.complete(row);
            }
        });
        found.await?;
        snapshot.close().await;
        Ok(())
    })?
}

/// Runs `work` on a thread and a runtime of its own, since the caller may be on a runtime.
fn on_runtime<T: Send, F: Future<Output = T>>(
    work: impl FnOnce() -> F + Send,
) -> Result<T, AnalysisError> {
    thread::scope(|scope| joined(scope.spawn(|| run(work))))
}

fn run<T, F: Future<Output = T>>(work: impl FnOnce() -> F) -> Result<T, AnalysisError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime.map_err(AnalysisError::Runtime)?.block_on(work()))
}

fn joined<T>(running: ScopedJoinHandle<'_, T>) -> T {
    let done = running.join();
    done.unwrap_or_else(|panicked| panic::resume_unwind(panicked))
}
