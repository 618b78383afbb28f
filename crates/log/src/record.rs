//! One row of the log as a value, and how a request's outcome becomes rows. Knows nothing of SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use faceood_engine::named;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::ClockMark;
use super::stamp;
pub use faceood_engine::pipeline::ModelFacts;
use faceood_engine::pipeline::{Analysis, Face, ImageFacts, Timings};
use faceood_engine::policy::{Action, Decision, Reason, Verdict};
use faceood_engine::problem::ProblemCode;
use faceood_engine::quality::{Cause, Components, Grade};

/// Which question was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /v1/extract`.
    #[default]
    Extract,
    /// `POST /v1/compare`.
    Compare,
    /// `POST /v1/quality`.
    Quality,
}

/// What a picture is to its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The only picture of its request.
    #[default]
    Image,
    /// The side of a comparison that is questioned.
    Probe,
    /// The side it is compared with.
    Reference,
}

/// What a request brings to each of its rows. Make one per request, then turn its outcome into
/// rows: [`analysed`](Self::analysed), [`failed`](Self::failed) or
/// [`given_embedding`](Self::given_embedding).
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The request's id, the caller's own or ours.
    pub request_id: String,
    /// Our key for this request alone: callers may repeat their ids.
    pub request_key: Uuid,
    /// Which question was asked.
    pub endpoint: Endpoint,
    /// The scenario asked for, even if no such policy exists.
    pub scenario: Option<String>,
    /// The caller's terminal or camera id.
    pub source: Option<String>,
    /// Name of the token that allowed the request; `None` where none was needed.
    pub token: Option<String>,
    /// What answers.
    pub model: Arc<ModelFacts>,
    /// The calibration in force when the request came: for rows without a score. A row with one
    /// names the calibration that made it.
    pub calibration_id: String,
}

/// One row of table `inferences`. A column that does not apply is `None`, in SQL NULL.
///
/// A picture with several analysed faces gives one row per face, told apart by `face_index`; a
/// picture without a face, and a failed request, give one row. Where no face is no error (the
/// quality endpoint) that row has `face_count` 0 and no `error_code`.
///
/// [`new`](Self::new) makes a row; `Default` has no valid id and time, and only fills the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferenceRecord {
    /// Unique, and in the order of time (UUIDv7).
    pub id: Uuid,
    /// When the outcome was known, to the microsecond.
    pub time: DateTime<Utc>,
    /// Why `time` cannot be trusted; `None` where nothing speaks against it.
    pub clock: Option<ClockMark>,
    /// Where it cannot: for how many seconds the daemon had run on this log.
    pub clock_run_seconds: Option<u64>,
    /// The request's id, the caller's own or ours. Rows share it, and callers may repeat it.
    pub request_id: String,
    /// Shared by the rows of one request and by no others; `None` in rows of older releases.
    pub request_key: Option<Uuid>,
    /// Which question was asked.
    pub endpoint: Endpoint,
    /// What the picture is to the request.
    pub role: Role,
    /// The scenario asked for.
    pub scenario: Option<String>,
    /// The caller's terminal or camera id.
    pub source: Option<String>,
    /// Name of the token that allowed the request; `None` where none was needed, and in rows of
    /// older releases.
    pub token: Option<String>,
    /// Upright width in pixels.
    pub image_width: Option<u32>,
    /// Upright height in pixels.
    pub image_height: Option<u32>,
    /// Type by content, as the API spells it.
    pub image_format: Option<String>,
    /// Size of the upload.
    pub image_bytes: Option<u64>,
    /// Place among the picture's faces, 0 for the largest.
    pub face_index: Option<u32>,
    /// How many faces were found in this picture, whether or not each has a row.
    pub face_count: Option<u32>,
    /// Left edge of the face, original pixels.
    pub box_x: Option<f32>,
    /// Top edge of the face.
    pub box_y: Option<f32>,
    /// Width of the face.
    pub box_width: Option<f32>,
    /// Height of the face.
    pub box_height: Option<f32>,
    /// The detector's confidence, 0…1.
    pub detection_score: Option<f32>,
    /// Turn of the head, degrees.
    pub pose_yaw: Option<f32>,
    /// Nod of the head, degrees.
    pub pose_pitch: Option<f32>,
    /// Tilt of the head, degrees.
    pub pose_roll: Option<f32>,
    /// Length of the embedding before normalisation, as the pack defines it.
    pub embedding_norm: Option<f32>,
    /// Output length of each network.
    pub network_norms: Option<BTreeMap<String, f32>>,
    /// Raw output of the OOD head.
    pub ood_logit: Option<f32>,
    /// The quality score, 0…1.
    pub quality_score: Option<f32>,
    /// Lower end of the score's interval.
    pub interval_low: Option<f32>,
    /// Upper end of the score's interval.
    pub interval_high: Option<f32>,
    /// Calibrated probability to clear the accept threshold against a good reference.
    pub pass_probability: Option<f32>,
    /// The score in a word.
    pub grade: Option<Grade>,
    /// What the policy decided.
    pub action: Option<Action>,
    /// The policy's accept cut at that time.
    pub threshold: Option<f32>,
    /// Why the action is not accept.
    pub reasons: Option<Vec<Reason>>,
    /// What pulls the score down, with weights.
    pub causes: Option<Vec<Cause>>,
    /// Cosine to the other side of a comparison.
    pub similarity: Option<f32>,
    /// The answer of the comparison.
    pub verdict: Option<Verdict>,
    /// Milliseconds waiting for a worker.
    pub queue_ms: Option<f32>,
    /// Milliseconds to decode.
    pub decode_ms: Option<f32>,
    /// Milliseconds to find faces.
    pub detect_ms: Option<f32>,
    /// Milliseconds to align.
    pub align_ms: Option<f32>,
    /// Milliseconds in the embedder.
    pub embed_ms: Option<f32>,
    /// Milliseconds to judge.
    pub judge_ms: Option<f32>,
    /// Milliseconds in all.
    pub total_ms: Option<f32>,
    /// Name of the model pack.
    pub pack: Option<String>,
    /// Version of the model pack.
    pub pack_version: Option<String>,
    /// SHA-256 of the model pack.
    pub pack_sha256: Option<String>,
    /// Where the pack ran.
    pub provider: Option<String>,
    /// Which calibration was used.
    pub calibration_id: Option<String>,
    /// What went wrong.
    pub error_code: Option<ProblemCode>,
    /// The sentence the caller got with it.
    pub error_detail: Option<String>,
    /// How it turned out, where a caller told so later.
    pub outcome: Option<ReportedOutcome>,
    /// The caller's words about that.
    pub outcome_note: Option<String>,
    /// When it was told.
    pub outcome_time: Option<DateTime<Utc>>,
    /// The embedding; stored only where `log.keep_embeddings` says so.
    pub embedding: Option<Vec<f32>>,
    /// JPEG of the aligned face, 112×112; stored only where `log.keep_thumbnails` says so.
    pub thumbnail: Option<Vec<u8>>,
    /// The quality components, a column each.
    pub components: Components,
}

named! {
    /// How a capture turned out, where somebody looked.
    ReportedOutcome {
        /// The person was who they were taken for.
        Genuine "genuine",
        /// It was somebody else.
        Impostor "impostor",
        /// The picture was good for nothing.
        Unusable "unusable",
    }
}

impl RequestContext {
    /// One row per face of `analysis`, in its order; without a face, one with `face_count` 0.
    pub fn analysed(&self, role: Role, analysis: &Analysis) -> Vec<InferenceRecord> {
        let about_image = || {
            let mut record = self.blank(role);
            record.calibration_id = Some(analysis.calibration_id.clone());
            record.set_image(&analysis.image);
            record.set_timings(&analysis.timings);
            record.face_count = u32::try_from(analysis.faces_found).ok();
            record
        };
        if analysis.faces.is_empty() {
            return vec![about_image()];
        }
        (0..)
            .zip(&analysis.faces)
            .map(|(index, face)| {
                let mut record = about_image();
                record.face_index = Some(index);
                record.set_face(face);
                record
            })
            .collect()
    }

    /// The row of a request, or of a side of it, that failed; `image` if it was understood.
    pub fn failed(
        &self,
        role: Role,
        problem: ProblemCode,
        detail: &str,
        image: Option<&ImageFacts>,
    ) -> InferenceRecord {
        let mut record = self.blank(role);
        if let Some(image) = image {
            record.set_image(image);
        }
        record.error_code = Some(problem);
        record.error_detail = Some(detail.to_owned());
        record
    }

    /// The row of a comparison's side that was given as an embedding, without a picture.
    pub fn given_embedding(
        &self,
        role: Role,
        quality_score: Option<f32>,
        decision: Option<&Decision>,
    ) -> InferenceRecord {
        let mut record = self.blank(role);
        record.quality_score = quality_score;
        if let Some(decision) = decision {
            record.set_decision(decision);
        }
        record
    }

    fn blank(&self, role: Role) -> InferenceRecord {
        let mut record = InferenceRecord::new(&self.request_id, self.endpoint, role);
        record.request_key = Some(self.request_key);
        record.scenario.clone_from(&self.scenario);
        record.source.clone_from(&self.source);
        record.token.clone_from(&self.token);
        record.pack = Some(self.model.pack.clone());
        record.pack_version = Some(self.model.version.clone());
        record.pack_sha256 = Some(self.model.sha256.clone());
        record.provider = Some(self.model.provider.clone());
        record.calibration_id = Some(self.calibration_id.clone());
        record
    }
}

impl InferenceRecord {
    /// A row with a fresh id and the present time, neither of which goes back within a process.
    pub fn new(request_id: &str, endpoint: Endpoint, role: Role) -> Self {
        let (id, time) = stamp::next();
        Self {
            id,
            time,
            request_id: request_id.to_owned(),
            endpoint,
            role,
            ..Self::default()
        }
    }

    /// Notes the answer of the comparison this row is a side of.
    pub fn set_comparison(&mut self, similarity: f32, verdict: Verdict) {
        self.similarity = Some(similarity);
        self.verdict = Some(verdict);
    }

    /// Notes where the time went.
    pub fn set_timings(&mut self, timings: &Timings) {
        self.queue_ms = Some(timings.queue);
        self.decode_ms = Some(timings.decode);
        self.detect_ms = Some(timings.detect);
        self.align_ms = Some(timings.align);
        self.embed_ms = Some(timings.embed);
        self.judge_ms = Some(timings.judge);
        self.total_ms = Some(timings.total);
    }

    fn set_image(&mut self, image: &ImageFacts) {
        self.image_width = Some(image.width);
        self.image_height = Some(image.height);
        self.image_format = Some(image.format.name().to_owned());
        self.image_bytes = u64::try_from(image.bytes).ok();
    }

    fn set_face(&mut self, face: &Face) {
        self.box_x = Some(face.bounding_box.x);
        self.box_y = Some(face.bounding_box.y);
        self.box_width = Some(face.bounding_box.width);
        self.box_height = Some(face.bounding_box.height);
        self.detection_score = Some(face.detection_score);
        self.pose_yaw = Some(face.pose.yaw);
        self.pose_pitch = Some(face.pose.pitch);
        self.pose_roll = Some(face.pose.roll);
        self.embedding_norm = Some(face.embedding_norm);
        // JSON has no NaN, and a null in its place could not be read again.
        let mut norms = face.network_norms.clone();
        norms.retain(|_, norm| norm.is_finite());
        self.network_norms = Some(norms);
        self.ood_logit = Some(face.ood_logit);
        self.embedding = Some(face.embedding.values().to_vec());
        self.thumbnail.clone_from(&face.thumbnail);
        let quality = &face.quality;
        self.quality_score = Some(quality.score);
        self.interval_low = Some(quality.interval[0]);
        self.interval_high = Some(quality.interval[1]);
        self.pass_probability = Some(quality.pass_probability);
        self.grade = Some(quality.grade);
        let mut causes = quality.causes.clone();
        causes.retain(|cause| cause.weight.is_finite());
        self.causes = Some(causes);
        self.components = quality.components.clone();
        self.set_decision(&face.decision);
    }

    fn set_decision(&mut self, decision: &Decision) {
        // The policy that really decided, which is the default one where the caller named none.
        self.scenario = Some(decision.scenario.clone());
        self.action = Some(decision.action);
        self.threshold = Some(decision.threshold);
        self.reasons = Some(decision.reasons.clone());
    }
}

#[cfg(test)]
mod tests;
