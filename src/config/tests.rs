use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;
use toml::{Table, Value};

use super::layers::variable_name;
use super::schema::{defaults, leaves, set};
use super::*;

mod fleet;
mod listen;
mod usable;

/// Settings in a folder of their own, with nothing from this machine.
struct Desk {
    dir: TempDir,
    sources: Sources,
}

impl Desk {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let sources = Sources {
            file: Some(dir.path().join("config.toml")),
            ..Sources::default()
        };
        fs::write(dir.path().join("config.toml"), "").unwrap();
        Self { dir, sources }
    }

    fn file(self, text: &str) -> Self {
        fs::write(self.dir.path().join("config.toml"), text).unwrap();
        self
    }

    fn file_of(self, bytes: &[u8]) -> Self {
        fs::write(self.dir.path().join("config.toml"), bytes).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.into(), value.into());
        self
    }

    fn load(&self) -> Loaded {
        load(&self.sources).unwrap()
    }

    fn refusal(&self) -> String {
        load(&self.sources).unwrap_err().to_string()
    }
}

fn port(loaded: &Loaded) -> u16 {
    loaded.config.listen.addresses()[0].port()
}

#[test]
fn without_any_layer_the_defaults_hold() {
    let loaded = Desk::new().load();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.origin("listen"), Some(&Origin::Default));
}

#[test]
fn a_later_layer_wins_and_its_origin_is_known() {
    let mut desk = Desk::new().file("listen = \"127.0.0.1:1\"\n[telemetry]\nlevel = \"warn\"\n");
    assert_eq!(port(&desk.load()), 1);
    desk = desk.env("FACEOOD_LISTEN", "127.0.0.1:2");
    assert_eq!(port(&desk.load()), 2);
    desk.sources.flags.listen = vec!["127.0.0.1:3".into()];
    let loaded = desk.load();
    assert_eq!(port(&loaded), 3);
    assert_eq!(
        loaded.origin("listen"),
        Some(&Origin::Flag("--listen".into()))
    );
    assert_eq!(loaded.config.telemetry.level, "warn");
    assert!(matches!(
        loaded.origin("telemetry.level"),
        Some(Origin::File(_, 3))
    ));
}

#[test]
fn unknown_keys_are_named_with_file_line_and_nearest() {
    let text = "# a comment\n[telemetry]\nkeep_day = 3\n\n[polices.access]\naccept = 0.5\n";
    let refusal = Desk::new().file(text).refusal();
    let lines: Vec<&str> = refusal.lines().collect();
    assert_eq!(lines.len(), 2, "{refusal}");
    assert!(lines[0].contains("`telemetry.keep_day`") && lines[0].contains("config.toml, line 3"));
    assert!(
        lines[0].contains("did you mean `telemetry.keep_days`?"),
        "{refusal}"
    );
    assert!(
        lines[1].contains("`polices`") && lines[1].contains("line 5"),
        "{refusal}"
    );
    assert!(lines[1].contains("did you mean `policies`?"), "{refusal}");
}

#[test]
fn a_key_in_the_wrong_section_is_sent_to_the_right_one() {
    let refusal = Desk::new().file("max_pixels = 5000000\n").refusal();
    assert!(
        refusal.contains("did you mean `capture.max_pixels`?"),
        "{refusal}"
    );
    let refusal = Desk::new().file("[policies.door]\nacept = 0.5\n").refusal();
    assert!(
        refusal.contains("did you mean `policies.door.accept`?"),
        "{refusal}"
    );
}

#[test]
fn a_file_in_another_encoding_is_told_so() {
    let text = "[capture]\nmax_bytes = 12345\n";
    let marked = Desk::new().file(&format!("\u{feff}{text}")).load();
    assert_eq!(marked.config.capture.max_bytes, 12_345);
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        for start in ["", "\u{feff}"] {
            let wide = format!("{start}{text}");
            let bytes: Vec<u8> = wide.encode_utf16().flat_map(order).collect();
            let refusal = Desk::new().file_of(&bytes).refusal();
            assert!(
                refusal.contains("is in UTF-16; save it as UTF-8"),
                "{refusal}"
            );
        }
    }
    let refusal = Desk::new().file_of(b"# \xE9\n").refusal();
    assert!(
        refusal.contains("other than UTF-8; save it as UTF-8"),
        "{refusal}"
    );
}

#[test]
fn unknown_variables_are_named() {
    let refusal = Desk::new().env("FACEOOD_LISTN", "x").refusal();
    assert!(refusal.contains("FACEOOD_LISTN"), "{refusal}");
    assert!(
        refusal.contains("did you mean `FACEOOD_LISTEN`?"),
        "{refusal}"
    );
}

#[test]
fn values_of_the_wrong_type_name_key_and_layer() {
    let refusal = Desk::new()
        .file("[capture]\nmax_bytes = \"many\"\n")
        .refusal();
    assert!(
        refusal.contains("`capture.max_bytes` is \"many\"") && refusal.contains("line 2"),
        "{refusal}"
    );
    let refusal = Desk::new()
        .env("FACEOOD_TELEMETRY__KEEP_DAYS", "soon")
        .refusal();
    assert!(
        refusal.contains(
            "`telemetry.keep_days` is \"soon\" (environment FACEOOD_TELEMETRY__KEEP_DAYS)"
        ),
        "{refusal}"
    );
    let refusal = Desk::new().file("capture = 3\n").refusal();
    assert!(refusal.contains("expected a section"), "{refusal}");
}

#[test]
fn values_out_of_range_say_what_is_expected() {
    let refusal = Desk::new().file("[telemetry]\nkeep_days = 0\n").refusal();
    assert!(refusal.contains("expected 1 to 3650 (days)"), "{refusal}");
    let refusal = Desk::new()
        .file("[telemetry]\nformat = \"xml\"\n")
        .refusal();
    assert!(
        refusal.contains("\"xml\" (") && refusal.contains("); expected one of `auto`, "),
        "{refusal}"
    );
    let refusal = Desk::new()
        .env("FACEOOD_TELEMETRY__LEVEL", "loud")
        .refusal();
    assert!(refusal.contains("expected error, warn, info"), "{refusal}");
    let refusal = Desk::new().file("listen = \"localhost:80\"\n").refusal();
    assert!(refusal.contains("expected ADDRESS:PORT"), "{refusal}");
}

#[test]
fn times_and_sizes_may_have_a_unit_in_the_file_and_in_a_variable() {
    let text = "[pipeline]\ndeadline_ms = \"2s\"\n[log]\nretention_days = \"26w\"\nmax_bytes = \"1.5GB\"\n";
    let desk = Desk::new()
        .file(text)
        .env("FACEOOD_CAPTURE__MAX_BYTES", "5MiB")
        .env("FACEOOD_SERVER__DRAIN_MS", "500");
    let loaded = desk.load();
    let config = &loaded.config;
    assert_eq!(config.pipeline.deadline_ms, 2000);
    assert_eq!(config.log.retention_days, 182);
    assert_eq!(config.log.max_bytes, 1_500_000_000);
    assert_eq!(config.capture.max_bytes, 5 << 20);
    assert_eq!(config.server.drain_ms, 500);
    let printed = loaded.to_string();
    assert!(
        printed.contains("pipeline.deadline_ms = 2000 "),
        "{printed}"
    );
    assert_eq!(Desk::new().file(&printed).load().config, *config);
}

#[test]
fn a_text_that_is_no_such_number_says_what_would_do() {
    let times = r#"or a text such as "500ms", "10s" or "2m""#;
    let sizes = r#"or a text such as "20MB" or "64MiB""#;
    let days = r#"or a text such as "14d" or "2w""#;
    for (key, text, told) in [
        ("pipeline.deadline_ms", "10 parsecs", times),
        ("pipeline.deadline_ms", "10", times),
        ("pipeline.deadline_ms", "-10s", times),
        ("pipeline.deadline_ms", "1500us", times),
        ("pipeline.deadline_ms", "99999999999999999999s", times),
        ("log.retention_days", "36h", days),
        ("log.max_bytes", "5XB", sizes),
        ("log.max_bytes", "10s", sizes),
        ("log.max_bytes", "-1GB", sizes),
        ("log.max_bytes", "99999999999EB", sizes),
    ] {
        let refusal = Desk::new().file(&format!("{key} = \"{text}\"\n")).refusal();
        assert!(
            refusal.contains(&format!("`{key}` is \"{text}\" (")),
            "{refusal}"
        );
        assert!(refusal.contains("config.toml, line 1"), "{refusal}");
        assert!(refusal.ends_with(told), "{refusal}");
    }
    let refusal = Desk::new()
        .env("FACEOOD_PIPELINE__DEADLINE_MS", "20m")
        .refusal();
    assert!(
        refusal.contains("is \"20m\", which makes 1200000 (environment FACEOOD_PIPELINE__DEADLINE_MS); expected 1 to 600000"),
        "{refusal}"
    );
    let refusal = Desk::new()
        .file("capture.max_pixels = \"50MB\"\n")
        .refusal();
    assert!(
        refusal.ends_with("expected 10000 to 1000000000 (pixels)"),
        "{refusal}"
    );
}

#[test]
fn broken_toml_names_line_and_column() {
    let refusal = Desk::new()
        .file("pack = \"default\"\nlisten = = 3\n")
        .refusal();
    assert!(
        refusal.contains("config.toml, line 2, column 10"),
        "{refusal}"
    );
}

#[test]
fn a_file_that_is_asked_for_must_exist() {
    let mut desk = Desk::new();
    desk.sources.file = Some(desk.dir.path().join("missing.toml"));
    assert!(desk.refusal().contains("missing.toml"));
}

#[test]
fn policies_are_changed_and_added_to() {
    let text =
        "[policies.access]\naccept = 0.8\n[policies.night-shift]\naccept = 1\nreview = 0.5\n";
    let config = Desk::new().file(text).load().config;
    let policies = faceood_engine::policy::Policies::new(&config.policies).unwrap();
    assert_eq!(policies.get("access").unwrap().accept, 0.8);
    assert_eq!(policies.get("access").unwrap().min_face_px, 48);
    assert_eq!(policies.get("night-shift").unwrap().accept, 1.0);
    assert_eq!(policies.iter().count(), 5);
}

#[test]
fn impossible_policies_are_refused() {
    let refusal = Desk::new()
        .file("[policies.access]\nreview = 0.9\n")
        .refusal();
    assert!(
        refusal.contains("`policies.access.review` is 0.9"),
        "{refusal}"
    );
    assert!(
        refusal.contains("line 2") && refusal.contains("accept cut, 0.6"),
        "{refusal}"
    );
    let refusal = Desk::new()
        .file("[policies.door]\naccept = 0.9\n")
        .refusal();
    assert!(
        refusal.contains("`policies.door.review` is missing"),
        "{refusal}"
    );
    let refusal = Desk::new()
        .file("[policies.\"Front Door\"]\naccept = 0.9\nreview = 0.1\n")
        .refusal();
    assert!(refusal.contains("scenario's name"), "{refusal}");
}

#[test]
fn systemd_and_an_installation_move_the_folders() {
    let mut desk = Desk::new();
    let prefix = desk.dir.path().join("opt");
    let models = prefix.join("share/faceood/models");
    fs::create_dir_all(models.join("default")).unwrap();
    fs::write(models.join("default/manifest.toml"), "").unwrap();
    desk.sources.executable = Some(prefix.join("bin/faceoodd"));
    let config = desk.load().config;
    assert_eq!(config.models_dir, models);
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/faceood"));
    assert_eq!(config.text_log_dir(), PathBuf::from("/var/log/faceood"));

    desk = desk.env("STATE_DIRECTORY", "/srv/state:/srv/other");
    desk = desk.env("LOGS_DIRECTORY", "/srv/logs");
    let loaded = desk.load();
    assert_eq!(loaded.config.data_dir, PathBuf::from("/srv/state"));
    assert_eq!(loaded.config.text_log_dir(), PathBuf::from("/srv/logs"));
    assert_eq!(
        loaded.origin("data_dir"),
        Some(&Origin::Systemd("STATE_DIRECTORY"))
    );

    // Also where it is called in a checkout; the checkout's own program is not installed.
    let checkout = desk.dir.path().join("models/default");
    fs::create_dir_all(&checkout).unwrap();
    fs::write(checkout.join("manifest.toml"), "").unwrap();
    assert_eq!(desk.load().config.models_dir, models);
    desk.sources.executable = Some(desk.dir.path().join("target/release/faceoodd"));
    assert_eq!(desk.load().config.models_dir, PathBuf::from("./models"));
}

/// The example with its switched-off lines switched on.
fn example_switched_on() -> String {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_holds_every_key_with_its_true_default() {
    let shown: Table = toml::from_str(&example_switched_on()).unwrap();
    let (shown, real) = (leaves(&shown), leaves(&defaults()));
    for (key, value) in &real {
        let found = shown.iter().find(|(name, _)| name == key);
        let (_, found) = found.unwrap_or_else(|| panic!("{} is not in it", key.join(".")));
        assert_eq!(found, value, "{}", key.join("."));
    }
    assert_eq!(shown.len(), real.len());
    assert_eq!(Desk::new().file(EXAMPLE).load().config, Config::default());
}

#[test]
fn every_setting_has_a_value_by_default() {
    fn nulls(path: &str, value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Null => found.push(path.to_owned()),
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    nulls(&format!("{path}.{key}"), value, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    nulls(
        "",
        &serde_json::to_value(Config::default()).unwrap(),
        &mut found,
    );
    assert!(
        found.is_empty(),
        "an absent value cannot be shown in the example: {found:?}"
    );
}

/// Another allowed value for each setting.
fn another(key: &[String], value: &Value) -> Value {
    let key = key.join(".");
    match value {
        Value::Boolean(flag) => Value::Boolean(!flag),
        Value::Integer(number) => Value::Integer(number + 1),
        Value::Float(number) if key.ends_with(".review") => Value::Float(number - 0.125),
        Value::Float(number) => Value::Float(number + 0.125),
        Value::Array(_) => Value::Array(vec!["x".into()]),
        Value::String(_) => match key.as_str() {
            "listen" => "127.0.0.1:9".into(),
            "ship.to" => "postgres://centre/faceood".into(),
            "telemetry.format" | "telemetry.files" => "human".into(),
            "telemetry.level" => "debug".into(),
            "log.durability" => "full".into(),
            "log.on_failure" => "continue".into(),
            "runtime.provider" => "cpu".into(),
            "server.tls.mode" => "off".into(),
            "server.tls.client_auth" => "optional".into(),
            _ => "other".into(),
        },
        other => panic!("{key} is {other}: say here what else it may be"),
    }
}

#[test]
fn every_key_is_settable_by_file_and_by_environment() {
    for (key, value) in leaves(&defaults()) {
        let dotted = key.join(".");
        let other = another(&key, &value);
        let mut file = Table::new();
        set(&mut file, &key, other.clone());
        let loaded = Desk::new().file(&file.to_string()).load();
        assert_eq!(loaded.values[&dotted].0, other, "{dotted} by file");
        assert_ne!(loaded.config, Config::default(), "{dotted} by file");

        let text = match &other {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let by_env = Desk::new().env(&variable_name(&dotted), &text).load();
        assert_eq!(by_env.config, loaded.config, "{dotted} by environment");
    }
}

#[test]
fn what_is_printed_is_a_config_with_the_same_values() {
    let loaded = Desk::new().file("[capture]\nmax_bytes = 12345\n").load();
    let printed = loaded.to_string();
    assert!(
        printed
            .lines()
            .any(|line| line.starts_with("capture.max_bytes = 12345 ")
                && line.ends_with("config.toml, line 2")),
        "{printed}"
    );
    assert_eq!(Desk::new().file(&printed).load().config, loaded.config);
}

proptest! {
    #[test]
    fn the_last_layer_that_speaks_wins(ports in prop::array::uniform3(prop::option::of(1_u16..))) {
        let [file, environment, flag] = ports;
        let address = |port: u16| format!("127.0.0.1:{port}");
        let mut desk = Desk::new();
        if let Some(port) = file {
            desk = desk.file(&format!("listen = \"{}\"", address(port)));
        }
        if let Some(port) = environment {
            desk = desk.env("FACEOOD_LISTEN", &address(port));
        }
        desk.sources.flags.listen = flag.map(address).into_iter().collect();
        let loaded = desk.load();
        let expected = flag.or(environment).or(file);
        prop_assert_eq!(port(&loaded), expected.unwrap_or(7860));
        let speaks = match loaded.origin("listen") {
            Some(Origin::Flag(_)) => flag,
            Some(Origin::Environment(_)) => environment,
            Some(Origin::File { .. }) => file,
            _ => None,
        };
        prop_assert_eq!(speaks, expected);
    }

    #[test]
    fn any_file_gives_settings_or_an_error(text in "\\PC{0,200}") {
        let desk = Desk::new().file(&text);
        let _ = load(&desk.sources);
    }
}
