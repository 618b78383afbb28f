//! The map of embeddings: a dot for each capture, coloured by person, larger with a better
//! score, fainter with more noise.

use maud::html;
use serde::Serialize;

use faceood_report::html::{figure, jpeg_address, round, table};

use super::percent;
use crate::evaluation::error_rates::Rate;

/// Side of the square that is drawn.
const SIDE: f32 = 900.0;
const MARGIN: f32 = 24.0;
/// Radius of a dot with score 0, and of one with score 1.
const RADIUS: [f32; 2] = [2.0, 8.0];
/// Side of the picture of a face, and how far from its dot it is shown.
const PICTURE: u32 = 160;
const GAP: f64 = 14.0;
/// A picture appears beside the dot at which somebody points, and the other dots fade, since those
/// that are drawn later would cover it.
const STYLE: &str = "\
.dot use { display: none; pointer-events: none; }
.dot:hover use { display: inline; }
svg:has(.dot:hover) .dot:not(:hover) { opacity: .12; }
";
/// Turn of the colour circle from one person to the next. The golden angle keeps neighbours in the
/// list apart.
const TURN: f32 = 137.508;

/// One capture.
#[derive(Clone, Debug)]
pub struct Dot {
    /// The place in the plane, in any unit.
    pub at: [f32; 2],
    /// Index of the person.
    pub person: usize,
    /// The tooltip: person, file, noise.
    pub label: String,
    /// Quality score.
    pub score: f32,
    /// 0 for a clean photo, 1 for the noisiest.
    pub fade: f32,
    /// Which of the pictures is shown when somebody points at it.
    pub picture: Option<usize>,
}

/// How many captures at one noise lie nearest to another person's clean photo.
#[derive(Clone, Debug, Serialize)]
pub struct NoiseStep {
    /// The noise.
    pub name: String,
    /// Those captures out of all.
    #[serde(rename = "astray")]
    pub misplaced: Rate,
}

/// The page. `pictures` are JPEGs of the photos' faces; `words` say what was drawn and how.
pub fn html(dots: &[Dot], pictures: &[Vec<u8>], together: &[NoiseStep], words: &str) -> String {
    let axis = |axis: usize| dots.iter().map(move |dot| dot.at[axis]);
    let low = [0, 1].map(|side| axis(side).fold(f32::INFINITY, f32::min));
    let high = [0, 1].map(|side| axis(side).fold(f32::NEG_INFINITY, f32::max));
    let [width, height] = [0, 1].map(|side| high[side] - low[side]);
    let extent = width.max(height).max(f32::MIN_POSITIVE);
    let place = |dot: &Dot, side: usize| {
        let middle = f32::midpoint(low[side], high[side]);
        let place = SIDE / 2.0 + (dot.at[side] - middle) / extent * (SIDE - 2.0 * MARGIN);
        round(f64::from(place))
    };
    let rows = together.iter().map(|step| {
        let kept = Rate::new(step.misplaced.of - step.misplaced.errors, step.misplaced.of);
        vec![
            step.name.clone(),
            percent(kept.rate),
            step.misplaced.errors.to_string(),
            step.misplaced.of.to_string(),
        ]
    });
    // Inside the square, whichever edge the dot is at.
    let beside = |dot: &Dot, side: usize| {
        let [dot, shown] = [place(dot, side), f64::from(PICTURE)];
        let free = f64::from(SIDE) - shown;
        let beside = if dot > free - GAP {
            dot - GAP - shown
        } else {
            dot + GAP
        };
        round(beside.clamp(0.0, free))
    };
    let drawing = html! {
        defs {
            @for (number, picture) in pictures.iter().enumerate() {
                image id={ "f" (number) } width=(PICTURE) height=(PICTURE) href=(jpeg_address(picture)) {}
            }
        }
        @for dot in dots {
            @let hue = (dot.person as f32 * TURN) % 360.0;
            @let radius = RADIUS[0] + dot.score.clamp(0.0, 1.0) * (RADIUS[1] - RADIUS[0]);
            g class="dot" {
                circle class="person" cx=(place(dot, 0)) cy=(place(dot, 1)) r=(round(f64::from(radius)))
                    fill={ "hsl(" (round(f64::from(hue))) " 65% 50%)" } fill-opacity=(round(f64::from(0.9 - 0.6 * dot.fade))) {
                    title { (dot.label) }
                }
                @if let Some(picture) = dot.picture {
                    use href={ "#f" (picture) } x=(beside(dot, 0)) y=(beside(dot, 1)) {}
                }
            }
        }
    };
    let body = html! {
        p { "Each dot is one picture of a face, each colour one person. Dots of one colour that lie together are pictures that the \
             recogniser takes for one person; the noisier a picture, the fainter its dot, and the lower its score, the smaller." }
        p class="quiet" { (words) }
        (figure([0.0, 0.0, f64::from(SIDE), f64::from(SIDE)], "Embeddings in the plane", &drawing, &html! {}))
        h2 { "Do they stay together as noise rises?" }
        p { "Counted with all 512 numbers, not in the picture: whether a picture's nearest clean photo, its own original apart, is of \
             the same person." }
        (table(&["noise", "stay with their person", "misplaced", "of"], rows))
    };
    faceood_report::html::page("A map of faces", "en", STYLE, &body)
}
