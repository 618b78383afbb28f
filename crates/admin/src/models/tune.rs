//! `models tune`: measures every way to run the models on this box, shows the table, and keeps the
//! fastest.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::{Context, out_file, output};
use faceood_engine::own_program::OwnProgram;
use faceood_engine::pipeline::tuning::{self, Trial, Tuning};
use faceood_engine::runtime::ProviderChoice;
use faceood_report::html;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The daemon does the same at its first start, and again when processor, libraries, pack or settings have changed. Measure anew \
when the box was busy then; the daemon takes the new choice at its next start. It measures under the load that there is: best \
while the daemon is idle.

Examples:
  faceood-admin models tune
  sudo faceood-admin models tune && sudo systemctl restart faceoodd
  faceood-admin models tune --format json --out tune.json")]
pub(crate) struct Args {
    /// Only show; the daemon goes on with what it has
    #[arg(long)]
    dry_run: bool,
    /// Kind of report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = TuneFormat::Text)]
    format: TuneFormat,
    /// File to write the report to, in place of standard output; an existing one is replaced
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TuneFormat {
    Text,
    Json,
    Html,
}

const HEAD: [&str; 9] = [
    "provider",
    "precision",
    "form",
    "sessions × threads",
    "requests/s",
    "embed ms",
    "cosine",
    "score",
    "note",
];

/// What the columns mean.
const LEGEND: [&str; 3] = [
    "requests/s: test faces through the whole pipeline, all sessions together; higher is better.",
    "embed ms: median time of one run of the embedder.",
    "cosine: with the embedding of the reference, which is the first row; score: difference to its score.",
];

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let program = OwnProgram::this(&["models", "trial"])?;
    let doing = output::doing("measuring");
    let hear = |what: &str| doing.set_message(what.to_owned());
    let tuning = tuning::measure(&config.tuning_site(), &program, &hear)?;
    doing.finish_and_clear();
    let report = match args.format {
        TuneFormat::Text => text(&tuning),
        TuneFormat::Json => serde_json::to_string_pretty(&tuning)? + "\n",
        TuneFormat::Html => page(&tuning),
    };
    match &args.out {
        Some(file) => out_file::write(file, report.as_bytes())?,
        None => output::text(&report)?,
    }
    if !args.dry_run {
        tuning.save(&config.data_dir)?;
        let file = config.data_dir.join(tuning::FILE_NAME);
        let effect = match config.runtime.provider {
            ProviderChoice::Auto => "at its next start",
            _ => "only with runtime.provider = \"auto\"; the settings name another",
        };
        output::note(&format!(
            "kept in {}; the daemon takes it {effect}",
            file.display()
        ));
    }
    Ok(())
}

/// The box, and a row for each candidate with how it did.
pub fn text(tuning: &Tuning) -> String {
    let trials = tuning.trials.iter();
    let rows = trials.map(|trial| row(trial, tuning).map(Cow::from).to_vec());
    format!(
        "{}\n\n{}\n\n{}\n",
        about(tuning),
        output::table(&HEAD, rows),
        LEGEND.join("\n")
    )
}

fn page(tuning: &Tuning) -> String {
    let rows = tuning.trials.iter().map(|trial| row(trial, tuning).into());
    let body = maud::html! {
        p { (about(tuning)) }
        (html::table(&HEAD, rows))
        @for line in LEGEND { p class="quiet" { (line) } }
    };
    html::page("How models run on this box", "en", "", &body)
}

fn about(tuning: &Tuning) -> String {
    let basis = &tuning.basis;
    let features = basis.features.join(" ");
    format!(
        "{}, {} cores ({features}), measured {} UTC",
        basis.processor,
        basis.cores,
        tuning.measured_at.format("%F %H:%M")
    )
}

fn row(trial: &Trial, tuning: &Tuning) -> [String; HEAD.len()] {
    let number = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "–".to_owned(),
    };
    let candidate = trial.candidate;
    let remark = match &trial.excluded {
        Some(reason) => format!("not possible: {reason}"),
        None if candidate == tuning.chosen => "chosen".to_owned(),
        None => String::new(),
    };
    [
        candidate.provider.name().to_owned(),
        candidate.precision.name().to_owned(),
        candidate.form.name().to_owned(),
        format!("{} × {}", trial.sessions, candidate.threads),
        number(trial.requests_per_second, 1),
        number(trial.embed_ms, 2),
        number(trial.cosine.map(f64::from), 5),
        number(trial.score_difference.map(f64::from), 4),
        remark,
    ]
}
