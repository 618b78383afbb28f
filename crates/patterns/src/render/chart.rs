//! Charts as inline SVG in the colours of the page: stacked bars over time, bars by hour, a
//! heat map of sources and hours, and a source's norm over time.

use chrono::{DateTime, Utc};
use faceood_report::html::{figure, points, round};
use maud::{Markup, html};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
/// Colours for patterns; what comes after them is grey.
const COLOURS: usize = 8;

/// The class that colours number `colour`.
pub(super) fn class_of(colour: usize) -> String {
    if colour < COLOURS {
        format!("s{colour}")
    } else {
        "rest".to_owned()
    }
}

/// A drawing with its title below.
fn captioned(frame: [f64; 4], title: &str, drawing: &Markup) -> Markup {
    figure(frame, title, drawing, &html! { figcaption { (title) } })
}

/// The upper end of an axis from 0: a round number at or above `most`.
fn round_up(most: f64) -> f64 {
    let power = 10_f64.powf(most.max(1e-9).log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|end| *end >= most)
        .unwrap_or(most)
}

/// Shares of several kinds over time, one on top of the other. `parts[kind][bin]` is a share;
/// `begins` are the bins' begins in local time.
pub(super) fn stacked(title: &str, begins: &[String], parts: &[(usize, Vec<f64>)]) -> Markup {
    const HEIGHT: f64 = 240.0;
    const TOP: f64 = 8.0;
    const BOTTOM: f64 = 24.0;
    let bins = begins.len().max(1);
    let sum = |bin: usize| parts.iter().map(|(_, shares)| shares[bin]).sum::<f64>();
    let most = round_up((0..begins.len()).map(sum).fold(0.01, f64::max));
    let wide = (WIDTH - LEFT - RIGHT) / bins as f64;
    let y = |share: f64| TOP + (1.0 - share / most) * (HEIGHT - TOP - BOTTOM);
    let mut bars = Vec::new();
    for bin in 0..begins.len() {
        let mut below = 0.0;
        for (colour, shares) in parts {
            let share = shares[bin];
            if share > 0.0 {
                let (top, foot) = (y(below + share), y(below));
                bars.push((*colour, LEFT + bin as f64 * wide, top, foot - top));
            }
            below += share;
        }
    }
    let drawing = html! {
        @for step in 0..=5 {
            @let share = most * f64::from(step) / 5.0;
            line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(round(y(share))) y2=(round(y(share))) {}
            text x=(LEFT - 6.0) y=(round(y(share) + 4.0)) text-anchor="end" { (format_share(share)) }
        }
        @for (colour, x, top, height) in bars {
            rect class={ "bar " (class_of(colour)) } x=(round(x + 0.5)) y=(round(top)) width=(round(wide - 1.0)) height=(round(height)) {}
        }
        @for (bin, begin) in begins.iter().enumerate().step_by(bins.div_ceil(7)) {
            text x=(round(LEFT + bin as f64 * wide)) y=(HEIGHT - 6.0) { (begin) }
        }
    };
    figure([0.0, 0.0, WIDTH, HEIGHT], title, &drawing, &html! {})
}

fn format_share(share: f64) -> String {
    let value = format!("{:.2}", 100.0 * share);
    format!("{} %", value.trim_end_matches('0').trim_end_matches('.'))
}

/// Rows by hour of the day, the peak hours in colour.
pub(super) fn clock(title: &str, hours: &[u64; 24], peak: Option<[u32; 2]>) -> Markup {
    const HEIGHT: f64 = 84.0;
    const FLOOR: f64 = 66.0;
    const SLOT: f64 = 15.0;
    let most = hours.iter().copied().max().unwrap_or(0).max(1) as f64;
    let is_peak = |hour: u32| match peak {
        Some([from, to]) if from < to => (from..to).contains(&hour),
        Some([from, to]) => hour >= from || hour < to,
        None => false,
    };
    let drawing = html! {
        line class="grid" x1="0" x2=(24.0 * SLOT) y1=(FLOOR) y2=(FLOOR) {}
        @for (hour, count) in (0_u32..).zip(hours) {
            @let height = 60.0 * *count as f64 / most;
            rect class={ "bar " (if is_peak(hour) { "s1" } else { "s0" }) } x=(f64::from(hour) * SLOT + 1.0)
                y=(round(FLOOR - height)) width=(SLOT - 2.0) height=(round(height)) {}
        }
        @for hour in [0_u32, 6, 12, 18] {
            text x=(f64::from(hour) * SLOT) y=(HEIGHT - 3.0) { (format!("{hour:02}")) }
        }
    };
    captioned([0.0, 0.0, 24.0 * SLOT + 8.0, HEIGHT], title, &drawing)
}

/// A pattern's course as a small line.
pub(super) fn course(title: &str, shares: &[f64]) -> Markup {
    const HEIGHT: f64 = 84.0;
    const SPAN: f64 = 368.0;
    let most = shares.iter().copied().fold(1e-9, f64::max);
    let step = SPAN / shares.len().saturating_sub(1).max(1) as f64;
    let places = shares.iter().enumerate();
    let places = places.map(|(bin, share)| [bin as f64 * step, 66.0 - 60.0 * share / most]);
    let drawing = html! {
        line class="grid" x1="0" x2=(SPAN) y1="66" y2="66" {}
        polyline class="path s0" points=(points(places)) {}
        text x="0" y=(HEIGHT - 3.0) { (format!("max {}", format_share(most))) }
    };
    captioned([-2.0, 0.0, SPAN + 4.0, HEIGHT], title, &drawing)
}

/// Opacity of an hour in which no capture was low, so that it differs from one without captures.
const PALEST: f64 = 0.08;

/// Sources down, hours across: the darker, the larger the share of low captures. `legend` words
/// what the largest share means.
pub(super) fn heat(
    title: &str,
    rows: &[(String, [Option<f64>; 24])],
    legend: impl FnOnce(&str) -> String,
) -> Markup {
    const NAME: f64 = 190.0;
    const SLOT: f64 = 31.0;
    const ROW: f64 = 22.0;
    let height = 24.0 + ROW * rows.len() as f64;
    let all = rows.iter().flat_map(|(_, shares)| shares.iter().flatten());
    let most = all.copied().fold(0.01, f64::max);
    let drawing = html! {
        @for hour in (0_u32..24).step_by(3) {
            text x=(NAME + f64::from(hour) * SLOT) y="14" { (format!("{hour:02}")) }
        }
        @for (index, (name, shares)) in rows.iter().enumerate() {
            @let y = 20.0 + ROW * index as f64;
            text x=(NAME - 8.0) y=(y + 15.0) text-anchor="end" { (name) }
            @for (hour, share) in shares.iter().enumerate() {
                @let x = NAME + hour as f64 * SLOT;
                rect class="empty" x=(x) y=(y) width=(SLOT - 2.0) height=(ROW - 2.0) {}
                @if let Some(share) = share {
                    rect class="ink" x=(x) y=(y) width=(SLOT - 2.0) height=(ROW - 2.0)
                        fill-opacity=(format!("{:.2}", PALEST + (1.0 - PALEST) * share / most)) {
                        title { (name) " " (format!("{hour:02}:00 ")) (format_share(*share)) }
                    }
                }
            }
        }
    };
    let frame = [0.0, 0.0, NAME + 24.0 * SLOT + 8.0, height];
    let caption = html! { figcaption { (legend(&format_share(most))) } };
    figure(frame, title, &drawing, &caption)
}

/// A source's mean norm by part of the window (`None` where there was no row), its usual level, and
/// begin and end of what differs, as shares of the window.
pub(super) fn control(
    title: &str,
    means: &[Option<f64>],
    usual: f64,
    [from, to]: [f64; 2],
) -> Markup {
    const HEIGHT: f64 = 150.0;
    let known = means.iter().flatten().copied().chain([usual]);
    let low = known.clone().fold(f64::INFINITY, f64::min);
    let high = known.fold(f64::NEG_INFINITY, f64::max);
    let room = 0.1 * (high - low).max(1e-3);
    let (low, high) = (low - room, high + room);
    let y = |value: f64| 6.0 + (1.0 - (value - low) / (high - low)) * (HEIGHT - 14.0);
    let x = |share: f64| LEFT + share * (WIDTH - LEFT - RIGHT);
    let bins = means.len().max(1) as f64;
    let place =
        |(bin, mean): (usize, &Option<f64>)| Some([x((bin as f64 + 0.5) / bins), y((*mean)?)]);
    let places = means.iter().enumerate().filter_map(place);
    let drawing = html! {
        rect class="shade" x=(round(x(from))) y="0" width=(round((x(to) - x(from)).max(2.0))) height=(HEIGHT - 4.0) {}
        @for value in [low + room, usual, high - room] {
            text x=(LEFT - 6.0) y=(round(y(value) + 4.0)) text-anchor="end" { (format!("{value:.2}")) }
        }
        line class="level" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(round(y(usual))) y2=(round(y(usual))) {}
        polyline class="path s0" points=(points(places)) {}
    };
    captioned([0.0, 0.0, WIDTH, HEIGHT], title, &drawing)
}

/// Where `time` lies between the ends of the window.
pub(super) fn place(time: DateTime<Utc>, window: [DateTime<Utc>; 2]) -> f64 {
    let span = (window[1] - window[0]).num_milliseconds().max(1) as f64;
    ((time - window[0]).num_milliseconds() as f64 / span).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(
            [0.013, 0.2, 0.21, 0.6].map(round_up),
            [0.02, 0.2, 0.25, 1.0]
        );
        assert_eq!(format_share(0.125), "12.5 %");
    }

    #[test]
    fn nothing_to_show_is_still_a_chart() {
        for chart in [
            stacked("t", &[], &[]),
            clock("t", &[0; 24], None),
            course("t", &[]),
            heat("t", &[], str::to_owned),
        ] {
            let shown = chart.into_string();
            assert!(shown.contains("<svg") && !shown.contains("NaN"), "{shown}");
        }
    }
}
