// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The state of a stream.

use super::decode::Limits;
use super::decode::Scope;
use super::ops::Ops;
use super::ops::FOREVER;
use super::ring::Ring;
use crate::bits::high;
use crate::bits::low;
use crate::bus::Bus;
use crate::mcu::layout::cs_out;
use crate::mmu::Requester;

/// Registers of a stream.
pub(crate) const REGISTERS: usize = 96;

/// Nested calls.
pub(crate) const CALL_DEPTH: usize = 8;

/// Which endpoints a group may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// Shader cores for compute work.
    pub(crate) compute: bool,
    /// Shader cores for fragment work.
    pub(crate) fragment: bool,
    /// The tiler.
    pub(crate) tiler: bool,
}

impl Endpoints {
    /// As REQ_RESOURCE counts them.
    pub(crate) fn resources(self) -> u8 {
        u8::from(self.compute)
            | u8::from(self.fragment) << 1
            | u8::from(self.tiler) << 2
            | u8::from(self.tiler && self.compute) << 3
    }
}

/// Where a stream runs.
pub(crate) struct Cx<'a, 'b> {
    /// Memory, time, counters.
    pub(crate) bus: &'a mut Bus<'b>,
    /// The stream on the memory bus.
    pub(crate) who: Requester,
    /// The group slot, for records.
    pub(crate) group: u8,
    /// The stream in its group.
    pub(crate) queue: u8,
    /// Registers and scoreboards.
    pub(crate) limits: Limits,
    /// What the group may use.
    pub(crate) endpoints: Endpoints,
    /// Progress counters of the group's streams.
    pub(crate) progress: &'a mut [u64; crate::mcu::layout::MAX_STREAMS],
    /// So many next jobs hang.
    pub(crate) hang: &'a mut u32,
    /// The widest synchronization update of this burst.
    pub(crate) notify: Option<Scope>,
}

/// Why a stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The address space does not answer now: try again.
    Stall,
    /// The stream is lost.
    Fatal {
        /// [`crate::mcu::layout::exception`].
        kind: u8,
        /// More.
        info: u64,
    },
    /// The instruction failed, the stream goes on after the host has seen it.
    Fault {
        /// [`crate::mcu::layout::exception`].
        kind: u8,
        /// More.
        info: u64,
    },
    /// The tiler heap is exhausted.
    HeapExhausted,
}

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Nothing.
    None,
    /// Scoreboard entries.
    Scoreboard(u16),
    /// A synchronization object.
    Sync {
        /// Its address.
        addr: u64,
        /// The value to compare with.
        value: u64,
        /// 64 bits, not 32.
        wide: bool,
        /// Until it is greater, not less or equal.
        greater: bool,
    },
    /// The progress of a stream.
    Progress,
    /// A place for one more operation in flight.
    Deferred,
    /// Endpoints that the group was not given.
    Resource(u8),
    /// The host's acknowledgement of a fault.
    FaultAck,
    /// The host's answer to an exhausted tiler heap.
    HeapAnswer,
    /// Nothing any more.
    Dead,
}

/// One level of the call stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Next instruction.
    pub(crate) pc: u64,
    /// First byte after the stream.
    pub(crate) end: u64,
}

/// A command stream.
pub(crate) struct Stream {
    /// Whether it was started.
    pub(crate) started: bool,
    /// Its registers.
    pub(crate) regs: [u32; REGISTERS],
    /// Its ring.
    pub(crate) ring: Ring,
    /// The doorbell that wakes it; zero is none.
    pub(crate) doorbell: u8,
    /// 15 is most urgent.
    pub(crate) priority: u8,
    /// What it waits for.
    pub(crate) block: Block,
    /// The event that it waits for may have happened.
    pub(crate) recheck: bool,
    /// EXTRACT in memory is out of date.
    pub(crate) extract_dirty: bool,
    /// The last burst ended because the address space did not answer.
    pub(crate) stalled: bool,
    /// Something failed since the last ERROR_BARRIER.
    pub(crate) error: bool,
    /// The heap context (HEAP_SET).
    pub(crate) heap: u64,
    /// Set while an answer to an exhausted heap is being used: address and size in pages.
    pub(crate) heap_answer: Option<u64>,
    /// Instructions executed in a row since the stream last was in its ring or waited.
    pub(super) spin: u32,
    /// Before this time nothing is executed.
    pub(super) resume: u64,
    pub(super) ops: Ops,
    pub(super) depth: usize,
    pub(super) frames: [Frame; CALL_DEPTH],
    pub(super) sb_endpoint: u8,
    pub(super) sb_other: u8,
    pub(super) resources: u8,
    pub(super) handler: Frame,
    /// Call depth outside of the exception handler while it runs.
    pub(super) handler_depth: Option<usize>,
    /// Bytes of tiler heap that the current draw still needs.
    pub(super) heap_need: u64,
}

impl Stream {
    /// Not started.
    pub(crate) const fn new() -> Self {
        Self {
            started: false,
            regs: [0; REGISTERS],
            ring: Ring::new(),
            doorbell: 0,
            priority: 0,
            block: Block::None,
            recheck: false,
            extract_dirty: false,
            stalled: false,
            error: false,
            heap: 0,
            heap_answer: None,
            spin: 0,
            resume: 0,
            ops: Ops::new(),
            depth: 0,
            frames: [Frame { pc: 0, end: 0 }; CALL_DEPTH],
            sb_endpoint: 0,
            sb_other: 0,
            resources: 0,
            handler: Frame { pc: 0, end: 0 },
            handler_depth: None,
            heap_need: 0,
        }
    }

    /// Forgets everything, in place.
    pub(crate) fn reset(&mut self) {
        self.started = false;
        self.regs.fill(0);
        self.ring = Ring::new();
        self.doorbell = 0;
        self.priority = 0;
        self.block = Block::None;
        self.recheck = false;
        self.extract_dirty = false;
        self.stalled = false;
        self.error = false;
        self.heap = 0;
        self.heap_answer = None;
        self.spin = 0;
        self.resume = 0;
        self.ops.clear();
        self.depth = 0;
        self.frames.fill(Frame::default());
        self.sb_endpoint = 0;
        self.sb_other = 0;
        self.resources = 0;
        self.handler = Frame::default();
        self.handler_depth = None;
        self.heap_need = 0;
    }

    /// Ends the stream for good.
    pub(crate) fn kill(&mut self) {
        self.ops.clear();
        self.block = Block::Dead;
        self.stalled = false;
    }

    /// Address of the current instruction.
    pub(crate) fn pc(&self) -> u64 {
        match self.depth.checked_sub(1).and_then(|d| self.frames.get(d)) {
            Some(frame) => frame.pc,
            None => self.ring.address(),
        }
    }

    /// Whether there is nothing to execute and nothing in flight.
    pub(crate) fn is_drained(&self) -> bool {
        self.ring.is_empty() && self.depth == 0 && self.ops.is_empty()
    }

    /// Whether there is something to execute.
    pub(crate) fn has_instructions(&self) -> bool {
        !self.ring.is_empty() || self.depth != 0
    }

    /// Whether operations are in flight.
    pub(crate) fn is_busy(&self) -> bool {
        !self.ops.is_empty()
    }

    /// Whether a job is in flight.
    pub(crate) fn has_job(&self) -> bool {
        self.ops.has_job()
    }

    /// Whether a job is in flight that will never end.
    pub(crate) fn has_stuck_job(&self) -> bool {
        self.ops.iter().any(|op| op.running && op.time == FOREVER)
    }

    /// Non-zero scoreboard entries.
    pub(crate) fn scoreboards(&self) -> u16 {
        self.ops.busy()
    }

    /// When an operation completes or a pause ends.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let pause = (self.block == Block::None && self.has_instructions()).then_some(self.resume);
        match (self.ops.deadline(), pause) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Endpoint kinds that were asked for.
    pub(crate) fn resources(&self) -> u8 {
        self.resources
    }

    /// Whether another burst could change something right now.
    pub(crate) fn wants_to_run(&self, now: u64) -> bool {
        if !self.started || self.stalled || now < self.resume {
            return false;
        }
        match self.block {
            Block::None => self.has_instructions(),
            Block::Sync { .. } | Block::Progress => self.recheck,
            Block::HeapAnswer => self.heap_answer.is_some(),
            _ => false,
        }
    }

    /// STATUS_BLOCKED_REASON.
    pub(crate) fn blocked_reason(&self) -> u32 {
        match self.block {
            Block::Scoreboard(_) => cs_out::BLOCKED_SB,
            Block::Sync { .. } => cs_out::BLOCKED_SYNC,
            Block::Progress => cs_out::BLOCKED_PROGRESS,
            Block::Deferred => cs_out::BLOCKED_DEFERRED,
            Block::Resource(_) => cs_out::BLOCKED_RESOURCE,
            Block::None | Block::FaultAck | Block::HeapAnswer | Block::Dead => cs_out::BLOCKED_NOT,
        }
    }

    /// STATUS_WAIT.
    pub(crate) fn wait_status(&self) -> u32 {
        match self.block {
            Block::Scoreboard(mask) => u32::from(mask) | cs_out::WAIT_SB_SRC_WAIT,
            Block::Sync { wide, greater, .. } => {
                let mut word = cs_out::WAIT_SYNC;
                if wide {
                    word |= cs_out::WAIT_SYNC_64B;
                }
                if greater {
                    word |= cs_out::WAIT_SYNC_GT;
                }
                word
            }
            Block::Progress => cs_out::WAIT_PROGRESS,
            _ => 0,
        }
    }

    /// Address and value of the synchronization object waited for, else zeros.
    pub(crate) fn wait_sync(&self) -> (u64, u64) {
        match self.block {
            Block::Sync { addr, value, .. } => (addr, value),
            _ => (0, 0),
        }
    }

    pub(super) fn reg(&self, reg: u8) -> u32 {
        self.regs.get(usize::from(reg)).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, reg: u8, value: u32) {
        if let Some(slot) = self.regs.get_mut(usize::from(reg)) {
            *slot = value;
        }
    }

    pub(super) fn reg64(&self, reg: u8) -> u64 {
        u64::from(self.reg(reg)) | u64::from(self.reg(reg.wrapping_add(1))) << 32
    }

    pub(super) fn set64(&mut self, reg: u8, value: u64) {
        self.set(reg, low(value));
        self.set(reg.wrapping_add(1), high(value));
    }
}
