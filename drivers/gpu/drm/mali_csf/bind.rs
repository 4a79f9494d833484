// SPDX-License-Identifier: GPL-2.0 OR MIT

//! VM_BIND: changes to a VM's mappings.
//!
//! **Locking.** None of its own; the VM serialises what changes it.
//!
//! **Ordering.** All operations are parsed and prepared before the first is executed, so that one
//! lock of the address space and one flush serve the whole call. In a synchronous call, a preparation
//! that fails doesn't keep those before it from being executed: the operations take effect up to the
//! failing one, whose index is returned in `ops.count`. An asynchronous one ([`queue`]) is refused as
//! a whole. A synchronous call does not wait for what is queued.
//!
//! **Blocking.** Allocates, pins pages and waits for the hardware to flush.
//!
//! Flags that don't exist are refused with `EINVAL`. C panthor ignores them in `flags` of the call;
//! no user space is known that sets any.

use kernel::prelude::*;
use kernel::sync::aref::ARef;
use shims::uapi;

pub(crate) mod queue;

use crate::driver::{
    DrmFile,
    Entered, //
};
use crate::gem::Bo;
use crate::sync::bits;
use crate::vm::{
    op,
    Change,
    MapFlags,
    Vm, //
};

/// One parsed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Succeeds without an effect.
    Nothing,
    /// Nothing but synchronisation.
    SyncOnly,
    Map {
        handle: u32,
        bo_offset: u64,
        va: u64,
        size: u64,
        flags: MapFlags,
    },
    Sparse {
        va: u64,
        size: u64,
        flags: MapFlags,
    },
    Unmap {
        va: u64,
        size: u64,
    },
}

const SPARSE: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_MAP_SPARSE);
const TYPE_MASK: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_TYPE_MASK);
const TYPE_MAP: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_TYPE_MAP);
const TYPE_UNMAP: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP);
const TYPE_SYNC_ONLY: u32 = bits(uapi::DRM_PANTHOR_VM_BIND_OP_TYPE_SYNC_ONLY);

impl Request {
    /// Parses one operation of a synchronous call.
    ///
    /// # Errors
    ///
    /// `EINVAL`: sync operations, and as [`Request::parse_kind`].
    fn parse(raw: &uapi::drm_panthor_vm_bind_op) -> Result<Self> {
        if raw.syncs.count != 0 {
            return Err(EINVAL);
        }
        if raw.size == 0 {
            return Ok(Request::Nothing);
        }
        match Self::parse_kind(raw)? {
            Request::SyncOnly => Err(EINVAL),
            req => Ok(req),
        }
    }

    /// Parses one operation of an asynchronous call.
    ///
    /// # Errors
    ///
    /// `EINVAL`: an operation that only synchronises, and has no sync operation or an address or a
    /// size; and as [`Request::parse_kind`].
    fn parse_queued(raw: &uapi::drm_panthor_vm_bind_op) -> Result<Self> {
        match Self::parse_kind(raw)? {
            Request::SyncOnly if raw.syncs.count == 0 || raw.va != 0 || raw.size != 0 => {
                Err(EINVAL)
            }
            Request::SyncOnly => Ok(Request::SyncOnly),
            _ if raw.size == 0 => Ok(Request::Nothing),
            req => Ok(req),
        }
    }

    /// Parses type and properties.
    ///
    /// # Errors
    ///
    /// `EINVAL`: an unknown type or flag, a BO or an offset where no BO is mapped, a sparse mapping
    /// that could be executed.
    fn parse_kind(raw: &uapi::drm_panthor_vm_bind_op) -> Result<Self> {
        let flags = raw.flags & !TYPE_MASK;
        match raw.flags & TYPE_MASK {
            TYPE_MAP => {
                let how = MapFlags::from_bits(flags & !SPARSE).ok_or(EINVAL)?;
                if flags & SPARSE == 0 {
                    return Ok(Request::Map {
                        handle: raw.bo_handle,
                        bo_offset: raw.bo_offset,
                        va: raw.va,
                        size: raw.size,
                        flags: how,
                    });
                }
                if !how.contains(MapFlags::NOEXEC) || raw.bo_handle != 0 || raw.bo_offset != 0 {
                    return Err(EINVAL);
                }
                Ok(Request::Sparse {
                    va: raw.va,
                    size: raw.size,
                    flags: how,
                })
            }
            _ if flags != 0 || raw.bo_handle != 0 || raw.bo_offset != 0 => Err(EINVAL),
            TYPE_UNMAP => Ok(Request::Unmap {
                va: raw.va,
                size: raw.size,
            }),
            TYPE_SYNC_ONLY => Ok(Request::SyncOnly),
            _ => Err(EINVAL),
        }
    }

    /// Adds the operation to `change`, if it has an effect. Returns the BO that it maps.
    fn add_to(self, change: &mut Change, vm: &Vm, file: &DrmFile) -> Result<Option<ARef<Bo>>> {
        match self {
            Request::Nothing | Request::SyncOnly => Ok(None),
            Request::Map {
                handle,
                bo_offset,
                va,
                size,
                flags,
            } => {
                // An unknown BO is an invalid argument of the operation, not of the ioctl.
                let bo = file.lookup(handle).map_err(|_| EINVAL)?;
                let request = op::Request::Map {
                    bo: bo.clone(),
                    bo_offset,
                    va,
                    size,
                    flags,
                };
                change.add(vm, request)?;
                Ok(Some(bo))
            }
            Request::Sparse { va, size, flags } => {
                change.add(vm, op::Request::Sparse { va, size, flags })?;
                Ok(None)
            }
            Request::Unmap { va, size } => {
                change.add(vm, op::Request::Unmap { va, size })?;
                Ok(None)
            }
        }
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
    let vm = file.vms().get(args.vm_id).ok_or(EINVAL)?;
    let raw = drm::uobj::read_array::<uapi::drm_panthor_vm_bind_op>(
        args.ops.array,
        args.ops.count,
        args.ops.stride,
        drm::min_size!(uapi::drm_panthor_vm_bind_op, syncs),
    )?;
    if args.flags & uapi::DRM_PANTHOR_VM_BIND_ASYNC != 0 {
        queue::submit(&vm, &raw, file)?;
        return Ok(0);
    }
    match execute(vm.vm(), &raw, file) {
        Ok(()) => Ok(0),
        Err((index, err)) => {
            args.ops.count = index;
            Err(err)
        }
    }
}

/// Carries out a synchronous call. An error comes with the index of the operation.
fn execute(
    vm: &Vm,
    raw: &[uapi::drm_panthor_vm_bind_op],
    file: &DrmFile,
) -> Result<(), (u32, Error)> {
    let of_first = |err| (0, err);
    let mut change = Change::new(vm).map_err(of_first)?;
    // The index in the array of each prepared operation: those without an effect have none.
    let mut indices = KVVec::with_capacity(raw.len(), GFP_KERNEL).map_err(|_| (0, ENOMEM))?;
    let mut done = Ok(());
    for (index, raw) in (0..).zip(raw.iter()) {
        let before = change.len();
        let added = Request::parse(raw).and_then(|req| req.add_to(&mut change, vm, file));
        if let Err(err) = added {
            done = Err((index, err));
            break;
        }
        if change.len() > before {
            // The capacity is there.
            let _ = indices.push_within_capacity(index);
        }
    }
    if !change.is_empty() {
        if let Err((n, err)) = vm.execute(&mut change) {
            done = Err((indices.get(n).copied().unwrap_or(0), err));
        }
        drop(change);
        vm.gpuvm().deferred_cleanup();
    }
    done
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
    fn a_sparse_mapping_has_no_buffer_and_no_code() {
        let good = uapi::drm_panthor_vm_bind_op {
            bo_handle: 0,
            bo_offset: 0,
            ..map(0b1010)
        };
        assert!(matches!(
            Request::parse(&good),
            Ok(Request::Sparse {
                va: 0x10000,
                size: 0x2000,
                ..
            })
        ));
        for bad in [
            uapi::drm_panthor_vm_bind_op {
                flags: 0b1000,
                ..good
            },
            uapi::drm_panthor_vm_bind_op {
                bo_handle: 1,
                ..good
            },
            uapi::drm_panthor_vm_bind_op {
                bo_offset: 0x1000,
                ..good
            },
        ] {
            assert_eq!(Request::parse(&bad), Err(EINVAL));
        }
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
        for parse in [Request::parse, Request::parse_queued] {
            assert_eq!(parse(&map(3 << 28)), Err(EINVAL));
            assert_eq!(parse(&map(0xf << 28)), Err(EINVAL));
            assert_eq!(parse(&map(2 << 28)), Err(EINVAL));
        }
    }

    #[test]
    fn what_only_synchronises_has_something_to_synchronise_and_nothing_else() {
        let mut op = uapi::drm_panthor_vm_bind_op {
            flags: TYPE_SYNC_ONLY,
            ..Default::default()
        };
        assert_eq!(Request::parse_queued(&op), Err(EINVAL));
        op.syncs.count = 1;
        assert_eq!(Request::parse_queued(&op), Ok(Request::SyncOnly));
        for bad in [
            uapi::drm_panthor_vm_bind_op { va: 4096, ..op },
            uapi::drm_panthor_vm_bind_op { size: 4096, ..op },
            uapi::drm_panthor_vm_bind_op { bo_handle: 1, ..op },
            uapi::drm_panthor_vm_bind_op {
                bo_offset: 4096,
                ..op
            },
            uapi::drm_panthor_vm_bind_op {
                flags: TYPE_SYNC_ONLY | 1,
                ..op
            },
        ] {
            assert_eq!(Request::parse_queued(&bad), Err(EINVAL));
        }
    }

    #[test]
    fn only_a_synchronous_operation_of_size_zero_can_have_any_type() {
        let op = uapi::drm_panthor_vm_bind_op {
            size: 0,
            ..map(0xf << 28)
        };
        assert_eq!(Request::parse_queued(&op), Err(EINVAL));
        let op = uapi::drm_panthor_vm_bind_op { size: 0, ..unmap() };
        assert_eq!(Request::parse_queued(&op), Ok(Request::Nothing));
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
