// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A buffer in an address space.

use super::{
    DriverGpuVm,
    GpuVm, //
};
use crate::gem;
use core::{
    mem::MaybeUninit,
    ptr::{
        addr_of_mut,
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        Mutex,
        MutexGuard, //
    },
    types::Opaque, //
};

/// A buffer in an address space, whether mapped or not.
///
/// There is at most one for each pair of them. It holds references to both. References to it may be
/// dropped where fences are signalled: the last one puts it aside for
/// [`GpuVm::deferred_cleanup()`]. When the address space's [`VaTree`](super::VaTree) has gone, it is
/// released at once, which sleeps and takes the reservation of the address space.
///
/// # Invariants
///
/// - `inner` is initialised, belongs to a `GpuVm<T>`, and is in the list of its object. Its reference
///   count governs the allocation, which is that of a `KBox<Self>`.
/// - `data` is initialised.
#[repr(C)]
pub struct VmBo<T: DriverGpuVm> {
    inner: Opaque<bindings::drm_gpuvm_bo>,
    data: MaybeUninit<T::VmBoData>,
}

// SAFETY: The C part is protected by its locks; the data is `Send` and `Sync`.
unsafe impl<T: DriverGpuVm> Send for VmBo<T> {}
// SAFETY: As above.
unsafe impl<T: DriverGpuVm> Sync for VmBo<T> {}

// SAFETY: By the type's invariants the reference count of `inner` governs the allocation.
unsafe impl<T: DriverGpuVm> AlwaysRefCounted for VmBo<T> {
    fn inc_ref(&self) {
        // SAFETY: The reference to `self` shows that the count is not zero.
        unsafe { shims::shim_gpuvm_bo_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference, so it is still valid here.
        let vm: ARef<GpuVm<T>> = unsafe { obj.as_ref().vm().into() };

        // CAST: The `struct drm_gpuvm_bo` is the first field.
        // SAFETY: As above.
        let last = unsafe { bindings::drm_gpuvm_bo_put_deferred(obj.as_ptr().cast()) };

        // With the tree gone nobody changes the address space any more, so nobody else would clean
        // up, and this is not where a fence is signalled. Either this sees that the tree has gone, or
        // the cleanup that follows that sees what was put aside.
        if last && vm.is_closed() {
            vm.deferred_cleanup();
        }
    }
}

impl<T: DriverGpuVm> VmBo<T> {
    pub(crate) fn as_raw(&self) -> *mut bindings::drm_gpuvm_bo {
        self.inner.get()
    }

    /// # Safety
    ///
    /// `ptr` must be that of a `VmBo<T>` that stays alive during `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_gpuvm_bo) -> &'a Self {
        // CAST: The `struct drm_gpuvm_bo` is the first field.
        // SAFETY: The caller vouches for the pointer.
        unsafe { &*ptr.cast() }
    }

    /// The address space.
    pub fn vm(&self) -> &GpuVm<T> {
        // SAFETY: The field is constant, and a reference is held.
        unsafe { GpuVm::from_raw((*self.as_raw()).vm) }
    }

    /// The object.
    pub fn object(&self) -> &gem::Object<T::Driver> {
        // SAFETY: The field is constant, and a reference is held. `GpuVm::obtain()` takes no other
        // objects than those of the driver.
        unsafe { gem::Object::from_raw((*self.as_raw()).obj) }
    }

    /// The driver's data.
    pub fn data(&self) -> &T::VmBoData {
        // SAFETY: By the type's invariant.
        unsafe { self.data.assume_init_ref() }
    }

    /// Locks the object's list of mappings.
    pub(super) fn lock_list(&self) -> MutexGuard<'_, ()> {
        // SAFETY: The object is valid as long as `self`, and its mutex initialised.
        unsafe {
            let lock: &Mutex<()> = Mutex::from_raw(&raw mut (*self.object().as_raw()).gpuva.lock);

            lock.lock()
        }
    }

    /// # Safety
    ///
    /// None: the function is unsafe for its type only.
    pub(super) unsafe extern "C" fn alloc_callback() -> *mut bindings::drm_gpuvm_bo {
        match KBox::<Self>::new_uninit(GFP_KERNEL | __GFP_ZERO) {
            // CAST: The `struct drm_gpuvm_bo` is the first field.
            Ok(this) => KBox::into_raw(this).cast(),
            Err(_) => null_mut(),
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_gpuvm_ops`: nobody may use the object any more.
    pub(super) unsafe extern "C" fn free_callback(ptr: *mut bindings::drm_gpuvm_bo) {
        let this = ptr.cast::<Self>();

        // SAFETY: The allocation was made by `alloc_callback()`, and `data` initialised by
        // `GpuVm::obtain()`, in between of which nothing can free it.
        unsafe {
            (*this).data.assume_init_drop();
            drop(KBox::from_raw(this));
        }
    }
}

impl<T: DriverGpuVm> GpuVm<T> {
    /// The [`VmBo`] of an object, made if there is none yet; then with `data`.
    ///
    /// Allocates, and takes the reservation of the address space if the object is external: no
    /// reservation may be held.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. `EINVAL` if the object belongs to another device, or to another address space.
    pub fn obtain(&self, obj: &gem::Object<T::Driver>, data: T::VmBoData) -> Result<ARef<VmBo<T>>> {
        let foreign = obj.shared_resv().is_some() && !obj.shares(&self.resv);

        if foreign || !core::ptr::eq(obj.dev(), self.resv.dev()) {
            return Err(EINVAL);
        }

        // SAFETY: Both are valid. The result was allocated by `alloc_callback()`.
        let new = unsafe { bindings::drm_gpuvm_bo_create(self.as_raw(), obj.as_raw()) };
        let new = NonNull::new(new.cast::<VmBo<T>>()).ok_or(ENOMEM)?;

        // SAFETY: The object is new, so nobody else knows it. It is given up in exchange for a
        // reference to the one that is in the list, be it the same.
        let this: ARef<VmBo<T>> = unsafe {
            addr_of_mut!((*new.as_ptr()).data).write(MaybeUninit::new(data));
            ARef::from_raw(NonNull::new_unchecked(
                bindings::drm_gpuvm_bo_obtain_prealloc(new.as_ptr().cast()).cast(),
            ))
        };

        if self.is_external(obj) {
            // Also if it was there before: whoever made it may not have come to this yet.
            // SAFETY: The reservation is valid, and protects the list.
            unsafe {
                shims::shim_resv_lock(self.resv.as_raw());
                bindings::drm_gpuvm_bo_extobj_add(this.as_raw());
                shims::shim_resv_unlock(self.resv.as_raw());
            }
        }
        Ok(this)
    }
}
