// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Synchronisation objects: the handles by which user space passes fences around.

use crate::{
    Driver,
    File, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};
use job::{
    Fence,
    MayBlock, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::aref::ARef, //
};

/// A counted reference to a synchronisation object.
///
/// # Invariants
///
/// A reference to the `struct drm_syncobj` is owned.
pub struct Syncobj(NonNull<shims::drm_syncobj>);

// SAFETY: Synchronisation objects may be used and released by any task.
unsafe impl Send for Syncobj {}
// SAFETY: As above.
unsafe impl Sync for Syncobj {}

impl Clone for Syncobj {
    fn clone(&self) -> Self {
        // SAFETY: The object is valid.
        unsafe { shims::shim_syncobj_get(self.0.as_ptr()) };
        // INVARIANT: The reference was just taken.
        Self(self.0)
    }
}

impl Drop for Syncobj {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant a reference is owned.
        unsafe { shims::shim_syncobj_put(self.0.as_ptr()) };
    }
}

impl Syncobj {
    /// The object behind a handle.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the file has no such handle.
    pub fn find<D: Driver>(file: &File<D>, handle: u32) -> Result<Self> {
        // SAFETY: The file is valid.
        let ptr = unsafe { shims::drm_syncobj_find(file.as_raw(), handle) };

        // INVARIANT: The function has returned a reference.
        Ok(Self(NonNull::new(ptr).ok_or(ENOENT)?))
    }

    /// Makes an object without a fence.
    pub fn new(_ctx: &MayBlock) -> Result<Self> {
        let mut ptr = null_mut();

        // SAFETY: `ptr` is valid for writing.
        to_result(unsafe { shims::drm_syncobj_create(&mut ptr, 0, null_mut()) })?;
        // INVARIANT: The function has returned a reference.
        Ok(Self(NonNull::new(ptr).ok_or(ENOMEM)?))
    }

    /// Makes a handle, by which the file's user space knows the object.
    pub fn create_handle<D: Driver>(&self, _ctx: &MayBlock, file: &File<D>) -> Result<u32> {
        let mut handle = 0;

        // SAFETY: File and object are valid; the handle takes its own reference.
        to_result(unsafe {
            shims::drm_syncobj_get_handle(file.as_raw(), self.0.as_ptr(), &mut handle)
        })?;
        Ok(handle)
    }

    /// The fence in the object.
    pub fn fence(&self) -> Option<ARef<Fence>> {
        // SAFETY: The object is valid. The function returns null, or a fence with a reference.
        unsafe { Fence::from_raw_owned(shims::shim_syncobj_fence_get(self.0.as_ptr())) }
    }

    /// Puts a fence in place of the one before. Whoever waits for a fence to appear wakes up.
    ///
    /// Neither fails nor allocates, and may be called while fences are being signalled.
    pub fn replace_fence(&self, fence: Option<&Fence>) {
        // SAFETY: The object is valid, and takes its own reference to the fence.
        unsafe {
            shims::drm_syncobj_replace_fence(
                self.0.as_ptr(),
                fence.map_or(null_mut(), Fence::as_raw),
            )
        };
    }

    /// Adds a point to the timeline, at which `fence` is to be found.
    ///
    /// Neither fails nor allocates, and may be called while fences are being signalled.
    pub fn add_point(&self, chain: Chain, fence: &Fence, point: u64) {
        let node = chain.0;

        core::mem::forget(chain);
        // SAFETY: The object is valid and takes over the node, which was never used, and its own
        // reference to the fence.
        unsafe {
            shims::drm_syncobj_add_point(self.0.as_ptr(), node.as_ptr(), fence.as_raw(), point)
        };
    }
}

/// The fence to wait for, of the object behind a handle: of a point of its timeline, or with `point`
/// zero the one in it.
///
/// # Errors
///
/// `ENOENT` if the file has no such handle, `EINVAL` if there is no fence yet.
pub fn find_fence<D: Driver>(file: &File<D>, handle: u32, point: u64) -> Result<ARef<Fence>> {
    let mut fence: *mut bindings::dma_fence = null_mut();

    // SAFETY: The file is valid, and `fence` is valid for writing.
    to_result(unsafe {
        shims::drm_syncobj_find_fence(file.as_raw(), handle, point, 0, &mut fence)
    })?;
    // SAFETY: On success the function returns a fence with a reference.
    unsafe { Fence::from_raw_owned(fence) }.ok_or(EINVAL)
}

/// Memory for one point of a timeline, allocated ahead.
///
/// # Invariants
///
/// The node is owned and was never initialised.
pub struct Chain(NonNull<shims::dma_fence_chain>);

// SAFETY: Plain memory.
unsafe impl Send for Chain {}
// SAFETY: As above.
unsafe impl Sync for Chain {}

impl Chain {
    /// Allocates the memory.
    pub fn new(_ctx: &MayBlock) -> Result<Self> {
        // SAFETY: The function has no requirements.
        let ptr = unsafe { shims::shim_fence_chain_alloc() };

        // INVARIANT: Newly allocated.
        Ok(Self(NonNull::new(ptr).ok_or(ENOMEM)?))
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the node is owned and unused.
        unsafe { shims::shim_fence_chain_free(self.0.as_ptr()) };
    }
}
