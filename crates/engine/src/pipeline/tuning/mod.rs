//! The fastest way to run the models on this box: measured at the first start, then kept.
//!
//! Each [`Candidate`] is tried in a process of its own ([`trial`]), since one process loads one
//! ONNX Runtime and since a candidate that crashes must not take the daemon with it. What was
//! measured is kept in `DATA_DIR/provider.json` together with what it depends on ([`Basis`]);
//! another processor, library, pack or setting makes it void.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::embed::Embedding;
use crate::own_program::OwnProgram;
use crate::pack::{Pack, PackError};
use crate::runtime::{self, Candidate, Plan, ProviderChoice, RuntimeError};

mod basis;
mod keep;
mod trial;

pub use basis::Basis;
pub use keep::KeepError;
pub use trial::answer_trial;

use trial::{Measured, Order};

/// Name of the kept measurement inside `DATA_DIR`.
pub const FILE_NAME: &str = "provider.json";
/// Least cosine between a candidate's embedding of the test face and the reference's.
const LEAST_COSINE: f32 = 0.999;
/// Most difference between the two quality scores of the test face.
const MOST_SCORE_DIFFERENCE: f32 = 0.01;

/// What a choice is made for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Site {
    /// Where models may run.
    pub runtime: runtime::Settings,
    /// How many workers there shall be.
    pub pipeline: super::Settings,
    /// Folder of the pack.
    pub pack_dir: PathBuf,
}

/// How one candidate did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The candidate.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Workers that ran at once, each with a session of its own.
    pub sessions: usize,
    /// Test faces that went through the whole pipeline each second, all workers together. Higher is
    /// better; `None` where the candidate did not run.
    pub requests_per_second: Option<f64>,
    /// Median milliseconds of a run of the embedder on the golden input while all workers run.
    pub embed_ms: Option<f64>,
    /// Cosine between its embedding of the test face and the reference's.
    pub cosine: Option<f32>,
    /// Its quality score of the test face less the reference's.
    pub score_difference: Option<f32>,
    /// Why it cannot be chosen; `None` where it can.
    pub excluded: Option<String>,
}

impl Trial {
    /// What counts in the choice; `None` where the candidate cannot be chosen.
    fn rate(&self) -> Option<f64> {
        self.requests_per_second.filter(|_| self.excluded.is_none())
    }
}

/// All candidates of a box as they were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// What the measurement depends on.
    pub basis: Basis,
    /// When it was made.
    pub measured_at: DateTime<Utc>,
    /// The fastest candidate that computes what the reference computes.
    pub chosen: Candidate,
    /// Every candidate, in the order in which they were tried.
    pub trials: Vec<Trial>,
}

/// How models shall run, and what that rests on.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// For the runtime.
    pub plan: Plan,
    /// The measurement; `None` where the settings name a provider or nothing was measured.
    pub tuning: Option<Tuning>,
}

/// Why nothing could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum TuningError {
    /// No candidate works.
    #[error("no way to run the models works on this machine:{}", reasons(.0))]
    NothingWorks(Vec<Trial>),
    /// The pack is not usable, whatever runs it.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The usual way cannot be had.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

fn reasons(trials: &[Trial]) -> String {
    let line = |trial: &Trial| {
        let reason = trial.excluded.as_deref().unwrap_or("it was not tried");
        format!("\n  {}: {reason}", trial.candidate)
    };
    trials.iter().map(line).collect()
}

/// How models shall run on this box: as the settings say, as was measured before, or as is now
/// measured and kept. `program` tries a candidate in a process of its own; `hear` is told
/// what is measured.
///
/// # Errors
/// Where nothing works.
pub fn choose(
    site: &Site,
    data_dir: &Path,
    program: &OwnProgram,
    hear: &dyn Fn(&str),
) -> Result<Chosen, TuningError> {
    if site.runtime.provider != ProviderChoice::Auto {
        return Ok(usual(site)?);
    }
    let why = match kept(site, data_dir) {
        Ok(tuning) => return Ok(tuning.into()),
        Err(why) => why,
    };
    hear(&format!("measuring the ways to run the models: {why}"));
    let tuning = measure(site, program, hear)?;
    if let Err(error) = tuning.save(data_dir) {
        tracing::warn!("{error}");
    }
    Ok(tuning.into())
}

/// As [`choose`], but where nothing was measured the usual way is taken.
///
/// # Errors
/// Where what the settings name cannot be had.
pub fn choose_without_measuring(site: &Site, data_dir: &Path) -> Result<Chosen, RuntimeError> {
    if site.runtime.provider == ProviderChoice::Auto
        && let Ok(tuning) = kept(site, data_dir)
    {
        return Ok(tuning.into());
    }
    usual(site)
}

fn usual(site: &Site) -> Result<Chosen, RuntimeError> {
    Ok(Chosen {
        plan: runtime::usual_plan(&site.runtime)?,
        tuning: None,
    })
}

/// The kept measurement, or why there is none that holds for `site`.
fn kept(site: &Site, data_dir: &Path) -> Result<Tuning, String> {
    let tuning = Tuning::load(data_dir)
        .map_err(|error| error.to_string())?
        .ok_or("nothing was measured on this box yet")?;
    match tuning.basis.difference(&Basis::of(site)) {
        None => Ok(tuning),
        Some(what) => Err(format!("since the last time {what} changed")),
    }
}

impl From<Tuning> for Chosen {
    fn from(tuning: Tuning) -> Self {
        Self {
            plan: Plan {
                candidate: tuning.chosen,
                reason: tuning.reason(),
            },
            tuning: Some(tuning),
        }
    }
}

impl Tuning {
    /// Why the choice came out as it did, in one line.
    pub fn reason(&self) -> String {
        let mut measured: Vec<(f64, &Trial)> = self
            .trials
            .iter()
            .filter_map(|trial| Some((trial.rate()?, trial)))
            .collect();
        measured.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let figures: Vec<String> = measured
            .iter()
            .map(|(rate, trial)| format!("{} {rate:.0}/s", trial.candidate))
            .collect();
        let mut text = format!(
            "fastest as measured on {}: {}",
            self.measured_at.format("%Y-%m-%d"),
            figures.join(", ")
        );
        for trial in &self.trials {
            if let Some(reason) = &trial.excluded {
                text += &format!("; not {}: {reason}", trial.candidate);
            }
        }
        text
    }
}

/// Tries every candidate of this box, one after the other, whichever provider the settings name:
/// what is measured holds for `runtime.provider = "auto"`.
///
/// # Errors
/// Where the pack is damaged, or no candidate works.
pub fn measure(
    site: &Site,
    program: &OwnProgram,
    hear: &dyn Fn(&str),
) -> Result<Tuning, TuningError> {
    // A damaged pack fails with every candidate: its own error says what to do.
    Pack::open(&site.pack_dir)?;
    let mut site = site.clone();
    site.runtime.provider = ProviderChoice::Auto;
    measure_these(runtime::candidates(&site.runtime), &site, program, hear)
}

fn measure_these(
    mut candidates: Vec<(Candidate, Result<(), String>)>,
    site: &Site,
    program: &OwnProgram,
    hear: &dyn Fn(&str),
) -> Result<Tuning, TuningError> {
    let mut bench = Bench {
        site,
        program,
        hear,
        reference: None,
        trials: Vec::new(),
    };
    // The reference first: the others are compared with what it computes.
    candidates.sort_by_key(|(candidate, _)| *candidate != Candidate::REFERENCE);
    for (candidate, possible) in candidates {
        bench.run(candidate, possible);
    }
    for threads in more_threads(site) {
        if let Some(best) = bench.best()
            && best.provider != runtime::Provider::Cuda
        {
            bench.run(Candidate { threads, ..best }, Ok(()));
        }
    }
    match bench.best() {
        Some(chosen) => Ok(Tuning {
            basis: Basis::of(site),
            measured_at: Utc::now(),
            chosen,
            trials: bench.trials,
        }),
        None => Err(TuningError::NothingWorks(bench.trials)),
    }
}

/// Threads of a session that are worth a try besides one.
fn more_threads(site: &Site) -> Vec<usize> {
    let cores = super::cores();
    let most = cores / site.pipeline.workers.max(1);
    [2, 4]
        .into_iter()
        .filter(|&threads| threads <= most)
        .collect()
}

struct Bench<'a> {
    site: &'a Site,
    program: &'a OwnProgram,
    hear: &'a dyn Fn(&str),
    /// What the reference makes of the test face.
    reference: Option<(Embedding, f32)>,
    trials: Vec<Trial>,
}

impl Bench<'_> {
    fn run(&mut self, candidate: Candidate, possible: Result<(), String>) {
        let mut trial = Trial {
            candidate,
            sessions: self.site.pipeline.worker_count(candidate.threads),
            requests_per_second: None,
            embed_ms: None,
            cosine: None,
            score_difference: None,
            excluded: None,
        };
        let outcome = possible.and_then(|()| {
            (self.hear)(&format!("measuring {candidate}"));
            trial::run(
                self.program,
                &Order {
                    candidate,
                    site: self.site.clone(),
                },
            )
        });
        match outcome {
            Ok(measured) => self.judge(&mut trial, &measured),
            Err(reason) => trial.excluded = Some(reason),
        }
        self.trials.push(trial);
    }

    fn judge(&mut self, trial: &mut Trial, measured: &Measured) {
        let hundredths = |value: f64| (value * 100.0).round() / 100.0;
        trial.requests_per_second = Some(hundredths(measured.requests_per_second));
        trial.embed_ms = Some(hundredths(measured.embed_ms));
        let Some((embedding, _)) = Embedding::normalise(&measured.embedding) else {
            trial.excluded = Some("its embedding of the test face is not of use".to_owned());
            return;
        };
        if let Some((reference, score)) = &self.reference {
            let cosine = reference.similarity(&embedding);
            let difference = measured.score - score;
            trial.cosine = Some(cosine);
            trial.score_difference = Some(difference);
            if cosine < LEAST_COSINE {
                trial.excluded = Some(format!(
                    "its embedding has a cosine of {cosine:.4} to the reference's, less than {LEAST_COSINE}"
                ));
            } else if difference.abs() > MOST_SCORE_DIFFERENCE {
                trial.excluded = Some(format!(
                    "its quality score differs by {difference:.3}, more than {MOST_SCORE_DIFFERENCE}"
                ));
            }
        } else if trial.candidate == Candidate::REFERENCE {
            self.reference = Some((embedding, measured.score));
        }
    }

    fn best(&self) -> Option<Candidate> {
        self.trials
            .iter()
            .filter_map(|trial| Some((trial.rate()?, trial.candidate)))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, candidate)| candidate)
    }
}

#[cfg(test)]
mod tests;
