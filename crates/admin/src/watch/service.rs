//! The daemon's own account of its state.

use faceood::config::Config;

use crate::http::Daemon;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Service {
    Answers {
        /// Its socket or its address.
        address: String,
        /// Why it is not ready, where it is not.
        trouble: Option<String>,
        waiting_rows: Option<f64>,
        provider: Option<String>,
    },
    Silent {
        reason: String,
        /// What to do, where something is to be done.
        advice: Option<&'static str>,
    },
}

impl Service {
    pub(super) fn ask(config: &Config) -> Self {
        let daemon = match Daemon::find(config) {
            Ok(daemon) => daemon,
            Err(unreachable) => {
                return Self::Silent {
                    reason: unreachable.to_string(),
                    advice: unreachable.advice(),
                };
            }
        };
        let (status, reason) = match daemon.readiness() {
            Ok(answer) => answer,
            Err(error) => {
                return Self::Silent {
                    reason: format!("the daemon at {daemon} does not answer: {error}"),
                    advice: None,
                };
            }
        };
        let (_, metrics) = daemon.get("/metrics").unwrap_or_default();
        Self::Answers {
            address: daemon.to_string(),
            trouble: (status != 200).then_some(reason),
            waiting_rows: value(&metrics, "faceood_log_queue_rows"),
            provider: label(&metrics, "faceood_provider_info{provider=\""),
        }
    }
}

/// The value of the metric `name`, which has no labels.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

/// What stands in quotes after `opening`.
fn label(metrics: &str, opening: &str) -> Option<String> {
    let rest = metrics
        .lines()
        .find_map(|line| line.strip_prefix(opening))?;
    rest.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_by_whole_names() {
        let text = "# TYPE a gauge\na_total 7\na 3\nfaceood_provider_info{provider=\"cpu\"} 1\n";
        assert_eq!(value(text, "a"), Some(3.0));
        assert_eq!(value(text, "b"), None);
        assert_eq!(
            label(text, "faceood_provider_info{provider=\""),
            Some("cpu".to_owned())
        );
    }

    #[test]
    fn nobody_there_is_said_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: folder.path().to_owned(),
            ..Config::default()
        };
        let reason = || match Service::ask(&config) {
            Service::Silent { reason, .. } => reason,
            answer @ Service::Answers { .. } => panic!("{answer:?}"),
        };
        assert_eq!(reason(), "no daemon runs on this data folder");
        std::fs::write(config.address_file(), "127.0.0.1:1\n").unwrap();
        assert!(reason().starts_with("the daemon at 127.0.0.1:1 does not answer"));
    }
}
