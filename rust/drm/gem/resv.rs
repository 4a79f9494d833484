// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A reservation that several objects share.

use crate::{
    Device,
    Driver, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

/// The reservation of an address space.
///
/// Objects that belong to one address space share its reservation, so that one lock and one fence do
/// for all of them.
///
/// # Invariants
///
/// `obj` is an object without memory, of `dev`, to which a reference is owned.
pub struct Resv<D: Driver> {
    obj: NonNull<bindings::drm_gem_object>,
    dev: ARef<Device<D>>,
}

// SAFETY: GEM objects may be used and released by any task.
unsafe impl<D: Driver> Send for Resv<D> {}
// SAFETY: As above.
unsafe impl<D: Driver> Sync for Resv<D> {}

impl<D: Driver> Resv<D> {
    /// Makes a reservation.
    pub fn new(dev: &Device<D>) -> Result<Arc<Self>> {
        // SAFETY: The device is valid.
        let obj = unsafe { bindings::drm_gpuvm_resv_object_alloc(dev.as_raw()) };

        // INVARIANT: The function returns an object with a reference for the caller.
        let this = Self {
            obj: NonNull::new(obj).ok_or(ENOMEM)?,
            dev: dev.into(),
        };
        Ok(Arc::new(this, GFP_KERNEL)?)
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::drm_gem_object {
        self.obj.as_ptr()
    }

    pub(crate) fn as_dma_resv(&self) -> *mut bindings::dma_resv {
        // SAFETY: The object is valid, and the field constant.
        unsafe { (*self.as_raw()).resv }
    }

    /// The device that the reservation belongs to.
    pub fn dev(&self) -> &Device<D> {
        &self.dev
    }
}

impl<D: Driver> Drop for Resv<D> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant a reference is owned, and the device is still alive.
        unsafe { shims::shim_gem_put(self.as_raw()) };
    }
}
