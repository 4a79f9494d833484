// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The register file as such.

use super::machine::*;
use crate::record::Kind;

/// Everything that identifies the chip: offset and value on an RK3588.
const IDENTITY: &[(u32, u32)] = &[
    (0x000, 0xa867_0005),
    (0x004, 0x0712_0306),
    (0x008, 0),
    (0x00c, 0x809),
    (0x010, 0x301),
    (0x014, 0x2830),
    (0x018, 0xff),
    (0x01c, 0x040a_0412),
    (0x060, 0),
    (0x064, 0),
    (0x0a0, 2048),
    (0x0a4, 1024),
    (0x0a8, 1024),
    (0x0ac, 0x0401_0000),
    (0x0b0, 0xc1ff_ff9e),
    (0x0b4, 0),
    (0x0b8, 0),
    (0x0bc, 0),
    (0x100, 0x5_0005),
    (0x104, 0),
    (0x110, 1),
    (0x114, 0),
    (0x120, 1),
    (0x124, 0),
    (0x280, 0),
    (0x300, 1),
];

#[test]
fn another_id_is_read_until_it_behaves_well_again() {
    let mut m = Machine::on();
    m.inject("gpu id 0xe0000000");
    assert_eq!(m.r(0), 0xe000_0000);
    m.inject("clear");
    assert_eq!(m.r(0), 0xa867_0005);
    m.assert_clean();
}

#[test]
fn a_g610_shows_the_ids_and_features_of_the_rk3588() {
    let mut m = Machine::on();
    for &(off, value) in IDENTITY {
        assert_eq!(m.r(off), value, "0x{off:x}");
    }
    m.assert_clean();
}

#[test]
fn what_identifies_the_chip_cannot_be_written() {
    let mut m = Machine::on();
    for &(off, value) in IDENTITY {
        m.w(off, !value);
        m.assert_records(&[Kind::ReadOnly]);
        assert_eq!(m.r(off), value, "0x{off:x}");
    }
}

#[test]
fn state_that_only_the_hardware_changes_cannot_be_written() {
    let mut m = Machine::on();
    let read_only = [
        0x20, 0x2c, 0x34, 0x3c, 0x40, 0x44, 0x90, 0x94, 0x98, 0x9c, 0x140, 0x150, 0x160, 0x200,
        0x210, 0x220, 0x240, 0x250, 0x260, 0x704, 0x1000, 0x100c, 0x2000, 0x200c, 0x241c, 0x2420,
        0x2424, 0x2428, 0x2438, 0x1_0000,
    ];
    for off in read_only {
        m.w(off, 1);
        m.assert_records(&[Kind::ReadOnly]);
    }
}

#[test]
fn requests_and_commands_cannot_be_read() {
    let mut m = Machine::on();
    let write_only = [
        0x24, 0x30, 0x50, 0x180, 0x190, 0x1a0, 0x1c0, 0x1d0, 0x1e0, 0x1004, 0x2004, 0x2418,
        0x8_0000,
    ];
    for off in write_only {
        assert_eq!(m.r(off), 0);
        m.assert_records(&[Kind::WriteOnly]);
    }
}

#[test]
fn an_address_without_a_register_is_a_hole() {
    let mut m = Machine::on();
    for off in [
        0x38,
        0x4c,
        0x68,
        0x130,
        0x148 + 0x30,
        0x2c0,
        0x400,
        0x708,
        0x1010,
        0x2010,
        0x242c,
    ] {
        assert_eq!(m.r(off), 0, "0x{off:x}");
        m.w(off, 1);
        m.assert_records(&[Kind::Hole, Kind::Hole]);
    }
    // Just behind a doorbell, behind the last one, and behind LATEST_FLUSH.
    for off in [0x8_0004, 0x1f_fffc, 0x1_0004] {
        m.w(off, 1);
        m.assert_records(&[Kind::Hole]);
    }
}

#[test]
fn nothing_but_aligned_words_is_carried_out() {
    let mut m = Machine::on();
    m.gpu.access_other(&m.host, 0x100, 8, false);
    m.gpu.access_other(&m.host, 0x2400, 8, true);
    m.gpu.access_other(&m.host, 0, 1, false);
    m.assert_records(&[Kind::Width; 3]);
    m.r(2);
    m.w(0x2401, 1);
    m.r(0x20_0000);
    m.assert_records(&[Kind::Width; 3]);
    assert_eq!(m.r64(slot(0, TRANSTAB)), 0);
}

#[test]
fn a_slot_that_is_not_present_cannot_be_programmed() {
    let mut m = Machine::on();
    m.w(slot(8, TRANSTAB), 0x1000);
    m.r(slot(15, STATUS));
    m.assert_records(&[Kind::AsAbsent, Kind::AsAbsent]);
}

#[test]
fn the_halves_of_a_64_bit_register_are_independent() {
    let mut m = Machine::on();
    m.w64(slot(3, TRANSTAB), 0x12_3456_7000);
    m.w(slot(3, TRANSTAB) + 4, 0x99);
    assert_eq!(m.r64(slot(3, TRANSTAB)), 0x99_3456_7000);
    m.w64(0x88, 0x1_0000_0002);
    assert_eq!(m.r64(0x88), 0x1_0000_0002);
    m.assert_clean();
}

#[test]
fn the_timestamp_runs_at_24_mhz_and_adds_its_offset() {
    let mut m = Machine::on();
    let first = m.r64(0x98);
    m.jump(1_000_000_000);
    assert_eq!(m.r64(0x98) - first, 24_000_000);
    m.w64(0x88, 1 << 40);
    assert_eq!(m.r64(0x98) - first, 24_000_000 + (1 << 40));
    m.assert_clean();
}

#[test]
fn the_cycle_counter_follows_the_clock() {
    let mut m = Machine::on();
    m.gpu.set_rate(&m.host, 500_000_000);
    let first = m.r64(0x90);
    m.jump(1_000_000);
    assert_eq!(m.r64(0x90) - first, 500_000);
    m.gpu.set_voltage(&m.host, 850_000);
    m.gpu.set_rate(&m.host, 1_000_000_000);
    m.jump(1_000_000);
    assert_eq!(m.r64(0x90) - first, 1_500_000);
    m.gpu.set_clock(&m.host, crate::Clock::Core, false);
    m.jump(1_000_000);
    m.gpu.set_clock(&m.host, crate::Clock::Core, true);
    assert_eq!(m.r64(0x90) - first, 1_500_000);
    m.assert_clean();
}

#[test]
fn power_overrides_open_with_the_key_and_for_one_write_only() {
    let mut m = Machine::on();
    m.w(0x54, 1);
    m.assert_records(&[Kind::ReadOnly]);
    m.w(0x50, 0x2968_a819);
    m.w(0x58, 7);
    assert_eq!(m.r(0x58), 7);
    m.assert_clean();
    m.w(0x58, 8);
    m.assert_records(&[Kind::ReadOnly]);
    m.w(0x50, 1);
    m.assert_records(&[Kind::Reserved]);
}

#[test]
fn reserved_bits_of_the_l2_configuration_are_noticed() {
    let mut m = Machine::on();
    m.w(0x48, 1 << 24);
    m.assert_clean();
    m.w(0x48, 1 << 12);
    m.assert_records(&[Kind::Reserved]);
}

#[test]
fn every_kind_of_record_has_a_name_of_its_own_and_is_found_by_it() {
    for (i, &kind) in Kind::ALL.iter().enumerate() {
        assert_eq!(Kind::from_name(kind.name()), Some(kind));
        assert!(kind.text().ends_with('.'));
        assert!(Kind::ALL
            .iter()
            .skip(i + 1)
            .all(|k| k.name() != kind.name()));
    }
    assert_eq!(Kind::from_name("nothing"), None);
}

#[test]
fn a_record_can_be_provoked_to_see_whether_it_is_noticed() {
    let mut m = Machine::on();
    m.inject("provoke");
    m.assert_records(&[Kind::Provoked]);
}

#[test]
fn records_name_kind_place_and_value() {
    let mut m = Machine::on();
    m.w(0x4c, 0x55);
    let text = std::format!("{}", m.gpu.records().iter().next().unwrap());
    assert_eq!(text, "hole reg 0x4c value 0x55 (write)");
}

#[test]
fn more_records_than_are_kept_are_still_counted() {
    let mut m = Machine::on();
    for _ in 0..300 {
        m.r(0x4c);
    }
    assert_eq!(m.gpu.records().total(), 300);
    assert_eq!(m.gpu.records().iter().count(), 256);
    assert_eq!(m.gpu.records().count_of(Kind::Hole), 256);
}
