// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What decisions are made from, and what they change: who sits in which slot, who waits, and for what.
//!
//! **Locking.** All of it belongs to the scheduler's state lock, a mutex.
//!
//! **Ordering.** What is new about a group is taken in before the snapshot, so a decision knows of all
//! that was announced before it began. The snapshot keeps references to its groups until the decision
//! has been carried out, so that the numbers in a plan stay good while lists change.
//!
//! **Blocking.** Part of the way from commit to signal: nothing is allocated, and nothing waited for.

use job::Signalling;
use kernel::prelude::*;
use kernel::sync::Arc;
use kernel::time::{
    Instant,
    Monotonic, //
};

use super::policy::{
    Place,
    View,
    MAX_SLOTS, //
};
use super::roster::{
    Listed,
    Roster, //
};
use super::shares::Shares;
use super::Core;
use crate::group::wait::Verdict;
use crate::group::Group;
use crate::mmu;

/// A group in a slot, as the tick sees it.
pub(super) struct Seat {
    pub(super) group: Arc<Group>,
    pub(super) slot_priority: u8,
    /// It had no work for the slot when the last decision looked at it.
    pub(super) idle: bool,
    /// Until when its group is charged for it.
    pub(super) charged: Instant<Monotonic>,
    /// Keeps the group's VM in its address space slot.
    pub(super) _space: mmu::Active,
}

/// What decisions are made from, and change.
pub(super) struct State {
    pub(super) roster: Roster,
    /// What a decision is made from. Empty between decisions.
    pub(super) seen: Seen,
    /// Indexed by the number of the firmware's slot.
    pub(super) seats: [Option<Seat>; MAX_SLOTS],
    shares: Shares,
    pub(super) last_full: Instant<Monotonic>,
    /// The device goes away: no group is added any more.
    pub(super) closed: bool,
    /// The GPU is off: there are no slots.
    pub(super) asleep: bool,
    /// A destroyed group has ended.
    pub(super) garbage: bool,
}

/// A snapshot: groups, and what the policy has to know of each.
///
/// There is room for all groups.
pub(super) struct Seen {
    pub(super) groups: KVec<Arc<Group>>,
    pub(super) views: KVec<View>,
}

impl Seen {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn with_capacity(count: usize) -> Result<Self> {
        Ok(Self {
            groups: KVec::with_capacity(count, GFP_KERNEL)?,
            views: KVec::with_capacity(count, GFP_KERNEL)?,
        })
    }

    fn push(&mut self, group: &Arc<Group>, place: Place, idle: bool) {
        let view = View {
            priority: group.priority(),
            vm: group.vm_key(),
            place,
            served: group.served(),
            idle,
            can_run: group.link().can_run(),
        };
        // The capacity was provided when the groups were added.
        let _ = self.groups.push_within_capacity(group.clone());
        let _ = self.views.push_within_capacity(view);
    }

    /// Forgets the groups; never the last references, the roster has one of each.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
        self.views.clear();
    }
}

impl State {
    /// No groups.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            roster: Roster::new(),
            seen: Seen::with_capacity(0)?,
            seats: [const { None }; MAX_SLOTS],
            shares: Shares::new(),
            last_full: Instant::now(),
            closed: false,
            asleep: false,
            garbage: false,
        })
    }

    /// The number of the slot that `group` sits in.
    pub(super) fn seat_of(&self, group: &Arc<Group>) -> Option<usize> {
        self.seats.iter().position(|seat| {
            seat.as_ref()
                .is_some_and(|seat| Arc::ptr_eq(&seat.group, group))
        })
    }

    /// Whether all jobs of a group in a slot wait for sync objects.
    pub(super) fn is_waiting(&self) -> bool {
        self.seats.iter().flatten().any(|seat| {
            let busy = seat.group.busy_queues();
            busy != 0 && seat.group.is_idle()
        })
    }

    /// Whether a group in a slot has no work for it any more that had some when the last decision looked at it.
    pub(super) fn has_gone_idle(&self) -> bool {
        self.seats
            .iter()
            .flatten()
            .any(|seat| !seat.idle && seat.group.is_idle())
    }

    pub(super) fn is_seated(&self, group: &Arc<Group>) -> bool {
        self.seat_of(group).is_some()
    }

    /// Puts a group without a slot where it belongs.
    pub(super) fn sort(&mut self, group: &Arc<Group>, sig: &Signalling<'_>) {
        let status = group.link().status();
        if !status.can_run() {
            self.roster.list(group, Listed::No);
            if !status.is_ended() {
                group.finish(sig);
            }
            self.garbage |= status.is_destroyed();
            return;
        }
        let place = match group.link().observe(|| group.is_idle()) {
            false => Listed::Ready,
            true if group.is_blocked() => Listed::Blocked,
            true => Listed::No,
        };
        self.roster.list(group, place);
    }

    /// Takes in what has changed since the last decision.
    pub(super) fn listen(&mut self, core: &Core, sig: &Signalling<'_>) {
        loop {
            let Some(group) = self.roster.next_news(&core.news) else {
                return;
            };
            // A decision looks at those in slots in any case.
            if !self.is_seated(&group) {
                self.sort(&group, sig);
            }
        }
    }

    /// A sync object has changed: those who wait for it can go on. `note` hears of each wait.
    pub(super) fn release_blocked(&mut self, mut note: impl FnMut(Verdict)) {
        let mut index = 0;
        while let Some(group) = self.roster.blocked().get(index).cloned() {
            group.look_at_waits(&mut note);
            if group.link().observe(|| group.is_idle()) {
                index += 1;
            } else {
                self.roster.list(&group, Listed::Ready);
            }
        }
    }

    /// Charges the groups in slots with the time that has passed.
    pub(super) fn charge(&mut self, now: Instant<Monotonic>) {
        for seat in self.seats.iter_mut().flatten() {
            let passed = u64::try_from((now - seat.charged).as_nanos()).unwrap_or(0);
            seat.charged = now;
            if !seat.idle {
                seat.group
                    .set_served(seat.group.served().saturating_add(passed));
            }
        }
    }

    /// Takes the snapshot.
    pub(super) fn look(&mut self) {
        self.seen.clear();
        for seat in self.seats.iter_mut().flatten() {
            let place = Place::Slot {
                slot_priority: seat.slot_priority,
            };
            seat.idle = seat.group.link().observe(|| seat.group.is_idle());
            self.seen.push(&seat.group, place, seat.idle);
        }
        let waiting = |group: &Arc<Group>| Place::Waiting {
            since: group.link().since(),
        };
        for group in self.roster.ready() {
            self.seen.push(group, waiting(group), false);
        }
        // In a slot that nobody needs, the firmware looks after what they wait for. There are no
        // more of these.
        for group in self.roster.blocked().iter().take(MAX_SLOTS) {
            self.seen.push(group, waiting(group), true);
        }
        self.shares.settle(&mut self.seen.views);
        for (group, view) in self.seen.groups.iter().zip(self.seen.views.iter()) {
            group.set_served(view.served);
        }
    }
}
