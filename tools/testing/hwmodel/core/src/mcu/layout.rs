// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Where things are in the shared interface memory of the firmware, interface version 1.x.
//!
//! Offsets and bit numbers are the public contract between the firmware and its host (Linux
//! documents them with its driver); all words are little-endian.

/// MCU virtual address of the section that holds the interface.
pub const SHARED_VA: u64 = 0x0400_0000;

/// Offset of the first group control block from the start of the shared section.
pub const GROUP_CONTROL: u64 = 0x1000;

/// Offset of the first stream control block from its group control block.
pub const STREAM_CONTROL: u64 = 0x40;

/// Most groups that an interface may have.
pub const MAX_GROUPS: usize = 8;

/// Most streams of a group.
pub const MAX_STREAMS: usize = 8;

/// Packs an interface version as the global control block shows it.
pub const fn version(major: u32, minor: u32, patch: u32) -> u32 {
    major << 24 | minor << 16 | patch
}

/// Global control block.
pub mod glb_control {
    /// Interface version, written by the firmware at boot.
    pub const VERSION: u64 = 0x0;
    /// Features, written by the firmware at boot.
    pub const FEATURES: u64 = 0x4;
    /// MCU virtual address of the input block.
    pub const INPUT_VA: u64 = 0x8;
    /// MCU virtual address of the output block.
    pub const OUTPUT_VA: u64 = 0xc;
    /// Number of groups.
    pub const GROUP_NUM: u64 = 0x10;
    /// Distance between group control blocks in bytes.
    pub const GROUP_STRIDE: u64 = 0x14;
    /// Size of a performance counter sample.
    pub const PERFCNT_SIZE: u64 = 0x18;
    /// Instrumentation features (1.1 and later).
    pub const INSTR_FEATURES: u64 = 0x1c;
    /// Size of the block.
    pub const SIZE: u64 = 0x20;
}

/// Group control block.
pub mod csg_control {
    /// Features, written by the firmware at boot.
    pub const FEATURES: u64 = 0x0;
    /// MCU virtual address of the input block.
    pub const INPUT_VA: u64 = 0x4;
    /// MCU virtual address of the output block.
    pub const OUTPUT_VA: u64 = 0x8;
    /// Size of a suspend buffer in bytes, written by the firmware at boot.
    pub const SUSPEND_SIZE: u64 = 0xc;
    /// Size of a protected mode suspend buffer in bytes, written by the firmware at boot.
    pub const PROTM_SUSPEND_SIZE: u64 = 0x10;
    /// Number of streams.
    pub const STREAM_NUM: u64 = 0x14;
    /// Distance between stream control blocks in bytes.
    pub const STREAM_STRIDE: u64 = 0x18;
}

/// Stream control block.
pub mod cs_control {
    /// Features, written by the firmware at boot.
    pub const FEATURES: u64 = 0x0;
    /// MCU virtual address of the input block.
    pub const INPUT_VA: u64 = 0x4;
    /// MCU virtual address of the output block.
    pub const OUTPUT_VA: u64 = 0x8;
    /// Size of the block.
    pub const SIZE: u64 = 0xc;

    /// FEATURES of a stream: it can use all kinds of endpoints.
    pub const ALL_ENDPOINTS: u32 = 7 << 16;
}

/// Global input block and its request bits.
pub mod glb_in {
    /// Requests.
    pub const REQ: u64 = 0x0;
    /// Which acknowledgements raise an interrupt.
    pub const ACK_IRQ_MASK: u64 = 0x4;
    /// Doorbells of groups.
    pub const DOORBELL_REQ: u64 = 0x8;
    /// Progress timeout in units of 1024 cycles.
    pub const PROGRESS_TIMER: u64 = 0x10;
    /// Power-off hysteresis: units of 1024 ticks of the source in bit 31.
    pub const POWEROFF_TIMER: u64 = 0x14;
    /// Shader cores that may be used.
    pub const CORE_EN_MASK: u64 = 0x18;
    /// Idle hysteresis: units of 1024 ticks of the source in bit 31.
    pub const IDLE_TIMER: u64 = 0x80;

    /// Halt the firmware (before 4.1).
    pub const HALT: u32 = 1 << 0;
    /// The progress timer changed.
    pub const CFG_PROGRESS_TIMER: u32 = 1 << 1;
    /// The core mask changed.
    pub const CFG_ALLOC_EN: u32 = 1 << 2;
    /// The power-off timer changed.
    pub const CFG_POWEROFF_TIMER: u32 = 1 << 3;
    /// Enter protected mode.
    pub const PROTM_ENTER: u32 = 1 << 4;
    /// Take a performance counter sample.
    pub const PERFCNT_SAMPLE: u32 = 1 << 6;
    /// Are you alive?
    pub const PING: u32 = 1 << 8;
    /// Report idleness.
    pub const IDLE_EN: u32 = 1 << 10;
    /// Requests of the host, without HALT.
    pub const REQUESTS: u32 = 0x7fe;
    /// Requested firmware state (4.1 and later).
    pub const STATE_SHIFT: u32 = 12;
    /// Width of the state field.
    pub const STATE_MASK: u32 = 7 << STATE_SHIFT;
    /// State: running.
    pub const STATE_ACTIVE: u32 = 0;
    /// State: halted.
    pub const STATE_HALT: u32 = 1;
    /// Event: all groups are idle.
    pub const IDLE: u32 = 1 << 26;
    /// Events of the firmware.
    pub const EVENTS: u32 = 0x07f0_0000;
    /// A value of PROGRESS_TIMER and IDLE_TIMER counts so many ticks.
    pub const TIMER_UNIT: u64 = 1024;
    /// A timer's ticks are cycles of the core clock, and not those of the system timer.
    pub const TIMER_GPU_CLOCK: u32 = 1 << 31;
    /// The value part of a timer.
    pub const TIMER_VALUE: u32 = 0x7fff_ffff;
}

/// Global output block.
pub mod glb_out {
    /// Acknowledgements.
    pub const ACK: u64 = 0x0;
    /// Acknowledged group doorbells.
    pub const DOORBELL_ACK: u64 = 0x8;
    /// Why the firmware halted.
    pub const HALT_STATUS: u64 = 0x10;
}

/// Group input block and its request bits.
pub mod csg_in {
    /// Requests.
    pub const REQ: u64 = 0x0;
    /// Which acknowledgements raise an interrupt.
    pub const ACK_IRQ_MASK: u64 = 0x4;
    /// Doorbells of streams.
    pub const DOORBELL_REQ: u64 = 0x8;
    /// Acknowledged stream interrupts.
    pub const CS_IRQ_ACK: u64 = 0xc;
    /// Shader cores for compute.
    pub const ALLOW_COMPUTE: u64 = 0x20;
    /// Shader cores for fragment.
    pub const ALLOW_FRAGMENT: u64 = 0x28;
    /// Tilers.
    pub const ALLOW_OTHER: u64 = 0x30;
    /// Endpoints and priority (before 4.0).
    pub const ENDPOINT_REQ: u64 = 0x34;
    /// Endpoints and priority (4.0 and later).
    pub const ENDPOINT_REQ2: u64 = 0x38;
    /// MCU virtual address of the suspend buffer.
    pub const SUSPEND_BUF: u64 = 0x40;
    /// MCU virtual address of the protected mode suspend buffer.
    pub const PROTM_SUSPEND_BUF: u64 = 0x48;
    /// Address space of the group in 3:0.
    pub const CONFIG: u64 = 0x50;

    /// State field of REQ and ACK.
    pub const STATE_MASK: u32 = 7;
    /// State: terminated.
    pub const TERMINATE: u32 = 0;
    /// State: started.
    pub const START: u32 = 1;
    /// State: suspended.
    pub const SUSPEND: u32 = 2;
    /// State: resumed.
    pub const RESUME: u32 = 3;
    /// Endpoints or priority changed.
    pub const ENDPOINT_CONFIG: u32 = 1 << 4;
    /// Refresh the status fields.
    pub const STATUS_UPDATE: u32 = 1 << 5;
    /// Event: a synchronization object changed.
    pub const SYNC_UPDATE: u32 = 1 << 28;
    /// Event: all streams are idle.
    pub const IDLE: u32 = 1 << 29;
    /// Event: no progress for too long.
    pub const PROGRESS_TIMER: u32 = 1 << 31;
    /// Requests of the host.
    pub const REQUESTS: u32 = STATE_MASK | ENDPOINT_CONFIG | STATUS_UPDATE;
}

/// Group output block.
pub mod csg_out {
    /// Acknowledgements.
    pub const ACK: u64 = 0x0;
    /// Acknowledged stream doorbells.
    pub const DOORBELL_ACK: u64 = 0x8;
    /// Stream interrupts.
    pub const CS_IRQ_REQ: u64 = 0xc;
    /// Endpoints in use.
    pub const STATUS_ENDPOINT_CURRENT: u64 = 0x10;
    /// Endpoints asked for.
    pub const STATUS_ENDPOINT_REQ: u64 = 0x14;
    /// Bit 0: idle.
    pub const STATUS_STATE: u64 = 0x18;
    /// Streams that wait for a resource that another group holds.
    pub const RESOURCE_DEP: u64 = 0x1c;
}

/// Stream input block and its request bits.
pub mod cs_in {
    /// Requests.
    pub const REQ: u64 = 0x0;
    /// Priority in 3:0, doorbell in 15:8.
    pub const CONFIG: u64 = 0x4;
    /// Which acknowledgements raise an interrupt.
    pub const ACK_IRQ_MASK: u64 = 0xc;
    /// GPU virtual address of the ring.
    pub const RINGBUF_BASE: u64 = 0x10;
    /// Size of the ring in bytes.
    pub const RINGBUF_SIZE: u64 = 0x18;
    /// Answer to TILER_OOM: new chunk, or zero.
    pub const HEAP_START: u64 = 0x20;
    /// Answer to TILER_OOM: last new chunk.
    pub const HEAP_END: u64 = 0x28;
    /// MCU virtual address of the ring's input page.
    pub const RINGBUF_INPUT: u64 = 0x30;
    /// MCU virtual address of the ring's output page.
    pub const RINGBUF_OUTPUT: u64 = 0x38;

    /// State field of REQ and ACK.
    pub const STATE_MASK: u32 = 7;
    /// State: stopped.
    pub const STOP: u32 = 0;
    /// State: started.
    pub const START: u32 = 1;
    /// Raise an interrupt when EXTRACT moves.
    pub const EXTRACT_EVENT: u32 = 1 << 4;
    /// A stream that waits for a synchronization object counts as idle.
    pub const IDLE_SYNC_WAIT: u32 = 1 << 8;
    /// A stream that waits for protected mode counts as idle.
    pub const IDLE_PROTM_PENDING: u32 = 1 << 9;
    /// A stream with an empty ring counts as idle.
    pub const IDLE_EMPTY: u32 = 1 << 10;
    /// A stream that waits for a resource counts as idle.
    pub const IDLE_RESOURCE_REQ: u32 = 1 << 11;
    /// Event: the tiler heap is exhausted.
    pub const TILER_OOM: u32 = 1 << 26;
    /// Event: the stream stopped for good.
    pub const FATAL: u32 = 1 << 30;
    /// Event: an instruction failed.
    pub const FAULT: u32 = 1 << 31;
    /// Requests of the host.
    pub const REQUESTS: u32 = STATE_MASK
        | EXTRACT_EVENT
        | IDLE_SYNC_WAIT
        | IDLE_PROTM_PENDING
        | IDLE_EMPTY
        | IDLE_RESOURCE_REQ;
}

/// Stream output block.
pub mod cs_out {
    /// Acknowledgements.
    pub const ACK: u64 = 0x0;
    /// Address of the current instruction.
    pub const STATUS_CMD_PTR: u64 = 0x40;
    /// What the stream waits for.
    pub const STATUS_WAIT: u64 = 0x48;
    /// Resources asked for.
    pub const STATUS_REQ_RESOURCE: u64 = 0x4c;
    /// Synchronization object waited for.
    pub const STATUS_WAIT_SYNC_POINTER: u64 = 0x50;
    /// Value waited for, low word.
    pub const STATUS_WAIT_SYNC_VALUE: u64 = 0x58;
    /// Non-zero scoreboard entries.
    pub const STATUS_SCOREBOARDS: u64 = 0x5c;
    /// Why the stream does not run.
    pub const STATUS_BLOCKED_REASON: u64 = 0x60;
    /// Value waited for, high word.
    pub const STATUS_WAIT_SYNC_VALUE_HI: u64 = 0x64;
    /// Type and data of the last fault.
    pub const FAULT: u64 = 0x80;
    /// Type and data of the fatal fault.
    pub const FATAL: u64 = 0x84;
    /// More on the last fault.
    pub const FAULT_INFO: u64 = 0x88;
    /// More on the fatal fault.
    pub const FATAL_INFO: u64 = 0x90;
    /// Render passes started.
    pub const HEAP_VT_START: u64 = 0xc0;
    /// Render passes whose vertex and tiler work is complete.
    pub const HEAP_VT_END: u64 = 0xc4;
    /// Render passes whose fragment work is complete.
    pub const HEAP_FRAG_END: u64 = 0xcc;
    /// The heap context.
    pub const HEAP_ADDRESS: u64 = 0xd0;

    /// STATUS_WAIT: source of the scoreboard wait is a WAIT instruction.
    pub const WAIT_SB_SRC_WAIT: u32 = 8 << 16;
    /// STATUS_WAIT: the condition is "greater", not "less or equal".
    pub const WAIT_SYNC_GT: u32 = 1 << 24;
    /// STATUS_WAIT: a PROGRESS_WAIT.
    pub const WAIT_PROGRESS: u32 = 1 << 28;
    /// STATUS_WAIT: the object has 64 bits.
    pub const WAIT_SYNC_64B: u32 = 1 << 30;
    /// STATUS_WAIT: a SYNC_WAIT.
    pub const WAIT_SYNC: u32 = 1 << 31;

    /// STATUS_BLOCKED_REASON: runs, or has nothing to do.
    pub const BLOCKED_NOT: u32 = 0;
    /// STATUS_BLOCKED_REASON: WAIT.
    pub const BLOCKED_SB: u32 = 1;
    /// STATUS_BLOCKED_REASON: PROGRESS_WAIT.
    pub const BLOCKED_PROGRESS: u32 = 2;
    /// STATUS_BLOCKED_REASON: SYNC_WAIT.
    pub const BLOCKED_SYNC: u32 = 3;
    /// STATUS_BLOCKED_REASON: too many deferred instructions.
    pub const BLOCKED_DEFERRED: u32 = 4;
    /// STATUS_BLOCKED_REASON: a resource is missing.
    pub const BLOCKED_RESOURCE: u32 = 5;
}

/// Input page of a ring.
pub mod ring_in {
    /// Where the host will write next, in bytes, never wrapped.
    pub const INSERT: u64 = 0x0;
    /// Where execution starts when the stream is started.
    pub const EXTRACT_INIT: u64 = 0x8;
}

/// Output page of a ring.
pub mod ring_out {
    /// Where the stream reads next, in bytes, never wrapped.
    pub const EXTRACT: u64 = 0x0;
    /// Whether the ring is being executed.
    pub const ACTIVE: u64 = 0x8;
}

/// Types of stream exceptions: low byte of the FAULT and FATAL words.
pub mod exception {
    /// A resource was taken away.
    pub const CS_RESOURCE_TERMINATED: u8 = 0x0f;
    /// The configuration of the stream is wrong.
    pub const CS_CONFIG_FAULT: u8 = 0x40;
    /// Only a reset helps.
    pub const CS_UNRECOVERABLE: u8 = 0x41;
    /// A job endpoint failed.
    pub const CS_ENDPOINT_FAULT: u8 = 0x44;
    /// A memory access of the stream failed.
    pub const CS_BUS_FAULT: u8 = 0x48;
    /// Unknown instruction or illegal operand.
    pub const CS_INVALID_INSTRUCTION: u8 = 0x49;
    /// Too many nested calls.
    pub const CS_CALL_STACK_OVERFLOW: u8 = 0x4a;
    /// A synchronization object carried an error.
    pub const CS_INHERIT_FAULT: u8 = 0x4b;
    /// The tiler heap is exhausted and nothing helps.
    pub const OOM: u8 = 0x60;
    /// The firmware found itself in a bad state.
    pub const FIRMWARE_INTERNAL_ERROR: u8 = 0x68;
}
