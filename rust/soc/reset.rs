// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Reset lines by name.

use core::ptr::NonNull;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    str::CStrExt,
    time::{
        delay::fsleep,
        Delta, //
    },
};

use crate::{
    probe,
    raw_device, //
};

/// A line.
///
/// # Invariants
///
/// The pointer is a reset control that is ours to give back.
struct Line(NonNull<shims::c::reset_control>);

impl Drop for Line {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant.
        unsafe { shims::c::shim_reset_put(self.0.as_ptr()) };
    }
}

/// Lines that are asserted and released together, and that nobody else uses.
pub struct Resets(KVec<Line>);

// SAFETY: Reset controls are locked by their provider, and belong to no task.
unsafe impl Send for Resets {}
// SAFETY: As above.
unsafe impl Sync for Resets {}

impl Resets {
    /// Gets the lines by their names in `reset-names`.
    ///
    /// # Errors
    ///
    /// What the framework says: `EPROBE_DEFER`, `ENOENT` for one that is not in the device tree,
    /// `EBUSY` for one that somebody else uses. The line is named in the log.
    pub fn get(dev: &Device<Bound>, names: &[&CStr]) -> Result<Self> {
        let mut lines = KVec::with_capacity(names.len(), GFP_KERNEL)?;
        for name in names {
            // SAFETY: The device is bound, and the name a C string.
            let line = from_err_ptr(unsafe {
                shims::c::shim_reset_get(raw_device(dev), name.as_char_ptr())
            })
            .map_err(|err| {
                let why = fmt!(
                    "no reset line \"{name}\": check resets and reset-names in the device tree, and \
                     the driver of the reset controller"
                );
                probe::failed(dev, err, why)
            })?;
            // INVARIANT: It was got just now.
            lines.push(Line(NonNull::new(line).ok_or(ENOENT)?), GFP_KERNEL)?;
        }
        Ok(Self(lines))
    }

    /// Asserts all lines in order, waits for `time`, and releases them in order. Sleeps.
    ///
    /// # Errors
    ///
    /// That of the first line that failed; the others are handled all the same.
    pub fn pulse(&self, time: Delta) -> Result {
        let mut result = Ok(());
        for line in &self.0 {
            // SAFETY: By the type's invariant.
            let ret = to_result(unsafe { shims::c::shim_reset_assert(line.0.as_ptr()) });
            result = result.and(ret);
        }
        fsleep(time);
        for line in &self.0 {
            // SAFETY: By the type's invariant.
            let ret = to_result(unsafe { shims::c::shim_reset_deassert(line.0.as_ptr()) });
            result = result.and(ret);
        }
        result
    }
}
