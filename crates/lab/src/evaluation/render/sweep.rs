//! The ISO table and the field cases as a page.

use maud::{Markup, html};

use faceood_report::html::plot::{Axis, Chart, Mark, WIDE};
use faceood_report::html::{jpeg_address, table};

use super::{deviation, mean, page, range, series};
use crate::evaluation::error_rates::Rate;
use crate::evaluation::scenarios::{CASES, CaseFigures};
use crate::evaluation::sweep::{ShotSpread, SweepStep};
use faceood_engine::policy::Action;
use faceood_engine::quality::Grade;

/// The page of an ISO sweep. `words` say what was shot and what it was compared with; `clean` is the
/// photo without noise.
pub fn html_of_sweep(steps: &[SweepStep], clean: &[u8], words: &str) -> String {
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
        "target: score, similarity",
    ];
    let names: Vec<String> = steps
        .iter()
        .map(|step| format!("ISO {}", step.iso))
        .collect();
    let body = html! {
        p { "One photo gets noisier, as a camera's picture does in the dark. The score should fall together with the similarity: it \
             says beforehand what the comparison will be worth." }
        p class="quiet" { (words) }
        (shots(std::iter::once(Shot { picture: clean, name: CLEAN, score: None, grade: None, similarity: None }).chain(
            names.iter().zip(steps).map(|(name, step)| Shot {
                picture: &step.picture, name: name.as_str(), score: step.score, grade: step.grade, similarity: step.similarity,
            }))))
        (chart(steps))
        (table(&head, rows))
        p class="quiet" { "The target is the design's. The scatter is the standard deviation between shots of one photo." }
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
            line("target score", |step| Some(step.design?.score)),
        ],
        marks: Vec::new(),
        has_diagonal: false,
    }
    .markup()
}

/// The page of the field cases. `clean` are the photos that they were made from; `words` as above.
pub fn html_of_cases(cases: &[CaseFigures], clean: &[Vec<u8>], words: &str) -> String {
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
        "target score",
    ];
    let body = html! {
        p { "Three pictures as they come from the field, made from a clean photo, and what the product says of them." }
        p class="quiet" { (words) }
        @for (photo, cases) in clean.iter().zip(cases.chunks(CASES)).take(PHOTOS) {
            (shots(std::iter::once(Shot { picture: photo, name: CLEAN, score: None, grade: None, similarity: None }).chain(
                cases.iter().map(|case| Shot {
                    picture: &case.picture, name: case.story, score: case.score, grade: case.grade, similarity: case.similarity,
                }))))
        }
        (table(&head, rows))
        p class="quiet" { "The target is the design's." }
    };
    page("Three field cases", &body)
}

/// What the picture without any fault is called.
const CLEAN: &str = "clean photo";

/// Photos whose cases are shown; the table has all of them.
const PHOTOS: usize = 4;

/// A picture with what was measured on such pictures.
struct Shot<'a> {
    /// JPEG.
    picture: &'a [u8],
    name: &'a str,
    score: Option<ShotSpread>,
    grade: Option<Grade>,
    similarity: Option<ShotSpread>,
}

/// Pictures side by side, with score, grade and similarity below.
fn shots<'a>(shots: impl Iterator<Item = Shot<'a>>) -> Markup {
    html! {
        div class="shots" {
            @for shot in shots {
                figure {
                    img width="240" height="240" alt={ "The face: " (shot.name) } src=(jpeg_address(shot.picture));
                    figcaption {
                        strong { (shot.name) }
                        @if let Some(score) = shot.score {
                            div { "score " (mean(Some(score))) @if let Some(grade) = shot.grade { ", " (grade.name()) } }
                        }
                        @if let Some(similarity) = shot.similarity { div { "similarity " (mean(Some(similarity))) } }
                        @if shot.score.is_none() && shot.name != CLEAN { div { "no face found" } }
                    }
                }
            }
        }
    }
}

fn count(rate: &Rate) -> String {
    format!("{} of {}", rate.errors, rate.of)
}
