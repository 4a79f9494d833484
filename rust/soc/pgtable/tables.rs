// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Pages that become page tables.

use core::{
    ffi::c_void,
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    prelude::*, //
};

use super::layout::{
    tables_for, //
    VaRange,
};

/// A page of zeroes.
///
/// # Invariants
///
/// The pointer is the address of a page from the page allocator, which this value owns.
pub(super) struct Page(NonNull<c_void>);

// SAFETY: A page belongs to no task.
unsafe impl Send for Page {}
// SAFETY: Through a shared reference nothing can be done with it.
unsafe impl Sync for Page {}

impl Page {
    pub(super) fn new() -> Result<Self> {
        // SAFETY: The function has no requirements. Order 0 is one page.
        let addr = unsafe {
            bindings::get_free_pages_noprof(bindings::GFP_KERNEL | bindings::__GFP_ZERO, 0)
        };

        // INVARIANT: The page was just allocated.
        NonNull::new(core::ptr::with_exposed_provenance_mut(addr))
            .map(Self)
            .ok_or(ENOMEM)
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
        // SAFETY: By the type's invariant the page is ours.
        unsafe { bindings::free_pages(self.0.as_ptr().expose_provenance(), 0) };
    }
}

/// Pages for the tables that an update adds, and pages of the tables that it has removed.
///
/// Drop it after the TLB was invalidated.
pub struct Tables {
    fresh: KVec<Page>,
    /// A list through the first word of each page: it needs no memory of its own.
    retired: Option<NonNull<c_void>>,
}

// SAFETY: The pages in the list belong to no task.
unsafe impl Send for Tables {}
// SAFETY: Through a shared reference the list is not followed.
unsafe impl Sync for Tables {}

impl Tables {
    /// Allocates `count` pages.
    pub fn new(count: usize) -> Result<Self> {
        let mut this = Self {
            fresh: KVec::new(),
            retired: None,
        };
        this.add(count)?;
        Ok(this)
    }

    /// Allocates what mapping `range` can need in a table for addresses of `va_bits` bits.
    pub fn for_range(range: VaRange, va_bits: u32) -> Result<Self> {
        Self::new(tables_for(range, va_bits))
    }

    /// Allocates `count` more pages.
    pub fn add(&mut self, count: usize) -> Result {
        self.fresh.reserve(count, GFP_KERNEL)?;
        for _ in 0..count {
            self.fresh.push(Page::new()?, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// How many pages are left for new tables.
    pub fn left(&self) -> usize {
        self.fresh.len()
    }

    pub(super) fn take(&mut self) -> Option<Page> {
        self.fresh.pop()
    }

    /// Keeps a page that the device's TLB may still refer to.
    pub(super) fn retire(&mut self, page: Page) {
        let raw = page.into_raw();
        let next = self
            .retired
            .replace(raw)
            .map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // A walker that still has the page in its caches may read the word as an entry. The page's
        // alignment makes the two low bits zero, which is an invalid entry.
        //
        // SAFETY: The page is ours, large enough and aligned; the page table code has let go of it.
        unsafe { raw.cast::<*mut c_void>().write(next) };
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let mut next = self.retired.take();
        while let Some(raw) = next {
            // SAFETY: Each page in the list starts with a pointer to the next one, or null.
            next = NonNull::new(unsafe { raw.cast::<*mut c_void>().read() });
            // SAFETY: The page came from `Page::into_raw()` in `retire`, and has left the list.
            drop(unsafe { Page::from_raw(raw) });
        }
    }
}
