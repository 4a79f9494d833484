// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The processor of the command stream frontend.

use core::str::SplitAsciiWhitespace;

use crate::bus::Bus;
use crate::bus::Step;
use crate::inject::InjectError;

/// The processor: disabled until its implementation lands.
pub struct Mcu {
    control: u32,
}

impl Mcu {
    /// Misbehaviours: syntax and meaning.
    pub const HELP: &'static [(&'static str, &'static str)] = &[];

    /// Powered off.
    pub const fn new() -> Self {
        Self { control: 0 }
    }

    /// Back to power-on state.
    pub fn reset(&mut self) {
        self.control = 0;
    }

    /// A write to MCU_CONTROL.
    pub fn control(&mut self, _bus: &mut Bus<'_>, value: u32) {
        self.control = value;
    }

    /// MCU_CONTROL.
    pub fn control_value(&self) -> u32 {
        self.control
    }

    /// MCU_STATUS.
    pub fn status(&self) -> u32 {
        0
    }

    /// A doorbell.
    pub fn doorbell(&mut self, _bus: &mut Bus<'_>, _page: u32, _value: u32) {}

    /// An address space was updated.
    pub fn address_space_changed(&mut self, _bus: &mut Bus<'_>, _as_nr: u8, _enabled: bool) {}

    /// Bounded work.
    pub fn step(&mut self, _bus: &mut Bus<'_>) -> Step {
        Step::Idle
    }

    /// Parses a misbehaviour.
    pub fn inject(&mut self, _words: &mut SplitAsciiWhitespace<'_>) -> Result<(), InjectError> {
        Err(InjectError::Unknown)
    }

    /// Behaves well again.
    pub fn clear_injections(&mut self) {}
}

impl Default for Mcu {
    fn default() -> Self {
        Self::new()
    }
}
