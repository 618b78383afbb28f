use super::*;
use faceood_engine::quality::CauseName;

fn face(role: Role, score: f32, action: Action, reasons: &[Reason]) -> InferenceRecord {
    let endpoint = match role {
        Role::Image => Endpoint::Extract,
        _ => Endpoint::Compare,
    };
    let mut row = InferenceRecord::new("r-1", endpoint, role);
    row.scenario = Some("access".into());
    row.quality_score = Some(score);
    row.grade = Some(Grade::of(score));
    row.threshold = Some(0.6);
    row.action = Some(action);
    row.reasons = Some(reasons.to_vec());
    row
}

fn why(row: InferenceRecord) -> String {
    let explanation = explain(&[row], &Policies::default(), Thresholds::default()).unwrap();
    explanation.samples[0].why.join(" ")
}

fn verdict_of(similarity: f32, verdict: Verdict, actions: [Action; 2]) -> String {
    let [probe, reference] = actions;
    let mut rows = vec![
        face(Role::Probe, 0.5, probe, &[Reason::Quality]),
        face(Role::Reference, 0.9, reference, &[]),
    ];
    for row in &mut rows {
        row.set_comparison(similarity, verdict);
    }
    let explanation = explain(&rows, &Policies::default(), Thresholds::default()).unwrap();
    explanation.comparison.unwrap().why.join(" ")
}

#[test]
fn each_action_names_score_and_cut() {
    let said = why(face(Role::Image, 0.83, Action::Accept, &[]));
    assert_eq!(
        said,
        "The quality score 0.83 is at or above the accept cut 0.60 of scenario \"access\"."
    );
    let said = why(face(Role::Image, 0.5, Action::Review, &[Reason::Quality]));
    assert!(
        said.contains("0.50 is below the accept cut 0.60") && said.contains("review cut 0.40"),
        "{said}"
    );
    let said = why(face(Role::Image, 0.39, Action::Reject, &[Reason::Quality]));
    assert!(said.contains("0.39 is below its review cut 0.40"), "{said}");
}

#[test]
fn the_cap_of_a_covered_face_is_explained() {
    let mut row = face(Role::Image, 0.39, Action::Reject, &[Reason::Quality]);
    (row.interval_low, row.interval_high) = (Some(0.39), Some(0.39));
    let words = "A face that is surely covered never scores above 0.39";
    assert!(!why(row.clone()).contains(words));
    row.causes = Some(vec![Cause {
        name: CauseName::Mask,
        weight: 0.9,
    }]);
    assert!(why(row.clone()).contains(words), "{}", why(row));
}

#[test]
fn a_score_that_rounds_to_the_cut_is_shown_in_full() {
    let said = why(face(
        Role::Image,
        0.5996,
        Action::Review,
        &[Reason::Quality],
    ));
    assert!(
        said.contains("0.5996 is below the accept cut 0.60"),
        "{said}"
    );
}

#[test]
fn size_and_number_of_faces_are_named_where_they_decide() {
    let mut row = face(Role::Image, 0.9, Action::Reject, &[Reason::FaceTooSmall]);
    (row.box_width, row.box_height) = (Some(30.0), Some(41.0));
    let said = why(row);
    assert!(
        said.contains("shorter side of 30 px") && said.contains("48 px"),
        "{said}"
    );
    let said = why(face(
        Role::Image,
        0.9,
        Action::Reject,
        &[Reason::SeveralFaces],
    ));
    assert!(said.contains("several faces"), "{said}");
}

#[test]
fn causes_and_a_changed_policy_are_named() {
    let mut row = face(Role::Image, 0.5, Action::Review, &[Reason::Quality]);
    row.threshold = Some(0.7);
    row.causes = Some(vec![Cause {
        name: CauseName::Noise,
        weight: 0.7,
    }]);
    let said = why(row);
    assert!(said.contains("accepted from 0.70, now from 0.60"), "{said}");
    assert!(said.contains("sensor noise (noise) 70 %"), "{said}");
}

#[test]
fn a_face_that_was_not_accepted_comes_with_what_would_help() {
    let advice = |action, reasons: &[Reason], causes: &[CauseName]| {
        let mut row = face(Role::Image, 0.3, action, reasons);
        let causes = causes.iter().map(|&name| Cause { name, weight: 0.3 });
        row.causes = Some(causes.collect());
        let explanation = explain(&[row], &Policies::default(), Thresholds::default()).unwrap();
        (explanation.samples[0].advice.join("; "), explanation.text())
    };
    use CauseName::{Blur, LowResolution, Noise, Pose, Unknown};
    let causes = [Noise, Blur, Pose];
    let (said, text) = advice(Action::Reject, &[Reason::Quality], &causes);
    assert!(
        said.contains("add light") && said.contains("focus the lens") && !said.contains("mount"),
        "{said}"
    );
    assert!(text.contains(&format!("What to do: {said}.")), "{text}");
    let small = [Reason::FaceTooSmall, Reason::Quality];
    let (said, _) = advice(Action::Reject, &small, &[LowResolution]);
    assert_eq!(said.matches("use a longer lens").count(), 1, "{said}");
    let (said, _) = advice(Action::Reject, &[Reason::SeveralFaces], &causes);
    assert!(said.starts_with("let one person at a time"), "{said}");
    let (said, _) = advice(Action::Review, &[Reason::Quality], &[Unknown]);
    assert!(said.starts_with("take another picture"), "{said}");
    let (said, text) = advice(Action::Accept, &[], &causes);
    assert!(said.is_empty() && !text.contains("What to do"), "{text}");
}

#[test]
fn failures_faceless_pictures_and_embeddings_are_told_apart() {
    let mut row = InferenceRecord::new("r-1", Endpoint::Extract, Role::Image);
    row.error_code = Some(ProblemCode::NoFace);
    row.error_detail = Some("no face in 64×64".into());
    assert_eq!(why(row), "Failed with no_face (422): no face in 64×64");
    let row = InferenceRecord::new("r-1", Endpoint::Quality, Role::Image);
    assert!(why(row.clone()).contains("No face was found"));
    let explanation = explain(&[row], &Policies::default(), Thresholds::default()).unwrap();
    assert!(explanation.text().contains("What to do: if somebody stood"));
    let mut row = face(Role::Reference, 0.9, Action::Accept, &[]);
    row.quality_score = None;
    assert!(why(row).contains("accepted reference"));
}

#[test]
fn each_verdict_names_the_rule_that_applied() {
    use Action::{Accept, Reject, Review};
    let said = verdict_of(0.8, Verdict::Untrusted, [Reject, Accept]);
    assert!(
        said.contains("rejects the probe") && said.contains("(0.80)"),
        "{said}"
    );
    let said = verdict_of(0.8, Verdict::Untrusted, [Reject, Reject]);
    assert!(
        said.contains("rejects the probe and the reference"),
        "{said}"
    );
    let said = verdict_of(0.2, Verdict::Different, [Accept, Accept]);
    assert_eq!(said, "The similarity 0.20 is below 0.35.");
    let said = verdict_of(0.4, Verdict::Review, [Accept, Accept]);
    assert!(said.contains("at or above 0.35 and below 0.45"), "{said}");
    let said = verdict_of(0.8, Verdict::Review, [Review, Accept]);
    assert!(
        said.contains("look at the picture of the probe") && !said.contains("below"),
        "{said}"
    );
    let said = verdict_of(0.8, Verdict::Same, [Accept, Accept]);
    assert!(
        said.contains("at or above 0.45, and both sides are accepted"),
        "{said}"
    );
}

#[test]
fn the_text_shows_what_the_json_holds() {
    let mut row = face(Role::Image, 0.5, Action::Review, &[Reason::Quality]);
    row.source = Some("gate-3".into());
    row.token = Some("east-gate".into());
    row.embedding_norm = Some(0.9);
    row.components
        .set(faceood_engine::quality::Component::Noise, 3.5);
    let explanation = explain(&[row], &Policies::default(), Thresholds::default()).unwrap();
    let text = explanation.text();
    for part in [
        "request r-1",
        "source gate-3",
        "token east-gate",
        "picture: review",
        "score 0.5000 (fair)",
        "noise",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(text.contains("lower"), "{text}");
    assert!(explain(&[], &Policies::default(), Thresholds::default()).is_none());
}

#[test]
fn a_callers_words_cannot_act_on_the_terminal_nor_forge_a_line() {
    let mut row = face(Role::Image, 0.5, Action::Review, &[Reason::Quality]);
    row.scenario = Some("a\x1b[2Jb".into());
    row.outcome = Some(faceood_log::ReportedOutcome::Genuine);
    row.outcome_note = Some("seen\n  picture: accept \x1b[31m".into());
    let explanation = explain(&[row], &Policies::default(), Thresholds::default()).unwrap();
    let text = explanation.text();
    assert!(!text.contains('\x1b'), "{text:?}");
    assert!(
        text.contains("\n  seen\\u000a  picture: accept \\u001b[31m\n"),
        "{text}"
    );
}

#[test]
fn of_a_repeated_id_the_last_request_is_explained_and_the_others_named() {
    let request = |score| {
        let mut row = face(Role::Image, score, Action::Accept, &[]);
        row.request_key = Some(row.id);
        row
    };
    let rows = [request(0.7), request(0.9)];
    let explanation = explain(&rows, &Policies::default(), Thresholds::default()).unwrap();
    assert_eq!(explanation.samples.len(), 1);
    assert_eq!(explanation.samples[0].score, Some(0.9));
    assert!(explanation.same_id[0].contains(&rows[0].id.to_string()));
    assert!(explanation.text().contains("earlier requests with this id"));
}
