// SPDX-License-Identifier: GPL-2.0 OR MIT

//! VM_BIND: changes to a VM's mappings.
//!
//! **Locking.** None of its own; the VM serialises what changes it.
//!
//! **Ordering.** All operations are parsed and prepared before the first is executed, so that one
//! lock of the address space and one flush serve the whole call. A preparation that fails doesn't
//! keep those before it from being executed: the operations take effect up to the failing one,
//! whose index is returned in `ops.count`.
//!
//! **Blocking.** Allocates, pins pages and waits for the hardware to flush; synchronous.
//!
//! Asynchronous binds (`DRM_PANTHOR_VM_BIND_ASYNC`) are refused with `EOPNOTSUPP`; other flags
//! don't exist and are refused with `EINVAL`. C panthor ignores unknown flags; no user space is
//! known that sets any.

use kernel::prelude::*;
use shims::uapi;

use crate::driver::{
    DrmFile,
    Entered, //
};
use crate::sync::bits;
use crate::vm::{
    op,
    MapFlags,
    Op,
    Vm, //
};

/// One parsed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Succeeds without an effect.
    Nothing,
    Map {
        handle: u32,
        bo_offset: u64,
        va: u64,
        size: u64,
        flags: MapFlags,
    },
    Unmap {
        va: u64,
        size: u64,
    },
}

const MAP_FLAGS: u32 = bits(
    uapi::DRM_PANTHOR_VM_BIND_OP_MAP_READONLY
        | uapi::DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC
        | uapi::DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED,
);
const SPARSE: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_MAP_SPARSE);
const TYPE_MASK: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_TYPE_MASK);
const TYPE_MAP: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_TYPE_MAP);
const TYPE_UNMAP: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP);

impl Request {
    /// Parses one operation of a synchronous call.
    ///
    /// # Errors
    ///
    /// `EINVAL`: sync operations, an unknown type or flag, a BO or an offset for an unmap;
    /// `EOPNOTSUPP` for a sparse mapping.
    fn parse(raw: &uapi::drm_panthor_vm_bind_op) -> Result<Self> {
        if raw.syncs.count != 0 {
            return Err(EINVAL);
        }
        if raw.size == 0 {
            return Ok(Request::Nothing);
        }
        let flags = raw.flags & !TYPE_MASK;
        match raw.flags & TYPE_MASK {
            TYPE_MAP => {
                if flags & SPARSE != 0 {
                    return Err(EOPNOTSUPP);
                }
                if flags & !MAP_FLAGS != 0 {
                    return Err(EINVAL);
                }
                Ok(Request::Map {
                    handle: raw.bo_handle,
                    bo_offset: raw.bo_offset,
                    va: raw.va,
                    size: raw.size,
                    flags: MapFlags::from_bits(flags).ok_or(EINVAL)?,
                })
            }
            TYPE_UNMAP => {
                if flags != 0 || raw.bo_handle != 0 || raw.bo_offset != 0 {
                    return Err(EINVAL);
                }
                Ok(Request::Unmap {
                    va: raw.va,
                    size: raw.size,
                })
            }
            _ => Err(EINVAL),
        }
    }

    fn prepare(self, vm: &Vm, file: &DrmFile) -> Result<Option<Op>> {
        let req = match self {
            Request::Nothing => return Ok(None),
            Request::Map {
                handle,
                bo_offset,
                va,
                size,
                flags,
            } => op::Request::Map {
                // An unknown BO is an invalid argument of the operation, not of the ioctl.
                bo: file.lookup(handle).map_err(|_| EINVAL)?,
                bo_offset,
                va,
                size,
                flags,
            },
            Request::Unmap { va, size } => op::Request::Unmap { va, size },
        };
        Op::prepare(vm, req).map(Some)
    }
}

/// VM_BIND.
pub(crate) fn vm_bind(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_vm_bind,
    file: &DrmFile,
) -> Result<u32> {
    if args.flags & !uapi::DRM_PANTHOR_VM_BIND_ASYNC != 0 {
        return Err(EINVAL);
    }
    let vm = file.vms().get(args.vm_id).ok_or(EINVAL)?.vm().clone();
    if args.flags & uapi::DRM_PANTHOR_VM_BIND_ASYNC != 0 {
        return Err(EOPNOTSUPP);
    }
    let raw = drm::uobj::read_array::<uapi::drm_panthor_vm_bind_op>(
        args.ops.array,
        args.ops.count,
        args.ops.stride,
        drm::min_size!(uapi::drm_panthor_vm_bind_op, syncs),
    )?;

    // The index in the array of each prepared operation: those without an effect have none.
    let mut indices = KVVec::with_capacity(raw.len(), GFP_KERNEL)?;
    let mut ops = KVVec::with_capacity(raw.len(), GFP_KERNEL)?;
    let mut failed = None;
    for (index, raw) in (0..).zip(raw.iter()) {
        match Request::parse(raw).and_then(|req| req.prepare(&vm, file)) {
            Ok(None) => {}
            Ok(Some(op)) => {
                ops.push(op, GFP_KERNEL)?;
                indices.push(index, GFP_KERNEL)?;
            }
            Err(err) => {
                failed = Some((index, err));
                break;
            }
        }
    }
    if !ops.is_empty() {
        if let Err((n, err)) = vm.bind(&mut ops) {
            failed = Some((indices.get(n).copied().unwrap_or(0), err));
        }
        drop(ops);
        vm.gpuvm().deferred_cleanup();
    }
    match failed {
        None => Ok(0),
        Some((index, err)) => {
            args.ops.count = index;
            Err(err)
        }
    }
}

#[kernel::macros::kunit_tests(mali_csf_bind)]
mod tests {
    use super::*;

    fn map(flags: u32) -> uapi::drm_panthor_vm_bind_op {
        uapi::drm_panthor_vm_bind_op {
            flags,
            bo_handle: 3,
            bo_offset: 0x1000,
            va: 0x10000,
            size: 0x2000,
            ..Default::default()
        }
    }

    fn unmap() -> uapi::drm_panthor_vm_bind_op {
        uapi::drm_panthor_vm_bind_op {
            flags: TYPE_UNMAP,
            va: 0x10000,
            size: 0x2000,
            ..Default::default()
        }
    }

    #[test]
    fn the_flags_of_a_mapping_are_passed_on() {
        for flags in 0..8 {
            assert!(matches!(
                Request::parse(&map(flags)),
                Ok(Request::Map {
                    handle: 3,
                    bo_offset: 0x1000,
                    va: 0x10000,
                    size: 0x2000,
                    ..
                })
            ));
        }
        assert_eq!(Request::parse(&map(1 << 4)), Err(EINVAL));
        assert_eq!(Request::parse(&map(1 << 27)), Err(EINVAL));
    }

    #[test]
    fn sparse_mappings_are_not_supported() {
        assert_eq!(Request::parse(&map(0b1010)), Err(EOPNOTSUPP));
    }

    #[test]
    fn an_unmap_names_no_buffer() {
        assert!(matches!(
            Request::parse(&unmap()),
            Ok(Request::Unmap { .. })
        ));
        for bad in [
            uapi::drm_panthor_vm_bind_op {
                bo_handle: 1,
                ..unmap()
            },
            uapi::drm_panthor_vm_bind_op {
                bo_offset: 0x1000,
                ..unmap()
            },
            uapi::drm_panthor_vm_bind_op {
                flags: TYPE_UNMAP | 1,
                ..unmap()
            },
        ] {
            assert_eq!(Request::parse(&bad), Err(EINVAL));
        }
    }

    #[test]
    fn types_that_do_not_exist_are_refused() {
        assert_eq!(Request::parse(&map(3 << 28)), Err(EINVAL));
        assert_eq!(Request::parse(&map(0xf << 28)), Err(EINVAL));
        assert_eq!(Request::parse(&map(2 << 28)), Err(EINVAL));
    }

    #[test]
    fn size_zero_is_no_operation_at_all() {
        let op = uapi::drm_panthor_vm_bind_op {
            size: 0,
            ..map(0xf << 28)
        };
        assert_eq!(Request::parse(&op), Ok(Request::Nothing));
    }

    #[test]
    fn synchronous_operations_have_no_syncs() {
        let mut op = unmap();
        op.syncs.count = 1;
        assert_eq!(Request::parse(&op), Err(EINVAL));
    }
}
