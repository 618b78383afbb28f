//! What extract, quality and compare have in common: ask the pool, write the rows, and only then answer.

use std::cell::OnceCell;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use tokio::runtime::Handle;
use tracing::{Instrument, Span};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::checkpoint::Interruption;
use crate::face::NoFace;
use crate::inference_log::{Endpoint, InferenceRecord, RequestContext, Role};
use crate::pipeline::{Analysis, Ask, Faces};
use crate::policy::{DEFAULT_SCENARIO, Policy};
use crate::problem::texts::ServiceFault;
use crate::problem::{Explain, ProblemCode};
use crate::quality::Language;
use crate::quality::hints::HintCode;
use crate::server::dto::ExtractAnswer;
use crate::server::parameters::{self, Parameters, names, unknown};
use crate::server::problem_response::{Part, Problem};
use crate::server::request_id::{RequestId, RequestOutcome, language};
use crate::server::state::AppState;
use crate::server::upload::Upload;
use crate::telemetry::metrics;

/// The query parameters that every inference endpoint takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InferenceQuery {
    /// The configured policy that decides; default `access`.
    scenario: Option<String>,
    /// The caller's terminal or camera, 1–64 of `[A-Za-z0-9._:-]`.
    #[serde(default, deserialize_with = "parameters::source")]
    source: Option<String>,
}

/// Which faces of a picture are asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FaceChoice {
    /// The largest one.
    #[default]
    Largest,
    /// Every one.
    All,
}

/// The scenario that a request names: looked up before the picture is read.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The scenario that decides.
    pub(super) scenario: String,
    /// Its rules at this moment.
    pub(super) policy: Policy,
}

impl Question {
    fn read(
        request: &HttpRequest,
        parameters: &Parameters,
        state: &AppState,
    ) -> Result<Self, Problem> {
        let query: InferenceQuery = parameters.get()?;
        Span::current().record("source", query.source.as_deref());
        let scenario = query.scenario.as_deref().unwrap_or(DEFAULT_SCENARIO);
        RequestOutcome::note(request, |outcome| {
            outcome.source = query.source;
            outcome.scenario = Some(scenario.chars().take(64).collect());
        });
        let policies = state.policies();
        let Some(policy) = policies.get(scenario) else {
            let names: Vec<_> = policies.names().collect();
            let detail = unknown("scenario", scenario, &names);
            return Err(Problem::new(ProblemCode::UnknownScenario, detail));
        };
        Ok(Self {
            scenario: scenario.to_owned(),
            policy: policy.clone(),
        })
    }
}

/// A request to an inference endpoint whose own query parameters are `Q`. An extractor: it fails
/// where a parameter is wrong.
pub(super) struct Asked<Q> {
    /// What all of these endpoints have in common.
    pub(super) inference: Inference,
    /// The endpoint's own parameters.
    pub(super) query: Q,
}

impl<Q: IntoParams + for<'q> Deserialize<'q>> FromRequest for Asked<Q> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || {
            let known = [names::<InferenceQuery>(), names::<Q>()].concat();
            let parameters = Parameters::parse(request.query_string(), &known)?;
            Ok(Self {
                inference: Inference::begin(request, &parameters)?,
                query: parameters.get()?,
            })
        };
        ready(read())
    }
}

/// One request to an inference endpoint, from its question to its rows.
pub(super) struct Inference {
    /// What is asked.
    pub(super) question: Question,
    /// In which language advice is given.
    pub(super) language: Language,
    /// Names the request in answer and rows.
    pub(super) id: RequestId,
    /// The shared handles.
    pub(super) state: web::Data<AppState>,
    request: HttpRequest,
    context: RequestContext,
    deadline: OnceCell<Instant>,
}

impl Inference {
    fn begin(request: &HttpRequest, parameters: &Parameters) -> Result<Self, Problem> {
        let (Some(state), Some(endpoint)) = (
            request.app_data::<web::Data<AppState>>(),
            endpoint_of(request),
        ) else {
            return Err(Problem::new(
                ProblemCode::Internal,
                "this endpoint is not set up",
            ));
        };
        let question = Question::read(request, parameters, state)?;
        let id = RequestId::of(request);
        Ok(Self {
            context: context(state, &id, endpoint, &RequestOutcome::of(request)),
            question,
            language: language(request),
            id,
            state: state.clone(),
            request: request.clone(),
            deadline: OnceCell::new(),
        })
    }

    /// Asks the pool about `faces` of `upload`.
    ///
    /// # Errors
    ///
    /// Whatever the pipeline has to say, overload, or no face where one is needed.
    pub(super) async fn analyse(
        &self,
        upload: &Upload,
        faces: FaceChoice,
    ) -> Result<Analysis, Problem> {
        let ask = Ask {
            scenario: self.question.scenario.clone(),
            policy: self.question.policy.clone(),
            faces: match faces {
                FaceChoice::Largest => Faces::Largest,
                FaceChoice::All => Faces::All {
                    at_most: self.state.pool.max_faces(),
                },
            },
            // Asked for below, where what is known of the picture is still at hand for its row.
            needs_face: false,
        };
        // From here on: the time that a slow sender took is his own. A comparison's two pictures
        // share it.
        let deadline = self.deadline.get_or_init(|| self.state.pool.deadline());
        let analysis = self
            .state
            .pool
            .submit(upload.bytes.clone(), ask, *deadline)
            .await
            .map_err(|error| {
                let problem = Problem::from(error.told());
                if problem.code == ProblemCode::Internal {
                    tracing::error!(%error, "the analysis failed");
                }
                problem
            })?;
        count(&analysis, self.context.source.as_deref());
        if analysis.faces.is_empty() && self.context.endpoint != Endpoint::Quality {
            let is_turned = analysis.hints.contains(&HintCode::TurnPicture);
            let image = analysis.image;
            let no_face = NoFace::new(image.width, image.height, is_turned);
            return Err(Problem::from(&no_face).with_image(image));
        }
        Ok(analysis)
    }

    /// The `faces` in `upload`: asked about, their rows committed, and only then answered.
    ///
    /// # Errors
    ///
    /// As [`Self::analyse`] and [`Self::record`].
    pub(super) async fn answer(
        &self,
        upload: &Upload,
        faces: Option<FaceChoice>,
        with_embeddings: bool,
    ) -> Result<HttpResponse, Problem> {
        let analysis = self.analyse(upload, faces.unwrap_or_default()).await?;
        self.record(self.rows(Role::Image, &analysis)).await?;
        if let Some(face) = analysis.faces.first() {
            self.note(face.decision.action.name(), Some(face.quality.score));
        }
        Ok(HttpResponse::Ok().json(ExtractAnswer::new(
            self.id.as_str(),
            &self.state.info.model,
            analysis,
            with_embeddings,
            self.language,
        )))
    }

    /// Rows of a picture that was analysed.
    #[must_use]
    pub(super) fn rows(&self, role: Role, analysis: &Analysis) -> Vec<InferenceRecord> {
        self.context.analysed(role, analysis)
    }

    /// The context from which rows are made.
    #[must_use]
    pub(super) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Commits `rows`: when this returns, an answer may go out.
    ///
    /// # Errors
    ///
    /// `not_ready` where the log refuses.
    pub(super) async fn record(&self, rows: Vec<InferenceRecord>) -> Result<(), Problem> {
        RequestOutcome::note(&self.request, |outcome| outcome.is_recorded = true);
        self.state.log.append_all(rows).await.map_err(|error| {
            tracing::error!(%error, "the log did not take a row");
            Problem::from(&ServiceFault::Unrecorded {
                fault: error.told(),
            })
        })
    }

    /// Notes what decided, for the line in the text log.
    pub(super) fn note(&self, action: &'static str, score: Option<f32>) {
        RequestOutcome::note(&self.request, |outcome| {
            outcome.action = Some(action);
            outcome.score = score;
        });
    }
}

/// Counts an analysis: stages, waiting, scores, norms, actions.
fn count(analysis: &Analysis, source: Option<&str>) {
    let timings = &analysis.timings;
    metrics::queue_wait(timings.queue_ms);
    for (stage, ms) in [
        ("decode", timings.decode_ms),
        ("detect", timings.detect_ms),
        ("align", timings.align_ms),
        ("embed", timings.embed_ms),
        ("judge", timings.judge_ms),
    ] {
        metrics::stage(stage, ms);
    }
    for face in &analysis.faces {
        metrics::face(face.quality.score, face.embedding_norm);
        let decision = &face.decision;
        metrics::action(&decision.scenario, source, decision.action.name());
    }
}

fn endpoint_of(request: &HttpRequest) -> Option<Endpoint> {
    match request.path() {
        "/v1/extract" => Some(Endpoint::Extract),
        "/v1/quality" => Some(Endpoint::Quality),
        "/v1/compare" => Some(Endpoint::Compare),
        _ => None,
    }
}

fn context(
    state: &AppState,
    id: &RequestId,
    endpoint: Endpoint,
    outcome: &RequestOutcome,
) -> RequestContext {
    RequestContext {
        request_id: id.as_str().to_owned(),
        request_key: Uuid::now_v7(),
        endpoint,
        scenario: outcome.scenario.clone(),
        source: outcome.source.clone(),
        model: Arc::clone(&state.info.model),
        calibration_id: state.pool.assembly().calibration().id().to_owned(),
    }
}

/// Gives every failed request to an inference endpoint its row, wherever it failed. The failure is the answer even where
/// the row cannot be written: the promise is that no *answer* is without its row.
///
/// # Errors
///
/// Only what the service within raises.
pub(super) async fn record_failure<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let waiting = Waiting::began(request.request());
    let response = next.call(request).await?;
    waiting.end();
    let request = response.request();
    let problem = response
        .response()
        .error()
        .and_then(Error::as_error::<Problem>);
    let outcome = RequestOutcome::of(request);
    let state = request.app_data::<web::Data<AppState>>().cloned();
    if let (Some(problem), Some(state), Some(endpoint), false) =
        (problem, state, endpoint_of(request), outcome.is_recorded)
        && problem.code != ProblemCode::MethodNotAllowed
    {
        let context = context(&state, &RequestId::of(request), endpoint, &outcome);
        let role = role_in(endpoint, problem.part);
        let row = context.failed(role, problem.code, &problem.detail, problem.image.as_ref());
        if let Err(error) = state.log.append(row).await {
            tracing::error!(%error, "the log did not take the row of a failure");
        }
    }
    Ok(response)
}

/// A caller who waits for an answer. The server drops the work for one who closes the connection:
/// then this writes the row, the line in the text log and the metric that the request would have
/// had.
struct Waiting {
    request: Option<HttpRequest>,
    began: Instant,
}

impl Waiting {
    fn began(request: &HttpRequest) -> Self {
        Self {
            request: Some(request.clone()),
            began: Instant::now(),
        }
    }

    fn end(mut self) {
        self.request = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(request) = self.request.take() else {
            return;
        };
        let outcome = RequestOutcome::of(&request);
        let state = request.app_data::<web::Data<AppState>>().cloned();
        let (Some(state), Some(endpoint), false, Ok(runtime)) = (
            state,
            endpoint_of(&request),
            outcome.is_recorded,
            Handle::try_current(),
        ) else {
            return;
        };
        let code = Interruption::CallerLeft.problem();
        let context = context(&state, &RequestId::of(&request), endpoint, &outcome);
        metrics::request(
            request.path(),
            code.status(),
            code.code(),
            self.began.elapsed(),
        );
        tracing::info!(
            code = code.code(),
            "the caller closed the connection before the answer"
        );
        let role = role_in(endpoint, None);
        let row = context.failed(role, code, &Interruption::CallerLeft.to_string(), None);
        let appending = async move {
            if let Err(error) = state.log.append(row).await {
                tracing::error!(%error, "the log did not take the row of a caller who left");
            }
        };
        runtime.spawn(appending.in_current_span());
    }
}

/// The role of the row of a failure, which is one side's fault or the whole request's.
fn role_in(endpoint: Endpoint, part: Option<Part>) -> Role {
    match (endpoint, part) {
        (_, Some(part)) => role_of(part),
        (Endpoint::Compare, None) => Role::Probe,
        _ => Role::Image,
    }
}

/// The role of a side.
#[must_use]
pub(super) fn role_of(part: Part) -> Role {
    match part {
        Part::Probe => Role::Probe,
        Part::Reference => Role::Reference,
    }
}
