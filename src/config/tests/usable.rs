//! What is left of settings with a mistake.

use super::*;

#[test]
fn a_mistake_leaves_the_layout_and_the_other_settings() {
    let mut desk = Desk::new();
    let models = desk.dir.path().join("share/faceood/models");
    fs::create_dir_all(models.join("default")).unwrap();
    fs::write(models.join("default/manifest.toml"), "").unwrap();
    desk.sources.executable = Some(desk.dir.path().join("bin/faceood-admin"));
    desk.sources.flags.listen = vec!["127.0.0.1:9".into()];
    let default = Config::default().capture.max_bytes;
    for (text, max_bytes) in [
        // No TOML.
        ("[capture\n", default),
        ("data_dir = 3\ncapture.max_bytes = 12345\n", 12_345),
        ("colour = \"red\"\ncapture.max_bytes = 12345\n", 12_345),
        // Each cut is right, and they do not fit together.
        ("[policies.door]\naccept = 0.2\nreview = 0.4\n", default),
    ] {
        let found = desk.file(text);
        assert!(load(&found.sources).is_err(), "{text}");
        let loaded = load_usable(&found.sources).unwrap();
        assert_eq!(loaded.config.models_dir, models, "{text}");
        assert_eq!(loaded.config.data_dir, PathBuf::from("/var/lib/faceood"));
        assert_eq!(loaded.config.capture.max_bytes, max_bytes, "{text}");
        assert_eq!(port(&loaded), 9);
        desk = found;
    }
}
