// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Buffer objects: those that user space creates, and the kernel's own.
//!
//! # Locking
//!
//! A label has a mutex of its own, which is innermost. Everything else is the DRM layer's and the
//! VM's.
//!
//! # Ordering
//!
//! A kernel BO is unmapped from its VM, with the GPU's caches flushed, before its memory is freed.
//!
//! # Blocking
//!
//! Creating and dropping a [`KernelBo`] takes the VM's lock and may sleep: not in a signalling path.

use core::ops::Range;

use kernel::{
    new_mutex,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::{
        BStr,
        CString, //
    },
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
};
use shims::uapi;

use crate::{
    driver::{
        Driver, //
        DrmDevice,
    },
    vm::{
        cut,
        Change,
        GpuVa,
        MapFlags,
        Vm, //
    },
};

/// A buffer object.
pub(crate) type Bo = drm::gem::Object<Driver>;

/// CPU mapping of a buffer object.
pub(crate) type Vmap = drm::gem::Vmap<Driver>;

/// The memory of a BO, while it stays where it is.
pub(crate) type Pinned = drm::gem::Pinned<Driver>;

/// The driver's part of a buffer object.
#[pin_data]
pub(crate) struct BoData {
    flags: u32,
    owner: Owner,
    #[pin]
    label: Mutex<Option<CString>>,
}

/// Who has made a BO.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// User space, or whoever has exported it.
    User,
    /// The driver.
    Kernel,
}

impl BoData {
    /// Of a BO with these `DRM_PANTHOR_BO_*` flags.
    pub(crate) fn new(flags: u32, owner: Owner) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            flags,
            owner,
            label <- new_mutex!(None, "BoData::label"),
        })
    }

    /// `DRM_PANTHOR_BO_*` flags that it was created with.
    pub(crate) fn flags(&self) -> u32 {
        self.flags
    }

    /// Names the buffer for those who look at it through debugfs.
    pub(crate) fn set_label(&self, label: Option<CString>) {
        let old = core::mem::replace(&mut *self.label.lock(), label);
        drop(old);
    }
}

/// Creates a BO for user space. `size` is in bytes and rounded up to pages. With `exclusive` it can
/// only be mapped in that VM, and shares its reservation object.
///
/// # Errors
///
/// `EINVAL` if `size` is 0 or `flags` are unknown or contradict each other; `ENOMEM`.
pub(crate) fn create(
    ddev: &DrmDevice,
    coherent: bool,
    size: u64,
    flags: u32,
    exclusive: Option<&Vm>,
) -> Result<ARef<Bo>> {
    const KNOWN: u32 = uapi::DRM_PANTHOR_BO_NO_MMAP | uapi::DRM_PANTHOR_BO_WB_MMAP;

    let no_mmap = flags & uapi::DRM_PANTHOR_BO_NO_MMAP != 0;
    let write_back = flags & uapi::DRM_PANTHOR_BO_WB_MMAP != 0;
    if flags & !KNOWN != 0 || no_mmap && write_back {
        return Err(EINVAL);
    }

    let mut gem_flags = drm::gem::Flags::NONE;
    if no_mmap {
        gem_flags = gem_flags.or(drm::gem::Flags::NO_MMAP);
    }
    if write_back || coherent {
        gem_flags = gem_flags.or(drm::gem::Flags::WRITE_BACK);
    }
    Bo::new(
        ddev,
        size,
        gem_flags,
        exclusive.map(|vm| vm.gpuvm().resv()),
        BoData::new(flags, Owner::User),
    )
}

/// The file `gems` in debugfs: a line for each BO, youngest first.
///
/// # Errors
///
/// None.
pub(crate) fn show_all(ddev: &DrmDevice, m: &SeqFile) -> Result {
    let (mut count, mut bytes, mut resident) = (0_usize, 0_usize, 0_usize);

    seq_print!(m, "      size  resident  use   label\n");
    for bo in ddev.objects() {
        let here = if bo.is_resident() { bo.size() } else { 0 };
        let data: &BoData = &bo;
        let mark = |on: bool, mark: char| if on { mark } else { '-' };

        count += 1;
        bytes += bo.size();
        resident += here;
        seq_print!(
            m,
            "{:#10x}{here:#10x}  {}{}{}{}",
            bo.size(),
            mark(data.owner == Owner::Kernel, 'k'),
            mark(bo.is_imported(), 'i'),
            mark(!bo.is_imported() && bo.has_dma_buf(), 'e'),
            mark(bo.shared_resv().is_some(), 'x')
        );
        match &*data.label.lock() {
            // Whatever is not printable is escaped.
            Some(label) => seq_print!(m, "  {}\n", BStr::from_bytes(label.to_bytes())),
            None => seq_print!(m, "\n"),
        }
    }
    seq_print!(
        m,
        "{count} buffers, {bytes:#x} bytes, {resident:#x} of them resident\n"
    );
    Ok(())
}

/// Where a kernel BO goes in its VM.
pub(crate) enum Place {
    /// Anywhere in the VM's kernel part.
    Anywhere,
    /// At this address, which is page aligned and in the VM's kernel part.
    At(GpuVa),
}

/// A buffer object that the kernel uses together with the GPU. Zeroed when it is made.
///
/// It is mapped in one VM, in the kernel's part. Drop unmaps and frees it.
pub(crate) struct KernelBo {
    vm: Arc<Vm>,
    /// Unmaps it; prepared when it was mapped, so that this cannot fail.
    unmap: Option<KBox<Change>>,
    map: Option<Vmap>,
    bo: ARef<Bo>,
    node: drm::mm::Node,
}

impl KernelBo {
    /// A BO with a CPU mapping. `size` is in bytes; it is mapped for the GPU up to the end of the GPU's page.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `size` is 0, `ENOSPC` if the kernel part of the VM is full or the place is taken,
    /// `ENOMEM`, and what executing a bind can fail with.
    pub(crate) fn new(vm: &Arc<Vm>, size: usize, flags: MapFlags, place: Place) -> Result<Self> {
        let mut this = Self::new_gpu_only(vm, size, flags, place)?;
        this.map = Some(this.bo.vmap()?);
        Ok(this)
    }

    /// A BO that the CPU does not access.
    ///
    /// # Errors
    ///
    /// As [`KernelBo::new`].
    pub(crate) fn new_gpu_only(
        vm: &Arc<Vm>,
        size: usize,
        flags: MapFlags,
        place: Place,
    ) -> Result<Self> {
        // The firmware and the driver use it without telling anybody.
        let mut gem_flags = drm::gem::Flags::NO_MMAP.or(drm::gem::Flags::RESIDENT);
        if vm.coherent() {
            gem_flags = gem_flags.or(drm::gem::Flags::WRITE_BACK);
        }
        let bo = Bo::new(
            vm.ddev(),
            u64::try_from(size)?,
            gem_flags,
            Some(vm.gpuvm().resv()),
            BoData::new(uapi::DRM_PANTHOR_BO_NO_MMAP, Owner::Kernel),
        )?;
        // The BO ends with a page of the CPU. Sections of the firmware are at addresses of their own, and closer to
        // each other than that where these pages are larger than those of the GPU.
        let size = u64::try_from(size)?.next_multiple_of(cut::PAGE);

        let node = match place {
            Place::Anywhere => {
                let align = if size >= cut::BLOCK {
                    cut::BLOCK
                } else {
                    cut::PAGE
                };
                vm.kernel_insert(size, align)?
            }
            Place::At(va) => vm.kernel_reserve(va.get(), size)?,
        };
        let range: Range<u64> = node.range();

        let unmap = KBox::new(Change::unmap_whole(range.clone())?, GFP_KERNEL)?;
        vm.execute(&mut Change::map(vm, &bo, 0, range, flags)?)
            .map_err(|(_, err)| err)?;
        Ok(Self {
            vm: vm.clone(),
            unmap: Some(unmap),
            map: None,
            bo,
            node,
        })
    }

    /// Where the GPU or MCU sees it.
    pub(crate) fn va(&self) -> GpuVa {
        GpuVa::new(self.node.start())
    }

    /// Where the GPU or MCU sees the `len` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// `EINVAL` if less of the BO is mapped.
    pub(crate) fn va_of(&self, offset: usize, len: usize) -> Result<GpuVa> {
        let range = self.node.range();
        let va = range.start.checked_add(u64::try_from(offset)?);
        let va = va.ok_or(EINVAL)?;
        let end = va.checked_add(u64::try_from(len)?).ok_or(EINVAL)?;
        if end > range.end {
            return Err(EINVAL);
        }
        Ok(GpuVa::new(va))
    }

    /// Its CPU mapping.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it has none.
    pub(crate) fn map(&self) -> Result<&Vmap> {
        self.map.as_ref().ok_or(EINVAL)
    }

    /// Another CPU mapping of it, which may outlive this value.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn vmap(&self) -> Result<Vmap> {
        self.bo.vmap()
    }

    /// Gives the CPU mapping up, when the CPU has written what it had to write.
    pub(crate) fn unmap_cpu(&mut self) {
        self.map = None;
    }

    /// Its memory, which stays where it is for as long as the result exists.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `ENODEV`.
    pub(crate) fn pin(&self) -> Result<Pinned> {
        self.bo.pin()
    }
}

impl Drop for KernelBo {
    fn drop(&mut self) {
        if let Some(mut unmap) = self.unmap.take() {
            // Taking away what was mapped as a whole cannot fail; if the hardware fails to follow,
            // that was reported where it happened.
            let _ = self.vm.execute(&mut unmap);
            self.vm.gpuvm().deferred_cleanup();
        }
    }
}
