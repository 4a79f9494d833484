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
//! The clock's generator is in the power domain that carries all cores, which does not answer, or worse, if it is
//! switched while that runs faster than the boot loader has left it. So the last core that goes off makes the clock that
//! slow, and the first one that is on brings the former rate back. The voltage remains that of the former rate, and the
//! operating points are not told: they would be asked for one that may not exist.
//!
//! # Blocking
//!
//! Switching a core waits for a change of the rate. Beginning and ending a job does not.

use kernel::{
    clk::{
        Clk,
        Hertz, //
    },
    device,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use soc::{
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

/// The name of the clock that all cores share.
const CLOCK: &CStr = c"npu";

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
    /// The rate that it had while one was, if it was made slower since.
    former: Option<Hertz>,
}

/// The shared clock, as the one core sees it that has the operating points.
#[pin_data]
struct Points {
    opp: Opp,
    clock: Clk,
    /// The rate that it had before anybody chose: power may be switched with that.
    first: Hertz,
    #[pin]
    setting: Mutex<Setting>,
}

impl Points {
    /// The first core is on.
    fn power(&self) {
        let mut setting = self.setting.lock();

        setting.powered = true;
        self.restore(&mut setting);
        if let Some(rate) = setting.later.take() {
            // It stays as it is if that fails, and the governor tries again.
            let _ = self.opp.set_rate(rate);
        }
    }

    /// Brings the former rate back, if it is not there. If that fails it is tried again when a rate is chosen: the
    /// operating points do nothing for one that they take for the present one.
    fn restore(&self, setting: &mut Setting) {
        if let Some(rate) = setting.former {
            if self.clock.set_rate(rate).is_ok() {
                setting.former = None;
            }
        }
    }

    /// The last core is about to be switched off, or nobody chooses any more.
    fn unpower(&self) {
        let mut setting = self.setting.lock();

        if !core::mem::replace(&mut setting.powered, false) || setting.former.is_some() {
            return;
        }
        let rate = self.clock.rate();

        // If that fails there is nobody to turn to.
        if rate.as_hz() > self.first.as_hz() && self.clock.set_rate(self.first).is_ok() {
            setting.former = Some(rate);
        }
    }
}

impl Scalable for Points {
    fn set_rate(&self, rate: Hertz) -> Result {
        let mut setting = self.setting.lock();

        if setting.powered {
            self.restore(&mut setting);
            return self.opp.set_rate(rate);
        }
        setting.later = Some(rate);
        Ok(())
    }

    fn rate(&self) -> Hertz {
        let setting = self.setting.lock();

        match setting.former {
            Some(rate) if !setting.powered => rate,
            _ => self.clock.rate(),
        }
    }
}

/// What chooses the rate, and where it is set.
struct Choice {
    /// Not there if there is one rate to choose.
    devfreq: Option<Devfreq<Points>>,
    points: Arc<Points>,
}

impl Choice {
    /// The first core is on.
    fn resume(&self) {
        self.points.power();
        if let Some(devfreq) = &self.devfreq {
            // The rate stays as it is if that fails, and the next core tries again.
            let _ = devfreq.resume();
        }
    }

    /// The last core is about to be switched off.
    fn suspend(&self) {
        if let Some(devfreq) = &self.devfreq {
            // The governor has stopped even if the rate is another one than there is for this.
            let _ = devfreq.suspend();
        }
        self.points.unpower();
    }
}

struct State {
    /// Cores that are on.
    on: u32,
    /// A core has its operating points in use.
    taken: bool,
    /// What chooses the rate, if there are operating points. Suspended while no core is on.
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
        let opp = match Opp::from_dt(dev, Some(CLOCK), c"npu") {
            // The kernel has none.
            Err(err) if err == ENODEV => return Ok(None),
            result => result.map_err(failed)?,
        };
        let clock = Clk::get(dev, Some(CLOCK))?;
        let first = clock.rate();
        let points = Arc::pin_init(
            pin_init!(Points {
                opp,
                clock,
                first,
                setting <- new_mutex!(
                    Setting {
                        powered: true,
                        later: None,
                        former: None,
                    },
                    "Points::setting"
                ),
            }),
            GFP_KERNEL,
        )?;

        chosen.points = Some(points.clone());
        let rate = points.opp.set_initial(first).map_err(failed)?;
        let devfreq = match Devfreq::new(dev, points.clone(), rate, self.load.clone(), THRESHOLDS) {
            Ok(devfreq) => Some(devfreq),
            Err(err) if err == EPROBE_DEFER || err == ENOMEM => return Err(err),
            Err(err) => {
                let hz = rate.as_hz();
                dev_info!(dev, "the clock \"npu\" stays at {hz} Hz: {}\n", reason(err));
                None
            }
        };

        self.state.lock().choice = Some(Choice { devfreq, points });
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

/// The rate is chosen among the operating points of a core. Dropped, it is what it was before.
pub(crate) struct Chosen {
    scaling: Arc<Scaling>,
    /// Kept until nobody chooses any more.
    points: Option<Arc<Points>>,
}

impl Drop for Chosen {
    fn drop(&mut self) {
        let devfreq = {
            let mut state = self.scaling.state.lock();

            state
                .choice
                .as_mut()
                .and_then(|choice| choice.devfreq.take())
        };

        // Waits for whoever changes the rate.
        drop(devfreq);
        if let Some(points) = self.points.take() {
            let mut state = self.scaling.state.lock();

            // With the lock held, so that a core that is on stays so meanwhile.
            state.choice = None;
            points.unpower();
            drop(state);
        }
        self.scaling.state.lock().taken = false;
    }
}
