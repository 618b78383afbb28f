//! Which kind of file this is, by its first bytes. Names and declared types do not count.

use super::{ForeignFormat, ImageFormat};

/// The format of `bytes`, or which foreign kind they are.
///
/// # Errors
/// The foreign kind, where the bytes are no supported picture.
pub fn sniff(bytes: &[u8]) -> Result<ImageFormat, ForeignFormat> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Ok(ImageFormat::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(ImageFormat::Png),
        // 42, or 43 for files with 64-bit offsets (BigTIFF).
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(ImageFormat::Tiff),
        _ if riff(bytes) == Some(*b"WEBP") => Ok(ImageFormat::Webp),
        _ if is_bmp(bytes) => Ok(ImageFormat::Bmp),
        _ => Err(foreign(bytes)),
    }
}

/// What a RIFF file says that it holds.
fn riff(bytes: &[u8]) -> Option<[u8; 4]> {
    let rest = bytes.strip_prefix(b"RIFF")?;
    rest.get(4..8)?.try_into().ok()
}

/// Many texts start with "BM", so the size of the second header must be one that exists.
fn is_bmp(bytes: &[u8]) -> bool {
    let size = bytes.get(14..18);
    bytes.starts_with(b"BM") && matches!(size, Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// `bytes` from where the picture in them starts. Clients that split a camera's stream (MJPEG over
/// HTTP) often leave the line break before a picture, or the header of its part.
pub(super) fn without_part_header(bytes: &[u8]) -> &[u8] {
    /// Longer than the headers that cameras write.
    const LONGEST: usize = 1024;
    let breaks = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let rest = &bytes[breaks.take(LONGEST).count()..];
    let head = &rest[..rest.len().min(LONGEST)];
    let is_header = head.starts_with(b"--")
        || head
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
    if !is_header {
        return rest;
    }
    let after = |blank: &[u8]| {
        let at = head.windows(blank.len()).position(|window| window == blank);
        at.map(|at| &rest[at + blank.len()..])
    };
    after(b"\r\n\r\n")
        .or_else(|| after(b"\n\n"))
        .unwrap_or(rest)
}

fn foreign(bytes: &[u8]) -> ForeignFormat {
    match bytes {
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => ForeignFormat::Gif,
        [b'%', b'P', b'D', b'F', b'-', ..] => ForeignFormat::Pdf,
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => ForeignFormat::JpegXl,
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => {
            ForeignFormat::Jpeg2000
        }
        [0x1A, 0x45, 0xDF, 0xA3, ..] => ForeignFormat::Video,
        _ if riff(bytes) == Some(*b"AVI ") => ForeignFormat::Video,
        [_, _, _, _, b'f', b't', b'y', b'p', rest @ ..] => brand(rest),
        _ => text(bytes),
    }
}

/// ISO base media files name what they hold in brands: a major one, a version, compatible ones.
fn brand(rest: &[u8]) -> ForeignFormat {
    let known = |brand: &[u8]| match brand {
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"hevm" | b"hevs" => {
            Some(ForeignFormat::Heic)
        }
        b"avif" | b"avis" => Some(ForeignFormat::Avif),
        _ => None,
    };
    let brands = || rest.chunks_exact(4).take(10);
    brands().find_map(known).unwrap_or_else(|| {
        // `mif1` and `msf1` say "HEIF", not which codec; HEVC is by far the commonest.
        if brands().any(|brand| brand == b"mif1" || brand == b"msf1") {
            ForeignFormat::Heic
        } else {
            ForeignFormat::Video
        }
    })
}

fn text(bytes: &[u8]) -> ForeignFormat {
    let start = bytes
        .iter()
        .position(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xEF | 0xBB | 0xBF))
        .unwrap_or(bytes.len());
    let head = &bytes[start..bytes.len().min(start + 512)];
    let is_svg = || {
        head.windows(4)
            .any(|word| word.eq_ignore_ascii_case(b"<svg"))
    };
    match head.first() {
        Some(b'<') if is_svg() => ForeignFormat::Svg,
        Some(b'<') => ForeignFormat::Markup,
        _ => ForeignFormat::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_kind_is_known_by_its_first_bytes() {
        let bmp = {
            let mut bytes = vec![0; 18];
            bytes[..2].copy_from_slice(b"BM");
            bytes[14] = 40;
            bytes
        };
        let table: [(&[u8], ImageFormat); 8] = [
            (b"\xFF\xD8\xFF\xE0", ImageFormat::Jpeg),
            (b"\x89PNG\r\n\x1A\n", ImageFormat::Png),
            (b"RIFF\0\0\0\0WEBPVP8 ", ImageFormat::Webp),
            (b"II*\0", ImageFormat::Tiff),
            (b"MM\0*", ImageFormat::Tiff),
            (b"II+\0", ImageFormat::Tiff),
            (b"MM\0+", ImageFormat::Tiff),
            (&bmp, ImageFormat::Bmp),
        ];
        for (bytes, format) in table {
            assert_eq!(sniff(bytes), Ok(format), "{bytes:?}");
        }
    }

    #[test]
    fn foreign_kinds_are_known() {
        let table: [(&[u8], ForeignFormat); 14] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ForeignFormat::Heic),
            (b"\0\0\0\x18ftypmif1\0\0\0\0heicmif1", ForeignFormat::Heic),
            (b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1", ForeignFormat::Avif),
            (b"\0\0\0\x18ftypavif\0\0\0\0", ForeignFormat::Avif),
            (b"\0\0\0\x18ftypisom\0\0\0\0mp42", ForeignFormat::Video),
            (b"GIF89a\x01\0", ForeignFormat::Gif),
            (b"%PDF-1.7", ForeignFormat::Pdf),
            (b"\xFF\x0A\0\0", ForeignFormat::JpegXl),
            (b"\0\0\0\x0CjP  \r\n", ForeignFormat::Jpeg2000),
            (b"\xEF\xBB\xBF <?xml version='1'?><SVG>", ForeignFormat::Svg),
            (b"<!doctype html><title>404</title>", ForeignFormat::Markup),
            (b"BM is also how a text may start", ForeignFormat::Unknown),
            (b"/home/me/photo.jpg", ForeignFormat::Unknown),
            (b"", ForeignFormat::Unknown),
        ];
        for (bytes, format) in table {
            assert_eq!(sniff(bytes), Err(format), "{bytes:?}");
        }
    }
}
