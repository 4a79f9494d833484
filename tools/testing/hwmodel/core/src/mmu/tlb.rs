// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The translation cache of one address space.

use super::walk::Leaf;

/// Entries for each address space.
const ENTRIES: usize = 64;

/// One cached translation: a page or a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    base: u64,
    shift: u32,
    output: u64,
    /// The table entry as it was when it was cached.
    pub raw: u64,
    /// The level it was found at.
    pub level: u8,
}

impl Entry {
    /// The entry that translates `va`.
    pub fn new(va: u64, leaf: &Leaf) -> Self {
        let mask = (1u64 << leaf.shift) - 1;
        Self {
            base: va & !mask,
            shift: leaf.shift,
            output: leaf.output,
            raw: leaf.raw,
            level: leaf.level,
        }
    }

    /// The first virtual address that it translates.
    pub fn base(&self) -> u64 {
        self.base
    }

    fn covers(&self, va: u64) -> bool {
        va >> self.shift == self.base >> self.shift
    }

    /// The physical address of `va`.
    pub fn output(&self, va: u64) -> u64 {
        self.output | (va & ((1u64 << self.shift) - 1))
    }

    fn overlaps(&self, first: u64, last: u64) -> bool {
        let end = self.base | ((1u64 << self.shift) - 1);
        self.base <= last && first <= end
    }
}

/// A bounded cache with round-robin replacement.
pub struct Tlb {
    entries: [Option<Entry>; ENTRIES],
    next: usize,
}

impl Tlb {
    /// Empty.
    pub(crate) const fn new() -> Self {
        Self {
            entries: [None; ENTRIES],
            next: 0,
        }
    }

    /// The cached translation of an address.
    pub fn lookup(&self, va: u64) -> Option<Entry> {
        self.entries
            .iter()
            .flatten()
            .find(|e| e.covers(va))
            .copied()
    }

    /// All cached translations.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> + '_ {
        self.entries.iter().flatten()
    }

    /// Caches a translation, in place of the oldest if there is no room.
    pub fn insert(&mut self, entry: Entry) {
        let at = match self.entries.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                let at = self.next;
                self.next = (self.next + 1) % ENTRIES;
                at
            }
        };
        if let Some(slot) = self.entries.get_mut(at) {
            *slot = Some(entry);
        }
    }

    /// Forgets what overlaps the inclusive range.
    pub fn invalidate(&mut self, first: u64, last: u64) {
        for slot in &mut self.entries {
            if slot.is_some_and(|e| e.overlaps(first, last)) {
                *slot = None;
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        for slot in &mut self.entries {
            *slot = None;
        }
        self.next = 0;
    }
}
