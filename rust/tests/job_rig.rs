// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Hardware that does what the tests say, and fences to look at afterwards.

use kernel::{
    bindings,
    new_spinlock_irq,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full, //
        },
        Arc,
        SpinLockIrq, //
    }, //
};

use job::{
    Backend,
    Batch,
    Domain,
    Fence,
    FenceNames,
    FenceSlot,
    MayBlock,
    OnDependencyError,
    PendingFence,
    Prepared,
    Queue,
    QueueConfig,
    Run,
    Signalling,
    Timeline, //
};

extern "C" {
    fn test_fence_array(
        first: *mut bindings::dma_fence,
        second: *mut bindings::dma_fence,
    ) -> *mut bindings::dma_fence;
    fn test_fence_chain(
        previous: *mut bindings::dma_fence,
        fence: *mut bindings::dma_fence,
        point: u64,
    ) -> *mut bindings::dma_fence;
    fn test_fence_references(fence: *mut bindings::dma_fence) -> u32;
    fn test_fence_attached(fence: *mut bindings::dma_fence) -> bool;
    fn test_fence_time(fence: *mut bindings::dma_fence) -> i64;
}

pub(crate) struct Names;

impl FenceNames for Names {
    const DRIVER: &'static CStr = c"rust_kunit";
    const TIMELINE: &'static CStr = c"test";
}

/// An array of two fences.
pub(crate) fn array(first: &Fence, second: &Fence) -> Result<ARef<Fence>> {
    // SAFETY: Both are valid fences, and the result is a reference of our own, or null.
    unsafe { Fence::from_raw_owned(test_fence_array(first.as_raw(), second.as_raw())) }
        .ok_or(ENOMEM)
}

/// A chain of two points.
pub(crate) fn chain(first: &Fence, second: &Fence) -> Result<ARef<Fence>> {
    // SAFETY: A null pointer and a valid fence, and the result is a reference of our own, or null.
    let point = unsafe {
        Fence::from_raw_owned(test_fence_chain(core::ptr::null_mut(), first.as_raw(), 1))
    }
    .ok_or(ENOMEM)?;
    // SAFETY: Both are valid fences, and the result is a reference of our own, or null.
    unsafe { Fence::from_raw_owned(test_fence_chain(point.as_raw(), second.as_raw(), 2)) }
        .ok_or(ENOMEM)
}

/// Whether the fence still needs the code that has made it.
pub(crate) fn is_attached(fence: &Fence) -> bool {
    // SAFETY: The fence is valid.
    unsafe { test_fence_attached(fence.as_raw()) }
}

pub(crate) fn references(fence: &Fence) -> u32 {
    // SAFETY: The fence is valid.
    unsafe { test_fence_references(fence.as_raw()) }
}

/// When the fence has signalled, in nanoseconds.
pub(crate) fn signalled_at(fence: &Fence) -> i64 {
    // SAFETY: The fence is valid.
    unsafe { test_fence_time(fence.as_raw()) }
}

/// A fence that nobody else knows.
pub(crate) fn fence(ctx: &MayBlock) -> Result<PendingFence> {
    Ok(FenceSlot::new(ctx)?.arm(&Timeline::new::<Names>()))
}

/// Signals it.
pub(crate) fn open(fence: PendingFence) {
    Signalling::section(|sig| fence.signal(Ok(()), sig));
}

/// What the hardware of one queue has seen and what it answers.
#[pin_data]
pub(crate) struct Hw {
    /// Names of the jobs in the order in which they were run.
    #[pin]
    ran: SpinLockIrq<KVec<u32>>,
    /// How many of those are done.
    done: Atomic<u32>,
    started: Atomic<u32>,
    /// How many of those that were run were run by a real-time task.
    in_realtime: Atomic<u32>,
    doorbells: Atomic<u32>,
    timeouts: Atomic<u32>,
    /// Jobs that were dropped.
    dropped: Atomic<u32>,
    /// Finish every job at once.
    instant: Atomic<bool>,
}

impl Hw {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let ran = KVec::with_capacity(4096, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                ran <- new_spinlock_irq!(ran),
                done: Atomic::new(0),
                started: Atomic::new(0),
                in_realtime: Atomic::new(0),
                doorbells: Atomic::new(0),
                timeouts: Atomic::new(0),
                dropped: Atomic::new(0),
                instant: Atomic::new(false),
            }),
            GFP_KERNEL,
        )
    }

    /// Finishes the next `count` jobs.
    pub(crate) fn finish(&self, count: u32) {
        self.done.fetch_add(count, Full);
    }

    /// Finishes what was started.
    pub(crate) fn finish_all(&self) {
        self.done.xchg(self.started(), Full);
    }

    pub(crate) fn set_instant(&self) {
        self.instant.xchg(true, Full);
    }

    pub(crate) fn ran(&self) -> usize {
        self.ran.lock().len()
    }

    pub(crate) fn ran_is(&self, names: &[u32]) -> bool {
        self.ran.lock().as_slice() == names
    }

    pub(crate) fn started(&self) -> u32 {
        self.started.load(kernel::sync::atomic::Acquire)
    }

    pub(crate) fn ran_in_realtime(&self) -> u32 {
        self.in_realtime.load(kernel::sync::atomic::Acquire)
    }

    pub(crate) fn doorbells(&self) -> u32 {
        self.doorbells.load(kernel::sync::atomic::Acquire)
    }

    pub(crate) fn timeouts(&self) -> u32 {
        self.timeouts.load(kernel::sync::atomic::Acquire)
    }

    pub(crate) fn dropped(&self) -> u32 {
        self.dropped.load(kernel::sync::atomic::Acquire)
    }
}

/// How a job ends that hangs.
pub(crate) const HUNG: Error = ETIME;

/// What a job does when it is run.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Work,
    /// Work that ends with [`HUNG`] when the queue's timer has expired once more.
    Hang,
    Nothing,
    Refused(Error),
}

pub(crate) struct Job {
    name: u32,
    kind: Kind,
    /// Its place among the started jobs, from 1.
    place: u32,
    /// If it hangs: how often the timer must have expired for it to end.
    hang: Option<u32>,
    pub(crate) fault: Option<Error>,
    hw: Arc<Hw>,
}

impl Job {
    pub(crate) fn name(&self) -> u32 {
        self.name
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.hw.dropped.fetch_add(1, Full);
    }
}

pub(crate) struct TestBackend<const DEFER: bool>(Arc<Hw>);

impl<const DEFER: bool> Backend for TestBackend<DEFER> {
    type Job = Job;

    const DEFER_DROP: bool = DEFER;

    fn run(&self, job: &mut Job, _sig: &Signalling<'_>) -> Result<Run> {
        if soc::worker::current_is_realtime() {
            self.0.in_realtime.fetch_add(1, Full);
        }
        // The vector has room for all jobs of a test; if not, the test sees that one is missing.
        let _ = self.0.ran.lock().push_within_capacity(job.name);
        match job.kind {
            Kind::Work | Kind::Hang => {
                job.hang = matches!(job.kind, Kind::Hang).then(|| self.0.timeouts() + 1);
                job.place = self.0.started.fetch_add(1, Full) + 1;
                if self.0.instant.load(kernel::sync::atomic::Acquire) {
                    self.0.finish(1);
                }
                Ok(Run::Started)
            }
            Kind::Nothing => Ok(Run::Done),
            Kind::Refused(err) => Err(err),
        }
    }

    fn doorbell(&self, _sig: &Signalling<'_>) {
        self.0.doorbells.fetch_add(1, Full);
    }

    fn poll(&self, job: &Job) -> Option<Result> {
        if let Some(hang) = job.hang {
            return (hang <= self.0.timeouts()).then_some(Err(HUNG));
        }
        let done = self.0.done.load(kernel::sync::atomic::Acquire);
        (job.place <= done).then_some(job.fault.map_or(Ok(()), Err))
    }

    fn timed_out(&self, _seqno: u64) {
        self.0.timeouts.fetch_add(1, Full);
    }
}

/// A queue, its hardware, and all fences that it ever had.
pub(crate) struct Rig<const DEFER: bool = false> {
    pub(crate) queue: Queue<TestBackend<DEFER>>,
    pub(crate) hw: Arc<Hw>,
    next: Atomic<u32>,
}

pub(crate) const CONFIG: QueueConfig = QueueConfig {
    credits: 8,
    timeout: None,
    on_dependency_error: OnDependencyError::Run,
};

impl<const DEFER: bool> Rig<DEFER> {
    pub(crate) fn new(ctx: &MayBlock, domain: &Domain, config: QueueConfig) -> Result<Self> {
        let hw = Hw::new()?;
        Ok(Self {
            queue: Queue::new::<Names>(ctx, domain, config, Ok(TestBackend(hw.clone())))?,
            hw,
            next: Atomic::new(1),
        })
    }

    pub(crate) fn prepare_kind(
        &self,
        ctx: &MayBlock,
        kind: Kind,
        cost: u32,
    ) -> Result<Prepared<TestBackend<DEFER>>> {
        let job = Job {
            name: self.next.fetch_add(1, Full),
            kind,
            place: 0,
            hang: None,
            fault: None,
            hw: self.hw.clone(),
        };
        self.queue.prepare(ctx, job, cost)
    }

    pub(crate) fn prepare(&self, ctx: &MayBlock) -> Result<Prepared<TestBackend<DEFER>>> {
        self.prepare_kind(ctx, Kind::Work, 1)
    }

    /// Prepares and commits one job that waits for `dependencies`.
    pub(crate) fn submit(
        &self,
        ctx: &mut MayBlock,
        dependencies: &[&Fence],
    ) -> Result<ARef<Fence>> {
        let mut job = self.prepare(ctx)?;
        for fence in dependencies {
            job.add_dependency(ctx, fence)?;
        }
        commit(ctx, job)
    }

    pub(crate) fn check(&self) {
        Signalling::section(|sig| self.queue.check(sig));
    }
}

/// Commits one job.
pub(crate) fn commit<B: Backend>(ctx: &mut MayBlock, job: Prepared<B>) -> Result<ARef<Fence>> {
    let mut batch = Batch::new();
    batch.push(ctx, job)?;
    batch
        .commit(ctx, |_, fences| fences.first().cloned())
        .ok_or(EINVAL)
}

/// Waits until `f` is true, for a second at most.
pub(crate) fn eventually(mut f: impl FnMut() -> bool) -> bool {
    for _ in 0..1000 {
        if f() {
            return true;
        }
        kernel::time::delay::fsleep(kernel::time::Delta::from_millis(1));
    }
    f()
}
