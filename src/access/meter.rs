//! Counts the bytes of a body while they are read, because a chunked one announces no length.

use std::net::IpAddr;

use faceood_log::AccessRefusal;

use super::control::AccessControl;
use super::rates::OverLimit;

/// Charges one body to its caller, as far as its bytes have not been charged by their announcement.
#[derive(Clone)]
pub struct Meter {
    /// Whom to ask.
    pub access: AccessControl,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// Whether the bytes are charged to that address, too.
    pub is_address_charged: bool,
    /// Name of the token to which they are charged.
    pub token: Option<String>,
    /// The route, for the row of a refusal.
    pub endpoint: String,
    /// Bytes that were charged when the request began.
    pub announced: u64,
    /// Bytes that have come.
    pub received: u64,
}

impl Meter {
    /// Charges `bytes` that have come. One body costs no more than the bytes of a second.
    ///
    /// # Errors
    /// Where the budget of the caller is used up. The refusal is noted.
    pub fn count(&mut self, bytes: u64) -> Result<(), OverLimit> {
        let before = self.due();
        self.received = self.received.saturating_add(bytes);
        let more = self.due() - before;
        let address = self.address.filter(|_| self.is_address_charged);
        let counted = self.access.count_more(address, self.token.as_deref(), more);
        if counted.is_err() {
            let (token, endpoint) = (self.token.as_deref(), &self.endpoint);
            self.access
                .note_refusal(self.address, token, endpoint, AccessRefusal::RateLimit);
        }
        counted
    }

    /// What is to be charged for all that has come.
    fn due(&self) -> u64 {
        let bytes = self.received.max(self.announced);
        bytes.min(self.access.most_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Settings;
    use crate::access::rates::Limit;
    use faceood_log::{AccessFilter, InferenceLog, LogReader};

    #[tokio::test]
    async fn what_was_not_announced_is_charged_to_token_and_address_and_refused_beyond_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let log = InferenceLog::open(&faceood_log::Settings::default(), folder.path())
            .await
            .unwrap();
        let settings = Settings {
            rate_bytes: 1000,
            ..Settings::default()
        };
        let tokens = folder.path().join("tokens.toml");
        let access = AccessControl::open(&tokens, &settings, 1, log.clone()).unwrap();
        let meter = |token: Option<&str>, announced| Meter {
            access: access.clone(),
            address: "10.0.0.7".parse().ok(),
            is_address_charged: true,
            token: token.map(ToOwned::to_owned),
            endpoint: "/v1/quality".into(),
            announced,
            received: 0,
        };
        // What was announced has been charged, and a large body costs a second at most.
        let mut announced = meter(Some("gate"), 5000);
        assert!((0..50).all(|_| announced.count(100).is_ok()));
        let mut large = meter(Some("gate"), 0);
        assert!((0..50).all(|_| large.count(900).is_ok()));
        // The clock gives some bytes back meanwhile, so more than one is tried.
        let over = (0..10).find_map(|_| meter(Some("gate"), 0).count(900).err());
        assert_eq!(over.unwrap().limit, Limit::Bytes);
        // Ten times as much of one address.
        let over = (0..20).find_map(|_| meter(None, 0).count(900).err());
        assert_eq!(over.unwrap().limit, Limit::Bytes);

        log.close().await;
        let reader = LogReader::open(&folder.path().join("faceood.db"))
            .await
            .unwrap();
        let noted = reader.accesses(&AccessFilter::default()).await.unwrap();
        let seen: Vec<_> = noted
            .iter()
            .map(|event| {
                (
                    event.token.as_deref(),
                    event.endpoint.as_str(),
                    event.refusal,
                )
            })
            .collect();
        let refusal = AccessRefusal::RateLimit;
        let endpoint = "/v1/quality";
        assert_eq!(
            seen,
            [(Some("gate"), endpoint, refusal), (None, endpoint, refusal)]
        );
    }
}
