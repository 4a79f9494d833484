// SPDX-License-Identifier: GPL-2.0 OR MIT

//! MCU_CONTROL and doorbells.

use kernel::{
    io::register,
    prelude::*, //
};

register! {
    /// Whether the MCU runs.
    pub(crate) MCU_CONTROL(u32) @ 0x700 {
        1:0 request;
    }

    /// What the MCU does.
    pub(crate) MCU_STATUS(u32) @ 0x704 {
        1:0 state;
    }

    /// Doorbell pages. Page 0 belongs to the global interface, page n + 1 to the group in slot n.
    pub(crate) DOORBELL(u32)[24, stride = 0x10000] @ 0x80000 {
        0:0 ring;
    }
}

impl MCU_CONTROL {
    /// Stops the MCU.
    pub(crate) fn disable() -> Self {
        Self::zeroed()
    }

    /// Starts the MCU, and starts it again after each reset of its own.
    pub(crate) fn auto() -> Self {
        Self::zeroed().with_const_request::<2>()
    }
}

/// What MCU_STATUS can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum McuState {
    /// It does not run.
    Disabled,
    /// It runs.
    Enabled,
    /// It was asked to halt and has.
    Halted,
    /// It has given up.
    Fatal,
}

impl McuState {
    /// For log messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::Halted => "halted",
            Self::Fatal => "fatal",
        }
    }
}

impl From<MCU_STATUS> for McuState {
    fn from(status: MCU_STATUS) -> Self {
        match status.state().get() {
            0 => Self::Disabled,
            1 => Self::Enabled,
            2 => Self::Halted,
            _ => Self::Fatal,
        }
    }
}
