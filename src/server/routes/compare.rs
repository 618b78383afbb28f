//! `POST /v1/compare`: two pictures, or embeddings kept from earlier, → one verdict.

use std::time::Instant;

use actix_web::HttpResponse;
use futures_util::future::join;
use serde::Deserialize;
use utoipa::IntoParams;

use super::inference::{Asked, FaceChoice, Inference, InferenceQuery, role_of};
use crate::embed::Embedding;
use crate::inference_log::InferenceRecord;
use crate::pipeline::{Analysis, Timings};
use crate::policy::{Action, Decision, Verdict, verdict};
use crate::problem::ProblemCode;
use crate::quality::Grade;
use crate::server::dto::{
    CompareAnswer, ComparedSide, FaceDto, GivenQuality, GivenSide, HintDto, SideHint,
};
use crate::server::problem_response::{Part, Problem};
use crate::server::upload::{GivenEmbedding, Pair, Side};
use crate::telemetry::metrics;

/// The query parameters of `POST /v1/compare` alone.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CompareQuery {
    /// Whether the answer has embeddings; default false.
    embedding: Option<bool>,
}

/// Whether two samples show one person.
///
/// Both sides are judged first: where the scenario's policy rejects either, the verdict is `untrusted`, whatever the
/// similarity. Else below 0.35 `different`, below 0.45 or where a side's action is review `review`, else `same`.
#[utoipa::path(
    post,
    path = "/v1/compare",
    tag = "faces",
    params(
        InferenceQuery,
        CompareQuery,
        ("Accept-Language" = Option<String>, Header, description = "`zh` gives hints, and what is wrong with a picture, in Chinese."),
        ("X-Request-Id" = Option<String>, Header, description = "Kept if it is 1–64 of `[A-Za-z0-9._:-]`."),
    ),
    request_body(
        description = "Two sides: as the parts `probe` and `reference`, or in JSON, where either may be an embedding.",
        content(
            (super::docs::PairForm = "multipart/form-data"),
            (crate::server::upload::PairBody<'static> = "application/json"),
        )
    ),
    responses(
        (status = 200, description = "The verdict; the rows of both sides are in the log.", body = CompareAnswer<'static>),
        super::docs::Problems,
    )
)]
pub(super) async fn compare(
    asked: Asked<CompareQuery>,
    pair: Pair,
) -> Result<HttpResponse, Problem> {
    let Asked { inference, query } = asked;
    let started = Instant::now();
    let (probe, reference) = join(
        judged(&inference, Part::Probe, pair.probe),
        judged(&inference, Part::Reference, pair.reference),
    )
    .await;
    let (probe, reference) = match (probe, reference) {
        (Ok(probe), Ok(reference)) => (probe, reference),
        (probe, reference) => return Err(refuse(&inference, [probe, reference]).await),
    };

    let similarity = probe.embedding()?.similarity(reference.embedding()?);
    let thresholds = inference.state.info.thresholds;
    let verdict = verdict(similarity, thresholds, probe.action(), reference.action());
    let rows = [&probe, &reference]
        .into_iter()
        .flat_map(|side| side.rows(&inference, Some((similarity, verdict))))
        .collect();
    inference.record(rows).await?;
    inference.note(verdict.name(), probe.score());
    metrics::verdict(&inference.question.scenario, verdict.name());

    let with_embedding = query.embedding.unwrap_or(false);
    let hints = [&probe, &reference]
        .into_iter()
        .flat_map(|side| side.hints(&inference))
        .collect();
    let timings_ms = together(&probe, &reference, started);
    Ok(HttpResponse::Ok().json(CompareAnswer {
        request_id: inference.id.as_str(),
        model: (&*inference.state.info.model).into(),
        similarity,
        verdict: verdict.name(),
        thresholds: thresholds.into(),
        probe: probe.shown(with_embedding)?,
        reference: reference.shown(with_embedding)?,
        hints,
        timings_ms: (&timings_ms).into(),
    }))
}

/// A side that can be compared.
struct Judged {
    part: Part,
    sample: SideSample,
}

enum SideSample {
    Image(Analysis),
    Embedding(GivenEmbedding, Decision),
}

async fn judged(inference: &Inference, part: Part, side: Side) -> Result<Judged, Problem> {
    let sample = match side {
        Side::Image(upload) => {
            let analysis = inference.analyse(&upload, FaceChoice::Largest).await;
            let analysis = analysis.map_err(|problem| {
                // Overload and our own faults are not the fault of a side.
                if problem.code.status() < 500 {
                    problem.on(part)
                } else {
                    problem
                }
            })?;
            SideSample::Image(analysis)
        }
        Side::Embedding(given) => {
            let decision = decided(inference, &given).map_err(|problem| problem.on(part))?;
            SideSample::Embedding(given, decision)
        }
    };
    Ok(Judged { part, sample })
}

/// What the policy makes of an embedding: its score decides where there is one, else it is an accepted reference.
fn decided(inference: &Inference, given: &GivenEmbedding) -> Result<Decision, Problem> {
    let loaded = &inference.state.info.model;
    if let Some(sha256) = &given.model_sha256
        && !sha256.eq_ignore_ascii_case(&loaded.sha256)
    {
        return Err(Problem::new(
            ProblemCode::ModelMismatch,
            format!(
                "the embedding is of pack {}, this service runs {} ({} {}); extract it again from its picture",
                short(sha256),
                short(&loaded.sha256),
                loaded.pack,
                loaded.version
            ),
        ));
    }
    let question = &inference.question;
    Ok(match given.quality_score {
        Some(score) => question
            .policy
            .decide(&question.scenario, score, f32::INFINITY, 1),
        None => Decision {
            scenario: question.scenario.clone(),
            action: Action::Accept,
            threshold: question.policy.accept,
            reasons: Vec::new(),
        },
    })
}

/// Writes the rows of a comparison that cannot be made, and gives the problem to answer with: the probe's before the
/// reference's.
async fn refuse(inference: &Inference, sides: [Result<Judged, Problem>; 2]) -> Problem {
    let mut rows = Vec::new();
    let mut first = None;
    for (part, side) in Part::ALL.into_iter().zip(sides) {
        match side {
            Ok(judged) => rows.extend(judged.rows(inference, None)),
            Err(problem) => {
                let role = role_of(part);
                let image = problem.image.as_ref();
                let context = inference.context();
                rows.push(context.failed(role, problem.code, &problem.detail, image));
                first = first.or(Some(problem));
            }
        }
    }
    // The failure is the answer, whether or not its rows could be written.
    let _ = inference.record(rows).await;
    first.unwrap_or_else(|| Problem::new(ProblemCode::Internal, "the comparison failed"))
}

impl Judged {
    fn embedding(&self) -> Result<&Embedding, Problem> {
        match &self.sample {
            SideSample::Image(analysis) => analysis
                .faces
                .first()
                .map(|face| &face.embedding)
                .ok_or_else(|| {
                    Problem::new(ProblemCode::NoFace, "no face was found").on(self.part)
                }),
            SideSample::Embedding(given, _) => Ok(&given.embedding),
        }
    }

    fn action(&self) -> Action {
        match &self.sample {
            SideSample::Image(analysis) => analysis
                .faces
                .first()
                .map_or(Action::Reject, |face| face.decision.action),
            SideSample::Embedding(_, decision) => decision.action,
        }
    }

    fn score(&self) -> Option<f32> {
        match &self.sample {
            SideSample::Image(analysis) => analysis.faces.first().map(|face| face.quality.score),
            SideSample::Embedding(given, _) => given.quality_score,
        }
    }

    fn rows(&self, inference: &Inference, answer: Option<(f32, Verdict)>) -> Vec<InferenceRecord> {
        let role = role_of(self.part);
        let mut rows = match &self.sample {
            SideSample::Image(analysis) => inference.rows(role, analysis),
            SideSample::Embedding(given, decision) => {
                vec![
                    inference
                        .context()
                        .given_embedding(role, given.quality_score, Some(decision)),
                ]
            }
        };
        if let Some((similarity, verdict)) = answer {
            for row in &mut rows {
                row.set_comparison(similarity, verdict);
            }
        }
        rows
    }

    fn hints(&self, inference: &Inference) -> Vec<SideHint> {
        match &self.sample {
            SideSample::Image(analysis) => analysis
                .hints
                .iter()
                .map(|&hint| SideHint {
                    hint: HintDto::new(hint, inference.language),
                    part: self.part,
                })
                .collect(),
            SideSample::Embedding(..) => Vec::new(),
        }
    }

    fn timings(&self) -> Timings {
        match &self.sample {
            SideSample::Image(analysis) => analysis.timings,
            SideSample::Embedding(..) => Timings::default(),
        }
    }

    fn shown(self, with_embedding: bool) -> Result<ComparedSide, Problem> {
        Ok(match self.sample {
            SideSample::Image(analysis) => {
                let face = analysis.faces.into_iter().next().ok_or_else(|| {
                    Problem::new(ProblemCode::NoFace, "no face was found").on(self.part)
                })?;
                ComparedSide::Image(Box::new(FaceDto::new(face, with_embedding)))
            }
            SideSample::Embedding(given, decision) => ComparedSide::Embedding(GivenSide {
                embedding: with_embedding.then(|| given.embedding.values().to_vec()),
                quality: given.quality_score.map(|score| GivenQuality {
                    score,
                    grade: Grade::of(score),
                }),
                decision: decision.into(),
            }),
        })
    }
}

/// Stages of both sides added up; the total is the time that passed.
fn together(probe: &Judged, reference: &Judged, started: Instant) -> Timings {
    let (probe, reference) = (probe.timings(), reference.timings());
    Timings {
        queue_ms: probe.queue_ms + reference.queue_ms,
        decode_ms: probe.decode_ms + reference.decode_ms,
        detect_ms: probe.detect_ms + reference.detect_ms,
        align_ms: probe.align_ms + reference.align_ms,
        embed_ms: probe.embed_ms + reference.embed_ms,
        judge_ms: probe.judge_ms + reference.judge_ms,
        total_ms: started.elapsed().as_secs_f32() * 1e3,
    }
}

/// The start of a digest: enough to tell two apart, short enough to read.
fn short(sha256: &str) -> String {
    sha256.chars().take(12).collect()
}
