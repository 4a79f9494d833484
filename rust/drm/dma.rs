// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The DMA mappings of a device's buffers.
//!
//! Buffers outlive the binding of a driver: files, user mappings and exports keep them. Their DMA
//! mappings must not, so all of a device are known here, and are undone when the driver is unbound.
//!
//! # Locking
//!
//! The list of mappings is protected by a mutex, which is the innermost lock of a buffer. Code that
//! relies on DMA being possible holds a section of the SRCU domain that the bound scope uses too.
//!
//! # Ordering
//!
//! At unbind, the bound data is dropped first, by which the hardware stops. Then DMA is declared
//! over, sections that began before are waited for, and everything that is still mapped is unmapped.
//!
//! # Blocking
//!
//! Ending DMA waits for sections; what runs in one does not wait for the unbinding.

use crate::device::Section;
use core::{
    cell::UnsafeCell,
    ptr::null_mut, //
};
use kernel::{
    bindings,
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Mutex, //
    }, //
};

/// Where a buffer is mapped for DMA, if it is. A part of the buffer, linked into the device's list.
///
/// # Invariants
///
/// If `sgt` is not null, it is a table that is mapped for DMA, and the mapping is in the list of its
/// device. The fields are accessed under the mutex of that list.
pub(crate) struct Mapping(UnsafeCell<Link>);

struct Link {
    prev: *mut Mapping,
    next: *mut Mapping,
    sgt: *mut bindings::sg_table,
}

impl Mapping {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Link {
            prev: null_mut(),
            next: null_mut(),
            sgt: null_mut(),
        }))
    }
}

/// The first of the mappings.
struct Head(*mut Mapping);

// SAFETY: The list may be used by any task that holds its mutex.
unsafe impl Send for Head {}

/// All mappings of a device.
///
/// # Invariants
///
/// The mappings in the list are valid, and do not move.
#[pin_data]
pub(crate) struct Mappings {
    #[pin]
    head: Mutex<Head>,
    over: Atomic<bool>,
}

impl Mappings {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            head <- new_mutex!(Head(null_mut()), "drm::Mappings"),
            over: Atomic::new(false),
        })
    }

    /// A section in which DMA is possible; `None` if it is not any more.
    pub(crate) fn section(&self) -> Option<Section> {
        let section = Section::enter();

        (!self.over.load(Relaxed)).then_some(section)
    }

    /// Maps a table for DMA in both directions.
    ///
    /// # Errors
    ///
    /// `ENODEV` after the end of DMA.
    ///
    /// # Safety
    ///
    /// `dev` must be the DMA device, `sgt` a table that is not mapped. `mapping` must belong to the
    /// same device as `self`, be unused, and stay valid where it is until [`Mappings::unmap()`] was
    /// called for it; the table must too.
    pub(crate) unsafe fn map(
        &self,
        dev: *mut bindings::device,
        mapping: &Mapping,
        sgt: *mut bindings::sg_table,
    ) -> Result {
        let _section = self.section().ok_or(ENODEV)?;

        // SAFETY: By this function's requirements.
        to_result(unsafe {
            bindings::dma_map_sgtable(dev, sgt, bindings::dma_data_direction::DMA_BIDIRECTIONAL, 0)
        })?;

        let mut head = self.head.lock();
        let this = core::ptr::from_ref(mapping).cast_mut();

        // INVARIANT: The table is mapped, and the mapping goes into the list.
        // SAFETY: The list is locked, and all mappings in it are valid.
        unsafe {
            *mapping.0.get() = Link {
                prev: null_mut(),
                next: head.0,
                sgt,
            };
            if let Some(next) = head.0.as_ref() {
                (*next.0.get()).prev = this;
            }
        }
        head.0 = this;
        Ok(())
    }

    /// Undoes a mapping, unless that was done already.
    ///
    /// # Safety
    ///
    /// `dev` and `mapping` must be those of a call of [`Mappings::map()`], whether successful or not.
    pub(crate) unsafe fn unmap(&self, dev: *mut bindings::device, mapping: &Mapping) {
        let mut head = self.head.lock();

        // SAFETY: The list is locked.
        unsafe { Self::unmap_locked(&mut head, dev, mapping) };
    }

    /// # Safety
    ///
    /// As [`Mappings::unmap()`], with the list locked.
    unsafe fn unmap_locked(head: &mut Head, dev: *mut bindings::device, mapping: &Mapping) {
        // SAFETY: The list is locked, and all mappings in it are valid.
        unsafe {
            let link = &mut *mapping.0.get();

            if link.sgt.is_null() {
                return;
            }
            match link.prev.as_ref() {
                Some(prev) => (*prev.0.get()).next = link.next,
                None => head.0 = link.next,
            }
            if let Some(next) = link.next.as_ref() {
                (*next.0.get()).prev = link.prev;
            }
            shims::shim_dma_unmap_sgtable(dev, link.sgt);
            // INVARIANT: Neither mapped nor in the list.
            link.sgt = null_mut();
        }
    }

    /// The driver is unbound: undoes all mappings, and permits no more.
    ///
    /// # Safety
    ///
    /// `dev` must be the DMA device, and do no DMA any more.
    pub(crate) unsafe fn end(&self, dev: *mut bindings::device) {
        self.over.xchg(true, Full);
        Section::synchronize();

        let mut head = self.head.lock();

        // SAFETY: All mappings in the list are valid while it is locked.
        while let Some(mapping) = unsafe { head.0.as_ref() } {
            // SAFETY: The list is locked, and all mappings in it are of that device.
            unsafe { Self::unmap_locked(&mut head, dev, mapping) };
        }
    }
}
