//! The picture types that are accepted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A picture type that is accepted, recognised by its first bytes and never by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// JPEG: baseline or progressive; grey, YCbCr, RGB or CMYK.
    Jpeg,
    /// PNG of any depth and colour type; an animated one counts as its default image.
    Png,
    /// WebP, lossy or lossless; an animated one counts as its first frame.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// TIFF; the first page.
    Tiff,
}

impl ImageFormat {
    /// The wire form: what `image.format` says in an answer.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
        }
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
