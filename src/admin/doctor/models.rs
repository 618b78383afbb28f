//! The model pack: whole, and able to find, embed and judge the built-in test face.

use super::Check;
use crate::config::Config;
use crate::pipeline::{AnalysisPool, AssembleError, Assembly, Settings};
use crate::runtime::Runtime;

const NAME: &str = "models";

/// What helps where the pack is not usable.
const PACK_REMEDY: &str = "get the pack again (git checkout models, or scripts/install), or name another with models_dir and pack; `faceood-admin models verify` says more";

/// What helps where only the calibration made on site is not.
const CALIBRATION_REMEDY: &str =
    "make it again with `faceood-admin calibrate`, or empty calibration_file to use the pack's own";

/// Opens the pack as the daemon does, which runs the test face through every model. `runtime` is what the models run on, if
/// there is one.
pub(super) fn check(config: &Config, runtime: Option<Runtime>) -> Check {
    let Some(runtime) = runtime else {
        return Check::skipped(NAME, "not tried without a library");
    };
    let directory = config.pack_dir();
    match try_out(config, runtime) {
        Ok(Tried { found, calibration }) => {
            let found = format!("{}: {found}", directory.display());
            match calibration {
                None => Check::ok(NAME, found),
                Some(id) => Check::warning(
                    NAME,
                    format!(
                        "{found}; NOT CALIBRATED ({id}): its scores mean nothing yet and accept nobody"
                    ),
                    "make a calibration of your own photos: faceood-admin calibrate DIR --out FILE, then faceood-admin models set-calibration FILE",
                ),
            }
        }
        Err(error) => Check::failed(
            NAME,
            format!("{}: {error:#}", directory.display()),
            match error.downcast_ref() {
                Some(AssembleError::SiteCalibration(_)) => CALIBRATION_REMEDY,
                _ => PACK_REMEDY,
            },
        ),
    }
}

/// What came of it.
struct Tried {
    found: String,
    /// The id of what stands in for a calibration, where the pack has none.
    calibration: Option<String>,
}

fn try_out(config: &Config, runtime: Runtime) -> anyhow::Result<Tried> {
    let assembly = Assembly::open(runtime, &config.pack_dir(), config.capture.clone())?;
    if let Some(file) = config.site_calibration() {
        assembly.recalibrate(Some(&file))?;
    }
    let one = Settings {
        workers: 1,
        ..config.pipeline.clone()
    };
    let pool = AnalysisPool::start(assembly, &one)?;
    let facts = pool.assembly().facts();
    let calibration = pool.assembly().calibration();
    pool.close();
    Ok(Tried {
        found: format!(
            "{} {} ({}…) finds and judges the test face, calibration {}",
            facts.pack,
            facts.version,
            &facts.sha256[..12.min(facts.sha256.len())],
            calibration.id()
        ),
        calibration: (!calibration.is_calibrated()).then(|| calibration.id().to_owned()),
    })
}
