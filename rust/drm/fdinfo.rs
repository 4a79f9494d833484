// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Usage of the device by one file, as `/proc/PID/fdinfo/FD` shows it.

use crate::{
    Device,
    Driver,
    File, //
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    fmt,
    prelude::*, //
};

/// Where lines are printed to.
///
/// # Invariants
///
/// The `struct drm_printer` is valid during `'a`.
pub struct Printer<'a>(*mut bindings::drm_printer, PhantomData<&'a mut ()>);

impl Printer<'_> {
    /// Prints.
    pub fn print(&mut self, args: fmt::Arguments<'_>) {
        // SAFETY: The printer is valid by the type's invariant, and `%pA` takes a pointer to
        // `fmt::Arguments`.
        unsafe {
            shims::drm_printf(
                self.0,
                c"%pA".as_char_ptr(),
                core::ptr::from_ref(&args).cast::<kernel::ffi::c_void>(),
            )
        };
    }

    /// Prints the standard lines about the memory of the buffers that `file` has handles of.
    pub fn memory_stats<D: Driver>(&mut self, file: &File<D>) {
        // SAFETY: Printer and file are valid.
        unsafe { bindings::drm_show_memory_stats(self.0, file.as_raw()) };
    }
}

/// # Safety
///
/// Only for `struct drm_driver`: `file` must be open on a `Device<D>`, and `printer` be valid.
pub(crate) unsafe extern "C" fn show_callback<D: Driver>(
    printer: *mut bindings::drm_printer,
    file: *mut bindings::drm_file,
) {
    // SAFETY: By this function's requirements.
    let dev = unsafe { Device::<D>::from_raw((*(*file).minor).dev) };
    // SAFETY: By this function's requirements.
    let file = unsafe { File::<D>::from_raw(file) };

    // INVARIANT: The printer is valid during the call.
    D::show_fdinfo(dev, file, &mut Printer(printer, PhantomData));
}
