// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Cutting a range out of mappings that may use 2 MiB blocks.
//!
//! A block is one entry of the page table. To take a part of it away, the whole block has to go, and
//! what remains of it comes back as pages. Pure functions, tested as such.

use core::ops::Range;

use kernel::prelude::*;

/// Small page, in bytes.
pub(crate) const PAGE: u64 = 4 << 10;

/// Block, in bytes.
pub(crate) const BLOCK: u64 = 2 << 20;

/// `range` with both ends moved outwards to block boundaries: what has to be locked for a change of
/// `range`, whatever it cuts. The end is at most 2^64 - [`BLOCK`].
pub(crate) fn touched(range: Range<u64>) -> Range<u64> {
    let start = range.start & !(BLOCK - 1);
    start..range.end.next_multiple_of(BLOCK)
}

/// What has to be unmapped in order to take `gone` away. `block_at` says whether the page at an
/// address that stays mapped is part of a block; it is asked for each end that cuts a block's range.
pub(crate) fn widened(gone: Range<u64>, mut block_at: impl FnMut(u64) -> bool) -> Range<u64> {
    let blocks = touched(gone.clone());
    let start = if blocks.start < gone.start && block_at(gone.start - PAGE) {
        blocks.start
    } else {
        gone.start
    };
    let end = if blocks.end > gone.end && block_at(gone.end) {
        blocks.end
    } else {
        gone.end
    };
    start..end
}

/// The parts of `range` that do not fill the block they are in: where a block may have to be split for
/// taking `range` away.
pub(crate) fn partial_blocks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let first = range.start.next_multiple_of(BLOCK).min(range.end);
    let last = (range.end & !(BLOCK - 1)).max(first);
    [range.start..first, last..range.end]
        .into_iter()
        .filter(|part| !part.is_empty())
}

#[kunit_tests(mali_csf_vm_cut)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_are_not_widened() {
        assert_eq!(widened(BLOCK..2 * BLOCK, |_| true), BLOCK..2 * BLOCK);
        assert_eq!(partial_blocks(BLOCK..2 * BLOCK).count(), 0);
    }

    #[test]
    fn each_cut_block_is_unmapped_as_a_whole() {
        let gone = BLOCK + PAGE..3 * BLOCK + PAGE;
        assert_eq!(widened(gone.clone(), |_| true), BLOCK..4 * BLOCK);
        assert_eq!(partial_blocks(gone).count(), 2);
    }

    #[test]
    fn pages_are_left_alone() {
        let gone = BLOCK + PAGE..3 * BLOCK + PAGE;
        assert_eq!(widened(gone.clone(), |_| false), gone);
    }

    #[test]
    fn the_neighbours_are_asked_and_not_what_goes() {
        let gone = BLOCK + 2 * PAGE..3 * BLOCK + PAGE;
        assert_eq!(
            widened(gone, |va| va == BLOCK + PAGE),
            BLOCK..3 * BLOCK + PAGE
        );
        let gone = BLOCK + 2 * PAGE..3 * BLOCK + PAGE;
        assert_eq!(
            widened(gone, |va| va == 3 * BLOCK + PAGE),
            BLOCK + 2 * PAGE..4 * BLOCK
        );
    }

    #[test]
    fn a_hole_in_one_block_splits_that_one() {
        let parts = |range| {
            let mut parts = partial_blocks(range);
            (parts.next(), parts.next())
        };
        assert_eq!(parts(PAGE..2 * PAGE), (Some(PAGE..2 * PAGE), None));
        assert_eq!(parts(PAGE..BLOCK), (Some(PAGE..BLOCK), None));
        assert_eq!(parts(0..PAGE), (Some(0..PAGE), None));
        assert_eq!(
            parts(PAGE..BLOCK + PAGE),
            (Some(PAGE..BLOCK), Some(BLOCK..BLOCK + PAGE))
        );
        assert_eq!(
            parts(PAGE..3 * BLOCK + PAGE),
            (Some(PAGE..BLOCK), Some(3 * BLOCK..3 * BLOCK + PAGE))
        );
    }
}
