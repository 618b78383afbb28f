//! The evaluation of a folder as a page for readers without knowledge of biometrics.

use maud::{Markup, html};

use faceood_report::html::plot::{Axis, Chart, Mark, NARROW, Series, WIDE};
use faceood_report::html::{card, table};
use faceood_report::plural;

use super::{counted, decimals, number, page, percent, series, with_interval};
use crate::evaluation::calibration_error::ReliabilityBin;
use crate::evaluation::report::{
    AtThreshold, FolderReport, PhotoGroup, ReliabilityFigures, ThresholdFrom,
};
use crate::evaluation::signals::SignalFigures;
use faceood_engine::quality::Grade;

/// The page.
pub fn html(report: &FolderReport) -> String {
    let body = html! {
        (head(report))
        (cards(report))
        h2 { "Does it tell people apart?" }
        p { "Each pair of photos has a similarity from −1 to 1. Pairs of one person should lie to the right, pairs of different people \
             to the left; what overlaps is where it errs." }
        (histogram(report))
        (error_table(report))
        (det(report))
        h2 { "Does the score know which photos will fail?" }
        (edc_words(report))
        @if fnmr_after(report, 0.0) > Some(0.0) { (edc(report)) }
        (signal_table(report))
        h2 { "Does the score mean what it says?" }
        p { "Photos are put into groups by what was predicted; on the dashed line exactly that came true. Above it the product is too \
             modest, below it too bold." }
        (reliability(report))
        h2 { "What would each scenario have refused?" }
        p { "Failures and false matches are those of what passes: pairs neither of whose photos is refused." }
        (scenarios(report))
        h2 { "What pulls scores down?" }
        (groups("cause", &report.causes))
        @if !report.sources.is_empty() {
            h2 { "By terminal or camera" }
            (groups("source", &report.sources))
        }
        (left_out(report))
        (words())
    };
    page("How good is face recognition on these photos?", &body)
}

fn head(report: &FolderReport) -> Markup {
    let (data, model) = (&report.data, &report.model);
    html! {
        p class="quiet" {
            (plural(data.persons, "person", "persons")) ", " (plural(data.pictures, "picture", "pictures")) ", "
            (plural(data.genuine, "comparison", "comparisons")) " of one person, "
            (data.impostor) " of different people"
            @if data.impostor < data.impostor_possible { " (of " (data.impostor_possible) " possible, evenly drawn)" }
            ". Model pack " (model.pack) " " (model.version) " (" (model.sha256.get(..12).unwrap_or_default()) ") on "
            (model.provider) ", calibration " (model.calibration_id) "."
        }
    }
}

fn cards(report: &FolderReport) -> Markup {
    let at = |name: &str| report.error_rates.iter().find(|rates| rates.name == name);
    html! {
        div class="cards" {
            @if let Some(same) = at("same") {
                (card(
                    &percent(same.fnmr.rate.map(|rate| 1.0 - rate)),
                    "of the pairs of one person are recognised",
                    &format!(
                        "similarity {:.2} or more, {}",
                        same.threshold,
                        plural(same.fnmr.of, "pair", "pairs"),
                    ),
                ))
                (card(
                    &percent(same.fmr.rate),
                    "of the pairs of different people are mistaken",
                    &format!(
                        "{} of {}, before any refusal",
                        same.fmr.errors,
                        plural(same.fmr.of, "pair", "pairs"),
                    ),
                ))
            }
            (card(
                &percent(report.data.failures_to_acquire.rate),
                "of the pictures show no face",
                &format!("{} of {}", report.data.failures_to_acquire.errors, report.data.failures_to_acquire.of),
            ))
            @if let Some(ours) = report.signals.first() {
                (card(
                    &number(ours.auroc),
                    "chance that a usable photo scores above an unusable one",
                    "1 is always, 0.5 is a coin (AUROC)",
                ))
            }
            (card(
                &number(report.calibration.score.ece),
                "mean gap between score and truth",
                "on the score's scale of 0 to 1 (ECE)",
            ))
        }
    }
}

fn histogram(report: &FolderReport) -> Markup {
    let histogram = &report.histogram;
    let shares = |counts: &[usize]| -> Vec<[f64; 2]> {
        let all = counts.iter().sum::<usize>().max(1) as f64;
        let left = |bin: usize| histogram.from + bin as f32 * histogram.width;
        let share = |(bin, &count): (usize, &usize)| [left(bin).into(), count as f64 / all];
        counts.iter().enumerate().map(share).collect()
    };
    let bars = Mark::Bars(histogram.width.into());
    let series = vec![
        series("one person", bars, shares(&histogram.genuine)),
        series("different people", bars, shares(&histogram.impostor)),
    ];
    let points = || {
        let points = series.iter().flat_map(|series| &series.points);
        points.filter(|point| point[1] > 0.0)
    };
    let (same, different) = (report.thresholds.same, report.thresholds.different);
    let lowest = points().map(|point| point[0]).fold(0.0, f64::min);
    let highest = points().map(|point| point[1]).fold(0.0, f64::max);
    Chart {
        width: WIDE,
        title: "Similarities of pairs of one person and of different people",
        x: Axis::linear("similarity", (10.0 * lowest).floor() / 10.0, 1.0),
        y: Axis::linear("share of pairs", 0.0, 1.05 * highest).in_percent(),
        series,
        marks: vec![
            (different.into(), "different below".to_owned()),
            (same.into(), "same from here".to_owned()),
        ],
        has_diagonal: false,
    }
    .markup()
}

fn error_table(report: &FolderReport) -> Markup {
    let row = |rates: &AtThreshold| {
        let interval = rates.fnmr_interval;
        let interval = interval.map(|ends| ends.map(|end| percent(Some(end))).join("–"));
        let name = match rates.name {
            "fmr_1e3" => "one false match in 1,000 here",
            "fmr_1e4" => "one false match in 10,000 here",
            "same" => "the product's “same”",
            "different" => "the product's “different”",
            other => other,
        };
        vec![
            name.to_owned(),
            format!("{:.3}", rates.threshold),
            counted(&rates.fnmr),
            interval.unwrap_or_default(),
            counted(&rates.fmr),
        ]
    };
    let head = [
        "threshold",
        "similarity",
        "FNMR: one person, missed",
        "95 % interval",
        "FMR: different people, matched",
    ];
    html! {
        (table(&head, report.error_rates.iter().map(row)))
        @for words in cut_words(report).into_iter().chain(foreseen_words(report)) {
            p class="quiet" { (words) }
        }
        @if let Some(equal) = &report.equal_error_rate {
            p class="quiet" {
                "Equal error rate: " (percent(Some(f64::midpoint(equal.fnmr, equal.fmr)))) " at similarity "
                (format!("{:.3}", equal.threshold)) "."
            }
        }
    }
}

/// How far the cut in force is from those that these photos ask for.
pub fn cut_words(report: &FolderReport) -> Option<String> {
    let same = report.thresholds.same;
    let asked = [
        ("1,000", report.thresholds.fmr_1e3),
        ("10,000", report.thresholds.fmr_1e4),
    ];
    let asked = asked.into_iter().filter_map(|(one_in, cut)| {
        let side = if cut? > same { "above" } else { "below" };
        let apart = (cut? - same).abs();
        Some(format!(
            "one false match in {one_in} at {:.3}, {apart:.3} {side} it",
            cut?
        ))
    });
    let asked: Vec<String> = asked.collect();
    (!asked.is_empty()).then(|| {
        let asked = asked.join("; ");
        format!("The cut in force is {same:.2}. These photos have {asked}.")
    })
}

/// How many of the pairs that fail the score saw coming.
pub fn foreseen_words(report: &FolderReport) -> Option<String> {
    let foreseen = &report.foreseen;
    (foreseen.misses.of > 0).then(|| {
        format!(
            "Of the pairs of one person below {:.2}, {} have a photo that scores under {:.2}; of all pairs of one person, {}.",
            report.thresholds.same,
            counted(&foreseen.misses),
            foreseen.score,
            counted(&foreseen.all)
        )
    })
}

fn det(report: &FolderReport) -> Markup {
    let least = |count: usize| 1.0 / count.max(10) as f64;
    let (x, y) = (least(report.data.impostor), least(report.data.genuine));
    // On a logarithmic scale 0 has no place: an error that never occurred is left out.
    let points: Vec<[f64; 2]> = report
        .det
        .iter()
        .filter(|point| point.fmr > 0.0 && point.fnmr > 0.0)
        .map(|point| [point.fmr, point.fnmr])
        .collect();
    html! {
        @if points.is_empty() {
            p { "Some threshold tells all of these pairs apart: there is no trade between the errors to be drawn." }
        } @else {
            p { "A stricter threshold trades one error for the other (DET curve); further down and to the left is better." }
            (Chart {
                width: WIDE,
                title: "False non-match rate against false match rate",
                x: Axis::logarithmic("FMR: different people, matched", x, 1.0).in_percent(),
                y: Axis::logarithmic("FNMR: one person, missed", y, 1.0).in_percent(),
                series: vec![series("", Mark::Line, points)],
                marks: Vec::new(),
                has_diagonal: false,
            }.markup())
        }
    }
}

/// FNMR once this share of the pairs, those of lowest score, is dropped.
fn fnmr_after(report: &FolderReport, dropped: f64) -> Option<f64> {
    let mut points = report.signals.first()?.fnmr_after.iter();
    points.find(|point| point.dropped == dropped)?.fnmr
}

fn edc_words(report: &FolderReport) -> Markup {
    let from = match report.thresholds.edc_from {
        ThresholdFrom::Fmr1e3 => "where one in 1,000 pairs of different people would match here",
        ThresholdFrom::Pack => {
            "the product's own, since there are too few pairs of different people to set it by"
        }
        ThresholdFrom::Option => "as asked for",
    };
    html! {
        p {
            "If the pairs with the lowest score are dropped first, how many of the rest still fail? "
            @match (fnmr_after(report, 0.0), fnmr_after(report, 0.2)) {
                (Some(before), Some(rest)) if before > 0.0 => {
                    "On these photos " (percent(Some(before))) " fail; without the lowest-scoring fifth, " (percent(Some(rest)))
                    ". A good score falls steeply; a useless one stays level."
                }
                _ => {
                    "On these photos no pair fails, so that no score can show what it is worth: evaluate on pictures as difficult as \
                     those of your cameras."
                }
            }
        }
        p class="quiet" {
            "A pair fails below similarity " (format!("{:.3}", report.thresholds.edc)) ", " (from)
            ". A pair's quality is the lower of its two photos'."
        }
    }
}

fn edc(report: &FolderReport) -> Markup {
    let line = |signal: &SignalFigures| {
        let label = title(&signal.name);
        series(label, Mark::Line, signal.edc.clone())
    };
    let series: Vec<Series> = report.signals.iter().map(line).collect();
    let points = series.iter().flat_map(|series| &series.points);
    let highest = points.map(|point| point[1]).fold(0.0, f64::max);
    Chart {
        width: WIDE,
        title: "Failures that remain as the worst pairs are dropped",
        x: Axis::linear("pairs dropped, lowest quality first", 0.0, 0.5).in_percent(),
        y: Axis::linear("of the rest, fail (FNMR)", 0.0, 1.05 * highest).in_percent(),
        series,
        marks: Vec::new(),
        has_diagonal: false,
    }
    .markup()
}

fn signal_table(report: &FolderReport) -> Markup {
    let row = |signal: &SignalFigures| {
        let (area, interval) = (
            signal.edc_relative_area_50,
            signal.edc_relative_area_50_interval,
        );
        let mut cells = vec![
            title(&signal.name).to_owned(),
            signal.captures.to_string(),
            with_interval(signal.auroc, signal.auroc_interval),
            with_interval(area, interval),
            decimals(signal.edc_area_20, 5),
        ];
        let after = signal.fnmr_after.iter().skip(1);
        cells.extend(after.map(|point| percent(point.fnmr)));
        cells
    };
    let head = [
        "photos ordered by",
        "photos",
        "AUROC (1 best)",
        "area to 50 %: 0 perfect, 1 random",
        "area to 20 %",
        "FNMR without 1 %",
        "5 %",
        "20 %",
    ];
    table(&head, report.signals.iter().map(row))
}

/// What a signal is called on the page; a rival keeps its file's name.
fn title(name: &str) -> &str {
    match name {
        "quality_score" => "our quality score",
        "embedding_norm" => "embedding norm",
        "detection_score" => "detector's score",
        "laplacian_sharpness" => "sharpness (Laplacian)",
        other => other,
    }
}

fn reliability(report: &FolderReport) -> Markup {
    let chart = |title: &'static str, x: &'static str, y: &'static str, bins: &[ReliabilityBin]| {
        let points = bins.iter().map(|bin| [bin.predicted, bin.observed]);
        Chart {
            width: NARROW,
            title,
            x: Axis::linear(x, 0.0, 1.0),
            y: Axis::linear(y, 0.0, 1.0),
            series: vec![series("", Mark::Dots, points.collect())],
            marks: Vec::new(),
            has_diagonal: true,
        }
        .markup()
    };
    let words = |calibrated: &ReliabilityFigures| {
        format!(
            "mean gap (ECE) {} over {} of {}",
            with_interval(calibrated.ece, calibrated.ece_interval),
            plural(calibrated.reliability.len(), "group", "groups"),
            plural(calibrated.captures, "photo", "photos"),
        )
    };
    let (score, pass) = (
        &report.calibration.score,
        &report.calibration.pass_probability,
    );
    html! {
        div class="two" {
            div {
                (chart("Score against what was reached", "quality score", "similarity reached, as a score", &score.reliability))
                p class="quiet" { "Score: " (words(score)) "." }
            }
            div {
                (chart("Pass probability against what passed", "pass probability", "share that passed", &pass.reliability))
                p class="quiet" { "Pass probability: " (words(pass)) "." }
            }
        }
    }
}

fn scenarios(report: &FolderReport) -> Markup {
    let rows = report.scenarios.iter().map(|scenario| {
        vec![
            scenario.name.clone(),
            counted(&scenario.rejected),
            counted(&scenario.reviewed),
            counted(&scenario.fnmr),
            counted(&scenario.fmr),
        ]
    });
    table(
        &[
            "scenario",
            "photos refused",
            "for a person to look at",
            "of what passes, missed (FNMR)",
            "mistaken (FMR)",
        ],
        rows,
    )
}

fn groups(what: &str, groups: &[PhotoGroup]) -> Markup {
    let mut failures = groups.iter().map(|group| group.failures_to_acquire);
    let counts_failures = failures.any(|count| count.is_some());
    let mut head = vec![what, "photos"];
    if counts_failures {
        head.push("without a face");
    }
    head.extend([
        "mean score",
        "grade",
        "reached",
        "share that passes",
        "missed (FNMR)",
    ]);
    let rows = groups.iter().map(|group| {
        let mut cells = vec![group.name.replace('_', " "), group.captures.to_string()];
        if counts_failures {
            cells.push(group.failures_to_acquire.unwrap_or(0).to_string());
        }
        cells.extend([
            format!("{:.2}", group.score),
            Grade::of(group.score as f32).name().to_owned(),
            decimals(group.reached, 2),
            counted(&group.pass),
            counted(&group.fnmr),
        ]);
        cells
    });
    table(&head, rows)
}

fn left_out(report: &FolderReport) -> Markup {
    let data = &report.data;
    html! {
        @if !data.skipped.is_empty() || !data.without_face.is_empty() {
            h2 { "Left out" }
            p { "Pictures without a face count as failures to acquire; files that cannot be read count nowhere." }
            (table(
                &["file", "why"],
                data.without_face
                    .iter()
                    .map(|file| vec![file.clone(), "no face found".to_owned()])
                    .chain(data.skipped.iter().map(|skipped| vec![skipped.file.clone(), skipped.reason.clone()])),
            ))
        }
    }
}

fn words() -> Markup {
    html! {
        h2 { "How it was counted" }
        p class="quiet" {
            "Every two photos of one folder count as one person's (genuine), every two of different folders as different people's \
             (impostor): a photo in the wrong folder counts as an error. What a photo reaches is the mean of its three best \
             similarities to the person's other photos; it passes from the cut of the \
             calibration (.45, unless that carries cuts of its own). Intervals hold 95 of 100 repetitions in which whole \
             persons are drawn again; where no pair of one person fails, or every one, that of the FNMR comes from the number of \
             persons (Clopper and Pearson). Covered faces are scored below .40 on purpose, even where they would match. Figures on \
             photos that the model pack was trained on are too good."
        }
    }
}
