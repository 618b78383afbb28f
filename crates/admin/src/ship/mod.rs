//! `ship`: carries the rows of the log to the centre of the fleet, where there are several boxes.

use std::time::Duration;

use anyhow::{Context as _, bail};
use faceood_fleet::{
    DayOutcome, FleetError, ShipPlan, Shipped, Stop, Verified, follow, forget, rewind, ship,
};
use faceood_log::parse_span;
use faceood_report::{html, plural};
use maud::html;
use tokio::signal::unix::{SignalKind, signal};

use super::centre::CentreFlags;
use super::report_out::ReportFlags;
use super::{CommandOutcome, Context, output};

/// Shortest interval between two visits.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The log is the queue: a row that the centre has confirmed is not sent again, and one that was sent \
twice is stored once. Embeddings and pictures of faces never leave the box. Rows that wait are not \
deleted by age or size.
Off this machine the connection is TLS 1.3. The common name of the certificate is the name of the \
box, in its settings and at the centre, where an operator admits it: faceood-admin fleet enrol NAME.
Exit code 1 if it failed, or if --verify found rows that are lost; 2 if the address cannot be used.

Examples:
  faceood-admin ship --to postgres://centre.example/faceood --ca ca.pem --certificate box.pem --key box.key
  faceood-admin ship --follow             what the service faceood-ship does
  faceood-admin ship --verify             compare both sides day by day, and send again what differs
  faceood-admin ship --from-start         send everything again; the centre stores what it lacks
  faceood-admin ship --to postgres://old.example/faceood --forget   keep no rows for that centre")]
pub(crate) struct Args {
    /// Address of the centre; without it the setting ship.to
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    files: CentreFlags,
    /// Name of this box, where its log does not say it; without it the setting node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Ship the callers' notes on outcomes too, as the setting ship.notes does
    #[arg(long)]
    notes: bool,
    /// Go on: visit the centre again and again
    #[arg(long, conflicts_with_all = ["verify", "from_start", "forget", "format", "json", "out"])]
    follow: bool,
    /// Time between two visits: 30s, 5m; without it the setting ship.interval_ms
    #[arg(long, value_name = "SPAN", value_parser = interval, requires = "follow")]
    interval: Option<Duration>,
    /// Then compare both sides day by day, and send again the days that differ
    #[arg(long)]
    verify: bool,
    /// Begin with the first row of the log again
    #[arg(long)]
    from_start: bool,
    /// Forget this centre: rows that it has not got may be deleted
    #[arg(long, conflicts_with_all = ["verify", "from_start"])]
    forget: bool,
    #[command(flatten)]
    report: ReportFlags,
}

fn interval(text: &str) -> Result<Duration, String> {
    let span = parse_span(text).and_then(|span| span.to_std().ok());
    let wrong = || format!("{text:?} is no interval; give a whole number and a unit: 30s, 5m, 1h");
    span.filter(|span| *span >= SHORTEST_INTERVAL)
        .ok_or_else(wrong)
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<CommandOutcome> {
    args.report.check()?;
    let config = context.config()?;
    let Some(url) = args.to.as_deref().or(config.ship.to.url()) else {
        bail!(
            "no centre is named: set ship.to in the settings, or give its address, \
             --to postgres://centre.example/faceood"
        );
    };
    let node = args.node.clone();
    let plan = ShipPlan {
        database: context.database()?,
        address: args.files.or(&config.ship).address(url)?,
        node: Some(node.unwrap_or_else(|| config.node.name().as_str().to_owned())),
        with_notes: args.notes || config.ship.notes,
    };
    let set = Duration::from_millis(config.ship.interval_ms);
    let interval = args.interval.unwrap_or(set).max(SHORTEST_INTERVAL);
    let target = plan.address.target();
    context.block_on(async {
        if args.forget {
            forget(&plan).await?;
            output::note(&format!(
                "{target} is forgotten: rows are no longer kept for it"
            ));
            return Ok(CommandOutcome::Done);
        }
        if args.from_start {
            rewind(&plan).await?;
        }
        let stop = stop_by_signal()?;
        if args.follow {
            follow_aloud(&plan, interval, &stop).await?;
            return Ok(CommandOutcome::Done);
        }
        let bar = output::doing("rows shipped");
        let shipped = ship(&plan, args.verify, &stop, |so_far| {
            bar.set_message(format!("rows shipped: {}", so_far.rows_sent));
        })
        .await;
        bar.finish_and_clear();
        let shipped = shipped?;
        args.report
            .show(&shipped, || text(&shipped), || page(&shipped))?;
        if !shipped.is_complete {
            bail!("it was ended before all was shipped: the rest waits for the next time");
        }
        let has_losses = shipped.verified.as_ref().is_some_and(Verified::has_losses);
        Ok(if has_losses {
            CommandOutcome::Bad
        } else {
            CommandOutcome::Done
        })
    })
}

/// Asked by SIGTERM or Ctrl-C; a second one ends the program at once.
fn stop_by_signal() -> anyhow::Result<Stop> {
    let stop = Stop::default();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).context("cannot listen for signals")?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if stop.is_asked() {
                    std::process::exit(1);
                }
                stop.ask();
            }
        });
    }
    Ok(stop)
}

/// Says when shipping begins to fail, why, and when it goes on.
async fn follow_aloud(plan: &ShipPlan, interval: Duration, stop: &Stop) -> Result<(), FleetError> {
    let mut failing: Option<String> = None;
    let mut has_shipped = false;
    let hear = |visit: Result<&Shipped, &FleetError>, wait: Duration| match visit {
        Ok(shipped) => {
            if failing.take().is_some() || !has_shipped || shipped.rows_quarantined > 0 {
                output::note(&text(shipped));
            } else {
                tracing::info!(rows = shipped.rows_sent, target = shipped.target, "shipped");
            }
            has_shipped = true;
        }
        Err(error) => {
            let why = error.to_string();
            if failing.as_ref() != Some(&why) {
                output::note(&format!(
                    "{why}; nothing is lost, it is tried again in {} s and then less often",
                    wait.as_secs().max(1)
                ));
                failing = Some(why);
            }
        }
    };
    follow(plan, interval, stop, hear).await
}

fn text(shipped: &Shipped) -> String {
    let Shipped {
        target,
        node,
        rows_sent,
        rows_stored,
        outcomes,
        ..
    } = shipped;
    let seconds = shipped.seconds.max(0.001);
    let rate = (*rows_sent as f64 / seconds).round();
    let sent = plural(*rows_sent, "row", "rows");
    let stored = plural(*rows_stored, "was new there", "were new there");
    let changed = plural(*outcomes, "outcome changed", "outcomes changed");
    let mut lines = vec![format!(
        "{target}: {sent} of {node} sent in {seconds:.1} s ({rate} a second), {stored}, {changed}"
    )];
    if shipped.late_feedback > 0 {
        lines.push(plural(
            shipped.late_feedback,
            "piece of feedback about another box's request was sent",
            "pieces of feedback about other boxes' requests were sent",
        ));
    }
    if shipped.rows_quarantined > 0 {
        lines.push(plural(
            shipped.rows_quarantined,
            "row was passed over, because the centre cannot take what stands in it; it stays in this log",
            "rows were passed over, because the centre cannot take what stands in them; they stay in this log",
        ));
    }
    if let Some(verified) = &shipped.verified {
        lines.push(format!(
            "{}, {} differed",
            plural(verified.days, "day compared", "days compared"),
            verified.differing.len()
        ));
        lines.extend(verified.differing.iter().map(|day| {
            let ended = match day.outcome {
                DayOutcome::Mended => "the same now",
                DayOutcome::CentreHasMore => {
                    "the centre has more rows than this log: was the log restored from a backup, or does another box ship \
                     as this one?"
                }
                DayOutcome::Lost => {
                    "rows that were deleted here are missing there: was the centre restored from a backup?"
                }
            };
            format!(
                "{}: {} here, {} there, {} sent again and new: {ended}",
                day.day,
                plural(day.box_rows, "row", "rows"),
                day.centre_rows,
                day.rows_stored
            )
        }));
    }
    lines.join("\n")
}

/// The same sentences as a page, which wraps them.
fn page(shipped: &Shipped) -> String {
    let body = html! {
        @for line in text(shipped).lines() { p { (line) } }
    };
    html::page("Rows shipped", "en", "", &body)
}

#[cfg(test)]
mod tests;
