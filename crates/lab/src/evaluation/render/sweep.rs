//! The ISO table and the field cases as a page.

use maud::{Markup, html};

use faceood_report::html::plot::{Axis, Chart, Mark, WIDE};
use faceood_report::html::table;

use super::{deviation, mean, page, range, series};
use crate::evaluation::error_rates::Rate;
use crate::evaluation::scenarios::CaseFigures;
use crate::evaluation::sweep::SweepStep;
use faceood_engine::policy::Action;
use faceood_engine::quality::Grade;

/// The page of an ISO sweep. `words` say what was shot and what it was compared with.
pub fn html_of_sweep(steps: &[SweepStep], words: &str) -> String {
    let rows = steps.iter().map(|step| {
        vec![
            format!("ISO {}", step.iso),
            mean(step.score),
            step.grade.map_or("–", Grade::name).to_owned(),
            range(step.similarity),
            deviation(step.similarity),
            count(&step.below_different),
            count(&step.failures_to_acquire),
            step.design.map_or("–".to_owned(), |design| {
                let [low, high] = design.similarity;
                format!("{:.2}, {low:.2}–{high:.2}", design.score)
            }),
        ]
    });
    let head = [
        "noise",
        "mean score",
        "grade",
        "similarity",
        "its scatter",
        "not recognised (below .35)",
        "no face",
        "design: score, similarity",
    ];
    let body = html! {
        p { "One photo gets noisier, as a camera's picture does in the dark. The score should fall together with the similarity: it \
             says beforehand what the comparison will be worth." }
        p class="quiet" { (words) }
        (chart(steps))
        (table(&head, rows))
        p class="quiet" { "The scatter is the standard deviation between shots of one photo." }
    };
    page("What does noise do to recognition?", &body)
}

fn chart(steps: &[SweepStep]) -> Markup {
    let line = |label: &str, value: fn(&SweepStep) -> Option<f64>| {
        let point = |step: &SweepStep| Some([step.iso.into(), value(step)?]);
        let points = steps.iter().filter_map(point);
        series(label, Mark::Dots, points.collect())
    };
    let isos = || steps.iter().map(|step| f64::from(step.iso));
    let lowest = isos().fold(f64::INFINITY, f64::min);
    let highest = isos().fold(1.0, f64::max);
    Chart {
        width: WIDE,
        title: "Score and similarity against the ISO number",
        x: Axis {
            ticks: isos().collect(),
            ..Axis::logarithmic("ISO number", lowest.min(highest), highest)
        },
        y: Axis::linear("0 to 1", 0.0, 1.0),
        series: vec![
            line("quality score", |step| Some(step.score?.mean)),
            line("similarity", |step| Some(step.similarity?.mean)),
            line("quality score in the design", |step| {
                Some(step.design?.score)
            }),
        ],
        marks: Vec::new(),
        has_diagonal: false,
    }
    .markup()
}

/// The page of the field cases. `words` as above.
pub fn html_of_cases(cases: &[CaseFigures], words: &str) -> String {
    let rows = cases.iter().map(|figures| {
        vec![
            figures.story.to_owned(),
            figures.file.clone(),
            mean(figures.score),
            figures.grade.map_or("–", Grade::name).to_owned(),
            figures.action.map_or("–", Action::name).to_owned(),
            figures.cause.unwrap_or("–").replace('_', " "),
            range(figures.similarity),
            range(figures.similarity_to_reference),
            count(&figures.failures_to_acquire),
            format!("{:.2}", figures.design_score),
        ]
    });
    let head = [
        "case",
        "photo",
        "mean score",
        "grade",
        "decision",
        "main cause",
        "similarity to the clean photo",
        "to the reference",
        "no face",
        "score in the design",
    ];
    let body = html! {
        p { "Three pictures as they come from the field, made from a clean photo, and what the product says of them." }
        p class="quiet" { (words) }
        (table(&head, rows))
    };
    page("Three field cases", &body)
}

fn count(rate: &Rate) -> String {
    format!("{} of {}", rate.errors, rate.of)
}
