// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The command protocol of address space slots, and what it refuses.

use super::machine::*;
use crate::counters::Counter;
use crate::mmu::MmuError;
use crate::record::Kind;

#[test]
fn a_slot_is_active_until_its_command_is_complete() {
    let mut m = Machine::ready();
    m.w64(slot(0, TRANSCFG), 1);
    m.w(slot(0, COMMAND), UPDATE);
    assert_eq!(m.r(slot(0, STATUS)), 1);
    m.pass(10_000);
    assert_eq!(m.r(slot(0, STATUS)), 0);
    // The completion shows in the upper half of the interrupt block.
    assert_eq!(m.r(MMU_RAWSTAT), 1 << 16);
    assert_eq!(m.count(Counter::AsUpdate), 1);
    m.assert_clean();
}

#[test]
fn who_polls_does_so_twice_however_fast_the_host_is() {
    let mut m = Machine::ready();
    for wait in [0, 1_000, 1_000_000] {
        m.w64(slot(0, TRANSCFG), 1);
        m.w(slot(0, COMMAND), UPDATE);
        m.jump(wait);
        assert_eq!(m.r(slot(0, STATUS)), 1);
        assert_eq!(m.r(slot(0, STATUS)), 0);
    }
    m.assert_clean();
}

#[test]
fn a_command_that_nobody_polls_for_completes_all_the_same() {
    let mut m = Machine::ready();
    m.w64(slot(0, TRANSCFG), 1);
    m.w(slot(0, COMMAND), UPDATE);
    m.pass(10_000);
    assert_eq!(m.r(MMU_RAWSTAT), 1 << 16);
    m.w(slot(0, COMMAND), UPDATE);
    m.assert_clean();
}

#[test]
fn slots_work_on_their_own() {
    let mut m = Machine::ready();
    for n in 0..8 {
        m.w64(slot(n, TRANSCFG), 1);
        m.w(slot(n, COMMAND), UPDATE);
    }
    m.pass(10_000);
    assert_eq!(m.r(MMU_RAWSTAT), 0xff_0000);
    m.assert_clean();
}

#[test]
fn an_active_slot_takes_no_second_command() {
    let mut m = Machine::ready();
    m.w64(slot(0, TRANSCFG), 1);
    m.w(slot(0, COMMAND), UPDATE);
    m.w(slot(0, COMMAND), UPDATE);
    m.assert_records(&[Kind::AsBusy]);
    assert_eq!(m.count(Counter::AsUpdate), 1);
}

#[test]
fn an_active_slot_is_not_reprogrammed() {
    let mut m = Machine::ready();
    m.w64(slot(0, TRANSCFG), 1);
    m.w(slot(0, COMMAND), UPDATE);
    for reg in [TRANSTAB, MEMATTR, LOCKADDR, TRANSCFG] {
        m.w(slot(0, reg), 0xff);
        m.assert_records(&[Kind::AsBusy]);
    }
    m.pass(10_000);
    assert_eq!(m.r64(slot(0, TRANSCFG)), 1);
}

#[test]
fn commands_that_do_not_exist_are_refused() {
    let mut m = Machine::ready();
    m.w(slot(0, COMMAND), 6);
    m.w(slot(0, COMMAND), 0x101);
    m.assert_records(&[Kind::AsCommand, Kind::AsCommand]);
    m.w(slot(0, COMMAND), 0);
    m.assert_clean();
    assert_eq!(m.r(slot(0, STATUS)), 0);
}

#[test]
fn what_is_written_takes_effect_with_update_only() {
    let (mut m, root) = Machine::translating();
    m.map(root, 0x1000, RAM, PAGE_RW);
    m.poke64(RAM, 77);
    m.w64(slot(1, TRANSTAB), RAM + 0x40_0000);
    m.w64(slot(1, TRANSCFG), 1);
    assert_eq!(m.load(1, 0x1000), Ok(77));
    m.command(1, UPDATE);
    assert_eq!(m.load(1, 0x1000), Err(MmuError::Aborted));
    m.assert_clean();
}

#[test]
fn a_disabled_slot_terminates_accesses_without_a_fault() {
    let mut m = Machine::ready();
    assert_eq!(m.load(3, 0x1000), Err(MmuError::Aborted));
    assert_eq!(m.r(MMU_RAWSTAT), 0);
    m.assert_clean();
}

#[test]
fn an_identity_slot_reaches_physical_memory() {
    let mut m = Machine::ready();
    m.configure(2, 0, 2, 0);
    m.poke64(RAM + 8, 5);
    assert_eq!(m.load(2, RAM + 8), Ok(5));
    m.assert_clean();
}

#[test]
fn configurations_that_make_no_sense_disable_the_slot_and_are_recorded() {
    let mut m = Machine::ready();
    let root = RAM + 0x10_0000;
    let cases = [
        // No mode, and modes that do not exist.
        (root, TRANSCFG_4K & !0xf, ATTRIBUTES),
        (root, (TRANSCFG_4K & !0xf) | 3, ATTRIBUTES),
        // Input addresses that are too wide or too narrow.
        (root, TRANSCFG_4K & !(0x1f << 6), ATTRIBUTES),
        (root, TRANSCFG_4K | (0x1f << 6), ATTRIBUTES),
        // Walks that are neither cached nor uncached; reserved shareability; reserved bits.
        (root, TRANSCFG_4K & !(3 << 24), ATTRIBUTES),
        (root, TRANSCFG_4K | (1 << 28), ATTRIBUTES),
        (root, TRANSCFG_4K | (1 << 40), ATTRIBUTES),
        (root, TRANSCFG_4K | (1 << 12), ATTRIBUTES),
        // Tables that are not aligned, not addressable, not there.
        (root | 0x10, TRANSCFG_4K, ATTRIBUTES),
        (1 << 40, TRANSCFG_4K, ATTRIBUTES),
        (0, TRANSCFG_4K, ATTRIBUTES),
        // Reserved shareability and allocation policy of an attribute.
        (root, TRANSCFG_4K, ATTRIBUTES | 0x30),
        (root, TRANSCFG_4K, ATTRIBUTES & !0x08),
    ];
    for (transtab, transcfg, memattr) in cases {
        m.configure(1, transtab, transcfg, memattr);
        m.assert_records(&[Kind::AsConfig]);
        assert_eq!(m.load(1, 0x1000), Err(MmuError::Aborted));
    }
    m.enable(1, root);
    m.assert_clean();
}

/// Seed rule G4: one decision drives the GPU's coherency register, the walks and the entries.
#[test]
fn walks_are_shareable_if_and_only_if_the_bus_is_coherent() {
    let mut m = Machine::ready();
    m.configure(1, RAM, TRANSCFG_4K | (2 << 28), ATTRIBUTES);
    m.assert_records(&[Kind::AsConfig]);
    let mut m = Machine::on();
    m.w(COHERENCY_ENABLE, 0);
    m.w(L2_PWRON, 1);
    m.pass(1_000_000);
    m.configure(1, RAM, TRANSCFG_4K | (2 << 28), ATTRIBUTES);
    m.assert_clean();
    m.configure(1, RAM, TRANSCFG_4K, ATTRIBUTES);
    m.assert_records(&[Kind::AsConfig]);
}

#[test]
fn a_lock_region_is_a_naturally_aligned_power_of_two_of_at_least_32_kib() {
    let mut m = Machine::ready();
    let malformed = [
        0,
        // 16 KiB.
        13,
        // Larger than the address space.
        48,
        63,
        // 64 KiB at an odd multiple of 16 KiB.
        0x4000 | 15,
        // Beyond the address space.
        (1 << 48) | 14,
        // Bits between the size field and the region's alignment.
        0x40 | 14,
    ];
    for lockaddr in malformed {
        m.w64(slot(0, LOCKADDR), lockaddr);
        m.w(slot(0, COMMAND), LOCK);
        m.assert_records(&[Kind::AsLockRegion]);
        assert_eq!(m.r(slot(0, STATUS)), 0);
    }
    for (base, shift) in [(0x8000, 15), (0, 48), (0x7fff_ffff_8000, 15)] {
        m.lock(0, base, shift);
        m.command(0, UNLOCK);
    }
    m.assert_clean();
    assert_eq!(m.count(Counter::AsUnlock), 3);
}

#[test]
fn an_unlock_of_an_enabled_slot_needs_a_lock() {
    let (mut m, _) = Machine::translating();
    m.command(1, UNLOCK);
    m.assert_records(&[Kind::AsUnlocked]);
    m.lock(1, 0, 15);
    m.command(1, UNLOCK);
    m.assert_clean();
    m.command(1, UNLOCK);
    m.assert_records(&[Kind::AsUnlocked]);
}

#[test]
fn a_lock_lost_to_the_disabling_of_its_slot_may_still_be_unlocked() {
    let (mut m, _) = Machine::translating();
    m.lock(1, 0, 15);
    m.command(1, UNLOCK);
    m.disable(1);
    m.command(1, UNLOCK);
    m.assert_clean();
}

#[test]
fn a_lock_takes_the_place_of_the_one_before() {
    let (mut m, root) = Machine::translating();
    for va in [0x20_0000, 0x40_0000] {
        m.map(root, va, RAM, PAGE_RW);
    }
    m.lock(1, 0x20_0000, 15);
    m.lock(1, 0x20_0000, 21);
    assert_eq!(m.load(1, 0x20_0000), Err(MmuError::Stalled));
    m.lock(1, 0x40_0000, 21);
    assert_eq!(m.load(1, 0x20_0000), Ok(0));
    assert_eq!(m.load(1, 0x40_0000), Err(MmuError::Stalled));
    m.command(1, UNLOCK);
    m.assert_clean();
}

#[test]
fn a_flush_with_or_without_a_lock_is_fine_and_ends_the_lock() {
    let (mut m, _) = Machine::translating();
    m.command(1, FLUSH_PT);
    m.command(1, FLUSH_MEM);
    m.lock(1, 0, 21);
    m.command(1, FLUSH_PT);
    m.assert_clean();
    m.command(1, UNLOCK);
    m.assert_records(&[Kind::AsUnlocked]);
    assert_eq!(m.count(Counter::AsFlush), 3);
}

#[test]
fn an_update_under_a_lock_is_refused() {
    let (mut m, root) = Machine::translating();
    m.lock(1, 0, 21);
    m.enable(1, root);
    m.assert_records(&[Kind::AsLive]);
}

#[test]
fn a_slot_that_hangs_stays_active_until_a_reset() {
    let mut m = Machine::ready();
    m.inject("as hang 2");
    m.w64(slot(2, TRANSCFG), 1);
    m.w(slot(2, COMMAND), UPDATE);
    m.pass(10_000_000_000);
    assert_eq!(m.r(slot(2, STATUS)), 1);
    m.w64(slot(3, TRANSCFG), 1);
    m.command(3, UPDATE);
    m.w(GPU_COMMAND, SOFT_RESET);
    m.pass(1_000_000);
    assert_eq!(m.r(slot(2, STATUS)), 0);
    // Once: the slot is as good as new.
    m.w64(slot(2, TRANSCFG), 1);
    m.command(2, UPDATE);
    m.assert_clean();
}

#[test]
fn commands_can_be_slow() {
    let mut m = Machine::ready();
    m.inject("as delay 3000000");
    m.w64(slot(2, TRANSCFG), 1);
    m.w(slot(2, COMMAND), UPDATE);
    m.pass(2_999_999);
    assert_eq!(m.r(slot(2, STATUS)), 1);
    m.pass(1);
    assert_eq!(m.r(slot(2, STATUS)), 0);
    m.assert_clean();
}
