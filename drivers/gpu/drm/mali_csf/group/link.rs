// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a group, its queues and the scheduler share: the group's status and its slot.
//!
//! **Locking.** One spinlock, the innermost lock of the driver, except that the register gate is
//! entered and the scheduler's timer and news locks are taken inside it. It is held for a few instructions
//! and one register write.
//!
//! **Ordering.** `slot` is set after the firmware has acknowledged that the group runs, and
//! cleared before it is asked to suspend or terminate the group. The doorbell is rung with the
//! lock held, so it never rings for a group that has left its slot.
//!
//! **Blocking.** Never.

use kernel::new_spinlock;
use kernel::prelude::*;
use kernel::sync::{
    Arc,
    SpinLock, //
};

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
    /// When it last became runnable, or came to the end of its turn in a slot.
    since: u64,
    /// Queues whose tiler waits for memory.
    starved: u32,
}

impl Inner {
    /// The scheduler should look at the group.
    fn announce(&mut self, core: &Core) {
        if let (false, Some(id)) = (self.announced, self.id) {
            self.announced = true;
            core.announce(id);
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
    /// sure that the scheduler considers it.
    pub(crate) fn work_added(&self) {
        let mut inner = self.inner.lock();
        if let Some(slot) = inner.slot {
            // Refused only if the device is going away, which ends all groups.
            let _ = self.fw.ring(slot.doorbell());
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

    /// The group runs in `slot`. Returns whether a tiler waits for memory already.
    pub(crate) fn entered(&self, slot: CsgSlot) -> bool {
        let mut inner = self.inner.lock();
        inner.slot = Some(slot);
        inner.runnable = false;
        inner.idle = false;
        inner.starved != 0
    }

    /// Calls `f` if the group is in a slot, and is not asked to leave it before `f` is done.
    pub(crate) fn while_in_slot<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let inner = self.inner.lock();
        inner.slot.is_some().then(f)
    }

    /// The group is about to leave its slot; whatever is inserted from now on is reported to the
    /// scheduler. It waits behind all others if its turn is over, else where it has waited before.
    pub(crate) fn leaving(&self, turn_is_over: bool) {
        let mut inner = self.inner.lock();
        inner.slot = None;
        inner.runnable = false;
        if turn_is_over {
            inner.since = self.core.stamp();
        }
    }

    /// Evaluates `is_idle` for the scheduler. If it says yes, the next insertion is reported.
    pub(crate) fn observe(&self, is_idle: impl FnOnce() -> bool) -> bool {
        let mut inner = self.inner.lock();
        let idle = is_idle();
        inner.runnable = !idle;
        inner.idle = idle;
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
