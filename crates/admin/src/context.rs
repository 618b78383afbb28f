//! What every subcommand needs: the settings, found as the daemon finds them, and an async
//! runtime for the database.

use std::future::Future;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::{GlobalOptions, users};
use faceood::config::{self, Config, ConfigError, Loaded, Overrides, Sources};

#[derive(Debug)]
pub(crate) struct Context {
    shared: GlobalOptions,
}

impl Context {
    /// From the options that all subcommands have.
    pub(crate) fn new(shared: GlobalOptions) -> Self {
        Self { shared }
    }

    /// The settings, and where each came from.
    pub(crate) fn loaded(&self) -> Result<Loaded, ConfigError> {
        let flags = Overrides {
            listen: None,
            folders: self.shared.folders.clone(),
        };
        config::load(&Sources::of_process(self.shared.config.clone(), flags))
    }

    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        Ok(self.loaded()?.config)
    }

    /// The database: `--db`, or the one in the data folder. It exists.
    pub(crate) fn database(&self) -> anyhow::Result<PathBuf> {
        let path = match self.given_databases() {
            [] => self.config()?.database(),
            [path] => path.clone(),
            _ => bail!("--db is given several times, which only analyze-logs can use: give one"),
        };
        if let Some(owner) = path.parent().and_then(users::kept_from) {
            bail!(
                "{} is {owner}'s, and this user may not look into it: sudo -u {owner} faceood-admin …",
                path.display()
            );
        }
        if !path.is_file() {
            bail!(
                "there is no database {}: give one with --db FILE or --data-dir DIR; the daemon makes it when it starts",
                path.display()
            );
        }
        Ok(path)
    }

    /// The database, whether it exists or not: `--db`, or the one in the data folder of `config`.
    pub(crate) fn database_path(&self, config: &Config) -> PathBuf {
        let given = self.given_databases().first().cloned();
        given.unwrap_or_else(|| config.database())
    }

    /// Every `--db`, in the order in which they were given.
    pub(crate) fn given_databases(&self) -> &[PathBuf] {
        &self.shared.db
    }

    /// Runs `work`, which may use the database, to its end.
    pub(crate) fn block_on<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start an async runtime")?
            .block_on(work)
    }
}
