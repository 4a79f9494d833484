// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How the address space of a VM is divided between user space and the kernel.
//!
//! The kernel needs room for what it maps into a VM on its own account: ring buffers, sync
//! objects, heap chunks. That room is a power of two at the top of the space, at least
//! [`MIN_KERNEL`]; everything below it belongs to user space. A pure function, tested as such.

use kernel::{
    prelude::*,
    sizes::{
        SZ_256M, //
    },
};

/// Smallest kernel part, in bytes.
const MIN_KERNEL: u64 = SZ_256M as u64;

/// Spaces larger than this many bytes are halved by default.
const HALVED_ABOVE: u64 = 1 << 32;

/// Most address bits that the page-table format of the driver can translate.
const MAX_VA_BITS: u32 = 48;

/// A divided address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// Bytes in the whole space.
    pub(crate) full: u64,
    /// First address of the kernel part; user mappings end here.
    pub(crate) user_end: u64,
}

impl Split {
    /// Divides a space of `va_bits` address bits.
    ///
    /// `requested` is the number of bytes that user space wants to have at least. 0 leaves the
    /// choice to the kernel: as much as the process has itself (`task_size`), so that a buffer can
    /// have the same address on both sides, and half of the space or all but [`MIN_KERNEL`] if the
    /// process has more than the GPU.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the space is too small, or if `requested` leaves less than [`MIN_KERNEL`].
    pub(crate) fn new(va_bits: u32, requested: u64, task_size: u64) -> Result<Self> {
        if va_bits > MAX_VA_BITS {
            return Err(EINVAL);
        }
        let full = 1u64 << va_bits;
        let most = full.checked_sub(MIN_KERNEL).ok_or(EINVAL)?;
        if requested > most {
            return Err(EINVAL);
        }

        let wanted = if requested != 0 {
            requested
        } else if task_size < full {
            task_size
        } else if full > HALVED_ABOVE {
            full / 2
        } else {
            most
        };
        let user = wanted.min(most);
        if user == 0 {
            return Err(EINVAL);
        }

        // `full - user` is at least MIN_KERNEL, so that it has a highest bit.
        let kernel = 1u64 << (full - user).ilog2();
        Ok(Self {
            full,
            user_end: full - kernel,
        })
    }

    /// Bytes of the kernel part.
    pub(crate) fn kernel_size(&self) -> u64 {
        self.full - self.user_end
    }

    /// Whether `[va, va + size)` lies in the part of user space.
    pub(crate) fn user_contains(&self, va: u64, size: u64) -> bool {
        va.checked_add(size).is_some_and(|end| end <= self.user_end)
    }
}

#[kunit_tests(mali_csf_vm_split)]
mod tests {
    use super::*;

    const TASK_47: u64 = (1 << 47) - 4096;

    #[test]
    fn default_follows_the_task_size() {
        let split = Split::new(48, 0, TASK_47).unwrap();
        assert_eq!(split.user_end, 1 << 47);
        assert_eq!(split.kernel_size(), 1 << 47);
    }

    #[test]
    fn default_is_half_when_the_task_is_larger() {
        assert_eq!(Split::new(40, 0, TASK_47).unwrap().user_end, 1 << 39);
    }

    #[test]
    fn small_spaces_keep_the_minimum_for_the_kernel() {
        let split = Split::new(32, 0, TASK_47).unwrap();
        assert_eq!(split.kernel_size(), MIN_KERNEL);
    }

    #[test]
    fn a_request_is_rounded_up_to_leave_a_power_of_two() {
        let split = Split::new(48, (1 << 47) + 1, TASK_47).unwrap();
        assert_eq!(split.kernel_size(), 1 << 46);
        assert_eq!(split.user_end, (1 << 48) - (1 << 46));
    }

    #[test]
    fn the_largest_request_leaves_the_minimum() {
        let most = (1 << 48) - MIN_KERNEL;
        assert_eq!(Split::new(48, most, TASK_47).unwrap().user_end, most);
        assert!(Split::new(48, most + 1, TASK_47).is_err());
        assert!(Split::new(48, u64::MAX, TASK_47).is_err());
    }

    #[test]
    fn spaces_without_room_are_refused() {
        assert!(Split::new(27, 0, TASK_47).is_err());
        assert!(Split::new(28, 0, TASK_47).is_err());
        assert!(Split::new(49, 0, TASK_47).is_err());
    }

    #[test]
    fn user_range_ends_where_the_kernel_begins() {
        let split = Split::new(48, 0, TASK_47).unwrap();
        assert!(split.user_contains(0, split.user_end));
        assert!(split.user_contains(split.user_end, 0));
        assert!(!split.user_contains(4096, split.user_end));
        assert!(!split.user_contains(u64::MAX, 4096));
    }
}
