//! `faceood-admin analyze-logs`, timed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use faceood_test_support::program;

/// Numbers in the environment, with spaces between them.
pub(crate) fn numbers(variable: &str, default: &str) -> Vec<usize> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let number = |number: &str| number.parse().expect("numbers of rows");
    text.split_whitespace().map(number).collect()
}

/// Seconds against rows, as a chart that Markdown shows. Rows are shown in `unit`s of so many.
pub(crate) fn chart(title: &str, unit: &str, in_unit: usize, costs: &[(usize, f64)]) -> String {
    let list = |each: &dyn Fn(&(usize, f64)) -> String| {
        let all: Vec<String> = costs.iter().map(each).collect();
        all.join(", ")
    };
    let most = costs
        .iter()
        .map(|(_, seconds)| *seconds)
        .fold(1.0, f64::max);
    format!(
        "```mermaid\nxychart-beta\n  title \"{title}\"\n  x-axis [{}]\n  y-axis \"seconds\" 0 --> {:.0}\n  bar [{}]\n```",
        list(&|(rows, _)| format!("\"{} {unit}\"", rows / in_unit)),
        most.ceil(),
        list(&|(_, seconds)| format!("{seconds:.2}")),
    )
}

/// An analysis that runs.
pub(crate) struct Running {
    child: Child,
    begin: Instant,
    report: PathBuf,
    megabytes: f64,
}

/// What it took and found.
pub(crate) struct Found {
    pub(crate) seconds: f64,
    pub(crate) megabytes: f64,
    pub(crate) patterns: usize,
}

impl Running {
    /// `analyze-logs` of the log or centre `database`, as JSON in the file `report`.
    pub(crate) fn start(database: &OsStr, report: &Path, more: &[&OsStr]) -> Self {
        let admin = std::env::var_os("ADMIN")
            .map_or_else(|| PathBuf::from(program("faceood-admin")), PathBuf::from);
        let begin = Instant::now();
        let child = Command::new(admin)
            .arg("--db")
            .arg(database)
            .args(["analyze-logs", "--format", "json", "--out"])
            .arg(report)
            .args(more)
            .stdin(Stdio::null())
            .spawn()
            .expect("faceood-admin starts");
        Self {
            child,
            begin,
            report: report.to_owned(),
            megabytes: 0.0,
        }
    }

    /// Whether it has; looks at its memory each time.
    pub(crate) fn has_ended(&mut self) -> bool {
        let status = format!("/proc/{}/status", self.child.id());
        if let Some(line) = std::fs::read_to_string(&status)
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
        {
            let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
            self.megabytes = self.megabytes.max(kilobytes / 1000.0);
        }
        let ended = self.child.try_wait().expect("it can be waited for");
        assert!(ended.is_none_or(|status| status.success()), "it failed");
        ended.is_some()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Found {
        while !self.has_ended() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let seconds = self.begin.elapsed().as_secs_f64();
        let text = std::fs::read_to_string(&self.report).expect("a report");
        let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        Found {
            seconds,
            megabytes: self.megabytes,
            patterns: report["clusters"].as_array().map_or(0, Vec::len),
        }
    }
}
