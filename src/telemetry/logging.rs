//! The text log: `tracing` to standard error (human, JSON, or the journal) and to daily files that
//! are compressed and kept for some days.
//!
//! The text log may lose lines on purpose. Lines are handed to a writer thread through a bounded
//! buffer. If the buffer is full (a stalled disk), lines are dropped, so that requests do not wait.
//! The number dropped is logged. What must not be lost, the record of each inference, is in the
//! database. No line ever holds pixels, embeddings or file names.

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{
    FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter, format,
};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::log_files::{FILE_PREFIX, FILE_SUFFIX, Housekeeper};

/// Settings of the text log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Least severity, with exceptions for modules after commas.
    pub level: String,
    /// What goes to standard error, or to the journal.
    pub format: Format,
    /// What goes to files.
    pub files: FileFormat,
    /// Folder of the files, relative to the data folder.
    pub directory: PathBuf,
    /// Days that files are kept.
    pub keep_days: u16,
    /// Sources that metrics tell apart; all others are one.
    pub sources: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: Format::Auto,
            files: FileFormat::Json,
            directory: PathBuf::from("logs"),
            keep_days: 14,
            sources: Vec::new(),
        }
    }
}

/// Form of the lines on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Lines for the journal where systemd connected standard error to it, otherwise human.
    Auto,
    /// For eyes; coloured on a terminal.
    Human,
    /// One JSON object a line.
    Json,
    /// The journal's own protocol: fields to search by (`journalctl -o verbose` shows them).
    Journald,
}

/// Form of the lines in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// One JSON object a line.
    Json,
    /// For eyes.
    Human,
    /// No files.
    Off,
}

/// Why there is no text log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level that is given cannot be read; the reason stands beside it.
    #[error(
        "telemetry.level is {0:?}: {1}; expected for example \"info\" or \"info,faceood_engine::pipeline=debug\""
    )]
    Level(String, String),
    /// The journal was asked for and does not answer.
    #[error(
        "telemetry.format is \"journald\" and the journal cannot be reached: {0}; set it to \"auto\""
    )]
    Journal(#[source] io::Error),
    /// Something else installed a log before.
    #[error("a text log is already running in this process")]
    AlreadyRunning,
}

/// Keeps the text log running; dropping it writes out what is buffered. Hold it to the end.
#[must_use = "the log stops when this is dropped"]
#[derive(Debug, Default)]
pub struct Guard {
    // Dropped in this order: the housekeeper still logs, the workers write out last.
    housekeeper: Option<Housekeeper>,
    workers: Vec<WorkerGuard>,
}

/// Starts the daemon's text log for the whole process; files, if on, go to `directory`.
///
/// A folder that cannot be written is no reason to stay down: it is warned of, and lines go to
/// standard error only.
///
/// # Errors
/// If the level cannot be read, the journal is asked for and absent, or a log is already running.
pub fn start(settings: &Settings, directory: &Path) -> Result<Guard, LoggingError> {
    let mut guard = Guard::default();
    let mut layers = vec![console_layer(settings.format, &mut guard)?];
    let mut failure = None;
    if settings.files != FileFormat::Off {
        match file_writer(directory) {
            Ok((writer, worker)) => {
                guard.housekeeper = Some(Housekeeper::start(
                    directory.to_owned(),
                    settings.keep_days,
                    writer.error_counter(),
                ));
                guard.workers.push(worker);
                layers.push(match settings.files {
                    FileFormat::Human => human(writer, false),
                    _ => json(writer),
                });
            }
            Err(error) => failure = Some(error),
        }
    }
    let filter = filter(&settings.level)?;
    let subscriber = Registry::default().with(layers).with(filter);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| LoggingError::AlreadyRunning)?;
    if let Some(error) = failure {
        tracing::warn!(
            directory = %directory.display(), %error,
            "no log files: the folder cannot be written; make it writable or set telemetry.files = \"off\""
        );
    }
    Ok(guard)
}

/// Starts a short-lived command's log: human lines of at least `level` on standard error.
pub fn start_for_command(level: &str) -> Result<(), LoggingError> {
    let layer = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(shows_colours(&io::stderr()))
        .with_writer(io::stderr);
    let subscriber = Registry::default().with(layer).with(filter(level)?);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::AlreadyRunning)
}

/// Checks whether `telemetry.level` can be read, without starting anything.
pub fn check_level(level: &str) -> Result<(), LoggingError> {
    filter(level).map(drop)
}

/// RFC 3339 in UTC, to the millisecond, as everywhere else.
#[derive(Clone, Copy)]
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now = chrono::Utc::now();
        write!(writer, "{}", now.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Libraries whose information repeats ours; a directive of the operator's own wins. What is no
/// HTTP request has a line of ours, and is no error of the service: any scan of the port makes one.
const QUIET: &str = "actix_server=warn,actix_http::h1::dispatcher=off";

fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    let wrong = |reason: String| LoggingError::Level(level.to_owned(), reason);
    // A bare word that is no level would name a module, and silence everything else.
    let parts = level.split(',').map(str::trim);
    let mut bare = parts.filter(|part| !part.contains(['=', '[']));
    if let Some(word) = bare.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(wrong(format!("{word:?} is no level")));
    }
    let directives = format!("{QUIET},{level}");
    let parsed = EnvFilter::builder().parse(directives);
    parsed.map_err(|error| wrong(error.to_string()))
}

fn console_layer(format: Format, guard: &mut Guard) -> Result<BoxedLayer, LoggingError> {
    if format == Format::Journald {
        let layer = tracing_journald::layer().map_err(LoggingError::Journal)?;
        return Ok(layer.with_field_prefix(None).boxed());
    }
    let (writer, worker) = worker(io::stderr());
    guard.workers.push(worker);
    Ok(match format {
        Format::Json => json(writer),
        Format::Auto if is_journal() => journal_lines(writer),
        _ => human(writer, shows_colours(&io::stderr())),
    })
}

/// Whether `stream` is a terminal and the user accepts colours (`NO_COLOR`,
/// <https://no-color.org>).
pub fn shows_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether systemd connected standard error to the journal: it says to which device and inode.
fn is_journal() -> bool {
    let Some(named) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = rustix::fs::fstat(io::stderr());
    stderr.is_ok_and(|stat| named.to_string_lossy() == format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn file_writer(directory: &Path) -> io::Result<(NonBlocking, WorkerGuard)> {
    std::fs::create_dir_all(directory)?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(FILE_PREFIX)
        .filename_suffix(FILE_SUFFIX)
        .build(directory)
        .map_err(io::Error::other)?;
    Ok(worker(appender))
}

fn worker<W: io::Write + Send + 'static>(writer: W) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .thread_name("text-log")
        .finish(writer)
}

fn human(writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static, ansi: bool) -> BoxedLayer {
    let layer = tracing_subscriber::fmt::layer()
        .with_timer(Clock)
        .with_ansi(ansi)
        .with_writer(writer);
    if ansi {
        return layer.fmt_fields(Coloured(DefaultFields::new())).boxed();
    }
    layer.boxed()
}

/// The fields of a span in colours. All layers with the same type of formatter share one text of
/// these fields, and a file must not get the colours of the terminal.
struct Coloured(DefaultFields);

impl<'w> FormatFields<'w> for Coloured {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }
}

fn journal_lines(writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) -> BoxedLayer {
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .event_format(JournalLine)
        .with_writer(writer)
        .boxed()
}

/// A line with all its fields behind the severity as systemd reads it (`<4>`). No time: the journal
/// has its own.
struct JournalLine;

impl<S, N> FormatEvent<S, N> for JournalLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let severity = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{severity}>")?;
        let line = format().without_time().with_level(false);
        line.format_event(context, writer, event)
    }
}

fn json(writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) -> BoxedLayer {
    let event = format().json().flatten_event(true);
    let event = event.with_current_span(false).with_span_list(false);
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine(event.with_timer(Clock)))
        .with_writer(writer)
        .boxed()
}

/// One JSON object: the fields of the event, then those of the spans that it is in, such as the
/// request's id. No event may have a field of a span that it is in: it would stand there twice.
struct JsonLine(format::Format<Json, Clock>);

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        let event = self.0.format_event(context, Writer::new(&mut line), event);
        event?;
        writer.write_str(line.trim_end().trim_end_matches('}'))?;
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.map_or("", |fields| fields.trim_matches(['{', '}']));
            if !fields.is_empty() {
                write!(writer, ",{fields}")?;
            }
        }
        writeln!(writer, "}}")
    }
}

#[cfg(test)]
mod tests;
