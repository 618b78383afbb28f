use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::blocking::multipart::{Form, Part};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::*;
use crate::inference_log;
use crate::pipeline::tuning::Chosen;
use crate::pipeline::{self, AnalysisPool, fixture::PANIC};
use crate::policy::{self, Policies, PolicySettings};
use crate::problem::ProblemCode;
use crate::runtime::{Candidate, Plan};
use crate::telemetry::metrics::Exporter;

const FACE: &[u8] = include_bytes!("../pipeline/probe.jpg");

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
            warn_if_exposed(address.parse().unwrap(), false),
            is_exposed,
            "{address}"
        );
        assert!(!warn_if_exposed(address.parse().unwrap(), true));
    }
}

#[test]
fn settings_refuse_what_they_do_not_know() {
    let error = toml::from_str::<Settings>("workrs = 2").unwrap_err();
    assert!(error.to_string().contains("workrs"), "{error}");
}

/// All that the daemon puts together, with a scenario in which a stage panics.
fn state(pool: &AnalysisPool, log: &inference_log::InferenceLog) -> AppState {
    let panicking = PolicySettings {
        accept: Some(0.6),
        review: Some(0.4),
        ..PolicySettings::default()
    };
    let policies = policy::Settings(BTreeMap::from([(PANIC.to_owned(), panicking)]));
    let policies = Policies::new(&policies).unwrap();
    AppState {
        pool: pool.clone(),
        log: log.clone(),
        policies: watch::channel(Arc::new(policies)).1,
        info: Arc::new(Info {
            model: Arc::new(pool.assembly().facts()),
            chosen: Chosen {
                plan: Plan {
                    candidate: Candidate::REFERENCE,
                    reason: String::new(),
                },
                tuning: None,
            },
            licence: String::new(),
            thresholds: pool.assembly().thresholds(),
            max_pixels: 50_000_000,
            keeps_embeddings: false,
            keeps_thumbnails: false,
            reports_dir: PathBuf::new(),
        }),
        uploads: Settings::default().upload_limits(1 << 20),
        metrics: Exporter::apart(),
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
        let form = Form::new().part("image", Part::bytes(FACE));
        let response = client.post(url).multipart(form).send().unwrap();
        (response.status().as_u16(), response.json().unwrap())
    };
    scenarios.iter().map(answer).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_stage_costs_one_answer_and_the_worker_is_rebuilt() {
    let (_folder, log) = inference_log::fixture::open(&inference_log::Settings::default()).await;
    // One worker: the one that panicked is the one that answers next.
    let settings = pipeline::Settings {
        workers: 1,
        queue: 4,
    };
    let pool = tokio::task::spawn_blocking(move || pipeline::fixture::pool(&settings));
    let pool = pool.await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let state = state(&pool, &log);
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        run(listener, &Settings::default(), state, stopped).await
    });

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
    drop(stop);
    serving.await.unwrap().unwrap();
    tokio::task::spawn_blocking(move || pool.close())
        .await
        .unwrap();
}
