// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Running and completing jobs. The rules are at the top of `queue.rs`.

use kernel::{
    error::{
        code::ECANCELED,
        Error, //
    },
    sync::Arc, //
};

use crate::{
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

    /// Runs all jobs that can run, unless somebody is doing so. Returns whether there were any.
    fn run_ready(this: &Arc<Self>, who: Who, sig: &Signalling<'_>) -> bool {
        {
            let mut state = this.state.lock();
            if state.runner {
                state.again = true;
                return false;
            }
            state.runner = true;
        }

        let mut moved = false;
        loop {
            let mut started = false;
            while Self::run_next(this, who, sig, &mut started) {
                moved = true;
            }
            if started {
                this.backend.doorbell(sig);
            }

            let mut state = this.state.lock();
            if !core::mem::take(&mut state.again) {
                state.runner = false;
                if state.stopped > 0 || state.abandoned {
                    this.quiet.notify_all();
                }
                return moved;
            }
        }
    }

    /// Moves the first waiting job to `running`, if it can go. For the runner.
    fn run_next(this: &Arc<Self>, who: Who, sig: &Signalling<'_>, started: &mut bool) -> bool {
        let (first, given_up) = {
            let mut state = this.state.lock();
            state.starved = false;
            let Some(first) = state.waiting.first_ptr() else {
                return false;
            };
            let given_up = state.given_up();
            if state.stopped > 0 && given_up.is_none() {
                return false;
            }
            (first, given_up)
        };

        // SAFETY: Only the runner, which this task is, pops from `waiting`. Others add to it, which
        // touches nothing of this node but its link.
        let deps = unsafe { &(*first.as_ptr()).deps };
        let dependencies = if given_up.is_some() {
            deps.disarm();
            Ok(())
        } else {
            // SAFETY: The node stays in `waiting`, and with it the queue exists, until the answer is
            // another one or `disarm` is called above, by this or a later runner.
            match unsafe { deps.ready() } {
                Some(result) => result,
                None => return false,
            }
        };

        let (verdict, mut node) = {
            let mut state = this.state.lock();
            // Looked at again: it may have been closed or cancelled in between.
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
                    return false;
                }
                state.credits -= cost;
            }
            let Some(mut node) = state.waiting.pop() else {
                return false;
            };
            if verdict.is_err() {
                node.cost = 0;
            }
            this.note_taken(&node);
            state.on_its_way = Some(node.seqno());
            (verdict, node)
        };

        // One that has ended is on its second way through, behind one that is run again.
        let run = node.outcome.is_none() && verdict.is_ok();
        if node.outcome.is_none() {
            node.outcome = match verdict.and_then(|()| this.backend.run(&mut node.job, sig)) {
                Ok(Run::Started) => {
                    *started = true;
                    None
                }
                Ok(Run::Done) => Some(Ok(())),
                Err(err) => Some(Err(err)),
            };
        }

        let mut state = this.state.lock();
        state.on_its_way = None;
        if run {
            match who {
                Who::Direct => state.ran_directly += 1,
                Who::Worker => state.ran_by_worker += 1,
            }
        }
        let first = state.running.is_empty();
        state.running.push(node);
        if first {
            Self::front_changed(this, &mut state);
        }
        true
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
        while matches!(state.running.first(), Some(node) if node.outcome.is_some()) {
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

    /// Why the first waiting job is not to be run.
    fn given_up(&self) -> Option<Error> {
        let cancelled = |node: core::ptr::NonNull<Node<B>>| {
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
