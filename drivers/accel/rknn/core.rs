// SPDX-License-Identifier: GPL-2.0 OR MIT

//! One core: what it takes to run a job, to end it, and to start again after one that went wrong.
//!
//! # Locking
//!
//! `hw` is the mutex of everything that happens on the core: starting a job, its interrupt's thread,
//! its watchdog. It is taken where fences are about to signal, so nothing is allocated under it. Inside
//! of it come `tables`, the lock of the address space, the mutex of the IOMMU's group and the scheduler's
//! spinlock; `soc::iommu` says why nobody allocates under the group's. No queue is touched with it held.
//! Outside of it comes `reset`, for as long as a reset takes.
//!
//! The registers are behind a gate, which is open while the core has power and clocks. It is passed by
//! whoever holds a use of the core, and by the hard interrupt handler, which shares its line with the
//! IOMMU and finds the gate closed while the core is off.
//!
//! # Ordering
//!
//! Start: address space, registers, kick. A kick whose lists are done is taken back before the next one, of
//! whichever job. End of a good job: results, that, outcome, next job, fence.
//! A kick has ended, and well, when the line says so. An access that has failed is of no consequence if the results are
//! there, and otherwise the watchdog finds out. The events of a chain's inner lists are seen in the unmasked status, for as
//! long as the next one has not begun, so nobody decides by that. The hard handler masks the event that it has seen, and
//! leaves for the others which kick it was. It reads the number of the kick before the status; the number is written when
//! the events of the former kick are gone. So what it leaves may be out of date, and then counts for nothing, but it is
//! never ahead.
//!
//! End of a bad one, by a worker: the core is reset first, so that it does no access any more; only then the
//! address space is taken away, and with it the IOMMU set up anew for the next job.
//!
//! The reset hits the IOMMU too, whose driver knows nothing of it. It touches its registers when somebody
//! changes the address space, who is kept waiting, and when there is an interrupt, so the line is off.
//!
//! A core that is off has no address space: it is taken away when the core is switched off, and
//! otherwise only while a use keeps the core on. The IOMMU is switched with the core, and its driver does
//! not expect that an address space goes while it is being switched on.
//!
//! # Blocking
//!
//! Starting a job may wait for the other holders of `hw`, who wait neither for a fence nor for memory.
//! The core has been switched on before. A reset waits for the interrupt's thread, and so is not for that.
//! Who starts a job may be the last one who knows the core, which was let go of meanwhile: dropping it waits for
//! nothing. A system that goes to sleep waits for the job that is on the core, whose time is limited; the next ones
//! wait until it is awake.

use job::Signalling;
use kernel::{
    device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex,
        MutexGuard, //
    },
    time::{
        msecs_to_jiffies,
        Delta,
        Instant,
        Monotonic,
        Msecs, //
    },
    workqueue::{
        new_delayed_work,
        new_work,
        DelayedWork,
        Work as WorkQueued,
        WorkItem, //
    }, //
};
use soc::{
    devfreq::{
        self,
        Load, //
    },
    iommu::Master,
    irq::{
        IrqHandler,
        Line,
        Wake, //
    },
    pm::{
        Active,
        Handle, //
    },
    reset::Resets,
    wq::Workqueue, //
};

use crate::{
    job::Work,
    power::Tables,
    regs::{
        event,
        Regs,
        Windows, //
    },
    sched::Sched,
    space::Space, //
};

/// How long a list may take. A kick with several is watched by the count of those that are done.
const LIST_TIMEOUT_MS: Msecs = 500;

/// How long the reset lines are held.
const RESET_TIME: Delta = Delta::from_micros(10);

/// The clocks that a core needs, all of them.
pub(crate) const CLOCKS: usize = 4;

/// The job that is on the core.
struct Running {
    work: Arc<Work>,
    /// The first task that was not kicked yet.
    next: usize,
    /// Lists of the present kick that were done when the watchdog has looked.
    done: u32,
    /// When the kick was made, or the watchdog has seen that it gets on.
    since: Instant<Monotonic>,
    began: Instant<Monotonic>,
    active: Active,
    _load: devfreq::Work,
}

struct Hw {
    running: Option<Running>,
    /// How the job has ended, if the core has to be reset now.
    failed: Option<Error>,
    /// The watchdog's timer is set.
    watched: bool,
    /// It was said that an access has failed beside a job that is done.
    said: bool,
}

/// What it takes to reset a core.
struct Reset {
    lines: Resets,
    /// The interrupt of the core and its IOMMU.
    interrupt: Line,
}

impl Hw {
    /// The job that is on the core, and gets on there as far as anybody knows.
    fn running(&mut self) -> Option<&mut Running> {
        self.running.as_mut().filter(|_| self.failed.is_none())
    }
}

impl Reset {
    fn pulse(&self) -> Result {
        self.lines.pulse(RESET_TIME)
    }
}

/// A core.
#[pin_data]
pub(crate) struct Core {
    dev: ARef<device::Device>,
    /// Its place in the NPU.
    index: u32,
    regs: Arc<Regs>,
    master: Master,
    tables: Arc<Tables>,
    handle: Arc<Handle>,
    sched: Arc<Sched>,
    load: Arc<Load>,
    /// That of the watchdogs, which the NPU keeps longer than there is a core: the last reference to this may go
    /// where fences are about to signal, and a workqueue may not.
    wq: Arc<Workqueue>,
    /// The number of the present kick, or the last one. Written with `hw` held.
    kick: Atomic<u32>,
    /// The last kick that the hard handler has seen the end of.
    ended: Atomic<u32>,
    /// Gone when the driver lets go of the core.
    #[pin]
    reset: Mutex<Option<Reset>>,
    #[pin]
    hw: Mutex<Hw>,
    #[pin]
    watchdog: DelayedWork<Core, WATCHDOG>,
    #[pin]
    recovery: WorkQueued<Core, RECOVERY>,
}

const WATCHDOG: u64 = 0;
const RECOVERY: u64 = 1;

kernel::workqueue::impl_has_delayed_work! {
    impl HasDelayedWork<Core, WATCHDOG> for Core { self.watchdog }
}

kernel::workqueue::impl_has_work! {
    impl HasWork<Core, RECOVERY> for Core { self.recovery }
}

/// What a core is made of.
pub(crate) struct Parts {
    pub(crate) dev: ARef<device::Device>,
    pub(crate) index: u32,
    pub(crate) regs: Arc<Regs>,
    pub(crate) resets: Resets,
    pub(crate) interrupt: Line,
    pub(crate) master: Master,
    pub(crate) tables: Arc<Tables>,
    pub(crate) handle: Arc<Handle>,
    pub(crate) sched: Arc<Sched>,
    pub(crate) load: Arc<Load>,
    pub(crate) wq: Arc<Workqueue>,
}

impl Core {
    /// A core that is switched on and has nothing to do. Resets it: what ran before, a boot loader or
    /// another kernel, may have left it at work.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; what the reset lines fail with.
    pub(crate) fn new(parts: Parts) -> Result<Arc<Self>> {
        let reset = Reset {
            lines: parts.resets,
            interrupt: parts.interrupt,
        };
        // The IOMMU's handler is there already.
        let silence = reset.interrupt.silence();
        reset.pulse()?;
        drop(silence);
        Arc::pin_init(
            pin_init!(Self {
                dev: parts.dev,
                index: parts.index,
                regs: parts.regs,
                master: parts.master,
                tables: parts.tables,
                handle: parts.handle,
                sched: parts.sched,
                load: parts.load,
                wq: parts.wq,
                kick: Atomic::new(0),
                ended: Atomic::new(0),
                reset <- new_mutex!(Some(reset), "Core::reset"),
                hw <- new_mutex!(
                    Hw {
                        running: None,
                        failed: None,
                        watched: false,
                        said: false,
                    },
                    "Core::hw"
                ),
                watchdog <- new_delayed_work!("Core::watchdog"),
                recovery <- new_work!("Core::recovery"),
            }),
            GFP_KERNEL,
        )
    }

    /// Who runs where.
    pub(crate) fn sched(&self) -> &Arc<Sched> {
        &self.sched
    }

    /// Its place in the NPU.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The core as what is behind an IOMMU.
    pub(crate) fn master(&self) -> &Master {
        &self.master
    }

    /// The way to uses of the core.
    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// The scheduler has given this job to the core, which is idle and on.
    pub(crate) fn start(self: &Arc<Self>, work: Arc<Work>, active: Active, sig: &Signalling<'_>) {
        let mut active = active;
        let mut next = Some(work);

        while let Some(work) = next {
            let result = self.begin(&mut self.hw.lock(), &work, active);
            let Err((err, back)) = result else {
                return;
            };
            active = back;
            dev_err!(self.dev, "cannot run a job: {err:?}\n");
            let queue = work.end(Err(err));
            drop(work);
            next = self.sched.next(self);
            // Not by this task, which may be running a job of that very queue.
            queue.check_deferred(sig);
        }
    }

    fn begin(
        self: &Arc<Self>,
        hw: &mut Hw,
        work: &Arc<Work>,
        active: Active,
    ) -> Result<(), (Error, Active)> {
        if let Err(err) = self.tables.switch(&self.master, work.space.domain()) {
            return Err((err, active));
        }
        let now = Instant::now();
        hw.running = Some(Running {
            work: work.clone(),
            next: 0,
            done: 0,
            since: now,
            began: now,
            active,
            _load: self.load.begin(),
        });
        if let Err(err) = self.kick(hw) {
            self.tables.rest();
            if let Some(Running { active, .. }) = hw.running.take() {
                return Err((err, active));
            }
        }
        self.watch(hw, LIST_TIMEOUT_MS);
        Ok(())
    }

    /// Runs the next lists of the job.
    fn kick(&self, hw: &mut Hw) -> Result {
        let running = hw.running.as_mut().ok_or(EINVAL)?;
        let task = running.work.tasks.get(running.next).ok_or(EINVAL)?;
        let lists = task.lists();

        running.next += usize::from(lists.count);
        running.done = 0;
        running.since = Instant::now();
        let regs = self.regs.enter().ok_or(ENODEV)?;
        self.kick
            .store(self.kick.load(Relaxed).wrapping_add(1), Release);
        regs.kick(self.index, lists);
        Ok(())
    }

    /// Whether the lists of the present kick are done.
    fn has_ended(&self, regs: &Windows) -> bool {
        // In this order, as the handler leaves the number before it masks the event.
        regs.raised() & event::DONE != 0 || self.ended.load(Acquire) == self.kick.load(Relaxed)
    }

    /// Looks what has become of the job. Says so if it has ended; goes on with it otherwise.
    fn look(&self, hw: &mut Hw) -> Option<Result> {
        let running = hw.running()?;
        let more = running.next < running.work.tasks.len();
        let regs = self.regs.enter()?;

        if !self.has_ended(&regs) {
            regs.set_mask(event::DONE);
            return None;
        }
        if regs.pending() & event::DMA_ERROR != 0 && !hw.said {
            hw.said = true;
            dev_warn!(
                self.dev,
                "an access has failed beside a job that is done (further ones are not told)\n"
            );
        }
        regs.rest();
        if more {
            drop(regs);
            return self.kick(hw).err().map(Err);
        }
        Some(Ok(()))
    }

    /// Looks with `look` whether the job has ended. If so, goes on with the next one, or leaves that to
    /// whoever brings the core into order.
    fn settle(
        self: &Arc<Self>,
        sig: &Signalling<'_>,
        look: impl FnOnce(&mut Hw) -> Option<Result>,
    ) {
        let mut hw = self.hw.lock();

        match look(&mut hw) {
            None => {}
            Some(Ok(())) => {
                self.tables.rest();
                self.finish(hw, Ok(()), sig);
            }
            Some(Err(err)) => {
                hw.failed = Some(err);
                // It is not pending: nobody else looks at the job until it has run.
                let _ = self.wq.enqueue::<_, RECOVERY>(self.clone());
            }
        }
    }

    /// The job has ended, and the core is in order: goes on with the next one.
    fn finish(self: &Arc<Self>, mut hw: MutexGuard<'_, Hw>, result: Result, sig: &Signalling<'_>) {
        let Some(running) = hw.running.take() else {
            return;
        };
        let Running {
            work,
            began,
            active,
            ..
        } = running;
        let busy = u64::try_from(began.elapsed().as_nanos()).unwrap_or(0);
        work.space.add_busy(busy);
        let queue = work.end(result);
        drop(work);

        let failed = self.sched.next(self).and_then(|next| {
            let result = self.begin(&mut hw, &next, active);
            result.err().map(|(_, active)| (next, active))
        });
        drop(hw);
        queue.check(sig);
        if let Some((next, active)) = failed {
            // Once more, for the error.
            self.start(next, active, sig);
        }
    }

    /// Makes the core stop whatever it does, takes its address space away, and ends the job.
    fn recover(self: &Arc<Self>, sig: &Signalling<'_>) {
        let reset = self.reset.lock();
        // Waits for the thread, which takes `hw`.
        let silence = reset.as_ref().map(|reset| reset.interrupt.silence());
        let mut hw = self.hw.lock();
        let Some(err) = hw.failed.take() else {
            return;
        };

        dev_dbg!(self.dev, "a job has failed: {err:?}\n");
        self.tables.reset(|| {
            if let Some(Err(err)) = reset.as_ref().map(Reset::pulse) {
                dev_err!(self.dev, "cannot be reset: {err:?}\n");
            }
        });
        // Before the core is idle, and may be let go of.
        drop(silence);
        drop(reset);
        self.finish(hw, Err(err), sig);
    }

    /// Sets the watchdog's timer.
    fn watch(self: &Arc<Self>, hw: &mut Hw, ms: Msecs) {
        if !hw.watched {
            hw.watched = self
                .wq
                .enqueue_delayed::<_, WATCHDOG>(self.clone(), msecs_to_jiffies(ms))
                .is_ok();
        }
    }

    /// Looks whether the job takes too long. Its interrupt may also have been lost.
    fn look_at_time(self: &Arc<Self>, hw: &mut Hw) -> Option<Result> {
        hw.watched = false;
        let running = hw.running()?;
        let spent = Msecs::try_from(running.since.elapsed().as_millis()).unwrap_or(0);
        let left = LIST_TIMEOUT_MS.saturating_sub(spent);

        if left != 0 {
            self.watch(hw, left);
            return None;
        }
        let (ended, failed, done) = {
            let regs = self.regs.enter()?;
            let failed = regs.pending() & event::DMA_ERROR != 0;

            (self.has_ended(&regs), failed, regs.lists_done())
        };
        let result = if ended {
            self.look(hw)
        } else if done != running.done {
            running.done = done;
            running.since = Instant::now();
            None
        } else if failed {
            Some(Err(EIO))
        } else {
            dev_info!(self.dev, "a job takes too long\n");
            Some(Err(ETIMEDOUT))
        };
        if result.is_none() {
            self.watch(hw, LIST_TIMEOUT_MS);
        }
        result
    }

    /// Takes an address space away that nobody will use again, if the core has it and is idle.
    pub(crate) fn forget(&self, space: &Arc<Space>) {
        // It has none if it is off, or loses it while it is being switched off.
        if let Some(_active) = self.handle.get_if_active() {
            self.tables
                .take(|domain| Arc::ptr_eq(domain, space.domain()));
        }
    }

    /// The core is idle and gets no job any more: lets go of everything but its address space, which goes
    /// when it is switched off.
    pub(crate) fn retire(self: &Arc<Self>) {
        soc::wq::disable_delayed_sync::<_, WATCHDOG>(self);
        soc::wq::disable_sync::<_, RECOVERY>(self);
        let reset = self.reset.lock().take();
        // This may wait for somebody who allocates, so not with the lock held.
        drop(reset);
    }
}

impl WorkItem<WATCHDOG> for Core {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        Signalling::section(|sig| this.settle(sig, |hw| this.look_at_time(hw)));
    }
}

impl WorkItem<RECOVERY> for Core {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        Signalling::section(|sig| this.recover(sig));
    }
}

/// The handler of a core's interrupt.
pub(crate) struct Interrupt(pub(crate) Arc<Core>);

impl IrqHandler for Interrupt {
    fn raw(&self) -> Wake {
        let core = &self.0;
        let Some(regs) = core.regs.enter() else {
            return Wake::None;
        };
        let kick = core.kick.load(Acquire);

        if regs.raised() & event::DONE == 0 {
            return Wake::None;
        }
        core.ended.store(kick, Release);
        regs.set_mask(0);
        Wake::Thread
    }

    fn thread(&self) {
        Signalling::section(|sig| self.0.settle(sig, |hw| self.0.look(hw)));
    }
}
