use proptest::prelude::*;

use super::*;

fn policy(name: &str) -> Policy {
    Policies::default().get(name).cloned().unwrap()
}

fn settings(name: &str, given: PolicySettings) -> Settings {
    Settings(BTreeMap::from([(name.to_owned(), given)]))
}

#[test]
fn built_in_policies_are_the_contracts() {
    let rows: Vec<_> = Policies::default()
        .iter()
        .map(|(name, policy)| {
            (
                name.to_owned(),
                policy.accept,
                policy.review,
                policy.min_face_px,
                policy.single_face,
            )
        })
        .collect();
    let expected = [
        ("access", 0.60, 0.40, 48, false),
        ("alarm", 0.60, 0.35, 0, false),
        ("enroll", 0.70, 0.60, 112, false),
        ("search", 0.45, 0.35, 0, false),
    ];
    assert_eq!(
        rows,
        expected.map(|(name, accept, review, px, single)| (
            name.to_owned(),
            accept,
            review,
            px,
            single
        ))
    );
    assert!(Policies::default().get(DEFAULT_SCENARIO).is_some());
}

#[test]
fn the_cut_itself_counts_as_above_it_in_every_scenario() {
    use Action::{Accept, Reject, Review};
    for (name, accept, review) in [
        ("access", 0.60_f32, 0.40_f32),
        ("search", 0.45, 0.35),
        ("alarm", 0.60, 0.35),
        ("enroll", 0.70, 0.60),
    ] {
        let policy = policy(name);
        for (score, expected) in [
            (accept.next_up(), Accept),
            (accept, Accept),
            (accept.next_down(), Review),
            (review.next_up(), Review),
            (review, Review),
            (review.next_down(), Reject),
            (0.0, Reject),
            (1.0, Accept),
        ] {
            let decision = policy.decide(name, score, 500.0, 1);
            assert_eq!(decision.action, expected, "{name} at {score}");
            assert_eq!(decision.threshold, accept);
            assert_eq!(decision.scenario, name);
            let reasons = if expected == Accept {
                vec![]
            } else {
                vec![Reason::Quality]
            };
            assert_eq!(decision.reasons, reasons, "{name} at {score}");
        }
    }
}

#[test]
fn size_and_count_reject_whatever_the_quality() {
    use Reason::{FaceTooSmall, Quality, SeveralFaces};
    let mut access = policy("access");
    access.single_face = true;
    for (score, side, count, action, reasons) in [
        (0.9, 48.0, 1, Action::Accept, vec![]),
        (0.9, 47.99, 1, Action::Reject, vec![FaceTooSmall]),
        (0.9, 48.01, 1, Action::Accept, vec![]),
        (0.9, 48.0, 2, Action::Reject, vec![SeveralFaces]),
        // Quality alone would only ask for a review, so it is not what decided.
        (0.5, 47.0, 1, Action::Reject, vec![FaceTooSmall]),
        (0.5, 48.0, 1, Action::Review, vec![Quality]),
        (
            0.1,
            47.0,
            3,
            Action::Reject,
            vec![Quality, FaceTooSmall, SeveralFaces],
        ),
        (f32::NAN, 48.0, 1, Action::Reject, vec![Quality]),
        (0.9, f32::NAN, 1, Action::Reject, vec![FaceTooSmall]),
    ] {
        let decision = access.decide("access", score, side, count);
        assert_eq!(
            (decision.action, decision.reasons),
            (action, reasons),
            "score {score}, side {side}, {count} faces"
        );
    }
    let search = policy("search");
    assert_eq!(
        search.decide("search", 0.9, 1.0, 5).action,
        Action::Accept,
        "no least size, several faces allowed"
    );
}

#[test]
fn settings_change_only_what_they_name() {
    let given = PolicySettings {
        accept: Some(0.65),
        ..PolicySettings::default()
    };
    let policies = Policies::new(&settings("access", given)).unwrap();
    let mut expected = policy("access");
    expected.accept = 0.65;
    assert_eq!(policies.get("access"), Some(&expected));
    assert_eq!(policies.get("enroll"), Some(&policy("enroll")));
    assert_eq!(policies.names().count(), 4);

    assert_eq!(
        Policies::new(&Settings::default()).unwrap(),
        Policies::default()
    );
    assert_eq!(
        Policies::new(&Settings(BTreeMap::new())).unwrap(),
        Policies::default()
    );
}

#[test]
fn settings_add_a_scenario_that_gives_both_cuts() {
    let given: Settings =
        toml::from_str("[night-gate_2]\naccept = 0.5\nreview = 0.3\nsingle_face = true").unwrap();
    let policies = Policies::new(&given).unwrap();
    let expected = Policy {
        accept: 0.5,
        review: 0.3,
        min_face_px: 0,
        single_face: true,
    };
    assert_eq!(policies.get("night-gate_2"), Some(&expected));

    let given: Settings = toml::from_str("[gate]\naccept = 0.5").unwrap();
    let error = Policies::new(&given).unwrap_err();
    assert_eq!(error, PolicyError::MissingCut("gate".to_owned(), "review"));
    assert!(error.to_string().contains("`review`"));
}

#[test]
fn settings_refuse_an_unknown_key() {
    let error = toml::from_str::<Settings>("[access]\nacept = 0.5").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("acept") && text.contains("accept"), "{text}");
}

#[test]
fn names_that_cannot_stand_in_a_query_are_refused() {
    let given = || PolicySettings {
        accept: Some(0.6),
        review: Some(0.4),
        ..PolicySettings::default()
    };
    for name in [
        "",
        "Access",
        "a b",
        "tür",
        "a.b",
        "123456789012345678901234567890123",
    ] {
        assert_eq!(
            Policies::new(&settings(name, given())),
            Err(PolicyError::Name(name.to_owned()))
        );
    }
    for name in ["a", "0", "_-", "12345678901234567890123456789012"] {
        assert!(Policies::new(&settings(name, given())).is_ok(), "{name}");
    }
}

#[test]
fn cuts_out_of_order_are_refused_with_both_numbers() {
    for (accept, review) in [
        (0.4, 0.6),
        (1.1, 0.5),
        (0.5, -0.1),
        (f32::NAN, 0.5),
        (0.5, f32::NAN),
    ] {
        let given = PolicySettings {
            accept: Some(accept),
            review: Some(review),
            ..PolicySettings::default()
        };
        let error = Policies::new(&settings("gate", given)).unwrap_err();
        assert!(matches!(error, PolicyError::Cuts { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&accept.to_string()) && text.contains(&review.to_string()),
            "{text}"
        );
    }
    // The built-in `review` of .40 stays, so a lower `accept` alone is out of order.
    let given = PolicySettings {
        accept: Some(0.3),
        ..PolicySettings::default()
    };
    assert!(Policies::new(&settings("access", given)).is_err());
}

#[test]
fn verdicts_follow_the_contracts_order() {
    use Action::{Accept, Reject, Review};
    let thresholds = Thresholds::default();
    for (similarity, probe, reference, expected) in [
        (1.0, Accept, Accept, Verdict::Same),
        (0.45_f32, Accept, Accept, Verdict::Same),
        (0.45_f32.next_up(), Accept, Accept, Verdict::Same),
        (0.45_f32.next_down(), Accept, Accept, Verdict::Review),
        (0.35_f32, Accept, Accept, Verdict::Review),
        (0.35_f32.next_up(), Accept, Accept, Verdict::Review),
        (0.35_f32.next_down(), Accept, Accept, Verdict::Different),
        (-1.0, Accept, Accept, Verdict::Different),
        // A side to be looked at turns `same` into `review`, and nothing else.
        (0.9, Review, Accept, Verdict::Review),
        (0.9, Accept, Review, Verdict::Review),
        (0.4, Review, Review, Verdict::Review),
        (0.1, Review, Review, Verdict::Different),
        // A rejected side is not believed, whatever the similarity.
        (0.99, Reject, Accept, Verdict::Untrusted),
        (0.99, Accept, Reject, Verdict::Untrusted),
        (0.1, Reject, Review, Verdict::Untrusted),
        (f32::NAN, Accept, Accept, Verdict::Different),
    ] {
        assert_eq!(
            verdict(similarity, thresholds, probe, reference),
            expected,
            "{similarity} with {probe:?} and {reference:?}"
        );
    }
}

#[test]
fn thresholds_out_of_order_are_refused() {
    assert_eq!(Thresholds::new(0.45, 0.35), Ok(Thresholds::default()));
    for (same, different) in [
        (0.3, 0.4),
        (1.5, 0.3),
        (0.4, -1.5),
        (f32::NAN, 0.3),
        (0.4, f32::NAN),
    ] {
        let error = Thresholds::new(same, different).unwrap_err();
        assert!(error.to_string().contains(&same.to_string()), "{error}");
    }
}

#[test]
fn names_are_the_json_names() {
    fn json(value: impl Serialize) -> String {
        serde_json::to_string(&value).unwrap().replace('"', "")
    }
    for action in Action::ALL {
        assert_eq!(json(action), action.name());
    }
    for reason in Reason::ALL {
        assert_eq!(json(reason), reason.name());
    }
    for verdict in Verdict::ALL {
        assert_eq!(json(verdict), verdict.name());
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    prop::sample::select(Action::ALL.to_vec())
}

proptest! {
    #[test]
    fn reasons_are_empty_exactly_for_accept_and_in_order(
        (review, accept) in (0.0_f32..=1.0, 0.0_f32..=1.0).prop_map(|(a, b)| (a.min(b), a.max(b))),
        score in prop::num::f32::ANY,
        side in prop::num::f32::ANY,
        min_face_px in 0_u32..300,
        single_face: bool,
        face_count in 0_usize..5,
    ) {
        let policy = Policy { accept, review, min_face_px, single_face };
        let decision = policy.decide("x", score, side, face_count);
        prop_assert_eq!(decision.reasons.is_empty(), decision.action == Action::Accept);
        prop_assert!(decision.reasons.is_sorted());
        if decision.action == Action::Review {
            prop_assert_eq!(decision.reasons, vec![Reason::Quality]);
        }
    }

    #[test]
    fn a_better_face_never_gets_a_worse_action(
        (review, accept) in (0.0_f32..=1.0, 0.0_f32..=1.0).prop_map(|(a, b)| (a.min(b), a.max(b))),
        low in 0.0_f32..=1.0,
        gain in 0.0_f32..=1.0,
        side in 0.0_f32..400.0,
    ) {
        let policy = Policy { accept, review, min_face_px: 48, single_face: false };
        let rank = |score, side| Action::ALL.iter().position(|&action| action == policy.decide("x", score, side, 1).action);
        prop_assert!(rank(low + gain, side) <= rank(low, side));
        prop_assert!(rank(low, side + 50.0) <= rank(low, side));
    }

    #[test]
    fn same_needs_two_accepted_sides_and_the_similarity(
        similarity in -1.0_f32..=1.0,
        probe in any_action(),
        reference in any_action(),
    ) {
        let thresholds = Thresholds::default();
        let got = verdict(similarity, thresholds, probe, reference);
        let is_same = probe == Action::Accept && reference == Action::Accept && similarity >= thresholds.same;
        prop_assert_eq!(got == Verdict::Same, is_same);
        let is_untrusted = probe == Action::Reject || reference == Action::Reject;
        prop_assert_eq!(got == Verdict::Untrusted, is_untrusted);
        prop_assert_eq!(got, verdict(similarity, thresholds, reference, probe), "the sides are symmetric");
    }

    #[test]
    fn every_cut_can_change_an_outcome(accept in 0.01_f32..=1.0, share in 0.0_f32..=0.99) {
        let review = accept * share;
        let policy = Policy { accept, review, min_face_px: 0, single_face: false };
        prop_assert_eq!(policy.decide("x", accept, 99.0, 1).action, Action::Accept);
        prop_assert_eq!(policy.decide("x", review, 99.0, 1).action, if review < accept { Action::Review } else { Action::Accept });
    }
}
