// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The PWR block of architecture 14, and how the products differ.

use std::string::String;

use super::machine::*;
use crate::counters::Counter;
use crate::host::Line;
use crate::product::Product;
use crate::product::G1_ULTRA;
use crate::product::G310;
use crate::record::Kind;

const PWR_RAWSTAT: u32 = 0x800;
const PWR_CLEAR: u32 = 0x804;
const PWR_MASK: u32 = 0x808;
const PWR_STATUS: u32 = 0x820;
const PWR_COMMAND: u32 = 0x828;
const PWR_CMDARG: u32 = 0x830;
const PWR_L2_READY: u32 = 0x908;
const PWR_SHADER_PRESENT: u32 = 0xa00;
const PWR_SHADER_READY: u32 = 0xa08;

const ALLOW_SHADER: u64 = 1 << 8;
const DELEGATED_TILER: u64 = 1 << 17;
const DELEGATED_SHADER: u64 = 1 << 24;

const L2: u32 = 0;
const TILER: u32 = 1 << 8;
const SHADER: u32 = 8 << 8;
const RAYS: u32 = 1 << 16;
const UP: u32 = 0x10;
const DOWN: u32 = 0x11;
const DELEGATE: u32 = 0x20;
const RETRACT: u32 = 0x21;
const RESET: u32 = 0x31;

const NOT_ALLOWED: u32 = 1 << 30;
const INVALID: u32 = 1 << 31;

/// A G1 with clocks and power.
fn on() -> Machine {
    let mut m = Machine::of(&G1_ULTRA);
    m.power();
    m
}

/// Writes a command and lets it end.
fn command(m: &mut Machine, command: u32) {
    m.w(PWR_COMMAND, command);
    m.pass(100_000);
}

/// The same with its L2 on, and with the cores given to the MCU.
fn ready() -> Machine {
    let mut m = on();
    m.w64(PWR_CMDARG, 1);
    for step in [UP | L2, DELEGATE | SHADER, DELEGATE | TILER] {
        command(&mut m, step);
    }
    assert_eq!(m.r64(PWR_L2_READY), 1);
    m.w(PWR_CLEAR, !0);
    m.assert_clean();
    m
}

#[test]
fn a_product_is_what_its_registers_say() {
    for (product, off) in [
        (Product::find("g610").unwrap(), 0x100),
        (&G310, 0x100),
        (&G1_ULTRA, PWR_SHADER_PRESENT),
    ] {
        let mut m = Machine::of(product);
        m.power();
        assert_eq!(m.r(0), product.gpu_id);
        assert_eq!(m.r(0x18), product.as_present);
        assert_eq!(m.r64(off), product.shader_present);
        assert_eq!(m.r64(0x60), product.gpu_features);
        m.assert_clean();
    }
    assert!(Product::find("g77").is_none());
}

#[test]
fn architecture_14_has_no_power_registers_elsewhere_and_others_have_no_pwr_block() {
    let mut m = on();
    m.w(L2_PWRON, 1);
    m.assert_records(&[Kind::Hole]);
    m.w(0x30, 0x101);
    m.assert_records(&[Kind::UnknownCommand]);
    let mut m = Machine::of(&G310);
    m.power();
    m.r(PWR_STATUS);
    m.w(PWR_COMMAND, RESET);
    m.assert_records(&[Kind::Hole, Kind::Hole]);
}

#[test]
fn power_is_commanded_and_reported_on_the_line_of_the_gpu() {
    let mut m = on();
    m.w(PWR_MASK, 1);
    m.w64(PWR_CMDARG, 1);
    m.w(PWR_COMMAND, UP | L2);
    assert_eq!(m.r64(PWR_STATUS) >> 41 & 1, 1);
    assert_eq!(m.r64(PWR_L2_READY), 0);
    m.pass(100_000);
    assert_eq!(m.r64(PWR_L2_READY), 1);
    assert_eq!(m.r64(PWR_STATUS) >> 41 & 1, 0);
    assert_eq!(m.r(PWR_RAWSTAT), 3);
    assert!(m.is_high(Line::Gpu));
    m.w(PWR_CLEAR, 3);
    assert!(!m.is_high(Line::Gpu));
    assert_eq!(m.count(Counter::L2On), 1);
    m.assert_clean();
}

#[test]
fn a_domain_changes_hands_by_delegate_and_retract() {
    let mut m = ready();
    let status = m.r64(PWR_STATUS);
    assert_eq!(status & ALLOW_SHADER, 0);
    let delegated = DELEGATED_SHADER | DELEGATED_TILER;
    assert_eq!(status & delegated, delegated);
    m.w(PWR_COMMAND, RETRACT | SHADER);
    assert_eq!(m.r64(PWR_STATUS) >> 43 & 1, 1);
    m.pass(10_000);
    let status = m.r64(PWR_STATUS);
    assert_eq!(status >> 43 & 1, 0);
    assert_eq!(status & (ALLOW_SHADER | DELEGATED_SHADER), ALLOW_SHADER);
    assert_eq!(m.r(PWR_RAWSTAT), 1 << 2 | 1 << 4);
    m.assert_clean();
}

#[test]
fn what_is_not_allowed_is_refused_and_recorded() {
    let mut m = on();
    let refused = |m: &mut Machine, value: u32, kind: Kind| {
        m.w(PWR_COMMAND, value);
        m.assert_records(&[kind]);
        assert_eq!(m.r(PWR_RAWSTAT) & NOT_ALLOWED, NOT_ALLOWED);
        m.w(PWR_CLEAR, NOT_ALLOWED);
    };
    m.w64(PWR_CMDARG, 1);
    refused(&mut m, DELEGATE | SHADER, Kind::PwrNotAllowed);
    refused(&mut m, DELEGATE | L2, Kind::PwrNotAllowed);
    refused(&mut m, UP | SHADER | RAYS, Kind::PowerOrder);
    let mut m = ready();
    refused(&mut m, DELEGATE | SHADER, Kind::PwrNotAllowed);
    refused(&mut m, UP | SHADER | RAYS, Kind::PwrDelegation);
    command(&mut m, RETRACT | SHADER);
    refused(&mut m, RETRACT | SHADER, Kind::PwrNotAllowed);
    command(&mut m, UP | SHADER | RAYS);
    assert_eq!(m.r64(PWR_SHADER_READY), 1);
    refused(&mut m, DOWN | L2, Kind::PowerOrder);
    refused(&mut m, DOWN | SHADER, Kind::PowerOrder);
    command(&mut m, DOWN | SHADER | RAYS);
    m.w(PWR_COMMAND, DOWN | L2);
    refused(&mut m, DOWN | L2, Kind::PowerBusy);
}

#[test]
fn what_makes_no_sense_is_invalid() {
    let mut m = ready();
    for value in [
        0,
        UP | 5 << 8,
        UP | L2 | RAYS,
        DELEGATE | SHADER | RAYS,
        RESET | TILER,
        1 << 24,
    ] {
        m.w(PWR_COMMAND, value);
        m.assert_records(&[Kind::UnknownCommand]);
        assert_eq!(m.r(PWR_RAWSTAT), INVALID);
        m.w(PWR_CLEAR, INVALID);
    }
}

#[test]
fn the_mcu_switches_only_what_is_its_own() {
    let mut m = ready();
    let cores = G1_ULTRA.shader_present;
    m.gpu.parts(&m.host).1.power_cores(cores, 1);
    m.pass(100_000);
    assert_eq!(m.r64(PWR_SHADER_READY), cores);
    m.assert_clean();
    command(&mut m, RETRACT | TILER);
    m.gpu.parts(&m.host).1.power_cores(0, 1);
    m.assert_records(&[Kind::PwrDelegation]);
    m.gpu.parts(&m.host).1.power_cores(0, 0);
    m.pass(100_000);
    assert_eq!(m.r64(PWR_SHADER_READY), 0);
    m.assert_clean();
}

#[test]
fn a_reset_takes_every_domain_back_and_only_its_status_answers_meanwhile() {
    let mut m = ready();
    m.w(PWR_MASK, 1 << 3);
    m.w(PWR_COMMAND, RESET);
    assert_eq!(m.r64(PWR_STATUS), 1 << 42);
    m.assert_clean();
    m.w(PWR_COMMAND, RESET);
    m.r(PWR_L2_READY);
    m.assert_records(&[Kind::InReset, Kind::InReset]);
    m.pass(1_000_000);
    assert_eq!(m.r(PWR_RAWSTAT), 1 << 3);
    assert!(m.is_high(Line::Gpu));
    m.w(PWR_CLEAR, !0);
    assert_eq!(m.r64(PWR_L2_READY), 0);
    let delegated = DELEGATED_SHADER | DELEGATED_TILER;
    assert_eq!(m.r64(PWR_STATUS) & delegated, 0);
    assert_eq!(m.count(Counter::SoftReset), 1);
    m.assert_clean();
}

#[test]
fn refusals_and_hangs_on_request() {
    let mut m = ready();
    m.inject("pwr refuse 1");
    m.w(PWR_COMMAND, RETRACT | SHADER);
    assert_eq!(m.r(PWR_RAWSTAT), NOT_ALLOWED);
    m.w(PWR_CLEAR, !0);
    m.inject("pwr hang");
    m.gpu.clear_pwr_log();
    m.inject("pwr refuse 2");
    command(&mut m, RETRACT | SHADER);
    command(&mut m, DOWN | L2);
    let mut log = String::new();
    m.gpu.show_pwr_log(&mut log).unwrap();
    assert_eq!(log, "retract shader\n!down l2\n");
    m.w(PWR_CLEAR, !0);
    assert_eq!(m.r64(PWR_STATUS) >> 43 & 1, 1);
    m.inject("clear");
    m.pass(10_000);
    assert_eq!(m.r64(PWR_STATUS) >> 43 & 1, 0);
    m.inject("l2 hang");
    command(&mut m, DOWN | L2);
    assert_eq!(m.r64(0x910), 1);
    m.inject("clear");
    m.pass(100_000);
    assert_eq!(m.r64(0x910), 0);
    m.assert_clean();
}
