// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Jobs, and the lanes in which they wait for their turn.
//!
//! A file has several lanes, each of which is a queue that has one job under way at a time. Jobs that
//! depend on each other share a lane where they can; jobs that don't are in different ones, so that
//! one file can use all cores.
//!
//! # Locking
//!
//! How a job ended is one atomic word: written once by whoever ends it, read by the queue under a
//! spinlock.
//!
//! # Ordering
//!
//! What the core has written is there before the outcome is.
//!
//! # Blocking
//!
//! A job holds its buffers and is dropped by a worker, where that may sleep. Those who run it hold its
//! [`Work`], which owns nothing that is freed with a lock.

use job::{
    Backend,
    FenceNames,
    OnDependencyError,
    Queue,
    QueueConfig,
    Run,
    Signalling, //
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc, //
    }, //
};

use crate::{
    gem::Bo,
    module_parameters,
    regs::{
        Lists,
        MAX_LISTS, //
    },
    sched::{
        Sched,
        Ticket, //
    },
    space::Space, //
};

/// Longest list, in words.
const MAX_WORDS: u32 = 2 << 16;

/// One register list.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    /// Where it is.
    pub(crate) iova: u32,
    /// Its words.
    pub(crate) words: u32,
    /// How many lists one kick runs from here on.
    chain: u16,
}

impl Task {
    /// # Errors
    ///
    /// `EINVAL` for a list without words, one that is too long for the hardware, or a bad address.
    pub(crate) fn new(iova: u32, words: u32) -> Result<Self> {
        if words == 0 || words > MAX_WORDS || iova % 16 != 0 {
            return Err(EINVAL);
        }
        Ok(Self {
            iova,
            words,
            chain: 1,
        })
    }

    /// Pairs of words, less one; an odd word counts as a pair.
    pub(crate) fn pairs(&self) -> u16 {
        // Never out of range, by `new`.
        u16::try_from(self.words.div_ceil(2) - 1).unwrap_or(u16::MAX)
    }

    /// What one kick runs from here on.
    pub(crate) fn lists(&self) -> Lists {
        Lists {
            iova: self.iova,
            pairs: self.pairs(),
            count: self.chain,
        }
    }
}

/// Finds out which lists are chained.
fn link(tasks: &mut [Task], chained: impl Fn(&Task, &Task) -> bool) {
    let mut next: Option<Task> = None;

    for task in tasks.iter_mut().rev() {
        task.chain = match next {
            Some(next) if next.chain < MAX_LISTS && chained(task, &next) => next.chain + 1,
            _ => 1,
        };
        next = Some(*task);
    }
}

/// The job has not ended. No errno has this value.
const PENDING: i32 = 1;

/// What a core needs to know of a job.
pub(crate) struct Work {
    /// The address space that it runs in.
    pub(crate) space: Arc<Space>,
    /// The file that it is of, and the lane in that.
    pub(crate) client: u64,
    pub(crate) lane: usize,
    /// What is to be run.
    pub(crate) tasks: KVVec<Task>,
    queue: Arc<Queue<Lane>>,
    outcome: Atomic<i32>,
}

impl Work {
    /// Ends it. The queue, which is returned, has to be told, once the caller has dropped the work.
    pub(crate) fn end(&self, result: Result) -> Arc<Queue<Lane>> {
        let queue = self.queue.clone();
        let outcome = result.map_or_else(|err| err.to_errno(), |()| 0);

        self.outcome.store(outcome, Release);
        queue
    }

    fn outcome(&self) -> Option<Result> {
        match self.outcome.load(Acquire) {
            PENDING => None,
            0 => Some(Ok(())),
            errno => Some(Err(Error::from_errno(errno))),
        }
    }
}

/// A job in a queue.
pub(crate) struct Job {
    work: Arc<Work>,
    _buffers: KVVec<ARef<Bo>>,
    _tickets: Arc<KVec<Ticket>>,
}

impl Job {
    /// A job for `lane`. Looks at the lists to find out what can be run in one go, if that is wanted.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        space: &Arc<Space>,
        lane: &Arc<Queue<Lane>>,
        mut tasks: KVVec<Task>,
        buffers: KVVec<ARef<Bo>>,
        tickets: &Arc<KVec<Ticket>>,
    ) -> Result<Self> {
        if module_parameters::chain.value() {
            link(&mut tasks, |task, next| space.is_chained(task, next));
        }
        Ok(Self {
            work: Arc::new(
                Work {
                    space: space.clone(),
                    client: lane.backend().client,
                    lane: lane.backend().index,
                    tasks,
                    queue: lane.clone(),
                    outcome: Atomic::new(PENDING),
                },
                GFP_KERNEL_ACCOUNT,
            )?,
            _buffers: buffers,
            _tickets: tickets.clone(),
        })
    }
}

/// A queue of jobs of one file.
pub(crate) struct Lane {
    sched: Arc<Sched>,
    client: u64,
    index: usize,
}

struct Names;

impl FenceNames for Names {
    const DRIVER: &'static CStr = c"rocket";
    const TIMELINE: &'static CStr = c"rknn";
}

impl Lane {
    /// An empty lane.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn queue(
        ctx: &job::MayBlock,
        domain: &job::Domain,
        sched: &Arc<Sched>,
        client: u64,
        index: usize,
    ) -> Result<Arc<Queue<Self>>> {
        let config = QueueConfig {
            credits: 1,
            // A core watches its jobs itself: how long they may take depends on them.
            timeout: None,
            on_dependency_error: OnDependencyError::Run,
        };
        let lane = Self {
            sched: sched.clone(),
            client,
            index,
        };

        Ok(Arc::new(
            Queue::new::<Names>(ctx, domain, config, Ok::<_, Error>(lane))?,
            GFP_KERNEL,
        )?)
    }
}

impl Backend for Lane {
    type Job = Job;

    const DEFER_DROP: bool = true;

    fn run(&self, job: &mut Job, sig: &Signalling<'_>) -> Result<Run> {
        if let Some(start) = self.sched.enqueue(job.work.clone())? {
            start.go(sig);
        }
        Ok(Run::Started)
    }

    fn doorbell(&self, _sig: &Signalling<'_>) {}

    fn poll(&self, job: &Job) -> Option<Result> {
        job.work.outcome()
    }
}

#[kernel::macros::kunit_tests(rknn_job)]
mod tests {
    use super::*;

    fn tasks<const N: usize>() -> [Task; N] {
        [Task {
            iova: 0,
            words: 128,
            chain: 1,
        }; N]
    }

    #[test]
    fn lists_that_are_chained_go_in_one_kick() {
        let mut tasks = tasks::<4>();
        link(&mut tasks, |_, _| true);
        assert_eq!(tasks.map(|task| task.chain), [4, 3, 2, 1]);
    }

    #[test]
    fn lists_that_are_not_chained_go_one_by_one() {
        let mut tasks = tasks::<3>();
        link(&mut tasks, |_, _| false);
        assert_eq!(tasks.map(|task| task.chain), [1, 1, 1]);
    }

    #[test]
    fn lists_without_words_are_refused() {
        assert!(Task::new(0, 0).is_err());
        assert!(Task::new(16, MAX_WORDS).is_ok());
        assert!(Task::new(16, MAX_WORDS + 1).is_err());
        assert!(Task::new(8, 2).is_err());
    }

    #[test]
    fn odd_words_count_as_a_pair() {
        assert_eq!(Task::new(0, 1).map(|task| task.pairs()), Ok(0));
        assert_eq!(Task::new(0, 2).map(|task| task.pairs()), Ok(0));
        assert_eq!(Task::new(0, 3).map(|task| task.pairs()), Ok(1));
        assert_eq!(
            Task::new(0, MAX_WORDS).map(|task| task.pairs()),
            Ok(u16::MAX)
        );
    }
}
