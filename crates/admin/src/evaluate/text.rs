//! Evaluations as text for a terminal.

use crate::output::Rows;
use faceood_engine::policy::Action;
use faceood_engine::quality::Grade;
use faceood_lab::evaluation::error_rates::{Histogram, Rate};
use faceood_lab::evaluation::render::folder::{cut_words, foreseen_words};
use faceood_lab::evaluation::render::{
    counted, deviation, mean, number, percent, range, with_interval,
};
use faceood_lab::evaluation::report::{FolderReport, PhotoGroup, ThresholdFrom};
use faceood_lab::evaluation::scenarios::CaseFigures;
use faceood_lab::evaluation::signals::SignalFigures;
use faceood_lab::evaluation::sweep::SweepStep;
use faceood_report::{plural, sparkline};

/// Columns of a bar that stands for 1.
const BAR: f64 = 40.0;

pub(super) fn report(report: &FolderReport) -> String {
    let data = &report.data;
    let mut text = format!(
        "{}, {}, {} with a face; no face in {}; {} skipped\n{}, {} impostor",
        plural(data.persons, "person", "persons"),
        plural(data.pictures, "picture", "pictures"),
        data.captures,
        counted(&data.failures_to_acquire),
        data.skipped.len(),
        plural(data.genuine, "genuine comparison", "genuine comparisons"),
        data.impostor,
    );
    if data.impostor < data.impostor_possible {
        text += &format!(" (evenly drawn from {})", data.impostor_possible);
    }
    text += &histogram(&report.histogram);
    let errors = Rows(&report.error_rates).table(&[
        ("threshold", |rates| rates.name.to_owned()),
        ("similarity", |rates| format!("{:.3}", rates.threshold)),
        ("FNMR", |rates| counted(&rates.fnmr)),
        ("95 %", |rates| {
            let ends = rates.fnmr_interval;
            let ends = ends.map(|ends| ends.map(|end| percent(Some(end))).join(" – "));
            ends.unwrap_or_default()
        }),
        ("FMR", |rates| counted(&rates.fmr)),
    ]);
    text += &section("errors", &errors);
    if let Some(equal) = &report.equal_error_rate {
        let rate = percent(Some(f64::midpoint(equal.fnmr, equal.fmr)));
        text += &format!("\nequal error rate {rate} at {:.3}", equal.threshold);
    }
    for words in cut_words(report).into_iter().chain(foreseen_words(report)) {
        text += &format!("\n{words}");
    }
    let from = match report.thresholds.edc_from {
        ThresholdFrom::Fmr1e3 => "FMR 1e-3 on these photos",
        ThresholdFrom::Pack => "the pack's; too few impostor comparisons for FMR 1e-3",
        ThresholdFrom::Option => "as given",
    };
    let edc = report.thresholds.edc;
    let signals = Rows(&report.signals).table(&[
        ("signal", |it| it.name.clone()),
        ("AUROC", |it| with_interval(it.auroc, it.auroc_interval)),
        ("EDC area to 50 %, 0 perfect 1 random", |it| {
            with_interval(it.edc_relative_area_50, it.edc_relative_area_50_interval)
        }),
        ("to 20 %", |it| {
            or_dash(it.edc_area_20.map(|area| format!("{area:.5}")))
        }),
        ("FNMR", |it| fnmr_after(it, 0)),
        ("less 1 %", |it| fnmr_after(it, 1)),
        ("5 %", |it| fnmr_after(it, 2)),
        ("20 %", |it| fnmr_after(it, 3)),
    ]);
    let title = format!("what orders captures best (failures below {edc:.3}: {from})");
    text += &section(&title, &signals);
    let signals = report.signals.iter();
    let fails = signals.filter_map(|signal| signal.fnmr_after.first()?.fnmr);
    if fails.fold(0.0, f64::max) == 0.0 {
        text += "\nno comparison fails at this threshold: these photos cannot show how well anything orders captures";
    }
    let calibrated = [
        ("score", &report.calibration.score),
        ("pass probability", &report.calibration.pass_probability),
    ];
    let calibrated = Rows(&calibrated).table(&[
        ("prediction", |(name, _)| (*name).to_owned()),
        ("ECE", |(_, it)| with_interval(it.ece, it.ece_interval)),
        ("bins", |(_, it)| it.reliability.len().to_string()),
        ("captures", |(_, it)| it.captures.to_string()),
    ]);
    text += &section("does it come true", &calibrated);
    let scenarios = Rows(&report.scenarios).table(&[
        ("scenario", |scenario| scenario.name.clone()),
        ("rejected", |scenario| counted(&scenario.rejected)),
        ("for review", |scenario| counted(&scenario.reviewed)),
        ("FNMR", |scenario| counted(&scenario.fnmr)),
        ("FMR", |scenario| counted(&scenario.fmr)),
    ]);
    text += &section("scenarios (errors of what passes)", &scenarios);
    text += &section("causes", &groups("cause", &report.causes));
    if !report.sources.is_empty() {
        text += &section("sources", &groups("source", &report.sources));
    }
    text
}

fn section(title: &str, table: &str) -> String {
    format!("\n\n{title}\n{table}")
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or("–".to_owned(), |value| value.to_string())
}

/// FNMR where the `place`-th share of the captures is left out.
fn fnmr_after(signal: &SignalFigures, place: usize) -> String {
    percent(signal.fnmr_after.get(place).and_then(|point| point.fnmr))
}

/// Both kinds of comparison by similarity, each as a row of blocks whose highest is full.
fn histogram(histogram: &Histogram) -> String {
    let mut shown = histogram.genuine.iter().zip(&histogram.impostor);
    let first = shown.position(|(one, other)| one + other > 0).unwrap_or(0);
    let row = |counts: &[usize]| {
        let counts: Vec<u64> = counts[first..].iter().map(|&count| count as u64).collect();
        sparkline::counts(&counts, ' ').trim_end().to_owned()
    };
    format!(
        "\n\nsimilarities from {:.2} to 1\ngenuine   {}\nimpostor  {}",
        histogram.from + first as f32 * histogram.width,
        row(&histogram.genuine),
        row(&histogram.impostor)
    )
}

fn groups(what: &'static str, groups: &[PhotoGroup]) -> String {
    Rows(groups).table(&[
        (what, |group| group.name.clone()),
        ("captures", |group| group.captures.to_string()),
        ("no face", |group| or_dash(group.failures_to_acquire)),
        ("score", |group| format!("{:.2}", group.score)),
        ("reached", |group| number(group.reached)),
        ("passes", |group| counted(&group.pass)),
        ("FNMR", |group| counted(&group.fnmr)),
    ])
}

/// The ISO table, with the score as a bar.
pub(super) fn sweep(steps: &[SweepStep], words: &str) -> String {
    let table = Rows(steps).table(&[
        ("ISO", |step| step.iso.to_string()),
        ("score", |step| mean(step.score)),
        ("grade", |step| or_dash(step.grade.map(Grade::name))),
        ("similarity", |step| range(step.similarity)),
        ("deviation", |step| deviation(step.similarity)),
        ("below .35", |step| share(&step.below_different)),
        ("no face", |step| share(&step.failures_to_acquire)),
        ("target", |step| {
            or_dash(step.design.map(|design| {
                let [low, high] = design.similarity;
                format!("{:.2} {low:.2}–{high:.2}", design.score)
            }))
        }),
        ("", |step| {
            let score = step.score.map_or(0.0, |score| score.mean.clamp(0.0, 1.0));
            "▇".repeat((score * BAR).round() as usize)
        }),
    ]);
    format!("{words}\n\n{table}")
}

pub(super) fn cases(cases: &[CaseFigures], words: &str) -> String {
    let table = Rows(cases).table(&[
        ("case", |case| case.story.to_owned()),
        ("photo", |case| case.file.clone()),
        ("score", |case| mean(case.score)),
        ("grade", |case| or_dash(case.grade.map(Grade::name))),
        ("action", |case| or_dash(case.action.map(Action::name))),
        ("cause", |case| or_dash(case.cause)),
        ("to clean", |case| range(case.similarity)),
        ("to reference", |case| range(case.similarity_to_reference)),
        ("no face", |case| share(&case.failures_to_acquire)),
        ("target", |case| format!("{:.2}", case.design_score)),
    ]);
    format!("{words}\n\n{table}")
}

fn share(rate: &Rate) -> String {
    or_dash(rate.rate.map(|_| format!("{}/{}", rate.errors, rate.of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_begins_where_something_is_and_its_highest_block_is_full() {
        let shown = histogram(&Histogram {
            from: -1.0,
            width: 0.5,
            genuine: vec![0, 0, 1, 16],
            impostor: vec![0, 8, 4, 0],
        });
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[2], "similarities from -0.50 to 1");
        assert_eq!(lines[3], "genuine    ▁█");
        assert_eq!(lines[4], "impostor  █▄");
    }
}
