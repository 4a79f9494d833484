// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The ring of a stream: byte offsets that only grow, into a power-of-two buffer.

/// Smallest ring in bytes.
const MIN_SIZE: u32 = 4096;

/// Why a ring cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingError {
    /// The size is not a power of two of at least a page.
    Size,
    /// The buffer is not aligned to a page.
    Base,
    /// INSERT is not a multiple of the instruction size.
    Unaligned,
    /// INSERT is behind EXTRACT.
    Backwards,
    /// There is more between EXTRACT and INSERT than the ring can hold.
    Overrun,
}

impl RingError {
    /// For records.
    pub(crate) const fn note(self) -> &'static str {
        match self {
            RingError::Size => "ring size is not a power of two of at least 4 KiB",
            RingError::Base => "ring is not aligned to 4 KiB",
            RingError::Unaligned => "insert is not a multiple of 8",
            RingError::Backwards => "insert is behind extract",
            RingError::Overrun => "insert is more than a ring ahead of extract",
        }
    }
}

/// A ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    /// GPU virtual address of the buffer, in the address space of the group.
    pub(crate) base: u64,
    /// Size in bytes.
    pub(crate) size: u32,
    /// MCU virtual address of the input page.
    pub(crate) input: u64,
    /// MCU virtual address of the output page.
    pub(crate) output: u64,
    /// The end of what the host has written, as last read.
    pub(crate) insert: u64,
    /// The next instruction.
    pub(crate) extract: u64,
}

impl Ring {
    /// No ring.
    pub(crate) const fn new() -> Self {
        Self {
            base: 0,
            size: 0,
            input: 0,
            output: 0,
            insert: 0,
            extract: 0,
        }
    }

    /// Checks the buffer.
    pub(crate) fn check(&self) -> Result<(), RingError> {
        if self.size < MIN_SIZE || !self.size.is_power_of_two() {
            return Err(RingError::Size);
        }
        if self.base % u64::from(MIN_SIZE) != 0 {
            return Err(RingError::Base);
        }
        Ok(())
    }

    /// Takes over a new INSERT.
    pub(crate) fn set_insert(&mut self, insert: u64) -> Result<(), RingError> {
        if insert % 8 != 0 || self.extract % 8 != 0 {
            return Err(RingError::Unaligned);
        }
        if insert < self.extract {
            return Err(RingError::Backwards);
        }
        if insert - self.extract > u64::from(self.size) {
            return Err(RingError::Overrun);
        }
        self.insert = insert;
        Ok(())
    }

    /// Whether all is executed.
    pub(crate) fn is_empty(&self) -> bool {
        self.extract == self.insert
    }

    /// Address of the next instruction.
    pub(crate) fn address(&self) -> u64 {
        self.base
            .wrapping_add(self.extract & u64::from(self.size).wrapping_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_wrap_offsets_do_not() {
        let mut ring = Ring {
            base: 0x10000,
            size: 4096,
            ..Ring::new()
        };
        assert_eq!(ring.check(), Ok(()));
        ring.extract = 4096 * 5 + 24;
        assert_eq!(ring.address(), 0x10018);
        assert_eq!(ring.set_insert(4096 * 6 + 24), Ok(()));
        assert_eq!(ring.set_insert(4096 * 6 + 32), Err(RingError::Overrun));
        assert_eq!(ring.set_insert(4096 * 5 + 16), Err(RingError::Backwards));
        assert_eq!(ring.set_insert(4096 * 5 + 28), Err(RingError::Unaligned));
    }

    #[test]
    fn odd_buffers_are_refused() {
        let ring = Ring {
            base: 0x10000,
            size: 4096,
            ..Ring::new()
        };
        assert_eq!(Ring { size: 2048, ..ring }.check(), Err(RingError::Size));
        assert_eq!(
            Ring {
                size: 12288,
                ..ring
            }
            .check(),
            Err(RingError::Size)
        );
        assert_eq!(
            Ring {
                base: 0x10040,
                ..ring
            }
            .check(),
            Err(RingError::Base)
        );
    }
}
