// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the SoC gives to the GPU: clocks, a supply and a power domain. The glue's providers tell
//! the model about every change; the model knows what an access needs.

use crate::record::Kind;

/// A clock input of the GPU, as the RK3588 wires them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// "core": the GPU itself.
    Core,
    /// "coregroup": L2 and bus interface.
    CoreGroup,
    /// "stacks": shader cores.
    Stacks,
}

impl Clock {
    /// All of them, in the order of the device tree binding.
    pub const ALL: [Clock; 3] = [Clock::Core, Clock::CoreGroup, Clock::Stacks];

    /// The name in the device tree.
    pub const fn name(self) -> &'static str {
        match self {
            Clock::Core => "core",
            Clock::CoreGroup => "coregroup",
            Clock::Stacks => "stacks",
        }
    }
}

/// The state of the GPU's surroundings.
pub struct Soc {
    core: bool,
    core_group: bool,
    stacks: bool,
    supply: bool,
    domain: bool,
    rate_hz: u64,
    microvolts: u32,
}

impl Soc {
    /// Everything off; clock and voltage as at the end of a cold boot.
    pub(crate) const fn new() -> Self {
        Self {
            core: false,
            core_group: false,
            stacks: false,
            supply: false,
            domain: false,
            rate_hz: 200_000_000,
            microvolts: 675_000,
        }
    }

    pub(crate) fn set_clock(&mut self, clock: Clock, on: bool) {
        match clock {
            Clock::Core => self.core = on,
            Clock::CoreGroup => self.core_group = on,
            Clock::Stacks => self.stacks = on,
        }
    }

    pub(crate) fn set_supply(&mut self, on: bool) {
        self.supply = on;
    }

    pub(crate) fn set_domain(&mut self, on: bool) {
        self.domain = on;
    }

    pub(crate) fn set_rate(&mut self, hz: u64) {
        self.rate_hz = hz;
    }

    pub(crate) fn set_microvolts(&mut self, microvolts: u32) {
        self.microvolts = microvolts;
    }

    /// The core clock's rate.
    pub fn rate_hz(&self) -> u64 {
        self.rate_hz
    }

    /// The supply's voltage.
    pub fn microvolts(&self) -> u32 {
        self.microvolts
    }

    /// What is missing for a register access, if anything.
    pub(crate) fn missing(&self) -> Option<(Kind, &'static str)> {
        if !self.domain {
            Some((Kind::PowerOff, ""))
        } else if !self.supply {
            Some((Kind::SupplyOff, ""))
        } else if !self.core {
            Some((Kind::ClockOff, Clock::Core.name()))
        } else if !self.core_group {
            Some((Kind::ClockOff, Clock::CoreGroup.name()))
        } else if !self.stacks {
            Some((Kind::ClockOff, Clock::Stacks.name()))
        } else {
            None
        }
    }

    /// Whether the GPU makes progress.
    pub(crate) fn is_running(&self) -> bool {
        self.missing().is_none()
    }
}
