// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Faults: what a walk refuses, how it is reported, and what happens to who caused it.

use super::machine::*;
use crate::counters::Counter;
use crate::host::Line;
use crate::mmu::Access;
use crate::mmu::Fault;
use crate::mmu::MmuError;
use crate::record::Kind;

const VA: u64 = 0x1_2345_6000;

/// EXCEPTION_TYPE of the fault that an access ends with.
fn code(result: Result<u64, MmuError>) -> u8 {
    match result {
        Err(MmuError::Fault(fault)) => fault.code,
        other => panic!("no fault but {other:?}"),
    }
}

/// A space with one page at [`VA`] with these flags.
fn with_page(flags: u64) -> Machine {
    let (mut m, root) = Machine::translating();
    let page = m.page();
    m.map(root, VA, page, flags);
    m
}

#[test]
fn an_unmapped_address_faults_at_the_level_where_the_walk_ends() {
    let (mut m, root) = Machine::translating();
    assert_eq!(code(m.load(1, VA)), 0xc0);
    for level in 1..4u8 {
        m.enable(1, root);
        m.entry(root, VA, u32::from(level));
        assert_eq!(code(m.load(1, VA)), 0xc0 + level);
    }
    m.assert_clean();
}

#[test]
fn a_fault_shows_in_status_address_and_interrupt() {
    let mut m = with_page(PAGE_RW | READ_ONLY);
    m.w(MMU_MASK, 0xffff);
    let fault = Fault {
        as_nr: 1,
        va: VA + 8,
        code: 0xcb,
        access: Access::Write,
        source: 0x1234,
    };
    assert_eq!(m.store(1, VA + 8, 0), Err(MmuError::Fault(fault)));
    assert!(m.is_high(Line::Mmu));
    assert_eq!(m.r(MMU_RAWSTAT) & 0xffff, 1 << 1);
    assert_eq!(m.r(slot(1, FAULTSTATUS)), 0x1234_03cb);
    assert_eq!(m.r64(slot(1, FAULTADDRESS)), VA + 8);
    m.w(MMU_CLEAR, 1 << 1);
    assert!(!m.is_high(Line::Mmu));
    assert_eq!(m.count(Counter::Faults), 1);
    m.assert_clean();
}

#[test]
fn the_access_type_is_reported() {
    for (access, value) in [(Access::Atomic, 0), (Access::Execute, 1), (Access::Read, 2)] {
        let (mut m, _) = Machine::translating();
        m.read(1, VA, access).unwrap_err();
        assert_eq!((m.r(slot(1, FAULTSTATUS)) >> 8) & 3, value);
    }
}

#[test]
fn read_only_memory_takes_loads_and_fetches_but_no_stores_or_atomics() {
    let mut m = with_page(PAGE_RW | READ_ONLY);
    m.load(1, VA).unwrap();
    m.read(1, VA, Access::Execute).unwrap();
    assert_eq!(code(m.read(1, VA, Access::Atomic)), 0xcb);
    m.assert_clean();
}

#[test]
fn execute_never_memory_takes_no_fetches() {
    let mut m = with_page(PAGE_RW | EXECUTE_NEVER);
    m.load(1, VA).unwrap();
    m.store(1, VA, 1).unwrap();
    assert_eq!(code(m.read(1, VA, Access::Execute)), 0xcb);
    m.assert_clean();
}

#[test]
fn privileged_memory_is_not_for_the_gpu() {
    let mut m = with_page(PAGE_RW & !(1 << 6));
    assert_eq!(code(m.load(1, VA)), 0xcb);
}

#[test]
fn memory_without_the_access_flag_faults_unless_that_is_switched_off() {
    let (mut m, root) = Machine::translating();
    m.map(root, VA, RAM, PAGE_RW & !(1 << 10));
    assert_eq!(code(m.load(1, VA)), 0xdb);
    m.configure(1, root, TRANSCFG_4K | (1 << 34), ATTRIBUTES);
    m.load(1, VA).unwrap();
    m.assert_clean();
}

#[test]
fn an_attribute_of_the_faulting_type_faults() {
    let mut m = with_page(PAGE_RW | (7 << 2));
    assert_eq!(code(m.load(1, VA)), 0xeb);
}

#[test]
fn addresses_wider_than_the_space_fault() {
    let (mut m, root) = Machine::translating();
    assert_eq!(code(m.load(1, 1 << 48)), 0xe0);
    // A space of 39 bits starts a level further down.
    m.configure(
        1,
        root,
        (TRANSCFG_4K & !(0x1f << 6)) | (16 << 6),
        ATTRIBUTES,
    );
    assert_eq!(code(m.load(1, 1 << 39)), 0xe0);
    m.enable(1, root);
    m.configure(
        1,
        root,
        (TRANSCFG_4K & !(0x1f << 6)) | (16 << 6),
        ATTRIBUTES,
    );
    assert_eq!(code(m.load(1, 1 << 38)), 0xc1);
    m.assert_clean();
}

#[test]
fn restrictions_of_the_tables_above_apply() {
    let (mut m, root) = Machine::translating();
    m.map(root, VA, RAM, PAGE_RW);
    let at = m.entry(root, VA, 1);
    let table = m.peek64(at);
    m.poke64(at, table | (1 << 62));
    assert_eq!(m.store(1, VA, 1).map_err(|_| ()), Err(()));
    m.poke64(at, table | (1 << 60));
    m.enable(1, root);
    assert_eq!(code(m.read(1, VA, Access::Execute)), 0xcb);
    m.poke64(at, table | (1 << 61));
    m.enable(1, root);
    assert_eq!(code(m.load(1, VA)), 0xcb);
    m.configure(1, root, TRANSCFG_4K | (1 << 33), ATTRIBUTES);
    m.load(1, VA).unwrap();
    m.assert_clean();
}

#[test]
fn writable_memory_is_not_executable_if_that_is_asked_for() {
    let (mut m, root) = Machine::translating();
    m.map(root, VA, RAM, PAGE_RW);
    m.read(1, VA, Access::Execute).unwrap();
    m.configure(1, root, TRANSCFG_4K | (1 << 35), ATTRIBUTES);
    assert_eq!(code(m.read(1, VA, Access::Execute)), 0xcb);
}

#[test]
fn after_a_fault_further_faults_wait_until_the_slot_is_updated() {
    let (mut m, root) = Machine::translating();
    m.map(root, 0x1000, RAM, PAGE_RW);
    m.load(1, VA).unwrap_err();
    let status = m.r(slot(1, FAULTSTATUS));
    m.w(MMU_CLEAR, !0);
    // The same requester, and another one elsewhere.
    assert_eq!(m.load(1, VA), Err(MmuError::Stalled));
    assert_eq!(m.store(1, 0x5000, 0), Err(MmuError::Stalled));
    assert_eq!(m.r(MMU_RAWSTAT), 0);
    assert_eq!(m.r(slot(1, FAULTSTATUS)), status);
    // Good accesses go on.
    m.load(1, 0x1000).unwrap();
    // Repaired, the access succeeds.
    m.map(root, VA, RAM, PAGE_RW);
    m.enable(1, root);
    m.load(1, VA).unwrap();
    m.assert_clean();
}

#[test]
fn disabling_the_slot_terminates_who_faulted() {
    let (mut m, _) = Machine::translating();
    m.load(1, VA).unwrap_err();
    m.w(MMU_CLEAR, !0);
    m.disable(1);
    m.w(MMU_CLEAR, !0);
    assert_eq!(m.load(1, VA), Err(MmuError::Aborted));
    assert_eq!(m.r(MMU_RAWSTAT), 0);
    m.assert_clean();
}

/// Seed rule E14: what happens in another space leaves the MCU's alone.
#[test]
fn a_fault_in_one_space_does_not_stop_another() {
    let (mut m, root) = Machine::translating();
    m.map(root, 0x1000, RAM, PAGE_RW);
    m.enable(0, root);
    m.load(1, VA).unwrap_err();
    m.load(0, 0x1000).unwrap();
    m.load(0, VA).unwrap_err();
    assert_eq!(m.r(MMU_RAWSTAT) & 0xffff, 3);
}

#[test]
fn a_store_that_crosses_into_an_unmapped_page_writes_nothing() {
    let (mut m, root) = Machine::translating();
    let page = m.page();
    m.map(root, VA, page, PAGE_RW);
    m.poke64(page + 0xff8, 0x1111_1111_1111_1111);
    let (_, mut bus) = m.gpu.parts(&m.host);
    let who = crate::mmu::Requester {
        as_nr: 1,
        source: 0,
    };
    assert!(bus.write(who, VA + 0xff8, &[0; 16]).is_err());
    assert_eq!(m.peek64(page + 0xff8), 0x1111_1111_1111_1111);
    assert_eq!(m.r64(slot(1, FAULTADDRESS)), VA + 0x1000);
}

#[test]
fn accesses_may_cross_pages_that_are_not_contiguous() {
    let (mut m, root) = Machine::translating();
    let (first, gap, second) = (m.page(), m.page(), m.page());
    m.map(root, VA, first, PAGE_RW);
    m.map(root, VA + 0x1000, second, PAGE_RW);
    let (_, mut bus) = m.gpu.parts(&m.host);
    let who = crate::mmu::Requester {
        as_nr: 1,
        source: 0,
    };
    let mut data = [7; 16];
    bus.write(who, VA + 0xff8, &data).unwrap();
    data = [0; 16];
    bus.read(who, VA + 0xff8, Access::Read, &mut data).unwrap();
    assert_eq!(data, [7; 16]);
    assert_eq!(m.peek64(gap), 0);
    assert_eq!(m.peek64(second), 0x0707_0707_0707_0707);
    m.assert_clean();
}

#[test]
fn memory_that_was_never_given_to_the_device_is_out_of_bounds() {
    let (mut m, root) = Machine::translating();
    m.map(root, VA, RAM + RAM_SIZE, PAGE_RW);
    assert_eq!(m.load(1, VA), Err(MmuError::Aborted));
    assert_eq!(m.store(1, VA, 0), Err(MmuError::Aborted));
    m.assert_records(&[Kind::DmaOutsideRam, Kind::DmaOutsideRam]);
}

#[test]
fn tables_outside_of_the_devices_memory_are_recorded() {
    let mut m = Machine::ready();
    m.enable(1, RAM + RAM_SIZE);
    assert_eq!(m.load(1, VA), Err(MmuError::Aborted));
    m.assert_records(&[Kind::WalkOutsideRam]);
}

#[test]
fn entries_of_reserved_types_are_recorded_and_fault() {
    let (mut m, root) = Machine::translating();
    // A block at level 0.
    let at = m.entry(root, VA, 0);
    m.poke64(at, RAM | BLOCK_RW);
    assert_eq!(code(m.load(1, VA)), 0xc0);
    m.assert_records(&[Kind::PteReserved]);
    // No page at level 3.
    m.poke64(at, 0);
    m.enable(1, root);
    m.map(root, VA, RAM, PAGE_RW & !2);
    assert_eq!(code(m.load(1, VA)), 0xc3);
    m.assert_records(&[Kind::PteReserved]);
}

#[test]
fn output_addresses_beyond_40_bits_are_recorded_and_fault() {
    let mut m = Machine::translating().0;
    let root = m.r64(slot(1, TRANSTAB));
    m.map(root, VA, 1 << 40, PAGE_RW);
    assert_eq!(code(m.load(1, VA)), 0xe7);
    m.assert_records(&[Kind::PteReserved]);
}

#[test]
fn reserved_bits_of_entries_are_recorded() {
    let (mut m, root) = Machine::translating();
    m.map(root, VA, RAM | (1 << 50), PAGE_RW);
    m.load(1, VA).unwrap();
    m.assert_records(&[Kind::PteReserved]);
    // A block of 2 MiB at an odd page.
    let at = m.entry(root, 0x4000_0000, 2);
    m.poke64(at, (RAM + 0x1000) | BLOCK_RW);
    m.load(1, 0x4000_0000).unwrap();
    m.assert_records(&[Kind::PteReserved]);
}

#[test]
fn attributes_that_contradict_the_set_up_are_recorded() {
    // Reserved shareability.
    let mut m = with_page((PAGE_RW & !(3 << 8)) | (1 << 8));
    m.load(1, VA).unwrap();
    m.assert_records(&[Kind::PteAttributes]);
    // Write-back and outer shareable on a bus that is not coherent.
    let mut m = with_page((PAGE_RW & !(3 << 8)) | (2 << 8));
    m.load(1, VA).unwrap();
    m.assert_records(&[Kind::PteAttributes]);
    // Not cacheable and outer shareable is what uncached memory is.
    let mut m = with_page((PAGE_RW & !(3 << 8) & !(7 << 2)) | (2 << 8));
    m.load(1, VA).unwrap();
    m.assert_clean();
    // Write-back and shared with the CPU on a bus that is not coherent.
    let (mut m, root) = Machine::translating();
    m.map(root, VA, RAM, PAGE_RW);
    m.configure(1, root, TRANSCFG_4K, ATTRIBUTES | 0x1000);
    m.load(1, VA).unwrap();
    m.assert_records(&[Kind::PteAttributes]);
}

#[test]
fn an_address_faults_on_request_and_once() {
    let (mut m, root) = Machine::translating();
    m.map(root, VA, RAM, PAGE_RW);
    m.load(1, VA).unwrap();
    m.inject("fault va 1 0x123456008");
    assert_eq!(code(m.load(1, VA + 16)), 0xc3);
    // As with tables that do not permit it, it is no better a moment later.
    assert_eq!(m.load(1, VA), Err(MmuError::Stalled));
    m.enable(1, root);
    m.load(1, VA).unwrap();
    m.inject("fault va 1 0x123456008 0xea");
    assert_eq!(code(m.load(1, VA)), 0xea);
    m.enable(1, root);
    m.load(1, VA).unwrap();
    m.assert_clean();
}
