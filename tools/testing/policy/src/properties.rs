// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is true of every decision, and of every sequence of them.

use std::collections::HashSet;

use crate::history::{
    Decision,
    Random,
    World,
    PERIOD, //
};
use crate::policy::{
    Exit,
    Place,
    Priority,
    MAX_SLOTS,
    MAX_SLOT_PRIORITY,
    ROUND, //
};
use crate::shares::LEAD_MAX;

const HISTORIES: u64 = 1000;
const STEPS: usize = 60;

/// Seeds of the histories: the same in every run, and a second lot that nobody has seen before.
fn seeds(name: &str) -> impl Iterator<Item = u64> {
    let fresh = match std::env::var("POLICY_SEED") {
        Ok(seed) => seed.parse().expect("POLICY_SEED is not a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |now| u64::from(now.subsec_nanos()) << 20),
    };
    println!("{name}: POLICY_SEED={fresh}");
    (0..HISTORIES).chain(fresh..fresh + HISTORIES)
}

/// How long it is since the last decision.
fn time(full_tick: bool, random: &mut Random) -> u64 {
    match full_tick {
        true => PERIOD,
        false => PERIOD * u64::try_from(random.below(10)).unwrap() / 10,
    }
}

/// Calls `check` with every decision of random histories, and with the world before it was carried
/// out.
fn for_each_decision(name: &str, mut check: impl FnMut(&World, &Decision)) {
    for seed in seeds(name) {
        let mut random = Random::new(seed);
        let mut world = World::random(&mut random);
        for _ in 0..STEPS {
            for _ in 0..random.below(6) {
                world.disturb(&mut random);
            }
            let full_tick = random.chance(50);
            world.pass(time(full_tick, &mut random));
            let decision = world.decide(full_tick);
            check(&world, &decision);
            world.carry_out(&decision.plan);
            world.bury();
        }
    }
}

#[test]
fn there_are_no_more_groups_than_slots_and_no_more_vms_than_address_spaces() {
    for_each_decision("bounds", |world, decision| {
        let chosen = decision.chosen();
        let vms: HashSet<usize> = chosen.iter().map(|i| decision.before[*i].vm.0).collect();
        assert!(chosen.len() <= world.slots);
        assert!(vms.len() <= world.address_spaces);
    });
}

#[test]
fn everybody_in_a_slot_stays_or_leaves_and_only_those_who_wait_enter() {
    for_each_decision("places", |_, decision| {
        let (before, plan) = (&decision.before, &decision.plan);
        let resident = |index: &usize| matches!(before[*index].place, Place::Slot { .. });
        let mut seated: Vec<usize> = plan.stay.iter().map(|stay| stay.group).collect();
        seated.extend(plan.leave.iter().map(|leave| leave.group));
        seated.sort_unstable();
        let expected: Vec<usize> = (0..before.len()).filter(resident).collect();
        assert_eq!(seated, expected);
        let entering: HashSet<usize> = plan.enter.iter().map(|enter| enter.group).collect();
        assert_eq!(entering.len(), plan.enter.len());
        assert!(!entering.iter().any(resident));
    });
}

#[test]
fn those_who_can_not_run_are_terminated_and_those_who_can_are_suspended() {
    for_each_decision("exits", |_, decision| {
        for index in decision.chosen() {
            assert!(decision.before[index].can_run);
        }
        for leave in decision.plan.leave.iter() {
            let terminated = leave.exit == Exit::Terminate;
            assert_eq!(terminated, !decision.before[leave.group].can_run);
        }
    });
}

#[test]
fn slot_priorities_are_unique_and_follow_the_groups_priorities() {
    for_each_decision("slot priorities", |world, decision| {
        let mut after = world.clone();
        after.carry_out(&decision.plan);
        let mut order: Vec<(u8, Priority, bool)> = after
            .groups
            .iter()
            .filter_map(|view| match view.place {
                Place::Slot { slot_priority } => Some((slot_priority, view.priority, view.idle)),
                Place::Waiting { .. } => None,
            })
            .collect();
        order.sort_unstable_by_key(|(slot_priority, ..)| std::cmp::Reverse(*slot_priority));
        assert!(order.len() <= world.slots);
        for (expected, (slot_priority, ..)) in (0..=MAX_SLOT_PRIORITY).rev().zip(&order) {
            assert_eq!(*slot_priority, expected);
        }
        assert!(order
            .windows(2)
            .all(|pair| pair[0].1 > pair[1].1 || pair[0].1 == pair[1].1 && pair[0].2 <= pair[1].2));
    });
}

#[test]
fn a_decision_says_whether_somebody_found_no_slot() {
    for_each_decision("contention", |_, decision| {
        assert_eq!(decision.plan.contended, !decision.left_out().is_empty());
    });
}

#[test]
fn priorities_are_numbered_as_user_space_numbers_them() {
    for (value, priority) in (0..4).zip(Priority::DESCENDING.into_iter().rev()) {
        assert_eq!(Priority::from_uapi(value), Some(priority));
        assert_eq!(priority.bit(), 1 << value);
        assert_eq!(priority.is_privileged(), value >= 2);
    }
    assert_eq!(Priority::from_uapi(4), None);
}

#[test]
fn realtime_preempts_at_once() {
    for_each_decision("realtime", |world, decision| {
        for index in decision.left_out() {
            if decision.before[index].priority == Priority::Realtime {
                assert!(!decision.would_fit(world, index, |view| {
                    view.priority == Priority::Realtime && !view.idle
                }));
            }
        }
    });
}

#[test]
fn groups_with_nothing_to_do_never_keep_out_those_with_work() {
    for_each_decision("idle", |world, decision| {
        for index in decision.left_out() {
            assert!(!decision.would_fit(world, index, |view| !view.idle));
        }
    });
}

#[test]
fn between_full_ticks_only_realtime_pushes_out_who_has_work() {
    for_each_decision("mid-period", |_, decision| {
        let before = &decision.before;
        let urgent = decision
            .plan
            .enter
            .iter()
            .any(|enter| before[enter.group].priority == Priority::Realtime);
        for leave in decision.plan.leave.iter() {
            let view = &before[leave.group];
            assert!(decision.full_tick || urgent || view.idle || !view.can_run);
        }
    });
}

#[test]
fn a_full_tick_serves_higher_priorities_first() {
    for_each_decision("priorities", |world, decision| {
        if !decision.full_tick {
            return;
        }
        for index in decision.left_out() {
            let priority = decision.before[index].priority;
            let lower = |view: &crate::policy::View| view.priority < priority || view.idle;
            if decision
                .chosen()
                .iter()
                .any(|i| lower(&decision.before[*i]))
            {
                assert!(!decision.would_fit(world, index, |view| !lower(view)));
            }
        }
    });
}

#[test]
fn carrying_out_the_same_decision_again_changes_nothing() {
    for seed in seeds("twice") {
        let mut random = Random::new(seed);
        let mut world = World::random(&mut random);
        for _ in 0..STEPS {
            for _ in 0..random.below(6) {
                world.disturb(&mut random);
            }
            let full_tick = random.chance(50);
            world.pass(time(full_tick, &mut random));
            world.step(full_tick);
            let again = world.decide(false).plan;
            assert!(again.leave.is_empty() && again.enter.is_empty());
            assert!(again
                .stay
                .iter()
                .all(|stay| stay.new_slot_priority.is_none()));
            world.bury();
        }
    }
}

#[test]
fn when_the_tick_stops_a_tick_would_change_nothing() {
    let mut stopped = 0;
    for seed in seeds("stop") {
        let mut random = Random::new(seed);
        let mut world = World::random(&mut random);
        for _ in 0..STEPS {
            for _ in 0..random.below(6) {
                world.disturb(&mut random);
            }
            let full_tick = random.chance(50);
            world.pass(time(full_tick, &mut random));
            let decision = world.step(full_tick);
            if !decision.plan.keep_ticking {
                let tick = world.decide(true).plan;
                assert!(tick.leave.is_empty() && tick.enter.is_empty());
                assert!(tick
                    .stay
                    .iter()
                    .all(|stay| stay.new_slot_priority.is_none()));
                stopped += 1;
            }
            world.bury();
        }
    }
    assert!(stopped > 1000, "only {stopped} decisions stopped the tick");
}

/// With groups that always have work, from wherever a random history has left them.
fn settled(seed: u64) -> World {
    let mut random = Random::new(seed);
    let mut world = World::random(&mut random);
    for _ in 0..STEPS {
        for _ in 0..random.below(6) {
            world.disturb(&mut random);
        }
        let full_tick = random.chance(50);
        world.pass(time(full_tick, &mut random));
        world.step(full_tick);
        world.bury();
    }
    world.groups.iter_mut().for_each(|view| view.idle = false);
    world.groups.retain(|view| view.can_run);
    world
}

/// How many groups have this priority.
fn members(world: &World, priority: Priority) -> usize {
    let same = |view: &&crate::policy::View| view.priority == priority;
    world.groups.iter().filter(same).count()
}

/// The longest that a group of each priority has waited, in full ticks, of those in which it could have
/// been in a slot with the groups that are more important.
fn longest_waits(world: &mut World, ticks: usize) -> Vec<(usize, usize)> {
    let count = world.groups.len();
    let (mut waited, mut longest) = (vec![0; count], vec![0; count]);
    for _ in 0..ticks {
        world.pass(PERIOD);
        let decision = world.step(true);
        let chosen = decision.chosen();
        for index in 0..count {
            waited[index] += 1;
            let priority = decision.before[index].priority;
            if chosen.contains(&index)
                || !decision.would_fit(world, index, |view| view.priority > priority)
            {
                waited[index] = 0;
            }
            longest[index] = waited[index].max(longest[index]);
        }
    }
    longest
        .into_iter()
        .enumerate()
        .map(|(index, longest)| (longest, members(world, world.groups[index].priority)))
        .collect()
}

#[test]
fn nobody_waits_for_longer_than_there_are_groups_of_its_priority_and_slots() {
    for seed in seeds("starvation").step_by(4) {
        let mut world = settled(seed);
        let count = world.groups.len();
        // Whoever is ahead of the others lets them catch up first.
        let lead = usize::try_from(LEAD_MAX / PERIOD).unwrap();
        for (longest, members) in longest_waits(&mut world, 10 * count) {
            assert!(longest <= members * lead, "seed {seed}: {longest} ticks");
        }
        for (longest, members) in longest_waits(&mut world, 4 * count) {
            assert!(
                longest <= members + MAX_SLOTS,
                "seed {seed}: {longest} ticks, with {members} groups"
            );
        }
    }
}

#[test]
fn rotation_is_fair_to_within_one_tick() {
    for seed in seeds("fairness") {
        let mut world = settled(seed);
        // Slots alone are short: which VMs fit together is not a matter of turns.
        world.address_spaces = world.slots;
        for view in &mut world.groups {
            view.vm.0 %= world.slots;
        }
        world.forget();
        world.step(true);

        for priority in Priority::DESCENDING {
            let count = members(&world, priority);
            let mut in_slot = vec![0u32; world.groups.len()];
            let mut preferred = vec![0u32; world.groups.len()];
            for _ in 0..3 * count {
                world.pass(PERIOD);
                let decision = world.step(true);
                let of_priority = |index: &usize| world.groups[*index].priority == priority;
                let chosen = decision.chosen();
                for index in chosen.iter().copied().filter(of_priority) {
                    in_slot[index] += 1;
                }
                let first = chosen
                    .iter()
                    .copied()
                    .filter(of_priority)
                    .max_by_key(|index| match world.groups[*index].place {
                        Place::Slot { slot_priority } => slot_priority,
                        Place::Waiting { .. } => 0,
                    });
                if let Some(first) = first {
                    preferred[first] += 1;
                }
            }
            for shares in [&in_slot, &preferred] {
                let shares = || {
                    (0..world.groups.len())
                        .filter(|index| world.groups[*index].priority == priority)
                        .map(|index| shares[index])
                };
                if let (Some(least), Some(most)) = (shares().min(), shares().max()) {
                    assert!(
                        most - least <= 1,
                        "seed {seed}: {least} to {most} of 3 x {count}"
                    );
                }
            }
        }
    }
}

/// Groups of one priority that always have work.
struct Crowd {
    groups: usize,
    vms: usize,
    slots: usize,
    address_spaces: usize,
    /// A realtime group wants a slot for a moment every so many periods; zero for never.
    urgent: usize,
    periods: usize,
}

impl Crowd {
    /// The time in slots that each group has had, in periods, after as many in which they find a rhythm.
    fn run(&self, random: &mut Random) -> Vec<f64> {
        let mut world = World::random(random);
        world.slots = self.slots;
        world.address_spaces = self.address_spaces;
        for _ in 0..self.groups {
            world.add(Priority::Medium, random.below(self.vms));
        }
        for vm in 0..self.vms {
            world.add(Priority::Realtime, vm);
            world.groups[self.groups + vm].idle = true;
        }
        let mut served = vec![0; self.groups];
        for tick in 0..2 * self.periods {
            let hasty = self.groups + random.below(self.vms);
            let wanted = self.urgent != 0 && tick % self.urgent == 0;
            for (full_tick, percent, wanted) in
                [(true, 50, false), (false, 20, wanted), (false, 30, false)]
            {
                let time = PERIOD * percent / 100;
                world.groups[hasty].idle = !wanted;
                world.step(full_tick);
                world.pass(time);
                for (view, served) in world.groups.iter().zip(&mut served) {
                    if tick >= self.periods && matches!(view.place, Place::Slot { .. }) {
                        *served += time;
                    }
                }
            }
        }
        served
            .into_iter()
            .map(|served| served as f64 / PERIOD as f64)
            .collect()
    }

    /// How long a turn is, in periods: with as many groups as this, several come in at each tick.
    fn turn(&self) -> f64 {
        let exchanged = (self.groups - self.slots).div_ceil(ROUND).min(self.slots);
        self.slots as f64 / exchanged as f64
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// By how much the one that is off the most is off the mean.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    values
        .iter()
        .map(|value| (value - mean).abs())
        .fold(0.0, f64::max)
}

#[test]
fn nobody_is_off_its_share_by_more_than_a_turn_and_two_ticks_whatever_the_vms_and_preemptions() {
    for seed in seeds("shares").step_by(50) {
        let mut random = Random::new(seed);
        let slots = 2 + random.below(7);
        let address_spaces = 1 + random.below(slots);
        let crowd = Crowd {
            groups: 20 + random.below(80),
            vms: 2 + random.below(20),
            slots,
            address_spaces,
            urgent: random.below(5),
            periods: 600,
        };
        let shares = crowd.run(&mut random);
        let off = deviation(&shares);
        // With few address spaces, slots go to those of a VM that is there, ahead or not.
        let lead = LEAD_MAX as f64 / PERIOD as f64;
        let most = match 2 * address_spaces > slots {
            true => crowd.turn() + 2.0,
            false => lead,
        };
        assert!(
            off <= most,
            "seed {seed}: {off:.1} periods off {:.1}, with {} groups on {} VMs, {} slots, {} address spaces",
            mean(&shares),
            crowd.groups,
            crowd.vms,
            crowd.slots,
            crowd.address_spaces
        );
    }
}

/// As the selftest `crowd` has it.
#[test]
fn shares_of_480_groups_of_20_vms_are_within_5_percent() {
    let crowd = Crowd {
        groups: 480,
        vms: 20,
        slots: 8,
        address_spaces: 7,
        urgent: 3,
        periods: 2400,
    };
    let shares = crowd.run(&mut Random::new(1));
    let off = 100.0 * deviation(&shares) / mean(&shares);
    assert!(off <= 5.0, "{off:.1} percent");
}
