// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A stream of a group slot, in verbs.

use super::{
    group::Doorbell,
    layout::{
        cs::{
            self,
            input,
            output,
            req,
            wait, //
        },
        ACK,
        REQ, //
    },
    words::Pair,
    Firmware,
};
use crate::vm::GpuVa;

/// The ring buffer of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsRing {
    /// Start of the ring buffer, in the group's VM.
    pub(crate) base: GpuVa,
    /// Bytes; a power of two.
    pub(crate) size: u32,
    /// Block with what the host has written, in the MCU's VM.
    pub(crate) input: GpuVa,
    /// Block with what the GPU has read, in the MCU's VM.
    pub(crate) output: GpuVa,
    /// 0 to 15, among the streams of the group.
    pub(crate) priority: u8,
    /// The doorbell that is rung for it.
    pub(crate) doorbell: Doorbell,
}

/// What has stopped a stream or a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception {
    /// Exception code.
    pub(crate) code: u8,
    /// More about it; 24 bits.
    pub(crate) data: u32,
    /// Even more; what it means depends on the code.
    pub(crate) info: u64,
}

impl Exception {
    fn new(word: u32, info: u64) -> Self {
        let [code, ..] = word.to_le_bytes();
        Self {
            code,
            data: word >> 8,
            info,
        }
    }

    /// Name of the code, as in the hardware's documentation.
    pub(crate) fn name(&self) -> &'static str {
        match self.code {
            0x00 => "OK",
            0x04 => "TERMINATED",
            0x05 => "KABOOM",
            0x06 => "EUREKA",
            0x08 => "ACTIVE",
            0x0f => "CS_RES_TERM",
            0x3f => "MAX_NON_FAULT",
            0x40 => "CS_CONFIG_FAULT",
            0x41 => "CS_UNRECOVERABLE",
            0x44 => "CS_ENDPOINT_FAULT",
            0x48 => "CS_BUS_FAULT",
            0x49 => "CS_INSTR_INVALID",
            0x4a => "CS_CALL_STACK_OVERFLOW",
            0x4b => "CS_INHERIT_FAULT",
            0x50 => "INSTR_INVALID_PC",
            0x51 => "INSTR_INVALID_ENC",
            0x55 => "INSTR_BARRIER_FAULT",
            0x58 => "DATA_INVALID_FAULT",
            0x59 => "TILE_RANGE_FAULT",
            0x5a => "ADDR_RANGE_FAULT",
            0x5b => "IMPRECISE_FAULT",
            0x60 => "OOM",
            0x68 => "CSF_FW_INTERNAL_ERROR",
            0x69 => "CSF_RES_EVICTION_TIMEOUT",
            0x80 => "GPU_BUS_FAULT",
            0x88 => "GPU_SHAREABILITY_FAULT",
            0x89 => "SYS_SHAREABILITY_FAULT",
            0x8a => "GPU_CACHEABILITY_FAULT",
            0xc0..=0xc4 => "TRANSLATION_FAULT",
            0xc8..=0xcb => "PERM_FAULT",
            0xd9..=0xdb => "ACCESS_FLAG",
            0xe0 => "ADDR_SIZE_FAULT_IN",
            0xe4..=0xe7 => "ADDR_SIZE_FAULT_OUT",
            0xe8..=0xeb => "MEM_ATTR_FAULT",
            _ => "UNKNOWN",
        }
    }

    /// Whether only a reset of the GPU helps.
    pub(crate) fn is_unrecoverable(&self) -> bool {
        self.code == 0x41
    }
}

/// Events of a stream that were waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsEvents {
    /// The stream is dead.
    pub(crate) fatal: Option<Exception>,
    /// A job has failed; the stream goes on behind its error barrier.
    pub(crate) fault: Option<Exception>,
    /// The tiler needs memory. Not acknowledged before [`Cs::tiler_oom_reply`].
    pub(crate) tiler_oom: bool,
}

/// A wait for a sync object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncWait {
    /// Address of the object, in the group's VM.
    pub(crate) va: GpuVa,
    /// Value that it is compared with, without a sign.
    pub(crate) value: u64,
    /// The object has 64 bits, not 32.
    pub(crate) is_64bit: bool,
    /// It waits until the object is greater; otherwise, until it is less or equal.
    pub(crate) greater: bool,
}

/// Why a stream does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// It does.
    No,
    /// It waits for scoreboard entries.
    ScoreboardWait,
    /// It waits for progress of another stream.
    ProgressWait,
    /// It waits for a sync object.
    SyncWait(SyncWait),
    /// It waits for deferred instructions.
    Deferred,
    /// It waits for a resource.
    Resource,
    /// It waits for a cache flush.
    Flush,
    /// Something that the driver does not know.
    Other(u32),
}

/// What a stream was doing when its status was updated last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsStatus {
    /// Why it does not go on.
    pub(crate) blocked: Blocked,
    /// Scoreboard entries in use.
    pub(crate) scoreboards: u32,
}

/// State of the tiler heap when it has run out of memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeapOom {
    /// Address of the heap context.
    pub(crate) address: u64,
    /// Tiling passes started.
    pub(crate) vt_start: u32,
    /// Tiling passes finished.
    pub(crate) vt_end: u32,
    /// Fragment passes finished.
    pub(crate) frag_end: u32,
}

/// A stream.
#[derive(Clone, Copy)]
pub(crate) struct Cs<'a> {
    fw: &'a Firmware,
    pair: &'a Pair,
}

impl<'a> Cs<'a> {
    pub(super) fn new(fw: &'a Firmware, pair: &'a Pair) -> Self {
        Self { fw, pair }
    }

    /// Describes the ring buffer, and asks for the stream to be started with its group.
    pub(crate) fn program(&self, ring: &CsRing) {
        let (shared, input) = (self.fw.shared(), self.pair.input);
        shared.write64(input, input::RING_BASE, ring.base.get());
        shared.write(input, input::RING_SIZE, ring.size);
        shared.write64(input, input::RING_INPUT, ring.input.get());
        shared.write64(input, input::RING_OUTPUT, ring.output.get());
        let config = u32::from(ring.priority) & 0xf | u32::from(ring.doorbell.index()) << 8;
        shared.write(input, input::CONFIG, config);
        shared.write(input, input::ACK_IRQ_MASK, u32::MAX);

        let idle = req::IDLE_SYNC_WAIT | req::IDLE_EMPTY;
        shared.update(input, REQ, idle | req::STATE_START, idle | req::STATE);
    }

    /// Asks for the stream to be stopped.
    pub(crate) fn stop(&self) {
        self.fw.shared().update(self.pair.input, REQ, 0, req::STATE);
    }

    /// The events that are waiting. They wait until [`Cs::acknowledge`], or [`Cs::tiler_oom_reply`].
    pub(crate) fn events(&self) -> CsEvents {
        let shared = self.fw.shared();
        let exception = |word, info| {
            Exception::new(
                shared.read(self.pair.output, word),
                shared.read64(self.pair.output, info),
            )
        };

        let all = req::FATAL | req::FAULT | req::TILER_OOM;
        let events = shared.pending(self.pair, REQ, ACK, all);
        CsEvents {
            fatal: (events & req::FATAL != 0).then(|| exception(output::FATAL, output::FATAL_INFO)),
            fault: (events & req::FAULT != 0).then(|| exception(output::FAULT, output::FAULT_INFO)),
            tiler_oom: events & req::TILER_OOM != 0,
        }
    }

    /// The errors among these events have been dealt with: the stream goes on, and may report others.
    pub(crate) fn acknowledge(&self, events: &CsEvents) {
        let shared = self.fw.shared();
        let fatal = events.fatal.map_or(0, |_| req::FATAL);
        let fault = events.fault.map_or(0, |_| req::FAULT);

        if fatal | fault != 0 {
            let ack = shared.read(self.pair.output, ACK);
            shared.update(self.pair.input, REQ, ack, fatal | fault);
        }
    }

    /// What the stream was doing when its group's status was updated last, or when it was suspended.
    pub(crate) fn status(&self) -> CsStatus {
        let (shared, output) = (self.fw.shared(), self.pair.output);
        let read = |at| shared.read(output, at);

        let blocked = match read(output::STATUS_BLOCKED_REASON) & cs::BLOCKED_REASON {
            0 => Blocked::No,
            1 => Blocked::ScoreboardWait,
            2 => Blocked::ProgressWait,
            3 => {
                let status = read(output::STATUS_WAIT);
                let is_64bit = status & wait::SYNC_64BIT != 0;
                let low = read(output::STATUS_WAIT_SYNC_VALUE);
                let high = if is_64bit {
                    read(output::STATUS_WAIT_SYNC_VALUE_HI)
                } else {
                    0
                };
                Blocked::SyncWait(SyncWait {
                    va: GpuVa::new(shared.read64(output, output::STATUS_WAIT_SYNC_PTR)),
                    value: crate::regs::join(low, high),
                    is_64bit,
                    greater: status & wait::COND == wait::COND_GREATER,
                })
            }
            4 => Blocked::Deferred,
            5 => Blocked::Resource,
            6 => Blocked::Flush,
            reason => Blocked::Other(reason),
        };
        CsStatus {
            blocked,
            scoreboards: read(output::STATUS_SCOREBOARDS),
        }
    }

    /// Whether a request for tiler memory has not been answered.
    pub(crate) fn is_tiler_oom(&self) -> bool {
        let pending = self
            .fw
            .shared()
            .pending(self.pair, REQ, ACK, req::TILER_OOM);
        pending != 0
    }

    /// State of the tiler heap.
    pub(crate) fn heap(&self) -> HeapOom {
        let (shared, output) = (self.fw.shared(), self.pair.output);
        HeapOom {
            address: shared.read64(output, output::HEAP_ADDRESS),
            vt_start: shared.read(output, output::HEAP_VT_START),
            vt_end: shared.read(output, output::HEAP_VT_END),
            frag_end: shared.read(output, output::HEAP_FRAG_END),
        }
    }

    /// Answers a request for tiler memory with a chunk, or with 0: there is none.
    pub(crate) fn tiler_oom_reply(&self, chunk: u64) {
        let (shared, input) = (self.fw.shared(), self.pair.input);
        shared.write64(input, input::HEAP_START, chunk);
        shared.write64(input, input::HEAP_END, chunk);
        let ack = shared.read(self.pair.output, ACK);
        shared.update(input, REQ, ack, req::TILER_OOM);
    }
}
