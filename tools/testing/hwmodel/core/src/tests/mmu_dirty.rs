// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is in the GPU's caches only: when it has to be written back.

use super::machine::*;
use crate::record::Kind;

const VA: u64 = 0x7f12_3456_7000;
const UNCACHED: u64 = PAGE_RW & !(7 << 2);

/// A page at [`VA`], mapped with these flags, that the GPU has written.
fn written(flags: u64) -> (Machine, u64) {
    let (mut m, root) = Machine::translating();
    let page = m.page();
    m.map(root, VA, page, flags);
    m.store(1, VA + 8, 7).unwrap();
    (m, root)
}

/// Maps something else, or nothing, as drivers do it; `flush` as they must.
fn change(m: &mut Machine, root: u64, entry: u64, flush: bool) {
    m.lock(1, VA & !0x7fff, 15);
    m.map(root, VA, entry, 0);
    if flush {
        m.w(GPU_COMMAND, FLUSH_ALL);
        m.pass(100_000);
    }
    m.command(1, UNLOCK);
}

#[test]
fn an_unmap_without_a_flush_is_recorded_once() {
    let (mut m, root) = written(PAGE_RW);
    change(&mut m, root, 0, false);
    m.assert_records(&[Kind::CacheDirty]);
    change(&mut m, root, 0, false);
    m.assert_clean();
}

#[test]
fn a_mapping_to_other_memory_without_a_flush_is_recorded() {
    let (mut m, root) = written(PAGE_RW);
    let other = m.page();
    change(&mut m, root, other | PAGE_RW, false);
    m.assert_records(&[Kind::CacheDirty]);
}

#[test]
fn a_flush_under_the_lock_writes_back() {
    let (mut m, root) = written(PAGE_RW);
    change(&mut m, root, 0, true);
    m.assert_clean();
}

#[test]
fn a_flush_of_the_address_space_writes_back_too() {
    for command in [FLUSH_PT, FLUSH_MEM] {
        let (mut m, root) = written(PAGE_RW);
        m.lock(1, VA & !0x7fff, 15);
        m.map(root, VA, 0, 0);
        m.command(1, command);
        m.assert_clean();
    }
}

#[test]
fn what_is_written_after_the_flush_needs_another_one() {
    let (mut m, root) = written(PAGE_RW);
    m.w(GPU_COMMAND, FLUSH_ALL);
    m.pass(100_000);
    m.store(1, VA, 8).unwrap();
    change(&mut m, root, 0, false);
    m.assert_records(&[Kind::CacheDirty]);
}

#[test]
fn an_invalidation_of_the_other_caches_writes_nothing_back() {
    let (mut m, root) = written(PAGE_RW);
    // Of the read-only ones.
    m.w(GPU_COMMAND, 0x20004);
    m.pass(100_000);
    change(&mut m, root, 0, false);
    m.assert_records(&[Kind::CacheDirty]);
}

#[test]
fn what_is_not_cached_or_only_read_needs_no_flush() {
    let (mut m, root) = written(UNCACHED);
    change(&mut m, root, 0, false);
    m.assert_clean();

    let (mut m, root) = Machine::translating();
    let page = m.page();
    m.map(root, VA, page, PAGE_RW);
    m.load(1, VA).unwrap();
    change(&mut m, root, 0, false);
    m.assert_clean();
}

#[test]
fn permissions_can_go_without_a_flush() {
    let (mut m, root) = written(PAGE_RW);
    let at = m.entry(root, VA, 3);
    let entry = m.peek64(at);
    change(&mut m, root, entry | READ_ONLY, false);
    m.assert_clean();
}

#[test]
fn a_reset_and_another_table_end_it() {
    let (mut m, root) = written(PAGE_RW);
    m.disable(1);
    m.map(root, VA, 0, 0);
    m.enable(1, root);
    change(&mut m, root, 0, false);
    m.assert_clean();
}

#[test]
fn more_pages_than_are_remembered_are_noticed_nevertheless() {
    let (mut m, root) = Machine::translating();
    for n in 0..100 {
        let page = m.page();
        m.map(root, VA + n * 0x1000, page, PAGE_RW);
        m.store(1, VA + n * 0x1000, n).unwrap();
    }
    change(&mut m, root, 0, false);
    m.assert_records(&[Kind::CacheDirty]);
}
