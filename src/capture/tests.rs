use super::*;
use std::io::Cursor;

fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([
            (x * 255 / width.max(1)) as u8,
            (y * 255 / height.max(1)) as u8,
            if x < width / 2 { 40 } else { 200 },
        ])
    })
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png)
        .unwrap();
    bytes
}

#[test]
fn capture_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Capture>();
}

#[test]
fn png_comes_back_exactly() {
    let picture = gradient(37, 23);
    let capture = decode(&png(&picture), &Settings::default()).unwrap();
    assert_eq!(capture.overview(), &picture);
    assert_eq!((capture.width(), capture.height()), (37, 23));
}
