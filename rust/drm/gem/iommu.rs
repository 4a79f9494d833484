// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Objects that have an address in an address space of an IOMMU, all their life long.
//!
//! # Locking
//!
//! A mutex of its own, which is taken outside of the one for the object's memory.
//!
//! # Ordering
//!
//! An object is unmapped before its pages are given back: it is pinned for as long as it is mapped, so
//! that memory reclaim leaves it alone.
//!
//! # Blocking
//!
//! Mapping allocates and sleeps; unmapping, when the last reference goes, sleeps, but waits for nobody
//! who maps.

use super::{
    prime::Runs,
    Object, //
};
use crate::Driver;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use soc::iommu::{
    Domain,
    Mapping, //
};

/// Where an object is mapped.
#[pin_data]
pub(super) struct Mapped {
    #[pin]
    mapping: Mutex<Option<Mapping>>,
}

impl Mapped {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            mapping <- new_mutex!(None, "gem::Mapped"),
        })
    }
}

impl<D: Driver> Object<D> {
    /// Allocates the memory of the object and maps it at `iova`, until the object is freed.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is mapped already; `ENOMEM`; what [`Domain::map()`] fails with, or
    /// [`Domain::map_dma()`] if somebody else has made the buffer.
    pub fn map_iommu(&self, domain: &Arc<Domain>, iova: u64, coherent: bool) -> Result {
        if let Some(runs) = &self.runs {
            return self.map_import(runs, domain, iova, coherent);
        }
        let pinned = self.pin()?;
        let mut mapping = self.iommu.mapping.lock();

        if mapping.is_some() {
            return Err(EBUSY);
        }
        // Not by a `Pinned`: that would keep the object, and the object it.
        self.pin_raw()?;
        // SAFETY: The table describes all pages of the object. They stay while the object is pinned,
        // which it is until `unmap_iommu()` has dropped the mapping.
        let mapped = unsafe { domain.map(iova, pinned.table(), self.size(), coherent) };

        *mapping = Some(mapped.inspect_err(|_| self.unpin_raw())?);
        Ok(())
    }

    /// Unmaps the object, if it is mapped.
    ///
    /// # Safety
    ///
    /// The object must be about to be freed: nobody else may have access to it.
    pub(super) unsafe fn unmap_iommu(&self) {
        // Nobody else can have it locked. It must not be waited for: the last reference may be that of
        // memory reclaim.
        let Some(mapping) = self.iommu.mapping.try_lock().and_then(|mut at| at.take()) else {
            return;
        };

        drop(mapping);
        if !self.is_imported() {
            self.unpin_raw();
        }
    }

    fn map_import(&self, runs: &Runs, domain: &Arc<Domain>, iova: u64, coherent: bool) -> Result {
        let mut mapping = self.iommu.mapping.lock();

        if mapping.is_some() {
            return Err(EBUSY);
        }
        let _section = self.dev.mappings().section().ok_or(ENODEV)?;
        let (dev, table) = (self.dev.dma_device(), runs.table());
        // SAFETY: The exporter has mapped it for that device, until the object is freed, before which
        // the mapping is dropped, or until DMA has ended, when the device has no driver any more.
        *mapping = Some(unsafe { domain.map_dma(iova, dev, table, self.size(), coherent)? });
        Ok(())
    }
}
