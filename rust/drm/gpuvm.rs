// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GPU virtual address spaces.
//!
//! A [`GpuVm`] knows which buffer is mapped where. The mappings are kept in a tree, which belongs to
//! the one [`VaTree`] and is changed by who has it [locked](Tree). A change splits what it overlaps and calls the driver
//! for each step ([`DriverGpuVm`]), which edits the page tables there; when a step has succeeded, the
//! tree follows. So tree and page tables agree after each step (drm_gpuvm calls this immediate mode).
//!
//! Memory reclaim takes buffers out of the page tables and leaves their mappings in the tree
//! ([`DriverGpuVm::evict()`]). Who wants the address space to be used next brings them back
//! ([`GpuVm::for_each_evicted()`]).
//!
//! # Locking
//!
//! `tree` is a mutex over the mappings and the driver's state. Drivers whose buffers are reclaimed
//! allocate nothing while they hold it. The list of mappings
//! of a buffer is protected by the buffer's `gpuva.lock`, a mutex inside of which nothing is
//! allocated; reclaim takes the two in the opposite order, and so only tries. The lists of external
//! buffers (those that do not share the address space's reservation) and of evicted buffers are
//! protected by that reservation.
//!
//! # Ordering
//!
//! [`GpuVm::obtain()`] and [`Prealloc`] allocate all that a change needs, so that the change itself
//! may run where a fence waits for it. Buffers that lose their last mapping are put aside there, and
//! released by [`GpuVm::deferred_cleanup()`] later.
//!
//! # Blocking
//!
//! Changing the tree takes `gpuva.lock` only. `obtain()` and `deferred_cleanup()` take the
//! reservation of the address space, so no reservation may be held by the caller.

#[path = "gpuvm/evict.rs"]
mod evict;
#[path = "gpuvm/tree.rs"]
mod tree;
#[path = "gpuvm/va.rs"]
mod va;
#[path = "gpuvm/vm_bo.rs"]
mod vm_bo;

pub(crate) use evict::evict;
pub(crate) use evict::used_since;
pub use tree::MapRequest;
pub use tree::MapStep;
pub use tree::Part;
pub use tree::Place;
pub use tree::RemapStep;
pub use tree::Tree;
pub use tree::VaTree;
pub use va::Prealloc;
pub use va::Va;
pub use vm_bo::VmBo;

use crate::{
    exec::{
        Attempt,
        Locked, //
    },
    gem::{
        self,
        Resv, //
    },
    resv::Usage,
    Device,
    Driver, //
};
use core::{
    ops::Range,
    ptr::NonNull, //
};
use evict::Shared;
use job::Fence;
use kernel::{
    bindings,
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

/// The driver's side of an address space: it edits the page tables.
///
/// The value that implements this is the state that is locked together with the tree.
pub trait DriverGpuVm: Sized + Send + Unpin + 'static {
    /// The driver.
    type Driver: Driver;

    /// What the driver keeps for each mapping. When a mapping is split, the parts get clones.
    type VaData: Clone + Send + Sync;

    /// What the driver keeps for each buffer that is mapped, while it is.
    type VmBoData: Send + Sync;

    /// What the steps of one change share: preallocated page tables, say.
    type Context<'a>;

    /// Map a range. Nothing is mapped there in the tree. Returns the data of the new mapping.
    fn step_map(
        &mut self,
        op: &MapStep<'_, Self>,
        context: &mut Self::Context<'_>,
    ) -> Result<Self::VaData>;

    /// Unmap all of a mapping.
    fn step_unmap(&mut self, va: &Va<Self>, context: &mut Self::Context<'_>) -> Result;

    /// Unmap a part of a mapping, such that what remains of it stays usable throughout.
    fn step_remap(&mut self, op: &RemapStep<'_, Self>, context: &mut Self::Context<'_>) -> Result;

    /// Take all mappings of a buffer out of the page tables, flush what the device has cached of them,
    /// and drop each [`Mapped`](gem::Mapped) that was kept for them. The mappings stay where they are,
    /// see [`Tree::each_of()`]; steps may meet them until they are restored.
    ///
    /// Memory reclaim calls this, so nothing may be allocated, and only locks be taken that no
    /// allocation is made under. The device does nothing in the address space.
    ///
    /// # Errors
    ///
    /// Whatever keeps the device from letting go of a mapping. What was taken until there comes back
    /// when the buffers are restored.
    fn evict(_tree: &mut Tree<'_, Self>, _vm_bo: &VmBo<Self>) -> Result {
        Err(EBUSY)
    }
}

/// The part of an address space that everybody may use.
///
/// # Invariants
///
/// - `vm` is initialised, in immediate mode and protected by the reservation `resv`. Its reference
///   count governs the allocation, which is that of a `KBox<Self>`.
/// - `shared` follows it at once, and is of the same `T`.
/// - All `drm_gpuva` in it are the first field of a [`Va<T>`], and all `drm_gpuvm_bo` that of a
///   [`VmBo<T>`].
/// - The mappings in `vm` are accessed with `tree` locked only.
#[repr(C)]
#[pin_data]
pub struct GpuVm<T: DriverGpuVm> {
    #[pin]
    vm: Opaque<bindings::drm_gpuvm>,
    shared: Shared,
    resv: Arc<Resv<T::Driver>>,
    /// Whether the `VaTree` has gone.
    closed: Atomic<bool>,
    #[pin]
    tree: Mutex<T>,
}

// SAFETY: What is reachable through a shared reference is protected by locks, or atomic; the driver's
// state is `Send`.
unsafe impl<T: DriverGpuVm> Send for GpuVm<T> {}
// SAFETY: As above.
unsafe impl<T: DriverGpuVm> Sync for GpuVm<T> {}

// SAFETY: By the type's invariants the reference count of `vm` governs the allocation.
unsafe impl<T: DriverGpuVm> AlwaysRefCounted for GpuVm<T> {
    fn inc_ref(&self) {
        // SAFETY: The reference to `self` shows that the count is not zero.
        unsafe { shims::shim_gpuvm_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference, so the address space is still valid here.
        unsafe { bindings::drm_gpuvm_put(Opaque::cast_into(&raw const (*obj.as_ptr()).vm)) };
    }
}

impl<T: DriverGpuVm> GpuVm<T> {
    const OPS: bindings::drm_gpuvm_ops = bindings::drm_gpuvm_ops {
        vm_free: Some(Self::free_callback),
        vm_bo_alloc: Some(VmBo::<T>::alloc_callback),
        vm_bo_free: Some(VmBo::<T>::free_callback),
        vm_bo_validate: Some(evict::validate_callback::<T>),
        sm_step_map: Some(tree::map_callback::<T>),
        sm_step_remap: Some(tree::remap_callback::<T>),
        sm_step_unmap: Some(tree::unmap_callback::<T>),
        ..pin_init::zeroed()
    };

    /// Makes an address space of the addresses in `range`. Nothing is mapped in it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `range` is empty, or `resv` belongs to another device.
    #[expect(clippy::new_ret_no_self, reason = "the tree is the owning handle")]
    pub fn new(
        dev: &Device<T::Driver>,
        name: &'static CStr,
        range: Range<u64>,
        resv: Arc<Resv<T::Driver>>,
        state: T,
    ) -> Result<VaTree<T>> {
        let len = range
            .end
            .checked_sub(range.start)
            .filter(|len| *len != 0)
            .ok_or(EINVAL)?;

        if !core::ptr::eq(resv.dev(), dev) {
            return Err(EINVAL);
        }

        let this = KBox::pin_init(
            try_pin_init!(Self {
                vm: Opaque::zeroed(),
                shared: Shared::new::<T>(),
                resv,
                closed: Atomic::new(false),
                tree <- new_mutex!(state, "drm::GpuVm::tree"),
            }? Error),
            GFP_KERNEL,
        )?;

        // SAFETY: `vm` is zeroed, as the C side expects it, and pinned. It takes a reference to the
        // object of the reservation. The range was checked.
        unsafe {
            bindings::drm_gpuvm_init(
                this.as_raw(),
                name.as_char_ptr(),
                bindings::drm_gpuvm_flags_DRM_GPUVM_IMMEDIATE_MODE
                    | bindings::drm_gpuvm_flags_DRM_GPUVM_RESV_PROTECTED,
                dev.as_raw(),
                this.resv.as_raw(),
                range.start,
                len,
                0,
                0,
                const { &Self::OPS },
            )
        };
        // INVARIANT: From here on the reference count governs the allocation; `free_callback()` takes
        // the box back. This is the one `VaTree`.
        // SAFETY: The pointer is that of the box, and the first reference becomes the `ARef`'s.
        Ok(unsafe {
            VaTree::from_aref(ARef::from_raw(NonNull::new_unchecked(KBox::into_raw(
                Pin::into_inner_unchecked(this),
            ))))
        })
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::drm_gpuvm {
        self.vm.get()
    }

    /// # Safety
    ///
    /// `ptr` must be that of a `GpuVm<T>` that stays alive during `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_gpuvm) -> &'a Self {
        // SAFETY: The caller vouches for the pointer.
        unsafe { &*kernel::container_of!(Opaque::cast_from(ptr.cast_const()), Self, vm) }
    }

    /// The reservation that objects of this address space share.
    pub fn resv(&self) -> &Arc<Resv<T::Driver>> {
        &self.resv
    }

    /// All addresses.
    pub fn range(&self) -> Range<u64> {
        // SAFETY: The fields are constant.
        let (start, len) = unsafe { ((*self.as_raw()).mm_start, (*self.as_raw()).mm_range) };

        start..start + len
    }

    /// Whether an object has a reservation of its own.
    pub fn is_external(&self, obj: &gem::Object<T::Driver>) -> bool {
        // SAFETY: Both are valid.
        unsafe { shims::shim_gpuvm_is_extobj(self.as_raw(), obj.as_raw()) }
    }

    /// Releases the buffers that were put aside when they had lost their last mapping.
    pub fn deferred_cleanup(&self) {
        // SAFETY: The address space is in immediate mode.
        unsafe { bindings::drm_gpuvm_bo_deferred_cleanup(self.as_raw()) };
    }

    /// Whether there are buffers for [`GpuVm::deferred_cleanup()`].
    pub fn needs_cleanup(&self) -> bool {
        // SAFETY: The list is changed with atomic operations only, and its head is a pointer.
        unsafe {
            !(&raw const (*self.as_raw()).bo_defer.first)
                .read_volatile()
                .is_null()
        }
    }

    /// Locks the reservation of the address space, and reserves slots for fences in it.
    ///
    /// # Errors
    ///
    /// To be handed on, as those of [`Attempt::prepare()`].
    pub fn prepare_own(&self, attempt: &mut Attempt<'_>) -> Result {
        let fences = attempt.fences();

        // SAFETY: The locking context is in its locking phase.
        to_result(unsafe {
            bindings::drm_gpuvm_prepare_vm(self.as_raw(), attempt.as_raw(), fences)
        })
    }

    /// Locks the reservations of the address space and of all external objects in it, and reserves
    /// slots for fences in them. The address space then counts as used.
    ///
    /// # Errors
    ///
    /// To be handed on, as those of [`Attempt::prepare()`].
    pub fn prepare(&self, attempt: &mut Attempt<'_>) -> Result {
        self.shared.use_now(self.resv.dev().lists().now());

        let fences = attempt.fences();
        let exec = attempt.as_raw();

        // SAFETY: The locking context is in its locking phase. The list of external objects is
        // protected by the reservation, which the first call locks.
        unsafe {
            to_result(bindings::drm_gpuvm_prepare_vm(self.as_raw(), exec, fences))?;
            to_result(bindings::drm_gpuvm_prepare_objects(
                self.as_raw(),
                exec,
                fences,
            ))
        }
    }

    /// Adds a fence to every object that is locked: with the usage `private` where it shares the
    /// reservation of this address space, else with `external`.
    ///
    /// # Errors
    ///
    /// As [`Locked::add_fence()`].
    pub fn add_fence(
        &self,
        locked: &Locked<'_>,
        fence: &Fence,
        private: Usage,
        external: Usage,
    ) -> Result {
        let exec = locked.take_slot()?;

        // SAFETY: The context holds the locks of its objects, and each has had a slot left.
        unsafe {
            bindings::drm_gpuvm_resv_add_fence(
                self.as_raw(),
                exec,
                fence.as_raw(),
                private.as_raw(),
                external.as_raw(),
            )
        };
        Ok(())
    }

    /// # Safety
    ///
    /// Only for `struct drm_gpuvm_ops`: the last reference to a `GpuVm<T>` must have gone.
    unsafe extern "C" fn free_callback(vm: *mut bindings::drm_gpuvm) {
        // SAFETY: By this function's requirements.
        let this = unsafe { core::ptr::from_ref(Self::from_raw(vm)).cast_mut() };

        // SAFETY: The allocation was made by `new()`, and nobody else has access any more.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(this)) });
    }

    fn close(&self) {
        // Fully ordered: either the cleanup below finds what was put aside before, or who puts
        // something aside after that, which is fully ordered too, finds this.
        self.closed.xchg(true, Full);
        self.deferred_cleanup();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}
