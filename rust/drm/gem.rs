// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Buffer objects.
//!
//! An [`Object`] is memory of a tmpfs file, unless it has to be [contiguous](Flags::CONTIGUOUS). Its pages are allocated when they are needed, by
//! [`Object::pin()`], by a kernel mapping or by an access of user space. They are kept, and mapped for
//! the device's DMA, until the driver is unbound, the object is freed, or memory reclaim takes them
//! ([`shrink`]).
//!
//! An object may also be a dma-buf of somebody else, if the driver [permits](Driver::imported()) that.
//! Of such a buffer nothing is known but its size and its DMA addresses; there need not be any pages
//! of RAM behind them.
//!
//! # Locking
//!
//! `backing` protects how the object's memory is mapped. It is taken inside the reservation lock
//! (exports, and where an address space is restored) and inside the mmap lock (faults, which insert
//! pages under it), and nothing but memory reclaim is entered with it held. Reclaim itself only tries
//! to take it. What has been published through a [`Pinned`] or a [`Mapped`] does not change as long as
//! that exists, and is read without it.
//!
//! # Ordering
//!
//! Pages are mapped for DMA before any other mapping of them is made: for write-combined objects
//! this is what flushes the lines that zeroing the pages has left in the caches.
//!
//! # Blocking
//!
//! Everything that may allocate sleeps. Dropping a reference may be the last one and sleeps then.

#[path = "gem/backing.rs"]
mod backing;
#[path = "gem/iommu.rs"]
mod iommu;
#[path = "gem/list.rs"]
mod list;
#[path = "gem/prime.rs"]
mod prime;
#[path = "gem/resv.rs"]
mod resv;
#[path = "gem/shrink.rs"]
pub(crate) mod shrink;
#[path = "gem/vmap.rs"]
mod vmap;

pub use backing::Mapped;
pub use backing::Pinned;
pub use backing::Segment;
pub use backing::Segments;
pub(crate) use list::Objects;
pub use resv::Resv;
pub use vmap::dma_mb;
pub use vmap::dma_rmb;
pub use vmap::dma_wmb;
pub use vmap::Vmap;
pub use vmap::Word;

use crate::exec::FenceSlots;
use crate::{
    dma,
    Device,
    Driver,
    File, //
};
use backing::{
    Backing,
    Users, //
};
use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    ffi::c_int,
    new_mutex,
    page::{
        page_align,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

/// How many pages a fault maps: memory is mostly touched in order, and a fault costs more than a page.
const FAULT_PAGES: usize = 16;

/// How an object may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// Mappable by user space, and write-combined for CPUs.
    pub const NONE: Self = Self(0);
    /// User space cannot map the object, by whichever way.
    pub const NO_MMAP: Self = Self(1);
    /// CPUs map the object cached. The driver cares for coherency, with
    /// [`Pinned::sync_for_device()`] and [`Pinned::sync_for_cpu()`].
    pub const WRITE_BACK: Self = Self(2);
    /// The memory is one piece, aligned to its size, which is a power of two of pages. It is never
    /// reclaimed.
    pub const CONTIGUOUS: Self = Self(4);
    /// The memory is not reclaimed: the driver or its firmware use it at any time.
    pub const RESIDENT: Self = Self(8);

    /// Both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in `self`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A buffer object.
///
/// Dereferences to the driver's [`Driver::Object`].
///
/// # Invariants
///
/// - `obj` is an initialised `struct drm_gem_object` of `dev`, and its reference count governs the
///   allocation, which is that of a `KBox<Self>`. It has a backing file, or `runs`.
/// - Its reservation is its own, or that of `resv`, or that of the dma-buf that it is an import of.
#[repr(C)]
#[pin_data]
pub struct Object<D: Driver> {
    #[pin]
    obj: Opaque<bindings::drm_gem_object>,
    dev: ARef<Device<D>>,
    flags: Flags,
    resv: Option<Arc<Resv<D>>>,
    node: list::Node,
    /// Of an import.
    runs: Option<prime::Runs>,
    #[pin]
    backing: Mutex<Backing>,
    /// Whether the pages were allocated, for those who cannot take the lock.
    resident: Atomic<bool>,
    /// Whether there may be mappings that are not found by the device's files. Never reset.
    exported: Atomic<bool>,
    users: Users,
    dma: dma::Mapping,
    #[pin]
    iommu: iommu::Mapped,
    slots: FenceSlots,
    #[pin]
    inner: D::Object,
}

// SAFETY: An object is made to be used and released by any task. The driver's part is `Send` and
// `Sync`, the rest is protected by `backing`, or constant, or the C side's.
unsafe impl<D: Driver> Send for Object<D> {}
// SAFETY: As above.
unsafe impl<D: Driver> Sync for Object<D> {}

// SAFETY: By the type's invariants the reference count of `obj` governs the allocation.
unsafe impl<D: Driver> AlwaysRefCounted for Object<D> {
    fn inc_ref(&self) {
        // SAFETY: The reference to `self` shows that the count is not zero.
        unsafe { shims::shim_gem_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // CAST: The `struct drm_gem_object` is the first field.
        // SAFETY: The caller gives up a reference.
        unsafe { shims::shim_gem_put(obj.as_ptr().cast()) };
    }
}

impl<D: Driver> Deref for Object<D> {
    type Target = D::Object;

    fn deref(&self) -> &D::Object {
        &self.inner
    }
}

impl<D: Driver> Object<D> {
    const FUNCS: bindings::drm_gem_object_funcs = bindings::drm_gem_object_funcs {
        free: Some(Self::free_callback),
        export: Some(Self::export_callback),
        pin: Some(Self::pin_callback),
        unpin: Some(Self::unpin_callback),
        status: Some(Self::status_callback),
        get_sg_table: Some(Self::get_sg_table_callback),
        vmap: Some(Self::vmap_callback),
        vunmap: Some(Self::vunmap_callback),
        mmap: Some(Self::mmap_callback),
        vm_ops: &Self::VM_OPS,
        ..pin_init::zeroed()
    };

    const VM_OPS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        open: Some(Self::open_callback),
        close: Some(Self::close_callback),
        fault: Some(Self::fault_callback),
        ..pin_init::zeroed()
    };

    /// Makes an object of at least `size` bytes. No memory is allocated for its contents yet.
    ///
    /// With `resv`, the object shares the reservation of an address space. It then belongs to that
    /// one, and cannot be exported.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `size` is zero or absurd, or `resv` belongs to another device; `ENOMEM` if the machine
    /// does not have as much memory, or there is none now.
    pub fn new(
        dev: &Device<D>,
        size: u64,
        flags: Flags,
        resv: Option<&Arc<Resv<D>>>,
        inner: impl PinInit<D::Object, Error>,
    ) -> Result<ARef<Self>> {
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size != 0 && isize::try_from(*size).is_ok())
            .and_then(page_align)
            .ok_or(EINVAL)?;

        // What could never get its memory would still take a table of its pages, and addresses.
        // SAFETY: The function has no requirements.
        if size / PAGE_SIZE > unsafe { shims::shim_gem_most_pages() } {
            return Err(ENOMEM);
        }

        if resv.is_some_and(|resv| !core::ptr::eq(resv.dev(), dev)) {
            return Err(EINVAL);
        }

        let this = Self::allocate(dev, flags, resv.cloned(), None, inner)?;
        let obj = this.as_raw();

        // SAFETY: The object is zeroed, as the C side expects it, and nobody else knows it. `resv`
        // is kept alive by `this`.
        let ret = unsafe {
            (*obj).funcs = Self::funcs();
            if let Some(resv) = resv {
                (*obj).resv = resv.as_dma_resv();
            }
            bindings::drm_gem_object_init(dev.as_raw(), obj, size)
        };
        if ret != 0 {
            // SAFETY: The failed initialisation has come as far as the private part.
            unsafe { bindings::drm_gem_private_object_fini(obj) };
            return Err(Error::from_errno(ret));
        }
        // SAFETY: The object is initialised and has a file.
        unsafe { shims::shim_gem_set_gfp(obj) };

        // SAFETY: The object was just initialised.
        let this = unsafe { Self::initialised(this) };

        if !flags.contains(Flags::NO_MMAP) {
            // SAFETY: The object is initialised.
            to_result(unsafe { bindings::drm_gem_create_mmap_offset(obj) })?;
        }
        // SAFETY: Nobody has shown it before.
        unsafe { this.show() };
        Ok(this)
    }

    const fn funcs() -> &'static bindings::drm_gem_object_funcs {
        const { &Self::FUNCS }
    }

    /// An object whose C part is zeroed.
    fn allocate(
        dev: &Device<D>,
        flags: Flags,
        resv: Option<Arc<Resv<D>>>,
        runs: Option<prime::Runs>,
        inner: impl PinInit<D::Object, Error>,
    ) -> Result<Pin<KBox<Self>>> {
        // Nobody allocates what is mapped already.
        let resident = runs.is_some();

        KBox::pin_init(
            try_pin_init!(Self {
                obj: Opaque::zeroed(),
                dev: dev.into(),
                flags,
                resv,
                node: list::Node::new(),
                runs,
                backing <- new_mutex!(Backing::new(), "gem::Object::backing"),
                resident: Atomic::new(resident),
                exported: Atomic::new(false),
                users: Users::new(),
                dma: dma::Mapping::new(),
                iommu <- iommu::Mapped::new(),
                slots: FenceSlots::new(),
                inner <- inner,
            }? Error),
            GFP_KERNEL,
        )
    }

    /// # Safety
    ///
    /// The C part must have been initialised, and nobody own its first reference.
    unsafe fn initialised(this: Pin<KBox<Self>>) -> ARef<Self> {
        // INVARIANT: From here on the reference count governs the allocation; `free_callback()` takes
        // the box back. Nothing is moved out of its place.
        // SAFETY: The pointer is that of the box, and the first reference becomes the `ARef`'s.
        unsafe {
            ARef::from_raw(NonNull::new_unchecked(KBox::into_raw(
                Pin::into_inner_unchecked(this),
            )))
        }
    }

    /// Shows the object to those who look at all of the device. It must be complete.
    ///
    /// # Safety
    ///
    /// The object must not be in the list.
    unsafe fn show(&self) {
        // SAFETY: By this function's requirements. The node is that of the object, which
        // `free_callback()` takes off the list.
        unsafe { self.dev.all_objects().add(&self.node, self.as_raw()) };
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::drm_gem_object {
        self.obj.get()
    }

    pub(crate) fn fence_slots(&self) -> &FenceSlots {
        &self.slots
    }

    /// # Safety
    ///
    /// `ptr` must be that of an `Object<D>` that stays alive during `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::drm_gem_object) -> &'a Self {
        // CAST: The `struct drm_gem_object` is the first field.
        // SAFETY: The caller vouches for the pointer.
        unsafe { &*ptr.cast() }
    }

    /// # Safety
    ///
    /// `ptr` must be null, or that of an `Object<D>` to which the caller owns a reference.
    pub(crate) unsafe fn from_raw_owned(ptr: *mut bindings::drm_gem_object) -> Option<ARef<Self>> {
        // SAFETY: The caller gives the reference away.
        NonNull::new(ptr.cast::<Self>()).map(|ptr| unsafe { ARef::from_raw(ptr) })
    }

    /// The size in bytes, a multiple of the page size.
    pub fn size(&self) -> usize {
        // SAFETY: The field is never changed.
        unsafe { (*self.as_raw()).size }
    }

    /// The flags that the object was made with.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Whether the object has memory.
    pub fn is_resident(&self) -> bool {
        self.resident.load(Relaxed)
    }

    /// Whether there is a dma-buf of the object, for the moment.
    pub fn has_dma_buf(&self) -> bool {
        // SAFETY: The object is valid, and nothing but the pointer is looked at.
        unsafe {
            !(&raw const (*self.as_raw()).dma_buf)
                .read_volatile()
                .is_null()
        }
    }

    /// The device that the object belongs to.
    pub fn dev(&self) -> &Device<D> {
        &self.dev
    }

    /// Whether the object shares this reservation.
    pub fn shares(&self, resv: &Resv<D>) -> bool {
        self.resv
            .as_ref()
            .is_some_and(|own| core::ptr::eq(&**own, resv))
    }

    /// The reservation that the object shares with an address space, if it does.
    pub fn shared_resv(&self) -> Option<&Arc<Resv<D>>> {
        self.resv.as_ref()
    }

    /// Makes a handle, by which the file's user space knows the object.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the file is open on another device.
    pub fn create_handle(&self, file: &File<D>) -> Result<u32> {
        let mut handle = 0;

        if !core::ptr::eq(file.dev(), self.dev()) {
            return Err(EINVAL);
        }
        // SAFETY: File and object are valid, and of the same device.
        to_result(unsafe {
            bindings::drm_gem_handle_create(file.as_raw(), self.as_raw(), &mut handle)
        })?;
        Ok(handle)
    }

    /// The offset at which user space maps the object.
    ///
    /// # Errors
    ///
    /// `EPERM` if the object must not be mapped.
    pub fn mmap_offset(&self) -> Result<u64> {
        if self.flags.contains(Flags::NO_MMAP) {
            return Err(EPERM);
        }
        // SAFETY: The object is initialised, and has an offset.
        Ok(unsafe { shims::shim_gem_mmap_offset(self.as_raw()) })
    }

    fn write_back(&self) -> bool {
        self.flags.contains(Flags::WRITE_BACK)
    }

    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`: the last reference to an `Object<D>` must have gone.
    unsafe extern "C" fn free_callback(obj: *mut bindings::drm_gem_object) {
        let this = obj.cast::<Self>();

        // SAFETY: Nobody else has access any more. The memory goes before the file that it is of, and
        // the C part before the box, which was made by `new()`.
        unsafe {
            (*this).dev.all_objects().remove(&(*this).node);
            (*this).unmap_iommu();
            (*this).release_backing();
            (*this).release_import();
            bindings::drm_gem_object_release(obj);
            drop(Pin::new_unchecked(KBox::from_raw(this)));
        }
    }

    /// Called with a spinlock held.
    ///
    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`.
    unsafe extern "C" fn status_callback(
        obj: *mut bindings::drm_gem_object,
    ) -> bindings::drm_gem_object_status {
        // SAFETY: The object is valid during the call.
        if unsafe { Self::from_raw(obj) }.is_resident() {
            bindings::drm_gem_object_status_DRM_GEM_OBJECT_RESIDENT
        } else {
            0
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`.
    unsafe extern "C" fn get_sg_table_callback(
        obj: *mut bindings::drm_gem_object,
    ) -> *mut bindings::sg_table {
        // SAFETY: The object is valid during the call.
        let this = unsafe { Self::from_raw(obj) };

        match this.populate_locked(&mut this.backing.lock()) {
            // SAFETY: The pages are there, and stay as long as they are pinned for the importer.
            Ok(pages) => unsafe {
                bindings::drm_prime_pages_to_sg(
                    this.dev.as_raw(),
                    pages.as_ptr(),
                    this.page_count(),
                )
            },
            Err(e) => e.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`.
    unsafe extern "C" fn vmap_callback(
        obj: *mut bindings::drm_gem_object,
        map: *mut bindings::iosys_map,
    ) -> c_int {
        // SAFETY: The object is valid during the call.
        let this = unsafe { Self::from_raw(obj) };

        match this.map_kernel() {
            Ok(addr) => {
                // SAFETY: `map` is valid for writing.
                unsafe {
                    *map = bindings::iosys_map::default();
                    (*map).__bindgen_anon_1.vaddr = addr.as_ptr().cast();
                }
                0
            }
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`, to undo one `vmap_callback()`.
    unsafe extern "C" fn vunmap_callback(
        obj: *mut bindings::drm_gem_object,
        _map: *mut bindings::iosys_map,
    ) {
        // SAFETY: The object is valid during the call, and was mapped.
        unsafe { Self::from_raw(obj).unmap_kernel() };
    }

    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`.
    unsafe extern "C" fn mmap_callback(
        obj: *mut bindings::drm_gem_object,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The object is valid during the call.
        let this = unsafe { Self::from_raw(obj) };

        if this.flags.contains(Flags::NO_MMAP) {
            return EPERM.to_errno();
        }
        // A private mapping would copy pages of which there are only frame numbers.
        // SAFETY: The mapping is being set up, and only here.
        if unsafe { shims::shim_vma_is_cow(vma) } {
            return EINVAL.to_errno();
        }
        if this.is_imported() {
            // SAFETY: As above. The dma-buf of an import lives as long as the object, and the
            // reference to the object that the caller has taken for the mapping is given back.
            return unsafe { shims::shim_gem_mmap_import(obj, vma) };
        }
        // SAFETY: As above.
        unsafe { shims::shim_vma_set_gem(vma, this.write_back()) };
        this.mmap_begins();
        0
    }

    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`.
    unsafe extern "C" fn pin_callback(obj: *mut bindings::drm_gem_object) -> c_int {
        // SAFETY: The object is valid during the call.
        match unsafe { Self::from_raw(obj) }.pin_raw() {
            Ok(()) => 0,
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`, to undo one `pin_callback()`.
    unsafe extern "C" fn unpin_callback(obj: *mut bindings::drm_gem_object) {
        // SAFETY: The object is valid during the call.
        unsafe { Self::from_raw(obj) }.unpin_raw();
    }

    /// # Safety
    ///
    /// Only for `struct vm_operations_struct`, on a mapping of an `Object<D>`.
    unsafe extern "C" fn open_callback(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The mapping is valid, and holds a reference to the object in its private data.
        unsafe {
            bindings::drm_gem_vm_open(vma);
            Self::from_raw((*vma).vm_private_data.cast()).mmap_begins();
        }
    }

    /// # Safety
    ///
    /// Only for `struct vm_operations_struct`, on a mapping of an `Object<D>`.
    unsafe extern "C" fn close_callback(vma: *mut bindings::vm_area_struct) {
        // SAFETY: As above. The C function may drop the last reference.
        unsafe {
            Self::from_raw((*vma).vm_private_data.cast()).mmap_ends();
            bindings::drm_gem_vm_close(vma);
        }
    }

    /// # Safety
    ///
    /// Only for `struct vm_operations_struct`, on a mapping of an `Object<D>`.
    unsafe extern "C" fn fault_callback(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The fault is valid during the call, and its mapping holds a reference to the
        // object in its private data.
        let (this, vma, pgoff, address, end) = unsafe {
            let at = (*vmf).__bindgen_anon_1;

            (
                Self::from_raw((*at.vma).vm_private_data.cast()),
                at.vma,
                at.pgoff,
                at.address,
                (*at.vma).__bindgen_anon_1.__bindgen_anon_1.vm_end,
            )
        };
        // SAFETY: The object is initialised.
        let first = unsafe { shims::shim_gem_page_start(this.as_raw()) };
        let count = this.size() / PAGE_SIZE;
        let Some(index) = pgoff.checked_sub(first).filter(|index| *index < count) else {
            return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
        };

        // Until all is inserted: reclaim removes what is there with the lock held.
        let mut backing = this.backing.lock();
        let pages = match this.populate_locked(&mut backing) {
            Ok(pages) => pages,
            Err(e) if e == ENOMEM => return bindings::vm_fault_reason_VM_FAULT_OOM,
            Err(_) => return bindings::vm_fault_reason_VM_FAULT_SIGBUS,
        };
        let ahead = FAULT_PAGES
            .min(count - index)
            .min(end.saturating_sub(address) / PAGE_SIZE);
        // SAFETY: `i` is less than `ahead` when it is not zero, so the entry is inside the array and
        // the address inside the mapping. The mapping takes page frames; the pages stay as long as
        // the object is locked, and whoever takes them then unmaps them first.
        let insert = |i: usize| unsafe {
            let pfn = shims::shim_page_to_pfn(pages.add(index + i).read());

            bindings::vmf_insert_pfn(vma, address + i * PAGE_SIZE, pfn)
        };
        let result = insert(0);

        for i in 1..ahead {
            if insert(i) != bindings::vm_fault_reason_VM_FAULT_NOPAGE {
                break;
            }
        }
        result
    }
}
