//! What every subcommand needs: the options that all have, the settings, found as the daemon finds
//! them, and an async runtime for the database.

use std::future::Future;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::users;
use faceood::config::flags::Folders;
use faceood::config::{self, Config, ConfigError, Loaded, Overrides, Sources};

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Options of all subcommands")]
pub(crate) struct Context {
    /// Config file, in place of /etc/faceood/config.toml
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    folders: Folders,
    /// Database of the log, in place of the one in the data folder, or the centre of a fleet
    /// (postgres://…); analyze-logs takes several
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) db: Vec<PathBuf>,
    /// Say more on standard error; twice for details
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Context {
    pub(crate) fn loaded(&self) -> Result<Loaded, ConfigError> {
        config::load(&self.sources())
    }

    /// The settings, with defaults in place of those that are wrong.
    pub(crate) fn usable(&self) -> Result<Loaded, ConfigError> {
        config::load_usable(&self.sources())
    }

    fn sources(&self) -> Sources {
        let flags = Overrides {
            listen: Vec::new(),
            folders: self.folders.clone(),
        };
        Sources::of_process(self.config.clone(), flags)
    }

    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        Ok(self.loaded()?.config)
    }

    /// The database: `--db`, or the one in the data folder. It exists.
    pub(crate) fn database(&self) -> anyhow::Result<PathBuf> {
        let path = match self.db.as_slice() {
            [] => self.config()?.database(),
            [path] => path.clone(),
            _ => bail!("--db is given several times, which only analyze-logs can use: give one"),
        };
        let shown = path.display();
        if let Some(owner) = path.parent().and_then(users::kept_from) {
            bail!(
                "{shown} is {owner}'s, and this user may not look into it: {}",
                users::sudo_as(&owner)
            );
        }
        if !path.is_file() {
            bail!(
                "there is no database {shown}: give one with --db FILE or --data-dir DIR; the daemon makes it when it starts"
            );
        }
        Ok(path)
    }

    /// The database, whether it exists or not: `--db`, or the one in the data folder of `config`.
    pub(crate) fn database_path(&self, config: &Config) -> PathBuf {
        let given = self.db.first().cloned();
        given.unwrap_or_else(|| config.database())
    }

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
