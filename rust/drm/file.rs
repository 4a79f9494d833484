// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Open files of a device.

use crate::{
    gem,
    Device,
    Driver,
    Entered, //
};
use core::{
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    bindings,
    ffi::c_int,
    prelude::*,
    sync::aref::ARef,
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

/// What a driver keeps for each open file.
pub trait DriverFile: Sized + Send + Sync + 'static {
    /// The driver.
    type Driver: Driver<File = Self>;

    /// Makes the data of a file that is being opened.
    fn open(dev: &Entered<'_, Self::Driver>) -> Result<Pin<KBox<Self>>>;

    /// The last user of the file has closed it. The data is dropped after that.
    ///
    /// The handles of its buffers and synchronisation objects are gone already. The device may have
    /// been unplugged meanwhile.
    fn postclose(&self, _dev: &Device<Self::Driver>) {}
}

/// An open file of a device.
///
/// Dereferences to the driver's [`Driver::File`].
///
/// # Invariants
///
/// The `struct drm_file` is open on a `Device<D>`, and its `driver_priv` is a `Pin<KBox<D::File>>`
/// that was turned into a pointer.
#[repr(transparent)]
pub struct File<D: Driver>(Opaque<bindings::drm_file>, PhantomData<D>);

// SAFETY: What is reachable through a shared reference is `Sync`: the driver's part by its bound,
// the C functions called here by their own locking.
unsafe impl<D: Driver> Sync for File<D> {}

impl<D: Driver> Deref for File<D> {
    type Target = D::File;

    fn deref(&self) -> &D::File {
        // SAFETY: By the type's invariant.
        unsafe { &*(*self.as_raw()).driver_priv.cast::<D::File>() }
    }
}

impl<D: Driver> File<D> {
    pub(crate) fn as_raw(&self) -> *mut bindings::drm_file {
        self.0.get()
    }

    /// # Safety
    ///
    /// `ptr` must point to a `struct drm_file` that is open on a `Device<D>` during `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_file) -> &'a Self {
        // SAFETY: The caller vouches for the pointer; the type is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }

    /// The device that the file is open on.
    pub fn dev(&self) -> &Device<D> {
        // SAFETY: By the type's invariant; the fields are constant while the file is open.
        unsafe { Device::from_raw((*(*self.as_raw()).minor).dev) }
    }

    /// A number that no other file of any device has.
    pub fn client_id(&self) -> u64 {
        // SAFETY: The field is written before the file is visible and never after that.
        unsafe { (*self.as_raw()).client_id }
    }

    /// Whether the file is the device's current DRM master.
    pub fn is_current_master(&self) -> bool {
        // SAFETY: The file is valid.
        unsafe { shims::drm_is_current_master(self.as_raw()) }
    }

    /// The buffer object behind a handle.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the file has no such handle.
    pub fn lookup(&self, handle: u32) -> Result<ARef<gem::Object<D>>> {
        // SAFETY: The file is valid.
        let obj = unsafe { bindings::drm_gem_object_lookup(self.as_raw(), handle) };

        // SAFETY: All objects with a handle on a `Device<D>` are `gem::Object<D>`: the DRM core makes
        // none of its own, and imports with our callbacks. The function returned a reference.
        unsafe { gem::Object::from_raw_owned(obj) }.ok_or(ENOENT)
    }

    /// # Safety
    ///
    /// Only for `struct drm_driver`: `dev` must be a `Device<D>`, and `file` be about to be opened.
    pub(crate) unsafe extern "C" fn open_callback(
        dev: *mut bindings::drm_device,
        file: *mut bindings::drm_file,
    ) -> c_int {
        // SAFETY: By this function's requirements.
        let dev = unsafe { Device::<D>::from_raw(dev) };
        let Some(dev) = dev.enter() else {
            return ENODEV.to_errno();
        };

        match D::File::open(&dev) {
            Ok(data) => {
                // INVARIANT: `driver_priv` is the data, as a pointer.
                // SAFETY: The file is not visible yet.
                unsafe { (*file).driver_priv = data.into_foreign().cast() };
                0
            }
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_driver`: `file` must have been opened on `dev`, a `Device<D>`, and be
    /// about to be freed.
    pub(crate) unsafe extern "C" fn postclose_callback(
        dev: *mut bindings::drm_device,
        file: *mut bindings::drm_file,
    ) {
        // SAFETY: By this function's requirements.
        let dev = unsafe { Device::<D>::from_raw(dev) };
        // SAFETY: The pointer was made by `into_foreign()` in `open_callback()`, and nobody uses the
        // file any more.
        let data = unsafe { Pin::<KBox<D::File>>::from_foreign((*file).driver_priv.cast()) };

        data.postclose(dev);
    }
}
