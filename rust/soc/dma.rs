// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a device can reach by DMA, and whether it snoops.

use kernel::{
    bindings,
    device::{
        Core,
        Device, //
    },
    dma::{
        Device as _,
        DmaMask, //
    },
    platform,
    prelude::*, //
};

/// How the device's accesses relate to the CPU's caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coherency {
    /// They do not see the caches.
    NonCoherent,
    /// They snoop the caches.
    Coherent,
}

/// What the firmware says about the device's coherency; `None` if it cannot do DMA.
pub fn coherency(dev: &Device) -> Option<Coherency> {
    // SAFETY: The device is valid by its type's invariant.
    match unsafe { bindings::device_get_dma_attr(crate::raw_device(dev)) } {
        bindings::dev_dma_attr_DEV_DMA_NON_COHERENT => Some(Coherency::NonCoherent),
        bindings::dev_dma_attr_DEV_DMA_COHERENT => Some(Coherency::Coherent),
        _ => None,
    }
}

/// Tells the DMA layer that the device has `bits` address lines and takes segments of any size.
///
/// To be called before anything is mapped for the device; a [`Core`] context is probe.
///
/// # Errors
///
/// `EINVAL` if `bits` is no address width, `EIO` if the platform cannot serve it.
pub fn set_mask(pdev: &platform::Device<Core<'_>>, bits: u32) -> Result {
    let mask = DmaMask::try_new(bits)?;

    // SAFETY: The driver core runs a bus callback of the device, in which the driver has not mapped
    // anything yet, so that no DMA primitive of this device runs at the same time.
    unsafe { pdev.dma_set_mask_and_coherent(mask)? };
    // SAFETY: As above.
    unsafe { pdev.dma_set_max_seg_size(u32::MAX) };
    Ok(())
}
