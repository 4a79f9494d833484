// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Page tables: the arithmetic, and real tables on memory.

use kernel::prelude::*;

#[kunit_tests(soc_pgtable)]
mod tests {
    use super::*;
    use kernel::{
        device::{
            Bound,
            Device, //
        },
        faux, //
    };
    use soc::pgtable::*;

    const PAGE: u64 = 0x1000;
    const BLOCK: u64 = 0x20_0000;

    fn range(start: u64, size: u64) -> Result<VaRange> {
        VaRange::new(Va::new(start), size)
    }

    fn with_table(f: impl FnOnce(&mut PageTable) -> Result) -> Result {
        let dev = faux::Registration::new(c"rust_kunit", None)?;
        let config = Config {
            va_bits: 48,
            pa_bits: 40,
            coherent: true,
        };
        let dev: &faux::Device<_> = dev.as_ref();
        let dev: &Device<Bound> = dev.as_ref();
        let mut table = PageTable::new(dev, config)?;
        f(&mut table)
    }

    #[test]
    fn a_range_is_not_empty_and_does_not_wrap() -> Result {
        assert!(range(0, 0).is_err());
        assert!(range(u64::MAX, 1).is_err());
        assert!(range(u64::MAX - 1, 1).is_ok());
        let one = range(PAGE, BLOCK)?;
        assert_eq!(one.end().raw(), PAGE + BLOCK);
        assert_eq!(one.last().raw(), PAGE + BLOCK - 1);
        Ok(())
    }

    #[test]
    fn tables_are_counted_exactly() -> Result {
        let count = |start, size| range(start, size).map(|range| tables_for(range, 48));

        // One of each level below the root.
        assert_eq!(count(0, PAGE)?, 3);
        assert_eq!(count(0, BLOCK)?, 3);
        assert_eq!(count(0, BLOCK + 1)?, 4);
        // Two pages around a boundary of the last level, of the middle one, of the first.
        assert_eq!(count(BLOCK - PAGE, 2 * PAGE)?, 4);
        assert_eq!(count((1 << 30) - PAGE, 2 * PAGE)?, 5);
        assert_eq!(count((1 << 39) - PAGE, 2 * PAGE)?, 6);
        assert_eq!(count(0, 1 << 30)?, 512 + 1 + 1);
        // Three levels.
        assert_eq!(tables_for(range(0, PAGE)?, 39), 2);
        Ok(())
    }

    #[test]
    fn chunks_are_as_large_as_alignment_allows() -> Result {
        let c = |va, pa, left| chunk(Va::new(va), pa, left);

        assert!(c(0, 0, BLOCK * 3) == (PageSize::Size2M, 3));
        assert!(c(0, 0, BLOCK + PAGE) == (PageSize::Size2M, 1));
        assert!(c(BLOCK, 0, PAGE) == (PageSize::Size4K, 1));
        assert!(c(BLOCK - PAGE, BLOCK * 5 - PAGE, BLOCK * 2) == (PageSize::Size4K, 1));
        assert!(c(0, PAGE, BLOCK * 2) == (PageSize::Size4K, 1024));
        assert!(c(1, 0, PAGE).1 == 0);
        assert!(c(0, 0, PAGE - 1).1 == 0);
        Ok(())
    }

    #[test]
    fn mapping_takes_tables_from_the_reserve_only() -> Result {
        with_table(|table| {
            let one = range(0x1234_5000, PAGE)?;
            let mut none = Tables::new(0)?;
            assert!(table.update(&mut none).map(one, 0x8000_0000, Prot::READ) == Err(ENOMEM));

            let mut tables = Tables::for_range(one, 48)?;
            assert_eq!(tables.left(), 3);
            table
                .update(&mut tables)
                .map(one, 0x8000_0000, Prot::READ)?;
            assert_eq!(tables.left(), 0);
            assert!(table.lookup(Va::new(0x1234_5678)) == Some(0x8000_0678));
            assert!(table.lookup(Va::new(0x1234_6000)).is_none());
            Ok(())
        })
    }

    #[test]
    fn a_forgotten_update_leaves_nothing_behind() -> Result {
        with_table(|table| {
            let one = range(0x1234_5000, PAGE)?;
            let mut tables = KBox::new(Tables::for_range(one, 48)?, GFP_KERNEL)?;
            let mut update = table.update(&mut tables);

            update.map(one, 0x8000_0000, Prot::READ)?;
            // The pages of the table have to go elsewhere when it is freed.
            core::mem::forget(update);
            drop(tables);
            Ok(())
        })
    }

    #[test]
    fn blocks_are_used_and_need_fewer_tables() -> Result {
        with_table(|table| {
            let big = range(BLOCK, 3 * BLOCK + PAGE)?;
            let mut tables = Tables::for_range(big, 48)?;
            let before = tables.left();

            table
                .update(&mut tables)
                .map(big, 8 * BLOCK, Prot::READ | Prot::WRITE)?;
            assert_eq!(before - tables.left(), 3);
            // A block ends the walk at level 2, a page at level 3.
            assert!(table.walk(Va::new(BLOCK))?[3] == 0);
            assert!(table.walk(Va::new(4 * BLOCK))?[3] != 0);
            assert!(table.lookup(Va::new(2 * BLOCK + 5)) == Some(9 * BLOCK + 5));
            Ok(())
        })
    }

    /// By rule E5: an entry is replaced by nobody who has not unmapped it.
    #[test]
    fn a_second_mapping_is_refused_and_leaves_the_first() -> Result {
        with_table(|table| {
            let first = range(2 * PAGE, PAGE)?;
            let second = range(0, 4 * PAGE)?;
            let mut tables = Tables::new(8)?;
            let mut update = table.update(&mut tables);

            update.map(first, 0x10_0000, Prot::READ)?;
            assert!(update.map(second, 0x20_0000, Prot::READ) == Err(EEXIST));
            assert!(update.lookup(Va::new(0)).is_none());
            assert!(update.lookup(Va::new(2 * PAGE)) == Some(0x10_0000));
            Ok(())
        })
    }

    #[test]
    fn a_part_of_a_block_is_not_unmapped() -> Result {
        with_table(|table| {
            let block = range(BLOCK, BLOCK)?;
            let mut tables = Tables::new(8)?;
            let mut update = table.update(&mut tables);

            update.map(block, 8 * BLOCK, Prot::READ)?;
            assert_eq!(update.unmap_pages(Va::new(BLOCK), PageSize::Size4K, 1), 0);
            assert!(update.unmap(range(BLOCK + PAGE, BLOCK)?) == Err(EINVAL));
            assert!(update.lookup(Va::new(BLOCK + PAGE)).is_some());
            assert_eq!(update.unmap(range(0, 4 * BLOCK)?)?, BLOCK);
            assert!(update.lookup(Va::new(BLOCK)).is_none());
            Ok(())
        })
    }

    #[test]
    fn unmapping_reports_how_far_it_came() -> Result {
        with_table(|table| {
            let pages = range(0, 3 * PAGE)?;
            let mut tables = Tables::new(8)?;
            let mut update = table.update(&mut tables);

            update.map(pages, 0x10_0000, Prot::READ)?;
            assert_eq!(
                update.unmap_pages(Va::new(0), PageSize::Size4K, 5),
                3 * PAGE
            );
            assert_eq!(update.unmap_pages(Va::new(0), PageSize::Size4K, 1), 0);
            Ok(())
        })
    }

    /// By rule E4: whoever unmaps learns how much was unmapped.
    #[test]
    fn unmapping_skips_holes_and_does_not_count_them() -> Result {
        with_table(|table| {
            let mut tables = Tables::new(16)?;
            let mut update = table.update(&mut tables);

            update.map(
                range(BLOCK - 2 * PAGE, BLOCK + 4 * PAGE)?,
                BLOCK - 2 * PAGE,
                Prot::READ,
            )?;
            update.map(range(4 * BLOCK, BLOCK)?, 8 * BLOCK, Prot::READ)?;
            assert_eq!(update.unmap(range(BLOCK - PAGE, PAGE)?)?, PAGE);
            // Two pages are left of what was mapped first, with the block between them.
            assert_eq!(update.unmap(range(PAGE, 2 * BLOCK)?)?, BLOCK + 2 * PAGE);
            assert_eq!(update.unmap(range(4 * BLOCK, BLOCK)?)?, BLOCK);
            for va in [BLOCK - 2 * PAGE, BLOCK, 2 * BLOCK, 4 * BLOCK] {
                assert!(update.lookup(Va::new(va)).is_none());
            }
            assert!(update.lookup(Va::new(2 * BLOCK + PAGE)).is_some());
            Ok(())
        })
    }

    /// By rule E1: the entry of each level, down to the one that ends the walk.
    #[test]
    fn a_walk_shows_the_entry_of_each_level() -> Result {
        const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
        with_table(|table| {
            let mut tables = Tables::new(16)?;
            {
                let mut update = table.update(&mut tables);
                update.map(range(BLOCK, BLOCK)?, 8 * BLOCK, Prot::READ)?;
                update.map(range(2 * BLOCK, PAGE)?, 5 * PAGE, Prot::READ)?;
            }
            let block = table.walk(Va::new(BLOCK + 3 * PAGE))?;
            assert!(block[0] != 0 && block[1] != 0);
            assert_eq!(block[2] & ADDRESS, 8 * BLOCK);
            assert_eq!(block[3], 0);
            let page = table.walk(Va::new(2 * BLOCK + 8))?;
            assert_eq!(page[..2], block[..2]);
            assert_eq!(page[3] & ADDRESS, 5 * PAGE);
            // Unmapped: the walk ends where there is nothing.
            let hole = table.walk(Va::new(2 * BLOCK + PAGE))?;
            assert_eq!((hole[2], hole[3]), (page[2], 0));
            assert_eq!(table.walk(Va::new(1 << 40))?, [0; 4]);
            assert!(table.walk(Va::new(1 << 48)) == Err(ERANGE));
            Ok(())
        })
    }

    #[test]
    fn a_table_is_as_wide_as_was_asked_for() -> Result {
        let dev = faux::Registration::new(c"rust_kunit", None)?;
        let dev: &faux::Device<_> = dev.as_ref();
        let dev: &Device<Bound> = dev.as_ref();
        let new = |va_bits| {
            let config = Config {
                va_bits,
                pa_bits: 40,
                coherent: true,
            };
            PageTable::new(dev, config)
        };
        for va_bits in [22, 32, 48] {
            let table = new(va_bits)?;
            assert_eq!(table.va_bits(), va_bits);
            assert!(table.lookup(Va::new(0)).is_none());
            assert!(table.walk(Va::new(1 << va_bits)) == Err(ERANGE));
        }
        for va_bits in [0, 21, ADDRESS_BITS + 1, 64] {
            assert!(new(va_bits).err() == Some(EINVAL));
        }
        Ok(())
    }

    /// By rule E13: pages are the device's, whatever those of the CPU are.
    #[test]
    fn pages_and_tables_are_counted_in_units_of_the_device() -> Result {
        assert_eq!(PageSize::Size4K.bytes(), 4096);
        assert_eq!(PageSize::Size2M.bytes(), 512 * 4096);
        // A page of the CPU of 4, 16 or 64 KiB, at an address that has no larger alignment.
        for cpu_page in [4096, 16384, 65536] {
            let (size, count) = chunk(Va::new(BLOCK + cpu_page), 5 * cpu_page, cpu_page);
            assert!(size == PageSize::Size4K);
            assert_eq!(u64::try_from(count)?, cpu_page / 4096);
            assert_eq!(tables_for(range(BLOCK + cpu_page, cpu_page)?, 48), 3);
        }
        Ok(())
    }

    /// By rule E13 as well: a table is a page of the device.
    #[test]
    fn tables_share_larger_pages_of_the_cpu() -> Result {
        const TABLES: usize = 256;
        let cpu_page = kernel::page::PAGE_SIZE;
        let dev = faux::Registration::new(c"rust_kunit", None)?;
        let config = Config {
            va_bits: 48,
            pa_bits: 48,
            coherent: true,
        };
        let dev: &faux::Device<_> = dev.as_ref();
        let dev: &Device<Bound> = dev.as_ref();
        let mut tables = KVec::with_capacity(TABLES, GFP_KERNEL)?;
        let mut pages = KVec::with_capacity(TABLES, GFP_KERNEL)?;

        for _ in 0..TABLES {
            let table = PageTable::new(dev, config)?;
            let page = table.ttbr() / u64::try_from(cpu_page)?;

            assert_eq!(table.ttbr() % PAGE, 0);
            if !pages.contains(&page) {
                pages.push(page, GFP_KERNEL)?;
            }
            tables.push(table, GFP_KERNEL)?;
        }
        // Twice as many as could be, for pages that had others in them before.
        assert!(pages.len() <= 2 * TABLES * usize::try_from(PAGE)? / cpu_page);
        Ok(())
    }

    #[test]
    fn changes_side_by_side_need_no_more_tables_than_one_of_their_size() -> Result {
        let mut need = Need::new(48);
        for page in 0..1000 {
            need.pages(range(0x4000_0000 + page * 2 * PAGE, PAGE)?);
        }
        assert_eq!(
            need.count(),
            tables_for(range(0x4000_0000, 2000 * PAGE)?, 48)
        );
        Ok(())
    }

    #[test]
    fn blocks_need_no_tables_of_the_last_level() -> Result {
        let mut need = Need::new(48);
        need.blocks(range(1 << 40, 1 << 40)?);
        assert_eq!(need.count(), 1024 + 2);
        Ok(())
    }

    #[test]
    fn a_table_that_goes_in_between_is_needed_again() -> Result {
        let mut need = Need::new(48);
        need.pages(range(BLOCK, PAGE)?);
        assert_eq!(need.count(), 3);
        // A part of what the table spans: it stays.
        need.cleared(range(BLOCK, BLOCK - PAGE)?);
        need.pages(range(BLOCK, PAGE)?);
        assert_eq!(need.count(), 3);
        need.cleared(range(BLOCK - PAGE, BLOCK + 2 * PAGE)?);
        need.pages(range(BLOCK, PAGE)?);
        assert_eq!(need.count(), 4);
        Ok(())
    }

    #[test]
    fn bad_arguments_are_refused() -> Result {
        with_table(|table| {
            let mut tables = Tables::new(8)?;
            let mut update = table.update(&mut tables);
            let page = PageSize::Size4K;

            assert!(update.map_pages(Va::new(1), 0, page, 1, Prot::READ).1 == Err(EINVAL));
            assert!(update.map_pages(Va::new(0), 1, page, 1, Prot::READ).1 == Err(EINVAL));
            assert!(update.map_pages(Va::new(0), 0, page, 1, Prot::NOEXEC).1 == Err(EINVAL));
            assert!(update.map_pages(Va::new(1 << 48), 0, page, 1, Prot::READ).1 == Err(ERANGE));
            assert!(update.map_pages(Va::new(0), 1 << 40, page, 1, Prot::READ).1 == Err(ERANGE));
            assert!(
                update
                    .map_pages(Va::new((1 << 48) - PAGE), 0, page, 2, Prot::READ)
                    .1
                    == Err(ERANGE)
            );
            assert!(
                update
                    .map_pages(Va::new(0), 0, page, usize::MAX, Prot::READ)
                    .1
                    == Err(ERANGE)
            );

            let read = Prot::READ;
            assert!(update.map(range(1, PAGE)?, 0, read) == Err(EINVAL));
            assert!(update.map(range(0, PAGE)?, 1, read) == Err(EINVAL));
            assert!(update.map(range(0, PAGE)?, 0, Prot::NOEXEC) == Err(EINVAL));
            assert!(update.map(range(1 << 48, PAGE)?, 0, read) == Err(ERANGE));
            assert!(update.map(range(0, PAGE)?, 1 << 40, read) == Err(ERANGE));
            assert!(update.map(range((1 << 48) - PAGE, PAGE)?, (1 << 40) - PAGE, read) == Ok(()));
            assert!(update.map(range((1 << 48) - PAGE, PAGE)?, 0, read) == Err(EEXIST));
            assert_eq!(update.unmap(range((1 << 48) - PAGE, PAGE)?)?, PAGE);
            Ok(())
        })
    }
}
