// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A mapping.

use super::{
    DriverGpuVm,
    Place,
    VmBo, //
};
use crate::gem;
use core::{
    mem::MaybeUninit,
    ops::Range,
    ptr::addr_of_mut, //
};
use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

/// A part of a buffer that is mapped at an address.
///
/// # Invariants
///
/// `inner` is in the tree of a `GpuVm<T>`, and linked to a [`VmBo<T>`]; `data` is initialised.
#[repr(C)]
pub struct Va<T: DriverGpuVm> {
    inner: Opaque<bindings::drm_gpuva>,
    data: T::VaData,
}

impl<T: DriverGpuVm> Va<T> {
    /// # Safety
    ///
    /// `ptr` must be that of a `Va<T>` that stays in its tree during `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_gpuva) -> &'a Self {
        // CAST: The `struct drm_gpuva` is the first field.
        // SAFETY: The caller vouches for the pointer.
        unsafe { &*ptr.cast() }
    }

    fn raw(&self) -> &bindings::drm_gpuva {
        // SAFETY: Of a mapping in the tree, only the links change, and those are changed by the
        // holder of the `VaTree`, from which this borrows.
        unsafe { &*self.inner.get() }
    }

    /// The first address.
    pub fn addr(&self) -> u64 {
        self.raw().va.addr
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> u64 {
        self.raw().va.range
    }

    /// All addresses.
    pub fn range(&self) -> Range<u64> {
        self.addr()..self.addr() + self.len()
    }

    /// Where in the object the mapping begins, in bytes.
    pub fn gem_offset(&self) -> u64 {
        self.raw().gem.offset
    }

    /// The object.
    pub fn object(&self) -> &gem::Object<T::Driver> {
        // SAFETY: The mapping keeps its `VmBo`, and that the object.
        unsafe { gem::Object::from_raw(self.raw().gem.obj) }
    }

    /// The object in this address space.
    pub fn vm_bo(&self) -> &VmBo<T> {
        // SAFETY: By the type's invariant the mapping is linked, and so holds a reference.
        unsafe { VmBo::from_raw(self.raw().vm_bo) }
    }

    /// The driver's data.
    pub fn data(&self) -> &T::VaData {
        &self.data
    }
}

/// Memory for a mapping, zeroed.
struct Node<T: DriverGpuVm>(KBox<MaybeUninit<Va<T>>>);

/// Memory for the mappings that a change may make: one for what is mapped, and one for each end of it
/// that leaves a part of what was there before.
pub struct Prealloc<T: DriverGpuVm> {
    nodes: [Option<Node<T>>; 3],
}

// SAFETY: Plain memory.
unsafe impl<T: DriverGpuVm> Send for Prealloc<T> {}
// SAFETY: As above.
unsafe impl<T: DriverGpuVm> Sync for Prealloc<T> {}

impl<T: DriverGpuVm> Prealloc<T> {
    fn new(count: usize) -> Result<Self> {
        let mut this = Self {
            nodes: [const { None }; 3],
        };

        for node in this.nodes.iter_mut().take(count) {
            *node = Some(Node(KBox::new_uninit(GFP_KERNEL | __GFP_ZERO)?));
        }
        Ok(this)
    }

    /// Enough for any [`Tree::map()`](super::Tree::map).
    pub fn for_map() -> Result<Self> {
        Self::new(3)
    }

    /// Enough for any [`Tree::unmap()`](super::Tree::unmap).
    pub fn for_unmap() -> Result<Self> {
        Self::new(2)
    }

    /// How many are left.
    pub(super) fn left(&self) -> usize {
        self.nodes.iter().flatten().count()
    }

    /// Turns one into a mapping that is in no tree yet. The caller owns it.
    pub(super) fn take(&mut self, data: T::VaData) -> Result<*mut bindings::drm_gpuva> {
        let node = self.nodes.iter_mut().find_map(Option::take).ok_or(ENOMEM)?;
        let va = KBox::into_raw(node.0).cast::<Va<T>>();

        // SAFETY: The memory is owned and large enough.
        unsafe { addr_of_mut!((*va).data).write(data) };
        // CAST: The `struct drm_gpuva` is the first field.
        Ok(va.cast())
    }
}

/// Unlinks a mapping that is not in the tree any more, and frees it.
///
/// # Safety
///
/// `va` must be that of a linked `Va<T>` that [`Prealloc::take()`] has made, and not be used again.
pub(super) unsafe fn retire<T: DriverGpuVm>(va: *mut bindings::drm_gpuva) {
    let this = va.cast::<Va<T>>();

    // The data goes first. It may hold a reference to the object, which is not the last one as long as
    // the mapping is linked; the object must not be freed here.
    // SAFETY: By this function's requirements. The buffer's list is locked inside.
    unsafe {
        core::ptr::drop_in_place(addr_of_mut!((*this).data));
        bindings::drm_gpuva_unlink_defer(va);
        drop(KBox::from_raw(this.cast::<MaybeUninit<Va<T>>>()));
    }
}

/// Where a mapping is, and its data.
///
/// # Safety
///
/// `va` must be that of a `Va<T>` that stays in its tree during `'a`, and nobody else may use its data
/// meanwhile.
pub(super) unsafe fn parts<'a, T: DriverGpuVm>(
    va: *mut bindings::drm_gpuva,
) -> (Place, &'a mut T::VaData) {
    // SAFETY: By this function's requirements.
    unsafe {
        let place = Place {
            addr: (*va).va.addr,
            len: (*va).va.range,
            gem_offset: (*va).gem.offset,
        };

        (place, &mut *addr_of_mut!((*va.cast::<Va<T>>()).data))
    }
}
