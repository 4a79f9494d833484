// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The translation cache of one bank. Only valid entries are cached, and they stay until they are
//! dropped on request or pushed out.

use super::super::NpuEnv;
use super::tables;

/// Entries of a cache.
const ENTRIES: usize = 32;

/// One cached translation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The page's device address.
    pub(crate) page: u32,
    /// Its physical address.
    pub(crate) base: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The table entry as it was when it was cached.
    pub(crate) raw: u32,
    /// Where that table entry is.
    pub(crate) source: u64,
}

impl Entry {
    pub(crate) fn permits(&self, write: bool) -> bool {
        if write {
            self.writable
        } else {
            self.readable
        }
    }

    pub(crate) fn output(&self, iova: u32) -> u64 {
        self.base | u64::from(iova & 0xfff)
    }

    /// The table entry as it is now, if it can still be read.
    pub(crate) fn source_now(&self, env: &NpuEnv<'_>) -> Option<u32> {
        tables::entry_at(env, self.source).ok()
    }
}

/// A bounded cache with round-robin replacement.
pub(crate) struct Tlb {
    entries: [Option<Entry>; ENTRIES],
    next: usize,
}

impl Tlb {
    pub(crate) const fn new() -> Self {
        Self {
            entries: [None; ENTRIES],
            next: 0,
        }
    }

    pub(crate) fn find(&self, iova: u32) -> Option<Entry> {
        self.entries
            .iter()
            .flatten()
            .find(|e| e.page == iova & !0xfff)
            .copied()
    }

    pub(crate) fn keep(&mut self, entry: Entry) {
        if let Some(slot) = self.entries.get_mut(self.next) {
            *slot = Some(entry);
        }
        self.next = (self.next + 1) % ENTRIES;
    }

    pub(crate) fn drop_page(&mut self, iova: u32) {
        for slot in &mut self.entries {
            if slot.is_some_and(|e| e.page == iova & !0xfff) {
                *slot = None;
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries = [None; ENTRIES];
    }
}
