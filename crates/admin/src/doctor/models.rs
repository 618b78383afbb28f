//! Checks that the model pack is intact and can detect, embed and judge the built-in test face.

use std::time::Instant;

use chrono::{NaiveDate, TimeDelta, Utc};

use super::{Check, Context, Finding, failed, ok, skipped, warning};
use faceood::config::Config;
use faceood::process::said_once;
use faceood_engine::pipeline::{AnalysisPool, AssembleError, Assembly, Settings};
use faceood_engine::quality::Calibration;
use faceood_engine::runtime::Runtime;

const PACK_REMEDY: &str = "install the package again (sudo apt-get install --reinstall ./faceood*.deb), or in a checkout run git checkout models, then sudo ./scripts/install where faceood is installed; or name another pack with models_dir and pack; `faceood-admin models verify` says more";

const CALIBRATION_REMEDY: &str =
    "make it again with `faceood-admin calibrate`, or empty calibration_file to use the pack's own";

/// A site's calibration older than this should be measured again.
const OLD: TimeDelta = TimeDelta::days(365);

/// Opens the pack as the daemon does, which runs the test face through every model. `runtime` is
/// what the models run on, if there is one.
pub(super) fn checks(context: &Context, config: &Config, runtime: Option<Runtime>) -> Vec<Check> {
    let Some(runtime) = runtime else {
        return vec![skipped("not tried without a library").named("models")];
    };
    let folder = config.pack_dir();
    let folder = folder.display();
    match try_out(context, config, runtime) {
        Ok((found, calibration)) => vec![
            ok(format!("{folder}: {found}")).named("models"),
            calibration.named("calibration"),
        ],
        Err(error) => {
            let remedy = match error.downcast_ref() {
                Some(AssembleError::SiteCalibration(_)) => CALIBRATION_REMEDY,
                _ => PACK_REMEDY,
            };
            let said = said_once(&error).join(": ");
            vec![failed(format!("{folder}: {said}"), remedy).named("models")]
        }
    }
}

fn judge_calibration(calibration: &Calibration, is_of_site: bool, today: NaiveDate) -> Finding {
    let (id, date) = (calibration.id(), &calibration.provenance().date);
    if !calibration.is_calibrated() {
        return warning(
            format!("NOT CALIBRATED ({id}): scores mean nothing yet and accept nobody"),
            "make a calibration of your own photos: faceood-admin calibrate DIR --out FILE, then faceood-admin models set-calibration FILE",
        );
    }
    let whose = if is_of_site {
        "of this site"
    } else {
        "the pack's own"
    };
    let found = format!("{id}, {whose}, of {date}");
    let age = date.parse().map(|date| today.signed_duration_since(date));
    match age {
        // The pack's own is as good as its photos, and those do not age; cameras and light of a
        // site do.
        Ok(age) if is_of_site && age > OLD => warning(
            format!("{found}, {} days ago", age.num_days()),
            "cameras and light change: measure again with faceood-admin calibrate --from-log",
        ),
        _ => ok(found),
    }
}

/// What the pack makes of the test face, and its calibration.
fn try_out(
    context: &Context,
    config: &Config,
    runtime: Runtime,
) -> anyhow::Result<(String, Finding)> {
    let assembly = Assembly::open(runtime, &config.pack_dir(), config.capture.clone())?;
    if let Some(file) = config.site_calibration() {
        assembly.recalibrate(Some(&file))?;
    }
    let one = Settings {
        workers: 1,
        ..config.pipeline.clone()
    };
    let pool = AnalysisPool::start(assembly, &one)?;
    // The first run has warmed everything up; this one takes what a request would.
    let started = Instant::now();
    let outcome = context.block_on(async { Ok(pool.probe().await?) });
    let took = started.elapsed();
    let facts = pool.assembly().facts();
    let calibration = pool.assembly().calibration();
    pool.close();
    outcome?;
    let found = format!(
        "{} {} ({}…) finds and judges the test face in {} ms",
        facts.pack,
        facts.version,
        &facts.sha256[..12.min(facts.sha256.len())],
        took.as_millis()
    );
    let is_of_site = config.site_calibration().is_some();
    let today = Utc::now().date_naive();
    Ok((found, judge_calibration(&calibration, is_of_site, today)))
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    #[test]
    fn a_calibration_of_the_site_ages_and_the_packs_own_does_not() {
        let json = std::fs::read_to_string("../../models/default/calibration.json").unwrap();
        let calibration = Calibration::load(&json).unwrap();
        let made: NaiveDate = calibration.provenance().date.parse().unwrap();
        let later = made + TimeDelta::days(400);
        let status = |is_of_site, today| judge_calibration(&calibration, is_of_site, today).status;
        assert_eq!(status(true, made), CheckStatus::Ok);
        assert_eq!(status(true, later), CheckStatus::Warning);
        assert_eq!(status(false, later), CheckStatus::Ok);
        let none = judge_calibration(&Calibration::uncalibrated(-1.0, 1.0), false, made);
        assert_eq!(none.status, CheckStatus::Warning);
        assert!(none.found.contains("NOT CALIBRATED"), "{none:?}");
    }
}
