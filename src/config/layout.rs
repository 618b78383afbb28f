//! Default folders of state and models. A checkout has both side by side, an installation has them
//! under its prefix, and under systemd the unit's `StateDirectory=` and `LogsDirectory=` say where
//! they are.

use std::path::{Path, PathBuf};

use super::holds_packs;
use super::origin::{Entry, Origin, Sources};

/// State of an installed daemon that systemd did not start.
const INSTALLED_DATA_DIR: &str = "/var/lib/faceood";

/// Its text logs.
const INSTALLED_LOG_DIR: &str = "/var/log/faceood";

/// Packs of an installation, from its prefix (the folder above the program's `bin`).
const INSTALLED_MODELS_DIR: &str = "share/faceood/models";

/// What the layout says: nothing for a program in a checkout, where the defaults `./data` and
/// `./models` hold. An installed one has its own, wherever it is called: in a checkout, too, where
/// whoever has just installed it still stands.
pub(super) fn entries(sources: &Sources) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Some(models) = installed_models(sources) {
        let installed = |key, folder: &Path| Entry::path(key, folder, Origin::Installed);
        entries.push(installed("models_dir", &models));
        entries.push(installed("data_dir", Path::new(INSTALLED_DATA_DIR)));
        entries.push(installed(
            "telemetry.directory",
            Path::new(INSTALLED_LOG_DIR),
        ));
    }
    for (variable, key) in [
        ("STATE_DIRECTORY", "data_dir"),
        ("LOGS_DIRECTORY", "telemetry.directory"),
    ] {
        // systemd separates several folders by colons; the first is the unit's main one.
        let folder = sources.environment.get(variable);
        if let Some(first) = folder.and_then(|all| all.split(':').find(|one| !one.is_empty())) {
            let origin = Origin::Systemd(variable);
            entries.push(Entry::path(key, Path::new(first), origin));
        }
    }
    entries
}

fn installed_models(sources: &Sources) -> Option<PathBuf> {
    let prefix = sources.executable.as_deref()?.parent()?.parent()?;
    let models = prefix.join(INSTALLED_MODELS_DIR);
    holds_packs(&models).then_some(models)
}
