// SPDX-License-Identifier: GPL-2.0 OR MIT

//! An open file: its VMs and groups, its BOs, and the mapping of the flush id.
//!
//! **Locking.** The handle tables have a mutex each. The MMIO offset is one word.
//!
//! **Ordering.** When a file is closed its groups end first, and its VMs are emptied when no job
//! can touch them any more.
//!
//! **Blocking.** Closing waits until the scheduler has taken the file's groups out of their slots,
//! which the firmware does in bounded time.

use drm::mmap;
use kernel::prelude::*;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use shims::uapi;

pub(crate) mod handles;

use crate::driver::MaliDriver;
use crate::gem as bo;
use crate::group::state::Status;
use crate::group::Group;
use crate::vm;
use crate::vm::Vm;
use handles::Handles;

/// Most VMs of a file.
const MAX_VMS: usize = 32;

/// Most groups of a file.
const MAX_GROUPS: usize = 128;

/// Longest label of a BO in bytes, without the terminating zero.
const MAX_LABEL: usize = 4096;

/// Where the flush id is mapped, unless the file says otherwise. Programs of 32 bits can't express
/// the larger offset.
const DEFAULT_MMIO_OFFSET: u64 = if cfg!(CONFIG_64BIT) {
    uapi::DRM_PANTHOR_USER_MMIO_OFFSET_64BIT
} else {
    uapi::DRM_PANTHOR_USER_MMIO_OFFSET_32BIT
};

/// Names the flush id page among the driver's mappable pages.
const TAG_FLUSH_ID: u32 = 0;

/// State of an open file.
#[pin_data]
pub(crate) struct File {
    #[pin]
    vms: Handles<Vm>,
    #[pin]
    groups: Handles<Group>,
    mmio_offset: Atomic<u64>,
}

impl File {
    /// The VMs of this file.
    pub(crate) fn vms(&self) -> &Handles<Vm> {
        &self.vms
    }

    /// The groups of this file.
    pub(crate) fn groups(&self) -> &Handles<Group> {
        &self.groups
    }

    /// Whether the caller may use the upper two group priorities.
    pub(crate) fn is_privileged(file: &drm::File<MaliDriver>) -> bool {
        drm::task::capable_sys_nice() || file.is_current_master()
    }
}

impl drm::DriverFile for File {
    type Driver = MaliDriver;

    fn open(_dev: &drm::Entered<'_, MaliDriver>) -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            pin_init!(Self {
                vms <- Handles::new(MAX_VMS),
                groups <- Handles::new(MAX_GROUPS),
                mmio_offset: Atomic::new(DEFAULT_MMIO_OFFSET),
            }),
            GFP_KERNEL,
        )
    }

    fn postclose(&self, dev: &drm::Device<MaliDriver>) {
        let mut ended = false;
        while let Some(group) = self.groups.pop() {
            group.link().fail(Status::destroy);
            ended = true;
        }
        if ended {
            if let Some(dev) = dev.enter() {
                dev.bound().sched().settle();
            }
        }
        while let Some(vm) = self.vms.pop() {
            vm.destroy();
        }
    }
}

/// VM_CREATE.
pub(crate) fn vm_create(
    dev: &drm::Entered<'_, MaliDriver>,
    args: &mut uapi::drm_panthor_vm_create,
    file: &drm::File<MaliDriver>,
) -> Result<u32> {
    if args.flags != 0 {
        return Err(EINVAL);
    }
    let device = dev.bound();
    let split = vm::split::user(
        device.info().va_bits(),
        args.user_va_range,
        drm::task::address_space_size(),
    )?;
    let id = file.vms().insert_with(|| Vm::new_user(device, &split))?;
    args.id = id;
    args.user_va_range = split.user_end;
    Ok(0)
}

/// VM_DESTROY.
pub(crate) fn vm_destroy(
    _dev: &drm::Entered<'_, MaliDriver>,
    args: &mut uapi::drm_panthor_vm_destroy,
    file: &drm::File<MaliDriver>,
) -> Result<u32> {
    if args.pad != 0 {
        return Err(EINVAL);
    }
    let vm = file.vms().remove(args.id).ok_or(EINVAL)?;
    vm.destroy();
    Ok(0)
}

/// VM_GET_STATE.
pub(crate) fn vm_get_state(
    _dev: &drm::Entered<'_, MaliDriver>,
    args: &mut uapi::drm_panthor_vm_get_state,
    file: &drm::File<MaliDriver>,
) -> Result<u32> {
    let vm = file.vms().get(args.vm_id).ok_or(EINVAL)?;
    args.state = match vm.state() {
        vm::State::Usable => uapi::DRM_PANTHOR_VM_STATE_USABLE,
        vm::State::Unusable => uapi::DRM_PANTHOR_VM_STATE_UNUSABLE,
    };
    Ok(0)
}

/// BO_CREATE. The size is rounded up to pages and written back.
pub(crate) fn bo_create(
    dev: &drm::Entered<'_, MaliDriver>,
    args: &mut uapi::drm_panthor_bo_create,
    file: &drm::File<MaliDriver>,
) -> Result<u32> {
    if args.size == 0 || args.pad != 0 {
        return Err(EINVAL);
    }
    let flags = bo::BoFlags::from_bits(args.flags).ok_or(EINVAL)?;
    let exclusive = match args.exclusive_vm_id {
        0 => None,
        id => Some(file.vms().get(id).ok_or(EINVAL)?),
    };
    let bo = bo::create(dev, args.size, flags, exclusive.as_ref())?;
    args.size = u64::try_from(bo.size()).map_err(|_| EINVAL)?;
    args.handle = bo.create_handle(file)?;
    Ok(0)
}

/// BO_MMAP_OFFSET.
pub(crate) fn bo_mmap_offset(
    _dev: &drm::Entered<'_, MaliDriver>,
    args: &mut uapi::drm_panthor_bo_mmap_offset,
    file: &drm::File<MaliDriver>,
) -> Result<u32> {
    if args.pad != 0 {
        return Err(EINVAL);
    }
    args.offset = file.lookup(args.handle)?.mmap_offset()?;
    Ok(0)
}

/// BO_SET_LABEL. A null pointer removes the label.
pub(crate) fn bo_set_label(
    _dev: &drm::Entered<'_, MaliDriver>,
    args: &mut uapi::drm_panthor_bo_set_label,
    file: &drm::File<MaliDriver>,
) -> Result<u32> {
    if args.pad != 0 {
        return Err(EINVAL);
    }
    let bo = file.lookup(args.handle)?;
    let label = match args.label {
        0 => None,
        ptr => Some(drm::uobj::read_string(ptr, MAX_LABEL)?),
    };
    bo.set_label(label);
    Ok(0)
}

/// BO_QUERY_INFO.
pub(crate) fn bo_query_info(
    _dev: &drm::Entered<'_, MaliDriver>,
    args: &mut uapi::drm_panthor_bo_query_info,
    file: &drm::File<MaliDriver>,
) -> Result<u32> {
    let bo = file.lookup(args.handle)?;
    // Foreign buffers can't be imported, so no BO has a flag beside those of its creation.
    args.extra_flags = 0;
    args.create_flags = bo.flags().bits();
    args.pad = 0;
    Ok(0)
}

/// SET_USER_MMIO_OFFSET.
pub(crate) fn set_user_mmio_offset(
    _dev: &drm::Entered<'_, MaliDriver>,
    args: &mut uapi::drm_panthor_set_user_mmio_offset,
    file: &drm::File<MaliDriver>,
) -> Result<u32> {
    if args.offset != uapi::DRM_PANTHOR_USER_MMIO_OFFSET_32BIT
        && args.offset != uapi::DRM_PANTHOR_USER_MMIO_OFFSET_64BIT
    {
        return Err(EINVAL);
    }
    file.mmio_offset.store(args.offset, Relaxed);
    Ok(0)
}

/// Decides what a new mapping at an offset of the file shows.
///
/// # Errors
///
/// `EINVAL` for a mapping of MMIO that is not exactly the flush id page, shared and read-only.
pub(crate) fn mmap(file: &drm::File<MaliDriver>, req: &mmap::Request) -> Result<mmap::Claim> {
    let Some(offset) = req.offset().checked_sub(file.mmio_offset.load(Relaxed)) else {
        return Ok(mmap::Claim::Gem);
    };
    if offset != 0
        || req.len() != kernel::page::PAGE_SIZE
        || req.writable()
        || req.executable()
        || !req.shared()
    {
        return Err(EINVAL);
    }
    Ok(mmap::Claim::Pages(mmap::Pages {
        tag: TAG_FLUSH_ID,
        writable: false,
    }))
}
