//! All settings of both programs: one [`Config`] made of every module's own `Settings`.
//!
//! Layers, lowest first: built-in defaults ← what systemd or an installed layout says of folders ←
//! the file (`--config` or [`DEFAULT_FILE`]) ← `FACEOOD_*` variables ← flags. Each layer is checked
//! by itself, so that a mistake is reported with the place it stands in ([`check`]); then the
//! tables are merged and deserialized once, so that no field is copied by hand and no key can be
//! dead. `example.toml` beside this file is the commented default that ships.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use faceood_engine::{capture, pipeline, policy, runtime};
use serde::{Deserialize, Serialize};

use crate::node::NodeSetting;
use crate::{access, server, telemetry};

mod check;
mod error;
mod expectations;
pub mod flags;
mod layers;
mod layout;
mod loading;
mod origin;
mod schema;
mod ship;
mod units;

pub use error::ConfigError;
pub use flags::Overrides;
pub use loading::{Loaded, load, load_usable};
pub use origin::{Origin, Sources};
pub use ship::{ShipSettings, ShipTarget};

/// Read where no `--config` is given, if it exists.
pub const DEFAULT_FILE: &str = "/etc/faceood/config.toml";

/// The commented default that ships; every key stands in it with its true default.
#[cfg(test)]
const EXAMPLE: &str = include_str!("example.toml");

/// Every setting, as typed by the operator and as the modules use it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name of this box among others; empty: the host's name.
    pub node: NodeSetting,
    /// Where the daemon listens: one address or several; port 0 takes any free one.
    pub listen: server::Listen,
    /// Folder of the database, the text logs and the `address` file.
    pub data_dir: PathBuf,
    /// Folder of the model packs.
    pub models_dir: PathBuf,
    /// Which pack in `models_dir` is used.
    pub pack: String,
    /// The calibration made on site, in the data folder unless absolute; empty: the pack's own.
    pub calibration_file: PathBuf,
    /// How HTTP is served.
    pub server: server::Settings,
    /// Who may call, and how much.
    pub access: access::Settings,
    /// Limits of a single upload.
    pub capture: capture::Settings,
    /// Where models run.
    pub runtime: runtime::Settings,
    /// Worker threads and their queue.
    pub pipeline: pipeline::Settings,
    /// Scenarios by name: the built-in ones, changed or added to.
    pub policies: policy::Settings,
    /// The log of inferences.
    pub log: faceood_log::Settings,
    /// The text log.
    pub telemetry: telemetry::Settings,
    /// Where the rows of the log are shipped.
    pub ship: ShipSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: NodeSetting::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7860)).into(),
            data_dir: PathBuf::from("./data"),
            models_dir: PathBuf::from("./models"),
            pack: "default".to_owned(),
            calibration_file: PathBuf::new(),
            server: server::Settings::default(),
            access: access::Settings::default(),
            capture: capture::Settings::default(),
            runtime: runtime::Settings::default(),
            pipeline: pipeline::Settings::default(),
            policies: policy::Settings::default(),
            log: faceood_log::Settings::default(),
            telemetry: telemetry::Settings::default(),
            ship: ShipSettings::default(),
        }
    }
}

impl Config {
    /// The folder of the pack that is used.
    pub fn pack_dir(&self) -> PathBuf {
        self.models_dir.join(&self.pack)
    }

    /// What decides how models run on this box.
    pub fn tuning_site(&self) -> pipeline::tuning::Site {
        pipeline::tuning::Site {
            runtime: self.runtime.clone(),
            pipeline: self.pipeline.clone(),
            pack_dir: self.pack_dir(),
        }
    }

    /// The calibration made on site, or `None` where the pack's own is used.
    pub fn site_calibration(&self) -> Option<PathBuf> {
        let is_given = !self.calibration_file.as_os_str().is_empty();
        is_given.then(|| self.data_dir.join(&self.calibration_file))
    }

    /// Whether any address speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        let mut addresses = self.listen.addresses().iter();
        addresses.any(|address| self.server.speaks_tls(*address))
    }

    /// The database of the log.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join(faceood_log::FILE_NAME)
    }

    /// The file that holds the address while the daemon is ready.
    pub fn address_file(&self) -> PathBuf {
        self.data_dir.join("address")
    }

    /// The folder of reports on what was answered; the page links to the newest.
    pub fn reports_dir(&self) -> PathBuf {
        self.data_dir.join("reports")
    }

    /// The folder of the text log files: `telemetry.directory`, in the data folder unless absolute.
    pub fn text_log_dir(&self) -> PathBuf {
        self.data_dir.join(&self.telemetry.directory)
    }
}

/// Whether `dir` holds model packs, judged by the default pack's manifest.
pub fn holds_packs(dir: &Path) -> bool {
    dir.join("default").join("manifest.toml").is_file()
}

#[cfg(test)]
mod tests;
