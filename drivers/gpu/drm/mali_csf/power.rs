// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Supplies and clocks of the GPU.
//!
//! # Locking
//!
//! None: only probe and unbind change anything.
//!
//! # Ordering
//!
//! Voltage before clocks, on the way up; the reverse on the way down. The power domain is on while
//! the driver is bound, which the platform bus sees to.
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
    sync::aref::ARef, //
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

/// A GPU with voltage and clocks. Drop takes both away.
pub(crate) struct Power {
    clocks: Clocks<3>,
    opp: Opp,
    _dev: ARef<Device>,
}

impl Power {
    /// Sets the operating point that belongs to the current clock rate, and switches the clocks on.
    ///
    /// # Errors
    ///
    /// `ENODEV` without operating points or a supply for them, `ENOENT` without core clock,
    /// `EPROBE_DEFER` if one of them is not there yet.
    pub(crate) fn on(dev: &Device<Bound>) -> Result<Self> {
        let clock = |name, optional| ClkSpec { name, optional };
        let mut clocks = Clocks::get(
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
        match regulator::devm_enable_optional(dev, c"sram") {
            // The memories hang on the same supply then.
            Err(err) if err == ENODEV => {}
            result => result.inspect_err(|err| say(dev, "no sram-supply", *err))?,
        }
        opp.set_initial(clocks.rate(CORE))
            .inspect_err(|err| say(dev, "cannot set an operating point", *err))?;
        clocks
            .enable()
            .inspect_err(|err| say(dev, "cannot switch the clocks on", *err))?;
        Ok(Self {
            clocks,
            opp,
            _dev: (&**dev).into(),
        })
    }

    /// Highest rate of the core clock in Hz.
    pub(crate) fn max_hz(&self) -> u64 {
        let max = self.opp.max_rate().map_or(0, |rate| rate.as_hz());
        u64::try_from(max).unwrap_or(0).max(self.core_hz())
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

impl Drop for Power {
    fn drop(&mut self) {
        // Before the voltage, which goes with `opp`.
        self.clocks.disable();
    }
}
