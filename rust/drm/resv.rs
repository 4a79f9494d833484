// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The fences in the reservation of a buffer object.

use crate::{
    gem,
    Driver, //
};
use job::MayBlock;
use kernel::{
    bindings,
    error::to_result,
    ffi::c_long,
    prelude::*, //
};

/// What the work behind a fence does with a buffer.
#[derive(Clone, Copy)]
pub enum Usage {
    /// Memory management of the kernel. Everybody waits for it.
    Kernel,
    /// Implicitly synchronised writing.
    Write,
    /// Implicitly synchronised reading.
    Read,
    /// No implicit synchronisation; the memory just must not go away.
    Bookkeep,
}

impl Usage {
    pub(crate) fn as_raw(self) -> bindings::dma_resv_usage {
        match self {
            Self::Kernel => bindings::dma_resv_usage_DMA_RESV_USAGE_KERNEL,
            Self::Write => bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE,
            Self::Read => bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
            Self::Bookkeep => bindings::dma_resv_usage_DMA_RESV_USAGE_BOOKKEEP,
        }
    }
}

/// Waits for the fences of an object, up to and including those of `usage`.
///
/// `timeout` is in jiffies; zero only looks. Returns whether all have signalled.
///
/// # Errors
///
/// `ERESTARTSYS` if the wait is interruptible, and was interrupted.
pub fn wait<D: Driver>(
    _ctx: &MayBlock,
    obj: &gem::Object<D>,
    usage: Usage,
    interruptible: bool,
    timeout: u32,
) -> Result<bool> {
    // SAFETY: The object is valid, and so is its reservation.
    let left = unsafe {
        bindings::dma_resv_wait_timeout(
            (*obj.as_raw()).resv,
            usage.as_raw(),
            interruptible,
            // CAST: An `unsigned long` has at least 32 bits.
            timeout as usize,
        )
    };

    to_result(c_long::min(left, 0).try_into()?)?;
    Ok(left > 0)
}
