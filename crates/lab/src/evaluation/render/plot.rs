//! Line, point and bar charts as inline SVG whose colours follow the page's light or dark style.

use std::fmt::Write as _;

use maud::{Markup, html};

/// Width of a chart that has the page to itself, and of one of two beside each other.
pub(super) const WIDE: f64 = 640.0;
pub(super) const NARROW: f64 = 430.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 50.0;
/// Classes of colours in the style sheet.
const COLOURS: usize = 8;
/// About so many lines of the grid.
const TICKS: f64 = 6.0;

/// One direction of a chart.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// What is shown, with its unit.
    pub(super) label: &'static str,
    /// The least value shown; above 0 on a logarithmic axis.
    pub(super) from: f64,
    /// The largest value shown.
    pub(super) to: f64,
    /// Powers of ten lie at equal distances.
    pub(super) is_logarithmic: bool,
    /// Shares are written in per cent.
    pub(super) is_share: bool,
    /// Where grid lines are; empty: at round numbers.
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// A linear axis.
    pub(super) fn linear(label: &'static str, from: f64, to: f64) -> Self {
        Self {
            label,
            from,
            // Nothing to show still needs an axis.
            to: if to > from { to } else { from + 1.0 },
            is_logarithmic: false,
            is_share: false,
            ticks: Vec::new(),
        }
    }

    /// A logarithmic one.
    pub(super) fn logarithmic(label: &'static str, from: f64, to: f64) -> Self {
        Self {
            is_logarithmic: true,
            to: to.max(10.0 * from),
            ..Self::linear(label, from, to)
        }
    }

    /// The same, written in per cent.
    pub(super) fn in_percent(self) -> Self {
        Self {
            is_share: true,
            ..self
        }
    }

    /// Where `value` lies, 0…1 and clipped to that.
    fn place(&self, value: f64) -> f64 {
        let place = if self.is_logarithmic {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        place.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if !self.ticks.is_empty() {
            return self.ticks.clone();
        }
        if self.is_logarithmic {
            let first = self.from.log10().ceil() as i32;
            let last = self.to.log10().floor() as i32;
            return (first..=last).map(|power| 10_f64.powi(power)).collect();
        }
        let rough = (self.to - self.from) / TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }

    fn write(&self, value: f64) -> String {
        let (value, unit) = if self.is_share {
            (100.0 * value, " %")
        } else {
            (value, "")
        };
        // Six digits are enough for any tick, and none is shown that is not needed.
        let digits = format!("{value:.6}");
        let short = digits.trim_end_matches('0').trim_end_matches('.');
        format!("{}{unit}", if short == "-0" { "0" } else { short })
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mark {
    /// Points joined by straight lines.
    Line,
    /// Points joined by lines, each with a dot.
    Dots,
    /// An area of bars as wide as this.
    Bars(f64),
}

/// One thing that is shown.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// For the legend.
    pub(super) label: String,
    /// How.
    pub(super) mark: Mark,
    /// In the axes' units; of a bar, its left edge and height.
    pub(super) points: Vec<[f64; 2]>,
}

/// A chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// [`WIDE`] or [`NARROW`].
    pub(super) width: f64,
    /// Said by a screen reader.
    pub(super) title: &'static str,
    /// To the right.
    pub(super) x: Axis,
    /// Upwards.
    pub(super) y: Axis,
    /// What is shown; the first gets the first colour.
    pub(super) series: Vec<Series>,
    /// Dashed upright lines with their names.
    pub(super) marks: Vec<(f64, String)>,
    /// Whether the diagonal is drawn, on which predictions come true.
    pub(super) has_diagonal: bool,
}

impl Chart {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (self.width - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    /// The chart with its legend.
    pub(super) fn markup(&self) -> Markup {
        let (right, bottom) = (self.width - RIGHT, HEIGHT - BOTTOM);
        html! {
            figure {
                svg viewBox={ "0 0 " (self.width) " " (HEIGHT) } role="img" aria-label=(self.title) {
                    @for tick in self.x.ticks() {
                        @let x = round(self.x(tick));
                        line class="grid" x1=(x) x2=(x) y1=(TOP) y2=(bottom) {}
                        text x=(x) y=(bottom + 18.0) text-anchor="middle" { (self.x.write(tick)) }
                    }
                    @for tick in self.y.ticks() {
                        @let y = round(self.y(tick));
                        line class="grid" x1=(LEFT) x2=(right) y1=(y) y2=(y) {}
                        text x=(LEFT - 8.0) y=(y + 4.0) text-anchor="end" { (self.y.write(tick)) }
                    }
                    @if self.has_diagonal {
                        line class="mark" x1=(LEFT) y1=(bottom) x2=(right) y2=(TOP) {}
                    }
                    @for (index, series) in self.series.iter().enumerate() {
                        (self.drawn(series, index % COLOURS))
                    }
                    @for (row, (value, name)) in self.marks.iter().enumerate() {
                        @let x = round(self.x(*value));
                        // Names of lines that lie close together stand one below the other.
                        line class="mark" x1=(x) x2=(x) y1=(TOP) y2=(bottom) {}
                        text x=(x + 5.0) y=(TOP + 14.0 + 16.0 * row as f64) { (name) }
                    }
                    rect class="frame" x=(LEFT) y=(TOP) width=(right - LEFT) height=(bottom - TOP) {}
                    text x=(f64::midpoint(LEFT, right)) y=(HEIGHT - 10.0) text-anchor="middle" { (self.x.label) }
                    text transform={ "translate(15 " (f64::midpoint(TOP, bottom)) ") rotate(-90)" } text-anchor="middle" {
                        (self.y.label)
                    }
                }
                @if self.series.len() > 1 {
                    div class="legend" {
                        @for (index, series) in self.series.iter().enumerate() {
                            span { i class={ "s" (index % COLOURS) } {} (series.label) }
                        }
                    }
                }
            }
        }
    }

    fn drawn(&self, series: &Series, colour: usize) -> Markup {
        let mut path = String::new();
        let mut to = |x: f64, y: f64| {
            // Writing into a string cannot fail.
            let _ = write!(path, "{},{} ", round(x), round(y));
        };
        if let Mark::Bars(width) = series.mark {
            for &[x, height] in &series.points {
                to(self.x(x), self.y(height));
                to(self.x(x + width), self.y(height));
            }
            let ends = (series.points.first(), series.points.last());
            if let (Some(first), Some(last)) = ends {
                to(self.x(last[0] + width), self.y(self.y.from));
                to(self.x(first[0]), self.y(self.y.from));
            }
            return html! { polygon class={ "bars s" (colour) } points=(path.trim_end()) {} };
        }
        for &[x, y] in &series.points {
            to(self.x(x), self.y(y));
        }
        html! {
            polyline class={ "path s" (colour) } points=(path.trim_end()) {}
            @if series.mark == Mark::Dots {
                @for &[x, y] in &series.points {
                    circle class={ "s" (colour) } cx=(round(self.x(x))) cy=(round(self.y(y))) r="4" {}
                }
            }
        }
    }
}

/// A tenth of a pixel is fine enough, and keeps the file small.
pub(super) fn round(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_axis() {
        assert_eq!(
            Axis::linear("", 0.0, 1.0).ticks(),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(Axis::linear("", 0.0, 0.03).ticks().len(), 7);
        assert_eq!(
            Axis::logarithmic("", 1e-4, 1.0).ticks(),
            [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
        );
        let share = Axis::linear("", 0.0, 0.5).in_percent();
        assert_eq!(share.write(0.05), "5 %");
        assert_eq!(share.write(0.0005), "0.05 %");
        assert_eq!(Axis::linear("", -1.0, 1.0).write(-0.0), "0");
    }

    #[test]
    fn places_are_linear_or_logarithmic_and_clipped() {
        let linear = Axis::linear("", -1.0, 1.0);
        assert_eq!(
            [-2.0, -1.0, 0.0, 1.0, 2.0].map(|x| linear.place(x)),
            [0.0, 0.0, 0.5, 1.0, 1.0]
        );
        let logarithmic = Axis::logarithmic("", 0.01, 1.0);
        assert!((logarithmic.place(0.1) - 0.5).abs() < 1e-12);
        assert_eq!(logarithmic.place(0.0), 0.0);
    }
}
