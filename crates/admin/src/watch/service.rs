//! The daemon's own account of its state.

use std::path::Path;

use crate::http;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Service {
    Answers {
        address: String,
        /// Why it is not ready, where it is not.
        trouble: Option<String>,
        /// Rows that wait for the log.
        waiting_rows: Option<f64>,
        provider: Option<String>,
    },
    Silent(String),
}

impl Service {
    /// Asks the daemon whose address stands in `address_file`.
    pub(super) fn ask(address_file: &Path) -> Self {
        let address = match http::address(address_file) {
            Ok(Some(address)) => address,
            Ok(None) => return Self::Silent("no daemon runs on this data folder".to_owned()),
            Err(written) => return Self::Silent(format!("{written:?} is no address")),
        };
        let ready = match http::get(address, "/readyz") {
            Ok(answer) => answer,
            Err(error) => {
                return Self::Silent(format!("the daemon at {address} does not answer: {error}"));
            }
        };
        let metrics =
            http::get(address, "/metrics").map_or_else(|_| String::new(), |found| found.1);
        Self::Answers {
            address: address.to_string(),
            trouble: (ready.0 != 200).then(|| detail(&ready.1)),
            waiting_rows: value(&metrics, "faceood_log_queue_rows"),
            provider: label(&metrics, "faceood_provider_info{provider=\""),
        }
    }
}

fn detail(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let said = body.get("detail").and_then(serde_json::Value::as_str);
    said.unwrap_or("it does not say why").to_owned()
}

/// The value of the metric `name`, which has no labels.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let lines = metrics.lines();
    let rest = lines
        .filter_map(|line| line.strip_prefix(name))
        .find_map(|rest| rest.strip_prefix(' '))?;
    rest.trim().parse().ok()
}

/// What stands in quotes after `opening`.
fn label(metrics: &str, opening: &str) -> Option<String> {
    let mut rests = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(opening));
    rests.next()?.split('"').next().map(str::to_owned)
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
