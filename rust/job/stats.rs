// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Counts of the fences that this module owned, since it was loaded.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

static CREATED: Atomic<u64> = Atomic::new(0);
static SIGNALLED: Atomic<u64> = Atomic::new(0);
static DROPPED: Atomic<u64> = Atomic::new(0);

/// Counts of fences.
///
/// They are read one after the other, so they are consistent only while no fence changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fences {
    /// Initialised.
    pub created: u64,
    /// Signalled, for whatever reason.
    pub signalled: u64,
    /// Of those, the ones whose owner was dropped without signalling them.
    pub dropped: u64,
}

/// Reads the counts.
pub fn fences() -> Fences {
    Fences {
        created: CREATED.load(Relaxed),
        signalled: SIGNALLED.load(Relaxed),
        dropped: DROPPED.load(Relaxed),
    }
}

#[inline]
pub(crate) fn count_created() {
    CREATED.fetch_add(1, Relaxed);
}

#[inline]
pub(crate) fn count_signalled() {
    SIGNALLED.fetch_add(1, Relaxed);
}

#[inline]
pub(crate) fn count_dropped() {
    DROPPED.fetch_add(1, Relaxed);
}
