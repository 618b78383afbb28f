//! What extract, quality and compare share: ask the pool, write the rows, then answer.

use std::cell::OnceCell;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use faceood_engine::checkpoint::Interruption;
use faceood_engine::face::NoFace;
use faceood_engine::pipeline::view::ExtractAnswer;
use faceood_engine::pipeline::{Analysis, Ask, Faces};
use faceood_engine::policy::{DEFAULT_SCENARIO, Policy};
use faceood_engine::problem::texts::ServiceFault;
use faceood_engine::problem::{Explain, ProblemCode};
use faceood_engine::quality::Language;
use faceood_engine::quality::hints::HintCode;
use faceood_log::{Endpoint, InferenceRecord, RequestContext, Role};
use serde::Deserialize;
use tokio::runtime::Handle;
use tracing::{Instrument, Span};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::Turn;
use crate::server::guard::{Caller, note_foreign_source};
use crate::server::negotiation::language;
use crate::server::parameters::{self, Parameters, names, unknown};
use crate::server::problem_response::{Part, Problem};
use crate::server::request_id::{RequestId, RequestOutcome};
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

/// A request to an inference endpoint with the parameters `Q`. Fails where one is wrong.
pub(super) struct Asked<Q> {
    pub(super) inference: Inference,
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
    pub(super) scenario: String,
    pub(super) policy: Policy,
    pub(super) language: Language,
    pub(super) id: RequestId,
    pub(super) state: web::Data<AppState>,
    pub(super) context: RequestContext,
    request: HttpRequest,
    deadline: OnceCell<Instant>,
}

impl Inference {
    /// Looks up the scenario, before the picture is read.
    fn begin(request: &HttpRequest, parameters: &Parameters) -> Result<Self, Problem> {
        let query: InferenceQuery = parameters.get()?;
        let source = Caller::of(request).source(query.source).map_err(|fault| {
            note_foreign_source(request);
            Problem::from(&fault)
        })?;
        Span::current().record("source", source.as_deref());
        let scenario = query.scenario.unwrap_or_else(|| DEFAULT_SCENARIO.into());
        RequestOutcome::note(request, |outcome| {
            outcome.source = source;
            outcome.scenario = Some(scenario.chars().take(64).collect());
        });
        let id = RequestId::of(request);
        let Some((state, context)) = row_context(request, &id) else {
            let detail = "this endpoint is not set up";
            return Err(Problem::new(ProblemCode::Internal, detail));
        };
        let policies = state.policies();
        let Some(policy) = policies.get(&scenario).cloned() else {
            let names: Vec<_> = policies.names().collect();
            let detail = unknown("scenario", &scenario, &names);
            return Err(Problem::new(ProblemCode::UnknownScenario, detail));
        };
        Ok(Self {
            scenario,
            policy,
            language: language(request),
            id,
            state,
            context,
            request: request.clone(),
            deadline: OnceCell::new(),
        })
    }

    /// Asks the pool about `faces` of `upload`. Fails with what the pipeline says, with overload,
    /// and with no face where one is needed.
    pub(super) async fn analyse(
        &self,
        upload: &Upload,
        faces: FaceChoice,
    ) -> Result<Analysis, Problem> {
        let ask = Ask {
            scenario: self.scenario.clone(),
            policy: self.policy.clone(),
            faces: match faces {
                FaceChoice::Largest => Faces::Largest,
                FaceChoice::All => Faces::All(self.state.pool.settings().max_faces),
            },
            // Asked for below, where what is known of the picture is still at hand for its row.
            needs_face: false,
        };
        // From here on: a slow sender's time is his own. Both pictures of a pair share it.
        let deadline = self.deadline.get_or_init(|| self.state.pool.deadline());
        let turn = self.request.extensions().get::<Turn>().cloned();
        let mut charge = match turn {
            Some(turn) => Some(turn.begin(*deadline).await),
            None => None,
        };
        let lease = Arc::clone(&upload.lease);
        // With the worker, and not with the caller: who leaves early has used it all the same.
        let done = move |spent| {
            if let Some(charge) = &mut charge {
                charge.spent(spent);
            }
            drop(lease);
        };
        let pool = &self.state.pool;
        let submitted = pool.submit(upload.bytes.clone(), ask, *deadline, done);
        let analysis = submitted.await.map_err(|error| {
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
    pub(super) async fn answer(
        &self,
        upload: &Upload,
        faces: Option<FaceChoice>,
        with_embeddings: bool,
    ) -> Result<HttpResponse, Problem> {
        let analysis = self.analyse(upload, faces.unwrap_or_default()).await?;
        let rows = self.context.analysed(Role::Image, &analysis);
        self.record(rows).await?;
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

    /// Commits `rows`: when this returns, an answer may go out. Fails where the log refuses.
    pub(super) async fn record(&self, rows: Vec<InferenceRecord>) -> Result<(), Problem> {
        RequestOutcome::note(&self.request, |outcome| outcome.is_recorded = true);
        self.state.log.append_all(rows).await.map_err(|error| {
            tracing::error!(%error, "the log did not take a row");
            let fault = error.told();
            Problem::from(&ServiceFault::Unrecorded { fault })
        })
    }

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
    metrics::queue_wait(timings.queue);
    for (stage, ms) in [
        ("decode", timings.decode),
        ("detect", timings.detect),
        ("align", timings.align),
        ("embed", timings.embed),
        ("judge", timings.judge),
    ] {
        metrics::stage(stage, ms);
    }
    for face in &analysis.faces {
        metrics::face(face.quality.score, face.embedding_norm);
        let decision = &face.decision;
        metrics::action(&decision.scenario, source, decision.action.name());
    }
}

/// As [`row_context`], and `None` too where the request has its rows already.
fn unrecorded(request: &HttpRequest) -> Option<(web::Data<AppState>, RequestContext)> {
    if RequestOutcome::of(request).is_recorded {
        return None;
    }
    row_context(request, &RequestId::of(request))
}

/// The service, and what `request` brings to its rows. `None` where it is not for an inference
/// endpoint.
fn row_context(
    request: &HttpRequest,
    id: &RequestId,
) -> Option<(web::Data<AppState>, RequestContext)> {
    let outcome = RequestOutcome::of(request);
    let endpoint = match request.path() {
        "/v1/extract" => Endpoint::Extract,
        "/v1/quality" => Endpoint::Quality,
        "/v1/compare" => Endpoint::Compare,
        _ => return None,
    };
    let state = request.app_data::<web::Data<AppState>>()?.clone();
    let context = RequestContext {
        request_id: id.as_str().to_owned(),
        request_key: Uuid::now_v7(),
        endpoint,
        scenario: outcome.scenario,
        source: outcome.source,
        token: Caller::of(request).name().map(ToOwned::to_owned),
        model: Arc::clone(&state.info.model),
        calibration_id: state.pool.assembly().calibration().id().to_owned(),
    };
    Some((state, context))
}

/// Gives every failed request to an inference endpoint its row, wherever it failed. The failure is
/// the answer even where the row cannot be written: the promise is that no *answer* is without its
/// row. The error is only what the service within raises.
pub(super) async fn record_failure<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut waiting = Waiting {
        request: Some(request.request().clone()),
        began: Instant::now(),
    };
    let response = next.call(request).await?;
    waiting.request = None;
    let error = response.response().error();
    if let Some(problem) = error.and_then(Error::as_error::<Problem>)
        && problem.code != ProblemCode::MethodNotAllowed
        && let Some((state, context)) = unrecorded(response.request())
    {
        let role = role_in(context.endpoint, problem.part);
        let row = context.failed(role, problem.code, &problem.detail, problem.image.as_ref());
        if let Err(error) = state.log.append(row).await {
            tracing::error!(%error, "the log did not take the row of a failure");
        }
    }
    Ok(response)
}

/// A caller who waits. The server drops the work for one who closes the connection: then this
/// writes the row, the line and the metric that the request would have had.
struct Waiting {
    request: Option<HttpRequest>,
    began: Instant,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(request) = self.request.take() else {
            return;
        };
        let (Some((state, context)), Ok(runtime)) = (unrecorded(&request), Handle::try_current())
        else {
            return;
        };
        let (left, waited) = (Interruption::CallerLeft, self.began.elapsed());
        let code = left.problem();
        metrics::request(request.path(), code.status(), code.code(), waited);
        tracing::info!(
            code = code.code(),
            "the caller closed the connection before the answer"
        );
        let role = role_in(context.endpoint, None);
        let row = context.failed(role, code, &left.to_string(), None);
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

pub(super) fn role_of(part: Part) -> Role {
    match part {
        Part::Probe => Role::Probe,
        Part::Reference => Role::Reference,
    }
}
