use super::*;

#[test]
fn luma_of_white_is_white() {
    let white = RgbImage::from_pixel(5, 5, image::Rgb([255; 3]));
    assert!(luma(&white).pixels().all(|pixel| pixel.0 == [255]));
}
