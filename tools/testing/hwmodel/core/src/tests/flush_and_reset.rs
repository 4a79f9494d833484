// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GPU commands: resets, cache maintenance, and what is no command.

use super::machine::*;
use crate::counters::Counter;
use crate::host::Line;
use crate::record::Kind;

#[test]
fn a_soft_reset_takes_its_time_and_reports_its_end() {
    let mut m = Machine::ready();
    m.w(GPU_MASK, RESET_COMPLETED);
    m.w(GPU_COMMAND, SOFT_RESET);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    assert!(!m.is_high(Line::Gpu));
    m.pass(1_000_000);
    // The mask in front of the event that tells about the end survives the reset.
    assert_eq!(m.r(GPU_STATUS), RESET_COMPLETED);
    assert!(m.is_high(Line::Gpu));
    assert_eq!(m.count(Counter::SoftReset), 1);
    m.assert_clean();
}

#[test]
fn a_reset_needs_no_step_to_end_when_someone_looks() {
    let mut m = Machine::ready();
    m.w(GPU_COMMAND, SOFT_RESET);
    m.jump(1_000_000);
    assert_eq!(m.r(GPU_RAWSTAT), RESET_COMPLETED);
}

#[test]
fn a_reset_switches_blocks_off_and_forgets_slots_and_masks() {
    let (mut m, root) = Machine::translating();
    m.map(root, 0x1000, RAM, PAGE_RW);
    m.w(MMU_MASK, !0);
    m.w(0x1008, !0);
    m.load(1, 0x1000).unwrap();
    m.w(GPU_COMMAND, SOFT_RESET);
    m.pass(1_000_000);
    assert_eq!(m.r(L2_READY), 0);
    assert_eq!(m.r(MMU_MASK), 0);
    assert_eq!(m.r(0x1008), 0);
    assert_eq!(m.r(MMU_RAWSTAT), 0);
    assert_eq!(m.r64(slot(1, TRANSTAB)), 0);
    assert_eq!(m.r(0x704), 0);
    m.assert_clean();
}

#[test]
fn registers_are_left_alone_while_a_reset_is_in_progress() {
    let mut m = Machine::ready();
    m.w(GPU_COMMAND, SOFT_RESET);
    m.r(0);
    m.w(L2_PWRON, 1);
    m.w(slot(0, COMMAND), UPDATE);
    m.assert_records(&[Kind::InReset; 3]);
    // The interrupt blocks answer.
    m.r(GPU_RAWSTAT);
    m.w(GPU_CLEAR, 1);
    m.w(MMU_MASK, 0);
    m.assert_clean();
    // So does the flush id.
    let id = m.gpu.latest_flush();
    assert_eq!(m.r(0x1_0000), id);
    m.assert_clean();
    m.pass(1_000_000);
    assert_eq!(m.r(L2_READY), 0);
    m.assert_clean();
}

#[test]
fn a_second_reset_during_a_reset_is_refused() {
    let mut m = Machine::ready();
    m.w(GPU_COMMAND, SOFT_RESET);
    m.w(GPU_COMMAND, SOFT_RESET);
    m.assert_records(&[Kind::InReset]);
    assert_eq!(m.count(Counter::SoftReset), 1);
}

#[test]
fn a_reset_that_hangs_ends_when_the_misbehaviour_does() {
    let mut m = Machine::ready();
    m.inject("soft-reset hang");
    m.w(GPU_COMMAND, SOFT_RESET);
    m.pass(10_000_000_000);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    m.inject("clear");
    assert_eq!(m.r(GPU_RAWSTAT), RESET_COMPLETED);
    m.assert_clean();
}

#[test]
fn a_reset_can_be_slow() {
    let mut m = Machine::ready();
    m.inject("soft-reset delay 5000000");
    m.w(GPU_COMMAND, SOFT_RESET);
    m.pass(4_999_999);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    m.pass(1);
    assert_eq!(m.r(GPU_RAWSTAT), RESET_COMPLETED);
}

#[test]
fn cache_maintenance_takes_its_time_and_reports_its_end() {
    let mut m = Machine::ready();
    let id = m.r(0x1_0000);
    m.w(GPU_MASK, CLEAN_CACHES_COMPLETED);
    m.w(GPU_COMMAND, FLUSH_ALL);
    assert_eq!(m.r(0x34), 1);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    assert_eq!(m.r(0x1_0000), id);
    m.pass(100_000);
    assert_eq!(m.r(GPU_RAWSTAT), CLEAN_CACHES_COMPLETED);
    assert!(m.is_high(Line::Gpu));
    assert_eq!(m.r(0x1_0000), id + 1);
    assert_eq!(m.gpu.latest_flush(), id + 1);
    assert_eq!(m.count(Counter::CacheFlush), 1);
    m.assert_clean();
}

#[test]
fn the_flush_id_is_never_zero_and_goes_on_over_resets_and_power_losses() {
    let mut m = Machine::ready();
    assert_ne!(m.gpu.latest_flush(), 0);
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.pass(100_000);
    let id = m.gpu.latest_flush();
    m.w(GPU_COMMAND, SOFT_RESET);
    m.pass(1_000_000);
    m.gpu.set_power_domain(&m.host, false);
    m.gpu.set_power_domain(&m.host, true);
    assert_eq!(m.gpu.latest_flush(), id);
}

#[test]
fn a_stream_flushes_only_if_nobody_did_since_it_was_built() {
    let mut m = Machine::ready();
    let id = m.gpu.latest_flush();
    let (_, mut bus) = m.gpu.parts(&m.host);
    assert!(bus.flush_caches(id));
    // Before the stream goes on, not at the end of the model's turn.
    assert_eq!(m.host.published.get(), id + 1);
    assert!(!bus.flush_caches(id));
    assert_eq!(m.host.published.get(), id + 1);
    assert!(bus.flush_caches(0));
    assert_eq!(m.host.published.get(), id + 2);
    assert_eq!(m.gpu.latest_flush(), id + 2);
}

#[test]
fn a_flush_during_a_flush_is_refused() {
    let mut m = Machine::ready();
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.assert_records(&[Kind::CommandBusy]);
    m.pass(100_000);
    assert_eq!(m.count(Counter::CacheFlush), 1);
}

#[test]
fn flush_modes_that_do_not_exist_are_refused() {
    let mut m = Machine::ready();
    // Nothing; invalidate without clean; clean of read-only caches; beyond the last field.
    for payload in [0x000, 0x002, 0x020, 0x100, 0x300, 0x1000] {
        m.w(GPU_COMMAND, 4 | (payload << 8));
        m.assert_records(&[Kind::UnknownCommand]);
    }
    m.pass(100_000);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
}

#[test]
fn commands_that_do_not_exist_are_refused() {
    let mut m = Machine::ready();
    for command in [2, 9, 0xff, 0x301, 0x100] {
        m.w(GPU_COMMAND, command);
        m.assert_records(&[Kind::UnknownCommand]);
    }
    m.w(GPU_COMMAND, 0);
    m.assert_clean();
}

#[test]
fn a_flush_can_hang_or_be_slow() {
    let mut m = Machine::ready();
    m.inject("flush hang");
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.pass(10_000_000_000);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    // A reset ends it.
    m.w(GPU_COMMAND, SOFT_RESET);
    m.pass(1_000_000);
    assert_eq!(m.r(GPU_RAWSTAT), RESET_COMPLETED);
    m.w(GPU_CLEAR, !0);
    m.inject("flush delay 7000000");
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.pass(6_999_999);
    assert_eq!(m.r(GPU_RAWSTAT), 0);
    m.pass(1);
    assert_eq!(m.r(GPU_RAWSTAT), CLEAN_CACHES_COMPLETED);
    m.assert_clean();
}

#[test]
fn a_fault_of_the_gpu_stays_readable_until_it_is_cleared() {
    let mut m = Machine::ready();
    m.w(GPU_MASK, 1);
    m.inject("fault gpu 0x80 0x12345678000");
    assert!(m.is_high(Line::Gpu));
    m.w(GPU_CLEAR, 1);
    assert!(!m.is_high(Line::Gpu));
    assert_eq!(m.r(0x3c), 0x80);
    assert_eq!(m.r64(0x40), 0x123_4567_8000);
    m.w(GPU_COMMAND, 7);
    assert_eq!(m.r(0x3c), 0);
    assert_eq!(m.count(Counter::Faults), 1);
    m.assert_clean();
}

#[test]
fn lines_of_misbehaviour_that_make_no_sense_are_refused() {
    use crate::InjectError::*;
    let mut m = Machine::on();
    let cases = [
        ("", Missing),
        ("soft-reset", Missing),
        ("soft-reset sing", Unknown),
        ("soft-reset hang now", Argument),
        ("soft-reset hang 1 now", Trailing),
        ("soft-reset delay", Missing),
        ("soft-reset delay soon", Argument),
        ("as hang 16", Argument),
        ("as hang 256", Argument),
        ("fault va 99 0x1000", Argument),
        ("fault va 1 0x1000 0x100", Argument),
        ("irq drop door 1", Argument),
        ("irq drop", Missing),
        ("flush hang 0", Argument),
        ("l2 hang 4294967296", Argument),
        ("clear all", Trailing),
    ];
    for (line, error) in cases {
        assert_eq!(m.gpu.inject(&m.host, line), Err(error), "{line}");
    }
    m.assert_clean();
}
