//! Downscaling and scaling back to the picture's size: by a coarser sensor, or by programs with
//! their own kernels.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::light::{Light, side};

/// How a program or a sensor makes one pixel of several, or several of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The mean over the area, as a coarser sensor collects it. Enlarging: as [`Kernel::Nearest`].
    Area,
    /// One of the pixels: cheap video scalers, with aliasing.
    Nearest,
    /// Linear between the nearest pixels, without a filter before it: aliasing too.
    Linear,
    /// Catmull–Rom, filtered.
    Cubic,
    /// Lanczos with three lobes, filtered: rings at edges.
    Lanczos,
}

impl Kernel {
    pub(super) const ALL: [Self; 5] = [
        Self::Area,
        Self::Nearest,
        Self::Linear,
        Self::Cubic,
        Self::Lanczos,
    ];
}

/// The light on a grid of another size. If it cannot be resized, it stays as it is.
pub(super) fn resample(light: &Light, width: usize, height: usize, kernel: Kernel) -> Light {
    let algorithm = match kernel {
        Kernel::Area => ResizeAlg::Convolution(FilterType::Box),
        Kernel::Nearest => ResizeAlg::Nearest,
        Kernel::Linear => ResizeAlg::Interpolation(FilterType::Bilinear),
        Kernel::Cubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Kernel::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let options = ResizeOptions::new().resize_alg(algorithm).use_alpha(false);
    let pixels: Vec<F32x3> = light.pixels().iter().copied().map(F32x3::new).collect();
    let mut target = TypedImage::new(side(width), side(height));
    let resized =
        TypedImageRef::new(side(light.width), side(light.height), &pixels).is_ok_and(|source| {
            Resizer::new()
                .resize_typed(&source, &mut target, &options)
                .is_ok()
        });
    if !resized {
        return light.clone();
    }
    let pixels = target.pixels().iter();
    Light {
        width,
        height,
        values: pixels
            .flat_map(|pixel| pixel.0.map(|value| value.max(0.0)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(light: &Light) -> f32 {
        light.values.iter().sum::<f32>() / light.values.len() as f32
    }

    #[test]
    fn every_kernel_keeps_the_mean_and_the_filtered_ones_a_fine_grid_grey() {
        let picture = image::RgbImage::from_fn(48, 36, |x, y| {
            image::Rgb([(x * 5) as u8, (y * 7) as u8, 70])
        });
        let light = Light::of(&picture);
        for kernel in Kernel::ALL {
            let small = resample(&light, 16, 9, kernel);
            assert_eq!((small.width, small.height), (16, 9));
            assert!((mean(&light) - mean(&small)).abs() < 0.02, "{kernel:?}");
            let again = resample(&small, 48, 36, kernel);
            assert!((mean(&light) - mean(&again)).abs() < 0.02, "{kernel:?}");
        }
        let grid = image::RgbImage::from_fn(40, 40, |x, _| image::Rgb([(x % 2 * 255) as u8; 3]));
        let spread = |kernel| {
            let small = resample(&Light::of(&grid), 13, 13, kernel);
            let middle = mean(&small);
            small
                .values
                .iter()
                .map(|value| (value - middle).abs())
                .sum::<f32>()
                / 507.0
        };
        assert!(spread(Kernel::Area) < 0.25 && spread(Kernel::Lanczos) < 0.25);
        assert!(spread(Kernel::Nearest) > 0.4, "aliasing");
    }
}
