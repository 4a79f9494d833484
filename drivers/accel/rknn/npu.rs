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
//! and one at least is there. One whose probe is put off, as something is missing that may still come, is waited for,
//! but not for ever. Cores that come later, or again, join; the node stays when they go.
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
    },
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    workqueue::{
        self,
        new_delayed_work,
        DelayedWork,
        WorkItem, //
    }, //
};
use soc::{
    facade::{
        self,
        Facade, //
    },
    wq::{
        self,
        Workqueue, //
    }, //
};

use crate::{
    devfreq::Scaling,
    driver::{
        Bound,
        Driver, //
    },
    sched::{
        Sched,
        MAX_CORES, //
    }, //
};

/// What a core is called in the device tree.
pub(crate) const COMPATIBLE: &CStr = c"rockchip,rk3588-rknn-core";

/// Lines of the NPU's address bus.
const ADDRESS_BITS: u32 = 40;

/// How long the first core waits for the others: twice as long as the kernel by default waits for drivers that
/// nobody has loaded, after which whoever can do without them is probed.
const PATIENCE_MS: Msecs = 20_000;

struct Probing {
    /// One bit for each core, by its place, whose probe has come to an end.
    settled: u64,
    /// One of them is there.
    any: bool,
    /// The node is there.
    node: bool,
    /// All cores that are there snoop the CPU's caches.
    coherent: bool,
}

/// The NPU.
#[pin_data]
pub(crate) struct Npu {
    // Before the scheduler, to which the node's files refer.
    facade: Facade,
    sched: Arc<Sched>,
    scaling: Arc<Scaling>,
    /// Here for as long as there is anybody who starts jobs: the facade, which goes first, waits for them.
    watchdogs: Arc<Workqueue>,
    #[pin]
    probing: Mutex<Probing>,
    wq: Workqueue,
    #[pin]
    patience: DelayedWork<Npu, PATIENCE>,
}

const PATIENCE: u64 = 0;

workqueue::impl_has_delayed_work! {
    impl HasDelayedWork<Npu, PATIENCE> for Npu { self.patience }
}

/// An NPU that does not wait for cores any more once this is dropped.
pub(crate) struct Waiting(pub(crate) Arc<Npu>);

impl Drop for Waiting {
    fn drop(&mut self) {
        wq::disable_delayed_sync::<_, PATIENCE>(&self.0);
    }
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
        let scaling = Scaling::new()?;
        let watchdogs = Arc::new(Workqueue::unbound(c"rknn-watchdog")?, GFP_KERNEL)?;

        Arc::pin_init(
            try_pin_init!(Self {
                facade,
                sched,
                scaling,
                watchdogs,
                probing <- new_mutex!(
                    Probing {
                        settled: 0,
                        any: false,
                        node: false,
                        coherent: false,
                    },
                    "Npu::probing"
                ),
                wq: Workqueue::unbound(c"rknn-probe")?,
                patience <- new_delayed_work!("Npu::patience"),
            }),
            GFP_KERNEL,
        )
    }

    /// Who runs where.
    pub(crate) fn sched(&self) -> &Arc<Sched> {
        &self.sched
    }

    /// What chooses the rate of the cores.
    pub(crate) fn scaling(&self) -> &Arc<Scaling> {
        &self.scaling
    }

    /// Where the watchdogs of the cores run.
    pub(crate) fn watchdogs(&self) -> &Arc<Workqueue> {
        &self.watchdogs
    }

    /// The probe of the core at `index` has come to an end: well, or for good.
    ///
    /// # Errors
    ///
    /// What the node fails with.
    pub(crate) fn settled(self: &Arc<Self>, index: u32, well: bool, coherent: bool) -> Result {
        let mut probing = self.probing.lock();

        probing.settled |= 1 << (index % u64::BITS);
        if well {
            // One that does not is enough.
            probing.coherent = coherent && (probing.coherent || !probing.any);
            probing.any = true;
        }
        if probing.node || !probing.any {
            return Ok(());
        }
        let count = usize::try_from(probing.settled.count_ones())?;
        if count < facade::enabled_nodes(COMPATIBLE) {
            // Of no consequence if the first one has done that.
            let _ = self
                .wq
                .enqueue_delayed::<_, PATIENCE>(self.clone(), msecs_to_jiffies(PATIENCE_MS));
            return Ok(());
        }
        self.show(probing.coherent)?;
        probing.node = true;
        Ok(())
    }

    /// Goes on without the cores that did not come.
    fn give_up(&self) {
        let mut probing = self.probing.lock();

        if probing.node {
            return;
        }
        for index in 0..u32::try_from(MAX_CORES).unwrap_or(u32::MAX) {
            if probing.settled & 1 << index != 0 {
                continue;
            }
            if let Some(node) = facade::enabled_node(COMPATIBLE, index) {
                let name = node.name();
                pr_warn!(
                    "going on without core {index} ({name}): what it waits for is in \
                     /sys/kernel/debug/devices_deferred\n"
                );
            }
        }
        match self.show(probing.coherent) {
            Ok(()) => probing.node = true,
            Err(err) => pr_err!("cannot make a node ({err:?})\n"),
        }
    }

    fn show(&self, coherent: bool) -> Result {
        let ctx = MayBlock::new();
        let bound = Bound {
            sched: self.sched.clone(),
            domain: Domain::new(&ctx, c"rknn")?,
            coherent,
        };
        let dev = self.facade.dev();

        drm::UnregisteredDevice::<Driver>::new(dev, Ok::<(), Error>(()))?.register(
            dev,
            Ok::<Bound, Error>(bound),
            |_| Ok(()),
        )?;
        Ok(())
    }
}

impl WorkItem<PATIENCE> for Npu {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.give_up();
    }
}
