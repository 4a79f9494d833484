// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Releasing buffers that have lost their last mapping where that must not be done at once.
//!
//! # Locking
//!
//! None of its own. Releasing takes the VM's reservation.
//!
//! # Ordering
//!
//! The work item holds the map of the VM, and neither the VM nor the [`Mmu`](crate::mmu::Mmu), whose
//! workqueue it runs on: that is not destroyed by one of its own workers.
//!
//! # Blocking
//!
//! Asking for it does not sleep; the work item does.

use drm::gpuvm::GpuVm;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    workqueue::{
        impl_has_work,
        new_work,
        Work,
        WorkItem, //
    },
};

use super::{
    table::Table,
    Vm, //
};

/// The work item of a VM.
#[pin_data]
pub(super) struct Cleanup {
    gpuvm: ARef<GpuVm<Table>>,
    #[pin]
    work: Work<Cleanup>,
}

impl_has_work! {
    impl HasWork<Self> for Cleanup { self.work }
}

impl WorkItem for Cleanup {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.gpuvm.deferred_cleanup();
    }
}

impl Cleanup {
    pub(super) fn new(gpuvm: ARef<GpuVm<Table>>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                gpuvm,
                work <- new_work!("mali_csf::vm::Cleanup"),
            }),
            GFP_KERNEL,
        )
    }
}

impl Vm {
    /// Releases, some time soon, what changes have left behind. In any context.
    pub(crate) fn clean_up_later(&self) {
        if self.gpuvm.needs_cleanup() {
            // If it is queued already, it will see what is there now.
            let _ = self.residence.mmu.later().enqueue(self.cleanup.clone());
        }
    }
}
