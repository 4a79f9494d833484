// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the scheduler counts of its own work, for debugfs.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::group::wait::Verdict;

/// What decisions have cost since probe.
pub(super) struct Cost {
    pub(super) decisions: Atomic<u64>,
    pub(super) looked_at: Atomic<u64>,
    /// Looks at sync objects, by what was found.
    pub(super) waits_over: Atomic<u64>,
    pub(super) waits_on: Atomic<u64>,
    pub(super) waits_unknown: Atomic<u64>,
    /// Chunks of tiler heaps whose groups had left their slots meanwhile.
    pub(super) chunks_late: Atomic<u64>,
}

impl Cost {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self {
            decisions: Atomic::new(0),
            looked_at: Atomic::new(0),
            waits_over: Atomic::new(0),
            waits_on: Atomic::new(0),
            waits_unknown: Atomic::new(0),
            chunks_late: Atomic::new(0),
        }
    }

    /// A sync object was looked at.
    pub(super) fn note(&self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Over => &self.waits_over,
            Verdict::Waits => &self.waits_on,
            Verdict::Unknown => &self.waits_unknown,
        };
        counter.fetch_add(1u64, Relaxed);
    }
}
