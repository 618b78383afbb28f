//! Any bytes give a picture or a reason, never a panic. A panic inside a foreign decoder is caught
//! by the stage itself; the test would still fail on one of ours.

use proptest::prelude::*;

use super::*;

/// Small enough that thousands of cases are quick and no lying header costs memory.
fn settings() -> Settings {
    Settings {
        max_bytes: 1 << 20,
        max_pixels: 1 << 16,
        ..Settings::default()
    }
}

fn valid() -> impl Strategy<Value = Vec<u8>> {
    let scene = scene(50, 34);
    let progressive = Jpeg {
        progressive: true,
        ..BASELINE
    };
    prop::sample::select(vec![
        with_exif(&jpeg(&scene, BASELINE), &exif(6, true)),
        jpeg(&scene, progressive),
        png(&scene),
        encoded(&scene.clone().into(), Kind::WebP),
        encoded(&scene.clone().into(), Kind::Bmp),
        encoded(&scene.into(), Kind::Tiff),
    ])
}

/// Either a picture whose sizes agree, or a reason with a text.
fn settle(bytes: &[u8]) -> Result<(), TestCaseError> {
    match decode(bytes, &settings()) {
        Ok(capture) => {
            prop_assert_eq!(
                capture.overview().as_raw().len(),
                capture.overview().width() as usize * capture.overview().height() as usize * 3
            );
            prop_assert!(u64::from(capture.width()) * u64::from(capture.height()) <= 1 << 16);
        }
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        settle(&bytes)?;
    }

    #[test]
    fn any_bytes_behind_a_known_start(
        start in prop::sample::select(vec![
            b"\xFF\xD8\xFF".to_vec(),
            b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR".to_vec(),
            b"RIFF\xFF\0\0\0WEBPVP8L".to_vec(),
            b"RIFF\xFF\0\0\0WEBPVP8X".to_vec(),
            b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0".to_vec(),
            b"II*\0\x08\0\0\0".to_vec(),
            b"MM\0*\0\0\0\x08".to_vec(),
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        settle(&[start, rest].concat())?;
    }

    #[test]
    fn mutated_files(
        mut bytes in valid(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        settle(&bytes)?;
    }

    #[test]
    fn mutated_headers(
        mut bytes in valid(),
        changes in prop::collection::vec((0_usize..160, any::<u8>()), 1..5),
    ) {
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        settle(&bytes)?;
    }

    #[test]
    fn any_patch_of_a_large_jpeg(
        x in -3000.0_f32..4000.0,
        y in -300.0_f32..300.0,
        width in 0.0_f32..4000.0,
        height in 0.0_f32..400.0,
        min_scale in 0.0_f32..2.0,
    ) {
        let capture = decoded(large());
        let area = crate::geometry::BoundingBox::new(x, y, width, height);
        if let Ok(patch) = capture.patch(area, min_scale) {
            prop_assert!(patch.scale >= min_scale.min(1.0));
            prop_assert!(patch.origin.x >= 0.0 && patch.origin.y >= 0.0);
            let right = patch.origin.x + patch.pixels.width() as f32 / patch.scale;
            let bottom = patch.origin.y + patch.pixels.height() as f32 / patch.scale;
            // The overview's last column may stand for less than whole pixels.
            prop_assert!(right <= capture.width() as f32 + 2.0);
            prop_assert!(bottom <= capture.height() as f32 + 2.0);
            prop_assert!(right >= (x + width).min(capture.width() as f32));
            prop_assert!(bottom >= (y + height).min(capture.height() as f32));
        }
    }
}

fn large() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| jpeg(&scene(2571, 67), BASELINE))
}
