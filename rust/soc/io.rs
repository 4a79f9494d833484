// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A register window that is not tied to a lifetime.
//!
//! The kernel crate's mappings borrow the bound device, which data shared with files and interrupt
//! handlers cannot. [`Registers`] owns its mapping. Memory safety needs no more than that; that the
//! device behind it is there and powered is what [`Gate`](crate::gate::Gate) is for, and whoever
//! maps registers revokes the gate before the driver is unbound.

use core::ptr::NonNull;

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    io::{
        resource::Resource,
        IoBase,
        Mmio,
        MmioBackend,
        MmioRaw,
        PhysAddr,
        Region,
        ResourceSize, //
    },
    platform,
    prelude::*,
};

use crate::probe;

/// An address range that nobody else claims.
///
/// The kernel crate's own type gives back to another tree of resources than it takes from.
///
/// # Invariants
///
/// The range was claimed in the tree of all memory, and is ours to give back.
struct Claim {
    start: PhysAddr,
    size: ResourceSize,
}

impl Claim {
    fn new(start: PhysAddr, size: ResourceSize, name: &'static CStr) -> Result<Self> {
        // SAFETY: The name lives for ever.
        let claimed = unsafe { bindings::request_mem_region(start, size, name.as_char_ptr()) };
        if claimed.is_null() {
            return Err(EBUSY);
        }
        // INVARIANT: Claimed just now.
        Ok(Self { start, size })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the range is ours.
        unsafe { bindings::release_mem_region(self.start, self.size) };
    }
}

/// An exclusive mapping of at least `SIZE` bytes of registers.
///
/// # Invariants
///
/// `mapping` is the result of a successful `ioremap()` of at least `SIZE` bytes, which nobody else
/// unmaps.
pub struct Registers<const SIZE: usize> {
    mapping: NonNull<c_void>,
    raw: MmioRaw<Region<SIZE>>,
    claim: Claim,
}

// SAFETY: The mapping is an address range of the kernel, not of a task.
unsafe impl<const SIZE: usize> Send for Registers<SIZE> {}

// SAFETY: Shared references give volatile accesses only.
unsafe impl<const SIZE: usize> Sync for Registers<SIZE> {}

impl<const SIZE: usize> Registers<SIZE> {
    /// Claims and maps the memory resource `index` of `dev`, under `name` in `/proc/iomem`.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no such resource, `EBUSY` if it is claimed already, `EINVAL` if it is
    /// smaller than `SIZE`, `ENOMEM`. It is said which window of registers cannot be used.
    pub fn map(dev: &platform::Device<Bound>, index: u32, name: &'static CStr) -> Result<Self> {
        Self::map_resource(dev.as_ref(), dev.resource_by_index(index), name)
    }

    /// As [`Registers::map`], for the entry `entry` of the device's `reg-names`.
    pub fn map_by_name(
        dev: &platform::Device<Bound>,
        entry: &CStr,
        name: &'static CStr,
    ) -> Result<Self> {
        Self::map_resource(dev.as_ref(), dev.resource_by_name(entry), name)
    }

    fn map_resource(
        dev: &Device<Bound>,
        resource: Option<&Resource>,
        name: &'static CStr,
    ) -> Result<Self> {
        resource
            .ok_or(ENODEV)
            .and_then(|resource| Self::map_range(resource, name))
            .map_err(|err| {
                let why = fmt!(
                    "cannot map the registers {name}: check reg and reg-names in the device tree, and \
                     /proc/iomem for another driver that has them"
                );
                probe::failed(dev, err, why)
            })
    }

    fn map_range(resource: &Resource, name: &'static CStr) -> Result<Self> {
        let start = resource.start();
        let size: usize = resource.size().try_into()?;
        if size < SIZE {
            return Err(EINVAL);
        }

        let claim = Claim::new(start, resource.size(), name)?;
        // SAFETY: `start` and `size` describe a memory resource that is not empty.
        let mapping = unsafe { bindings::ioremap(start, size) };
        let mapping = NonNull::new(mapping).ok_or(ENOMEM)?;
        let raw = MmioRaw::new_region(mapping.as_ptr().addr(), size).inspect_err(|_| {
            // SAFETY: Made above, and not handed to anybody yet.
            unsafe { bindings::iounmap(mapping.as_ptr()) }
        })?;
        // INVARIANT: `mapping` was just made and has `size >= SIZE` bytes.
        Ok(Self {
            mapping,
            raw,
            claim,
        })
    }

    /// Physical address of the first register.
    pub fn phys_start(&self) -> PhysAddr {
        self.claim.start
    }
}

impl<const SIZE: usize> Drop for Registers<SIZE> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the mapping is ours, and its last user is gone.
        unsafe { bindings::iounmap(self.mapping.as_ptr()) };
    }
}

impl<'a, const SIZE: usize> IoBase<'a> for &'a Registers<SIZE> {
    type Backend = MmioBackend;
    type Target = Region<SIZE>;

    #[inline]
    fn as_view(self) -> Mmio<'a, Self::Target> {
        // SAFETY: By the type invariants the mapping is valid as long as `self` is borrowed.
        unsafe { Mmio::from_raw(self.raw) }
    }
}
