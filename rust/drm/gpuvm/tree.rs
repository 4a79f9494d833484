// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The tree of mappings, and the steps in which it changes.

use super::{
    va,
    DriverGpuVm,
    GpuVm,
    Prealloc,
    Va,
    VmBo, //
};
use crate::gem;
use core::{
    ops::Range,
    ptr::null_mut, //
};
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        MutexGuard, //
    },
};

/// The owner of the mappings of an address space.
///
/// When it drops, the mappings that are left are forgotten without asking the driver, and the
/// buffers are released. That sleeps; it must not happen where a fence is signalled.
///
/// # Invariants
///
/// There is only one for a [`GpuVm`].
pub struct VaTree<T: DriverGpuVm>(ARef<GpuVm<T>>);

/// The mappings of an address space, and the driver's state that goes with them, locked.
pub struct Tree<'a, T: DriverGpuVm> {
    vm: &'a GpuVm<T>,
    state: MutexGuard<'a, T>,
}

impl<T: DriverGpuVm> GpuVm<T> {
    /// Locks mappings and state.
    pub fn lock(&self) -> Tree<'_, T> {
        Tree {
            vm: self,
            state: self.tree.lock(),
        }
    }

    /// Locks mappings and state, unless somebody else has.
    pub(super) fn try_lock(&self) -> Option<Tree<'_, T>> {
        Some(Tree {
            vm: self,
            state: self.tree.try_lock()?,
        })
    }
}

/// What to map where.
pub struct MapRequest<'a, T: DriverGpuVm> {
    /// The first address.
    pub addr: u64,
    /// The length in bytes.
    pub len: u64,
    /// Where in the buffer to begin, in bytes.
    pub gem_offset: u64,
    /// The buffer.
    pub vm_bo: &'a VmBo<T>,
    /// The mapping may go on beyond the end of the buffer. What is there is for the driver to say.
    pub unbounded: bool,
}

impl<T: DriverGpuVm> VaTree<T> {
    /// # Safety
    ///
    /// There must be no other `VaTree` of this address space.
    pub(super) unsafe fn from_aref(vm: ARef<GpuVm<T>>) -> Self {
        // INVARIANT: By this function's requirements.
        Self(vm)
    }

    /// The address space.
    pub fn vm(&self) -> &GpuVm<T> {
        &self.0
    }

    /// Locks mappings and state.
    pub fn lock(&self) -> Tree<'_, T> {
        self.0.lock()
    }
}

/// Where a mapping is, and of what.
#[derive(Clone, Copy)]
pub struct Place {
    /// The first address.
    pub addr: u64,
    /// The length in bytes.
    pub len: u64,
    /// Where in the object it begins, in bytes.
    pub gem_offset: u64,
}

impl Place {
    /// All addresses.
    pub fn range(&self) -> Range<u64> {
        self.addr..self.addr + self.len
    }
}

impl<T: DriverGpuVm> Tree<'_, T> {
    /// The address space.
    pub fn vm(&self) -> &GpuVm<T> {
        self.vm
    }

    /// The driver's state.
    pub fn state(&self) -> &T {
        &self.state
    }

    /// The driver's state.
    pub fn state_mut(&mut self) -> &mut T {
        &mut self.state
    }

    /// Calls `f` for each mapping of a buffer, with the driver's state and the mapping's data, until it
    /// fails. Takes no lock and allocates nothing.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the buffer is of another address space; what `f` returned.
    pub fn each_of(
        &mut self,
        vm_bo: &VmBo<T>,
        mut f: impl FnMut(&mut T, Place, &mut T::VaData) -> Result,
    ) -> Result {
        let mut va = null_mut();

        if !core::ptr::eq(vm_bo.vm(), self.vm) {
            return Err(EINVAL);
        }
        loop {
            // SAFETY: Mappings enter and leave the list of a buffer in an address space with the tree
            // locked only. The list is valid as long as the buffer.
            va = unsafe { shims::shim_vm_bo_next_va(vm_bo.as_raw(), va) };
            if va.is_null() {
                return Ok(());
            }
            // SAFETY: It is the `Va<T>` of a mapping in this tree. References to these borrow the tree,
            // which is borrowed mutably here.
            let (place, data) = unsafe { va::parts::<T>(va) };

            f(&mut *self.state, place, data)?;
        }
    }

    /// Maps a part of a buffer, in place of whatever is mapped there.
    ///
    /// Allocates nothing. If a step fails, the change ends there, with all earlier steps done.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the buffer is of another address space, or the range is empty or not inside this
    /// one or, unless it is unbounded, not inside the buffer; `ENOMEM` if `prealloc` is used up; what a step returned.
    pub fn map(
        &mut self,
        request: MapRequest<'_, T>,
        prealloc: &mut Prealloc<T>,
        context: &mut T::Context<'_>,
    ) -> Result {
        let vm_bo = request.vm_bo;
        // CAST: `usize` has at most 64 bits.
        let size = vm_bo.object().size() as u64;
        let inside = request
            .gem_offset
            .checked_add(request.len)
            .is_some_and(|end| request.unbounded || end <= size);

        if request.len == 0 || !inside || !core::ptr::eq(vm_bo.vm(), self.vm()) {
            return Err(EINVAL);
        }

        let mut raw: bindings::drm_gpuvm_map_req = pin_init::zeroed();

        raw.map.va.addr = request.addr;
        raw.map.va.range = request.len;
        raw.map.gem.offset = request.gem_offset;
        raw.map.gem.obj = vm_bo.object().as_raw();
        self.change(Some(vm_bo), prealloc, context, |vm, change| {
            // SAFETY: The tree is only changed through `self`, and the callbacks expect a `Change`.
            unsafe { bindings::drm_gpuvm_sm_map(vm, change, &raw) }
        })
    }

    /// Unmaps a range. What is mapped only partly inside of it is split.
    ///
    /// Allocates nothing. If a step fails, the change ends there, with all earlier steps done.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the range is empty or not inside the address space; `ENOMEM` if `prealloc` is used
    /// up; what a step returned.
    pub fn unmap(
        &mut self,
        addr: u64,
        len: u64,
        prealloc: &mut Prealloc<T>,
        context: &mut T::Context<'_>,
    ) -> Result {
        if len == 0 {
            return Err(EINVAL);
        }
        self.change(None, prealloc, context, |vm, change| {
            // SAFETY: The tree is only changed through `self`, and the callbacks expect a `Change`.
            unsafe { bindings::drm_gpuvm_sm_unmap(vm, change, addr, len) }
        })
    }

    fn change(
        &mut self,
        vm_bo: Option<&VmBo<T>>,
        prealloc: &mut Prealloc<T>,
        context: &mut T::Context<'_>,
        f: impl FnOnce(*mut bindings::drm_gpuvm, *mut c_void) -> c_int,
    ) -> Result {
        let vm = self.vm.as_raw();
        let mut change = Change {
            state: &mut *self.state,
            vm_bo,
            prealloc,
            context,
        };

        to_result(f(vm, (&raw mut change).cast()))
    }

    /// The first mapping that has an address in `len` bytes from `addr` on.
    pub fn find_first(&self, addr: u64, len: u64) -> Option<&Va<T>> {
        if len == 0 || addr.checked_add(len - 1).is_none() {
            return None;
        }
        // SAFETY: The tree does not change while `self` is borrowed.
        let va = unsafe { bindings::drm_gpuva_find_first(self.vm.as_raw(), addr, len) };

        if va.is_null() {
            return None;
        }
        // SAFETY: As above; by the invariants of `GpuVm` it is a `Va<T>`.
        Some(unsafe { Va::from_raw(va) })
    }

    /// All mappings, by rising address.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            next: self.first(),
            _tree: self,
        }
    }

    fn first(&self) -> *mut bindings::drm_gpuva {
        let range = self.vm.range();

        // SAFETY: The tree does not change while `self` is borrowed.
        unsafe {
            bindings::drm_gpuva_find_first(self.vm.as_raw(), range.start, range.end - range.start)
        }
    }
}

impl<T: DriverGpuVm> Drop for VaTree<T> {
    fn drop(&mut self) {
        {
            let tree = self.lock();

            loop {
                let va = tree.first();

                if va.is_null() {
                    break;
                }
                // SAFETY: The mapping is in the tree, which is locked. It is not used again.
                unsafe {
                    bindings::drm_gpuva_remove(va);
                    va::retire::<T>(va);
                }
            }
        }
        self.0.close();
    }
}

/// The mappings of an address space.
pub struct Iter<'a, T: DriverGpuVm> {
    next: *mut bindings::drm_gpuva,
    _tree: &'a Tree<'a, T>,
}

impl<'a, T: DriverGpuVm> Iterator for Iter<'a, T> {
    type Item = &'a Va<T>;

    fn next(&mut self) -> Option<&'a Va<T>> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: The tree is borrowed, so the mapping stays in it.
        let va = unsafe { Va::from_raw(self.next) };

        // SAFETY: As above.
        self.next = unsafe { shims::shim_gpuva_next(self.next) };
        Some(va)
    }
}

/// What the callbacks of one change need.
struct Change<'a, 'c, T: DriverGpuVm> {
    state: &'a mut T,
    vm_bo: Option<&'a VmBo<T>>,
    prealloc: &'a mut Prealloc<T>,
    context: &'a mut T::Context<'c>,
}

/// A range is to be mapped.
pub struct MapStep<'a, T: DriverGpuVm> {
    op: &'a bindings::drm_gpuva_op_map,
    vm_bo: &'a VmBo<T>,
}

impl<T: DriverGpuVm> MapStep<'_, T> {
    /// The first address.
    pub fn addr(&self) -> u64 {
        self.op.va.addr
    }

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> u64 {
        self.op.va.range
    }

    /// Where in the object to begin, in bytes.
    pub fn gem_offset(&self) -> u64 {
        self.op.gem.offset
    }

    /// The object in this address space.
    pub fn vm_bo(&self) -> &VmBo<T> {
        self.vm_bo
    }

    /// The object.
    pub fn object(&self) -> &gem::Object<T::Driver> {
        self.vm_bo.object()
    }
}

/// A part of a mapping that stays.
#[derive(Clone, Copy)]
pub struct Part {
    /// The first address.
    pub addr: u64,
    /// The length in bytes.
    pub len: u64,
    /// Where in the object it begins, in bytes.
    pub gem_offset: u64,
}

/// A part of a mapping is to be unmapped.
pub struct RemapStep<'a, T: DriverGpuVm> {
    va: &'a Va<T>,
    prev: Option<Part>,
    next: Option<Part>,
}

impl<T: DriverGpuVm> RemapStep<'_, T> {
    /// The mapping as it is before the step.
    pub fn va(&self) -> &Va<T> {
        self.va
    }

    /// What stays in front of the hole.
    pub fn prev(&self) -> Option<Part> {
        self.prev
    }

    /// What stays behind the hole.
    pub fn next(&self) -> Option<Part> {
        self.next
    }

    /// The hole: what is unmapped.
    pub fn unmapped(&self) -> Range<u64> {
        let all = self.va.range();
        let start = self.prev.map_or(all.start, |part| part.addr + part.len);
        let end = self.next.map_or(all.end, |part| part.addr);

        start..end
    }
}

fn errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// Only for `struct drm_gpuvm_ops` of a `GpuVm<T>`, with a `Change` as `private`.
pub(super) unsafe extern "C" fn map_callback<T: DriverGpuVm>(
    op: *mut bindings::drm_gpuva_op,
    private: *mut c_void,
) -> c_int {
    // SAFETY: By this function's requirements; the change is not used by anybody else meanwhile.
    let change = unsafe { &mut *private.cast::<Change<'_, '_, T>>() };
    // SAFETY: The operation is of this kind.
    let op = unsafe { &(*op).__bindgen_anon_1.map };

    errno((|| {
        let vm_bo = change.vm_bo.ok_or(EINVAL)?;

        if change.prealloc.left() < 1 {
            return Err(ENOMEM);
        }

        let step = MapStep { op, vm_bo };
        let data = change.state.step_map(&step, change.context)?;
        let va = change.prealloc.take(data)?;

        // SAFETY: Nothing is mapped in the range any more: earlier steps have removed it. The new
        // mapping is in no tree, and of the same object as `vm_bo`.
        unsafe {
            bindings::drm_gpuva_map(vm_bo.vm().as_raw(), va, op);

            let _list = vm_bo.lock_list();

            bindings::drm_gpuva_link(va, vm_bo.as_raw());
        }
        Ok(())
    })())
}

/// # Safety
///
/// Only for `struct drm_gpuvm_ops` of a `GpuVm<T>`, with a `Change` as `private`.
pub(super) unsafe extern "C" fn unmap_callback<T: DriverGpuVm>(
    op: *mut bindings::drm_gpuva_op,
    private: *mut c_void,
) -> c_int {
    // SAFETY: By this function's requirements; the change is not used by anybody else meanwhile.
    let change = unsafe { &mut *private.cast::<Change<'_, '_, T>>() };
    // SAFETY: The operation is of this kind.
    let op = unsafe { &(*op).__bindgen_anon_1.unmap };
    let va = op.va;

    errno((|| {
        // SAFETY: The mapping is in the tree.
        let mapping = unsafe { Va::from_raw(va) };

        change.state.step_unmap(mapping, change.context)?;

        // SAFETY: The mapping is in the tree, and not used after that.
        unsafe {
            bindings::drm_gpuva_unmap(op);
            va::retire::<T>(va);
        }
        Ok(())
    })())
}

/// # Safety
///
/// `op` must be null or valid.
unsafe fn part(op: *const bindings::drm_gpuva_op_map) -> Option<Part> {
    // SAFETY: By this function's requirements.
    unsafe { op.as_ref() }.map(|op| Part {
        addr: op.va.addr,
        len: op.va.range,
        gem_offset: op.gem.offset,
    })
}

/// # Safety
///
/// Only for `struct drm_gpuvm_ops` of a `GpuVm<T>`, with a `Change` as `private`.
pub(super) unsafe extern "C" fn remap_callback<T: DriverGpuVm>(
    op: *mut bindings::drm_gpuva_op,
    private: *mut c_void,
) -> c_int {
    // SAFETY: By this function's requirements; the change is not used by anybody else meanwhile.
    let change = unsafe { &mut *private.cast::<Change<'_, '_, T>>() };
    // SAFETY: The operation is of this kind.
    let op = unsafe { &mut (*op).__bindgen_anon_1.remap };

    errno((|| {
        // SAFETY: The mapping is in the tree until the end of this function.
        let (old, va) = unsafe { ((*op.unmap).va, Va::<T>::from_raw((*op.unmap).va)) };
        // SAFETY: The parts are null or valid.
        let (prev, next) = unsafe { (part(op.prev), part(op.next)) };
        let needed = usize::from(prev.is_some()) + usize::from(next.is_some());

        if change.prealloc.left() < needed {
            return Err(ENOMEM);
        }
        change
            .state
            .step_remap(&RemapStep { va, prev, next }, change.context)?;

        let mut node = |part: Option<Part>| match part {
            Some(_) => change.prealloc.take(va.data().clone()),
            None => Ok(null_mut()),
        };
        let (prev, next) = (node(prev)?, node(next)?);

        // SAFETY: The old mapping is in the tree, the new ones are in none. They are linked to the
        // same buffer before the old one is unlinked, so that it is not put aside meanwhile.
        unsafe {
            bindings::drm_gpuva_remap(prev, next, op);
            {
                let vm_bo = va.vm_bo();
                let _list = vm_bo.lock_list();

                for new in [prev, next] {
                    if !new.is_null() {
                        bindings::drm_gpuva_link(new, vm_bo.as_raw());
                    }
                }
            }
            va::retire::<T>(old);
        }
        Ok(())
    })())
}
