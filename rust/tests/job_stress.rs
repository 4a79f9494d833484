// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Queues under many tasks at once.

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
    }, //
};

use job::{
    Batch,
    Domain,
    Fence,
    MayBlock,
    QueueConfig,
    Signalling, //
};

use crate::job_rig::*;

const QUEUES: usize = 6;
const ROUNDS: u32 = 400;

/// What all tasks see.
struct Scene {
    rigs: KVec<Rig>,
    // After the queues: whoever drops the last reference drops them in this order.
    _domain: Domain,
    submitters: Atomic<u32>,
    completers: Atomic<u32>,
    stop: Atomic<bool>,
    failures: Atomic<u32>,
}

/// A small generator: the tests need disorder, and the same one in every run.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % sides
    }

    fn pick(&mut self) -> usize {
        usize::try_from(self.roll(6)).unwrap_or(0) % QUEUES
    }
}

impl Scene {
    /// One batch of up to four jobs for the queues in `own`, with dependencies on anything.
    fn round(&self, ctx: &mut MayBlock, own: &[usize], dice: &mut Dice) -> Result {
        let mut batch = Batch::new();

        for _ in 0..=dice.roll(4) {
            let index = own[usize::try_from(dice.roll(60))? % own.len()];
            let rig = &self.rigs[index];
            let mut job = rig.prepare_kind(ctx, Kind::Work, dice.roll(5))?;
            for _ in 0..dice.roll(3) {
                if let Some(fence) = self.rigs[dice.pick()].queue.last_fence() {
                    job.add_dependency(ctx, &fence)?;
                }
            }
            if dice.roll(2) == 0 {
                if let Some(fence) = batch.len().checked_sub(1).and_then(|i| batch.fence(i)) {
                    job.add_dependency(ctx, fence)?;
                }
            }
            batch.push(ctx, job)?;
        }
        batch.commit(ctx, |_, _| ());
        Ok(())
    }

    fn submit(&self, own: &[usize], seed: u32) {
        let mut ctx = MayBlock::new();
        let mut dice = Dice(seed);

        for _ in 0..ROUNDS {
            if self.round(&mut ctx, own, &mut dice).is_err() {
                self.failures.fetch_add(1, Full);
            }
        }
        self.submitters.fetch_sub(1, Full);
    }

    fn complete(&self, seed: u32) {
        let mut dice = Dice(seed);

        while !self.stop.load(Acquire) {
            let rig = &self.rigs[dice.pick()];
            rig.hw.finish_all();
            Signalling::section(|sig| match dice.roll(8) {
                0 => rig.queue.check_deferred(sig),
                1 => {
                    rig.queue.stop(sig);
                    rig.queue.restart(sig);
                }
                _ => rig.queue.check(sig),
            });
            kernel::time::delay::fsleep(kernel::time::Delta::from_micros(i64::from(
                dice.roll(200),
            )));
        }
        self.completers.fetch_sub(1, Full);
    }

    fn start(ctx: &MayBlock) -> Result<Arc<Self>> {
        let domain = Domain::new(ctx, c"rust_kunit")?;
        let config = QueueConfig {
            timeout: Some(1),
            ..CONFIG
        };
        let mut rigs = KVec::new();
        for _ in 0..QUEUES {
            let rig = Rig::new(ctx, &domain, config)?;
            rig.queue.timer_resume();
            rigs.push(rig, GFP_KERNEL)?;
        }
        let scene = Arc::new(
            Self {
                rigs,
                _domain: domain,
                submitters: Atomic::new(5),
                completers: Atomic::new(2),
                stop: Atomic::new(false),
                failures: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;

        // Each queue has one submitter, so that the order of its jobs is known; one has two queues.
        for (own, seed) in [
            (&[0usize][..], 1),
            (&[1], 2),
            (&[2], 3),
            (&[3], 4),
            (&[4, 5], 5),
        ] {
            let scene = scene.clone();
            kernel::workqueue::system_unbound()
                .try_spawn(GFP_KERNEL, move || scene.submit(own, seed))?;
        }
        for seed in [6, 7] {
            let scene = scene.clone();
            kernel::workqueue::system_unbound()
                .try_spawn(GFP_KERNEL, move || scene.complete(seed))?;
        }
        Ok(scene)
    }

    fn submitted(&self) -> bool {
        self.submitters.load(Acquire) == 0
    }

    fn completers_gone(&self) -> bool {
        self.completers.load(Acquire) == 0
    }

    fn idle(&self) -> bool {
        self.rigs.iter().all(|rig| rig.queue.is_idle())
    }

    fn in_order(&self) -> bool {
        self.rigs.iter().all(|rig| rig.hw.ran_in_order())
    }

    fn last_fences(&self) -> Result<KVec<ARef<Fence>>> {
        let mut fences = KVec::new();
        for rig in self.rigs.iter() {
            if let Some(fence) = rig.queue.last_fence() {
                fences.push(fence, GFP_KERNEL)?;
            }
        }
        Ok(fences)
    }
}

/// Waits until `f` is true, for half a minute at most.
fn finally(mut f: impl FnMut() -> bool) -> bool {
    (0..30).any(|_| eventually(&mut f))
}

#[kunit_tests(job_stress)]
mod tests {
    use super::*;
    use job::stats;

    #[test]
    fn every_job_runs_once_and_in_order() -> Result {
        let ctx = MayBlock::new();
        let before = stats::fences();
        let scene = Scene::start(&ctx)?;

        assert!(finally(|| scene.submitted()));
        assert!(finally(|| scene.idle()));
        scene.stop.xchg(true, Full);
        assert!(finally(|| scene.completers_gone()));
        assert_eq!(scene.failures.load(Acquire), 0);
        assert!(scene.in_order());

        let jobs: usize = scene.rigs.iter().map(|rig| rig.hw.ran()).sum();
        let wakeups: u64 = scene.rigs.iter().map(|rig| rig.queue.stats().wakeups).sum();
        let after = stats::fences();
        pr_info!(
            "job_stress: {} jobs, {} wakeups of workers\n",
            jobs,
            wakeups
        );
        assert!(u64::try_from(jobs)? == after.created - before.created);
        assert!(after.created - before.created == after.signalled - before.signalled);
        assert_eq!(after.dropped, before.dropped);
        assert!(finally(|| {
            let dropped: u32 = scene.rigs.iter().map(|rig| rig.hw.dropped()).sum();
            usize::try_from(dropped) == Ok(jobs)
        }));
        Ok(())
    }

    #[test]
    fn closing_all_queues_in_the_middle_signals_all_fences() -> Result {
        let ctx = MayBlock::new();
        let before = stats::fences();
        let scene = Scene::start(&ctx)?;

        kernel::time::delay::fsleep(kernel::time::Delta::from_millis(20));
        let some = scene.last_fences()?;
        for rig in scene.rigs.iter() {
            Signalling::section(|sig| {
                rig.queue.close(ENODEV, sig);
                rig.queue.finish_running(sig, |_| Some(Err(ENODEV)));
            });
        }
        assert!(finally(|| scene.submitted()));
        assert!(finally(|| scene.idle()));
        scene.stop.xchg(true, Full);
        assert!(finally(|| scene.completers_gone()));
        assert!(some.iter().all(|fence| fence.is_signaled()));
        let after = stats::fences();
        assert!(after.created - before.created == after.signalled - before.signalled);
        assert_eq!(after.dropped, before.dropped);
        Ok(())
    }
}
