// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Files in the debugfs directory of a device.

use crate::{
    Device,
    Driver, //
};
use kernel::{
    bindings,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    seq_file::SeqFile, //
};

/// One file.
pub struct Entry<D: Driver> {
    /// The name of the file.
    pub name: &'static CStr,
    /// Prints its contents. The device may have been unplugged.
    pub show: fn(&Device<D>, &SeqFile) -> Result,
}

/// A file that takes a number, and cannot be read.
pub struct Control<D: Driver> {
    /// The name of the file.
    pub name: &'static CStr,
    /// The number was written. The device may have been unplugged.
    pub set: fn(&Device<D>, u64) -> Result,
}

/// # Safety
///
/// Only for `struct drm_driver`: `minor` must belong to a `Device<D>`.
pub(crate) unsafe extern "C" fn init_callback<D: Driver>(minor: *mut bindings::drm_minor) {
    // SAFETY: By this function's requirements. A device that is being registered has its shrinker, if
    // it has one, and keeps it until its debugfs files have gone.
    unsafe {
        let shrinker = Device::<D>::from_raw((*minor).dev).shrinker();

        if !shrinker.is_null() {
            shims::shim_debugfs_add_shrink(minor, shrinker);
        }
    }
    for entry in D::DEBUGFS {
        // SAFETY: The device is valid, and the entry is static.
        unsafe {
            shims::shim_debugfs_add_file(
                (*minor).dev,
                entry.name.as_char_ptr(),
                Some(show_callback::<D>),
                core::ptr::from_ref(entry).cast_mut().cast::<c_void>(),
            )
        };
    }
    for control in D::CONTROLS {
        // SAFETY: The minor is valid, and the control is static.
        unsafe {
            shims::shim_debugfs_add_control(
                minor,
                control.name.as_char_ptr(),
                Some(set_callback::<D>),
                core::ptr::from_ref(control).cast_mut().cast::<c_void>(),
            )
        };
    }
}

/// # Safety
///
/// Only for files made by [`init_callback()`], with the device and the control that they were made for.
unsafe extern "C" fn set_callback<D: Driver>(
    dev: *mut bindings::drm_device,
    control: *mut c_void,
    value: u64,
) -> c_int {
    // SAFETY: The device removes the file before it goes away.
    let dev = unsafe { Device::<D>::from_raw(dev) };
    // SAFETY: By this function's requirements.
    let control = unsafe { &*control.cast::<Control<D>>() };

    match (control.set)(dev, value) {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// Only for files made by [`init_callback()`].
unsafe extern "C" fn show_callback<D: Driver>(m: *mut bindings::seq_file, _: *mut c_void) -> c_int {
    // SAFETY: The file was made for the device, which removes it before it goes away.
    let dev = unsafe { Device::<D>::from_raw(shims::shim_debugfs_device(m)) };
    // SAFETY: The data is the entry that was given when the file was made.
    let entry = unsafe { &*shims::shim_debugfs_data(m).cast::<Entry<D>>() };
    // SAFETY: `m` is valid during the call.
    let m = unsafe { SeqFile::from_raw(m) };

    match (entry.show)(dev, m) {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}
