//! The picture types that are accepted.

use std::fmt;

use crate::named;

named! {
    /// A picture type that is accepted, recognised by its first bytes and never by a name.
    ImageFormat {
        /// JPEG: baseline or progressive; grey, YCbCr, RGB or CMYK.
        Jpeg "jpeg",
        /// PNG of any depth and colour type; an animated one counts as its default image.
        Png "png",
        /// WebP, lossy or lossless; an animated one counts as its first frame.
        Webp "webp",
        /// Windows bitmap.
        Bmp "bmp",
        /// TIFF; the first page.
        Tiff "tiff",
    }
}

/// How the format is called in messages.
impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        })
    }
}
