// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The registers of a core, and the way to them.
//!
//! Of the units that calculate only the pointers are written here: everything else about a task is in
//! its register list, which the program controller (PC) fetches.
//!
//! Source of offsets and fields: `drivers/accel/rocket/rocket_registers.h`. The page between the
//! windows of CNA and CORE hangs the bus when it is touched, which is why it is in none of them.

use kernel::{
    io::{
        register,
        Io as _, //
    },
    platform,
    prelude::*,
    sizes::SZ_4K, //
};

type Window = soc::io::Registers<SZ_4K>;

/// The windows of one core.
pub(crate) struct Windows {
    pc: Window,
    cna: Window,
    core: Window,
}

/// The gate in front of them: closed while the core has no power or no clock.
pub(crate) type Regs = soc::gate::Gate<Windows>;

mod pc {
    use super::register;

    register! {
        /// What the NPU is.
        pub(super) PC_VERSION(u32) @ 0x00 {}
        /// The rest of that.
        pub(super) PC_VERSION_NUM(u32) @ 0x04 {
            15:0 number;
        }
        /// Begins with the list when the bit is set that was not.
        pub(super) PC_OPERATION_ENABLE(u32) @ 0x08 {
            0:0 enable => bool;
        }
        /// Where the list is; an odd value lets the CPU write the units' registers.
        pub(super) PC_BASE_ADDRESS(u32) @ 0x10 {
            0:0 cpu => bool;
        }
        /// Pairs of words in the list, less one.
        pub(super) PC_REGISTER_AMOUNTS(u32) @ 0x14 {
            15:0 pairs;
        }
        /// Events that raise the line.
        pub(super) PC_INTERRUPT_MASK(u32) @ 0x20 {}
        /// Events to forget.
        pub(super) PC_INTERRUPT_CLEAR(u32) @ 0x24 {}
        /// Events that raise the line, and are pending. Of a chain's lists only the last one has some here.
        pub(super) PC_INTERRUPT_STATUS(u32) @ 0x28 {}
        /// Pending events, masked or not. Between two lists of a chain those of the first one are here.
        pub(super) PC_INTERRUPT_RAW_STATUS(u32) @ 0x2c {}
        /// How many lists to run.
        pub(super) PC_TASK_CON(u32) @ 0x30 {
            11:0 number;
            12:12 ping_pong => bool;
            13:13 count_clear => bool;
            14:14 reserved => bool;
        }
        /// What is added to each address.
        pub(super) PC_TASK_DMA_BASE_ADDR(u32) @ 0x34 {}
        /// How many of the lists are done. What is above is a state of the PC.
        pub(super) PC_TASK_STATUS(u32) @ 0x3c {
            11:0 done;
        }
    }
}

mod unit {
    use super::register;

    register! {
        /// Which of two groups of registers is written and which runs; at this offset in both units.
        pub(super) S_POINTER(u32) @ 0x04 {
            1:1 pointer_ping_pong => bool;
            2:2 executer_ping_pong => bool;
            3:3 pointer_mode => bool;
            /// Undocumented: the vendor's driver puts the number of the core here.
            29:28 core;
        }
    }
}

/// Events.
pub(crate) mod event {
    /// The results of a task are written, by either group.
    pub(crate) const DONE: u32 = 1 << 8 | 1 << 9;
    /// A read or a write has failed on the bus, or in the IOMMU. It may have been one that nobody needs, as the PC
    /// reads ahead: beyond a chain's last list, too.
    pub(crate) const DMA_ERROR: u32 = 1 << 12 | 1 << 13;
    /// All that there are, and three bits beyond, which the C driver and the vendor's clear as well.
    pub(crate) const ALL: u32 = (1 << 17) - 1;
}

/// Register lists for one kick.
#[derive(Clone, Copy)]
pub(crate) struct Lists {
    /// Where the first one is.
    pub(crate) iova: u32,
    /// Pairs of words in it, less one.
    pub(crate) pairs: u16,
    /// How many lists are chained from there on.
    pub(crate) count: u16,
}

/// Most lists of a kick.
pub(crate) const MAX_LISTS: u16 = 0xfff;

impl Windows {
    /// Maps the windows of a core.
    ///
    /// # Errors
    ///
    /// As [`soc::io::Registers::map`].
    pub(crate) fn map(pdev: &platform::Device<kernel::device::Bound>) -> Result<Self> {
        Ok(Self {
            pc: Window::map_by_name(pdev, c"pc", c"rknn-pc")?,
            cna: Window::map_by_name(pdev, c"cna", c"rknn-cna")?,
            core: Window::map_by_name(pdev, c"core", c"rknn-core")?,
        })
    }

    /// What the NPU is.
    pub(crate) fn version(&self) -> u32 {
        let version = (&self.pc).read(pc::PC_VERSION).into_raw();
        let number: u32 = (&self.pc).read(pc::PC_VERSION_NUM).number().into();

        version.wrapping_add(number)
    }

    /// Pending events that raise the line.
    pub(crate) fn raised(&self) -> u32 {
        (&self.pc).read(pc::PC_INTERRUPT_STATUS).into_raw()
    }

    /// Pending events.
    pub(crate) fn pending(&self) -> u32 {
        (&self.pc).read(pc::PC_INTERRUPT_RAW_STATUS).into_raw()
    }

    /// Lets `events` raise the line.
    pub(crate) fn set_mask(&self, events: u32) {
        (&self.pc).write_reg(pc::PC_INTERRUPT_MASK::from_raw(events));
    }

    /// Forgets `events`.
    fn clear(&self, events: u32) {
        (&self.pc).write_reg(pc::PC_INTERRUPT_CLEAR::from_raw(events));
    }

    /// Takes the last kick back, whose lists are done, and forgets its events, which nobody sees any more once
    /// this is over. The next one is none while this one's bit is set.
    pub(crate) fn rest(&self) {
        (&self.pc).write_reg(pc::PC_OPERATION_ENABLE::zeroed());
        self.clear(event::ALL);
        // Writes may be under way for a while; a read comes back after them.
        let _ = self.pending();
    }

    /// How many lists of the last kick are done.
    pub(crate) fn lists_done(&self) -> u32 {
        (&self.pc).read(pc::PC_TASK_STATUS).done().into()
    }

    /// Runs lists. The core must be idle, and the last kick taken back.
    pub(crate) fn kick(&self, core: u32, lists: Lists) {
        let pointer = unit::S_POINTER::zeroed()
            .with_pointer_ping_pong(true)
            .with_executer_ping_pong(true)
            .with_pointer_mode(true)
            .into_raw()
            | (core & 3) << 28;

        (&self.pc).write_reg(pc::PC_BASE_ADDRESS::zeroed().with_cpu(true));
        (&self.cna).write_reg(unit::S_POINTER::from_raw(pointer));
        (&self.core).write_reg(unit::S_POINTER::from_raw(pointer));
        (&self.pc).write_reg(pc::PC_BASE_ADDRESS::from_raw(lists.iova));
        (&self.pc).write_reg(pc::PC_REGISTER_AMOUNTS::from_raw(lists.pairs.into()));
        self.clear(event::ALL);
        self.set_mask(event::DONE);
        let control = pc::PC_TASK_CON::zeroed()
            .with_ping_pong(true)
            .with_count_clear(true)
            .with_reserved(true)
            .into_raw()
            | u32::from(lists.count.min(MAX_LISTS));
        (&self.pc).write_reg(pc::PC_TASK_CON::from_raw(control));
        (&self.pc).write_reg(pc::PC_TASK_DMA_BASE_ADDR::zeroed());
        (&self.pc).write_reg(pc::PC_OPERATION_ENABLE::zeroed().with_enable(true));
    }
}
