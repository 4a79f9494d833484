// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Encoding of the command-stream instructions that the driver itself writes.
//!
//! An instruction is a 64-bit word with the opcode in bits 63:56. Opcodes and fields are those
//! of the public description of the Valhall CSF instruction set (Mesa's `genxml/v10.xml`);
//! arch 10 to 13 agree on the instructions used here.

use super::{
    JOB_INSTRS, //
};

/// Index of a 32-bit command-stream register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reg(u8);

const OP_MOVE48: u64 = 1;
const OP_MOVE32: u64 = 2;
const OP_WAIT: u64 = 3;
const OP_CALL: u64 = 32;
const OP_FLUSH_CACHE2: u64 = 36;
const OP_STORE_STATE: u64 = 40;
const OP_ERROR_BARRIER: u64 = 47;
const OP_SYNC_ADD64: u64 = 51;

/// L2 and load/store caches: clean and invalidate. Other caches: invalidate.
const FLUSH_CLEAN_INVALIDATE_ALL: u64 = 0x233;

/// SYNC_*: a fault before the instruction is written into the object's error word.
const SYNC_PROPAGATE_ERROR: u64 = 1;

/// Low 48 bits: the width of MOVE48's immediate.
const IMM48: u64 = (1 << 48) - 1;

const fn op(opcode: u64) -> u64 {
    opcode << 56
}

/// `dst:dst+1 = imm` (48 bits, zero-extended).
fn move48(dst: Reg, imm: u64) -> u64 {
    op(OP_MOVE48) | (u64::from(dst.0) << 48) | (imm & IMM48)
}

/// `dst = imm`.
fn move32(dst: Reg, imm: u32) -> u64 {
    op(OP_MOVE32) | (u64::from(dst.0) << 48) | u64::from(imm)
}

/// Waits until all scoreboard entries in `mask` are zero.
fn wait(mask: u16) -> u64 {
    op(OP_WAIT) | (u64::from(mask) << 16)
}

/// Calls the stream at the address in `addr:addr+1`, of the length in bytes in `len`.
fn call(addr: Reg, len: Reg) -> u64 {
    op(OP_CALL) | (u64::from(addr.0) << 40) | (u64::from(len.0) << 32)
}

/// Flushes all caches unless a flush happened after the one that `flush_id` names; deferred,
/// signals scoreboard entry 0.
fn flush_cache2(flush_id: Reg) -> u64 {
    op(OP_FLUSH_CACHE2) | (u64::from(flush_id.0) << 40) | FLUSH_CLEAN_INVALIDATE_ALL
}

/// What STORE_STATE stores.
#[derive(Clone, Copy)]
enum Counter {
    Timestamp,
    Cycles,
}

/// Stores a counter as 64 bits at the address in `addr:addr+1` plus `offset`, before the next
/// instruction. With a mask of scoreboard entries to wait for it would be deferred, and would
/// have to signal an entry that it does not wait for.
fn store_state(addr: Reg, counter: Counter, offset: i16) -> u64 {
    let counter = match counter {
        Counter::Timestamp => 0u64,
        Counter::Cycles => 1,
    };
    let [low, high] = offset.to_le_bytes();
    op(OP_STORE_STATE)
        | (u64::from(addr.0) << 40)
        | (counter << 32)
        | u64::from(u16::from_le_bytes([low, high]))
}

/// Adds the 64-bit value in `value:value+1` to the sync object at `addr:addr+1`, in system
/// scope, so that the host is told with a SYNC_UPDATE event.
fn sync_add64(addr: Reg, value: Reg) -> u64 {
    op(OP_SYNC_ADD64)
        | (u64::from(addr.0) << 40)
        | (u64::from(value.0) << 32)
        | SYNC_PROPAGATE_ERROR
}

/// Faults before this point don't stop the instructions after it.
fn error_barrier() -> u64 {
    op(OP_ERROR_BARRIER)
}

/// What the driver needs to know to call one user-space command stream from the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobCall {
    /// GPU address of the stream, in the group's VM; below 2^48.
    pub(crate) stream_addr: u64,
    /// Length of the stream in bytes, a multiple of 8.
    pub(crate) stream_size: u32,
    /// LATEST_FLUSH as read when the stream was written; 0 flushes in any case.
    pub(crate) latest_flush: u32,
    /// GPU address of the queue's 64-bit sync object.
    pub(crate) sync_addr: u64,
    /// Where the job's counters go, in bytes from the sync object. See [`Stamp`].
    pub(crate) stamps: i16,
    /// First of the four registers that the driver may overwrite.
    pub(crate) scratch: Reg,
    /// Number of scoreboard entries of a command stream, at most 16.
    pub(crate) scoreboards: u32,
}

/// Counters that a job leaves behind, each 64 bits wide.
#[derive(Clone, Copy)]
pub(crate) enum Stamp {
    /// Core clock cycles, before the job.
    CyclesBefore,
    /// Core clock cycles, when all that the job has started is done.
    CyclesAfter,
    /// The system timestamp, before the job.
    TimeBefore,
    /// The system timestamp after it.
    TimeAfter,
}

/// Bytes that the counters of one job take.
pub(crate) const STAMPS_SIZE: usize = 32;

impl Stamp {
    /// Where it is among the counters of a job, in bytes.
    pub(crate) const fn offset(self) -> u8 {
        match self {
            Self::CyclesBefore => 0,
            Self::CyclesAfter => 8,
            Self::TimeBefore => 16,
            Self::TimeAfter => 24,
        }
    }
}

impl Reg {
    /// First scratch register of command streams with `work_regs` registers, of which the last
    /// `unpreserved` belong to the driver.
    pub(crate) fn scratch(work_regs: u32, unpreserved: u32) -> Option<Self> {
        work_regs
            .checked_sub(unpreserved)
            .and_then(|n| u8::try_from(n).ok())
            .filter(|n| *n <= u8::MAX - 3)
            .map(Self)
    }
}

impl JobCall {
    /// The job's ring contents.
    ///
    /// Flush the caches as far as the stream's writer could not know of (its own reads of the
    /// stream come through them), call the stream, wait for everything that it left running,
    /// add one to the queue's sync object, and keep a fault in this job from reaching the next.
    /// Counters are stored before the call and after that wait. Their place is given by its
    /// distance from the sync object, whose address is at hand.
    pub(crate) fn encode(&self) -> [u64; JOB_INSTRS as usize] {
        let addr = self.scratch;
        let value = Reg(self.scratch.0 + 2);
        let all_scoreboards = match self.scoreboards {
            0..=15 => (1u16 << self.scoreboards) - 1,
            _ => u16::MAX,
        };
        let stamp = |stamp: Stamp, counter| {
            let offset = self.stamps.saturating_add(i16::from(stamp.offset()));
            store_state(addr, counter, offset)
        };
        [
            move32(value, self.latest_flush),
            flush_cache2(value),
            move48(addr, self.sync_addr),
            stamp(Stamp::CyclesBefore, Counter::Cycles),
            stamp(Stamp::TimeBefore, Counter::Timestamp),
            move48(addr, self.stream_addr),
            move32(value, self.stream_size),
            wait(1 << 0),
            call(addr, value),
            move48(addr, self.sync_addr),
            move48(value, 1),
            wait(all_scoreboards),
            stamp(Stamp::CyclesAfter, Counter::Cycles),
            stamp(Stamp::TimeAfter, Counter::Timestamp),
            sync_add64(addr, value),
            error_barrier(),
        ]
    }
}

#[kernel::macros::kunit_tests(mali_csf_ring_instr)]
mod tests {
    use super::*;

    fn example() -> JobCall {
        JobCall {
            stream_addr: 0x7fff_ffff_f000,
            stream_size: 0x40,
            latest_flush: 0x123456,
            sync_addr: 0xffff_0000_1010,
            stamps: 0x140,
            scratch: Reg(92),
            scoreboards: 8,
        }
    }

    #[test]
    fn a_job_is_the_documented_sequence() {
        let words = example().encode();
        assert_eq!(words[0], 0x025e_0000_0012_3456);
        assert_eq!(words[1], 0x2400_5e00_0000_0233);
        assert_eq!(words[2], 0x015c_ffff_0000_1010);
        assert_eq!(words[3], 0x2800_5c01_0000_0140);
        assert_eq!(words[4], 0x2800_5c00_0000_0150);
        assert_eq!(words[5], 0x015c_7fff_ffff_f000);
        assert_eq!(words[6], 0x025e_0000_0000_0040);
        assert_eq!(words[7], 0x0300_0000_0001_0000);
        assert_eq!(words[8], 0x2000_5c5e_0000_0000);
        assert_eq!(words[9], 0x015c_ffff_0000_1010);
        assert_eq!(words[10], 0x015e_0000_0000_0001);
        assert_eq!(words[11], 0x0300_0000_00ff_0000);
        assert_eq!(words[12], 0x2800_5c01_0000_0148);
        assert_eq!(words[13], 0x2800_5c00_0000_0158);
        assert_eq!(words[14], 0x3300_5c5e_0000_0001);
        assert_eq!(words[15], 0x2f00_0000_0000_0000);
    }

    #[test]
    fn an_address_beyond_48_bits_can_not_change_the_opcode() {
        let mut job = example();
        job.stream_addr = 0xff00_0000_0000_0040;
        assert_eq!(job.encode()[5], 0x015c_0000_0000_0040);
    }

    #[test]
    fn sixteen_scoreboards_are_all_waited_for() {
        let mut job = example();
        job.scoreboards = 16;
        assert_eq!(job.encode()[11], 0x0300_0000_ffff_0000);
    }

    #[test]
    fn scratch_registers_are_the_last_ones() {
        assert_eq!(Reg::scratch(96, 4), Some(Reg(92)));
        assert_eq!(Reg::scratch(2, 4), None);
        assert_eq!(Reg::scratch(260, 4), None);
    }
}
