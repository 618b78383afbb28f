//! Where state and models are when nobody says: in a checkout beside each other, in an installation by its prefix, under
//! systemd where the unit's `StateDirectory=` and `LogsDirectory=` are.

use std::path::{Path, PathBuf};

use super::holds_packs;
use super::layers::{Entry, Origin, Sources};

/// State of an installed daemon that systemd did not start.
const INSTALLED_DATA_DIR: &str = "/var/lib/faceood";

/// Packs of an installation, from its prefix (the folder above the program's `bin`).
const INSTALLED_MODELS_DIR: &str = "share/faceood/models";

/// What the layout says: nothing in a checkout, where the defaults `./data` and `./models` hold.
pub(super) fn entries(sources: &Sources) -> Vec<Entry> {
    let mut entries = Vec::new();
    let installed = installed_models(sources);
    if let Some(models) = installed.filter(|_| !holds_packs(&sources.working_dir.join("models"))) {
        let origin = Origin::Installed;
        entries.push(Entry::path("models_dir", &models, origin.clone()));
        entries.push(Entry::path(
            "data_dir",
            Path::new(INSTALLED_DATA_DIR),
            origin,
        ));
    }
    for (variable, key) in [
        ("STATE_DIRECTORY", &["data_dir"][..]),
        ("LOGS_DIRECTORY", &["telemetry", "directory"][..]),
    ] {
        // systemd separates several folders by colons; the first is the unit's main one.
        let folder = sources.environment.get(variable);
        let Some(first) = folder.and_then(|all| all.split(':').find(|one| !one.is_empty())) else {
            continue;
        };
        entries.push(Entry {
            key: key.iter().map(|&part| part.to_owned()).collect(),
            value: toml::Value::String(first.to_owned()),
            origin: Origin::Systemd(variable),
        });
    }
    entries
}

fn installed_models(sources: &Sources) -> Option<PathBuf> {
    let prefix = sources.executable.as_deref()?.parent()?.parent()?;
    let models = prefix.join(INSTALLED_MODELS_DIR);
    holds_packs(&models).then_some(models)
}
