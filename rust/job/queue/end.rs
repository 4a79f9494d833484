// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Ending jobs before their time, and taking them back from the hardware. The rules are at the top of
//! `queue.rs`.

use kernel::{
    error::code::EBUSY,
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    fifo::Fifo,
    Signalling, //
};

use super::{
    Backend,
    Inner,
    Queue,
    State,
    Who, //
};

/// What [`Queue::cancel`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The job was waiting. It will not be run; its fence signals with the error, after those of the
    /// jobs before it.
    Waiting,
    /// The job was given to the hardware, or is on its way there. It stays: see
    /// [`Queue::finish_running`].
    Running,
    /// There is no such job, or how it ends is decided: it has ended or was cancelled, though its fence may
    /// not have had its turn yet.
    Gone,
}

/// What becomes of a job that was on the hardware when that was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewind {
    /// It is still there: the hardware has saved it and will go on with it.
    Keep,
    /// It is run again, before the jobs that wait.
    Rerun,
    /// It ends with this error.
    Fail(Error),
}

impl<B: Backend> Inner<B> {
    /// Closes the queue, unless it is closed. Called under `state`.
    pub(super) fn close_locked(&self, state: &mut State<B>, err: Error) {
        state.closed.get_or_insert(err);
        self.refuses.store(true, Relaxed);
    }

    fn mark_closed(&self, err: Error) {
        self.close_locked(&mut self.state.lock(), err);
    }

    /// Marks those waiting jobs that `f` has an error for. Returns how many.
    fn mark_cancelled(&self, mut f: impl FnMut(u64, &B::Job) -> Option<Error>) -> usize {
        let state = self.state.lock();
        let mut count = 0;

        for node in state.waiting.iter_ptr() {
            // SAFETY: The node stays in the list as long as the lock is held. Others, who may be
            // using it, share it as well.
            let node = unsafe { node.as_ref() };
            if node.cancelled.get().is_some() || node.outcome.is_some() {
                continue;
            }
            if let Some(err) = f(node.seqno(), &node.job) {
                node.cancelled.set(Some(err));
                count += 1;
            }
        }
        count
    }
}

impl<B: Backend> Queue<B> {
    /// Ends the job whose fence has this seqno with `err`, unless the hardware has it.
    ///
    /// What it was waiting for does not hold it up any more, but its fence signals in its turn.
    ///
    /// Not to be called under the lock of a fence.
    pub fn cancel(&self, seqno: u64, err: Error, sig: &Signalling<'_>) -> Cancelled {
        if self.cancel_waiting(sig, |n, _| (n == seqno).then_some(err)) != 0 {
            return Cancelled::Waiting;
        }
        let state = self.inner.state.lock();
        // The numbers in a queue have no gaps, so what has left neither waits nor runs.
        let running = state
            .running
            .iter_ptr()
            // SAFETY: The node stays in the list as long as the lock is held.
            .any(|node| unsafe { node.as_ref() }.seqno() == seqno);
        if running || state.on_its_way == Some(seqno) {
            Cancelled::Running
        } else {
            Cancelled::Gone
        }
    }

    /// Ends those waiting jobs for which `f`, given seqno and job, has an error. Called under a
    /// spinlock. Returns how many there were.
    ///
    /// For hardware queues that several files share: when one of them closes, its jobs end.
    ///
    /// Not to be called under the lock of a fence.
    pub fn cancel_waiting(
        &self,
        sig: &Signalling<'_>,
        f: impl FnMut(u64, &B::Job) -> Option<Error>,
    ) -> usize {
        let inner = &self.inner;
        let count = inner.mark_cancelled(f);

        if count != 0 {
            Inner::advance(inner, Who::Direct, sig);
        }
        count
    }

    /// Closes the queue: nothing is run any more. Jobs that wait, and those that are committed later,
    /// end with `err`. Jobs on the hardware stay there; see [`Queue::finish_running`]. The first
    /// call decides over the error.
    ///
    /// A task that is inside of [`Backend::run`] at this moment goes on; its job is on the hardware
    /// afterwards. [`Queue::stop`] waits for it.
    ///
    /// Not to be called under the lock of a fence.
    pub fn close(&self, err: Error, sig: &Signalling<'_>) {
        self.inner.mark_closed(err);
        Inner::advance(&self.inner, Who::Direct, sig);
    }

    /// Closes several queues, such as those of a file that goes away: none of their jobs is run
    /// because the end of another one has released it.
    ///
    /// Not to be called under the lock of a fence.
    pub fn close_all<'a>(
        queues: impl Iterator<Item = &'a Self> + Clone,
        err: Error,
        sig: &Signalling<'_>,
    ) {
        for queue in queues.clone() {
            queue.inner.mark_closed(err);
        }
        for queue in queues {
            Inner::advance(&queue.inner, Who::Direct, sig);
        }
    }

    /// Ends those jobs on the hardware for which `f` has a result. Called under a spinlock, oldest
    /// job first. Their fences signal after those of the jobs before them.
    pub fn finish_running(
        &self,
        sig: &Signalling<'_>,
        mut f: impl FnMut(&B::Job) -> Option<Result>,
    ) {
        let inner = &self.inner;
        inner.state.lock().running.for_each_mut(|node| {
            if node.outcome.is_none() {
                node.outcome = f(&node.job);
            }
            true
        });
        if Inner::drain(inner, sig) {
            Inner::kick(inner);
        }
    }

    /// After a reset: hands back the jobs that the hardware had and has not finished, oldest first,
    /// and does with each what `f` says. Called under a spinlock. Returns how many will be run again.
    ///
    /// Jobs keep their order, so once one is to be run again, those after it that would be kept are
    /// as well. They run when the queue is restarted. A job that is run again has its full time.
    ///
    /// Sleeps as [`Queue::stop`] does.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the queue was not stopped; nothing has changed then.
    pub fn rewind(
        &self,
        sig: &Signalling<'_>,
        mut f: impl FnMut(&mut B::Job) -> Rewind,
    ) -> Result<usize> {
        let inner = &self.inner;
        let mut kept = Fifo::new();
        let mut back = Fifo::new();
        let mut reruns = 0;
        {
            let mut state = inner.state.lock();
            if state.stopped == 0 {
                return Err(EBUSY);
            }
            // Even in a stopped queue somebody may be about to take off a job that was cancelled.
            while state.runner {
                inner.quiet.wait(&mut state);
            }
            state.poll(&inner.backend);
            while let Some(mut node) = state.running.pop() {
                let mut rerun = false;
                if node.outcome.is_none() {
                    match f(&mut node.job) {
                        Rewind::Keep => rerun = !back.is_empty(),
                        Rewind::Rerun => rerun = true,
                        Rewind::Fail(err) => node.outcome = Some(Err(err)),
                    }
                }
                if !rerun && back.is_empty() {
                    kept.push(node);
                    continue;
                }
                state.credits += node.cost;
                if rerun {
                    node.timed_out = false;
                    reruns += 1;
                } else {
                    node.cost = 0;
                }
                inner.note_waiting(&node);
                back.push(node);
            }
            back.append(core::mem::replace(&mut state.waiting, Fifo::new()));
            state.waiting = back;
            state.running = kept;
            Inner::front_changed(inner, &mut state);
        }
        Inner::drain(inner, sig);
        Ok(reruns)
    }
}
