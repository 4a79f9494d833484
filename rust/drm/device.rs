// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The DRM device, and the scope in which the hardware behind it may be used.
//!
//! # Locking
//!
//! `Device::bound` is published and withdrawn atomically. Readers hold an SRCU read lock for as long
//! as they use what they found. The SRCU domain is common to all devices of the module, so a reader
//! of one device may delay, but never prevent, the unplugging of another.
//!
//! # Ordering
//!
//! `bound` is initialised, then published (release), then the driver's bring-up runs, then the
//! device becomes visible to user space. At the end: `bound` is withdrawn, all readers are waited
//! for, the DRM device is unplugged (which removes the nodes and zaps all user mappings), memory
//! reclaim is waited for and stopped, the driver is told, `bound` is dropped, by which the hardware stops, and then all buffers are unmapped for
//! DMA.
//!
//! # Blocking
//!
//! Unplugging waits for everybody inside an [`Entered`] section. Hence code in such a section must
//! not wait for the unbinding of the device, and what it waits for must come without the unbinding.

use crate::{
    dma::Mappings,
    driver::Vtable,
    gem::{
        shrink::{
            Lists,
            Shrinker, //
        },
        Objects, //
    },
    Driver, //
};
use core::{
    mem::offset_of,
    ops::Deref,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};
use kernel::{
    alloc::allocator::Kmalloc,
    bindings,
    device,
    devres,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
    },
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// A DRM device: the reference-counted object that files and buffers refer to.
///
/// Dereferences to the driver's [`Driver::Data`].
///
/// # Invariants
///
/// - `dev` is an initialised `struct drm_device`, whose reference count governs the allocation.
/// - `mappings`, `lists` and `objects` are initialised, and pinned.
/// - `data` is initialised, and so stays until the last reference goes, if `data_valid` is set.
///   Nobody but [`UnregisteredDevice::new()`] sees the device otherwise.
/// - `bound` is null, or points to a `D::Bound` that stays valid until `bound` was set to null and an
///   SRCU grace period has passed.
#[repr(C)]
pub struct Device<D: Driver> {
    dev: Opaque<bindings::drm_device>,
    bound: Atomic<*mut D::Bound>,
    mappings: Mappings,
    lists: Lists,
    /// The shrinker, for debugfs; null if there is none. Written before the device is registered.
    shrinker: Atomic<*mut bindings::shrinker>,
    objects: Objects,
    data_valid: bool,
    data: D::Data,
}

// SAFETY: A DRM device is made to be used and released by any task; `D::Data` and `D::Bound` are
// `Send` and `Sync`.
unsafe impl<D: Driver> Send for Device<D> {}
// SAFETY: As above.
unsafe impl<D: Driver> Sync for Device<D> {}

// SAFETY: By the type's invariants the reference count of `dev` governs the allocation.
unsafe impl<D: Driver> AlwaysRefCounted for Device<D> {
    fn inc_ref(&self) {
        // SAFETY: The reference to `self` shows that the count is not zero.
        unsafe { bindings::drm_dev_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // CAST: The `struct drm_device` is the first field.
        // SAFETY: The caller gives up a reference, so the device is still valid here.
        unsafe { bindings::drm_dev_put(obj.as_ptr().cast()) };
    }
}

impl<D: Driver> Deref for Device<D> {
    type Target = D::Data;

    fn deref(&self) -> &D::Data {
        &self.data
    }
}

impl<D: Driver> Device<D> {
    pub(crate) fn as_raw(&self) -> *mut bindings::drm_device {
        self.dev.get()
    }

    /// # Safety
    ///
    /// `ptr` must point to the `struct drm_device` of a `Device<D>` that stays alive during `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_device) -> &'a Self {
        // SAFETY: The caller vouches for the pointer; `dev` is the first field.
        unsafe { &*ptr.cast() }
    }

    /// Enters the bound scope.
    ///
    /// Returns `None` before the device is brought up and after it was unplugged; the usual answer
    /// to user space is then `ENODEV`. Sections may nest, and may sleep.
    pub fn enter(&self) -> Option<Entered<'_, D>> {
        let section = Section::enter();
        let bound = NonNull::new(self.bound.load(Acquire))?;

        // INVARIANT: `bound` was read inside the section, so it stays valid until the section ends.
        Some(Entered {
            dev: self,
            bound,
            _section: section,
        })
    }

    /// The device on the bus. It may be unbound.
    pub fn parent(&self) -> &device::Device {
        // SAFETY: The DRM device holds a reference to its parent as long as it exists.
        unsafe { device::Device::from_raw((*self.as_raw()).dev) }
    }

    /// The device that does DMA.
    pub(crate) fn dma_device(&self) -> *mut bindings::device {
        // SAFETY: The fields are written before the device is visible and never after that.
        let (parent, dma) = unsafe { ((*self.as_raw()).dev, (*self.as_raw()).dma_dev) };

        if dma.is_null() {
            parent
        } else {
            dma
        }
    }

    /// The DMA mappings of the device's buffers.
    pub(crate) fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    /// The buffers that have memory.
    pub(crate) fn lists(&self) -> &Lists {
        &self.lists
    }

    /// The shrinker, or null. Valid while the device is registered.
    pub(crate) fn shrinker(&self) -> *mut bindings::shrinker {
        self.shrinker.load(Acquire)
    }

    /// The list of the device's buffer objects.
    pub(crate) fn all_objects(&self) -> &Objects {
        &self.objects
    }

    /// Removes what user space has mapped of `len` bytes at `offset` of the device node.
    ///
    /// The next access faults again. Meant for the pages that the driver provides in
    /// [`Driver::mmap_fault()`].
    pub fn zap_mappings(&self, offset: u64, len: u64) {
        // SAFETY: The device is valid, and with it the inode that all its mappings go through.
        unsafe { shims::shim_zap(self.as_raw(), offset, len) };
    }

    /// # Safety
    ///
    /// Only for `struct drm_driver`: `dev` must be the device of a `Device<D>` whose last reference
    /// has gone.
    pub(crate) unsafe extern "C" fn release_callback(dev: *mut bindings::drm_device) {
        let this = dev.cast::<Self>();

        // SAFETY: Nobody else has access any more; the allocation is freed after this callback.
        unsafe {
            if (*this).data_valid {
                core::ptr::drop_in_place(addr_of_mut!((*this).data));
                core::ptr::drop_in_place(addr_of_mut!((*this).mappings));
                core::ptr::drop_in_place(addr_of_mut!((*this).objects));
            }
        }
    }
}

/// An SRCU read-side section.
///
/// # Invariants
///
/// `idx` comes from the call that began the section, on this task.
pub(crate) struct Section {
    idx: i32,
    _task: NotThreadSafe,
}

impl Section {
    pub(crate) fn enter() -> Self {
        Self {
            // SAFETY: The section ends when the value drops, on this task since it is not `Send`.
            idx: unsafe { shims::shim_scope_enter() },
            _task: NotThreadSafe,
        }
    }

    /// Waits for all sections that have begun.
    pub(crate) fn synchronize() {
        // SAFETY: The function has no requirements but that it sleeps.
        unsafe { shims::shim_scope_synchronize() };
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant.
        unsafe { shims::shim_scope_exit(self.idx) };
    }
}

/// Proof that the driver is bound and the hardware is there.
///
/// Dereferences to the [`Device`].
///
/// # Invariants
///
/// `bound` is valid as long as `_section` exists.
pub struct Entered<'a, D: Driver> {
    dev: &'a Device<D>,
    bound: NonNull<D::Bound>,
    _section: Section,
}

impl<D: Driver> Entered<'_, D> {
    /// The data of the bound scope.
    pub fn bound(&self) -> &D::Bound {
        // SAFETY: By the type's invariants.
        unsafe { self.bound.as_ref() }
    }
}

impl<D: Driver> Deref for Entered<'_, D> {
    type Target = Device<D>;

    fn deref(&self) -> &Device<D> {
        self.dev
    }
}

/// A device that user space cannot see yet.
///
/// # Invariants
///
/// The device was never registered, and its bound scope never began.
pub struct UnregisteredDevice<D: Driver> {
    dev: ARef<Device<D>>,
    _task: NotThreadSafe,
}

impl<D: Driver> Deref for UnregisteredDevice<D> {
    type Target = Device<D>;

    fn deref(&self) -> &Device<D> {
        &self.dev
    }
}

impl<D: Driver> UnregisteredDevice<D> {
    /// Makes a device below `parent`.
    ///
    /// `data` must not own buffer objects or address spaces of the device: those keep the device
    /// alive, so it would never go away. `D::Bound` and `D::File` may.
    pub fn new(
        parent: &device::Device<device::Bound>,
        data: impl PinInit<D::Data, Error>,
    ) -> Result<Self> {
        let layout = Kmalloc::aligned_layout(core::alloc::Layout::new::<Device<D>>());

        // SAFETY: `parent` is valid, and the driver structure is a constant that is never freed.
        let raw = unsafe {
            bindings::__drm_dev_alloc(
                core::ptr::from_ref(parent).cast_mut().cast(),
                const { &Vtable::<D>::DRIVER },
                layout.size(),
                offset_of!(Device<D>, dev),
            )
        };
        let raw = from_err_ptr(raw.cast::<Device<D>>())?;

        // SAFETY: The field is inside the allocation, uninitialised, and does not move. It owns
        // nothing, so it need not be dropped if the next step fails.
        let Ok(()) =
            unsafe { pin_init::raw_try_init(addr_of_mut!((*raw).mappings), Mappings::new()) };
        // SAFETY: As above.
        let Ok(()) = unsafe { pin_init::raw_try_init(addr_of_mut!((*raw).lists), Lists::new()) };
        // SAFETY: As above.
        let Ok(()) =
            unsafe { pin_init::raw_try_init(addr_of_mut!((*raw).objects), Objects::new()) };
        // SAFETY: The field is inside the allocation, uninitialised, and does not move.
        unsafe { pin_init::raw_try_init(addr_of_mut!((*raw).data), data) }.inspect_err(|_| {
            // SAFETY: This is the only reference. The memory was zeroed, so the release callback
            // sees `data_valid` unset.
            unsafe { bindings::drm_dev_put(raw.cast()) };
        })?;
        // SAFETY: Nobody else knows the device yet.
        unsafe { (*raw).data_valid = true };

        // INVARIANT: The device has just been made; `bound` is null, since the memory was zeroed.
        Ok(Self {
            // SAFETY: The pointer is not null, and the first reference becomes that of the `ARef`.
            dev: unsafe { ARef::from_raw(NonNull::new_unchecked(raw)) },
            _task: NotThreadSafe,
        })
    }

    /// Buffers that are made from now on get memory in pieces as large as an entry of a page table, where
    /// they are large enough and there is such memory. Does nothing in a kernel without transparent huge
    /// pages. Call it once, before the first buffer.
    ///
    /// # Errors
    ///
    /// What the file system failed with that would have had them. Buffers are made as before.
    pub fn use_huge_pages(&self) -> Result {
        // SAFETY: The device is initialised, and nobody else knows it.
        to_result(unsafe { shims::shim_gem_use_huge_pages(self.dev.as_raw()) })
    }

    /// Begins the bound scope, brings the hardware up, and shows the device to user space.
    ///
    /// `start` runs when [`Device::enter()`] already works, so it may wait for interrupts whose
    /// handlers enter. After it has returned, the device is registered.
    ///
    /// On success the registration belongs to the device resources of `parent`, which are released
    /// in reverse order at unbind, so call this as the last step of a probe: everything that was
    /// acquired earlier is still there when `bound` is dropped.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `parent` is not what the device was made with; else what `bound`, `start` or the
    /// registration failed with. Then the scope has ended again, and `bound` was dropped.
    pub fn register(
        self,
        parent: &device::Device<device::Bound>,
        bound: impl PinInit<D::Bound, Error>,
        start: impl FnOnce(&Entered<'_, D>) -> Result,
    ) -> Result<ARef<Device<D>>> {
        if !core::ptr::eq(
            core::ptr::from_ref(parent).cast::<u8>(),
            core::ptr::from_ref(self.dev.parent()).cast(),
        ) {
            return Err(EINVAL);
        }

        let mut scope = Scope {
            bound: Some(KBox::pin_init(bound, GFP_KERNEL)?),
            dev: self.dev,
            shrinker: None,
            registered: false,
        };
        let dev = scope.dev.clone();

        if let Some(name) = D::SHRINKER {
            // SAFETY: The scope keeps the device, and drops the shrinker first.
            let shrinker = unsafe { Shrinker::new(&*dev, name) }?;

            dev.shrinker.store(shrinker.as_raw(), Release);
            scope.shrinker = Some(shrinker);
        }

        if let Some(bound) = &scope.bound {
            // INVARIANT: `bound` stays valid until `Scope::drop()`, which takes the pointer back
            // first.
            dev.bound
                .store(core::ptr::from_ref::<D::Bound>(bound).cast_mut(), Release);
        }
        start(&dev.enter().ok_or(ENODEV)?)?;

        // SAFETY: The device is initialised and not registered.
        to_result(unsafe { bindings::drm_dev_register(dev.as_raw(), 0) })?;
        scope.registered = true;

        devres::register(parent, scope, GFP_KERNEL)?;
        Ok(dev)
    }
}

/// The bound scope of a device. Dropping it ends the scope.
struct Scope<D: Driver> {
    dev: ARef<Device<D>>,
    bound: Option<Pin<KBox<D::Bound>>>,
    shrinker: Option<Shrinker>,
    registered: bool,
}

impl<D: Driver> Drop for Scope<D> {
    fn drop(&mut self) {
        self.dev.bound.store(core::ptr::null_mut(), Release);
        Section::synchronize();

        if self.registered {
            // SAFETY: The device is registered, and this is the only place that unregisters it.
            unsafe { bindings::drm_dev_unplug(self.dev.as_raw()) };
        } else {
            // Registering it may have shown it to user space before it failed.
            // SAFETY: The device is valid, and has no nodes.
            unsafe { shims::shim_dev_withdraw(self.dev.as_raw()) };
        }
        // Its debugfs file has gone with the nodes. Reclaim may use the hardware until here.
        self.shrinker = None;
        if let Some(bound) = self.bound.take() {
            D::unplugged(&self.dev, &bound);
        }
        // SAFETY: It is the DMA device. What made it do DMA was dropped with `bound`.
        unsafe { self.dev.mappings.end(self.dev.dma_device()) };
    }
}
