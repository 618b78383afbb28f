//! The command line: the daemon's flags, and the overrides that both programs share.

use std::path::PathBuf;

use clap::{Args, Parser};
use serde::Serialize;

/// Settings that have a flag. A field's name is its key, so nobody copies it by hand.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct Overrides {
    /// Address and port to listen on, again for each more; port 0 takes any free one
    #[arg(long, value_name = "ADDR:PORT", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<String>,
    /// What the two programs share.
    #[command(flatten)]
    #[serde(flatten)]
    pub folders: Folders,
}

/// Where state and models are; `faceood-admin` has these flags too.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct Folders {
    /// Folder of the database and the `address` file; by default /var/lib/faceood where faceood is
    /// installed, ./data in a checkout
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Folder of the model packs; by default /usr/share/faceood/models where faceood is installed,
    /// ./models in a checkout
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models_dir: Option<PathBuf>,
}

/// The face recognition daemon: pictures in over HTTP, embeddings, quality and decisions out
#[derive(Parser, Debug)]
#[command(name = "faceoodd", version, after_help = DAEMON_HELP)]
pub struct DaemonFlags {
    /// Config file, in place of /etc/faceood/config.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings given as flags; they win over every other layer.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Check the settings and the models, then exit: 0 when all is well, 1 when not
    #[arg(long, conflicts_with = "print_config")]
    pub check: bool,
    /// Print each setting and where it came from, then exit
    #[arg(long)]
    pub print_config: bool,
    /// Try one way to run the models: reads an order from standard input, writes what was measured
    /// to standard output. The daemon starts itself with it
    #[arg(long, hide = true, conflicts_with_all = ["check", "print_config"])]
    pub trial: bool,
    /// Decode JPEGs for the parent process, and do nothing else. The daemon starts itself with it
    #[arg(long, hide = true, conflicts_with_all = ["check", "print_config", "trial"])]
    pub decoder: bool,
}

const DAEMON_HELP: &str = "\
Settings come from, lowest first: built-in defaults, the config file, FACEOOD_* variables (FACEOOD_LISTEN, \
FACEOOD_DATA_DIR, nested keys with two underscores: FACEOOD_LOG__DURABILITY=full), flags.
Signals: SIGTERM and SIGINT stop cleanly (a second SIGINT at once), SIGHUP reloads the policies, the calibration, \
the tokens and the TLS certificate.

Examples:
  faceoodd                                     serve on 127.0.0.1:7860
  faceoodd --listen 127.0.0.1:7860 --listen 192.168.1.5:7861 --data-dir /var/lib/faceood
  faceoodd --config site.toml --check          is this config usable, are the models whole?
  faceoodd --print-config                      which setting came from where?";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        DaemonFlags::command().debug_assert();
    }
}
