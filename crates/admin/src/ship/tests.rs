use super::*;
use faceood::config::ShipSettings;
use faceood_fleet::DayDifference;

#[test]
fn intervals_have_a_unit_and_a_least_length() {
    assert_eq!(interval("30s").unwrap(), Duration::from_secs(30));
    assert_eq!(interval("5m").unwrap(), Duration::from_secs(300));
    for wrong in ["0s", "", "60", "soon"] {
        assert!(interval(wrong).unwrap_err().contains("30s"), "{wrong}");
    }
}

#[test]
fn what_a_visit_did_is_said_with_its_rate_and_what_to_ask() {
    let mut shipped = Shipped {
        target: "centre.example/faceood".to_owned(),
        node: "gate-3".to_owned(),
        rows_sent: 1000,
        rows_stored: 900,
        outcomes: 5,
        seconds: 0.5,
        ..Shipped::default()
    };
    assert_eq!(
        text(&shipped),
        "centre.example/faceood: 1000 rows of gate-3 sent in 0.5 s (2000 a second), 900 were new there, 5 outcomes changed"
    );
    (shipped.rows_sent, shipped.rows_stored, shipped.outcomes) = (1, 1, 1);
    assert_eq!(
        text(&shipped),
        "centre.example/faceood: 1 row of gate-3 sent in 0.5 s (2 a second), 1 was new there, 1 outcome changed"
    );
    shipped.rows_quarantined = 1;
    let day = |outcome| DayDifference {
        day: "2026-11-30".parse().unwrap(),
        box_rows: 10,
        centre_rows: 7,
        rows_stored: 3,
        outcome,
    };
    let outcomes = [
        DayOutcome::Mended,
        DayOutcome::CentreHasMore,
        DayOutcome::Lost,
    ];
    shipped.verified = Some(Verified {
        days: 4,
        differing: outcomes.map(day).into(),
    });
    let text = text(&shipped);
    for said in [
        "1 row was passed over",
        "4 days compared, 3 differed",
        "2026-11-30: 10 rows here, 7 there, 3 sent again and new: the same now",
        "does another box ship as this one?",
        "was the centre restored from a backup?",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(shipped.verified.unwrap().has_losses());
}

#[test]
fn settings_fill_in_what_no_flag_says() {
    let settings = ShipSettings {
        ca: "ca.pem".into(),
        certificate: "box.pem".into(),
        key: "box.key".into(),
        ..ShipSettings::default()
    };
    let all = CentreFlags::default().or(&settings);
    assert_eq!(all.ca, Some("ca.pem".into()));
    assert_eq!(all.certificate, Some("box.pem".into()));
    let given = CentreFlags {
        certificate: Some("other.pem".into()),
        key: Some("other.key".into()),
        ca: None,
    };
    let mixed = given.or(&settings);
    assert_eq!(mixed.key, Some("other.key".into()));
    assert_eq!(mixed.ca, Some("ca.pem".into()));
    assert_eq!(
        CentreFlags::default().or(&ShipSettings::default()).key,
        None
    );
}
