//! How pixels become the numbers that a network takes. Every pack says it for each of its networks;
//! whoever feeds one uses what stands here, so that there is one loop to get right.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Order of the colour planes a network wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One plane of luma.
    Grey,
}

impl Channels {
    /// How many planes.
    pub const fn planes(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// A number for all planes of an input, or one for each in their order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PlaneNumber {
    /// The same for all.
    All(f32),
    /// One for each of three.
    Each([f32; 3]),
}

impl PlaneNumber {
    const fn of(self, plane: usize) -> f32 {
        match self {
            Self::All(number) => number,
            Self::Each(numbers) => numbers[plane % 3],
        }
    }
}

/// One number, or three with commas between them, as a command's flag takes them.
impl FromStr for PlaneNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split(',').map(|part| part.trim().parse::<f32>());
        match numbers.collect::<Result<Vec<f32>, _>>().as_deref() {
            Ok(&[number]) if number.is_finite() => Ok(Self::All(number)),
            Ok(&[one, two, three]) if (one + two + three).is_finite() => {
                Ok(Self::Each([one, two, three]))
            }
            _ => Err("expected one number, or three with commas between them".to_owned()),
        }
    }
}

impl fmt::Display for PlaneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(number) => write!(formatter, "{number}"),
            Self::Each([one, two, three]) => write!(formatter, "{one},{two},{three}"),
        }
    }
}

/// `(pixel − mean) · scale` in planes, pixels 0–255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputTransform {
    /// Order of the planes.
    pub channels: Channels,
    /// Subtracted from each pixel.
    pub mean: PlaneNumber,
    /// What the difference is multiplied with.
    pub scale: PlaneNumber,
}

impl InputTransform {
    /// What a pixel of this level becomes in that plane.
    pub fn number(&self, plane: usize, level: f32) -> f32 {
        (level - self.mean.of(plane)) * self.scale.of(plane)
    }

    /// Writes interleaved RGB bytes from place `start` on into each of `planes`, which lie one
    /// behind the other and are `plane` numbers long.
    pub fn write(&self, rgb: &[u8], planes: &mut [f32], plane: usize, start: usize) {
        let range = start..start + rgb.len() / 3;
        let pixels = rgb.chunks_exact(3);
        if self.channels == Channels::Grey {
            for (pixel, number) in pixels.zip(&mut planes[range]) {
                let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
                // ITU-R BT.601 luma.
                *number = self.number(0, 0.299 * red + 0.587 * green + 0.114 * blue);
            }
            return;
        }
        let (first, rest) = planes.split_at_mut(plane);
        let (second, third) = rest.split_at_mut(plane);
        let ((red, of_red), (blue, of_blue)) = match self.channels {
            Channels::Bgr => ((third, 2), (first, 0)),
            Channels::Rgb | Channels::Grey => ((first, 0), (third, 2)),
        };
        let planes = red[range.clone()]
            .iter_mut()
            .zip(&mut second[range.clone()])
            .zip(&mut blue[range]);
        for (pixel, ((r, g), b)) in pixels.zip(planes) {
            *r = self.number(of_red, f32::from(pixel[0]));
            *g = self.number(1, f32::from(pixel[1]));
            *b = self.number(of_blue, f32::from(pixel[2]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: [u8; 6] = [10, 20, 30, 110, 120, 130];

    fn written(channels: Channels, mean: f32, scale: f32) -> Vec<f32> {
        let transform = InputTransform {
            channels,
            mean: PlaneNumber::All(mean),
            scale: PlaneNumber::All(scale),
        };
        // Two pixels at the end of planes of three.
        let mut planes = vec![-9.0; 3 * channels.planes()];
        transform.write(&PIXELS, &mut planes, 3, 1);
        planes
    }

    #[test]
    fn planes_come_in_the_order_asked_for() {
        assert_eq!(
            written(Channels::Rgb, 0.0, 1.0),
            [-9.0, 10.0, 110.0, -9.0, 20.0, 120.0, -9.0, 30.0, 130.0]
        );
        assert_eq!(
            written(Channels::Bgr, 0.0, 1.0),
            [-9.0, 30.0, 130.0, -9.0, 20.0, 120.0, -9.0, 10.0, 110.0]
        );
    }

    #[test]
    fn mean_and_scale_are_applied_to_every_plane() {
        let plain = written(Channels::Rgb, 0.0, 1.0);
        let scaled = written(Channels::Rgb, 127.5, 2.0);
        for (number, level) in scaled.iter().zip(plain).filter(|(_, level)| *level >= 0.0) {
            assert_eq!(*number, (level - 127.5) * 2.0);
        }
    }

    #[test]
    fn planes_with_numbers_of_their_own_get_them_in_the_order_of_the_planes() {
        let transform = InputTransform {
            channels: Channels::Bgr,
            mean: "1, 2,3".parse().unwrap(),
            scale: "1,10,100".parse().unwrap(),
        };
        let mut planes = vec![0.0; 3];
        transform.write(&PIXELS[..3], &mut planes, 1, 0);
        assert_eq!(planes, [29.0, 180.0, 700.0]);
        assert_eq!(transform.mean.to_string(), "1,2,3");
        assert_eq!("0.5".parse(), Ok(PlaneNumber::All(0.5)));
        for wrong in ["", "1,2", "1,2,3,4", "nan", "a"] {
            assert!(wrong.parse::<PlaneNumber>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn grey_is_one_plane_of_luma() {
        let grey = written(Channels::Grey, 1.0, 0.5);
        assert_eq!((grey.len(), grey[0]), (3, -9.0));
        let luma = 0.299 * 10.0 + 0.587 * 20.0 + 0.114 * 30.0;
        assert!((grey[1] - (luma - 1.0) * 0.5).abs() < 1e-5);
    }
}
