// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The device address space of an open file.
//!
//! Buffers and jobs hold it, so it lives as long as any of them, file or no file.
//!
//! # Locking
//!
//! The allocator and the domain have locks of their own.
//!
//! # Ordering
//!
//! An address is free again after what was mapped there has been unmapped.
//!
//! # Blocking
//!
//! Everything here may sleep.

use drm::mm::{
    Node,
    RangeAllocator, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use soc::iommu::{
    Domain,
    Master, //
};

use crate::job::Task;

/// Addresses in register lists have 32 bits, whatever the IOMMU can translate. The last page is left
/// out, so that the end of a buffer is such an address too.
const END: u64 = (1 << 32) - (1 << 12);

/// An address space.
pub(crate) struct Space {
    domain: Arc<Domain>,
    addresses: Arc<RangeAllocator>,
    /// How long cores were busy for it, in nanoseconds.
    busy_ns: Atomic<u64>,
}

impl Space {
    /// An empty address space for cores like `master`.
    ///
    /// # Errors
    ///
    /// As [`Master::new_domain`].
    pub(crate) fn new(master: &Master) -> Result<Arc<Self>> {
        let domain = master.new_domain()?;
        let range = domain.range();
        let addresses = RangeAllocator::new(range.start..range.end.min(END))?;

        Ok(Arc::new(
            Self {
                domain,
                addresses,
                busy_ns: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// The address space as the IOMMUs know it.
    pub(crate) fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// Finds room for `size` bytes.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is none.
    pub(crate) fn allocate(&self, size: u64) -> Result<Node> {
        let align = self.domain.granule().max(u64::try_from(PAGE_SIZE)?);
        let range = self.domain.range();

        self.addresses
            .insert(size, align, range.start..range.end.min(END))
    }

    /// Whether the list of `task` goes on to that of `next` by itself.
    ///
    /// Not if it is in a buffer of others, whose memory may not be for the CPU: such lists are kicked one by one.
    ///
    /// The fourth and the third word from its end are then writes of address and length of the next
    /// list to the program controller. Should somebody change them later, the job goes wrong, and
    /// nothing else does: whatever the controller fetches, it is from this address space.
    pub(crate) fn is_chained(&self, task: &Task, next: &Task) -> bool {
        const PC: u64 = 0x0101 << 48;
        const BASE_ADDRESS: u64 = PC | 0x10;
        const REGISTER_AMOUNTS: u64 = PC | 0x14;

        let Some(at) = task.words.checked_sub(4) else {
            return false;
        };
        let at = u64::from(task.iova) + 8 * u64::from(at);
        let word = |value: u32, register: u64| register | u64::from(value) << 16;

        self.domain.peek(at) == Some(word(next.iova, BASE_ADDRESS))
            && self.domain.peek(at + 8) == Some(word(next.pairs().into(), REGISTER_AMOUNTS))
    }

    /// Cores were busy for this much longer.
    pub(crate) fn add_busy(&self, ns: u64) {
        self.busy_ns.fetch_add(ns, Relaxed);
    }

    /// How long cores were busy, in nanoseconds.
    pub(crate) fn busy_ns(&self) -> u64 {
        self.busy_ns.load(Relaxed)
    }
}
