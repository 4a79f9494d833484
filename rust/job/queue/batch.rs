// SPDX-License-Identifier: GPL-2.0 OR MIT

//! From preparation to commit.

use kernel::{
    error::code::EINVAL,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

use crate::{
    deps::{
        Deps,
        Waker, //
    },
    Fence,
    FenceSlot,
    Few,
    MayBlock,
    Signalling, //
};

use super::{
    Backend,
    Inner,
    Node,
    OnDependencyError,
    Who, //
};

/// A job that has all the memory it will need. Dropping it undoes everything, silently.
pub struct Prepared<B: Backend> {
    // Before `queue`: the node refers to it.
    node: KBox<Node<B>>,
    queue: Arc<Inner<B>>,
}

impl<B: Backend> Prepared<B> {
    pub(super) fn new(
        ctx: &MayBlock,
        queue: &Arc<Inner<B>>,
        job: B::Job,
        cost: u32,
    ) -> Result<Self> {
        let fence = FenceSlot::new(ctx)?.arm_unnumbered(&queue.timeline);
        // SAFETY: The dependencies are armed only while the node is in the queue's list, so the queue
        // exists, and not only that: as it is one of its own jobs that is in the list, somebody
        // holds a reference to it. `wake` accepts a pointer to it.
        let waker = unsafe { Waker::new(Arc::as_ptr(queue).cast(), wake::<B>) };

        Ok(Self {
            node: KBox::new(Node::new(job, fence, Deps::new(waker), cost), GFP_KERNEL)?,
            queue: queue.clone(),
        })
    }

    /// The driver's part.
    pub fn job(&self) -> &B::Job {
        &self.node.job
    }

    /// The driver's part.
    pub fn job_mut(&mut self) -> &mut B::Job {
        &mut self.node.job
    }

    /// Lets the job wait for `fence`.
    ///
    /// What has signalled is left out, and what is implied by one of the first dozens: of two fences of
    /// one context the later one is kept; earlier jobs of the same queue are left out if their errors do
    /// not matter. Arrays and chains are taken apart.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also for more than fit into one piece of memory: tens of thousands.
    pub fn add_dependency(&mut self, ctx: &MayBlock, fence: &Fence) -> Result {
        let except = match self.queue.config.on_dependency_error {
            OnDependencyError::Run => Some(self.queue.timeline.context()),
            OnDependencyError::Fail => None,
        };
        self.node.deps.add(ctx, fence, except)
    }

    /// How many fences the job waits for.
    pub fn dependencies(&self) -> usize {
        self.node.deps.len()
    }
}

/// Wakes a worker for the queue.
///
/// # Safety
///
/// `queue` must point to an `Inner<B>` that is inside of an `Arc`, to which somebody holds a reference
/// during the call.
unsafe fn wake<B: Backend>(queue: *const kernel::ffi::c_void) {
    // SAFETY: By the requirement of this function. The reference is not ours, so it is not dropped.
    let queue = core::mem::ManuallyDrop::new(unsafe { Arc::from_raw(queue.cast::<Inner<B>>()) });

    Inner::kick(&queue);
}

struct Entry<B: Backend> {
    queue: Arc<Inner<B>>,
    /// Taken by the commit.
    node: Option<KBox<Node<B>>>,
}

/// How many jobs have room in a batch. A GPU driver of user space has a handful of queues.
const FEW: usize = 4;

/// Prepared jobs for one or several queues of a domain, to be committed together.
pub struct Batch<B: Backend> {
    jobs: Few<Entry<B>, FEW>,
    fences: Few<ARef<Fence>, FEW>,
}

impl<B: Backend> Batch<B> {
    /// An empty batch. Neither this nor the first few jobs allocate.
    #[allow(clippy::new_without_default, reason = "there is no default batch")]
    pub fn new() -> Self {
        Self {
            jobs: Few::new(),
            fences: Few::new(),
        }
    }

    /// Adds a job after the others. Returns its index.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if the others are of another domain.
    pub fn push(&mut self, _ctx: &MayBlock, job: Prepared<B>) -> Result<usize> {
        if let Some(other) = self.jobs.first() {
            if !Arc::ptr_eq(&other.queue.domain, &job.queue.domain) {
                return Err(EINVAL);
            }
        }
        let fence = job.node.fence.as_ref().ok_or(EINVAL)?.fence().into();

        self.fences.reserve(1, GFP_KERNEL)?;
        self.jobs.push(
            Entry {
                queue: job.queue,
                node: Some(job.node),
            },
            GFP_KERNEL,
        )?;
        self.fences.push(fence, GFP_KERNEL)?;
        Ok(self.jobs.len() - 1)
    }

    /// How many jobs are in it.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The fence of the job at `index`.
    ///
    /// Jobs that are added later may depend on it. It gets its place in its context by the commit, so
    /// nobody else should see it before.
    pub fn fence(&self, index: usize) -> Option<&Fence> {
        self.fences.get(index).map(|fence| &**fence)
    }

    /// Commits all jobs, in their order and as one step among the commits of the domain.
    ///
    /// Runs what can run; then calls `publish` with the fences, in the order of the jobs, for putting
    /// them where others find them. All of that is one signalling section.
    ///
    /// The caller may hold reservations: of what ends here, a [`Backend::Job`] that is not dropped where
    /// it is signalled ([`Backend::DEFER_DROP`]) is left to a worker.
    pub fn commit<R>(
        mut self,
        ctx: &mut MayBlock,
        publish: impl FnOnce(&Signalling<'_>, &[ARef<Fence>]) -> R,
    ) -> R {
        ctx.committing(|sig| {
            self.enter_queues();

            let mut previous: Option<&Arc<Inner<B>>> = None;
            for entry in &self.jobs {
                if !previous.is_some_and(|queue| Arc::ptr_eq(queue, &entry.queue)) {
                    Inner::advance(&entry.queue, Who::Direct, sig);
                }
                previous = Some(&entry.queue);
            }

            publish(sig, &self.fences)
        })
    }

    fn enter_queues(&mut self) {
        let Some(domain) = self.jobs.first().map(|entry| entry.queue.domain.clone()) else {
            return;
        };
        let urgent = soc::worker::current_is_realtime();
        // The order of batches matters to those that are in several queues.
        let first = self.jobs.first().map(|entry| Arc::as_ptr(&entry.queue));
        let one_queue = self
            .jobs
            .iter()
            .all(|entry| Some(Arc::as_ptr(&entry.queue)) == first);
        let _commit = (!one_queue).then(|| domain.commit.lock());

        for (entry, fence) in self.jobs.iter_mut().zip(&self.fences) {
            let Some(mut node) = entry.node.take() else {
                continue;
            };
            let queue = &entry.queue;
            let mut state = queue.state.lock();
            if let Some(fence) = &mut node.fence {
                fence.number(queue.timeline.next_seqno());
                fence.commit();
            }
            state.last = Some(fence.clone());
            node.urgent = urgent;
            queue.note_waiting(&node);
            state.waiting.push(node);
        }
    }
}
