// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Encodings of what is written to an address space's registers.
//!
//! Pure functions, tested as such. Source of the encodings: the register descriptions of
//! `drivers/gpu/drm/panthor/panthor_mmu_regs.h`.

use kernel::prelude::*;

/// log2 of the smallest region that can be locked: a cache line of eight page-table entries.
const MIN_LOCK_LOG2: u32 = 15;

/// A naturally aligned power of two of GPU addresses, as the LOCK command takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockRegion {
    start: u64,
    log2: u32,
}

impl LockRegion {
    /// Smallest region that holds `[start, end)`. `start < end`.
    pub(crate) fn covering(start: u64, end: u64) -> Self {
        let differing = start ^ (end - 1);
        let log2 = (u64::BITS - differing.leading_zeros()).max(MIN_LOCK_LOG2);
        let mask = u64::MAX.checked_shl(log2).unwrap_or(0);
        Self {
            start: start & mask,
            log2,
        }
    }

    /// Value for LOCKADDR: the first address, and the size as log2 minus 1 in the low bits.
    pub(crate) fn encoded(&self) -> u64 {
        self.start | u64::from(self.log2 - 1)
    }
}

/// MAIR: the outer or inner half of an attribute says "write-back".
const MAIR_WRITE_BACK: u8 = 1 << 2;
/// MAIR: a half without either allocation hint is device memory or transient.
const MAIR_ALLOC: u8 = 3;
/// MAIR: allocate on read.
const MAIR_READ_ALLOC: u8 = 1 << 1;
/// MAIR: allocate on write.
const MAIR_WRITE_ALLOC: u8 = 1 << 0;

/// MEMATTR: allocation as the two lowest bits say.
const ALLOC_EXPLICIT: u8 = 3 << 2;
/// MEMATTR: inner shareable means what the CPU means by it.
const SHARE_CPU_INNER: u8 = 1 << 4;
/// MEMATTR: not cached.
const NON_CACHED: u8 = 1 << 6;
/// MEMATTR: write-back.
const WRITE_BACK: u8 = 2 << 6;

/// Translates one attribute of the page-table format into the GPU's terms.
fn attribute(mair: u8, coherent: bool) -> u8 {
    let (outer, inner) = (mair >> 4, mair & 0xf);
    let cached =
        outer & MAIR_ALLOC != 0 && outer & MAIR_WRITE_BACK != 0 && inner & MAIR_WRITE_BACK != 0;
    if !cached {
        return NON_CACHED | ALLOC_EXPLICIT;
    }

    // The GPU's bits for the two hints are those of MAIR. A device that is not coherent must keep
    // to its own inner domain, which is encoded as 0.
    let hints = inner & (MAIR_READ_ALLOC | MAIR_WRITE_ALLOC);
    let share = if coherent { SHARE_CPU_INNER } else { 0 };
    WRITE_BACK | ALLOC_EXPLICIT | hints | share
}

/// Value for MEMATTR that gives the eight attributes of `mair` the nearest meaning the GPU has:
/// write-back where both halves are write-back, not cached otherwise.
pub(crate) fn memattr(mair: u64, coherent: bool) -> u64 {
    u64::from_le_bytes(mair.to_le_bytes().map(|byte| attribute(byte, coherent)))
}

#[kunit_tests(mali_csf_mmu_region)]
mod tests {
    use super::*;

    #[test]
    fn small_ranges_lock_32_kib() {
        assert_eq!(LockRegion::covering(0x1000, 0x2000).encoded(), 14);
        assert_eq!(
            LockRegion::covering(0x1234_5000, 0x1234_6000).encoded(),
            0x1234_0000 | 14
        );
    }

    #[test]
    fn ranges_across_a_boundary_lock_what_holds_both_sides() {
        assert_eq!(LockRegion::covering(0x7000, 0x9000).encoded(), 15);
        assert_eq!(LockRegion::covering(0x1f_f000, 0x20_1000).encoded(), 21);
    }

    #[test]
    fn the_whole_space_can_be_locked() {
        assert_eq!(LockRegion::covering(0, 1 << 48).encoded(), 47);
        assert_eq!(LockRegion::covering(0, u64::MAX).encoded(), 63);
    }

    #[test]
    fn write_back_keeps_its_hints() {
        assert_eq!(attribute(0xff, false), 0x8f);
        assert_eq!(attribute(0xff, true), 0x9f);
        assert_eq!(attribute(0xfe, false), 0x8e);
    }

    #[test]
    fn everything_else_is_not_cached() {
        assert_eq!(attribute(0x44, false), 0x4c);
        assert_eq!(attribute(0x04, true), 0x4c);
        assert_eq!(attribute(0xbb, true), 0x4c);
        assert_eq!(memattr(0xff, false), 0x4c4c_4c4c_4c4c_4c8f);
    }
}
