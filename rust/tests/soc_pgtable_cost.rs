// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the crate adds to the page table code of the kernel: the same calls made with and without it.

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    error::to_result,
    faux,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sizes::{
        SZ_2M,
        SZ_4K, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};
use soc::pgtable::*;

const PAGE: u64 = 0x1000;
const PAGES: u64 = 512;
const VA: u64 = 0x1_4000_0000;
const ROUNDS: usize = 300;

/// Where page `n` is: nowhere near its neighbours.
const fn scattered(n: u64) -> u64 {
    0x8000_0000 + (n * 37 % PAGES) * 3 * PAGE
}

static NO_TLB: bindings::iommu_flush_ops = bindings::iommu_flush_ops {
    tlb_flush_all: Some(flush_all),
    tlb_flush_walk: Some(flush_walk),
    tlb_add_page: None,
};

extern "C" fn flush_all(_cookie: *mut c_void) {}

extern "C" fn flush_walk(_iova: usize, _size: usize, _granule: usize, _cookie: *mut c_void) {}

/// A page table of the kernel's, without the crate.
///
/// # Invariants
///
/// `ops` is a table of the format `ARM_64_LPAE_S1`.
struct Bare {
    ops: NonNull<bindings::io_pgtable_ops>,
}

impl Bare {
    /// The device must outlive the table.
    fn new(dev: &Device<Bound>) -> Result<Self> {
        let mut cfg = bindings::io_pgtable_cfg {
            pgsize_bitmap: SZ_4K | SZ_2M,
            ias: 48,
            oas: 40,
            coherent_walk: true,
            tlb: &raw const NO_TLB,
            iommu_dev: ptr::from_ref(dev).cast_mut().cast(),
            ..pin_init::zeroed()
        };
        // SAFETY: The configuration is valid during the call, the flush operations are static, and
        // the device outlives the table.
        let ops = unsafe {
            bindings::alloc_io_pgtable_ops(
                bindings::io_pgtable_fmt_ARM_64_LPAE_S1,
                &mut cfg,
                ptr::null_mut(),
            )
        };
        // INVARIANT: The table was just made.
        Ok(Self {
            ops: NonNull::new(ops).ok_or(ENOMEM)?,
        })
    }

    fn ops(&self) -> &bindings::io_pgtable_ops {
        // SAFETY: By the type's invariant the table is valid.
        unsafe { self.ops.as_ref() }
    }

    fn map_page(&mut self, va: u64, pa: u64) -> Result {
        let map = self.ops().map_pages.ok_or(ENOTSUPP)?;
        let prot = c_int::try_from(bindings::IOMMU_READ | bindings::IOMMU_WRITE)?;
        let mut mapped = 0;
        // SAFETY: The table is valid and mutably borrowed; the range is inside of its addresses.
        to_result(unsafe {
            map(
                self.ops.as_ptr(),
                usize::try_from(va)?,
                pa,
                SZ_4K,
                1,
                prot,
                bindings::GFP_KERNEL,
                &mut mapped,
            )
        })
    }

    fn unmap_pages(&mut self, va: u64, count: usize) -> Result<usize> {
        let unmap = self.ops().unmap_pages.ok_or(ENOTSUPP)?;
        // SAFETY: As above; no list of TLB entries is asked for.
        Ok(unsafe {
            unmap(
                self.ops.as_ptr(),
                usize::try_from(va)?,
                SZ_4K,
                count,
                ptr::null_mut(),
            )
        })
    }

    fn lookup(&self, va: u64) -> Result<u64> {
        let find = self.ops().iova_to_phys.ok_or(ENOTSUPP)?;
        // SAFETY: The table is valid, and not changed meanwhile.
        Ok(unsafe { find(self.ops.as_ptr(), usize::try_from(va)?) })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the table is ours.
        unsafe { bindings::free_io_pgtable_ops(self.ops.as_ptr()) };
    }
}

/// Keeps the shorter of two times.
fn keep(best: &mut Option<Delta>, time: Delta) {
    if best.is_none_or(|best| time < best) {
        *best = Some(time);
    }
}

#[kunit_tests(soc_pgtable_cost)]
mod tests {
    use super::*;

    /// The times are for people: a test that judged them would fail on a machine that is busy.
    #[test]
    fn scattered_pages_end_up_as_by_the_same_calls_without_the_crate() -> Result {
        let dev = faux::Registration::new(c"rust_kunit", None)?;
        let dev: &faux::Device<_> = dev.as_ref();
        let dev: &Device<Bound> = dev.as_ref();
        let config = Config {
            va_bits: 48,
            pa_bits: 40,
            coherent: true,
        };
        let mut table = PageTable::new(dev, config)?;
        let mut bare = Bare::new(dev)?;
        let whole = VaRange::new(Va::new(VA), PAGES * PAGE)?;
        let mut tables = Tables::for_range(whole, 48)?;
        let count = usize::try_from(PAGES)?;
        let (mut ours, mut theirs) = (None, None);

        for round in 0..ROUNDS {
            let begin = Instant::<Monotonic>::now();
            {
                let mut update = table.update(&mut tables);
                for n in 0..PAGES {
                    let page = VaRange::new(Va::new(VA + n * PAGE), PAGE)?;
                    update.map(page, scattered(n), Prot::READ | Prot::WRITE)?;
                }
            }
            keep(&mut ours, begin.elapsed());

            let begin = Instant::<Monotonic>::now();
            for n in 0..PAGES {
                bare.map_page(VA + n * PAGE, scattered(n))?;
            }
            keep(&mut theirs, begin.elapsed());

            for n in (0..PAGES).filter(|_| round == 0) {
                assert!(table.lookup(Va::new(VA + n * PAGE)) == Some(scattered(n)));
                assert_eq!(bare.lookup(VA + n * PAGE)?, scattered(n));
            }
            // Pages, and not a block's worth of them: the tables stay for the next round.
            let gone = table
                .update(&mut tables)
                .unmap_pages(Va::new(VA), PageSize::Size4K, count);
            assert_eq!(gone, PAGES * PAGE);
            assert_eq!(bare.unmap_pages(VA, count)?, count * SZ_4K);
        }
        assert_eq!(tables.left(), 0);
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            pr_info!(
                "soc_pgtable_cost: 2 MiB in scattered pages take {} ns, {} ns without the crate\n",
                ours.as_nanos(),
                theirs.as_nanos()
            );
        }
        Ok(())
    }
}
