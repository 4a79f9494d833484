// SPDX-License-Identifier: GPL-2.0 OR MIT

//! DEV_QUERY: what the device is and what the caller may do with it.

use drm::time::Timespec;
use kernel::prelude::*;
use shims::uapi;

use crate::driver::{
    Device,
    DrmFile,
    Entered, //
};
use crate::file::File;
use crate::group::args::check_priority;
use crate::sched::policy::Priority;

/// 4 KiB and 2 MiB.
const PAGE_SIZES: u64 = (1 << 12) | (1 << 21);

fn gpu_info(device: &Device) -> uapi::drm_panthor_gpu_info {
    let info = &device.info;
    uapi::drm_panthor_gpu_info {
        gpu_id: info.gpu_id,
        gpu_rev: info.gpu_rev,
        csf_id: info.csf_id,
        l2_features: info.l2_features,
        tiler_features: info.tiler_features,
        mem_features: info.mem_features,
        mmu_features: info.mmu_features,
        thread_features: info.thread_features,
        max_threads: info.max_threads,
        thread_max_workgroup_size: info.thread_max_workgroup_size,
        thread_max_barrier_size: info.thread_max_barrier_size,
        coherency_features: info.coherency_features,
        texture_features: info.texture_features,
        as_present: info.as_present,
        selected_coherency: info.selected_coherency,
        shader_present: info.shader_present,
        l2_present: info.l2_present,
        tiler_present: info.tiler_present,
        core_features: info.core_features,
        pad: 0,
        gpu_features: info.gpu_features,
    }
}

fn csif_info(device: &Device) -> uapi::drm_panthor_csif_info {
    let csif = device.fw.csif();
    uapi::drm_panthor_csif_info {
        csg_slot_count: csif.csg_slots,
        cs_slot_count: csif.cs_slots,
        cs_reg_count: csif.work_regs,
        scoreboard_slot_count: csif.scoreboards,
        unpreserved_cs_reg_count: csif.unpreserved_regs,
        pad: 0,
    }
}

fn priorities_info(file: &DrmFile) -> uapi::drm_panthor_group_priorities_info {
    let privileged = File::is_privileged(file);
    uapi::drm_panthor_group_priorities_info {
        allowed_mask: allowed_priorities(privileged),
        ..Default::default()
    }
}

fn allowed_priorities(privileged: bool) -> u8 {
    (0..=u8::MAX)
        .map_while(Priority::from_uapi)
        .filter(|priority| privileged || !priority.is_privileged())
        .fold(0, |mask, priority| mask | priority.bit())
}

/// Clocks that a TIMESTAMP_INFO query samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    gpu: bool,
    cycles: bool,
    offset: bool,
    frequency: bool,
    duration: bool,
    cpu: Option<CpuClock>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CpuClock {
    Monotonic,
    MonotonicRaw,
}

impl Wanted {
    /// # Errors
    ///
    /// `EINVAL` for an unknown flag or CPU clock.
    fn parse(flags: u32) -> Result<Self> {
        const KNOWN: u32 = uapi::DRM_PANTHOR_TIMESTAMP_GPU
            | uapi::DRM_PANTHOR_TIMESTAMP_CPU_TYPE_MASK
            | uapi::DRM_PANTHOR_TIMESTAMP_GPU_OFFSET
            | uapi::DRM_PANTHOR_TIMESTAMP_GPU_CYCLE_COUNT
            | uapi::DRM_PANTHOR_TIMESTAMP_FREQ
            | uapi::DRM_PANTHOR_TIMESTAMP_DURATION;

        // What the query meant before it had flags.
        let flags = match flags {
            0 => {
                uapi::DRM_PANTHOR_TIMESTAMP_GPU
                    | uapi::DRM_PANTHOR_TIMESTAMP_GPU_OFFSET
                    | uapi::DRM_PANTHOR_TIMESTAMP_FREQ
            }
            flags => flags,
        };
        if flags & !KNOWN != 0 {
            return Err(EINVAL);
        }
        let has = |flag| flags & flag != 0;
        Ok(Self {
            gpu: has(uapi::DRM_PANTHOR_TIMESTAMP_GPU),
            cycles: has(uapi::DRM_PANTHOR_TIMESTAMP_GPU_CYCLE_COUNT),
            offset: has(uapi::DRM_PANTHOR_TIMESTAMP_GPU_OFFSET),
            frequency: has(uapi::DRM_PANTHOR_TIMESTAMP_FREQ),
            duration: has(uapi::DRM_PANTHOR_TIMESTAMP_DURATION),
            cpu: match flags & uapi::DRM_PANTHOR_TIMESTAMP_CPU_TYPE_MASK {
                uapi::DRM_PANTHOR_TIMESTAMP_CPU_NONE => None,
                uapi::DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC => Some(CpuClock::Monotonic),
                uapi::DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC_RAW => Some(CpuClock::MonotonicRaw),
                _ => return Err(EINVAL),
            },
        })
    }

    /// Whether the samples have to be taken close together.
    fn is_tight(&self) -> bool {
        let sources = u8::from(self.gpu) + u8::from(self.cycles) + u8::from(self.cpu.is_some());
        self.duration || sources >= 2
    }
}

/// Answers a query for timestamps. The GPU is in use.
fn timestamp_info(
    device: &Device,
    flags: u32,
    wanted: Wanted,
) -> Result<uapi::drm_panthor_timestamp_info> {
    let counters = device.gpu.counters()?;
    let mut out = uapi::drm_panthor_timestamp_info {
        flags,
        ..Default::default()
    };
    if wanted.frequency {
        out.timestamp_frequency = drm::time::arch_timer_rate();
    }
    if wanted.offset {
        out.timestamp_offset = counters.timestamp_offset();
    }
    let mut cpu = None;
    let mut sample = || {
        let start = drm::time::local_clock();
        if wanted.gpu {
            out.current_timestamp = counters.timestamp();
        }
        cpu = match wanted.cpu {
            Some(CpuClock::Monotonic) => Some(Timespec::monotonic()),
            Some(CpuClock::MonotonicRaw) => Some(Timespec::monotonic_raw()),
            None => None,
        };
        if wanted.cycles {
            out.cycle_count = counters.cycle_count();
        }
        if wanted.duration {
            let nanos = drm::time::local_clock().saturating_sub(start);
            out.duration_nsec = u32::try_from(nanos).unwrap_or(u32::MAX);
        }
    };
    match wanted.is_tight() {
        true => drm::time::uninterrupted(sample),
        false => sample(),
    }
    if let Some(cpu) = cpu {
        let cpu = cpu.in_time_namespace();
        out.cpu_timestamp_sec = u64::try_from(cpu.secs()).map_err(|_| ERANGE)?;
        out.cpu_timestamp_nsec = cpu.nanos().into();
    }
    Ok(out)
}

/// Size of `T` as user space is told.
fn size<T>() -> Result<u32> {
    u32::try_from(size_of::<T>()).map_err(|_| EINVAL)
}

/// DEV_QUERY. Without a pointer, tells the size of the answer.
pub(crate) fn dev_query(
    dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_dev_query,
    file: &DrmFile,
) -> Result<u32> {
    let device: &Device = dev.bound().device();
    let (ptr, user_size) = (args.pointer, args.size);

    match args.type_ {
        uapi::DRM_PANTHOR_DEV_QUERY_GPU_INFO => {
            if ptr == 0 {
                args.size = size::<uapi::drm_panthor_gpu_info>()?;
                return Ok(0);
            }
            let min = drm::min_size!(uapi::drm_panthor_gpu_info, tiler_present);
            drm::uobj::write(ptr, user_size, min, &gpu_info(device))?;
        }
        uapi::DRM_PANTHOR_DEV_QUERY_CSIF_INFO => {
            if ptr == 0 {
                args.size = size::<uapi::drm_panthor_csif_info>()?;
                return Ok(0);
            }
            let min = drm::min_size!(uapi::drm_panthor_csif_info, pad);
            drm::uobj::write(ptr, user_size, min, &csif_info(device))?;
        }
        uapi::DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO => {
            if ptr == 0 {
                args.size = size::<uapi::drm_panthor_timestamp_info>()?;
                return Ok(0);
            }
            let min = drm::min_size!(uapi::drm_panthor_timestamp_info, current_timestamp);
            let asked: uapi::drm_panthor_timestamp_info = drm::uobj::read(ptr, user_size, 0)?;
            let wanted = Wanted::parse(asked.flags)?;
            let _use = dev.bound().power().get()?;
            let answer = timestamp_info(device, asked.flags, wanted)?;
            drm::uobj::write(ptr, user_size, min, &answer)?;
        }
        uapi::DRM_PANTHOR_DEV_QUERY_GROUP_PRIORITIES_INFO => {
            if ptr == 0 {
                args.size = size::<uapi::drm_panthor_group_priorities_info>()?;
                return Ok(0);
            }
            let min = drm::min_size!(uapi::drm_panthor_group_priorities_info, pad);
            drm::uobj::write(ptr, user_size, min, &priorities_info(file))?;
        }
        uapi::DRM_PANTHOR_DEV_QUERY_MMU_INFO => {
            if ptr == 0 {
                args.size = size::<uapi::drm_panthor_mmu_info>()?;
                return Ok(0);
            }
            let min = drm::min_size!(uapi::drm_panthor_mmu_info, page_size_bitmap);
            let info = uapi::drm_panthor_mmu_info {
                page_size_bitmap: PAGE_SIZES,
            };
            drm::uobj::write(ptr, user_size, min, &info)?;
        }
        _ => return Err(EINVAL),
    }
    Ok(0)
}

#[kernel::macros::kunit_tests(mali_csf_query)]
mod tests {
    use super::*;

    #[test]
    fn no_flags_mean_what_they_meant_before_there_were_any() {
        let wanted = Wanted::parse(0);
        assert!(matches!(
            wanted,
            Ok(Wanted {
                gpu: true,
                offset: true,
                frequency: true,
                cycles: false,
                duration: false,
                cpu: None
            })
        ));
    }

    #[test]
    fn unknown_flags_and_clocks_are_refused() {
        assert_eq!(Wanted::parse(1 << 8), Err(EINVAL));
        assert_eq!(Wanted::parse(3 << 1), Err(EINVAL));
        assert_eq!(Wanted::parse(7 << 1), Err(EINVAL));
    }

    #[test]
    fn two_clocks_or_a_duration_are_sampled_close_together() -> Result {
        assert!(!Wanted::parse(1)?.is_tight());
        assert!(Wanted::parse(1 | 1 << 5)?.is_tight());
        assert!(Wanted::parse(1 | 1 << 1)?.is_tight());
        assert!(Wanted::parse(1 << 7)?.is_tight());
        assert!(!Wanted::parse(1 << 6 | 1 << 4)?.is_tight());
        Ok(())
    }

    #[test]
    fn everybody_may_use_low_and_medium() {
        assert_eq!(allowed_priorities(false), 0b0011);
        assert_eq!(allowed_priorities(true), 0b1111);
        assert!(check_priority(1, false).is_ok());
    }
}
