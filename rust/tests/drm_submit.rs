// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Submissions with syncobjs, on two queues whose hardware does what user space says.
//!
//! **Locking.** The log and the counters of a queue are behind one spinlock each, which is taken inside
//! of the job queue's own.
//!
//! **Ordering.** As of any submission: copy, look up, prepare, commit.
//!
//! **Blocking.** Nothing here waits for a fence.

use drm::{
    exec,
    resv::Usage,
    syncs::{
        Point,
        Requests,
        SyncOp, //
    },
    uobj,
    Entered,
    File, //
};
use job::{
    Backend,
    Domain,
    FenceNames,
    MayBlock,
    OnDependencyError,
    Queue,
    QueueConfig,
    Run,
    Signalling, //
};
use kernel::{
    new_spinlock_irq,
    prelude::*,
    sync::{
        Arc,
        SpinLockIrq, //
    }, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use crate::{
    Finish,
    Ran,
    Submit,
    Test, //
};

/// Most jobs whose names are kept, of all queues of a file.
const LOG: usize = 256;

pub(crate) const QUEUES: usize = 2;

/// An entry of a submission. The hardware has run the job when its name is in the log, and has done it
/// when it was told to.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Entry {
    queue: u32,
    name: u32,
    syncs: u64,
    count: u32,
    pad: u32,
}

/// Bit 0 of `flags` means the timeline, bit 1 a signal.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct Op {
    flags: u32,
    handle: u32,
    point: u64,
}

/// The names of the jobs that were run, in that order.
#[pin_data]
pub(crate) struct Log {
    #[pin]
    names: SpinLockIrq<KVec<u32>>,
}

struct Progress {
    started: u64,
    done: u64,
}

#[pin_data]
struct Hardware {
    log: Arc<Log>,
    #[pin]
    progress: SpinLockIrq<Progress>,
}

pub(crate) struct Job {
    name: u32,
    number: u64,
}

impl Backend for Hardware {
    type Job = Job;

    fn run(&self, job: &mut Job, _sig: &Signalling<'_>) -> Result<Run> {
        {
            let mut progress = self.progress.lock();

            progress.started += 1;
            job.number = progress.started;
        }
        // What does not fit in any more is not looked at.
        let _ = self.log.names.lock().push_within_capacity(job.name);
        Ok(Run::Started)
    }

    fn doorbell(&self, _sig: &Signalling<'_>) {}

    fn poll(&self, job: &Job) -> Option<Result> {
        (self.progress.lock().done >= job.number).then_some(Ok(()))
    }
}

struct Names;

impl FenceNames for Names {
    const DRIVER: &'static CStr = c"drm_selftest";
    const TIMELINE: &'static CStr = c"queue";
}

/// The queues of an open file.
pub(crate) struct Queues {
    // Before the domain, which must be dropped last.
    queues: [Queue<Hardware>; QUEUES],
    log: Arc<Log>,
    _domain: Domain,
}

impl Queues {
    pub(crate) fn new() -> Result<Self> {
        let ctx = MayBlock::new();
        let domain = Domain::new(&ctx, c"drm-selftest")?;
        let names = KVec::with_capacity(LOG, GFP_KERNEL)?;
        let log = Arc::pin_init(
            pin_init!(Log {
                names <- new_spinlock_irq!(names),
            }),
            GFP_KERNEL,
        )?;
        let queue = || {
            let config = QueueConfig {
                credits: u32::MAX,
                timeout: None,
                // So that dependencies between jobs of one queue are kept as well.
                on_dependency_error: OnDependencyError::Fail,
            };
            let log = log.clone();
            let hardware = try_pin_init!(Hardware {
                log,
                progress <- new_spinlock_irq!(Progress { started: 0, done: 0 }),
            });

            Queue::new::<Names>(&ctx, &domain, config, hardware)
        };

        Ok(Self {
            queues: [queue()?, queue()?],
            log,
            _domain: domain,
        })
    }

    fn get(&self, index: u32) -> Result<&Queue<Hardware>> {
        self.queues.get(usize::try_from(index)?).ok_or(EINVAL)
    }
}

fn parse(raw: &Op) -> Result<SyncOp> {
    let point = match raw.flags & 1 {
        0 => Point::Binary,
        _ => Point::Timeline(raw.point),
    };

    match raw.flags >> 1 {
        0 => Ok(SyncOp::wait(raw.handle, point)),
        1 => Ok(SyncOp::signal(raw.handle, point)),
        _ => Err(EINVAL),
    }
}

/// Makes a job of each entry.
pub(crate) fn submit(_: &Entered<'_, Test>, args: &mut Submit, file: &File<Test>) -> Result<u32> {
    let entries = uobj::read_array::<Entry>(
        args.entries,
        args.count,
        args.stride,
        drm::min_size!(Entry, pad),
    )?;
    let mut ctx = MayBlock::new();
    let mut requests = Requests::with_capacity(&ctx, entries.len())?;

    for entry in &entries {
        file.queues.get(entry.queue)?;

        let stride = u32::try_from(size_of::<Op>())?;
        let min = drm::min_size!(Op, point);
        let raw = uobj::read_array::<Op>(entry.syncs, entry.count, stride, min)?;

        requests.push(&ctx, &raw, parse)?;
    }

    let syncs = requests.resolve(&ctx, file)?;
    let batch = syncs.prepare(&ctx, |index| {
        let entry = entries.get(index).ok_or(EINVAL)?;
        let job = Job {
            name: entry.name,
            number: 0,
        };

        file.queues.get(entry.queue)?.prepare(&ctx, job, 1)
    })?;
    let slots = u32::try_from(batch.len())?;
    let published = exec::with_locked(
        exec::Flags::INTERRUPTIBLE.or(exec::Flags::IGNORE_DUPLICATES),
        slots,
        |attempt| file.vm.prepare(attempt),
        |locked| {
            Ok(batch.commit(&mut ctx, |sig, fences| {
                for fence in fences {
                    // There are as many slots as jobs.
                    let _ = file
                        .vm
                        .add_fence(locked, fence, Usage::Bookkeep, Usage::Bookkeep);
                }
                syncs.publish(sig, fences)
            }))
        },
    )?;

    drop(published);
    Ok(0)
}

/// Lets the hardware of a queue finish some jobs, or what it has. Returns how many those were.
pub(crate) fn finish(_: &Entered<'_, Test>, args: &mut Finish, file: &File<Test>) -> Result<u32> {
    let queue = file.queues.get(args.queue)?;
    let count = {
        let mut progress = queue.backend().progress.lock();
        let count = (progress.started - progress.done).min(u64::from(args.count));

        progress.done += count;
        count
    };

    Signalling::section(|sig| queue.check(sig));
    Ok(u32::try_from(count)?)
}

/// The names of the jobs that were run since the last time; `count` is how many.
pub(crate) fn ran(_: &Entered<'_, Test>, args: &mut Ran, file: &File<Test>) -> Result<u32> {
    let mut names = file.queues.log.names.lock();

    args.names = [0; LOG];
    for (to, from) in args.names.iter_mut().zip(names.iter()) {
        *to = *from;
    }
    args.count = u32::try_from(names.len())?;
    names.clear();
    Ok(0)
}
