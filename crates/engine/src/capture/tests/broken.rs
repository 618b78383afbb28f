//! Unhappy paths by name: what is refused, with which code, and that the text tells what to do.

use super::*;

/// Every kind of file that can be written here, with its name.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let scene = scene(120, 90);
    let progressive = Jpeg {
        progressive: true,
        ..BASELINE
    };
    vec![
        ("JPEG", jpeg(&scene, BASELINE)),
        ("progressive JPEG", jpeg(&scene, progressive)),
        ("PNG", png(&scene)),
        ("WebP", encoded(&scene.clone().into(), Kind::WebP)),
        ("BMP", encoded(&scene.clone().into(), Kind::Bmp)),
        ("TIFF", encoded(&scene.clone().into(), Kind::Tiff)),
    ]
}

#[test]
fn empty_upload() {
    let error = refused(b"");
    assert_eq!(error, CaptureError::Empty);
    assert_eq!(error.problem(), ProblemCode::UndecodableImage);
    assert!(error.to_string().contains("0 bytes"));
}

#[test]
fn file_cut_off_at_any_length_is_refused() {
    for (name, bytes) in files() {
        let step = (bytes.len() / 60).max(1);
        // TIFF and PNG may end in bytes that hold no pixels: cut deeper than those.
        let end = bytes.len() - bytes.len() / 8;
        for length in (1..end).step_by(step) {
            let error = decode(&bytes[..length], &Settings::default())
                .expect_err(&format!("{name} cut at {length} of {}", bytes.len()));
            let allowed = if length < 18 {
                matches!(
                    error.problem(),
                    ProblemCode::UnsupportedMediaType | ProblemCode::UndecodableImage
                )
            } else {
                error.problem() == ProblemCode::UndecodableImage
            };
            assert!(allowed, "{name} cut at {length}: {error}");
        }
    }
}

#[test]
fn truncated_jpeg_says_so_even_when_only_the_end_is_missing() {
    for (name, bytes) in files().into_iter().take(2) {
        // The last two bytes are the end marker; a baseline file may lack it.
        for length in (bytes.len() - 200..bytes.len() - 2).chain(20..200) {
            let error = decode(&bytes[..length], &Settings::default())
                .expect_err(&format!("{name} cut at {length}"));
            let expected = CaptureError::Truncated {
                format: ImageFormat::Jpeg,
            };
            assert_eq!(error, expected, "{name} cut at {length}");
        }
    }
    assert!(
        refused(&PHOTO[..PHOTO.len() / 2])
            .to_string()
            .contains("ends early")
    );
}

#[test]
fn truncated_files_of_other_kinds_say_so() {
    for (name, bytes) in files().into_iter().skip(2) {
        let error = refused(&bytes[..bytes.len() / 2]);
        assert!(
            matches!(error, CaptureError::Truncated { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn trailing_bytes_do_not_matter() {
    for (name, mut bytes) in files() {
        let whole = decoded(&bytes);
        bytes.extend_from_slice(&[0; 64]);
        bytes.extend_from_slice(b"depth map, preview, padding");
        bytes.extend_from_slice(PHOTO);
        assert_eq!(decoded(&bytes).overview(), whole.overview(), "{name}");
    }
}

#[test]
fn stray_bytes_before_a_marker_are_accepted() {
    let mut bytes = jpeg(&scene(120, 90), BASELINE);
    let whole = decoded(&bytes);
    let end = bytes.len() - 2;
    bytes.splice(end..end, [0; 5]);
    assert_eq!(decoded(&bytes).overview(), whole.overview());
}

#[test]
fn odd_jfif_revision_is_accepted() {
    let mut bytes = PHOTO.to_vec();
    let jfif = bytes
        .windows(5)
        .position(|window| window == b"JFIF\0")
        .unwrap();
    bytes[jfif + 5] = 9;
    let loss = difference(decoded(&bytes).overview(), decoded(PHOTO).overview());
    // Another decoder reads it: its arithmetic differs in the last bit.
    assert!(loss < 1.0, "{loss}");
}

#[test]
fn gap_inside_the_data_is_damage() {
    let bytes = jpeg(
        &scene(400, 300),
        Jpeg {
            quality: 99,
            ..BASELINE
        },
    );
    let middle = bytes.len() / 2;
    let gap = [&bytes[..middle], &bytes[middle + 1500..]].concat();
    let error = refused(&gap);
    assert!(matches!(error, CaptureError::Damaged { .. }), "{error}");
    assert_eq!(error.problem(), ProblemCode::UndecodableImage);
}

#[test]
fn jpeg_without_picture_data() {
    assert!(matches!(
        refused(b"\xFF\xD8\xFF\xD9"),
        CaptureError::Damaged { .. }
    ));
    assert!(matches!(
        refused(b"\xFF\xD8\xFF"),
        CaptureError::Truncated { .. }
    ));
    let tables_only = [b"\xFF\xD8\xFF\xFE\0\x04hi".as_slice(), b"\xFF\xD9"].concat();
    assert!(matches!(
        refused(&tables_only),
        CaptureError::Damaged { .. }
    ));
}

#[test]
fn twelve_bit_jpeg_is_of_a_kind_that_is_not_supported() {
    let mut bytes = jpeg(&scene(16, 16), BASELINE);
    let frame = bytes
        .windows(2)
        .position(|window| window == [0xFF, 0xC0])
        .unwrap();
    bytes[frame + 4] = 12;
    let error = refused(&bytes);
    assert_eq!(error.problem(), ProblemCode::UnsupportedMediaType);
    assert!(error.to_string().contains("12 bits per sample"), "{error}");
}

#[test]
fn wrong_magic_and_foreign_kinds_are_415_with_advice() {
    let table: [(&[u8], &str, &str); 5] = [
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            "HEIC",
            "heif-convert",
        ),
        (b"GIF89a\x01\0\x01\0", "GIF", "magick"),
        (b"%PDF-1.4\n", "PDF", "pdftoppm"),
        (b"\0\0\0\x1Cftypavif\0\0\0\0", "AVIF", "avifdec"),
        (b"/home/me/face.jpg", "an unknown kind", "not a path"),
    ];
    for (bytes, kind, advice) in table {
        let error = refused(bytes);
        assert_eq!(error.problem(), ProblemCode::UnsupportedMediaType);
        let text = error.to_string();
        assert!(text.contains(kind) && text.contains(advice), "{text}");
        assert!(text.contains("JPEG, PNG, WebP, BMP and TIFF"), "{text}");
    }
}

#[test]
fn name_does_not_matter_only_bytes_do() {
    // A PNG whose end looks like a JPEG, and the other way round.
    let scene = scene(20, 20);
    let both = [png(&scene), jpeg(&scene, BASELINE)].concat();
    assert_eq!(decoded(&both).format(), ImageFormat::Png);
    let both = [jpeg(&scene, BASELINE), png(&scene)].concat();
    assert_eq!(decoded(&both).format(), ImageFormat::Jpeg);
}

#[test]
fn palette_tiff_says_what_to_convert_to() {
    let mut bytes = encoded(&pixels::luma(&scene(8, 8)).into(), Kind::Tiff);
    let entry = [262_u16.to_le_bytes(), 3_u16.to_le_bytes()].concat();
    let at = bytes.windows(4).position(|window| window == entry).unwrap();
    bytes[at + 8] = 3;
    let error = refused(&bytes);
    assert!(
        matches!(
            error,
            CaptureError::UnsupportedKind { .. } | CaptureError::Damaged { .. }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("TIFF"), "{error}");
}
