//! The sentences of an explanation: which number was compared with which cut, and the result.

use faceood_engine::policy::{Action, Policy, Reason, Thresholds, Verdict};
use faceood_engine::quality::{COVERED_AT_MOST, CauseName, Language};
use faceood_log::{InferenceRecord, Role};
use faceood_patterns::words::{named, remedy, remedy_for_several};

/// Causes that advice is given on: the others weigh little.
const ADVISED: usize = 2;

/// Why one sample got its action. `policy` is the scenario's as it is configured now, if it is.
pub(super) fn of_decision(row: &InferenceRecord, policy: Option<&Policy>) -> Vec<String> {
    if let Some(problem) = row.error_code {
        let detail = row.error_detail.as_deref();
        let detail = detail.unwrap_or("no detail was logged");
        let (code, status) = (problem.code(), problem.status());
        return vec![if problem.is_answered() {
            format!("Failed with {code} ({status}): {detail}")
        } else {
            format!(
                "No answer went out: {detail}. Where this happens often, the caller waits too short a time (docs/integrators.md, installed in /usr/share/doc/faceood)."
            )
        }];
    }
    let Some(action) = row.action else {
        return vec!["No face was found, which is no error for this endpoint.".to_owned()];
    };
    let reasons = row.reasons.as_deref().unwrap_or_default();
    let mut why = vec![match row.quality_score {
        Some(score) => of_score(row, score, action, policy),
        None => "It was given as an embedding without a quality score, and so taken as an accepted reference.".to_owned(),
    }];
    if reasons.contains(&Reason::FaceTooSmall) {
        let side = row.box_width.zip(row.box_height);
        let side = side.map(|(width, height)| format!(" of {:.0} px", width.min(height)));
        let side = side.unwrap_or_default();
        let least = policy.map(|policy| format!(" ({} px as configured now)", policy.min_face_px));
        let least = least.unwrap_or_default();
        why.push(format!(
            "The face's shorter side{side} is under the scenario's min_face_px{least}: that alone rejects it."
        ));
    }
    if reasons.contains(&Reason::SeveralFaces) {
        let several =
            "The picture holds several faces and the scenario wants one: that alone rejects it.";
        why.push(several.to_owned());
    }
    if let (Some(policy), Some(threshold)) = (policy, row.threshold)
        && (policy.accept - threshold).abs() > 1e-6
    {
        why.push(format!(
            "The scenario has changed since: it accepted from {threshold:.2}, now from {:.2}.",
            policy.accept
        ));
    }
    let causes = row.causes.iter().flatten();
    let weighed = causes.map(|it| {
        let name = named(it.name.name(), Language::English);
        format!("{name} {:.0} %", it.weight * 100.0)
    });
    let weighed: Vec<String> = weighed.collect();
    if !weighed.is_empty() {
        why.push(format!(
            "What pulls the score down: {}.",
            weighed.join(", ")
        ));
    }
    let is_covered = row
        .causes
        .iter()
        .flatten()
        .any(|cause| matches!(cause.name, CauseName::Mask | CauseName::Occlusion));
    // The interval of a covered face ends at the cap, too.
    if is_covered
        && row
            .interval_high
            .is_some_and(|high| high == COVERED_AT_MOST)
    {
        why.push(format!(
            "A face that is surely covered never scores above {COVERED_AT_MOST}, even where it would match."
        ));
    }
    why
}

/// What would help a face that was not accepted, in the words of `analyze-logs`.
pub(super) fn advice(row: &InferenceRecord) -> Vec<&'static str> {
    match row.action {
        // Nobody stood there, or the picture was too dark to see it. The problem of a request that
        // failed says what to do by itself.
        None if row.error_code.is_none() => {
            return vec![
                "if somebody stood there, show the whole face, larger and with light on it",
            ];
        }
        None | Some(Action::Accept) => return Vec::new(),
        Some(Action::Review | Action::Reject) => {}
    }
    let reasons = row.reasons.as_deref().unwrap_or_default();
    let small = reasons
        .contains(&Reason::FaceTooSmall)
        .then_some(CauseName::LowResolution);
    let by_quality = reasons.contains(&Reason::Quality);
    let causes = row.causes.iter().flatten().map(|cause| cause.name);
    let causes = causes.filter(|name| by_quality && *name != CauseName::Unknown);
    let causes = causes.take(ADVISED).filter(|name| Some(*name) != small);
    let mut advice: Vec<&str> = small
        .into_iter()
        .chain(causes)
        .map(|name| remedy(name, Language::English))
        .collect();
    if reasons.contains(&Reason::SeveralFaces) {
        advice.push(remedy_for_several(Language::English));
    }
    if advice.is_empty() {
        advice.push("take another picture; what was measured does not explain the score");
    }
    advice
}

fn of_score(row: &InferenceRecord, score: f32, action: Action, policy: Option<&Policy>) -> String {
    let scenario = row.scenario.as_deref().unwrap_or("?");
    let accept = row.threshold.unwrap_or_default();
    let reasons = row.reasons.as_deref().unwrap_or_default();
    let score = exact(score);
    if action == Action::Accept || !reasons.contains(&Reason::Quality) {
        let at_least = row.quality_score >= row.threshold;
        let place = if at_least { "at or above" } else { "below" };
        return format!(
            "The quality score {score} is {place} the accept cut {accept:.2} of scenario {scenario:?}."
        );
    }
    // The review cut is not in the row; an unchanged policy has it.
    let unchanged = policy.filter(|policy| (policy.accept - accept).abs() <= 1e-6);
    let review = match unchanged {
        Some(policy) => format!("its review cut {:.2}", policy.review),
        None => "its review cut".to_owned(),
    };
    match action {
        Action::Review => format!(
            "The quality score {score} is below the accept cut {accept:.2} of scenario {scenario:?}, and at or above {review}: a person should look."
        ),
        _ => format!(
            "The quality score {score} is below {review}; scenario {scenario:?} accepts from {accept:.2}."
        ),
    }
}

/// Why two samples got their verdict: the first rule that applies, as the daemon goes through them.
pub(super) fn of_verdict(
    similarity: f32,
    verdict: Verdict,
    thresholds: Thresholds,
    rows: &[&InferenceRecord],
) -> Vec<String> {
    let with = |action: Action| {
        let roles = rows.iter().filter(move |row| row.action == Some(action));
        let names: Vec<&str> = roles.map(|row| name(row.role)).collect();
        names.join(" and the ")
    };
    let similarity = exact(similarity);
    let (same, different) = (thresholds.same, thresholds.different);
    match verdict {
        Verdict::Untrusted => vec![format!(
            "The scenario's policy rejects the {}: such a picture is not believed, whatever the similarity ({similarity}).",
            with(Action::Reject)
        )],
        Verdict::Different => vec![format!(
            "The similarity {similarity} is below {different:.2}."
        )],
        Verdict::Review => {
            let mut why = Vec::new();
            let is_below = |row: &&InferenceRecord| row.similarity.is_some_and(|it| it < same);
            if rows.iter().any(is_below) {
                why.push(format!(
                    "The similarity {similarity} is at or above {different:.2} and below {same:.2}: it can be either."
                ));
            }
            let looked_at = with(Action::Review);
            if !looked_at.is_empty() {
                why.push(format!(
                    "The similarity is {similarity}, and a person should look at the picture of the {looked_at}."
                ));
            }
            why
        }
        Verdict::Same => vec![format!(
            "The similarity {similarity} is at or above {same:.2}, and both sides are accepted."
        )],
    }
}

/// Two digits, or as many as it takes to see on which side of a two-digit cut a number lies.
fn exact(number: f32) -> String {
    let short = format!("{number:.2}");
    match short.parse::<f32>() {
        Ok(shown) if (shown - number).abs() > 1e-6 => format!("{number:.4}"),
        _ => short,
    }
}

pub(super) const fn name(role: Role) -> &'static str {
    match role {
        Role::Image => "picture",
        Role::Probe => "probe",
        Role::Reference => "reference",
    }
}
