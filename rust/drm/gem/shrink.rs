// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Memory reclaim: takes the memory of buffers back when the machine is short of it.
//!
//! A device whose driver has [`Driver::SHRINKER`] registers a shrinker. Buffers that have memory are in
//! one of three lists, and reclaim takes them in this order, the first ones being the cheapest to lose:
//! those that nobody has mapped, those that only CPUs have mapped, and those that address spaces have
//! mapped. Of the last ones only idle ones are taken, and in a first round only those whose address
//! spaces were not used since the scan before. The memory goes back to the file that it is of, whose
//! pages the kernel then swaps out, so nothing is taken while there is no swap space.
//!
//! What comes back does so on demand: a fault of a CPU, a pin, or the next submission to an address
//! space ([`GpuVm::for_each_evicted()`](crate::gpuvm::GpuVm::for_each_evicted)).
//!
//! Never taken are imports, buffers that are pinned, mapped by the kernel, [permanent], or were ever
//! exported (a mapping by way of a dma-buf is not found by the device's files), buffers with
//! unsignalled fences, and buffers in an address space that has some: a job may use what was bound
//! after it was submitted.
//!
//! [permanent]: super::Flags::RESIDENT
//!
//! # Locking
//!
//! Reclaim runs inside of allocations, with whatever locks their callers hold, so it waits only for
//! locks that no allocation is made under. These are taken, in this order:
//!
//! 1. the reservation of the buffer (tried): nobody adds a fence to it, submits, or restores;
//! 2. the list of its address spaces, `gpuva.lock` (tried);
//! 3. `backing` (tried): nobody allocates, pins or faults the memory in;
//! 4. the reservations of its address spaces, if they are others (tried);
//! 5. the tree of one address space after the other (tried), and inside of it what the driver needs
//!    to unmap: that must be fit for fence signalling, where nothing is allocated either;
//! 6. the lock of the lists, which is innermost and held for moving a buffer only.
//!
//! # Ordering
//!
//! A buffer is unmapped from all its address spaces, the device's caches are flushed, CPU mappings are
//! removed, DMA is unmapped, and only then its pages are given up. Fences are looked at with the
//! reservations held, which every submission holds from before it restores until after it has added
//! its fence.
//!
//! # Blocking
//!
//! Waits for no fence and for no lock of the first five. Unmapping waits for the hardware to flush.

use super::{
    Flags,
    Object, //
};
use crate::{
    gpuvm,
    Device,
    Driver, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    bindings,
    ffi::c_ulong,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex,
        MutexGuard, //
    },
    types::Opaque, //
};

/// What a scan returns that has found nothing; `SHRINK_STOP`, which the shims hold against this.
const SHRINK_STOP: c_ulong = c_ulong::MAX;

/// How much a buffer is in use: the index of its list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Unused,
    Cpu,
    Device,
}

impl Class {
    const ALL: [Self; 3] = [Self::Unused, Self::Cpu, Self::Device];
}

/// The buffers of a device that have memory, by how easily they can do without.
#[pin_data]
pub(crate) struct Lists {
    #[pin]
    unused: Opaque<bindings::drm_gem_lru>,
    #[pin]
    cpu: Opaque<bindings::drm_gem_lru>,
    #[pin]
    device: Opaque<bindings::drm_gem_lru>,
    /// Counts scans, from 1 on.
    scans: Atomic<usize>,
}

// SAFETY: The lists are protected by the device's lock for them, the rest is atomic.
unsafe impl Send for Lists {}
// SAFETY: As above.
unsafe impl Sync for Lists {}

impl Lists {
    pub(crate) fn new() -> impl PinInit<Self> {
        let list = || {
            Opaque::ffi_init(|list| {
                // SAFETY: The function initialises the list, which is pinned.
                unsafe { bindings::drm_gem_lru_init(list) }
            })
        };

        pin_init!(Self {
            unused <- list(),
            cpu <- list(),
            device <- list(),
            scans: Atomic::new(1),
        })
    }

    fn list(&self, class: Class) -> *mut bindings::drm_gem_lru {
        match class {
            Class::Unused => self.unused.get(),
            Class::Cpu => self.cpu.get(),
            Class::Device => self.device.get(),
        }
    }

    /// Pages in a list; nearly, as it is read without the lock.
    fn pages(&self, class: Class) -> usize {
        // SAFETY: The list is initialised, and the field a word.
        let count = unsafe { (&raw const (*self.list(class)).count).read_volatile() };

        usize::try_from(count).unwrap_or(0)
    }

    /// The number of the current scan, for those who note when they were used.
    pub(crate) fn now(&self) -> usize {
        self.scans.load(Relaxed)
    }
}

impl<D: Driver> Device<D> {
    /// The lock of all lists of the device.
    fn lock_lists(&self) -> MutexGuard<'_, ()> {
        // SAFETY: The mutex is initialised, and lives as long as the device.
        unsafe {
            let lock: &Mutex<()> = Mutex::from_raw(&raw mut (*self.as_raw()).gem_lru_mutex);

            lock.lock()
        }
    }

    /// The first buffer of a list, which becomes its last one. `None` if the list is empty, or if the
    /// buffer is about to be freed; then there is nothing to be taken.
    fn rotate(&self, class: Class) -> Option<ARef<Object<D>>> {
        let list = self.lists().list(class);
        let _lists = self.lock_lists();

        // SAFETY: The list is locked. It holds initialised objects of this device only, and these
        // leave it before they are freed.
        unsafe {
            let obj = shims::shim_gem_lru_first(list);

            if obj.is_null() {
                return None;
            }
            bindings::drm_gem_lru_move_tail_locked(list, obj);
            if !shims::shim_gem_get_unless_zero(obj) {
                return None;
            }
            Object::from_raw_owned(obj)
        }
    }

    /// Takes up to `goal` pages from a list, each buffer being looked at once. Returns how many.
    fn scan_list(&self, class: Class, goal: usize, recent: bool) -> usize {
        let mut left = self.lists().pages(class);
        let mut freed = 0;

        while freed < goal && left != 0 {
            let pages = match self.rotate(class) {
                Some(obj) => {
                    let pages = obj.size() / PAGE_SIZE;

                    if obj.try_evict(class, recent) {
                        freed += pages;
                    }
                    pages
                }
                None => 1,
            };
            left = left.saturating_sub(pages);
        }
        freed
    }

    /// Takes up to `goal` pages, or a little more. Returns how many.
    fn scan(&self, goal: usize) -> usize {
        let mut freed = self.scan_list(Class::Unused, goal, true);

        if freed < goal {
            freed += self.scan_list(Class::Cpu, goal - freed, true);
        }
        if freed < goal {
            freed += self.scan_list(Class::Device, goal - freed, false);
        }
        if freed < goal {
            freed += self.scan_list(Class::Device, goal - freed, true);
        }
        self.lists().scans.fetch_add(1, Relaxed);
        freed
    }

    /// # Safety
    ///
    /// Only for `struct shrinker`, whose private data must be a `Device<D>`.
    unsafe extern "C" fn count_callback(
        shrinker: *mut bindings::shrinker,
        _sc: *mut bindings::shrink_control,
    ) -> c_ulong {
        // SAFETY: The device is valid as long as its shrinker.
        let this = unsafe { Self::from_raw((*shrinker).private_data.cast()) };

        // SAFETY: The function has no requirements.
        if unsafe { shims::shim_free_swap_pages() } == 0 {
            return 0;
        }
        Class::ALL.iter().fold(0usize, |sum, class| {
            sum.saturating_add(this.lists().pages(*class))
        })
    }

    /// # Safety
    ///
    /// Only for `struct shrinker`, whose private data must be a `Device<D>`.
    unsafe extern "C" fn scan_callback(
        shrinker: *mut bindings::shrinker,
        sc: *mut bindings::shrink_control,
    ) -> c_ulong {
        // SAFETY: The device is valid as long as its shrinker, and `sc` during the call.
        let (this, goal) = unsafe {
            (
                Self::from_raw((*shrinker).private_data.cast()),
                (*sc).nr_to_scan,
            )
        };

        // SAFETY: The function has no requirements.
        if unsafe { shims::shim_free_swap_pages() } == 0 {
            return SHRINK_STOP;
        }
        match this.scan(goal) {
            0 => SHRINK_STOP,
            freed => freed,
        }
    }
}

/// A reservation that was locked without waiting.
///
/// # Invariants
///
/// The reservation is locked by this task, and valid.
struct Reserved(*mut bindings::dma_resv);

impl Reserved {
    /// # Safety
    ///
    /// The reservation must be valid for as long as the result.
    unsafe fn try_new(resv: *mut bindings::dma_resv) -> Option<Self> {
        // SAFETY: By this function's requirements.
        let locked = unsafe { shims::shim_dma_resv_trylock(resv) };

        // INVARIANT: Made only if it was locked just now: dropping it unlocks.
        locked.then(|| Self(resv))
    }

    /// Whether no work uses what it protects.
    fn idle(&self) -> bool {
        // SAFETY: By the type's invariants.
        unsafe {
            bindings::dma_resv_test_signaled(
                self.0,
                bindings::dma_resv_usage_DMA_RESV_USAGE_BOOKKEEP,
            )
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants.
        unsafe { shims::shim_dma_resv_unlock(self.0) };
    }
}

/// The reservations of the address spaces of an object, other than its own.
///
/// # Invariants
///
/// Those of the first `locked` address spaces in the list of `obj` are locked by this task, and the
/// list does not change.
struct Spaces {
    obj: *mut bindings::drm_gem_object,
    locked: usize,
}

impl Spaces {
    /// Locks all of them. `None` if one cannot be locked at once, or has unsignalled fences.
    ///
    /// # Safety
    ///
    /// The object's own reservation and its list of address spaces must be locked for as long as the
    /// result exists.
    unsafe fn try_new(obj: *mut bindings::drm_gem_object) -> Option<Self> {
        let mut this = Self { obj, locked: 0 };

        // SAFETY: By this function's requirements.
        for vm_bo in unsafe { VmBos::new(obj) } {
            // SAFETY: The list is locked, so that its elements keep their address spaces, and these
            // their reservations.
            unsafe {
                let resv = shims::shim_vm_bo_resv(vm_bo);

                if resv != (*obj).resv {
                    let reserved = Reserved::try_new(resv)?;

                    if !reserved.idle() {
                        return None;
                    }
                    core::mem::forget(reserved);
                }
            }
            this.locked += 1;
        }
        Some(this)
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants.
        for vm_bo in unsafe { VmBos::new(self.obj) }.take(self.locked) {
            // SAFETY: By the type's invariants.
            unsafe {
                let resv = shims::shim_vm_bo_resv(vm_bo);

                if resv != (*self.obj).resv {
                    shims::shim_dma_resv_unlock(resv);
                }
            }
        }
    }
}

/// The elements of an object's list of address spaces.
///
/// # Invariants
///
/// `obj` is valid, and the list does not change. `last` is null, or in the list.
struct VmBos {
    obj: *mut bindings::drm_gem_object,
    last: *mut bindings::drm_gpuvm_bo,
    done: bool,
}

impl VmBos {
    /// # Safety
    ///
    /// The object must be valid, and its list locked, for as long as the result is used.
    unsafe fn new(obj: *mut bindings::drm_gem_object) -> Self {
        Self {
            obj,
            last: null_mut(),
            done: false,
        }
    }
}

impl Iterator for VmBos {
    type Item = *mut bindings::drm_gpuvm_bo;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.done {
            // SAFETY: By the type's invariants.
            self.last = unsafe { shims::shim_gem_next_vm_bo(self.obj, self.last) };
            self.done = self.last.is_null();
        }
        (!self.done).then_some(self.last)
    }
}

impl<D: Driver> Object<D> {
    /// How much it is in use; `None` if there is nothing to be taken from it.
    fn class(&self) -> Option<Class> {
        if !self.resident.load(Relaxed)
            || self.flags.contains(Flags::CONTIGUOUS)
            || self.flags.contains(Flags::RESIDENT)
            || self.exported.load(Relaxed)
            || self.is_imported()
        {
            return None;
        }
        Some(if self.users.mapped() {
            Class::Device
        } else if self.users.mmapped() {
            Class::Cpu
        } else {
            Class::Unused
        })
    }

    /// Moves the object to the list that it belongs to. To be called when that may have changed.
    pub(super) fn classify(&self) {
        let _lists = self.dev.lock_lists();
        // Whoever changes it does so first, and the last one to lock the lists sees all changes. When
        // the pages go, whoever takes them removes the object from its list after that.
        let Some(class) = self.class() else {
            return;
        };
        let list = self.dev.lists().list(class);

        // SAFETY: The lists are locked, and object and list initialised.
        unsafe {
            if (*self.as_raw()).lru != list {
                bindings::drm_gem_lru_move_tail_locked(list, self.as_raw());
            }
        }
    }

    /// Takes the object's memory, if it is in use no more than `class` says, and idle. Unless `recent`
    /// is set, not if one of its address spaces was used since the last scan.
    fn try_evict(&self, class: Class, recent: bool) -> bool {
        let obj = self.as_raw();

        if self.class() != Some(class) || self.users.pinned() {
            return false;
        }
        // SAFETY: The object keeps its reservation; a reference to it is held.
        let Some(reserved) = (unsafe { Reserved::try_new((*obj).resv) }) else {
            return false;
        };
        if !reserved.idle() {
            return false;
        }
        // SAFETY: The mutex is initialised, and lives as long as the object.
        let list: &Mutex<()> = unsafe { Mutex::from_raw(&raw mut (*obj).gpuva.lock) };
        let Some(_list) = list.try_lock() else {
            return false;
        };
        let Some(mut backing) = self.backing.try_lock() else {
            return false;
        };
        // SAFETY: Reservation and list are locked until the end of this function; `_spaces` is
        // dropped before them.
        let Some(_spaces) = (unsafe { Spaces::try_new(obj) }) else {
            return false;
        };

        // SAFETY: As above.
        for vm_bo in unsafe { VmBos::new(obj) } {
            // SAFETY: All address spaces of the device were made by `GpuVm::new()`. All reservations
            // are locked, and so is the list.
            let gone = unsafe {
                (recent || !gpuvm::used_since(vm_bo, self.dev.lists().now())) && gpuvm::evict(vm_bo)
            };

            // What was unmapped until here is mapped again by the next submission.
            if !gone {
                return false;
            }
        }
        self.release_pages(&mut backing)
    }
}

/// The shrinker of a device. Dropped, it waits for reclaim that is under way.
///
/// # Invariants
///
/// `shrinker` is allocated, and perhaps registered; its private data is a device that outlives it.
pub(crate) struct Shrinker {
    shrinker: NonNull<bindings::shrinker>,
}

// SAFETY: A shrinker may be freed by any task.
unsafe impl Send for Shrinker {}
// SAFETY: There is nothing to be done with a shared reference.
unsafe impl Sync for Shrinker {}

impl Shrinker {
    /// Registers a shrinker of this name.
    ///
    /// # Safety
    ///
    /// The device must outlive the result.
    pub(crate) unsafe fn new<D: Driver>(dev: &Device<D>, name: &'static CStr) -> Result<Self> {
        // SAFETY: The format takes one string.
        let shrinker =
            unsafe { bindings::shrinker_alloc(0, c"%s".as_char_ptr(), name.as_char_ptr()) };
        let shrinker = NonNull::new(shrinker).ok_or(ENOMEM)?;

        // SAFETY: The shrinker is not registered yet. The lock is that of the lists, which is taken
        // in reclaim: lockdep learns that now, and not when memory is short for the first time.
        unsafe {
            (*shrinker.as_ptr()).count_objects = Some(Device::<D>::count_callback);
            (*shrinker.as_ptr()).scan_objects = Some(Device::<D>::scan_callback);
            (*shrinker.as_ptr()).private_data = dev.as_raw().cast();
            shims::shim_reclaim_might_lock(&raw mut (*dev.as_raw()).gem_lru_mutex);
            bindings::shrinker_register(shrinker.as_ptr());
        }
        // INVARIANT: As the caller promises.
        Ok(Self { shrinker })
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::shrinker {
        self.shrinker.as_ptr()
    }
}

impl Drop for Shrinker {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants, and nobody else frees it.
        unsafe { bindings::shrinker_free(self.as_raw()) };
    }
}
