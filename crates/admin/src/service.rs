//! The installed service, as systemd knows it.

use std::path::Path;
use std::process::Command;

pub(crate) const UNIT: &str = "faceoodd.service";

/// Whether systemd runs this machine.
pub(crate) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The unit as it is written, with all drop-ins; empty where there is none, or no systemd.
pub(crate) fn text() -> String {
    let printed = Command::new("systemctl").args(["cat", UNIT]).output();
    let printed = printed.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&printed).into_owned()
}

/// Properties of the unit.
#[derive(Debug)]
pub(crate) struct UnitFacts(String);

impl UnitFacts {
    /// Asks systemd for `properties`, separated by commas.
    ///
    /// # Errors
    /// Why systemd does not answer.
    pub(crate) fn ask(properties: &str) -> Result<Self, String> {
        if !has_systemd() {
            return Err("no systemd runs here".to_owned());
        }
        let show = ["show", UNIT, "--property", properties];
        match Command::new("systemctl").args(show).output() {
            Ok(output) if output.status.success() => {
                Ok(Self::new(String::from_utf8_lossy(&output.stdout)))
            }
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("systemctl does not answer: {}", said.trim()))
            }
            Err(error) => Err(format!("systemctl cannot be run: {error}")),
        }
    }

    /// Reads what `systemctl show` prints.
    pub(crate) fn new(shown: impl Into<String>) -> Self {
        Self(shown.into())
    }

    /// The value of one property; empty where it has none.
    pub(crate) fn of(&self, name: &str) -> &str {
        let mut facts = self.0.lines().filter_map(|line| line.split_once('='));
        facts.find(|fact| fact.0 == name).map_or("", |fact| fact.1)
    }

    /// Whether the unit is on this machine.
    pub(crate) fn is_installed(&self) -> bool {
        self.of("LoadState") != "not-found"
    }
}
