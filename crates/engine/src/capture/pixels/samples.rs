//! Rows as decoders hand them out → rows of 8-bit RGB.

use super::GROUND;

/// What the samples of a pixel stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Colour {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    Cmyk,
    /// Luma and two differences, full range (JFIF).
    YCbCr,
}

impl Colour {
    pub(in crate::capture) const fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb | Self::YCbCr => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Depth {
    /// 1, 2 or 4 bits, packed from the highest bit on.
    Packed(u8),
    Eight,
    /// Two bytes, most significant first.
    SixteenBig,
    /// Two bytes in the machine's own order.
    SixteenNative,
    /// A floating point number in the machine's own order, 0…1.
    Float,
}

/// The samples of `row` in 8 bits, in every `step`-th place of `out` as far as it reaches.
pub(in crate::capture) fn narrow(row: &[u8], depth: Depth, out: &mut [u8], step: usize) {
    let out = out.iter_mut().step_by(step);
    // (v + 128) / 257: 16 bits rounded to 8, so that 65535 becomes 255.
    let halve = |value: u16| ((u32::from(value) + 128) / 257) as u8;
    match depth {
        Depth::Eight => out.zip(row).for_each(|(out, &value)| *out = value),
        Depth::SixteenBig => out
            .zip(row.as_chunks::<2>().0)
            .for_each(|(out, &bytes)| *out = halve(u16::from_be_bytes(bytes))),
        Depth::SixteenNative => out
            .zip(row.as_chunks::<2>().0)
            .for_each(|(out, &bytes)| *out = halve(u16::from_ne_bytes(bytes))),
        Depth::Float => out
            .zip(row.as_chunks::<4>().0)
            // What is no number becomes black: `as` makes 0 of it.
            .for_each(|(out, &bytes)| *out = (f32::from_ne_bytes(bytes) * 255.0).round() as u8),
        Depth::Packed(bits) => {
            let most = (1_u32 << bits) - 1;
            let per_byte = usize::from(8 / bits);
            out.enumerate().for_each(|(index, out)| {
                let shift = 8 - usize::from(bits) * (index % per_byte + 1);
                let value = row
                    .get(index / per_byte)
                    .map_or(0, |&byte| u32::from(byte) >> shift & most);
                *out = (value * 255 / most) as u8;
            });
        }
    }
}

/// `row`, whose samples have 8 bits, as RGB in `out`.
pub(in crate::capture) fn to_rgb(row: &[u8], colour: Colour, out: &mut [u8]) {
    let out = out.as_chunks_mut::<3>().0.iter_mut();
    match colour {
        Colour::Rgb => each(out, row, |pixel: &[u8; 3]| *pixel),
        Colour::Grey => each(out, row, |&[grey]: &[u8; 1]| [grey; 3]),
        Colour::GreyAlpha => each(out, row, |&[grey, alpha]: &[u8; 2]| {
            [on_ground(grey, alpha); 3]
        }),
        Colour::Rgba => each(out, row, |&[red, green, blue, alpha]: &[u8; 4]| {
            [red, green, blue].map(|value| on_ground(value, alpha))
        }),
        Colour::Cmyk => each(out, row, |&[cyan, magenta, yellow, black]: &[u8; 4]| {
            [cyan, magenta, yellow].map(|ink| mixed(!ink, !black))
        }),
        Colour::YCbCr => each(out, row, |&pixel: &[u8; 3]| from_ycbcr(pixel)),
    }
}

fn each<'o, const CHANNELS: usize>(
    out: impl Iterator<Item = &'o mut [u8; 3]>,
    row: &[u8],
    convert: impl Fn(&[u8; CHANNELS]) -> [u8; 3],
) {
    for (out, pixel) in out.zip(row.as_chunks::<CHANNELS>().0) {
        *out = convert(pixel);
    }
}

/// A sample laid on middle grey where it is transparent.
const fn on_ground(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (value as u32, alpha as u32);
    ((value * alpha + GROUND as u32 * (255 - alpha) + 127) / 255) as u8
}

/// The light that is left of one ink's light below the black ink's.
pub(in crate::capture) const fn mixed(light: u8, black: u8) -> u8 {
    ((light as u32 * black as u32 + 127) / 255) as u8
}

/// By JFIF: ITU-R BT.601 in full range, in 1/65536.
fn from_ycbcr([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let luma = i32::from(luma) << 16 | 0x8000;
    let [blue, red] = [blue, red].map(|difference| i32::from(difference) - 128);
    [
        luma + 91881 * red,
        luma - 22554 * blue - 46802 * red,
        luma + 116130 * blue,
    ]
    .map(|sum| (sum >> 16).clamp(0, 255) as u8)
}

/// Makes RGB of the RGBA in `pixels`, in place: a second picture may be 150 MB.
pub(in crate::capture) fn rgba_to_rgb_in_place(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 4;
    for index in 0..count {
        let from = index * 4;
        let alpha = pixels[from + 3];
        for channel in 0..3 {
            pixels[index * 3 + channel] = on_ground(pixels[from + channel], alpha);
        }
    }
    pixels.truncate(count * 3);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowed(row: &[u8], depth: Depth, count: usize) -> Vec<u8> {
        let mut out = vec![7; count];
        narrow(row, depth, &mut out, 1);
        out
    }

    #[test]
    fn every_depth_reaches_from_black_to_white() {
        assert_eq!(narrowed(&[0b1010_0000], Depth::Packed(1), 3), [255, 0, 255]);
        assert_eq!(
            narrowed(&[0b0001_1011], Depth::Packed(2), 4),
            [0, 85, 170, 255]
        );
        assert_eq!(narrowed(&[0x0F, 0x80], Depth::Packed(4), 3), [0, 255, 136]);
        assert_eq!(
            narrowed(&[0, 0, 255, 255, 0x01, 0x80], Depth::SixteenBig, 3),
            [0, 255, 1]
        );
        let floats: Vec<u8> = [-1.0, 0.0, 0.5, 1.0, 9.0, f32::NAN]
            .into_iter()
            .flat_map(f32::to_ne_bytes)
            .collect();
        assert_eq!(narrowed(&floats, Depth::Float, 6), [0, 0, 128, 255, 255, 0]);
    }

    #[test]
    fn ycbcr_of_primaries() {
        // JFIF's values for red, green, blue, white and black.
        for (pixel, expected) in [
            ([76, 85, 255], [254, 0, 0]),
            ([150, 44, 21], [0, 255, 1]),
            ([29, 255, 107], [0, 0, 254]),
            ([255, 128, 128], [255; 3]),
            ([0, 128, 128], [0; 3]),
        ] {
            for (got, want) in from_ycbcr(pixel).into_iter().zip(expected) {
                assert!(got.abs_diff(want) <= 1, "{pixel:?}: {got} for {want}");
            }
        }
    }

    #[test]
    fn alpha_goes_in_place_as_it_does_by_rows() {
        let mut pixels = vec![10, 20, 30, 255, 200, 100, 0, 128, 1, 2, 3, 0];
        let mut rows = vec![0; 9];
        to_rgb(&pixels, Colour::Rgba, &mut rows);
        rgba_to_rgb_in_place(&mut pixels);
        assert_eq!(pixels, rows);
        assert_eq!(rows, [10, 20, 30, 164, 114, 64, 128, 128, 128]);
    }
}
