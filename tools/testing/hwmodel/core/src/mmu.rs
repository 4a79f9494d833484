// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The memory management unit: 16 address space slots with their registers, the command protocol,
//! a table walker and a translation cache for each.
//!
//! # Ordering
//!
//! TRANSTAB, TRANSCFG and MEMATTR take effect with the next UPDATE, not when they are written. A
//! LOCK stalls accesses to its region from when it completes until an UNLOCK or a flush of that
//! region completes; only these, UPDATE and a reset drop cached translations. Tables may be edited
//! under a lock, or while the space is not enabled. What the GPU has written to memory that is taken
//! away has to be flushed before the UNLOCK.

pub mod config;
pub mod dirty;
pub mod space;
pub mod tlb;
pub mod walk;

use crate::bus::Env;
use crate::counters::Counter;
use crate::host::Host;
use crate::host::Line;
use crate::record::Kind;
use crate::record::Place;

use config::Mode;
use space::Command;
use space::Space;
use tlb::Entry;
use walk::Walk;

/// Slots with registers. Whether a slot is present is for the product to say.
pub const SPACES: usize = 16;

/// Offset of the first slot's registers.
pub const AS_BASE: u32 = 0x2400;

/// Bytes between two slots.
pub const AS_STRIDE: u32 = 0x40;

/// Smallest page.
pub const PAGE: u64 = 4096;

/// What is done to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
    /// A read-modify-write.
    Atomic,
}

impl Access {
    /// ACCESS_TYPE of AS_FAULTSTATUS.
    pub const fn code(self) -> u32 {
        match self {
            Access::Atomic => 0,
            Access::Execute => 1,
            Access::Read => 2,
            Access::Write => 3,
        }
    }
}

/// Who accesses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The address space slot.
    pub as_nr: u8,
    /// SOURCE_ID of AS_FAULTSTATUS.
    pub source: u16,
}

/// A fault as AS_FAULTSTATUS and AS_FAULTADDRESS report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address space slot.
    pub as_nr: u8,
    /// The virtual address.
    pub va: u64,
    /// EXCEPTION_TYPE.
    pub code: u8,
    /// What was tried.
    pub access: Access,
    /// Who tried.
    pub source: u16,
}

/// Why an access was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MmuError {
    /// The region is locked, or an earlier fault of this address space is not handled yet: the
    /// requester waits and tries again.
    Stalled,
    /// This access faulted. The fault was reported; the requester waits like a stalled one.
    Fault(Fault),
    /// The access was terminated: the address space is disabled, or the bus answered with an error.
    Aborted,
}

/// The MMU.
pub struct Mmu {
    spaces: [Space; SPACES],
    present: u32,
    va_bits: u32,
    pa_bits: u32,
    /// Whether system coherency is on (COHERENCY_ENABLE is not NONE).
    coherent: bool,
    delay_ns: u64,
}

impl Mmu {
    /// As after a reset.
    pub const fn new(product: &'static crate::product::Product) -> Self {
        Self {
            spaces: [const { Space::new() }; SPACES],
            present: product.as_present,
            va_bits: product.va_bits(),
            pa_bits: product.pa_bits(),
            coherent: false,
            delay_ns: space::COMMAND_NS,
        }
    }

    /// Becomes that of another product.
    pub(crate) fn choose(&mut self, product: &'static crate::product::Product) {
        self.present = product.as_present;
        self.va_bits = product.va_bits();
        self.pa_bits = product.pa_bits();
    }

    /// Every slot disabled, nothing cached, nothing locked.
    pub(crate) fn reset(&mut self) {
        for space in &mut self.spaces {
            space.reset();
        }
    }

    /// The caches have nothing any more that is not in memory.
    pub(crate) fn caches_cleaned(&mut self) {
        for space in &mut self.spaces {
            space.dirty.clean();
        }
    }

    pub(crate) fn set_coherent(&mut self, coherent: bool) {
        self.coherent = coherent;
    }

    pub(crate) fn inject_delay(&mut self, ns: u64) {
        self.delay_ns = ns;
    }

    pub(crate) fn inject_hangs(&mut self, as_nr: u8, n: u32) -> bool {
        match self.spaces.get_mut(usize::from(as_nr)) {
            Some(space) => {
                space.hangs = n;
                true
            }
            None => false,
        }
    }

    pub(crate) fn inject_fault(&mut self, as_nr: u8, va: u64, code: u8) -> bool {
        match self.spaces.get_mut(usize::from(as_nr)) {
            Some(space) => {
                space.injected = Some((va & !(PAGE - 1), code));
                true
            }
            None => false,
        }
    }

    pub(crate) fn clear_injections(&mut self, now: u64) {
        self.delay_ns = space::COMMAND_NS;
        for space in &mut self.spaces {
            space.clear_injections(now);
        }
    }

    fn is_present(&self, as_nr: usize) -> bool {
        u32::try_from(as_nr).is_ok_and(|n| self.present.checked_shr(n).unwrap_or(0) & 1 != 0)
    }

    /// Reads a register of a slot; `off` is within the slot registers' range.
    pub(crate) fn read_register(&mut self, env: &mut Env<'_>, off: u32) -> u32 {
        let Some((as_nr, reg)) = slot_of(off) else {
            env.record(Kind::Hole, Place::Register(off), 0, "read");
            return 0;
        };
        if !self.is_present(as_nr) {
            env.record(Kind::AsAbsent, Place::Register(off), 0, "read");
            return 0;
        }
        let Some(space) = self.spaces.get_mut(as_nr) else {
            return 0;
        };
        space.read(env, off, reg)
    }

    /// Writes a register of a slot. The same range as [`Mmu::read_register`].
    pub(crate) fn write_register(&mut self, env: &mut Env<'_>, off: u32, value: u32) {
        let Some((as_nr, reg)) = slot_of(off) else {
            env.record(Kind::Hole, Place::Register(off), u64::from(value), "write");
            return;
        };
        if !self.is_present(as_nr) {
            env.record(
                Kind::AsAbsent,
                Place::Register(off),
                u64::from(value),
                "write",
            );
            return;
        }
        let (delay, va_bits) = (self.delay_ns, self.va_bits);
        if let Some(space) = self.spaces.get_mut(as_nr) {
            space.write(env, off, reg, value, delay, va_bits);
        }
    }

    /// Completes one command that is due. Returns the slot, and for an UPDATE whether the slot is
    /// enabled now.
    pub(crate) fn advance(&mut self, env: &mut Env<'_>) -> Option<(u8, Option<bool>)> {
        let (va_bits, pa_bits, coherent) = (self.va_bits, self.pa_bits, self.coherent);
        for (as_nr, space) in (0u8..).zip(self.spaces.iter_mut()) {
            let Some(command) = space.take_due(env.now) else {
                continue;
            };
            let place = Place::Register(AS_BASE + u32::from(as_nr) * AS_STRIDE);
            let mut enabled = None;
            match command {
                Command::Update => {
                    space.update(env, place, va_bits, pa_bits, coherent);
                    enabled = Some(space.mode != Mode::Unmapped);
                }
                Command::Lock => space.lock(),
                Command::Unlock | Command::FlushPt | Command::FlushMem => {
                    if command != Command::Unlock {
                        space.dirty.clean();
                    }
                    space.release(env);
                    let table = match space.mode {
                        Mode::Table(table) => table,
                        Mode::Unmapped | Mode::Identity => return Some((as_nr, None)),
                    };
                    let walk = Walk {
                        table,
                        va_bits,
                        pa_bits,
                        coherent,
                    };
                    space.dirty.check(env, as_nr, &walk);
                    for entry in space.tlb.iter() {
                        let va = entry.base();
                        if walk.changed(env, entry) {
                            let place = Place::Virtual { as_nr, va };
                            let note = "changed, but not in the invalidated region";
                            env.record(Kind::StaleTlb, place, entry.raw, note);
                        }
                    }
                }
            }
            env.raise(Line::Mmu, 1u32 << (16 + u32::from(as_nr)));
            return Some((as_nr, enabled));
        }
        None
    }

    /// What the walker finds for the page at `va` in a slot's tables as they are, whatever is cached;
    /// see [`walk::Leaf::as_page`]. 0 if it finds nothing, or the slot is not enabled.
    pub(crate) fn leaf(&self, host: &dyn Host, as_nr: u8, va: u64) -> u64 {
        let space = self.spaces.get(usize::from(as_nr));
        let Some(Mode::Table(table)) = space.map(|space| space.mode) else {
            return 0;
        };
        let walk = Walk {
            table,
            va_bits: self.va_bits,
            pa_bits: self.pa_bits,
            coherent: self.coherent,
        };
        walk.quietly(host, va).map_or(0, |leaf| leaf.as_page(va))
    }

    /// When the next command completes.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.spaces.iter().filter_map(Space::deadline).min()
    }

    /// Translates one access within a page.
    fn translate(
        &mut self,
        env: &mut Env<'_>,
        who: Requester,
        va: u64,
        access: Access,
    ) -> Result<u64, MmuError> {
        let as_nr = usize::from(who.as_nr);
        let (va_bits, pa_bits, coherent) = (self.va_bits, self.pa_bits, self.coherent);
        let present = self.is_present(as_nr);
        let space = match self.spaces.get_mut(as_nr) {
            Some(space) if present => space,
            _ => {
                let place = Place::Virtual {
                    as_nr: who.as_nr,
                    va,
                };
                env.record(Kind::AsAbsent, place, 0, "access");
                return Err(MmuError::Aborted);
            }
        };
        if space.is_updating() || space.is_locked(va) {
            return Err(MmuError::Stalled);
        }
        if let Some((page, code)) = space.injected {
            if page == va & !(PAGE - 1) {
                return Err(space.fault(env, who, va, access, code));
            }
        }
        let table = match space.mode {
            Mode::Unmapped => return Err(MmuError::Aborted),
            Mode::Identity => {
                if va >> pa_bits != 0 {
                    return Err(space.fault(env, who, va, access, walk::ADDRESS_SIZE_FAULT_IN));
                }
                return Ok(va);
            }
            Mode::Table(table) => table,
        };
        let walk = Walk {
            table,
            va_bits,
            pa_bits,
            coherent,
        };
        let place = Place::Virtual {
            as_nr: who.as_nr,
            va,
        };
        let entry = match space.tlb.lookup(va) {
            Some(entry) => {
                env.count(Counter::TlbHit);
                if walk.changed(env, &entry) {
                    let note = "entry changed since it was cached";
                    env.record(Kind::StaleTlb, place, entry.raw, note);
                }
                entry
            }
            None => match walk.run(env, who.as_nr, va) {
                Ok(leaf) => {
                    env.count(Counter::TlbFill);
                    let entry = Entry::new(va, &leaf);
                    space.tlb.insert(entry);
                    entry
                }
                Err(walk::Error::Fault(code)) => {
                    return Err(space.fault(env, who, va, access, code));
                }
                Err(walk::Error::Bus) => return Err(MmuError::Aborted),
            },
        };
        if let Err(code) = walk.permits(entry.raw, entry.level, access) {
            return Err(space.fault(env, who, va, access, code));
        }
        let pa = entry.output(va);
        if matches!(access, Access::Write | Access::Atomic) && walk.is_cached(entry.raw) {
            space.dirty.wrote(va & !(PAGE - 1), pa & !(PAGE - 1));
        }
        Ok(pa)
    }

    pub(crate) fn probe(
        &mut self,
        env: &mut Env<'_>,
        who: Requester,
        va: u64,
        access: Access,
    ) -> bool {
        let Some(space) = self.spaces.get(usize::from(who.as_nr)) else {
            return false;
        };
        match space.mode {
            Mode::Unmapped => false,
            Mode::Identity => va >> self.pa_bits == 0,
            Mode::Table(table) => {
                let walk = Walk {
                    table,
                    va_bits: self.va_bits,
                    pa_bits: self.pa_bits,
                    coherent: self.coherent,
                };
                walk.quietly(env.host, va)
                    .is_some_and(|leaf| walk.permits(leaf.raw, leaf.level, access).is_ok())
            }
        }
    }

    /// Reads memory; the range may cross pages.
    pub fn read(
        &mut self,
        env: &mut Env<'_>,
        who: Requester,
        va: u64,
        access: Access,
        buf: &mut [u8],
    ) -> Result<(), MmuError> {
        let mut at = va;
        let mut rest = buf;
        while !rest.is_empty() {
            let len = within_page(at, rest.len());
            let pa = self.translate(env, who, at, access)?;
            let (chunk, tail) = rest.split_at_mut(len);
            if env.host.read(pa, chunk).is_err() {
                env.record(Kind::DmaOutsideRam, Place::Physical(pa), at, "read");
                return Err(MmuError::Aborted);
            }
            rest = tail;
            at = at.wrapping_add(u64::try_from(len).unwrap_or(PAGE));
        }
        Ok(())
    }

    /// Writes memory; the range may cross pages. Nothing is written if any part faults.
    pub fn write(
        &mut self,
        env: &mut Env<'_>,
        who: Requester,
        va: u64,
        buf: &[u8],
    ) -> Result<(), MmuError> {
        let mut at = va;
        let mut rest = buf.len();
        let crosses = within_page(va, rest) != rest;
        while crosses && rest != 0 {
            let len = within_page(at, rest);
            self.translate(env, who, at, Access::Write)?;
            rest -= len;
            at = at.wrapping_add(u64::try_from(len).unwrap_or(PAGE));
        }
        let mut at = va;
        let mut rest = buf;
        while !rest.is_empty() {
            let len = within_page(at, rest.len());
            let pa = self.translate(env, who, at, Access::Write)?;
            let (chunk, tail) = rest.split_at(len);
            if env.host.write(pa, chunk).is_err() {
                env.record(Kind::DmaOutsideRam, Place::Physical(pa), at, "write");
                return Err(MmuError::Aborted);
            }
            rest = tail;
            at = at.wrapping_add(u64::try_from(len).unwrap_or(PAGE));
        }
        Ok(())
    }
}

/// How many of `len` bytes from `va` on are in the same page.
fn within_page(va: u64, len: usize) -> usize {
    let left = PAGE - (va & (PAGE - 1));
    usize::try_from(left).map_or(len, |left| left.min(len))
}

/// Slot and register of an offset.
fn slot_of(off: u32) -> Option<(usize, u32)> {
    let off = off.checked_sub(AS_BASE)?;
    let as_nr = usize::try_from(off / AS_STRIDE).ok()?;
    (as_nr < SPACES).then_some((as_nr, off % AS_STRIDE))
}
