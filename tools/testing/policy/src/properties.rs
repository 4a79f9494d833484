// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is true of every decision, and of every sequence of them.

use std::collections::HashSet;

use crate::history::{
    Decision,
    Random,
    World, //
};
use crate::policy::{
    Exit,
    Place,
    Priority,
    MAX_SLOT_PRIORITY, //
};

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
            let decision = world.decide(random.chance(50));
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
            world.step(random.chance(50));
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
            let decision = world.step(random.chance(50));
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
        world.step(random.chance(50));
        world.bury();
    }
    world.groups.iter_mut().for_each(|view| view.idle = false);
    world.retain(|view| view.can_run);
    world
}

/// How many groups have this priority.
fn members(world: &World, priority: Priority) -> usize {
    let same = |view: &&crate::policy::View| view.priority == priority;
    world.groups.iter().filter(same).count()
}

#[test]
fn nobody_waits_for_longer_than_there_are_groups_of_its_priority() {
    for seed in seeds("starvation") {
        let mut world = settled(seed);
        let mut waited = vec![0; world.groups.len()];
        for _ in 0..4 * world.groups.len() {
            let decision = world.step(true);
            let chosen = decision.chosen();
            for (index, waited) in waited.iter_mut().enumerate() {
                *waited += 1;
                if chosen.contains(&index) {
                    *waited = 0;
                }
                // Those of higher priority are served before it, whatever they leave.
                let priority = decision.before[index].priority;
                if !decision.would_fit(&world, index, |view| view.priority > priority) {
                    *waited = 0;
                }
                assert!(
                    *waited <= members(&world, priority),
                    "seed {seed}: group {index} starves"
                );
            }
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
        world.step(true);

        for priority in Priority::DESCENDING {
            let count = members(&world, priority);
            let mut in_slot = vec![0u32; world.groups.len()];
            let mut preferred = vec![0u32; world.groups.len()];
            for _ in 0..3 * count {
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

/// The time in slots of so many groups, with a realtime group that wants a slot every so many
/// periods, over a whole number of rounds.
fn shares(groups: usize, urgent: usize, random: &mut Random) -> Vec<u32> {
    let mut world = World::random(random);
    world.slots = 8;
    world.address_spaces = 15;
    for _ in 0..groups {
        world.add(Priority::Medium, random.below(14));
    }
    world.add(Priority::Realtime, 14);
    world.groups[groups].idle = true;

    let mut shares = vec![0; groups];
    for tick in 0..12 * groups {
        for (full_tick, wanted) in [(true, false), (false, true), (false, false)] {
            world.groups[groups].idle = !wanted || tick % urgent != 0;
            world.step(full_tick);
            for (view, share) in world.groups.iter().zip(&mut shares) {
                // The first rounds are for finding a rhythm.
                if tick >= 4 * groups && matches!(view.place, Place::Slot { .. }) {
                    *share += 1;
                }
            }
        }
    }
    shares
}

/// Those that are pushed out in the middle of a period do not lose their turns.
#[test]
fn preemption_costs_nobody_its_share() {
    for seed in seeds("shares").take(20) {
        let mut random = Random::new(seed);
        let groups = 40 + random.below(60);
        let urgent = 2 + random.below(5);
        let shares = shares(groups, urgent, &mut random);
        let mean = f64::from(shares.iter().sum::<u32>()) / groups as f64;
        for (index, share) in shares.iter().enumerate() {
            let off = 100.0 * (f64::from(*share) - mean).abs() / mean;
            assert!(
                off <= 5.0,
                "seed {seed}: group {index} of {groups} is {off:.1} % off"
            );
        }
    }
}
