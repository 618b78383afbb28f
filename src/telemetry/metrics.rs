//! What Prometheus scrapes: names, help, buckets, and one function for each thing that happens.
//! Prefix `faceood_`, time in seconds. A source is no label unless the operator has listed it
//! (`telemetry.sources`): callers choose it, and a label that callers choose grows without end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use faceood_log::{AccessRefusal, ShippingTarget};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use nvml_wrapper::Nvml;
use nvml_wrapper::enums::device::UsedGpuMemory;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::host::Host;

/// Makes a constant of each metric's name, and [`describe`], which tells its help to the recorder.
macro_rules! metrics_table {
    ($($describe:ident $constant:ident $name:literal $help:literal;)+) => {
        $(const $constant: &str = $name;)+

        fn describe() {
            $($describe!($constant, $help);)+
        }
    };
}

metrics_table! {
    describe_counter REQUESTS "faceood_requests_total"
        "Requests answered, by endpoint, HTTP status and problem code (ok where none).";
    describe_histogram REQUEST_SECONDS "faceood_request_duration_seconds"
        "From a request's head to its answer.";
    describe_counter TOKEN_REQUESTS "faceood_token_requests_total"
        "Requests of callers with a valid token, by its name.";
    describe_counter REFUSALS "faceood_access_refusals_total"
        "Requests that were refused before their endpoint saw them, by reason.";
    describe_counter ACTIONS "faceood_actions_total" "Decisions on single faces.";
    describe_counter SOURCE_ACTIONS "faceood_source_actions_total"
        "Decisions on single faces by source, for the sources in telemetry.sources; other stands for all others.";
    describe_counter VERDICTS "faceood_verdicts_total" "Decisions on pairs.";
    describe_histogram STAGE_SECONDS "faceood_stage_duration_seconds"
        "Time in each stage of the pipeline.";
    describe_gauge QUEUE_DEPTH "faceood_queue_depth" "Pictures waiting for a worker.";
    describe_gauge QUEUE_CAPACITY "faceood_queue_capacity"
        "Pictures that may wait before requests are refused.";
    describe_histogram QUEUE_WAIT_SECONDS "faceood_queue_wait_seconds"
        "How long pictures waited for a worker.";
    describe_histogram QUALITY "faceood_quality_score" "Quality score of each face, 0 to 1.";
    describe_histogram NORM "faceood_embedding_norm"
        "Length of each face's embedding before normalisation.";
    describe_gauge PROVIDER "faceood_provider_info" "1 for the provider that runs the models.";
    describe_gauge PACK "faceood_pack_info" "1 for the loaded model pack.";
    describe_gauge BUILD "faceood_build_info" "1 for the running release.";
    describe_gauge READY "faceood_ready" "1 while requests are served, else 0.";
    describe_gauge LOG_FAILING "faceood_log_failing" "1 while the log cannot be written, else 0.";
    describe_gauge LOG_KEPT "faceood_log_kept_unshipped_rows"
        "Rows beyond the log's limits that are kept until the centres have them; at least so many.";
    describe_gauge SHIP_UNSHIPPED "faceood_ship_unshipped_rows"
        "Rows that the target has not confirmed; absent where nothing is shipped, as all faceood_ship_ metrics.";
    describe_gauge SHIP_OLDEST "faceood_ship_oldest_unshipped_seconds"
        "How long the first row that the target has not confirmed has waited; 0 where none waits.";
    describe_gauge SHIP_LAST_SUCCESS "faceood_ship_last_success_timestamp_seconds"
        "When the target last confirmed something, seconds since 1970.";
    describe_counter SHIP_ROWS "faceood_ship_rows_total"
        "Rows that the target has confirmed, counted over all starts; one that changed counts again.";
    describe_gauge SHIP_QUARANTINED "faceood_ship_quarantined_rows"
        "Rows that the target did not take and that were passed over.";
    describe_gauge CERTIFICATE_ENDS "faceood_tls_certificate_expiry_seconds"
        "When the TLS certificate ends, seconds since 1970; absent where no address speaks TLS.";
    describe_counter HANDSHAKES_FAILED "faceood_tls_handshakes_failed_total"
        "Connections that came to no TLS, by reason.";
    describe_gauge DISK_FREE "faceood_disk_free_bytes" "Room on the disk of the data folder.";
    describe_gauge DISK_TOTAL "faceood_disk_total_bytes" "Size of the disk of the data folder.";
    describe_gauge MEMORY_LIMIT "faceood_memory_limit_bytes"
        "What this process may use: the limit of its service or container, else the machine's memory.";
    describe_gauge RESIDENT "faceood_process_resident_bytes"
        "Memory of this process that is in RAM.";
    describe_gauge VIRTUAL "faceood_process_virtual_bytes" "Address space of this process.";
    describe_counter CPU_SECONDS "faceood_process_cpu_seconds_total"
        "Processor time of this process, whole seconds.";
    describe_gauge START_TIME "faceood_process_start_time_seconds"
        "When this process started, seconds since 1970.";
    describe_gauge GPU_USED "faceood_gpu_memory_used_bytes"
        "Memory in use on each GPU, by whomever.";
    describe_gauge GPU_TOTAL "faceood_gpu_memory_total_bytes" "Memory of each GPU.";
    describe_gauge GPU_OURS "faceood_process_gpu_memory_bytes"
        "Memory of each GPU that this process uses.";
}

/// Counters of the log that stand at 0 from the start, so that an alarm sees even their first rise.
const FROM_NOTHING: [&str; 8] = [
    "faceood_log_rows_total",
    "faceood_log_rows_lost_total",
    "faceood_log_rows_unwritten_total",
    "faceood_log_reopened_total",
    "faceood_log_doubtful_rows_total",
    "faceood_log_pruned_rows_total",
    "faceood_log_access_rows_total",
    "faceood_log_access_dropped_total",
];

/// From a stage that takes a fraction of a millisecond to a request that waits in the queue under
/// load. Also the default for every `…_seconds` that another module records.
const SECONDS: [f64; 16] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.5,
    10.0,
];

/// Tenths, and between them the cuts of grades and of built-in policies.
const SCORES: [f64; 14] = [
    0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0,
];

/// The default pack's norm is about 1 for clean faces and less for worse ones; other packs' may be
/// higher.
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
    /// Starts recording, as the process's only recorder; room is measured where `data_dir` is.
    pub fn install(data_dir: &Path) -> Result<Self, MetricsError> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Installed)?;
        describe();
        for name in FROM_NOTHING {
            counter!(name).absolute(0);
        }
        for refusal in AccessRefusal::ALL {
            counter!(REFUSALS, "reason" => refusal.name()).absolute(0);
        }
        gauge!(LOG_KEPT).set(0.0);
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self::around(handle, data_dir))
    }

    /// An exporter that nothing is recorded for: a process has one recorder and many tests.
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

    /// All that was recorded, and the process's memory now, in Prometheus' text format.
    pub fn render(&self) -> String {
        let sampler = self.sampler.lock();
        sampler.unwrap_or_else(PoisonError::into_inner).sample();
        self.handle.render()
    }

    /// Folds what has been recorded into the buckets. To be called every few seconds: samples of
    /// histograms pile up until somebody scrapes, and perhaps nobody does.
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

/// Targets that rows have been shipped to since the start.
static TARGETS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// How shipping to each target goes. Gauges of a target that was dropped become NaN, which raises no
/// alert.
pub fn shipping(targets: &[ShippingTarget], now: DateTime<Utc>) {
    let mut seen = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
    seen.extend(targets.iter().map(|target| target.name.clone()));
    for name in seen.iter() {
        let set = |metric: &'static str, value: Option<f64>| {
            gauge!(metric, "target" => name.clone()).set(value.unwrap_or(f64::NAN));
        };
        let target = targets.iter().find(|target| target.name == *name);
        let backlog = target.map(|target| target.backlog);
        let waited = |oldest: DateTime<Utc>| (now - oldest).as_seconds_f64().max(0.0);
        set(SHIP_UNSHIPPED, backlog.map(|it| it.rows as f64));
        set(SHIP_OLDEST, backlog.map(|it| it.oldest.map_or(0.0, waited)));
        let last_success = backlog.and_then(|it| it.last_success);
        set(
            SHIP_LAST_SUCCESS,
            last_success.map(|time| time.timestamp() as f64),
        );
        set(SHIP_QUARANTINED, backlog.map(|it| it.quarantined as f64));
        if let Some(target) = target {
            counter!(SHIP_ROWS, "target" => name.clone()).absolute(target.shipped_rows);
        }
    }
}

static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// Requests answered since the start, for the status line of the service manager.
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

/// A caller with the token `name` was let in. There are as many names as tokens.
pub fn token_request(name: &str) {
    counter!(TOKEN_REQUESTS, "token" => name.to_owned()).increment(1);
}

/// A request was refused because of its caller.
pub fn refused(reason: &'static str) {
    counter!(REFUSALS, "reason" => reason).increment(1);
}

/// Sources that are labels; empty where none is.
static SOURCES: OnceLock<Vec<String>> = OnceLock::new();

/// Makes these sources labels, visible before their first request. Only the first call counts.
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
    gauge!(READY).set(f64::from(is_ready));
}

/// Whether the log cannot be written.
pub fn log_failing(is_failing: bool) {
    gauge!(LOG_FAILING).set(f64::from(is_failing));
}

/// The TLS certificate in force ends then.
pub fn certificate_ends(end: DateTime<Utc>) {
    gauge!(CERTIFICATE_ENDS).set(end.timestamp() as f64);
}

/// A connection came to no TLS.
pub fn handshake_failed(reason: &'static str) {
    counter!(HANDSHAKES_FAILED, "reason" => reason).increment(1);
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
                gauge!(RESIDENT).set(process.memory() as f64);
                gauge!(VIRTUAL).set(process.virtual_memory() as f64);
                gauge!(START_TIME).set(process.start_time() as f64);
                counter!(CPU_SECONDS).absolute(process.accumulated_cpu_time() / 1000);
            }
        }
        let host = Host::look(&self.data_dir);
        gauge!(MEMORY_LIMIT).set(host.memory_limit_bytes.unwrap_or(host.memory_bytes) as f64);
        if let Some(disk) = host.disk {
            gauge!(DISK_FREE).set(disk.available_bytes as f64);
            gauge!(DISK_TOTAL).set(disk.total_bytes as f64);
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
            gauge!(GPU_USED, "gpu" => gpu.clone()).set(memory.used as f64);
            gauge!(GPU_TOTAL, "gpu" => gpu.clone()).set(memory.total as f64);
        }
        let running = device.running_compute_processes().unwrap_or_default();
        let ours = running.iter().filter(|process| Some(process.pid) == own);
        let bytes = ours.map(|process| match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => bytes,
            UsedGpuMemory::Unavailable => 0,
        });
        gauge!(GPU_OURS, "gpu" => gpu).set(bytes.sum::<u64>() as f64);
    }
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
