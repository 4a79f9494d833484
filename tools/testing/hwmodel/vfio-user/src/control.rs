// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The block of registers around the GPU and the NPU: what is their surroundings on a board, and
//! debugfs under User-Mode Linux.
//!
//! Registers are 32 bits wide. The buffer behind them can be accessed with any width.

use std::fmt::Write;

use hwmodel::chip;
use hwmodel::npu::iommu::Version;
use hwmodel::Host as _;

use crate::machine::State;

/// Tells that this is the block: "hwm1".
pub const ID: u32 = 0x000;
/// The value of [`ID`].
pub const ID_VALUE: u32 = 0x316d_7768;
/// Lines that are asserted, a bit for each. Read-only.
pub const LINES_ASSERTED: u32 = 0x010;
/// Lets lines be sent. A line that was sent has to be let again.
pub const LINES_UNMASK: u32 = 0x014;
/// Lets lines be sent no more.
pub const LINES_MASK: u32 = 0x018;
/// Tells that the last handler of lines has gone.
pub const LINES_ABANDON: u32 = 0x01c;
/// The GPU's supply, 1 is on.
pub const SUPPLY_GPU: u32 = 0x020;
/// The NPU's supply, 1 is on.
pub const SUPPLY_NPU: u32 = 0x024;
/// The voltage of the GPU's supply in microvolts.
pub const MICROVOLTS: u32 = 0x028;
/// The rate of the GPU's core clock in Hz.
pub const RATE: u32 = 0x02c;
/// Shader cores that the fuses let work, a bit for each.
pub const FUSES: u32 = 0x030;
/// The NPU's IOMMUs: 1 makes them of the first version.
pub const OLD_IOMMUS: u32 = 0x034;
/// The rate of the clock that the NPU's cores share, in Hz.
pub const RATE_NPU: u32 = 0x038;
/// The first clock, 1 is on. The others follow.
pub const CLOCKS: u32 = 0x100;
/// The first reset line, 1 is asserted. The others follow.
pub const RESETS: u32 = 0x180;
/// The first power domain, 1 is on. The others follow.
pub const DOMAINS: u32 = 0x200;
/// Carries out a command. What it answers is in the buffer at once.
pub const COMMAND: u32 = 0x300;
/// 0 if the last command was carried out, 1 if it was not.
pub const STATUS: u32 = 0x304;
/// How much of the buffer the command takes, or has filled.
pub const LENGTH: u32 = 0x308;
/// An address space, for [`LEAVES`].
pub const SPACE: u32 = 0x30c;
/// The number of the first page, for [`LEAVES`]: low word, then high word.
pub const PAGE: u32 = 0x310;
/// How many pages, for [`LEAVES`].
pub const COUNT: u32 = 0x318;
/// Where in the guest's memory an answer goes as well: low word, then high word; 0 is nowhere.
pub const ADDRESS: u32 = 0x320;
/// The buffer.
pub const BUFFER: u32 = 0x2_0000;
/// Its size.
pub const BUFFER_SIZE: usize = 0x2_0000;

/// Counters, as text.
pub const COUNTERS: u32 = 1;
/// Records, as text.
pub const RECORDS: u32 = 2;
/// What [`INJECT`] understands, as text.
pub const HELP: u32 = 3;
/// Carries out the line in the buffer.
pub const INJECT: u32 = 4;
/// Starts the counters at zero.
pub const CLEAR_COUNTERS: u32 = 5;
/// Forgets the records.
pub const CLEAR_RECORDS: u32 = 6;
/// What the table walker finds for a number of pages, 8 bytes each.
pub const LEAVES: u32 = 7;
/// The log of the PWR block, as text.
pub const PWR: u32 = 8;
/// Forgets that log.
pub const CLEAR_PWR: u32 = 9;
/// Makes the GPU the one whose name is in the buffer.
pub const CHOOSE: u32 = 10;

/// [`COUNT`] after power-on, and as much as the buffer holds.
const PAGES: u32 = 64;
const MOST_PAGES: u32 = 0x4000;
const PAGE_SHIFT: u32 = 12;

/// The element of an array of registers that an offset means, if it is one of the first `count`.
fn index(offset: u32, first: u32, count: u32) -> Option<u32> {
    let nr = offset.checked_sub(first)? / 4;
    (nr < count).then_some(nr)
}

/// Replaces the low or the high word of a register of 64 bits.
fn set_word(register: &mut u64, high: bool, value: u32) {
    let shift = if high { 32 } else { 0 };
    *register = *register & !(u64::from(u32::MAX) << shift) | u64::from(value) << shift;
}

/// The part of the block that is not in the model.
pub struct Control {
    status: u32,
    length: u32,
    space: u32,
    page: u64,
    count: u32,
    address: u64,
    buffer: Vec<u8>,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// As after power-on.
    pub fn new() -> Self {
        Self {
            status: 0,
            length: 0,
            space: 0,
            page: 0,
            count: PAGES,
            address: 0,
            buffer: vec![0; BUFFER_SIZE],
        }
    }

    /// The part of the buffer that an access means.
    fn part(&mut self, offset: u32, len: usize) -> Option<&mut [u8]> {
        let at = usize::try_from(offset.checked_sub(BUFFER)?).ok()?;
        self.buffer.get_mut(at..at.checked_add(len)?)
    }

    /// Reads; nothing if there is no such register.
    pub fn read(&mut self, state: &State, offset: u32, data: &mut [u8]) -> Option<()> {
        if offset >= BUFFER {
            data.copy_from_slice(self.part(offset, data.len())?);
            return Some(());
        }
        let value = match offset {
            ID => ID_VALUE,
            LINES_ASSERTED => state.asserted(),
            STATUS => self.status,
            LENGTH => self.length,
            _ => return None,
        };
        if data.len() != 4 {
            return None;
        }
        data.copy_from_slice(&value.to_le_bytes());
        Some(())
    }

    /// Writes; nothing if there is no such register.
    pub fn write(&mut self, state: &mut State, offset: u32, data: &[u8]) -> Option<()> {
        if offset >= BUFFER {
            self.part(offset, data.len())?.copy_from_slice(data);
            return Some(());
        }
        let value = u32::from_le_bytes(data.try_into().ok()?);
        let on = value & 1 != 0;
        let State { chip, soc, .. } = state;
        match offset {
            LINES_UNMASK => state.unmask(value),
            LINES_MASK => state.mask(value),
            LINES_ABANDON => state.abandon(value),
            SUPPLY_GPU => chip.gpu.set_regulator(soc, on),
            SUPPLY_NPU => chip.npu.set_supply(soc, on),
            MICROVOLTS => chip.gpu.set_voltage(soc, value),
            FUSES => chip.gpu.fuse(u64::from(value)),
            OLD_IOMMUS => {
                let version = if on { Version::V1 } else { Version::V2 };
                chip.npu.set_iommu_version(version);
            }
            RATE => chip.gpu.set_rate(soc, u64::from(value)),
            RATE_NPU => chip.npu.set_rate(soc, u64::from(value)),
            COMMAND => self.status = u32::from(self.command(state, value).is_none()),
            LENGTH => self.length = value,
            SPACE => self.space = value,
            COUNT => self.count = value,
            _ if offset & !4 == PAGE => set_word(&mut self.page, offset != PAGE, value),
            _ if offset & !4 == ADDRESS => set_word(&mut self.address, offset != ADDRESS, value),
            _ => {
                if let Some(nr) = index(offset, CLOCKS, 32) {
                    chip.set_clock(soc, nr, on);
                } else if let Some(nr) = index(offset, RESETS, 32) {
                    chip.set_reset(soc, nr, on);
                } else if let Some(nr) = index(offset, DOMAINS, 32) {
                    chip.set_domain(soc, nr, on);
                } else {
                    return None;
                }
            }
        }
        Some(())
    }

    /// Puts an answer into the buffer, and into the guest's memory if it wants that.
    fn answer(&mut self, state: &State, bytes: &[u8]) -> Option<()> {
        // More than fits is cut off: the first records are those that matter.
        let len = bytes.len().min(BUFFER_SIZE);
        let bytes = bytes.get(..len)?;
        self.buffer.get_mut(..len)?.copy_from_slice(bytes);
        self.length = u32::try_from(len).ok()?;
        if self.address != 0 {
            state.soc.write(self.address, bytes).ok()?;
        }
        Some(())
    }

    /// The text in the buffer.
    fn line(&self) -> Option<&str> {
        let len = usize::try_from(self.length).ok()?;
        std::str::from_utf8(self.buffer.get(..len)?).ok()
    }

    fn command(&mut self, state: &mut State, command: u32) -> Option<()> {
        let mut text = String::new();
        let out: &mut dyn Write = &mut text;
        match command {
            COUNTERS => state.chip.show_counters(out).ok()?,
            RECORDS => state.chip.show_records(out).ok()?,
            HELP => chip::show_help(out).ok()?,
            PWR => state.chip.gpu.show_pwr_log(out).ok()?,
            INJECT => return state.inject(self.line()?).then_some(()),
            CHOOSE => return state.chip.choose(self.line()?).then_some(()),
            CLEAR_PWR => {
                state.chip.gpu.clear_pwr_log();
                return Some(());
            }
            CLEAR_COUNTERS => {
                state.chip.clear_counters();
                return Some(());
            }
            CLEAR_RECORDS => {
                state.chip.clear_records();
                return Some(());
            }
            LEAVES => {
                let as_nr = u8::try_from(self.space).ok()?;
                let count = u64::from(self.count.min(MOST_PAGES));
                let pages = self.page..self.page.checked_add(count)?;
                let leaf = |page| state.chip.gpu.leaf(&state.soc, as_nr, page << PAGE_SHIFT);
                let leaves: Vec<u8> = pages.flat_map(|page| leaf(page).to_le_bytes()).collect();
                return self.answer(state, &leaves);
            }
            _ => return None,
        }
        self.answer(state, text.as_bytes())
    }
}
