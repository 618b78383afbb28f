use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, middleware};
use serde_json::Value;

use super::*;
use crate::access::Role;
use crate::server::problem_response::CONTENT_TYPE;
use crate::server::request_id::with_request_id;

type Headers = BTreeMap<String, String>;

/// What those endpoints answer that need no models and no log.
async fn get(path: &str) -> (StatusCode, Headers, String) {
    send(TestRequest::get().uri(path)).await
}

async fn send(request: TestRequest) -> (StatusCode, Headers, String) {
    let app = App::new()
        .wrap(middleware::from_fn(with_request_id))
        .configure(configure);
    let app = init_service(app).await;
    let response = call_service(&app, request.to_request()).await;
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let body = read_body(response).await;
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

#[actix_web::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let (status, headers, body) = get("/v1/extrct").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 404);
    assert_eq!(headers["content-type"], CONTENT_TYPE);
    assert_eq!(body["type"], "urn:faceood:problem:not_found");
    assert!(
        body["detail"].as_str().unwrap().contains("/v1/extract"),
        "{body}"
    );
    assert_eq!(body["request_id"], headers["x-request-id"]);

    for (request, allow) in [
        (TestRequest::get().uri("/v1/extract"), "POST"),
        (TestRequest::delete().uri("/v1/compare"), "POST"),
        (TestRequest::post().uri("/v1/info"), "GET, HEAD"),
        (TestRequest::post().uri("/docs/swagger-ui.css"), "GET, HEAD"),
    ] {
        let (status, headers, body) = send(request).await;
        assert_eq!(
            (status.as_u16(), headers["allow"].as_str()),
            (405, allow),
            "{body}"
        );
        assert!(
            body.contains("urn:faceood:problem:method_not_allowed"),
            "{body}"
        );
    }
}

#[actix_web::test]
async fn the_callers_id_comes_back_also_on_errors() {
    for path in ["/healthz", "/nowhere"] {
        let (_, headers, _) = send(
            TestRequest::get()
                .uri(path)
                .insert_header(("x-request-id", "door-7:1")),
        )
        .await;
        assert_eq!(headers["x-request-id"], "door-7:1");
    }
    let (_, headers, _) = send(
        TestRequest::get()
            .uri("/healthz")
            .insert_header(("x-request-id", "a b")),
    )
    .await;
    assert_eq!(headers["x-request-id"].len(), 36);
}

#[actix_web::test]
async fn alive_needs_nothing() {
    let (status, _, body) = get("/healthz").await;
    assert_eq!(
        (status.as_u16(), body.as_str()),
        (200, r#"{"status":"alive"}"#)
    );
}

#[actix_web::test]
async fn the_page_speaks_the_readers_language_and_loads_nothing_foreign() {
    let (status, headers, english) = get("/").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-language"], "en");
    assert!(headers["content-security-policy"].starts_with("default-src 'none'"));
    let chinese = TestRequest::get()
        .uri("/")
        .insert_header(("accept-language", "zh-CN,zh;q=0.9,en;q=0.8"));
    let (_, headers, chinese) = send(chinese).await;
    assert_eq!(headers["content-language"], "zh");
    assert!(english.contains("Compare") && chinese.contains("比对"));
    for file in linked(&english) {
        // None of these is a file of the page's; reports and rows need the service's state.
        if !["docs", "reports/latest", "v1/inferences"].contains(&file.as_str()) {
            assert_eq!(get(&format!("/{file}")).await.0, 200, "{file}");
        }
    }
}

#[actix_web::test]
async fn the_language_that_was_chosen_on_the_page_goes_before_the_browsers() {
    for (cookies, expected) in [
        ("faceood_language=zh", "zh"),
        ("other=1; faceood_language=zh", "zh"),
        ("no-value; =nameless; faceood_language=zh;", "zh"),
        ("faceood_language=fr", "en"),
        ("not_faceood_language=zh", "en"),
        ("faceood_language", "en"),
        ("", "en"),
    ] {
        let request = TestRequest::get()
            .uri("/")
            .insert_header(("cookie", cookies))
            .insert_header(("accept-language", "en"));
        let (_, headers, _) = send(request).await;
        assert_eq!(headers["content-language"], expected, "{cookies}");
    }
}

/// What `page` links to or loads, but for `data:`; each must be relative.
fn linked(page: &str) -> Vec<String> {
    let mut files = Vec::new();
    for attribute in ["href=\"", "src=\""] {
        for rest in page.split(attribute).skip(1) {
            let target = rest.split('"').next().unwrap();
            assert!(
                !target.contains("//") && !target.starts_with('/'),
                "{target}"
            );
            if !target.starts_with("data:") {
                files.push(target.to_owned());
            }
        }
    }
    files
}

#[actix_web::test]
async fn documentation_is_served_from_the_binary() {
    let (status, headers, page) = get("/docs").await;
    assert_eq!(status, 200);
    assert!(headers["content-security-policy"].contains("default-src 'self'"));
    let files = linked(&page);
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let place = file.trim_start_matches("./");
        assert_eq!(get(&format!("/{place}")).await.0, 200, "{file}");
    }
    let (_, _, start) = get("/docs/swagger-initializer.js").await;
    assert!(
        start.contains("\"validatorUrl\": \"none\"") && start.contains("\"openapi.json\""),
        "{start}"
    );
    assert!(!start.contains("://"), "{start}");
    assert_eq!(get("/docs/").await.0, 308);
    assert_eq!(get("/docs/../../Cargo.toml").await.0, 404);
}

#[actix_web::test]
async fn every_problem_and_every_endpoint_is_in_the_description() {
    let (status, headers, body) = get("/openapi.json").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "application/json");
    let api: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(api["openapi"], "3.1.0");
    let types = api["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
        .as_array()
        .unwrap();
    let responses = &api["paths"]["/v1/compare"]["post"]["responses"];
    for code in ProblemCode::ALL
        .into_iter()
        .filter(|code| code.is_answered())
    {
        let urn = format!("urn:faceood:problem:{}", code.code());
        assert!(types.iter().any(|known| known == urn.as_str()), "{urn}");
        let described = responses[code.status().to_string()]["description"]
            .as_str()
            .unwrap();
        assert!(described.contains(code.code()), "{described}");
    }
    for (path, method) in [
        ("/v1/extract", "post"),
        ("/v1/quality", "post"),
        ("/v1/compare", "post"),
        ("/v1/feedback", "post"),
        ("/v1/info", "get"),
        ("/v1/inferences", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    ] {
        let operation = &api["paths"][path][method];
        assert!(
            operation["responses"]["200"]["headers"]["X-Request-Id"].is_object(),
            "{path}"
        );
    }
    let kinds = api["paths"]["/v1/extract"]["post"]["requestBody"]["content"]
        .as_object()
        .unwrap();
    for kind in ["multipart/form-data", "application/json", "image/*"] {
        assert!(kinds.contains_key(kind), "{kind}");
    }
}

#[test]
fn every_reference_in_the_description_leads_somewhere() {
    fn visit(value: &Value, api: &Value, seen: &mut usize) {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(api.pointer(pointer).is_some(), "{target}");
                    *seen += 1;
                }
                fields.values().for_each(|value| visit(value, api, seen));
            }
            Value::Array(items) => items.iter().for_each(|value| visit(value, api, seen)),
            _ => {}
        }
    }
    let api = openapi();
    let mut seen = 0;
    visit(&api, &api, &mut seen);
    assert!(seen > 20, "{seen}");
}

#[test]
fn every_route_has_its_roles_and_every_row_of_the_table_a_route() {
    let source = include_str!("mod.rs");
    let configured = source.split("fn configure").nth(1).unwrap();
    let configured = configured.split("default_service").next().unwrap();
    let routes: Vec<&str> = configured
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|text| text.starts_with('/'))
        .collect();
    assert!(routes.len() > 15, "{routes:?}");
    for route in &routes {
        assert!(
            Role::asked_for_by(route).is_some(),
            "{route} has no row in src/access/role.rs"
        );
    }
    for listed in Role::endpoints() {
        assert!(routes.contains(&listed), "{listed} is no route");
    }
}

#[actix_web::test]
async fn swagger_offers_to_choose_a_file_before_other_kinds_of_body() {
    let (status, _, body) = get("/openapi.json").await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), openapi());
    let bodies: Vec<&str> = body
        .split("\"requestBody\":{\"content\":{\"")
        .skip(1)
        .collect();
    let with_pictures = bodies
        .iter()
        .filter(|body| !body.starts_with("application/json"));
    assert_eq!(
        with_pictures.clone().count(),
        3,
        "extract, quality, compare"
    );
    assert!(
        with_pictures
            .clone()
            .all(|body| body.starts_with("multipart/form-data"))
    );
}
