// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Execution: fetch, decode, and what instructions do to registers and program counters.
//!
//! # Restarting
//!
//! Any memory access may find its address space locked or waiting for a fault to be served. The
//! burst then ends with [`Trouble::Stall`] and the same instruction or operation is tried again
//! later, so everything here changes state only after its last access.

use super::access::memory;
use super::access::SyncWait;
use super::decode;
use super::decode::Async;
use super::decode::Instr;
use super::decode::Scope;
use super::decode::SyncOp;
use super::ops;
use super::ops::Kind;
use super::ops::Op;
use super::stream::Block;
use super::stream::Cx;
use super::stream::Frame;
use super::stream::Stream;
use super::stream::Trouble;
use crate::counters::Counter;
use crate::mcu::layout::exception;
use crate::record;
use crate::record::Place;

/// Bytes of the ring that are fetched at once.
const LINE: u64 = 64;
/// Instructions of the ring that a burst may take beyond its budget.
const RING_REST: u32 = 16;

/// Instructions that a called stream may execute in a row before it counts as spinning.
const SPIN_FREE: u32 = 8192;
/// Instructions of a spinning stream between two pauses.
const SPIN_BURST: u32 = 256;
/// How long a spinning stream pauses in nanoseconds.
const SPIN_PAUSE_NS: u64 = 100_000;

/// Where an instruction leads.
pub(super) enum Flow {
    /// To the next one.
    Next,
    /// The program counter is set already.
    Jump,
    /// Nowhere yet: it is executed again when this has ended.
    Block(Block),
}

impl Stream {
    /// Executes at most `budget` instructions and completes what is due.
    pub(crate) fn run(&mut self, cx: &mut Cx<'_, '_>, budget: u32) -> Result<(), Trouble> {
        self.stalled = false;
        let result = self.burst(cx, budget);
        self.stalled = result == Err(Trouble::Stall);
        result
    }

    fn burst(&mut self, cx: &mut Cx<'_, '_>, budget: u32) -> Result<(), Trouble> {
        let mut left = budget;
        let mut rest = RING_REST;
        loop {
            if left > 0 {
                left -= 1;
            } else if rest > 0 && self.is_inside_a_line(cx) {
                rest -= 1;
            } else {
                return self.complete(cx);
            }
            self.complete(cx)?;
            if cx.bus.env.now < self.resume || !self.try_unblock() || !self.has_instructions() {
                return Ok(());
            }
            let pc = self.pc();
            let raw = cx.bus.read64(cx.who, pc).map_err(memory(pc))?;
            let invalid = Trouble::Fatal {
                kind: exception::CS_INVALID_INSTRUCTION,
                info: pc,
            };
            let place = Place::Queue {
                group: cx.group,
                queue: cx.queue,
            };
            if self.depth == 0 && decode::reserved(raw) != 0 {
                cx.bus.env.record(
                    record::Kind::StreamEncoding,
                    place,
                    raw,
                    "reserved bits in an instruction of the ring",
                );
            }
            let instr = decode::decode(raw, cx.limits).map_err(|_| invalid)?;
            if self.depth == 0 && instr.order().is_some_and(Async::waits_for_itself) {
                cx.bus.env.record(
                    record::Kind::StreamWait,
                    place,
                    raw,
                    "an instruction of the ring waits for itself",
                );
            }
            match self.execute(cx, instr, invalid)? {
                Flow::Next => self.advance(),
                Flow::Jump => (),
                Flow::Block(block) => {
                    self.block = block;
                    self.recheck = false;
                    self.spin = 0;
                    continue;
                }
            }
            self.unwind();
            self.pace(cx);
            cx.bus.env.count(Counter::CsInstr);
        }
    }

    /// Makes streams that poll memory in a loop pause now and then: they would keep the model's
    /// processor, and with it the machine that it lives in, from everything else.
    fn pace(&mut self, cx: &Cx<'_, '_>) {
        self.spin = if self.depth == 0 {
            0
        } else {
            self.spin.saturating_add(1)
        };
        if self.spin >= SPIN_FREE && self.spin % SPIN_BURST == 0 {
            self.resume = cx.bus.env.now.saturating_add(SPIN_PAUSE_NS);
        }
    }

    /// Whether the burst goes on because a host must not see its middle.
    ///
    /// The ring is fetched by cache lines, and what follows a synchronization update in it is over
    /// long before a host can have heard of the update. A host may count on that when it reuses
    /// the ring.
    fn is_inside_a_line(&self, cx: &Cx<'_, '_>) -> bool {
        self.depth == 0 && (self.ring.extract % LINE != 0 || cx.notify == Some(Scope::System))
    }

    /// Ends the block if what it waits for may have happened. Returns whether to execute.
    fn try_unblock(&mut self) -> bool {
        let over = match self.block {
            Block::None => true,
            Block::Scoreboard(mask) => self.ops.busy() & mask == 0,
            Block::Deferred => self.ops.has_room(),
            Block::Sync { .. } | Block::Progress => self.recheck,
            Block::HeapAnswer => self.heap_answer.is_some(),
            Block::Resource(_) | Block::FaultAck | Block::Dead => false,
        };
        if over {
            self.block = Block::None;
            self.recheck = false;
        }
        over
    }

    pub(super) fn advance(&mut self) {
        match self
            .depth
            .checked_sub(1)
            .and_then(|d| self.frames.get_mut(d))
        {
            Some(frame) => frame.pc = frame.pc.wrapping_add(8),
            None => {
                self.ring.extract = self.ring.extract.wrapping_add(8);
                self.extract_dirty = true;
            }
        }
    }

    /// Returns from streams that have come to their end.
    pub(super) fn unwind(&mut self) {
        while let Some(d) = self.depth.checked_sub(1) {
            if self.frames.get(d).is_none_or(|f| f.pc != f.end) {
                return;
            }
            self.depth = d;
            if self.handler_depth == Some(d) {
                self.handler_depth = None;
            }
        }
    }

    pub(super) fn push_frame(&mut self, frame: Frame, pc: u64) -> Result<(), Trouble> {
        let slot = self.frames.get_mut(self.depth).ok_or(Trouble::Fatal {
            kind: exception::CS_CALL_STACK_OVERFLOW,
            info: pc,
        })?;
        *slot = frame;
        self.depth += 1;
        Ok(())
    }

    fn target(&self, addr64: u8, len: u8, invalid: Trouble) -> Result<Frame, Trouble> {
        let pc = self.reg64(addr64);
        let len = u64::from(self.reg(len));
        if pc % 8 != 0 || len % 8 != 0 {
            return Err(invalid);
        }
        Ok(Frame {
            pc,
            end: pc.wrapping_add(len),
        })
    }

    fn execute(
        &mut self,
        cx: &mut Cx<'_, '_>,
        instr: Instr,
        invalid: Trouble,
    ) -> Result<Flow, Trouble> {
        match instr {
            Instr::Nop => (),
            Instr::Move48 { dst64, imm } => self.set64(dst64, imm),
            Instr::Move32 { dst, imm } => self.set(dst, imm),
            Instr::AddImm32 { dst, src, imm } => {
                self.set(dst, self.reg(src).wrapping_add_signed(imm));
            }
            Instr::AddImm64 { dst64, src64, imm } => {
                self.set64(dst64, self.reg64(src64).wrapping_add_signed(i64::from(imm)));
            }
            Instr::Umin32 { dst, src0, src1 } => self.set(dst, self.reg(src0).min(self.reg(src1))),
            Instr::Wait { mask, progress } => {
                if self.ops.busy() & mask != 0 {
                    return Ok(Flow::Block(Block::Scoreboard(mask)));
                }
                if progress {
                    self.count_progress(cx);
                }
            }
            Instr::Run {
                endpoint, progress, ..
            } => return self.run_job(cx, endpoint, progress),
            Instr::FinishTiling { progress } => {
                let order = Async {
                    wait: 0,
                    signal: self.sb_endpoint,
                };
                let flags = if progress { ops::PROGRESS } else { 0 };
                return self.issue(Kind::FinishTiling, flags, (0, 0), order);
            }
            Instr::FinishFragment {
                count,
                first64,
                last64,
                order,
            } => {
                let flags = if count { ops::COUNT } else { 0 };
                let chunks = (self.reg64(first64), self.reg64(last64));
                return self.issue(Kind::FinishFragment, flags, chunks, order);
            }
            Instr::LoadMultiple {
                base,
                addr64,
                mask,
                offset,
            } => {
                self.load(cx, base, addr64, mask, offset, invalid)?;
            }
            Instr::StoreMultiple {
                base,
                addr64,
                mask,
                offset,
            } => {
                self.store(cx, base, addr64, mask, offset, invalid)?;
            }
            Instr::Branch {
                offset,
                condition,
                value,
            } => {
                // The ring itself is straight: only called streams can loop.
                let taken = condition.holds(self.reg(value));
                let level = self
                    .depth
                    .checked_sub(1)
                    .and_then(|d| self.frames.get_mut(d));
                let frame = level.ok_or(invalid)?;
                if taken {
                    frame.pc = frame.pc.wrapping_add_signed(i64::from(offset) * 8);
                }
            }
            Instr::SetScoreboard { endpoint, other } => {
                self.sb_endpoint = endpoint;
                self.sb_other = other;
            }
            Instr::ProgressWait { queue, value64 } => {
                let count = cx
                    .progress
                    .get(usize::from(queue))
                    .copied()
                    .ok_or(invalid)?;
                if count < self.reg64(value64) {
                    return Ok(Flow::Block(Block::Progress));
                }
            }
            Instr::ProgressStore { src64 } => {
                let value = self.reg64(src64);
                if let Some(count) = cx.progress.get_mut(usize::from(cx.queue)) {
                    *count = value;
                }
            }
            Instr::ProgressLoad { dst64 } => {
                let count = cx.progress.get(usize::from(cx.queue)).copied().unwrap_or(0);
                self.set64(dst64, count);
            }
            Instr::SetExceptionHandler { addr64, len, .. } => {
                self.handler = self.target(addr64, len, invalid)?;
            }
            Instr::Call { addr64, len } => {
                let target = self.target(addr64, len, invalid)?;
                let pc = self.pc();
                if self.depth >= self.frames.len() {
                    return Err(Trouble::Fatal {
                        kind: exception::CS_CALL_STACK_OVERFLOW,
                        info: pc,
                    });
                }
                self.advance();
                self.push_frame(target, pc)?;
                return Ok(Flow::Jump);
            }
            Instr::Jump { addr64, len } => {
                let target = self.target(addr64, len, invalid)?;
                let level = self
                    .depth
                    .checked_sub(1)
                    .and_then(|d| self.frames.get_mut(d));
                *level.ok_or(invalid)? = target;
                return Ok(Flow::Jump);
            }
            Instr::ReqResource { mask } => {
                let missing = mask & !cx.endpoints.resources();
                self.resources = mask;
                if missing != 0 {
                    return Ok(Flow::Block(Block::Resource(missing)));
                }
            }
            Instr::FlushCaches {
                l2,
                lsc,
                other,
                id,
                order,
            } => {
                let flags = u32::from(l2 | lsc | other);
                return self.issue(Kind::Flush, flags, (0, u64::from(self.reg(id))), order);
            }
            Instr::Sync {
                op,
                wide,
                propagate,
                scope,
                data,
                addr64,
                order,
            } => {
                let addr = self.reg64(addr64);
                if addr % if wide { 8 } else { 4 } != 0 {
                    return Err(invalid);
                }
                let value = if wide {
                    self.reg64(data)
                } else {
                    u64::from(self.reg(data))
                };
                let mut flags = 0;
                for (set, flag) in [
                    (wide, ops::SYNC_WIDE),
                    (op == SyncOp::Set, ops::SYNC_SET),
                    (scope == Scope::Group, ops::SYNC_GROUP),
                    (propagate, ops::SYNC_PROPAGATE),
                ] {
                    if set {
                        flags |= flag;
                    }
                }
                return self.issue(Kind::Sync, flags, (addr, value), order);
            }
            Instr::SyncWait {
                wide,
                reject,
                greater,
                data,
                addr64,
            } => {
                let addr = self.reg64(addr64);
                let value = if wide {
                    self.reg64(data)
                } else {
                    u64::from(self.reg(data))
                };
                let wait = SyncWait {
                    addr,
                    value,
                    wide,
                    greater,
                    reject,
                };
                return self.sync_wait(cx, wait, invalid);
            }
            Instr::StoreState {
                state,
                addr64,
                offset,
                order,
            } => {
                let addr = self.reg64(addr64).wrapping_add_signed(i64::from(offset));
                if addr % 8 != 0 {
                    return Err(invalid);
                }
                return self.issue(Kind::Store, state as u32, (addr, 0), order);
            }
            Instr::ErrorBarrier => {
                // What was issued before still sees the error.
                let busy = self.ops.busy();
                if busy != 0 {
                    return Ok(Flow::Block(Block::Scoreboard(busy)));
                }
                self.error = false;
            }
            Instr::HeapSet { addr64 } => self.heap = self.reg64(addr64),
            Instr::HeapOperation { op, order } => {
                return self.issue(Kind::Heap, op as u32, (0, 0), order);
            }
            Instr::TracePoint { order, .. } => {
                return self.issue(Kind::Trace, 0, (0, 0), order);
            }
        }
        Ok(Flow::Next)
    }

    fn issue(
        &mut self,
        kind: Kind,
        flags: u32,
        operands: (u64, u64),
        order: Async,
    ) -> Result<Flow, Trouble> {
        let (addr, value) = operands;
        let op = Op {
            kind,
            flags,
            addr,
            value,
            wait: order.wait,
            signal: order.signal,
            running: false,
            time: 0,
        };
        Ok(match self.ops.push(op) {
            Ok(()) => Flow::Next,
            Err(ops::Full) => Flow::Block(Block::Deferred),
        })
    }

    pub(super) fn count_progress(&mut self, cx: &mut Cx<'_, '_>) {
        if let Some(count) = cx.progress.get_mut(usize::from(cx.queue)) {
            *count = count.wrapping_add(1);
        }
    }
}
