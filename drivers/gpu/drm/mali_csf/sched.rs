// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The scheduler: moves groups in and out of the firmware's slots, and turns what the firmware
//! reports into signalled fences and dead groups.
//!
//! Decisions are made in [`policy`], carried out in [`apply`], and provoked by [`events`], by a
//! submission to a group without a slot, or by the end of a period.
//!
//! **Locking.** From the outside in:
//! - `state`: the list of groups and who sits in which slot. Held for a whole decision, including
//!   the waits for the firmware (each of them bounded). Nothing is allocated with it held, and no
//!   fence is waited for.
//! - `residents`: which group the events of a slot belong to. Held while events are handled and
//!   fences signalled; the interrupt thread takes this one only, so that a decision that waits
//!   for an acknowledgement never keeps the interrupt from arriving.
//! - the job queues' and the groups' spinlocks, then `timer`, or `news`.
//!
//! **Ordering.** A group becomes resident before its START is sent, so that no event of it is
//! lost, and ceases to be after its last events were handled. Its doorbell rings only between the
//! two acknowledgements (see [`crate::group::link`]).
//!
//! **Blocking.** The tick is part of the way from commit to signal: it waits for the firmware, in
//! bounded time, and for nothing else. Groups are freed, and heaps grown, by work items of their own,
//! because that allocates or takes locks that allocations are made under. Once it is known that nothing
//! but a reset helps, no decisions are made until there was one; they are never waited for by it for
//! longer than the firmware is by them.

use job::Domain;
use job::MayBlock;
use job::Signalling;
use kernel::new_mutex;
use kernel::new_spinlock;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::seq_print;
use kernel::sync::atomic::{
    Atomic,
    AtomicFlag,
    Full,
    Relaxed, //
};
use kernel::sync::{
    Arc,
    Mutex,
    SpinLock, //
};
use kernel::time::{
    msecs_to_jiffies,
    Instant,
    Jiffies,
    Monotonic, //
};
use kernel::workqueue::{
    impl_has_delayed_work,
    impl_has_work,
    new_delayed_work,
    new_work,
    DelayedWork,
    Work,
    WorkItem, //
};
use soc::devfreq::Work as Load;
use soc::wq;

pub(crate) mod apply;
mod cost;
mod evacuate;
pub(crate) mod events;
pub(crate) mod policy;
mod policy_examples;
pub(crate) mod roster;
mod shares;
mod starved;
mod state;
mod timer;

use crate::driver::Device;
use crate::group::state::Status;
use crate::group::Group;
use cost::Cost;
use policy::{
    Snapshot,
    MAX_SLOTS, //
};
use roster::{
    GroupId,
    News,
    Room, //
};
use state::{
    Seat,
    Seen,
    State, //
};
use timer::{
    Timer,
    PERIOD,
    ROUNDING, //
};

/// Work item identities.
const TICK: u64 = 0;
const REAP: u64 = 1;
const FEED: u64 = 2;

/// What the scheduler's work items and the groups share. It doesn't own the job queues' workers.
#[pin_data]
pub(crate) struct Core {
    device: Arc<Device>,
    address_spaces: usize,
    slots: usize,
    #[pin]
    state: Mutex<State>,
    #[pin]
    residents: Mutex<[Option<Arc<Group>>; MAX_SLOTS]>,
    #[pin]
    timer: SpinLock<Timer>,
    #[pin]
    news: News,
    cost: Cost,
    stamps: Atomic<u64>,
    lost: AtomicFlag,
    /// A runnable group waits for a slot.
    contended: AtomicFlag,
    /// A group outside of a slot waits for a sync object.
    blocked: AtomicFlag,
    /// A sync object has changed since the last decision.
    sync_updated: AtomicFlag,
    /// All jobs of a group in a slot wait for sync objects, as far as is known.
    waiting: AtomicFlag,
    /// That may have changed: the next decision asks the firmware.
    doubtful: AtomicFlag,
    /// For decisions: they are part of the way from commit to signal.
    wq: wq::Workqueue,
    /// For what allocates, or frees what was allocated.
    memory: wq::Workqueue,
    #[pin]
    tick: DelayedWork<Core, TICK>,
    #[pin]
    reap: Work<Core, REAP>,
    #[pin]
    feed: Work<Core, FEED>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self, TICK> for Core { self.tick }
}

impl_has_work! {
    impl HasWork<Self, REAP> for Core { self.reap }
    impl HasWork<Self, FEED> for Core { self.feed }
}

impl WorkItem<TICK> for Core {
    type Pointer = Arc<Core>;

    fn run(this: Arc<Core>) {
        {
            let mut timer = this.timer.lock();
            timer.urgent = false;
            timer.due = false;
        }
        let (next, garbage) = Signalling::section(|sig| this.decide(sig));
        this.schedule(next);
        this.reap(garbage);
    }
}

impl WorkItem<REAP> for Core {
    type Pointer = Arc<Core>;

    fn run(this: Arc<Core>) {
        this.collect();
    }
}

impl WorkItem<FEED> for Core {
    type Pointer = Arc<Core>;

    fn run(this: Arc<Core>) {
        starved::serve(&this);
    }
}

/// A destroyed group whose fences have all signalled.
fn is_garbage(group: &Group) -> bool {
    let status = group.link().status();
    status.is_destroyed() && status.is_ended()
}

impl Core {
    /// A stamp for the order of waiting: grows with every call.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamps.fetch_add(1u64, Relaxed)
    }

    /// A group in a slot has work for the GPU.
    pub(crate) fn begin_work(&self) -> Load {
        self.device.load.begin()
    }

    /// A group in a slot has come to wait for a sync object, or no longer waits, or not: if nothing else is
    /// due, ask the firmware after a period. Nobody but the load depends on it.
    fn doubt(self: &Arc<Self>) {
        self.doubtful.store(true, Relaxed);
        self.resume_tick();
    }

    /// Something has changed about a group: the next decision looks at it.
    pub(crate) fn announce(&self, group: GroupId) {
        self.news.add(group);
    }

    /// The tilers of some groups wait for memory.
    fn feed(self: &Arc<Self>) {
        // If it is queued already, it will see these groups, too.
        let _ = self.memory.enqueue::<_, FEED>(self.clone());
    }

    /// There may be groups to be dropped, if `garbage` says so.
    fn reap(self: &Arc<Self>, garbage: bool) {
        if garbage {
            let _ = self.memory.enqueue::<_, REAP>(self.clone());
        }
    }

    /// Whether the device can't be used at present, because a reset has failed.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }

    /// A job of queue `index` has run for too long.
    pub(crate) fn report_timeout(&self, index: u32, seqno: u64) {
        dev_warn!(
            self.device.dev,
            "job timeout: queue={}, seqno={}\n",
            index,
            seqno
        );
    }

    /// Drops groups that are done with.
    fn collect(&self) {
        loop {
            let garbage = {
                let mut state = self.state.lock();
                state.roster.remove(is_garbage)
            };
            // Dropped here, without the lock.
            if garbage.is_none() {
                return;
            }
        }
    }

    /// Makes a decision and carries it out. Returns when the next one is due, if at all, and
    /// whether there are groups to be dropped.
    fn decide(self: &Arc<Self>, sig: &Signalling<'_>) -> (Option<Jiffies>, bool) {
        let mut state = self.state.lock();
        let gpu = &self.device.gpu;
        let mut next = None;
        if self.is_lost() {
            self.abandon(&mut state, sig);
        } else if !gpu.needs_reset() || state.asleep {
            match self.rotate(&mut state, sig) {
                Ok(due) => next = due,
                Err(apply::Stuck) => gpu.require_reset(),
            }
        }
        if state.closed && gpu.needs_reset() {
            // There will be no reset any more.
            self.abandon(&mut state, sig);
        }
        state.seen.clear();
        (next, core::mem::take(&mut state.garbage))
    }

    /// A decision with hardware that works. Returns when the next one is due.
    fn rotate(
        self: &Arc<Self>,
        state: &mut State,
        sig: &Signalling<'_>,
    ) -> Result<Option<Jiffies>, apply::Stuck> {
        let now = Instant::<Monotonic>::now();
        let elapsed = now - state.last_full;
        let full_tick = elapsed >= PERIOD - ROUNDING;
        if full_tick {
            state.last_full = now;
        }

        state.charge(now);
        state.listen(self, sig);
        if self.sync_updated.xchg(false, Full) {
            state.release_blocked(|verdict| self.cost.note(verdict));
        }
        if !state.asleep {
            apply::refresh(self, state)?;
        }
        state.look();
        self.waiting.store(state.is_waiting(), Relaxed);
        self.cost.decisions.fetch_add(1u64, Relaxed);
        let looked_at = u64::try_from(state.seen.views.len()).unwrap_or(0);
        self.cost.looked_at.fetch_add(looked_at, Relaxed);
        let plan = policy::plan(Snapshot {
            groups: &state.seen.views,
            slots: if state.asleep { 0 } else { self.slots },
            address_spaces: self.address_spaces,
            full_tick,
        });
        apply::apply(self, state, &plan, sig)?;

        // Whoever reports a group idle looks at `contended` afterwards; this is the other half of that. Nobody
        // makes a decision for an event that came before, so the seats are looked at once more.
        let was_contended = self.contended.xchg(plan.contended, Full);
        if plan.contended && !was_contended && state.has_gone_idle() {
            self.kick();
        }
        let blocked = !state.roster.blocked().is_empty();
        // Whoever notes a change looks at `blocked` afterwards; this is the other half of that, so
        // no change is seen by nobody.
        self.blocked.xchg(blocked, Full);
        if blocked && self.sync_updated.load(Relaxed) {
            self.kick();
        }

        if !plan.keep_ticking || state.asleep {
            return Ok(None);
        }
        let left = match full_tick {
            true => PERIOD,
            false => PERIOD - elapsed,
        };
        let millis = u32::try_from(left.as_millis_ceil()).unwrap_or(0);
        Ok(Some(msecs_to_jiffies(millis)))
    }

    /// Nothing will run any more: ends all groups.
    fn abandon(&self, state: &mut State, sig: &Signalling<'_>) {
        for group in state.roster.all() {
            group.link().leaving();
            group.link().update(Status::lose_device);
        }
        for index in 0..MAX_SLOTS {
            apply::vacate(self, state, index);
        }
        for group in state.roster.all() {
            if !group.link().status().is_ended() {
                group.finish(sig);
            }
        }
        state.garbage = true;
    }

    /// Prints what the scheduler knows and has done.
    fn show(&self, m: &SeqFile) {
        let state = self.state.lock();
        seq_print!(
            m,
            "decisions {}\nlooked_at {}\ngroups {}\nin_slots {}\nready {}\nblocked {}\n\
             waits_over {}\nwaits_on {}\nwaits_unknown {}\nchunks_late {}\n",
            self.cost.decisions.load(Relaxed),
            self.cost.looked_at.load(Relaxed),
            state.roster.all().len(),
            state.seats.iter().flatten().count(),
            state.roster.ready().len(),
            state.roster.blocked().len(),
            self.cost.waits_over.load(Relaxed),
            self.cost.waits_on.load(Relaxed),
            self.cost.waits_unknown.load(Relaxed),
            self.cost.chunks_late.load(Relaxed)
        );
        let load = self.device.load.sum();
        seq_print!(
            m,
            "busy_ns {}\non_ns {}\n",
            load.busy.as_nanos(),
            load.total.as_nanos()
        );
    }
}

/// The scheduler of a device, with the workers of its job queues.
pub(crate) struct Scheduler {
    domain: Arc<Domain>,
    core: Arc<Core>,
}

impl Scheduler {
    /// The scheduler of `device`, whose firmware has booted.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(device: &Arc<Device>) -> Result<Arc<Self>> {
        let ctx = MayBlock::new();
        let slots = usize::try_from(device.fw.csif().csg_slots)
            .unwrap_or(0)
            .min(MAX_SLOTS);
        let address_spaces = usize::try_from(device.mmu.user_slots()).unwrap_or(0);
        let core = Arc::pin_init(
            try_pin_init!(Core {
                device: device.clone(),
                slots,
                address_spaces,
                state <- new_mutex!(
                    State::new()?,
                    "mali_csf::sched::State"
                ),
                residents <- new_mutex!([const { None }; MAX_SLOTS], "mali_csf::sched::residents"),
                timer <- new_spinlock!(Timer::new(), "mali_csf::sched::Timer"),
                news <- News::new(),
                cost: Cost::new(),
                stamps: Atomic::new(0),
                lost: AtomicFlag::new(false),
                contended: AtomicFlag::new(false),
                blocked: AtomicFlag::new(false),
                sync_updated: AtomicFlag::new(false),
                waiting: AtomicFlag::new(false),
                doubtful: AtomicFlag::new(false),
                wq: wq::Workqueue::unbound(c"mali_csf-sched")?,
                memory: wq::Workqueue::unbound(c"mali_csf-memory")?,
                tick <- new_delayed_work!("mali_csf::sched::tick"),
                reap <- new_work!("mali_csf::sched::reap"),
                feed <- new_work!("mali_csf::sched::feed"),
            }? Error),
            GFP_KERNEL,
        )?;
        Ok(Arc::new(
            Self {
                domain: Arc::new(Domain::new(&ctx, c"mali_csf-jobs")?, GFP_KERNEL)?,
                core,
            },
            GFP_KERNEL,
        )?)
    }

    /// The part that groups may hold.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// What the queues of all groups belong to, and what must not go before they do.
    pub(crate) fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// Makes a new group known.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENODEV` if the device is going away or lost.
    pub(crate) fn add(&self, group: Arc<Group>) -> Result {
        let mut count = 0;
        loop {
            // Memory is allocated without the lock, and used with it.
            let mut room = Room::new(count)?;
            let mut seen = Seen::with_capacity(count)?;
            let mut state = self.core.state.lock();
            if state.closed || self.core.is_lost() {
                return Err(ENODEV);
            }
            if !state.roster.has_room() {
                state.roster.grow(&self.core.news, &mut room);
                if state.roster.has_room() {
                    core::mem::swap(&mut state.seen, &mut seen);
                } else {
                    count = state.roster.next_capacity();
                    continue;
                }
            }
            return state.roster.add(group);
        }
    }

    /// Prints what the scheduler knows and has done.
    pub(crate) fn show(&self, m: &SeqFile) {
        self.core.show(m);
    }

    /// Waits for decisions that were asked for.
    pub(crate) fn settle(&self) {
        self.core.wq.flush();
        self.core.memory.flush();
    }

    /// The firmware reports events for the slots in `csgs`, or global ones.
    pub(crate) fn fw_events(&self, csgs: u32, global: bool) {
        events::handle(&self.core, csgs, global);
    }

    /// An MMU fault has stopped an address space.
    pub(crate) fn mmu_fault(&self) {
        events::mmu_fault(&self.core);
    }

    /// The firmware does not do as it is told: there has to be a reset.
    pub(crate) fn require_reset(&self) {
        self.core.device.gpu.require_reset();
    }

    /// The GPU is about to be switched off, or reset: takes all groups out of their slots. Those that
    /// can run and could be saved go on when the GPU is back.
    pub(crate) fn sleep(&self) {
        let garbage = Signalling::section(|sig| {
            let mut state = self.core.state.lock();
            state.asleep = true;
            evacuate::evacuate(&self.core, &mut state, sig);
            state.seen.clear();
            core::mem::take(&mut state.garbage)
        });
        self.core.reap(garbage);
    }

    /// The GPU is back.
    pub(crate) fn wake(&self) {
        self.found();
        self.core.state.lock().asleep = false;
        self.core.kick();
    }

    /// A reset has failed: all groups end, and there will be no new ones until the GPU is back or off.
    pub(crate) fn lose(&self) {
        self.core.lost.store(true, Relaxed);
        let (_, garbage) = Signalling::section(|sig| self.core.decide(sig));
        self.core.reap(garbage);
    }

    /// Whether the last reset has failed.
    pub(crate) fn is_lost(&self) -> bool {
        self.core.is_lost()
    }

    /// A lost device may be used again, as far as is known.
    pub(crate) fn found(&self) {
        self.core.lost.store(false, Relaxed);
    }

    /// The GPU was to come back and did not: ends the groups with jobs, which would wait for ever.
    pub(crate) fn strand(&self) {
        let (_, garbage) = Signalling::section(|sig| {
            for group in self.core.state.lock().roster.all() {
                if group.has_jobs() {
                    group.link().fail(Status::lose_device);
                }
            }
            self.core.decide(sig)
        });
        self.core.reap(garbage);
    }

    /// Ends all groups and all activity. The hardware must still be alive, or off, or lost.
    pub(crate) fn unplug(&self) {
        {
            let mut timer = self.core.timer.lock();
            if timer.closed {
                return;
            }
            timer.closed = true;
        }
        wq::cancel_delayed_sync::<_, TICK>(&self.core);
        Signalling::section(|sig| {
            {
                let mut state = self.core.state.lock();
                state.closed = true;
                for group in state.roster.all() {
                    group.link().fail(Status::destroy);
                }
            }
            self.core.decide(sig);
        });
        wq::cancel_sync::<_, REAP>(&self.core);
        wq::disable_sync::<_, FEED>(&self.core);
        self.core.collect();
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.unplug();
    }
}
