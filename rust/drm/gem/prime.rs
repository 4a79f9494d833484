// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Dma-bufs: buffers that others make, and ours in the hands of others.
//!
//! # Locking
//!
//! An exporter is called with the reservation of its buffer locked, or takes that lock itself; no
//! lock of ours is held then. Our own buffers are mapped for others with their reservation locked.
//!
//! # Ordering
//!
//! An import is unmapped when the driver is unbound or the object freed, whichever comes first, and
//! detached when the object is freed. What drivers see of its table is a copy that the object owns.
//!
//! # Blocking
//!
//! Whatever the exporter does. The last reference to an import must not be dropped with the
//! reservation of its dma-buf held.

use super::{
    Flags,
    Object, //
};
use crate::{
    dma,
    Device,
    Driver, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    ffi::c_int,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};

/// Where the device finds a buffer that somebody else has made: DMA addresses, and nothing else.
///
/// # Invariants
///
/// `table` is owned and constant: it has runs of whole pages of 4 KiB that are no shorter than the object, and
/// no `struct page`.
pub(super) struct Runs {
    table: NonNull<bindings::sg_table>,
}

// SAFETY: The table is constant.
unsafe impl Send for Runs {}
// SAFETY: As above.
unsafe impl Sync for Runs {}

impl Runs {
    /// # Errors
    ///
    /// `EINVAL` if the exporter's table is too short or not made of whole pages, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `sgt` must be a valid table that was mapped for DMA.
    unsafe fn new(sgt: *mut bindings::sg_table, size: usize) -> Result<Self> {
        // SAFETY: By this function's requirements.
        let table = from_err_ptr(unsafe { shims::shim_sg_dma_runs(sgt, size) })?;

        // INVARIANT: The function returns such a table, which is the caller's.
        Ok(Self {
            table: NonNull::new(table).ok_or(ENOMEM)?,
        })
    }

    /// The table, of which only the DMA addresses and lengths may be looked at.
    pub(super) fn table(&self) -> *mut bindings::sg_table {
        self.table.as_ptr()
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the table is owned.
        unsafe {
            bindings::sg_free_table(self.table());
            bindings::kfree(self.table().cast());
        }
    }
}

impl<D: Driver> Object<D> {
    const EXPORT_OPS: bindings::dma_buf_ops = bindings::dma_buf_ops {
        attach: Some(bindings::drm_gem_map_attach),
        detach: Some(bindings::drm_gem_map_detach),
        map_dma_buf: Some(shims::shim_export_map),
        unmap_dma_buf: Some(shims::shim_export_unmap),
        release: Some(bindings::drm_gem_dmabuf_release),
        begin_cpu_access: Some(Self::begin_cpu_access_callback),
        end_cpu_access: Some(Self::end_cpu_access_callback),
        mmap: Some(bindings::drm_gem_dmabuf_mmap),
        vmap: Some(bindings::drm_gem_dmabuf_vmap),
        vunmap: Some(bindings::drm_gem_dmabuf_vunmap),
        ..pin_init::zeroed()
    };

    /// Whether somebody else has made the buffer.
    ///
    /// It then has no flags, no memory that the kernel could [map](Object::vmap), and caches are the
    /// exporter's business.
    pub fn is_imported(&self) -> bool {
        self.runs.is_some()
    }

    /// Makes an object of a buffer that was attached and mapped for the device.
    ///
    /// # Safety
    ///
    /// `attach` must be a valid attachment of the DMA device, `sgt` what it was mapped as. Both must
    /// stay valid until this fails, or `free_callback()` gives them back.
    unsafe fn import(
        dev: &Device<D>,
        attach: *mut bindings::dma_buf_attachment,
        sgt: *mut bindings::sg_table,
    ) -> Result<ARef<Self>> {
        // SAFETY: The attachment is valid, and its buffer.
        let (size, resv) = unsafe { ((*(*attach).dmabuf).size, (*(*attach).dmabuf).resv) };

        if size == 0 || size % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        // SAFETY: By this function's requirements.
        let runs = unsafe { Runs::new(sgt, size)? };
        let this = Self::allocate(dev, Flags::NONE, None, Some(runs), D::imported(dev))?;
        let obj = this.as_raw();

        // SAFETY: The object is zeroed, as the C side expects it, and nobody else knows it. The size
        // is one of whole pages. The reservation is that of the dma-buf, which the attachment keeps.
        unsafe {
            (*obj).funcs = Self::funcs();
            (*obj).resv = resv;
            bindings::drm_gem_private_object_init(dev.as_raw(), obj, size);
        }
        // SAFETY: The object was just initialised.
        let this = unsafe { Self::initialised(this) };

        // SAFETY: The object is initialised.
        to_result(unsafe { bindings::drm_gem_create_mmap_offset(obj) })?;
        // SAFETY: The mapping is that of the object, and unused; the rest is as this function
        // requires. Nothing fails after this.
        unsafe {
            dev.mappings()
                .import(&this.dma, dma::Import { obj, attach, sgt })
        }?;
        // SAFETY: Nobody has shown it before.
        unsafe { this.show() };
        Ok(this)
    }

    /// Gives an import back to its exporter, if the object is one.
    ///
    /// # Safety
    ///
    /// The object must be about to be freed: nobody else may have access to it.
    pub(super) unsafe fn release_import(&self) {
        // SAFETY: Nobody else has access. An object whose import has failed has no attachment.
        unsafe {
            if !(*self.as_raw()).import_attach.is_null() {
                self.dev.mappings().unmap(self.dev.dma_device(), &self.dma);
                // Without the table, which was unmapped.
                bindings::drm_prime_gem_destroy(self.as_raw(), null_mut());
            }
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_driver`: `dev` must be a `Device<D>`, the dma-buf be valid.
    pub(crate) unsafe extern "C" fn import_callback(
        dev: *mut bindings::drm_device,
        buf: *mut bindings::dma_buf,
    ) -> *mut bindings::drm_gem_object {
        // SAFETY: Device and dma-buf are valid.
        unsafe {
            let obj = shims::shim_gem_of_export(dev, buf);

            if !obj.is_null() {
                shims::shim_gem_get(obj);
                return obj;
            }
            bindings::drm_gem_prime_import(dev, buf)
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_driver`, as called by `drm_gem_prime_import()`.
    pub(crate) unsafe extern "C" fn import_table_callback(
        dev: *mut bindings::drm_device,
        attach: *mut bindings::dma_buf_attachment,
        sgt: *mut bindings::sg_table,
    ) -> *mut bindings::drm_gem_object {
        // SAFETY: `dev` is a device of the driver. The caller has made attachment and table, undoes
        // them if this fails, and leaves them to the object otherwise.
        match unsafe { Self::import(Device::from_raw(dev), attach, sgt) } {
            Ok(this) => ARef::into_raw(this).as_ptr().cast(),
            Err(e) => e.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// Only for `struct drm_gem_object_funcs`.
    pub(super) unsafe extern "C" fn export_callback(
        obj: *mut bindings::drm_gem_object,
        flags: c_int,
    ) -> *mut bindings::dma_buf {
        // SAFETY: The object is valid during the call.
        let this = unsafe { Self::from_raw(obj) };

        if this.resv.is_some() {
            return EINVAL.to_ptr();
        }
        this.keep();
        // SAFETY: The object and its device are valid, and the operations constant. The dma-buf keeps
        // a reference to the object, and the module.
        unsafe { shims::shim_gem_export(obj, const { &Self::EXPORT_OPS }, flags) }
    }

    /// Makes what devices have written visible to the CPU, or the reverse.
    fn sync_export(&self, for_cpu: bool) {
        // What the CPU writes around its caches is visible.
        if !self.write_back() {
            return;
        }
        let Some(pinned) = self.pin_resident() else {
            return;
        };
        // CAST: `usize` has at most 64 bits.
        let size = self.size() as u64;

        if for_cpu {
            pinned.sync_for_cpu(0, size);
        } else {
            pinned.sync_for_device(0, size);
        }
    }

    /// # Safety
    ///
    /// Only for `struct dma_buf_ops`, of an exported `Object<D>`.
    unsafe extern "C" fn begin_cpu_access_callback(
        buf: *mut bindings::dma_buf,
        dir: bindings::dma_data_direction,
    ) -> c_int {
        // SAFETY: The dma-buf is valid during the call, and keeps its object.
        unsafe {
            Self::from_raw((*buf).priv_.cast()).sync_export(true);
            shims::shim_export_sync_for_cpu(buf, dir);
        }
        0
    }

    /// # Safety
    ///
    /// Only for `struct dma_buf_ops`, of an exported `Object<D>`.
    unsafe extern "C" fn end_cpu_access_callback(
        buf: *mut bindings::dma_buf,
        dir: bindings::dma_data_direction,
    ) -> c_int {
        // SAFETY: The dma-buf is valid during the call, and keeps its object.
        unsafe {
            shims::shim_export_sync_for_device(buf, dir);
            Self::from_raw((*buf).priv_.cast()).sync_export(false);
        }
        0
    }
}
