//! Where the time of one request goes.

use std::time::{Duration, Instant};

/// Milliseconds spent in each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Waiting for a worker.
    pub queue_ms: f32,
    /// Bytes → pixels.
    pub decode_ms: f32,
    /// Finding faces.
    pub detect_ms: f32,
    /// Landmarks, pose and warp.
    pub align_ms: f32,
    /// The embedder's run.
    pub embed_ms: f32,
    /// Components, score, causes, decision.
    pub judge_ms: f32,
    /// From the upload's arrival at the pipeline to the answer.
    pub total_ms: f32,
}

/// One stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Decode,
    Detect,
    Align,
    Embed,
    Judge,
}

/// Measures stages as they run.
pub(super) struct StageClock {
    started: Instant,
    timings: Timings,
}

impl StageClock {
    /// Starts, after the picture waited for `queued`.
    pub(super) fn start(queued: Duration) -> Self {
        Self {
            started: Instant::now(),
            timings: Timings {
                queue_ms: millis(queued),
                ..Timings::default()
            },
        }
    }

    /// Runs `work` and books its time on `stage`.
    pub(super) fn time<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let outcome = work();
        let spent = millis(started.elapsed());
        match stage {
            Stage::Decode => self.timings.decode_ms += spent,
            Stage::Detect => self.timings.detect_ms += spent,
            Stage::Align => self.timings.align_ms += spent,
            Stage::Embed => self.timings.embed_ms += spent,
            Stage::Judge => self.timings.judge_ms += spent,
        }
        outcome
    }

    /// Everything measured, waiting included in the total.
    pub(super) fn stop(self) -> Timings {
        Timings {
            total_ms: self.timings.queue_ms + millis(self.started.elapsed()),
            ..self.timings
        }
    }
}

fn millis(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e3
}
