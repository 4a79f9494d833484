// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What streams do with memory: loads, stores, synchronization objects, and the operations that
//! their scoreboards count.
//!
//! A state changes only after the last access that it depends on: see [`super::exec`].

use super::decode::HeapOp;
use super::decode::Scope;
use super::decode::State;
use super::exec::Flow;
use super::ops;
use super::ops::Kind;
use super::ops::Op;
use super::stream::Block;
use super::stream::Cx;
use super::stream::Stream;
use super::stream::Trouble;
use crate::counters::Counter;
use crate::mcu::layout::exception;
use crate::mmu::Access;
use crate::mmu::MmuError;

/// Turns an answer of the address space into what it means for the stream.
pub(super) fn memory(va: u64) -> impl Fn(MmuError) -> Trouble {
    move |error| match error {
        MmuError::Stalled | MmuError::Fault(_) => Trouble::Stall,
        MmuError::Aborted => Trouble::Fatal {
            kind: exception::CS_BUS_FAULT,
            info: va,
        },
    }
}

/// What SYNC_WAIT waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SyncWait {
    /// The object.
    pub(super) addr: u64,
    /// The value to compare with.
    pub(super) value: u64,
    /// 64 bits, not 32.
    pub(super) wide: bool,
    /// Until it is greater, not less or equal.
    pub(super) greater: bool,
    /// An error in the object is not inherited.
    pub(super) reject: bool,
}

impl Stream {
    pub(super) fn load(
        &mut self,
        cx: &mut Cx<'_, '_>,
        base: u8,
        addr64: u8,
        mask: u16,
        offset: i16,
        invalid: Trouble,
    ) -> Result<(), Trouble> {
        let addr = self.reg64(addr64).wrapping_add_signed(i64::from(offset));
        if addr % 4 != 0 {
            return Err(invalid);
        }
        let mut loaded = [0u32; 16];
        for (i, word) in (0u8..).zip(&mut loaded) {
            if mask >> i & 1 != 0 {
                let va = addr.wrapping_add(u64::from(i) * 4);
                *word = cx.bus.read32(cx.who, va).map_err(memory(va))?;
            }
        }
        for (i, word) in (0u8..).zip(loaded) {
            if mask >> i & 1 != 0 {
                self.set(base.wrapping_add(i), word);
            }
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        cx: &mut Cx<'_, '_>,
        base: u8,
        addr64: u8,
        mask: u16,
        offset: i16,
        invalid: Trouble,
    ) -> Result<(), Trouble> {
        let addr = self.reg64(addr64).wrapping_add_signed(i64::from(offset));
        if addr % 4 != 0 {
            return Err(invalid);
        }
        for i in 0u8..16 {
            if mask >> i & 1 != 0 {
                let va = addr.wrapping_add(u64::from(i) * 4);
                let word = self.reg(base.wrapping_add(i));
                cx.bus.write32(cx.who, va, word).map_err(memory(va))?;
            }
        }
        Ok(())
    }

    pub(super) fn sync_wait(
        &mut self,
        cx: &mut Cx<'_, '_>,
        wait: SyncWait,
        invalid: Trouble,
    ) -> Result<Flow, Trouble> {
        let SyncWait {
            addr,
            value,
            wide,
            greater,
            reject,
        } = wait;
        if addr % if wide { 8 } else { 4 } != 0 {
            return Err(invalid);
        }
        let (now, error_va) = if wide {
            (
                cx.bus.read64(cx.who, addr).map_err(memory(addr))?,
                addr.wrapping_add(8),
            )
        } else {
            let word = cx.bus.read32(cx.who, addr).map_err(memory(addr))?;
            (u64::from(word), addr.wrapping_add(4))
        };
        let passed = if greater { now > value } else { now <= value };
        if !passed {
            return Ok(Flow::Block(Block::Sync {
                addr,
                value,
                wide,
                greater,
            }));
        }
        let error = cx.bus.read32(cx.who, error_va).map_err(memory(error_va))?;
        if error != 0 && !reject {
            // The instruction is over: what follows runs with the inherited error.
            self.advance();
            self.unwind();
            self.error = true;
            return Err(Trouble::Fault {
                kind: exception::CS_INHERIT_FAULT,
                info: addr,
            });
        }
        Ok(Flow::Next)
    }

    /// Starts and completes operations.
    pub(super) fn complete(&mut self, cx: &mut Cx<'_, '_>) -> Result<(), Trouble> {
        for _ in 0..ops::MAX_OPS {
            let Some((index, op)) = self.ops.due(cx.bus.env.now) else {
                return Ok(());
            };
            self.carry_out(cx, &op)?;
            self.ops.remove(index);
            if op.flags & ops::PROGRESS != 0 {
                self.count_progress(cx);
            }
        }
        Ok(())
    }

    pub(super) fn carry_out(&mut self, cx: &mut Cx<'_, '_>, op: &Op) -> Result<(), Trouble> {
        match op.kind {
            Kind::Job | Kind::FinishTiling | Kind::Trace => Ok(()),
            Kind::FinishFragment => {
                self.free_chunks(cx, op.addr, op.value)?;
                if op.flags & ops::COUNT != 0 {
                    self.count_heap(cx, HeapOp::FragmentCompleted)?;
                }
                Ok(())
            }
            Kind::Flush => {
                if op.flags & ops::SELECT != 0 {
                    let id = (op.value & 0xffff_ffff) as u32;
                    cx.bus.flush_caches(id);
                }
                Ok(())
            }
            Kind::Sync => self.sync(cx, op),
            Kind::Store => {
                let select = op.flags & ops::SELECT;
                let value = if select == State::Timestamp as u32 {
                    cx.bus.timestamp()
                } else if select == State::Cycles as u32 {
                    cx.bus.cycle_count()
                } else if select == State::Error as u32 {
                    u64::from(self.error)
                } else {
                    0
                };
                cx.bus
                    .write64(cx.who, op.addr, value)
                    .map_err(memory(op.addr))
            }
            Kind::Heap => {
                let select = op.flags & ops::SELECT;
                let heap_op = if select == HeapOp::TilingStarted as u32 {
                    HeapOp::TilingStarted
                } else if select == HeapOp::TilingCompleted as u32 {
                    HeapOp::TilingCompleted
                } else {
                    HeapOp::FragmentCompleted
                };
                self.count_heap(cx, heap_op)
            }
        }
    }

    /// SYNC_ADD and SYNC_SET. Value and error word are one write, so that a stall never leaves an
    /// addition half done.
    pub(super) fn sync(&mut self, cx: &mut Cx<'_, '_>, op: &Op) -> Result<(), Trouble> {
        let wide = op.flags & ops::SYNC_WIDE != 0;
        let size: usize = if wide { 8 } else { 4 };
        let set = op.flags & ops::SYNC_SET != 0;
        let mut object = [0u8; 12];
        let (value, rest) = object.split_at_mut(size);
        if !set {
            cx.bus
                .read(cx.who, op.addr, Access::Atomic, value)
                .map_err(memory(op.addr))?;
        }
        let mut old = [0u8; 8];
        for (to, from) in old.iter_mut().zip(value.iter()) {
            *to = *from;
        }
        let new = u64::from_le_bytes(old).wrapping_add(op.value).to_le_bytes();
        for (to, from) in value.iter_mut().zip(new) {
            *to = from;
        }
        // A setting stream that is healthy clears the error, an adding one leaves it.
        let status = op.flags & ops::SYNC_PROPAGATE != 0 && (self.error || set);
        for (to, from) in rest.iter_mut().zip(u32::from(self.error).to_le_bytes()) {
            *to = from;
        }
        let written = object
            .get(..if status { size + 4 } else { size })
            .unwrap_or(&object);
        cx.bus
            .write(cx.who, op.addr, written)
            .map_err(memory(op.addr))?;
        cx.bus.env.count(Counter::CsJobs);
        if op.flags & ops::SYNC_GROUP == 0 {
            cx.notify = Some(Scope::System);
        } else if cx.notify.is_none() {
            cx.notify = Some(Scope::Group);
        }
        Ok(())
    }
}
