// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A command-stream queue: its ring, and how the job queue drives it.
//!
//! **Locking.** The job queue ([`job::Queue`]) calls [`QueueBackend::run`] for one job at a time,
//! so INSERT has one writer. [`QueueBackend::poll`] runs under the job queue's spinlock and takes
//! no lock. The doorbell is rung under the group's [`Link`] spinlock, which is the innermost lock
//! of the driver.
//!
//! **Ordering.** The instructions are in the ring before INSERT covers them (release), INSERT is
//! written before the doorbell, and a group that enters a slot is visible in its [`Link`] only
//! after the firmware has acknowledged it, when the scheduler rings for whatever was inserted in
//! the meantime. So no insertion is missed: either the firmware reads it at the start, or somebody
//! rings after it.
//!
//! **Blocking.** Nothing here sleeps or allocates after [`QueueBackend::new`]: this is the way
//! from commit to signal.

use job::Backend;
use job::FenceNames;
use job::Run;
use job::Signalling;
use kernel::prelude::*;
use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed, //
};
use kernel::sync::Arc;
use soc::pm::{
    Active,
    Handle, //
};

pub(crate) mod memory;

use crate::file::usage::Usage;
use crate::fw::{
    CsRing,
    CsgSlot,
    Csif,
    QueueIface, //
};
use crate::group::args::Stream;
use crate::group::link::Link;
use crate::ring::instr::Reg;
use crate::ring::{
    JobCall,
    Ring,
    JOB_BYTES,
    JOB_INSTRS, //
};
use memory::{
    RingMemory,
    SyncObject, //
};

/// Time that a job may spend on the GPU, in milliseconds.
pub(crate) const JOB_TIMEOUT_MS: u32 = 5000;

/// More than are ever in a ring.
const MAX_JOBS: u64 = crate::ring::MAX_DEPTH as u64 + 1;

const FAULT_WORDS: usize = (MAX_JOBS / 64) as usize;

/// Names of the fences that the jobs of all queues signal.
pub(crate) struct QueueFence;

impl FenceNames for QueueFence {
    const DRIVER: &'static CStr = c"panthor";
    const TIMELINE: &'static CStr = c"queue-fence";
}

/// One job of a queue.
pub(crate) struct Job {
    /// `None`: done as soon as its dependencies and the jobs before it are.
    stream: Option<Stream>,
    /// Value of the queue's sync object when the GPU has finished the job; 0 until it was given
    /// to the ring.
    seqno: u64,
    /// Keeps the GPU powered until the job has ended.
    _use: Option<Active>,
}

impl Job {
    /// A job that calls `stream`, for which the GPU is needed, or none.
    ///
    /// The GPU is in use from here on, and not only when the job runs: to switch it on takes memory and
    /// locks that are not to be had between the commit of a job and its end.
    ///
    /// # Errors
    ///
    /// What switching the GPU on fails with.
    pub(crate) fn new(stream: Option<Stream>, power: &Arc<Handle>) -> Result<Self> {
        Ok(Self {
            stream,
            seqno: 0,
            _use: stream.map(|_| power.get()).transpose()?,
        })
    }

    /// Credits that the job takes from its queue, in instructions.
    pub(crate) fn credits(&self) -> u32 {
        match self.stream {
            Some(_) => JOB_INSTRS,
            None => 0,
        }
    }
}

/// What is the same for all jobs of a queue.
#[derive(Clone, Copy)]
struct Call {
    scratch: Reg,
    scoreboards: u32,
    sync_addr: u64,
}

/// The driver's side of a job queue.
pub(crate) struct QueueBackend {
    index: u32,
    priority: u8,
    ring: RingMemory,
    iface: QueueIface,
    sync: SyncObject,
    call: Call,
    link: Arc<Link>,
    /// Of the file that the group belongs to.
    usage: Arc<Usage>,
    /// INSERT as it was when the queue was last programmed into a slot.
    announced: Atomic<u64>,
    /// One bit per job in the ring, indexed by sequence number: a fault was reported in it.
    faulted: [Atomic<u64>; FAULT_WORDS],
}

/// A queue of a group.
pub(crate) type Queue = job::Queue<QueueBackend>;

fn fault_bit(seqno: u64) -> (usize, u64) {
    let n = seqno % MAX_JOBS;
    // Below `FAULT_WORDS`: the conversion is exact.
    (usize::try_from(n / 64).unwrap_or(0), 1 << (n % 64))
}

/// Sequence number of the job at ring position `pos`: jobs are of one size, and the first is 1.
fn seqno_at(pos: u64) -> u64 {
    pos / JOB_BYTES + 1
}

impl QueueBackend {
    /// Queue `index`, whose memory was allocated.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the firmware has no registers for the jobs' use.
    pub(crate) fn new(
        index: u32,
        priority: u8,
        csif: &Csif,
        (ring, sync): (RingMemory, SyncObject),
        iface: QueueIface,
        link: Arc<Link>,
        usage: Arc<Usage>,
    ) -> Result<Self> {
        Ok(Self {
            index,
            priority,
            ring,
            iface,
            call: Call {
                scratch: Reg::scratch(csif.work_regs, csif.unpreserved_regs).ok_or(EINVAL)?,
                scoreboards: csif.scoreboards,
                sync_addr: sync.va().get(),
            },
            sync,
            link,
            usage,
            announced: Atomic::new(0),
            faulted: [const { Atomic::new(0) }; FAULT_WORDS],
        })
    }

    /// Credits of the job queue.
    pub(crate) fn credits(ring: &Ring) -> u32 {
        ring.depth() * JOB_INSTRS
    }

    /// Gets the queue ready to be programmed into `slot`, and describes it for that.
    pub(crate) fn enter(&self, slot: CsgSlot) -> CsRing {
        self.iface.set_extract_init(self.iface.extract());
        self.announced.store(self.iface.insert(), Relaxed);
        CsRing {
            base: self.ring.va(),
            size: self.ring.ring().size(),
            input: self.iface.input_va(),
            output: self.iface.output_va(),
            priority: self.priority,
            doorbell: slot.doorbell(),
        }
    }

    /// Whether something was inserted since [`QueueBackend::enter`].
    pub(crate) fn has_news(&self) -> bool {
        self.iface.insert() != self.announced.load(Relaxed)
    }

    /// Whether the GPU has finished all that was inserted.
    pub(crate) fn is_drained(&self) -> bool {
        self.sync.seqno() >= self.last_seqno()
    }

    fn last_seqno(&self) -> u64 {
        self.iface.insert() / JOB_BYTES
    }

    /// The firmware reports a fault in the stream that it executes now: the job that contains
    /// EXTRACT will end with an error.
    pub(crate) fn note_fault(&self) {
        let seqno = seqno_at(self.iface.extract());
        if seqno > self.last_seqno() {
            return;
        }
        let (word, bit) = fault_bit(seqno);
        if let Some(word) = self.faulted.get(word) {
            let mut old = word.load(Relaxed);
            while let Err(now) = word.cmpxchg(old, old | bit, Full) {
                old = now;
            }
        }
    }

    fn take_fault(&self, seqno: u64) -> bool {
        let (word, bit) = fault_bit(seqno);
        let Some(word) = self.faulted.get(word) else {
            return false;
        };
        let mut old = word.load(Relaxed);
        while old & bit != 0 {
            match word.cmpxchg(old, old & !bit, Full) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
        false
    }

    /// Nothing of the queue will run any more: releases those who wait for it on the GPU.
    pub(crate) fn abandon(&self) {
        self.sync.abandon(self.last_seqno());
    }
}

impl Backend for QueueBackend {
    type Job = Job;

    /// Puts the job's instructions into the ring.
    ///
    /// # Errors
    ///
    /// `ECANCELED` if the group can't run any more.
    fn run(&self, job: &mut Job, _sig: &Signalling<'_>) -> Result<Run> {
        if !self.link.can_run() {
            return Err(ECANCELED);
        }
        let Some(stream) = job.stream else {
            return Ok(Run::Done);
        };
        // There is room: the credits of a job come back when it has counted itself in the sync object.
        // EXTRACT, which the firmware writes when it comes to it, may be behind that.
        let insert = self.iface.insert();
        let call = JobCall {
            stream_addr: stream.addr,
            stream_size: stream.size,
            latest_flush: stream.latest_flush,
            sync_addr: self.call.sync_addr,
            stamps: self.sync.stamps(seqno_at(insert)),
            scratch: self.call.scratch,
            scoreboards: self.call.scoreboards,
        };
        job.seqno = seqno_at(insert);
        self.take_fault(job.seqno);
        self.ring.write(insert, &call.encode())?;
        self.iface.set_insert(insert + JOB_BYTES);
        Ok(Run::Started)
    }

    fn doorbell(&self, _sig: &Signalling<'_>) {
        self.link.work_added(|| self.is_drained());
    }

    fn poll(&self, job: &Job) -> Option<Result> {
        if self.sync.seqno() < job.seqno {
            return None;
        }
        if let Some(spent) = self.sync.spent(job.seqno) {
            self.usage.add(spent);
        }
        Some(match self.take_fault(job.seqno) {
            true => Err(EINVAL),
            false => Ok(()),
        })
    }

    fn timed_out(&self, seqno: u64) {
        self.link.timed_out(self.index, seqno);
    }
}

#[kernel::macros::kunit_tests(mali_csf_queue)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_numbered_from_one_in_the_order_of_the_ring() {
        assert_eq!(seqno_at(0), 1);
        assert_eq!(seqno_at(JOB_BYTES - 8), 1);
        assert_eq!(seqno_at(JOB_BYTES), 2);
        assert_eq!(seqno_at(1000 * JOB_BYTES + 40), 1001);
    }

    #[test]
    fn jobs_that_can_be_in_a_ring_together_have_different_fault_bits() {
        assert!(fault_bit(1) != fault_bit(2));
        assert!(fault_bit(1) != fault_bit(MAX_JOBS));
        assert!(fault_bit(63) != fault_bit(64));
        assert_eq!(fault_bit(5), fault_bit(5 + MAX_JOBS));
    }
}
