use image::Rgb;

use super::*;
use crate::capture::pixels::{crop, resize};

/// Grid ← original: the identity on the whole numbers.
const IDENTITY: Transform = Transform {
    a: 1.0,
    b: 0.0,
    tx: 0.0,
    ty: 0.0,
};

fn patch(pixels: RgbImage) -> Patch {
    Patch {
        pixels,
        origin: Point::default(),
        scale: 1.0,
    }
}

/// Brightness rises by 1 a column in red and 1 a row in green.
fn ramp(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 77]))
}

fn checkerboard(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        Rgb([if (x + y) % 2 == 0 { 0 } else { 255 }; 3])
    })
}

fn spread(image: &RgbImage) -> u8 {
    let values = || image.iter().copied();
    values().max().unwrap_or(0) - values().min().unwrap_or(0)
}

#[test]
fn warp_by_identity_copies() {
    let image = ramp(20, 20);
    assert_eq!(warp(&patch(image.clone()), &IDENTITY, 20), image);
}

#[test]
fn warp_moves_and_interpolates_between_pixels() {
    let image = ramp(40, 40);
    let shift = Transform {
        tx: -10.5,
        ty: -4.0,
        ..IDENTITY
    };
    let out = warp(&patch(image), &shift, 8);
    // Half-way between columns 10 and 11, which rounds up.
    assert_eq!(out.get_pixel(0, 0).0, [11, 4, 77]);
    assert_eq!(out.get_pixel(7, 7).0, [18, 11, 77]);
}

#[test]
fn warp_turns() {
    // A quarter turn clockwise: x' = −y + 19, y' = x.
    let turn = Transform {
        a: 0.0,
        b: 1.0,
        tx: 19.0,
        ty: 0.0,
    };
    let image = ramp(20, 20);
    let out = warp(&patch(image), &turn, 20);
    for (x, y, pixel) in out.enumerate_pixels() {
        assert_eq!(pixel.0, [y as u8, 19 - x as u8, 77]);
    }
}

#[test]
fn warp_is_black_outside() {
    let white = RgbImage::from_pixel(4, 4, Rgb([255; 3]));
    let shift = Transform {
        tx: 2.0,
        ty: 2.0,
        ..IDENTITY
    };
    let out = warp(&patch(white), &shift, 8);
    for (x, y, pixel) in out.enumerate_pixels() {
        let inside = (2..6).contains(&x) && (2..6).contains(&y);
        assert_eq!(pixel.0, [if inside { 255 } else { 0 }; 3], "{x} {y}");
    }
}

#[test]
fn warp_respects_origin_and_scale() {
    // The same place of one scene, from the original and from a patch at half its size that begins
    // elsewhere.
    let scene = RgbImage::from_fn(200, 200, |x, y| Rgb([x as u8, y as u8, 128]));
    let half = resize(&scene, 100, 100);
    let part = Patch {
        pixels: crop(&half, 20, 30, 60, 60),
        origin: Point::new(40.0, 60.0),
        scale: 0.5,
    };
    let transform = Transform {
        a: 0.5,
        b: 0.02,
        tx: -25.0,
        ty: -35.0,
    };
    let whole = warp(&patch(scene), &transform, 30);
    let reduced = warp(&part, &transform, 30);
    for (left, right) in whole.iter().zip(reduced.iter()) {
        assert!(left.abs_diff(*right) <= 1, "{left} {right}");
    }
}

#[test]
fn warp_does_not_alias_at_any_shrinking_or_angle() {
    let board = patch(checkerboard(900));
    for shrink in [1.6_f32, 2.0, 2.7, 3.0, 3.7, 5.0, 7.3] {
        for degrees in [0.0_f32, 7.0, 30.0, 45.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let mut transform = Transform {
                a: cos / shrink,
                b: sin / shrink,
                tx: 0.0,
                ty: 0.0,
            };
            // The middle of the board onto the middle of the grid.
            let middle = transform.apply(Point::new(450.0, 450.0));
            (transform.tx, transform.ty) = (20.0 - middle.x, 20.0 - middle.y);
            let spread = spread(&warp(&board, &transform, 40));
            // The hardest pattern there is: nearest or linearly interpolated points give up to 255.
            assert!(spread <= 80, "1/{shrink} at {degrees}°: {spread}");
        }
    }
}

#[test]
fn warp_keeps_the_mean_and_the_place_when_it_shrinks() {
    for shrink in [1.5_f32, 2.0, 3.0, 4.2, 6.0] {
        let side = 240;
        let image = RgbImage::from_fn(side, side, |x, y| Rgb([x as u8, y as u8, 90]));
        let transform = Transform {
            a: 1.0 / shrink,
            b: 0.0,
            tx: 0.0,
            ty: 0.0,
        };
        let out = warp(&patch(image), &transform, 20);
        for (x, y, pixel) in out.enumerate_pixels().filter(|(x, y, _)| *x > 0 && *y > 0) {
            let expected = [x as f32 * shrink, y as f32 * shrink, 90.0];
            for (&got, expected) in pixel.0.iter().zip(expected) {
                // Averages are rounded twice.
                assert!(
                    (f32::from(got) - expected).abs() <= 1.3,
                    "1/{shrink}: {pixel:?}"
                );
            }
        }
    }
}

#[test]
fn warp_survives_transforms_without_sense() {
    let image = patch(ramp(10, 10));
    for (a, tx) in [
        (0.0, 0.0),
        (f32::NAN, 0.0),
        (f32::INFINITY, 0.0),
        (1e-30, 0.0),
        (1e-6, 1e30),
        (1.0, f32::NAN),
        (1e30, 0.0),
    ] {
        let transform = Transform {
            a,
            b: 0.0,
            tx,
            ty: 0.0,
        };
        assert_eq!(warp(&image, &transform, 6).dimensions(), (6, 6));
    }
    let nothing = patch(RgbImage::new(0, 0));
    assert_eq!(warp(&nothing, &IDENTITY, 3), RgbImage::new(3, 3));
    assert!(warp(&image, &IDENTITY, 0).is_empty());
}
