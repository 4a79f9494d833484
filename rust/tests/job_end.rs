// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Queues: jobs that are cancelled, closed together, or taken back after a reset.

use kernel::prelude::*;

use crate::job_rig::*;

#[kunit_tests(job_end)]
mod tests {
    use super::*;
    use job::{
        Cancelled,
        Domain,
        Fence,
        MayBlock,
        Queue,
        QueueConfig,
        Rewind,
        Signalling, //
    };
    use kernel::sync::aref::ARef;

    const NAME: &CStr = c"rust_kunit";

    #[test]
    fn a_cancelled_job_is_not_run_and_signals_in_its_turn() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let never = fence(&ctx)?;
        let running = rig.submit(&mut ctx, &[])?;
        let head = rig.submit(&mut ctx, &[never.fence()])?;
        let behind = rig.submit(&mut ctx, &[])?;

        let cancel = |seqno| Signalling::section(|sig| rig.queue.cancel(seqno, ETIME, sig));
        assert_eq!(cancel(running.seqno()), Cancelled::Running);
        assert_eq!(cancel(99), Cancelled::Gone);
        assert_eq!(cancel(head.seqno()), Cancelled::Waiting);
        // The one behind it has nothing to wait for any more.
        assert!(rig.hw.ran_is(&[1, 3]));
        assert!(!head.is_signaled());
        rig.hw.finish(1);
        rig.check();
        assert!(running.status() == Some(Ok(())));
        assert!(head.status() == Some(Err(ETIME)));
        assert!(!behind.is_signaled());
        assert_eq!(cancel(head.seqno()), Cancelled::Gone);
        assert_eq!(references(never.fence()), 1);
        rig.hw.finish_all();
        rig.check();
        assert!(behind.status() == Some(Ok(())));
        Signalling::section(|sig| never.signal(Ok(()), sig));
        assert_eq!(rig.queue.stats().wakeups, 0);
        Ok(())
    }

    #[test]
    fn a_job_is_cancelled_once() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let never = fence(&ctx)?;
        rig.submit(&mut ctx, &[never.fence()])?;
        let second = rig.submit(&mut ctx, &[])?;

        Signalling::section(|sig| {
            assert_eq!(
                rig.queue.cancel(second.seqno(), ETIME, sig),
                Cancelled::Waiting
            );
            assert_eq!(rig.queue.cancel(second.seqno(), EIO, sig), Cancelled::Gone);
        });
        Signalling::section(|sig| never.signal(Ok(()), sig));
        assert!(eventually(|| rig.hw.ran() == 1));
        rig.hw.finish_all();
        rig.check();
        assert!(second.status() == Some(Err(ETIME)));
        Ok(())
    }

    #[test]
    fn the_jobs_of_one_owner_end_and_the_others_run() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let gate = fence(&ctx)?;
        let mut fences = KVec::new();
        for _ in 0..6 {
            fences.push(rig.submit(&mut ctx, &[gate.fence()])?, GFP_KERNEL)?;
        }

        // Every other job belongs to somebody who goes away.
        let count = Signalling::section(|sig| {
            rig.queue
                .cancel_waiting(sig, |_, job| (job.name() % 2 == 0).then_some(ENODEV))
        });
        assert_eq!(count, 3);
        Signalling::section(|sig| gate.signal(Ok(()), sig));
        assert!(eventually(|| rig.hw.ran_is(&[1, 3, 5])));
        rig.hw.finish_all();
        rig.check();
        assert!(eventually(|| fences
            .iter()
            .all(|fence| fence.is_signaled())));
        for (fence, name) in fences.iter().zip(1u32..) {
            let expected = if name % 2 == 0 { Err(ENODEV) } else { Ok(()) };
            assert!(fence.status() == Some(expected));
        }
        Ok(())
    }

    #[test]
    fn closing_queues_together_runs_none_of_their_jobs() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let first = <Rig>::new(&ctx, &domain, CONFIG)?;
        let second = <Rig>::new(&ctx, &domain, CONFIG)?;
        let never = fence(&ctx)?;
        let one = first.submit(&mut ctx, &[never.fence()])?;
        let two = second.submit(&mut ctx, &[&one])?;

        Signalling::section(|sig| {
            Queue::close_all([&first.queue, &second.queue].into_iter(), ENODEV, sig)
        });
        assert!(one.status() == Some(Err(ENODEV)));
        assert!(two.status() == Some(Err(ENODEV)));
        assert_eq!(first.hw.ran() + second.hw.ran(), 0);
        Signalling::section(|sig| never.signal(Ok(()), sig));
        Ok(())
    }

    #[test]
    fn only_a_stopped_queue_hands_its_jobs_back() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;
        let running = rig.submit(&mut ctx, &[])?;

        let result = Signalling::section(|sig| rig.queue.rewind(sig, |_| Rewind::Fail(EIO)));
        assert!(result == Err(EBUSY));
        assert!(!running.is_signaled());
        rig.hw.finish_all();
        rig.check();
        Ok(())
    }

    /// Three jobs on the hardware, of which the first is done but was not noticed, and one behind.
    fn reset<const DEFER: bool>(
        ctx: &mut MayBlock,
        rig: &Rig<DEFER>,
        f: impl FnMut(&mut Job) -> Rewind + Send,
    ) -> Result<(KVec<ARef<Fence>>, usize)> {
        let mut fences = KVec::new();
        for cost in [3, 3, 2, 3] {
            let job = rig.prepare_kind(ctx, Kind::Work, cost)?;
            fences.push(commit(ctx, job)?, GFP_KERNEL)?;
        }
        assert!(rig.hw.ran_is(&[1, 2, 3]));
        rig.hw.finish(1);
        Signalling::section(|sig| rig.queue.stop(sig));
        let reruns = Signalling::section(|sig| rig.queue.rewind(sig, f))?;
        Ok((fences, reruns))
    }

    #[test]
    fn jobs_run_again_after_a_reset_in_order_and_once_more() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        let (fences, reruns) = reset(&mut ctx, &rig, |_| Rewind::Rerun)?;
        assert_eq!(reruns, 2);
        // What the hardware had finished is not handed back.
        assert!(fences[0].status() == Some(Ok(())));
        assert!(fences[1..].iter().all(|fence| !fence.is_signaled()));
        assert_eq!(rig.queue.running(), 0);
        assert_eq!(rig.queue.waiting(), 3);

        Signalling::section(|sig| rig.queue.restart(sig));
        assert!(rig.hw.ran_is(&[1, 2, 3, 2, 3, 4]));
        rig.hw.finish_all();
        rig.check();
        assert!(fences.iter().all(|fence| fence.status() == Some(Ok(()))));
        assert!(rig.queue.is_idle());
        assert_eq!(rig.hw.dropped(), 4);
        Ok(())
    }

    #[test]
    fn the_guilty_job_fails_and_those_after_it_run_again() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        let (fences, reruns) = reset(&mut ctx, &rig, |job| match job.name() {
            2 => Rewind::Fail(ETIME),
            _ => Rewind::Rerun,
        })?;
        assert_eq!(reruns, 1);
        assert!(fences[1].status() == Some(Err(ETIME)));
        assert!(!fences[2].is_signaled());
        Signalling::section(|sig| rig.queue.restart(sig));
        assert!(rig.hw.ran_is(&[1, 2, 3, 3, 4]));
        rig.hw.finish_all();
        rig.check();
        assert!(fences[2].status() == Some(Ok(())));
        assert!(fences[3].status() == Some(Ok(())));
        Ok(())
    }

    #[test]
    fn a_job_that_failed_behind_one_that_runs_again_signals_after_it() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        let (fences, reruns) = reset(&mut ctx, &rig, |job| match job.name() {
            2 => Rewind::Rerun,
            _ => Rewind::Fail(ETIME),
        })?;
        assert_eq!(reruns, 1);
        assert!(fences[1..].iter().all(|fence| !fence.is_signaled()));
        Signalling::section(|sig| rig.queue.restart(sig));
        // The failed one is not run a second time.
        assert!(rig.hw.ran_is(&[1, 2, 3, 2, 4]));
        rig.hw.finish_all();
        rig.check();
        assert!(fences[1].status() == Some(Ok(())));
        assert!(fences[2].status() == Some(Err(ETIME)));
        assert!(fences[3].status() == Some(Ok(())));
        assert!(rig.queue.is_idle());
        Ok(())
    }

    #[test]
    fn jobs_that_the_hardware_has_kept_go_on() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        let (fences, reruns) = reset(&mut ctx, &rig, |_| Rewind::Keep)?;
        assert_eq!(reruns, 0);
        assert_eq!(rig.queue.running(), 2);
        Signalling::section(|sig| rig.queue.restart(sig));
        assert!(rig.hw.ran_is(&[1, 2, 3, 4]));
        rig.hw.finish_all();
        rig.check();
        assert!(fences.iter().all(|fence| fence.status() == Some(Ok(()))));
        Ok(())
    }

    #[test]
    fn a_job_that_runs_again_has_its_full_time() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let config = QueueConfig {
            timeout: Some(20),
            ..CONFIG
        };
        let rig = <Rig>::new(&ctx, &domain, config)?;

        rig.queue.timer_resume();
        let done = rig.submit(&mut ctx, &[])?;
        assert!(eventually(|| rig.hw.timeouts() == 1));
        Signalling::section(|sig| rig.queue.stop(sig));
        assert!(Signalling::section(|sig| rig.queue.rewind(sig, |_| Rewind::Rerun))? == 1);
        Signalling::section(|sig| rig.queue.restart(sig));
        // It may time out a second time, as it is on the hardware a second time.
        assert!(eventually(|| rig.hw.timeouts() == 2));
        rig.hw.finish_all();
        rig.check();
        assert!(done.status() == Some(Ok(())));
        Ok(())
    }

    #[test]
    fn a_queue_that_is_closed_while_it_is_rewound_ends_its_jobs() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, NAME)?;
        let rig = <Rig>::new(&ctx, &domain, CONFIG)?;

        let (fences, _) = reset(&mut ctx, &rig, |_| Rewind::Rerun)?;
        Signalling::section(|sig| rig.queue.close(ENODEV, sig));
        assert!(fences[1..]
            .iter()
            .all(|fence| fence.status() == Some(Err(ENODEV))));
        assert!(rig.hw.ran_is(&[1, 2, 3]));
        Signalling::section(|sig| rig.queue.restart(sig));
        assert!(rig.queue.is_idle());
        Ok(())
    }
}
