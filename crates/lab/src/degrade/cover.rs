//! Things that cover a face: cloth, skin or glass in their own colours, lit like the face; and
//! shade.

use super::light::{Light, box_mean, to_linear};
use faceood_engine::geometry::Point;

/// Rows that each pixel row is cut into when an outline is filled: edges are smooth, not jagged.
const FINE: usize = 4;
/// Mean light of a well-lit face. Cloth is as much brighter or darker as the face under it is.
const LIT_FACE: f32 = 0.25;

/// What a cover is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Material {
    /// sRGB.
    pub colour: [u8; 3],
    /// Colour of the pattern, sRGB.
    pub second_colour: [u8; 3],
    /// What is printed or woven on it.
    pub pattern: Pattern,
    /// Repeats of the pattern over the cover's width.
    pub repeats: f32,
    /// How little shines through, 0–1.
    pub opacity: f32,
}

/// What is on a cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One colour.
    Plain,
    /// Across: a surgical mask's pleats, a striped scarf.
    Stripes,
    /// A chessboard.
    Checks,
    /// Round dots.
    Dots,
    /// Patches without order, as of print or camouflage.
    Patches,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Plain,
        Self::Stripes,
        Self::Checks,
        Self::Dots,
        Self::Patches,
    ];

    /// How much of the second colour there is, 0–1, at (`x`, `y`) in repeats.
    fn at(self, x: f32, y: f32) -> f32 {
        let wave = |value: f32| (std::f32::consts::TAU * value).sin();
        let is_second = match self {
            Self::Plain => false,
            Self::Stripes => wave(y) > 0.3,
            Self::Checks => wave(0.5 * x) * wave(0.5 * y) > 0.0,
            Self::Dots => (x - x.floor() - 0.5).hypot(y - y.floor() - 0.5) < 0.3,
            // Waves whose periods have no common multiple.
            Self::Patches => {
                let sum = wave(0.37 * x + 0.21 * y)
                    + wave(0.29 * y - 0.53 * x + 0.2)
                    + wave(0.61 * y + 0.11 * x + 0.7);
                sum > 0.4
            }
        };
        f32::from(u8::from(is_second))
    }
}

/// Lays `material` over `outline`.
pub(super) fn cover(light: &mut Light, outline: &[Point], material: &Material) {
    let Some(extent) = Extent::of(outline) else {
        return;
    };
    let covered = coverage(outline, light.width, light.height);
    let [left, right] = lighting(light, &covered, &extent);
    let [base, second] = [material.colour, material.second_colour]
        .map(|colour| colour.map(|level| to_linear(f32::from(level) / 255.0)));
    for (index, share) in covered {
        let (x, y) = ((index % light.width) as f32, (index / light.width) as f32);
        let (across, down) = extent.place(x, y);
        // Folds along the cloth and a fall of light towards its sides.
        let fold = 1.0 + 0.08 * (down * 19.0).sin();
        let fall = 1.0 - 0.45 * (2.0 * across - 1.0).powi(2);
        let brightness = fold * fall * (left + across.clamp(0.0, 1.0) * (right - left));
        let unit = extent.width() / material.repeats.max(1.0);
        let (x, y) = ((x - extent.left) / unit, (y - extent.top) / unit);
        let printed = material.pattern.at(x, y);
        let opaque = share * material.opacity.clamp(0.0, 1.0);
        for (channel, value) in light.pixels_mut()[index].iter_mut().enumerate() {
            let cloth = brightness * (base[channel] + printed * (second[channel] - base[channel]));
            *value += opaque * (cloth - *value);
        }
    }
}

/// Takes `depth` (0–1) of the light within `outline`, with an edge as soft as `softness_px`.
pub(super) fn shade(light: &mut Light, outline: &[Point], depth: f32, softness_px: f32) {
    let mut dark = vec![0.0; light.width * light.height];
    for (index, share) in coverage(outline, light.width, light.height) {
        dark[index] = share;
    }
    let reach = (softness_px.max(0.0) / 2.0).round() as usize;
    for _ in 0..2 {
        dark = box_mean(&dark, light.width, reach);
    }
    for (pixel, dark) in light.pixels_mut().iter_mut().zip(dark) {
        *pixel = pixel.map(|value| value * (1.0 - depth.clamp(0.0, 1.0) * dark));
    }
}

struct Extent {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

impl Extent {
    fn of(outline: &[Point]) -> Option<Self> {
        let extreme = |part: fn(&Point) -> f32, pick: fn(f32, f32) -> f32| {
            outline.iter().map(part).reduce(pick)
        };
        Some(Self {
            left: extreme(|point| point.x, f32::min)?,
            top: extreme(|point| point.y, f32::min)?,
            right: extreme(|point| point.x, f32::max)?,
            bottom: extreme(|point| point.y, f32::max)?,
        })
    }

    fn width(&self) -> f32 {
        (self.right - self.left).max(1.0)
    }

    /// 0–1 from left to right and from top to bottom.
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        let height = (self.bottom - self.top).max(1.0);
        ((x - self.left) / self.width(), (y - self.top) / height)
    }
}

/// Brightness of the picture under a cover, on its left and on its right, relative to a well-lit
/// face.
fn lighting(light: &Light, covered: &[(usize, f32)], extent: &Extent) -> [f32; 2] {
    let mut sums = [[0.0_f32; 2]; 2];
    for &(index, share) in covered {
        let (across, _) = extent.place((index % light.width) as f32, 0.0);
        let side = &mut sums[usize::from(across > 0.5)];
        side[0] += share * light.pixels()[index].iter().sum::<f32>() / 3.0;
        side[1] += share;
    }
    sums.map(|[sum, count]| (sum / count.max(1e-3) / LIT_FACE).clamp(0.15, 1.5))
}

/// Which pixels lie within the outline, and which share of each.
fn coverage(outline: &[Point], width: usize, height: usize) -> Vec<(usize, f32)> {
    let Some(extent) = Extent::of(outline) else {
        return Vec::new();
    };
    let first = extent.top.floor().max(0.0) as usize;
    let end = ((extent.bottom.ceil().max(0.0) as usize) + 1).min(height);
    let mut covered = Vec::new();
    let mut shares = vec![0.0_f32; width];
    for row in first..end {
        shares.fill(0.0);
        for fine in 0..FINE {
            let y = row as f32 + (fine as f32 + 0.5) / FINE as f32;
            for ends in crossings(outline, y) {
                let [from, to] = ends.map(|x| x.clamp(0.0, width as f32));
                let columns = shares.iter_mut().enumerate().take(to.ceil() as usize);
                for (column, share) in columns.skip(from as usize) {
                    let inside = to.min(column as f32 + 1.0) - from.max(column as f32);
                    *share += inside.max(0.0) / FINE as f32;
                }
            }
        }
        for (column, &share) in shares.iter().enumerate() {
            if share > 0.0 {
                covered.push((row * width + column, share.min(1.0)));
            }
        }
    }
    covered
}

/// Where a row crosses the outline, in pairs from left to right.
fn crossings(outline: &[Point], y: f32) -> Vec<[f32; 2]> {
    let mut places: Vec<f32> = outline
        .iter()
        .zip(outline.iter().cycle().skip(1))
        .filter(|(from, to)| (from.y <= y) != (to.y <= y))
        .map(|(from, to)| from.x + (y - from.y) / (to.y - from.y) * (to.x - from.x))
        .collect();
    places.sort_by(f32::total_cmp);
    places.as_chunks().0.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square() -> Vec<Point> {
        [(2.5, 3.0), (8.5, 3.0), (8.5, 7.25), (2.5, 7.25)]
            .map(|(x, y)| Point::new(x, y))
            .to_vec()
    }

    #[test]
    fn pixels_on_the_edge_are_covered_by_their_share() {
        let covered = coverage(&square(), 12, 12);
        let area: f32 = covered.iter().map(|(_, share)| share).sum();
        assert!((area - 6.0 * 4.25).abs() < 1e-3, "{area}");
        let share = |x: usize, y: usize| {
            covered
                .iter()
                .find(|(index, _)| *index == y * 12 + x)
                .map_or(0.0, |(_, share)| *share)
        };
        assert_eq!(
            [share(2, 4), share(5, 4), share(8, 4), share(9, 4)],
            [0.5, 1.0, 0.5, 0.0]
        );
        assert_eq!(share(5, 7), 0.25);
    }

    #[test]
    fn an_outline_beyond_the_picture_covers_what_is_there() {
        let outline: Vec<Point> = square()
            .into_iter()
            .map(|point| Point::new(point.x * 40.0 - 100.0, point.y * 40.0 - 150.0))
            .collect();
        assert_eq!(coverage(&outline, 12, 12).len(), 144);
        assert!(coverage(&[], 12, 12).is_empty());
    }

    #[test]
    fn patterns_have_both_colours_and_plain_has_one() {
        for pattern in Pattern::ALL {
            let printed: f32 = (0..400_u16)
                .map(|index| pattern.at(f32::from(index % 20) * 0.37, f32::from(index / 20) * 0.41))
                .sum();
            if pattern == Pattern::Plain {
                assert_eq!(printed, 0.0);
            } else {
                assert!((40.0..360.0).contains(&printed), "{pattern:?}: {printed}");
            }
        }
    }
}
