// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The interrupt blocks, which have the same four registers each.

use kernel::io::{
    register,
    Io as _, //
};

use super::Hw;

register! {
    /// Pending events, masked or not.
    pub(crate) GPU_INT_RAWSTAT(u32) @ 0x20 {}
    /// Events to forget.
    pub(crate) GPU_INT_CLEAR(u32) @ 0x24 {}
    /// Events that raise the line.
    pub(crate) GPU_INT_MASK(u32) @ 0x28 {}
    /// Pending events that raise the line.
    pub(crate) GPU_INT_STAT(u32) @ 0x2c {}

    /// Pending events, masked or not.
    pub(crate) PWR_INT_RAWSTAT(u32) @ 0x800 {}
    /// Events to forget.
    pub(crate) PWR_INT_CLEAR(u32) @ 0x804 {}
    /// Events that raise the line.
    pub(crate) PWR_INT_MASK(u32) @ 0x808 {}
    /// Pending events that raise the line.
    pub(crate) PWR_INT_STAT(u32) @ 0x80c {}

    /// Pending events, masked or not.
    pub(crate) JOB_INT_RAWSTAT(u32) @ 0x1000 {}
    /// Events to forget.
    pub(crate) JOB_INT_CLEAR(u32) @ 0x1004 {}
    /// Events that raise the line.
    pub(crate) JOB_INT_MASK(u32) @ 0x1008 {}
    /// Pending events that raise the line.
    pub(crate) JOB_INT_STAT(u32) @ 0x100c {}

    /// Pending events, masked or not.
    pub(crate) MMU_INT_RAWSTAT(u32) @ 0x2000 {}
    /// Events to forget.
    pub(crate) MMU_INT_CLEAR(u32) @ 0x2004 {}
    /// Events that raise the line.
    pub(crate) MMU_INT_MASK(u32) @ 0x2008 {}
    /// Pending events that raise the line.
    pub(crate) MMU_INT_STAT(u32) @ 0x200c {}
}

/// One of the interrupt blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Resets, cache flushes, bus faults.
    Gpu,
    /// Power and resets since architecture 14, on the line of [`Gpu`](Self::Gpu).
    Pwr,
    /// Firmware events: bit 31 for the global interface, bit n for the group in slot n.
    Job,
    /// Faults of address space n in bit n. The upper half reports completed commands, which are
    /// polled for.
    Mmu,
}

/// JOB_INT: the global interface has something to say.
pub(crate) const JOB_GLOBAL: u32 = 1 << 31;

impl Block {
    /// Pending events, masked or not.
    pub(crate) fn rawstat(self, hw: &Hw<'_>) -> u32 {
        match self {
            Self::Gpu => hw.read(GPU_INT_RAWSTAT).into_raw(),
            Self::Pwr => hw.read(PWR_INT_RAWSTAT).into_raw(),
            Self::Job => hw.read(JOB_INT_RAWSTAT).into_raw(),
            Self::Mmu => hw.read(MMU_INT_RAWSTAT).into_raw(),
        }
    }

    /// Pending events that raise the line.
    pub(crate) fn stat(self, hw: &Hw<'_>) -> u32 {
        match self {
            Self::Gpu => hw.read(GPU_INT_STAT).into_raw(),
            Self::Pwr => hw.read(PWR_INT_STAT).into_raw(),
            Self::Job => hw.read(JOB_INT_STAT).into_raw(),
            Self::Mmu => hw.read(MMU_INT_STAT).into_raw(),
        }
    }

    /// Forgets `events`.
    pub(crate) fn clear(self, hw: &Hw<'_>, events: u32) {
        match self {
            Self::Gpu => hw.write_reg(GPU_INT_CLEAR::from_raw(events)),
            Self::Pwr => hw.write_reg(PWR_INT_CLEAR::from_raw(events)),
            Self::Job => hw.write_reg(JOB_INT_CLEAR::from_raw(events)),
            Self::Mmu => hw.write_reg(MMU_INT_CLEAR::from_raw(events)),
        }
    }

    /// Lets exactly `events` raise the line.
    pub(crate) fn set_mask(self, hw: &Hw<'_>, events: u32) {
        match self {
            Self::Gpu => hw.write_reg(GPU_INT_MASK::from_raw(events)),
            Self::Pwr => hw.write_reg(PWR_INT_MASK::from_raw(events)),
            Self::Job => hw.write_reg(JOB_INT_MASK::from_raw(events)),
            Self::Mmu => hw.write_reg(MMU_INT_MASK::from_raw(events)),
        }
    }
}
