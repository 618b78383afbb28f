//! Rows for this module's tests.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "rows for tests: a failure is a failed test"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use faceood_engine::policy::{Action, Reason, Verdict};
use faceood_engine::problem::ProblemCode;
use faceood_engine::quality::{Cause, CauseName, Component, Grade};
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    Clock, ClockMark, Endpoint, InferenceLog, InferenceRecord, ModelFacts, Reading,
    ReportedOutcome, RequestContext, Role, Settings,
};

/// Takes away what the migration 0008 adds.
pub const UNDO_SHIPPING: &str = "DROP TRIGGER quarantine_goes_with_its_row; DROP TABLE shipping_quarantine; \
    DROP TABLE shipping; DROP TABLE log_identity; DROP TABLE pruned_days; DROP TABLE late_feedback; \
    DROP INDEX inferences_seq; DROP INDEX inferences_unnumbered; ALTER TABLE inferences DROP COLUMN seq";

/// A request from `source`.
pub fn context(request_id: &str, source: &str) -> RequestContext {
    RequestContext {
        request_id: request_id.to_owned(),
        request_key: Uuid::now_v7(),
        endpoint: Endpoint::Extract,
        scenario: Some("access".to_owned()),
        source: Some(source.to_owned()),
        token: Some("east-gate".to_owned()),
        model: Arc::new(ModelFacts {
            pack: "default".to_owned(),
            version: "1.0.0".to_owned(),
            sha256: "ab".repeat(32),
            provider: "cpu".to_owned(),
        }),
        calibration_id: "c1".to_owned(),
    }
}

/// A row in which no column is NULL; `seed` varies the numbers.
pub fn full_record(request_id: &str, seed: u16) -> InferenceRecord {
    let mut record = context(request_id, "gate-1").failed(
        Role::Probe,
        ProblemCode::NoFace,
        "nobody there",
        None,
    );
    let number = f32::from(seed) / 1000.0 + 0.1;
    record.image_width = Some(1920);
    record.image_height = Some(1080);
    record.image_format = Some("jpeg".to_owned());
    record.image_bytes = Some(123_456);
    record.face_index = Some(0);
    record.face_count = Some(2);
    for field in [
        &mut record.box_x,
        &mut record.box_y,
        &mut record.box_width,
        &mut record.box_height,
        &mut record.detection_score,
        &mut record.pose_yaw,
        &mut record.pose_pitch,
        &mut record.pose_roll,
        &mut record.embedding_norm,
        &mut record.ood_logit,
        &mut record.quality_score,
        &mut record.interval_low,
        &mut record.interval_high,
        &mut record.pass_probability,
        &mut record.threshold,
        &mut record.similarity,
        &mut record.queue_ms,
        &mut record.decode_ms,
        &mut record.detect_ms,
        &mut record.align_ms,
        &mut record.embed_ms,
        &mut record.judge_ms,
        &mut record.total_ms,
    ] {
        *field = Some(number);
    }
    record.network_norms = Some([("sface".to_owned(), number), ("mobile".to_owned(), 2.5)].into());
    record.grade = Some(Grade::Fair);
    record.action = Some(Action::Review);
    record.reasons = Some(vec![Reason::Quality, Reason::SeveralFaces]);
    record.causes = Some(vec![Cause {
        name: CauseName::MotionBlur,
        weight: 0.7,
    }]);
    record.verdict = Some(Verdict::Review);
    record.clock = Some(ClockMark::Unsynchronised);
    record.clock_run_seconds = Some(7);
    record.outcome = Some(ReportedOutcome::Genuine);
    record.outcome_note = Some("looked at".to_owned());
    record.outcome_time = Some(record.time);
    record.embedding = Some(vec![0.25, -0.5, f32::MIN_POSITIVE]);
    record.thumbnail = Some(vec![0, 255, 7]);
    for component in Component::ALL {
        record.components.set(component, number);
    }
    record
}

/// A fresh log in a folder of its own, which goes when the first value is dropped.
pub async fn open(settings: &Settings) -> (TempDir, InferenceLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = InferenceLog::open_with_clock(settings, folder.path(), steady_clock())
        .await
        .unwrap();
    (folder, log)
}

/// This machine's clock, taken for synchronised.
pub fn steady_clock() -> Clock {
    let start = std::time::Instant::now();
    Clock::new(move || Reading {
        wall: Utc::now(),
        uptime: start.elapsed(),
        is_synchronised: Some(true),
    })
}

/// Clocks that stand still until a test moves them.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<Reading>>);

impl TestClock {
    pub fn at(wall: DateTime<Utc>, is_synchronised: Option<bool>) -> Self {
        Self(Arc::new(Mutex::new(Reading {
            wall,
            uptime: Duration::ZERO,
            is_synchronised,
        })))
    }

    pub fn clock(&self) -> Clock {
        let shown = Arc::clone(&self.0);
        Clock::new(move || *shown.lock().unwrap())
    }

    /// Sets the wall clock; no time passes.
    pub fn set(&self, wall: DateTime<Utc>, is_synchronised: Option<bool>) {
        let mut shown = self.0.lock().unwrap();
        (shown.wall, shown.is_synchronised) = (wall, is_synchronised);
    }

    /// Lets time pass.
    pub fn pass(&self, time: TimeDelta) {
        let mut shown = self.0.lock().unwrap();
        shown.wall += time;
        shown.uptime += time.to_std().unwrap();
    }
}

/// Settings that keep embeddings and thumbnails, so that no column is NULL.
pub fn keep_all() -> Settings {
    Settings {
        keep_embeddings: true,
        keep_thumbnails: true,
        ..Settings::default()
    }
}
