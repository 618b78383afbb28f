//! Decoding a part of a JPEG, for which the safe bindings of libjpeg-turbo have no call.
#![expect(
    unsafe_code,
    reason = "the bindings have no safe call for libjpeg-turbo's cropping; a face out of 12 megapixels costs a fifth with it"
)]

use std::ffi::{CStr, c_int};

use turbojpeg::{Error, PixelFormat, raw};

use crate::capture::pixels::Area;

/// A decompressor of libjpeg-turbo, destroyed on drop.
struct Handle(raw::tjhandle);

impl Handle {
    fn new() -> Result<Self, Error> {
        // SAFETY: takes no pointer; null on failure, which is checked.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS as c_int) };
        if handle.is_null() {
            return Err(Error::Null);
        }
        Ok(Self(handle))
    }

    fn check(&self, outcome: c_int) -> Result<(), Error> {
        if outcome == 0 {
            return Ok(());
        }
        // SAFETY: the handle lives; the text is its own, NUL-terminated, and copied at once.
        let message = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0)) };
        let message = message.to_string_lossy().into_owned();
        Err(Error::TurboJpegError(message))
    }

    fn get(&self, parameter: raw::TJPARAM) -> c_int {
        // SAFETY: the handle lives; only a number is read.
        unsafe { raw::tj3Get(self.0, parameter as c_int) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by `tj3Init`, destroyed once.
        unsafe { raw::tj3Destroy(self.0) };
    }
}

/// The pixels of `area`, which must lie in the picture and begin at a multiple of the file's block
/// width. Warnings that leave the pixels as they are meant do not count.
pub(super) fn decompress(bytes: &[u8], area: Area, format: PixelFormat) -> Result<Vec<u8>, Error> {
    let number = |value: u32| c_int::try_from(value).map_err(|_| Error::OutOfBounds);
    let region = raw::tjregion {
        x: number(area.x)?,
        y: number(area.y)?,
        w: number(area.width)?,
        h: number(area.height)?,
    };
    let pitch = area.width as usize * format.size();
    let handle = Handle::new()?;
    let length = bytes.len() as raw::size_t;
    // SAFETY: pointer and length describe `bytes`, which outlives the call.
    handle.check(unsafe { raw::tj3DecompressHeader(handle.0, bytes.as_ptr(), length) })?;
    // To libjpeg-turbo an empty region is all up to the edge: more than would be allocated.
    let inside = |start: c_int, length: c_int, side: raw::TJPARAM| {
        length > 0 && i64::from(start) + i64::from(length) <= i64::from(handle.get(side))
    };
    if !inside(region.x, region.w, raw::TJPARAM_TJPARAM_JPEGWIDTH)
        || !inside(region.y, region.h, raw::TJPARAM_TJPARAM_JPEGHEIGHT)
    {
        return Err(Error::OutOfBounds);
    }
    // SAFETY: the handle lives; the region is passed by value.
    handle.check(unsafe { raw::tj3SetCroppingRegion(handle.0, region) })?;
    let mut pixels = vec![0; pitch * area.height as usize];
    let pitch = c_int::try_from(pitch).map_err(|_| Error::OutOfBounds)?;
    // SAFETY: `bytes` as above. libjpeg-turbo writes `region.h` rows of `region.w` pixels, `pitch`
    // bytes apart, which is exactly what `pixels` holds: the region was accepted for this very
    // file, and at no scaling (the default).
    let outcome = handle.check(unsafe {
        raw::tj3Decompress8(
            handle.0,
            bytes.as_ptr(),
            length,
            pixels.as_mut_ptr(),
            pitch,
            format as c_int,
        )
    });
    match outcome {
        Err(error) if !super::is_harmless(&error) => Err(error),
        _ => Ok(pixels),
    }
}
