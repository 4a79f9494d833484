// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How much time in slots each group is charged with, by which [`super::policy`] decides whose turn it is.
//!
//! Pure, as the policy is. A group is charged with the time that it was in a slot and had work. What a
//! group has not used, because it had no work, it can't save up: it begins again where those are that
//! have had the least. And what nobody else could use, because there was no slot for its address space,
//! say, is held against those who got it only so far: else they had to wait for as long later on.

use super::policy::{
    Priority,
    View, //
};

/// How far a group may be ahead of the one that has had the least, in nanoseconds.
pub(crate) const LEAD_MAX: u64 = 160_000_000;

/// See the top of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// Of each priority: what the group that had the least has had, of those with work. It only grows.
    floors: [u64; Priority::DESCENDING.len()],
}

impl Shares {
    /// Nobody has had anything.
    pub(crate) fn new() -> Self {
        Self {
            floors: [0; Priority::DESCENDING.len()],
        }
    }

    /// Brings what the groups of a snapshot are charged with into its bounds.
    pub(crate) fn settle(&mut self, views: &mut [View]) {
        for (priority, floor) in Priority::DESCENDING.into_iter().zip(&mut self.floors) {
            let runnable =
                |view: &&mut View| view.priority == priority && view.can_run && !view.idle;
            let least = views
                .iter_mut()
                .filter(runnable)
                .map(|view| view.served.max(*floor))
                .min();
            let before = *floor;
            *floor = least.unwrap_or(*floor);
            for view in views.iter_mut().filter(runnable) {
                view.served = view.served.clamp(before, floor.saturating_add(LEAD_MAX));
            }
        }
    }
}
