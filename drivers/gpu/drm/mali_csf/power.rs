// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Supplies and clocks of the GPU.
//!
//! # Locking
//!
//! None. Probe switches the supplies on; from then on the PM core's callbacks switch the clocks, one at a
//! time, and devfreq changes rate and voltage, one change at a time. The two do not get in each other's way.
//!
//! # Ordering
//!
//! Voltage before clocks, on the way up; the reverse on the way down. The same for higher and lower ones,
//! which is the OPP core's doing. The PM core switches the power
//! domain on before it asks for clocks, and off after they are off. The supplies stay on while the
//! driver is bound: a domain without power takes nothing from them.
//!
//! # Blocking
//!
//! All of it may sleep.

use kernel::{
    clk::Hertz,
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::Arc, //
};
use soc::{
    clk::{
        ClkSpec,
        Clocks, //
    },
    opp::Opp,
    probe, //
};

/// The core clock's place among the clocks.
const CORE: usize = 0;

/// Clocks that run.
pub(crate) type Clocked = soc::clk::Running<3>;

/// A GPU with voltage, and with clocks when it needs them. Drop takes the voltage away.
pub(crate) struct Supplies {
    clocks: Arc<Clocks<3>>,
    /// `None` if the clock has one rate, of which nobody has said what voltage it takes.
    opp: Option<Opp>,
    /// That of the operating point that was set first.
    initial_rate: Option<Hertz>,
}

impl Supplies {
    /// Sets the operating point that belongs to the current clock rate, and switches the supplies on.
    ///
    /// # Errors
    ///
    /// `ENOENT` without core clock, `EPROBE_DEFER` if something is not there yet, and what operating points
    /// or supplies that do not work fail with.
    pub(crate) fn on(dev: &Device<Bound>) -> Result<Self> {
        let clock = |name, optional| ClkSpec { name, optional };
        let clocks = Clocks::get(
            dev,
            [
                clock(c"core", false),
                clock(c"stacks", true),
                clock(c"coregroup", true),
            ],
        )?;

        let opp = match Opp::from_dt(dev, None, c"mali") {
            Err(err) if err == ENODEV => None,
            result => Some(result.map_err(|err| {
                let why = fmt!(
                    "cannot use the operating points: check operating-points-v2 and mali-supply in \
                     the device tree, and the driver of that regulator"
                );
                probe::failed(dev, err, why)
            })?),
        };
        // The OPP core switches the first one on as well, and takes no notice if that fails. If there is
        // none, the power domain sees to it; without the second, the memories hang on the first.
        for name in [c"mali", c"sram"] {
            probe::enable_supply(dev, name)?;
        }
        let initial_rate = opp
            .as_ref()
            .map(|opp| opp.set_initial(clocks.rate(CORE)))
            .transpose()
            .map_err(|err| {
                let why = fmt!(
                    "cannot set an operating point: check that the supply \"mali\" has the voltages \
                     of the operating points"
                );
                probe::failed(dev, err, why)
            })?;
        Ok(Self {
            clocks: Arc::new(clocks, GFP_KERNEL)?,
            opp,
            initial_rate,
        })
    }

    /// Highest rate of the core clock in Hz.
    pub(crate) fn max_hz(&self) -> u64 {
        let max = self.opp.as_ref().map_or(0, |opp| opp.max_rate().as_hz());
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
            .inspect_err(|err| dev_err!(dev, "cannot switch the clocks on: {err:?}\n"))
    }

    /// Rate of the core clock in Hz.
    pub(crate) fn core_hz(&self) -> u64 {
        u64::try_from(self.rate().as_hz()).unwrap_or(0)
    }

    /// Whether there are operating points.
    pub(crate) fn has_points(&self) -> bool {
        self.opp.is_some()
    }

    /// Rate of the operating point that was set first, if there are such points.
    pub(crate) fn initial_rate(&self) -> Option<Hertz> {
        self.initial_rate
    }

    /// Rate of the core clock.
    pub(crate) fn rate(&self) -> Hertz {
        self.clocks.rate(CORE)
    }

    /// Lets the core clock run at `rate`, that of an operating point, with the voltage for it.
    ///
    /// # Errors
    ///
    /// `ENODEV` without operating points; what the clock or the supply fails with.
    pub(crate) fn set_rate(&self, rate: Hertz) -> Result {
        self.opp.as_ref().ok_or(ENODEV)?.set_rate(rate)
    }
}
