// SPDX-License-Identifier: GPL-2.0 OR MIT

//! PWR_CONTROL: power and reset since architecture 14. Its interrupt block is in [`irq`](super::irq).

use kernel::{
    io::register,
    prelude::*, //
};

register! {
    /// What may be commanded now and what is the MCU's, low half.
    pub(crate) PWR_STATUS_LO(u32) @ 0x820 {
        0:0 allow_l2 => bool;
        1:1 allow_tiler => bool;
        8:8 allow_shader => bool;
        17:17 delegated_tiler => bool;
        24:24 delegated_shader => bool;
    }
    /// What else may be commanded, and what is going on, high half.
    pub(crate) PWR_STATUS_HI(u32) @ 0x824 {
        1:1 allow_soft_reset => bool;
        10:10 reset_pending => bool;
        11:11 retract_pending => bool;
    }

    /// Command register.
    pub(crate) PWR_COMMAND(u32) @ 0x828 {
        /// Kind of the command.
        7:0 kind;
        /// What it is for.
        15:8 domain;
        /// Ray units: they have their power with the shader cores.
        16:16 ray_units => bool;
    }

    /// Which parts of a domain a power command is for, low half.
    pub(crate) PWR_CMDARG_LO(u32) @ 0x830 {}
    /// Which parts of a domain a power command is for, high half.
    pub(crate) PWR_CMDARG_HI(u32) @ 0x834 {}

    /// L2 slices, low half.
    pub(crate) PWR_L2_PRESENT_LO(u32) @ 0x900 {}
    /// L2 slices, high half.
    pub(crate) PWR_L2_PRESENT_HI(u32) @ 0x904 {}
    /// L2 slices that are powered, low half.
    pub(crate) PWR_L2_READY_LO(u32) @ 0x908 {}
    /// L2 slices that are powered, high half.
    pub(crate) PWR_L2_READY_HI(u32) @ 0x90c {}
    /// L2 slices between the two states, low half.
    pub(crate) PWR_L2_PWRTRANS_LO(u32) @ 0x910 {}
    /// L2 slices between the two states, high half.
    pub(crate) PWR_L2_PWRTRANS_HI(u32) @ 0x914 {}

    /// Tilers, low half.
    pub(crate) PWR_TILER_PRESENT_LO(u32) @ 0x940 {}
    /// Tilers, high half.
    pub(crate) PWR_TILER_PRESENT_HI(u32) @ 0x944 {}
    /// Tilers that are powered, low half.
    pub(crate) PWR_TILER_READY_LO(u32) @ 0x948 {}
    /// Tilers that are powered, high half.
    pub(crate) PWR_TILER_READY_HI(u32) @ 0x94c {}
    /// Tilers between the two states, low half.
    pub(crate) PWR_TILER_PWRTRANS_LO(u32) @ 0x950 {}
    /// Tilers between the two states, high half.
    pub(crate) PWR_TILER_PWRTRANS_HI(u32) @ 0x954 {}

    /// Shader cores, low half.
    pub(crate) PWR_SHADER_PRESENT_LO(u32) @ 0xa00 {}
    /// Shader cores, high half.
    pub(crate) PWR_SHADER_PRESENT_HI(u32) @ 0xa04 {}
    /// Shader cores that are powered, low half.
    pub(crate) PWR_SHADER_READY_LO(u32) @ 0xa08 {}
    /// Shader cores that are powered, high half.
    pub(crate) PWR_SHADER_READY_HI(u32) @ 0xa0c {}
    /// Shader cores between the two states, low half.
    pub(crate) PWR_SHADER_PWRTRANS_LO(u32) @ 0xa10 {}
    /// Shader cores between the two states, high half.
    pub(crate) PWR_SHADER_PWRTRANS_HI(u32) @ 0xa14 {}
}

/// Bits of the PWR interrupt block.
pub(crate) mod int {
    /// A reset is complete.
    pub(crate) const RESET_COMPLETED: u32 = 1 << 3;
    /// A command was refused.
    pub(crate) const COMMAND_NOT_ALLOWED: u32 = 1 << 30;
    /// A command makes no sense.
    pub(crate) const COMMAND_INVALID: u32 = 1 << 31;
}

/// What has power of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// The L2 cache; always the CPU's.
    L2,
    /// Tilers.
    Tiler,
    /// Shader cores.
    Shader,
}

impl Domain {
    /// For log messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::L2 => "L2",
            Self::Tiler => "tiler",
            Self::Shader => "shader",
        }
    }

    /// Whether commands of the CPU are taken for it.
    pub(crate) fn is_allowed(self, status: PWR_STATUS_LO) -> bool {
        match self {
            Self::L2 => status.allow_l2(),
            Self::Tiler => status.allow_tiler(),
            Self::Shader => status.allow_shader(),
        }
    }

    /// Whether the MCU switches it.
    pub(crate) fn is_delegated(self, status: PWR_STATUS_LO) -> bool {
        match self {
            Self::L2 => false,
            Self::Tiler => status.delegated_tiler(),
            Self::Shader => status.delegated_shader(),
        }
    }
}

impl PWR_COMMAND {
    fn of(domain: Domain) -> Self {
        match domain {
            Domain::L2 => Self::zeroed().with_const_domain::<0>(),
            Domain::Tiler => Self::zeroed().with_const_domain::<1>(),
            Domain::Shader => Self::zeroed().with_const_domain::<8>(),
        }
    }

    /// Powers the parts in CMDARG.
    pub(crate) fn power_up(domain: Domain) -> Self {
        Self::of(domain).with_const_kind::<0x10>()
    }

    /// Takes the power of the parts in CMDARG.
    pub(crate) fn power_down(domain: Domain) -> Self {
        Self::of(domain).with_const_kind::<0x11>()
    }

    /// Gives the domain to the MCU.
    pub(crate) fn delegate(domain: Domain) -> Self {
        Self::of(domain).with_const_kind::<0x20>()
    }

    /// Takes the domain back from the MCU.
    pub(crate) fn retract(domain: Domain) -> Self {
        Self::of(domain).with_const_kind::<0x21>()
    }

    /// Stops all external transactions and resets the GPU.
    pub(crate) fn reset_soft() -> Self {
        Self::zeroed().with_const_kind::<0x31>()
    }
}
