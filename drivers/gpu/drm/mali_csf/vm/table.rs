// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The page table of a VM, and how it follows the map of the VM step by step.
//!
//! A step that takes something away and fails leaves a table of which nobody knows what it maps:
//! that is noted, and makes the VM unusable. A step that maps and fails has mapped nothing.
//!
//! What memory reclaim has taken is mapped in the map of the VM and not in the table. Steps that meet
//! it change the map only.

use core::ops::Range;

use drm::gpuvm::{
    DriverGpuVm,
    MapStep,
    RemapStep,
    Tree,
    Va,
    VmBo, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use soc::pgtable::{
    PageTable,
    Tables,
    VaRange, //
};

use super::{
    cut,
    memory::{
        Mapping,
        Memory, //
    },
    restore,
    MapFlags, //
};
use crate::{
    driver::Driver,
    mmu::{
        Mmu,
        Space, //
    },
};

/// Where the GPU sees the page table, if it does.
#[derive(Clone)]
pub(super) struct Hardware {
    pub(super) mmu: Arc<Mmu>,
    pub(super) space: Arc<Space>,
}

/// The page table, as the DRM layer's map of the VM drives it.
pub(crate) struct Table {
    /// From the first change on that was prepared.
    pub(super) pt: Option<PageTable>,
    /// A change has failed half-way.
    pub(super) broken: bool,
    /// Until the VM goes, and with it what is mapped.
    pub(super) hardware: Option<Hardware>,
}

/// What a step of a change works with.
pub(crate) struct StepContext<'a> {
    /// Table pages, fresh and freed.
    pub(super) tables: &'a mut Tables,
    /// A new mapping, if there is one.
    pub(super) mapping: Option<&'a Mapping>,
}

pub(super) fn va_range(range: Range<u64>) -> Result<VaRange> {
    let size = range.end.checked_sub(range.start).ok_or(EINVAL)?;
    VaRange::new(soc::pgtable::Va::new(range.start), size)
}

impl Table {
    /// Maps `range` to what `memory` has from byte `offset` on. Maps nothing if that fails.
    pub(super) fn map(
        &mut self,
        tables: &mut Tables,
        range: Range<u64>,
        memory: &Memory,
        offset: u64,
        flags: MapFlags,
    ) -> Result {
        let mut update = self.pt.as_mut().ok_or(EINVAL)?.update(tables);
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
    pub(super) fn unmap(&mut self, tables: &mut Tables, range: Range<u64>) -> Result {
        let range = va_range(range)?;
        let pt = self.pt.as_mut().ok_or(EIO)?;
        if pt.update(tables).unmap(range)? != range.size() {
            return Err(EIO);
        }
        Ok(())
    }

    /// Whether the page at `va` is part of a mapped block.
    fn is_block(&self, va: u64) -> bool {
        const TYPE: u64 = 3;
        const TYPE_BLOCK: u64 = 1;
        let walk = self
            .pt
            .as_ref()
            .map(|pt| pt.walk(soc::pgtable::Va::new(va)));
        match walk {
            Some(Ok([_, _, entry, _])) => entry & TYPE == TYPE_BLOCK,
            _ => false,
        }
    }

    /// Takes `gone` away from the mapping `old`; blocks that are cut come back as pages.
    fn cut(&mut self, tables: &mut Tables, gone: Range<u64>, old: &Va<Self>) -> Result {
        let Some(memory) = &old.data().memory else {
            return Ok(());
        };
        let wide = cut::widened(gone.clone(), |va| self.is_block(va));
        self.unmap(tables, wide.clone())?;

        for rest in [wide.start..gone.start, gone.end..wide.end] {
            if !rest.is_empty() {
                let offset = old.gem_offset() + (rest.start - old.addr());
                self.map(tables, rest, memory, offset, old.data().flags)?;
            }
        }
        Ok(())
    }
}

impl DriverGpuVm for Table {
    type Driver = Driver;
    type VaData = Mapping;
    type VmBoData = ();
    type Context<'a> = StepContext<'a>;

    fn step_map(
        &mut self,
        op: &MapStep<'_, Self>,
        ctx: &mut Self::Context<'_>,
    ) -> Result<Self::VaData> {
        let range = op.addr()..op.addr() + op.len();
        let mapping = ctx.mapping.ok_or(EINVAL)?;
        let memory = mapping.memory.as_ref().ok_or(EINVAL)?;
        self.map(ctx.tables, range, memory, op.gem_offset(), mapping.flags)?;
        Ok(mapping.clone())
    }

    fn step_unmap(&mut self, va: &Va<Self>, ctx: &mut Self::Context<'_>) -> Result {
        if va.data().memory.is_none() {
            return Ok(());
        }
        self.unmap(ctx.tables, va.range())
            .inspect_err(|_| self.broken = true)
    }

    fn step_remap(&mut self, op: &RemapStep<'_, Self>, ctx: &mut Self::Context<'_>) -> Result {
        self.cut(ctx.tables, op.unmapped(), op.va())
            .inspect_err(|_| self.broken = true)
    }

    fn evict(tree: &mut Tree<'_, Self>, vm_bo: &VmBo<Self>) -> Result {
        restore::evict(tree, vm_bo)
    }
}
