// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Virtual memory of the GPU: one page table, what is mapped in it, and who may map where.
//!
//! A VM belongs to a file, or to the MCU. Its lower part is for user space, its upper part for the
//! kernel's own buffers. It is *usable* until a change of its page table fails half-way, and it is
//! *destroyed* when user space gives it up: everything is unmapped then, and what is still running
//! on it faults. The memory of a VM goes away with its last reference. A VM in which nothing was ever
//! mapped has no page table, and with it no translation that the GPU could be given.
//!
//! # Locking
//!
//! `sparse` is a mutex that is held while a BO is allocated. `tree` has a mutex over mappings and page
//! table. It is taken with reservation locks held, and takes the address space lock of [`Mmu`] inside.
//! Nothing is allocated under it: it is part of fence signalling, and of memory reclaim.
//!
//! # Ordering
//!
//! What memory reclaim has taken from the VM comes back before the next job is committed ([`restore`]).
//! See [`Mmu`] for what brackets a change. Table pages and buffer references that a change has set
//! free are kept in its [`Change`] and dropped after the bracket.
//!
//! # Blocking
//!
//! Everything that changes a VM may sleep, for MMU commands and cache flushes only. Changes that wait
//! in a queue (see [`crate::bind`]) are executed where fences are signalled.

use core::ops::{
    Deref,
    Range, //
};

use drm::{
    gem::{
        Resv, //
    },
    gpuvm::{
        GpuVm,
        VaTree, //
    },
    mm::{
        Node,
        RangeAllocator, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            AtomicFlag,
            Release, //
        },
        Arc,
        Mutex, //
    },
};
use shims::uapi;
use soc::pgtable::{
    Config,
    PageTable,
    Prot, //
};

use crate::{
    driver::DrmDevice,
    gem::Bo,
    mmu::{
        region,
        Active,
        Mmu,
        Space,
        Translation, //
    },
    sync::bits,
};

pub(crate) mod change;
mod cleanup;
pub(crate) mod cut;
mod memory;
pub(crate) mod op;
mod restore;
pub(crate) mod split;
mod table;

pub(crate) use change::Change;
use cleanup::Cleanup;
pub(crate) use split::Split;
use table::Hardware;
pub(crate) use table::Table;

/// Address in a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GpuVa(u64);

impl GpuVa {
    /// Address `va`.
    pub(crate) const fn new(va: u64) -> Self {
        Self(va)
    }

    /// The plain number.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// How a range is mapped. The bits are those of `DRM_PANTHOR_VM_BIND_OP_MAP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapFlags(u32);

impl MapFlags {
    /// Writable, executable, cached.
    pub(crate) const NONE: Self = Self(0);
    /// The GPU may not write.
    pub(crate) const READONLY: Self = Self(bits(uapi::DRM_PANTHOR_VM_BIND_OP_MAP_READONLY));
    /// The GPU may not execute.
    pub(crate) const NOEXEC: Self = Self(bits(uapi::DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
    /// The GPU does not cache it.
    pub(crate) const UNCACHED: Self = Self(bits(uapi::DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED));

    /// The flags in `bits`; `None` if others are in it.
    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        let known = Self::READONLY.or(Self::NOEXEC).or(Self::UNCACHED);
        (bits & !known.0 == 0).then_some(Self(bits))
    }

    /// Both.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn prot(self) -> Prot {
        let mut prot = Prot::READ;
        if !self.contains(Self::READONLY) {
            prot |= Prot::WRITE;
        }
        if self.contains(Self::NOEXEC) {
            prot |= Prot::NOEXEC;
        }
        if !self.contains(Self::UNCACHED) {
            prot |= Prot::CACHE;
        }
        prot
    }
}

/// Whether a VM can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It can.
    Usable,
    /// Its page table is not what user space believes it to be.
    Unusable,
}

/// What is where in a VM.
struct Layout {
    /// Managed addresses.
    whole: Range<u64>,
    /// Where the kernel puts its buffers, if asked to put them at an address.
    kernel: Range<u64>,
    /// Where it puts them on its own.
    auto: Range<u64>,
}

/// The address space of a VM; gives its slot back on drop.
struct Residence {
    hardware: Hardware,
    gpuvm: ARef<GpuVm<Table>>,
}

impl Drop for Residence {
    fn drop(&mut self) {
        self.mmu.release(&self.space);
        // The page table may stay longer than the MMU.
        let hardware = self.gpuvm.lock().state_mut().hardware.take();
        drop(hardware);
    }
}

impl Deref for Residence {
    type Target = Hardware;

    fn deref(&self) -> &Hardware {
        &self.hardware
    }
}

/// A VM.
#[pin_data]
pub(crate) struct Vm {
    /// Before `tree`, so that the GPU doesn't walk the table when that is freed.
    residence: Residence,
    ddev: ARef<DrmDevice>,
    gpuvm: ARef<GpuVm<Table>>,
    layout: Layout,
    kernel: Arc<RangeAllocator>,
    unusable: AtomicFlag,
    destroyed: AtomicFlag,
    tree: VaTree<Table>,
    /// Unmaps everything; prepared with the page table, so that destroying cannot fail.
    #[pin]
    last: Mutex<Option<KBox<Change>>>,
    cleanup: Arc<Cleanup>,
    /// Behind sparse mappings, if there ever was one.
    #[pin]
    sparse: Mutex<Option<ARef<Bo>>>,
}

impl Vm {
    /// A VM for user space.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new_user(ddev: &DrmDevice, mmu: &Arc<Mmu>, split: &Split) -> Result<Arc<Self>> {
        let kernel = split.user_end..split.full;
        let layout = Layout {
            whole: 0..split.full,
            kernel: kernel.clone(),
            auto: kernel,
        };
        Self::new(ddev, mmu, layout, c"mali_csf user", false)
    }

    /// The VM of the MCU, which has 32 address bits. All of it is the kernel's; buffers without a
    /// given address go to `auto`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new_mcu(ddev: &DrmDevice, mmu: &Arc<Mmu>, auto: Range<u64>) -> Result<Arc<Self>> {
        let layout = Layout {
            whole: 0..1 << 32,
            kernel: 0..1 << 32,
            auto,
        };
        Self::new(ddev, mmu, layout, c"mali_csf MCU", true)
    }

    fn new(
        ddev: &DrmDevice,
        mmu: &Arc<Mmu>,
        layout: Layout,
        name: &'static CStr,
        for_mcu: bool,
    ) -> Result<Arc<Self>> {
        let space = Space::new(for_mcu)?;
        let kernel = RangeAllocator::new(layout.kernel.clone())?;
        let hardware = Hardware {
            mmu: mmu.clone(),
            space,
        };
        let table = Table {
            pt: None,
            broken: false,
            hardware: Some(hardware.clone()),
        };
        let resv = Resv::new(ddev)?;
        let tree = GpuVm::new(ddev, name, layout.whole.clone(), resv, table)?;
        let cleanup = Cleanup::new(tree.vm().into())?;

        Arc::pin_init(
            pin_init!(Self {
                residence: Residence {
                    hardware,
                    gpuvm: tree.vm().into(),
                },
                ddev: ddev.into(),
                gpuvm: tree.vm().into(),
                layout,
                kernel,
                unusable: AtomicFlag::new(false),
                destroyed: AtomicFlag::new(false),
                tree,
                last <- new_mutex!(None, "Vm::last"),
                cleanup,
                sparse <- new_mutex!(None, "Vm::sparse"),
            }),
            GFP_KERNEL,
        )
    }

    /// Makes the page table, unless there is one. Whoever prepares a change does.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn make_table(&self) -> Result {
        let Hardware { mmu, space } = &self.residence.hardware;
        if space.has_translation() {
            return Ok(());
        }
        let mut pt = Some(PageTable::new(
            mmu.dev(),
            Config {
                va_bits: mmu.va_bits(),
                pa_bits: mmu.pa_bits(),
                coherent: mmu.coherent(),
            },
        )?);
        let change = Change::unmap_whole(self.layout.whole.clone())?;
        let mut last = Some(KBox::new(change, GFP_KERNEL)?);

        // Somebody else may have made one meanwhile: that stays, and ours is dropped without locks.
        core::mem::swap(&mut last, &mut *self.last.lock());
        let mut tree = self.tree.lock();
        let table = tree.state_mut();
        if table.pt.is_none() {
            table.pt = pt.take();
        }
        if let Some(pt) = &table.pt {
            space.set_translation(Translation {
                transtab: pt.ttbr(),
                memattr: region::memattr(pt.mair(), mmu.coherent()),
                va_bits: mmu.va_bits(),
            });
        }
        drop(tree);
        Ok(())
    }

    /// The DRM device whose buffers can be mapped here.
    pub(crate) fn ddev(&self) -> &DrmDevice {
        &self.ddev
    }

    /// The DRM layer's view: reservations and external objects.
    pub(crate) fn gpuvm(&self) -> &GpuVm<Table> {
        &self.gpuvm
    }

    /// Whether the GPU snoops the CPU's caches.
    pub(crate) fn coherent(&self) -> bool {
        self.residence.mmu.coherent()
    }

    /// First address that user space can't map.
    pub(crate) fn user_end(&self) -> u64 {
        self.layout.kernel.start
    }

    /// Whether it can be used.
    pub(crate) fn state(&self) -> State {
        if self.unusable.load(Acquire) {
            State::Unusable
        } else {
            State::Usable
        }
    }

    /// Whether mappings can be added: it can be used, and user space has not given it up.
    pub(crate) fn takes_mappings(&self) -> bool {
        self.state() == State::Usable && !self.is_destroyed()
    }

    /// Whether user space has given it up.
    pub(crate) fn is_destroyed(&self) -> bool {
        self.destroyed.load(Acquire)
    }

    /// Whether a group in a slot uses it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.residence.mmu.is_used(&self.residence.space)
    }

    /// Whether the GPU has faulted on it since it was activated last.
    pub(crate) fn has_fault(&self) -> bool {
        self.residence.space.has_fault()
    }

    /// Says in the log how the page table looks where the GPU has faulted.
    pub(crate) fn report_fault(&self) {
        let Some(address) = self.residence.space.fault_address() else {
            return;
        };
        let va = soc::pgtable::Va::new(address);
        let walk = match &self.tree.lock().state().pt {
            Some(pt) => pt.walk(va),
            None => return,
        };
        match walk {
            Ok([l0, l1, l2, l3]) => dev_err!(
                self.residence.mmu.dev(),
                "page table entries for {address:#x}: {l0:#x} {l1:#x} {l2:#x} {l3:#x}\n"
            ),
            Err(_) => dev_err!(
                self.residence.mmu.dev(),
                "{address:#x} is beyond the page table\n"
            ),
        }
    }

    /// A place in the kernel part for `size` bytes.
    ///
    /// # Errors
    ///
    /// `ENOSPC`.
    pub(crate) fn kernel_insert(&self, size: u64, align: u64) -> Result<Node> {
        self.kernel.insert(size, align, self.layout.auto.clone())
    }

    /// The place at `start` in the kernel part.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if it is taken or not the kernel's, `EINVAL` if it wraps.
    pub(crate) fn kernel_reserve(&self, start: u64, size: u64) -> Result<Node> {
        let end = start.checked_add(size).ok_or(EINVAL)?;
        self.kernel.reserve(start..end)
    }

    /// Gives it an address space slot, for one more user.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is unusable or nothing was ever mapped in it, `EBUSY` if all slots are in use,
    /// `EAGAIN` if it has faulted and those who may be to blame still use it, `ETIMEDOUT`, `ENODEV`.
    pub(crate) fn activate(&self) -> Result<Active> {
        // A slot that is enabled while the table changes would not know about the lock.
        let _tree = self.tree.lock();
        if self.state() == State::Unusable {
            return Err(EINVAL);
        }
        self.residence.mmu.activate(&self.residence.space)
    }

    /// Unmaps everything, and refuses new mappings from now on.
    pub(crate) fn destroy(&self) {
        self.destroyed.store(true, Release);
        // A page table that somebody makes from now on stays empty.
        let last = self.last.lock().take();
        if let Some(mut change) = last {
            // Nothing is cut and nothing is allocated; a failure of the hardware has been reported.
            let _ = self.execute(&mut change);
            self.gpuvm.deferred_cleanup();
        }
    }
}
