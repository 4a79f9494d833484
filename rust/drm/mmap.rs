// SPDX-License-Identifier: GPL-2.0 OR MIT

//! User mappings of pages that are not buffer objects: registers, or memory of the driver.
//!
//! A driver claims a range of the device node's mapping space in [`Driver::mmap()`]. Nothing is
//! mapped at that time; each page is asked for when it is touched, and again after it was removed
//! with [`Device::zap_mappings()`].
//!
//! # Locking
//!
//! A fault runs with the mmap or the VMA lock of the task held, read, inside the bound scope. A
//! driver whose answer depends on a state takes the lock of that state, and calls `insert_*` with it
//! held; who changes the state does so under the same lock, then zaps. Under that lock nothing may
//! access user memory.

use crate::{
    Device,
    Driver,
    File, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    ffi::{
        c_int,
        c_void, //
    },
    io::resource::{
        Flags,
        Resource, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};

/// What user space wants to map.
pub struct Request {
    offset: u64,
    len: usize,
    flags: u64,
}

impl Request {
    /// The offset in the device node, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The length, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the mapping is shared.
    pub fn shared(&self) -> bool {
        self.flags & shims::SHIM_VM_SHARED != 0
    }

    /// Whether the mapping shall be writable from the start.
    pub fn writable(&self) -> bool {
        self.flags & shims::SHIM_VM_WRITE != 0
    }

    /// Whether the mapping shall be executable.
    pub fn executable(&self) -> bool {
        self.flags & shims::SHIM_VM_EXEC != 0
    }
}

/// What a mapping refers to.
pub enum Claim {
    /// A buffer object, if there is one at that offset.
    Gem,
    /// Pages of the driver.
    Pages(Pages),
}

/// A range of pages that the driver provides itself.
///
/// The mapping must be shared, it is not inherited by `fork()`, and it is never executable; else
/// `mmap()` fails with `EINVAL`.
pub struct Pages {
    /// Tells the driver's ranges apart when they fault.
    pub tag: usize,
    /// Whether user space may write. If not, `mmap()` for writing fails with `EINVAL`, and
    /// `mprotect()` cannot change it later.
    pub writable: bool,
}

/// A page of registers.
///
/// # Invariants
///
/// The page lies within an I/O memory resource.
pub struct MmioPage {
    pfn: usize,
}

impl MmioPage {
    /// The page at `offset` bytes of a resource.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is not a whole page of the resource, or the resource is none of memory.
    #[allow(
        clippy::useless_conversion,
        reason = "physical addresses may have 32 bits"
    )]
    pub fn new(res: &Resource, offset: u64) -> Result<Self> {
        let page = u64::try_from(PAGE_SIZE)?;
        let size = u64::from(res.size());
        let start = u64::from(res.start()).checked_add(offset).ok_or(EINVAL)?;

        let memory = res.flags().contains(Flags::IORESOURCE_MEM);

        if !memory || start % page != 0 || offset.checked_add(page).is_none_or(|end| end > size) {
            return Err(EINVAL);
        }
        // INVARIANT: Just checked.
        Ok(Self {
            pfn: usize::try_from(start / page)?,
        })
    }
}

/// A zeroed page of memory, to be shown to user space in place of registers.
///
/// # Invariants
///
/// `addr` is a page that lives as long as `dev`.
pub struct SharedPage<D: Driver> {
    addr: NonNull<c_void>,
    dev: ARef<Device<D>>,
}

// SAFETY: The page may be used from everywhere; it is only accessed by volatile writes.
unsafe impl<D: Driver> Send for SharedPage<D> {}
// SAFETY: As above.
unsafe impl<D: Driver> Sync for SharedPage<D> {}

impl<D: Driver> SharedPage<D> {
    /// Allocates a page. Its memory is given back together with the device.
    pub fn new(dev: &Device<D>) -> Result<Self> {
        // SAFETY: The device is valid.
        let addr = unsafe { shims::shim_drmm_zeroed_page(dev.as_raw()) };

        // INVARIANT: The device owns the page.
        Ok(Self {
            addr: NonNull::new(addr).ok_or(ENOMEM)?,
            dev: dev.into(),
        })
    }

    /// Writes a word.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the word is not inside the page, or not aligned.
    pub fn write32(&self, offset: usize, value: u32) -> Result {
        if offset % 4 != 0 || offset >= PAGE_SIZE {
            return Err(EINVAL);
        }
        // SAFETY: The word is inside the page.
        unsafe {
            self.addr
                .as_ptr()
                .cast::<u32>()
                .byte_add(offset)
                .write_volatile(value)
        };
        Ok(())
    }
}

/// An access to a page that is not mapped.
///
/// # Invariants
///
/// `vmf` is valid during `'a`, and belongs to a mapping that [`mmap_callback()`] has set up.
pub struct Fault<'a, D: Driver> {
    vmf: *mut bindings::vm_fault,
    dev: &'a Device<D>,
}

/// What became of a fault. Only the methods of [`Fault`] make one.
pub struct Outcome(bindings::vm_fault_t);

impl<D: Driver> Fault<'_, D> {
    fn vma(&self) -> *mut bindings::vm_area_struct {
        // SAFETY: By the type's invariant.
        unsafe { (*self.vmf).__bindgen_anon_1.vma }
    }

    /// The tag of the claim.
    pub fn tag(&self) -> usize {
        // SAFETY: The mapping is valid during the fault.
        unsafe { (*self.vma()).vm_private_data.addr() }
    }

    /// The offset of the page in the device node, in bytes.
    pub fn offset(&self) -> u64 {
        // SAFETY: By the type's invariant.
        let pgoff = unsafe { (*self.vmf).__bindgen_anon_1.pgoff };

        page_offset(pgoff)
    }

    /// Maps a page of registers, uncached.
    pub fn insert_mmio(&self, page: &MmioPage) -> Outcome {
        // SAFETY: The fault is valid, its mapping takes page frames, and the page is I/O memory.
        Outcome(unsafe { shims::shim_insert_mmio(self.vmf, page.pfn) })
    }

    /// Maps a page of memory.
    pub fn insert_page(&self, page: &SharedPage<D>) -> Outcome {
        if !core::ptr::eq(&*page.dev, self.dev) {
            return self.sigbus();
        }
        // SAFETY: The mapping takes page frames. The page lives as long as the device, which the
        // mapping keeps alive through its file.
        Outcome(unsafe {
            bindings::vmf_insert_pfn(
                self.vma(),
                (*self.vmf).__bindgen_anon_1.address,
                shims::shim_virt_to_pfn(page.addr.as_ptr()),
            )
        })
    }

    /// There is no such page.
    pub fn sigbus(&self) -> Outcome {
        Outcome(bindings::vm_fault_reason_VM_FAULT_SIGBUS)
    }
}

fn page_offset(pgoff: usize) -> u64 {
    // CAST: `usize` has at most 64 bits. The offset was a byte offset before, so nothing is lost.
    (pgoff as u64).wrapping_mul(PAGE_SIZE as u64)
}

struct VmOps<D: Driver>(PhantomData<D>);

impl<D: Driver> VmOps<D> {
    const OPS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(fault_callback::<D>),
        ..pin_init::zeroed()
    };
}

/// # Safety
///
/// Only for `struct vm_operations_struct`, on a mapping that [`mmap_callback::<D>()`] has set up.
unsafe extern "C" fn fault_callback<D: Driver>(
    vmf: *mut bindings::vm_fault,
) -> bindings::vm_fault_t {
    // SAFETY: The mapping holds its file open, and that is one of a `Device<D>`.
    let dev = unsafe {
        let file = (*(*(*vmf).__bindgen_anon_1.vma).vm_file).private_data;

        Device::<D>::from_raw((*(*file.cast::<bindings::drm_file>()).minor).dev)
    };

    match dev.enter() {
        // INVARIANT: The fault is valid during the call.
        Some(entered) => D::mmap_fault(&entered, &Fault { vmf, dev }).0,
        None => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
    }
}

/// # Safety
///
/// Only for `struct file_operations` of a `Device<D>`.
pub(crate) unsafe extern "C" fn mmap_callback<D: Driver>(
    filp: *mut bindings::file,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: The private data of an open device node is its `struct drm_file`.
    let file = unsafe { (*filp).private_data.cast::<bindings::drm_file>() };
    // SAFETY: The file is open on a `Device<D>`.
    let dev = unsafe { Device::<D>::from_raw((*(*file).minor).dev) };
    // SAFETY: The file stays open during the call.
    let file = unsafe { File::<D>::from_raw(file) };
    let Some(dev) = dev.enter() else {
        return ENODEV.to_errno();
    };
    // SAFETY: The mapping is being set up, and only here.
    let request = unsafe {
        let range = (*vma).__bindgen_anon_1.__bindgen_anon_1;

        Request {
            offset: page_offset((*vma).vm_pgoff),
            len: range.vm_end - range.vm_start,
            flags: shims::shim_vma_flags(vma),
        }
    };

    match D::mmap(&dev, file, &request) {
        // SAFETY: As a file operation, with the same arguments.
        Ok(Claim::Gem) => unsafe { bindings::drm_gem_mmap(filp, vma) },
        Ok(Claim::Pages(pages)) => {
            let write = request.writable() && !pages.writable;

            if !request.shared() || request.executable() || write {
                return EINVAL.to_errno();
            }
            // SAFETY: The mapping is being set up, and only here.
            unsafe {
                shims::shim_vma_set_pages(vma, pages.writable);
                (*vma).vm_private_data = core::ptr::without_provenance_mut(pages.tag);
                (*vma).vm_ops = const { &VmOps::<D>::OPS };
            }
            0
        }
        Err(e) => e.to_errno(),
    }
}
