//! `analyze-logs`: which degradations keep coming back, where, since when, and what to do.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::Local;
use uuid::Uuid;

use super::centre::CentreFlags;
use super::choice::{Choice, choice};
use super::out_file::{self, OutFile};
use super::report_out::ReportFormat;
use super::{CommandOutcome, Context, output, when};
use faceood::telemetry::logging;
use faceood_engine::policy::DEFAULT_SCENARIO;
use faceood_engine::quality::Language;
use faceood_log::LogReader;
use faceood_patterns::comparison::EarlierComparison;
use faceood_patterns::render::html;
use faceood_patterns::render::text::{COLUMNS, TextOptions, page_tip, text};
use faceood_patterns::{self, Input, PatternAnalysis, PatternReport, Rows, Settings, compare};

pub(super) mod exported;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Captures that were not accepted, by the action that was logged, are grouped where they resemble \
each other; a group is reported with its sources, hours and trend where chance does not explain it. \
--max-score 0.4 takes captures by their score instead. Reads the log of a live daemon, backups and Parquet \
exports; nothing is written to them. Hours are local: TZ=Asia/Shanghai sets another zone. Exit \
code 3 with --fail-on-drift: a pattern is new or growing, a source's low share rose, or its \
embedding norm is at another level.

Examples:
  faceood-admin analyze-logs --since 7d
  faceood-admin analyze-logs --since 7d --format html --out week.html
  faceood-admin analyze-logs --since 30d --source gate-3 --format json |
    jq '.clusters[] | {label, trend, advice}'
  faceood-admin --db box1.db --db box2.parquet analyze-logs
  faceood-admin --db postgres://centre.example/faceood analyze-logs --since 7d
  faceood-admin analyze-logs --since 7d --export-cluster 2 --out pattern
  faceood-admin analyze-logs --since 1d --compare-to yesterday.json --fail-on-drift
  faceood-admin --db postgres://centre.example/faceood analyze-logs --ring canary --since 1d
    --compare-to before.json --fail-on-drift")]
#[command(mut_arg("since", |since| since.help(
    "From this time on: 7d, 2026-11-24 or 2026-11-24T08:00:00Z [default: the whole log]"
)))]
#[command(mut_arg("until", |until| until.help("Before this time [default: now]")))]
pub(crate) struct Args {
    #[command(flatten)]
    selection: when::Selection,
    #[command(flatten)]
    centre: CentreFlags,
    /// Only of this box of a centre; may be given several times
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Only of the boxes of a centre that were enrolled with this ring, such as those that get a
    /// release first
    #[arg(long, value_name = "RING", conflicts_with = "node")]
    ring: Option<String>,
    /// Look for patterns among the captures up to this quality score, in place of those that were not
    /// accepted
    #[arg(long, value_name = "SCORE", value_parser = when::score)]
    max_score: Option<f32>,
    /// Rows that a pattern needs, at least 2 [default: 20, or 1 in 100 of the low rows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    min_cluster_size: Option<u32>,
    /// Kind of report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ReportFormat::Text)]
    format: ReportFormat,
    /// File to write the report to, in place of standard output; an existing one is replaced. With
    /// --export-cluster a folder
    #[arg(long, short, value_name = "FILE", value_parser = out_file::named())]
    out: Option<PathBuf>,
    /// Leave the faces out of the page, also where the log keeps pictures of them
    #[arg(long)]
    no_thumbnails: bool,
    /// Write which row belongs to which pattern, as CSV: inference_id,cluster_id
    #[arg(long, value_name = "FILE")]
    assignments: Option<PathBuf>,
    /// Say what is new, gone and grown since an earlier report in JSON
    #[arg(long, value_name = "REPORT.json")]
    compare_to: Option<PathBuf>,
    /// Write a pattern's most typical rows, their pictures where the log keeps them, and the
    /// degradation that makes a clean picture like it, into the folder that --out names
    #[arg(long, value_name = "ID", requires = "out", conflicts_with_all = ["assignments", "compare_to"])]
    export_cluster: Option<u32>,
    /// Exit with 3 where something is new or growing
    #[arg(long)]
    fail_on_drift: bool,
    /// Language of text and page; JSON has both
    #[arg(long, value_name = "LANGUAGE", default_value = "en", value_parser = choice(&LANGUAGES))]
    language: Language,
    /// What samples are drawn by, where the log is large
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Rows of a centre that are all read, with 32 bytes of memory for each; of more, good ones are
    /// counted by the hour
    #[arg(long, value_name = "N", default_value_t = Settings::default().most_rows)]
    most_rows: u64,
}

/// Longer lines are hard to read.
const MOST_COLUMNS: usize = 120;

const LANGUAGES: [Choice<Language>; 2] = [
    ("en", "English", Language::English),
    ("zh", "Chinese", Language::Chinese),
];

/// How far an analysis stands back behind a daemon on the same processors, of 19.
const NICENESS: i32 = 10;

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    args.selection.window.check()?;
    // Callers of a daemon on this machine come first. Where the system does not let it, the
    // analysis goes on as it is.
    let _ = rustix::process::nice(NICENESS);
    if let (Some(id), Some(folder)) = (args.export_cluster, &args.out) {
        let settings = settings(args, context);
        let (inputs, found) = context.block_on(analysed(args, context, &settings))?;
        exported::export(id, folder, &inputs, &found, context)?;
        return Ok(CommandOutcome::Done);
    }
    if let Some(zone) = when::unknown_time_zone() {
        output::note(&format!(
            "TZ is {zone}, which this system does not know: hours of the day are shown in UTC; give a name from /usr/share/zoneinfo, such as TZ=Asia/Shanghai"
        ));
    }
    let earlier = args.compare_to.as_deref().map(earlier).transpose()?;
    // Files are made before the work, so that a wrong place is told at once.
    let begin = |file: &Option<PathBuf>| file.as_deref().map(OutFile::beside).transpose();
    let assignments = begin(&args.assignments)?;
    let out = begin(&args.out)?;
    let settings = settings(args, context);
    let (mut found, thumbnails) = context.block_on(async {
        let (inputs, found) = analysed(args, context, &settings).await?;
        let thumbnails = match args.format {
            ReportFormat::Html if !args.no_thumbnails => thumbnails(&inputs, &found).await?,
            _ => HashMap::new(),
        };
        Ok((found, thumbnails))
    })?;
    found.report.comparison = earlier
        .map(|earlier| compared(&found.report, &earlier, args))
        .transpose()?
        .flatten();
    if let Some(file) = assignments {
        let mut lines = BufWriter::new(file);
        writeln!(lines, "inference_id,cluster_id")?;
        for (id, cluster) in &found.assignments {
            writeln!(lines, "{id},{cluster}")?;
        }
        lines.into_inner()?.finish()?;
    }
    let report = &found.report;
    let language = args.language;
    let shown = match args.format {
        ReportFormat::Json => serde_json::to_string_pretty(report)? + "\n",
        ReportFormat::Html => {
            let options = html::HtmlOptions {
                language,
                local_time: settings.local_time,
                thumbnails: &thumbnails,
            };
            html::html(report, options)
        }
        ReportFormat::Text => {
            let is_coloured = out.is_none() && logging::shows_colours(&std::io::stdout());
            let columns = output::columns().map_or(COLUMNS, |columns| columns.min(MOST_COLUMNS));
            let options = TextOptions {
                language,
                is_coloured,
                columns,
            };
            let mut shown = text(report, options);
            if out.is_none() && output::is_terminal() {
                shown += &page_tip(language, columns);
            }
            shown
        }
    };
    match out {
        Some(mut file) => {
            file.write_all(shown.as_bytes())?;
            file.finish()?;
        }
        // The report makes sources harmless itself; its colours are its own.
        None if args.format == ReportFormat::Text => output::coloured(&shown)?,
        None => output::text(&shown)?,
    }
    Ok(if args.fail_on_drift && report.has_drift() {
        CommandOutcome::Drift
    } else {
        CommandOutcome::Done
    })
}

fn settings(args: &Args, context: &Context) -> Settings {
    let default = Settings::default();
    // A report needs no configuration: where there is none that can be read, the built-in policy
    // says what passes.
    let config = context.config();
    let policies = config.map(|config| config.policies).unwrap_or_default();
    let policy = policies.0.get(DEFAULT_SCENARIO);
    let accept = policy.and_then(|policy| policy.accept);
    Settings {
        since: args.selection.window.since,
        until: args.selection.window.until,
        source: args.selection.source.clone(),
        max_score: args.max_score,
        min_cluster_size: args.min_cluster_size.map(|size| size as usize),
        accept: accept.unwrap_or(default.accept),
        seed: args.seed,
        local_time: |time| time.with_timezone(&Local).naive_local(),
        with_assignments: args.assignments.is_some(),
        most_rows: args.most_rows,
        nodes: (!args.node.is_empty()).then(|| args.node.clone()),
        ..default
    }
}

async fn analysed(
    args: &Args,
    context: &Context,
    settings: &Settings,
) -> anyhow::Result<(Vec<Input>, PatternAnalysis)> {
    let inputs = inputs(args, context).await?;
    let mut settings = settings.clone();
    if let Some(ring) = &args.ring {
        settings.nodes = Some(nodes_of(ring, &inputs).await?);
    }
    let found = faceood_patterns::analyze(&inputs, &settings)?;
    Ok((inputs, found))
}

/// What is to be read. Several logs are told apart by the names of their boxes, which come before
/// the source as at the centre: `box1/gate-3`. A log that does not know its box is told apart by its
/// file's name, or where these are the same by its folder's.
async fn inputs(args: &Args, context: &Context) -> anyhow::Result<Vec<Input>> {
    let paths = match context.db.as_slice() {
        [] => vec![context.database()?],
        given => given.to_vec(),
    };
    let mut inputs = Vec::new();
    for (path, mut prefix) in paths.iter().zip(prefixes(&paths)) {
        let is_parquet = path.extension().is_some_and(|kind| kind == "parquet");
        let rows = if let Some(reader) = args.centre.at(path)? {
            Rows::Centre(Box::new(reader))
        } else if is_parquet && path.is_file() {
            Rows::Parquet(path.clone())
        } else {
            let reader = LogReader::open_any_age(path).await?;
            if let (false, Some(node)) = (prefix.is_empty(), reader.node().await?) {
                prefix = node;
            }
            Rows::Database(reader)
        };
        inputs.push(Input { prefix, rows });
    }
    Ok(inputs)
}

/// The boxes of a ring at all centres that are read.
async fn nodes_of(ring: &str, inputs: &[Input]) -> anyhow::Result<Vec<String>> {
    let mut nodes = Vec::new();
    for input in inputs {
        let Rows::Centre(reader) = &input.rows else {
            bail!(
                "--ring asks a centre which boxes it has, and --db is a file: give --db postgres://…"
            );
        };
        let mut snapshot = reader.snapshot().await?;
        nodes.extend(snapshot.nodes_of_ring(ring).await?);
        snapshot.close().await;
    }
    if nodes.is_empty() {
        bail!(
            "no box was enrolled with the ring {ring:?}: faceood-admin fleet shows all boxes and their rings"
        );
    }
    Ok(nodes)
}

/// What changed since an earlier report: nothing is said where that counts other rows, as reports of
/// earlier releases do.
fn compared(
    report: &PatternReport,
    earlier: &PatternReport,
    args: &Args,
) -> anyhow::Result<Option<EarlierComparison>> {
    if report.is_comparable(earlier) {
        return Ok(Some(compare::compare(report, earlier)));
    }
    let shown = args
        .compare_to
        .as_deref()
        .unwrap_or(Path::new(""))
        .display();
    let (now, then) = (report.rule(), earlier.rule());
    let differs = format!("{shown} is about {then}, and this report about {now}");
    if args.fail_on_drift {
        bail!("{differs}: make it again, or give the same --max-score");
    }
    output::note(&format!("{differs}: they are not compared"));
    Ok(None)
}

async fn thumbnails(
    inputs: &[Input],
    found: &PatternAnalysis,
) -> anyhow::Result<HashMap<Uuid, Vec<u8>>> {
    let mut pictures = HashMap::new();
    for (cluster, places) in found.report.clusters.iter().zip(&found.exemplar_inputs) {
        for (id, place) in cluster.exemplars.iter().zip(places) {
            if let Rows::Database(reader) = &inputs[*place].rows
                && let Some(picture) = reader.thumbnail(*id).await?
            {
                pictures.insert(*id, picture);
            }
        }
    }
    Ok(pictures)
}

fn prefixes(paths: &[PathBuf]) -> Vec<String> {
    if paths.len() < 2 {
        return vec![String::new(); paths.len()];
    }
    let stem = |path: &Path| {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    let names = paths.iter().map(|path| stem(path).unwrap_or_default());
    let folders = paths
        .iter()
        .map(|path| path.parent().and_then(stem).unwrap_or_default());
    let numbers = (1..=paths.len()).map(|number| number.to_string());
    let differ = |names: &Vec<String>| names.iter().collect::<HashSet<_>>().len() == names.len();
    let mut prefixes = [names.collect(), folders.collect()].into_iter();
    prefixes.find(differ).unwrap_or_else(|| numbers.collect())
}

fn earlier(path: &Path) -> anyhow::Result<PatternReport> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let report: PatternReport = serde_json::from_str(&text).with_context(|| {
        format!("{shown} is no report of `faceood-admin analyze-logs --format json`")
    })?;
    let (schema, expected) = (report.schema, faceood_patterns::report::SCHEMA);
    if schema != expected {
        bail!(
            "{shown} has schema {schema}, this release reads {expected}: make it again with this release"
        );
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_told_apart_by_file_or_by_folder() {
        let named = |paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            prefixes(&paths)
        };
        assert_eq!(named(&["/a/faceood.db"]), [""]);
        assert_eq!(named(&["/a/box1.db", "/a/box2.parquet"]), ["box1", "box2"]);
        assert_eq!(
            named(&["/north/faceood.db", "/south/faceood.db"]),
            ["north", "south"]
        );
        assert_eq!(named(&["/x/a/l.db", "/y/a/l.db"]), ["1", "2"]);
    }
}
