// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Where things are in the firmware's interface blocks.
//!
//! All offsets are bytes from the start of a block. 64-bit fields are two words, low half first.
//! Source: the structures of `drivers/gpu/drm/panthor/panthor_fw.h`.

/// Interface versions, as in the global control block: major, minor, patch.
pub(super) const fn version(major: u32, minor: u32) -> u32 {
    major << 24 | minor << 16
}

/// Request word of every input block.
pub(super) const REQ: usize = 0x0;
/// Acknowledge word of every output block.
pub(super) const ACK: usize = 0x0;
/// Which doorbells are rung for parts of the interface; GLB and CSG input.
pub(super) const DOORBELL_REQ: usize = 0x8;
/// Which of them the firmware has seen; GLB and CSG output.
pub(super) const DOORBELL_ACK: usize = 0x8;

/// Global interface.
pub(super) mod glb {
    /// Control block, at the start of the shared section.
    pub(in crate::fw) mod control {
        pub(in crate::fw) const VERSION: usize = 0x0;
        pub(in crate::fw) const FEATURES: usize = 0x4;
        pub(in crate::fw) const INPUT_VA: usize = 0x8;
        pub(in crate::fw) const OUTPUT_VA: usize = 0xc;
        pub(in crate::fw) const GROUP_NUM: usize = 0x10;
        pub(in crate::fw) const GROUP_STRIDE: usize = 0x14;
        pub(in crate::fw) const INSTR_FEATURES: usize = 0x1c;
        pub(in crate::fw) const SIZE: usize = 0x20;
    }

    /// Input block.
    pub(in crate::fw) mod input {
        pub(in crate::fw) const ACK_IRQ_MASK: usize = 0x4;
        pub(in crate::fw) const PROGRESS_TIMER: usize = 0x10;
        pub(in crate::fw) const POWEROFF_TIMER: usize = 0x14;
        pub(in crate::fw) const CORE_EN_MASK: usize = 0x18;
        pub(in crate::fw) const IDLE_TIMER: usize = 0x80;
        pub(in crate::fw) const SIZE: usize = 0x88;
    }

    /// Output block.
    pub(in crate::fw) mod output {
        pub(in crate::fw) const SIZE: usize = 0x1c;
    }

    /// Bits of the request word.
    pub(in crate::fw) mod req {
        pub(in crate::fw) const HALT: u32 = 1 << 0;
        pub(in crate::fw) const CFG_PROGRESS_TIMER: u32 = 1 << 1;
        pub(in crate::fw) const CFG_ALLOC_EN: u32 = 1 << 2;
        pub(in crate::fw) const CFG_POWEROFF_TIMER: u32 = 1 << 3;
        pub(in crate::fw) const COUNTER_EN: u32 = 1 << 7;
        pub(in crate::fw) const PING: u32 = 1 << 8;
        pub(in crate::fw) const IDLE_EN: u32 = 1 << 10;
        /// A field instead of `HALT`, since version 4.1.
        pub(in crate::fw) const STATE: u32 = 7 << 12;
        pub(in crate::fw) const STATE_ACTIVE: u32 = 0 << 12;
        pub(in crate::fw) const STATE_HALT: u32 = 1 << 12;
        /// Event: nothing runs.
        pub(in crate::fw) const IDLE: u32 = 1 << 26;
    }

    /// Timer values: the unit is 1024 cycles of the GPU's clock, and not 1024 ticks of the system timer.
    pub(in crate::fw) const TIMER_GPU_CLOCK: u32 = 1 << 31;
    /// Largest timer value.
    pub(in crate::fw) const TIMER_MAX: u32 = TIMER_GPU_CLOCK - 1;
}

/// Interface of a group slot.
pub(super) mod csg {
    /// Where the control block of slot 0 is in the shared section.
    pub(in crate::fw) const CONTROL: usize = 0x1000;

    /// Control block.
    pub(in crate::fw) mod control {
        pub(in crate::fw) const FEATURES: usize = 0x0;
        pub(in crate::fw) const INPUT_VA: usize = 0x4;
        pub(in crate::fw) const OUTPUT_VA: usize = 0x8;
        pub(in crate::fw) const SUSPEND_SIZE: usize = 0xc;
        pub(in crate::fw) const PROTM_SUSPEND_SIZE: usize = 0x10;
        pub(in crate::fw) const STREAM_NUM: usize = 0x14;
        pub(in crate::fw) const STREAM_STRIDE: usize = 0x18;
        pub(in crate::fw) const SIZE: usize = 0x1c;
    }

    /// Input block.
    pub(in crate::fw) mod input {
        pub(in crate::fw) const ACK_IRQ_MASK: usize = 0x4;
        pub(in crate::fw) const CS_IRQ_ACK: usize = 0xc;
        pub(in crate::fw) const ALLOW_COMPUTE: usize = 0x20;
        pub(in crate::fw) const ALLOW_FRAGMENT: usize = 0x28;
        pub(in crate::fw) const ALLOW_OTHER: usize = 0x30;
        pub(in crate::fw) const ENDPOINT_REQ: usize = 0x34;
        /// Instead of `ENDPOINT_REQ`, since version 4.0; 64 bits.
        pub(in crate::fw) const ENDPOINT_REQ2: usize = 0x38;
        pub(in crate::fw) const SUSPEND_BUF: usize = 0x40;
        pub(in crate::fw) const PROTM_SUSPEND_BUF: usize = 0x48;
        pub(in crate::fw) const CONFIG: usize = 0x50;
        pub(in crate::fw) const SIZE: usize = 0x58;
    }

    /// Output block.
    pub(in crate::fw) mod output {
        pub(in crate::fw) const CS_IRQ_REQ: usize = 0xc;
        pub(in crate::fw) const SIZE: usize = 0x20;
    }

    /// Bits of the request word.
    pub(in crate::fw) mod req {
        pub(in crate::fw) const STATE: u32 = 7;
        pub(in crate::fw) const ENDPOINT_CONFIG: u32 = 1 << 4;
        pub(in crate::fw) const STATUS_UPDATE: u32 = 1 << 5;
        pub(in crate::fw) const SYNC_UPDATE: u32 = 1 << 28;
        pub(in crate::fw) const IDLE: u32 = 1 << 29;
        pub(in crate::fw) const PROGRESS_TIMER: u32 = 1 << 31;
        pub(in crate::fw) const EVENTS: u32 = SYNC_UPDATE | IDLE | PROGRESS_TIMER;
    }

    /// First bit of the priority in the endpoint request, which has four.
    pub(in crate::fw) const EP_PRIORITY_SHIFT: u32 = 28;
}

/// Interface of a stream in a group slot.
pub(super) mod cs {
    /// Where the first stream's control block is, behind the group's.
    pub(in crate::fw) const CONTROL: usize = 0x40;

    /// Control block.
    pub(in crate::fw) mod control {
        pub(in crate::fw) const FEATURES: usize = 0x0;
        pub(in crate::fw) const INPUT_VA: usize = 0x4;
        pub(in crate::fw) const OUTPUT_VA: usize = 0x8;
        pub(in crate::fw) const SIZE: usize = 0xc;
    }

    /// Input block.
    pub(in crate::fw) mod input {
        pub(in crate::fw) const CONFIG: usize = 0x4;
        pub(in crate::fw) const ACK_IRQ_MASK: usize = 0xc;
        pub(in crate::fw) const RING_BASE: usize = 0x10;
        pub(in crate::fw) const RING_SIZE: usize = 0x18;
        pub(in crate::fw) const HEAP_START: usize = 0x20;
        pub(in crate::fw) const HEAP_END: usize = 0x28;
        pub(in crate::fw) const RING_INPUT: usize = 0x30;
        pub(in crate::fw) const RING_OUTPUT: usize = 0x38;
        pub(in crate::fw) const SIZE: usize = 0x58;
    }

    /// Output block.
    pub(in crate::fw) mod output {
        pub(in crate::fw) const STATUS_WAIT: usize = 0x48;
        pub(in crate::fw) const STATUS_WAIT_SYNC_PTR: usize = 0x50;
        pub(in crate::fw) const STATUS_WAIT_SYNC_VALUE: usize = 0x58;
        pub(in crate::fw) const STATUS_SCOREBOARDS: usize = 0x5c;
        pub(in crate::fw) const STATUS_BLOCKED_REASON: usize = 0x60;
        pub(in crate::fw) const STATUS_WAIT_SYNC_VALUE_HI: usize = 0x64;
        pub(in crate::fw) const FAULT: usize = 0x80;
        pub(in crate::fw) const FATAL: usize = 0x84;
        pub(in crate::fw) const FAULT_INFO: usize = 0x88;
        pub(in crate::fw) const FATAL_INFO: usize = 0x90;
        pub(in crate::fw) const HEAP_VT_START: usize = 0xc0;
        pub(in crate::fw) const HEAP_VT_END: usize = 0xc4;
        pub(in crate::fw) const HEAP_FRAG_END: usize = 0xcc;
        pub(in crate::fw) const HEAP_ADDRESS: usize = 0xd0;
        pub(in crate::fw) const SIZE: usize = 0xd8;
    }

    /// Bits of the request word.
    pub(in crate::fw) mod req {
        pub(in crate::fw) const STATE: u32 = 7;
        pub(in crate::fw) const STATE_START: u32 = 1;
        pub(in crate::fw) const IDLE_SYNC_WAIT: u32 = 1 << 8;
        pub(in crate::fw) const IDLE_EMPTY: u32 = 1 << 10;
        pub(in crate::fw) const TILER_OOM: u32 = 1 << 26;
        pub(in crate::fw) const FATAL: u32 = 1 << 30;
        pub(in crate::fw) const FAULT: u32 = 1 << 31;
    }

    /// Bits of STATUS_WAIT.
    pub(in crate::fw) mod wait {
        pub(in crate::fw) const COND: u32 = 0xf << 24;
        pub(in crate::fw) const COND_GREATER: u32 = 1 << 24;
        pub(in crate::fw) const SYNC_64BIT: u32 = 1 << 30;
    }

    /// Mask of the reason in STATUS_BLOCKED_REASON.
    pub(in crate::fw) const BLOCKED_REASON: u32 = 0xf;
}
