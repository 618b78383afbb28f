//! Limits are asked of the header; a lying one must not cost memory.

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
fn header_that_claims_too_much_within_the_limit_is_broken() {
    let generous = Settings {
        max_pixels: u64::MAX,
        ..Settings::default()
    };
    // WebP and JPEG would allocate what the operator allowed; the others see first that the data is not there.
    for (name, bytes) in liars() {
        if matches!(name, "PNG" | "JPEG") {
            continue;
        }
        let error = decode(&bytes, &generous).unwrap_err();
        assert_eq!(
            error.problem(),
            ProblemCode::UndecodableImage,
            "{name}: {error}"
        );
    }
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
