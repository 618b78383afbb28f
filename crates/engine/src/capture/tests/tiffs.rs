//! TIFF in the forms in which other programs write it, by hand: no encoder here writes most of
//! them.

use super::*;

struct Tiff {
    /// With 64-bit offsets.
    is_big: bool,
    is_tiled: bool,
    /// Tag, type and values; those of the parts are added.
    entries: Vec<(u16, u16, Vec<u64>)>,
    parts: Vec<Vec<u8>>,
}

const SHORT: u16 = 3;
const LONG: u16 = 4;

impl Tiff {
    /// 8 bits per sample, in one part.
    fn new(
        (width, height): (u32, u32),
        photometric: u16,
        samples: u16,
        parts: Vec<Vec<u8>>,
    ) -> Self {
        let entries = vec![
            (256, LONG, vec![width.into()]),
            (257, LONG, vec![height.into()]),
            (258, SHORT, vec![8; samples.into()]),
            (259, SHORT, vec![1]),
            (262, SHORT, vec![photometric.into()]),
            (277, SHORT, vec![samples.into()]),
            (278, LONG, vec![height.into()]),
        ];
        Self {
            is_big: false,
            is_tiled: false,
            entries,
            parts,
        }
    }

    fn with(mut self, tag: u16, kind: u16, values: &[u64]) -> Self {
        self.entries.retain(|entry| entry.0 != tag);
        self.entries.push((tag, kind, values.to_vec()));
        self
    }

    fn tiled(mut self, (width, height): (u32, u32)) -> Self {
        self.is_tiled = true;
        self.entries.retain(|entry| entry.0 != 278);
        self.with(322, LONG, &[width.into()])
            .with(323, LONG, &[height.into()])
    }

    fn big(mut self) -> Self {
        self.is_big = true;
        self
    }

    fn write(&self) -> Vec<u8> {
        let offsets: Vec<u64> = self
            .parts
            .iter()
            .scan(16, |at, part| {
                let start = *at;
                *at += part.len() as u64;
                Some(start)
            })
            .collect();
        self.write_with(&offsets)
    }

    /// With other offsets than where the parts are, which follow one another from byte 16 on.
    fn write_with(&self, offsets: &[u64]) -> Vec<u8> {
        let counts: Vec<u64> = self.parts.iter().map(|part| part.len() as u64).collect();
        let counts = if counts.len() == offsets.len() {
            counts
        } else {
            vec![counts[0]; offsets.len()]
        };
        let mut entries = self.entries.clone();
        let (at, length) = if self.is_tiled {
            (324, 325)
        } else {
            (273, 279)
        };
        let kind = if self.is_big { 16 } else { LONG };
        entries.push((at, kind, offsets.to_vec()));
        entries.push((length, kind, counts));
        entries.sort_by_key(|entry| entry.0);

        let mut out = vec![0; 16];
        out.extend(self.parts.concat());
        let word = if self.is_big { 8 } else { 4 };
        let number = |value: u64, bytes: usize| value.to_le_bytes()[..bytes].to_vec();
        let mut directory = number(entries.len() as u64, if self.is_big { 8 } else { 2 });
        for (tag, kind, values) in entries {
            let bytes = match kind {
                1 => 1,
                SHORT => 2,
                LONG => 4,
                _ => 8,
            };
            let mut value: Vec<u8> = values.iter().flat_map(|&v| number(v, bytes)).collect();
            if value.len() > word {
                let place = out.len() as u64;
                out.append(&mut value);
                value = number(place, word);
            }
            value.resize(word, 0);
            directory.extend(number(tag.into(), 2));
            directory.extend(number(kind.into(), 2));
            directory.extend(number(values.len() as u64, word));
            directory.extend(value);
        }
        directory.extend(vec![0; word]);
        let place = out.len() as u64;
        out.extend(directory);
        let header = if self.is_big {
            [b"II+\0\x08\0\0\0".to_vec(), number(place, 8)].concat()
        } else {
            [b"II*\0".to_vec(), number(place, 4)].concat()
        };
        out[..header.len()].copy_from_slice(&header);
        out
    }
}

const GREY: u16 = 1;
const RGB: u16 = 2;

fn one_plane(image: &RgbImage, channel: usize) -> Vec<u8> {
    image.pixels().map(|pixel| pixel.0[channel]).collect()
}

/// The picture cut into tiles of `side`, filled up with zeros.
fn tiles(
    samples: &[u8],
    width: usize,
    height: usize,
    channels: usize,
    side: usize,
) -> Vec<Vec<u8>> {
    let mut tiles = Vec::new();
    for top in (0..height).step_by(side) {
        for left in (0..width).step_by(side) {
            let mut tile = vec![0; side * side * channels];
            for row in top..height.min(top + side) {
                let columns = side.min(width - left) * channels;
                let from = (row * width + left) * channels;
                tile[(row - top) * side * channels..][..columns]
                    .copy_from_slice(&samples[from..from + columns]);
            }
            tiles.push(tile);
        }
    }
    tiles
}

#[test]
fn bigtiff_is_read() {
    let scene = scene(37, 23);
    let bytes = Tiff::new((37, 23), RGB, 3, vec![scene.as_raw().clone()])
        .big()
        .write();
    assert_eq!(decoded(&bytes).overview(), &scene);
}

#[test]
fn grey_with_opacity_lies_on_middle_grey_and_an_unknown_channel_is_ignored() {
    let samples = vec![200, 255, 200, 0, 200, 128];
    let file = |kind| {
        Tiff::new((3, 1), GREY, 2, vec![samples.clone()])
            .with(338, SHORT, &[kind])
            .write()
    };
    let grey = |bytes: &[u8]| one_plane(decoded(bytes).overview(), 0);
    assert_eq!(grey(&file(2)), [200, 128, 164]);
    assert_eq!(grey(&file(0)), [200, 200, 200]);
}

#[test]
fn tiles_and_planes_in_every_combination() {
    let scene = scene(70, 45);
    let planes: Vec<Vec<u8>> = (0..3).map(|channel| one_plane(&scene, channel)).collect();
    let tiled = tiles(scene.as_raw(), 70, 45, 3, 32);
    let tiled_planes: Vec<_> = planes
        .iter()
        .flat_map(|it| tiles(it, 70, 45, 1, 32))
        .collect();
    let new = |parts| Tiff::new((70, 45), RGB, 3, parts);
    for (what, file) in [
        ("tiles", new(tiled).tiled((32, 32))),
        ("planes", new(planes).with(284, SHORT, &[2])),
        (
            "tiled planes",
            new(tiled_planes).with(284, SHORT, &[2]).tiled((32, 32)),
        ),
    ] {
        assert_eq!(decoded(&file.write()).overview(), &scene, "{what}");
        assert_eq!(
            decoded(&file.big().write()).overview(),
            &scene,
            "{what}, big"
        );
    }
}

#[test]
fn floats_and_few_bits_are_read() {
    let floats: Vec<u8> = [0.0_f32, 0.5, 1.0, 2.0]
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let file = Tiff::new((4, 1), GREY, 1, vec![floats])
        .with(258, SHORT, &[32])
        .with(339, SHORT, &[3]);
    assert_eq!(
        one_plane(decoded(&file.write()).overview(), 0),
        [0, 128, 255, 255]
    );
    let file = Tiff::new((3, 1), GREY, 1, vec![vec![0x0F, 0x80]]).with(258, SHORT, &[4]);
    assert_eq!(
        one_plane(decoded(&file.write()).overview(), 0),
        [0, 255, 136]
    );
    let file = Tiff::new((3, 1), 0, 1, vec![vec![0b1010_0000]]).with(258, SHORT, &[1]);
    assert_eq!(one_plane(decoded(&file.write()).overview(), 0), [0, 255, 0]);
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let new = |photometric, samples| Tiff::new((4, 4), photometric, samples, vec![vec![0; 256]]);
    for (file, said) in [
        (new(3, 1), "palette colours"),
        (
            new(GREY, 1).with(258, SHORT, &[32]),
            "32 bits per sample, sample format 1",
        ),
        (new(RGB, 3).with(259, SHORT, &[50000]), "unsupported"),
        (new(GREY, 5), "Multiband"),
        (new(GREY, 1).with(266, SHORT, &[2]), "FillOrder 2"),
    ] {
        refused_by_name(&file.write(), said);
    }
}

#[test]
fn orientation_may_be_long() {
    let scene = scene(20, 10);
    let bytes = Tiff::new((20, 10), RGB, 3, vec![scene.as_raw().clone()])
        .with(274, LONG, &[6])
        .write();
    let capture = decoded(&bytes);
    assert_eq!((capture.width(), capture.height()), (10, 20));
}

fn with_jpeg(size: (u32, u32), tile: (u32, u32), jpegs: Vec<Vec<u8>>) -> Tiff {
    Tiff::new(size, 6, 3, jpegs)
        .with(259, SHORT, &[7])
        .with(530, SHORT, &[2, 2])
        .tiled(tile)
}

#[test]
fn jpeg_inside_is_decoded_where_it_fills_its_tile() {
    let scene = scene(64, 48);
    let file = with_jpeg((64, 48), (64, 48), vec![jpeg(&scene, BASELINE)]);
    let loss = difference(decoded(&file.write()).overview(), &scene);
    assert!(loss < 2.5, "{loss}");
}

#[test]
fn jpeg_inside_that_is_larger_than_its_tile_is_refused_before_it_is_decoded() {
    // The tile claims 64 × 64; its JPEG's header 16000 × 16000, which would be 768 MB.
    let mut large = jpeg(&scene(64, 64), BASELINE);
    let frame = large.windows(2).position(|it| it == [0xFF, 0xC0]).unwrap();
    large[frame + 5..frame + 9].copy_from_slice(&[0x3E, 0x80, 0x3E, 0x80]);
    let error = refused(&with_jpeg((64, 64), (64, 64), vec![large]).write());
    assert_eq!(error.problem(), ProblemCode::UndecodableImage, "{error}");
    assert!(error.to_string().contains("16000×16000"), "{error}");
    // Grey where three samples are declared.
    let plane = pixels::luma(&scene(64, 64));
    let how = Jpeg {
        subsampling: Subsamp::Gray,
        ..BASELINE
    };
    let grey = jpeg_of(plane.as_raw(), (64, 64), PixelFormat::GRAY, None, how);
    let error = refused(&with_jpeg((64, 64), (64, 64), vec![grey]).write());
    assert!(error.to_string().contains("3 samples"), "{error}");
}

#[test]
fn packed_parts_that_share_their_bytes_are_refused() {
    let tile = jpeg(&scene(64, 64), BASELINE);
    let file = with_jpeg((512, 512), (64, 64), vec![tile]);
    let error = refused(&file.write_with(&[16; 64]));
    assert_eq!(error.problem(), ProblemCode::UndecodableImage, "{error}");
    assert!(error.to_string().contains("share bytes"), "{error}");
}

#[test]
fn thousands_of_parts_are_refused_by_their_number() {
    let side = 140;
    let file = Tiff::new((side, side), GREY, 1, vec![vec![0; 256]; 140 * 140]).tiled((1, 1));
    let error = refused(&file.write());
    assert_eq!(error.problem(), ProblemCode::UnsupportedMediaType);
    assert!(
        error.to_string().contains("19600 strips or tiles"),
        "{error}"
    );
}

#[test]
fn tiles_far_larger_than_the_picture_are_refused() {
    let file = Tiff::new((100, 100), RGB, 3, vec![vec![0; 64]; 100])
        .tiled((10, 1 << 20))
        .with(259, SHORT, &[8]);
    let error = refused(&file.write());
    assert!(
        matches!(
            error.problem(),
            ProblemCode::UnsupportedMediaType | ProblemCode::UndecodableImage
        ),
        "{error}"
    );
    let file = Tiff::new((16, 16), RGB, 3, vec![vec![0; 64]]).tiled((16_384, 16_384));
    let error = refused(&file.write());
    assert_eq!(error.problem(), ProblemCode::ImageTooLarge, "{error}");
}

#[test]
fn floats_take_memory_for_a_strip_and_not_for_the_picture() {
    // 1000 × 1000 floats in RGB are 12 MB, a strip of ten rows 0.12 MB, the picture 3 MB (and 3 MB
    // to cut from it).
    let strip = vec![0; 1000 * 10 * 12];
    let file = |rows: u64, parts| {
        Tiff::new((1000, 1000), RGB, 3, parts)
            .with(258, SHORT, &[32; 3])
            .with(339, SHORT, &[3; 3])
            .with(278, LONG, &[rows])
            .write()
    };
    let settings = Settings {
        max_bytes: 20_000_000,
        max_memory_bytes: 8_000_000,
        ..Settings::default()
    };
    assert!(decode(&file(10, vec![strip; 100]), &settings).is_ok());
    let error = decode(&file(1000, vec![vec![0; 12_000_000]]), &settings).unwrap_err();
    let expected = CaptureError::TooMuchMemory {
        needed: 15_000_000,
        limit: 8_000_000,
    };
    assert_eq!(error, expected);
    assert_eq!(error.problem(), ProblemCode::ImageTooLarge);
    assert!(
        error
            .to_string()
            .starts_with("decoding the picture takes 15 MB, the limit is 8 MB"),
        "{error}"
    );
}
