//! What Prometheus scrapes: names, help, buckets, and one function for each thing that happens. Prefix `faceood_`, time in
//! seconds. A source is no label unless the operator has listed it (`telemetry.sources`): callers choose it, and a label that
//! callers choose grows without end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use nvml_wrapper::Nvml;
use nvml_wrapper::enums::device::UsedGpuMemory;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::host::Host;

const REQUESTS: &str = "faceood_requests_total";
const REQUEST_SECONDS: &str = "faceood_request_duration_seconds";
const ACTIONS: &str = "faceood_actions_total";
const SOURCE_ACTIONS: &str = "faceood_source_actions_total";
const VERDICTS: &str = "faceood_verdicts_total";
const STAGE_SECONDS: &str = "faceood_stage_duration_seconds";
const QUEUE_DEPTH: &str = "faceood_queue_depth";
const QUEUE_CAPACITY: &str = "faceood_queue_capacity";
const QUEUE_WAIT_SECONDS: &str = "faceood_queue_wait_seconds";
const QUALITY: &str = "faceood_quality_score";
const NORM: &str = "faceood_embedding_norm";
const PROVIDER: &str = "faceood_provider_info";
const PACK: &str = "faceood_pack_info";
const BUILD: &str = "faceood_build_info";
const READY: &str = "faceood_ready";
const LOG_FAILING: &str = "faceood_log_failing";
const DISK_FREE: &str = "faceood_disk_free_bytes";
const DISK_TOTAL: &str = "faceood_disk_total_bytes";
const MEMORY_LIMIT: &str = "faceood_memory_limit_bytes";
const RESIDENT: &str = "faceood_process_resident_bytes";
const VIRTUAL: &str = "faceood_process_virtual_bytes";
const CPU_SECONDS: &str = "faceood_process_cpu_seconds_total";
const START_TIME: &str = "faceood_process_start_time_seconds";
const GPU_USED: &str = "faceood_gpu_memory_used_bytes";
const GPU_TOTAL: &str = "faceood_gpu_memory_total_bytes";
const GPU_OURS: &str = "faceood_process_gpu_memory_bytes";

/// Counters of the log that stand at 0 from the start, so that an alarm sees even their first rise.
const FROM_NOTHING: [&str; 6] = [
    "faceood_log_rows_total",
    "faceood_log_rows_lost_total",
    "faceood_log_rows_unwritten_total",
    "faceood_log_reopened_total",
    "faceood_log_doubtful_rows_total",
    "faceood_log_pruned_rows_total",
];

/// From a stage that takes a fraction of a millisecond to a request that waits in the queue under load. Also the default for
/// every `…_seconds` that another module records.
const SECONDS: [f64; 16] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.5,
    10.0,
];

/// Tenths, and between them the cuts of grades and of built-in policies.
const SCORES: [f64; 14] = [
    0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0,
];

/// The default pack's norm is about 1 for clean faces and less for worse ones; others may lie higher.
const NORMS: [f64; 14] = [
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 2.0, 5.0,
];

/// Renders what has been recorded. A cheap handle.
#[derive(Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
    sampler: Arc<Mutex<Sampler>>,
}

/// Why metrics cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The buckets are not accepted.
    #[error("metrics cannot be set up: {0}")]
    Build(#[from] BuildError),
    /// Somebody records already.
    #[error("metrics are set up already: install them once in a process")]
    Installed,
}

impl Exporter {
    /// Starts recording in this process; room is measured where `data_dir` is.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] where another recorder is installed already.
    pub fn install(data_dir: &Path) -> Result<Self, MetricsError> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Installed)?;
        describe();
        for name in FROM_NOTHING {
            counter!(name).absolute(0);
        }
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self::around(handle, data_dir))
    }

    /// An exporter that nothing is recorded for, since a process has but one recorder and many tests.
    #[cfg(test)]
    pub(crate) fn apart() -> Self {
        let handle = PrometheusBuilder::new().build_recorder().handle();
        Self::around(handle, Path::new("."))
    }

    fn around(handle: PrometheusHandle, data_dir: &Path) -> Self {
        Self {
            handle,
            sampler: Arc::new(Mutex::new(Sampler::new(data_dir))),
        }
    }

    /// Everything recorded so far, and the process's memory as it is now, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.sampler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sample();
        self.handle.render()
    }

    /// Folds what has been recorded into the buckets. To be called every few seconds: samples of histograms pile up
    /// until somebody scrapes, and perhaps nobody does.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full(QUALITY.to_owned()), &SCORES)?
        .set_buckets_for_metric(Matcher::Full(NORM.to_owned()), &NORMS)
}

fn describe() {
    describe_counter!(
        REQUESTS,
        "Requests answered, by endpoint, HTTP status and problem code (ok where none)."
    );
    describe_histogram!(REQUEST_SECONDS, "From a request's head to its answer.");
    describe_counter!(ACTIONS, "Decisions on single faces.");
    describe_counter!(
        SOURCE_ACTIONS,
        "Decisions on single faces by source, for the sources in telemetry.sources; other stands for all others."
    );
    describe_counter!(VERDICTS, "Decisions on pairs.");
    describe_histogram!(STAGE_SECONDS, "Time in each stage of the pipeline.");
    describe_gauge!(QUEUE_DEPTH, "Pictures waiting for a worker.");
    describe_gauge!(
        QUEUE_CAPACITY,
        "Pictures that may wait before requests are refused."
    );
    describe_histogram!(QUEUE_WAIT_SECONDS, "How long pictures waited for a worker.");
    describe_histogram!(QUALITY, "Quality score of each face, 0 to 1.");
    describe_histogram!(
        NORM,
        "Length of each face's embedding before normalisation."
    );
    describe_gauge!(PROVIDER, "1 for the provider that runs the models.");
    describe_gauge!(PACK, "1 for the loaded model pack.");
    describe_gauge!(BUILD, "1 for the running release.");
    describe_gauge!(READY, "1 while requests are served, else 0.");
    describe_gauge!(LOG_FAILING, "1 while the log cannot be written, else 0.");
    describe_gauge!(DISK_FREE, "Room on the disk of the data folder.");
    describe_gauge!(DISK_TOTAL, "Size of the disk of the data folder.");
    describe_gauge!(
        MEMORY_LIMIT,
        "What this process may use: the limit of its service or container, else the machine's memory."
    );
    describe_gauge!(RESIDENT, "Memory of this process that is in RAM.");
    describe_gauge!(VIRTUAL, "Address space of this process.");
    describe_counter!(
        CPU_SECONDS,
        "Processor time of this process, whole seconds."
    );
    describe_gauge!(START_TIME, "When this process started, seconds since 1970.");
    describe_gauge!(GPU_USED, "Memory in use on each GPU, by whomever.");
    describe_gauge!(GPU_TOTAL, "Memory of each GPU.");
    describe_gauge!(GPU_OURS, "Memory of each GPU that this process uses.");
}

/// Requests answered since the start, for the status line of the service manager.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// Requests answered since the start.
#[must_use]
pub fn requests_answered() -> u64 {
    ANSWERED.load(Ordering::Relaxed)
}

/// A request has been answered.
pub fn request(endpoint: &str, status: u16, code: &'static str, took: Duration) {
    ANSWERED.fetch_add(1, Ordering::Relaxed);
    let endpoint = endpoint.to_owned();
    counter!(REQUESTS, "endpoint" => endpoint.clone(), "status" => status.to_string(), "code" => code)
        .increment(1);
    histogram!(REQUEST_SECONDS, "endpoint" => endpoint).record(took);
}

/// Sources that are labels; empty where none is.
static SOURCES: OnceLock<Vec<String>> = OnceLock::new();

/// Makes these sources labels, and each of them visible before its first request. Only the first call counts.
pub fn label_sources(sources: &[String]) {
    if SOURCES.set(sources.to_vec()).is_err() || sources.is_empty() {
        return;
    }
    for source in sources.iter().map(String::as_str).chain(["other"]) {
        for action in ["accept", "review", "reject"] {
            counter!(SOURCE_ACTIONS, "source" => source.to_owned(), "action" => action).absolute(0);
        }
    }
}

/// A policy has decided on a face that this source has sent.
pub fn action(scenario: &str, source: Option<&str>, action: &'static str) {
    counter!(ACTIONS, "scenario" => scenario.to_owned(), "action" => action).increment(1);
    let sources = SOURCES.get().map_or(&[][..], Vec::as_slice);
    if !sources.is_empty() {
        let known = source.filter(|source| sources.iter().any(|known| known == source));
        let source = known.unwrap_or("other").to_owned();
        counter!(SOURCE_ACTIONS, "source" => source, "action" => action).increment(1);
    }
}

/// A policy has decided on a pair.
pub fn verdict(scenario: &str, verdict: &'static str) {
    counter!(VERDICTS, "scenario" => scenario.to_owned(), "verdict" => verdict).increment(1);
}

/// A stage of the pipeline has taken `ms`.
pub fn stage(stage: &'static str, ms: f32) {
    histogram!(STAGE_SECONDS, "stage" => stage).record(f64::from(ms) / 1e3);
}

/// A picture has waited `ms` for a worker.
pub fn queue_wait(ms: f32) {
    histogram!(QUEUE_WAIT_SECONDS).record(f64::from(ms) / 1e3);
}

/// So many pictures wait, of so many that may.
#[expect(clippy::cast_precision_loss, reason = "queues are short")]
pub fn queue(depth: usize, capacity: usize) {
    gauge!(QUEUE_DEPTH).set(depth as f64);
    gauge!(QUEUE_CAPACITY).set(capacity as f64);
}

/// A face has been judged.
pub fn face(quality_score: f32, embedding_norm: f32) {
    histogram!(QUALITY).record(f64::from(quality_score));
    histogram!(NORM).record(f64::from(embedding_norm));
}

/// What answers: told once, when the models are loaded.
pub fn model(pack: &str, version: &str, sha256: &str, provider: &str) {
    gauge!(PACK, "pack" => pack.to_owned(), "version" => version.to_owned(), "sha256" => sha256.to_owned())
        .set(1.0);
    gauge!(PROVIDER, "provider" => provider.to_owned()).set(1.0);
}

/// Whether requests are served.
pub fn ready(is_ready: bool) {
    gauge!(READY).set(if is_ready { 1.0 } else { 0.0 });
}

/// Whether the log cannot be written.
pub fn log_failing(is_failing: bool) {
    gauge!(LOG_FAILING).set(if is_failing { 1.0 } else { 0.0 });
}

/// Looks at the process, at the machine, and at GPUs where there are any.
struct Sampler {
    system: Option<System>,
    own: Option<Pid>,
    nvml: Option<Nvml>,
    data_dir: PathBuf,
}

impl Sampler {
    fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            system: System::new().ok(),
            own: sysinfo::get_current_pid().ok(),
            // Most machines have no NVIDIA driver; that is no failure.
            nvml: Nvml::init().ok(),
        }
    }

    fn sample(&mut self) {
        if let (Some(system), Some(own)) = (&mut self.system, self.own) {
            let wanted = ProcessRefreshKind::nothing().with_memory().with_cpu();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), true, wanted);
            if let Some(process) = system.process(own) {
                gauge!(RESIDENT).set(exact(process.memory()));
                gauge!(VIRTUAL).set(exact(process.virtual_memory()));
                gauge!(START_TIME).set(exact(process.start_time()));
                counter!(CPU_SECONDS).absolute(process.accumulated_cpu_time() / 1000);
            }
        }
        let host = Host::look(&self.data_dir);
        gauge!(MEMORY_LIMIT).set(exact(host.memory_limit_bytes.unwrap_or(host.memory_bytes)));
        if let Some(disk) = host.disk {
            gauge!(DISK_FREE).set(exact(disk.available_bytes));
            gauge!(DISK_TOTAL).set(exact(disk.total_bytes));
        }
        if let Some(nvml) = &self.nvml {
            sample_gpus(nvml, self.own.map(Pid::as_u32));
        }
    }
}

fn sample_gpus(nvml: &Nvml, own: Option<u32>) {
    for index in 0..nvml.device_count().unwrap_or(0) {
        let Ok(device) = nvml.device_by_index(index) else {
            continue;
        };
        let gpu = index.to_string();
        if let Ok(memory) = device.memory_info() {
            gauge!(GPU_USED, "gpu" => gpu.clone()).set(exact(memory.used));
            gauge!(GPU_TOTAL, "gpu" => gpu.clone()).set(exact(memory.total));
        }
        let ours: u64 = device
            .running_compute_processes()
            .unwrap_or_default()
            .into_iter()
            .filter(|process| Some(process.pid) == own)
            .map(|process| match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => bytes,
                UsedGpuMemory::Unavailable => 0,
            })
            .sum();
        gauge!(GPU_OURS, "gpu" => gpu).set(exact(ours));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes and seconds far below 2^53"
)]
fn exact(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_with_the_chosen_buckets() {
        let recorder = builder().unwrap().build_recorder();
        let exporter = Exporter::around(recorder.handle(), Path::new("."));
        let text = metrics::with_local_recorder(&recorder, || {
            describe();
            request("/v1/extract", 200, "ok", Duration::from_millis(12));
            request("/v1/extract", 422, "no_face", Duration::from_millis(5));
            action("access", Some("never-a-label"), "accept");
            action("a\"} 1\nforged{b=\"", None, "accept");
            verdict("access", "untrusted");
            stage("decode", 3.0);
            queue(2, 16);
            face(0.83, 0.97);
            exporter.render()
        });
        for expected in [
            "faceood_requests_total{endpoint=\"/v1/extract\",status=\"422\",code=\"no_face\"} 1",
            "faceood_request_duration_seconds_bucket{endpoint=\"/v1/extract\",le=\"0.005\"} 1",
            "faceood_request_duration_seconds_bucket{endpoint=\"/v1/extract\",le=\"0.015\"} 2",
            "faceood_quality_score_bucket{le=\"0.8\"} 0",
            "faceood_quality_score_bucket{le=\"0.9\"} 1",
            "faceood_stage_duration_seconds_bucket{stage=\"decode\",le=\"0.005\"} 1",
            "faceood_verdicts_total{scenario=\"access\",verdict=\"untrusted\"} 1",
            "faceood_queue_depth 2",
            "# HELP faceood_embedding_norm ",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        assert!(!text.contains("\nforged"), "{text}");
        let resident = text
            .lines()
            .find_map(|line| line.strip_prefix("faceood_process_resident_bytes "))
            .unwrap();
        assert!(resident.parse::<f64>().unwrap() > 1e6, "{resident}");
    }
}
