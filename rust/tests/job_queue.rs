// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Queues: what runs when, where and how often, and how it ends.

use kernel::prelude::*;

use crate::job_rig::*;

#[kunit_tests(job_queue)]
mod tests {
    use super::*;
    use job::{
        stats,
        Batch,
        Domain,
        MayBlock,
        OnDependencyError,
        QueueConfig,
        Signalling,
        Wait, //
    };
    use kernel::sync::aref::ARef;

    const NAME: &CStr = c"rust_kunit";

    #[test]
    fn a_ready_job_runs_in_the_submitting_task() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        let fence = rig.submit(&mut ctx, &[])?;
        assert!(rig.hw.ran_is(&[1]));
        assert_eq!(rig.hw.doorbells(), 1);
        assert!(!fence.is_signaled());

        rig.hw.finish_all();
        rig.check();
        assert!(fence.status() == Some(Ok(())));
        let stats = rig.queue.stats();
        assert_eq!(stats.ran_directly, 1);
        assert_eq!(stats.ran_by_worker, 0);
        assert_eq!(stats.wakeups, 0);
        assert!(rig.queue.is_idle());
        assert_eq!(rig.hw.dropped(), 1);
        Ok(())
    }

    #[test]
    fn a_batch_rings_the_doorbell_once() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let mut batch = Batch::new();

        for _ in 0..5 {
            let job = rig.prepare(&ctx)?;
            batch.push(&ctx, job)?;
        }
        let seqnos_in_order = batch.commit(&mut ctx, |_, fences| {
            fences
                .iter()
                .zip(1u64..)
                .all(|(fence, seqno)| fence.seqno() == seqno)
        });
        assert!(seqnos_in_order);
        assert!(rig.hw.ran_is(&[1, 2, 3, 4, 5]));
        assert_eq!(rig.hw.doorbells(), 1);
        assert_eq!(rig.queue.running(), 5);
        rig.hw.finish_all();
        rig.check();
        assert!(rig.queue.is_idle());
        Ok(())
    }

    #[test]
    fn hardware_that_is_done_at_once_needs_no_interrupt() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        rig.hw.set_instant();
        let fence = rig.submit(&mut ctx, &[])?;
        assert!(fence.is_signaled());
        assert!(rig.queue.is_idle());
        assert!(rig.queue.last_fence().is_none());
        Ok(())
    }

    #[test]
    fn jobs_wait_for_credits_in_order() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        for cost in [4, 4, 4, 1] {
            let job = rig.prepare_kind(&ctx, Kind::Work, cost)?;
            commit(&mut ctx, job)?;
        }
        // The last one would fit, but it is not its turn.
        assert!(rig.hw.ran_is(&[1, 2]));
        assert_eq!(rig.queue.waiting(), 2);

        rig.hw.finish(1);
        rig.check();
        assert!(rig.hw.ran_is(&[1, 2, 3]));
        rig.hw.finish(2);
        rig.check();
        assert!(rig.hw.ran_is(&[1, 2, 3, 4]));
        assert_eq!(rig.queue.stats().wakeups, 0);
        rig.hw.finish_all();
        rig.check();
        assert!(rig.queue.is_idle());
        Ok(())
    }

    #[test]
    fn a_deferred_check_wakes_one_worker_once() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        for _ in 0..2 {
            let job = rig.prepare_kind(&ctx, Kind::Work, 8)?;
            commit(&mut ctx, job)?;
        }
        rig.hw.finish(1);
        Signalling::section(|sig| rig.queue.check_deferred(sig));
        assert!(eventually(|| rig.hw.ran() == 2));
        let stats = rig.queue.stats();
        assert_eq!(stats.ran_by_worker, 1);
        assert_eq!(stats.wakeups, 1);
        rig.hw.finish_all();
        rig.check();
        assert!(rig.queue.is_idle());
        Ok(())
    }

    #[test]
    fn more_credits_than_there_are_is_an_error() -> Result {
        let ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        assert!(rig.prepare_kind(&ctx, Kind::Work, 9).err() == Some(EINVAL));
        assert!(rig.prepare_kind(&ctx, Kind::Work, 8).is_ok());
        Ok(())
    }

    #[test]
    fn a_dependency_costs_exactly_one_wakeup() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let (a, b) = (fence(&ctx)?, fence(&ctx)?);

        let done = rig.submit(&mut ctx, &[a.fence(), b.fence()])?;
        // A second one behind it, ready by itself.
        rig.submit(&mut ctx, &[])?;
        assert_eq!(rig.hw.ran(), 0);
        Signalling::section(|sig| a.signal(Ok(()), sig));
        assert_eq!(rig.queue.stats().wakeups, 0);
        Signalling::section(|sig| b.signal(Ok(()), sig));
        assert!(eventually(|| rig.hw.ran_is(&[1, 2])));
        let stats = rig.queue.stats();
        assert_eq!(stats.wakeups, 1);
        assert_eq!(stats.ran_by_worker, 2);
        assert!(eventually(|| rig.hw.doorbells() == 1));

        rig.hw.finish_all();
        rig.check();
        assert!(done.is_signaled());
        Ok(())
    }

    #[test]
    fn dependencies_are_reduced_to_what_matters() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let other = <Rig>::new(&ctx, &domain, CONFIG)?;
        let (a, b) = (fence(&ctx)?, fence(&ctx)?);
        let own = rig.submit(&mut ctx, &[])?;
        let first = other.submit(&mut ctx, &[])?;
        let second = other.submit(&mut ctx, &[])?;
        let both = array(a.fence(), b.fence())?;
        let points = chain(a.fence(), b.fence())?;

        let mut job = rig.prepare(&ctx)?;
        job.add_dependency(&ctx, &job::Fence::stub())?;
        job.add_dependency(&ctx, &own)?;
        assert_eq!(job.dependencies(), 0);
        job.add_dependency(&ctx, a.fence())?;
        job.add_dependency(&ctx, a.fence())?;
        assert_eq!(job.dependencies(), 1);
        job.add_dependency(&ctx, &both)?;
        job.add_dependency(&ctx, &points)?;
        assert_eq!(job.dependencies(), 2);
        job.add_dependency(&ctx, &first)?;
        job.add_dependency(&ctx, &second)?;
        job.add_dependency(&ctx, &first)?;
        assert_eq!(job.dependencies(), 3);
        let done = commit(&mut ctx, job)?;
        assert!(rig.hw.ran_is(&[1]));

        Signalling::section(|sig| {
            a.signal(Ok(()), sig);
            b.signal(Ok(()), sig);
        });
        // The later of the two in the other queue is the one that is waited for.
        other.hw.finish(1);
        other.check();
        assert!(first.is_signaled() && !second.is_signaled());
        assert_eq!(rig.hw.ran(), 1);
        other.hw.finish(1);
        other.check();
        assert!(eventually(|| rig.hw.ran() == 2));
        rig.hw.finish_all();
        rig.check();
        assert!(done.is_signaled());
        Ok(())
    }

    #[test]
    fn a_foreign_container_is_waited_for() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let (a, b) = (fence(&ctx)?, fence(&ctx)?);
        let points = chain(a.fence(), b.fence())?;

        rig.submit(&mut ctx, &[&points])?;
        Signalling::section(|sig| b.signal(Ok(()), sig));
        assert_eq!(rig.hw.ran(), 0);
        Signalling::section(|sig| a.signal(Ok(()), sig));
        assert!(eventually(|| rig.hw.ran() == 1));
        rig.hw.finish_all();
        rig.check();
        Ok(())
    }

    #[test]
    fn a_job_can_depend_on_an_earlier_one_of_its_batch() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let first = <Rig>::new(&ctx, &domain, CONFIG)?;
        let second = <Rig>::new(&ctx, &domain, CONFIG)?;
        let mut batch = Batch::new();

        let job = first.prepare(&ctx)?;
        let index = batch.push(&ctx, job)?;
        let mut job = second.prepare(&ctx)?;
        job.add_dependency(&ctx, batch.fence(index).ok_or(EINVAL)?)?;
        batch.push(&ctx, job)?;
        let last = batch
            .commit(&mut ctx, |_, fences| fences.last().cloned())
            .ok_or(EINVAL)?;

        assert_eq!(first.hw.ran(), 1);
        assert_eq!(second.hw.ran(), 0);
        first.hw.finish_all();
        first.check();
        assert!(eventually(|| second.hw.ran() == 1));
        second.hw.finish_all();
        second.check();
        assert!(last.is_signaled());
        Ok(())
    }

    #[test]
    fn queues_of_two_domains_cannot_be_committed_together() -> Result {
        let ctx = MayBlock::new();
        let (one, two) = (Domain::new(&ctx, NAME)?, Domain::new(&ctx, NAME)?);
        let first = <Rig>::new(&ctx, &one, CONFIG)?;
        let second = <Rig>::new(&ctx, &two, CONFIG)?;
        let mut batch = Batch::new();

        let job = first.prepare(&ctx)?;
        batch.push(&ctx, job)?;
        let job = second.prepare(&ctx)?;
        assert!(batch.push(&ctx, job).err() == Some(EINVAL));
        Ok(())
    }

    #[test]
    fn the_failure_of_a_dependency_is_ignored_or_passed_on() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let careless = <Rig>::new(&ctx, &domain, CONFIG)?;
        let careful = <Rig>::new(
            &ctx,
            &domain,
            QueueConfig {
                on_dependency_error: OnDependencyError::Fail,
                ..CONFIG
            },
        )?;
        let bad = fence(&ctx)?;

        let ran = careless.submit(&mut ctx, &[bad.fence()])?;
        let failed = careful.submit(&mut ctx, &[bad.fence()])?;
        Signalling::section(|sig| bad.signal(Err(EIO), sig));
        assert!(eventually(|| failed.is_signaled() && careless.hw.ran() == 1));
        assert!(failed.status() == Some(Err(EIO)));
        assert_eq!(careful.hw.ran(), 0);
        careless.hw.finish_all();
        careless.check();
        assert!(ran.status() == Some(Ok(())));
        Ok(())
    }

    #[test]
    fn fences_signal_in_order_whatever_became_of_the_jobs() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let mut batch = Batch::new();

        for kind in [Kind::Work, Kind::Nothing, Kind::Refused(EIO), Kind::Work] {
            let job = rig.prepare_kind(&ctx, kind, 1)?;
            batch.push(&ctx, job)?;
        }
        let fences: KVec<ARef<job::Fence>> = batch
            .commit(&mut ctx, |_, fences| {
                let [a, b, c, d] = fences else { return None };
                Some([a.clone(), b.clone(), c.clone(), d.clone()])
            })
            .into_iter()
            .flatten()
            .try_fold(KVec::new(), |mut all, fence| {
                all.push(fence, GFP_KERNEL).map(|()| all)
            })?;

        assert!(fences.iter().all(|fence| !fence.is_signaled()));
        rig.hw.finish(1);
        rig.check();
        assert!(fences[0].status() == Some(Ok(())));
        assert!(fences[1].status() == Some(Ok(())));
        assert!(fences[2].status() == Some(Err(EIO)));
        assert!(fences[3].status().is_none());
        rig.hw.finish(1);
        rig.check();
        assert!(fences[3].status() == Some(Ok(())));
        Ok(())
    }

    #[test]
    fn a_fault_is_given_to_the_job_that_caused_it() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let first = rig.submit(&mut ctx, &[])?;
        let second = rig.submit(&mut ctx, &[])?;

        rig.queue.for_each_running(|job| {
            if job.name() == 1 {
                job.fault = Some(EINVAL);
            }
        });
        rig.hw.finish(2);
        rig.check();
        assert!(first.status() == Some(Err(EINVAL)));
        assert!(second.status() == Some(Ok(())));
        Ok(())
    }

    #[test]
    fn a_closed_queue_runs_nothing_and_keeps_what_runs() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let never = fence(&ctx)?;
        let late = rig.prepare(&ctx)?;
        let running = rig.submit(&mut ctx, &[])?;
        let waiting = rig.submit(&mut ctx, &[never.fence()])?;

        Signalling::section(|sig| rig.queue.close(ENODEV, sig));
        // In order: it has to wait for the one that runs.
        assert!(!running.is_signaled() && !waiting.is_signaled());
        assert!(rig.prepare(&ctx).err() == Some(ENODEV));
        let late = commit(&mut ctx, late)?;
        Signalling::section(|sig| rig.queue.finish_running(sig, |_| Some(Err(ECANCELED))));
        assert!(running.status() == Some(Err(ECANCELED)));
        assert!(waiting.status() == Some(Err(ENODEV)));
        assert!(late.status() == Some(Err(ENODEV)));
        assert!(rig.hw.ran_is(&[2]));
        assert!(rig.queue.is_idle());
        Signalling::section(|sig| never.signal(Ok(()), sig));
        assert_eq!(rig.queue.stats().wakeups, 0);
        Ok(())
    }

    #[test]
    fn a_stopped_queue_collects_jobs() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        Signalling::section(|sig| rig.queue.stop(sig));
        Signalling::section(|sig| rig.queue.stop(sig));
        rig.submit(&mut ctx, &[])?;
        rig.submit(&mut ctx, &[])?;
        assert_eq!(rig.hw.ran(), 0);
        Signalling::section(|sig| rig.queue.restart(sig));
        assert_eq!(rig.hw.ran(), 0);
        Signalling::section(|sig| rig.queue.restart(sig));
        assert!(rig.hw.ran_is(&[1, 2]));
        rig.hw.finish_all();
        rig.check();
        Ok(())
    }

    #[test]
    fn an_uncommitted_job_leaves_no_trace() -> Result {
        let mut ctx = MayBlock::new();
        let before = stats::fences();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let never = fence(&ctx)?;
        let mut batch = Batch::new();

        let mut job = rig.prepare(&ctx)?;
        job.add_dependency(&ctx, never.fence())?;
        batch.push(&ctx, job)?;
        drop(batch);
        assert_eq!(rig.hw.dropped(), 1);
        assert_eq!(references(never.fence()), 1);
        let next = rig.submit(&mut ctx, &[])?;
        assert_eq!(next.seqno(), 1);
        rig.hw.finish_all();
        rig.check();
        Signalling::section(|sig| never.signal(Ok(()), sig));
        assert_eq!(stats::fences().dropped, before.dropped);
        Ok(())
    }

    #[test]
    fn the_timer_counts_time_on_the_hardware_only() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let config = QueueConfig {
            timeout: Some(20),
            ..CONFIG
        };
        let rig = <Rig>::new(&ctx, &domain, config)?;
        let sleep = |ms| kernel::time::delay::fsleep(kernel::time::Delta::from_millis(ms));

        rig.submit(&mut ctx, &[])?;
        rig.submit(&mut ctx, &[])?;
        sleep(60);
        assert_eq!(rig.hw.timeouts(), 0);
        rig.queue.timer_resume();
        assert!(eventually(|| rig.hw.timeouts() == 1));
        sleep(60);
        // Once per job.
        assert_eq!(rig.hw.timeouts(), 1);
        rig.hw.finish(1);
        rig.check();
        rig.queue.timer_suspend();
        sleep(60);
        assert_eq!(rig.hw.timeouts(), 1);
        rig.queue.timer_resume();
        assert!(eventually(|| rig.hw.timeouts() == 2));
        rig.hw.finish_all();
        rig.check();
        Ok(())
    }

    #[test]
    fn a_job_that_has_finished_unseen_is_not_late() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let config = QueueConfig {
            timeout: Some(20),
            ..CONFIG
        };
        let rig = <Rig>::new(&ctx, &domain, config)?;
        let fence = rig.submit(&mut ctx, &[])?;

        rig.hw.finish_all();
        rig.queue.timer_resume();
        assert!(eventually(|| fence.is_signaled()));
        assert_eq!(rig.hw.timeouts(), 0);
        Ok(())
    }

    #[test]
    fn jobs_that_may_sleep_are_dropped_by_a_worker() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = Rig::<true>::new(&ctx, &domain, CONFIG)?;

        for _ in 0..4 {
            let job = rig.prepare(&ctx)?;
            commit(&mut ctx, job)?;
        }
        rig.hw.finish_all();
        rig.check();
        assert!(eventually(|| rig.hw.dropped() == 4));
        assert_eq!(rig.queue.stats().wakeups, 1);
        Ok(())
    }

    /// Jobs in every state there is. Returns their fences, and the one that the waiting ones wait for.
    fn every_state<const DEFER: bool>(
        ctx: &mut MayBlock,
        rig: &Rig<DEFER>,
    ) -> Result<(KVec<ARef<job::Fence>>, job::PendingFence)> {
        let mut fences = KVec::new();
        let never = fence(ctx)?;

        // Ended and signalled; running; ended behind that; starved; waiting; behind that.
        let job = rig.prepare(ctx)?;
        fences.push(commit(ctx, job)?, GFP_KERNEL)?;
        rig.hw.finish(1);
        rig.check();
        let job = rig.prepare_kind(ctx, Kind::Work, 5)?;
        fences.push(commit(ctx, job)?, GFP_KERNEL)?;
        let job = rig.prepare_kind(ctx, Kind::Refused(EIO), 0)?;
        fences.push(commit(ctx, job)?, GFP_KERNEL)?;
        let job = rig.prepare_kind(ctx, Kind::Work, 5)?;
        fences.push(commit(ctx, job)?, GFP_KERNEL)?;
        let mut job = rig.prepare(ctx)?;
        job.add_dependency(ctx, never.fence())?;
        fences.push(commit(ctx, job)?, GFP_KERNEL)?;
        let job = rig.prepare(ctx)?;
        fences.push(commit(ctx, job)?, GFP_KERNEL)?;
        Ok((fences, never))
    }

    #[test]
    fn teardown_signals_and_frees_everything() -> Result {
        let mut ctx = MayBlock::new();
        let before = stats::fences();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let (fences, never) = every_state(&mut ctx, &rig)?;
        let Rig { queue, hw, .. } = rig;

        queue.teardown(&mut ctx, ENODEV);
        assert!(fences[0].status() == Some(Ok(())));
        assert!(fences[1].status() == Some(Err(ENODEV)));
        assert!(fences[2].status() == Some(Err(EIO)));
        for fence in &fences[3..] {
            assert!(fence.status() == Some(Err(ENODEV)));
        }
        // Nobody but the test has a reference, so the fences are freed with it.
        assert!(fences.iter().all(|fence| references(fence) == 1));
        assert_eq!(references(never.fence()), 1);
        assert_eq!(hw.dropped(), 6);
        Signalling::section(|sig| never.signal(Ok(()), sig));
        let after = stats::fences();
        assert_eq!(after.created - before.created, 7);
        assert_eq!(after.signalled - before.signalled, 7);
        assert_eq!(after.dropped, before.dropped);
        Ok(())
    }

    #[test]
    fn teardown_of_a_waiting_head_removes_its_callbacks() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let never = fence(&ctx)?;
        let waiting = rig.submit(&mut ctx, &[never.fence()])?;

        rig.queue.teardown(&mut ctx, ENODEV);
        assert!(waiting.status() == Some(Err(ENODEV)));
        assert_eq!(references(never.fence()), 1);
        Signalling::section(|sig| never.signal(Ok(()), sig));
        Ok(())
    }

    #[test]
    fn dropping_a_queue_ends_its_jobs_by_a_worker() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = Rig::<true>::new(&ctx, &domain, CONFIG)?;
        let (fences, never) = every_state(&mut ctx, &rig)?;
        let late = rig.prepare(&ctx)?;
        let Rig { queue, hw, .. } = rig;

        {
            // A context that cannot sleep.
            let _atomic = kernel::interrupt::local_interrupt_disable();
            drop(queue);
        }
        for fence in &fences {
            assert!(fence.wait(&ctx, Wait::UNINTERRUPTIBLE.timeout(1000)) == Ok(()));
        }
        assert!(fences[1].status() == Some(Err(ECANCELED)));
        assert!(eventually(|| hw.dropped() == 6));
        // One that was prepared before, and comes too late.
        let late = commit(&mut ctx, late)?;
        assert!(late.status() == Some(Err(ECANCELED)));
        assert!(eventually(|| hw.dropped() == 7));
        drop(domain);
        assert!(fences.iter().all(|fence| references(fence) == 1));
        Signalling::section(|sig| never.signal(Ok(()), sig));
        Ok(())
    }
}
