//! One address, or several.

use super::*;

#[test]
fn several_addresses_come_as_a_list_between_commas_or_by_repeated_flags() {
    let list = ["127.0.0.1:1", "192.168.1.5:2"];
    let by_file = Desk::new().file(&format!("listen = {list:?}\n")).load();
    let addresses = by_file.config.listen.addresses();
    assert_eq!(
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        list
    );
    let by_variable = Desk::new().env("FACEOOD_LISTEN", "127.0.0.1:1, 192.168.1.5:2");
    assert_eq!(by_variable.load().config, by_file.config);
    let mut by_flags = Desk::new();
    by_flags.sources.flags.listen = list.map(ToOwned::to_owned).into();
    assert_eq!(by_flags.load().config, by_file.config);
    let printed = by_file.to_string();
    assert!(
        printed.contains(r#"listen = ["127.0.0.1:1", "192.168.1.5:2"] "#),
        "{printed}"
    );
    assert_eq!(Desk::new().file(&printed).load().config, by_file.config);
    let one = Desk::new()
        .file("listen = [\"127.0.0.1:1\"]\n")
        .load()
        .to_string();
    assert!(one.contains(r#"listen = "127.0.0.1:1" "#), "{one}");

    for wrong in [
        "[]",
        r#"["127.0.0.1:1", "127.0.0.1:1"]"#,
        r#"["localhost:1"]"#,
        "[1]",
    ] {
        let refusal = Desk::new().file(&format!("listen = {wrong}\n")).refusal();
        assert!(refusal.contains("expected ADDRESS:PORT"), "{refusal}");
    }
}
