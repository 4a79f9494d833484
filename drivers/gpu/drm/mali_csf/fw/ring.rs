// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The ring buffer interface of a queue: how far the host has written, and how far the GPU has read.
//!
//! Two pages in the MCU's VM, one written by each side. Positions are bytes since the queue was made;
//! they never wrap.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::{
    gem::{
        KernelBo,
        Place, //
    },
    vm::{
        GpuVa,
        MapFlags,
        Vm, //
    },
};

/// The host's page: what was written.
const INSERT: usize = 0x0;
/// The host's page: where the GPU starts to read when the stream starts.
const EXTRACT_INIT: usize = 0x8;
/// Start of the GPU's page.
const OUTPUT: usize = 0x1000;
/// Both pages.
const SIZE: usize = 0x2000;

/// The interfaces of the queues of one group, in one BO.
pub(crate) struct QueueIfaces(Arc<KernelBo>);

impl QueueIfaces {
    pub(super) fn new(vm: &Arc<Vm>, count: usize) -> Result<Self> {
        let flags = MapFlags::NOEXEC.or(MapFlags::UNCACHED);
        let size = count.checked_mul(SIZE).ok_or(EINVAL)?;
        let bo = KernelBo::new(vm, size, flags, Place::Anywhere)?;
        Ok(Self(Arc::new(bo, GFP_KERNEL)?))
    }

    /// The interface of queue `index`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are not so many.
    pub(crate) fn get(&self, index: usize) -> Result<QueueIface> {
        let offset = index.checked_mul(SIZE).ok_or(EINVAL)?;
        let va = self.0.va_of(offset, SIZE)?;
        Ok(QueueIface {
            bo: self.0.clone(),
            offset,
            va,
        })
    }
}

/// The interface of one queue.
pub(crate) struct QueueIface {
    bo: Arc<KernelBo>,
    offset: usize,
    va: GpuVa,
}

impl QueueIface {
    fn read(&self, at: usize) -> u64 {
        // The BO was made with a CPU mapping that holds all of it.
        self.bo
            .map()
            .and_then(|map| map.read64(self.offset + at))
            .unwrap_or(0)
    }

    fn write(&self, at: usize, value: u64) {
        // As in `read`.
        let _ = self
            .bo
            .map()
            .and_then(|map| map.write64(self.offset + at, value));
    }

    /// Address of the host's page for the MCU.
    pub(crate) fn input_va(&self) -> GpuVa {
        self.va
    }

    /// Address of the GPU's page for the MCU.
    pub(crate) fn output_va(&self) -> GpuVa {
        // Both pages lie inside of the BO, so that this does not wrap.
        GpuVa::new(self.va.get() + OUTPUT as u64)
    }

    /// How far the host has written.
    pub(crate) fn insert(&self) -> u64 {
        self.read(INSERT)
    }

    /// Shows the GPU what was written to the ring before.
    pub(crate) fn set_insert(&self, position: u64) {
        drm::gem::dma_wmb();
        self.write(INSERT, position);
    }

    /// How far the GPU has read.
    pub(crate) fn extract(&self) -> u64 {
        self.read(OUTPUT)
    }

    /// Where the GPU starts to read when the stream starts.
    pub(crate) fn set_extract_init(&self, position: u64) {
        self.write(EXTRACT_INIT, position);
    }
}
