// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The memory behind a buffer object.
//!
//! # Locking
//!
//! See [`super`]. Who uses the memory is counted with atomic operations, so that a user can leave
//! where nothing may block. Users come where the object is locked, or where there is one already.
//!
//! # Ordering
//!
//! A user's accesses come before its leaving (release), and that before the memory goes (acquire).
//!
//! # Blocking
//!
//! Allocating memory sleeps. Giving it back sleeps too, but waits for no allocation: memory reclaim
//! does that.

use super::{
    Flags,
    Object, //
};
use crate::Driver;
use core::{
    ffi::c_void,
    marker::PhantomData,
    ops::Deref,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    error::from_err_ptr,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        }, //
    }, //
};

/// Who uses the memory of an object.
pub(super) struct Users {
    /// Those that hold a [`Pinned`], exports, and mappings of an IOMMU: nobody takes the memory from them.
    pins: Atomic<usize>,
    /// Those that hold a [`Mapped`]: address spaces, from which it can be taken.
    maps: Atomic<usize>,
    /// Mappings of user space, from which it can be taken too.
    mmaps: Atomic<usize>,
}

impl Users {
    pub(super) const fn new() -> Self {
        Self {
            pins: Atomic::new(0),
            maps: Atomic::new(0),
            mmaps: Atomic::new(0),
        }
    }

    /// Whether somebody relies on the memory.
    pub(super) fn pinned(&self) -> bool {
        self.pins.load(Acquire) != 0
    }

    /// Whether an address space has mapped it.
    pub(super) fn mapped(&self) -> bool {
        self.maps.load(Acquire) != 0
    }

    /// Whether user space has mapped it.
    pub(super) fn mmapped(&self) -> bool {
        self.mmaps.load(Relaxed) != 0
    }
}

/// The pages of an object, and how they are mapped.
///
/// # Invariants
///
/// - `pages` and `sgt` are both null, or both set; then `pages` has an entry for each page of the
///   object, `sgt` describes them and was mapped for DMA, and neither changes while the object has
///   users of its memory, or until it is freed.
/// - `vaddr` is null, or maps the pages; it is null if and only if `vmaps` is zero.
pub(super) struct Backing {
    pages: *mut *mut bindings::page,
    sgt: *mut bindings::sg_table,
    vaddr: *mut c_void,
    vmaps: usize,
}

// SAFETY: The pointers are owned, and what they point to belongs to no task.
unsafe impl Send for Backing {}

impl Backing {
    pub(super) const fn new() -> Self {
        Self {
            pages: null_mut(),
            sgt: null_mut(),
            vaddr: null_mut(),
            vmaps: 0,
        }
    }

    fn pages(&self) -> Option<NonNull<*mut bindings::page>> {
        NonNull::new(self.pages)
    }
}

impl<D: Driver> Object<D> {
    /// The number of pages.
    pub(super) fn page_count(&self) -> u32 {
        // Of an object with memory of its own there are no more than fit, by `Object::new()`.
        u32::try_from(self.size() / PAGE_SIZE).unwrap_or(u32::MAX)
    }

    fn get_pages(&self) -> Result<*mut *mut bindings::page> {
        if self.flags.contains(Flags::CONTIGUOUS) {
            // SAFETY: The function has no requirements.
            return from_err_ptr(unsafe { shims::shim_get_contiguous_pages(self.page_count()) });
        }
        // SAFETY: The object has a file of its size.
        from_err_ptr(unsafe { bindings::drm_gem_get_pages(self.as_raw()) })
    }

    /// # Safety
    ///
    /// `pages` must be what `get_pages()` has returned for this object, and not be used again.
    unsafe fn put_pages(&self, pages: *mut *mut bindings::page, dirty: bool, accessed: bool) {
        if self.flags.contains(Flags::CONTIGUOUS) {
            // SAFETY: By this function's requirements; the number of pages does not change.
            unsafe { shims::shim_put_contiguous_pages(pages, self.page_count()) };
        } else {
            // SAFETY: By this function's requirements.
            unsafe { bindings::drm_gem_put_pages(self.as_raw(), pages, dirty, accessed) };
        }
    }

    /// Allocates the pages and maps them for DMA, if that was not done before.
    ///
    /// Fails with `ENODEV` if it was not, and the driver is unbound, and with `EINVAL` for imports.
    ///
    /// The pages stay for as long as `backing` is locked, or there is a user.
    pub(super) fn populate_locked(
        &self,
        backing: &mut Backing,
    ) -> Result<NonNull<*mut bindings::page>> {
        if let Some(pages) = backing.pages() {
            return Ok(pages);
        }
        if self.is_imported() {
            return Err(EINVAL);
        }

        let pages = self.get_pages()?;
        // SAFETY: `pages` has an entry for each page.
        let sgt = from_err_ptr(unsafe {
            bindings::drm_prime_pages_to_sg(self.dev.as_raw(), pages, self.page_count())
        })
        .inspect_err(|_| {
            // SAFETY: Nobody else knows the pages.
            unsafe { self.put_pages(pages, false, false) }
        })?;

        // SAFETY: `sgt` is a table that is not mapped yet. The mapping is unused and stays in its
        // place, and so does the table, until `release_backing()` unmaps it.
        unsafe {
            self.dev
                .mappings()
                .map(self.dev.dma_device(), &self.dma, sgt)
        }
        .inspect_err(|_| {
            // SAFETY: Nobody else knows table and pages.
            unsafe {
                bindings::sg_free_table(sgt);
                bindings::kfree(sgt.cast());
                self.put_pages(pages, false, false);
            }
        })?;

        // INVARIANT: Both are set, and describe the same pages.
        backing.sgt = sgt;
        backing.pages = pages;
        self.resident.store(true, Relaxed);
        self.classify();
        NonNull::new(pages).ok_or(ENOMEM)
    }

    /// Gives the memory back to the file that it is of, whose pages can then be swapped out, unless
    /// somebody uses it. User space faults when it accesses the object next. Returns whether the
    /// memory has gone.
    ///
    /// For memory reclaim: takes no lock that an allocation is made under.
    pub(super) fn release_pages(&self, backing: &mut Backing) -> bool {
        let Some(pages) = backing.pages() else {
            return false;
        };
        let sgt = backing.sgt;

        // With the object locked nobody comes anew, except by what is there already. A fault by way of
        // a dma-buf has had it locked after it was marked.
        if self.exported.load(Relaxed)
            || self.users.pinned()
            || self.users.mapped()
            || backing.vmaps != 0
        {
            return false;
        }
        // SAFETY: The object is initialised. A fault needs the lock, so nothing is mapped any more
        // when this has returned, until the lock is released.
        unsafe { shims::shim_gem_zap(self.as_raw()) };

        backing.pages = null_mut();
        backing.sgt = null_mut();
        self.resident.store(false, Relaxed);
        // SAFETY: Pages and table are those that `populate_locked()` has made. Nobody uses them. An
        // object that is in no list may be removed from it.
        unsafe {
            self.dev.mappings().unmap(self.dev.dma_device(), &self.dma);
            bindings::sg_free_table(sgt);
            bindings::kfree(sgt.cast());
            self.put_pages(pages.as_ptr(), true, false);
            bindings::drm_gem_lru_remove(self.as_raw());
        }
        true
    }

    /// User space has one mapping more.
    pub(super) fn mmap_begins(&self) {
        if self.users.mmaps.fetch_add(1, Relaxed) == 0 {
            self.classify();
        }
    }

    /// User space has one mapping less.
    pub(super) fn mmap_ends(&self) {
        if self.users.mmaps.fetch_sub(1, Relaxed) == 1 {
            self.classify();
        }
    }

    /// Makes memory stay until [`Object::unpin_raw()`].
    pub(super) fn pin_raw(&self) -> Result {
        let mut backing = self.backing.lock();

        self.populate_locked(&mut backing)?;
        self.users.pins.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Undoes one [`Object::pin_raw()`].
    pub(super) fn unpin_raw(&self) {
        self.users.pins.fetch_sub(1, Release);
    }

    /// Gives all memory back.
    ///
    /// # Safety
    ///
    /// The object must be about to be freed: nobody else may have access to it, or to its pages.
    pub(super) unsafe fn release_backing(&self) {
        // Nobody else can have it locked. It must not be waited for: the last reference may be that of
        // memory reclaim.
        let Some(mut backing) = self.backing.try_lock() else {
            return;
        };
        let Some(pages) = backing.pages() else {
            return;
        };
        let sgt = backing.sgt;

        backing.pages = null_mut();
        backing.sgt = null_mut();
        // SAFETY: Pages and table are those that `populate_locked()` has made. No `Vmap` exists, as
        // each holds a reference, so there is no kernel mapping either. The same holds for mappings
        // of user space and for exports.
        unsafe {
            self.dev.mappings().unmap(self.dev.dma_device(), &self.dma);
            bindings::sg_free_table(sgt);
            bindings::kfree(sgt.cast());
            self.put_pages(pages.as_ptr(), true, true);
        }
    }

    /// Maps the object for the kernel, or counts one user more of the mapping that there is.
    pub(super) fn map_kernel(&self) -> Result<NonNull<u8>> {
        let mut backing = self.backing.lock();
        let pages = self.populate_locked(&mut backing)?;

        if backing.vmaps == 0 {
            // SAFETY: The array has as many entries.
            backing.vaddr = unsafe {
                shims::shim_vmap_pages(pages.as_ptr(), self.page_count(), self.write_back())
            };
        }
        let addr = NonNull::new(backing.vaddr.cast()).ok_or(ENOMEM)?;

        backing.vmaps += 1;
        Ok(addr)
    }

    /// Undoes one [`Object::map_kernel()`].
    ///
    /// # Safety
    ///
    /// There must have been one that was not undone, and what it returned must not be used again.
    pub(super) unsafe fn unmap_kernel(&self) {
        let mut backing = self.backing.lock();

        backing.vmaps -= 1;
        if backing.vmaps == 0 {
            // SAFETY: The mapping was made by `map_kernel()`, and has no user any more.
            unsafe { shims::vunmap(backing.vaddr) };
            backing.vaddr = null_mut();
        }
    }

    /// Makes sure that the object has memory, and that the device can access it.
    ///
    /// The memory then stays for as long as the result does, and the device's access until the driver
    /// is unbound. Allocates and sleeps.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if memory is short. `ENODEV` if the driver is unbound.
    pub fn pin(&self) -> Result<Pinned<D>> {
        if let Some(runs) = &self.runs {
            let _section = self.dev.mappings().section().ok_or(ENODEV)?;

            self.users.pins.fetch_add(1, Relaxed);
            // INVARIANT: Counted; the table says where the exporter has mapped its buffer.
            return Ok(Pinned {
                obj: self.into(),
                sgt: runs.table(),
            });
        }
        let mut backing = self.backing.lock();

        self.populate_locked(&mut backing)?;
        self.users.pins.fetch_add(1, Relaxed);
        // INVARIANT: The table is set, and was counted in while the object is locked.
        Ok(Pinned {
            obj: self.into(),
            sgt: backing.sgt,
        })
    }

    /// The object, if it has memory of its own that the device can access.
    pub(super) fn pin_resident(&self) -> Option<Pinned<D>> {
        let backing = self.backing.lock();

        if backing.sgt.is_null() {
            return None;
        }
        self.users.pins.fetch_add(1, Relaxed);
        // INVARIANT: The table is set, and was counted in while the object is locked.
        Some(Pinned {
            obj: self.into(),
            sgt: backing.sgt,
        })
    }

    /// The object is about to be exported: from now on its memory stays. Mappings by way of a dma-buf
    /// belong to that one's file, where the object could not find them.
    pub(super) fn keep(&self) {
        self.exported.store(true, Relaxed);
        // SAFETY: The object is initialised. One that is in no list may be removed from it.
        unsafe { bindings::drm_gem_lru_remove(self.as_raw()) };
    }
}

/// An object that has memory which the device can access, as long as the driver is bound. Memory
/// reclaim does not take it.
///
/// Dereferences to the [`Object`].
///
/// # Invariants
///
/// This value is counted among the pins of `obj`. `sgt` is the table of `obj`, which was mapped for
/// DMA, or, of an import, its runs.
pub struct Pinned<D: Driver> {
    obj: ARef<Object<D>>,
    sgt: *mut bindings::sg_table,
}

// SAFETY: The table is constant, and lives as long as the object.
unsafe impl<D: Driver> Send for Pinned<D> {}
// SAFETY: As above.
unsafe impl<D: Driver> Sync for Pinned<D> {}

impl<D: Driver> Clone for Pinned<D> {
    fn clone(&self) -> Self {
        self.users.pins.fetch_add(1, Relaxed);
        // INVARIANT: Counted, while there is another one.
        Self {
            obj: self.obj.clone(),
            sgt: self.sgt,
        }
    }
}

impl<D: Driver> Drop for Pinned<D> {
    fn drop(&mut self) {
        self.unpin_raw();
    }
}

impl<D: Driver> Deref for Pinned<D> {
    type Target = Object<D>;

    fn deref(&self) -> &Object<D> {
        &self.obj
    }
}

impl<D: Driver> Pinned<D> {
    /// The object, as a counted reference.
    pub fn object(&self) -> ARef<Object<D>> {
        self.obj.clone()
    }

    /// The table of the object's memory.
    pub(super) fn table(&self) -> *mut bindings::sg_table {
        self.sgt
    }

    /// Where the device finds `len` bytes from `offset` on. What is beyond the end of the object is
    /// left out. Neither allocates nor sleeps.
    pub fn segments(&self, offset: u64, len: u64) -> Segments<'_> {
        // SAFETY: By the type's invariant the table is valid as long as `self`.
        unsafe { Segments::new(self.sgt, self.size(), offset, len) }
    }

    /// A claim on the memory that memory reclaim may ask to be given up. Neither allocates nor
    /// sleeps.
    pub fn mapped(&self) -> Mapped<D> {
        if self.users.maps.fetch_add(1, Relaxed) == 0 {
            self.classify();
        }
        // INVARIANT: Counted, while the object is pinned.
        Mapped {
            obj: self.obj.clone(),
            sgt: self.sgt,
        }
    }

    /// The CPU has written `len` bytes at `offset`; the device may read them after this call.
    ///
    /// Does nothing when the driver is unbound, or somebody else has made the buffer.
    pub fn sync_for_device(&self, offset: u64, len: u64) {
        if self.is_imported() {
            return;
        }
        let Some(_section) = self.dev.mappings().section() else {
            return;
        };

        for segment in self.segments(offset, len) {
            // SAFETY: The segment is mapped for that device during the section.
            unsafe {
                shims::shim_dma_sync_for_device(self.dev.dma_device(), segment.dma, segment.len)
            };
        }
    }

    /// The device has written `len` bytes at `offset`; the CPU may read them after this call.
    ///
    /// Does nothing when the driver is unbound, or somebody else has made the buffer.
    pub fn sync_for_cpu(&self, offset: u64, len: u64) {
        if self.is_imported() {
            return;
        }
        let Some(_section) = self.dev.mappings().section() else {
            return;
        };

        for segment in self.segments(offset, len) {
            // SAFETY: The segment is mapped for that device during the section.
            unsafe {
                shims::shim_dma_sync_for_cpu(self.dev.dma_device(), segment.dma, segment.len)
            };
        }
    }
}

/// Memory of an object that an address space has mapped.
///
/// It stays until this is dropped. Memory reclaim asks the owner of the address space to do that, by
/// [`DriverGpuVm::evict()`](crate::gpuvm::DriverGpuVm::evict). Making, cloning and dropping neither
/// allocate nor sleep for long; the reference to the object must not be the last one where that
/// matters.
///
/// # Invariants
///
/// This value is counted among the maps of `obj`. `sgt` is the table of `obj`: it was mapped for DMA.
pub struct Mapped<D: Driver> {
    obj: ARef<Object<D>>,
    sgt: *mut bindings::sg_table,
}

// SAFETY: The table is constant, and lives as long as this is counted.
unsafe impl<D: Driver> Send for Mapped<D> {}
// SAFETY: As above.
unsafe impl<D: Driver> Sync for Mapped<D> {}

impl<D: Driver> Clone for Mapped<D> {
    fn clone(&self) -> Self {
        self.obj.users.maps.fetch_add(1, Relaxed);
        // INVARIANT: Counted, while there is another one.
        Self {
            obj: self.obj.clone(),
            sgt: self.sgt,
        }
    }
}

impl<D: Driver> Drop for Mapped<D> {
    fn drop(&mut self) {
        if self.obj.users.maps.fetch_sub(1, Release) == 1 {
            self.obj.classify();
        }
    }
}

impl<D: Driver> Mapped<D> {
    /// The word of 4 bytes, or of 8 if `wide`, at `offset`, as the device has written it. `None` if it
    /// is not aligned or not inside, if somebody else has made the buffer, or the driver is unbound.
    /// Neither allocates nor sleeps.
    pub fn read_word(&self, offset: u64, wide: bool) -> Option<u64> {
        let len = if wide { 8 } else { 4 };
        let dev = &self.obj.dev;

        if self.obj.is_imported() || offset % len != 0 {
            return None;
        }
        let _section = dev.mappings().section()?;

        for segment in self.segments(offset, len) {
            // SAFETY: The segment is mapped for that device during the section.
            unsafe { shims::shim_dma_sync_for_cpu(dev.dma_device(), segment.dma, segment.len) };
        }
        let mut value = 0;
        // SAFETY: By the type's invariant the table is that of the object, which is no import: it
        // consists of pages. The offset is a multiple of the length.
        let found = unsafe { shims::shim_sgt_read_word(self.sgt, offset, wide, &raw mut value) };

        found.then_some(value)
    }

    /// As [`Pinned::segments()`].
    pub fn segments(&self, offset: u64, len: u64) -> Segments<'_> {
        // SAFETY: By the type's invariant the table is valid as long as `self`.
        unsafe { Segments::new(self.sgt, self.obj.size(), offset, len) }
    }
}

/// A run of bytes that are contiguous for the device.
#[derive(Clone, Copy)]
pub struct Segment {
    /// The DMA address of the first byte.
    pub dma: u64,
    /// The number of bytes.
    pub len: u64,
}

/// The segments of a range of a [`Pinned`] or [`Mapped`] object, in order.
///
/// # Invariants
///
/// `sg` is the first of `nents` entries that were mapped for DMA, and valid during `'a`.
pub struct Segments<'a> {
    sg: *mut bindings::scatterlist,
    nents: u32,
    skip: u64,
    left: u64,
    _pinned: PhantomData<&'a ()>,
}

impl Segments<'_> {
    /// # Safety
    ///
    /// `sgt` must have been mapped for DMA and stay valid during the lifetime of the result, and be
    /// that of an object of `size` bytes.
    unsafe fn new(sgt: *mut bindings::sg_table, size: usize, offset: u64, len: u64) -> Self {
        // CAST: `usize` has at most 64 bits.
        let size = size as u64;
        let offset = offset.min(size);

        // SAFETY: By this function's requirements the table is valid.
        let (sg, nents) = unsafe { ((*sgt).sgl, (*sgt).nents) };

        // INVARIANT: `sg` is the first of `nents` mapped entries.
        Self {
            sg,
            nents,
            skip: offset,
            left: len.min(size - offset),
            _pinned: PhantomData,
        }
    }
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        while self.left != 0 && self.nents != 0 {
            // SAFETY: By the type's invariant.
            let (dma, len) = unsafe {
                (
                    bindings::sg_dma_address(self.sg),
                    u64::from(bindings::sg_dma_len(self.sg)),
                )
            };

            if self.skip < len {
                let segment = Segment {
                    dma: dma + self.skip,
                    len: (len - self.skip).min(self.left),
                };

                self.left -= segment.len;
                self.skip += segment.len;
                return Some(segment);
            }
            self.skip -= len;
            self.nents -= 1;
            // SAFETY: As above. There is a next entry if `nents` is not zero; the pointer is not
            // used otherwise.
            self.sg = unsafe { bindings::sg_next(self.sg) };
        }
        None
    }
}
