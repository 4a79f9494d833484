// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The whole of a driver's side of a job queue, for a device that adds numbers.

use kernel::{
    new_spinlock_irq,
    prelude::*,
    sync::SpinLockIrq, //
};

use job::{
    Backend,
    Batch,
    Domain,
    FenceNames,
    MayBlock,
    OnDependencyError,
    Queue,
    QueueConfig,
    Run,
    Signalling, //
};

/// The registers of the device: it adds what is in its ring, and counts what it has done.
struct Adder {
    ring: KVec<u32>,
    sum: u32,
    done: u64,
}

/// What a job is for this driver.
struct Add {
    number: u32,
    /// The count that says that the device has done it.
    seqno: u64,
}

#[pin_data]
struct AdderQueue {
    #[pin]
    adder: SpinLockIrq<Adder>,
}

impl AdderQueue {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            adder <- new_spinlock_irq!(Adder {
                ring: KVec::with_capacity(16, GFP_KERNEL)?,
                sum: 0,
                done: 0,
            }),
        })
    }
}

impl Backend for AdderQueue {
    type Job = Add;

    fn run(&self, job: &mut Add, _sig: &Signalling<'_>) -> Result<Run> {
        let mut adder = self.adder.lock();
        job.seqno = adder.done + u64::try_from(adder.ring.len())? + 1;
        // The credits are the places in the ring, so there is room, and nothing is allocated.
        adder
            .ring
            .push_within_capacity(job.number)
            .map_err(|_| ENOSPC)?;
        Ok(Run::Started)
    }

    fn doorbell(&self, _sig: &Signalling<'_>) {
        // A real device is told here. This one works when `interrupt` is called.
    }

    fn poll(&self, job: &Add) -> Option<Result> {
        (self.adder.lock().done >= job.seqno).then_some(Ok(()))
    }
}

struct Names;

impl FenceNames for Names {
    const DRIVER: &'static CStr = c"adder";
    const TIMELINE: &'static CStr = c"ring";
}

/// The thread of the interrupt that the device raises when it has emptied its ring.
fn interrupt(queue: &Queue<AdderQueue>) {
    {
        let mut adder = queue.backend().adder.lock();
        let (sum, count) = (adder.ring.iter().sum::<u32>(), adder.ring.len());
        adder.sum += sum;
        adder.done += u64::try_from(count).unwrap_or(0);
        adder.ring.clear();
    }
    Signalling::section(|sig| queue.check(sig));
}

/// What a submission ioctl does.
fn submit(ctx: &mut MayBlock, queue: &Queue<AdderQueue>, numbers: &[u32]) -> Result {
    let mut batch = Batch::new();
    for &number in numbers {
        // Everything that can fail, before anything has happened.
        let job = queue.prepare(ctx, Add { number, seqno: 0 }, 1)?;
        batch.push(ctx, job)?;
    }
    // From here on nothing can.
    batch.commit(ctx, |_sig, _fences| {
        // The fences go into syncobjs and reservations here.
    });
    Ok(())
}

#[kunit_tests(job_example)]
mod tests {
    use super::*;

    #[test]
    fn it_adds() -> Result {
        let mut ctx = MayBlock::new();
        let domain = Domain::new(&ctx, c"adder")?;
        let config = QueueConfig {
            credits: 16,
            timeout: None,
            on_dependency_error: OnDependencyError::Run,
        };
        let queue = Queue::new::<Names>(&ctx, &domain, config, AdderQueue::new())?;

        submit(&mut ctx, &queue, &[1, 2, 3])?;
        let fence = queue.last_fence().ok_or(ENOENT)?;
        assert!(!fence.is_signaled());
        interrupt(&queue);
        assert!(fence.is_signaled());
        assert_eq!(queue.backend().adder.lock().sum, 6);
        queue.teardown(&mut ctx, ENODEV);
        Ok(())
    }
}
