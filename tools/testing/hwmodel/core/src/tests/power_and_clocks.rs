// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Clocks, supply and power domain around the GPU, and the power of its blocks.

use super::machine::*;
use crate::counters::Counter;
use crate::host::Line;
use crate::product::G925_MT8196;
use crate::record::Kind;
use crate::Clock;

#[test]
fn an_access_without_power_domain_supply_or_any_clock_is_recorded_and_not_carried_out() {
    let mut m = Machine::off();
    assert_eq!(m.r(0), 0xdead_beef);
    m.assert_records(&[Kind::PowerOff]);
    m.gpu.set_power_domain(&m.host, true);
    assert_eq!(m.r(0), 0xdead_beef);
    m.assert_records(&[Kind::SupplyOff]);
    m.gpu.set_regulator(&m.host, true);
    for clock in Clock::ALL {
        assert_eq!(m.r(0), 0xdead_beef);
        m.assert_records(&[Kind::ClockOff]);
        m.gpu.set_clock(&m.host, clock, true);
    }
    assert_eq!(m.r(0), 0xa867_0005);
    m.assert_clean();
    for clock in Clock::ALL {
        m.gpu.set_clock(&m.host, clock, false);
        m.w(GPU_MASK, 1);
        m.assert_records(&[Kind::ClockOff]);
        m.gpu.set_clock(&m.host, clock, true);
        assert_eq!(m.r(GPU_MASK), 0);
    }
}

#[test]
fn a_gated_clock_keeps_state_and_a_lost_domain_or_supply_does_not() {
    let mut m = Machine::ready();
    m.w64(slot(2, TRANSTAB), 0x8000_0000);
    m.w(MMU_MASK, 0xff);
    m.gpu.set_clock(&m.host, Clock::Core, false);
    m.gpu.set_clock(&m.host, Clock::Core, true);
    assert_eq!(m.r64(slot(2, TRANSTAB)), 0x8000_0000);
    assert_eq!(m.r(L2_READY), 1);
    m.gpu.set_power_domain(&m.host, false);
    m.gpu.set_power_domain(&m.host, true);
    assert_eq!(m.r64(slot(2, TRANSTAB)), 0);
    assert_eq!(m.r(L2_READY), 0);
    assert_eq!(m.r(MMU_MASK), 0);
    m.w(MMU_MASK, 0xff);
    m.gpu.set_regulator(&m.host, false);
    m.gpu.set_regulator(&m.host, true);
    assert_eq!(m.r(MMU_MASK), 0);
    m.assert_clean();
}

#[test]
fn a_line_falls_when_the_power_goes() {
    let mut m = Machine::ready();
    m.w(GPU_MASK, !0);
    m.inject("fault gpu 0x80 0");
    assert!(m.is_high(Line::Gpu));
    m.gpu.set_power_domain(&m.host, false);
    assert!(!m.is_high(Line::Gpu));
}

#[test]
fn nothing_happens_while_a_clock_is_gated() {
    let mut m = Machine::on();
    m.w(L2_PWRON, 1);
    m.gpu.set_clock(&m.host, Clock::CoreGroup, false);
    m.pass(1_000_000);
    assert_eq!(m.count(Counter::L2On), 0);
    m.gpu.set_clock(&m.host, Clock::CoreGroup, true);
    m.pass(1_000_000);
    assert_eq!(m.count(Counter::L2On), 1);
    m.assert_clean();
}

#[test]
fn the_voltage_rises_before_the_clock_and_falls_after_it() {
    let mut m = Machine::on();
    m.gpu.set_rate(&m.host, 600_000_000);
    m.gpu.set_voltage(&m.host, 850_000);
    m.gpu.set_rate(&m.host, 1_000_000_000);
    m.gpu.set_rate(&m.host, 300_000_000);
    m.gpu.set_voltage(&m.host, 675_000);
    m.assert_clean();
    m.gpu.set_rate(&m.host, 700_000_000);
    m.assert_records(&[Kind::Undervolt]);
    m.gpu.set_voltage(&m.host, 700_000);
    m.assert_clean();
    m.gpu.set_voltage(&m.host, 675_000);
    m.assert_records(&[Kind::Undervolt]);
    m.gpu.set_voltage(&m.host, 850_000);
    m.gpu.set_rate(&m.host, 1_000_000_001);
    m.assert_records(&[Kind::Undervolt]);
}

#[test]
fn clock_and_voltage_of_a_gpu_that_stands_still_may_be_anything() {
    let mut m = Machine::off();
    m.gpu.set_rate(&m.host, 1_000_000_000);
    m.gpu.set_voltage(&m.host, 550_000);
    m.assert_clean();
}

#[test]
fn the_l2_takes_its_time_and_tells_when_it_is_ready() {
    let mut m = Machine::on();
    m.w64(L2_PWRON, 1);
    assert_eq!(m.r(L2_READY), 0);
    assert_eq!(m.r(L2_PWRTRANS), 1);
    m.pass(1_000_000);
    assert_eq!(m.r(L2_READY), 1);
    assert_eq!(m.r(L2_PWRTRANS), 0);
    assert_eq!(m.r(GPU_RAWSTAT), (1 << 9) | (1 << 10));
    assert_eq!(m.count(Counter::L2On), 1);
    m.w64(L2_PWROFF, 1);
    assert_eq!(m.r(L2_READY), 0);
    assert_eq!(m.r(L2_PWRTRANS), 1);
    m.pass(1_000_000);
    assert_eq!(m.r(L2_PWRTRANS), 0);
    assert_eq!(m.count(Counter::L2On), 1);
    m.assert_clean();
}

#[test]
fn switching_on_what_is_on_changes_nothing() {
    let mut m = Machine::ready();
    m.w(L2_PWRON, 1);
    assert_eq!(m.r(L2_PWRTRANS), 0);
    assert_eq!(m.r(L2_READY), 1);
    m.assert_clean();
}

#[test]
fn cores_that_do_not_exist_cannot_be_powered() {
    let mut m = Machine::ready();
    m.w(L2_PWRON, 3);
    m.w(SHADER_PWRON + 4, 1);
    m.assert_records(&[Kind::AbsentCore, Kind::AbsentCore]);
}

#[test]
fn a_block_in_transition_is_left_alone() {
    let mut m = Machine::on();
    m.w(L2_PWRON, 1);
    m.w(L2_PWROFF, 1);
    m.assert_records(&[Kind::PowerBusy]);
    m.pass(1_000_000);
    assert_eq!(m.r(L2_READY), 1);
}

#[test]
fn cores_need_the_l2_and_the_l2_outlives_the_cores() {
    let mut m = Machine::on();
    m.w(SHADER_PWRON, 1);
    m.assert_records(&[Kind::PowerOrder]);
    m.w(L2_PWRON, 1);
    m.pass(1_000_000);
    m.w(SHADER_PWRON, 1);
    m.pass(1_000_000);
    assert_eq!(m.r(0x140), 1);
    m.assert_clean();
    m.w(L2_PWROFF, 1);
    m.assert_records(&[Kind::PowerOrder]);
    m.pass(1_000_000);
    assert_eq!(m.r(0x140), 0);
}

#[test]
fn the_processor_powers_exactly_the_cores_that_it_wants() {
    let mut m = Machine::ready();
    let (_, mut bus) = m.gpu.parts(&m.host);
    bus.power_cores(0x5_0005, 1);
    m.pass(1_000_000);
    assert_eq!(m.r64(0x140), 0x5_0005);
    assert_eq!(m.r64(0x150), 1);
    let (_, mut bus) = m.gpu.parts(&m.host);
    bus.power_cores(0x5, 0);
    m.pass(1_000_000);
    assert_eq!(m.r64(0x140), 0x5);
    assert_eq!(m.r64(0x150), 0);
    m.assert_clean();
}

#[test]
fn coherency_and_l2_configuration_are_set_before_the_l2_is_on() {
    let mut m = Machine::on();
    m.w(COHERENCY_ENABLE, 31);
    m.w(COHERENCY_ENABLE, 0);
    m.w(0x48, 0);
    m.assert_clean();
    m.w(L2_PWRON, 1);
    m.w(COHERENCY_ENABLE, 31);
    m.pass(1_000_000);
    m.w(0x48, 0);
    m.assert_records(&[Kind::CoherencyLate, Kind::CoherencyLate]);
}

#[test]
fn the_hash_that_the_soc_needs_is_set_before_the_l2_is_on() {
    let mut m = Machine::of(&G925_MT8196);
    m.power();
    m.w(L2_PWRON, 1);
    m.assert_records(&[Kind::L2Config]);
    m.pass(1_000_000);
    m.w(0x2c0, 0xb);
    m.assert_records(&[Kind::CoherencyLate]);

    let mut m = Machine::of(&G925_MT8196);
    m.power();
    for (off, value) in [(0x2c0, 0xb), (0x2c4, 0xe), (0x2c8, 0)] {
        m.w(off, value);
        assert_eq!(m.r(off), value);
    }
    m.w(0x48, 1 << 24);
    m.w(L2_PWRON, 1);
    m.assert_clean();
}

#[test]
fn architecture_10_has_no_hash_that_can_be_set() {
    let mut m = Machine::on();
    m.w(0x2c0, 0xb);
    m.r(0x2c8);
    m.assert_records(&[Kind::Hole, Kind::Hole]);
}

#[test]
fn a_coherency_protocol_that_the_chip_lacks_is_refused() {
    let mut m = Machine::on();
    for protocol in [1, 2, 30, 32] {
        m.w(COHERENCY_ENABLE, protocol);
        m.assert_records(&[Kind::CoherencyBad]);
        assert_eq!(m.r(COHERENCY_ENABLE), 31);
    }
}

#[test]
fn the_l2_can_hang_or_ignore_requests() {
    let mut m = Machine::on();
    m.inject("l2 fail");
    m.w(L2_PWRON, 1);
    m.pass(1_000_000);
    assert_eq!((m.r(L2_READY), m.r(L2_PWRTRANS)), (0, 0));
    m.inject("clear");
    m.inject("l2 hang");
    m.w(L2_PWRON, 1);
    m.pass(10_000_000_000);
    assert_eq!((m.r(L2_READY), m.r(L2_PWRTRANS)), (0, 1));
    m.inject("clear");
    m.pass(1_000_000);
    assert_eq!((m.r(L2_READY), m.r(L2_PWRTRANS)), (1, 0));
    m.assert_clean();
}

#[test]
fn memory_is_out_of_reach_without_the_l2() {
    let mut m = Machine::on();
    assert_eq!(m.load(1, 0x1000), Err(crate::mmu::MmuError::Aborted));
    assert_eq!(m.store(1, 0x1000, 1), Err(crate::mmu::MmuError::Aborted));
    m.assert_records(&[Kind::DmaUnpowered, Kind::DmaUnpowered]);
}
