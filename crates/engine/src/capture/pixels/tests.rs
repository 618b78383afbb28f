use image::Rgb;

use super::*;

/// Brightness rises by 1 a column in red and 1 a row in green.
fn ramp(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 77]))
}

fn checkerboard(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        Rgb([if (x + y) % 2 == 0 { 0 } else { 255 }; 3])
    })
}

#[test]
fn luma_weighs_the_channels_and_keeps_grey() {
    for value in [0, 1, 127, 254, 255] {
        let grey = RgbImage::from_pixel(2, 2, Rgb([value; 3]));
        assert!(luma(&grey).iter().all(|&luma| luma == value));
    }
    let primaries = RgbImage::from_raw(3, 1, vec![255, 0, 0, 0, 255, 0, 0, 0, 255]).unwrap();
    assert_eq!(luma(&primaries).as_raw(), &[76, 150, 29]);
}

#[test]
fn crop_is_clipped() {
    let image = ramp(10, 8);
    let part = crop(&image, 7, 6, 100, 1);
    assert_eq!(part.as_raw(), &[7, 6, 77, 8, 6, 77, 9, 6, 77]);
    assert!(crop(&image, 10, 0, 5, 5).is_empty());
    assert!(crop(&image, 99, 99, 5, 5).is_empty());
}

#[test]
fn resize_averages_when_it_shrinks() {
    let small = resize(&checkerboard(64), 16, 16);
    assert!(small.iter().all(|&value| value.abs_diff(128) <= 2));
    let same = ramp(9, 7);
    assert_eq!(resize(&same, 9, 7), same);
    assert_eq!(resize(&RgbImage::new(0, 0), 4, 4), RgbImage::new(4, 4));
    assert!(resize(&same, 0, 5).is_empty());
}
