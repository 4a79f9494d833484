// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Address space registers: one set of 64 bytes for each slot.

use kernel::io::register;

const STRIDE: usize = 64;
const SLOTS: usize = crate::mmu::slots::MAX_SLOTS;

register! {
    /// Root of the page table, low half.
    pub(crate) AS_TRANSTAB_LO(u32)[SLOTS, stride = STRIDE] @ 0x2400 {}
    /// Root of the page table, high half.
    pub(crate) AS_TRANSTAB_HI(u32)[SLOTS, stride = STRIDE] @ 0x2404 {}
    /// Memory attributes that page-table entries choose from, low half.
    pub(crate) AS_MEMATTR_LO(u32)[SLOTS, stride = STRIDE] @ 0x2408 {}
    /// Memory attributes that page-table entries choose from, high half.
    pub(crate) AS_MEMATTR_HI(u32)[SLOTS, stride = STRIDE] @ 0x240c {}
    /// Region for the LOCK command, low half.
    pub(crate) AS_LOCKADDR_LO(u32)[SLOTS, stride = STRIDE] @ 0x2410 {}
    /// Region for the LOCK command, high half.
    pub(crate) AS_LOCKADDR_HI(u32)[SLOTS, stride = STRIDE] @ 0x2414 {}
    /// Command.
    pub(crate) AS_COMMAND(u32)[SLOTS, stride = STRIDE] @ 0x2418 {}
    /// Reason of a fault.
    pub(crate) AS_FAULTSTATUS(u32)[SLOTS, stride = STRIDE] @ 0x241c {}
    /// Address of a fault, low half.
    pub(crate) AS_FAULTADDRESS_LO(u32)[SLOTS, stride = STRIDE] @ 0x2420 {}
    /// Address of a fault, high half.
    pub(crate) AS_FAULTADDRESS_HI(u32)[SLOTS, stride = STRIDE] @ 0x2424 {}
    /// Whether a command is in progress.
    pub(crate) AS_STATUS(u32)[SLOTS, stride = STRIDE] @ 0x2428 {
        0:0 active => bool;
    }
    /// Translation mode, low half.
    pub(crate) AS_TRANSCFG_LO(u32)[SLOTS, stride = STRIDE] @ 0x2430 {
        /// Format of the page table: 1 unmapped, 6 AArch64 with 4 KiB granule.
        3:0 mode;
        /// 55 minus the bits of an input address.
        10:6 ina_bits;
        /// Attribute of page-table walks: 2 write-back.
        25:24 walk_memattr;
        /// Shareability of page-table walks: 2 outer.
        29:28 walk_share;
        /// Page-table walks allocate on read.
        30:30 walk_read_alloc => bool;
    }
    /// Translation mode, high half.
    pub(crate) AS_TRANSCFG_HI(u32)[SLOTS, stride = STRIDE] @ 0x2434 {}
}

/// Commands for AS_COMMAND.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Takes over TRANSTAB, MEMATTR and TRANSCFG.
    Update,
    /// Holds back accesses to the region in LOCKADDR, and forgets its translations.
    Lock,
    /// Lets them go on.
    Unlock,
}

impl From<Command> for AS_COMMAND {
    fn from(command: Command) -> Self {
        Self::from_raw(match command {
            Command::Update => 1,
            Command::Lock => 2,
            Command::Unlock => 3,
        })
    }
}
