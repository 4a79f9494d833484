// SPDX-License-Identifier: GPL-2.0 OR MIT

//! One operation on a VM: prepared, then executed, as a part of a [`Change`](super::Change).
//!
//! Preparing checks everything, and allocates everything but tables, of which it says how many are
//! needed. Executing allocates nothing, so that it can be part of fence signalling.

use core::ops::Range;

use drm::{
    gem::Pinned,
    gpuvm::{
        MapRequest,
        Prealloc,
        Tree,
        VmBo, //
    },
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use soc::pgtable::{
    chunk,
    Need,
    PageSize,
    Tables, //
};

use super::{
    cut,
    memory::{
        Mapping,
        Memory, //
    },
    table::{
        va_range,
        StepContext,
        Table, //
    },
    MapFlags,
    Vm, //
};
use crate::{
    driver::Driver,
    gem::Bo, //
};

/// What user space asks for.
pub(crate) enum Request {
    /// Maps bytes of a buffer, instead of what is mapped there.
    Map {
        /// The buffer.
        bo: ARef<Bo>,
        /// First byte of it.
        bo_offset: u64,
        /// First address.
        va: u64,
        /// Bytes.
        size: u64,
        /// How.
        flags: MapFlags,
    },
    /// Maps memory whose content nobody cares for, instead of what is mapped there.
    Sparse {
        /// First address.
        va: u64,
        /// Bytes.
        size: u64,
        /// How.
        flags: MapFlags,
    },
    /// Unmaps what is mapped there.
    Unmap {
        /// First address.
        va: u64,
        /// Bytes.
        size: u64,
    },
}

enum Kind {
    Map {
        vm_bo: ARef<VmBo<Table>>,
        offset: u64,
        mapping: Mapping,
        /// Memory reclaim does not take it before it is mapped.
        _pinned: Pinned<Driver>,
    },
    Unmap,
}

/// A prepared operation.
pub(crate) struct Op {
    kind: Kind,
    range: Range<u64>,
    prealloc: Prealloc<Table>,
}

/// Adds what mapping `len` bytes at `va` to `dma` needs.
pub(super) fn count_tables(va: u64, dma: u64, len: u64, need: &mut Need) -> Result {
    let mut done = 0;
    while done < len {
        let at = va + done;
        let (size, count) = chunk(soc::pgtable::Va::new(at), dma + done, len - done);
        let bytes = u64::try_from(count)? * size.bytes();
        // Less than a page is left only where executing would fail, too.
        if bytes == 0 {
            return Err(EINVAL);
        }
        let range = va_range(at..at + bytes)?;
        match size {
            PageSize::Size4K => need.pages(range),
            PageSize::Size2M => need.blocks(range),
        }
        done += bytes;
    }
    Ok(())
}

impl Op {
    /// Prepares what user space asks for, and adds the tables that it needs to `need`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the range is empty or reaches beyond the user part of the VM, if something is not
    /// page aligned, if the buffer is too small, or if it is exclusive to another VM. `ENOMEM`.
    pub(super) fn prepare(vm: &Vm, request: Request, need: &mut Need) -> Result<Self> {
        match request {
            Request::Map {
                bo,
                bo_offset,
                va,
                size,
                flags,
            } => {
                let range = Self::user_range(vm, va, size)?;
                let bo_end = bo_offset.checked_add(size).ok_or(EINVAL)?;
                if bo_offset % cut::PAGE != 0 || bo_end > u64::try_from(bo.size())? {
                    return Err(EINVAL);
                }
                if bo.shared_resv().is_some() && !bo.shares(vm.gpuvm().resv()) {
                    return Err(EINVAL);
                }
                Self::map(vm, &bo, bo_offset, range, flags, need)
            }
            Request::Sparse { va, size, flags } => {
                let range = Self::user_range(vm, va, size)?;
                let bo = vm.sparse_memory()?;
                let pinned = bo.pin()?;
                let memory = Memory::repeated(&pinned)?;
                Self::map_memory(vm, pinned, memory, va, range, flags, need)
            }
            Request::Unmap { va, size } => {
                let range = Self::user_range(vm, va, size)?;
                need.cleared(va_range(range.clone())?);
                for part in cut::partial_blocks(range.clone()) {
                    need.pages(va_range(part)?);
                }
                Ok(Self {
                    kind: Kind::Unmap,
                    range,
                    prealloc: Prealloc::for_unmap()?,
                })
            }
        }
    }

    fn user_range(vm: &Vm, va: u64, size: u64) -> Result<Range<u64>> {
        let end = va.checked_add(size).ok_or(EINVAL)?;
        let aligned = (va | size) % cut::PAGE == 0;
        if !aligned || size == 0 || end > vm.user_end() {
            return Err(EINVAL);
        }
        Ok(va..end)
    }

    /// Prepares a mapping of `range`, which is page aligned, not empty and inside of the VM, to the
    /// bytes of `bo` from `bo_offset` on, and adds the tables that it needs to `need`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn map(
        vm: &Vm,
        bo: &Bo,
        bo_offset: u64,
        range: Range<u64>,
        flags: MapFlags,
        need: &mut Need,
    ) -> Result<Self> {
        let pinned = bo.pin()?;
        let memory = Memory::of(&pinned)?;
        Self::map_memory(vm, pinned, memory, bo_offset, range, flags, need)
    }

    fn map_memory(
        vm: &Vm,
        pinned: Pinned<Driver>,
        memory: Memory,
        offset: u64,
        range: Range<u64>,
        flags: MapFlags,
        need: &mut Need,
    ) -> Result<Self> {
        need.cleared(va_range(range.clone())?);
        let mut va = range.start;
        memory.try_for_each(offset, range.end - range.start, |segment| {
            count_tables(va, segment.dma, segment.len, need)?;
            va += segment.len;
            Ok(())
        })?;
        Ok(Self {
            kind: Kind::Map {
                vm_bo: vm.gpuvm().obtain(&pinned, ())?,
                offset,
                mapping: Mapping {
                    flags,
                    memory: Some(memory),
                },
                _pinned: pinned,
            },
            range,
            prealloc: Prealloc::for_map()?,
        })
    }

    /// Prepares taking away all mappings in `range`, none of which reaches beyond it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn unmap_whole(range: Range<u64>) -> Result<Self> {
        Ok(Self {
            kind: Kind::Unmap,
            range,
            prealloc: Prealloc::for_unmap()?,
        })
    }

    /// The addresses that it is about.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Whether it maps something.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Map { .. })
    }

    /// Changes mappings and page table. Allocates nothing.
    pub(super) fn execute(&mut self, tree: &mut Tree<'_, Table>, tables: &mut Tables) -> Result {
        let addr = self.range.start;
        let len = self.range.end - addr;
        match &self.kind {
            Kind::Map {
                vm_bo,
                offset,
                mapping,
                ..
            } => {
                let mut ctx = StepContext {
                    tables,
                    mapping: Some(mapping),
                };
                let request = MapRequest {
                    addr,
                    len,
                    gem_offset: *offset,
                    vm_bo,
                    unbounded: mapping.memory.as_ref().is_some_and(Memory::is_repeated),
                };
                tree.map(request, &mut self.prealloc, &mut ctx)
            }
            Kind::Unmap => {
                let mut ctx = StepContext {
                    tables,
                    mapping: None,
                };
                tree.unmap(addr, len, &mut self.prealloc, &mut ctx)
            }
        }
    }
}
