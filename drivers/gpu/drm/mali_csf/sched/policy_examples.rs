// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Examples of decisions by [`super::policy`], each a sentence of its rules.
//!
//! They are apart from it because the policy itself needs nothing of the kernel: its properties are
//! tested on the host, over random histories (`tools/testing/policy`).

#[kernel::macros::kunit_tests(mali_csf_sched_policy)]
mod tests {
    use super::super::policy::*;

    const A: VmKey = VmKey(1);
    const B: VmKey = VmKey(2);

    fn resident(slot_priority: u8) -> View {
        View {
            priority: Priority::Medium,
            vm: A,
            place: Place::Slot { slot_priority },
            served: 0,
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
