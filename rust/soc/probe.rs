// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is said about a device that cannot be probed.

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    fmt,
    prelude::*,
    regulator,
    str::CStrExt, //
};

use crate::raw_device;

/// Says why `dev` cannot be probed: one line in the log, which begins with the error. If what is
/// missing may still come (`EPROBE_DEFER`), that line stands behind the device's name in debugfs,
/// `devices_deferred`, instead. Returns the error.
pub fn failed(dev: &Device<Bound>, err: Error, why: fmt::Arguments<'_>) -> Error {
    // SAFETY: The device is valid. "%pA" takes a pointer to arguments, which are used inside the call
    // only.
    unsafe {
        bindings::dev_err_probe(
            raw_device(dev),
            err.to_errno(),
            c"%pA\n".as_char_ptr(),
            core::ptr::from_ref(&why).cast::<c_void>(),
        )
    };
    err
}

/// Switches the supply `name` on for as long as the driver is bound. A device tree need not have it.
///
/// # Errors
///
/// `EPROBE_DEFER` if the regulator is not there yet, and what it fails with, both of which are said.
pub fn enable_supply(dev: &Device<Bound>, name: &'static CStr) -> Result {
    match regulator::devm_enable_optional(dev, name) {
        Err(err) if err == ENODEV => Ok(()),
        result => result.map_err(|err| {
            let why = fmt!(
                "cannot use the supply \"{name}\": check {name}-supply in the device tree, and the \
                 driver of that regulator"
            );
            failed(dev, err, why)
        }),
    }
}
