//! A caller of the REST interface. It never judges by itself: a test says which status it expects.

use std::net::SocketAddr;

use reqwest::blocking::multipart::{Form, Part};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::DEADLINE;

/// Talks to one daemon.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::blocking::Client,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the daemon that listens there.
    pub fn new(address: SocketAddr) -> Self {
        let http = reqwest::blocking::Client::builder()
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .expect("an HTTP client");
        Self {
            base: format!("http://{address}"),
            http,
        }
    }

    /// The address of a path, for requests that the methods here do not make.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The HTTP client below.
    pub fn http(&self) -> &reqwest::blocking::Client {
        &self.http
    }

    /// GET, or nothing where no one answers.
    pub fn try_get(&self, path: &str) -> Option<Answer> {
        try_send(self.http.get(self.url(path)))
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        send(self.http.get(self.url(path)))
    }

    /// POST of JSON.
    #[track_caller]
    pub fn post_json(&self, path: &str, body: &Value) -> Answer {
        send(self.http.post(self.url(path)).json(body))
    }

    /// POST of raw bytes with a media type.
    #[track_caller]
    pub fn post_raw(&self, path: &str, media_type: &str, bytes: &[u8]) -> Answer {
        send(
            self.http
                .post(self.url(path))
                .header(CONTENT_TYPE, media_type)
                .body(bytes.to_vec()),
        )
    }

    /// POST of multipart parts, each with a name and its bytes, as a browser's form sends files.
    #[track_caller]
    pub fn post_parts(&self, path: &str, parts: &[(&str, &[u8])]) -> Answer {
        send(self.http.post(self.url(path)).multipart(form(parts)))
    }

    /// Like [`Self::post_parts`], or nothing where the connection breaks: for daemons that are
    /// killed meanwhile.
    pub fn try_post_parts(&self, path: &str, parts: &[(&str, &[u8])]) -> Option<Answer> {
        try_send(self.http.post(self.url(path)).multipart(form(parts)))
    }

    /// `POST /v1/extract` with a picture; `query` is empty or begins with `?`.
    #[track_caller]
    pub fn extract(&self, image: &[u8], query: &str) -> Answer {
        self.post_parts(&format!("/v1/extract{query}"), &[("image", image)])
    }

    /// `POST /v1/quality` with a picture.
    #[track_caller]
    pub fn quality(&self, image: &[u8], query: &str) -> Answer {
        self.post_parts(&format!("/v1/quality{query}"), &[("image", image)])
    }

    /// `POST /v1/compare` with two pictures.
    #[track_caller]
    pub fn compare(&self, probe: &[u8], reference: &[u8], query: &str) -> Answer {
        self.post_parts(
            &format!("/v1/compare{query}"),
            &[("probe", probe), ("reference", reference)],
        )
    }
}

fn form(parts: &[(&str, &[u8])]) -> Form {
    parts.iter().fold(Form::new(), |form, (name, bytes)| {
        form.part(
            (*name).to_owned(),
            Part::bytes(bytes.to_vec()).file_name("upload"),
        )
    })
}

fn try_send(request: reqwest::blocking::RequestBuilder) -> Option<Answer> {
    let response = request.send().ok()?;
    Some(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().ok()?.to_vec(),
    })
}

#[track_caller]
fn send(request: reqwest::blocking::RequestBuilder) -> Answer {
    let response = request
        .send()
        .unwrap_or_else(|error| panic!("no answer: {error:?}"));
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().expect("the body arrives whole").to_vec(),
    }
}

impl Answer {
    /// Sends a request that the methods of [`Client`] do not make, and takes its answer.
    #[track_caller]
    pub fn of(request: reqwest::blocking::RequestBuilder) -> Self {
        send(request)
    }

    /// Fails the test, with the body, unless the status is this one.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "body: {}", self.text());
        self
    }

    /// The body of a 200, as JSON.
    #[track_caller]
    pub fn ok(self) -> Value {
        self.expect_status(200).json()
    }

    /// The body of an RFC 9457 problem, after its status, code and the parts every problem has were
    /// checked.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let answer = self.expect_status(status);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let body = answer.json();
        assert_eq!(
            body["type"],
            format!("urn:faceood:problem:{code}"),
            "{body}"
        );
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(
            body["request_id"].as_str(),
            answer.header("x-request-id"),
            "{body}"
        );
        for text in ["title", "detail"] {
            assert!(
                body[text].as_str().is_some_and(|text| !text.is_empty()),
                "no {text} in {body}"
            );
        }
        body
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The numbers of an embedding, after their count and length were checked.
#[must_use]
pub fn embedding(face: &Value) -> Vec<f64> {
    let numbers: Vec<f64> = face["embedding"]
        .as_array()
        .unwrap_or_else(|| panic!("no embedding in {face}"))
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect();
    assert_eq!(numbers.len(), 512);
    let length = numbers
        .iter()
        .map(|number| number * number)
        .sum::<f64>()
        .sqrt();
    assert!((length - 1.0).abs() < 1e-5, "length {length}");
    numbers
}
