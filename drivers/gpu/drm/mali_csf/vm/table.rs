// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The page table of a VM, and how it follows the map of the VM step by step.
//!
//! A step that takes something away and fails leaves a table of which nobody knows what it maps:
//! that is noted, and makes the VM unusable. A step that maps and fails has mapped nothing.

use core::ops::Range;

use drm::gpuvm::{
    DriverGpuVm,
    MapStep,
    RemapStep,
    Va, //
};
use kernel::prelude::*;
use soc::pgtable::{
    PageTable,
    Tables,
    VaRange, //
};

use super::{
    cut,
    memory::Memory,
    MapFlags, //
};
use crate::driver::Driver;

/// The page table, as the DRM layer's map of the VM drives it.
pub(crate) struct Table {
    pub(super) pt: PageTable,
    /// A change has failed half-way.
    pub(super) broken: bool,
}

/// What a step of a change works with.
pub(crate) struct StepContext<'a> {
    /// Table pages, fresh and freed.
    pub(super) tables: &'a mut Tables,
    /// Flags for a new mapping.
    pub(super) flags: MapFlags,
}

pub(super) fn va_range(range: Range<u64>) -> Result<VaRange> {
    let size = range.end.checked_sub(range.start).ok_or(EINVAL)?;
    VaRange::new(soc::pgtable::Va::new(range.start), size)
}

impl Table {
    /// Maps `range` to what `memory` has from byte `offset` on. Maps nothing if that fails.
    fn map(
        &mut self,
        tables: &mut Tables,
        range: Range<u64>,
        memory: &Memory,
        offset: u64,
        flags: MapFlags,
    ) -> Result {
        let mut update = self.pt.update(tables);
        let mut va = range.start;
        let mut done = memory.try_for_each(offset, range.end - range.start, |segment| {
            let end = va + segment.len;
            update.map(va_range(va..end)?, segment.dma, flags.prot())?;
            va = end;
            Ok(())
        });
        if done.is_ok() && va != range.end {
            done = Err(EINVAL);
        }
        if done.is_err() && va > range.start {
            // All of it was mapped by us just now.
            let _ = update.unmap(va_range(range.start..va)?)?;
        }
        done
    }

    /// Unmaps `range`, all of which is mapped.
    fn unmap(&mut self, tables: &mut Tables, range: Range<u64>) -> Result {
        let range = va_range(range)?;
        if self.pt.update(tables).unmap(range)? != range.size() {
            return Err(EIO);
        }
        Ok(())
    }

    /// Whether the page at `va` is part of a mapped block.
    fn is_block(&self, va: u64) -> bool {
        const TYPE: u64 = 3;
        const TYPE_BLOCK: u64 = 1;
        match self.pt.walk(soc::pgtable::Va::new(va)) {
            Ok([_, _, entry, _]) => entry & TYPE == TYPE_BLOCK,
            Err(_) => false,
        }
    }

    /// Takes `gone` away from the mapping `old`; blocks that are cut come back as pages.
    fn cut(&mut self, tables: &mut Tables, gone: Range<u64>, old: &Va<Self>) -> Result {
        let wide = cut::widened(gone.clone(), |va| self.is_block(va));
        self.unmap(tables, wide.clone())?;

        for rest in [wide.start..gone.start, gone.end..wide.end] {
            if !rest.is_empty() {
                let offset = old.gem_offset() + (rest.start - old.addr());
                self.map(tables, rest, old.vm_bo().data(), offset, *old.data())?;
            }
        }
        Ok(())
    }
}

impl DriverGpuVm for Table {
    type Driver = Driver;
    type VaData = MapFlags;
    type VmBoData = Memory;
    type Context<'a> = StepContext<'a>;

    fn step_map(
        &mut self,
        op: &MapStep<'_, Self>,
        ctx: &mut Self::Context<'_>,
    ) -> Result<Self::VaData> {
        let range = op.addr()..op.addr() + op.len();
        let memory = op.vm_bo().data();
        self.map(ctx.tables, range, memory, op.gem_offset(), ctx.flags)?;
        Ok(ctx.flags)
    }

    fn step_unmap(&mut self, va: &Va<Self>, ctx: &mut Self::Context<'_>) -> Result {
        self.unmap(ctx.tables, va.range())
            .inspect_err(|_| self.broken = true)
    }

    fn step_remap(&mut self, op: &RemapStep<'_, Self>, ctx: &mut Self::Context<'_>) -> Result {
        self.cut(ctx.tables, op.unmapped(), op.va())
            .inspect_err(|_| self.broken = true)
    }
}
