//! `POST /v1/compare`: two pictures, or embeddings kept from earlier, → one verdict.

use std::time::Instant;

use actix_web::HttpResponse;
use faceood_engine::embed::Embedding;
use faceood_engine::pipeline::view::{
    CompareAnswer, ComparedSide, FaceDto, GivenQuality, GivenSide, HintDto, SideHint, rounded,
};
use faceood_engine::pipeline::{Analysis, Timings};
use faceood_engine::policy::{Action, Decision, verdict};
use faceood_engine::problem::ProblemCode;
use faceood_engine::quality::Grade;
use faceood_engine::quality::hints::HintCode;
use faceood_log::InferenceRecord;
use futures_util::future::join;
use serde::Deserialize;
use utoipa::IntoParams;

use super::inference::{Asked, FaceChoice, Inference, InferenceQuery, role_of};
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
/// similarity. Else below `thresholds.different` (0.35) `different`, below `thresholds.same` (0.45) or where a side's
/// action is review `review`, else `same`.
#[utoipa::path(
    post,
    path = "/v1/compare",
    tag = "faces",
    params(
        InferenceQuery,
        CompareQuery,
        super::descriptions::Headers,
    ),
    request_body(
        description = "Two sides: as the parts `probe` and `reference`, or in JSON, where either may be an embedding.",
        content(
            (super::descriptions::PairForm = "multipart/form-data"),
            (crate::server::upload::PairBody<'static> = "application/json"),
        )
    ),
    responses(
        (status = 200, description = "The verdict; the rows of both sides are in the log.", body = CompareAnswer<'static>),
        super::descriptions::Problems,
    )
)]
pub(super) async fn compare(
    asked: Asked<CompareQuery>,
    pair: Pair,
) -> Result<HttpResponse, Problem> {
    let Asked { inference, query } = asked;
    let started = Instant::now();
    let judged = join(
        judged(&inference, Part::Probe, pair.probe),
        judged(&inference, Part::Reference, pair.reference),
    );
    let (probe, reference) = match judged.await {
        (Ok(probe), Ok(reference)) => (probe, reference),
        (probe, reference) => return Err(refuse(&inference, [probe, reference]).await),
    };

    let similarity = probe.embedding.similarity(&reference.embedding);
    let thresholds = inference.state.pool.assembly().thresholds();
    let (one, other) = (probe.decision.action, reference.decision.action);
    let verdict = verdict(similarity, thresholds, one, other);
    let mut rows = probe.rows(&inference);
    rows.extend(reference.rows(&inference));
    for row in &mut rows {
        row.set_comparison(similarity, verdict);
    }
    inference.record(rows).await?;
    // The side that is trusted less bears on the verdict.
    let scores = probe.score.into_iter().chain(reference.score);
    inference.note(verdict.name(), scores.reduce(f32::min));
    metrics::verdict(&inference.scenario, verdict.name());

    let with_embedding = query.embedding.unwrap_or(false);
    let hints = [&probe, &reference]
        .into_iter()
        .flat_map(|side| side.hints(&inference));
    Ok(HttpResponse::Ok().json(CompareAnswer {
        request_id: inference.id.as_str(),
        model: &inference.state.info.model,
        similarity,
        verdict: verdict.name(),
        thresholds,
        hints: hints.collect(),
        timings_ms: rounded(together(&probe, &reference, started)),
        probe: probe.shown(with_embedding),
        reference: reference.shown(with_embedding),
    }))
}

struct Judged {
    part: Part,
    embedding: Embedding,
    decision: Decision,
    score: Option<f32>,
    /// Of its picture, where it was given as one; [`judged`] sees to it that it has a face.
    analysis: Option<Analysis>,
}

async fn judged(inference: &Inference, part: Part, side: Side) -> Result<Judged, Problem> {
    match side {
        Side::Image(upload) => {
            let analysis = inference.analyse(&upload, FaceChoice::Largest).await;
            let analysis = analysis.map_err(|problem| {
                // Overload and our own faults are not the fault of a side.
                if problem.code.status() < 500 {
                    of_side(problem, part)
                } else {
                    problem
                }
            })?;
            let no_face = || of_side(Problem::new(ProblemCode::NoFace, "no face was found"), part);
            let face = analysis.faces.first().ok_or_else(no_face)?;
            Ok(Judged {
                part,
                embedding: face.embedding.clone(),
                decision: face.decision.clone(),
                score: Some(face.quality.score),
                analysis: Some(analysis),
            })
        }
        Side::Embedding(given) => Ok(Judged {
            part,
            decision: decided(inference, &given).map_err(|problem| of_side(problem, part))?,
            embedding: given.embedding,
            score: given.quality_score,
            analysis: None,
        }),
    }
}

/// `problem`, blamed on one side, whose name its detail then begins with.
fn of_side(mut problem: Problem, part: Part) -> Problem {
    let name = part.name();
    problem.detail = format!("`{name}`: {}", problem.detail);
    problem.chinese = problem.chinese.map(|said| format!("`{name}`：{said}"));
    problem.on(part)
}

/// What the policy makes of an embedding. Without a score it counts as an accepted reference.
fn decided(inference: &Inference, given: &GivenEmbedding) -> Result<Decision, Problem> {
    let loaded = &inference.state.info.model;
    if let Some(sha256) = &given.model_sha256
        && !sha256.eq_ignore_ascii_case(&loaded.sha256)
    {
        // Enough of a digest to tell two apart. A caller's text that is none is not repeated.
        let short = |sha256: &str| {
            if sha256.is_empty() || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return "(no SHA-256)".to_owned();
            }
            sha256.chars().take(12).collect()
        };
        let detail = format!(
            "the embedding is of pack {}, this service runs {} ({} {}); extract it again from its picture",
            short(sha256),
            short(&loaded.sha256),
            loaded.pack,
            loaded.version
        );
        return Err(Problem::new(ProblemCode::ModelMismatch, detail));
    }
    let (scenario, policy) = (&inference.scenario, &inference.policy);
    Ok(match given.quality_score {
        Some(score) => policy.decide(scenario, score, f32::INFINITY, 1),
        None => Decision {
            scenario: scenario.clone(),
            action: Action::Accept,
            threshold: policy.accept,
            reasons: Vec::new(),
        },
    })
}

/// Writes the rows of a comparison that cannot be made, and gives the problem to answer with: the
/// probe's before the reference's.
async fn refuse(inference: &Inference, sides: [Result<Judged, Problem>; 2]) -> Problem {
    let mut rows = Vec::new();
    let mut first = None;
    for (part, side) in Part::ALL.into_iter().zip(sides) {
        match side {
            Ok(judged) => rows.extend(judged.rows(inference)),
            Err(problem) => {
                let (code, image) = (problem.code, problem.image.as_ref());
                let row = inference
                    .context
                    .failed(role_of(part), code, &problem.detail, image);
                rows.push(row);
                first = first.or(Some(problem));
            }
        }
    }
    // The failure is the answer, whether or not its rows could be written.
    let _ = inference.record(rows).await;
    first.unwrap_or_else(|| Problem::new(ProblemCode::Internal, "the comparison failed"))
}

impl Judged {
    fn rows(&self, inference: &Inference) -> Vec<InferenceRecord> {
        let (context, role) = (&inference.context, role_of(self.part));
        match &self.analysis {
            Some(analysis) => context.analysed(role, analysis),
            None => vec![context.given_embedding(role, self.score, Some(&self.decision))],
        }
    }

    fn hints(&self, inference: &Inference) -> impl Iterator<Item = SideHint> {
        let (part, language) = (self.part, inference.language);
        let hints = match &self.analysis {
            Some(analysis) => analysis.hints.clone(),
            // An embedding with a poor score: of its picture no more is known.
            None if self.decision.action != Action::Accept => vec![HintCode::Retake],
            None => Vec::new(),
        };
        hints.into_iter().map(move |hint| SideHint {
            hint: HintDto::new(hint, language),
            part,
        })
    }

    fn timings(&self) -> Timings {
        self.analysis
            .as_ref()
            .map_or_else(Timings::default, |analysis| analysis.timings)
    }

    fn shown(self, with_embedding: bool) -> ComparedSide {
        match self
            .analysis
            .and_then(|analysis| analysis.faces.into_iter().next())
        {
            Some(face) => ComparedSide::Image(Box::new(FaceDto::new(face, with_embedding))),
            None => ComparedSide::Embedding(GivenSide {
                embedding: with_embedding.then(|| self.embedding.values().to_vec()),
                quality: self.score.map(|score| GivenQuality {
                    score,
                    grade: Grade::of(score),
                }),
                decision: self.decision,
            }),
        }
    }
}

/// Stages of both sides added up; the total is the time that passed.
fn together(probe: &Judged, reference: &Judged, started: Instant) -> Timings {
    let (probe, reference) = (probe.timings(), reference.timings());
    Timings {
        queue: probe.queue + reference.queue,
        decode: probe.decode + reference.decode,
        detect: probe.detect + reference.detect,
        align: probe.align + reference.align,
        embed: probe.embed + reference.embed,
        judge: probe.judge + reference.judge,
        total: started.elapsed().as_secs_f32() * 1e3,
    }
}
