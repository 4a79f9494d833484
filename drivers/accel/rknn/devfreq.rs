// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The rate of the clock that all cores share follows the load, where there is a choice.
//!
//! There is one if a core has operating points in the device tree: they are for the clock `npu`, and the
//! supply of that name. If several cores have them, they are those of the first one that is bound, until it is
//! unbound. Without any, the clock keeps the rate that it has.
//!
//! The NPU has work while one core has: jobs that wait for each other are not done sooner because the
//! other cores have nothing to do.
//!
//! # Locking
//!
//! `state` is a mutex, for who is on and what chooses the rate. devfreq's own come inside of it; they are
//! held while the rate is changed, which takes locks of the clock and the supply, and none of this driver.
//!
//! # Ordering
//!
//! The governor runs while a core is on, whichever. Limits that user space or a cooling device set in the
//! meantime take effect at once.
//!
//! # Blocking
//!
//! Switching a core waits for a change of the rate. Beginning and ending a job does not.

use kernel::{
    clk::Hertz,
    device,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use soc::{
    clk::Clocks,
    devfreq::{
        Counting,
        Devfreq,
        Load,
        Scalable,
        Thresholds, //
    },
    opp::Opp,
    probe, //
};

use crate::core::{
    CLOCKS,
    SHARED_CLOCK, //
};

/// Inferences of a camera's stream are short, and late if the rate comes late.
const THRESHOLDS: Thresholds = Thresholds {
    polling_ms: 50,
    up: 45,
    down_difference: 5,
};

/// The shared clock, as the one core sees it that has the operating points.
struct Points {
    opp: Opp,
    clocks: Arc<Clocks<CLOCKS>>,
}

impl Scalable for Points {
    fn set_rate(&self, rate: Hertz) -> Result {
        self.opp.set_rate(rate)
    }

    fn rate(&self) -> Hertz {
        self.clocks.rate(SHARED_CLOCK)
    }
}

struct State {
    /// Cores that are on.
    on: u32,
    /// A core has its operating points in use.
    taken: bool,
    /// What chooses the rate, if anything does. Suspended while no core is on.
    devfreq: Option<Devfreq<Points>>,
}

/// What chooses the rate, and what it is chosen by.
#[pin_data]
pub(crate) struct Scaling {
    load: Arc<Load>,
    #[pin]
    state: Mutex<State>,
}

impl Scaling {
    /// No core is on, and nobody chooses.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let load = Load::new()?;

        Arc::pin_init(
            pin_init!(Self {
                load,
                state <- new_mutex!(
                    State {
                        on: 0,
                        taken: false,
                        devfreq: None,
                    },
                    "Scaling::state"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// By which a core says that it has a job.
    pub(crate) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// A core is on.
    pub(crate) fn start(self: &Arc<Self>) -> Scaled {
        let counting = self.load.count();
        let mut state = self.state.lock();

        state.on += 1;
        if state.on == 1 {
            // The rate stays as it is if that fails, and the next core tries again.
            let _ = state.devfreq.as_ref().map(Devfreq::resume);
        }
        Scaled {
            scaling: self.clone(),
            _counting: counting,
        }
    }

    /// Uses the operating points of a core that is off, if it has some, and nobody else has.
    ///
    /// # Errors
    ///
    /// What operating points that do not work fail with, which is said.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        dev: &device::Device<device::Bound>,
        clocks: &Arc<Clocks<CLOCKS>>,
    ) -> Result<Option<Chosen>> {
        let has = dev
            .fwnode()
            .is_some_and(|node| node.property_present(c"operating-points-v2"));

        if !has || core::mem::replace(&mut self.state.lock().taken, true) {
            return Ok(None);
        }
        // From here on it is given back by the drop.
        let mut chosen = Chosen {
            scaling: self.clone(),
            points: None,
        };
        let failed = |err| {
            let why = fmt!(
                "cannot use the operating points: check operating-points-v2 and npu-supply in the \
                 device tree, and the driver of that regulator"
            );
            probe::failed(dev, err, why)
        };
        let opp = match Opp::from_dt(dev, Some(c"npu"), c"npu") {
            // The kernel has none.
            Err(err) if err == ENODEV => return Ok(None),
            result => result.map_err(failed)?,
        };
        let rate = opp.set_initial(clocks.rate(SHARED_CLOCK)).map_err(failed)?;
        let points = Points {
            opp,
            clocks: clocks.clone(),
        };
        let points = Arc::new(points, GFP_KERNEL)?;

        chosen.points = Some(points.clone());
        match Devfreq::new(dev, points, rate, self.load.clone(), THRESHOLDS) {
            Ok(devfreq) => {
                let mut state = self.state.lock();

                if state.on == 0 {
                    // If its rate for this cannot be set it keeps this one.
                    let _ = devfreq.suspend();
                }
                state.devfreq = Some(devfreq);
            }
            Err(err) if err == EPROBE_DEFER || err == ENOMEM => return Err(err),
            Err(err) => {
                let hz = rate.as_hz();
                dev_info!(dev, "the clock \"npu\" stays at {hz} Hz: {}\n", reason(err));
            }
        }
        Ok(Some(chosen))
    }
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

/// A core that is on, for the choice of the rate.
pub(crate) struct Scaled {
    scaling: Arc<Scaling>,
    _counting: Counting,
}

impl Drop for Scaled {
    fn drop(&mut self) {
        let mut state = self.scaling.state.lock();

        state.on -= 1;
        if state.on == 0 {
            // The governor has stopped even if the rate is another one than there is for this.
            let _ = state.devfreq.as_ref().map(Devfreq::suspend);
        }
    }
}

/// The rate is chosen among the operating points of a core. Dropped, it stays as it is.
pub(crate) struct Chosen {
    scaling: Arc<Scaling>,
    /// Kept until nobody chooses any more.
    points: Option<Arc<Points>>,
}

impl Drop for Chosen {
    fn drop(&mut self) {
        let devfreq = self.scaling.state.lock().devfreq.take();

        // Waits for whoever changes the rate.
        drop(devfreq);
        self.points = None;
        self.scaling.state.lock().taken = false;
    }
}
