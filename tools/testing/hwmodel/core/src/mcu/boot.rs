// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Boot: the firmware image is checked through address space 0, then the interface is set up.
//!
//! # Ordering
//!
//! Vectors, then the self-check table if there is one, then each section's permissions and
//! content, a few pages in each step, then the interface. The first thing that is wrong ends the
//! boot. Firmware that was halted leaves a word behind that says so, and may find what it left in
//! writable sections at its next boot (a warm boot); any other boot insists on sections that were
//! freshly loaded.

use super::iface;
use super::iface::Hitch;
use super::iface::Interface;
use super::iface::Wrong;
use super::iface::MCU;
use super::image;
use super::image::Crc;
use super::layout;
use super::layout::cs_control;
use super::layout::cs_in;
use super::layout::cs_out;
use super::layout::csg_control;
use super::layout::csg_in;
use super::layout::csg_out;
use super::layout::glb_control;
use super::layout::glb_in;
use super::layout::glb_out;
use super::layout::SHARED_VA;
use super::suspend;
use crate::bus::Bus;
use crate::mmu::Access;
use crate::mmu::PAGE;

/// Interface version of firmware without a self-check table.
const DEFAULT_VERSION: u32 = layout::version(1, 1, 0);

/// Pages checked in one step.
const PAGES_PER_STEP: u32 = 8;

/// Bytes read at once.
const PIECE: usize = 256;

/// What the firmware leaves in the first word after the initial data of its first writable
/// private section while it runs.
pub(crate) const RUNNING: u32 = 0x6e75_7221;

/// ... and after it was halted.
pub(crate) const HALTED: u32 = 0x746c_6821;

/// The image is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    /// Where.
    pub(crate) va: u64,
    /// What was found there.
    pub(crate) value: u64,
    /// What is wrong.
    pub(crate) note: &'static str,
}

/// How a step of the boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to do.
    More,
    /// The address space does not answer now.
    Retry,
    /// The firmware runs.
    Done,
}

/// One entry of the self-check table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Section {
    va: u64,
    size: u32,
    flags: u32,
    data_size: u32,
    crc: u32,
}

impl Section {
    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Vectors,
    Table,
    /// Section number, next offset in it, checksum so far.
    Section(u32, u32, Crc),
    Interface,
}

/// A boot in progress, and what it found.
pub(crate) struct Boot {
    stage: Stage,
    /// The firmware was halted before, and goes on with what it left in memory.
    pub(crate) warm: bool,
    table: u64,
    sections: u32,
    /// Interface version that is going to be reported.
    pub(crate) version: u32,
    /// Address of the word that tells a running firmware from a halted one, if there is one.
    pub(crate) state_word: Option<u64>,
}

fn bad(va: u64, value: u64, note: &'static str) -> Failure {
    Failure::Bad(Bad { va, value, note })
}

enum Failure {
    Bad(Bad),
    Retry,
}

impl From<Hitch> for Failure {
    fn from(hitch: Hitch) -> Self {
        match hitch {
            Hitch::Retry => Failure::Retry,
            Hitch::Crash(va) => bad(va, 0, "not accessible"),
        }
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Word(va, note) => bad(va, 0, note),
            Wrong::Hitch(hitch) => hitch.into(),
        }
    }
}

impl Boot {
    /// Not started.
    pub(crate) const fn new() -> Self {
        Self {
            stage: Stage::Vectors,
            warm: false,
            table: 0,
            sections: 0,
            version: DEFAULT_VERSION,
            state_word: None,
        }
    }

    /// Starts.
    pub(crate) fn start(&mut self) {
        *self = Self::new();
    }

    /// Bounded work.
    pub(crate) fn step(
        &mut self,
        bus: &mut Bus<'_>,
        iface: &mut Interface,
    ) -> Result<Progress, Bad> {
        let result = match self.stage {
            Stage::Vectors => self.vectors(bus),
            Stage::Table => self.check_table(bus),
            Stage::Section(index, offset, crc) => self.section(bus, index, offset, crc),
            Stage::Interface => self.interface(bus, iface),
        };
        match result {
            Ok(progress) => Ok(progress),
            Err(Failure::Retry) => Ok(Progress::Retry),
            Err(Failure::Bad(what)) => Err(what),
        }
    }

    /// The vector table: initial stack pointer and reset handler.
    fn vectors(&mut self, bus: &mut Bus<'_>) -> Result<Progress, Failure> {
        let stack = u64::from(iface::read32(bus, 0)?);
        let reset = u64::from(iface::read32(bus, 4)?);
        if bus.probe(MCU, 0, Access::Write) {
            return Err(bad(0, 0, "vector table is writable"));
        }
        if stack < 4 || stack % 4 != 0 || !bus.probe(MCU, stack - 4, Access::Write) {
            return Err(bad(
                0,
                stack,
                "initial stack pointer is not in writable memory",
            ));
        }
        if reset % 2 != 1 {
            return Err(bad(4, reset, "reset vector is not a Thumb address"));
        }
        let entry = reset - 1;
        if !bus.probe(MCU, entry, Access::Execute) {
            return Err(bad(4, reset, "reset vector is not in executable memory"));
        }
        self.table = entry.wrapping_add(u64::from(image::OFFSET));
        // Firmware without a table may be shorter than one.
        let found = Self::has_magic(bus, self.table);
        if !found && Self::has_magic(bus, u64::from(image::VECTOR_MARK)) {
            return Err(bad(self.table, 0, "self-check table: not there"));
        }
        self.stage = if found {
            Stage::Table
        } else {
            Stage::Interface
        };
        Ok(Progress::More)
    }

    fn has_magic(bus: &mut Bus<'_>, va: u64) -> bool {
        let mut magic = [0; 8];
        bus.probe(MCU, va, Access::Read)
            && iface::read(bus, va, &mut magic).is_ok()
            && u64::from_le_bytes(magic)
                == u64::from(image::MAGIC[0]) | u64::from(image::MAGIC[1]) << 32
    }

    fn check_table(&mut self, bus: &mut Bus<'_>) -> Result<Progress, Failure> {
        let word = |bus: &mut Bus<'_>, index: u64| iface::read32(bus, self.table + index * 4);
        let format = word(bus, 2)?;
        if format != image::FORMAT {
            return Err(bad(
                self.table + 8,
                u64::from(format),
                "self-check table: format",
            ));
        }
        let version = word(bus, 3)?;
        let sections = word(bus, 4)?;
        if sections == 0 || sections > image::MAX_ENTRIES {
            return Err(bad(
                self.table + 16,
                u64::from(sections),
                "self-check table: entries",
            ));
        }
        let covered = image::table_size(sections) - 4;
        let mut crc = Crc::new();
        for i in 0..u64::from(covered / 4) {
            crc.add(&word(bus, i)?.to_le_bytes());
        }
        let stored = word(bus, u64::from(covered / 4))?;
        if crc.value() != stored {
            return Err(bad(
                self.table,
                u64::from(stored),
                "self-check table: checksum",
            ));
        }
        self.version = version;
        self.sections = sections;
        self.find_state(bus)?;
        self.stage = Stage::Section(0, 0, Crc::new());
        Ok(Progress::More)
    }

    fn entry(&self, bus: &mut Bus<'_>, index: u32) -> Result<Section, Hitch> {
        let at = self.table + u64::from(image::HEADER_SIZE + index * image::ENTRY_SIZE);
        Ok(Section {
            va: u64::from(iface::read32(bus, at)?),
            size: iface::read32(bus, at + 4)?,
            flags: iface::read32(bus, at + 8)?,
            data_size: iface::read32(bus, at + 12)?,
            crc: iface::read32(bus, at + 16)?,
        })
    }

    /// Whether the page has exactly the rights that its section asks for.
    fn rights(bus: &mut Bus<'_>, section: &Section, va: u64) -> Result<(), Failure> {
        for (flag, access, missing, superfluous) in [
            (
                image::FLAG_RD,
                Access::Read,
                "section: not mapped readable",
                "",
            ),
            (
                image::FLAG_WR,
                Access::Write,
                "section: not mapped writable",
                "section: mapped writable but must not be",
            ),
            (
                image::FLAG_EX,
                Access::Execute,
                "section: not mapped executable",
                "section: mapped executable but must not be",
            ),
        ] {
            let wanted = section.has(flag);
            let granted = bus.probe(MCU, va, access);
            if wanted && !granted {
                return Err(bad(va, 0, missing));
            }
            if granted && !wanted && !superfluous.is_empty() {
                return Err(bad(va, 0, superfluous));
            }
        }
        Ok(())
    }

    fn section(
        &mut self,
        bus: &mut Bus<'_>,
        index: u32,
        mut offset: u32,
        mut crc: Crc,
    ) -> Result<Progress, Failure> {
        if index >= self.sections {
            self.stage = Stage::Interface;
            return Ok(Progress::More);
        }
        let section = self.entry(bus, index)?;
        if section.size == 0 || section.data_size > section.size || section.va % PAGE != 0 {
            return Err(bad(
                section.va,
                u64::from(section.size),
                "self-check table: section",
            ));
        }
        for _ in 0..PAGES_PER_STEP {
            if offset >= section.size {
                break;
            }
            Self::rights(bus, &section, section.va + u64::from(offset))?;
            self.content(bus, &section, offset, &mut crc)?;
            offset = offset.saturating_add(4096);
        }
        if offset < section.size {
            self.stage = Stage::Section(index, offset, crc);
            return Ok(Progress::More);
        }
        if self.checks_data(&section) && crc.value() != section.crc {
            let found = u64::from(crc.value());
            return Err(bad(
                section.va,
                found,
                "section: content differs from the image",
            ));
        }
        self.stage = Stage::Section(index + 1, 0, Crc::new());
        Ok(Progress::More)
    }

    /// Whether the initial data of the section must still be there.
    fn checks_data(&self, section: &Section) -> bool {
        !self.warm || !section.has(image::FLAG_WR) || section.has(image::FLAG_SHARED)
    }

    /// Checks one page.
    fn content(
        &self,
        bus: &mut Bus<'_>,
        section: &Section,
        page: u32,
        crc: &mut Crc,
    ) -> Result<(), Failure> {
        let table_end = self.table + u64::from(image::table_size(self.sections));
        let mut piece = [0; PIECE];
        let step = u32::try_from(PIECE).unwrap_or(256);
        let mut offset = page;
        while offset < page.saturating_add(4096) && offset < section.size {
            let va = section.va + u64::from(offset);
            iface::read(bus, va, &mut piece)?;
            if self.warm && section.has(image::FLAG_SHARED) {
                forget_dynamic(va, &mut piece);
            }
            let mut first_bad = None;
            for (at, byte) in (offset..).zip(piece) {
                let byte_va = section.va + u64::from(at);
                if at < section.data_size {
                    let in_table = byte_va < table_end && byte_va >= self.table;
                    if !in_table {
                        crc.add(&[byte]);
                    }
                } else if byte != 0 && first_bad.is_none() {
                    first_bad = Some((byte_va, byte));
                }
            }
            let fresh = !self.warm || !section.has(image::FLAG_WR);
            if let (Some((va, byte)), true) = (first_bad, fresh && section.has(image::FLAG_ZERO)) {
                return Err(bad(va, u64::from(byte), "section: tail is not zero"));
            }
            offset += step;
        }
        Ok(())
    }

    /// Finds the word that tells a running firmware from a halted one. It is behind the initial
    /// data of the first private writable section, where a fresh image has zeros.
    fn find_state(&mut self, bus: &mut Bus<'_>) -> Result<(), Failure> {
        for index in 0..self.sections {
            let section = self.entry(bus, index)?;
            let private = section.has(image::FLAG_WR) && !section.has(image::FLAG_SHARED);
            let room = section.size.saturating_sub(section.data_size);
            if !private || room < 4 || section.data_size % 4 != 0 {
                continue;
            }
            let va = section.va + u64::from(section.data_size);
            let found = iface::read32(bus, va)?;
            if found != 0 && found != HALTED {
                return Err(bad(va, u64::from(found), "section: not reloaded"));
            }
            self.warm = found == HALTED;
            self.state_word = Some(va);
            return Ok(());
        }
        Ok(())
    }

    fn interface(&mut self, bus: &mut Bus<'_>, iface: &mut Interface) -> Result<Progress, Failure> {
        for access in [Access::Read, Access::Write] {
            if !bus.probe(MCU, SHARED_VA, access) {
                return Err(bad(SHARED_VA, 0, "shared section is not mapped writable"));
            }
        }
        if bus.probe(MCU, SHARED_VA, Access::Execute) {
            return Err(bad(SHARED_VA, 0, "shared section is executable"));
        }
        iface.locate(bus)?;
        let product = bus.product();
        iface.groups = iface.groups.min(usize::from(product.groups));
        iface.streams = iface.streams.min(usize::from(product.streams));
        let features = u32::from(product.stream_registers.saturating_sub(1))
            | u32::from(product.scoreboards) << 8
            | cs_control::ALL_ENDPOINTS;
        for group in iface.group.iter().take(iface.groups) {
            iface::write32(bus, group.control + csg_control::FEATURES, 0)?;
            let at = group.control + csg_control::SUSPEND_SIZE;
            iface::write32(bus, at, suspend::BUFFER_SIZE)?;
            let at = group.control + csg_control::PROTM_SUSPEND_SIZE;
            iface::write32(bus, at, suspend::PROTECTED_BUFFER_SIZE)?;
            let stride = u64::from(iface::read32(
                bus,
                group.control + csg_control::STREAM_STRIDE,
            )?);
            let mut cs = group.control + layout::STREAM_CONTROL;
            for _ in 0..iface.streams {
                iface::write32(bus, cs + cs_control::FEATURES, features)?;
                cs += stride;
            }
            Self::settle(
                bus,
                (group.io.input + csg_in::REQ, group.io.output + csg_out::ACK),
                !csg_in::REQUESTS,
            )?;
            Self::settle(
                bus,
                (
                    group.io.input + csg_in::CS_IRQ_ACK,
                    group.io.output + csg_out::CS_IRQ_REQ,
                ),
                !0,
            )?;
            Self::settle(
                bus,
                (
                    group.io.input + csg_in::DOORBELL_REQ,
                    group.io.output + csg_out::DOORBELL_ACK,
                ),
                !0,
            )?;
            for io in group.streams.iter().take(iface.streams) {
                Self::settle(
                    bus,
                    (io.input + cs_in::REQ, io.output + cs_out::ACK),
                    !cs_in::REQUESTS,
                )?;
            }
        }
        let glb = iface.glb;
        Self::settle(
            bus,
            (glb.input + glb_in::REQ, glb.output + glb_out::ACK),
            glb_in::EVENTS,
        )?;
        Self::settle(
            bus,
            (
                glb.input + glb_in::DOORBELL_REQ,
                glb.output + glb_out::DOORBELL_ACK,
            ),
            !0,
        )?;
        iface::write32(bus, glb.output + glb_out::HALT_STATUS, 0)?;
        iface::write32(bus, SHARED_VA + glb_control::FEATURES, 0)?;
        if let Some(va) = self.state_word {
            iface::write32(bus, va, RUNNING)?;
        }
        // The version last: it is what tells the host that the rest is there.
        iface::write32(bus, SHARED_VA + glb_control::VERSION, self.version)?;
        Ok(Progress::Done)
    }

    /// Makes acknowledgements agree with requests, so that none is pending.
    fn settle(bus: &mut Bus<'_>, at: (u64, u64), mask: u32) -> Result<(), Hitch> {
        let (input, output) = at;
        let req = iface::read32(bus, input)?;
        let ack = iface::read32(bus, output)?;
        iface::write32(bus, output, ack & !mask | req & mask)
    }
}

/// Zeroes the words of control blocks that the firmware filled in at an earlier boot: in the image
/// they are zero.
fn forget_dynamic(va: u64, piece: &mut [u8]) {
    let Some(offset) = va.checked_sub(SHARED_VA) else {
        return;
    };
    for (at, word) in (0u64..).zip(piece.chunks_exact_mut(4)) {
        let at = offset + at * 4;
        let dynamic = if at < layout::GROUP_CONTROL {
            at == glb_control::VERSION || at == glb_control::FEATURES
        } else {
            let in_group = (at - layout::GROUP_CONTROL) % image::GROUP_STRIDE;
            match in_group.checked_sub(layout::STREAM_CONTROL) {
                Some(rest) => rest % image::STREAM_STRIDE == cs_control::FEATURES,
                None => {
                    in_group == csg_control::FEATURES
                        || in_group == csg_control::SUSPEND_SIZE
                        || in_group == csg_control::PROTM_SUSPEND_SIZE
                }
            }
        };
        if dynamic && at < image::CONTROL_SIZE {
            word.fill(0);
        }
    }
}
