// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The program controller's registers: where the next register list is, how many tasks to run, and
//! the core's interrupts.

/// The sum of VERSION and VERSION_NUM on an RK3588.
const VERSION: u32 = 0x4649_5245;

/// Interrupt events. Each unit has one for either group of registers.
pub(crate) mod event {
    /// Everything that a task on the first group completes: convolution, accumulator and DPU. The
    /// second group's events are one bit higher.
    pub(crate) const TASK: u32 = 0x155;
    /// A read ended with a bus error.
    pub(crate) const DMA_READ_ERROR: u32 = 1 << 12;
    /// A write ended with a bus error.
    pub(crate) const DMA_WRITE_ERROR: u32 = 1 << 13;
}

const SELECT_CPU: u32 = 1;
const TASK_COUNT_CLEAR: u32 = 1 << 13;
/// The count in TASK_STATUS. Above it is a state whose meaning nobody knows.
const TASK_COUNT: u32 = 0xfff;
const TASK_STATE: u32 = 0xf000;

/// What became of a write to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// There is no register that can be written.
    Nowhere,
    /// It has the value.
    Stored,
    /// It has the value, and the list is to be run; unless it had that value already, so that there
    /// is no edge to begin with.
    Start { again: bool },
}

/// Where a register list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List {
    /// Its device address.
    pub(crate) iova: u32,
    /// Its length in words of 64 bits.
    pub(crate) words: u32,
}

/// The registers.
pub(crate) struct Pc {
    enable: u32,
    base: u32,
    amounts: u32,
    pub(crate) mask: u32,
    pub(crate) raw: u32,
    /// What the last task has completed, if it was not the last one of its chain: it is seen in
    /// RAW_STATUS only, and asserts nothing.
    between: u32,
    task_con: u32,
    dma_base: u32,
    /// Tasks completed since the count was cleared.
    done: u32,
}

impl Pc {
    pub(crate) const fn new() -> Self {
        Self {
            enable: 0,
            base: 0,
            amounts: 0,
            mask: 0,
            raw: 0,
            between: 0,
            task_con: 0,
            dma_base: 0,
            done: 0,
        }
    }

    /// Events that assert the line.
    pub(crate) fn pending(&self) -> u32 {
        self.raw & self.mask
    }

    /// The value of a register, if there is one that can be read.
    pub(crate) fn read(&self, off: u32) -> Option<u32> {
        Some(match off {
            0x00 => VERSION,
            0x04 => 0,
            0x08 => self.enable,
            0x10 => self.base,
            0x14 => self.amounts,
            0x20 => self.mask,
            0x28 => self.pending(),
            0x2c => self.raw | self.between,
            0x30 => self.task_con,
            0x34 => self.dma_base,
            0x3c => self.done & TASK_COUNT | if self.enable != 0 { TASK_STATE } else { 0 },
            _ => return None,
        })
    }

    /// A register write.
    pub(crate) fn write(&mut self, off: u32, value: u32) -> Written {
        match off {
            0x08 => {
                let again = self.enable != 0;
                self.enable = value & 1;
                if self.enable != 0 {
                    return Written::Start { again };
                }
            }
            0x10 => self.base = value,
            0x14 => self.amounts = value,
            0x20 => self.mask = value,
            0x24 => {
                self.raw &= !value;
                self.between &= !value;
            }
            0x30 => {
                if value & TASK_COUNT_CLEAR != 0 {
                    self.done = 0;
                }
                self.task_con = value & !TASK_COUNT_CLEAR;
            }
            0x34 => self.dma_base = value,
            _ => return Written::Nowhere,
        }
        Written::Stored
    }

    /// Whether the CPU, and not a list, is to write the units' registers.
    pub(crate) fn is_cpu_selected(&self) -> bool {
        self.base & SELECT_CPU != 0
    }

    /// The offset that is added to each address.
    pub(crate) fn dma_base(&self) -> u32 {
        self.dma_base
    }

    /// How many tasks a kick runs.
    pub(crate) fn task_number(&self) -> u32 {
        self.task_con & 0xfff
    }

    /// The list to fetch: what the CPU or the previous list wrote.
    pub(crate) fn list(&self) -> List {
        List {
            iova: self.base & !0xf,
            words: 2 * ((self.amounts & 0xffff) + 1),
        }
    }

    /// A list names the next one.
    pub(crate) fn write_next(&mut self, off: u32, value: u32) -> bool {
        match off {
            0x10 => self.base = value,
            0x14 => self.amounts = value,
            _ => return false,
        }
        true
    }

    /// A task is complete. `last` tells whether it was the last of its kick.
    pub(crate) fn task_done(&mut self, second: bool, last: bool) {
        let events = event::TASK << u32::from(second);
        self.done = self.done.wrapping_add(1);
        if last {
            self.raw |= events;
        } else {
            self.between = events;
        }
    }

    /// The next task of the chain is under way.
    pub(crate) fn task_begun(&mut self) {
        self.between = 0;
    }
}
