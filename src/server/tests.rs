use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use faceood_engine::pipeline::tuning::Chosen;
use faceood_engine::pipeline::{self, AnalysisPool, fixture::LONG, fixture::PANIC, fixture::SLOW};
use faceood_engine::policy::{self, Policies, PolicySettings};
use faceood_engine::problem::ProblemCode;
use faceood_engine::runtime::{Candidate, Plan};
use reqwest::blocking::multipart::{Form, Part};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::*;
use crate::access::{self, AccessControl};
use crate::telemetry::metrics::Exporter;

#[test]
fn only_loopback_is_not_exposed() {
    for (address, is_exposed) in [
        ("127.0.0.1:7860", false),
        ("[::1]:7860", false),
        ("0.0.0.0:7860", true),
        ("[::]:7860", true),
        ("192.168.1.5:7860", true),
    ] {
        assert_eq!(
            warn_if_open(address.parse().unwrap(), true),
            is_exposed,
            "{address}"
        );
        assert!(!warn_if_open(address.parse().unwrap(), false));
    }
}

#[test]
fn settings_refuse_what_they_do_not_know() {
    let error = toml::from_str::<Settings>("workrs = 2").unwrap_err();
    assert!(error.to_string().contains("workrs"), "{error}");
}

#[test]
fn tls_is_for_the_network_unless_the_service_is_open_or_it_is_switched_off() {
    let [near, far] = ["127.0.0.1:1", "0.0.0.0:1"].map(|text| text.parse().unwrap());
    let mut settings = Settings::default();
    assert!(settings.speaks_tls(far) && !settings.speaks_tls(near));
    settings.open = true;
    assert!(!settings.speaks_tls(far));
    settings.tls.certificate = "a.pem".into();
    assert!(settings.speaks_tls(far) && !settings.speaks_tls(near));
    settings.tls.mode = tls::Mode::Off;
    assert!(!settings.speaks_tls(far));
}

/// All that the daemon puts together, with scenarios in which a stage panics or takes long.
fn state(pool: &AnalysisPool, log: &faceood_log::InferenceLog) -> AppState {
    let usual = PolicySettings {
        accept: Some(0.6),
        review: Some(0.4),
        ..PolicySettings::default()
    };
    let policies = [PANIC, SLOW].map(|name| (name.to_owned(), usual.clone()));
    let policies = policy::Settings(BTreeMap::from(policies));
    let policies = Policies::new(&policies).unwrap();
    AppState {
        pool: pool.clone(),
        log: log.clone(),
        policies: watch::channel(Arc::new(policies)).1,
        info: Arc::new(Info {
            node: crate::node::NodeSetting::default().name(),
            model: Arc::new(pool.assembly().facts()),
            chosen: Chosen {
                plan: Plan {
                    candidate: Candidate::REFERENCE,
                    reason: String::new(),
                },
                tuning: None,
            },
            licence: String::new(),
            max_pixels: 50_000_000,
            keeps_embeddings: false,
            keeps_thumbnails: false,
            reports_dir: PathBuf::new(),
        }),
        readiness: Readiness::default(),
        uploads: Settings::default().upload_limits(1 << 20),
        access: AccessControl::open(
            Path::new("no tokens"),
            &access::Settings::default(),
            pool.workers(),
            log.clone(),
        )
        .unwrap(),
        metrics: Exporter::apart(),
        tls: None,
    }
}

/// Status and body of an answer.
type Answer = (u16, Value);

/// Sends the face over the wire once for each scenario, one after the other.
fn ask(address: SocketAddr, scenarios: &[&str]) -> Vec<Answer> {
    let client = reqwest::blocking::Client::builder().no_proxy().build();
    let client = client.unwrap();
    let answer = |scenario: &&str| {
        let url = format!("http://{address}/v1/extract?scenario={scenario}");
        let form = Form::new().part("image", Part::bytes(pipeline::TEST_FACE));
        let response = client.post(url).multipart(form).send().unwrap();
        (response.status().as_u16(), response.json().unwrap())
    };
    scenarios.iter().map(answer).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_stage_costs_one_answer_and_the_worker_is_rebuilt() {
    // One worker: the one that panicked is the one that answers next.
    let settings = pipeline::Settings {
        workers: 1,
        queue: 4,
        // The models are opened anew before a panic is answered, which takes long on a busy
        // machine.
        deadline_ms: 120_000,
        ..pipeline::Settings::default()
    };
    let service = serving(settings).await;
    let (pool, log, address) = (&service.pool, &service.log, service.address);

    let asking = move || {
        ask(
            address,
            &["access", PANIC, "access", PANIC, PANIC, "access"],
        )
    };
    let answers = tokio::task::spawn_blocking(asking).await.unwrap();
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 500, 200, 500, 500, 200]);
    for (status, body) in &answers {
        let id = body["request_id"].as_str().unwrap();
        let rows = log.reader().by_request(id).await.unwrap();
        assert_eq!(rows.len(), 1, "{body}");
        if *status == 200 {
            assert_eq!(body["faces"], answers[0].1["faces"]);
            assert_eq!(rows[0].error_code, None);
            continue;
        }
        assert_eq!(body["type"], "urn:faceood:problem:internal");
        let detail = body["detail"].as_str().unwrap();
        assert!(
            !detail.contains("panic") && !detail.contains('/'),
            "{detail}"
        );
        assert_eq!(rows[0].error_code, Some(ProblemCode::Internal));
        assert_eq!(rows[0].scenario.as_deref(), Some(PANIC));
        assert_eq!(rows[0].error_detail.as_deref(), Some(detail));
    }
    assert_eq!(pool.readiness(), Ok(()));
    service.end().await;
}

/// A service over a pool and a log of its own.
struct Service {
    pool: AnalysisPool,
    log: faceood_log::InferenceLog,
    address: SocketAddr,
    _folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

impl Service {
    /// Stops it, and holds it against its promise to end without an error.
    async fn end(self) {
        drop(self.stop);
        self.serving.await.unwrap().unwrap();
        let pool = self.pool;
        tokio::task::spawn_blocking(move || pool.close())
            .await
            .unwrap();
    }
}

async fn serving(settings: pipeline::Settings) -> Service {
    let (folder, log) = faceood_log::fixture::open(&faceood_log::Settings::default()).await;
    let pool = tokio::task::spawn_blocking(move || pipeline::fixture::pool(&settings));
    let pool = pool.await.unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = Listeners::bind(&any.into(), None, Inherited::default()).unwrap();
    let address = listeners.addresses()[0];
    let (stop, stopped) = oneshot::channel::<()>();
    let state = state(&pool, &log);
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        run(listeners, &Settings::default(), state, stopped).await
    });
    Service {
        pool,
        log,
        address,
        _folder: folder,
        stop,
        serving,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_is_not_hung_and_a_deadline_holds_amid_a_stage() {
    let settings = pipeline::Settings {
        workers: 1,
        deadline_ms: 1_000,
        ..pipeline::Settings::default()
    };
    let service = serving(settings).await;
    let (pool, log, address) = (&service.pool, &service.log, service.address);
    let asking = tokio::task::spawn_blocking(move || {
        let began = std::time::Instant::now();
        (ask(address, &[SLOW]), began.elapsed())
    });
    // The worker is amid its stage by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = std::time::Instant::now();
    assert_eq!(pool.probe().await, Ok(()));
    assert!(began.elapsed() < LONG, "it did not wait for the worker");
    assert_eq!(pool.readiness(), Ok(()));

    let (answers, waited) = asking.await.unwrap();
    let (status, body) = &answers[0];
    assert_eq!(*status, 503, "{body}");
    assert_eq!(body["type"], "urn:faceood:problem:deadline_exceeded");
    assert!(waited < LONG, "the answer did not wait for the stage");
    let id = body["request_id"].as_str().unwrap();
    let rows = log.reader().by_request(id).await.unwrap();
    assert_eq!(rows[0].error_code, Some(ProblemCode::DeadlineExceeded));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_tells_how_long_it_was_busy_also_where_the_caller_has_left() {
    let settings = pipeline::Settings {
        workers: 1,
        ..pipeline::Settings::default()
    };
    let service = serving(settings).await;
    let policies = Policies::default();
    let ask = pipeline::Ask {
        scenario: SLOW.to_owned(),
        policy: policies.get(policy::DEFAULT_SCENARIO).unwrap().clone(),
        faces: pipeline::Faces::Largest,
        needs_face: false,
    };
    let (sender, heard) = oneshot::channel();
    let done = move |spent| {
        let _ = sender.send(spent);
    };
    let photo = pipeline::TEST_FACE.into();
    let submitted = service
        .pool
        .submit(photo, ask, service.pool.deadline(), done);
    let gone = tokio::time::timeout(Duration::from_millis(500), submitted).await;
    assert!(gone.is_err(), "it was amid its stage");
    let spent: Duration = heard.await.unwrap();
    assert!(spent >= LONG, "{spent:?}");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_the_log_ends_by_its_bytes_and_the_next_goes_on() {
    let service = serving(pipeline::Settings::default()).await;
    let (log, address) = (&service.log, service.address);
    const ROWS: usize = 900;
    let record = |index| faceood_log::fixture::full_record(&format!("r{index}"), 1);
    log.append_all((0..ROWS).map(record).collect())
        .await
        .unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let client = reqwest::blocking::Client::builder()
            .no_proxy()
            .build()
            .unwrap();
        let mut cursor = String::new();
        let mut pages = Vec::new();
        loop {
            let url = format!("http://{address}/v1/inferences?limit=1000{cursor}");
            let page = client.get(url).send().unwrap().text().unwrap();
            let read: Value = serde_json::from_str(&page).unwrap();
            let ids = read["inferences"].as_array().unwrap().iter();
            pages.push((
                page.len(),
                ids.map(|row| row["id"].to_string()).collect::<Vec<_>>(),
            ));
            match read["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return pages,
            }
        }
    });
    let pages = reading.await.unwrap();
    assert!(pages.len() > 1, "one page has it all");
    assert!(pages.iter().all(|(bytes, _)| *bytes < 600_000));
    let mut ids: Vec<_> = pages.into_iter().flat_map(|(_, ids)| ids).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), ROWS, "each row once");
    service.end().await;
}
