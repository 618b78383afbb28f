//! `explain`: why a decision came out as it did, from the log alone: score and cuts, causes,
//! components, verdict.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use chrono::SecondsFormat;
use serde::Serialize;

use super::centre::CentreFlags;
use super::report_out::ReportFlags;
use super::{Context, offline, output};
use faceood::config::Config;
use faceood_engine::pack::Pack;
use faceood_engine::pipeline::thresholds_of;
use faceood_engine::policy::{Action, Policies, Reason, Thresholds, Verdict};
use faceood_engine::problem::ProblemCode;
use faceood_engine::quality::components::Direction;
use faceood_engine::quality::{Calibration, Cause, Grade};
use faceood_fleet::CentreReader;
use faceood_log::{Endpoint, InferenceRecord, LogReader, Role, StoredFeedback};

mod text;
mod words;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The request id is `request_id` in the answer, and its header X-Request-Id. The id of a row does as \
well: GET /v1/inferences has both, and analyze-logs --format json has typical rows in `exemplars`.

Examples:
  faceood-admin explain 0199b3f2-5f0e-7c31-8a41-0b6f1f0e9c55
  faceood-admin explain gate-3.42 --json | jq '.samples[].why'
  faceood-admin --db postgres://centre.example/faceood explain gate-3.42")]
pub(crate) struct Args {
    /// Id of the request
    #[arg(value_name = "REQUEST_ID")]
    request_id: String,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    centre: CentreFlags,
}

#[derive(Debug, Serialize)]
struct Explanation {
    request_id: String,
    endpoint: Endpoint,
    /// When its first row was made, RFC 3339.
    time: String,
    source: Option<String>,
    /// Name of the token that allowed it.
    token: Option<String>,
    scenario: Option<String>,
    pack: Option<String>,
    pack_version: Option<String>,
    provider: Option<String>,
    calibration_id: Option<String>,
    /// How it turned out, where a caller told so later.
    outcome: Option<faceood_log::ReportedOutcome>,
    outcome_note: Option<String>,
    /// Everything that was told, in that order: the last is in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    feedback: Vec<StoredFeedback>,
    /// Rows of earlier requests to which their callers gave the same id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    same_id: Vec<String>,
    /// Of a comparison that came to a verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<ExplainedComparison>,
    /// The picture, its faces, or the two sides of a comparison.
    samples: Vec<ExplainedRow>,
}

#[derive(Debug, Serialize)]
struct ExplainedComparison {
    similarity: f32,
    verdict: Verdict,
    /// Cuts on the similarity: of the pack, as it is installed now.
    same_from: f32,
    different_below: f32,
    why: Vec<String>,
}

/// A face, a picture without one, an embedding, or a failure.
#[derive(Debug, Serialize)]
struct ExplainedRow {
    inference_id: String,
    role: Role,
    face_index: Option<u32>,
    error_code: Option<&'static str>,
    error_detail: Option<String>,
    action: Option<Action>,
    reasons: Option<Vec<Reason>>,
    score: Option<f32>,
    /// The policy's accept cut at that time.
    accept_from: Option<f32>,
    /// Its review cut: as configured now, since rows do not hold it.
    review_from: Option<f32>,
    interval: Option<[f32; 2]>,
    pass_probability: Option<f32>,
    grade: Option<Grade>,
    ood_logit: Option<f32>,
    embedding_norm: Option<f32>,
    network_norms: Option<BTreeMap<String, f32>>,
    causes: Option<Vec<Cause>>,
    components: Vec<MeasuredComponent>,
    why: Vec<String>,
    /// What would help where it was not accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct MeasuredComponent {
    name: &'static str,
    value: f32,
    unit: &'static str,
    /// `higher`, `lower`, or nothing where neither is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    better: Option<&'static str>,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let centre = args.centre.reader(context)?;
    let path = match &centre {
        Some(centre) => PathBuf::from(centre.target()),
        None => context.database()?,
    };
    let (rows, feedback) = context.block_on(async {
        if let Some(centre) = &centre {
            return Ok((found_at(centre, &args.request_id).await?, Vec::new()));
        }
        let reader = LogReader::open(&path).await?;
        let rows = found(&reader, &args.request_id).await?;
        let feedback = match rows.last() {
            Some(row) => reader.feedback_on(row).await?,
            None => Vec::new(),
        };
        Ok((rows, feedback))
    })?;
    let config = context.config()?;
    let policies = Policies::new(&config.policies)?;
    let Some(mut explanation) = explain(&rows, &policies, thresholds(&config, &rows)) else {
        bail!(
            "no row of {} has the request id {:?}: ids are compared exactly, and old rows are deleted (log.retention_days is {}); \
             take the id from `request_id` in the answer, from its header X-Request-Id, from GET /v1/inferences, or from \
             `exemplars` in analyze-logs --format json",
            path.display(),
            args.request_id,
            config.log.retention_days
        );
    };
    explanation.feedback = feedback;
    let text = || explanation.text();
    args.report
        .show_text("Why a decision came out as it did", &explanation, text)
}

/// The rows of the requests with this id; where there is none, those of the request that has a row
/// with it.
async fn found(reader: &LogReader, id: &str) -> anyhow::Result<Vec<InferenceRecord>> {
    let rows = reader.by_request(id).await?;
    if !rows.is_empty() {
        return Ok(rows);
    }
    let Ok(id) = id.parse() else {
        return Ok(rows);
    };
    let Some(row) = reader.by_id(id).await? else {
        return Ok(rows);
    };
    let mut rows = reader.by_request(&row.request_id).await?;
    rows.retain(|other| other.request_key == row.request_key);
    Ok(rows)
}

/// As [`found`], at a centre. The box that answered stands before the source, as in reports.
async fn found_at(centre: &CentreReader, id: &str) -> anyhow::Result<Vec<InferenceRecord>> {
    let mut rows = centre.by_request(id).await?;
    if let (true, Ok(id)) = (rows.is_empty(), id.parse())
        && let Some((node, row)) = centre.by_id(id).await?
    {
        rows = centre.by_request(&row.request_id).await?;
        rows.retain(|(other, other_row)| {
            *other == node && other_row.request_key == row.request_key
        });
    }
    let named = rows.into_iter().map(|(node, mut row)| {
        let source = row.source.unwrap_or_default();
        row.source = Some(format!("{node}/{source}"));
        row
    });
    Ok(named.collect())
}

/// The cuts that judged the rows: those of the calibration, if it is still in force, or else of the
/// pack, if it is the one installed; otherwise the usual ones.
fn thresholds(config: &Config, rows: &[InferenceRecord]) -> Thresholds {
    let has_judged = |calibration: &Calibration| {
        let mut ids = rows.iter().filter_map(|row| row.calibration_id.as_deref());
        ids.any(|id| id == calibration.id())
    };
    let carried = offline::site_calibration(config)
        .filter(has_judged)
        .and_then(|calibration| calibration.thresholds());
    let judged_by = rows.iter().find_map(|row| row.pack_sha256.as_deref());
    let of_pack = || {
        let installed = Pack::open(&config.pack_dir()).ok();
        let same = installed.filter(|pack| judged_by.is_none_or(|sha256| sha256 == pack.sha256()));
        same.as_ref().map(thresholds_of).unwrap_or_default()
    };
    carried.unwrap_or_else(of_pack)
}

/// Explains the rows of the last request that had their id; `None` where there are none.
fn explain(
    rows: &[InferenceRecord],
    policies: &Policies,
    thresholds: Thresholds,
) -> Option<Explanation> {
    let last = rows.last()?.request_key;
    let (rows, earlier): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.request_key == last);
    let first = *rows.first()?;
    let compared = |row: &&InferenceRecord| Some((row.similarity?, row.verdict?));
    let compared = rows.iter().find_map(compared);
    let stamp = |row: &&InferenceRecord| format!("{} {}", row.time.format("%F %T UTC"), row.id);
    let comparison = compared.map(|(similarity, verdict)| ExplainedComparison {
        similarity,
        verdict,
        same_from: thresholds.same,
        different_below: thresholds.different,
        why: words::of_verdict(similarity, verdict, thresholds, &rows),
    });
    Some(Explanation {
        request_id: first.request_id.clone(),
        endpoint: first.endpoint,
        time: first.time.to_rfc3339_opts(SecondsFormat::Millis, true),
        source: first.source.clone(),
        token: first.token.clone(),
        scenario: first.scenario.clone(),
        pack: first.pack.clone(),
        pack_version: first.pack_version.clone(),
        provider: first.provider.clone(),
        calibration_id: first.calibration_id.clone(),
        outcome: first.outcome,
        outcome_note: first.outcome_note.clone(),
        feedback: Vec::new(),
        same_id: earlier.iter().map(stamp).collect(),
        comparison,
        samples: rows.iter().map(|row| sample(row, policies)).collect(),
    })
}

fn sample(row: &InferenceRecord, policies: &Policies) -> ExplainedRow {
    let policy = row.scenario.as_deref().and_then(|name| policies.get(name));
    let components = row.components.iter().filter_map(|(component, value)| {
        Some(MeasuredComponent {
            name: component.name(),
            value: value?,
            unit: component.unit(),
            better: match component.direction() {
                Direction::HigherIsBetter => Some("higher"),
                Direction::LowerIsBetter => Some("lower"),
                Direction::Neither => None,
            },
        })
    });
    let interval = row.interval_low.zip(row.interval_high);
    ExplainedRow {
        inference_id: row.id.to_string(),
        role: row.role,
        face_index: row.face_index,
        error_code: row.error_code.map(ProblemCode::code),
        error_detail: row.error_detail.clone(),
        action: row.action,
        reasons: row.reasons.clone(),
        score: row.quality_score,
        accept_from: row.threshold,
        review_from: policy.map(|policy| policy.review),
        interval: interval.map(<[f32; 2]>::from),
        pass_probability: row.pass_probability,
        grade: row.grade,
        ood_logit: row.ood_logit,
        embedding_norm: row.embedding_norm,
        network_norms: row.network_norms.clone(),
        causes: row.causes.clone(),
        components: components.collect(),
        why: words::of_decision(row, policy),
        advice: words::advice(row),
    }
}

#[cfg(test)]
mod tests;
