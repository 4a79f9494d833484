// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Interrupt blocks and level outputs.

use super::machine::*;
use crate::counters::Counter;
use crate::host::Line;
use crate::irq::FORGOTTEN_READS;
use crate::irq::STORM_DELIVERIES;
use crate::irq::STUCK_NS;
use crate::record::Kind;

/// Raises event 0 of the GPU block.
fn event(m: &mut Machine) {
    m.inject("fault gpu 0x80 0");
}

#[test]
fn the_line_is_high_while_an_unmasked_event_is_pending() {
    let mut m = Machine::ready();
    event(&mut m);
    assert_eq!((m.r(GPU_RAWSTAT), m.r(GPU_STATUS)), (1, 0));
    assert!(!m.is_high(Line::Gpu));
    m.w(GPU_MASK, 1);
    assert_eq!(m.r(GPU_STATUS), 1);
    assert!(m.is_high(Line::Gpu));
    // As a handler's hard half does: mask, and unmask later.
    m.w(GPU_MASK, 0);
    assert!(!m.is_high(Line::Gpu));
    m.w(GPU_MASK, 1);
    assert!(m.is_high(Line::Gpu));
    m.w(GPU_CLEAR, 1);
    assert!(!m.is_high(Line::Gpu));
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    assert_eq!(m.count(Counter::IrqGpu), 2);
    m.assert_clean();
}

#[test]
fn clearing_one_event_leaves_the_others() {
    let mut m = Machine::ready();
    event(&mut m);
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.pass(100_000);
    m.w(GPU_MASK, !0);
    m.w(GPU_CLEAR, 1);
    assert_eq!(m.r(GPU_STATUS), CLEAN_CACHES_COMPLETED);
    assert!(m.is_high(Line::Gpu));
    assert_eq!(m.edges(Line::Gpu), 1);
}

#[test]
fn a_write_that_is_on_its_way_clears_what_has_come_meanwhile() {
    let mut m = Machine::ready();
    m.inject("irq posted");
    m.w(GPU_MASK, 1);
    event(&mut m);
    m.w(GPU_CLEAR, 1);
    assert!(m.is_high(Line::Gpu));
    event(&mut m);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    // What comes after another access has been seen stays.
    event(&mut m);
    m.w(GPU_CLEAR, 1);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    event(&mut m);
    assert_eq!(m.r(GPU_RAWSTAT), 1);
    m.inject("clear");
    m.w(GPU_CLEAR, 1);
    assert!(!m.is_high(Line::Gpu));
    m.assert_clean();
}

#[test]
fn the_three_lines_are_independent() {
    let mut m = Machine::ready();
    let (_, mut bus) = m.gpu.parts(&m.host);
    bus.env.raise(Line::Job, 1 << 31);
    m.w(0x1008, !0);
    assert!(m.is_high(Line::Job));
    assert!(!m.is_high(Line::Gpu));
    assert!(!m.is_high(Line::Mmu));
    m.w(MMU_CLEAR, !0);
    m.w(GPU_CLEAR, !0);
    assert_eq!(m.r(0x1000), 1 << 31);
    m.w(0x1004, 1 << 31);
    assert!(!m.is_high(Line::Job));
    assert_eq!(m.count(Counter::IrqJob), 1);
}

#[test]
fn a_dropped_interrupt_leaves_its_event_behind() {
    let mut m = Machine::ready();
    m.inject("irq drop gpu 1");
    m.w(GPU_MASK, !0);
    event(&mut m);
    assert!(!m.is_high(Line::Gpu));
    assert_eq!(m.r(GPU_STATUS), 1);
    assert_eq!(m.count(Counter::IrqGpu), 0);
    // The next event gets through, and shows both.
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.pass(100_000);
    assert!(m.is_high(Line::Gpu));
    assert_eq!(m.r(GPU_STATUS), 1 | CLEAN_CACHES_COMPLETED);
    m.assert_clean();
}

#[test]
fn a_repeated_interrupt_comes_once_more_for_each_request() {
    let mut m = Machine::ready();
    m.inject("irq repeat gpu 2");
    m.w(GPU_MASK, !0);
    event(&mut m);
    m.w(GPU_CLEAR, 1);
    assert!(m.is_high(Line::Gpu));
    m.w(GPU_CLEAR, 1);
    assert!(m.is_high(Line::Gpu));
    m.w(GPU_CLEAR, 1);
    assert!(!m.is_high(Line::Gpu));
    assert_eq!(m.count(Counter::IrqGpu), 3);
    m.assert_clean();
}

#[test]
fn a_line_that_nobody_serves_is_recorded_once() {
    let mut m = Machine::ready();
    m.w(GPU_MASK, !0);
    event(&mut m);
    m.pass(STUCK_NS - 1);
    m.assert_clean();
    m.pass(STUCK_NS);
    m.assert_records(&[Kind::LineStuck]);
    m.pass(STUCK_NS);
    m.assert_clean();
    // Served late, it may get stuck anew.
    m.w(GPU_CLEAR, 1);
    event(&mut m);
    m.pass(STUCK_NS);
    m.assert_records(&[Kind::LineStuck]);
}

#[test]
fn a_masked_event_is_not_a_stuck_line() {
    let mut m = Machine::ready();
    event(&mut m);
    m.pass(10 * STUCK_NS);
    m.assert_clean();
}

#[test]
fn deliveries_that_nobody_looks_at_are_a_storm() {
    let mut m = Machine::ready();
    m.w(GPU_MASK, !0);
    event(&mut m);
    for _ in 1..STORM_DELIVERIES {
        m.gpu.delivered(&m.host, Line::Gpu);
    }
    m.assert_clean();
    m.gpu.delivered(&m.host, Line::Gpu);
    m.gpu.delivered(&m.host, Line::Gpu);
    m.assert_records(&[Kind::IrqStorm]);
}

#[test]
fn a_handler_that_looks_at_its_block_makes_no_storm() {
    let mut m = Machine::ready();
    m.w(GPU_MASK, !0);
    event(&mut m);
    for _ in 1..5 * STORM_DELIVERIES {
        m.gpu.delivered(&m.host, Line::Gpu);
        m.r(GPU_STATUS);
    }
    m.assert_clean();
}

#[test]
fn a_handler_that_looks_and_never_clears_is_noticed() {
    let mut m = Machine::ready();
    m.w(GPU_MASK, !0);
    event(&mut m);
    for _ in 1..FORGOTTEN_READS {
        m.r(GPU_RAWSTAT);
    }
    m.assert_clean();
    m.r(GPU_RAWSTAT);
    m.r(GPU_RAWSTAT);
    m.assert_records(&[Kind::IrqStorm]);
    // Who waits for an event reads as often as he likes.
    m.w(GPU_CLEAR, !0);
    for _ in 0..2 * FORGOTTEN_READS {
        m.r(GPU_RAWSTAT);
    }
    m.assert_clean();
}

#[test]
fn a_masked_event_may_stay_pending_for_ever() {
    let mut m = Machine::ready();
    event(&mut m);
    for _ in 0..2 * FORGOTTEN_READS {
        m.r(GPU_RAWSTAT);
    }
    m.assert_clean();
}

#[test]
fn a_line_without_any_handler_left_is_stuck() {
    let mut m = Machine::ready();
    m.w(GPU_MASK, !0);
    event(&mut m);
    m.gpu.abandoned(&m.host, Line::Gpu);
    m.assert_records(&[Kind::LineStuck]);
}
