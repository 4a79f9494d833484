// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What memory reclaim takes from a VM, and how it comes back.
//!
//! An evicted buffer keeps its addresses: the map of the VM says what belongs there, and the page table
//! has nothing. Before the next job of the VM is committed, all evicted buffers of it get memory and
//! are mapped again.
//!
//! # Locking
//!
//! Restoring holds the reservations of the VM and of its external BOs, from the submission that it is a
//! part of: reclaim, which tries to take them, takes nothing from the VM meanwhile. Binds that are
//! executed in between change the map under the lock of `tree`, so the map is looked at again whenever
//! that was released. Evicting is called with `tree` locked, which it was only tried for.
//!
//! # Ordering
//!
//! Evicting holds the GPU's accesses back, empties the page table, flushes what is cached, and lets the
//! accesses go on; one lock and one flush for all mappings of a buffer. Only then the memory goes.
//! Restoring allocates everything first, and then maps all that is missing with one lock and one flush
//! for all buffers.
//!
//! # Blocking
//!
//! Restoring allocates: it is the last part of preparing a submission. Evicting waits for the GPU to
//! flush, and for nothing that allocates.

use core::ops::Range;

use drm::{
    exec::Locked,
    gem::Pinned,
    gpuvm::{
        Tree,
        VmBo, //
    },
};
use job::MayBlock;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use soc::pgtable::{
    Need,
    Tables, //
};

use super::{
    cut,
    memory::Memory,
    op::count_tables,
    table::Table,
    State,
    Vm, //
};
use crate::driver::Driver;

/// What has to be locked for some changes.
#[derive(Default)]
struct Span(Option<Range<u64>>);

impl Span {
    fn add(&mut self, range: Range<u64>) {
        self.0 = Some(match self.0.take() {
            Some(old) => old.start.min(range.start)..old.end.max(range.end),
            None => range,
        });
    }

    /// `None` if there are no changes.
    fn touched(self) -> Option<Range<u64>> {
        self.0.map(cut::touched)
    }
}

/// Takes a buffer out of the page table.
///
/// # Errors
///
/// `ETIMEDOUT`, `EIO`: the GPU or the page table is lost, and may keep the buffer.
pub(super) fn evict(tree: &mut Tree<'_, Table>, vm_bo: &VmBo<Table>) -> Result {
    let mut span = Span::default();
    tree.each_of(vm_bo, |_, place, mapping| {
        if mapping.memory.is_some() {
            span.add(place.range());
        }
        Ok(())
    })?;
    let Some(touched) = span.touched() else {
        return Ok(());
    };

    // Without it the VM is about to go, and the GPU does not see the page table.
    let hardware = tree.state().hardware.clone();
    if let Some(hardware) = &hardware {
        hardware
            .mmu
            .lock_region(&hardware.space, touched.start, touched.end)?;
    }
    // Keeps the tables that become empty until after the flush. No page is needed.
    let mut tables = Tables::new(0)?;
    let done = tree.each_of(vm_bo, |table, place, mapping| {
        if mapping.memory.is_some() {
            table
                .unmap(&mut tables, place.range())
                .inspect_err(|_| table.broken = true)?;
            // The caller takes the memory when this function has returned.
            mapping.memory = None;
        }
        Ok(())
    });
    if let Some(hardware) = &hardware {
        hardware.mmu.unlock_region(&hardware.space);
    }
    done
}

/// A buffer that has its memory again.
struct Returned {
    vm_bo: ARef<VmBo<Table>>,
    memory: Memory,
    _pinned: Pinned<Driver>,
}

impl Vm {
    /// Brings back what memory reclaim has taken, so that the GPU can use the VM. `locked` holds the
    /// reservations of the VM and of its external BOs.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if the VM is unusable; `ETIMEDOUT` if the GPU is lost. What is not back then
    /// stays evicted.
    pub(crate) fn restore(&self, _ctx: &MayBlock, locked: &Locked<'_>) -> Result {
        let mut returned = KVVec::new();
        self.gpuvm.for_each_evicted(locked, |vm_bo| {
            let pinned = vm_bo.object().pin()?;
            returned.push(
                Returned {
                    vm_bo: vm_bo.into(),
                    memory: Memory::of(&pinned)?,
                    _pinned: pinned,
                },
                GFP_KERNEL,
            )?;
            Ok(false)
        })?;
        if returned.is_empty() {
            return Ok(());
        }

        let mut tables = Tables::new(0)?;
        loop {
            let mut tree = self.tree.lock();
            if tree.state().broken {
                self.give_up();
            }
            if self.state() == State::Unusable {
                return Err(EINVAL);
            }
            let missing = self.restore_locked(&mut tree, &returned, &mut tables)?;
            drop(tree);
            if missing == 0 {
                break;
            }
            tables.add(missing)?;
        }
        self.gpuvm.for_each_evicted(locked, |_| Ok(true))
    }

    /// Maps everything, or says how many tables are missing for that.
    fn restore_locked(
        &self,
        tree: &mut Tree<'_, Table>,
        returned: &[Returned],
        tables: &mut Tables,
    ) -> Result<usize> {
        let residence = &self.residence;
        let mut need = Need::new(residence.mmu.va_bits());
        let mut span = Span::default();
        for buffer in returned {
            tree.each_of(&buffer.vm_bo, |_, place, mapping| {
                if mapping.memory.is_some() {
                    return Ok(());
                }
                span.add(place.range());
                let mut va = place.addr;
                buffer
                    .memory
                    .try_for_each(place.gem_offset, place.len, |segment| {
                        count_tables(va, segment.dma, segment.len, &mut need)?;
                        va += segment.len;
                        Ok(())
                    })
            })?;
        }
        let missing = need.count().saturating_sub(tables.left());
        let Some(touched) = span.touched().filter(|_| missing == 0) else {
            return Ok(missing);
        };

        residence
            .mmu
            .lock_region(&residence.space, touched.start, touched.end)?;
        let done = returned.iter().try_for_each(|buffer| {
            tree.each_of(&buffer.vm_bo, |table, place, mapping| {
                if mapping.memory.is_none() {
                    table.map(
                        tables,
                        place.range(),
                        &buffer.memory,
                        place.gem_offset,
                        mapping.flags,
                    )?;
                    mapping.memory = Some(buffer.memory.clone());
                }
                Ok(())
            })
        });
        residence.mmu.unlock_region(&residence.space);
        done.map(|()| 0)
    }
}
