//! Line, point and bar charts as inline SVG whose colours follow the page's light or dark style.

use maud::{Markup, html};

use super::{figure, points, round};

/// Width of a chart that has the page to itself, in pixels.
pub const WIDE: f64 = 640.0;
/// Width of one of two charts side by side, in pixels.
pub const NARROW: f64 = 430.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 50.0;
/// Number of colours in the style sheet: the classes s0 to s7.
const COLOURS: usize = 8;
/// Target number of grid lines.
const TICKS: f64 = 6.0;

/// One axis of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Quantity and unit.
    pub label: &'static str,
    /// The least value shown; above 0 on a logarithmic axis.
    pub from: f64,
    /// The largest value shown.
    pub to: f64,
    /// Whether powers of ten lie at equal distances.
    pub is_logarithmic: bool,
    /// Whether values are shares, and are written in per cent.
    pub is_share: bool,
    /// Where the grid lines are; if empty, at round numbers.
    pub ticks: Vec<f64>,
}

impl Axis {
    /// A linear axis; an empty range becomes one of length 1.
    pub fn linear(label: &'static str, from: f64, to: f64) -> Self {
        Self {
            label,
            from,
            to: if to > from { to } else { from + 1.0 },
            is_logarithmic: false,
            is_share: false,
            ticks: Vec::new(),
        }
    }

    /// A logarithmic axis of at least one decade; `from` must be above 0.
    pub fn logarithmic(label: &'static str, from: f64, to: f64) -> Self {
        Self {
            is_logarithmic: true,
            to: to.max(10.0 * from),
            ..Self::linear(label, from, to)
        }
    }

    /// The same axis with its values written in per cent.
    pub fn in_percent(self) -> Self {
        Self {
            is_share: true,
            ..self
        }
    }

    /// Where `value` lies along the axis, 0…1; values beyond the ends are clipped.
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
pub enum Mark {
    /// Points joined by straight lines.
    Line,
    /// Points joined by lines, each with a dot.
    Dots,
    /// Adjoining bars of this width, in units of the x axis.
    Bars(f64),
}

/// Values that share a colour and a line of the legend.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub label: String,
    /// How it is drawn.
    pub mark: Mark,
    /// x and y in the axes' units; for a bar, its left edge and its height.
    pub points: Vec<[f64; 2]>,
}

/// A chart with two axes.
pub struct Chart {
    /// [`WIDE`] or [`NARROW`].
    pub width: f64,
    /// Text for screen readers.
    pub title: &'static str,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The order gives the colours.
    pub series: Vec<Series>,
    /// Dashed vertical lines: their places on the x axis, and their names.
    pub marks: Vec<(f64, String)>,
    /// Whether to draw the diagonal. On it the predictions of a reliability diagram are right.
    pub has_diagonal: bool,
}

impl Chart {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (self.width - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    /// The chart with its legend.
    pub fn markup(&self) -> Markup {
        let (right, bottom) = (self.width - RIGHT, HEIGHT - BOTTOM);
        let drawing = html! {
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
        };
        let legend = html! {
            @if self.series.len() > 1 {
                div class="legend" {
                    @for (index, series) in self.series.iter().enumerate() {
                        span { i class={ "s" (index % COLOURS) } {} (series.label) }
                    }
                }
            }
        };
        figure(
            [0.0, 0.0, self.width, HEIGHT],
            self.title,
            &drawing,
            &legend,
        )
    }

    fn drawn(&self, series: &Series, colour: usize) -> Markup {
        let at = |[x, y]: [f64; 2]| [self.x(x), self.y(y)];
        let given = &series.points;
        if let Mark::Bars(width) = series.mark {
            let tops = given
                .iter()
                .flat_map(|&[x, height]| [[x, height], [x + width, height]]);
            let floor = self.y.from;
            let ends = given.first().zip(given.last());
            let feet = ends.map(|(first, last)| [[last[0] + width, floor], [first[0], floor]]);
            let outline = points(tops.chain(feet.into_iter().flatten()).map(at));
            return html! { polygon class={ "bars s" (colour) } points=(outline) {} };
        }
        html! {
            polyline class={ "path s" (colour) } points=(points(given.iter().copied().map(at))) {}
            @if series.mark == Mark::Dots {
                @for &[x, y] in given {
                    circle class={ "s" (colour) } cx=(round(self.x(x))) cy=(round(self.y(y))) r="4" {}
                }
            }
        }
    }
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
