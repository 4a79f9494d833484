// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Allocation of address ranges.
//!
//! # Locking
//!
//! An allocator has a mutex of its own, held only inside the functions here. A node is removed under
//! it when it drops.
//!
//! # Ordering
//!
//! A range can be given to somebody else as soon as its node has dropped, so what uses the range is
//! to be undone before.
//!
//! # Blocking
//!
//! Everything here sleeps, dropping a node too.

use core::ops::Range;
use kernel::{
    bindings,
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

/// An allocator for the addresses of a range.
///
/// # Invariants
///
/// `mm` is initialised. It is accessed under `lock` only, and all nodes in it are those of a [`Node`].
#[pin_data(PinnedDrop)]
pub struct RangeAllocator {
    #[pin]
    mm: Opaque<bindings::drm_mm>,
    #[pin]
    lock: Mutex<()>,
}

// SAFETY: `mm` is accessed under `lock` only.
unsafe impl Send for RangeAllocator {}
// SAFETY: As above.
unsafe impl Sync for RangeAllocator {}

fn len(range: &Range<u64>) -> Result<u64> {
    range
        .end
        .checked_sub(range.start)
        .filter(|len| *len != 0)
        .ok_or(EINVAL)
}

impl RangeAllocator {
    /// Makes an allocator for `range`, all of which is free.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the range is empty.
    pub fn new(range: Range<u64>) -> Result<Arc<Self>> {
        let len = len(&range)?;

        Arc::pin_init(
            pin_init!(Self {
                // SAFETY: `mm` is valid for writing, and the range is not empty.
                mm <- Opaque::ffi_init(|mm| unsafe {
                    bindings::drm_mm_init(mm, range.start, len)
                }),
                lock <- new_mutex!((), "mm::RangeAllocator"),
            }),
            GFP_KERNEL,
        )
    }

    /// Allocates `size` bytes, aligned to `align`, inside `within`: the lowest that are free.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `within` is empty or `align` is no power of two, `ENOSPC` if there is no room.
    pub fn insert(self: &Arc<Self>, size: u64, align: u64, within: Range<u64>) -> Result<Node> {
        len(&within)?;
        if !align.is_power_of_two() {
            return Err(EINVAL);
        }
        self.node(|mm, node| {
            // SAFETY: The allocator is locked, and the node zeroed.
            unsafe {
                bindings::drm_mm_insert_node_in_range(
                    mm,
                    node,
                    size,
                    align,
                    0,
                    within.start,
                    within.end,
                    bindings::drm_mm_insert_mode_DRM_MM_INSERT_LOW,
                )
            }
        })
    }

    /// Allocates exactly `range`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is empty, `ENOSPC` if it is not free.
    pub fn reserve(self: &Arc<Self>, range: Range<u64>) -> Result<Node> {
        let len = len(&range)?;

        self.node(|mm, node| {
            // SAFETY: The allocator is locked, and the node zeroed.
            unsafe {
                (*node).start = range.start;
                (*node).size = len;
                bindings::drm_mm_reserve_node(mm, node)
            }
        })
    }

    fn node(
        self: &Arc<Self>,
        insert: impl FnOnce(*mut bindings::drm_mm, *mut bindings::drm_mm_node) -> i32,
    ) -> Result<Node> {
        let node = KBox::new(Opaque::zeroed(), GFP_KERNEL)?;
        let _guard = self.lock.lock();

        to_result(insert(self.mm.get(), node.get()))?;
        // INVARIANT: The node was inserted. It is in a box, so it does not move.
        Ok(Node {
            node,
            mm: self.clone(),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for RangeAllocator {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Every node holds a reference to the allocator, so there is none any more.
        unsafe { bindings::drm_mm_takedown(self.mm.get()) };
    }
}

/// An allocated range. Dropping it frees the range.
///
/// # Invariants
///
/// `node` is in `mm`, and does not move.
pub struct Node {
    node: KBox<Opaque<bindings::drm_mm_node>>,
    mm: Arc<RangeAllocator>,
}

// SAFETY: The node's links are accessed under the lock of the allocator only.
unsafe impl Send for Node {}
// SAFETY: As above; start and size are constant.
unsafe impl Sync for Node {}

impl Node {
    /// The first address.
    pub fn start(&self) -> u64 {
        // SAFETY: Constant since the node was inserted.
        unsafe { (*self.node.get()).start }
    }

    /// The number of addresses.
    pub fn size(&self) -> u64 {
        // SAFETY: Constant since the node was inserted.
        unsafe { (*self.node.get()).size }
    }

    /// All addresses.
    pub fn range(&self) -> Range<u64> {
        self.start()..self.start() + self.size()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _guard = self.mm.lock.lock();

        // SAFETY: The node is in the allocator, which is locked.
        unsafe { bindings::drm_mm_remove_node(self.node.get()) };
    }
}
