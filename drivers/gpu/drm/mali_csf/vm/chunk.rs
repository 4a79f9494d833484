// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which page sizes a range is mapped with.
//!
//! The page table takes runs of equal pages that stay inside one table, so that a range is cut at
//! the boundaries of the next larger block. 2 MiB blocks are used wherever both addresses and what
//! is left of the range permit, 4 KiB pages elsewhere. Pure functions, tested as such.

use kernel::prelude::*;

/// Small page, in bytes.
pub(crate) const PAGE: u64 = 4 << 10;

/// Block, in bytes.
pub(crate) const BLOCK: u64 = 2 << 20;

/// What one table of blocks covers, in bytes.
const BLOCK_TABLE: u64 = 1 << 30;

/// What one table of tables of blocks covers, in bytes.
const TOP_TABLE: u64 = 1 << 39;

/// A run of pages of one size inside one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// [`PAGE`] or [`BLOCK`].
    pub(crate) page: u64,
    /// Number of pages; not 0.
    pub(crate) count: u64,
}

impl Chunk {
    /// Bytes in the run.
    pub(crate) fn size(&self) -> u64 {
        self.page * self.count
    }

    /// First run of a mapping of `len` bytes at `va` to `pa`. All three are multiples of [`PAGE`]
    /// and `len` is not 0.
    pub(crate) fn map(va: u64, pa: u64, len: u64) -> Self {
        if (va | pa) % BLOCK == 0 && len >= BLOCK {
            let room = BLOCK_TABLE - va % BLOCK_TABLE;
            return Self {
                page: BLOCK,
                count: len.min(room) / BLOCK,
            };
        }
        let room = BLOCK - va % BLOCK;
        Self {
            page: PAGE,
            count: len.min(room) / PAGE,
        }
    }

    /// First run of an unmapping of `len` bytes at `va`. A whole block goes at once, whether it is
    /// mapped as one or as a table of pages.
    pub(crate) fn unmap(va: u64, len: u64) -> Self {
        Self::map(va, 0, len)
    }
}

/// Number of `unit`s that `[va, va + size)` touches. `size` is not 0 and the end does not wrap.
fn touched(va: u64, size: u64, unit: u64) -> u64 {
    (va + size - 1) / unit - va / unit + 1
}

/// Most page-table pages that mapping `[va, va + size)` can take, below the root. `size` is not 0
/// and the end does not wrap.
pub(crate) fn tables_for_map(va: u64, size: u64) -> u64 {
    touched(va, size, TOP_TABLE) + touched(va, size, BLOCK_TABLE) + touched(va, size, BLOCK)
}

/// Most page-table pages that cutting `[va, va + size)` out of existing mappings can take: one for
/// each end that may lie inside a block.
pub(crate) fn tables_for_unmap(va: u64, size: u64) -> u64 {
    let (end, start_cut) = (va + size, va % BLOCK != 0);
    let end_cut = end % BLOCK != 0 && !(start_cut && va / BLOCK == end / BLOCK);
    u64::from(start_cut) + u64::from(end_cut)
}

#[kunit_tests(mali_csf_vm_chunk)]
mod tests {
    use super::*;

    fn total(mut va: u64, mut pa: u64, mut len: u64) -> (u64, u64) {
        let (mut pages, mut blocks) = (0, 0);
        while len != 0 {
            let chunk = Chunk::map(va, pa, len);
            assert!(chunk.count != 0);
            assert!(chunk.size() <= len);
            if chunk.page == BLOCK {
                blocks += chunk.count;
            } else {
                pages += chunk.count;
            }
            va += chunk.size();
            pa += chunk.size();
            len -= chunk.size();
        }
        (pages, blocks)
    }

    #[test]
    fn aligned_ranges_use_blocks() {
        assert_eq!(total(4 * BLOCK, 8 * BLOCK, 3 * BLOCK), (0, 3));
    }

    #[test]
    fn edges_use_pages() {
        assert_eq!(total(BLOCK - PAGE, BLOCK - PAGE, BLOCK + 2 * PAGE), (2, 1));
    }

    #[test]
    fn different_alignment_never_uses_blocks() {
        assert_eq!(total(0, PAGE, 2 * BLOCK), (1024, 0));
    }

    #[test]
    fn runs_stay_inside_one_table() {
        let chunk = Chunk::map(BLOCK_TABLE - BLOCK, 0, 4 * BLOCK);
        assert_eq!(chunk.count, 1);
        let chunk = Chunk::map(BLOCK - PAGE, 0, 4 * PAGE);
        assert_eq!(chunk.count, 1);
    }

    #[test]
    fn map_tables_cover_the_worst_case() {
        assert_eq!(tables_for_map(0, PAGE), 3);
        assert_eq!(tables_for_map(BLOCK - PAGE, 2 * PAGE), 4);
        assert_eq!(tables_for_map(BLOCK_TABLE - PAGE, 2 * PAGE), 5);
        assert_eq!(tables_for_map(TOP_TABLE - PAGE, 2 * PAGE), 6);
    }

    #[test]
    fn unmap_needs_a_table_per_cut_block() {
        assert_eq!(tables_for_unmap(0, BLOCK), 0);
        assert_eq!(tables_for_unmap(PAGE, PAGE), 1);
        assert_eq!(tables_for_unmap(PAGE, BLOCK - PAGE), 1);
        assert_eq!(tables_for_unmap(0, PAGE), 1);
        assert_eq!(tables_for_unmap(PAGE, BLOCK), 2);
    }
}
