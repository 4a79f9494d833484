// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Groups: on a slot and off it, in the middle of their streams, idle, stuck, at fault.

use std::vec::Vec;

use super::machine::FAULTADDRESS;
use super::machine::FAULTSTATUS;
use super::machine::MMU_CLEAR;
use super::machine::MMU_RAWSTAT;
use super::rig::asm::*;
use super::rig::csg_in_at;
use super::rig::csg_out_at;
use super::rig::Queue;
use super::rig::Rig;
use super::rig::CODE_VA;
use super::rig::DATA_VA;
use super::rig::GLB_IN;
use super::rig::GLB_OUT;
use super::rig::GLOBAL;
use super::rig::JOB_CLEAR;
use super::rig::JOB_RAWSTAT;
use crate::counters::Counter;
use crate::mcu::layout::cs_in;
use crate::mcu::layout::cs_out;
use crate::mcu::layout::csg_in;
use crate::mcu::layout::csg_out;
use crate::mcu::layout::exception;
use crate::mcu::layout::glb_in;

fn started(queues: usize) -> Rig {
    let mut rig = Rig::booted();
    rig.start(0, queues);
    rig
}

/// A job that shows where it is: nested calls, a loop, a job on an endpoint, a deferred update.
fn long_job(rig: &mut Rig) -> Vec<u64> {
    // Level two waits for word 0x100 to become greater than zero.
    rig.write_code(
        0x800,
        &[
            add64(46, 40, 0x100),
            mov48(48, 0),
            sync_wait64(true, 46, 48),
            add32(2, 2, 100),
        ],
    );
    rig.write_code(
        0x600,
        &[
            mov48(50, CODE_VA + 0x800),
            mov32(52, 32),
            call(50, 52),
            store(2, 1, 40, 0),
        ],
    );
    rig.job(
        0,
        &[
            mov48(40, DATA_VA),
            mov48(42, 7),
            set_sb(3, 1),
            mov32(2, 11),
            mov32(37, 10_000),
            mov32(38, 1),
            mov32(39, 1),
            req_resource(1),
            run_compute(),
            add64(44, 40, 0x200),
            defer(sync_add64(44, 42, 0), 1 << 3, 4),
            mov48(54, CODE_VA + 0x600),
            mov32(56, 32),
            call(54, 56),
            store(2, 1, 40, 4),
        ],
        0xf00,
    )
}

#[test]
fn a_group_is_suspended_in_the_middle_and_resumed_on_another_slot() {
    let mut rig = started(1);
    let ring = long_job(&mut rig);
    rig.run(0, 0, &ring);
    let insert = rig.insert(0, 0);
    assert!(rig.request(0, csg_in::SUSPEND));
    assert_eq!(rig.m.count(Counter::CsgSuspend), 1);
    assert_eq!(
        rig.cs(0, 0, cs_out::STATUS_BLOCKED_REASON),
        cs_out::BLOCKED_SYNC
    );
    assert_eq!(
        u64::from(rig.cs(0, 0, cs_out::STATUS_WAIT_SYNC_POINTER)),
        DATA_VA + 0x100
    );
    // The job on the endpoint and the update behind it are in flight.
    assert_eq!(rig.cs(0, 0, cs_out::STATUS_SCOREBOARDS), 1 << 3 | 1 << 4);
    let extract = rig.extract(0, 0);
    assert!(extract < insert);

    // Nothing goes on while it is away.
    rig.set_data(0x100, 1);
    rig.m.pass(10_000_000);
    assert_eq!((rig.data(0), rig.data64(0x200)), (0, 0));

    // Its ring moves with it to another slot: same pages, same buffer.
    rig.program(
        0,
        &[Queue {
            doorbell: 2,
            ..Queue::default()
        }],
    );
    assert!(rig.request(0, csg_in::RESUME));
    assert_eq!(rig.m.count(Counter::CsgResume), 1);
    rig.m.pass(100_000);
    assert_eq!((rig.data(0), rig.data(4)), (111, 111));
    assert_eq!(rig.data64(0x200), 0, "the job still runs");
    rig.m.pass(1_000_000);
    assert_eq!(rig.data64(0x200), 7);
    assert_eq!(rig.data64(0xf00), 1);
    assert_eq!(rig.extract(0, 0), insert);
    rig.m.assert_clean();
}

#[test]
fn registers_survive_a_suspension() {
    let mut rig = started(1);
    let mut code = Vec::new();
    for reg in 0..90 {
        code.push(mov32(reg, 1000 + reg));
    }
    // The kernel's registers are the stream's own while it is inside.
    code.extend([mov48(92, DATA_VA), mov48(94, 0), sync_wait64(true, 92, 94)]);
    for reg in (0..80).step_by(16) {
        code.push(store(reg, 0xffff, 92, 0x400 + reg * 4));
    }
    rig.write_code(0, &code);
    let bytes = u64::try_from(code.len() * 8).unwrap();
    rig.run(0, 0, &[mov48(92, CODE_VA), mov32(94, bytes), call(92, 94)]);
    assert!(rig.request(0, csg_in::SUSPEND));
    rig.set_data(0, 1);
    rig.program(0, &[Queue::default()]);
    assert!(rig.request(0, csg_in::RESUME));
    for reg in 0..80u64 {
        assert_eq!(u64::from(rig.data(0x400 + reg * 4)), 1000 + reg);
    }
    rig.m.assert_clean();
}

#[test]
fn a_terminated_group_is_gone() {
    let mut rig = started(2);
    let ring = long_job(&mut rig);
    rig.run(0, 0, &ring);
    assert!(rig.request(0, csg_in::TERMINATE));
    rig.set_data(0x100, 1);
    rig.m.pass(10_000_000);
    assert_eq!(
        (rig.data(0), rig.data64(0x200), rig.data64(0xf00)),
        (0, 0, 0)
    );
    assert_eq!(rig.m.count(Counter::CsgTerminate), 1);
    // The slot is free for another one.
    let insert = rig.insert(0, 1);
    assert_eq!(insert, 0);
    rig.start(0, 2);
    let ring = rig.job(0x400, &[NOP], 0xe00);
    rig.run(0, 1, &ring);
    assert_eq!(rig.data64(0xe00), 1);
    rig.m.assert_clean();
}

#[test]
fn idleness_is_an_event_at_its_edge() {
    let mut rig = started(1);
    assert_eq!(
        rig.csg_events(0) & csg_in::IDLE,
        csg_in::IDLE,
        "nothing to do from the start"
    );
    assert_eq!(rig.get(csg_out_at(0) + csg_out::STATUS_STATE), 1);
    rig.ack_group(0, csg_in::IDLE);
    rig.ring_groups(1);
    assert_eq!(rig.csg_events(0), 0);
    rig.m.w(JOB_CLEAR, !0);
    let code = [
        mov48(40, DATA_VA),
        mov32(37, 100),
        mov32(38, 1),
        mov32(39, 1),
        run_compute(),
    ];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.get(csg_out_at(0) + csg_out::STATUS_STATE), 0);
    assert_eq!(rig.csg_events(0), 0);
    rig.m.pass(100_000);
    assert_eq!(rig.csg_events(0), csg_in::IDLE | csg_in::SYNC_UPDATE);
    assert_eq!(rig.m.r(JOB_RAWSTAT) & 1, 1);
}

#[test]
fn a_stream_that_was_told_so_is_not_idle_when_empty_or_waiting() {
    let mut rig = Rig::booted();
    rig.program(
        0,
        &[Queue {
            idle: 0,
            ..Queue::default()
        }],
    );
    assert!(rig.request(0, csg_in::START));
    assert_eq!(rig.csg_events(0), 0);
    let code = [mov48(40, DATA_VA), mov48(44, 0), sync_wait64(true, 40, 44)];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.csg_events(0), 0);
}

#[test]
fn a_host_that_asks_hears_once_that_extract_moved() {
    let mut rig = started(1);
    let event = cs_in::EXTRACT_EVENT;
    let at = super::rig::cs_in_at(0, 0) + cs_in::REQ;
    rig.set_req(at, event, event);
    rig.ring_groups(1);
    assert_eq!(rig.cs(0, 0, cs_out::ACK) & event, 0, "nothing moved");
    rig.m.w(JOB_CLEAR, !0);
    rig.run(0, 0, &[NOP]);
    assert_eq!(rig.cs(0, 0, cs_out::ACK) & event, event);
    let irq = |rig: &Rig| rig.get(csg_out_at(0) + csg_out::CS_IRQ_REQ) & 1;
    assert_eq!(irq(&rig), 1);
    assert_eq!(rig.m.r(JOB_RAWSTAT) & 1, 1);
    rig.run(0, 0, &[NOP]);
    assert_eq!(irq(&rig), 1);
    // Until it asks again.
    rig.put(csg_in_at(0) + csg_in::CS_IRQ_ACK, 1);
    for wanted in [0, event] {
        rig.set_req(at, event, wanted);
        rig.ring_groups(1);
        rig.run(0, 0, &[NOP]);
        assert_eq!(rig.cs(0, 0, cs_out::ACK) & event, wanted);
    }
    assert_eq!(irq(&rig), 0);
}

#[test]
fn an_idle_machine_says_so_after_its_hysteresis() {
    // A hundred times 1024 cycles, or ticks of the system timer.
    for (source, ns) in [(glb_in::TIMER_GPU_CLOCK, 102_400), (0, 4_266_666)] {
        let mut rig = Rig::booted();
        rig.m.gpu.set_rate(&rig.m.host, 1_000_000_000);
        rig.put(GLB_IN + glb_in::IDLE_TIMER, u64::from(100 | source));
        rig.set_req(GLB_IN, glb_in::IDLE_EN, glb_in::IDLE_EN);
        rig.ring_global();
        rig.start(0, 1);
        rig.m.w(JOB_CLEAR, !0);
        let pending = |rig: &Rig| (rig.get(GLB_IN) ^ rig.get(GLB_OUT)) & glb_in::IDLE;
        rig.m.pass(ns - 10_000);
        assert_eq!(pending(&rig), 0);
        rig.m.pass(20_000);
        assert_eq!(pending(&rig), glb_in::IDLE);
        assert_eq!(rig.m.r(JOB_RAWSTAT) & GLOBAL, GLOBAL);
    }
}

#[test]
fn a_hanging_job_is_a_progress_timeout_and_can_be_terminated() {
    let mut rig = started(1);
    rig.m.inject("mcu job hang 1");
    let ring = rig.job(0, &[run_compute()], 0xf00);
    rig.run(0, 0, &ring);
    rig.m.pass(500_000);
    assert_eq!(rig.csg_events(0) & csg_in::PROGRESS_TIMER, 0);
    // A thousand times 1024 cycles.
    rig.m.gpu.set_rate(&rig.m.host, 1_000_000_000);
    rig.m.w(JOB_CLEAR, !0);
    rig.m.pass(1_100_000);
    assert_eq!(
        rig.csg_events(0) & csg_in::PROGRESS_TIMER,
        csg_in::PROGRESS_TIMER
    );
    assert_eq!(rig.data64(0xf00), 0);
    assert!(rig.request(0, csg_in::TERMINATE));
    rig.empty_ring(0, 0);
    rig.start(0, 1);
    let ring = rig.job(0, &[run_compute()], 0xf00);
    rig.run(0, 0, &ring);
    rig.m.pass(100_000);
    assert_eq!(rig.data64(0xf00), 1);
}

#[test]
fn a_page_fault_stalls_its_stream_until_the_space_is_disabled() {
    let mut rig = started(2);
    let code = [
        mov48(40, DATA_VA),
        mov48(42, 0x7000_0000),
        store(2, 1, 42, 0),
        store(40, 1, 40, 0),
    ];
    let ring = rig.job(0, &code, 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.m.r(MMU_RAWSTAT) & 0xffff, 1 << 1);
    assert_eq!(
        rig.m.r64(super::machine::slot(1, FAULTADDRESS)),
        0x7000_0000
    );
    let status = rig.m.r(super::machine::slot(1, FAULTSTATUS));
    assert_eq!(status >> 8 & 3, 3, "a write");
    rig.m.pass(10_000_000);
    assert_eq!(rig.cs_events(0, 0), 0);
    assert_eq!(rig.data(0), 0);
    rig.m.w(MMU_CLEAR, !0);
    rig.m.disable(1);
    rig.m.pass(1_000);
    assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
    assert_eq!(
        rig.cs(0, 0, cs_out::FATAL),
        u32::from(exception::CS_BUS_FAULT)
    );
    assert_eq!(
        rig.cs_events(0, 1),
        0,
        "its neighbour had nothing in flight"
    );
    assert!(rig.request(0, csg_in::TERMINATE));
    rig.m.assert_clean();
}

#[test]
fn requests_are_acknowledged_late_or_never_on_request() {
    let mut rig = Rig::booted();
    rig.m.inject("mcu ack never csg 7");
    rig.program(0, &[Queue::default()]);
    assert!(!rig.request(0, csg_in::START));
    let ack = rig.get(csg_out_at(0) + csg_out::ACK);
    let req = rig.get(csg_in_at(0) + csg_in::REQ);
    assert_eq!(
        (req ^ ack) & csg_in::ENDPOINT_CONFIG,
        0,
        "only the state is withheld"
    );
    rig.m.inject("clear");
    rig.ring_groups(1);
    assert_eq!(rig.get(csg_out_at(0) + csg_out::ACK) & 7, csg_in::START);
    assert_eq!(
        rig.m.count(Counter::CsgStart),
        1,
        "the effect was there the first time"
    );

    rig.m.inject("mcu ack delay csg 7 1000000");
    assert!(!rig.request(0, csg_in::SUSPEND));
    rig.m.pass(900_000);
    assert_eq!(rig.get(csg_out_at(0) + csg_out::ACK) & 7, csg_in::START);
    rig.m.w(JOB_CLEAR, !0);
    rig.m.pass(200_000);
    assert_eq!(rig.get(csg_out_at(0) + csg_out::ACK) & 7, csg_in::SUSPEND);
    assert_eq!(rig.m.r(JOB_RAWSTAT) & 1, 1);
    assert_eq!(rig.m.count(Counter::CsgSuspend), 1);
}

#[test]
fn a_slot_is_ignored_on_request() {
    let mut rig = Rig::booted();
    rig.m.inject("mcu slot ignore 1");
    rig.start(0, 1);
    rig.program(
        1,
        &[Queue {
            doorbell: 2,
            ..Queue::default()
        }],
    );
    assert!(!rig.request(1, csg_in::START));
    assert!(rig.request(0, csg_in::TERMINATE));
    assert_eq!(rig.m.count(Counter::CsgStart), 1);
    rig.m.inject("clear");
    rig.ring_groups(1 << 1);
    assert_eq!(rig.get(csg_out_at(1) + csg_out::ACK) & 7, csg_in::START);
    rig.m.assert_clean();
}

#[test]
fn exceptions_and_lost_events_on_request() {
    let mut rig = started(1);
    rig.m.inject("mcu fault 0 0 0x58");
    rig.ring_page(1);
    assert_eq!(rig.cs_events(0, 0), cs_in::FAULT);
    assert_eq!(rig.cs(0, 0, cs_out::FAULT), 0x58);
    rig.ack_stream(0, 0, cs_in::FAULT);
    let ring = rig.job(0, &[NOP], 0xf00);
    rig.run(0, 0, &ring);
    assert_eq!(rig.data64(0xf00), 1);

    let events = rig.csg_events(0);
    rig.ack_group(0, events);
    rig.m.inject("mcu event drop sync 1");
    rig.run(0, 0, &ring);
    assert_eq!(rig.data64(0xf00), 2);
    assert_eq!(rig.csg_events(0) & csg_in::SYNC_UPDATE, 0);
    rig.run(0, 0, &ring);
    assert_eq!(rig.csg_events(0) & csg_in::SYNC_UPDATE, csg_in::SYNC_UPDATE);

    rig.m.inject("mcu fatal 0 0 0x41");
    rig.ring_page(1);
    assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
    assert_eq!(
        rig.cs(0, 0, cs_out::FATAL),
        u32::from(exception::CS_UNRECOVERABLE)
    );
}

#[test]
fn an_update_under_a_locked_region_is_told_when_the_region_is_free() {
    let mut rig = started(1);
    let events = rig.csg_events(0);
    rig.ack_group(0, events);
    let ring = rig.job(
        0,
        &[mov32(37, 1), mov32(38, 1), mov32(39, 1), run_compute()],
        0xf00,
    );
    rig.run(0, 0, &ring);
    // The ring's pages, and with them EXTRACT.
    rig.m.lock(0, 0x0430_0000, 15);
    rig.m.pass(100_000);
    assert_eq!(rig.data64(0xf00), 1);
    assert!(rig.extract(0, 0) < rig.insert(0, 0));
    assert_eq!(rig.csg_events(0) & csg_in::SYNC_UPDATE, 0);
    rig.m.command(0, super::machine::UNLOCK);
    rig.m.pass(1_000);
    assert_eq!(rig.extract(0, 0), rig.insert(0, 0));
    assert_eq!(rig.csg_events(0) & csg_in::SYNC_UPDATE, csg_in::SYNC_UPDATE);
    rig.m.assert_clean();
}

#[test]
fn a_resume_under_a_locked_region_is_tried_again() {
    let mut rig = started(1);
    let ring = long_job(&mut rig);
    rig.run(0, 0, &ring);
    assert!(rig.request(0, csg_in::SUSPEND));
    rig.program(0, &[Queue::default()]);
    rig.m.lock(0, 0x0430_0000, 15);
    assert!(!rig.request(0, csg_in::RESUME));
    rig.m.command(0, super::machine::UNLOCK);
    rig.m.pass(1_000);
    assert_eq!(rig.get(csg_out_at(0) + csg_out::ACK) & 7, csg_in::RESUME);
    rig.set_data(0x100, 1);
    rig.ring_page(1);
    rig.m.pass(1_000_000);
    assert_eq!(rig.data64(0xf00), 1);
    rig.m.assert_clean();
}

#[test]
fn a_stream_that_is_rung_before_its_group_is_there_is_heard_when_it_is() {
    let mut rig = started(1);
    let ring = rig.job(0, &[NOP], 0xf00);
    assert!(rig.request(0, csg_in::SUSPEND));
    rig.write_ring(0, 0, &ring);
    let queue = Queue {
        doorbell: 1,
        ..Queue::default()
    };
    rig.program(0, &[queue]);
    // The slot is looked at for another reason, before the request is made.
    rig.ring_groups(1);
    assert!(rig.request(0, csg_in::RESUME));
    rig.m.pass(1_000_000);
    assert_eq!(rig.data64(0xf00), 1);
    rig.m.assert_clean();
}

#[test]
fn an_exception_while_the_group_leaves_is_reported_and_saved() {
    let mut rig = started(1);
    rig.m.inject("mcu leaving fault 0 0 0x58");
    rig.m.pass(1_000_000);
    assert_eq!(rig.cs_events(0, 0), 0);
    assert!(rig.request(0, csg_in::SUSPEND));
    assert_eq!(rig.cs_events(0, 0), cs_in::FAULT);
    assert_eq!(rig.cs(0, 0, cs_out::FAULT), 0x58);

    let mut rig = started(1);
    let ring = rig.job(0, &[NOP], 0xf00);
    rig.m.inject("mcu leaving fatal 0 0 0x48");
    assert!(rig.request(0, csg_in::SUSPEND));
    assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
    let queue = Queue {
        doorbell: 1,
        ..Queue::default()
    };
    rig.program(0, &[queue]);
    assert!(rig.request(0, csg_in::RESUME));
    rig.run(0, 0, &ring);
    assert_eq!(rig.data64(0xf00), 0, "dead");
    rig.m.assert_clean();
}
