// SPDX-License-Identifier: GPL-2.0 OR MIT

//! When the next decision is made.
//!
//! Decisions are made by a work item with a delay, which lasts whole jiffies: where the kernel has 100 of
//! them in a second, a period takes up to 20 ms, as the C driver's does. A finer timer would interrupt the
//! CPU more often for the same shares: groups are charged by the time that has really passed.
//!
//! **Locking.** A spinlock for who has asked for what; see [`super`].
//!
//! **Ordering.** What was changed before a decision was asked for is seen by it.
//!
//! **Blocking.** Never.

use kernel::sync::Arc;
use kernel::time::{
    msecs_to_jiffies,
    Delta,
    Jiffies, //
};
use soc::wq;

use super::{
    Core,
    TICK, //
};

/// Length of a scheduling period.
pub(super) const PERIOD: Delta = Delta::from_millis(10);

/// A period is over when no more than this is left of it: timers tick in jiffies, and whoever misses one
/// by a bit waits for the next.
pub(super) const ROUNDING: Delta = Delta::from_millis(1);

/// When the next decision is due.
pub(super) struct Timer {
    /// Never again.
    pub(super) closed: bool,
    /// A tick was asked for at once; later ones don't postpone it.
    pub(super) urgent: bool,
    /// One is due after a while.
    pub(super) due: bool,
}

impl Timer {
    /// Nothing is due.
    pub(super) fn new() -> Self {
        Self {
            closed: false,
            urgent: false,
            due: false,
        }
    }
}

impl Core {
    /// Something has changed that a decision depends on: decide as soon as possible.
    pub(crate) fn kick(self: &Arc<Self>) {
        let mut timer = self.timer.lock();
        if !timer.closed && !timer.urgent {
            timer.urgent = true;
            wq::mod_delayed::<_, TICK>(&self.wq, self.clone(), 0);
        }
    }

    /// The next decision is due after `delay`, unless one is due at once anyway.
    pub(super) fn schedule(self: &Arc<Self>, delay: Option<Jiffies>) {
        let Some(delay) = delay else { return };
        let mut timer = self.timer.lock();
        if !timer.closed && !timer.urgent {
            timer.due = true;
            wq::mod_delayed::<_, TICK>(&self.wq, self.clone(), delay);
        }
    }

    /// A group in a slot that was idle at the last decision has work: if nothing else is due, see
    /// after a period whether there are others that it should take turns with.
    pub(crate) fn resume_tick(self: &Arc<Self>) {
        let mut timer = self.timer.lock();
        if !timer.closed && !timer.urgent && !timer.due {
            timer.due = true;
            let millis = u32::try_from(PERIOD.as_millis_ceil()).unwrap_or(0);
            wq::mod_delayed::<_, TICK>(&self.wq, self.clone(), msecs_to_jiffies(millis));
        }
    }
}
