// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Pages that become page tables.

use core::{
    ffi::c_void,
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use kernel::prelude::*;

use super::layout::{
    tables_for,
    VaRange, //
};

/// A page of the device, of zeroes: 4 KiB, whatever the CPU's pages have.
///
/// # Invariants
///
/// The pointer is what `shim_soc_pgtable_alloc()` has returned: as many bytes, aligned to their number,
/// which this value owns.
pub(super) struct Page(NonNull<c_void>);

// SAFETY: A page belongs to no task.
unsafe impl Send for Page {}
// SAFETY: Through a shared reference nothing can be done with it.
unsafe impl Sync for Page {}

impl Page {
    /// Accounted to the task that asks for it, which may be refused more than there is, and, where it is
    /// a page of the CPU as well, counted among the page tables of devices (`SecPageTables`).
    pub(super) fn new() -> Result<Self> {
        // SAFETY: The function has no requirements.
        let addr = unsafe { shims::c::shim_soc_pgtable_alloc() };

        // INVARIANT: It was just allocated.
        Ok(Self(NonNull::new(addr).ok_or(ENOMEM)?))
    }

    /// Gives the page away.
    pub(super) fn into_raw(self) -> NonNull<c_void> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    ///
    /// `ptr` must come from [`Page::into_raw`], and nobody else may use it.
    pub(super) unsafe fn from_raw(ptr: NonNull<c_void>) -> Self {
        // INVARIANT: By the requirement of this function.
        Self(ptr)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the page is ours, and of that allocator.
        unsafe { shims::c::shim_soc_pgtable_free(self.0.as_ptr()) };
    }
}

/// Pages, in a list through the first word of each: it needs no memory of its own.
struct List {
    first: Option<NonNull<c_void>>,
    len: usize,
}

impl List {
    const fn new() -> Self {
        Self {
            first: None,
            len: 0,
        }
    }

    fn push(&mut self, page: Page) {
        let raw = page.into_raw();
        let next = self
            .first
            .replace(raw)
            .map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // A walker that still has the page in its caches may read the word as an entry. The page's
        // alignment makes the two low bits zero, which is an invalid entry.
        //
        // SAFETY: The page is ours, large enough and aligned; the page table code has let go of it.
        unsafe { raw.cast::<*mut c_void>().write(next) };
        self.len += 1;
    }

    /// Takes a page, whose first word is zero again.
    fn pop(&mut self) -> Option<Page> {
        let raw = self.first.take()?;
        let word = raw.cast::<*mut c_void>();
        // SAFETY: Each page in the list is ours, and starts with a pointer to the next one, or null.
        unsafe {
            self.first = NonNull::new(word.read());
            word.write(core::ptr::null_mut());
        }
        self.len -= 1;
        // SAFETY: The page came from `Page::into_raw()` in `push`, and has left the list.
        Some(unsafe { Page::from_raw(raw) })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// Pages for the tables that an update adds, and pages of the tables that it has removed.
///
/// Drop it after the TLB was invalidated. That does not sleep.
pub struct Tables {
    fresh: List,
    retired: List,
}

// SAFETY: The pages in the lists belong to no task.
unsafe impl Send for Tables {}
// SAFETY: Through a shared reference the lists are not followed.
unsafe impl Sync for Tables {}

impl Tables {
    /// Allocates `count` pages.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also where the memory of other tasks would have to be killed for it.
    pub fn new(count: usize) -> Result<Self> {
        let mut this = Self {
            fresh: List::new(),
            retired: List::new(),
        };
        this.add(count)?;
        Ok(this)
    }

    /// Allocates what mapping `range` can need in a table for addresses of `va_bits` bits.
    ///
    /// # Errors
    ///
    /// As [`Tables::new`].
    pub fn for_range(range: VaRange, va_bits: u32) -> Result<Self> {
        Self::new(tables_for(range, va_bits))
    }

    /// Allocates `count` more pages.
    ///
    /// # Errors
    ///
    /// As [`Tables::new`].
    pub fn add(&mut self, count: usize) -> Result {
        for _ in 0..count {
            self.fresh.push(Page::new()?);
        }
        Ok(())
    }

    /// How many pages are left for new tables.
    pub fn left(&self) -> usize {
        self.fresh.len
    }

    pub(super) fn take(&mut self) -> Option<Page> {
        self.fresh.pop()
    }

    /// Keeps a page that the device's TLB may still refer to.
    pub(super) fn retire(&mut self, page: Page) {
        self.retired.push(page);
    }
}
