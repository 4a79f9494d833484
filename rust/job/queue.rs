// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A queue of jobs for one stream of hardware work.
//!
//! A job goes through these states; the arrows on the left are the driver's calls, those on the right
//! happen by themselves:
//!
//! ```text
//!   prepare  -> Prepared                     memory, fence, room for the dependencies
//!   commit   -> waiting                      has a seqno, in order
//!                  | dependencies signalled, credits left   -> Backend::run
//!               running                      on the hardware
//!   check    ->    | Backend::poll says so                  -> fence signals, credits come back
//!               done                         dropped
//! ```
//!
//! [`Queue::cancel`] and [`Queue::close`] take a waiting job past the hardware, and [`Queue::rewind`]
//! takes a running one back to *waiting*.
//!
//! # Locking
//!
//! One spinlock per queue, `state`, taken with interrupts disabled and held for list operations and
//! for [`Backend::poll`]. No fence is touched under it. On top of it there are two roles, each a
//! flag in `state` that one task at a time takes without waiting:
//!
//! - The *runner* moves jobs from `waiting` to `running`. Who finds the role taken leaves word in
//!   `again`, and the runner looks once more before it gives the role back.
//! - The *signaller* takes finished jobs off `running` and signals them. Who finds the role taken has
//!   already written the outcome where the signaller looks before it gives the role back.
//!
//! Lock order: `Domain::commit`, then `state`. The callbacks of dependencies run under the lock of a
//! fence and take neither.
//!
//! # Ordering
//!
//! Jobs are run in the order of their seqnos, and their fences signal in that order, whatever became
//! of them: a job that failed, was cancelled or had nothing to run passes through `running` as well.
//! How many urgent jobs wait is counted before such a job can be found in `waiting`, so that whoever
//! wakes a worker for it wakes the right one.
//! A job is in `running` only after [`Backend::run`] has returned; hardware that was quicker than
//! that is noticed because the runner polls afterwards.
//!
//! # Blocking
//!
//! Between commit and signal nothing waits, except [`Queue::stop`], [`Queue::rewind`] and
//! [`Queue::teardown`], for a task that is inside of `run`, `doorbell` or of signalling: these wait for
//! nobody who allocates.
//!
//! # Priority
//!
//! A job that cannot be run at once is run by a worker: a real-time thread if a real-time task has
//! submitted it or one that waits behind it, a workqueue otherwise.

#[path = "queue/batch.rs"]
mod batch;
#[path = "queue/end.rs"]
mod end;
#[path = "queue/node.rs"]
mod node;
#[path = "queue/run.rs"]
mod run;
#[path = "queue/timer.rs"]
mod timer;

pub use batch::Batch;
pub use batch::Prepared;
pub use end::Cancelled;
pub use end::Rewind;

use kernel::{
    error::code::{
        ECANCELED,
        EINVAL, //
    },
    new_condvar,
    new_spinlock_irq,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        CondVar,
        SpinLockIrq, //
    },
    time::Msecs,
    workqueue::{
        new_delayed_work,
        new_work,
        DelayedWork,
        Work,
        WorkItem, //
    }, //
};

use soc::worker::{
    Item,
    WorkerItem, //
};

use crate::{
    domain::Shared,
    fifo::Fifo,
    Domain,
    Fence,
    FenceNames,
    MayBlock,
    Signalling,
    Timeline, //
};

use node::Node;
use run::Who;
use timer::Clock;

/// What became of a job that was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// The hardware has it; [`Backend::poll`] will tell when it is done.
    Started,
    /// There was nothing to do. Its fence signals after those of the jobs before it.
    Done,
}

/// What a driver does for a queue.
pub trait Backend: Send + Sync + 'static {
    /// What a job is for the driver. The queue owns it from commit to completion.
    type Job: Send + 'static;

    /// Whether dropping a [`Backend::Job`] may sleep, or take locks that must not be taken where
    /// fences are signalled. If so, a worker drops it.
    const DEFER_DROP: bool = false;

    /// Gives the job to the hardware.
    ///
    /// Called in the order of the queue and never twice at once, when the dependencies of the job have
    /// signalled and there are credits for it; in process context, by the submitter if possible.
    ///
    /// # Errors
    ///
    /// The job's fence gets the error, after the fences of the jobs before it have signalled.
    fn run(&self, job: &mut Self::Job, sig: &Signalling<'_>) -> Result<Run>;

    /// Called after one or several jobs were started: tells the hardware.
    fn doorbell(&self, sig: &Signalling<'_>);

    /// Asks whether the hardware has finished a job that was started, and how.
    ///
    /// Called under a spinlock, from the oldest job on and until the answer is `None`.
    fn poll(&self, job: &Self::Job) -> Option<Result>;

    /// The oldest job on the hardware has been there for longer than the timeout. Called by a worker,
    /// at most once per job.
    fn timed_out(&self, _seqno: u64) {}
}

/// What the failure of a dependency means for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDependencyError {
    /// Nothing.
    Run,
    /// The job is not run, and its fence gets the error.
    Fail,
}

/// How a queue works.
#[derive(Clone, Copy)]
pub struct QueueConfig {
    /// What the jobs on the hardware may cost together.
    pub credits: u32,
    /// How long a job may be on the hardware, in milliseconds; for ever if `None`.
    pub timeout: Option<Msecs>,
    /// What the failure of a dependency means.
    pub on_dependency_error: OnDependencyError,
}

/// How often things have happened in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Jobs that were run by the task that committed, or that noticed the end of another job.
    pub ran_directly: u64,
    /// Jobs that were run by a worker.
    pub ran_by_worker: u64,
    /// Times that a worker was woken.
    pub wakeups: u64,
    /// Of those, the times that it was the real-time worker.
    pub realtime_wakeups: u64,
}

struct State<B: Backend> {
    waiting: Fifo<Node<B>>,
    running: Fifo<Node<B>>,
    /// Jobs whose fences have signalled, to be dropped where that may sleep.
    done: Fifo<Node<B>>,
    /// The job that was taken off `waiting` and is not in `running` yet.
    on_its_way: Option<u64>,
    /// The newest committed fence.
    last: Option<ARef<Fence>>,
    credits: u32,
    /// The first waiting job needs nothing but credits.
    starved: bool,
    runner: bool,
    again: bool,
    signaller: bool,
    stopped: u32,
    closed: Option<Error>,
    /// The owner is gone: what was started ends as well.
    abandoned: bool,
    /// The workers must not be used any more.
    detached: bool,
    clock: Clock,
    ran_directly: u64,
    ran_by_worker: u64,
}

#[pin_data]
struct Inner<B: Backend> {
    #[pin]
    state: SpinLockIrq<State<B>>,
    /// A role was given back.
    #[pin]
    quiet: CondVar,
    #[pin]
    work: Work<Inner<B>, 0>,
    #[pin]
    urgent_work: Item<Inner<B>>,
    #[pin]
    timer: DelayedWork<Inner<B>, 1>,
    #[pin]
    backend: B,
    domain: Arc<Shared>,
    timeline: Timeline,
    config: QueueConfig,
    /// There is an error in `closed`, as far as those know who do not hold the lock.
    refuses: Atomic<bool>,
    /// Jobs in `waiting` that real-time tasks have submitted. Changed under `state`, read without.
    urgent: Atomic<u32>,
    wakeups: Atomic<u64>,
    realtime_wakeups: Atomic<u64>,
}

soc::impl_has_item! {
    impl{B: Backend} HasItem for Inner<B> { self.urgent_work }
}

kernel::workqueue::impl_has_work! {
    impl{B: Backend} HasWork<Inner<B>, 0> for Inner<B> { self.work }
}

kernel::workqueue::impl_has_delayed_work! {
    impl{B: Backend} HasDelayedWork<Inner<B>, 1> for Inner<B> { self.timer }
}

impl<B: Backend> WorkItem<0> for Inner<B> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        Signalling::section(|sig| {
            Self::advance(&this, Who::Worker, sig);
            if this.is_abandoned() {
                Self::drain(&this, sig);
            }
        });
        this.reap();
        if this.is_abandoned() {
            Self::put_away(&this);
        }
    }
}

impl<B: Backend> WorkerItem for Inner<B> {
    /// As the ordinary work item, which is also there when the queue is to be put away.
    fn run(this: Arc<Self>) {
        Signalling::section(|sig| {
            Self::advance(&this, Who::Worker, sig);
            if this.is_abandoned() {
                Self::drain(&this, sig);
            }
        });
        this.reap();
    }
}

impl<B: Backend> Inner<B> {
    /// Wakes the worker that suits the most urgent of the jobs that wait.
    fn kick(this: &Arc<Self>) {
        if this.urgent.load(Acquire) == 0 {
            Self::kick_ordinary(this);
        } else if this.domain.realtime().queue(this.clone()).is_ok() {
            this.wakeups.fetch_add(1, Relaxed);
            this.realtime_wakeups.fetch_add(1, Relaxed);
        }
    }

    /// Wakes a worker for what is not urgent.
    fn kick_ordinary(this: &Arc<Self>) {
        if this.domain.wq().enqueue::<_, 0>(this.clone()).is_ok() {
            this.wakeups.fetch_add(1, Relaxed);
        }
    }

    /// `node` is about to wait. Called under `state`.
    fn note_waiting(&self, node: &Node<B>) {
        if node.urgent {
            self.urgent.fetch_add(1, Release);
        }
    }

    /// `node` does not wait any more. Called under `state`.
    fn note_taken(&self, node: &Node<B>) {
        if node.urgent {
            self.urgent.fetch_sub(1, Relaxed);
        }
    }

    fn is_abandoned(&self) -> bool {
        self.state.lock().abandoned
    }

    /// Drops what could not be dropped where it ended.
    fn reap(&self) {
        let done = core::mem::replace(&mut self.state.lock().done, Fifo::new());
        drop(done);
    }

    /// The last step of a queue whose owner is gone, or is in [`Queue::teardown`].
    fn put_away(this: &Arc<Self>) {
        {
            let mut state = this.state.lock();
            while state.runner || state.signaller {
                this.quiet.wait(&mut state);
            }
            if core::mem::replace(&mut state.detached, true) {
                return;
            }
        }
        soc::wq::cancel_delayed_sync::<_, 1>(this);
        soc::worker::cancel_sync(this);
        this.reap();
        this.domain.remove_queue();
    }
}

/// One queue, in the hands of its owner. Jobs run in order.
///
/// Dropping it works in any context: it ends all jobs with `ECANCELED`, those on the hardware too,
/// so the hardware must have stopped using their memory. [`Queue::teardown`] does the same, and waits.
pub struct Queue<B: Backend> {
    inner: Arc<Inner<B>>,
}

impl<B: Backend> Queue<B> {
    /// Makes an empty queue with its own fence context.
    pub fn new<N: FenceNames>(
        _ctx: &MayBlock,
        domain: &Domain,
        config: QueueConfig,
        backend: impl PinInit<B, Error>,
    ) -> Result<Self> {
        let inner = Arc::pin_init(
            try_pin_init!(Inner {
                state <- new_spinlock_irq!(
                    State {
                        waiting: Fifo::new(),
                        running: Fifo::new(),
                        done: Fifo::new(),
                        on_its_way: None,
                        last: None,
                        credits: config.credits,
                        starved: false,
                        runner: false,
                        again: false,
                        signaller: false,
                        stopped: 0,
                        closed: None,
                        abandoned: false,
                        detached: false,
                        clock: Clock::new(),
                        ran_directly: 0,
                        ran_by_worker: 0,
                    },
                    "job::Queue::state"
                ),
                quiet <- new_condvar!("job::Queue::quiet"),
                work <- new_work!("job::Queue::work"),
                urgent_work <- Item::new(),
                timer <- new_delayed_work!("job::Queue::timer"),
                backend <- backend,
                domain: domain.shared().clone(),
                timeline: Timeline::new::<N>(),
                config,
                refuses: Atomic::new(false),
                urgent: Atomic::new(0),
                wakeups: Atomic::new(0),
                realtime_wakeups: Atomic::new(0),
            }? Error),
            GFP_KERNEL,
        )?;

        inner.domain.add_queue();
        Ok(Self { inner })
    }

    /// The driver's part.
    pub fn backend(&self) -> &B {
        &self.inner.backend
    }

    /// The fence context.
    pub fn context(&self) -> u64 {
        self.inner.timeline.context()
    }

    /// Allocates all that a job needs. It costs `cost` credits while it is on the hardware.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the cost is more than the queue ever has, `ENOMEM`, or what the queue was closed
    /// with.
    pub fn prepare(&self, ctx: &MayBlock, job: B::Job, cost: u32) -> Result<Prepared<B>> {
        let inner = &self.inner;
        if cost > inner.config.credits {
            return Err(EINVAL);
        }
        if inner.refuses.load(Relaxed) {
            return Err(inner.state.lock().closed.unwrap_or(ECANCELED));
        }
        Prepared::new(ctx, inner, job, cost)
    }

    /// The fence of the job that was committed last, unless it has signalled.
    pub fn last_fence(&self) -> Option<ARef<Fence>> {
        let last = self.inner.state.lock().last.clone();
        last.filter(|fence| !fence.is_signaled())
    }

    /// Asks the backend which jobs have finished, signals these, and runs what can run now.
    pub fn check(&self, sig: &Signalling<'_>) {
        let inner = &self.inner;
        if Inner::drain(inner, sig) {
            Inner::advance(inner, Who::Direct, sig);
        }
    }

    /// As [`Queue::check`], but leaves running to a worker, who is woken if there is something to run.
    pub fn check_deferred(&self, sig: &Signalling<'_>) {
        let inner = &self.inner;
        if Inner::drain(inner, sig) {
            Inner::kick(inner);
        }
    }

    /// Calls `f` with every job on the hardware, oldest first, under a spinlock. What it changes is
    /// seen by [`Backend::poll`].
    pub fn for_each_running(&self, mut f: impl FnMut(&mut B::Job)) {
        self.inner.state.lock().running.for_each_mut(|node| {
            if node.outcome.is_none() {
                f(&mut node.job);
            }
            true
        });
    }

    /// Stops running jobs. When it returns, no task is inside of [`Backend::run`] or
    /// [`Backend::doorbell`], and none enters until [`Queue::restart`] was called as often. Jobs
    /// that are committed meanwhile wait.
    ///
    /// Sleeps, for as long as a call of those two takes; not to be called from them.
    pub fn stop(&self, _sig: &Signalling<'_>) {
        let inner = &self.inner;
        let mut state = inner.state.lock();
        state.stopped += 1;
        while state.runner {
            inner.quiet.wait(&mut state);
        }
    }

    /// Undoes one [`Queue::stop`].
    pub fn restart(&self, sig: &Signalling<'_>) {
        let inner = &self.inner;
        {
            let mut state = inner.state.lock();
            state.stopped = state.stopped.saturating_sub(1);
        }
        Inner::advance(inner, Who::Direct, sig);
    }

    /// Whether no job waits or is on the hardware.
    pub fn is_idle(&self) -> bool {
        let state = self.inner.state.lock();
        state.waiting.is_empty() && state.running.is_empty() && !state.runner && !state.signaller
    }

    /// How many jobs wait.
    pub fn waiting(&self) -> usize {
        self.inner.state.lock().waiting.len()
    }

    /// How many jobs are on the hardware, or have ended but not signalled.
    pub fn running(&self) -> usize {
        self.inner.state.lock().running.len()
    }

    /// The time of the jobs on the hardware counts from now on. It starts suspended.
    pub fn timer_resume(&self) {
        Inner::timer_resume(&self.inner);
    }

    /// The time of the jobs on the hardware does not count until [`Queue::timer_resume`].
    pub fn timer_suspend(&self) {
        self.inner.state.lock().clock.suspend();
    }

    /// How often things have happened.
    pub fn stats(&self) -> QueueStats {
        let inner = &self.inner;
        let state = inner.state.lock();
        QueueStats {
            ran_directly: state.ran_directly,
            ran_by_worker: state.ran_by_worker,
            wakeups: inner.wakeups.load(Relaxed),
            realtime_wakeups: inner.realtime_wakeups.load(Relaxed),
        }
    }

    /// Ends all jobs with `err`, waits until nobody is inside of the backend any more, and drops the
    /// queue. Not to be called with a lock held that the backend takes.
    ///
    /// The hardware must not use the memory of any job any more.
    pub fn teardown(self, ctx: &mut MayBlock, err: Error) {
        let inner = &self.inner;
        {
            let mut state = inner.state.lock();
            inner.close_locked(&mut state, err);
            state.abandoned = true;
        }
        ctx.signalling(|sig| {
            Inner::advance(inner, Who::Direct, sig);
            Inner::drain(inner, sig);
        });
        soc::wq::cancel_sync::<_, 0>(inner);
        Inner::put_away(inner);
    }
}

impl<B: Backend> Drop for Queue<B> {
    fn drop(&mut self) {
        {
            let mut state = self.inner.state.lock();
            if state.detached {
                return;
            }
            self.inner.close_locked(&mut state, ECANCELED);
            state.abandoned = true;
        }
        // The ordinary worker is the one that puts it away.
        Inner::kick_ordinary(&self.inner);
    }
}
