// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Buffers.
//!
//! # Locking
//!
//! Where a buffer is has a mutex of its own, inside of which the buffer is mapped.
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
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
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

/// Where a buffer is.
struct Place {
    node: Node,
    space: Arc<Space>,
}

/// The driver's part of a buffer: where it is, and in which address space.
///
/// Buffers that were created here always are somewhere, and never move. One that was imported is
/// nowhere until somebody asks where it is.
#[pin_data]
pub(crate) struct BoData {
    #[pin]
    place: Mutex<Option<Place>>,
}

impl BoData {
    fn new(place: Option<Place>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            place <- new_mutex!(place, "BoData::place"),
        })
    }

    /// Of a buffer that somebody else has made.
    pub(crate) fn nowhere() -> impl PinInit<Self, Error> {
        Self::new(None)
    }

    /// Where the NPU sees it from this space; `None` if it does not.
    pub(crate) fn address_in(&self, space: &Arc<Space>) -> Option<u64> {
        let place = self.place.lock();

        place
            .as_ref()
            .filter(|place| Arc::ptr_eq(&place.space, space))
            .map(|place| place.node.start())
    }
}

fn align(space: &Space) -> Result<u64> {
    let page = u64::try_from(kernel::page::PAGE_SIZE)?;

    Ok(space.domain().granule().max(page))
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
    let size = size.next_multiple_of(align(space)?);
    let node = space.allocate(size)?;
    let at = node.start();
    let place = Place {
        node,
        space: space.clone(),
    };
    let data = BoData::new(Some(place));
    let bo = Bo::new(dev, size, Flags::WRITE_BACK, None, data)?;

    bo.map_iommu(space.domain(), at, dev.bound().coherent)?;
    Ok(bo)
}

/// Finds out where a buffer is in an address space. One that was imported gets an address there now if
/// it is nowhere yet.
///
/// # Errors
///
/// `EINVAL` if another file has created it, or if its memory is where the NPU cannot reach it; `ENOSPC`
/// if there is no room for it, `ENOMEM`.
pub(crate) fn locate(dev: &Entered<'_>, space: &Arc<Space>, bo: &Bo) -> Result<u64> {
    let mut place = bo.place.lock();

    if let Some(place) = place.as_ref() {
        return Arc::ptr_eq(&place.space, space)
            .then(|| place.node.start())
            .ok_or(EINVAL);
    }
    let size = u64::try_from(bo.size())?;
    if size % align(space)? != 0 {
        return Err(EINVAL);
    }
    let node = space.allocate(size)?;
    let at = node.start();

    bo.map_iommu(space.domain(), at, dev.bound().coherent)?;
    *place = Some(Place {
        node,
        space: space.clone(),
    });
    Ok(at)
}
