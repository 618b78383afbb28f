//! Limits are asked of the header; a lying one must not cost memory.

use super::formats::{deflated, header, png_of};
use super::*;

/// Headers that claim far more pixels than any limit, with hardly any data behind them.
fn liars() -> Vec<(&'static str, Vec<u8>)> {
    let scene = scene(16, 16);

    let mut jpeg = jpeg(&scene, BASELINE);
    let frame = jpeg
        .windows(2)
        .position(|window| window == [0xFF, 0xC0])
        .unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);

    let mut png = png(&scene);
    png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&png[12..29]);
    png[29..33].copy_from_slice(&crc.sum().to_be_bytes());

    let mut bmp = encoded(&scene.clone().into(), Kind::Bmp);
    bmp[18..26].copy_from_slice(&[0, 0, 1, 0, 0, 0, 1, 0]);

    let mut tiff = encoded(&scene.clone().into(), Kind::Tiff);
    for tag in [256_u16, 257] {
        let at = tiff
            .windows(4)
            .rposition(|window| {
                window[..2] == tag.to_le_bytes() && matches!(window[2..], [3 | 4, 0])
            })
            .unwrap();
        // Both a short and a long hold 65535 so.
        tiff[at + 8..at + 12].copy_from_slice(&[0xFF, 0xFF, 0, 0]);
    }

    // Lossless WebP: 14 bits for each side less one, after the signature byte.
    let mut webp = encoded(&scene.clone().into(), Kind::WebP);
    let at = webp
        .windows(4)
        .position(|window| window == b"VP8L")
        .unwrap()
        + 9;
    webp[at..at + 3].fill(0xFF);
    webp[at + 3] |= 0x0F;

    vec![
        ("JPEG", jpeg),
        ("PNG", png),
        ("BMP", bmp),
        ("TIFF", tiff),
        ("WebP", webp),
    ]
}

#[test]
fn header_that_claims_too_much_is_refused_before_pixels() {
    for (name, bytes) in liars() {
        let error = refused(&bytes);
        let CaptureError::TooManyPixels {
            width,
            height,
            limit,
        } = error
        else {
            panic!("{name}: {error}");
        };
        assert!(u64::from(width) * u64::from(height) > limit, "{name}");
        assert_eq!(limit, 50_000_000);
        assert_eq!(error.problem(), ProblemCode::ImageTooLarge);
    }
}

#[test]
fn header_that_claims_too_much_is_refused_by_side_or_memory_where_pixels_are_allowed() {
    let generous = Settings {
        max_pixels: u64::MAX,
        ..Settings::default()
    };
    for (name, bytes) in liars() {
        let error = decode(&bytes, &generous).unwrap_err();
        let is_expected = match error {
            // Its headers cannot claim a longer side: 16384² pixels of 7 bytes.
            CaptureError::TooMuchMemory { needed, limit } => {
                name == "WebP" && needed >= 7 << 28 && limit == 320 << 20
            }
            CaptureError::TooLong { limit, .. } => limit == 16_384,
            _ => false,
        };
        assert!(is_expected, "{name}: {error}");
        assert_eq!(error.problem(), ProblemCode::ImageTooLarge);
    }
}

/// A PNG of `width` × `height` pixels, all of one grey.
fn blank(width: u32, height: u32) -> Vec<u8> {
    let row = vec![0; width as usize + 1];
    png_of(&[
        (b"IHDR", &header(width, height, 8, 0)),
        (b"IDAT", &deflated(&row.repeat(height as usize))),
        (b"IEND", &[]),
    ])
}

#[test]
fn sides_and_their_ratio_are_bounded() {
    assert!(decode(&blank(16_384, 328), &Settings::default()).is_ok());
    let error = refused(&blank(1, 50_000_000 / 1000));
    assert!(matches!(error, CaptureError::TooLong { .. }), "{error}");
    for (width, height) in [(16_384, 300), (20, 1025)] {
        let error = refused(&blank(width, height));
        let expected = CaptureError::TooNarrow {
            width,
            height,
            limit: 50,
        };
        assert_eq!(error, expected);
        assert_eq!(error.problem(), ProblemCode::ImageTooLarge);
    }
    assert!(decode(&blank(1, 1024), &Settings::default()).is_ok());
}

#[test]
fn sixteen_bits_and_opacity_take_no_more_memory_than_the_picture() {
    // 1000 × 1000 of 16-bit RGBA are 8 MB; by rows it is the 6 MB of any picture, and the chunks.
    let wide = image::DynamicImage::from(scene(1000, 1000)).into_rgba16();
    let bytes = encoded(&wide.into(), Kind::Png);
    let settings = Settings {
        max_memory_bytes: 6_100_000 + 2 * bytes.len() as u64,
        ..Settings::default()
    };
    assert!(decode(&bytes, &settings).is_ok());
}

#[test]
fn memory_follows_the_workers_where_no_setting_gives_it() {
    let mib = |settings: &Settings| [1, 2, 16].map(|workers| settings.memory_bytes(workers) >> 20);
    assert_eq!(mib(&Settings::default()), [320, 320, 2560]);
    let fixed = Settings {
        max_memory_bytes: 64 << 20,
        ..Settings::default()
    };
    assert_eq!(mib(&fixed), [64; 3]);
}

#[test]
fn several_pictures_share_one_memory() {
    let settings = Settings::default();
    let bytes = png(&scene(100, 100));
    let memory = Memory::new(100_000 + 4 * bytes.len() as u64);
    let first = decode_within(&bytes, &settings, &memory, &Decoder::default()).unwrap();
    assert_eq!(memory.held(), 60_000 + 2 * bytes.len() as u64);
    drop(first);
    assert_eq!(memory.held(), 0);
    // A picture that fails gives back what it reserved.
    let cut = &bytes[..bytes.len() / 2];
    assert!(decode_within(cut, &settings, &memory, &Decoder::default()).is_err());
    assert_eq!(memory.held(), 0);
}

#[test]
fn webp_is_held_against_the_size_inside_too() {
    // The canvas says 16 × 16, the picture in it 16384 × 16384.
    let inner = liars().pop().unwrap().1;
    let mut body = b"WEBPVP8X\x0A\0\0\0\0\0\0\0\x0F\0\0\x0F\0\0".to_vec();
    body.extend_from_slice(&inner[12..]);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    let error = refused(&bytes);
    assert!(
        error.to_string().contains("larger than its canvas"),
        "{error}"
    );
}

#[test]
fn pixels_are_allowed_up_to_the_limit_and_not_beyond() {
    let settings = Settings {
        max_pixels: 200,
        ..Settings::default()
    };
    for write in [png as fn(&RgbImage) -> Vec<u8>, |image| {
        jpeg(image, BASELINE)
    }] {
        assert!(decode(&write(&scene(20, 10)), &settings).is_ok());
        let error = decode(&write(&scene(67, 3)), &settings).unwrap_err();
        let expected = CaptureError::TooManyPixels {
            width: 67,
            height: 3,
            limit: 200,
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn bytes_are_allowed_up_to_the_limit_and_not_beyond() {
    let bytes = png(&scene(20, 10));
    let mut settings = Settings {
        max_bytes: bytes.len(),
        ..Settings::default()
    };
    assert!(decode(&bytes, &settings).is_ok());
    settings.max_bytes -= 1;
    let error = decode(&bytes, &settings).unwrap_err();
    assert_eq!(error.problem(), ProblemCode::ImageTooLarge);
    let text = error.to_string();
    assert!(text.contains(&bytes.len().to_string()), "{text}");
    assert!(text.contains(&settings.max_bytes.to_string()), "{text}");
}

#[test]
fn limit_message_gives_both_sizes() {
    let error = CaptureError::TooManyPixels {
        width: 9000,
        height: 8000,
        limit: 50_000_000,
    };
    assert_eq!(
        error.to_string(),
        "the picture is 9000×8000 (72.0 megapixels), the limit is 50.0 megapixels; scale it down first"
    );
}

#[test]
fn zero_sizes_are_refused() {
    let mut bytes = jpeg(&scene(16, 16), BASELINE);
    let frame = bytes
        .windows(2)
        .position(|window| window == [0xFF, 0xC0])
        .unwrap();
    bytes[frame + 5..frame + 7].fill(0);
    let error = refused(&bytes);
    let expected = CaptureError::ZeroSize {
        format: ImageFormat::Jpeg,
        width: 16,
        height: 0,
    };
    assert_eq!(error, expected);
    assert_eq!(error.problem(), ProblemCode::UndecodableImage);

    let mut bytes = encoded(&scene(16, 16).into(), Kind::Bmp);
    bytes[18..22].fill(0);
    assert_eq!(refused(&bytes).problem(), ProblemCode::UndecodableImage);
}

#[test]
fn thousands_of_scans_are_refused() {
    let how = Jpeg {
        progressive: true,
        ..BASELINE
    };
    let bytes = jpeg(&scene(64, 64), how);
    // The last scan again and again before the end marker.
    let start = bytes
        .windows(2)
        .rposition(|window| window == [0xFF, 0xDA])
        .unwrap();
    let end = bytes.len() - 2;
    let scan = bytes[start..end].to_vec();
    let mut bomb = bytes[..end].to_vec();
    for _ in 0..1000 {
        bomb.extend_from_slice(&scan);
    }
    bomb.extend_from_slice(&[0xFF, 0xD9]);
    let error = refused(&bomb);
    let CaptureError::TooManyScans { scans, limit } = error else {
        panic!("{error}");
    };
    assert!(scans > 1000 && limit == 100);
}

#[test]
fn memory_that_the_system_lacks_is_no_fault_of_the_picture() {
    // More than any address space has.
    let error = super::super::decoding::allocated(usize::MAX / 4).unwrap_err();
    assert!(matches!(error, CaptureError::OutOfMemory), "{error}");
    assert_eq!(error.problem(), ProblemCode::Overloaded);
}

#[test]
fn the_largest_file_may_lack_its_end_marker() {
    let mut bytes = jpeg(&scene(64, 48), BASELINE);
    bytes.truncate(bytes.len() - 2);
    let settings = Settings {
        max_bytes: bytes.len(),
        ..Settings::default()
    };
    // In the memory that both processes share it takes two bytes more than any file may have.
    let capture = decode_by(&confined(&settings), &bytes, &settings).unwrap();
    assert_eq!(
        capture.overview(),
        decode(&bytes, &settings).unwrap().overview()
    );
}
