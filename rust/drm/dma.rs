// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The DMA mappings of a device's buffers.
//!
//! Buffers outlive the binding of a driver: files, user mappings and exports keep them. Their DMA
//! mappings must not, so all of a device are known here, and are undone when the driver is unbound.
//! Those of imported buffers are the exporter's to make and to undo.
//!
//! # Locking
//!
//! The list of mappings is protected by a mutex, which is the innermost lock of a buffer. Code that
//! relies on DMA being possible holds a section of the SRCU domain that the bound scope uses too.
//! Exporters are called with the reservation of their buffer locked, and never with the list locked.
//!
//! # Ordering
//!
//! At unbind, the bound data is dropped first, by which the hardware stops. Then DMA is declared
//! over, sections that began before are waited for, and everything that is still mapped is unmapped.
//! An import is unmapped by whoever takes it off the list: the last user of the buffer, in a section,
//! or the unbinding, which owns a reference to the buffer meanwhile. Both are over when the unbinding
//! has ended.
//!
//! # Blocking
//!
//! Ending DMA waits for sections, and for imports whose last user has gone to be taken off the list;
//! what runs there does not wait for the unbinding.

use crate::device::Section;
use core::{
    cell::UnsafeCell,
    ptr::null_mut, //
};
use kernel::{
    bindings,
    error::to_result,
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        CondVar,
        Mutex, //
    }, //
};

/// Where a buffer is mapped for DMA, if it is. A part of the buffer, linked into the device's list.
///
/// # Invariants
///
/// If `mapped` is not [`Mapped::Not`], the mapping is in the list of its device, and the table was
/// mapped for DMA. The fields are accessed under the mutex of that list.
pub(crate) struct Mapping(UnsafeCell<Link>);

struct Link {
    prev: *mut Mapping,
    next: *mut Mapping,
    mapped: Mapped,
}

#[derive(Clone, Copy)]
enum Mapped {
    Not,
    /// By us.
    Own(*mut bindings::sg_table),
    /// By an exporter.
    Import(Import),
}

/// The mapping of an imported buffer.
#[derive(Clone, Copy)]
pub(crate) struct Import {
    /// The buffer.
    pub(crate) obj: *mut bindings::drm_gem_object,
    /// Where it was attached.
    pub(crate) attach: *mut bindings::dma_buf_attachment,
    /// The exporter's table.
    pub(crate) sgt: *mut bindings::sg_table,
}

impl Import {
    /// # Safety
    ///
    /// The table must be that of the attachment, which must be valid, and not be used again.
    unsafe fn undo(&self) {
        // SAFETY: By this function's requirements; the direction is that of PRIME's imports.
        unsafe {
            bindings::dma_buf_unmap_attachment_unlocked(
                self.attach,
                self.sgt,
                bindings::dma_data_direction::DMA_BIDIRECTIONAL,
            )
        };
    }
}

impl Mapping {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Link {
            prev: null_mut(),
            next: null_mut(),
            mapped: Mapped::Not,
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
    /// An import was taken off the list.
    #[pin]
    taken_off: CondVar,
    over: Atomic<bool>,
}

impl Mappings {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            head <- new_mutex!(Head(null_mut()), "drm::Mappings"),
            taken_off <- new_condvar!("drm::Mappings::taken_off"),
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

        // SAFETY: By this function's requirements, and the table was just mapped.
        unsafe { self.add(mapping, Mapped::Own(sgt)) };
        Ok(())
    }

    /// Takes note of what an exporter has mapped.
    ///
    /// # Errors
    ///
    /// `ENODEV` after the end of DMA.
    ///
    /// # Safety
    ///
    /// As [`Mappings::map()`]; `import` must describe an object of the device that contains `mapping`,
    /// and the valid attachment of the DMA device by which it was imported.
    pub(crate) unsafe fn import(&self, mapping: &Mapping, import: Import) -> Result {
        let _section = self.section().ok_or(ENODEV)?;

        // SAFETY: By this function's requirements.
        unsafe { self.add(mapping, Mapped::Import(import)) };
        Ok(())
    }

    /// # Safety
    ///
    /// As [`Mappings::map()`], within a section; `mapped` must be mapped.
    unsafe fn add(&self, mapping: &Mapping, mapped: Mapped) {
        let mut head = self.head.lock();
        let this = core::ptr::from_ref(mapping).cast_mut();

        // INVARIANT: The table is mapped, and the mapping goes into the list.
        // SAFETY: The list is locked, and all mappings in it are valid.
        unsafe {
            *mapping.0.get() = Link {
                prev: null_mut(),
                next: head.0,
                mapped,
            };
            if let Some(next) = head.0.as_ref() {
                (*next.0.get()).prev = this;
            }
        }
        head.0 = this;
    }

    /// Undoes a mapping, unless that was done already.
    ///
    /// # Safety
    ///
    /// `dev` and `mapping` must be those of a call of [`Mappings::map()`] or [`Mappings::import()`],
    /// whether successful or not. The attachment of an import must be valid.
    pub(crate) unsafe fn unmap(&self, dev: *mut bindings::device, mapping: &Mapping) {
        // Whoever ends DMA waits for an import that is being undone here.
        let _section = Section::enter();
        let mut head = self.head.lock();

        // SAFETY: The list is locked.
        match unsafe { Self::take_off(&mut head, mapping) } {
            Mapped::Not => (),
            // SAFETY: By the invariant of the mapping, the table was mapped for that device.
            Mapped::Own(sgt) => unsafe { shims::shim_dma_unmap_sgtable(dev, sgt) },
            Mapped::Import(import) => {
                drop(head);
                self.taken_off.notify_all();
                // SAFETY: The attachment is valid, and the import was ours to take.
                unsafe { import.undo() };
            }
        }
    }

    /// Takes a mapping off the list, if it is in it.
    ///
    /// # Safety
    ///
    /// The list must be locked, and it must be that of the mapping's device.
    unsafe fn take_off(head: &mut Head, mapping: &Mapping) -> Mapped {
        // SAFETY: The list is locked, and all mappings in it are valid.
        unsafe {
            let link = &mut *mapping.0.get();
            // INVARIANT: Not in the list any more.
            let mapped = core::mem::replace(&mut link.mapped, Mapped::Not);

            if matches!(mapped, Mapped::Not) {
                return mapped;
            }
            match link.prev.as_ref() {
                Some(prev) => (*prev.0.get()).next = link.next,
                None => head.0 = link.next,
            }
            if let Some(next) = link.next.as_ref() {
                (*next.0.get()).prev = link.prev;
            }
            mapped
        }
    }

    /// Undoes our own mappings, up to the first import that has users; takes that off the list, with
    /// a reference to its object.
    ///
    /// # Safety
    ///
    /// As [`Mappings::end()`], with the list locked.
    unsafe fn end_own(head: &mut Head, dev: *mut bindings::device) -> Option<Import> {
        let mut at = head.0;

        // SAFETY: All mappings in the list are valid while it is locked, and with them the objects
        // that contain them, even if their last reference has gone.
        while let Some(mapping) = unsafe { at.as_ref() } {
            // SAFETY: As above.
            let (next, mapped) = unsafe { ((*mapping.0.get()).next, (*mapping.0.get()).mapped) };

            match mapped {
                // SAFETY: As above; by the mapping's invariant, the table was mapped for that device.
                Mapped::Own(sgt) => unsafe {
                    Self::take_off(head, mapping);
                    shims::shim_dma_unmap_sgtable(dev, sgt);
                },
                Mapped::Import(import) => {
                    // SAFETY: As above.
                    if unsafe { shims::shim_gem_get_unless_zero(import.obj) } {
                        // SAFETY: As above.
                        unsafe { Self::take_off(head, mapping) };
                        return Some(import);
                    }
                    // It is about to be taken off by whoever had the last reference.
                }
                Mapped::Not => (),
            }
            at = next;
        }
        None
    }

    /// The driver is unbound: undoes all mappings, and permits no more.
    ///
    /// # Safety
    ///
    /// `dev` must be the DMA device, and do no DMA any more.
    pub(crate) unsafe fn end(&self, dev: *mut bindings::device) {
        self.over.xchg(true, Full);
        Section::synchronize();

        loop {
            let mut head = self.head.lock();

            // SAFETY: By this function's requirements; the list is locked.
            if let Some(import) = unsafe { Self::end_own(&mut head, dev) } {
                drop(head);
                // SAFETY: The reference that we own keeps the attachment, and is given back.
                unsafe {
                    import.undo();
                    shims::shim_gem_put(import.obj);
                }
            } else if head.0.is_null() {
                break;
            } else {
                self.taken_off.wait(&mut head);
            }
        }
        Section::synchronize();
    }
}
