// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Power and reset through the PWR block, which GPUs have since architecture 14.
//!
//! The CPU powers the L2 cache, and gives the domains of the tiler and of the shader cores to the MCU,
//! which powers cores as jobs need them. An MCU that is halted has switched its cores off; from one that
//! does not answer the domains are taken back first.
//!
//! # Locking
//!
//! None: who holds an open gate or has it alone serialises, as the GPU block does.
//!
//! # Ordering
//!
//! L2 cache, shader cores, tiler on the way up, the reverse on the way down. What is begun on the way up
//! and fails is undone in reverse.
//!
//! # Blocking
//!
//! Each wait is polled for and bounded. The block's interrupts stay masked, as whoever commands waits for
//! the end: the line is that of the GPU block, which cannot be served while the registers are one's alone.

use kernel::{
    device,
    io::Io as _,
    prelude::*,
    time::Delta, //
};

use crate::regs::{
    self,
    irq::Block as IntBlock,
    pwr::*,
    Hw, //
};

/// Longest time that a domain may take to change its state or its owner.
const TRANSITION: Delta = Delta::from_millis(2000);

/// How often that is looked at.
const POLL: Delta = Delta::from_micros(20);

/// The answers that say that a command was not taken.
const REFUSED: u32 = int::COMMAND_NOT_ALLOWED | int::COMMAND_INVALID;

/// The block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pwr {
    /// L2 slices.
    l2: u64,
    /// There are ray units, which have their power with the shader cores.
    ray_units: bool,
}

/// A value in two halves.
fn read64(hw: &Hw<'_>, domain: Domain, what: What) -> u64 {
    let (lo, hi) = match (domain, what) {
        (Domain::L2, What::Present) => (
            hw.read(PWR_L2_PRESENT_LO).into_raw(),
            hw.read(PWR_L2_PRESENT_HI).into_raw(),
        ),
        (Domain::L2, What::Ready) => (
            hw.read(PWR_L2_READY_LO).into_raw(),
            hw.read(PWR_L2_READY_HI).into_raw(),
        ),
        (Domain::L2, What::Moving) => (
            hw.read(PWR_L2_PWRTRANS_LO).into_raw(),
            hw.read(PWR_L2_PWRTRANS_HI).into_raw(),
        ),
        (Domain::Tiler, What::Present) => (
            hw.read(PWR_TILER_PRESENT_LO).into_raw(),
            hw.read(PWR_TILER_PRESENT_HI).into_raw(),
        ),
        (Domain::Tiler, What::Ready) => (
            hw.read(PWR_TILER_READY_LO).into_raw(),
            hw.read(PWR_TILER_READY_HI).into_raw(),
        ),
        (Domain::Tiler, What::Moving) => (
            hw.read(PWR_TILER_PWRTRANS_LO).into_raw(),
            hw.read(PWR_TILER_PWRTRANS_HI).into_raw(),
        ),
        (Domain::Shader, What::Present) => (
            hw.read(PWR_SHADER_PRESENT_LO).into_raw(),
            hw.read(PWR_SHADER_PRESENT_HI).into_raw(),
        ),
        (Domain::Shader, What::Ready) => (
            hw.read(PWR_SHADER_READY_LO).into_raw(),
            hw.read(PWR_SHADER_READY_HI).into_raw(),
        ),
        (Domain::Shader, What::Moving) => (
            hw.read(PWR_SHADER_PWRTRANS_LO).into_raw(),
            hw.read(PWR_SHADER_PWRTRANS_HI).into_raw(),
        ),
    };
    regs::join(lo, hi)
}

/// What there is to know of the parts of a domain.
#[derive(Clone, Copy)]
enum What {
    Present,
    Ready,
    Moving,
}

/// The parts of a domain that exist.
pub(crate) fn present(hw: &Hw<'_>, domain: Domain) -> u64 {
    read64(hw, domain, What::Present)
}

fn status(hw: &Hw<'_>) -> PWR_STATUS_LO {
    hw.read(PWR_STATUS_LO)
}

/// Whether the command that was written has done what it is for.
///
/// # Errors
///
/// `EPERM` if it was refused, which is forgotten then.
fn look(hw: &Hw<'_>, done: impl Fn() -> bool) -> Result<bool> {
    match done() {
        true => Ok(true),
        false if IntBlock::Pwr.rawstat(hw) & REFUSED != 0 => {
            IntBlock::Pwr.clear(hw, REFUSED);
            Err(EPERM)
        }
        false => Ok(false),
    }
}

/// Waits until the command that was written has done what it is for.
///
/// # Errors
///
/// `EPERM` if it is refused, `ETIMEDOUT`.
fn wait(hw: &Hw<'_>, done: impl Fn() -> bool) -> Result {
    regs::poll(|| look(hw, &done), |done| *done, POLL, TRANSITION).map(|_| ())
}

impl Pwr {
    /// The block of a GPU with `l2` slices.
    pub(crate) fn new(l2: u64, ray_units: bool) -> Self {
        Self { l2, ray_units }
    }

    /// Begins a reset.
    ///
    /// # Errors
    ///
    /// `EPERM` if none is allowed.
    pub(super) fn begin_reset(&self, dev: &device::Device, hw: &Hw<'_>) -> Result {
        // Nobody serves them, whatever the boot loader has left.
        IntBlock::Pwr.set_mask(hw, 0);
        if !hw.read(PWR_STATUS_HI).allow_soft_reset() {
            dev_err!(dev, "PWR: no reset is allowed\n");
            return Err(EPERM);
        }
        IntBlock::Pwr.clear(hw, int::RESET_COMPLETED | REFUSED);
        hw.write_reg(PWR_COMMAND::reset_soft());
        Ok(())
    }

    /// Whether a reset has ended since one was begun.
    ///
    /// # Errors
    ///
    /// `EPERM` if it was refused.
    pub(super) fn has_reset(&self, hw: &Hw<'_>) -> Result<bool> {
        look(hw, || IntBlock::Pwr.rawstat(hw) & int::RESET_COMPLETED != 0)
    }

    /// Forgets that a reset has ended.
    pub(super) fn forget_reset(&self, hw: &Hw<'_>) {
        IntBlock::Pwr.clear(hw, int::RESET_COMPLETED);
    }

    /// Powers the L2 cache, and gives the cores to the MCU.
    ///
    /// # Errors
    ///
    /// `EPERM` if the block refuses, `ETIMEDOUT`.
    pub(super) fn l2_on(&self, dev: &device::Device, hw: &Hw<'_>) -> Result {
        self.switch(dev, hw, Domain::L2, self.l2, true)?;
        self.delegate(dev, hw, Domain::Shader)
            .and_then(|()| {
                self.delegate(dev, hw, Domain::Tiler).inspect_err(|_| {
                    let _ = self.retract(dev, hw, Domain::Shader);
                })
            })
            .inspect_err(|_| {
                let _ = self.switch(dev, hw, Domain::L2, self.l2, false);
            })
    }

    /// Takes the power of the L2 cache, and before that of cores that the MCU has left on.
    ///
    /// # Errors
    ///
    /// `EPERM` if the block refuses, `ETIMEDOUT`.
    pub(super) fn l2_off(&self, dev: &device::Device, hw: &Hw<'_>) -> Result {
        for domain in [Domain::Tiler, Domain::Shader] {
            let ready = read64(hw, domain, What::Ready);
            if ready != 0 {
                self.retract(dev, hw, domain)?;
                self.switch(dev, hw, domain, ready, false)?;
            }
        }
        self.switch(dev, hw, Domain::L2, self.l2, false)
    }

    /// Switches `parts` of a domain on or off.
    fn switch(
        &self,
        dev: &device::Device,
        hw: &Hw<'_>,
        domain: Domain,
        parts: u64,
        on: bool,
    ) -> Result {
        let wanted = if on { parts } else { 0 };
        let is_done = || read64(hw, domain, What::Ready) & parts == wanted;
        let command = match on {
            true => PWR_COMMAND::power_up(domain),
            false => PWR_COMMAND::power_down(domain),
        };
        self.settled(hw, domain)
            .and_then(|()| match is_done() {
                true => Ok(()),
                false if !domain.is_allowed(status(hw)) => Err(EPERM),
                false => {
                    let (lo, hi) = regs::halves(parts);
                    hw.write_reg(PWR_CMDARG_LO::from_raw(lo));
                    hw.write_reg(PWR_CMDARG_HI::from_raw(hi));
                    hw.write_reg(
                        command.with_ray_units(self.ray_units && domain == Domain::Shader),
                    );
                    wait(hw, is_done)?;
                    self.settled(hw, domain)
                }
            })
            .inspect_err(|err| {
                let what = if on { "on" } else { "off" };
                dev_err!(dev, "PWR: {} does not go {what}: {err:?}\n", domain.name());
            })
    }

    /// Waits until nothing of a domain is between two states.
    fn settled(&self, hw: &Hw<'_>, domain: Domain) -> Result {
        wait(hw, || read64(hw, domain, What::Moving) == 0)
    }

    /// Gives a domain to the MCU.
    fn delegate(&self, dev: &device::Device, hw: &Hw<'_>, domain: Domain) -> Result {
        let is_given = || {
            let status = status(hw);
            domain.is_delegated(status) && !domain.is_allowed(status)
        };
        let now = status(hw);
        if domain.is_delegated(now) {
            return Ok(());
        }
        match domain.is_allowed(now) {
            true => self.settled(hw, domain).and_then(|()| {
                hw.write_reg(PWR_COMMAND::delegate(domain));
                wait(hw, is_given)
            }),
            false => Err(EPERM),
        }
        .inspect_err(|err| {
            dev_err!(
                dev,
                "PWR: {} cannot be given to the MCU: {err:?}\n",
                domain.name()
            );
        })
    }

    /// Takes a domain back from the MCU.
    fn retract(&self, dev: &device::Device, hw: &Hw<'_>, domain: Domain) -> Result {
        let is_back = || {
            let status = status(hw);
            domain.is_allowed(status) && !domain.is_delegated(status)
        };
        wait(hw, || !hw.read(PWR_STATUS_HI).retract_pending())
            .and_then(|()| match domain.is_delegated(status(hw)) {
                false => Ok(()),
                true => {
                    hw.write_reg(PWR_COMMAND::retract(domain));
                    wait(hw, is_back)
                }
            })
            .inspect_err(|err| {
                dev_err!(
                    dev,
                    "PWR: {} cannot be taken back from the MCU: {err:?}\n",
                    domain.name()
                );
            })
    }
}
