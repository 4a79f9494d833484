// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The page that tells user space how many cache flushes there were.
//!
//! It is the GPU's own page of registers while the GPU is powered. While it is not, an access would
//! bring the bus down: user space sees a page of memory then, which says 1. That is older than any
//! flush that a job could rely on, and not 0, which would ask for a flush at all times.
//!
//! # Locking
//!
//! `powered` is a mutex over which of the two pages is the right one. A fault looks at it and maps the
//! page with the mutex held, inside the mmap lock of the task; nothing that takes an mmap lock
//! happens under it otherwise.
//!
//! # Ordering
//!
//! Whoever changes `powered` removes all mappings of the other page under the same mutex. Before the
//! clocks go, this is the first step; after they have come, it is the last.
//!
//! # Blocking
//!
//! Waits for faults that are being served, which wait for nothing.

use drm::mmap::{
    Fault,
    MmioPage,
    Outcome,
    SharedPage, //
};
use kernel::{
    io::resource::Resource,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};
use shims::uapi;

use crate::{
    driver::{
        Driver,
        DrmDevice, //
    },
    regs::FLUSH_ID_PAGE, //
};

/// What user space sees while there is no flush id.
const NO_FLUSH: u32 = 1;

/// See the top of the file.
#[pin_data]
pub(crate) struct FlushId {
    dev: ARef<DrmDevice>,
    registers: MmioPage,
    memory: SharedPage<Driver>,
    #[pin]
    powered: Mutex<bool>,
}

impl FlushId {
    /// The page in the window `registers` of a GPU that counts as not powered.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the window does not have it, `ENOMEM`.
    pub(crate) fn new(dev: &DrmDevice, registers: &Resource) -> Result<Arc<Self>> {
        let registers = MmioPage::new(registers, u64::try_from(FLUSH_ID_PAGE)?)?;
        let memory = SharedPage::new(dev)?;
        memory.write32(0, NO_FLUSH)?;
        Arc::pin_init(
            pin_init!(Self {
                dev: dev.into(),
                registers,
                memory,
                powered <- new_mutex!(false, "FlushId::powered"),
            }),
            GFP_KERNEL,
        )
    }

    fn set(&self, powered: bool) {
        let mut now = self.powered.lock();
        *now = powered;
        // A file may have chosen either, whatever the size of its program's pointers.
        for offset in [
            uapi::DRM_PANTHOR_USER_MMIO_OFFSET_32BIT,
            uapi::DRM_PANTHOR_USER_MMIO_OFFSET_64BIT,
        ] {
            // CAST: `usize` has at most 64 bits.
            self.dev.zap_mappings(offset, PAGE_SIZE as u64);
        }
    }

    /// Shows the registers, for as long as what this returns exists. The GPU is powered.
    pub(crate) fn show(self: &Arc<Self>) -> Shown {
        self.set(true);
        Shown(self.clone())
    }

    /// Maps the right page.
    pub(crate) fn serve(&self, fault: &Fault<'_, Driver>) -> Outcome {
        let powered = self.powered.lock();
        match *powered {
            true => fault.insert_mmio(&self.registers),
            false => fault.insert_page(&self.memory),
        }
    }
}

/// The registers are what user space sees. Dropped, it is not any more, and no mapping of them is left.
pub(crate) struct Shown(Arc<FlushId>);

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
