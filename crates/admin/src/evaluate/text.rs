//! Evaluations as text for a terminal.

use std::borrow::Cow;

use crate::output;
use faceood_lab::evaluation::error_rates::{Histogram, Rate};
use faceood_lab::evaluation::render::{
    counted, deviation, mean, number, percent, range, with_interval,
};
use faceood_lab::evaluation::report::{FolderReport, PhotoGroup, ThresholdFrom};
use faceood_lab::evaluation::scenarios::CaseFigures;
use faceood_lab::evaluation::sweep::SweepStep;
use faceood_report::sparkline;

/// Columns of a bar that stands for 1.
const BAR: f64 = 40.0;

fn section<'a>(
    title: &str,
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<Cow<'a, str>>>,
) -> String {
    format!("\n\n{title}\n{}", output::table(head, rows))
}

pub(super) fn report(report: &FolderReport) -> String {
    let data = &report.data;
    let mut text = format!(
        "{} persons, {} pictures, {} with a face; no face in {}; {} skipped\n{} genuine comparisons, {} impostor",
        data.persons,
        data.pictures,
        data.captures,
        counted(&data.failures_to_acquire),
        data.skipped.len(),
        data.genuine,
        data.impostor,
    );
    if data.impostor < data.impostor_possible {
        text += &format!(" (evenly drawn from {})", data.impostor_possible);
    }
    text += &histogram(&report.histogram);
    text += &section(
        "errors",
        &["threshold", "similarity", "FNMR", "95 %", "FMR"],
        report.error_rates.iter().map(|rates| {
            let interval = rates
                .fnmr_interval
                .map(|ends| ends.map(|end| percent(Some(end))).join(" – "));
            vec![
                rates.name.into(),
                format!("{:.3}", rates.threshold).into(),
                counted(&rates.fnmr).into(),
                interval.unwrap_or_default().into(),
                counted(&rates.fmr).into(),
            ]
        }),
    );
    if let Some(equal) = &report.equal_error_rate {
        let rate = percent(Some(f64::midpoint(equal.fnmr, equal.fmr)));
        text += &format!("\nequal error rate {rate} at {:.3}", equal.threshold);
    }
    let from = match report.thresholds.edc_from {
        ThresholdFrom::Fmr1e3 => "FMR 1e-3 on these photos",
        ThresholdFrom::Pack => "the pack's; too few impostor comparisons for FMR 1e-3",
        ThresholdFrom::Option => "as given",
    };
    text += &section(
        &format!(
            "what orders captures best (failures below {:.3}: {from})",
            report.thresholds.edc
        ),
        &[
            "signal",
            "AUROC",
            "EDC area to 50 %, 0 perfect 1 random",
            "to 20 %",
            "FNMR",
            "less 1 %",
            "5 %",
            "20 %",
        ],
        report.signals.iter().map(|signal| {
            let mut row: Vec<Cow<'_, str>> = vec![
                signal.name.as_str().into(),
                with_interval(signal.auroc, signal.auroc_interval).into(),
                with_interval(
                    signal.edc_relative_area_50,
                    signal.edc_relative_area_50_interval,
                )
                .into(),
                signal
                    .edc_area_20
                    .map_or("–".to_owned(), |area| format!("{area:.5}"))
                    .into(),
            ];
            row.extend(
                signal
                    .fnmr_after
                    .iter()
                    .map(|point| Cow::from(percent(point.fnmr))),
            );
            row
        }),
    );
    let fails = report
        .signals
        .iter()
        .filter_map(|signal| signal.fnmr_after.first()?.fnmr);
    if fails.fold(0.0, f64::max) == 0.0 {
        text += "\nno comparison fails at this threshold: these photos cannot show how well anything orders captures";
    }
    let calibrated = [
        ("score", &report.calibration.score),
        ("pass probability", &report.calibration.pass_probability),
    ];
    text += &section(
        "does it come true",
        &["prediction", "ECE", "bins", "captures"],
        calibrated.map(|(name, calibrated)| {
            vec![
                name.into(),
                with_interval(calibrated.ece, calibrated.ece_interval).into(),
                calibrated.reliability.len().to_string().into(),
                calibrated.captures.to_string().into(),
            ]
        }),
    );
    text += &section(
        "scenarios (errors of what passes)",
        &["scenario", "rejected", "for review", "FNMR", "FMR"],
        report.scenarios.iter().map(|scenario| {
            let rates = [
                &scenario.rejected,
                &scenario.reviewed,
                &scenario.fnmr,
                &scenario.fmr,
            ];
            let mut row: Vec<Cow<'_, str>> = vec![scenario.name.as_str().into()];
            row.extend(rates.map(|rate| Cow::from(counted(rate))));
            row
        }),
    );
    text += &groups("causes", "cause", &report.causes);
    if !report.sources.is_empty() {
        text += &groups("sources", "source", &report.sources);
    }
    text
}

/// Both kinds of comparison by similarity, each as a row of blocks whose highest is full.
fn histogram(histogram: &Histogram) -> String {
    let shown = histogram.genuine.iter().zip(&histogram.impostor);
    let first = shown
        .clone()
        .position(|(one, other)| one + other > 0)
        .unwrap_or(0);
    let row = |counts: &[usize]| -> String {
        let counts: Vec<u64> = counts[first..].iter().map(|&count| count as u64).collect();
        sparkline::counts(&counts, ' ')
    };
    let from = histogram.from + first as f32 * histogram.width;
    format!(
        "\n\nsimilarities from {from:.2} to 1\ngenuine   {}\nimpostor  {}",
        row(&histogram.genuine).trim_end(),
        row(&histogram.impostor).trim_end()
    )
}

fn groups(title: &str, what: &str, groups: &[PhotoGroup]) -> String {
    let rows = groups.iter().map(|group| {
        let without = group
            .failures_to_acquire
            .map_or("–".to_owned(), |count| count.to_string());
        vec![
            group.name.as_str().into(),
            group.captures.to_string().into(),
            without.into(),
            format!("{:.2}", group.score).into(),
            number(group.reached).into(),
            counted(&group.pass).into(),
            counted(&group.fnmr).into(),
        ]
    });
    section(
        title,
        &[
            what, "captures", "no face", "score", "reached", "passes", "FNMR",
        ],
        rows,
    )
}

/// The ISO table, with the score as a bar.
pub(super) fn sweep(steps: &[SweepStep], words: &str) -> String {
    let rows = steps.iter().map(|step| {
        vec![
            step.iso.to_string().into(),
            mean(step.score).into(),
            step.grade.map_or("–", |grade| grade.name()).into(),
            range(step.similarity).into(),
            deviation(step.similarity).into(),
            share(&step.below_different).into(),
            share(&step.failures_to_acquire).into(),
            step.design
                .map_or("–".to_owned(), |design| {
                    let [low, high] = design.similarity;
                    format!("{:.2} {low:.2}–{high:.2}", design.score)
                })
                .into(),
            step.score
                .map_or(String::new(), |score| bar(score.mean))
                .into(),
        ]
    });
    let head = [
        "ISO",
        "score",
        "grade",
        "similarity",
        "deviation",
        "below .35",
        "no face",
        "design",
        "",
    ];
    format!("{words}\n\n{}", output::table(&head, rows))
}

pub(super) fn cases(cases: &[CaseFigures], words: &str) -> String {
    let rows = cases.iter().map(|figures| {
        vec![
            figures.story.into(),
            figures.file.as_str().into(),
            mean(figures.score).into(),
            figures.grade.map_or("–", |grade| grade.name()).into(),
            figures.action.map_or("–", |action| action.name()).into(),
            figures.cause.unwrap_or("–").into(),
            range(figures.similarity).into(),
            range(figures.similarity_to_reference).into(),
            share(&figures.failures_to_acquire).into(),
            format!("{:.2}", figures.design_score).into(),
        ]
    });
    let head = [
        "case",
        "photo",
        "score",
        "grade",
        "action",
        "cause",
        "to clean",
        "to reference",
        "no face",
        "design",
    ];
    format!("{words}\n\n{}", output::table(&head, rows))
}

fn share(rate: &Rate) -> String {
    rate.rate
        .map_or("–".to_owned(), |_| format!("{}/{}", rate.errors, rate.of))
}

fn bar(value: f64) -> String {
    "▇".repeat((value.clamp(0.0, 1.0) * BAR).round() as usize)
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
