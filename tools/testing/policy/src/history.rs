// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Random histories of groups, and the carrying out of plans.

use crate::policy::{
    plan,
    Place,
    Plan,
    Priority,
    Snapshot,
    View,
    VmKey,
    MAX_SLOTS, //
};
use crate::shares::Shares;

/// Length of a period in nanoseconds.
pub(crate) const PERIOD: u64 = 10_000_000;

/// A generator of pseudo-random numbers (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Not zero, and the first bits differ between small seeds.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// From 0 to `end`, which is not included.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Groups and the machine that they share.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) groups: Vec<View>,
    pub(crate) slots: usize,
    pub(crate) address_spaces: usize,
    shares: Shares,
    stamp: u64,
}

/// A decision, with what it was made from.
pub(crate) struct Decision {
    pub(crate) before: Vec<View>,
    pub(crate) full_tick: bool,
    pub(crate) plan: Plan,
}

impl World {
    /// No groups, and a machine of random size.
    pub(crate) fn random(random: &mut Random) -> Self {
        Self {
            groups: Vec::new(),
            slots: 1 + random.below(MAX_SLOTS),
            address_spaces: 1 + random.below(15),
            shares: Shares::new(),
            stamp: 0,
        }
    }

    fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// A group with work that waits.
    pub(crate) fn add(&mut self, priority: Priority, vm: usize) {
        let since = self.stamp();
        self.groups.push(View {
            priority,
            vm: VmKey(vm),
            place: Place::Waiting { since },
            served: 0,
            idle: false,
            can_run: true,
        });
    }

    /// Something happens to somebody.
    pub(crate) fn disturb(&mut self, random: &mut Random) {
        if self.groups.is_empty() || self.groups.len() < 40 && random.chance(25) {
            let priority = Priority::DESCENDING[random.below(4)];
            self.add(priority, random.below(10));
            return;
        }
        let stamp = self.stamp();
        let index = random.below(self.groups.len());
        let group = &mut self.groups[index];
        match random.below(100) {
            0..40 => group.idle = true,
            40..90 => {
                if group.idle && matches!(group.place, Place::Waiting { .. }) {
                    group.place = Place::Waiting { since: stamp };
                }
                group.idle = false;
            }
            _ => group.can_run = false,
        }
    }

    /// Groups that are dead and out of their slots are forgotten.
    pub(crate) fn bury(&mut self) {
        self.groups
            .retain(|group| group.can_run || matches!(group.place, Place::Slot { .. }));
    }

    /// Nobody has had anything so far.
    pub(crate) fn forget(&mut self) {
        self.shares = Shares::new();
        self.groups.iter_mut().for_each(|view| view.served = 0);
    }

    /// Time passes: those in slots that have work use it.
    pub(crate) fn pass(&mut self, time: u64) {
        for view in &mut self.groups {
            if !view.idle && matches!(view.place, Place::Slot { .. }) {
                view.served += time;
            }
        }
    }

    pub(crate) fn decide(&mut self, full_tick: bool) -> Decision {
        self.shares.settle(&mut self.groups);
        Decision {
            before: self.groups.clone(),
            full_tick,
            plan: plan(Snapshot {
                groups: &self.groups,
                slots: self.slots,
                address_spaces: self.address_spaces,
                full_tick,
            }),
        }
    }

    pub(crate) fn carry_out(&mut self, plan: &Plan) {
        for leave in plan.leave.iter() {
            let since = self.stamp();
            self.groups[leave.group].place = Place::Waiting { since };
        }
        for stay in plan.stay.iter() {
            if let Some(slot_priority) = stay.new_slot_priority {
                self.groups[stay.group].place = Place::Slot { slot_priority };
            }
        }
        for enter in plan.enter.iter() {
            self.groups[enter.group].place = Place::Slot {
                slot_priority: enter.slot_priority,
            };
        }
    }

    /// A decision that is carried out.
    pub(crate) fn step(&mut self, full_tick: bool) -> Decision {
        let decision = self.decide(full_tick);
        self.carry_out(&decision.plan);
        decision
    }
}

impl Decision {
    /// Indices of the groups that are in slots afterwards.
    pub(crate) fn chosen(&self) -> Vec<usize> {
        let stay = self.plan.stay.iter().map(|stay| stay.group);
        stay.chain(self.plan.enter.iter().map(|enter| enter.group))
            .collect()
    }

    /// Indices of the groups that found no slot, although they have work.
    pub(crate) fn left_out(&self) -> Vec<usize> {
        let chosen = self.chosen();
        (0..self.before.len())
            .filter(|index| {
                let view = &self.before[*index];
                view.can_run && !view.idle && !chosen.contains(index)
            })
            .collect()
    }

    /// Whether the group could be in a slot together with those of the chosen ones for which
    /// `counts` says yes, in place of the others.
    pub(crate) fn would_fit(
        &self,
        world: &World,
        index: usize,
        counts: impl Fn(&View) -> bool,
    ) -> bool {
        let others: Vec<&View> = self
            .chosen()
            .into_iter()
            .map(|index| &self.before[index])
            .filter(|view| counts(view))
            .collect();
        let mut vms: Vec<usize> = others.iter().map(|view| view.vm.0).collect();
        vms.push(self.before[index].vm.0);
        vms.sort_unstable();
        vms.dedup();
        others.len() < world.slots && vms.len() <= world.address_spaces
    }
}
