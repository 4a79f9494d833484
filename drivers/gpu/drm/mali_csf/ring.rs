// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Arithmetic of a command-stream ring buffer, and the instructions that one job puts into it.
//!
//! Positions in a ring are 64-bit byte counts that only grow: INSERT is written by the driver,
//! EXTRACT by the firmware, and the place in the buffer is the position modulo the ring's size.
//! Everything here is pure; memory and doorbells are in [`crate::queue`].

use kernel::prelude::*;

pub(crate) mod instr;

pub(crate) use instr::{
    JobCall,
    Stamp,
    STAMPS_SIZE, //
};

/// Size of one command-stream instruction in bytes.
pub(crate) const INSTR_SIZE: u32 = 8;

/// Instructions that one job occupies in the ring: the sequence of [`JobCall::encode`], which is whole
/// cache lines because the prefetcher of the command-stream front end reads those.
pub(crate) const JOB_INSTRS: u32 = 16;

/// Bytes that one job occupies in the ring.
pub(crate) const JOB_BYTES: u64 = JOB_INSTRS as u64 * INSTR_SIZE as u64;

/// Smallest ring that user space may ask for, in bytes.
pub(crate) const MIN_SIZE: u32 = 4 * 1024;

/// Largest ring that user space may ask for, in bytes.
pub(crate) const MAX_SIZE: u32 = 64 * 1024;

/// Most jobs that are in a ring at once, however large it is: as many as have their counters in one
/// page together with the queue's sync object.
///
/// The GPU's part of a queue is there to keep the GPU busy, and a hundred jobs do; what is submitted
/// beyond them waits on the CPU.
pub(crate) const MAX_DEPTH: u32 = 127;

/// A contiguous part of the ring buffer, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Offset of the first byte.
    pub(crate) offset: usize,
    /// Length in bytes.
    pub(crate) len: usize,
}

/// Geometry of a ring buffer.
///
/// # Invariants
///
/// `size` is a power of two between [`MIN_SIZE`] and [`MAX_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    size: u32,
}

impl Ring {
    /// Checks a size in bytes as given by user space.
    ///
    /// # Errors
    ///
    /// `EINVAL` unless it is a power of two from 4 KiB to 64 KiB.
    pub(crate) fn new(size: u32) -> Result<Self> {
        if !(MIN_SIZE..=MAX_SIZE).contains(&size) || !size.is_power_of_two() {
            return Err(EINVAL);
        }
        // INVARIANT: checked right above.
        Ok(Self { size })
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// How many jobs may be in the ring at once.
    ///
    /// Not the last one that fits: the firmware may still be reading the last cache line of a job
    /// that counts as finished.
    pub(crate) fn depth(&self) -> u32 {
        (self.size / (JOB_INSTRS * INSTR_SIZE) - 1).min(MAX_DEPTH)
    }

    /// Splits `len` bytes at position `pos` into the part up to the end of the buffer and the
    /// part that wraps to its start (whose length may be zero).
    ///
    /// `len` beyond the ring's size is cut to that size.
    pub(crate) fn pieces(&self, pos: u64, len: usize) -> [Piece; 2] {
        let mask = u64::from(self.size - 1);
        // The masked position is below 64 KiB: both conversions are exact.
        let offset = usize::try_from(pos & mask).unwrap_or(0);
        let size = usize::try_from(self.size).unwrap_or(0);
        let len = len.min(size);
        let first = len.min(size - offset);
        [
            Piece { offset, len: first },
            Piece {
                offset: 0,
                len: len - first,
            },
        ]
    }
}

#[kunit_tests(mali_csf_ring)]
mod tests {
    use super::*;

    #[test]
    fn sizes_outside_4k_to_64k_are_refused() {
        assert!(Ring::new(0).is_err());
        assert!(Ring::new(2048).is_err());
        assert!(Ring::new(4096).is_ok());
        assert!(Ring::new(65536).is_ok());
        assert!(Ring::new(131072).is_err());
    }

    #[test]
    fn sizes_that_are_no_power_of_two_are_refused() {
        assert!(Ring::new(4096 + 64).is_err());
        assert!(Ring::new(12288).is_err());
    }

    #[test]
    fn a_ring_is_filled_but_for_one_job_and_not_beyond_a_page_of_counters() -> Result {
        assert_eq!(Ring::new(4096)?.depth(), 31);
        assert_eq!(Ring::new(8192)?.depth(), 63);
        assert_eq!(Ring::new(16384)?.depth(), MAX_DEPTH);
        assert_eq!(Ring::new(65536)?.depth(), MAX_DEPTH);
        Ok(())
    }

    #[test]
    fn a_job_inside_the_buffer_is_one_piece() -> Result {
        let [a, b] = Ring::new(4096)?.pieces(128, 128);
        assert_eq!(
            a,
            Piece {
                offset: 128,
                len: 128
            }
        );
        assert_eq!(b.len, 0);
        Ok(())
    }

    #[test]
    fn a_job_across_the_end_wraps() -> Result {
        let [a, b] = Ring::new(4096)?.pieces(3 * 4096 - 64, 128);
        assert_eq!(
            a,
            Piece {
                offset: 4096 - 64,
                len: 64
            }
        );
        assert_eq!(b, Piece { offset: 0, len: 64 });
        Ok(())
    }

    #[test]
    fn positions_far_beyond_32_bits_keep_their_place() -> Result {
        let [a, _] = Ring::new(65536)?.pieces((7 << 40) + 192, 64);
        assert_eq!(
            a,
            Piece {
                offset: 192,
                len: 64
            }
        );
        Ok(())
    }
}
