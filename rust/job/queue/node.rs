// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job and all that the queue needs for it.

use core::cell::Cell;

use kernel::prelude::*;

use crate::{
    deps::Deps,
    fifo::{
        Link,
        Linked, //
    },
    PendingFence, //
};

use super::Backend;

pub(super) struct Node<B: Backend> {
    link: Link<Self>,
    pub(super) job: B::Job,
    /// Taken when it signals.
    pub(super) fence: Option<PendingFence>,
    pub(super) deps: Deps,
    /// Credits that it needs on the hardware, and holds in `running`.
    pub(super) cost: u32,
    /// Submitted by a real-time task.
    pub(super) urgent: bool,
    /// It is not to be run, and ends with this. Changed only under the queue's lock.
    pub(super) cancelled: Cell<Option<Error>>,
    /// How it ended.
    pub(super) outcome: Option<Result>,
    /// The backend was told that it takes too long.
    pub(super) timed_out: bool,
}

// SAFETY: A node is used by one task at a time: its owner before it is committed, then whoever holds
// the queue's lock or role. The callbacks of `deps` take care of themselves. The link is only touched
// by the list.
unsafe impl<B: Backend> Send for Node<B> {}

impl<B: Backend> Node<B> {
    pub(super) fn new(job: B::Job, fence: PendingFence, deps: Deps, cost: u32) -> Self {
        Self {
            link: Link::new(),
            job,
            fence: Some(fence),
            deps,
            cost,
            urgent: false,
            cancelled: Cell::new(None),
            outcome: None,
            timed_out: false,
        }
    }

    pub(super) fn seqno(&self) -> u64 {
        self.fence.as_ref().map_or(0, |fence| fence.fence().seqno())
    }
}

impl<B: Backend> Linked for Node<B> {
    fn link(&self) -> &Link<Self> {
        &self.link
    }
}
