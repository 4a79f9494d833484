// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The MCU boots what was loaded as the image asks for, and nothing else.

use std::format;

use mkfw::malformed;
use mkfw::malformed::Verdict;

use super::machine::EXECUTE_NEVER;
use super::machine::PAGE_RW;
use super::machine::READ_ONLY;
use super::rig::image;
use super::rig::Rig;
use super::rig::DISABLED;
use super::rig::ENABLED;
use super::rig::FATAL;
use super::rig::GLB_IN;
use super::rig::GLOBAL;
use super::rig::HALTED;
use super::rig::JOB_CLEAR;
use super::rig::JOB_RAWSTAT;
use super::rig::MCU_CONTROL;
use super::rig::MCU_STATUS;
use crate::counters::Counter;
use crate::mcu::layout::csg_control;
use crate::mcu::layout::glb_control;
use crate::mcu::layout::glb_in;
use crate::record::Kind;

/// Addresses in the test image.
const CODE: u64 = 0x0080_0000;
const DATA: u64 = 0x0200_0000;

#[test]
fn a_well_loaded_image_boots_and_fills_in_the_interface() {
    let mut rig = Rig::loaded(&image().bytes);
    assert_eq!(rig.m.r(MCU_STATUS), DISABLED);
    assert_eq!(rig.get(glb_control::VERSION), 0);
    rig.boot();
    assert_eq!(rig.m.r(MCU_STATUS), ENABLED);
    assert_eq!(rig.m.r(JOB_RAWSTAT), GLOBAL);
    assert_eq!(rig.get(glb_control::VERSION), 0x0101_0000);
    for group in 0..8 {
        let at = 0x1000 + group * 0xa0;
        assert_eq!(rig.get(at + csg_control::STREAM_NUM), 8);
        assert_eq!(rig.get(at + csg_control::SUSPEND_SIZE), 0x4000);
        for stream in 0..8 {
            // 96 registers, 8 scoreboard entries, all endpoints.
            assert_eq!(rig.get(at + 0x40 + stream * 0xc), 95 | 8 << 8 | 7 << 16);
        }
    }
    assert_eq!(rig.m.count(Counter::McuBoot), 1);
    rig.m.assert_clean();
}

#[test]
fn every_image_that_a_loader_cannot_refuse_is_refused_by_the_processor() {
    let mut refused = 0;
    for case in malformed::cases() {
        let boots = match case.verdict {
            Verdict::Refused(_) => continue,
            Verdict::BootFails => false,
            Verdict::Loads => true,
        };
        let mut rig = Rig::loaded(&case.bytes);
        rig.boot();
        let name = &case.name;
        if boots {
            assert_eq!(rig.m.r(MCU_STATUS), ENABLED, "{name}");
            rig.m.assert_clean();
        } else {
            refused += 1;
            assert_eq!(rig.m.r(MCU_STATUS), FATAL, "{name}");
            assert_eq!(rig.m.kinds(), [Kind::McuImage], "{name}");
            assert_eq!(rig.m.r(JOB_RAWSTAT), 0, "{name}");
            assert_ne!(rig.get(glb_control::VERSION), 0x0101_0000, "{name}");
        }
    }
    assert!(refused > 20);
}

/// Changes the rights of one page and expects the boot to fail with this note.
fn with_rights(va: u64, flags: u64, note: &str) {
    let mut rig = Rig::loaded(&image().bytes);
    let at = rig.m.entry(rig.mcu_root, va, 3);
    let pa = rig.m.peek64(at) & 0xffff_ffff_f000;
    rig.m.poke64(at, pa | flags);
    rig.boot();
    assert_eq!(rig.m.r(MCU_STATUS), FATAL, "{note}");
    let said = format!("{}", rig.m.host.seen.borrow()[0]);
    assert!(said.contains(note), "{said}");
    rig.m.assert_records(&[Kind::McuImage]);
}

#[test]
fn wrong_rights_are_refused() {
    with_rights(0, PAGE_RW | EXECUTE_NEVER, "vector table is writable");
    with_rights(CODE, PAGE_RW, "mapped writable but must not be");
    with_rights(
        CODE,
        PAGE_RW | READ_ONLY | EXECUTE_NEVER,
        "not in executable memory",
    );
    with_rights(
        DATA,
        PAGE_RW | READ_ONLY | EXECUTE_NEVER,
        "not in writable memory",
    );
    with_rights(DATA, PAGE_RW, "mapped executable but must not be");
    let shared = PAGE_RW | READ_ONLY | EXECUTE_NEVER;
    with_rights(0x0400_9000, shared, "not mapped writable");
}

#[test]
fn a_tail_that_was_not_cleared_is_refused() {
    for va in [DATA + 0x800, 0x0400_f000] {
        let mut rig = Rig::loaded(&image().bytes);
        let at = rig.m.entry(rig.mcu_root, va, 3);
        let pa = rig.m.peek64(at) & 0xffff_ffff_f000;
        rig.m.poke64(pa + va % 0x1000 + 8, 1 << 32);
        rig.boot();
        let said = format!("{}", rig.m.host.seen.borrow()[0]);
        assert!(said.contains("tail is not zero"), "{said}");
    }
}

#[test]
fn nothing_boots_without_an_address_space() {
    let mut rig = Rig::loaded(&image().bytes);
    rig.m.disable(0);
    rig.boot();
    assert_eq!(rig.m.r(MCU_STATUS), FATAL);
    rig.m.assert_records(&[Kind::McuImage]);
}

/// Takes table and mark out of the image: it is like one of other origin then.
fn without_table() -> Rig {
    let mut rig = Rig::loaded(&image().bytes);
    for va in [0x1c, CODE + 0x108] {
        let at = rig.m.entry(rig.mcu_root, va, 3);
        let pa = rig.m.peek64(at) & 0xffff_ffff_f000;
        rig.m.poke64(pa + va % 0x1000, 0);
    }
    rig
}

#[test]
fn firmware_without_a_table_is_checked_as_far_as_can_be() {
    let mut rig = without_table();
    rig.boot();
    assert_eq!(rig.m.r(MCU_STATUS), ENABLED);
    assert_eq!(rig.get(glb_control::VERSION), 0x0101_0000);
    rig.m.assert_clean();

    let mut rig = without_table();
    rig.put(glb_control::GROUP_NUM, 0);
    rig.boot();
    assert_eq!(rig.m.r(MCU_STATUS), FATAL);
    rig.m.assert_records(&[Kind::McuImage]);
}

#[test]
fn a_halted_firmware_boots_again_with_what_it_left_behind() {
    let mut rig = Rig::booted();
    rig.set_req(GLB_IN + glb_in::REQ, glb_in::HALT, glb_in::HALT);
    rig.ring_global();
    assert_eq!(rig.m.r(MCU_STATUS), HALTED);
    rig.m.w(MCU_CONTROL, 0);
    assert_eq!(rig.m.r(MCU_STATUS), DISABLED);
    rig.set_req(GLB_IN + glb_in::REQ, glb_in::HALT, 0);
    rig.m.w(JOB_CLEAR, !0);
    assert_eq!(rig.m.count(Counter::McuResume), 0);
    rig.boot();
    assert_eq!(rig.m.r(MCU_STATUS), ENABLED);
    assert_eq!(rig.m.r(JOB_RAWSTAT), GLOBAL);
    assert_eq!(rig.m.count(Counter::McuResume), 1);
    rig.m.assert_clean();
}

#[test]
fn a_firmware_that_was_cut_off_must_be_loaded_anew() {
    let mut rig = Rig::booted();
    rig.m.w(MCU_CONTROL, 0);
    rig.boot();
    assert_eq!(rig.m.r(MCU_STATUS), FATAL);
    let said = format!("{}", rig.m.host.seen.borrow()[0]);
    assert!(said.contains("not reloaded"), "{said}");
    rig.m.assert_records(&[Kind::McuImage]);
}

#[test]
fn pings_are_acknowledged_and_ignored_on_request() {
    let mut rig = Rig::booted();
    for _ in 0..2 {
        let ack = rig.get(super::rig::GLB_OUT);
        rig.set_req(GLB_IN, glb_in::PING, !ack);
        rig.ring_global();
        assert_eq!(
            (rig.get(GLB_IN) ^ rig.get(super::rig::GLB_OUT)) & glb_in::PING,
            0
        );
        assert_eq!(rig.m.r(JOB_RAWSTAT), GLOBAL);
        rig.m.w(JOB_CLEAR, !0);
    }
    rig.m.inject("mcu ping ignore");
    let ack = rig.get(super::rig::GLB_OUT);
    rig.set_req(GLB_IN, glb_in::PING, !ack);
    rig.ring_global();
    assert_eq!(
        (rig.get(GLB_IN) ^ rig.get(super::rig::GLB_OUT)) & glb_in::PING,
        glb_in::PING
    );
    assert_eq!(rig.m.r(JOB_RAWSTAT), 0);
}

#[test]
fn boots_hang_or_fail_on_request() {
    let mut rig = Rig::loaded(&image().bytes);
    rig.m.inject("mcu boot hang");
    rig.boot();
    assert_eq!(rig.m.r(JOB_RAWSTAT), 0);
    let mut rig = Rig::loaded(&image().bytes);
    rig.m.inject("mcu boot fatal");
    rig.boot();
    assert_eq!(rig.m.r(MCU_STATUS), FATAL);
    rig.m.assert_clean();
}
