//! What tests of other modules need: warm workers on the pack that ships, and a stage that panics
//! or takes long where it is asked to.

use std::path::Path;
use std::time::Duration;

use super::{AnalysisPool, Assembly, Settings};
use crate::capture;
use crate::runtime::{self, ProviderChoice, Runtime};

/// A scenario in which a stage panics: no picture is known that makes one.
pub(crate) const PANIC: &str = "panic";

/// A scenario in which a stage takes [`LONG`].
pub(crate) const SLOW: &str = "slow";

/// Longer than a probe waits for a worker, shorter than what counts as hanging.
pub(crate) const LONG: Duration = Duration::from_secs(5);

/// Called by the pipeline in tests alone.
pub(super) fn panic_or_wait_where_asked(scenario: &str) {
    if scenario == SLOW {
        std::thread::sleep(LONG);
    }
    assert_ne!(scenario, PANIC, "a test asked for this panic");
}

/// Warm workers on the CPU.
pub(crate) fn pool(settings: &Settings) -> AnalysisPool {
    let runtime = Runtime::load(&runtime::Settings {
        provider: ProviderChoice::Cpu,
        ..runtime::Settings::default()
    })
    .unwrap();
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/default");
    let assembly = Assembly::open(runtime, &pack, capture::Settings::default()).unwrap();
    AnalysisPool::start(assembly, settings).unwrap()
}
