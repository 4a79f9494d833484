// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The groups that the scheduler knows, by what a decision has to know of them.
//!
//! Most groups have nothing to do most of the time, so a decision looks at those in slots and at
//! those on two lists: groups with work that wait for a slot, and groups without a slot whose work
//! waits for a sync object. Any other group is on neither list and costs nothing. It gets there by
//! way of [`News`], where whoever changes a group leaves its number.
//!
//! **Locking.** The roster belongs to the scheduler's state lock. [`News`] has a spinlock of its own,
//! inside of the groups' links and of nothing else.
//!
//! **Ordering.** A group's number is in the news at most once: it is put there when it is not, and
//! its mark is cleared before the group is looked at, so what changes after that is news again.
//!
//! **Blocking.** All memory is provided when a group is added: whatever else happens is part of the
//! way from commit to signal, and moves groups between lists that have room for all of them.

use kernel::new_spinlock;
use kernel::prelude::*;
use kernel::sync::{
    Arc,
    SpinLock, //
};

use crate::group::Group;

/// Number of a group that the scheduler knows. They are given in rising order, and once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupId(u64);

/// Where a group is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Nowhere: it is in a slot, or there is nothing to be decided.
    No,
    /// Among those that wait for a slot.
    Ready,
    /// Among those that wait for a sync object.
    Blocked,
}

/// Groups of which the scheduler should hear.
#[pin_data]
pub(super) struct News {
    #[pin]
    groups: SpinLock<KVec<GroupId>>,
}

impl News {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            groups <- new_spinlock!(KVec::new(), "mali_csf::sched::News"),
        })
    }

    /// Adds a group that is not there yet.
    pub(super) fn add(&self, group: GroupId) {
        // There is room for as many as the roster has groups.
        let _ = self.groups.lock().push_within_capacity(group);
    }
}

/// See the top of the file.
///
/// # Invariants
///
/// Each list has room for as many entries as there are groups. `all` is sorted by number. A group is
/// on the list that its [`Group::listed`] names, and on no other one.
pub(super) struct Roster {
    all: KVec<Arc<Group>>,
    ready: KVec<Arc<Group>>,
    blocked: KVec<Arc<Group>>,
    /// What is being taken out of the news.
    arrived: KVec<GroupId>,
    last_id: u64,
}

/// Memory for a roster of more groups.
pub(super) struct Room {
    lists: [KVec<Arc<Group>>; 3],
    ids: [KVec<GroupId>; 2],
}

impl Room {
    /// Room for `count` groups.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(count: usize) -> Result<Self> {
        let list = || KVec::with_capacity(count, GFP_KERNEL);
        let ids = || KVec::with_capacity(count, GFP_KERNEL);
        Ok(Self {
            lists: [list()?, list()?, list()?],
            ids: [ids()?, ids()?],
        })
    }
}

/// Puts the entries of `from` into `to`, which has room for them, and swaps the two.
fn relocate<T>(from: &mut KVec<T>, to: &mut KVec<T>) {
    for entry in from.drain_all() {
        let _ = to.push_within_capacity(entry);
    }
    core::mem::swap(from, to);
}

impl Roster {
    pub(super) fn new() -> Self {
        // INVARIANT: There are no groups.
        Self {
            all: KVec::new(),
            ready: KVec::new(),
            blocked: KVec::new(),
            arrived: KVec::new(),
            last_id: 0,
        }
    }

    /// All groups that may have jobs.
    pub(super) fn all(&self) -> &[Arc<Group>] {
        &self.all
    }

    /// Those that wait for a slot.
    pub(super) fn ready(&self) -> &[Arc<Group>] {
        &self.ready
    }

    /// Those without a slot that wait for a sync object.
    pub(super) fn blocked(&self) -> &[Arc<Group>] {
        &self.blocked
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.all.len() < self.all.capacity()
    }

    /// How many groups there should be room for next.
    pub(super) fn next_capacity(&self) -> usize {
        (self.all.len() + 1) * 2
    }

    /// Uses `room` unless it is smaller than what there is; the rest is in `room` afterwards.
    pub(super) fn grow(&mut self, news: &News, room: &mut Room) {
        let Room {
            lists: [all, ready, blocked],
            ids: [waiting, arrived],
        } = room;
        if all.capacity() <= self.all.capacity() {
            return;
        }
        // INVARIANT: All of them have the same, larger capacity.
        relocate(&mut self.all, all);
        relocate(&mut self.ready, ready);
        relocate(&mut self.blocked, blocked);
        relocate(&mut self.arrived, arrived);
        relocate(&mut *news.groups.lock(), waiting);
    }

    /// Adds a new group.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is no room.
    pub(super) fn add(&mut self, group: Arc<Group>) -> Result {
        if !self.has_room() {
            return Err(ENOMEM);
        }
        // INVARIANT: The number is larger than that of any other group.
        self.last_id += 1;
        group.link().introduce(GroupId(self.last_id));
        self.all.push_within_capacity(group).map_err(|_| ENOMEM)
    }

    /// Removes the first group for which `condition` says yes.
    pub(super) fn remove(&mut self, condition: impl Fn(&Group) -> bool) -> Option<Arc<Group>> {
        let index = self.all.iter().position(|group| condition(group))?;
        let group = self.all.remove(index).ok()?;
        self.unlist(&group);
        Some(group)
    }

    /// Moves a group to a list, or off all of them.
    pub(super) fn list(&mut self, group: &Arc<Group>, place: Listed) {
        if group.listed() == place {
            return;
        }
        self.unlist(group);
        let list = match place {
            Listed::No => return,
            Listed::Ready => &mut self.ready,
            Listed::Blocked => &mut self.blocked,
        };
        if list.push_within_capacity(group.clone()).is_ok() {
            group.set_listed(place);
        }
    }

    fn unlist(&mut self, group: &Arc<Group>) {
        let list = match group.listed() {
            Listed::No => return,
            Listed::Ready => &mut self.ready,
            Listed::Blocked => &mut self.blocked,
        };
        if let Some(index) = list.iter().position(|entry| Arc::ptr_eq(entry, group)) {
            // Never the last reference: `all` has one.
            let _ = list.remove(index);
        }
        group.set_listed(Listed::No);
    }

    /// The next group in the news, which may have been there for several reasons.
    pub(super) fn next_news(&mut self, news: &News) -> Option<Arc<Group>> {
        if self.arrived.is_empty() {
            core::mem::swap(&mut *news.groups.lock(), &mut self.arrived);
        }
        loop {
            let id = self.arrived.pop()?;
            let found = self.all.binary_search_by_key(&Some(id), |g| g.link().id());
            // A group that is gone has no news.
            if let Some(group) = found.ok().and_then(|index| self.all.get(index)) {
                group.link().heard();
                return Some(group.clone());
            }
        }
    }
}
