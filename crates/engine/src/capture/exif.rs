//! The orientation in an EXIF block, and what else a directory of TIFF says.

use image::metadata::Orientation;

pub(super) const ORIENTATION: u16 = 0x0112;

/// The first value of `tag` in the first directory of a block with a TIFF header.
pub(super) fn value(block: &[u8], tag: u16) -> Option<u32> {
    let big_endian = match block.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let number = |at: usize, length: usize| {
        let bytes = block.get(at..at.checked_add(length)?)?;
        let add = |sum: u32, &byte: &u8| sum << 8 | u32::from(byte);
        Some(if big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    };
    let directory = number(4, 4)? as usize;
    let count = number(directory, 2)? as usize;
    let entry = (0..count)
        .map(|index| directory + 2 + index * 12)
        .take_while(|&at| at + 12 <= block.len())
        .find(|&at| number(at, 2) == Some(u32::from(tag)))?;
    // BYTE, SHORT or LONG: writers do not keep to the one that the standard names.
    match number(entry + 2, 2)? {
        1 => number(entry + 8, 1),
        3 => number(entry + 8, 2),
        4 => number(entry + 8, 4),
        _ => None,
    }
}

/// The orientation that `block` names, or `None` where it names none or makes no sense: a broken
/// block says nothing of the pixels. A block starts with a TIFF header; writers of PNG and WebP
/// often copy JPEG's `Exif\0\0` before it.
pub(super) fn orientation(block: &[u8]) -> Option<Orientation> {
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    Orientation::from_exif(u8::try_from(value(block, ORIENTATION)?).ok()?)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A TIFF structure with one entry.
    pub(in crate::capture) fn block(big_endian: bool, tag: u16, kind: u16, value: u32) -> Vec<u8> {
        let short = |value: u16| {
            if big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let long = |value: u32| {
            if big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        [
            if big_endian { b"MM" } else { b"II" }.as_slice(),
            &short(42),
            &long(8),
            &short(1),
            &short(tag),
            &short(kind),
            &long(1),
            // A SHORT stands in the first two of the four bytes.
            &if kind == 3 {
                [short(value as u16), [0; 2]].concat()
            } else {
                long(value).to_vec()
            },
        ]
        .concat()
    }

    #[test]
    fn only_the_eight_orientations_are_taken() {
        for big_endian in [false, true] {
            for kind in [3, 4] {
                for value in 1..=8 {
                    let found = orientation(&block(big_endian, ORIENTATION, kind, value));
                    assert_eq!(found, Orientation::from_exif(value as u8));
                }
                for value in [0, 9, 255, 257, 0xFFFF] {
                    assert_eq!(
                        orientation(&block(big_endian, ORIENTATION, kind, value)),
                        None
                    );
                }
            }
            assert_eq!(orientation(&block(big_endian, ORIENTATION, 2, 6)), None);
            assert_eq!(orientation(&block(big_endian, 0x0110, 3, 6)), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_orientation_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = orientation(&bytes);
        }

        #[test]
        fn any_change_of_a_block_gives_an_orientation_or_none(
            big_endian: bool,
            changes in prop::collection::vec((0_usize..22, any::<u8>()), 0..6),
            length in 0_usize..=22,
        ) {
            let mut bytes = block(big_endian, ORIENTATION, 3, 6);
            for (at, value) in changes {
                bytes[at] = value;
            }
            let _ = orientation(&bytes[..length.min(bytes.len())]);
        }
    }
}
