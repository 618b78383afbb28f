//! Runs faces of several requests in one batch. This helps on a GPU, not on a CPU.
//!
//! One thread owns the session and runs what has gathered from the workers after at most
//! [`PATIENCE`]. A batch that fails is run again face by face, so that no face fails another's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use image::RgbImage;

use super::{EmbedError, Embedded, Embedder};
use crate::checkpoint::Checkpoint;

/// Longest that a face waits for others to share its run.
const PATIENCE: Duration = Duration::from_millis(2);

/// Most faces in one run: bounds the GPU's memory.
const MOST_FACES: usize = 16;

/// Where a pipeline's faces become numbers.
pub enum FaceEmbedder {
    /// A session of the worker's own, one face a run. On one CPU thread a batch is no faster; so
    /// memory stays flat, and answers do not depend on other faces.
    Own(Box<Embedder>),
    /// A session that all workers share.
    Shared(BatchQueue),
}

impl FaceEmbedder {
    /// The numbers of each 112×112 crop, in the order given. `checkpoint` is passed before each.
    ///
    /// # Errors
    /// As [`Embedder::embed_crops`]; [`EmbedError::Lost`] where the shared session's thread is
    /// gone; [`EmbedError::Interrupted`] where the checkpoint says so.
    pub fn embed(
        &mut self,
        crops: &[&RgbImage],
        checkpoint: &Checkpoint<'_>,
    ) -> Result<Vec<Embedded>, EmbedError> {
        match self {
            Self::Own(embedder) => {
                let mut embedded = Vec::with_capacity(crops.len());
                for crop in crops {
                    checkpoint.pass()?;
                    embedded.extend(embedder.embed_crops(&[crop])?);
                }
                Ok(embedded)
            }
            Self::Shared(queue) => crops
                .iter()
                .map(|&crop| queue.send(crop.clone()))
                // All are sent before the first answer is waited for, so that they share a run.
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .map(|answer| answer.recv().unwrap_or(Err(EmbedError::Lost)))
                .collect(),
        }
    }
}

type EmbedReply = Result<Embedded, EmbedError>;

struct Request {
    crop: RgbImage,
    reply: Sender<EmbedReply>,
}

/// A handle on the thread that runs batches; the thread ends with the last handle.
#[derive(Clone)]
pub struct BatchQueue(Sender<Request>);

impl BatchQueue {
    /// Starts the thread. `open` makes its embedder: at once, and anew after a panic.
    ///
    /// # Errors
    /// Where the first `open` fails, or no thread can be started.
    pub fn start<E>(open: impl Fn() -> Result<Embedder, E> + Send + 'static) -> Result<Self, E>
    where
        E: From<EmbedError> + Send + 'static,
    {
        let (requests, inbox) = unbounded();
        let (opened, outcome) = bounded(1);
        std::thread::Builder::new()
            .name("embedding".to_owned())
            .spawn(move || {
                let mut embedder = match open() {
                    Ok(embedder) => Some(embedder),
                    Err(error) => {
                        let _ = opened.send(Err(error));
                        return;
                    }
                };
                let _ = opened.send(Ok(()));
                serve(&inbox, |crops| {
                    let mut present = match embedder.take() {
                        Some(present) => present,
                        None => open().map_err(|_| EmbedError::Lost)?,
                    };
                    // After a panic the session is in an unknown state: the next run opens another.
                    let outcome = catch_unwind(AssertUnwindSafe(|| present.embed_crops(crops)))
                        .map_err(|_| EmbedError::Lost)?;
                    embedder = Some(present);
                    outcome
                });
            })
            .map_err(|_| EmbedError::Lost)?;
        outcome.recv().map_err(|_| EmbedError::Lost)??;
        Ok(Self(requests))
    }

    fn send(&self, crop: RgbImage) -> Result<Receiver<EmbedReply>, EmbedError> {
        let (reply, answer) = bounded(1);
        self.0
            .send(Request { crop, reply })
            .map_err(|_| EmbedError::Lost)?;
        Ok(answer)
    }
}

/// Runs what gathers in `inbox` through `run` until every sender is gone.
fn serve(
    inbox: &Receiver<Request>,
    mut run: impl FnMut(&[&RgbImage]) -> Result<Vec<Embedded>, EmbedError>,
) {
    while let Some(batch) = gather(inbox) {
        let crops: Vec<_> = batch.iter().map(|request| &request.crop).collect();
        let answers: Vec<EmbedReply> = match run(&crops) {
            Ok(embedded) => embedded.into_iter().map(Ok).collect(),
            Err(error) if batch.len() == 1 => vec![Err(error)],
            Err(_) => {
                for request in &batch {
                    let alone = run(&[&request.crop]);
                    let alone = alone.and_then(|mut one| one.pop().ok_or(EmbedError::Lost));
                    let _ = request.reply.send(alone);
                }
                continue;
            }
        };
        for (request, answer) in batch.iter().zip(answers) {
            let _ = request.reply.send(answer);
        }
    }
}

/// The next batch: its first face, and what comes within [`PATIENCE`]. `None` at the end.
fn gather(inbox: &Receiver<Request>) -> Option<Vec<Request>> {
    let mut batch = vec![inbox.recv().ok()?];
    let deadline = Instant::now() + PATIENCE;
    let more = std::iter::from_fn(|| inbox.recv_deadline(deadline).ok());
    batch.extend(more.take(MOST_FACES - 1));
    Some(batch)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::embed::{EMBEDDING_LENGTH, Embedding};

    fn embedded(mark: f32) -> Embedded {
        let (embedding, embedding_norm) = Embedding::normalise(&[mark; EMBEDDING_LENGTH]).unwrap();
        Embedded {
            embedding,
            embedding_norm,
            network_norms: BTreeMap::new(),
            ood_logit: mark,
            cause_logits: Vec::new(),
        }
    }

    /// A crop that carries `mark` in its first byte.
    fn crop(mark: u8) -> RgbImage {
        RgbImage::from_pixel(1, 1, image::Rgb([mark, 0, 0]))
    }

    /// Sends `marks`, closes the inbox, serves them with `run`, and gives each one's answer.
    fn answers(
        marks: &[u8],
        run: impl FnMut(&[&RgbImage]) -> Result<Vec<Embedded>, EmbedError>,
    ) -> Vec<EmbedReply> {
        let (requests, inbox) = unbounded();
        let queue = BatchQueue(requests);
        let waiting: Vec<_> = marks
            .iter()
            .map(|&mark| queue.send(crop(mark)).unwrap())
            .collect();
        drop(queue);
        serve(&inbox, run);
        waiting
            .into_iter()
            .map(|answer| answer.recv().unwrap())
            .collect()
    }

    #[test]
    fn what_waits_shares_a_run_and_each_gets_its_own_answer() {
        let mut sizes = Vec::new();
        let marks: Vec<u8> = (1..=20).collect();
        let answers = answers(&marks, |crops| {
            sizes.push(crops.len());
            Ok(crops
                .iter()
                .map(|crop| embedded(f32::from(crop.as_raw()[0])))
                .collect())
        });
        assert_eq!(sizes, [MOST_FACES, 4]);
        let logits: Vec<f32> = answers
            .into_iter()
            .map(|answer| answer.unwrap().ood_logit)
            .collect();
        assert_eq!(
            logits,
            marks
                .iter()
                .map(|&mark| f32::from(mark))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_face_that_fails_does_not_fail_the_others() {
        let answers = answers(&[1, 66, 3], |crops| {
            if crops.iter().any(|crop| crop.as_raw()[0] == 66) {
                return Err(EmbedError::Lost);
            }
            Ok(crops
                .iter()
                .map(|crop| embedded(f32::from(crop.as_raw()[0])))
                .collect())
        });
        assert!(answers[0].is_ok() && answers[1].is_err() && answers[2].is_ok());
    }
}
