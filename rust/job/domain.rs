// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the queues of one device share.
//!
//! # Locking
//!
//! `commit` serialises commits to several queues: such a batch enters them all at once. It is a
//! spinlock that is held for a few list operations, outside of the queues' own locks.
//!
//! # Ordering
//!
//! Batches are in one order for all queues of a domain. As a job can only depend on fences that
//! existed before its batch was committed, or on earlier jobs of its batch, every dependency between
//! queues points backwards in that order, and so does the order within a queue: there is no cycle.
//! A batch for one queue needs no lock for that: other queues come into it only by fences of batches
//! that were committed as a whole before.
//!
//! # Blocking
//!
//! Dropping a [`Domain`] waits for its workers: a workqueue for what ordinary tasks have submitted,
//! and a thread of `SCHED_FIFO` for what real-time tasks have.

use core::mem::ManuallyDrop;

use kernel::{
    new_spinlock_irq,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        SpinLockIrq, //
    }, //
};

use soc::{
    worker::Worker,
    wq::Workqueue, //
};

use crate::MayBlock;

#[pin_data]
pub(crate) struct Shared {
    #[pin]
    pub(crate) commit: SpinLockIrq<()>,
    /// Destroyed by the owner, [`Domain`], and not by whoever drops the last reference, which may be
    /// one of the workers.
    wq: ManuallyDrop<Workqueue>,
    realtime: ManuallyDrop<Worker>,
    /// Queues that may still use the workers.
    live: Atomic<u32>,
}

impl Shared {
    pub(crate) fn wq(&self) -> &Workqueue {
        &self.wq
    }

    pub(crate) fn realtime(&self) -> &Worker {
        &self.realtime
    }

    pub(crate) fn add_queue(&self) {
        self.live.fetch_add(1, Relaxed);
    }

    /// The last thing that a queue does with the domain, except from inside of a worker.
    pub(crate) fn remove_queue(&self) {
        self.live.fetch_sub(1, Release);
    }
}

/// The queues of one device: they can be committed to together, and share workers.
///
/// It must be dropped after its queues, in process context, and not by one of their jobs or backends.
pub struct Domain {
    shared: Arc<Shared>,
}

impl Domain {
    /// Makes a domain whose workers are called `name`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` if the current task is being killed.
    pub fn new(_ctx: &MayBlock, name: &'static CStr) -> Result<Self> {
        let wq = Workqueue::unbound(name)?;
        let realtime = Worker::realtime(name)?;

        Ok(Self {
            shared: Arc::pin_init(
                pin_init!(Shared {
                    commit <- new_spinlock_irq!((), "job::Domain::commit"),
                    wq: ManuallyDrop::new(wq),
                    realtime: ManuallyDrop::new(realtime),
                    live: Atomic::new(0),
                }),
                GFP_KERNEL,
            )?,
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // Queues that were dropped in a context that cannot sleep are put away by a worker.
        // Twice: a job that a worker drops may hold the last reference to a queue, its own even.
        for _ in 0..2 {
            self.shared.wq().flush();
            self.shared.realtime().flush();
        }

        let live = self.shared.live.load(Acquire);
        if live != 0 {
            // The workers must stay for them.
            pr_err!("a domain was dropped before {} of its queues\n", live);
            return;
        }
        // SAFETY: All queues have said that they do not use the workers any more, and nobody can add
        // one without the domain. A worker that has said so is waited for here. Nobody takes the
        // values out a second time, as this is the only owner.
        unsafe {
            drop(core::ptr::read(&*self.shared.wq));
            drop(core::ptr::read(&*self.shared.realtime));
        }
    }
}
