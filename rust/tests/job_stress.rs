// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Queues under many tasks at once: submitters, ordinary and real-time, with dependencies on anything;
//! hardware that finishes, hangs and is reset; jobs that are cancelled; queues that are torn down or
//! just dropped with jobs in every state.
//!
//! The module's parameter `stress_jobs` says how many jobs, `stress_seed` which disorder.

use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Full, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use job::{
    Batch,
    Cancelled,
    Domain,
    Fence,
    MayBlock,
    Prepared,
    QueueConfig,
    Rewind,
    Signalling, //
};
use soc::worker::{
    Item,
    Worker,
    WorkerItem, //
};

use crate::job_rig::*;

const QUEUES: usize = 16;
/// Each has some of the queues for itself, so that the order of their jobs is known.
const SUBMITTERS: usize = 4;
const COMPLETERS: u32 = 2;

const STRESS: QueueConfig = QueueConfig {
    timeout: Some(1),
    ..CONFIG
};

/// Errors by which the test knows what has ended a job.
const CANCELLED: Error = EINTR;
const RESET: Error = EIO;
const CLOSED: Error = ENODEV;

/// A small generator: the tests need disorder, and the same one in every run.
struct Dice(u32);

impl Dice {
    fn new(task: u32) -> Self {
        let seed = u32::from_ne_bytes(crate::module_parameters::stress_seed.value().to_ne_bytes());
        Self(seed.wrapping_add(task.wrapping_mul(0x9e37_79b9)))
    }

    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % sides
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.roll(0xffff)).unwrap_or(0) % count
    }

    fn pause(&mut self) {
        fsleep(Delta::from_micros(i64::from(self.roll(200))));
    }
}

/// How many fences ended in which way.
#[derive(Default)]
struct Ends {
    well: usize,
    timed_out: usize,
    cancelled: usize,
    reset: usize,
    closed: usize,
    pending: usize,
    strange: usize,
    /// Fences to which somebody besides the test has a reference.
    held: usize,
    /// Fences that signalled before one of the same queue that was submitted earlier.
    disorder: usize,
}

/// What all tasks see.
#[pin_data]
struct Scene {
    rigs: KVec<Rig>,
    // After the queues: whoever drops the last reference drops them in this order.
    domain: Domain,
    /// All fences, in the order of their submission, by submitter.
    #[pin]
    fences: [kernel::sync::Mutex<KVVec<ARef<Fence>>>; SUBMITTERS + 1],
    /// Jobs that each submitter has to submit.
    share: usize,
    tasks: Atomic<u32>,
    helpers: Atomic<u32>,
    stop: Atomic<bool>,
    failures: Atomic<u32>,
    cancelled: Atomic<u32>,
    reruns: Atomic<u32>,
    torn_down: Atomic<u32>,
    #[pin]
    urgent: Item<Scene>,
}

soc::impl_has_item! {
    impl{} HasItem for Scene { self.urgent }
}

impl WorkerItem for Scene {
    /// The first submitter is a real-time task.
    fn run(this: Arc<Self>) {
        this.submit(0);
    }
}

impl Scene {
    fn new(ctx: &MayBlock, jobs: usize) -> Result<Arc<Self>> {
        let domain = Domain::new(ctx, c"rust_kunit")?;
        let mut rigs = KVec::new();
        for _ in 0..QUEUES {
            let rig = Rig::new(ctx, &domain, STRESS)?;
            rig.queue.timer_resume();
            rigs.push(rig, GFP_KERNEL)?;
        }
        Arc::pin_init(
            pin_init!(Self {
                rigs,
                domain,
                fences <- pin_init::pin_init_array_from_fn(|_| {
                    kernel::new_mutex!(KVVec::new(), "job_stress::fences")
                }),
                share: jobs / SUBMITTERS,
                tasks: Atomic::new(0),
                helpers: Atomic::new(0),
                stop: Atomic::new(false),
                failures: Atomic::new(0),
                cancelled: Atomic::new(0),
                reruns: Atomic::new(0),
                torn_down: Atomic::new(0),
                urgent <- Item::new(),
            }),
            GFP_KERNEL,
        )
    }

    fn note(&self, result: Result) {
        if result.is_err() {
            self.failures.fetch_add(1, Full);
        }
    }

    /// Lets `job` depend on up to three fences, of whatever queue, or of earlier jobs of the batch.
    fn entangle(
        &self,
        ctx: &MayBlock,
        batch: &Batch<TestBackend<false>>,
        job: &mut Prepared<TestBackend<false>>,
        dice: &mut Dice,
    ) -> Result {
        for _ in 0..dice.roll(3) {
            if let Some(fence) = self.rigs[dice.pick(QUEUES)].queue.last_fence() {
                job.add_dependency(ctx, &fence)?;
            }
        }
        if dice.roll(2) == 0 {
            if let Some(fence) = batch.len().checked_sub(1).and_then(|i| batch.fence(i)) {
                job.add_dependency(ctx, fence)?;
            }
        }
        Ok(())
    }

    fn kind(dice: &mut Dice) -> Kind {
        match dice.roll(400) {
            0 => Kind::Hang,
            1..=8 => Kind::Nothing,
            _ => Kind::Work,
        }
    }

    /// Commits a batch and keeps its fences.
    fn commit(&self, ctx: &mut MayBlock, batch: Batch<TestBackend<false>>, task: usize) -> Result {
        let mut kept = KVVec::new();
        kept.reserve(batch.len(), GFP_KERNEL)?;
        batch.commit(ctx, |_, fences| {
            for fence in fences {
                let _ = kept.push_within_capacity(fence.clone());
            }
        });
        let mut all = self.fences[task].lock();
        for fence in kept {
            all.push(fence, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// One batch of up to four jobs for the queues of the task. Returns how many.
    fn round(&self, ctx: &mut MayBlock, task: usize, dice: &mut Dice) -> Result<usize> {
        let per_task = QUEUES / SUBMITTERS;
        let mut batch = Batch::new();

        for _ in 0..=dice.roll(4) {
            let rig = &self.rigs[task * per_task + dice.pick(per_task)];
            let mut job = rig.prepare_kind(ctx, Self::kind(dice), dice.roll(5))?;
            self.entangle(ctx, &batch, &mut job, dice)?;
            batch.push(ctx, job)?;
        }
        let count = batch.len();
        if dice.roll(50) == 0 {
            // Somebody changes their mind.
            drop(batch);
            return Ok(0);
        }
        self.commit(ctx, batch, task)?;
        // Without this nobody else would run on the processor of a real-time task, and on one of an
        // ordinary task nobody for a long time, if the kernel does not preempt itself.
        if task == 0 || dice.roll(16) == 0 {
            dice.pause();
        }
        Ok(count)
    }

    fn submit(&self, task: usize) {
        let mut ctx = MayBlock::new();
        let mut dice = Dice::new(u32::try_from(task).unwrap_or(0));
        let mut done = 0;

        while done < self.share && !self.stop.load(Acquire) {
            match self.round(&mut ctx, task, &mut dice) {
                Ok(count) => done += count,
                Err(err) => {
                    // After `close_all` this is the answer.
                    self.note(if err == CLOSED { Ok(()) } else { Err(err) });
                    break;
                }
            }
            // As a ring that is full would hold it up.
            let far = |rig: &Rig| rig.queue.waiting() > 64;
            while self.rigs.iter().any(far) && !self.stop.load(Acquire) {
                dice.pause();
            }
        }
        self.tasks.fetch_sub(1, Full);
    }

    /// The hardware and its interrupts.
    fn complete(&self, seed: u32) {
        let mut dice = Dice::new(seed);

        while !self.stop.load(Acquire) {
            let rig = &self.rigs[dice.pick(QUEUES)];
            rig.hw.finish_all();
            Signalling::section(|sig| match dice.roll(8) {
                0 => rig.queue.check_deferred(sig),
                _ => rig.queue.check(sig),
            });
            dice.pause();
        }
        self.helpers.fetch_sub(1, Full);
    }

    /// Resets and second thoughts.
    fn disturb(&self, seed: u32) {
        let mut dice = Dice::new(seed);

        while !self.stop.load(Acquire) {
            let rig = &self.rigs[dice.pick(QUEUES)];
            if dice.roll(2) == 0 {
                let Some(last) = rig.queue.last_fence() else {
                    dice.pause();
                    continue;
                };
                let seqno = last.seqno().saturating_sub(u64::from(dice.roll(16)));
                let found = Signalling::section(|sig| rig.queue.cancel(seqno, CANCELLED, sig));
                if found == Cancelled::Waiting {
                    self.cancelled.fetch_add(1, Full);
                }
            } else {
                let fate = dice.roll(8);
                Signalling::section(|sig| {
                    rig.queue.stop(sig);
                    let reruns = rig.queue.rewind(sig, |_| match fate {
                        0 => Rewind::Fail(RESET),
                        1..=3 => Rewind::Rerun,
                        _ => Rewind::Keep,
                    });
                    let reruns = u32::try_from(reruns.unwrap_or(0)).unwrap_or(0);
                    self.reruns.fetch_add(reruns, Full);
                    rig.queue.restart(sig);
                });
            }
            // Rarer than what goes well.
            for _ in 0..6 {
                dice.pause();
            }
        }
        self.helpers.fetch_sub(1, Full);
    }

    /// Queues that come and go, with jobs in every state.
    fn visit(&self, seed: u32) {
        let mut ctx = MayBlock::new();
        let mut dice = Dice::new(seed);

        while !self.stop.load(Acquire) {
            let result = self.visit_once(&mut ctx, &mut dice);
            self.note(result);
            dice.pause();
        }
        self.helpers.fetch_sub(1, Full);
    }

    fn visit_once(&self, ctx: &mut MayBlock, dice: &mut Dice) -> Result {
        let rig = Rig::new(ctx, &self.domain, STRESS)?;
        rig.queue.timer_resume();
        for _ in 0..dice.roll(6) {
            let mut batch = Batch::new();
            let mut job = rig.prepare_kind(ctx, Self::kind(dice), dice.roll(5))?;
            self.entangle(ctx, &batch, &mut job, dice)?;
            batch.push(ctx, job)?;
            self.commit(ctx, batch, SUBMITTERS)?;
            if dice.roll(3) == 0 {
                rig.hw.finish_all();
                rig.check();
            }
        }
        if dice.roll(2) == 0 {
            // Callbacks are registered, and some are on their way.
            dice.pause();
        }
        self.torn_down.fetch_add(1, Full);
        let Rig { queue, .. } = rig;
        match dice.roll(3) {
            0 => {
                let _atomic = kernel::interrupt::local_interrupt_disable();
                drop(queue);
            }
            1 => drop(queue),
            _ => queue.teardown(ctx, CLOSED),
        }
        Ok(())
    }

    fn spawn(self: &Arc<Self>, f: impl FnOnce(&Self) + Send + 'static) -> Result {
        let scene = self.clone();
        kernel::workqueue::system_unbound().try_spawn(GFP_KERNEL, move || f(&scene))?;
        Ok(())
    }

    /// Starts everybody. The thread is the real-time submitter's.
    fn start(self: &Arc<Self>) -> Result<Worker> {
        let thread = Worker::realtime(c"rust_kunit-rt")?;

        for task in 0..SUBMITTERS {
            self.tasks.fetch_add(1, Full);
            match task {
                0 => thread.queue(self.clone()).map_err(|_| EBUSY)?,
                _ => self.spawn(move |scene| scene.submit(task))?,
            }
        }
        for seed in 0..COMPLETERS {
            self.helpers.fetch_add(1, Full);
            self.spawn(move |scene| scene.complete(100 + seed))?;
        }
        self.helpers.fetch_add(2, Full);
        self.spawn(|scene| scene.disturb(200))?;
        self.spawn(|scene| scene.visit(300))?;
        Ok(thread)
    }

    fn submitted(&self) -> bool {
        self.tasks.load(Acquire) == 0
    }

    fn is_idle(&self) -> bool {
        self.rigs.iter().all(|rig| rig.queue.is_idle())
    }

    fn stop(&self) -> bool {
        self.stop.xchg(true, Full);
        finally(|| self.helpers.load(Acquire) == 0)
    }

    /// Looks at all fences, and drops them.
    fn settle(&self) -> (usize, Ends) {
        let mut ends = Ends::default();
        let mut count = 0;

        for fences in &self.fences {
            let fences = core::mem::replace(&mut *fences.lock(), KVVec::new());
            let mut last = [(0, 0i64); QUEUES];
            for fence in fences {
                count += 1;
                match fence.status() {
                    None => ends.pending += 1,
                    Some(Ok(())) => ends.well += 1,
                    Some(Err(err)) if err == HUNG => ends.timed_out += 1,
                    Some(Err(err)) if err == CANCELLED => ends.cancelled += 1,
                    Some(Err(err)) if err == RESET => ends.reset += 1,
                    Some(Err(err)) if err == CLOSED || err == ECANCELED => ends.closed += 1,
                    Some(Err(_)) => ends.strange += 1,
                }
                if references(&fence) != 1 {
                    ends.held += 1;
                }
                // Only the queues that stay are looked at: there is room for so many.
                let queue = self
                    .rigs
                    .iter()
                    .position(|rig| rig.queue.context() == fence.context());
                if let Some(last) = queue.and_then(|queue| last.get_mut(queue)) {
                    let time = signalled_at(&fence);
                    if fence.seqno() <= last.0 || time < last.1 {
                        ends.disorder += 1;
                    }
                    *last = (fence.seqno(), time);
                }
                // The last reference: this frees it.
            }
        }
        (count, ends)
    }
}

/// Waits until `f` is true, for as long as a slow machine may need for all jobs.
fn finally(mut f: impl FnMut() -> bool) -> bool {
    (0..1800).any(|_| eventually(&mut f))
}

#[kunit_tests(job_stress)]
mod tests {
    use super::*;
    use job::{
        stats,
        Queue, //
    };

    fn jobs() -> usize {
        usize::try_from(crate::module_parameters::stress_jobs.value()).unwrap_or(0)
    }

    #[test]
    fn every_fence_signals_once_in_order_and_is_freed() -> Result {
        let ctx = MayBlock::new();
        let before = stats::fences();
        let scene = Scene::new(&ctx, jobs())?;
        let thread = scene.start()?;

        assert!(finally(|| scene.submitted()));
        assert!(finally(|| scene.is_idle()));
        assert!(scene.stop());
        drop(thread);
        assert_eq!(scene.failures.load(Acquire), 0);

        // Visitors that were dropped are put away by a worker, which may not have come to it yet.
        let visitors = || scene.fences[SUBMITTERS].lock().len();
        assert!(finally(|| {
            let fences = scene.fences[SUBMITTERS].lock();
            fences.iter().all(|fence| references(fence) == 1)
        }));
        let visitors = visitors();
        let committed = |fences: &stats::Fences| fences.created - before.created;
        let (count, ends) = scene.settle();
        let wakeups: u64 = scene.rigs.iter().map(|rig| rig.queue.stats().wakeups).sum();
        let realtime: u64 = scene
            .rigs
            .iter()
            .map(|rig| rig.queue.stats().realtime_wakeups)
            .sum();
        pr_info!(
            "job_stress: {} jobs ({} of {} visitors), {} well, {} timed out, {} cancelled, {} failed by a reset, {} closed, {} run again; {} wakeups of workers, {} of them real-time; {} pending, {} strange, {} held, {} out of order\n",
            count,
            visitors,
            scene.torn_down.load(Acquire),
            ends.well,
            ends.timed_out,
            ends.cancelled,
            ends.reset,
            ends.closed,
            scene.reruns.load(Acquire),
            wakeups,
            realtime,
            ends.pending,
            ends.strange,
            ends.held,
            ends.disorder
        );
        assert!(count - visitors >= jobs() / SUBMITTERS * SUBMITTERS);
        assert_eq!(ends.pending, 0);
        assert_eq!(ends.strange, 0);
        assert_eq!(ends.held, 0);
        assert_eq!(ends.disorder, 0);
        assert_eq!(
            ends.cancelled,
            usize::try_from(scene.cancelled.load(Acquire))?
        );
        let after = stats::fences();
        assert!(committed(&after) >= u64::try_from(count)?);
        assert_eq!(committed(&after), after.signalled - before.signalled);
        assert_eq!(after.dropped, before.dropped);
        Ok(())
    }

    #[test]
    fn closing_all_queues_in_the_middle_signals_all_fences() -> Result {
        let ctx = MayBlock::new();
        let before = stats::fences();
        let scene = Scene::new(&ctx, jobs())?;
        let thread = scene.start()?;

        fsleep(Delta::from_millis(50));
        Signalling::section(|sig| {
            Queue::close_all(scene.rigs.iter().map(|rig| &rig.queue), CLOSED, sig);
            for rig in scene.rigs.iter() {
                rig.queue.finish_running(sig, |_| Some(Err(CLOSED)));
            }
        });
        assert!(finally(|| scene.submitted()));
        assert!(finally(|| scene.is_idle()));
        assert!(scene.stop());
        drop(thread);
        assert_eq!(scene.failures.load(Acquire), 0);
        assert!(finally(|| {
            let fences = scene.fences[SUBMITTERS].lock();
            fences.iter().all(|fence| references(fence) == 1)
        }));
        let (_, ends) = scene.settle();
        assert_eq!(ends.pending + ends.strange + ends.held + ends.disorder, 0);
        let after = stats::fences();
        assert_eq!(
            after.created - before.created,
            after.signalled - before.signalled
        );
        assert_eq!(after.dropped, before.dropped);
        Ok(())
    }
}
