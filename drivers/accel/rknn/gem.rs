// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Buffers.
//!
//! # Locking
//!
//! None of its own.
//!
//! # Ordering
//!
//! A buffer is unmapped from its address space before its memory and its addresses are given back.
//!
//! # Blocking
//!
//! Creating one allocates; dropping the last reference sleeps.

use drm::{
    gem::Flags,
    mm::Node, //
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

use crate::{
    driver::{
        Driver,
        Entered, //
    },
    space::Space, //
};

/// A buffer.
pub(crate) type Bo = drm::gem::Object<Driver>;

/// The driver's part of a buffer: where it is, and in which address space.
pub(crate) struct BoData {
    node: Node,
    space: Arc<Space>,
}

impl BoData {
    /// Where the NPU sees it.
    pub(crate) fn address(&self) -> u64 {
        self.node.start()
    }

    /// Whether that is an address in this space.
    pub(crate) fn is_in(&self, space: &Arc<Space>) -> bool {
        Arc::ptr_eq(&self.space, space)
    }
}

/// Creates a buffer of at least `size` bytes, with memory and an address.
///
/// # Errors
///
/// `EINVAL` if `size` is 0, `ENOSPC` if there is no room for it, `ENOMEM`.
pub(crate) fn create(dev: &Entered<'_>, space: &Arc<Space>, size: u64) -> Result<ARef<Bo>> {
    if size == 0 {
        return Err(EINVAL);
    }
    let align = space
        .domain()
        .granule()
        .max(u64::try_from(kernel::page::PAGE_SIZE)?);
    let size = size.next_multiple_of(align);
    let node = space.allocate(size)?;
    let at = node.start();
    let data = BoData {
        node,
        space: space.clone(),
    };
    let bo = Bo::new(dev, size, Flags::WRITE_BACK, None, Ok::<_, Error>(data))?;

    bo.map_iommu(space.domain(), at, dev.bound().coherent)?;
    Ok(bo)
}
