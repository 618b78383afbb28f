//! How the models run on this box, and whether that was measured here.

use std::io::ErrorKind;

use super::{Finding, ok, skipped, warning};
use faceood::config::Config;
use faceood_engine::pipeline::tuning::{Basis, KeepError, Tuning};
use faceood_engine::runtime::ProviderChoice;

/// What helps where the daemon cannot take what was kept.
const REMEDY: &str = "the daemon measures anew at its next start; or run faceood-admin models tune";

pub(super) fn check(config: &Config) -> Finding {
    if config.runtime.provider != ProviderChoice::Auto {
        return ok("named in the settings: nothing is measured");
    }
    match Tuning::load(&config.data_dir) {
        Ok(Some(tuning)) => judge(&tuning, &Basis::of(&config.tuning_site())),
        Ok(None) => skipped("not measured yet: the daemon does so at its first start"),
        // Root is refused nothing: whether the daemon may read it, check `owner` says.
        Err(KeepError::Read(path, error)) if error.kind() == ErrorKind::PermissionDenied => {
            let shown = path.display();
            skipped(format!(
                "this user may not read {shown}; look as root: sudo faceood-admin doctor"
            ))
        }
        Err(error) => warning(error.to_string(), REMEDY),
    }
}

fn judge(tuning: &Tuning, now: &Basis) -> Finding {
    let found = format!("{}; {}", tuning.chosen, tuning.reason());
    match tuning.basis.difference(now) {
        None => ok(found),
        Some(what) => warning(format!("{found}; since then {what} changed"), REMEDY),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;
    use faceood_engine::runtime::Candidate;

    #[test]
    fn what_was_measured_on_another_box_is_a_warning_that_names_the_difference() {
        let now = Basis::of(&Config::default().tuning_site());
        let measured = |basis: Basis| Tuning {
            basis,
            measured_at: chrono::Utc::now(),
            chosen: Candidate::REFERENCE,
            trials: Vec::new(),
        };
        assert_eq!(judge(&measured(now.clone()), &now).status, CheckStatus::Ok);
        let elsewhere = Basis {
            driver: "another".to_owned(),
            ..now.clone()
        };
        let moved = judge(&measured(elsewhere), &now);
        assert_eq!(moved.status, CheckStatus::Warning);
        assert!(moved.found.contains("since then the NVIDIA driver changed"));
        assert!(moved.advice.unwrap().contains("models tune"));
    }
}
