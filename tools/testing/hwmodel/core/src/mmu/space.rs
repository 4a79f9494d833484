// SPDX-License-Identifier: GPL-2.0 OR MIT

//! One address space slot: its registers, its command protocol and its state.

use crate::bits::high;
use crate::bits::low;
use crate::bits::set_half;
use crate::bus::Env;
use crate::counters::Counter;
use crate::host::Line;
use crate::inject::due;
use crate::inject::NEVER;
use crate::record::Kind;
use crate::record::Place;

use super::config::Mode;
use super::dirty::Dirty;
use super::tlb::Tlb;
use super::Access;
use super::Fault;
use super::MmuError;
use super::Requester;

/// How long a command takes.
pub const COMMAND_NS: u64 = 5_000;

const TRANSTAB_LO: u32 = 0x00;
const TRANSTAB_HI: u32 = 0x04;
const MEMATTR_LO: u32 = 0x08;
const MEMATTR_HI: u32 = 0x0c;
const LOCKADDR_LO: u32 = 0x10;
const LOCKADDR_HI: u32 = 0x14;
const COMMAND: u32 = 0x18;
const FAULTSTATUS: u32 = 0x1c;
const FAULTADDRESS_LO: u32 = 0x20;
const FAULTADDRESS_HI: u32 = 0x24;
const STATUS: u32 = 0x28;
const TRANSCFG_LO: u32 = 0x30;
const TRANSCFG_HI: u32 = 0x34;
const FAULTEXTRA_LO: u32 = 0x38;
const FAULTEXTRA_HI: u32 = 0x3c;

const STATUS_ACTIVE: u32 = 1 << 0;

/// log2 of the smallest region that can be locked.
const LOCK_SHIFT_MIN: u64 = 15;

/// A command of AS_COMMAND that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Takes over TRANSTAB, TRANSCFG and MEMATTR.
    Update,
    /// Stalls accesses to a region.
    Lock,
    /// Drops cached translations of the locked region and lets accesses go on.
    Unlock,
    /// Like unlock, after a flush of the L2. Without a locked region it covers everything.
    FlushPt,
    /// Like unlock, after a flush of all caches. Without a locked region it covers everything.
    FlushMem,
}

/// A locked region, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    first: u64,
    last: u64,
}

/// One slot.
pub struct Space {
    transtab: u64,
    memattr: u64,
    lockaddr: u64,
    transcfg: u64,
    fault_status: u32,
    fault_address: u64,
    command: Option<(Command, u64)>,
    /// STATUS has not yet shown the latest command.
    unseen: bool,
    region: Option<Region>,
    /// The region of a LOCK in progress.
    locking: Option<Region>,
    /// The configuration in force.
    pub mode: Mode,
    /// A fault was reported and the slot has not been updated since: requesters that fault stall.
    pub faulted: bool,
    /// Commands that shall hang.
    pub hangs: u32,
    /// Accesses to this page fault, with this EXCEPTION_TYPE, until that has been reported and an UPDATE came.
    pub injected: Option<(u64, u8)>,
    /// Cached translations.
    pub tlb: Tlb,
    /// Written and perhaps not in memory yet.
    pub dirty: Dirty,
}

impl Space {
    /// As after a reset.
    pub(crate) const fn new() -> Self {
        Self {
            transtab: 0,
            memattr: 0,
            lockaddr: 0,
            transcfg: 0,
            fault_status: 0,
            fault_address: 0,
            command: None,
            unseen: false,
            region: None,
            locking: None,
            mode: Mode::Unmapped,
            faulted: false,
            hangs: 0,
            injected: None,
            tlb: Tlb::new(),
            dirty: Dirty::new(),
        }
    }

    /// Everything but injected misbehaviour goes back to the state after a reset.
    pub fn reset(&mut self) {
        self.transtab = 0;
        self.memattr = 0;
        self.lockaddr = 0;
        self.transcfg = 0;
        self.fault_status = 0;
        self.fault_address = 0;
        self.command = None;
        self.unseen = false;
        self.region = None;
        self.locking = None;
        self.mode = Mode::Unmapped;
        self.faulted = false;
        self.tlb.clear();
        self.dirty.clean();
    }

    /// Reads register `reg` of the slot; `off` is its offset in the block, for records.
    pub fn read(&mut self, env: &mut Env<'_>, off: u32, reg: u32) -> u32 {
        match reg {
            TRANSTAB_LO => low(self.transtab),
            TRANSTAB_HI => high(self.transtab),
            MEMATTR_LO => low(self.memattr),
            MEMATTR_HI => high(self.memattr),
            LOCKADDR_LO => low(self.lockaddr),
            LOCKADDR_HI => high(self.lockaddr),
            COMMAND => {
                env.record(Kind::WriteOnly, Place::Register(off), 0, "AS_COMMAND");
                0
            }
            FAULTSTATUS => self.fault_status,
            FAULTADDRESS_LO => low(self.fault_address),
            FAULTADDRESS_HI => high(self.fault_address),
            STATUS => self.poll(env.now),
            TRANSCFG_LO => low(self.transcfg),
            TRANSCFG_HI => high(self.transcfg),
            FAULTEXTRA_LO | FAULTEXTRA_HI => 0,
            _ => {
                env.record(Kind::Hole, Place::Register(off), 0, "read");
                0
            }
        }
    }

    /// Writes register `reg` of the slot.
    pub fn write(
        &mut self,
        env: &mut Env<'_>,
        off: u32,
        reg: u32,
        value: u32,
        delay: u64,
        va_bits: u32,
    ) {
        let place = Place::Register(off);
        let target = match reg {
            TRANSTAB_LO | TRANSTAB_HI => &mut self.transtab,
            MEMATTR_LO | MEMATTR_HI => &mut self.memattr,
            LOCKADDR_LO | LOCKADDR_HI => &mut self.lockaddr,
            TRANSCFG_LO | TRANSCFG_HI => &mut self.transcfg,
            COMMAND => return self.start(env, place, value, delay, va_bits),
            FAULTSTATUS | FAULTADDRESS_LO | FAULTADDRESS_HI | STATUS | FAULTEXTRA_LO
            | FAULTEXTRA_HI => {
                env.record(Kind::ReadOnly, place, u64::from(value), "");
                return;
            }
            _ => {
                env.record(Kind::Hole, place, u64::from(value), "write");
                return;
            }
        };
        if self.command.is_some() {
            env.record(
                Kind::AsBusy,
                place,
                u64::from(value),
                "register written while active",
            );
            return;
        }
        set_half(target, reg, value);
    }

    fn start(&mut self, env: &mut Env<'_>, place: Place, value: u32, delay: u64, va_bits: u32) {
        if self.command.is_some() {
            env.record(
                Kind::AsBusy,
                place,
                u64::from(value),
                "command while active",
            );
            return;
        }
        let command = match value {
            0 => return,
            1 => Command::Update,
            2 => Command::Lock,
            3 => Command::Unlock,
            4 => Command::FlushPt,
            5 => Command::FlushMem,
            _ => {
                env.record(Kind::AsCommand, place, u64::from(value), "");
                return;
            }
        };
        match command {
            Command::Update => {
                env.count(Counter::AsUpdate);
                if self.region.is_some() {
                    env.record(Kind::AsLive, place, self.transtab, "update under a lock");
                }
            }
            Command::Lock => {
                env.count(Counter::AsLock);
                let region = match self.lock_region(va_bits) {
                    Ok(region) => region,
                    Err(note) => {
                        env.record(Kind::AsLockRegion, place, self.lockaddr, note);
                        return;
                    }
                };
                // A lock in place of another one is no mistake in itself: drivers widen a region so.
                // What was locked before goes on with the translations that it had.
                self.locking = Some(region);
            }
            Command::Unlock => {
                env.count(Counter::AsUnlock);
                // A slot that was disabled under the lock (its fault handler did so) lost that
                // lock; who held it unlocks nevertheless.
                if self.region.is_none() && self.mode != Mode::Unmapped {
                    env.record(Kind::AsUnlocked, place, u64::from(value), "unlock");
                }
            }
            Command::FlushPt | Command::FlushMem => env.count(Counter::AsFlush),
        }
        self.command = Some((command, due(env.now, delay, &mut self.hangs)));
        self.unseen = delay == COMMAND_NS;
        env.host.wake();
    }

    fn lock_region(&self, va_bits: u32) -> Result<Region, &'static str> {
        let shift = (self.lockaddr & 0x3f) + 1;
        let base = self.lockaddr & !0x3f;
        if shift < LOCK_SHIFT_MIN {
            return Err("smaller than 32 KiB");
        }
        if shift > u64::from(va_bits) {
            return Err("larger than the address space");
        }
        let mask = (1u64 << shift) - 1;
        // The bits below the size are ignored. The topmost of them is commonly set: the size field
        // is the log2 minus one, and software aligns the base to that. Lower ones are a mistake.
        if base & (mask >> 1) != 0 {
            return Err("base is not aligned to the size");
        }
        if base >> va_bits != 0 {
            return Err("base is beyond the address space");
        }
        Ok(Region {
            first: base & !mask,
            last: base | mask,
        })
    }

    /// STATUS. Its first read after a command shows the command, and the command is complete for
    /// the second read: so everybody who polls does so twice, and the counts of register accesses
    /// don't depend on how fast the host is. Commands that were made slow take their time.
    fn poll(&mut self, now: u64) -> u32 {
        if core::mem::take(&mut self.unseen) {
            match &mut self.command {
                Some((_, due)) if *due != NEVER => *due = now,
                _ => (),
            }
            return STATUS_ACTIVE;
        }
        match self.command {
            Some(_) => STATUS_ACTIVE,
            None => 0,
        }
    }

    /// Takes the command that has run for its time.
    pub fn take_due(&mut self, now: u64) -> Option<Command> {
        match self.command {
            Some((command, due)) if now >= due => {
                self.command = None;
                Some(command)
            }
            _ => None,
        }
    }

    /// Commands behave well again; one that hung goes on from now.
    pub fn clear_injections(&mut self, now: u64) {
        self.hangs = 0;
        self.injected = None;
        if let Some((_, due)) = &mut self.command {
            if *due == NEVER {
                *due = now;
            }
        }
    }

    /// When the command in progress completes.
    pub fn deadline(&self) -> Option<u64> {
        self.command.map(|(_, due)| due).filter(|&due| due != NEVER)
    }

    /// Takes over the written configuration.
    pub fn update(
        &mut self,
        env: &mut Env<'_>,
        place: Place,
        va_bits: u32,
        pa_bits: u32,
        coherent: bool,
    ) {
        let decoded = Mode::decode(self.transtab, self.transcfg, self.memattr, va_bits, pa_bits);
        self.mode = match decoded {
            Ok(mode) => mode,
            Err(note) => {
                env.record(Kind::AsConfig, place, self.transcfg, note);
                Mode::Unmapped
            }
        };
        // Walks snoop the CPU's caches if and only if the bus is coherent.
        let snooping = (self.transcfg >> 28) & 3 != 0;
        if matches!(self.mode, Mode::Table(_)) && snooping != coherent {
            env.record(
                Kind::AsConfig,
                place,
                self.transcfg,
                "PTW_SH contradicts the coherency",
            );
        }
        self.region = None;
        if core::mem::take(&mut self.faulted) {
            self.injected = None;
        }
        self.tlb.clear();
        self.dirty.clean();
        env.count(Counter::TlbInvalidate);
    }

    /// The region of a LOCK is locked from now on: what was in flight is complete.
    pub fn lock(&mut self) {
        self.region = self.locking.take();
    }

    /// Drops cached translations of the locked region, or all if none is locked, and the lock.
    pub fn release(&mut self, env: &mut Env<'_>) {
        match self.region.take() {
            Some(region) => self.tlb.invalidate(region.first, region.last),
            None => self.tlb.clear(),
        }
        env.count(Counter::TlbInvalidate);
    }

    /// Whether an UPDATE is in progress.
    pub fn is_updating(&self) -> bool {
        matches!(self.command, Some((Command::Update, _)))
    }

    /// Whether accesses to this address stall.
    pub fn is_locked(&self, va: u64) -> bool {
        self.region.is_some_and(|r| r.first <= va && va <= r.last)
    }

    /// Reports a fault, or stalls the requester behind an earlier one.
    pub fn fault(
        &mut self,
        env: &mut Env<'_>,
        who: Requester,
        va: u64,
        access: Access,
        code: u8,
    ) -> MmuError {
        if self.faulted {
            return MmuError::Stalled;
        }
        self.faulted = true;
        self.fault_status = u32::from(code) | (access.code() << 8) | (u32::from(who.source) << 16);
        self.fault_address = va;
        env.count(Counter::Faults);
        env.raise(
            Line::Mmu,
            1u32.checked_shl(u32::from(who.as_nr)).unwrap_or(0),
        );
        MmuError::Fault(Fault {
            as_nr: who.as_nr,
            va,
            code,
            access,
            source: who.source,
        })
    }
}
