// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How long the oldest job has been on the hardware.
//!
//! The clock counts while the driver says that the queue is on the hardware, and starts again
//! whenever another job becomes the oldest. The kernel's timer is not moved with every job: it is
//! set when there is none, looks at the clock when it fires, and is set again for the rest. A busy
//! queue thus costs one expiry per timeout, and an idle one none. A job is late only if the hardware has
//! not finished it: whoever should have said so may be late as well, or may have said it in vain.

use kernel::{
    sync::Arc,
    time::{
        msecs_to_jiffies,
        Delta,
        Instant,
        Monotonic,
        Msecs, //
    },
    workqueue::WorkItem, //
};

use crate::Signalling;

use super::{
    Backend,
    Inner,
    State, //
};

pub(super) struct Clock {
    /// Since when it counts; `None` if it is suspended.
    since: Option<Instant<Monotonic>>,
    /// What it had counted before that.
    spent: Delta,
    /// The kernel's timer is set, or its work item is on its way.
    armed: bool,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            since: None,
            spent: Delta::ZERO,
            armed: false,
        }
    }

    pub(super) fn suspend(&mut self) {
        if let Some(since) = self.since.take() {
            self.spent += since.elapsed();
        }
    }

    fn resume(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    fn restart(&mut self) {
        self.spent = Delta::ZERO;
        if self.since.is_some() {
            self.since = Some(Instant::now());
        }
    }

    /// What is left of `timeout`, in milliseconds rounded up; `None` if it is suspended.
    fn left(&self, timeout: Msecs) -> Option<Msecs> {
        let spent = self.spent + self.since?.elapsed();
        let spent = Msecs::try_from(spent.as_millis()).unwrap_or(Msecs::MAX);
        Some(timeout.saturating_sub(spent))
    }
}

impl<B: Backend> Inner<B> {
    /// Another job, or none, is the oldest one on the hardware.
    pub(super) fn front_changed(this: &Arc<Self>, state: &mut State<B>) {
        if this.config.timeout.is_some() {
            state.clock.restart();
            Self::arm(this, state);
        }
    }

    pub(super) fn timer_resume(this: &Arc<Self>) {
        let mut state = this.state.lock();
        state.clock.resume();
        Self::arm(this, &mut state);
    }

    /// Sets the timer, if there is something to watch and it is not set.
    fn arm(this: &Arc<Self>, state: &mut State<B>) {
        let Some(timeout) = this.config.timeout else {
            return;
        };
        let watch = matches!(state.running.first(), Some(node) if !node.timed_out);
        if !watch || state.clock.armed || state.abandoned {
            return;
        }
        if let Some(left) = state.clock.left(timeout) {
            let delay = msecs_to_jiffies(left);
            state.clock.armed = this
                .domain
                .wq()
                .enqueue_delayed::<_, 1>(this.clone(), delay)
                .is_ok();
        }
    }
}

impl<B: Backend> WorkItem<1> for Inner<B> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        Signalling::section(|sig| {
            if Self::drain(&this, sig) {
                Self::kick(&this);
            }
        });
        let late = {
            let mut state = this.state.lock();
            state.clock.armed = false;
            let left = this
                .config
                .timeout
                .and_then(|timeout| state.clock.left(timeout));
            match (left, state.running.first_mut()) {
                (Some(0), Some(node)) if node.outcome.is_none() && !node.timed_out => {
                    node.timed_out = true;
                    Some(node.seqno())
                }
                _ => {
                    Self::arm(&this, &mut state);
                    None
                }
            }
        };
        if let Some(seqno) = late {
            this.backend.timed_out(seqno);
        }
    }
}
