// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the SoC gives to the NPU: clocks, one supply, and three power domains of which the first
//! carries the other two.

use super::CoreId;
use crate::record::Kind;

/// A clock input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NpuClock {
    /// "aclk": a core's memory bus.
    Aclk(CoreId),
    /// "hclk": a core's register bus.
    Hclk(CoreId),
    /// "npu": what all cores calculate with.
    Npu,
    /// "pclk": the NPU's common registers.
    Pclk,
}

impl NpuClock {
    /// All of them, in the order of the glue's clock controller.
    pub const ALL: [NpuClock; 8] = [
        NpuClock::Aclk(CoreId::Core0),
        NpuClock::Hclk(CoreId::Core0),
        NpuClock::Aclk(CoreId::Core1),
        NpuClock::Hclk(CoreId::Core1),
        NpuClock::Aclk(CoreId::Core2),
        NpuClock::Hclk(CoreId::Core2),
        NpuClock::Npu,
        NpuClock::Pclk,
    ];

    /// The name in the device tree.
    pub const fn name(self) -> &'static str {
        match self {
            NpuClock::Aclk(_) => "aclk",
            NpuClock::Hclk(_) => "hclk",
            NpuClock::Npu => "npu",
            NpuClock::Pclk => "pclk",
        }
    }
}

/// A power domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NpuDomain {
    /// Core 0 and what all cores share.
    Top,
    /// Core 1.
    Npu1,
    /// Core 2.
    Npu2,
}

impl NpuDomain {
    /// All of them.
    pub const ALL: [NpuDomain; 3] = [NpuDomain::Top, NpuDomain::Npu1, NpuDomain::Npu2];

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            NpuDomain::Top => "nputop domain",
            NpuDomain::Npu1 => "npu1 domain",
            NpuDomain::Npu2 => "npu2 domain",
        }
    }
}

/// The rate at which the boot loader of an RK3588 leaves the clock that all cores share, in Hz.
const RATE_BOOT: u64 = 200_000_000;

/// The state of the NPU's surroundings.
pub(super) struct Inputs {
    aclk: [bool; 3],
    hclk: [bool; 3],
    npu: bool,
    npu_hz: u64,
    pclk: bool,
    supply: bool,
    top: bool,
    npu1: bool,
    npu2: bool,
}

impl Inputs {
    /// Everything off.
    pub(super) const fn new() -> Self {
        Self {
            aclk: [false; 3],
            hclk: [false; 3],
            npu: false,
            npu_hz: RATE_BOOT,
            pclk: false,
            supply: false,
            top: false,
            npu1: false,
            npu2: false,
        }
    }

    pub(super) fn set_clock(&mut self, clock: NpuClock, on: bool) {
        match clock {
            NpuClock::Aclk(id) => *id.of_mut(&mut self.aclk) = on,
            NpuClock::Hclk(id) => *id.of_mut(&mut self.hclk) = on,
            NpuClock::Npu => self.npu = on,
            NpuClock::Pclk => self.pclk = on,
        }
    }

    pub(super) fn set_rate(&mut self, hz: u64) {
        self.npu_hz = hz;
    }

    /// The rate if it is too high to switch the domain of the clock's generator, as is to be done.
    pub(super) fn too_fast_for(&self, domain: NpuDomain, on: bool) -> Option<u64> {
        let switched = domain == NpuDomain::Top && self.top != on;
        (switched && self.npu_hz > RATE_BOOT).then_some(self.npu_hz)
    }

    pub(super) fn set_supply(&mut self, on: bool) {
        self.supply = on;
    }

    pub(super) fn set_domain(&mut self, domain: NpuDomain, on: bool) {
        match domain {
            NpuDomain::Top => self.top = on,
            NpuDomain::Npu1 => self.npu1 = on,
            NpuDomain::Npu2 => self.npu2 = on,
        }
    }

    fn domain(&self, id: CoreId) -> bool {
        self.top
            && match id {
                CoreId::Core0 => true,
                CoreId::Core1 => self.npu1,
                CoreId::Core2 => self.npu2,
            }
    }

    /// Whether the core keeps its state.
    pub(super) fn is_powered(&self, id: CoreId) -> bool {
        self.supply && self.domain(id)
    }

    /// What contradicts the order in which power goes on and off, if anything.
    pub(super) fn out_of_order(&self) -> Option<&'static str> {
        if self.top && !self.supply {
            Some("domain without supply")
        } else if (self.npu1 || self.npu2) && !self.top {
            Some("core domain without the one that carries it")
        } else {
            None
        }
    }

    /// What is missing for an access to the core's IOMMU, if anything.
    pub(super) fn missing_for_iommu(&self, id: CoreId) -> Option<(Kind, &'static str)> {
        if !self.domain(id) {
            Some((Kind::PowerOff, ""))
        } else if !self.supply {
            Some((Kind::SupplyOff, ""))
        } else if !*id.of(&self.aclk) {
            Some((Kind::ClockOff, NpuClock::Aclk(id).name()))
        } else if !*id.of(&self.hclk) {
            Some((Kind::ClockOff, NpuClock::Hclk(id).name()))
        } else {
            None
        }
    }

    /// What is missing for an access to the core, or for it to run, if anything.
    pub(super) fn missing(&self, id: CoreId) -> Option<(Kind, &'static str)> {
        self.missing_for_iommu(id).or(if !self.npu {
            Some((Kind::ClockOff, NpuClock::Npu.name()))
        } else if !self.pclk {
            Some((Kind::ClockOff, NpuClock::Pclk.name()))
        } else {
            None
        })
    }
}
