//! The daemon's own account of its state.

use std::path::Path;

use crate::http;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Service {
    Answers {
        address: String,
        /// Why it is not ready, where it is not.
        trouble: Option<String>,
        waiting_rows: Option<f64>,
        provider: Option<String>,
    },
    Silent(String),
}

impl Service {
    pub(super) fn ask(address_file: &Path) -> Self {
        let address = match http::address(address_file) {
            Ok(Some(address)) => address,
            Ok(None) => return Self::Silent("no daemon runs on this data folder".to_owned()),
            Err(written) => return Self::Silent(format!("{written:?} is no address")),
        };
        let (status, reason) = match http::readiness(address) {
            Ok(answer) => answer,
            Err(error) => {
                return Self::Silent(format!("the daemon at {address} does not answer: {error}"));
            }
        };
        let (_, metrics) = http::get(address, "/metrics").unwrap_or_default();
        Self::Answers {
            address: address.to_string(),
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
        let file = folder.path().join("address");
        assert_eq!(
            Service::ask(&file),
            Service::Silent("no daemon runs on this data folder".to_owned())
        );
        std::fs::write(&file, "127.0.0.1:1\n").unwrap();
        let Service::Silent(reason) = Service::ask(&file) else {
            panic!("nobody listens there");
        };
        assert!(reason.starts_with("the daemon at 127.0.0.1:1 does not answer"));
    }
}
