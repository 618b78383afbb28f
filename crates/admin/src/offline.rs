//! The daemon's pipeline without the daemon: the same pack, models and policies, on this thread.
//! Nothing is logged.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Context;
use faceood::config::Config;
use faceood_engine::capture;
use faceood_engine::checkpoint::Checkpoint;
use faceood_engine::pack::Pack;
use faceood_engine::pipeline::tuning;
use faceood_engine::pipeline::view::Part;
use faceood_engine::pipeline::{
    Analysis, AnalyzeError, Ask, Assembly, Faces, ModelFacts, Pipeline,
};
use faceood_engine::policy::{Policies, Policy, Thresholds};
use faceood_engine::quality::Calibration;
use faceood_engine::runtime::Runtime;

/// Stands where a daemon's answer has its request id: no row was written.
pub(super) const REQUEST_ID: &str = "unlogged";

pub(super) struct Offline {
    pub(super) model: ModelFacts,
    pub(super) thresholds: Thresholds,
    pub(super) capture: capture::Settings,
    pipeline: Pipeline,
    ask: Ask,
}

/// What pipelines are made of, for a subcommand that runs several.
pub(super) struct Parts {
    pub(super) assembly: Assembly,
    pub(super) policies: Policies,
    pub(super) capture: capture::Settings,
}

/// A picture that got no answer, in the shape of the REST interface.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
}

/// Opens the pack of the settings, as the daemon would.
pub(super) fn parts(context: &Context) -> anyhow::Result<Parts> {
    let config = context.config()?;
    Ok(Parts {
        policies: Policies::new(&config.policies)?,
        assembly: assembly(&config)?,
        capture: config.capture,
    })
}

impl Parts {
    pub(super) fn policy(&self, scenario: &str) -> anyhow::Result<&Policy> {
        self.policies.get(scenario).with_context(|| {
            let known = self.policies.names().collect::<Vec<_>>().join(", ");
            format!("there is no scenario {scenario:?}; configured are {known}")
        })
    }
}

impl Offline {
    pub(super) fn open(context: &Context, scenario: &str, faces: Faces) -> anyhow::Result<Self> {
        let parts = parts(context)?;
        Ok(Self {
            model: parts.assembly.facts(),
            thresholds: parts.assembly.thresholds(),
            ask: Ask {
                scenario: scenario.to_owned(),
                policy: parts.policy(scenario)?.clone(),
                faces,
                needs_face: true,
            },
            pipeline: parts.assembly.pipeline()?,
            capture: parts.capture,
        })
    }

    pub(super) fn analyze(&mut self, picture: &[u8]) -> Result<Analysis, AnalyzeError> {
        self.pipeline
            .analyze(picture, &self.ask, Duration::ZERO, &Checkpoint::OPEN)
    }
}

/// The pack of `config` with its own calibration.
pub(super) fn pack(config: &Config) -> anyhow::Result<Assembly> {
    let runtime = runtime(config)?;
    let pack = config.pack_dir();
    Assembly::open(runtime, &pack, config.capture.clone())
        .with_context(|| format!("the model pack in {} cannot be used", pack.display()))
}

/// Runs models as the daemon was measured to run them fastest; as usual where nothing was
/// measured.
pub(super) fn runtime(config: &Config) -> anyhow::Result<Runtime> {
    let chosen = tuning::choose_without_measuring(&config.tuning_site(), &config.data_dir)?;
    Ok(Runtime::load_as(&config.runtime, chosen.plan)?)
}

/// The pack of `config` with the calibration that is in force there.
pub(super) fn assembly(config: &Config) -> anyhow::Result<Assembly> {
    let assembly = pack(config)?;
    if let Some(file) = config.site_calibration() {
        assembly.recalibrate(Some(&file))?;
    }
    Ok(assembly)
}

/// The calibration that was made on site, where there is one that can be read.
pub(super) fn site_calibration(config: &Config) -> Option<Calibration> {
    let json = std::fs::read_to_string(config.site_calibration()?).ok()?;
    Calibration::load(&json).ok()
}

/// The calibration in force: that of the site, or else the pack's own.
pub(super) fn calibration(config: &Config) -> Option<Calibration> {
    let of_pack = || {
        let pack = Pack::open(&config.pack_dir()).ok()?;
        Calibration::load(pack.calibration_json()).ok()
    };
    site_calibration(config).or_else(of_pack)
}

impl Refusal {
    pub(super) fn new(error: &AnalyzeError, part: Option<Part>) -> Self {
        let problem = error.problem();
        Self {
            r#type: format!("urn:faceood:problem:{}", problem.code()),
            title: problem.title(),
            status: problem.status(),
            // The operator may know what a caller is not told.
            detail: error.to_string(),
            part,
        }
    }
}

/// The bytes of a file, or of standard input for `-`.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        let mut input = std::io::stdin().lock();
        let read = input.read_to_end(&mut bytes);
        if read.context("cannot read standard input")? == 0 {
            bail!(
                "standard input is empty: `-` stands for what comes by a pipe, and can be given once"
            );
        }
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
