//! How pixels become the numbers that a network takes. Every pack says it for each of its networks;
//! whoever feeds one uses what stands here, so that there is one loop to get right.

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

/// `(pixel − mean) · scale` in planes, pixels 0–255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputTransform {
    /// Order of the planes.
    pub channels: Channels,
    /// Subtracted from each pixel.
    pub mean: f32,
    /// What the difference is multiplied with.
    pub scale: f32,
}

impl InputTransform {
    /// What a pixel of this level becomes.
    pub fn number(&self, level: f32) -> f32 {
        (level - self.mean) * self.scale
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
                *number = self.number(0.299 * red + 0.587 * green + 0.114 * blue);
            }
            return;
        }
        let (first, rest) = planes.split_at_mut(plane);
        let (second, third) = rest.split_at_mut(plane);
        let (red, blue) = match self.channels {
            Channels::Bgr => (third, first),
            Channels::Rgb | Channels::Grey => (first, third),
        };
        let planes = red[range.clone()]
            .iter_mut()
            .zip(&mut second[range.clone()])
            .zip(&mut blue[range]);
        for (pixel, ((r, g), b)) in pixels.zip(planes) {
            *r = self.number(f32::from(pixel[0]));
            *g = self.number(f32::from(pixel[1]));
            *b = self.number(f32::from(pixel[2]));
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
            mean,
            scale,
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
    fn grey_is_one_plane_of_luma() {
        let grey = written(Channels::Grey, 1.0, 0.5);
        assert_eq!((grey.len(), grey[0]), (3, -9.0));
        let luma = 0.299 * 10.0 + 0.587 * 20.0 + 0.114 * 30.0;
        assert!((grey[1] - (luma - 1.0) * 0.5).abs() < 1e-5);
    }
}
