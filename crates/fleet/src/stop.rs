//! The wish that shipping ends.

use std::time::Duration;

use tokio::sync::watch;

/// Asked once, by a signal or by the caller; seen between two batches and while waiting.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: watch::Sender<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            asked: watch::Sender::new(false),
        }
    }
}

impl Stop {
    /// Asks for the end.
    pub fn ask(&self) {
        self.asked.send_replace(true);
    }

    /// Whether the end was asked for.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits for so long, or until the end is asked for.
    pub async fn wait(&self, time: Duration) {
        let mut asked = self.asked.subscribe();
        // The sender lives as long as `self`.
        let _ = tokio::time::timeout(time, asked.wait_for(|asked| *asked)).await;
    }
}
