// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Operations that are executed together: under one lock of the address space, with one flush.
//!
//! # Locking
//!
//! A change is private to the task that prepares it, and then to the one that executes it. That takes
//! the VM's `tree`.
//!
//! # Ordering
//!
//! Everything is allocated while operations are added. Table pages and buffers that executing sets
//! free stay in the change until that is dropped, which is after the flush.
//!
//! # Blocking
//!
//! Adding allocates, pins memory and takes the VM's reservation. Executing waits for the hardware only.

use core::ops::Range;

use drm::gpuvm::Tree;
use kernel::{
    prelude::*,
    sync::atomic::Release, //
};
use soc::pgtable::{
    Need,
    Tables, //
};

use super::{
    cut,
    op::{
        Op,
        Request, //
    },
    table::Table,
    MapFlags,
    State,
    Vm, //
};
use crate::gem::Bo;

/// Prepared operations.
pub(crate) struct Change {
    ops: KVVec<Op>,
    tables: Tables,
    need: Need,
    /// What has to be locked.
    touched: Option<Range<u64>>,
}

impl Change {
    /// No operations, for `vm`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(vm: &Vm) -> Result<Self> {
        vm.make_table()?;
        Self::empty(vm.residence.mmu.va_bits())
    }

    fn empty(va_bits: u32) -> Result<Self> {
        Ok(Self {
            ops: KVVec::new(),
            tables: Tables::new(0)?,
            need: Need::new(va_bits),
            touched: None,
        })
    }

    /// Adds what user space asks for, after what is there. If that fails, the change is as before.
    ///
    /// # Errors
    ///
    /// As [`Op::prepare`].
    pub(crate) fn add(&mut self, vm: &Vm, request: Request) -> Result {
        self.add_with(|need| Op::prepare(vm, request, need))
    }

    fn add_with(&mut self, prepare: impl FnOnce(&mut Need) -> Result<Op>) -> Result {
        let before = self.need.count();
        let op = prepare(&mut self.need)?;
        self.tables.add(self.need.count() - before)?;
        let range = cut::touched(op.range());
        self.ops.push(op, GFP_KERNEL)?;
        self.touched = Some(match self.touched.take() {
            Some(touched) => touched.start.min(range.start)..touched.end.max(range.end),
            None => range,
        });
        Ok(())
    }

    /// One mapping, by the kernel. `range` is page aligned, not empty and inside of the VM.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn map(
        vm: &Vm,
        bo: &Bo,
        bo_offset: u64,
        range: Range<u64>,
        flags: MapFlags,
    ) -> Result<Self> {
        let mut this = Self::new(vm)?;
        this.add_with(|need| Op::map(vm, bo, bo_offset, range, flags, need))?;
        Ok(this)
    }

    /// Takes away all mappings in `range`, none of which reaches beyond it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn unmap_whole(range: Range<u64>) -> Result<Self> {
        // Nothing is cut, so no table is needed.
        let mut this = Self::empty(0)?;
        this.add_with(|_| Op::unmap_whole(range))?;
        Ok(this)
    }

    /// How many operations there are.
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// The index of the operation that failed, and why.
type Failure = (usize, Error);

impl Vm {
    /// Executes operations in order. The caller drops `change` afterwards, and not in a signalling
    /// path; then the VM may have something to [clean up](drm::gpuvm::GpuVm::deferred_cleanup).
    ///
    /// # Errors
    ///
    /// The operations before the one that failed are done. `EINVAL` for a mapping in a VM that is
    /// unusable or destroyed.
    pub(crate) fn execute(&self, change: &mut Change) -> Result<(), Failure> {
        let Some(touched) = change.touched.clone() else {
            return Ok(());
        };
        let mut tree = self.tree.lock();
        let done = self.execute_locked(&mut tree, change, touched);
        if tree.state().broken {
            self.give_up();
        }
        done
    }

    /// Executes operations that have waited for their turn: nobody is there to be told which of them
    /// failed, so a failure makes the VM unusable.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is unusable already, or destroyed; what made it unusable.
    pub(crate) fn execute_queued(&self, change: &mut Change) -> Result {
        let mut tree = self.tree.lock();
        if !self.takes_mappings() {
            return Err(EINVAL);
        }
        let Some(touched) = change.touched.clone() else {
            return Ok(());
        };
        self.execute_locked(&mut tree, change, touched)
            .map_err(|(_, err)| {
                self.give_up();
                err
            })
    }

    fn execute_locked(
        &self,
        tree: &mut Tree<'_, Table>,
        change: &mut Change,
        touched: Range<u64>,
    ) -> Result<(), Failure> {
        let residence = &self.residence;
        // The GPU does not translate with what is unusable.
        if self.state() == State::Usable {
            residence
                .mmu
                .lock_region(&residence.space, touched.start, touched.end)
                .map_err(|err| (0, err))?;
        }
        let mut done = Ok(());
        for (index, op) in change.ops.iter_mut().enumerate() {
            let result = if op.is_map() && !self.takes_mappings() {
                Err(EINVAL)
            } else {
                op.execute(tree, &mut change.tables)
            };
            if let Err(err) = result {
                done = Err((index, err));
                break;
            }
        }
        residence.mmu.unlock_region(&residence.space);
        done
    }

    /// The page table is not what user space believes it to be: nothing runs on it any more. Called
    /// with the lock of `tree` held.
    pub(super) fn give_up(&self) {
        if self.unusable.load(kernel::sync::atomic::Relaxed) {
            return;
        }
        self.unusable.store(true, Release);
        dev_err!(
            self.residence.mmu.dev(),
            "page table update failed, VM is unusable\n"
        );
        self.residence.mmu.stop(&self.residence.space);
    }
}
