// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Execution: fetch, decode, carry out, complete.
//!
//! # Restarting
//!
//! Any memory access may find its address space locked or waiting for a fault to be served. The
//! burst then ends with [`Trouble::Stall`] and the same instruction or operation is tried again
//! later, so everything here changes state only after its last access.

use super::decode;
use super::decode::Async;
use super::decode::Endpoint;
use super::decode::HeapOp;
use super::decode::Instr;
use super::decode::Scope;
use super::decode::State;
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
use crate::mmu::Access;
use crate::mmu::MmuError;
use crate::record;
use crate::record::Place;

/// Shortest compute job in nanoseconds.
const COMPUTE_NS: u64 = 10_000;
/// A workgroup more.
const WORKGROUP_NS: u64 = 50;
/// Shortest draw in nanoseconds.
const DRAW_NS: u64 = 20_000;
/// A vertex more.
const VERTEX_NS: u64 = 10;
/// Shortest fragment job in nanoseconds.
const FRAGMENT_NS: u64 = 30_000;
/// A tile of 16 x 16 pixels more.
const TILE_NS: u64 = 200;
/// Longest job: whatever the registers say, it ends.
const LONGEST_NS: u64 = 3_600_000_000_000;

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

/// Registers of RUN_COMPUTE: JOB_SIZE_X, Y and Z.
const JOB_SIZE: [u8; 3] = [37, 38, 39];
/// Registers of RUN_IDVS: INDEX_COUNT and INSTANCE_COUNT.
pub(super) const DRAW_SIZE: [u8; 2] = [33, 34];
/// Registers of RUN_FRAGMENT: BBOX_MIN and BBOX_MAX, x in the low and y in the high half.
const BBOX: [u8; 2] = [42, 43];

/// Where an instruction leads.
enum Flow {
    /// To the next one.
    Next,
    /// The program counter is set already.
    Jump,
    /// Nowhere yet: it is executed again when this has ended.
    Block(Block),
}

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
            if self.depth == 0 && decode::reserved(raw) != 0 {
                let place = Place::Queue {
                    group: cx.group,
                    queue: cx.queue,
                };
                cx.bus.env.record(
                    record::Kind::StreamEncoding,
                    place,
                    raw,
                    "reserved bits in an instruction of the ring",
                );
            }
            let instr = decode::decode(raw, cx.limits).map_err(|_| invalid)?;
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

    fn advance(&mut self) {
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
    fn unwind(&mut self) {
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
                return self.sync_wait(cx, addr, value, wide, greater, reject, invalid);
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

    fn run_job(
        &mut self,
        cx: &mut Cx<'_, '_>,
        endpoint: Endpoint,
        progress: bool,
    ) -> Result<Flow, Trouble> {
        // After an error nothing is drawn or computed until the next barrier.
        if self.error {
            return Ok(Flow::Next);
        }
        let (available, resource) = match endpoint {
            Endpoint::Compute => (cx.endpoints.compute, 1),
            Endpoint::Fragment => (cx.endpoints.fragment, 2),
            Endpoint::Tiling => (cx.endpoints.tiler && cx.endpoints.compute, 8),
        };
        if !available {
            return Ok(Flow::Block(Block::Resource(resource)));
        }
        if !self.ops.has_room() {
            return Ok(Flow::Block(Block::Deferred));
        }
        if endpoint == Endpoint::Tiling && !self.consume_heap(cx)? {
            return Ok(Flow::Jump);
        }
        let time = if *cx.hang > 0 {
            *cx.hang -= 1;
            ops::FOREVER
        } else {
            self.duration(endpoint)
        };
        let flags = if progress { ops::PROGRESS } else { 0 };
        let signal = self.sb_endpoint;
        let op = Op {
            kind: Kind::Job,
            flags,
            addr: 0,
            value: 0,
            wait: 0,
            signal,
            running: false,
            time,
        };
        Ok(match self.ops.push(op) {
            Ok(()) => Flow::Next,
            Err(ops::Full) => Flow::Block(Block::Deferred),
        })
    }

    fn duration(&self, endpoint: Endpoint) -> u64 {
        let product = |regs: &[u8]| {
            regs.iter()
                .fold(1u64, |n, &reg| n.saturating_mul(u64::from(self.reg(reg))))
        };
        let time = match endpoint {
            Endpoint::Compute => {
                COMPUTE_NS.saturating_add(product(&JOB_SIZE).saturating_mul(WORKGROUP_NS))
            }
            Endpoint::Tiling => {
                DRAW_NS.saturating_add(product(&DRAW_SIZE).saturating_mul(VERTEX_NS))
            }
            Endpoint::Fragment => {
                let [min, max] = BBOX.map(|reg| self.reg(reg));
                let extent = |shift: u32| {
                    let (low, high) = (min >> shift & 0xffff, max >> shift & 0xffff);
                    u64::from(high.saturating_sub(low)) / 16 + 1
                };
                FRAGMENT_NS.saturating_add(extent(0) * extent(16) * TILE_NS)
            }
        };
        time.min(LONGEST_NS)
    }

    fn count_progress(&mut self, cx: &mut Cx<'_, '_>) {
        if let Some(count) = cx.progress.get_mut(usize::from(cx.queue)) {
            *count = count.wrapping_add(1);
        }
    }

    fn load(
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

    fn store(
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

    #[allow(clippy::too_many_arguments)]
    fn sync_wait(
        &mut self,
        cx: &mut Cx<'_, '_>,
        addr: u64,
        value: u64,
        wide: bool,
        greater: bool,
        reject: bool,
        invalid: Trouble,
    ) -> Result<Flow, Trouble> {
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
    fn complete(&mut self, cx: &mut Cx<'_, '_>) -> Result<(), Trouble> {
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

    fn carry_out(&mut self, cx: &mut Cx<'_, '_>, op: &Op) -> Result<(), Trouble> {
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
    fn sync(&mut self, cx: &mut Cx<'_, '_>, op: &Op) -> Result<(), Trouble> {
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
