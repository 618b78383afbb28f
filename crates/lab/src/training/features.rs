//! Writes what the networks make of faces into files, to try other heads outside this program:
//! `tests/reference/head_trials.py` does.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Serialize;

use super::chain::Chain;
use super::ridge::RidgeTask;
use super::{Networks, TrainingError, TrainingSample};
use faceood_engine::cause::CauseName;
use faceood_engine::runtime::Runtime;

/// Two files of one folder: of each face a JSON object on a line of its own in one, and a row of
/// features in the other, as little-endian floats of 32 bits.
struct FeatureFiles {
    folder: PathBuf,
    faces: BufWriter<File>,
    features: BufWriter<File>,
}

/// A face that is learnt from.
#[derive(Serialize)]
struct Learnt<'a> {
    group: String,
    person: u32,
    /// The causes that show.
    causes: Vec<&'static str>,
    reached: &'a Option<f64>,
    /// What the camera expert is to say, and the weight of that.
    camera: [f64; 2],
    /// The same of the expert on covered faces.
    covered: [f64; 2],
}

/// The largest face of a picture.
#[derive(Serialize)]
struct Seen<'a> {
    file: &'a Path,
}

impl FeatureFiles {
    fn create(folder: PathBuf) -> Result<Self, TrainingError> {
        let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
        let files = fs::create_dir_all(&folder)
            .and_then(|()| Ok((create("faces.jsonl")?, create("features.f32")?)));
        match files {
            Ok((faces, features)) => Ok(Self {
                folder,
                faces,
                features,
            }),
            Err(error) => Err(TrainingError::Features(folder, error)),
        }
    }

    fn add(&mut self, face: &impl Serialize, features: &[f32]) -> Result<(), TrainingError> {
        let mut write = || -> io::Result<()> {
            serde_json::to_writer(&mut self.faces, face)?;
            self.faces.write_all(b"\n")?;
            let bytes: Vec<u8> = features.iter().flat_map(|of| of.to_le_bytes()).collect();
            self.features.write_all(&bytes)
        };
        write().map_err(|error| TrainingError::Features(self.folder.clone(), error))
    }

    fn finish(mut self) -> Result<(), TrainingError> {
        let flushed = self.faces.flush().and_then(|()| self.features.flush());
        flushed.map_err(|error| TrainingError::Features(self.folder, error))
    }
}

/// Writes all samples, and what two experts are to learn from each, into `folder`.
pub(super) fn write_learnt(
    folder: &Path,
    samples: &[TrainingSample],
    rows: &[&[f32]],
    reached: &[Option<f64>],
    [camera, covered]: [&RidgeTask; 2],
) -> Result<(), TrainingError> {
    let mut files = FeatureFiles::create(folder.to_owned())?;
    for (row, sample) in samples.iter().enumerate() {
        let lesson = |task: &RidgeTask| [task.targets[0][row], task.weights[row]];
        let causes = CauseName::LEARNT.into_iter().zip(sample.symptoms);
        let learnt = Learnt {
            group: format!("{:?}", sample.group).to_lowercase(),
            person: sample.person,
            causes: causes
                .filter(|&(_, strength)| strength > 0.0)
                .map(|(cause, _)| cause.name())
                .collect(),
            reached: &reached[row],
            camera: lesson(camera),
            covered: lesson(covered),
        };
        files.add(&learnt, rows[row])?;
    }
    files.finish()
}

/// Writes what `networks` make of the largest face of each of `pictures` into `folder`, on
/// `threads` threads and in no order. Pictures without a face are left out.
///
/// # Errors
/// Where a picture cannot be read, a network fails, or the folder cannot be written to.
pub fn write_seen(
    folder: &Path,
    pictures: &[PathBuf],
    networks: &Networks,
    runtime: &Runtime,
    threads: usize,
) -> Result<(), TrainingError> {
    let files = Mutex::new(FeatureFiles::create(folder.to_owned())?);
    let work = |thread: usize| -> Result<(), TrainingError> {
        let mut chain = Chain::open(runtime, networks)?;
        for file in pictures.iter().skip(thread).step_by(threads.max(1)) {
            let picture = image::open(file)
                .map_err(|error| TrainingError::Photo(file.clone(), error))?
                .into_rgb8();
            if let Some((_, aligned)) = chain.find(&picture)? {
                let seen = chain.see(&aligned.crop)?;
                let mut files = files.lock().map_err(|_| TrainingError::Thread)?;
                files.add(&Seen { file }, &seen.features)?;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| TrainingError::Thread)?)
    })?;
    files
        .into_inner()
        .map_err(|_| TrainingError::Thread)?
        .finish()
}
