// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Cached translations: what makes the hardware forget, and what does not.

use super::machine::*;
use crate::counters::Counter;
use crate::mmu::MmuError;
use crate::record::Kind;

const VA: u64 = 0x7f12_3456_7000;

/// A page at [`VA`] that holds 1, cached, and another page that holds 2.
fn cached() -> (Machine, u64, u64) {
    let (mut m, root) = Machine::translating();
    let (old, new) = (m.page(), m.page());
    m.poke64(old, 1);
    m.poke64(new, 2);
    m.map(root, VA, old, PAGE_RW);
    assert_eq!(m.load(1, VA), Ok(1));
    m.assert_clean();
    (m, root, new)
}

#[test]
fn translations_are_cached() {
    let (mut m, _, _) = cached();
    assert_eq!(m.count(Counter::TlbFill), 1);
    for _ in 0..3 {
        assert_eq!(m.load(1, VA + 8), Ok(0));
    }
    assert_eq!(m.count(Counter::TlbFill), 1);
    assert_eq!(m.count(Counter::TlbHit), 3);
    m.assert_clean();
}

#[test]
fn the_use_of_a_translation_that_was_changed_behind_the_cache_is_recorded() {
    let (mut m, root, new) = cached();
    m.map(root, VA, new, PAGE_RW);
    // The hardware goes on with what it has.
    assert_eq!(m.load(1, VA), Ok(1));
    m.assert_records(&[Kind::StaleTlb]);
}

#[test]
fn the_use_of_a_translation_after_its_page_was_unmapped_is_recorded() {
    let (mut m, root, _) = cached();
    m.map(root, VA, 0, 0);
    assert_eq!(m.store(1, VA, 3), Ok(()));
    m.assert_records(&[Kind::StaleTlb]);
}

#[test]
fn the_use_of_a_translation_after_a_table_above_was_freed_is_recorded() {
    let (mut m, root, _) = cached();
    let at = m.entry(root, VA, 1);
    m.poke64(at, 0);
    m.load(1, VA).unwrap();
    m.assert_records(&[Kind::StaleTlb]);
}

#[test]
fn permissions_that_were_taken_away_behind_the_cache_still_count_as_given() {
    let (mut m, root, _) = cached();
    let at = m.entry(root, VA, 3);
    m.poke64(at, m.peek64(at) | READ_ONLY);
    assert_eq!(m.store(1, VA, 3), Ok(()));
    m.assert_records(&[Kind::StaleTlb]);
}

#[test]
fn bits_that_belong_to_software_may_change() {
    let (mut m, root, _) = cached();
    let at = m.entry(root, VA, 3);
    m.poke64(at, m.peek64(at) | (1 << 55));
    assert_eq!(m.load(1, VA), Ok(1));
    m.assert_clean();
}

#[test]
fn what_was_invalid_is_not_cached() {
    let (mut m, root) = Machine::translating();
    let page = m.page();
    m.map(root, VA, page, PAGE_RW);
    m.load(1, VA).unwrap();
    // A new neighbour needs no invalidation.
    m.map(root, VA + 0x1000, page, PAGE_RW);
    m.load(1, VA + 0x1000).unwrap();
    m.assert_clean();
}

#[test]
fn a_lock_an_edit_and_an_unlock_make_the_change_visible() {
    let (mut m, root, new) = cached();
    m.lock(1, VA & !0x7fff, 15);
    m.map(root, VA, new, PAGE_RW);
    m.command(1, UNLOCK);
    assert_eq!(m.load(1, VA), Ok(2));
    m.assert_clean();
    assert_eq!(m.count(Counter::TlbFill), 2);
}

#[test]
fn both_flushes_make_the_change_visible_too() {
    for command in [FLUSH_PT, FLUSH_MEM] {
        let (mut m, root, new) = cached();
        m.lock(1, VA & !0x7fff, 15);
        m.map(root, VA, new, PAGE_RW);
        m.command(1, command);
        assert_eq!(m.load(1, VA), Ok(2));
        m.assert_clean();
    }
}

#[test]
fn a_flush_without_a_lock_covers_the_whole_space() {
    let (mut m, root, new) = cached();
    m.map(root, VA, new, PAGE_RW);
    m.command(1, FLUSH_PT);
    assert_eq!(m.load(1, VA), Ok(2));
    m.assert_clean();
}

#[test]
fn a_lock_elsewhere_invalidates_nothing_here() {
    let (mut m, root, new) = cached();
    m.lock(1, (VA & !0x7fff) + 0x8000, 15);
    m.map(root, VA, new, PAGE_RW);
    m.command(1, UNLOCK);
    // What the invalidation left behind is noticed at once, and again when it is used.
    m.assert_records(&[Kind::StaleTlb]);
    assert_eq!(m.load(1, VA), Ok(1));
    m.assert_records(&[Kind::StaleTlb]);
}

#[test]
fn a_lock_that_was_replaced_is_never_made_up_for() {
    let (mut m, root, new) = cached();
    m.lock(1, VA & !0x7fff, 15);
    m.map(root, VA, new, PAGE_RW);
    m.lock(1, 0, 15);
    m.command(1, UNLOCK);
    m.assert_records(&[Kind::StaleTlb]);
}

#[test]
fn commands_of_another_slot_invalidate_nothing_here() {
    let (mut m, root, new) = cached();
    m.lock(2, VA & !0x7fff, 15);
    m.map(root, VA, new, PAGE_RW);
    m.command(2, UNLOCK);
    m.load(1, VA).unwrap();
    m.assert_records(&[Kind::StaleTlb]);
}

#[test]
fn cache_maintenance_by_gpu_command_does_not_touch_translations() {
    let (mut m, root, new) = cached();
    m.map(root, VA, new, PAGE_RW);
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.pass(100_000);
    m.load(1, VA).unwrap();
    m.assert_records(&[Kind::StaleTlb]);
}

#[test]
fn a_lock_alone_does_not_invalidate() {
    let (mut m, root, new) = cached();
    m.lock(1, VA & !0x7fff, 15);
    m.map(root, VA, new, PAGE_RW);
    assert_eq!(
        m.count(Counter::TlbInvalidate),
        1,
        "only the update that enabled the slot"
    );
    assert_eq!(m.load(1, VA), Err(MmuError::Stalled));
    m.command(1, UNLOCK);
    assert_eq!(m.count(Counter::TlbInvalidate), 2);
}

#[test]
fn an_update_forgets_what_was_cached() {
    let (mut m, root, new) = cached();
    m.map(root, VA, new, PAGE_RW);
    m.enable(1, root);
    assert_eq!(m.load(1, VA), Ok(2));
    m.assert_clean();
}

#[test]
fn accesses_to_a_locked_region_wait_and_others_go_on() {
    let (mut m, root, _) = cached();
    let other = m.page();
    m.map(root, VA + 0x10_0000, other, PAGE_RW);
    // From when the command is complete, not from when it is issued.
    m.w64(slot(1, LOCKADDR), (VA & !0x7fff) | 14);
    m.w(slot(1, COMMAND), LOCK);
    assert_eq!(m.load(1, VA), Ok(1));
    m.pass(10_000);
    assert_eq!(m.load(1, VA), Err(MmuError::Stalled));
    assert_eq!(m.store(1, VA, 9), Err(MmuError::Stalled));
    assert_eq!(m.load(1, VA + 0x10_0000), Ok(0));
    // Until the unlock is complete, not until it is issued.
    m.w(slot(1, COMMAND), UNLOCK);
    assert_eq!(m.load(1, VA), Err(MmuError::Stalled));
    m.pass(10_000);
    assert_eq!(m.load(1, VA), Ok(1));
    m.assert_clean();
}

#[test]
fn who_waits_for_a_command_is_woken_when_it_completes() {
    let mut m = Machine::ready();
    m.w64(slot(1, TRANSCFG), 1);
    m.w(slot(1, COMMAND), UPDATE);
    let before = m.host.woken.get();
    m.pass(10_000);
    assert!(m.host.woken.get() > before);
}

#[test]
fn a_block_is_one_translation() {
    let (mut m, root) = Machine::translating();
    let va = 0x4000_0000;
    let at = m.entry(root, va, 2);
    m.poke64(at, (RAM + 0x40_0000) | BLOCK_RW);
    m.poke64(RAM + 0x5f_fff8, 42);
    assert_eq!(m.load(1, va), Ok(0));
    assert_eq!(m.load(1, va + 0x1f_fff8), Ok(42));
    assert_eq!(m.count(Counter::TlbFill), 1);
    assert_eq!(m.count(Counter::TlbHit), 1);
    m.assert_clean();
}

#[test]
fn a_block_is_not_split_behind_the_cache() {
    let (mut m, root) = Machine::translating();
    let va = 0x4000_0000;
    let at = m.entry(root, va, 2);
    m.poke64(at, (RAM + 0x40_0000) | BLOCK_RW);
    m.load(1, va + 0x10_0000).unwrap();
    // Only one page of the block is locked while the block is replaced by a table of the same
    // pages: its neighbours translate through an entry that is gone.
    let table = m.page();
    for n in 0..512 {
        m.poke64(table + n * 8, (RAM + 0x40_0000 + n * 0x1000) | PAGE_RW);
    }
    m.lock(1, va, 15);
    m.poke64(at, table | 3);
    m.load(1, va + 0x10_0000).unwrap();
    m.assert_records(&[Kind::StaleTlb]);
    // The unlock of a part forgets the whole block.
    m.command(1, UNLOCK);
    m.load(1, va + 0x10_0000).unwrap();
    m.assert_clean();
}

#[test]
fn the_cache_is_bounded() {
    let (mut m, root) = Machine::translating();
    let page = m.page();
    for n in 0..65 {
        m.map(root, n << 12, page, PAGE_RW);
        m.load(1, n << 12).unwrap();
    }
    assert_eq!(m.count(Counter::TlbFill), 65);
    m.load(1, 64 << 12).unwrap();
    assert_eq!(m.count(Counter::TlbFill), 65);
    m.load(1, 0).unwrap();
    assert_eq!(m.count(Counter::TlbFill), 66);
    m.assert_clean();
}

#[test]
fn a_slot_taken_over_by_other_tables_keeps_nothing_of_the_old_ones() {
    let (mut m, _, new) = cached();
    let other = m.page();
    m.map(other, VA, new, PAGE_RW);
    m.enable(1, other);
    assert_eq!(m.load(1, VA), Ok(2));
    m.assert_clean();
}

/// Seed rule E9: tables accept maps while their space has no slot.
#[test]
fn tables_edited_while_no_slot_uses_them_need_no_command() {
    let (mut m, root, new) = cached();
    m.disable(1);
    m.map(root, VA, new, PAGE_RW);
    m.enable(2, root);
    assert_eq!(m.load(2, VA), Ok(2));
    m.assert_clean();
}

#[test]
fn a_probe_of_a_translation_leaves_no_trace() {
    let (mut m, root) = Machine::translating();
    let page = m.page();
    m.map(root, VA, page, PAGE_RW | READ_ONLY);
    let (_, mut bus) = m.gpu.parts(&m.host);
    let who = crate::mmu::Requester {
        as_nr: 1,
        source: 0,
    };
    assert!(bus.probe(who, VA, crate::mmu::Access::Read));
    assert!(bus.probe(who, VA, crate::mmu::Access::Execute));
    assert!(!bus.probe(who, VA, crate::mmu::Access::Write));
    assert!(!bus.probe(who, VA + 0x1000, crate::mmu::Access::Read));
    assert_eq!(m.count(Counter::TlbFill), 0);
    assert_eq!(m.r(MMU_RAWSTAT) & 0xffff, 0);
    m.assert_clean();
}

#[test]
fn a_look_at_the_tables_sees_memory_and_not_what_is_cached() {
    const ADDRESS: u64 = 0xffff_ffff_f000;
    let (mut m, root, new) = cached();
    let old = m.gpu.leaf(&m.host, 1, VA + 8);
    assert_ne!(old & ADDRESS, new);
    assert_ne!(old & 1, 0);
    m.map(root, VA, new, PAGE_RW);
    assert_eq!(m.gpu.leaf(&m.host, 1, VA), old & !ADDRESS | new);
    assert_eq!(m.gpu.leaf(&m.host, 1, VA + 0x1000), 0);
    assert_eq!(m.gpu.leaf(&m.host, 2, VA), 0);
    m.assert_clean();
}
