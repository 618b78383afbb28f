//! How the models run on this box, and whether that was measured here.

use super::Check;
use crate::config::Config;
use crate::pipeline::tuning::{Basis, Tuning};
use crate::runtime::ProviderChoice;

const NAME: &str = "provider";

/// What helps where the daemon cannot take what was kept.
const REMEDY: &str = "the daemon measures anew at its next start; or run faceood-admin models tune";

/// Looks at what was kept.
pub(super) fn check(config: &Config) -> Check {
    if config.runtime.provider != ProviderChoice::Auto {
        return Check::ok(NAME, "named in the settings: nothing is measured");
    }
    match Tuning::load(&config.data_dir) {
        Ok(Some(tuning)) => judge(&tuning, &Basis::of(&config.tuning_site())),
        Ok(None) => Check::skipped(
            NAME,
            "not measured yet: the daemon does so at its first start",
        ),
        Err(error) => Check::warning(NAME, error.to_string(), REMEDY),
    }
}

fn judge(tuning: &Tuning, now: &Basis) -> Check {
    let found = format!("{}; {}", tuning.chosen, tuning.reason());
    match tuning.basis.difference(now) {
        None => Check::ok(NAME, found),
        Some(what) => Check::warning(NAME, format!("{found}; since then {what} changed"), REMEDY),
    }
}
