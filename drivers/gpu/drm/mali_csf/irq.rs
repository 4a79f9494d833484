// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Interrupt lines: masked by the hard handler, served and unmasked by the thread.
//!
//! # Locking
//!
//! `state` is a spinlock between those who change the mask and the thread; the hard handler does
//! not take it. Register writes to the block's mask are made under it, except that the hard handler
//! writes 0.
//!
//! # Ordering
//!
//! The hard handler masks before it wakes the thread; the thread unmasks after it has found nothing
//! left. What comes after it has looked raises the line again then. An event that is enabled while the
//! thread runs may raise the line at once: then the hard handler masks again and the thread runs once
//! more.
//!
//! # Blocking
//!
//! Dropping a [`Listening`] waits for the thread: not to be called with anything held that
//! [`Events::handle`] takes. The thread passes the gate for single accesses only, so that a handler
//! which sleeps does not hold up a reset.

use kernel::{
    device, new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    },
};
use soc::irq::{
    Irq,
    IrqHandler,
    Wake, //
};

use crate::regs::{
    irq::Block,
    Regs, //
};

/// What happens when a line is raised.
pub(crate) trait Events: Send + Sync + 'static {
    /// Handles pending and enabled `events`, and clears them in the interrupt block. In the
    /// interrupt thread; may sleep. Returns what was pending after they were cleared, if it has looked.
    ///
    /// A write is on its way for a while. Whoever looks for the cause of an event in memory has to read a
    /// register of the block in between: else an event that comes after the look may be cleared with the old one.
    fn handle(&self, events: u32) -> Option<u32>;
}

/// What the line is allowed to report.
struct State {
    /// Events that are wanted.
    mask: u32,
    /// The line may be raised at all.
    active: bool,
}

/// One interrupt block. It doesn't know its handler, so that what handles the events may hold it.
#[pin_data]
pub(crate) struct Line {
    regs: Arc<Regs>,
    block: Block,
    #[pin]
    state: SpinLock<State>,
}

impl Line {
    /// A line that reports nothing yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(regs: Arc<Regs>, block: Block) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                regs,
                block,
                state <- new_spinlock!(State { mask: 0, active: false }, "Line::state"),
            }),
            GFP_KERNEL,
        )
    }

    /// Changes the state and writes the mask that follows from it.
    fn change(&self, f: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        f(&mut state);
        let mask = if state.active { state.mask } else { 0 };
        if let Some(hw) = self.regs.enter() {
            self.block.set_mask(&hw, mask);
        }
    }

    /// Adds `events` to those that are reported.
    pub(crate) fn enable(&self, events: u32) {
        self.change(|state| state.mask |= events);
    }

    /// Removes `events` from those that are reported.
    pub(crate) fn disable(&self, events: u32) {
        self.change(|state| state.mask &= !events);
    }
}

/// A line, and who handles its events.
struct Handler<T: Events> {
    line: Arc<Line>,
    events: Arc<T>,
}

impl<T: Events> IrqHandler for Handler<T> {
    fn raw(&self) -> Wake {
        let Some(hw) = self.line.regs.enter() else {
            return Wake::None;
        };
        if self.line.block.stat(&hw) == 0 {
            return Wake::None;
        }
        self.line.block.set_mask(&hw, 0);
        Wake::Thread
    }

    fn thread(&self) {
        let Line { regs, block, state } = &*self.line;
        let mut seen = None;
        loop {
            let wanted = state.lock().mask;
            let look = || regs.enter().map(|hw| block.rawstat(&hw));
            let Some(pending) = seen.or_else(look) else {
                return;
            };
            let events = pending & wanted;
            if events == 0 {
                break;
            }
            seen = self.events.handle(events);
        }
        self.line.change(|_| {});
    }
}

/// A requested line. Freed on drop.
pub(crate) struct Requested<T: Events> {
    line: Arc<Line>,
    irq: Irq<Handler<T>>,
}

impl<T: Events> Requested<T> {
    /// Requests the interrupt called `name` of `dev` for `line`, which is masked. It reports nothing
    /// before [`listen`](Self::listen).
    pub(crate) fn new(
        dev: &kernel::platform::Device<device::Bound>,
        name: &CStr,
        label: &'static CStr,
        line: Arc<Line>,
        events: Arc<T>,
    ) -> Result<Arc<Self>> {
        line.change(|_| {});
        let handler = Handler {
            line: line.clone(),
            events,
        };
        let irq = Irq::request_by_name(dev, name, label, true, Arc::new(handler, GFP_KERNEL)?)?;
        Ok(Arc::new(Self { line, irq }, GFP_KERNEL)?)
    }

    /// The line, for those who change its mask.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Forgets old events and reports those that are enabled, until what this returns is dropped.
    pub(crate) fn listen(self: &Arc<Self>) -> Listening<T> {
        if let Some(hw) = self.line.regs.enter() {
            let mask = self.line.state.lock().mask;
            self.line.block.clear(&hw, mask);
        }
        self.line.change(|state| state.active = true);
        Listening(self.clone())
    }

    /// Stops reporting, and waits until no handler runs.
    fn suspend(&self) {
        self.line.change(|state| state.active = false);
        self.irq.synchronize();
    }
}

/// A line that reports. Dropped, it stops, and no handler runs any more.
pub(crate) struct Listening<T: Events>(Arc<Requested<T>>);

impl<T: Events> Drop for Listening<T> {
    fn drop(&mut self) {
        self.0.suspend();
    }
}
