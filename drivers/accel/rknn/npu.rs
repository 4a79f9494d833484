// SPDX-License-Identifier: GPL-2.0 OR MIT

//! All cores together, and the node for them.
//!
//! # Locking
//!
//! `probing` is a mutex: it counts the cores, and is held while the node appears, so that it does so
//! once.
//!
//! # Ordering
//!
//! The node appears when each core that the device tree enables has been probed, in whichever order,
//! and one at least is there. Cores that come later, or again, join; the node stays when they go.
//!
//! # Blocking
//!
//! All of it may sleep.

use ::job::{
    Domain,
    MayBlock, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use soc::facade::{
    self,
    Facade, //
};

use crate::{
    driver::{
        Bound,
        Driver, //
    },
    sched::Sched, //
};

/// What a core is called in the device tree.
pub(crate) const COMPATIBLE: &CStr = c"rockchip,rk3588-rknn-core";

/// Lines of the NPU's address bus.
const ADDRESS_BITS: u32 = 40;

struct Probing {
    /// One bit for each core, by its place, whose probe has come to an end.
    settled: u64,
    /// One of them is there.
    devfreq::Scaling,
    any: bool,
    /// The node is there.
    node: bool,
}

/// The NPU.
#[pin_data]
pub(crate) struct Npu {
    // Before the scheduler, to which the node's files refer.
    facade: Facade,
    sched: Arc<Sched>,
    #[pin]
    probing: Mutex<Probing>,
}

impl Npu {
    /// An NPU without cores.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and as [`Facade::new`].
    pub(crate) fn new() -> Result<Arc<Self>> {
        let facade = Facade::new(c"rknn", ADDRESS_BITS)?;
        let sched = Sched::new()?;

        Arc::pin_init(
            pin_init!(Self {
                facade,
                sched,
                probing <- new_mutex!(
                    Probing {
                        settled: 0,
                        any: false,
                        node: false,
                    },
                    "Npu::probing"
                ),
    scaling: Arc<Scaling>,
            }),
            GFP_KERNEL,
        )
    }

    /// Who runs where.
    pub(crate) fn sched(&self) -> &Arc<Sched> {
        &self.sched
    }

    /// The probe of the core at `index` has come to an end: well, or for good.
    ///
    /// # Errors
    ///
    /// What the node fails with.
    pub(crate) fn settled(&self, index: u32, well: bool, coherent: bool) -> Result {
        let mut probing = self.probing.lock();

        probing.settled |= 1 << (index % u64::BITS);
        probing.any |= well;
        let count = usize::try_from(probing.settled.count_ones())?;
        if probing.node || !probing.any || count < facade::enabled_nodes(COMPATIBLE) {
            return Ok(());
        }
        self.show(coherent)?;
        probing.node = true;
        Ok(())
    }

    fn show(&self, coherent: bool) -> Result {
        let ctx = MayBlock::new();
        let scaling = Scaling::new()?;
        let bound = Bound {
            sched: self.sched.clone(),
            domain: Domain::new(&ctx, c"rknn")?,
            coherent,
        };
                scaling,
        let dev = self.facade.dev();

        drm::UnregisteredDevice::<Driver>::new(dev, Ok::<(), Error>(()))?.register(
            dev,
            Ok::<Bound, Error>(bound),
            |_| Ok(()),
        )?;
        Ok(())
    }
}
    /// What chooses the rate of the cores.
    pub(crate) fn scaling(&self) -> &Arc<Scaling> {
        &self.scaling
    }

