// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The rate of the core clock follows the load, where there is a choice.
//!
//! The GPU has work while a group in a slot has jobs that the GPU has not finished, unless the firmware says
//! that all of them wait for somebody else; who counts that is [`crate::group::link`].
//!
//! # Locking
//!
//! None of its own. devfreq serialises changes of the rate.
//!
//! # Ordering
//!
//! The governor runs while the clocks do. From probe to the first time that they run, it is suspended.
//! Limits that user space or a cooling device set in the meantime take effect at once: supplies are on as
//! long as the driver is bound, and a clock has a rate also when it stands still.
//!
//! # Blocking
//!
//! Switching waits for a change of the rate, which waits for the clock and the supply, and for nobody in
//! this driver.

use kernel::{
    clk::Hertz,
    device,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
};
use soc::devfreq::{
    Counting,
    Devfreq,
    Load,
    Scalable,
    Thresholds, //
};

use crate::power::Supplies;

/// Frames of 60 Hz have three turns to become late.
const THRESHOLDS: Thresholds = Thresholds {
    polling_ms: 50,
    up: 45,
    down_difference: 5,
};

impl Scalable for Supplies {
    fn set_rate(&self, rate: Hertz) -> Result {
        Supplies::set_rate(self, rate)
    }

    fn rate(&self) -> Hertz {
        Supplies::rate(self)
    }
}

/// What chooses the rate, and what it is chosen by.
pub(crate) struct Scaling {
    dev: ARef<device::Device>,
    /// `None` if there is nothing to choose from.
    devfreq: Option<Arc<Devfreq<Supplies>>>,
    load: Arc<Load>,
}

/// Why there is no choice although there are operating points.
fn reason(err: Error) -> &'static str {
    if err == ENODEV {
        "there is one operating point"
    } else if err == ENOSYS {
        "the kernel is without CONFIG_PM_DEVFREQ"
    } else {
        "devfreq refuses, is CONFIG_DEVFREQ_GOV_SIMPLE_ONDEMAND there?"
    }
}

impl Scaling {
    /// For a GPU whose clocks do not run yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EPROBE_DEFER`. Everything else costs the choice and nothing more.
    pub(crate) fn new(
        dev: &device::Device<device::Bound>,
        supplies: &Arc<Supplies>,
    ) -> Result<Self> {
        let load = Load::new()?;
        let devfreq = supplies
            .initial_rate()
            .ok_or(ENODEV)
            .and_then(|rate| Devfreq::new(dev, supplies.clone(), rate, load.clone(), THRESHOLDS))
            .and_then(|devfreq| devfreq.suspend().map(|()| devfreq));
        let devfreq = match devfreq {
            Ok(devfreq) => Some(Arc::new(devfreq, GFP_KERNEL)?),
            Err(err) if err == EPROBE_DEFER || err == ENOMEM => return Err(err),
            Err(err) => {
                let hz = supplies.core_hz();
                if supplies.has_points() {
                    dev_info!(dev, "the core clock stays at {hz} Hz: {}\n", reason(err));
                } else {
                    dev_warn!(
                        dev,
                        "no operating points, the core clock stays at {hz} Hz: check \
                         operating-points-v2 in the device tree, and CONFIG_PM_OPP\n"
                    );
                }
                None
            }
        };
        Ok(Self {
            dev: (&**dev).into(),
            devfreq,
            load,
        })
    }

    /// By which the scheduler says when there is work.
    pub(crate) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// The clocks run.
    pub(crate) fn start(&self) -> Scaled {
        let counting = self.load.count();
        if let Some(Err(err)) = self.devfreq.as_ref().map(|devfreq| devfreq.resume()) {
            dev_warn!(self.dev, "the core clock stays at its rate: {err:?}\n");
        }
        Scaled {
            dev: self.dev.clone(),
            devfreq: self.devfreq.clone(),
            _counting: counting,
        }
    }
}

/// A rate that follows the load, until this is dropped.
pub(crate) struct Scaled {
    dev: ARef<device::Device>,
    devfreq: Option<Arc<Devfreq<Supplies>>>,
    _counting: Counting,
}

impl Drop for Scaled {
    fn drop(&mut self) {
        if let Some(Err(err)) = self.devfreq.as_ref().map(|devfreq| devfreq.suspend()) {
            dev_warn!(
                self.dev,
                "the core clock keeps its rate in suspend: {err:?}\n"
            );
        }
    }
}
