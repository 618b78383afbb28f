//! Downscaling and scaling back to the picture's size: by a coarser sensor, or by programs with
//! their own kernels.

use fast_image_resize as fir;

use super::light::Light;

/// How a program or a sensor makes one pixel of several, or several of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The mean over the area: what a coarser sensor collects. Enlarging, the same as [`Kernel::Nearest`].
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
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Area,
        Self::Nearest,
        Self::Linear,
        Self::Cubic,
        Self::Lanczos,
    ];

    fn algorithm(self) -> fir::ResizeAlg {
        match self {
            Self::Area => fir::ResizeAlg::Convolution(fir::FilterType::Box),
            Self::Nearest => fir::ResizeAlg::Nearest,
            Self::Linear => fir::ResizeAlg::Interpolation(fir::FilterType::Bilinear),
            Self::Cubic => fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom),
            Self::Lanczos => fir::ResizeAlg::Convolution(fir::FilterType::Lanczos3),
        }
    }
}

/// The light on a grid of another size. A size of none, which cannot be, leaves it as it is.
pub(super) fn resample(light: &Light, width: usize, height: usize, kernel: Kernel) -> Light {
    let bytes = |values: &[f32]| -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_ne_bytes())
            .collect()
    };
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    let source = fir::images::Image::from_vec_u8(
        side(light.width),
        side(light.height),
        bytes(&light.values),
        fir::PixelType::F32x3,
    );
    let mut target = fir::images::Image::new(side(width), side(height), fir::PixelType::F32x3);
    let options = fir::ResizeOptions::new()
        .resize_alg(kernel.algorithm())
        .use_alpha(false);
    let resized = source.is_ok_and(|source| {
        fir::Resizer::new()
            .resize(&source, &mut target, &options)
            .is_ok()
    });
    if !resized {
        return light.clone();
    }
    let values = target
        .buffer()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&bytes| f32::from_ne_bytes(bytes).max(0.0))
        .collect();
    Light {
        width,
        height,
        values,
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
