// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Supplies and clocks of the GPU.
//!
//! # Locking
//!
//! None. Probe switches the supplies on; from then on only the PM core's callbacks change anything,
//! one at a time.
//!
//! # Ordering
//!
//! Voltage before clocks, on the way up; the reverse on the way down. The PM core switches the power
//! domain on before it asks for clocks, and off after they are off. The supplies stay on while the
//! driver is bound: a domain without power takes nothing from them.
//!
//! # Blocking
//!
//! All of it may sleep.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    regulator,
    sync::Arc, //
};
use soc::{
    clk::{
        ClkSpec,
        Clocks, //
    },
    opp::Opp,
};

/// The core clock's place among the clocks.
const CORE: usize = 0;

/// Clocks that run.
pub(crate) type Clocked = soc::clk::Running<3>;

/// A GPU with voltage, and with clocks when it needs them. Drop takes the voltage away.
pub(crate) struct Supplies {
    clocks: Arc<Clocks<3>>,
    opp: Opp,
}

impl Supplies {
    /// Sets the operating point that belongs to the current clock rate, and switches the supplies on.
    ///
    /// # Errors
    ///
    /// `ENODEV` without operating points or a supply for them, `ENOENT` without core clock,
    /// `EPROBE_DEFER` if one of them is not there yet.
    pub(crate) fn on(dev: &Device<Bound>) -> Result<Self> {
        let clock = |name, optional| ClkSpec { name, optional };
        let clocks = Clocks::get(
            dev,
            [
                clock(c"core", false),
                clock(c"stacks", true),
                clock(c"coregroup", true),
            ],
        )
        .inspect_err(|err| say(dev, "no clock \"core\"", *err))?;

        let opp = Opp::from_dt(dev, c"mali")
            .inspect_err(|err| say(dev, "no operating points or no mali-supply", *err))?;
        // The OPP core switches the first one on as well, and takes no notice if that fails. If there is
        // none, the power domain sees to it; without the second, the memories hang on the first.
        for (name, what) in [(c"mali", "no mali-supply"), (c"sram", "no sram-supply")] {
            match regulator::devm_enable_optional(dev, name) {
                Err(err) if err == ENODEV => {}
                result => result.inspect_err(|err| say(dev, what, *err))?,
            }
        }
        opp.set_initial(clocks.rate(CORE))
            .inspect_err(|err| say(dev, "cannot set an operating point", *err))?;
        Ok(Self {
            clocks: Arc::new(clocks, GFP_KERNEL)?,
            opp,
        })
    }

    /// Highest rate of the core clock in Hz.
    pub(crate) fn max_hz(&self) -> u64 {
        let max = self.opp.max_rate().map_or(0, |rate| rate.as_hz());
        u64::try_from(max).unwrap_or(0).max(self.core_hz())
    }

    /// Switches the clocks on.
    ///
    /// # Errors
    ///
    /// What the clock framework says.
    pub(crate) fn clock(&self, dev: &Device) -> Result<Clocked> {
        self.clocks
            .enable()
            .inspect_err(|err| say(dev, "cannot switch the clocks on", *err))
    }

    /// Rate of the core clock in Hz.
    pub(crate) fn core_hz(&self) -> u64 {
        u64::try_from(self.clocks.rate(CORE).as_hz()).unwrap_or(0)
    }
}

/// Names the resource that is missing, unless it may still come.
fn say(dev: &Device, what: &str, err: Error) {
    if err != EPROBE_DEFER {
        dev_err!(dev, "{what}: {err:?}\n");
    }
}
