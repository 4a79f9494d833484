// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How many tables a sequence of changes needs.

use super::layout::{
    levels,
    table_shift,
    VaRange, //
};

/// No span of a table has this number.
const NONE: u64 = u64::MAX;

/// Spans that were counted lately, by the low bits of their numbers.
struct Seen<const N: usize>([u64; N]);

impl<const N: usize> Seen<N> {
    const fn new() -> Self {
        Self([NONE; N])
    }

    fn slot(&mut self, span: u64) -> Option<&mut u64> {
        let index = usize::try_from(span % u64::try_from(N).ok()?).ok()?;
        self.0.get_mut(index)
    }

    /// Notes a span. Returns whether it was not there.
    fn add(&mut self, span: u64) -> bool {
        match self.slot(span) {
            Some(seen) if *seen == span => false,
            Some(seen) => {
                *seen = span;
                true
            }
            None => true,
        }
    }

    /// How many of the spans `first..=last` were not there.
    fn add_all(&mut self, first: u64, last: u64) -> usize {
        (first..=last).filter(|span| self.add(*span)).count()
    }

    /// Forgets the spans `first..=last`.
    fn remove_all(&mut self, first: u64, last: u64) {
        for seen in &mut self.0 {
            if (first..=last).contains(seen) {
                *seen = NONE;
            }
        }
    }
}

/// An upper bound of the tables that a sequence of changes takes, to be told of them in their order.
///
/// The changes share tables: a thousand mappings side by side need no more than one mapping of their
/// size. Only few spans are remembered, as this is part of small structures. What was forgotten is
/// counted again, so the bound is exact for changes in the order of their addresses, and otherwise never
/// more than a table of each level for each end of a change.
pub struct Need {
    levels: u32,
    count: usize,
    /// Tables of the last level. They go when all that they span is unmapped.
    last: Seen<8>,
    /// Those of the levels above, which stay for as long as the page table.
    upper: [Seen<4>; 2],
}

impl Need {
    /// Of no changes yet, in a table for addresses of `va_bits` bits.
    pub const fn new(va_bits: u32) -> Self {
        Self {
            levels: levels(va_bits),
            count: 0,
            last: Seen::new(),
            upper: [Seen::new(), Seen::new()],
        }
    }

    /// So many tables.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The table of the last level is number 1, the one above number 2, and so on.
    fn spans(range: VaRange, up: u32) -> (u64, u64) {
        let shift = table_shift(up);
        (range.start().raw() >> shift, range.last().raw() >> shift)
    }

    /// `range` is mapped with pages, or some of its pages stay when a block that they are part of is
    /// split.
    pub fn pages(&mut self, range: VaRange) {
        let (first, last) = Self::spans(range, 1);
        self.count = self.count.saturating_add(self.last.add_all(first, last));
        self.blocks(range);
    }

    /// `range` is mapped with blocks.
    pub fn blocks(&mut self, range: VaRange) {
        for (up, seen) in (2..self.levels).zip(&mut self.upper) {
            let (first, last) = Self::spans(range, up);
            self.count = self.count.saturating_add(seen.add_all(first, last));
        }
    }

    /// All that is mapped in `range` goes, and with it the tables that are wholly inside.
    pub fn cleared(&mut self, range: VaRange) {
        let span = 1u64 << table_shift(1);
        let first = range.start().raw().div_ceil(span);
        let end = range.end().raw() / span;
        if let Some(last) = end.checked_sub(1).filter(|last| *last >= first) {
            self.last.remove_all(first, last);
        }
    }
}
