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
//! - Higher priorities are served first. Within one priority, groups that are in a slot come
//!   before groups that wait, and waiting groups are served in the order in which they became
//!   runnable.
//! - A full tick rotates: of the groups of one priority that are in slots, the one that the
//!   firmware preferred so far (the highest slot priority) goes behind the waiting ones.
//! - Between full ticks nobody is pushed out but by a waiting realtime group.
//! - Groups with nothing to do get the slots that are left over, those that are in a slot first:
//!   a slot that nobody needs keeps its group, so that the next job needs no more than a doorbell.
//! - The distinct VMs of the groups in slots must not be more than there are address space slots.
//! - Each group in a slot gets a slot priority of its own, from 15 downwards in the order of
//!   selection.

/// Most command-stream group slots that the scheduler uses: there are 16 slot priorities.
pub(crate) const MAX_SLOTS: usize = 16;

/// Highest slot priority, the preferred one.
pub(crate) const MAX_SLOT_PRIORITY: u8 = 15;

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
    /// Runnable groups compete for slots or for slot priorities: tick again after a period.
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

    /// Takes all groups that `accept` accepts, those with the smallest `key` first, as long as
    /// there are slots.
    fn take(&mut self, accept: impl Fn(usize, &View) -> bool, key: impl Fn(&View) -> u64) {
        while !self.is_full() {
            let next = self
                .snapshot
                .groups
                .iter()
                .enumerate()
                .filter(|(index, view)| {
                    view.can_run
                        && accept(*index, view)
                        && !self.has(*index)
                        && self.vm_fits(view.vm)
                })
                .min_by_key(|(_, view)| key(view));
            let Some((index, view)) = next else {
                return;
            };
            self.chosen.push(index);
            if !self.vms.iter().any(|used| used == view.vm) {
                self.vms.push(view.vm);
            }
        }
    }

    fn take_resident(&mut self, priority: Priority, idle: bool, except: Option<usize>) {
        self.take(
            |index, view| {
                view.priority == priority
                    && view.idle == idle
                    && view.is_resident()
                    && except != Some(index)
            },
            View::rank,
        );
    }

    fn take_waiting(&mut self, priority: Priority, idle: bool) {
        self.take(
            |_, view| view.priority == priority && view.idle == idle && !view.is_resident(),
            View::rank,
        );
    }
}

impl View {
    fn is_resident(&self) -> bool {
        matches!(self.place, Place::Slot { .. })
    }

    /// Order among groups of one priority: by slot priority, or by waiting time.
    fn rank(&self) -> u64 {
        match self.place {
            Place::Slot { slot_priority } => {
                u64::from(MAX_SLOT_PRIORITY.saturating_sub(slot_priority))
            }
            Place::Waiting { since } => since,
        }
    }
}

/// The decision. See the rules at the top.
pub(crate) fn plan(snapshot: Snapshot<'_>) -> Plan {
    let groups = snapshot.groups;
    let mut selection = Selection {
        snapshot,
        chosen: PerSlot::new(),
        vms: PerSlot::new(),
    };

    if !snapshot.full_tick {
        for priority in Priority::DESCENDING {
            selection.take_resident(priority, false, None);
            if priority == Priority::Realtime {
                selection.take_waiting(priority, false);
            }
        }
    }

    for priority in Priority::DESCENDING {
        let preferred = groups
            .iter()
            .enumerate()
            .filter(|(index, view)| {
                view.priority == priority
                    && view.is_resident()
                    && view.can_run
                    && !view.idle
                    && !selection.has(*index)
            })
            .min_by_key(|(_, view)| view.rank())
            .map(|(index, _)| index);
        selection.take_resident(priority, false, preferred);
        selection.take_waiting(priority, false);
        selection.take_resident(priority, false, None);
    }

    for priority in Priority::DESCENDING {
        selection.take_resident(priority, true, None);
        selection.take_waiting(priority, true);
    }

    let mut plan = Plan {
        stay: PerSlot::new(),
        leave: PerSlot::new(),
        enter: PerSlot::new(),
        keep_ticking: false,
        contended: false,
    };

    // Slot priorities follow the group priority first, then the order of selection.
    let mut slot_priority = MAX_SLOT_PRIORITY;
    for priority in Priority::DESCENDING {
        let mut active = 0;
        for index in selection.chosen.iter() {
            let Some(view) = groups.get(index).filter(|view| view.priority == priority) else {
                continue;
            };
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
            active += usize::from(!view.idle);
        }
        // The firmware serves slot priorities strictly: equals must take turns.
        plan.keep_ticking |= active > 1;
    }

    for (index, view) in groups.iter().enumerate() {
        if selection.has(index) {
            continue;
        }
        match view.place {
            Place::Slot { .. } => plan.leave.push(Leave {
                group: index,
                exit: if view.can_run {
                    Exit::Suspend
                } else {
                    Exit::Terminate
                },
            }),
            Place::Waiting { .. } => {}
        }
        plan.contended |= view.can_run && !view.idle;
    }
    plan.keep_ticking |= plan.contended;
    plan
}

#[kernel::macros::kunit_tests(mali_csf_sched_policy)]
mod tests {
    use super::*;

    const A: VmKey = VmKey(1);
    const B: VmKey = VmKey(2);

    fn resident(slot_priority: u8) -> View {
        View {
            priority: Priority::Medium,
            vm: A,
            place: Place::Slot { slot_priority },
            idle: false,
            can_run: true,
        }
    }

    fn waiting(since: u64) -> View {
        View {
            place: Place::Waiting { since },
            ..resident(0)
        }
    }

    fn decide(groups: &[View], slots: usize, full_tick: bool) -> Plan {
        plan(Snapshot {
            groups,
            slots,
            address_spaces: 7,
            full_tick,
        })
    }

    fn entering(plan: &Plan) -> [Option<usize>; 4] {
        let mut out = [None; 4];
        for (to, from) in out.iter_mut().zip(plan.enter.iter()) {
            *to = Some(from.group);
        }
        out
    }

    #[test]
    fn nothing_to_do_is_an_empty_plan() {
        let plan = decide(&[], 8, true);
        assert!(plan.stay.is_empty() && plan.leave.is_empty() && plan.enter.is_empty());
        assert!(!plan.keep_ticking);
    }

    #[test]
    fn a_lone_group_enters_with_the_highest_slot_priority_and_stops_the_tick() {
        let plan = decide(&[waiting(1)], 8, false);
        assert_eq!(plan.enter.len(), 1);
        assert!(plan
            .enter
            .iter()
            .all(|e| e.slot_priority == MAX_SLOT_PRIORITY));
        assert!(!plan.keep_ticking);
    }

    #[test]
    fn idle_groups_keep_slots_that_nobody_needs() {
        let mut idle = resident(15);
        idle.idle = true;
        let plan = decide(&[idle], 8, true);
        assert_eq!(plan.stay.len(), 1);
        assert!(plan.leave.is_empty());
        assert!(!plan.keep_ticking);
    }

    #[test]
    fn an_idle_group_makes_room_for_a_waiting_one() {
        let mut idle = resident(15);
        idle.idle = true;
        let plan = decide(&[idle, waiting(1)], 1, false);
        assert_eq!(plan.leave.len(), 1);
        assert!(plan.leave.iter().all(|l| l.exit == Exit::Suspend));
        assert_eq!(entering(&plan)[0], Some(1));
        assert!(!plan.contended);
    }

    #[test]
    fn between_full_ticks_a_busy_group_is_not_pushed_out() {
        let plan = decide(&[resident(15), waiting(1)], 1, false);
        assert!(plan.leave.is_empty() && plan.enter.is_empty());
        assert!(plan.contended && plan.keep_ticking);
    }

    #[test]
    fn realtime_preempts_between_full_ticks() {
        let mut urgent = waiting(1);
        urgent.priority = Priority::Realtime;
        let plan = decide(&[resident(15), urgent], 1, false);
        assert_eq!(entering(&plan)[0], Some(1));
        assert_eq!(plan.leave.len(), 1);
    }

    #[test]
    fn high_waits_for_the_full_tick() {
        let mut high = waiting(1);
        high.priority = Priority::High;
        let groups = [resident(15), high];
        assert!(decide(&groups, 1, false).enter.is_empty());
        assert_eq!(entering(&decide(&groups, 1, true))[0], Some(1));
    }

    #[test]
    fn a_full_tick_rotates_the_preferred_group_out() {
        let groups = [resident(15), resident(14), waiting(1)];
        let plan = decide(&groups, 2, true);
        assert!(plan.leave.iter().all(|l| l.group == 0));
        assert_eq!(plan.leave.len(), 1);
        assert_eq!(entering(&plan)[0], Some(2));
        assert!(plan
            .stay
            .iter()
            .all(|s| s.group == 1 && s.new_slot_priority == Some(15)));
    }

    #[test]
    fn a_full_tick_rotates_slot_priorities_among_those_that_stay() {
        let plan = decide(&[resident(15), resident(14)], 8, true);
        assert!(plan.leave.is_empty());
        for stay in plan.stay.iter() {
            let expected = if stay.group == 0 { 14 } else { 15 };
            assert_eq!(stay.new_slot_priority, Some(expected));
        }
        assert!(plan.keep_ticking && !plan.contended);
    }

    #[test]
    fn everybody_runs_within_as_many_full_ticks_as_there_are_groups() {
        let mut groups = [waiting(0), waiting(1), waiting(2), waiting(3), waiting(4)];
        let mut ran = [false; 5];
        let mut stamp = 5;
        for _ in 0..8 {
            let plan = decide(&groups, 2, true);
            for leave in plan.leave.iter() {
                groups[leave.group].place = Place::Waiting { since: stamp };
                stamp += 1;
            }
            for stay in plan.stay.iter() {
                if let Some(slot_priority) = stay.new_slot_priority {
                    groups[stay.group].place = Place::Slot { slot_priority };
                }
            }
            for enter in plan.enter.iter() {
                ran[enter.group] = true;
                groups[enter.group].place = Place::Slot {
                    slot_priority: enter.slot_priority,
                };
            }
        }
        assert!(ran.iter().all(|ran| *ran));
    }

    #[test]
    fn waiting_groups_are_served_in_the_order_of_their_waiting() {
        let plan = decide(&[waiting(7), waiting(3), waiting(5)], 2, true);
        assert_eq!(entering(&plan)[0], Some(1));
        assert_eq!(entering(&plan)[1], Some(2));
    }

    #[test]
    fn a_dead_group_is_terminated_and_never_enters() {
        let mut dead = resident(15);
        dead.can_run = false;
        let mut never = waiting(1);
        never.can_run = false;
        let plan = decide(&[dead, never], 8, false);
        assert!(plan
            .leave
            .iter()
            .all(|l| l.group == 0 && l.exit == Exit::Terminate));
        assert_eq!(plan.leave.len(), 1);
        assert!(plan.enter.is_empty() && !plan.keep_ticking);
    }

    #[test]
    fn no_more_vms_than_address_spaces() {
        let mut other = waiting(2);
        other.vm = B;
        let groups = [waiting(1), other, waiting(3)];
        let plan = plan(Snapshot {
            groups: &groups,
            slots: 8,
            address_spaces: 1,
            full_tick: true,
        });
        assert_eq!(entering(&plan)[0], Some(0));
        assert_eq!(entering(&plan)[1], Some(2));
        assert_eq!(plan.enter.len(), 2);
        assert!(plan.contended);
    }

    #[test]
    fn slot_priorities_follow_group_priorities() {
        let mut low = waiting(0);
        low.priority = Priority::Low;
        let mut urgent = waiting(9);
        urgent.priority = Priority::Realtime;
        let plan = decide(&[low, waiting(5), urgent], 8, true);
        for enter in plan.enter.iter() {
            let expected = match enter.group {
                0 => 13,
                1 => 14,
                _ => 15,
            };
            assert_eq!(enter.slot_priority, expected);
        }
    }
}
