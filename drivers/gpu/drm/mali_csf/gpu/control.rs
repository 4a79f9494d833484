// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Power of the L2 cache, and resets, through the registers that the GPU's architecture has for them.
//!
//! # Locking
//!
//! None: who holds an open gate or has it alone serialises, as the GPU block does.
//!
//! # Ordering
//!
//! A reset is begun, seen to end, and forgotten. The L2 cache takes no command while it is between two
//! states.
//!
//! # Blocking
//!
//! To switch the cache is polled for, in bounded time; nothing else waits.

use kernel::{
    device,
    io::Io as _,
    prelude::*,
    time::Delta, //
};

use super::pwr::{
    self,
    Pwr, //
};
use crate::regs::{
    self,
    gpu::*,
    irq::Block as IntBlock,
    pwr::Domain,
    Hw, //
};

/// Architectures with command streams whose power is controlled through GPU_CONTROL.
const ARCH_GPU_CONTROL: core::ops::RangeInclusive<u32> = 10..=13;

/// The architecture with the PWR block.
const ARCH_PWR: u32 = 14;

/// Longest time that the L2 cache may take to change its power state.
const L2_TIMEOUT: Delta = Delta::from_millis(200);

/// How often power states are polled.
const L2_POLL: Delta = Delta::from_micros(100);

/// First L2 slice: the only one that the driver powers, as does every known user.
const L2_FIRST: u32 = 1;

/// The parts that a GPU has, a bit for each.
#[derive(Clone, Copy)]
pub(crate) struct Present {
    pub(crate) shader: u64,
    pub(crate) tiler: u64,
    pub(crate) l2: u64,
}

/// The registers for power and reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// In GPU_CONTROL. The firmware has the cores all the time.
    GpuControl,
    /// In a block of their own.
    Pwr(Pwr),
}

impl Control {
    /// What a GPU of this architecture has, with its parts. `None` if it is not known.
    pub(crate) fn find(
        arch: u32,
        features: GPU_FEATURES_LO,
        hw: &Hw<'_>,
    ) -> Option<(Self, Present)> {
        if ARCH_GPU_CONTROL.contains(&arch) {
            let shader_lo = hw.read(SHADER_PRESENT_LO).into_raw();
            let tiler_lo = hw.read(TILER_PRESENT_LO).into_raw();
            let l2_lo = hw.read(L2_PRESENT_LO).into_raw();
            let present = Present {
                shader: regs::join(shader_lo, hw.read(SHADER_PRESENT_HI).into_raw()),
                tiler: regs::join(tiler_lo, hw.read(TILER_PRESENT_HI).into_raw()),
                l2: regs::join(l2_lo, hw.read(L2_PRESENT_HI).into_raw()),
            };
            Some((Self::GpuControl, present))
        } else if arch == ARCH_PWR {
            let present = Present {
                shader: pwr::present(hw, Domain::Shader),
                tiler: pwr::present(hw, Domain::Tiler),
                l2: pwr::present(hw, Domain::L2),
            };
            let pwr = Pwr::new(present.l2, features.ray_traversal());
            Some((Self::Pwr(pwr), present))
        } else {
            None
        }
    }

    /// Begins a reset. All domains are the CPU's and off when it has ended.
    ///
    /// # Errors
    ///
    /// `EPERM` if the hardware allows none.
    pub(super) fn begin_reset(&self, dev: &device::Device, hw: &Hw<'_>) -> Result {
        match self {
            Self::GpuControl => {
                IntBlock::Gpu.clear(hw, int::RESET_COMPLETED);
                hw.write_reg(GPU_COMMAND::soft_reset());
                Ok(())
            }
            Self::Pwr(pwr) => pwr.begin_reset(dev, hw),
        }
    }

    /// Whether a reset has ended since one was begun.
    ///
    /// # Errors
    ///
    /// `EPERM` if the hardware has refused it.
    pub(super) fn has_reset(&self, hw: &Hw<'_>) -> Result<bool> {
        match self {
            Self::GpuControl => Ok(IntBlock::Gpu.rawstat(hw) & int::RESET_COMPLETED != 0),
            Self::Pwr(pwr) => pwr.has_reset(hw),
        }
    }

    /// Forgets that a reset has ended.
    pub(super) fn forget_reset(&self, hw: &Hw<'_>) {
        match self {
            Self::GpuControl => IntBlock::Gpu.clear(hw, int::RESET_COMPLETED),
            Self::Pwr(pwr) => pwr.forget_reset(hw),
        }
    }

    /// Powers the L2 cache. The firmware powers the other parts when it needs them.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`; `EPERM` if the hardware refuses.
    pub(super) fn l2_on(&self, dev: &device::Device, hw: &Hw<'_>) -> Result {
        match self {
            Self::GpuControl => {
                l2_settled(hw)?;
                hw.write_reg(L2_PWRON_LO::from_raw(L2_FIRST));
                hw.write_reg(L2_PWRON_HI::zeroed());
                l2_ready(hw, L2_FIRST)
            }
            Self::Pwr(pwr) => pwr.l2_on(dev, hw),
        }
    }

    /// Takes power from the L2 cache, which writes back what it holds.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`; `EPERM` if the hardware refuses.
    pub(super) fn l2_off(&self, dev: &device::Device, hw: &Hw<'_>) -> Result {
        match self {
            Self::GpuControl => {
                l2_settled(hw)?;
                hw.write_reg(L2_PWROFF_LO::from_raw(L2_FIRST));
                hw.write_reg(L2_PWROFF_HI::zeroed());
                l2_ready(hw, 0)?;
                l2_settled(hw)
            }
            Self::Pwr(pwr) => pwr.l2_off(dev, hw),
        }
    }
}

/// Waits until no L2 slice is between two states.
fn l2_settled(hw: &Hw<'_>) -> Result {
    regs::poll(
        || Ok(hw.read(L2_PWRTRANS_LO).into_raw()),
        |moving| moving & L2_FIRST == 0,
        L2_POLL,
        L2_TIMEOUT,
    )?;
    Ok(())
}

/// Waits until the first L2 slice is on or off.
fn l2_ready(hw: &Hw<'_>, wanted: u32) -> Result {
    regs::poll(
        || Ok(hw.read(L2_READY_LO).into_raw()),
        |ready| ready & L2_FIRST == wanted,
        L2_POLL,
        L2_TIMEOUT,
    )?;
    Ok(())
}
