// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Running and completing jobs. The rules are at the top of `queue.rs`.

use core::ptr::NonNull;

use kernel::{
    error::code::ECANCELED,
    prelude::*,
    sync::Arc, //
};

use crate::{
    deps::Deps,
    fifo::Fifo,
    Signalling, //
};

use super::{
    Backend,
    Inner,
    Node,
    OnDependencyError,
    Run,
    State, //
};

/// Who runs a job.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The task that has made it possible.
    Direct,
    /// A worker.
    Worker,
}

impl<B: Backend> Inner<B> {
    /// Runs all jobs that can run, unless somebody is doing so; signals those that ended meanwhile.
    pub(super) fn advance(this: &Arc<Self>, who: Who, sig: &Signalling<'_>) {
        // Some end without the hardware, and the hardware may be quick; and their credits may be what
        // the next one waits for.
        while Self::run_ready(this, who, sig) && Self::drain(this, sig) {}
    }

    /// Runs all jobs that can run, unless somebody is doing so. Returns whether there is something to
    /// signal.
    ///
    /// A job that waits for nothing costs three rounds of the lock, not more: this is the way of every
    /// submission.
    fn run_ready(this: &Arc<Self>, who: Who, sig: &Signalling<'_>) -> bool {
        let mut state = this.state.lock();
        if state.runner {
            state.again = true;
            return false;
        }
        state.runner = true;

        let mut moved = false;
        loop {
            let mut started = false;
            state.starved = false;
            while let Some((first, given_up)) = state.candidate() {
                // SAFETY: Only the runner, which this task is, pops from `waiting`. Others add to it,
                // which touches nothing of this node but its link.
                let deps = unsafe { &(*first.as_ptr()).deps };
                let dependencies = if deps.is_empty() {
                    Some(Ok(()))
                } else {
                    // Fences are touched without the lock.
                    drop(state);
                    let dependencies = Self::look(deps, given_up);
                    state = this.state.lock();
                    dependencies
                };
                let Some((verdict, mut node)) =
                    dependencies.and_then(|result| Self::take(this, &mut state, result))
                else {
                    break;
                };
                drop(state);

                // One that has ended is on its second way through, behind one that is run again.
                let run = node.outcome.is_none() && verdict.is_ok();
                if node.outcome.is_none() {
                    node.outcome = match verdict.and_then(|()| this.backend.run(&mut node.job, sig))
                    {
                        Ok(Run::Started) => {
                            started = true;
                            None
                        }
                        Ok(Run::Done) => Some(Ok(())),
                        Err(err) => Some(Err(err)),
                    };
                }

                state = this.state.lock();
                Self::put(this, &mut state, node, run.then_some(who));
                moved = true;
            }
            if started {
                drop(state);
                this.backend.doorbell(sig);
                state = this.state.lock();
            }

            if !core::mem::take(&mut state.again) {
                state.runner = false;
                if state.stopped > 0 || state.abandoned {
                    this.quiet.notify_all();
                }
                state.poll(&this.backend);
                return moved && (state.has_ended() || state.abandoned);
            }
        }
    }

    /// What has become of the dependencies of the first waiting job; `None` if it has to wait, and a
    /// worker will be woken. For the runner.
    fn look(deps: &Deps, given_up: Option<Error>) -> Option<Result> {
        if given_up.is_some() {
            deps.disarm();
            return Some(Ok(()));
        }
        // SAFETY: The node stays in `waiting`, and with it the queue exists, until the answer is
        // another one or `disarm` is called above, by this or a later runner.
        unsafe { deps.ready() }
    }

    /// Takes the first job off `waiting`, unless it lacks credits; says whether it is to be run.
    fn take(
        this: &Arc<Self>,
        state: &mut State<B>,
        dependencies: Result,
    ) -> Option<(Result, KBox<Node<B>>)> {
        // It may have been closed or cancelled while nobody held the lock.
        let verdict = match (
            state.given_up(),
            dependencies,
            this.config.on_dependency_error,
        ) {
            (Some(err), _, _) | (None, Err(err), OnDependencyError::Fail) => Err(err),
            _ => Ok(()),
        };
        if verdict.is_ok() {
            let cost = state.waiting.first().map_or(0, |node| node.cost);
            if cost > state.credits {
                state.starved = true;
                return None;
            }
            state.credits -= cost;
        }
        let mut node = state.waiting.pop()?;
        if verdict.is_err() {
            node.cost = 0;
        }
        this.note_taken(&node);
        state.on_its_way = Some(node.seqno());
        Some((verdict, node))
    }

    /// Puts a job behind those in `running`, and counts who has run it.
    fn put(this: &Arc<Self>, state: &mut State<B>, node: KBox<Node<B>>, ran_by: Option<Who>) {
        state.on_its_way = None;
        match ran_by {
            Some(Who::Direct) => state.ran_directly += 1,
            Some(Who::Worker) => state.ran_by_worker += 1,
            None => {}
        }
        let first = state.running.is_empty();
        state.running.push(node);
        if first {
            Self::front_changed(this, state);
        }
    }

    /// Signals the jobs that have ended, unless somebody is doing so. Returns whether a job waits for
    /// nothing but credits, of which there may now be some.
    pub(super) fn drain(this: &Arc<Self>, sig: &Signalling<'_>) -> bool {
        let mut ended = Fifo::new();
        let mut signaller = false;
        loop {
            {
                let mut state = this.state.lock();
                state.poll(&this.backend);
                if state.signaller && !signaller {
                    return false;
                }
                Self::take_ended(this, &mut state, &mut ended);
                signaller = !ended.is_empty();
                state.signaller = signaller;
                if !signaller {
                    if state.abandoned {
                        this.quiet.notify_all();
                    }
                    if state.is_empty() {
                        // It has signalled, and an idle queue has no use for it.
                        state.last = None;
                    }
                    return state.starved;
                }
            }
            Self::signal(this, &mut ended, sig);
        }
    }

    /// Takes the jobs off that have ended and that no job before them holds up.
    fn take_ended(this: &Arc<Self>, state: &mut State<B>, ended: &mut Fifo<Node<B>>) {
        while state.has_ended() {
            if let Some(node) = state.running.pop() {
                state.credits += node.cost;
                ended.push(node);
            }
        }
        if !ended.is_empty() {
            Self::front_changed(this, state);
        }
    }

    fn signal(this: &Arc<Self>, ended: &mut Fifo<Node<B>>, sig: &Signalling<'_>) {
        let mut reap = false;
        while let Some(mut node) = ended.pop() {
            if let Some(fence) = node.fence.take() {
                fence.signal(node.outcome.unwrap_or(Ok(())), sig);
            }
            if B::DEFER_DROP {
                let mut state = this.state.lock();
                reap |= state.done.is_empty() && !state.detached;
                state.done.push(node);
            }
        }
        if reap {
            Self::kick_ordinary(this);
        }
    }
}

impl<B: Backend> State<B> {
    /// Whether no job waits, is about to run, or runs.
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty() && self.on_its_way.is_none()
    }

    /// Whether the oldest of the running jobs has ended.
    fn has_ended(&self) -> bool {
        matches!(self.running.first(), Some(node) if node.outcome.is_some())
    }

    /// The first waiting job, and why it is not to be run, unless the queue is stopped.
    fn candidate(&self) -> Option<(NonNull<Node<B>>, Option<Error>)> {
        let first = self.waiting.first_ptr()?;
        let given_up = self.given_up();
        (self.stopped == 0 || given_up.is_some()).then_some((first, given_up))
    }

    /// Why the first waiting job is not to be run.
    fn given_up(&self) -> Option<Error> {
        let cancelled = |node: NonNull<Node<B>>| {
            // SAFETY: The node is in the list. Others, who may be using it, share it as well.
            unsafe { node.as_ref() }.cancelled.get()
        };
        self.closed
            .or_else(|| self.waiting.first_ptr().and_then(cancelled))
    }

    /// Writes down which jobs the hardware has finished.
    pub(super) fn poll(&mut self, backend: &B) {
        let given_up = self.abandoned.then_some(self.closed.unwrap_or(ECANCELED));

        self.running.for_each_mut(|node| {
            if node.outcome.is_none() {
                node.outcome = backend.poll(&node.job).or(given_up.map(Err));
            }
            node.outcome.is_some()
        });
    }
}
