// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The arithmetic of the tables: four levels of 512 entries, 4 KiB pages, 2 MiB blocks.

use kernel::prelude::*;

const PAGE_SHIFT: u32 = 12;
const BITS_PER_LEVEL: u32 = 9;

/// The widest addresses that four levels translate.
pub(super) const MAX_VA_BITS: u32 = 48;
/// The widest addresses that a table can have: the page table code takes them as `unsigned long`.
pub const ADDRESS_BITS: u32 = address_bits(usize::BITS);
/// The narrowest ones that take two levels.
pub(super) const MIN_VA_BITS: u32 = PAGE_SHIFT + BITS_PER_LEVEL + 1;

/// An address as the device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Va(u64);

impl Va {
    /// The address `raw`.
    #[inline]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The address as a number.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The address `size` bytes further up, unless that wraps.
    #[inline]
    pub const fn checked_add(self, size: u64) -> Option<Self> {
        match self.0.checked_add(size) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Whether it is a multiple of `size`, a power of two.
    #[inline]
    pub const fn is_aligned(self, size: u64) -> bool {
        self.0 & (size - 1) == 0
    }
}

/// A range of addresses that is not empty and whose end is an address too.
///
/// # Invariants
///
/// `size` is not zero, and `start + size` does not wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaRange {
    start: Va,
    size: u64,
}

impl VaRange {
    /// `size` bytes from `start`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is empty or wraps.
    #[inline]
    pub fn new(start: Va, size: u64) -> Result<Self> {
        if size == 0 || start.checked_add(size).is_none() {
            return Err(EINVAL);
        }
        // INVARIANT: Just checked.
        Ok(Self { start, size })
    }

    /// The first address.
    #[inline]
    pub const fn start(self) -> Va {
        self.start
    }

    /// The length in bytes.
    #[inline]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// The first address after it.
    pub const fn end(self) -> Va {
        // This does not wrap by the type's invariant.
        Va(self.start.0.wrapping_add(self.size))
    }

    /// The last address in it.
    pub const fn last(self) -> Va {
        // The size is not zero by the type's invariant.
        Va(self.end().0.wrapping_sub(1))
    }
}

/// The size of a mapping's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// A page: an entry of level 3.
    Size4K,
    /// A block: an entry of level 2.
    Size2M,
}

impl PageSize {
    /// log2 of the size in bytes.
    #[inline]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Size4K => PAGE_SHIFT,
            Self::Size2M => PAGE_SHIFT + BITS_PER_LEVEL,
        }
    }

    /// The size in bytes.
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }
}

/// What to map first of `left` bytes from `va` to `pa`: the page size, and how many pages of it until
/// a larger size fits or a smaller one is needed. The count is 0 if not even one page fits.
#[inline]
pub fn chunk(va: Va, pa: u64, left: u64) -> (PageSize, usize) {
    let page = PageSize::Size4K.bytes();
    let block = PageSize::Size2M.bytes();

    let (size, bytes) = if !va.is_aligned(page) || pa % page != 0 {
        (PageSize::Size4K, 0)
    } else if (va.raw() ^ pa) & (block - 1) != 0 {
        // The two never reach a block boundary together.
        (PageSize::Size4K, left)
    } else {
        match va.raw() & (block - 1) {
            0 if left >= block => (PageSize::Size2M, left),
            0 => (PageSize::Size4K, left),
            offset => (PageSize::Size4K, left.min(block - offset)),
        }
    };
    // A count that does not fit is a count of more pages than there is memory.
    (
        size,
        usize::try_from(bytes >> size.shift()).unwrap_or(usize::MAX),
    )
}

/// The widest addresses on a machine whose words have so many bits.
pub const fn address_bits(word: u32) -> u32 {
    if word < MAX_VA_BITS {
        word
    } else {
        MAX_VA_BITS
    }
}

/// Levels of tables that addresses of `va_bits` bits need, with the root.
pub(super) const fn levels(va_bits: u32) -> u32 {
    let bits = if va_bits < MIN_VA_BITS {
        MIN_VA_BITS
    } else if va_bits > MAX_VA_BITS {
        MAX_VA_BITS
    } else {
        va_bits
    };
    (bits - PAGE_SHIFT).div_ceil(BITS_PER_LEVEL)
}

/// log2 of what a table spans: one of the last level for `up` 1, of the level above for 2, and so on.
pub(super) const fn table_shift(up: u32) -> u32 {
    PAGE_SHIFT + BITS_PER_LEVEL * up
}

/// How many tables below the root are on the way to the pages of `range`, with addresses of `va_bits`
/// bits: what mapping it with pages of 4 KiB needs at most.
pub fn tables_for(range: VaRange, va_bits: u32) -> usize {
    (1..levels(va_bits))
        .map(|up| {
            // A table of the last level spans one entry of the level above, and so on.
            let shift = table_shift(up);
            let tables = (range.last().raw() >> shift) - (range.start().raw() >> shift) + 1;
            usize::try_from(tables).unwrap_or(usize::MAX)
        })
        .fold(0, usize::saturating_add)
}

/// Whether an entry of level 2 is a block.
pub(super) const fn is_block(entry: u64) -> bool {
    const TYPE_MASK: u64 = 0b11;
    const TYPE_BLOCK: u64 = 0b01;
    // Tables have type 0b11, entries that are not valid have bit 0 clear.
    entry & TYPE_MASK == TYPE_BLOCK
}
