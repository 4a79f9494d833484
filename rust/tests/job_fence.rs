// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Fences: one owner, any number of others.

use kernel::prelude::*;

use crate::job_rig::*;

#[kunit_tests(job_fence)]
mod tests {
    use super::*;
    use job::{
        Callback,
        Fence,
        FenceCallback,
        FenceSlot,
        MayBlock,
        Signalling,
        Timeline,
        Wait, //
    };
    use kernel::sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Full, //
        },
        Arc, //
    };

    struct Counter(Arc<Atomic<u32>>);

    impl FenceCallback for Counter {
        fn signaled(&self) {
            self.0.fetch_add(1, Full);
        }
    }

    #[test]
    fn is_unsignalled_until_its_owner_signals_it() -> Result {
        let ctx = MayBlock::new();
        let pending = fence(&ctx)?;
        let seen = ARef::from(pending.fence());

        assert!(!seen.is_signaled());
        assert!(seen.status().is_none());
        Signalling::section(|sig| pending.signal(Ok(()), sig));
        assert!(seen.is_signaled());
        assert!(matches!(seen.status(), Some(Ok(()))));
        Ok(())
    }

    #[test]
    fn carries_the_error() -> Result {
        let ctx = MayBlock::new();
        let pending = fence(&ctx)?;
        let seen = ARef::from(pending.fence());

        Signalling::section(|sig| pending.signal(Err(EIO), sig));
        assert!(seen.status() == Some(Err(EIO)));
        Ok(())
    }

    #[test]
    fn has_a_place_in_its_context() -> Result {
        let ctx = MayBlock::new();
        let timeline = Timeline::new::<Names>();
        let first = FenceSlot::new(&ctx)?.arm(&timeline);
        let second = FenceSlot::new(&ctx)?.arm(&timeline);
        let other = fence(&ctx)?;

        assert_eq!(first.fence().context(), timeline.context());
        assert_eq!(first.fence().seqno(), 1);
        assert_eq!(second.fence().seqno(), 2);
        assert!(second.fence().is_later_or_same(first.fence()));
        assert!(!first.fence().is_later_or_same(second.fence()));
        assert!(!other.fence().is_later_or_same(first.fence()));
        Signalling::section(|sig| {
            first.signal(Ok(()), sig);
            second.signal(Ok(()), sig);
            other.signal(Ok(()), sig);
        });
        Ok(())
    }

    #[test]
    fn a_wait_ends_by_time_or_by_the_signal() -> Result {
        let ctx = MayBlock::new();
        let pending = fence(&ctx)?;
        let seen = ARef::from(pending.fence());

        assert!(seen.wait(&ctx, Wait::UNINTERRUPTIBLE.timeout(2)) == Err(ETIMEDOUT));
        assert!(seen.wait(&ctx, Wait::INTERRUPTIBLE.timeout(0)) == Err(ETIMEDOUT));
        kernel::workqueue::system().try_spawn(GFP_KERNEL, move || {
            Signalling::section(|sig| pending.signal(Ok(()), sig));
        })?;
        assert!(seen.wait(&ctx, Wait::UNINTERRUPTIBLE) == Ok(()));
        assert!(seen.wait(&ctx, Wait::INTERRUPTIBLE.timeout(0)) == Ok(()));
        Ok(())
    }

    #[test]
    fn needs_nothing_of_its_maker_after_it_has_signalled() -> Result {
        let ctx = MayBlock::new();
        let pending = fence(&ctx)?;
        let seen = ARef::from(pending.fence());

        assert!(is_attached(&seen));
        Signalling::section(|sig| pending.signal(Ok(()), sig));
        assert!(!is_attached(&seen));
        assert_eq!(references(&seen), 1);
        Ok(())
    }

    #[test]
    fn calls_back_once() -> Result {
        let ctx = MayBlock::new();
        let count = Arc::new(Atomic::new(0u32), GFP_KERNEL)?;
        let pending = fence(&ctx)?;
        let seen = ARef::from(pending.fence());
        let Ok(attached) = Callback::new(&ctx, Counter(count.clone()))?.attach(seen.clone()) else {
            return Err(EINVAL);
        };

        assert_eq!(count.load(Acquire), 0);
        Signalling::section(|sig| pending.signal(Ok(()), sig));
        assert_eq!(count.load(Acquire), 1);

        // The node can be used again, but not on a fence that has signalled.
        let callback = attached.detach().ok_or(EINVAL)?;
        assert!(callback.attach(seen).is_err());
        assert_eq!(count.load(Acquire), 1);
        Ok(())
    }

    #[test]
    fn does_not_call_back_after_removal() -> Result {
        let ctx = MayBlock::new();
        let count = Arc::new(Atomic::new(0u32), GFP_KERNEL)?;
        let pending = fence(&ctx)?;
        let attached = Callback::new(&ctx, Counter(count.clone()))?.attach(pending.fence().into());

        drop(attached);
        Signalling::section(|sig| pending.signal(Ok(()), sig));
        assert_eq!(count.load(Acquire), 0);
        Ok(())
    }

    #[test]
    fn arrays_and_chains_are_taken_apart() -> Result {
        let ctx = MayBlock::new();
        let (a, b) = (fence(&ctx)?, fence(&ctx)?);
        let both = array(a.fence(), b.fence())?;
        let points = chain(a.fence(), b.fence())?;
        let leaves = |fence: &Fence| {
            let mut count = 0;
            let _ = fence.for_each_unsignaled(|_| {
                count += 1;
                Ok(())
            });
            count
        };

        assert_eq!(leaves(&both), 2);
        assert_eq!(leaves(&points), 2);
        assert_eq!(leaves(a.fence()), 1);
        assert!(both.for_each_unsignaled(|_| Err(ENOMEM)) == Err(ENOMEM));
        Signalling::section(|sig| a.signal(Ok(()), sig));
        assert_eq!(leaves(&both), 1);
        assert_eq!(leaves(&points), 1);
        Signalling::section(|sig| b.signal(Ok(()), sig));
        assert_eq!(leaves(&both), 0);
        assert_eq!(leaves(&points), 0);
        Ok(())
    }
}

/// Apart from the others, because it puts a message into the kernel's log.
#[kunit_tests(dropped_fence)]
mod dropped {
    use super::*;
    use job::{
        stats,
        MayBlock, //
    };
    use kernel::sync::aref::ARef;

    #[test]
    fn signals_with_an_error_and_is_counted() -> Result {
        let ctx = MayBlock::new();
        let before = stats::fences();
        let pending = fence(&ctx)?;
        let seen = ARef::from(pending.fence());

        drop(pending);
        assert!(seen.status() == Some(Err(ECANCELED)));
        let after = stats::fences();
        assert_eq!(after.dropped, before.dropped + 1);
        assert_eq!(
            after.created - before.created,
            after.signalled - before.signalled
        );
        Ok(())
    }
}
