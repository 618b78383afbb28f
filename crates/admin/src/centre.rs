//! `--db postgres://…`: the centre of a fleet in place of a box's log.

use std::path::{Path, PathBuf};

use anyhow::bail;
use faceood_fleet::{CentreAddress, CentreReader, ClientFiles};

use super::Context;

/// With what the centre is opened, where the address does not say it.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Options for --db postgres://…")]
pub(crate) struct CentreFlags {
    /// PEM file of the authority that the centre's certificate comes from [default: those of the
    /// system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of the certificate to log in with; its common name is the role
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

impl CentreFlags {
    /// The centre, if that is what `--db` names alone.
    pub(crate) fn reader(&self, context: &Context) -> anyhow::Result<Option<CentreReader>> {
        match context.db.as_slice() {
            [one] => self.at(one),
            _ => Ok(None),
        }
    }

    /// The centre, if `database` is an address of one.
    pub(crate) fn at(&self, database: &Path) -> anyhow::Result<Option<CentreReader>> {
        let Some(url) = url(database) else {
            return Ok(None);
        };
        let files = ClientFiles {
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        };
        Ok(Some(CentreReader::new(CentreAddress::new(url, &files)?)))
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
