//! Where the time of one request goes.

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

/// Milliseconds in each stage. `total` counts waiting and everything in between too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Timings {
    /// Waiting for a worker.
    pub queue: f32,
    /// Bytes → pixels.
    pub decode: f32,
    /// Finding faces.
    pub detect: f32,
    /// Landmarks, pose and warp.
    pub align: f32,
    /// Embedding, norm and OOD logit.
    pub embed: f32,
    /// Components, score, causes, decision.
    pub judge: f32,
    /// From the picture's arrival to the answer.
    pub total: f32,
}

/// Runs `work` and notes how many milliseconds it took.
pub(super) fn timed<T>(ms: &mut f32, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let outcome = work();
    *ms = millis(started.elapsed());
    outcome
}

pub(super) fn millis(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e3
}
