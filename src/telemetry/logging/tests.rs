use super::*;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(layer: impl Fn(Memory) -> BoxedLayer, level: &str, say: impl Fn()) -> String {
    let memory = Memory::default();
    let subscriber = Registry::default()
        .with(layer(memory.clone()))
        .with(filter(level).unwrap());
    tracing::subscriber::with_default(subscriber, say);
    let bytes = memory.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn in_memory(memory: Memory) -> BoxedLayer {
    json(move || memory.clone())
}

#[test]
fn an_event_is_one_json_object_without_what_is_absent() {
    let text = written(in_memory, "info", || {
        let code: Option<&str> = None;
        tracing::info!(
            request_id = "r-1",
            status = 200,
            score = 0.83,
            code,
            "request"
        );
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["request_id"], "r-1");
    assert_eq!(line["message"], "request");
    assert_eq!(line["score"], 0.83);
    assert_eq!(line["level"], "INFO");
    assert!(line.get("code").is_none(), "{text}");
    let time = line["timestamp"].as_str().unwrap();
    assert!(
        chrono::DateTime::parse_from_rfc3339(time).is_ok() && time.ends_with('Z'),
        "{text}"
    );
}

#[test]
fn a_line_for_the_journal_has_its_severity_and_all_fields() {
    let lines = |memory: Memory| journal_lines(move || memory.clone());
    let text = written(lines, "info", || {
        tracing::warn!(target: "here", request_id = "r-1", "request");
    });
    assert_eq!(text, "<4>here: request request_id=\"r-1\"\n");
}

/// What a worker and a request log, with the fields of the request around it.
fn say_in_a_request() {
    let span = tracing::error_span!(
        "request",
        request_id = %"r-1",
        source = tracing::field::Empty
    );
    span.record("source", "gate}");
    span.in_scope(|| tracing::warn!(target: "here", ms = 2, "late"));
    tracing::warn!(target: "here", "alone");
}

#[test]
fn a_line_in_a_request_has_the_fields_of_the_request() {
    for level in ["info", "error,here=warn"] {
        let text = written(in_memory, level, say_in_a_request);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [inside, alone] = lines.as_slice() else {
            panic!("{text}");
        };
        assert_eq!(
            (&inside["message"], &inside["ms"], &inside["target"]),
            (&"late".into(), &2.into(), &"here".into())
        );
        assert_eq!(inside["request_id"], "r-1");
        assert_eq!(inside["source"], "gate}");
        assert_eq!(text.matches("request_id").count(), 1, "{text}");
        assert_eq!(alone["message"], "alone");
    }
    let lines = |memory: Memory| journal_lines(move || memory.clone());
    let text = written(lines, "info", say_in_a_request);
    assert_eq!(
        text,
        "<4>request{request_id=r-1 source=\"gate}\"}: here: late ms=2\n<4>here: alone\n"
    );
}

#[test]
fn colours_of_the_terminal_stay_out_of_the_files() {
    let terminal = Memory::default();
    let file = written(
        |memory| {
            let terminal = terminal.clone();
            let terminal = human(move || terminal.clone(), true);
            terminal
                .and_then(human(move || memory.clone(), false))
                .boxed()
        },
        "info",
        say_in_a_request,
    );
    assert!(file.contains("request_id=r-1"), "{file}");
    assert!(!file.contains('\x1b'), "{file}");
    let shown = terminal.0.lock().unwrap().clone();
    assert!(shown.contains(&0x1b));
}

#[test]
fn the_level_filters_and_a_wrong_one_is_named() {
    let text = written(in_memory, "info,noise=off", || {
        tracing::error!(target: "noise", "loud");
        tracing::info!(target: "actix_server::builder", "repeated");
        tracing::info!("something else");
        tracing::debug!("detail");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    let text = written(in_memory, "info,actix_server=info", || {
        tracing::info!(target: "actix_server::builder", "asked for");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    let error = check_level("info,faceood=loud").unwrap_err().to_string();
    assert!(error.contains("info,faceood=loud"), "{error}");
    let error = check_level("verbose").unwrap_err().to_string();
    assert!(error.contains("\"verbose\" is no level"), "{error}");
}

#[test]
fn files_get_today_in_their_name() {
    let dir = tempfile::TempDir::new().unwrap();
    let (mut writer, worker) = file_writer(&dir.path().join("logs")).unwrap();
    io::Write::write_all(&mut writer, b"one\n").unwrap();
    drop(worker);
    let names: Vec<_> = std::fs::read_dir(dir.path().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let day = super::super::log_files::day_of(Path::new(&names[0]));
    assert_eq!(names.len(), 1);
    assert!(day.is_some(), "{names:?}");
}
