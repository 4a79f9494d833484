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
//! `state` is a mutex, for who is on and what chooses the rate. devfreq's own come inside of it, and inside of
//! those `Points::setting`, for whether the rate may be set. Both are held while it is, which takes locks of the
//! clock and the supply, and none of this driver.
//!
//! # Ordering
//!
//! The governor runs while a core is on, whichever, and the rate is set only then: the firmware that sets it
//! uses what has the NPU's power, and never comes back if that is off. Limits that user space or a cooling device
//! set meanwhile take effect at once; others with the first core that is on again, before it has a job.
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

struct Setting {
    /// A core is on.
    powered: bool,
    /// The rate that was chosen while none was.
    later: Option<Hertz>,
}

/// The shared clock, as the one core sees it that has the operating points.
#[pin_data]
struct Points {
    opp: Opp,
    clocks: Arc<Clocks<CLOCKS>>,
    #[pin]
    setting: Mutex<Setting>,
}

impl Points {
    /// The first core is on.
    fn power(&self) {
        let mut setting = self.setting.lock();

        setting.powered = true;
        if let Some(rate) = setting.later.take() {
            // It stays as it is if that fails, and the governor tries again.
            let _ = self.opp.set_rate(rate);
        }
    }

    /// The last core is about to be switched off.
    fn unpower(&self) {
        self.setting.lock().powered = false;
    }
}

impl Scalable for Points {
    fn set_rate(&self, rate: Hertz) -> Result {
        let mut setting = self.setting.lock();

        if setting.powered {
            return self.opp.set_rate(rate);
        }
        setting.later = Some(rate);
        Ok(())
    }

    fn rate(&self) -> Hertz {
        self.clocks.rate(SHARED_CLOCK)
    }
}

/// What chooses the rate, and where it is set.
struct Choice {
    devfreq: Devfreq<Points>,
    points: Arc<Points>,
}

impl Choice {
    /// The first core is on.
    fn resume(&self) {
        self.points.power();
        // The rate stays as it is if that fails, and the next core tries again.
        let _ = self.devfreq.resume();
    }

    /// The last core is about to be switched off.
    fn suspend(&self) {
        // The governor has stopped even if the rate is another one than there is for this.
        let _ = self.devfreq.suspend();
        self.points.unpower();
    }
}

struct State {
    /// Cores that are on.
    on: u32,
    /// A core has its operating points in use.
    taken: bool,
    /// What chooses the rate, if anything does. Suspended while no core is on.
    choice: Option<Choice>,
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
                        choice: None,
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
            if let Some(choice) = &state.choice {
                choice.resume();
            }
        }
        Scaled {
            scaling: self.clone(),
            _counting: counting,
        }
    }

    /// Uses the operating points of a core that is on, and stays so meanwhile, if it has some, and nobody
    /// else has.
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
        let points = Arc::pin_init(
            pin_init!(Points {
                opp,
                clocks: clocks.clone(),
                setting <- new_mutex!(
                    Setting {
                        powered: true,
                        later: None,
                    },
                    "Points::setting"
                ),
            }),
            GFP_KERNEL,
        )?;

        chosen.points = Some(points.clone());
        match Devfreq::new(dev, points.clone(), rate, self.load.clone(), THRESHOLDS) {
            Ok(devfreq) => self.state.lock().choice = Some(Choice { devfreq, points }),
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
            if let Some(choice) = &state.choice {
                choice.suspend();
            }
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
        let choice = self.scaling.state.lock().choice.take();

        // Waits for whoever changes the rate.
        drop(choice);
        self.points = None;
        self.scaling.state.lock().taken = false;
    }
}
