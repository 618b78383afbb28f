//! What a box among others is set up with: its name, and where its rows go.

use super::*;

#[test]
fn a_node_has_a_name_that_fits_everywhere() {
    let loaded = Desk::new().env("FACEOOD_NODE", "gate-1.hall").load();
    assert_eq!(loaded.config.node.name().as_str(), "gate-1.hall");
    for name in ["box 1", "box/1", "pg_box", "Tür"] {
        let refusal = Desk::new().file(&format!("node = {name:?}\n")).refusal();
        assert!(
            refusal.contains(&format!("`node` is {name:?} (")) && refusal.contains("line 1"),
            "{refusal}"
        );
        assert!(refusal.contains("expected 1 to 63 of a-z"), "{refusal}");
    }
}

#[test]
fn a_password_of_the_centre_is_never_printed() {
    let url = "postgres://box-1:geheim@centre.example/faceood";
    let loaded = Desk::new().file(&format!("[ship]\nto = {url:?}\n")).load();
    assert_eq!(loaded.config.ship.to.url(), Some(url));
    let printed = loaded.to_string();
    assert!(
        printed.contains(r#"ship.to = "postgres://box-1:***@centre.example/faceood" "#),
        "{printed}"
    );
    assert!(!format!("{printed}{:?}", loaded.config).contains("geheim"));

    let wrong = Desk::new().env("FACEOOD_SHIP__TO", "mysql://box-1:geheim@centre/f");
    let refusal = wrong.refusal();
    assert!(
        refusal.contains("`ship.to` is \"mysql://box-1:***@centre/f\"")
            && refusal.contains("expected an address such as \"postgres://"),
        "{refusal}"
    );
    assert!(!refusal.contains("geheim"), "{refusal}");
}

#[test]
fn the_time_between_two_visits_takes_a_unit() {
    let loaded = Desk::new().file("[ship]\ninterval_ms = \"5m\"\n").load();
    assert_eq!(loaded.config.ship.interval_ms, 300_000);
    let refusal = Desk::new().file("ship.interval_ms = 5\n").refusal();
    assert!(refusal.contains("expected 1000 to 86400000"), "{refusal}");
}
