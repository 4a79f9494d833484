// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Queues: who is woken for the jobs of real-time tasks, and for those of the others.

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
    Domain,
    Fence,
    MayBlock,
    PendingFence, //
};
use soc::worker::{
    Item,
    Worker,
    WorkerItem, //
};

use crate::job_rig::*;

/// A task of `SCHED_FIFO` that submits one job when it is told to.
#[pin_data]
struct Submitter {
    rig: Rig,
    gate: ARef<Fence>,
    submitted: Atomic<u32>,
    #[pin]
    item: Item<Submitter>,
}

soc::impl_has_item! {
    impl{} HasItem for Submitter { self.item }
}

impl WorkerItem for Submitter {
    fn run(this: Arc<Self>) {
        let mut ctx = MayBlock::new();

        if this.rig.submit(&mut ctx, &[&this.gate]).is_ok() {
            this.submitted.fetch_add(1, Full);
        }
    }
}

struct Scene {
    submitter: Arc<Submitter>,
    thread: Worker,
    gate: PendingFence,
    _domain: Domain,
}

impl Scene {
    fn new(ctx: &MayBlock) -> Result<Self> {
        let domain = Domain::new(ctx, c"rust_kunit")?;
        let gate = fence(ctx)?;
        let rig = Rig::new(ctx, &domain, CONFIG)?;
        let shared: ARef<Fence> = gate.fence().into();
        let submitter = Arc::pin_init(
            pin_init!(Submitter {
                rig,
                gate: shared,
                submitted: Atomic::new(0),
                item <- Item::new(),
            }),
            GFP_KERNEL,
        )?;
        Ok(Self {
            submitter,
            thread: Worker::realtime(c"rust_kunit-rt")?,
            gate,
            _domain: domain,
        })
    }

    /// One job from the real-time task.
    fn submit_urgent(&self) -> u32 {
        let _ = self.thread.queue(self.submitter.clone());
        self.thread.flush();
        self.submitter.submitted.load(Acquire)
    }
}

#[kunit_tests(job_priority)]
mod tests {
    use super::*;

    #[test]
    fn the_job_of_a_realtime_task_is_run_by_a_realtime_worker() -> Result {
        let ctx = MayBlock::new();
        let scene = Scene::new(&ctx)?;
        assert_eq!(scene.submit_urgent(), 1);
        assert_eq!(scene.submitter.rig.hw.ran(), 0);

        let Scene {
            submitter,
            thread,
            gate,
            _domain,
        } = scene;
        open(gate);
        assert!(eventually(|| submitter.rig.hw.ran() == 1));
        assert_eq!(submitter.rig.hw.ran_in_realtime(), 1);
        let stats = submitter.rig.queue.stats();
        assert_eq!((stats.wakeups, stats.realtime_wakeups), (1, 1));
        submitter.rig.hw.finish_all();
        submitter.rig.check();
        drop((thread, submitter));
        Ok(())
    }

    #[test]
    fn the_job_of_an_ordinary_task_is_not() -> Result {
        let mut ctx = MayBlock::new();
        let Scene {
            submitter,
            thread,
            gate,
            _domain,
        } = Scene::new(&ctx)?;

        submitter.rig.submit(&mut ctx, &[gate.fence()])?;
        open(gate);
        assert!(eventually(|| submitter.rig.hw.ran() == 1));
        assert_eq!(submitter.rig.hw.ran_in_realtime(), 0);
        let stats = submitter.rig.queue.stats();
        assert_eq!((stats.wakeups, stats.realtime_wakeups), (1, 0));
        submitter.rig.hw.finish_all();
        submitter.rig.check();
        drop((thread, submitter));
        Ok(())
    }

    #[test]
    fn an_ordinary_job_before_that_of_a_realtime_task_inherits_its_worker() -> Result {
        let mut ctx = MayBlock::new();
        let scene = Scene::new(&ctx)?;
        scene
            .submitter
            .rig
            .submit(&mut ctx, &[scene.gate.fence()])?;
        assert_eq!(scene.submit_urgent(), 1);
        let Scene {
            submitter,
            thread,
            gate,
            _domain,
        } = scene;

        open(gate);
        assert!(eventually(|| submitter.rig.hw.ran_is(&[1, 2])));
        assert_eq!(submitter.rig.hw.ran_in_realtime(), 2);
        assert_eq!(submitter.rig.queue.stats().realtime_wakeups, 1);
        submitter.rig.hw.finish_all();
        submitter.rig.check();
        assert!(submitter.rig.queue.is_idle());
        // With the urgent one gone, the next is an ordinary one again.
        let gate = fence(&ctx)?;
        submitter.rig.submit(&mut ctx, &[gate.fence()])?;
        open(gate);
        assert!(eventually(|| submitter.rig.hw.ran() == 3));
        assert_eq!(submitter.rig.queue.stats().realtime_wakeups, 1);
        submitter.rig.hw.finish_all();
        submitter.rig.check();
        drop((thread, submitter));
        Ok(())
    }
}
