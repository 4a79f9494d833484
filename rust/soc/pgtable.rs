// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Page tables of a device's MMU, in the format `ARM_64_LPAE_S1` with 4 KiB granule.
//!
//! # Locking
//!
//! None. [`Update`] borrows the table mutably, so that nobody walks it meanwhile; whoever shares a
//! table puts it under a lock. As nothing allocates inside of an update, the lock may be one that
//! fence signalling needs.
//!
//! # Ordering
//!
//! Invalidating the TLB is the caller's part: after new entries were written, and before the memory
//! that old ones pointed at is given to somebody else. Table pages that an update has emptied
//! count as such memory, so they stay in the update's [`Tables`] until that is dropped: drop it after
//! the invalidation.
//!
//! # Blocking
//!
//! [`Tables`] and [`PageTable`] allocate when they are made and may sleep; an update does not.

#[path = "pgtable/layout.rs"]
mod layout;
#[path = "pgtable/need.rs"]
mod need;
#[path = "pgtable/tables.rs"]
mod tables;

pub use layout::address_bits;
pub use layout::chunk;
pub use layout::tables_for;
pub use layout::PageSize;
pub use layout::Va;
pub use layout::VaRange;
pub use layout::ADDRESS_BITS;
pub use need::Need;
pub use tables::Tables;

use core::{
    ffi::c_void,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    bindings,
    device::Device,
    error::to_result,
    ffi::c_int,
    io::PhysAddr,
    prelude::*,
    sizes::{
        SZ_2M,
        SZ_4K, //
    },
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    }, //
};

use tables::Page;

/// What a table is for.
#[derive(Clone, Copy)]
pub struct Config {
    /// Width of the addresses that the device uses, at most [`ADDRESS_BITS`].
    pub va_bits: u32,
    /// Width of physical addresses: 32, 36, 40, 42, 44 or 48.
    pub pa_bits: u32,
    /// Whether the device's walker snoops the CPU's caches.
    pub coherent: bool,
}

/// What the device may do with a mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Prot(u32);

impl Prot {
    /// Read.
    pub const READ: Self = Self(bindings::IOMMU_READ);
    /// Write.
    pub const WRITE: Self = Self(bindings::IOMMU_WRITE);
    /// Not execute.
    pub const NOEXEC: Self = Self(bindings::IOMMU_NOEXEC);
    /// Cacheable, and coherent with the CPU if the device is.
    pub const CACHE: Self = Self(bindings::IOMMU_CACHE);

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::ops::BitOr for Prot {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl core::ops::BitOrAssign for Prot {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Where the page table code gets its pages and leaves them: the cookie of the C side.
struct Pool {
    /// The reserve of the update that is going on, else null.
    reserve: Atomic<*mut Tables>,
    /// Pages that are given to the page table code without a reserve: the root.
    root: Atomic<*mut c_void>,
}

/// A page table.
///
/// The device must have stopped using it when it is dropped.
///
/// # Invariants
///
/// `ops` is a table of the format `ARM_64_LPAE_S1` whose cookie is `*pool`.
pub struct PageTable {
    ops: NonNull<bindings::io_pgtable_ops>,
    pool: KBox<Pool>,
    va_bits: u32,
    /// The first addresses that it does not translate, and does not translate to.
    ends: (u64, u64),
    _dev: ARef<Device>,
}

// SAFETY: A table is plain memory, and the C code has no ties to a task.
unsafe impl Send for PageTable {}
// SAFETY: Through a shared reference the table is only read.
unsafe impl Sync for PageTable {}

impl PageTable {
    /// Makes an empty table. `dev` is the device that walks it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such table, `ENOMEM`.
    pub fn new(dev: &Device, config: Config) -> Result<Self> {
        if !(layout::MIN_VA_BITS..=ADDRESS_BITS).contains(&config.va_bits) {
            return Err(EINVAL);
        }

        let pool = KBox::new(
            Pool {
                reserve: Atomic::new(ptr::null_mut()),
                root: Atomic::new(ptr::null_mut()),
            },
            GFP_KERNEL,
        )?;
        let mut cfg = bindings::io_pgtable_cfg {
            quirks: shims::c::SHIM_SOC_PGTABLE_NO_WARN,
            pgsize_bitmap: SZ_4K | SZ_2M,
            ias: config.va_bits,
            oas: config.pa_bits,
            coherent_walk: config.coherent,
            tlb: &raw const NO_TLB,
            iommu_dev: crate::raw_device(dev),
            alloc: Some(alloc),
            free: Some(free),
            ..pin_init::zeroed()
        };

        // SAFETY: The configuration is valid during the call, the flush operations are static. The
        // cookie is what `alloc` and `free` expect, and stays where it is until the table is freed.
        // The device is kept by the `ARef` below.
        let ops = unsafe {
            bindings::alloc_io_pgtable_ops(
                bindings::io_pgtable_fmt_ARM_64_LPAE_S1,
                &mut cfg,
                ptr::from_ref(&*pool).cast_mut().cast(),
            )
        };

        // INVARIANT: The table was just made.
        Ok(Self {
            ops: NonNull::new(ops).ok_or(ENOMEM)?,
            pool,
            va_bits: config.va_bits,
            ends: (1 << config.va_bits, 1 << config.pa_bits),
            _dev: ARef::from(dev),
        })
    }

    #[inline]
    fn cfg(&self) -> &bindings::io_pgtable_cfg {
        // SAFETY: `ops` is a field of an `io_pgtable`, and its configuration does not change.
        unsafe { &(*kernel::container_of!(self.ops.as_ptr(), bindings::io_pgtable, ops)).cfg }
    }

    #[inline]
    fn ops(&self) -> &bindings::io_pgtable_ops {
        // SAFETY: By the type's invariant the table is valid.
        unsafe { self.ops.as_ref() }
    }

    /// Physical address of the root table.
    pub fn ttbr(&self) -> u64 {
        // SAFETY: This is the union's member for this format.
        unsafe { self.cfg().__bindgen_anon_1.arm_lpae_s1_cfg.ttbr }
    }

    /// The memory attributes that the entries' indices refer to, one per byte, as Arm's `MAIR_ELx`.
    pub fn mair(&self) -> u64 {
        // SAFETY: This is the union's member for this format.
        unsafe { self.cfg().__bindgen_anon_1.arm_lpae_s1_cfg.mair }
    }

    /// Width of the addresses that it translates.
    pub fn va_bits(&self) -> u32 {
        self.va_bits
    }

    #[inline]
    fn contains(&self, va: Va, size: u64) -> bool {
        let (end, _) = self.ends;
        size <= end && va.raw() <= end - size
    }

    /// Where `va` is mapped to; `None` if it is not.
    pub fn lookup(&self, va: Va) -> Option<PhysAddr> {
        if !self.contains(va, 1) {
            return None;
        }
        let iova = usize::try_from(va.raw()).ok()?;
        // SAFETY: The table is valid, and not changed meanwhile as it is borrowed.
        let pa = unsafe { self.ops().iova_to_phys?(self.ops.as_ptr(), iova) };
        // The C function says 0 for "not mapped", and so do we.
        (pa != 0).then_some(pa)
    }

    /// The entries that a walk for `va` meets, from level 0 to level 3: the last one that is not 0
    /// ends the walk. Levels above the root table are 0.
    ///
    /// # Errors
    ///
    /// `ERANGE` if `va` is wider than the table's addresses.
    pub fn walk(&self, va: Va) -> Result<[u64; 4]> {
        if !self.contains(va, 1) {
            return Err(ERANGE);
        }
        let iova = usize::try_from(va.raw())?;
        let walk = self.ops().pgtable_walk.ok_or(ENOTSUPP)?;
        let mut data = bindings::arm_lpae_io_pgtable_walk_data { ptes: [0; 4] };

        // SAFETY: The table is valid, and not changed meanwhile as it is borrowed. `data` is what
        // this format's walk fills in. Its result only repeats whether the last entry is valid.
        unsafe { walk(self.ops.as_ptr(), iova, ptr::from_mut(&mut data).cast()) };
        Ok(data.ptes)
    }

    /// Begins to change the table, with `tables` as the only source of table pages.
    pub fn update<'a>(&'a mut self, tables: &'a mut Tables) -> Update<'a> {
        self.pool.reserve.store(tables, Relaxed);
        // INVARIANT: The reserve was set just now, and both are borrowed.
        Update { table: self }
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        // An update that was forgotten has left its reserve there, which may be gone.
        self.pool.reserve.store(ptr::null_mut(), Relaxed);
        // SAFETY: By the type's invariant the table is ours. Its pages come back through `free`.
        unsafe { bindings::free_io_pgtable_ops(self.ops.as_ptr()) };
    }
}

/// A change of a table. No memory is allocated meanwhile.
///
/// # Invariants
///
/// The table's pool points to a reserve that is borrowed as long as this value exists.
pub struct Update<'a> {
    table: &'a mut PageTable,
}

impl Update<'_> {
    /// Maps `count` pages at `va` to the physically contiguous memory at `pa`.
    ///
    /// Returns the length that was mapped, in bytes, and why it is not the whole: `EEXIST` where
    /// something is mapped, `ENOMEM` if the reserve is used up, `EINVAL` for a misaligned address or
    /// for no access, `ERANGE` for an address that is too wide.
    #[inline]
    #[must_use = "a part may be mapped even if there was an error"]
    pub fn map_pages(
        &mut self,
        va: Va,
        pa: PhysAddr,
        size: PageSize,
        count: usize,
        prot: Prot,
    ) -> (u64, Result) {
        let mut done = 0;
        let result = self.map_all(va, pa, size, count, prot, &mut done);
        (done, result)
    }

    #[inline]
    fn map_all(
        &mut self,
        va: Va,
        pa: PhysAddr,
        size: PageSize,
        count: usize,
        prot: Prot,
        done: &mut u64,
    ) -> Result {
        let total = self.checked_size(va, size, count)?;
        let (_, pa_end) = self.table.ends;
        if pa & (size.bytes() - 1) != 0 {
            return Err(EINVAL);
        }
        if total > pa_end || pa > pa_end - total {
            return Err(ERANGE);
        }

        while *done < total {
            let va = Va::new(va.raw() + *done);
            let left = usize::try_from((total - *done) >> size.shift())?;
            // SAFETY: Both ranges were checked.
            let (mapped, result) = unsafe { self.map_some(va, pa + *done, size, left, prot) };
            *done += mapped;
            result?;
        }
        Ok(())
    }

    /// One call of the page table code, which may map less than it is asked for, but not nothing. Returns
    /// as [`Update::map_pages`].
    ///
    /// # Safety
    ///
    /// Both ranges are aligned to the pages' size and inside of the table's addresses.
    #[inline]
    unsafe fn map_some(
        &mut self,
        va: Va,
        pa: PhysAddr,
        size: PageSize,
        count: usize,
        prot: Prot,
    ) -> (u64, Result) {
        let (Some(map), Ok(iova), Ok(pgsize), Ok(prot)) = (
            self.table.ops().map_pages,
            usize::try_from(va.raw()),
            usize::try_from(size.bytes()),
            c_int::try_from(prot.0),
        ) else {
            return (0, Err(ENOTSUPP));
        };
        let mut mapped = 0;

        // SAFETY: The table is valid and mutably borrowed. By this function's contract the range is
        // inside of its address space and aligned. The flags are not used: `alloc` takes pages from the
        // reserve.
        let ret = unsafe {
            map(
                self.table.ops.as_ptr(),
                iova,
                pa,
                pgsize,
                count,
                prot,
                bindings::GFP_NOWAIT,
                &mut mapped,
            )
        };
        // Pages of which there are less than addresses.
        let mapped = u64::try_from(mapped).unwrap_or(u64::MAX);
        let result = match (mapped, ret) {
            (0, 0) => Err(EINVAL),
            (_, 0) => Ok(()),
            _ => to_result(ret),
        };
        (mapped, result)
    }

    /// Unmaps `count` pages at `va`, which must be mapped with pages of that size or be tables of
    /// smaller ones.
    ///
    /// Returns the length that was unmapped, in bytes: it stops at the first page that is not
    /// mapped, and at a larger page of which only a part is asked for.
    #[must_use = "less may be unmapped than was asked for"]
    pub fn unmap_pages(&mut self, va: Va, size: PageSize, count: usize) -> u64 {
        let mut done = 0;
        // What was not unmapped is in `done`; there is no more to say about it.
        let _ = self.unmap_all(va, size, count, &mut done);
        done
    }

    fn unmap_all(&mut self, va: Va, size: PageSize, count: usize, done: &mut u64) -> Result {
        let total = self.checked_size(va, size, count)?;
        let unmap = self.table.ops().unmap_pages.ok_or(ENOTSUPP)?;
        let pgsize = usize::try_from(size.bytes())?;

        while *done < total {
            let at = va.checked_add(*done).ok_or(ERANGE)?;
            if size == PageSize::Size4K && self.is_block(at)? {
                return Err(EINVAL);
            }
            let iova = usize::try_from(at.raw())?;
            let left = usize::try_from((total - *done) >> size.shift())?;

            // SAFETY: The table is valid and mutably borrowed. The range is inside of its address
            // space and aligned; no list of TLB entries to invalidate is asked for.
            let unmapped =
                unsafe { unmap(self.table.ops.as_ptr(), iova, pgsize, left, ptr::null_mut()) };
            if unmapped == 0 {
                return Err(ENOENT);
            }
            *done += u64::try_from(unmapped)?;
        }
        Ok(())
    }

    /// Maps `range` to the physically contiguous memory at `pa`, with the largest pages that fit. If
    /// that fails, nothing is mapped.
    ///
    /// # Errors
    ///
    /// As [`Update::map_pages`].
    #[inline]
    pub fn map(&mut self, range: VaRange, pa: PhysAddr, prot: Prot) -> Result {
        // Scattered memory comes page by page.
        let page = PageSize::Size4K;
        let (va_end, pa_end) = self.table.ends;
        if range.size() == page.bytes()
            && (range.start().raw() | pa) & (page.bytes() - 1) == 0
            && range.start().raw() < va_end
            && pa < pa_end
        {
            // SAFETY: Both are aligned, and their ends, which are aligned too, are not exceeded.
            return unsafe { self.map_some(range.start(), pa, page, 1, prot) }.1;
        }
        self.map_long(range, pa, prot)
    }

    fn map_long(&mut self, range: VaRange, pa: PhysAddr, prot: Prot) -> Result {
        let mut done = 0;
        while done < range.size() {
            let va = range.start().checked_add(done).ok_or(ERANGE)?;
            let (size, count) = chunk(va, pa.wrapping_add(done), range.size() - done);
            if count == 0 {
                self.unmap_mapped(range.start(), done);
                return Err(EINVAL);
            }
            let (mapped, result) = self.map_pages(va, pa.wrapping_add(done), size, count, prot);
            done += mapped;
            if let Err(err) = result {
                self.unmap_mapped(range.start(), done);
                return Err(err);
            }
        }
        Ok(())
    }

    /// Unmaps what is mapped in `range`, whatever the size of its pages, and skips what is not.
    /// Returns the length that was unmapped, in bytes; a table without entries counts as mapped.
    ///
    /// Runs of pages, and of blocks, go in one call of the page table code.
    ///
    /// # Errors
    ///
    /// `EINVAL` if a larger page sticks out of the range; what was before it is unmapped.
    #[must_use = "less may be unmapped than was asked for"]
    pub fn unmap(&mut self, range: VaRange) -> Result<u64> {
        let block = PageSize::Size2M.bytes();
        let page = PageSize::Size4K.bytes();
        let (mut done, mut total) = (0, 0);
        while done < range.size() {
            let va = range.start().checked_add(done).ok_or(ERANGE)?;
            let left = range.size() - done;

            let (size, bytes) = if va.is_aligned(block) && left >= block {
                // Whole entries of the level above: blocks, or tables, or nothing.
                (PageSize::Size2M, left - left % block)
            } else if left < page || !va.is_aligned(page) || self.is_block(va)? {
                return Err(EINVAL);
            } else {
                // Up to the next block.
                let bytes = (block - va.raw() % block).min(left);
                (PageSize::Size4K, bytes - bytes % page)
            };
            let unmapped = self.unmap_pages(va, size, usize::try_from(bytes >> size.shift())?);
            total += unmapped;
            done += unmapped;
            if unmapped < bytes {
                // It stopped where nothing is mapped.
                done += size.bytes();
            }
        }
        Ok(total)
    }

    /// Where `va` is mapped to; `None` if it is not.
    pub fn lookup(&self, va: Va) -> Option<PhysAddr> {
        self.table.lookup(va)
    }

    fn unmap_mapped(&mut self, va: Va, size: u64) {
        if let Ok(range) = VaRange::new(va, size) {
            // The range was mapped by us just now: no larger page sticks out of it.
            let _ = self.unmap(range);
        }
    }

    /// Whether the page at `va` is a 2 MiB one.
    fn is_block(&self, va: Va) -> Result<bool> {
        Ok(layout::is_block(self.table.walk(va)?[2]))
    }

    #[inline]
    fn checked_size(&self, va: Va, size: PageSize, count: usize) -> Result<u64> {
        if !va.is_aligned(size.bytes()) {
            return Err(EINVAL);
        }
        let total = u64::try_from(count)?
            .checked_mul(size.bytes())
            .ok_or(ERANGE)?;
        if !self.table.contains(va, total) {
            return Err(ERANGE);
        }
        Ok(total)
    }
}

impl Drop for Update<'_> {
    fn drop(&mut self) {
        self.table.pool.reserve.store(ptr::null_mut(), Relaxed);
    }
}

/// The `alloc` hook of the page table code.
///
/// # Safety
///
/// `cookie` must point to the `Pool` of a table that is being made, or for which an [`Update`]
/// exists.
unsafe extern "C" fn alloc(cookie: *mut c_void, size: usize, _gfp: bindings::gfp_t) -> *mut c_void {
    if size > SZ_4K {
        return ptr::null_mut();
    }
    // SAFETY: By the requirement of this function.
    let pool = unsafe { &*cookie.cast::<Pool>() };
    // SAFETY: By the invariant of `Update` the reserve, if any, is borrowed by the update from which
    // we are called, and nobody else uses it.
    match unsafe { pool.reserve.load(Relaxed).as_mut() } {
        Some(reserve) => reserve
            .take()
            .map_or(ptr::null_mut(), |page| page.into_raw().as_ptr()),
        None if pool.root.load(Relaxed).is_null() => match Page::new() {
            Ok(page) => {
                let raw = page.into_raw().as_ptr();
                pool.root.store(raw, Relaxed);
                raw
            }
            Err(_) => ptr::null_mut(),
        },
        None => ptr::null_mut(),
    }
}

/// The `free` hook of the page table code.
///
/// # Safety
///
/// `cookie` must point to the `Pool` of a table, and `page` to what `alloc` has returned for it.
unsafe extern "C" fn free(cookie: *mut c_void, page: *mut c_void, _size: usize) {
    let Some(page) = NonNull::new(page) else {
        return;
    };
    // SAFETY: By the requirement of this function, the page comes from `alloc`, that is, from
    // `Page::into_raw()`.
    let page = unsafe { Page::from_raw(page) };
    // SAFETY: By the requirement of this function.
    let pool = unsafe { &*cookie.cast::<Pool>() };
    // SAFETY: As in `alloc`. Without an update the table itself is being freed, and the device does
    // not use it any more.
    if let Some(reserve) = unsafe { pool.reserve.load(Relaxed).as_mut() } {
        reserve.retire(page);
    }
}

static NO_TLB: bindings::iommu_flush_ops = bindings::iommu_flush_ops {
    tlb_flush_all: Some(no_flush_all),
    tlb_flush_walk: Some(no_flush_walk),
    tlb_add_page: None,
};

extern "C" fn no_flush_all(_cookie: *mut c_void) {}

extern "C" fn no_flush_walk(_iova: usize, _size: usize, _granule: usize, _cookie: *mut c_void) {}
