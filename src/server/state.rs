//! What handlers share: cheap handles, all set up before the first request.

use std::path::PathBuf;
use std::sync::Arc;

use faceood_engine::pipeline::AnalysisPool;
use faceood_engine::pipeline::tuning::Chosen;
use faceood_engine::policy::Policies;
use faceood_log::{InferenceLog, ModelFacts};
use tokio::sync::watch;

use super::readiness::Readiness;
use super::tls::Tls;
use super::upload::UploadLimits;
use crate::access::AccessControl;
use crate::node::NodeName;
use crate::telemetry::metrics::Exporter;

/// Everything that a request may need. Cloned once per worker.
#[derive(Clone)]
pub struct AppState {
    /// Analyses pictures.
    pub pool: AnalysisPool,
    /// Takes the rows.
    pub log: InferenceLog,
    /// Scenarios and their rules, replaced when the configuration is read again.
    pub policies: watch::Receiver<Arc<Policies>>,
    /// What does not change while the daemon runs.
    pub info: Arc<Info>,
    /// Whether requests are still wanted.
    pub readiness: Readiness,
    /// What uploads may cost.
    pub uploads: UploadLimits,
    /// Knows the callers.
    pub access: AccessControl,
    /// Renders metrics.
    pub metrics: Exporter,
    /// What addresses off loopback speak TLS with, where one does.
    pub tls: Option<Tls>,
}

impl AppState {
    /// The rules as they are now.
    pub fn policies(&self) -> Arc<Policies> {
        Arc::clone(&self.policies.borrow())
    }
}

/// What runs here: settled when the models are loaded.
#[derive(Clone, Debug)]
pub struct Info {
    /// The name of this box among others.
    pub node: NodeName,
    /// Pack and provider, as they stand in every row.
    pub model: Arc<ModelFacts>,
    /// How the models run, and why.
    pub chosen: Chosen,
    /// Under which the pack's files may be used.
    pub licence: String,
    /// Largest picture in pixels.
    pub max_pixels: u64,
    /// Whether embeddings are kept in the log.
    pub keeps_embeddings: bool,
    /// Whether small pictures of faces are kept in the log.
    pub keeps_thumbnails: bool,
    /// Where reports on what was answered are put.
    pub reports_dir: PathBuf,
}
