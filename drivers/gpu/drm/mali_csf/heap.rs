// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Tiler heaps: not supported yet, both ioctls are refused with `EOPNOTSUPP`.
//!
//! A stream that runs out of tiler memory without a heap is ended as faulty by
//! [`crate::sched::events`].

use kernel::prelude::*;
use shims::uapi;

use crate::driver::{
    DrmFile,
    Entered, //
};

/// TILER_HEAP_CREATE.
///
/// # Errors
///
/// `EINVAL` for an unknown VM, else `EOPNOTSUPP`.
pub(crate) fn create(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_tiler_heap_create,
    file: &DrmFile,
) -> Result<u32> {
    file.vms().get(args.vm_id).ok_or(EINVAL)?;
    Err(EOPNOTSUPP)
}

/// TILER_HEAP_DESTROY.
///
/// # Errors
///
/// `EINVAL` for padding that is not zero, else `EOPNOTSUPP`.
pub(crate) fn destroy(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_tiler_heap_destroy,
    _file: &DrmFile,
) -> Result<u32> {
    match args.pad {
        0 => Err(EOPNOTSUPP),
        _ => Err(EINVAL),
    }
}
