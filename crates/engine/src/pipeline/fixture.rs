//! For tests of other members: warm workers on the pack that ships, and a stage that panics or takes
//! long where it is asked to.

#![expect(clippy::unwrap_used, reason = "a test that cannot start should fail")]

use std::path::Path;
use std::time::Duration;

use super::{AnalysisPool, Assembly, Settings};
use crate::capture;
use crate::runtime::{self, ProviderChoice, Runtime};

/// A scenario in which a stage panics: no picture is known that makes one.
pub const PANIC: &str = "panic";

/// A scenario in which a stage takes [`LONG`].
pub const SLOW: &str = "slow";

/// Longer than a probe waits for a worker, shorter than what counts as hanging.
pub const LONG: Duration = Duration::from_secs(5);

/// Called by the pipeline in tests alone.
pub(super) fn panic_or_wait_where_asked(scenario: &str) {
    if scenario == SLOW {
        std::thread::sleep(LONG);
    }
    assert_ne!(scenario, PANIC, "a test asked for this panic");
}

/// Warm workers on the CPU.
///
/// # Panics
/// Where ONNX Runtime or the pack cannot be opened.
pub fn pool(settings: &Settings) -> AnalysisPool {
    let runtime = Runtime::load(&runtime::Settings {
        provider: ProviderChoice::Cpu,
        ..runtime::Settings::default()
    })
    .unwrap();
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/default");
    let assembly = Assembly::open(runtime, &pack, capture::Settings::default()).unwrap();
    AnalysisPool::start(assembly, settings).unwrap()
}
