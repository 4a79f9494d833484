// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Buffers that memory reclaim has taken from an address space, and how they come back.
//!
//! # Locking
//!
//! The list of evicted buffers is protected by the reservation of the address space. Reclaim marks a
//! buffer with the buffer's own reservation held, and locking both ([`GpuVm::prepare()`]) puts marked
//! ones into the list.
//!
//! # Ordering
//!
//! What is evicted stays so until both reservations are given up, and the other way round: whoever
//! has them, and has looked at the list, knows what the device can access.
//!
//! # Blocking
//!
//! Evicting waits for no lock but those that the driver takes to unmap.

use super::{
    DriverGpuVm,
    GpuVm,
    VmBo, //
};
use crate::exec::Locked;
use core::ptr::null_mut;
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// What reclaim needs of an address space of which it does not know the type.
#[repr(C)]
pub(super) struct Shared {
    /// Takes a buffer out of the page tables.
    evict: unsafe fn(*mut bindings::drm_gpuvm_bo) -> bool,
    /// The scan of reclaim after which it was used last.
    used: Atomic<usize>,
    /// Whom to show evicted buffers: a `Visit<T>` of the task that holds the reservation, or null.
    visit: Atomic<*mut c_void>,
}

impl Shared {
    pub(super) const fn new<T: DriverGpuVm>() -> Self {
        Self {
            evict: evict_typed::<T>,
            used: Atomic::new(0),
            visit: Atomic::new(null_mut()),
        }
    }

    /// Notes a use.
    pub(super) fn use_now(&self, now: usize) {
        self.used.store(now, Relaxed);
    }
}

/// The beginning of any [`GpuVm`].
#[repr(C)]
struct Erased {
    vm: Opaque<bindings::drm_gpuvm>,
    shared: Shared,
}

/// # Safety
///
/// `vm_bo` must be that of a `VmBo<T>` that stays alive during `'a`, for some `T`.
unsafe fn shared<'a>(vm_bo: *mut bindings::drm_gpuvm_bo) -> &'a Shared {
    // CAST: A `GpuVm<T>` begins with the fields of `Erased`, whatever `T` is; both are `repr(C)`.
    // SAFETY: By this function's requirements; it keeps its address space.
    unsafe { &(*(*vm_bo).vm.cast::<Erased>()).shared }
}

/// # Safety
///
/// As [`evict()`], and `vm_bo` must be that of a `VmBo<T>`.
unsafe fn evict_typed<T: DriverGpuVm>(vm_bo: *mut bindings::drm_gpuvm_bo) -> bool {
    // SAFETY: By this function's requirements.
    let vm_bo = unsafe { VmBo::<T>::from_raw(vm_bo) };

    match vm_bo.vm().try_lock() {
        Some(mut tree) => T::evict(&mut tree, vm_bo).is_ok(),
        None => false,
    }
}

/// Takes a buffer out of an address space's page tables, and notes that it has to be restored.
/// Returns whether no mapping is left.
///
/// # Safety
///
/// `vm_bo` must be that of a `VmBo<T>`, for some `T`. The list of its object and the reservations of
/// object and address space must be locked, and no work may be under way in the address space.
pub(crate) unsafe fn evict(vm_bo: *mut bindings::drm_gpuvm_bo) -> bool {
    // SAFETY: By this function's requirements. With the list locked the buffer stays alive.
    unsafe {
        // First of all: it may be evicted in part, if that fails.
        if !(*vm_bo).evicted {
            bindings::drm_gpuvm_bo_evict(vm_bo, true);
        }
        (shared(vm_bo).evict)(vm_bo)
    }
}

/// Whether its address space was used after the scan before number `now`.
///
/// # Safety
///
/// As [`evict()`].
pub(crate) unsafe fn used_since(vm_bo: *mut bindings::drm_gpuvm_bo, now: usize) -> bool {
    // SAFETY: By this function's requirements.
    unsafe { shared(vm_bo) }.used.load(Relaxed) == now
}

/// Who visits the evicted buffers, and on whose locks.
struct Visit<'a, T: DriverGpuVm> {
    exec: *mut bindings::drm_exec,
    f: &'a mut dyn FnMut(&VmBo<T>) -> Result<bool>,
}

impl<T: DriverGpuVm> GpuVm<T> {
    /// Calls `f` for each buffer that has to be restored, until it fails. If it returns true, the
    /// buffer is restored.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `locked` does not hold what [`GpuVm::prepare()`] locks, which is a mistake of the
    /// driver; what `f` returned.
    pub fn for_each_evicted(
        &self,
        locked: &Locked<'_>,
        mut f: impl FnMut(&VmBo<T>) -> Result<bool>,
    ) -> Result {
        let exec = locked.as_raw();

        // SAFETY: Both are valid. With the reservation locked the list does not change.
        unsafe {
            if !shims::shim_exec_holds(exec, self.resv.as_raw()) {
                return Err(EINVAL);
            }
            if !shims::shim_gpuvm_has_evicted(self.as_raw()) {
                return Ok(());
            }
        }
        let mut visit = Visit::<T> { exec, f: &mut f };

        self.shared.visit.store((&raw mut visit).cast(), Relaxed);
        // SAFETY: The reservation is locked by this task.
        let done = to_result(unsafe { bindings::drm_gpuvm_validate(self.as_raw(), exec) });

        self.shared.visit.store(null_mut(), Relaxed);
        done
    }
}

/// # Safety
///
/// Only for `struct drm_gpuvm_ops` of a `GpuVm<T>`, called from [`GpuVm::for_each_evicted()`].
pub(super) unsafe extern "C" fn validate_callback<T: DriverGpuVm>(
    vm_bo: *mut bindings::drm_gpuvm_bo,
    _exec: *mut bindings::drm_exec,
) -> c_int {
    // SAFETY: By this function's requirements; the object is kept by its `VmBo`.
    let (this, obj) = unsafe { (VmBo::<T>::from_raw(vm_bo), (*vm_bo).obj) };
    let visit = this.vm().shared.visit.load(Relaxed).cast::<Visit<'_, T>>();

    // SAFETY: The pointer was stored by this task, which holds the reservation, and is valid during
    // the call of the function that has called this one.
    let Some(visit) = (unsafe { visit.as_mut() }) else {
        return EINVAL.to_errno();
    };

    // SAFETY: Both are valid.
    if !unsafe { shims::shim_exec_holds(visit.exec, obj) } {
        return EINVAL.to_errno();
    }
    match (visit.f)(this) {
        Ok(restored) => {
            if restored {
                // SAFETY: Both reservations are locked.
                unsafe { bindings::drm_gpuvm_bo_evict(vm_bo, false) };
            }
            0
        }
        Err(e) => e.to_errno(),
    }
}
