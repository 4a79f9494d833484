// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a group, its queues and the scheduler share: the group's status and its slot.
//!
//! **Locking.** One spinlock, the innermost lock of the driver, except that the register gate is
//! entered and the scheduler's timer and news locks and the lock of the load are taken inside it. It is held for a few instructions
//! and one register write.
//!
//! **Ordering.** `slot` is set after the firmware has acknowledged that the group runs, and
//! cleared before it is asked to suspend or terminate the group. The doorbell is rung with the
//! lock held, so it never rings for a group that has left its slot. Whether there is work is looked at with
//! the lock held as well, after something was inserted, after the group has entered a slot, and after jobs have
//! ended: the last one of these to come sees what the others have done.
//!
//! **Blocking.** Never.

use kernel::new_spinlock;
use kernel::prelude::*;
use kernel::sync::{
    Arc,
    SpinLock, //
};
use soc::devfreq::Work;

use super::state::Status;
use crate::fw::{
    CsgSlot,
    Firmware, //
};
use crate::sched::roster::GroupId;
use crate::sched::Core;

struct Inner {
    status: Status,
    slot: Option<CsgSlot>,
    /// The scheduler knows that there may be work, or will hear of it.
    runnable: bool,
    /// The scheduler takes it for idle.
    idle: bool,
    /// The group is in the scheduler's news.
    announced: bool,
    /// Its number at the scheduler.
    id: Option<GroupId>,
    /// When it last became runnable, or left a slot.
    since: u64,
    /// Queues whose tiler waits for memory.
    starved: u32,
    /// It is in a slot and has work there, as far as is known.
    work: Option<Work>,
}

impl Inner {
    /// The scheduler should look at the group.
    fn announce(&mut self, core: &Core) {
        if let (false, Some(id)) = (self.announced, self.id) {
            self.announced = true;
            core.announce(id);
        }
    }

    /// It has work, perhaps; in a slot that counts.
    fn note_work(&mut self, core: &Core, has_work: bool) {
        if has_work && self.slot.is_some() {
            self.work.get_or_insert_with(|| core.begin_work());
        }
    }
}

/// See the top of the file.
#[pin_data]
pub(crate) struct Link {
    #[pin]
    inner: SpinLock<Inner>,
    fw: Arc<Firmware>,
    core: Arc<Core>,
}

impl Link {
    /// A link for a group that was just created.
    pub(crate) fn new(fw: Arc<Firmware>, core: Arc<Core>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                inner <- new_spinlock!(
                    Inner {
                        status: Status::new(),
                        slot: None,
                        runnable: false,
                        idle: false,
                        announced: false,
                        id: None,
                        since: 0,
                        starved: 0,
                        work: None,
                    },
                    "mali_csf::group::Link"
                ),
                fw,
                core,
            }),
            GFP_KERNEL,
        )
    }

    /// A copy of the status.
    pub(crate) fn status(&self) -> Status {
        self.inner.lock().status
    }

    /// Changes the status.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.inner.lock().status);
    }

    /// Whether the group takes jobs.
    pub(crate) fn can_run(&self) -> bool {
        self.inner.lock().status.can_run()
    }

    /// Changes the status for the worse, and lets the scheduler act on it.
    pub(crate) fn fail(&self, change: impl FnOnce(&mut Status)) {
        {
            let mut inner = self.inner.lock();
            change(&mut inner.status);
            inner.announce(&self.core);
        }
        self.core.kick();
    }

    /// The scheduler knows the group by this number.
    pub(crate) fn introduce(&self, id: GroupId) {
        self.inner.lock().id = Some(id);
    }

    /// The number that the scheduler knows the group by.
    pub(crate) fn id(&self) -> Option<GroupId> {
        self.inner.lock().id
    }

    /// The scheduler has taken the group out of its news, and is about to look at it.
    pub(crate) fn heard(&self) {
        self.inner.lock().announced = false;
    }

    /// A job of queue `index` has been on the GPU for too long.
    pub(crate) fn timed_out(&self, index: u32, seqno: u64) {
        self.core.report_timeout(index, seqno);
        self.fail(Status::time_out);
    }

    /// Something was inserted in a ring: rings the doorbell if the group is in a slot, else makes
    /// sure that the scheduler considers it. `is_drained`: whether the GPU has finished it by now.
    pub(crate) fn work_added(&self, is_drained: impl FnOnce() -> bool) {
        let mut inner = self.inner.lock();
        if let Some(slot) = inner.slot {
            // Refused only if the device is going away, which ends all groups.
            let _ = self.fw.ring(slot.doorbell());
            inner.note_work(&self.core, !is_drained());
            if inner.idle {
                // One more that has to take turns, perhaps.
                inner.idle = false;
                self.core.resume_tick();
            }
            return;
        }
        if !inner.runnable {
            inner.runnable = true;
            inner.since = self.core.stamp();
            inner.announce(&self.core);
            drop(inner);
            self.core.kick();
        }
    }

    /// The group runs in `slot`. `is_drained`: whether the GPU has finished all its jobs by now. Returns
    /// whether a tiler waits for memory already.
    pub(crate) fn entered(&self, slot: CsgSlot, is_drained: impl FnOnce() -> bool) -> bool {
        let mut inner = self.inner.lock();
        inner.slot = Some(slot);
        inner.runnable = false;
        inner.idle = false;
        inner.note_work(&self.core, !is_drained());
        inner.starved != 0
    }

    /// Calls `f` if the group is in a slot, and is not asked to leave it before `f` is done.
    pub(crate) fn while_in_slot<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let inner = self.inner.lock();
        inner.slot.is_some().then(f)
    }

    /// The group is about to leave its slot; whatever is inserted from now on is reported to the
    /// scheduler.
    pub(crate) fn leaving(&self) {
        let mut inner = self.inner.lock();
        inner.slot = None;
        inner.runnable = false;
        inner.work = None;
        inner.since = self.core.stamp();
    }

    /// Some of its jobs are done. Evaluates `is_drained`, whether all are: then the GPU has no work from it.
    pub(crate) fn progressed(&self, is_drained: impl FnOnce() -> bool) {
        let mut inner = self.inner.lock();
        if is_drained() {
            inner.work = None;
        }
    }

    /// Evaluates `is_idle` for the scheduler. If it says yes, the next insertion is reported.
    pub(crate) fn observe(&self, is_idle: impl FnOnce() -> bool) -> bool {
        let mut inner = self.inner.lock();
        let idle = is_idle();
        inner.runnable = !idle;
        inner.idle = idle;
        if idle {
            inner.work = None;
        } else {
            inner.note_work(&self.core, true);
        }
        idle
    }

    /// The tilers of the queues in `mask` wait for memory.
    pub(crate) fn starve(&self, mask: u32) {
        self.inner.lock().starved |= mask;
    }

    /// The queues whose tilers wait for memory; the caller sees to them. None of a group that is on its
    /// way into a slot or out of it.
    pub(crate) fn take_starved(&self) -> u32 {
        let mut inner = self.inner.lock();
        match inner.slot {
            Some(_) => core::mem::take(&mut inner.starved),
            None => 0,
        }
    }

    /// The order of waiting.
    pub(crate) fn since(&self) -> u64 {
        self.inner.lock().since
    }
}
