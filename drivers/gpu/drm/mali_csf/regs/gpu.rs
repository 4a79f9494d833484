// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GPU_CONTROL: identity, commands, power of the L2 cache, counters.

use kernel::{
    io::register,
    prelude::*, //
};

register! {
    /// Which GPU this is.
    pub(crate) GPU_ID(u32) @ 0x0 {
        3:0 ver_status;
        11:4 ver_minor;
        15:12 ver_major;
        19:16 prod_major;
        23:20 arch_rev;
        27:24 arch_minor;
        31:28 arch_major;
    }

    /// Properties of the L2 cache.
    pub(crate) L2_FEATURES(u32) @ 0x4 {
        /// log2 of the line size in bytes.
        7:0 line_log2;
    }

    /// Variant of the shader core.
    pub(crate) CORE_FEATURES(u32) @ 0x8 {}

    /// Properties of the tiler.
    pub(crate) TILER_FEATURES(u32) @ 0xc {}

    /// Properties of the memory system.
    pub(crate) MEM_FEATURES(u32) @ 0x10 {}

    /// Properties of the MMU.
    pub(crate) MMU_FEATURES(u32) @ 0x14 {
        /// Bits of a GPU address.
        7:0 va_bits;
        /// Bits of a physical address.
        15:8 pa_bits;
    }

    /// One bit for each address space.
    pub(crate) AS_PRESENT(u32) @ 0x18 {}

    /// Version of the command stream frontend.
    pub(crate) CSF_ID(u32) @ 0x1c {}

    /// Command register.
    pub(crate) GPU_COMMAND(u32) @ 0x30 {
        /// Kind of the command.
        7:0 kind;
        /// What it is to do in detail.
        31:8 payload;
    }

    /// What the GPU is busy with.
    pub(crate) GPU_STATUS(u32) @ 0x34 {}

    /// Reason of the last GPU fault.
    pub(crate) GPU_FAULT_STATUS(u32) @ 0x3c {
        /// Exception code.
        7:0 code;
    }

    /// Address of the last GPU fault, low half.
    pub(crate) GPU_FAULT_ADDRESS_LO(u32) @ 0x40 {}
    /// Address of the last GPU fault, high half.
    pub(crate) GPU_FAULT_ADDRESS_HI(u32) @ 0x44 {}

    /// How the L2 cache works. Taken over when it is powered.
    pub(crate) L2_CONFIG(u32) @ 0x48 {
        /// The hash is that of ASN_HASH.
        24:24 asn_hash_enable => bool;
    }

    /// Optional features, low half. Since architecture 11.
    pub(crate) GPU_FEATURES_LO(u32) @ 0x60 {
        /// Ray intersection in hardware.
        2:2 ray_intersection => bool;
        /// Ray traversal units.
        5:5 ray_traversal => bool;
    }

    /// Optional features, high half.
    pub(crate) GPU_FEATURES_HI(u32) @ 0x64 {}

    /// What to add to TIMESTAMP, low half.
    pub(crate) TIMESTAMP_OFFSET_LO(u32) @ 0x88 {}
    /// What to add to TIMESTAMP, high half.
    pub(crate) TIMESTAMP_OFFSET_HI(u32) @ 0x8c {}
    /// Core clock cycles, low half.
    pub(crate) CYCLE_COUNT_LO(u32) @ 0x90 {}
    /// Core clock cycles, high half.
    pub(crate) CYCLE_COUNT_HI(u32) @ 0x94 {}
    /// System timestamp, low half.
    pub(crate) TIMESTAMP_LO(u32) @ 0x98 {}
    /// System timestamp, high half.
    pub(crate) TIMESTAMP_HI(u32) @ 0x9c {}

    /// Threads per core.
    pub(crate) THREAD_MAX_THREADS(u32) @ 0xa0 {}
    /// Threads per workgroup.
    pub(crate) THREAD_MAX_WORKGROUP_SIZE(u32) @ 0xa4 {}
    /// Threads per barrier.
    pub(crate) THREAD_MAX_BARRIER_SIZE(u32) @ 0xa8 {}
    /// Registers and tasks per core.
    pub(crate) THREAD_FEATURES(u32) @ 0xac {}

    /// Texture formats.
    pub(crate) TEXTURE_FEATURES(u32)[4] @ 0xb0 {}

    /// Shader cores, low half.
    pub(crate) SHADER_PRESENT_LO(u32) @ 0x100 {}
    /// Shader cores, high half.
    pub(crate) SHADER_PRESENT_HI(u32) @ 0x104 {}
    /// Tilers, low half.
    pub(crate) TILER_PRESENT_LO(u32) @ 0x110 {}
    /// Tilers, high half.
    pub(crate) TILER_PRESENT_HI(u32) @ 0x114 {}
    /// L2 slices, low half.
    pub(crate) L2_PRESENT_LO(u32) @ 0x120 {}
    /// L2 slices, high half.
    pub(crate) L2_PRESENT_HI(u32) @ 0x124 {}

    /// L2 slices that are powered, low half.
    pub(crate) L2_READY_LO(u32) @ 0x160 {}
    /// L2 slices that are powered, high half.
    pub(crate) L2_READY_HI(u32) @ 0x164 {}
    /// L2 slices to power on, low half.
    pub(crate) L2_PWRON_LO(u32) @ 0x1a0 {}
    /// L2 slices to power on, high half.
    pub(crate) L2_PWRON_HI(u32) @ 0x1a4 {}
    /// L2 slices to power off, low half.
    pub(crate) L2_PWROFF_LO(u32) @ 0x1e0 {}
    /// L2 slices to power off, high half.
    pub(crate) L2_PWROFF_HI(u32) @ 0x1e4 {}
    /// L2 slices between the two states, low half.
    pub(crate) L2_PWRTRANS_LO(u32) @ 0x220 {}
    /// L2 slices between the two states, high half.
    pub(crate) L2_PWRTRANS_HI(u32) @ 0x224 {}

    /// Revision.
    pub(crate) REVIDR(u32) @ 0x280 {}

    /// By which addresses are spread over the slices of the L2 cache. Since architecture 11; taken over when
    /// that is powered.
    pub(crate) ASN_HASH(u32)[3] @ 0x2c0 {}

    /// Coherency protocols that the GPU speaks.
    pub(crate) COHERENCY_FEATURES(u32) @ 0x300 {
        0:0 ace_lite => bool;
    }
    /// Coherency protocol that is used; a number, see [`coherency`].
    pub(crate) COHERENCY_PROTOCOL(u32) @ 0x304 {}
}

/// Values of COHERENCY_PROTOCOL.
pub(crate) mod coherency {
    /// ACE-Lite.
    pub(crate) const ACE_LITE: u32 = 0;
    /// The GPU's caches are not kept coherent.
    pub(crate) const NONE: u32 = 31;
}

/// Bits of the GPU interrupt block.
pub(crate) mod int {
    /// The GPU has hit a bus fault.
    pub(crate) const FAULT: u32 = 1 << 0;
    /// The same in protected mode.
    pub(crate) const PROTECTED_FAULT: u32 = 1 << 1;
    /// A reset is complete.
    pub(crate) const RESET_COMPLETED: u32 = 1 << 8;
    /// A cache flush is complete.
    pub(crate) const CLEAN_CACHES_COMPLETED: u32 = 1 << 17;
}

impl GPU_COMMAND {
    /// Stops all external transactions and resets the GPU.
    pub(crate) fn soft_reset() -> Self {
        Self::zeroed()
            .with_const_kind::<1>()
            .with_const_payload::<1>()
    }

    /// Cleans and invalidates the L2 and load/store caches, invalidates the others.
    pub(crate) fn flush_caches() -> Self {
        // Three fields of four bits: bit 0 cleans, bit 1 invalidates.
        Self::zeroed()
            .with_const_kind::<4>()
            .with_const_payload::<0x233>()
    }
}
