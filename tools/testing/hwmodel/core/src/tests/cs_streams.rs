// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Streams compute, branch, call, wait and synchronize as the instruction set says.

use std::vec;

use super::rig::asm::*;
use super::rig::Rig;
use super::rig::CODE_VA;
use super::rig::DATA_VA;
use crate::counters::Counter;
use crate::mcu::layout::cs_in;
use crate::mcu::layout::cs_out;
use crate::mcu::layout::csg_in;
use crate::mcu::layout::exception;

fn started(queues: usize) -> Rig {
    let mut rig = Rig::booted();
    rig.start(0, queues);
    rig
}

/// Runs a stream that finds the data page in register pair 40, as a job.
fn run_job(rig: &mut Rig, instrs: &[u64]) {
    let mut code = vec![mov48(40, DATA_VA)];
    code.extend(instrs);
    let ring = rig.job(0, &code, 0xf00);
    let before = rig.data64(0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.data64(0xf00), before + 1, "the job is complete");
}

#[test]
fn moves_and_sums() {
    let mut rig = started(1);
    run_job(
        &mut rig,
        &[
            mov48(2, 0x1234_5678_9abc),
            mov32(4, 0xffff_ffff),
            add32(5, 4, 3),
            add32(6, 4, -1),
            add64(8, 2, -0x10),
            mov48(10, 0xffff_ffff),
            add64(10, 10, 1),
            mov32(12, 7),
            umin32(13, 12, 4),
            store(2, 0xffff, 40, 0),
        ],
    );
    assert_eq!(rig.data64(0), 0x1234_5678_9abc);
    assert_eq!(rig.data(8), 0xffff_ffff);
    assert_eq!(rig.data(12), 2);
    assert_eq!(rig.data(16), 0xffff_fffe);
    assert_eq!(rig.data64(24), 0x1234_5678_9aac);
    assert_eq!(rig.data64(32), 0x1_0000_0000);
    assert_eq!(rig.data(44), 7);
    assert_eq!(rig.extract(0, 0), rig.insert(0, 0));
    rig.m.assert_clean();
}

#[test]
fn loads_and_stores_take_masks_and_offsets() {
    let mut rig = started(1);
    rig.set_data(0x100, 0x2222_2222_1111_1111);
    rig.set_data(0x108, 0x4444_4444_3333_3333);
    run_job(
        &mut rig,
        &[
            mov48(2, 0xdead_beef),
            load(4, 0b1101, 40, 0x100),
            wait(1),
            add64(42, 40, 0x208),
            store(4, 0b1001, 42, 0xfff8),
        ],
    );
    assert_eq!(rig.data(0x200), 0x1111_1111);
    assert_eq!(rig.data(0x204), 0);
    assert_eq!(rig.data(0x208), 0);
    assert_eq!(rig.data(0x20c), 0x4444_4444);
}

#[test]
fn loops_and_conditions() {
    let mut rig = started(1);
    // Counts register 2 down from 10 and register 3 up.
    run_job(
        &mut rig,
        &[
            mov32(2, 10),
            mov32(3, 0),
            add32(3, 3, 5),
            add32(2, 2, -1),
            branch(1, 2, -3),
            store(2, 3, 40, 0),
        ],
    );
    assert_eq!(rig.data(0), 0);
    assert_eq!(rig.data(4), 50);
    // Each condition against -1, 0 and 1: what is taken skips an increment.
    for (condition, taken) in [
        (0, [true, true, false]),
        (1, [false, false, true]),
        (2, [false, true, false]),
        (3, [true, false, true]),
        (4, [true, false, false]),
        (5, [false, true, true]),
        (6, [true, true, true]),
    ] {
        for (value, taken) in [0xffff_ffff, 0, 1].into_iter().zip(taken) {
            run_job(
                &mut rig,
                &[
                    mov32(2, value),
                    mov32(3, 1),
                    branch(condition, 2, 1),
                    add32(3, 3, 1),
                    store(3, 1, 40, 0),
                ],
            );
            assert_eq!(
                rig.data(0),
                if taken { 1 } else { 2 },
                "{condition} {value:x}"
            );
        }
    }
}

#[test]
fn calls_nest_and_return() {
    let mut rig = started(1);
    // Streams that add one and call the next; eight levels with the ring's call.
    for level in 1u64..8 {
        let code = [
            add32(2, 2, 1),
            mov48(50 + level * 2, CODE_VA + (level + 1) * 0x100),
            mov32(70 + level, 32),
            if level < 7 {
                call(50 + level * 2, 70 + level)
            } else {
                NOP
            },
        ];
        rig.write_code(level * 0x100, &code);
    }
    run_job(
        &mut rig,
        &[
            mov32(2, 0),
            mov48(50, CODE_VA + 0x100),
            mov32(70, 32),
            call(50, 70),
            store(2, 1, 40, 0),
        ],
    );
    assert_eq!(rig.data(0), 7);
    assert_eq!(rig.cs_events(0, 0), 0);
}

#[test]
fn a_jump_replaces_its_stream() {
    let mut rig = started(1);
    rig.write_code(0x100, &[mov32(2, 3), store(2, 1, 40, 0)]);
    run_job(
        &mut rig,
        &[
            mov32(2, 9),
            store(2, 1, 40, 4),
            mov48(50, CODE_VA + 0x100),
            mov32(70, 16),
            jump(50, 70),
            store(2, 1, 40, 8),
        ],
    );
    assert_eq!((rig.data(0), rig.data(4), rig.data(8)), (3, 9, 0));
}

#[test]
fn the_ninth_level_is_an_overflow() {
    let mut rig = started(1);
    rig.write_code(0x100, &[call(50, 70), NOP]);
    let ring = [mov48(50, CODE_VA + 0x100), mov32(70, 16), call(50, 70)];
    rig.run(0, 0, &ring);
    assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
    let overflow = u32::from(exception::CS_CALL_STACK_OVERFLOW);
    assert_eq!(rig.cs(0, 0, cs_out::FATAL), overflow);
    rig.m.assert_clean();
}

#[test]
fn what_is_not_an_instruction_is_fatal_and_names_its_place() {
    for bad in [
        10 << 56,
        mov48(3, 1),
        wait(0x100),
        0xff << 56,
        sync_add64(40, 42, 1),
    ] {
        let mut rig = started(2);
        let mut code = vec![mov48(40, DATA_VA), mov32(2, 1), store(2, 1, 40, 0), bad];
        code.push(store(2, 1, 40, 4));
        let ring = rig.job(0, &code, 0xf00);
        rig.run(0, 0, &ring);
        assert_eq!(rig.cs_events(0, 0), cs_in::FATAL, "{bad:x}");
        let invalid = u32::from(exception::CS_INVALID_INSTRUCTION);
        assert_eq!(rig.cs(0, 0, cs_out::FATAL), invalid);
        assert_eq!(u64::from(rig.cs(0, 0, cs_out::FATAL_INFO)), CODE_VA + 24);
        assert_eq!((rig.data(0), rig.data(4)), (1, 0));
        assert_eq!(rig.data64(0xf00), 0);
        // The other stream of the group goes on.
        let ring = rig.job(0x100, &[NOP], 0xe00);
        rig.run(0, 1, &ring);
        assert_eq!(rig.data64(0xe00), 1);
        assert_eq!(rig.m.count(Counter::Faults), 1);
        rig.m.assert_clean();
    }
}

#[test]
fn jobs_take_time_and_hold_their_scoreboard_entry() {
    let mut rig = started(1);
    let code = [
        mov48(40, DATA_VA),
        set_sb(2, 1),
        mov32(37, 1000),
        mov32(38, 1),
        mov32(39, 1),
        req_resource(1),
        run_compute(),
        mov32(2, 1),
        store(2, 1, 40, 0),
        wait(4),
        store(2, 1, 40, 4),
    ];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!((rig.data(0), rig.data(4)), (1, 0));
    rig.update_status(0);
    assert_eq!(rig.cs(0, 0, cs_out::STATUS_SCOREBOARDS), 4);
    assert_eq!(
        rig.cs(0, 0, cs_out::STATUS_BLOCKED_REASON),
        cs_out::BLOCKED_SB
    );
    assert_eq!(rig.cs(0, 0, cs_out::STATUS_WAIT) & 0xffff, 4);
    // 10 us and 50 ns for each of the thousand workgroups.
    rig.m.pass(50_000);
    assert_eq!(rig.data(4), 0);
    rig.m.pass(20_000);
    assert_eq!(rig.data(4), 1);
    assert_eq!(rig.data64(0xf00), 1);
}

#[test]
fn deferred_updates_wait_for_their_scoreboard_entries() {
    let mut rig = started(1);
    let code = [
        mov48(40, DATA_VA),
        mov48(42, 5),
        set_sb(2, 1),
        req_resource(1),
        run_compute(),
        defer(sync_add64(40, 42, 0), 1 << 2, 3),
        defer(store_state(1, 40, 0x20), 1 << 3, 4),
        store(42, 1, 40, 0x40),
    ];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.data(0x40), 5);
    assert_eq!((rig.data64(0), rig.data64(0x20)), (0, 0));
    rig.m.pass(20_000);
    assert_eq!(rig.data64(0), 5);
    assert_ne!(rig.data64(0x20), 0);
    assert_eq!(rig.data64(0xf00), 1);
}

#[test]
fn queues_wait_for_each_other_with_objects_of_both_sizes() {
    for wide in [false, true] {
        let mut rig = started(2);
        // Group scope is enough between queues of a group.
        let (add, wait_for) = if wide {
            (sync_add64(40, 42, 2), sync_wait64(true, 40, 44))
        } else {
            (sync_add32(40, 42, 2), sync_wait32(true, 40, 44))
        };
        let code = [
            mov48(40, DATA_VA),
            mov48(42, 2),
            mov48(44, 3),
            wait_for,
            store(42, 1, 40, 0x40),
        ];
        let waiter = rig.job(0, &code, 0xf00);
        rig.run(0, 0, &waiter);
        assert_eq!(rig.data(0x40), 0);
        rig.update_status(0);
        assert_eq!(
            rig.cs(0, 0, cs_out::STATUS_BLOCKED_REASON),
            cs_out::BLOCKED_SYNC
        );
        let wait_word = rig.cs(0, 0, cs_out::STATUS_WAIT);
        assert_eq!(wait_word & cs_out::WAIT_SYNC_64B != 0, wide);
        assert_eq!(wait_word & cs_out::WAIT_SYNC_GT, cs_out::WAIT_SYNC_GT);
        assert_eq!(
            u64::from(rig.cs(0, 0, cs_out::STATUS_WAIT_SYNC_POINTER)),
            DATA_VA
        );
        assert_eq!(rig.cs(0, 0, cs_out::STATUS_WAIT_SYNC_VALUE), 3);
        // Idle: the only queue with work waits for something outside.
        assert_eq!(rig.csg_events(0) & csg_in::IDLE, csg_in::IDLE);

        rig.write_code(0x200, &[mov48(40, DATA_VA), mov48(42, 2), add]);
        let ring = [mov48(92, CODE_VA + 0x200), mov32(94, 24), call(92, 94)];
        rig.run(0, 1, &ring);
        assert_eq!(rig.data64(0) & 0xffff_ffff, 2);
        assert_eq!(rig.data(0x40), 0, "2 is not greater than 3");
        rig.run(0, 1, &ring);
        assert_eq!(rig.data(0x40), 2);
        assert_eq!(rig.data64(0xf00), 1);
        rig.m.assert_clean();
    }
}

#[test]
fn a_wait_looks_again_when_told_and_not_before() {
    let mut rig = started(1);
    let code = [mov48(40, DATA_VA), mov48(44, 0), sync_wait64(true, 40, 44)];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    rig.set_data(0, 1);
    rig.m.pass(1_000_000);
    assert_eq!(rig.data64(0xf00), 0);
    rig.ring_page(1);
    assert_eq!(rig.data64(0xf00), 1);
}

#[test]
fn system_scope_reaches_other_groups_and_the_host() {
    let mut rig = started(1);
    rig.start(1, 1);
    let code = [mov48(40, DATA_VA), mov48(44, 6), sync_wait64(true, 40, 44)];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(1, 0, &ring);
    assert_eq!(rig.data64(0xf00), 0);
    let events = rig.csg_events(0);
    rig.ack_group(0, events);
    rig.write_code(
        0x200,
        &[mov48(40, DATA_VA), mov48(42, 7), sync_set64(40, 42, 0)],
    );
    rig.run(
        0,
        0,
        &[mov48(92, CODE_VA + 0x200), mov32(94, 24), call(92, 94)],
    );
    assert_eq!(rig.data64(0), 7);
    assert_eq!(rig.csg_events(0) & csg_in::SYNC_UPDATE, csg_in::SYNC_UPDATE);
    assert_eq!(rig.data64(0xf00), 1);
}

#[test]
fn group_scope_stays_in_the_group() {
    let mut rig = started(1);
    rig.write_code(
        0x200,
        &[mov48(40, DATA_VA), mov48(42, 7), sync_set32(40, 42, 2)],
    );
    rig.run(
        0,
        0,
        &[mov48(92, CODE_VA + 0x200), mov32(94, 24), call(92, 94)],
    );
    assert_eq!(rig.data(0), 7);
    assert_eq!(rig.csg_events(0) & csg_in::SYNC_UPDATE, 0);
    assert_eq!(rig.m.count(Counter::CsJobs), 1);
}

#[test]
fn a_doorbell_before_a_fault_is_reported_does_not_answer_it() {
    let mut rig = started(1);
    let code = [
        mov48(40, DATA_VA),
        mov48(44, 0),
        sync_wait64(true, 40, 44),
        mov48(42, 5),
        store(42, 1, 40, 0x40),
    ];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    rig.m.inject("mcu fault 0 0 0x4b");
    rig.set_data(0, 1);
    rig.ring_streams(0, 1);
    rig.ring_groups(1);
    assert_eq!(rig.cs_events(0, 0), cs_in::FAULT);
    assert_eq!(rig.data(0x40), 0);
    rig.ack_stream(0, 0, cs_in::FAULT);
    assert_eq!(rig.data(0x40), 5);
    rig.m.assert_clean();
}

#[test]
fn errors_travel_through_objects_until_a_barrier() {
    let mut rig = started(1);
    rig.set_data(0, 1);
    rig.set_data(8, 1);
    let code = [
        mov48(40, DATA_VA),
        mov48(44, 0),
        sync_wait64(true, 40, 44),
        mov48(42, 5),
        store(42, 1, 40, 0x40),
        add64(46, 40, 0x80),
        sync_set64(46, 42, 2),
    ];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.cs_events(0, 0), cs_in::FAULT);
    let inherit = u32::from(exception::CS_INHERIT_FAULT);
    assert_eq!(rig.cs(0, 0, cs_out::FAULT), inherit);
    assert_eq!(
        rig.data(0x40),
        0,
        "nothing goes on before the host has seen it"
    );
    let extract = rig.extract(0, 0);
    assert!(
        extract > 0 && extract < rig.insert(0, 0),
        "extract is in the guilty job"
    );
    rig.ack_stream(0, 0, cs_in::FAULT);
    assert_eq!(rig.data(0x40), 5);
    assert_eq!((rig.data64(0x80), rig.data(0x88)), (5, 1));
    assert_eq!((rig.data64(0xf00), rig.data(0xf08)), (1, 1));

    // Behind the barrier all is well again; a healthy setter clears the error it finds.
    let code = [
        mov48(40, DATA_VA + 0x80),
        mov48(42, 6),
        sync_set64(40, 42, 2),
    ];
    let ring = rig.job(0, &code, 0xe00);
    rig.run(0, 0, &ring);
    assert_eq!((rig.data64(0x80), rig.data(0x88)), (6, 0));
    assert_eq!((rig.data64(0xe00), rig.data(0xe08)), (1, 0));
    rig.m.assert_clean();
}

#[test]
fn progress_of_one_queue_releases_another() {
    let mut rig = started(2);
    let code = [
        mov48(40, DATA_VA),
        mov48(44, 1),
        progress_wait(1, 44),
        store(44, 1, 40, 0),
    ];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    rig.update_status(0);
    assert_eq!(
        rig.cs(0, 0, cs_out::STATUS_BLOCKED_REASON),
        cs_out::BLOCKED_PROGRESS
    );
    rig.write_code(0x200, &[wait(0xff) | 1 << 32]);
    rig.run(
        0,
        1,
        &[mov48(92, CODE_VA + 0x200), mov32(94, 8), call(92, 94)],
    );
    assert_eq!(rig.data(0), 1);
}

#[test]
fn a_long_burst_shares_with_other_queues_and_a_spinning_one_pauses() {
    let mut rig = started(2);
    rig.write_code(0x200, &[branch(6, 0, -1), NOP]);
    let spin = [mov48(92, CODE_VA + 0x200), mov32(94, 16), call(92, 94)];
    rig.run(0, 0, &spin);
    let ring = rig.job(0, &[NOP], 0xf00);
    rig.run(0, 1, &ring);
    assert_eq!(rig.data64(0xf00), 1);
    rig.m.pass(1_000_000);
    let before = rig.m.count(Counter::CsInstr);
    rig.m.pass(1_000_000);
    let spent = rig.m.count(Counter::CsInstr) - before;
    assert!((100..100_000).contains(&spent), "{spent}");
}

#[test]
fn rings_wrap() {
    let mut rig = started(1);
    for round in 1..=200 {
        let ring = rig.job(0, &[NOP], 0xf00);
        rig.run(0, 0, &ring);
        assert_eq!(rig.data64(0xf00), round);
    }
    assert_eq!(rig.extract(0, 0), 200 * 16 * 8);
    rig.m.assert_clean();
}

#[test]
fn missing_endpoints_block_their_jobs() {
    let mut rig = Rig::booted();
    rig.program(0, &[super::rig::Queue::default()]);
    // No tiler.
    rig.put(super::rig::csg_in_at(0) + csg_in::ENDPOINT_REQ, 0xf000_0404);
    assert!(rig.request(0, csg_in::START));
    let ring = rig.job(0, &[req_resource(8), run_idvs()], 0xf00);
    rig.run(0, 0, &ring);
    rig.update_status(0);
    assert_eq!(
        rig.cs(0, 0, cs_out::STATUS_BLOCKED_REASON),
        cs_out::BLOCKED_RESOURCE
    );
    assert_eq!(rig.cs(0, 0, cs_out::STATUS_REQ_RESOURCE), 8);
}
