// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the processor, its groups and its streams object to: each rule has a test that breaks it.

use super::machine::*;
use super::rig::asm;
use super::rig::csg_in_at;
use super::rig::Queue;
use super::rig::Rig;
use super::rig::DATA_VA;
use super::rig::DISABLED;
use super::rig::ENABLED;
use super::rig::FATAL;
use super::rig::MCU_CONTROL;
use super::rig::MCU_STATUS;
use super::rig::RING_SIZE;
use crate::counters::Counter;
use crate::mcu::layout::cs_in;
use crate::mcu::layout::csg_in;
use crate::record::Kind;
use crate::Clock;

#[test]
fn mcu_control_takes_three_values() {
    let mut rig = Rig::booted();
    rig.m.w(MCU_CONTROL, 3);
    rig.m.assert_records(&[Kind::McuControl]);
    assert_eq!(rig.m.r(MCU_STATUS), ENABLED);
    assert_eq!(rig.m.r(MCU_CONTROL), 2);
}

#[test]
fn nothing_that_the_running_processor_needs_is_taken_away() {
    let withdraw: [fn(&mut Machine); 3] = [
        |m| m.gpu.set_clock(&m.host, Clock::Stacks, false),
        |m| m.gpu.set_power_domain(&m.host, false),
        |m| m.gpu.set_regulator(&m.host, false),
    ];
    for take in withdraw {
        let mut rig = Rig::booted();
        take(&mut rig.m);
        rig.m.assert_records(&[Kind::GatedBusy]);
        let mut rig = Rig::booted();
        rig.m.w(MCU_CONTROL, 0);
        assert_eq!(rig.m.r(MCU_STATUS), DISABLED);
        take(&mut rig.m);
        rig.m.assert_clean();
    }
}

#[test]
fn the_l2_stays_on_under_the_running_processor() {
    let mut rig = Rig::booted();
    rig.m.w(L2_PWROFF, 1);
    rig.m.assert_records(&[Kind::PowerOrder]);
    let mut rig = Rig::booted();
    rig.m.w(MCU_CONTROL, 0);
    rig.m.pass(100_000);
    rig.m.w(L2_PWROFF, 1);
    rig.m.assert_clean();
}

#[test]
fn a_processor_that_loses_its_memory_dies() {
    let mut rig = Rig::booted();
    rig.m.disable(0);
    rig.ring_global();
    rig.m.assert_records(&[Kind::McuAccess]);
    assert_eq!(rig.m.r(MCU_STATUS), FATAL);
}

#[test]
fn the_doorbell_of_an_absent_group_is_not_rung() {
    let mut rig = Rig::booted();
    rig.ring_page(3);
    rig.m.assert_records(&[Kind::DoorbellAbsent]);
    rig.start(2, 1);
    rig.ring_page(3);
    rig.m.assert_clean();
    assert!(rig.request(2, csg_in::TERMINATE));
    rig.ring_page(3);
    rig.m.assert_records(&[Kind::DoorbellAbsent]);
    assert_eq!(rig.m.count(Counter::DoorbellCsg), 3);
}

#[test]
fn doorbells_are_rung_by_writing_one() {
    let mut rig = Rig::booted();
    rig.m.w(0x8_0000, 2);
    rig.m.assert_records(&[Kind::Reserved]);
}

/// Starts group 0 after its interface was changed, and expects one objection.
fn start_with(kind: Kind, change: impl Fn(&mut Rig)) -> Rig {
    let mut rig = Rig::booted();
    rig.program(0, &[Queue::default()]);
    change(&mut rig);
    assert!(rig.request(0, csg_in::START));
    rig.m.assert_records(&[kind]);
    rig
}

#[test]
fn a_group_has_an_address_space_that_exists_and_is_not_the_processors() {
    for as_nr in [0, 8, 15] {
        start_with(Kind::GroupConfig, |rig| {
            rig.put(csg_in_at(0) + csg_in::CONFIG, as_nr)
        });
    }
}

#[test]
fn a_group_gets_only_cores_that_exist() {
    start_with(Kind::GroupConfig, |rig| {
        rig.put64(csg_in_at(0) + csg_in::ALLOW_COMPUTE, 0x5_0007);
    });
    start_with(Kind::GroupConfig, |rig| {
        rig.put(csg_in_at(0) + csg_in::ALLOW_OTHER, 2)
    });
}

#[test]
fn a_suspend_buffer_is_aligned_and_writable_for_the_processor() {
    for buffer in [0x0420_0001, 0x1234_0000, 0x0080_0000] {
        start_with(Kind::SuspendBuffer, |rig| {
            rig.put64(csg_in_at(0) + csg_in::SUSPEND_BUF, buffer);
        });
    }
}

#[test]
fn a_group_without_a_suspend_buffer_cannot_be_suspended() {
    let mut rig = Rig::booted();
    rig.program(0, &[Queue::default()]);
    rig.put64(csg_in_at(0) + csg_in::SUSPEND_BUF, 0);
    assert!(rig.request(0, csg_in::START));
    rig.m.assert_clean();
    assert!(rig.request(0, csg_in::SUSPEND));
    rig.m.assert_records(&[Kind::SuspendBuffer]);
}

#[test]
fn only_what_was_suspended_is_resumed() {
    let mut rig = Rig::booted();
    rig.program(0, &[Queue::default()]);
    assert!(rig.request(0, csg_in::RESUME));
    rig.m.assert_records(&[Kind::SuspendBuffer]);
    assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
}

#[test]
fn a_ring_is_a_power_of_two_of_pages() {
    for ring_size in [0, 64, 2048, 4096 + 64, 12288] {
        let mut rig = Rig::booted();
        let queue = Queue {
            ring_size,
            ..Queue::default()
        };
        rig.program(0, &[queue]);
        assert!(rig.request(0, csg_in::START));
        rig.m.assert_records(&[Kind::QueueConfig]);
        assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
    }
}

#[test]
fn a_ring_and_its_pages_are_where_the_processor_can_reach_them() {
    let at = super::rig::cs_in_at(0, 0);
    let cases = [
        (cs_in::RINGBUF_BASE, 0x1000_0040),
        (cs_in::RINGBUF_INPUT, 0x5000_0000),
        (cs_in::RINGBUF_INPUT, 0x0430_0004),
        (cs_in::RINGBUF_OUTPUT, 0x0080_0000),
    ];
    for (field, value) in cases {
        let rig = start_with(Kind::QueueConfig, |rig| rig.put64(at + field, value));
        assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
    }
}

#[test]
fn insert_is_aligned_ahead_of_extract_and_within_the_ring() {
    for insert in [4, RING_SIZE + 0x1000] {
        let mut rig = Rig::booted();
        rig.start(0, 1);
        rig.set_insert(0, 0, insert);
        rig.ring_page(1);
        rig.m.assert_records(&[Kind::RingBounds]);
        assert_eq!(rig.cs_events(0, 0), cs_in::FATAL);
    }
    let mut rig = Rig::booted();
    rig.start(0, 1);
    rig.run(0, 0, &[asm::NOP]);
    assert_eq!(rig.extract(0, 0), 64);
    rig.m.assert_clean();
    rig.set_insert(0, 0, 56);
    rig.ring_page(1);
    rig.m.assert_records(&[Kind::RingBounds]);
}

#[test]
fn a_slot_that_is_in_use_is_not_started_again() {
    let mut rig = Rig::booted();
    rig.start(0, 1);
    assert!(rig.request(0, csg_in::RESUME));
    rig.m
        .assert_records(&[Kind::InterfaceProtocol, Kind::SuspendBuffer]);
}

#[test]
fn group_states_that_do_not_exist_are_refused() {
    let mut rig = Rig::booted();
    rig.request(0, 5);
    rig.m.assert_records(&[Kind::InterfaceProtocol]);
}

#[test]
fn instructions_of_the_ring_have_no_reserved_bits() {
    let mut rig = Rig::booted();
    rig.start(0, 1);
    rig.run(0, 0, &[asm::wait(1) | 1]);
    rig.m.assert_records(&[Kind::StreamEncoding]);
}

#[test]
fn an_instruction_of_the_ring_that_waits_for_itself_is_the_last() {
    let mut rig = Rig::booted();
    rig.start(0, 1);
    rig.run(
        0,
        0,
        &[
            asm::mov48(40, DATA_VA),
            asm::defer(asm::store_state(1, 40, 0), 0xff, 0),
            asm::wait(0xff),
            asm::store(40, 1, 40, 8),
        ],
    );
    rig.m.pass(1_000_000_000);
    assert_eq!((rig.data64(0), rig.data(8)), (0, 0));
    rig.m.assert_records(&[Kind::StreamWait]);
}
