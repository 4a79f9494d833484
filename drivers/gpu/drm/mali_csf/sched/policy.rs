// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which groups sit in which command-stream group slots next: a pure function.
//!
//! [`plan`] turns a [`Snapshot`] into a [`Plan`]. It takes no lock, touches no register, reads no
//! clock and allocates nothing, because it runs between the submission of a job and the signal of
//! its fence. [`super::apply`] carries the plan out.
//!
//! # Rules
//!
//! - A group that can't run any more leaves its slot, and is terminated there.
//! - Higher priorities are served first. Within one priority, who has had the least time in slots
//!   ([`View::served`]) comes first, and of those that have had the same, who waits longest.
//! - Between full ticks groups that are in a slot come before groups that wait, and nobody is pushed
//!   out but by a waiting realtime group.
//! - A full tick exchanges: of the groups of one priority that are in slots, those that have had the
//!   most go behind the waiting ones, and those that have had the least come before all others. To
//!   save and to load a group costs the GPU time, so it is one at a tick, or as many as it takes for
//!   all who wait to have their turn within [`ROUND`] ticks.
//! - The group that the firmware preferred so far (the highest slot priority) goes behind the others.
//! - Which VMs fit together is nobody's fault: who comes too late because of that, or has to go too
//!   early, has had less than the others, and comes first the next time.
//! - Groups with nothing to do get the slots that are left over, those that are in a slot first:
//!   a slot that nobody needs keeps its group, so that the next job needs no more than a doorbell.
//! - The distinct VMs of the groups in slots must not be more than there are address space slots.
//! - Each group in a slot gets a slot priority of its own, from 15 downwards: by priority, then
//!   those with work before the others, then in the order of their turns.

/// Most command-stream group slots that the scheduler uses: there are 16 slot priorities.
pub(crate) const MAX_SLOTS: usize = 16;

/// Highest slot priority, the preferred one.
pub(crate) const MAX_SLOT_PRIORITY: u8 = 15;

/// So many full ticks are to pass at most until everybody who waits has had a turn, if there are enough
/// slots for that.
pub(crate) const ROUND: usize = 25;

/// Priority of a group, as in the uAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// `PANTHOR_GROUP_PRIORITY_LOW`.
    Low,
    /// `PANTHOR_GROUP_PRIORITY_MEDIUM`.
    Medium,
    /// `PANTHOR_GROUP_PRIORITY_HIGH`: privileged.
    High,
    /// `PANTHOR_GROUP_PRIORITY_REALTIME`: privileged, and preempts in the middle of a period.
    Realtime,
}

impl Priority {
    /// All priorities, the most urgent first.
    pub(crate) const DESCENDING: [Priority; 4] = [
        Priority::Realtime,
        Priority::High,
        Priority::Medium,
        Priority::Low,
    ];

    /// The priority with this uAPI value.
    pub(crate) fn from_uapi(value: u8) -> Option<Self> {
        match value {
            0 => Some(Priority::Low),
            1 => Some(Priority::Medium),
            2 => Some(Priority::High),
            3 => Some(Priority::Realtime),
            _ => None,
        }
    }

    /// The bit of this priority in `drm_panthor_group_priorities_info::allowed_mask`.
    pub(crate) fn bit(self) -> u8 {
        match self {
            Priority::Low => 1 << 0,
            Priority::Medium => 1 << 1,
            Priority::High => 1 << 2,
            Priority::Realtime => 1 << 3,
        }
    }

    /// Whether only a privileged caller may use it.
    pub(crate) fn is_privileged(self) -> bool {
        self > Priority::Medium
    }
}

/// Identity of a VM, good for nothing but comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VmKey(pub(crate) usize);

/// Where a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a slot, with a slot priority at the firmware.
    Slot {
        /// 0 to 15, the preferred one.
        slot_priority: u8,
    },
    /// Not in a slot. The smaller `since`, the longer it has been runnable.
    Waiting {
        /// A stamp that only grows.
        since: u64,
    },
}

/// What the decision needs to know of one group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Priority asked for at creation.
    pub(crate) priority: Priority,
    /// The VM that its jobs use.
    pub(crate) vm: VmKey,
    /// Where it is now.
    pub(crate) place: Place,
    /// Time in slots that it is charged with, in nanoseconds (see [`super::shares`]).
    pub(crate) served: u64,
    /// It has no job, or all its jobs wait for somebody else.
    pub(crate) idle: bool,
    /// It is neither destroyed, nor faulty, nor timed out.
    pub(crate) can_run: bool,
}

/// Everything that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot<'a> {
    /// The groups. The plan names them by their index here.
    pub(crate) groups: &'a [View],
    /// Number of usable group slots.
    pub(crate) slots: usize,
    /// Number of address space slots for VMs.
    pub(crate) address_spaces: usize,
    /// Whether the period is over, so that groups rotate.
    pub(crate) full_tick: bool,
}

/// A list of at most one entry per slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PerSlot<T> {
    entries: [Option<T>; MAX_SLOTS],
    len: usize,
}

impl<T: Copy> PerSlot<T> {
    fn new() -> Self {
        Self {
            entries: [None; MAX_SLOTS],
            len: 0,
        }
    }

    fn push(&mut self, value: T) {
        if let Some(entry) = self.entries.get_mut(self.len) {
            *entry = Some(value);
            self.len += 1;
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, in the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.entries.iter().take(self.len).flatten().copied()
    }
}

/// How a group leaves its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Its state is saved; it will be resumed.
    Suspend,
    /// It will never run again.
    Terminate,
}

/// A group that stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    /// Index of the group in the snapshot.
    pub(crate) group: usize,
    /// Its new slot priority, if that changes.
    pub(crate) new_slot_priority: Option<u8>,
}

/// A group that leaves its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leave {
    /// Index of the group in the snapshot.
    pub(crate) group: usize,
    /// How it leaves.
    pub(crate) exit: Exit,
}

/// A group that enters a slot. Which of the free slots doesn't matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enter {
    /// Index of the group in the snapshot.
    pub(crate) group: usize,
    /// Its slot priority.
    pub(crate) slot_priority: u8,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Groups that stay.
    pub(crate) stay: PerSlot<Stay>,
    /// Groups that leave; to be carried out first.
    pub(crate) leave: PerSlot<Leave>,
    /// Groups that enter.
    pub(crate) enter: PerSlot<Enter>,
    /// A full tick would change something, even if nothing else happens: tick again after a period.
    pub(crate) keep_ticking: bool,
    /// A runnable group found no slot.
    pub(crate) contended: bool,
}

/// The groups selected so far.
struct Selection<'a> {
    snapshot: Snapshot<'a>,
    chosen: PerSlot<usize>,
    vms: PerSlot<VmKey>,
}

impl<'a> Selection<'a> {
    fn is_full(&self) -> bool {
        self.chosen.len() >= self.snapshot.slots.min(MAX_SLOTS)
    }

    fn has(&self, index: usize) -> bool {
        self.chosen.iter().any(|chosen| chosen == index)
    }

    fn vm_fits(&self, vm: VmKey) -> bool {
        self.vms.iter().any(|used| used == vm) || self.vms.len() < self.snapshot.address_spaces
    }

    /// The groups that `accept` accepts and that were not selected.
    fn candidates<'s>(
        &'s self,
        accept: impl Fn(usize, &View) -> bool + 's,
    ) -> impl Iterator<Item = (usize, &'a View)> + 's {
        self.snapshot
            .groups
            .iter()
            .enumerate()
            .filter(move |(index, view)| view.can_run && accept(*index, view) && !self.has(*index))
    }

    /// Selects at most `limit` groups that `accept` accepts, those with the smallest rank first, as
    /// long as there are slots.
    fn take(&mut self, limit: usize, accept: impl Fn(usize, &View) -> bool) {
        for _ in 0..limit {
            if self.is_full() {
                return;
            }
            let next = self
                .candidates(|index, view| accept(index, view) && self.vm_fits(view.vm))
                .min_by_key(|(_, view)| view.rank());
            let Some((index, view)) = next else {
                return;
            };
            self.choose(index, view);
        }
    }

    fn choose(&mut self, index: usize, view: &View) {
        self.chosen.push(index);
        if !self.vms.iter().any(|used| used == view.vm) {
            self.vms.push(view.vm);
        }
    }

    /// A full tick: selects those of `priority` that are to come in, in place of others, and returns
    /// these.
    fn exchange(&mut self, priority: Priority) -> PerSlot<usize> {
        let mut leaving = PerSlot::new();
        let waiting = self
            .candidates(|_, view| view.is(priority, false) && !view.is_resident())
            .count();
        for _ in 0..waiting.div_ceil(ROUND).min(MAX_SLOTS) {
            let coming = self
                .candidates(|_, view| {
                    view.is(priority, false) && !view.is_resident() && self.vm_fits(view.vm)
                })
                .min_by_key(|(_, view)| view.rank());
            let going = self
                .candidates(|index, view| {
                    view.is(priority, false)
                        && view.is_resident()
                        && !leaving.iter().any(|leaving| leaving == index)
                })
                .max_by_key(|(_, view)| view.rank());
            let (Some((index, view)), Some((going, other))) = (coming, going) else {
                break;
            };
            if self.is_full() || view.served > other.served {
                break;
            }
            self.choose(index, view);
            leaving.push(going);
        }
        leaving
    }

    fn take_resident(&mut self, priority: Priority, idle: bool, except: &PerSlot<usize>) {
        self.take(MAX_SLOTS, |index, view| {
            view.is(priority, idle)
                && view.is_resident()
                && !except.iter().any(|except| except == index)
        });
    }

    fn take_waiting(&mut self, priority: Priority, idle: bool, limit: usize) {
        self.take(limit, |_, view| {
            view.is(priority, idle) && !view.is_resident()
        });
    }
}

impl View {
    fn is(&self, priority: Priority, idle: bool) -> bool {
        self.priority == priority && self.idle == idle
    }

    fn is_resident(&self) -> bool {
        matches!(self.place, Place::Slot { .. })
    }

    /// Order among those in slots: by slot priority. Among those that wait: by waiting time.
    fn place_rank(&self) -> u64 {
        match self.place {
            Place::Slot { slot_priority } => {
                u64::from(MAX_SLOT_PRIORITY.saturating_sub(slot_priority))
            }
            Place::Waiting { since } => since,
        }
    }

    /// Order in which groups of one priority that are all in slots, or all wait, are served.
    fn rank(&self) -> (u64, u64) {
        match self.place {
            // Of those that have had the same, the one that came last stays.
            Place::Slot { slot_priority } => (self.served, u64::from(slot_priority)),
            Place::Waiting { since } => (self.served, since),
        }
    }
}

/// The groups that are to be in slots.
fn select(snapshot: Snapshot<'_>) -> PerSlot<usize> {
    let nobody = PerSlot::new();
    let mut selection = Selection {
        snapshot,
        chosen: PerSlot::new(),
        vms: PerSlot::new(),
    };

    if !snapshot.full_tick {
        for priority in Priority::DESCENDING {
            selection.take_resident(priority, false, &nobody);
            if priority == Priority::Realtime {
                selection.take_waiting(priority, false, MAX_SLOTS);
            }
        }
    }
    for priority in Priority::DESCENDING {
        let leaving = match snapshot.full_tick {
            true => selection.exchange(priority),
            false => nobody,
        };
        selection.take_resident(priority, false, &leaving);
        selection.take_waiting(priority, false, MAX_SLOTS);
        selection.take_resident(priority, false, &nobody);
    }
    for priority in Priority::DESCENDING {
        selection.take_resident(priority, true, &nobody);
        selection.take_waiting(priority, true, MAX_SLOTS);
    }
    selection.chosen
}

/// The decision. See the rules at the top.
pub(crate) fn plan(snapshot: Snapshot<'_>) -> Plan {
    let groups = snapshot.groups;
    let chosen = select(snapshot);
    let is_chosen = |index| chosen.iter().any(|chosen| chosen == index);
    let mut plan = Plan {
        stay: PerSlot::new(),
        leave: PerSlot::new(),
        enter: PerSlot::new(),
        keep_ticking: false,
        contended: false,
    };

    // The order at the firmware: those who stay, then those who enter, then the one whose turn is over.
    let preferred = |priority| {
        groups
            .iter()
            .filter(|view| view.can_run && view.is(priority, false) && view.is_resident())
            .map(View::place_rank)
            .min()
            .filter(|_| snapshot.full_tick)
    };
    let mut slot_priority = MAX_SLOT_PRIORITY;
    for (priority, idle) in Priority::DESCENDING
        .into_iter()
        .flat_map(|priority| [(priority, false), (priority, true)])
    {
        let preferred = preferred(priority).filter(|_| !idle);
        let turn = |view: &View| match view.place {
            Place::Slot { .. } if preferred == Some(view.place_rank()) => 2,
            Place::Slot { .. } => 0,
            Place::Waiting { .. } => 1,
        };
        let mut members = 0;
        let mut last = None;
        // The next one in the order after `last`, until there is none.
        while let Some((key, index, view)) = chosen
            .iter()
            .filter_map(|index| Some((index, groups.get(index)?)))
            .filter(|(_, view)| view.is(priority, idle))
            .map(|(index, view)| ((turn(view), view.place_rank(), index), index, view))
            .filter(|(key, ..)| last.is_none_or(|last| *key > last))
            .min_by_key(|(key, ..)| *key)
        {
            last = Some(key);
            members += 1;
            match view.place {
                Place::Slot {
                    slot_priority: current,
                } => plan.stay.push(Stay {
                    group: index,
                    new_slot_priority: (current != slot_priority).then_some(slot_priority),
                }),
                Place::Waiting { .. } => plan.enter.push(Enter {
                    group: index,
                    slot_priority,
                }),
            }
            slot_priority = slot_priority.saturating_sub(1);
        }
        // The firmware serves slot priorities strictly: equals must take turns.
        plan.keep_ticking |= !idle && members > 1;
    }

    let lowest_chosen = chosen
        .iter()
        .filter_map(|index| groups.get(index))
        .filter(|view| !view.idle)
        .map(|view| view.priority)
        .min();
    for (index, view) in groups.iter().enumerate() {
        if is_chosen(index) {
            continue;
        }
        if view.is_resident() {
            plan.leave.push(Leave {
                group: index,
                exit: if view.can_run {
                    Exit::Suspend
                } else {
                    Exit::Terminate
                },
            });
        }
        if view.can_run && !view.idle {
            plan.contended = true;
            // It can't have the place of somebody more urgent, however often it asks.
            plan.keep_ticking |= lowest_chosen.is_some_and(|lowest| lowest <= view.priority);
        }
    }
    plan
}
