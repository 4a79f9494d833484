// SPDX-License-Identifier: GPL-2.0 OR MIT

//! An open file: its VMs and groups, its BOs, and the mapping of the flush id.
//!
//! **Locking.** The handle tables have a mutex each. The MMIO offset is one word.
//!
//! **Ordering.** When a file is closed its groups end first, and its VMs are emptied when no job
//! can touch them any more, nor the firmware, which may write to a VM on behalf of a group that leaves its
//! slot. A VM that is given up on its own is emptied when those groups have left that were given up before.
//!
//! **Blocking.** Closing a file, or giving up a VM that is in use, waits until the scheduler has taken the
//! groups out of their slots, which the firmware does in bounded time.

use drm::mmap;
use job::Domain;
use kernel::prelude::*;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use kernel::sync::Arc;
use shims::uapi;

pub(crate) mod handles;
pub(crate) mod usage;

use crate::bind;
use crate::driver::{
    Device,
    Driver,
    DrmDevice,
    DrmFile,
    Entered, //
};
use crate::gem as bo;
use crate::group::state::Status;
use crate::group::Group;
use crate::heap::Pool;
use crate::vm;
use crate::vm::{
    Split,
    Vm, //
};
use handles::Handles;
use usage::Usage;

/// Most VMs of a file.
const MAX_VMS: usize = 32;

/// Most groups of a file.
const MAX_GROUPS: usize = 128;

/// Longest label of a BO in bytes, without the terminating zero.
const MAX_LABEL: usize = 4096;

/// Where the calling program maps the flush id, unless its file says otherwise. Programs of 32 bits
/// can't express the larger offset.
fn default_mmio_offset() -> u64 {
    match drm::task::is_32_bit() {
        true => uapi::DRM_PANTHOR_USER_MMIO_OFFSET_32BIT,
        false => uapi::DRM_PANTHOR_USER_MMIO_OFFSET_64BIT,
    }
}

/// Names the flush id page among the driver's mappable pages.
const TAG_FLUSH_ID: usize = 0;

/// A VM of user space, with its tiler heaps and the binds that wait for their turn.
pub(crate) struct UserVm {
    vm: Arc<Vm>,
    heaps: Arc<Pool>,
    binds: bind::queue::Queue,
}

impl UserVm {
    fn new(vm: Arc<Vm>, device: &Device, domain: &Arc<Domain>) -> Result<Arc<Self>> {
        let heaps = Pool::new(vm.clone(), device.info.l2_line_size())?;
        let binds = bind::queue::Queue::new(&vm, domain)?;
        Ok(Arc::new(Self { vm, heaps, binds }, GFP_KERNEL)?)
    }

    /// The address space.
    pub(crate) fn vm(&self) -> &Arc<Vm> {
        &self.vm
    }

    /// Its tiler heaps.
    pub(crate) fn heaps(&self) -> &Arc<Pool> {
        &self.heaps
    }

    /// The binds that wait for their turn.
    pub(crate) fn binds(&self) -> &bind::queue::Queue {
        &self.binds
    }

    /// User space gives it up: nothing is mapped any more, and what waits for its turn ends.
    fn destroy(&self) {
        self.heaps.destroy_all();
        self.vm.destroy();
        self.binds.close();
    }
}

/// State of an open file.
#[pin_data]
pub(crate) struct File {
    #[pin]
    vms: Handles<UserVm>,
    #[pin]
    groups: Handles<Group>,
    mmio_offset: Atomic<u64>,
    usage: Arc<Usage>,
}

impl File {
    /// The VMs of this file.
    pub(crate) fn vms(&self) -> &Handles<UserVm> {
        &self.vms
    }

    /// The groups of this file.
    pub(crate) fn groups(&self) -> &Handles<Group> {
        &self.groups
    }

    /// What its jobs have taken.
    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// Whether the caller may use the upper two group priorities.
    pub(crate) fn is_privileged(file: &DrmFile) -> bool {
        drm::task::capable_sys_nice() || file.is_current_master()
    }
}

impl drm::DriverFile for File {
    type Driver = Driver;

    fn open(_dev: &Entered<'_>) -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            try_pin_init!(Self {
                vms <- Handles::new(MAX_VMS),
                groups <- Handles::new(MAX_GROUPS),
                mmio_offset: Atomic::new(default_mmio_offset()),
                usage: Arc::new(Usage::new(), GFP_KERNEL)?,
            }? Error),
            GFP_KERNEL,
        )
    }

    fn postclose(&self, dev: &DrmDevice) {
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
    dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_vm_create,
    file: &DrmFile,
) -> Result<u32> {
    if args.flags != 0 {
        return Err(EINVAL);
    }
    let device = dev.bound().device();
    let domain = dev.bound().sched().domain();
    let split = Split::new(
        device.info.va_bits(),
        args.user_va_range,
        drm::task::address_space_size(),
    )?;
    args.id = file
        .vms()
        .insert_with(|| UserVm::new(Vm::new_user(dev, &device.mmu, &split)?, device, domain))?;
    args.user_va_range = split.user_end;
    Ok(0)
}

/// VM_DESTROY.
pub(crate) fn vm_destroy(
    dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_vm_destroy,
    file: &DrmFile,
) -> Result<u32> {
    if args.pad != 0 {
        return Err(EINVAL);
    }
    let vm = file.vms().remove(args.id).ok_or(EINVAL)?;
    // Groups that were given up before may still be in their slots.
    if vm.vm().is_in_use() {
        dev.bound().sched().settle();
    }
    vm.destroy();
    Ok(0)
}

/// VM_GET_STATE.
pub(crate) fn vm_get_state(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_vm_get_state,
    file: &DrmFile,
) -> Result<u32> {
    let vm = file.vms().get(args.vm_id).ok_or(EINVAL)?;
    args.state = match vm.vm().state() {
        vm::State::Usable => uapi::DRM_PANTHOR_VM_STATE_USABLE,
        vm::State::Unusable => uapi::DRM_PANTHOR_VM_STATE_UNUSABLE,
    };
    Ok(0)
}

/// BO_CREATE. The size is rounded up to pages and written back.
pub(crate) fn bo_create(
    dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_bo_create,
    file: &DrmFile,
) -> Result<u32> {
    if args.size == 0 || args.pad != 0 {
        return Err(EINVAL);
    }
    let exclusive = match args.exclusive_vm_id {
        0 => None,
        id => Some(file.vms().get(id).ok_or(EINVAL)?),
    };
    let bo = bo::create(
        dev,
        dev.bound().device().gpu.coherent(),
        args.size,
        args.flags,
        exclusive.as_deref().map(|vm| &**vm.vm()),
    )?;
    args.size = u64::try_from(bo.size()).map_err(|_| EINVAL)?;
    args.handle = bo.create_handle(file)?;
    Ok(0)
}

/// BO_MMAP_OFFSET.
pub(crate) fn bo_mmap_offset(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_bo_mmap_offset,
    file: &DrmFile,
) -> Result<u32> {
    if args.pad != 0 {
        return Err(EINVAL);
    }
    args.offset = file.lookup(args.handle)?.mmap_offset()?;
    Ok(0)
}

/// BO_SET_LABEL. A null pointer removes the label.
pub(crate) fn bo_set_label(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_bo_set_label,
    file: &DrmFile,
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

/// A part of a BO whose CPU caches are to be cleaned, and maybe invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SyncRange {
    offset: u64,
    size: u64,
    invalidate: bool,
}

impl SyncRange {
    /// # Errors
    ///
    /// `EINVAL` for an unknown type, or a range that is not inside a BO of `bo_size` bytes.
    fn parse(raw: &uapi::drm_panthor_bo_sync_op, bo_size: u64) -> Result<Self> {
        let invalidate = match raw.type_ {
            uapi::DRM_PANTHOR_BO_SYNC_CPU_CACHE_FLUSH => false,
            uapi::DRM_PANTHOR_BO_SYNC_CPU_CACHE_FLUSH_AND_INVALIDATE => true,
            _ => return Err(EINVAL),
        };
        match raw.offset.checked_add(raw.size) {
            Some(end) if end <= bo_size => Ok(Self {
                offset: raw.offset,
                size: raw.size,
                invalidate,
            }),
            _ => Err(EINVAL),
        }
    }
}

/// BO_SYNC. Ends with the first operation that fails, and says which that was.
pub(crate) fn bo_sync(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_bo_sync,
    file: &DrmFile,
) -> Result<u32> {
    let ops = drm::uobj::read_array::<uapi::drm_panthor_bo_sync_op>(
        args.ops.array,
        args.ops.count,
        args.ops.stride,
        drm::min_size!(uapi::drm_panthor_bo_sync_op, size),
    )?;
    for (index, op) in (0..).zip(ops.iter()) {
        sync_range(op, file).inspect_err(|_| args.ops.count = index)?;
    }
    Ok(0)
}

/// One operation of BO_SYNC.
///
/// # Errors
///
/// `ENOENT` if there is no such BO; `EINVAL` if it is imported, and as [`SyncRange::parse`]; `ENOMEM`.
fn sync_range(op: &uapi::drm_panthor_bo_sync_op, file: &DrmFile) -> Result {
    let bo = file.lookup(op.handle)?;
    // The caches of an import are its exporter's business: DMA_BUF_IOCTL_SYNC is for that.
    if bo.is_imported() {
        return Err(EINVAL);
    }
    let range = SyncRange::parse(op, u64::try_from(bo.size()).map_err(|_| EINVAL)?)?;
    // Memory that the CPU writes around its caches has nothing to be cleaned.
    if range.size == 0 || !bo.flags().contains(drm::gem::Flags::WRITE_BACK) {
        return Ok(());
    }
    let pinned = bo.pin()?;
    pinned.sync_for_device(range.offset, range.size);
    if range.invalidate {
        pinned.sync_for_cpu(range.offset, range.size);
    }
    Ok(())
}

/// BO_QUERY_INFO.
pub(crate) fn bo_query_info(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_bo_query_info,
    file: &DrmFile,
) -> Result<u32> {
    let bo = file.lookup(args.handle)?;
    args.extra_flags = if bo.is_imported() {
        uapi::DRM_PANTHOR_BO_IS_IMPORTED
    } else {
        0
    };
    args.create_flags = (**bo).flags();
    args.pad = 0;
    Ok(0)
}

/// SET_USER_MMIO_OFFSET.
pub(crate) fn set_user_mmio_offset(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_set_user_mmio_offset,
    file: &DrmFile,
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
pub(crate) fn mmap(file: &DrmFile, req: &mmap::Request) -> Result<mmap::Claim> {
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

#[kernel::macros::kunit_tests(mali_csf_file)]
mod tests {
    use super::*;

    fn op(type_: u32, offset: u64, size: u64) -> uapi::drm_panthor_bo_sync_op {
        uapi::drm_panthor_bo_sync_op {
            handle: 1,
            type_,
            offset,
            size,
        }
    }

    #[test]
    fn ranges_inside_a_buffer_are_synchronised() {
        assert!(SyncRange::parse(&op(0, 0, 4096), 4096).is_ok());
        assert!(SyncRange::parse(&op(1, 4096, 0), 4096).is_ok());
    }

    #[test]
    fn ranges_that_leave_the_buffer_are_refused() {
        assert_eq!(SyncRange::parse(&op(0, 1, 4096), 4096), Err(EINVAL));
        assert_eq!(SyncRange::parse(&op(0, u64::MAX, 2), 4096), Err(EINVAL));
        assert_eq!(SyncRange::parse(&op(0, 4097, 0), 4096), Err(EINVAL));
    }

    #[test]
    fn types_that_do_not_exist_are_refused() {
        assert_eq!(SyncRange::parse(&op(2, 0, 64), 4096), Err(EINVAL));
    }
}
