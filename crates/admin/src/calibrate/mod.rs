//! `calibrate`: fits on site how the pack's OOD signal becomes score and pass probability, from
//! photos or from feedback.
//!
//! Both ways produce [`SiteSample`]s. The new calibration is tested on captures that the fit
//! has not seen, and written to a file that the daemon loads at SIGHUP.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use super::centre::CentreFlags;
use super::report_out::FormatFlags;
use super::{Context, offline, out_file, output, when};
use faceood_engine::policy::Thresholds;
use faceood_engine::quality::Calibration;
use faceood_engine::quality::calibration::Provenance;
use faceood_engine::quality::calibration::site::{
    CalibrationChange, Figure, SiteSample, SiteTrial,
};
use faceood_lab::evaluation::cuts::MeasuredCut;
use faceood_lab::evaluation::render::counted;

mod outcomes;
mod photos;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "\
DIR has a folder for each person with several photos, as the site's cameras take them: poor ones \
too. --from-log needs outcomes that callers told (POST /v1/feedback). With too little of either \
it refuses and says how much is missing; without --out it only says what would be gained.
A recogniser of your own needs cuts of its own on the similarity: --carry-cuts. A later \
calibration keeps them.

Examples:
  faceood-admin calibrate photos/   what would be gained?
  faceood-admin calibrate photos/ --out /var/lib/faceood/calibration.json
  faceood-admin calibrate photos/ --carry-cuts --out /var/lib/faceood/calibration.json
  faceood-admin calibrate --from-log --since 90d --out /var/lib/faceood/calibration.json
  faceood-admin calibrate --from-log --db postgres://centre.example/faceood --out fleet.json
  systemctl reload faceoodd         with calibration_file = \"calibration.json\"",
    group = clap::ArgGroup::new("from").required(true).args(["dir", "from_log"]),
    mut_arg("since", |since| since.conflicts_with("dir").help(
        "Only requests from this time on: 90d, 2026-11-24 or 2026-11-24T08:00:00Z"
    )),
    mut_arg("until", |until| until.conflicts_with("dir").help("Only requests before this time"))
)]
pub(crate) struct Args {
    /// Folder with a folder of photos for each person
    dir: Option<PathBuf>,
    /// Learn from the outcomes in the log
    #[arg(long)]
    from_log: bool,
    #[command(flatten)]
    window: when::Window,
    #[command(flatten)]
    centre: CentreFlags,
    /// Put the measured cuts into the calibration: same person from the cut for a false match rate
    /// of 1e-4 on, different ones below that for 1e-3
    #[arg(long, conflicts_with = "from_log")]
    carry_cuts: bool,
    /// Calibration file to write; one that is there is replaced
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    report: FormatFlags,
}

struct Evidence {
    samples: Vec<SiteSample>,
    /// Cuts on the similarity that the photos ask for; empty without photos.
    cuts: Vec<MeasuredCut>,
    /// Those that the calibration is to carry, where the operator says so.
    thresholds: Option<Thresholds>,
    /// How many of what there was, left out or used: for the file and for the operator.
    counts: BTreeMap<&'static str, u64>,
    method: &'static str,
    /// The day it ends with, `YYYY-MM-DD`.
    date: String,
    needs: Vec<Need>,
}

struct Need {
    of: &'static str,
    got: usize,
    least: usize,
}

#[derive(Serialize)]
struct CalibrateReport<'a> {
    method: &'a str,
    counts: &'a BTreeMap<&'static str, u64>,
    /// Id of the calibration in force.
    before: &'a str,
    /// Id of the one that was learnt.
    after: &'a str,
    /// Expected calibration errors, the later one on captures that the learner has not seen.
    ece: SiteTrial,
    /// The cuts on the similarity that are in force.
    in_force: Thresholds,
    /// Those that the calibration carries.
    carried: Option<Thresholds>,
    /// Those that the photos ask for.
    cuts: &'a [MeasuredCut],
    out: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let assembly = offline::pack(&config)?;
    if let Some(file) = config.site_calibration()
        && let Err(error) = assembly.recalibrate(Some(&file))
    {
        // It may be named in the settings before it is made, which is what this command does.
        tracing::warn!(
            "compared with the pack's own calibration, since the site's cannot be used: {error}"
        );
    }
    let evidence = match &args.dir {
        Some(folder) => photos::gather(folder, &assembly, args.carry_cuts)?,
        None => outcomes::gather(args, context, &assembly)?,
    };
    evidence.suffices()?;
    let in_force = assembly.calibration();
    let carried = evidence.thresholds.or(in_force.thresholds());
    let own = Calibration::load(assembly.pack().calibration_json())?.with_thresholds(carried);
    let trial = in_force.trial(&own, &evidence.samples)?;
    let learnt = own
        .refit(&evidence.samples, evidence.provenance())?
        .for_embedder(&assembly.pack().manifest().embedder.file.sha256);
    if let Some(file) = &args.out {
        // A daemon that reloads meanwhile reads the old file or the new one.
        out_file::write(file, learnt.to_json()?.as_bytes())?;
    }
    let report = CalibrateReport {
        method: evidence.method,
        counts: &evidence.counts,
        before: in_force.id(),
        after: learnt.id(),
        ece: trial,
        in_force: assembly.thresholds(),
        carried,
        cuts: &evidence.cuts,
        out: args.out.as_ref().map(|file| file.display().to_string()),
    };
    args.report
        .show_text("Calibration on site", &report, || report.text())
}

impl Evidence {
    /// Fails with everything that is missing.
    fn suffices(&self) -> anyhow::Result<()> {
        let missing = self.needs.iter().filter(|need| need.got < need.least);
        let missing = missing.map(|Need { of, got, least }| {
            let short = least - got;
            format!("{of}: {got} of at least {least}, {short} are missing")
        });
        let missing: Vec<String> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        let counts = self.counts.iter();
        let counts = counts.map(|(what, count)| format!("{} {count}", what.replace('_', " ")));
        bail!(
            "too little to calibrate with: {}; found were: {}",
            missing.join("; "),
            counts.collect::<Vec<_>>().join(", ")
        );
    }

    fn provenance(&self) -> Provenance {
        let counts = self.counts.iter();
        let counts = counts.map(|(what, count)| ((*what).to_owned(), *count));
        Provenance {
            method: self.method.to_owned(),
            date: self.date.clone(),
            counts: counts.collect(),
        }
    }
}

impl CalibrateReport<'_> {
    fn text(&self) -> String {
        let counts = self.counts.iter();
        let counts = counts
            .map(|(what, count)| vec![what.replace('_', " ").into(), count.to_string().into()]);
        let changes = [
            ("of the pass probability", &self.ece.pass),
            ("of the expected similarity", &self.ece.similarity),
        ];
        let errors = output::Rows(&changes).table(&[
            ("calibration error (ECE)", |(name, _)| (*name).to_owned()),
            ("before", |(_, change)| shown(&change.before)),
            ("after", |(_, change)| shown(&change.after)),
            ("change", |(_, change)| shown(&change.change)),
        ]);
        let mut blocks = vec![
            output::table(&[], counts),
            errors,
            format!(
                "In brackets: where it lies 95 times in 100 with other captures (bootstrap). `after` is measured on people or hours \
                 that the learner has not seen; {} bins of equal count.",
                self.ece.bins
            ),
        ];
        let is_better = |(_, change): (_, &CalibrationChange)| change.change.interval[1] < 0.0;
        if !changes.into_iter().any(is_better) {
            let neither = "Neither error falls by more than chance explains: there is no reason to put this calibration in force.";
            blocks.push(neither.to_owned());
        }
        if !self.cuts.is_empty() {
            let cuts = output::Rows(self.cuts).table(&[
                ("false match rate", |cut| format!("{:.0e}", cut.fmr)),
                ("similarity", |cut| match (cut.similarity, cut.interval) {
                    (None, _) => "too few pairs of different people".to_owned(),
                    (Some(similarity), None) => format!("{similarity:.3}"),
                    (Some(similarity), Some([low, high])) => {
                        format!("{similarity:.3} ({low:.3} to {high:.3})")
                    }
                }),
                ("false matches", |cut| counted(&cut.false_matches)),
                ("FNMR there", |cut| match cut.similarity {
                    None => "–".to_owned(),
                    Some(_) => counted(&cut.fnmr),
                }),
            ]);
            blocks.push(format!(
                "Cuts on the similarity that these photos ask for:\n{cuts}"
            ));
        }
        blocks.push(match self.carried {
            Some(carried) => format!(
                "The calibration carries cuts on the similarity: {}.",
                verdicts(carried)
            ),
            None => format!(
                "The cuts on the similarity stay as they are: {}.",
                verdicts(self.in_force)
            ),
        });
        blocks.push(match &self.out {
            Some(file) => format!(
                "calibration {} written to {file}, in place of {}: name it in `calibration_file` and reload faceoodd",
                self.after, self.before
            ),
            None => format!("nothing is written; --out FILE writes calibration {}", self.after),
        });
        blocks.join("\n\n")
    }
}

fn verdicts(Thresholds { same, different }: Thresholds) -> String {
    format!("the same person from {same:.3} on, different ones below {different:.3}")
}

fn shown(figure: &Figure) -> String {
    let [low, high] = figure.interval;
    format!("{:.3} ({low:.3} to {high:.3})", figure.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_said_at_once() {
        let need = |of, got, least| Need { of, got, least };
        let mut evidence = Evidence {
            samples: Vec::new(),
            cuts: Vec::new(),
            thresholds: None,
            counts: BTreeMap::from([("without_a_face", 3)]),
            method: "",
            date: String::new(),
            needs: vec![
                need("captures", 299, 300),
                need("people", 30, 30),
                need("fails", 0, 50),
            ],
        };
        let said = evidence.suffices().unwrap_err().to_string();
        for part in [
            "captures: 299 of at least 300, 1 are missing",
            "fails: 0 of at least 50, 50 are missing",
            "without a face 3",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        assert!(!said.contains("people"), "{said}");
        evidence.needs.truncate(2);
        evidence.needs.remove(0);
        assert!(evidence.suffices().is_ok());
    }
}
