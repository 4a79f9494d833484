// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A gate in front of hardware that may be switched off, reset or taken away.
//!
//! [`Gate`] owns a value, usually a register window, and hands out guards while it is open. Holding
//! a guard is the proof that the hardware is powered, not in reset and still there.
//!
//! A gate is made closed. To open it takes what powers the hardware: [`Gate::open`] puts that into
//! the [`Opened`] that it returns, which drops it only when the gate is closed
//! again and all guards are gone. So there is no way to the value without power, and no way to
//! take the power from under a guard. Who wants to end it all revokes the gate, which drops the
//! value.
//!
//! # Locking
//!
//! Guards are counted in an atomic and take no lock. `control` serialises those who close, open and
//! revoke. `value` is written by [`Gate::revoke`] only, under `control`, with the gate closed and
//! no guard left.
//!
//! # Ordering
//!
//! A guard is counted first and looks at the state afterwards; closing changes the state first and
//! looks at the count afterwards. Both sides have a full barrier in between, so that either the
//! guard sees the gate closed, or the closer sees the guard.
//!
//! # Blocking
//!
//! [`Gate::enter`] never waits and may be called from hard interrupt context. Dropping an
//! [`Opened`] and [`Gate::revoke`] sleep until all guards are gone: the
//! caller must not hold one, nor anything that the holder of a guard may wait for.

use core::cell::UnsafeCell;
use core::ops::Deref;

use kernel::{
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full, //
        },
        Arc,
        Mutex, //
    },
};

use crate::wait::WaitQueue;

// Gates of all types share their lock classes, whichever crate they are made in: lockdep wants them to
// have one name, at one address.
static LEFT: &CStr = c"Gate::left";
static CONTROL: &CStr = c"Gate::control";

const CLOSED: u32 = 0;
const OPEN: u32 = 1;
const REVOKED: u32 = 2;

/// A value that can only be used through guards, and not while the gate is closed.
///
/// # Invariants
///
/// `value` is only borrowed while `guards` counts the borrower and `state` was [`OPEN`] after it had
/// been counted. It is only modified while `state` is [`REVOKED`], by the holder of `control` who
/// set that state, after `guards` was seen to be 0.
#[pin_data]
pub struct Gate<T> {
    guards: Atomic<u32>,
    state: Atomic<u32>,
    #[pin]
    left: WaitQueue,
    #[pin]
    control: Mutex<()>,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: The gate owns `T`, and dropping it drops `T`, hence `T: Send`.
unsafe impl<T: Send> Send for Gate<T> {}

// SAFETY: Guards on several tasks share `&T`, hence `T: Sync`; `revoke` may drop `T` on a task that
// did not create it, hence `T: Send`. The only modification of `value` is ordered after all
// borrows, by the type invariants.
unsafe impl<T: Send + Sync> Sync for Gate<T> {}

impl<T> Gate<T> {
    /// A closed gate in front of `value`.
    pub fn new(value: T) -> impl PinInit<Self> {
        pin_init!(Self {
            guards: Atomic::new(0),
            state: Atomic::new(CLOSED),
            left <- WaitQueue::new(LEFT, static_lock_class!()),
            control <- Mutex::new((), CONTROL, static_lock_class!()),
            value: UnsafeCell::new(Some(value)),
        })
    }

    /// Passes the gate. `None` if it is closed or revoked.
    ///
    /// Does not sleep; the guard may be held while sleeping.
    #[inline]
    pub fn enter(&self) -> Option<Entered<'_, T>> {
        self.guards.fetch_add(1, Full);
        if self.state.load(Acquire) == OPEN {
            // SAFETY: We are counted, and the state was `OPEN` afterwards. By the type invariants
            // nobody modifies the value before the count drops, which is when the guard does.
            let value = unsafe { &*self.value.get() };
            if let Some(value) = value {
                return Some(Entered { gate: self, value });
            }
        }
        self.leave();
        None
    }

    /// Uncounts a guard, or an attempt to become one.
    #[inline]
    fn leave(&self) {
        if self.guards.fetch_sub(1, Full) == 1 && self.state.load(Acquire) != OPEN {
            self.left.wake_all();
        }
    }

    /// Sets a state other than `OPEN` and waits for the guards.
    fn shut(&self, state: u32) {
        self.state.xchg(state, Full);
        self.left.wait(|| self.guards.load(Acquire) == 0);
    }

    /// Lets nobody pass any more, and waits until everybody who did has left.
    fn close(&self) {
        let _control = self.control.lock();
        if self.state.load(Acquire) == OPEN {
            self.shut(CLOSED);
        }
    }

    /// Opens a gate that is closed.
    fn reopen(&self) -> Result {
        let _control = self.control.lock();
        match self.state.load(Acquire) {
            CLOSED => {
                self.state.xchg(OPEN, Full);
                Ok(())
            }
            OPEN => Err(EBUSY),
            _ => Err(ENODEV),
        }
    }

    /// Opens the gate. `power` is what makes the hardware answer: it goes with the return value,
    /// after the gate was closed.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the gate was revoked, `EBUSY` if it is open.
    pub fn open<P>(self: &Arc<Self>, power: P) -> Result<Opened<T, P>> {
        self.reopen()?;
        Ok(Opened {
            gate: self.clone(),
            power,
        })
    }

    /// Closes the gate for ever, and drops the value once everybody has left.
    pub fn revoke(&self) {
        let _control = self.control.lock();
        if self.state.load(Acquire) == REVOKED {
            return;
        }
        self.shut(REVOKED);
        // SAFETY: We hold `control`, have set `REVOKED` and have seen no guard since; nobody becomes
        // one in this state.
        let value = unsafe { (*self.value.get()).take() };
        drop(value);
    }
}

/// Proof that a [`Gate`] is open. It cannot close before this is dropped.
///
/// # Invariants
///
/// Counted in `gate.guards`.
pub struct Entered<'a, T> {
    gate: &'a Gate<T>,
    value: &'a T,
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> Drop for Entered<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.gate.leave();
    }
}

/// An open gate, with the power of the hardware behind it. Dropped, it closes the gate, waits for the
/// guards, and drops the power.
pub struct Opened<T, P> {
    gate: Arc<Gate<T>>,
    power: P,
}

impl<T, P> Opened<T, P> {
    /// The gate.
    pub fn gate(&self) -> &Arc<Gate<T>> {
        &self.gate
    }

    /// What powers the hardware.
    pub fn power(&self) -> &P {
        &self.power
    }
}

impl<T, P> Drop for Opened<T, P> {
    fn drop(&mut self) {
        // Before `power`, which is dropped after this.
        self.gate.close();
    }
}
