//! `--db postgres://…`: the centre of a fleet in place of a box's log.

use std::path::{Path, PathBuf};

use anyhow::bail;
use faceood::config::ShipSettings;
use faceood_fleet::{CentreAddress, CentreReader, ClientFiles};

use super::Context;

/// The files with which a centre is opened.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options for the centre of a fleet")]
pub(crate) struct CentreFlags {
    /// Authorities that the centre's certificate may come from, PEM, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Own certificate, PEM; its common name is the role at the centre
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// Key of the own certificate, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
}

impl CentreFlags {
    /// The centre at `url`, to be opened with these files.
    pub(crate) fn address(&self, url: &str) -> anyhow::Result<CentreAddress> {
        let files = ClientFiles {
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        };
        Ok(CentreAddress::new(url, &files)?)
    }

    /// With the settings' files where no flag says otherwise.
    pub(crate) fn or(&self, settings: &ShipSettings) -> Self {
        let set = |path: &PathBuf| Some(path.clone()).filter(|path| !path.as_os_str().is_empty());
        let is_given = self.certificate.is_some();
        let own = |given: &Option<PathBuf>, path| match is_given {
            true => given.clone(),
            false => set(path),
        };
        Self {
            ca: self.ca.clone().or_else(|| set(&settings.ca)),
            certificate: own(&self.certificate, &settings.certificate),
            key: own(&self.key, &settings.key),
        }
    }

    /// The centre, if that is what `--db` names alone.
    pub(crate) fn reader(&self, context: &Context) -> anyhow::Result<Option<CentreReader>> {
        match context.db.as_slice() {
            [one] => self.at(one),
            _ => Ok(None),
        }
    }

    /// The centre, if `database` is an address of one.
    pub(crate) fn at(&self, database: &Path) -> anyhow::Result<Option<CentreReader>> {
        let address = url(database).map(|url| self.address(url)).transpose()?;
        Ok(address.map(CentreReader::new))
    }
}

fn url(database: &Path) -> Option<&str> {
    database.to_str().filter(|text| CentreAddress::is_one(text))
}

/// Refuses the address of a centre where a file is needed.
pub(crate) fn refuse(context: &Context) -> anyhow::Result<()> {
    if context.db.iter().any(|database| url(database).is_some()) {
        bail!(
            "--db is the address of a centre, and this subcommand works on the log of one box: give its file, such as \
             --db /var/lib/faceood/faceood.db (analyze-logs, export, explain and fleet read a centre)"
        );
    }
    Ok(())
}
