//! `fleet`: what the centre knows of all boxes, and its upkeep.

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use faceood_fleet::{BoxPlace, CentreAddress, Role, enrol, fleet_state, migrate};
use faceood_report::plural;

use super::centre::CentreFlags;
use super::report_out::ReportOut;
use super::{Context, output, when};

mod compare;
mod view;

/// The window where none is given.
const USUAL_DAYS: i64 = 7;

#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Shows each box as it was at its last visit, and whether it rejects more faces than the others do: \
a test of Benjamini and Hochberg over all boxes, with the day since when. A log that two machines \
ship at once is named: one of them is a clone. Counts are of whole hours, UTC.

Examples:
  faceood-admin fleet --db postgres://centre.example/faceood --ca ca.pem --certificate me.pem --key me.key
  faceood-admin fleet --db postgres://centre.example/faceood --since 30d --format html --out fleet.html
  faceood-admin fleet --db postgres://centre.example/faceood --format json | jq '.boxes[] | select(.is_worse) | .node'
  faceood-admin fleet migrate --db postgres:///faceood"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Option<FleetTask>,
    #[command(flatten)]
    files: CentreFlags,
    #[command(flatten)]
    window: when::Window,
    #[command(flatten)]
    out: ReportOut,
}

#[derive(clap::Subcommand, Debug)]
enum FleetTask {
    /// Make the centre's tables, or bring them up to date
    #[command(after_help = "\
Run it as the owner of the database when the centre is set up, and after faceood-admin there was \
upgraded. Doing it again changes nothing. Boxes may be newer or older than the centre: values that \
it has no column for yet wait in the column `extra`, and this moves them.

Examples:
  sudo -u postgres createdb faceood
  sudo -u postgres faceood-admin fleet migrate --db postgres:///faceood?host=/run/postgresql")]
    Migrate {
        #[command(flatten)]
        files: CentreFlags,
    },
    /// Admit a box, or a reader
    #[command(after_help = "\
Makes a role at the centre. The box logs in with a certificate whose common name is that role; \
pg_hba.conf says so once for all boxes:
  hostssl faceood +faceood_box    all cert
  hostssl faceood +faceood_reader all cert
A box sees and writes its own rows only, and deletes none. A reader sees everything and writes nothing.

Examples:
  faceood-admin fleet enrol gate-3 --site berlin --ring canary --db postgres:///faceood?host=/run/postgresql
  faceood-admin fleet enrol gate-3 --was gate-2 --db postgres:///faceood?host=/run/postgresql
  faceood-admin fleet enrol grafana --reader --db postgres:///faceood?host=/run/postgresql")]
    Enrol {
        /// Its name: the setting `node` of the box
        #[arg(value_name = "NAME")]
        name: String,
        /// Where the box stands, for reports
        #[arg(long, value_name = "SITE")]
        site: Option<String>,
        /// In which ring it gets releases, for analyze-logs --ring
        #[arg(long, value_name = "RING")]
        ring: Option<String>,
        /// The name that the box had before: its rows get the new one, and the old one is closed
        #[arg(long, value_name = "NAME")]
        was: Option<String>,
        /// It reads, and ships nothing
        #[arg(long, conflicts_with_all = ["site", "ring", "was"])]
        reader: bool,
        #[command(flatten)]
        files: CentreFlags,
    },
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    match &args.task {
        None => show(args, context),
        Some(FleetTask::Migrate { files }) => {
            let address = address(files, context)?;
            let migrated = context.block_on(async { Ok(migrate(&address).await?) })?;
            output::note(&format!(
                "{}: schema version {}, {}, {} with values of newer boxes moved",
                address.target(),
                migrated.version,
                plural(migrated.columns.len(), "new column", "new columns"),
                plural(migrated.rows_lifted, "row", "rows")
            ));
            if migrated.rows_kept > 0 {
                let have = plural(migrated.rows_kept, "row has", "rows have");
                output::note(&format!(
                    "{have} a value that does not fit into its column; it stays in the column `extra`"
                ));
            }
            Ok(())
        }
        Some(FleetTask::Enrol {
            name,
            site,
            ring,
            was,
            reader,
            files,
        }) => {
            let address = address(files, context)?;
            let role = match reader {
                true => Role::Reader,
                false => Role::Box(BoxPlace {
                    site: site.clone(),
                    ring: ring.clone(),
                    was: was.clone(),
                }),
            };
            let enrolled = context.block_on(async { Ok(enrol(&address, name, &role).await?) })?;
            let target = address.target();
            output::note(&match enrolled.is_new {
                true => format!(
                    "{target}: {name} is admitted; it logs in with a certificate whose common name is {name}"
                ),
                false => format!("{target}: {name} was admitted before"),
            });
            if let Some(was) = was {
                let are = plural(enrolled.rows_renamed, "row is", "rows are");
                output::note(&format!(
                    "{are} now of {name} in place of {was}, and nobody can log in as {was}"
                ));
            }
            Ok(())
        }
    }
}

fn address(files: &CentreFlags, context: &Context) -> anyhow::Result<CentreAddress> {
    match context.db.as_slice() {
        [one] => files.address(&one.to_string_lossy()),
        [] => bail!(
            "the centre is not named: give its address, --db postgres://centre.example/faceood"
        ),
        _ => bail!("--db is given several times, and `fleet` shows one centre: give one"),
    }
}

fn show(args: &Args, context: &Context) -> anyhow::Result<()> {
    let address = address(&args.files, context)?;
    let until = args.window.until.unwrap_or_else(Utc::now);
    let since = args.window.since;
    let since = since.unwrap_or_else(|| whole_hour(until - TimeDelta::days(USUAL_DAYS)));
    when::in_order(since, until)?;
    let state = context.block_on(async { Ok(fleet_state(&address, since, until).await?) })?;
    let report = compare::report(address.target(), [since, until], state);
    args.out
        .show(&report, || view::text(&report), || view::html(&report))
}

/// The beginning of the hour that `time` lies in: what is counted.
fn whole_hour(time: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = time.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(3600), 0).unwrap_or(time)
}
