// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Validation of GROUP_CREATE and GROUP_SUBMIT: from what user space passed to owned types.
//!
//! Pure. After this, no field that came from user space is looked at again.

use kernel::prelude::*;
use shims::uapi;

use crate::ring::Ring;
use crate::sched::policy::Priority;

/// Most queues of a group.
pub(crate) const MAX_QUEUES: u32 = 32;

/// Highest priority of a queue inside its group.
const MAX_QUEUE_PRIORITY: u8 = 15;

/// Cores and tilers of the GPU, as bit masks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    /// Shader cores.
    pub(crate) shader: u64,
    /// Tiler units.
    pub(crate) tiler: u64,
}

/// One queue to be created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueArgs {
    /// 0 to 15, 15 is served first.
    pub(crate) priority: u8,
    /// Ring geometry.
    pub(crate) ring: Ring,
}

impl QueueArgs {
    /// # Errors
    ///
    /// `EINVAL`: padding not zero, ring not a power of two from 4 KiB to 64 KiB, priority above
    /// 15.
    pub(crate) fn parse(raw: &uapi::drm_panthor_queue_create) -> Result<Self> {
        if raw.pad != [0; 3] || raw.priority > MAX_QUEUE_PRIORITY {
            return Err(EINVAL);
        }
        Ok(Self {
            priority: raw.priority,
            ring: Ring::new(raw.ringbuf_size)?,
        })
    }
}

/// Cores that one kind of work may use, and how many of them at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// Allowed units.
    pub(crate) mask: u64,
    /// Most units in use at the same time.
    pub(crate) max: u8,
}

impl Cores {
    fn parse(mask: u64, max: u8, present: u64) -> Result<Self> {
        if mask & !present != 0 || mask.count_ones() < u32::from(max) {
            return Err(EINVAL);
        }
        Ok(Self { mask, max })
    }
}

/// A group to be created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupArgs {
    /// Scheduling priority.
    pub(crate) priority: Priority,
    /// Shader cores for compute work.
    pub(crate) compute: Cores,
    /// Shader cores for fragment work.
    pub(crate) fragment: Cores,
    /// Tilers.
    pub(crate) tiler: Cores,
    /// VM of all its queues.
    pub(crate) vm_id: u32,
}

/// Checks the number of queues of a group.
///
/// # Errors
///
/// `EINVAL` unless it is 1 to 32 and at most `cs_slots`, the number of command streams per group
/// of the firmware.
pub(crate) fn check_queue_count(count: u32, cs_slots: u32) -> Result {
    if count == 0 || count > MAX_QUEUES || count > cs_slots {
        return Err(EINVAL);
    }
    Ok(())
}

/// Checks a group priority.
///
/// # Errors
///
/// `EINVAL` for one that doesn't exist, `EACCES` for one that takes more than `privileged` is.
pub(crate) fn check_priority(value: u8, privileged: bool) -> Result<Priority> {
    let priority = Priority::from_uapi(value).ok_or(EINVAL)?;
    if priority.is_privileged() && !privileged {
        return Err(EACCES);
    }
    Ok(priority)
}

impl GroupArgs {
    /// # Errors
    ///
    /// `EINVAL`: padding not zero, units that don't exist, more units at a time than allowed
    /// ones.
    pub(crate) fn parse(
        raw: &uapi::drm_panthor_group_create,
        priority: Priority,
        present: Present,
    ) -> Result<Self> {
        if raw.pad != 0 {
            return Err(EINVAL);
        }
        Ok(Self {
            priority,
            compute: Cores::parse(raw.compute_core_mask, raw.max_compute_cores, present.shader)?,
            fragment: Cores::parse(
                raw.fragment_core_mask,
                raw.max_fragment_cores,
                present.shader,
            )?,
            tiler: Cores::parse(raw.tiler_core_mask, raw.max_tiler_cores, present.tiler)?,
            vm_id: raw.vm_id,
        })
    }
}

/// A user-space command stream to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// GPU address, 64-byte aligned, below 2^48.
    pub(crate) addr: u64,
    /// Length in bytes, a multiple of 8, not zero.
    pub(crate) size: u32,
    /// LATEST_FLUSH when the stream was written, or 0.
    pub(crate) latest_flush: u32,
}

/// One entry of a GROUP_SUBMIT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubmitArgs {
    /// Index of the queue in the group.
    pub(crate) queue: usize,
    /// What to run; `None` for an entry that is a synchronisation point only.
    pub(crate) stream: Option<Stream>,
}

/// Bits of `latest_flush` that no flush id uses.
const LATEST_FLUSH_MBZ: u32 = 0x7f00_0000;

/// Command streams are addressed with 48 bits: the width of MOVE48's immediate.
const ADDR_BITS: u32 = 48;

impl SubmitArgs {
    /// # Errors
    ///
    /// `EINVAL`: padding not zero, only one of address and size zero, address not 64-byte or size
    /// not 8-byte aligned, stream not below 2^48, bits 24 to 30 of the flush id set, or no such
    /// queue.
    pub(crate) fn parse(raw: &uapi::drm_panthor_queue_submit, queue_count: usize) -> Result<Self> {
        let (addr, size) = (raw.stream_addr, raw.stream_size);
        let end = addr.checked_add(u64::from(size)).ok_or(EINVAL)?;
        if raw.pad != 0
            || (size == 0) != (addr == 0)
            || addr & 63 != 0
            || size & 7 != 0
            || end > 1 << ADDR_BITS
            || raw.latest_flush & LATEST_FLUSH_MBZ != 0
        {
            return Err(EINVAL);
        }
        let queue = usize::try_from(raw.queue_index).map_err(|_| EINVAL)?;
        if queue >= queue_count {
            return Err(EINVAL);
        }
        Ok(Self {
            queue,
            stream: (size != 0).then_some(Stream {
                addr,
                size,
                latest_flush: raw.latest_flush,
            }),
        })
    }
}

#[kernel::macros::kunit_tests(mali_csf_group_args)]
mod tests {
    use super::*;

    const G610: Present = Present {
        shader: 0x50005,
        tiler: 1,
    };

    fn group() -> uapi::drm_panthor_group_create {
        uapi::drm_panthor_group_create {
            max_compute_cores: 4,
            max_fragment_cores: 4,
            max_tiler_cores: 1,
            priority: 1,
            compute_core_mask: 0x50005,
            fragment_core_mask: 0x50005,
            tiler_core_mask: 1,
            vm_id: 1,
            ..Default::default()
        }
    }

    fn submit() -> uapi::drm_panthor_queue_submit {
        uapi::drm_panthor_queue_submit {
            queue_index: 1,
            stream_size: 64,
            stream_addr: 0x1000,
            ..Default::default()
        }
    }

    fn refused(raw: uapi::drm_panthor_queue_submit) -> bool {
        SubmitArgs::parse(&raw, 3).is_err()
    }

    #[test]
    fn a_group_as_mesa_creates_it_is_accepted() {
        assert!(GroupArgs::parse(&group(), Priority::Medium, G610).is_ok());
    }

    #[test]
    fn units_that_do_not_exist_are_refused() {
        for raw in [
            uapi::drm_panthor_group_create {
                compute_core_mask: 0x50007,
                ..group()
            },
            uapi::drm_panthor_group_create {
                fragment_core_mask: 1 << 63,
                ..group()
            },
            uapi::drm_panthor_group_create {
                tiler_core_mask: 3,
                ..group()
            },
        ] {
            assert!(GroupArgs::parse(&raw, Priority::Medium, G610).is_err());
        }
    }

    #[test]
    fn more_units_at_a_time_than_allowed_are_refused() {
        let raw = uapi::drm_panthor_group_create {
            max_compute_cores: 5,
            ..group()
        };
        assert!(GroupArgs::parse(&raw, Priority::Medium, G610).is_err());
    }

    #[test]
    fn a_group_without_any_core_is_accepted() {
        let raw = uapi::drm_panthor_group_create {
            vm_id: 1,
            ..Default::default()
        };
        assert!(GroupArgs::parse(&raw, Priority::Low, G610).is_ok());
    }

    #[test]
    fn padding_of_a_group_must_be_zero() {
        let raw = uapi::drm_panthor_group_create { pad: 1, ..group() };
        assert!(GroupArgs::parse(&raw, Priority::Low, G610).is_err());
    }

    #[test]
    fn a_group_has_one_to_as_many_queues_as_the_firmware_has_streams() {
        assert!(check_queue_count(0, 8).is_err());
        assert!(check_queue_count(8, 8).is_ok());
        assert!(check_queue_count(9, 8).is_err());
        assert!(check_queue_count(33, 64).is_err());
    }

    #[test]
    fn priorities_above_medium_take_privilege() {
        assert_eq!(check_priority(1, false), Ok(Priority::Medium));
        assert_eq!(check_priority(2, false), Err(EACCES));
        assert_eq!(check_priority(3, true), Ok(Priority::Realtime));
        assert_eq!(check_priority(4, true), Err(EINVAL));
        assert_eq!(check_priority(4, false), Err(EINVAL));
    }

    #[test]
    fn queue_arguments_are_checked() {
        let good = uapi::drm_panthor_queue_create {
            priority: 15,
            pad: [0; 3],
            ringbuf_size: 65536,
        };
        assert!(QueueArgs::parse(&good).is_ok());
        for bad in [
            uapi::drm_panthor_queue_create {
                priority: 16,
                ..good
            },
            uapi::drm_panthor_queue_create {
                pad: [0, 1, 0],
                ..good
            },
            uapi::drm_panthor_queue_create {
                ringbuf_size: 0,
                ..good
            },
        ] {
            assert!(QueueArgs::parse(&bad).is_err());
        }
    }

    #[test]
    fn an_entry_with_a_stream_is_accepted() -> Result {
        let args = SubmitArgs::parse(&submit(), 3)?;
        assert_eq!(args.queue, 1);
        assert_eq!(
            args.stream,
            Some(Stream {
                addr: 0x1000,
                size: 64,
                latest_flush: 0
            })
        );
        Ok(())
    }

    #[test]
    fn an_entry_without_a_stream_only_synchronises() -> Result {
        let raw = uapi::drm_panthor_queue_submit {
            stream_size: 0,
            stream_addr: 0,
            ..submit()
        };
        assert_eq!(SubmitArgs::parse(&raw, 3)?.stream, None);
        Ok(())
    }

    #[test]
    fn address_and_size_are_zero_together() {
        assert!(refused(uapi::drm_panthor_queue_submit {
            stream_size: 0,
            ..submit()
        }));
        assert!(refused(uapi::drm_panthor_queue_submit {
            stream_addr: 0,
            ..submit()
        }));
    }

    #[test]
    fn alignment_is_64_for_the_address_and_8_for_the_size() {
        assert!(refused(uapi::drm_panthor_queue_submit {
            stream_addr: 0x1020,
            ..submit()
        }));
        assert!(refused(uapi::drm_panthor_queue_submit {
            stream_size: 60,
            ..submit()
        }));
    }

    #[test]
    fn streams_beyond_48_bits_are_refused() {
        assert!(refused(uapi::drm_panthor_queue_submit {
            stream_addr: 1 << 48,
            ..submit()
        }));
        assert!(refused(uapi::drm_panthor_queue_submit {
            stream_addr: !63,
            ..submit()
        }));
        assert!(!refused(uapi::drm_panthor_queue_submit {
            stream_addr: (1 << 48) - 64,
            ..submit()
        }));
    }

    #[test]
    fn bits_24_to_30_of_the_flush_id_are_reserved() {
        assert!(refused(uapi::drm_panthor_queue_submit {
            latest_flush: 1 << 24,
            ..submit()
        }));
        assert!(refused(uapi::drm_panthor_queue_submit {
            latest_flush: 1 << 30,
            ..submit()
        }));
        assert!(!refused(uapi::drm_panthor_queue_submit {
            latest_flush: 0x80ff_ffff,
            ..submit()
        }));
    }

    #[test]
    fn padding_and_queue_index_are_checked() {
        assert!(refused(uapi::drm_panthor_queue_submit {
            pad: 1,
            ..submit()
        }));
        assert!(refused(uapi::drm_panthor_queue_submit {
            queue_index: 3,
            ..submit()
        }));
        assert!(refused(uapi::drm_panthor_queue_submit {
            queue_index: u32::MAX,
            ..submit()
        }));
    }
}
