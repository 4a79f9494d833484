// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A device that stands for several others, and one value that all of them find.
//!
//! Cores that are devices of their own share one node. That node needs a device that is there as long
//! as the module is, whichever of the cores come and go: a [`Facade`]. It does no DMA; memory is
//! mapped for it so that the DMA API maintains the CPU's caches.
//!
//! # Locking
//!
//! The slots of a module share one mutex, which is held for the copy of a reference only.
//!
//! # Ordering
//!
//! A slot is empty when its [`Filled`] has dropped; who has got the value before keeps it.
//!
//! # Blocking
//!
//! Everything here may sleep.

use core::cell::UnsafeCell;

use kernel::{
    device::{
        Bound,
        Device, //
    },
    error::to_result,
    faux,
    prelude::*,
    str::CStrExt,
    sync::Arc, //
};

use crate::raw_device;

/// A device without hardware, bound as long as this exists.
pub struct Facade(faux::Registration);

impl Facade {
    /// Makes the device. Memory that is mapped for it has to have an address of at most `dma_bits`.
    ///
    /// # Errors
    ///
    /// `ENODEV`, `ENOMEM`; `EIO` if the platform has no DMA of that width.
    pub fn new(name: &CStr, dma_bits: u32) -> Result<Self> {
        let this = Self(faux::Registration::new(name, None)?);

        // SAFETY: The device is bound, and nothing was mapped for it yet.
        to_result(unsafe { shims::c::shim_facade_dma(raw_device(this.dev()), dma_bits) })?;
        Ok(this)
    }

    /// The device.
    pub fn dev(&self) -> &Device<Bound> {
        AsRef::<faux::Device<Bound>>::as_ref(&self.0).as_ref()
    }
}

/// How many devices of this kind the device tree enables.
pub fn enabled_nodes(compatible: &CStr) -> usize {
    // CAST: A `u32` fits.
    // SAFETY: It is a C string.
    unsafe { shims::c::shim_of_count(compatible.as_char_ptr()) as usize }
}

/// How many devices of this kind come before `dev` in the device tree, enabled or not.
pub fn node_index(dev: &Device<Bound>, compatible: &CStr) -> u32 {
    // SAFETY: The device is bound, and it is a C string.
    unsafe { shims::c::shim_of_index(raw_device(dev), compatible.as_char_ptr()) }
}

/// A node of the device tree, by its name with the path.
pub struct Node([u8; 128]);

impl Node {
    /// The name, or the beginning of it.
    pub fn name(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"?")
    }
}

/// The device of this kind at `index` in the device tree, if that enables it.
pub fn enabled_node(compatible: &CStr, index: u32) -> Option<Node> {
    let mut node = Node([0; 128]);

    // SAFETY: It is a C string, and the function writes no more than there is room for.
    unsafe {
        shims::c::shim_of_enabled_node(
            compatible.as_char_ptr(),
            index,
            node.0.as_mut_ptr().cast(),
            node.0.len(),
        )
    }
    .then_some(node)
}

/// A place for a value that the devices of one driver share. Made to be a static.
///
/// # Invariants
///
/// The content is accessed under the slots' mutex.
pub struct Slot<T: Send + Sync + 'static>(UnsafeCell<Option<Arc<T>>>);

// SAFETY: The content is accessed under a mutex, and may be dropped by any task.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

impl<T: Send + Sync> Slot<T> {
    /// An empty slot.
    #[allow(clippy::new_without_default, reason = "made in a constant")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Option<Arc<T>>) -> R) -> R {
        // SAFETY: The function has no requirements; it is paired below.
        unsafe { shims::c::shim_slot_lock() };
        // SAFETY: The mutex is held, and `f`, which is given by this file only, does not come back.
        let result = f(unsafe { &mut *self.0.get() });
        // SAFETY: Locked above, by this task.
        unsafe { shims::c::shim_slot_unlock() };
        result
    }

    /// What is in it.
    pub fn get(&self) -> Option<Arc<T>> {
        self.locked(|content| content.clone())
    }

    /// Puts a value in, until what is returned drops.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is one.
    pub fn fill(&'static self, value: Arc<T>) -> Result<Filled<T>> {
        let rest = self.locked(|content| match content {
            Some(_) => Some(value),
            None => {
                *content = Some(value);
                None
            }
        });
        match rest {
            Some(_) => Err(EBUSY),
            None => Ok(Filled(self)),
        }
    }
}

/// A slot with a value in it.
pub struct Filled<T: Send + Sync + 'static>(&'static Slot<T>);

impl<T: Send + Sync> Drop for Filled<T> {
    fn drop(&mut self) {
        let content = self.0.locked(Option::take);
        drop(content);
    }
}
