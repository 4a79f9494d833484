// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Address spaces of one's own for devices behind an IOMMU.
//!
//! A [`Domain`] is an address space, a [`Master`] is a device that may use one, and an [`Attachment`]
//! is the time for which it does. A domain can be attached to several devices at once.
//!
//! # Locking
//!
//! `Domain::lock` is held while anything is mapped or unmapped: what is read through a domain stays
//! mapped meanwhile, and an IOMMU that is being reset is left alone ([`Domain::still`]). It also protects
//! the record of where memory of others is mapped. It is taken where fences are signalled, so nothing waits
//! for memory under it. The IOMMU core and its drivers lock everything else.
//!
//! # Ordering
//!
//! A device must not access memory while it is attached or detached; a driver quiesces it first.
//! Mapping and attaching may come in any order.
//!
//! # Blocking
//!
//! Mapping allocates, but does not wait for memory. Attaching and detaching sleep, for the mutex of the
//! device's group, but allocate nothing, so that they may be done where fences are signalled.
//!
//! Others do allocate under that mutex: the IOMMU core, when a device joins the group, when its default
//! domain is chosen, and when another owner claims it. The first comes before the driver's probe, and the
//! others are refused before they allocate as long as a driver is bound, which it is as long as an attachment
//! exists. What remains are an administrator's first `DMA-FQ` in the group's `type`, and reading its
//! `reserved_regions` where the IOMMU's driver reports any, which that of Rockchip's does not. Lockdep has one
//! class for the mutexes of all groups, and cannot see this: it is told to look elsewhere for the moment.

use core::{
    ops::Range,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    devres,
    error::{
        from_err_ptr,
        to_result, //
    },
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};

use crate::{
    gate::{
        Gate,
        Opened, //
    },
    probe,
    raw_device, //
};

/// An address space.
///
/// # Invariants
///
/// `raw` is a paging domain that nobody else frees. What is mapped in it is that of a [`Mapping`].
#[pin_data(PinnedDrop)]
pub struct Domain {
    raw: NonNull<shims::c::iommu_domain>,
    #[pin]
    lock: Mutex<Imports>,
}

/// Where memory of others is mapped: the address of the first byte, by that of the last.
struct Imports(RBTree<u64, u64>);

impl Imports {
    fn contains(&self, iova: u64) -> bool {
        self.0
            .cursor_lower_bound(&iova)
            .is_some_and(|cursor| *cursor.current().1 <= iova)
    }
}

/// The address of the last of `size` bytes at `iova`.
fn last(iova: u64, size: usize) -> u64 {
    let size = u64::try_from(size).unwrap_or(u64::MAX);

    iova.saturating_add(size).saturating_sub(1)
}

// SAFETY: Domains may be used by several tasks at once, and freed by any.
unsafe impl Send for Domain {}
// SAFETY: As above.
unsafe impl Sync for Domain {}

impl Domain {
    /// The addresses that can be mapped. The last one of all is left out if there is no larger number.
    pub fn range(&self) -> Range<u64> {
        // SAFETY: By the type's invariant the domain is valid.
        let (first, last) = unsafe {
            (
                shims::c::shim_iommu_first(self.raw.as_ptr()),
                shims::c::shim_iommu_last(self.raw.as_ptr()),
            )
        };
        first..last.saturating_add(1)
    }

    /// The smallest page.
    pub fn granule(&self) -> u64 {
        // SAFETY: By the type's invariant the domain is valid.
        unsafe { shims::c::shim_iommu_granule(self.raw.as_ptr()) }
    }

    /// Calls `f` while nobody maps or unmaps anything. Its driver then has no business with an IOMMU
    /// that this is attached to, as long as that raises no interrupt.
    pub fn still<R>(&self, f: impl FnOnce() -> R) -> R {
        let _still = self.lock.lock();
        f()
    }

    /// Maps the `size` bytes of a table at `iova`, for reading and writing.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if address or size are no multiples of the smallest page; what the IOMMU's
    /// driver says, as for addresses that are mapped already.
    ///
    /// # Safety
    ///
    /// The table has `size` bytes, and its pages stay until the mapping has dropped.
    pub unsafe fn map(
        self: &Arc<Self>,
        iova: u64,
        sgt: *mut bindings::sg_table,
        size: usize,
        coherent: bool,
    ) -> Result<Mapping> {
        let _mapped = self.lock.lock();
        // SAFETY: By the type's invariant and this function's requirements.
        to_result(unsafe {
            shims::c::shim_iommu_map(self.raw.as_ptr(), iova, sgt, size, coherent)
        })?;
        // INVARIANT: It was mapped just now.
        Ok(Mapping {
            domain: self.clone(),
            iova,
            size,
        })
    }

    /// Maps the first `size` bytes of memory that has been mapped for `dev` by the DMA API at `iova`, for
    /// reading and writing. It is that of others, who may keep the CPU out of it: [`peek()`](Domain::peek)
    /// does not look there.
    ///
    /// An IOMMU translates to physical addresses, so those of the table have to be that: `dev` must not
    /// be behind an IOMMU itself, and the table must not be one of bounce buffers.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the addresses are others, if that is not RAM, or the table is too short; `ENOMEM`; as
    /// [`map()`](Domain::map).
    ///
    /// # Safety
    ///
    /// The table is mapped for `dev`, and its memory stays until the mapping has dropped.
    pub unsafe fn map_dma(
        self: &Arc<Self>,
        iova: u64,
        dev: *mut bindings::device,
        sgt: *mut bindings::sg_table,
        size: usize,
        coherent: bool,
    ) -> Result<Mapping> {
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?.into_node(last(iova, size), iova);
        let mut imports = self.lock.lock();
        // SAFETY: By the type's invariant and this function's requirements.
        to_result(unsafe {
            shims::c::shim_iommu_map_dma(self.raw.as_ptr(), iova, dev, sgt, size, coherent)
        })?;
        imports.0.insert(node);
        // INVARIANT: It was mapped just now.
        Ok(Mapping {
            domain: self.clone(),
            iova,
            size,
        })
    }

    /// The word that a device sees at `iova`; `None` if there is none, the address is not aligned, or the
    /// memory is that of others.
    ///
    /// Devices and user space may change it at any time.
    pub fn peek(&self, iova: u64) -> Option<u64> {
        if iova % 8 != 0 || !self.range().contains(&iova) {
            return None;
        }
        let mut value = 0;
        let imports = self.lock.lock();

        if imports.contains(iova) {
            return None;
        }
        // SAFETY: By the type's invariant the domain is valid. What is mapped belongs to a mapping,
        // whose pages stay until it has taken the lock, and is no memory of others.
        unsafe { shims::c::shim_iommu_peek(self.raw.as_ptr(), iova, &mut value) }.then_some(value)
    }
}

#[pinned_drop]
impl PinnedDrop for Domain {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type's invariant. Mappings and attachments hold a reference, so there is none.
        unsafe { shims::c::shim_iommu_domain_free(self.raw.as_ptr()) };
    }
}

/// Memory in an address space. Dropping it unmaps the memory; sleeps.
///
/// # Invariants
///
/// `size` bytes are mapped at `iova`.
pub struct Mapping {
    domain: Arc<Domain>,
    iova: u64,
    size: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let mut imports = self.domain.lock.lock();
        // SAFETY: By the type's invariant.
        unsafe { shims::c::shim_iommu_unmap(self.domain.raw.as_ptr(), self.iova, self.size) };
        imports.0.remove(&last(self.iova, self.size));
    }
}

/// The devices behind an IOMMU that cannot be told apart.
///
/// # Invariants
///
/// The pointer is a group to which a reference is owned.
struct Group(NonNull<shims::c::iommu_group>);

// SAFETY: Groups are counted and locked by the IOMMU core.
unsafe impl Send for Group {}
// SAFETY: As above.
unsafe impl Sync for Group {}

impl Clone for Group {
    fn clone(&self) -> Self {
        // SAFETY: By the type's invariant.
        unsafe { shims::c::shim_iommu_group_ref(self.0.as_ptr()) };
        // INVARIANT: A reference was taken.
        Self(self.0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant.
        unsafe { shims::c::shim_iommu_group_put(self.0.as_ptr()) };
    }
}

struct Link {
    dev: ARef<Device>,
    group: Group,
}

/// The gate is open until the driver lets go of the device: no power is needed to pass.
struct Revoke(Opened<Link, ()>);

impl Drop for Revoke {
    fn drop(&mut self) {
        self.0.gate().revoke();
    }
}

/// A device behind an IOMMU. Can be kept after its driver is unbound; it is of no use then.
#[derive(Clone)]
pub struct Master(Arc<Gate<Link>>);

impl Master {
    /// The device as one that is behind an IOMMU.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it is not, for good: the driver core asks a driver to probe only after the IOMMU's.
    /// That is said.
    pub fn new(dev: &Device<Bound>) -> Result<Self> {
        // SAFETY: The device is bound.
        let group = unsafe { shims::c::shim_iommu_group_get(raw_device(dev)) };
        let group = NonNull::new(group).ok_or_else(|| {
            let why = fmt!(
                "behind no IOMMU: check iommus in the device tree, and that the driver of that IOMMU \
                 is there and has probed"
            );
            probe::failed(dev, ENODEV, why)
        })?;
        // INVARIANT: The function has returned a reference.
        let group = Group(group);
        let plain: &Device = dev;
        let link = Link {
            dev: plain.into(),
            group,
        };
        let gate = Arc::pin_init(Gate::new(link), GFP_KERNEL)?;

        devres::register(dev, Revoke(gate.open(())?), GFP_KERNEL)?;
        Ok(Self(gate))
    }

    /// A new, empty address space for this device and its like.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the driver is unbound; `ENOMEM`; what the IOMMU's driver says.
    pub fn new_domain(&self) -> Result<Arc<Domain>> {
        let link = self.0.enter().ok_or(ENODEV)?;
        // SAFETY: The driver is bound: its unbinding waits for the gate.
        let raw =
            from_err_ptr(unsafe { shims::c::shim_iommu_domain_alloc(raw_device(&*link.dev)) })?;
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;

        Arc::pin_init(
            // INVARIANT: The domain is new.
            pin_init!(Domain {
                raw,
                lock <- new_mutex!(Imports(RBTree::new()), "iommu::Domain"),
            }),
            GFP_KERNEL,
        )
        .inspect_err(|_| {
            // SAFETY: Nobody else knows the domain.
            unsafe { shims::c::shim_iommu_domain_free(raw.as_ptr()) };
        })
    }

    /// The device uses this address space from now on, until the attachment drops.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is attached to another one; `ENODEV` if the driver is unbound; `EINVAL` if the
    /// domain is not for such an IOMMU; what the IOMMU's driver says.
    pub fn attach(&self, domain: &Arc<Domain>) -> Result<Attachment> {
        let link = self.0.enter().ok_or(ENODEV)?;
        // SAFETY: Both are valid, by their types' invariants.
        to_result(unsafe {
            shims::c::shim_iommu_attach(domain.raw.as_ptr(), link.group.0.as_ptr())
        })?;
        // INVARIANT: It was attached just now.
        Ok(Attachment {
            domain: domain.clone(),
            group: link.group.clone(),
        })
    }
}

/// An address space that a device uses. Dropping it gives the device its default address space back,
/// which may be none: it must not access memory any more.
///
/// # Invariants
///
/// `domain` is attached to `group`.
pub struct Attachment {
    domain: Arc<Domain>,
    group: Group,
}

impl Attachment {
    /// The address space.
    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant.
        unsafe { shims::c::shim_iommu_detach(self.domain.raw.as_ptr(), self.group.0.as_ptr()) };
    }
}
