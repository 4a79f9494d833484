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
//! While the hardware is being reset it has power, and yet nobody may touch it but who resets it:
//! [`Gate::alone`] closes an open gate to everybody else for a while.
//!
//! # Locking
//!
//! Guards are counted in an atomic and take no lock. `control` serialises those who close, open and
//! revoke, and is held by who is [alone](Alone). `value` is written by [`Gate::revoke`] only, under `control`, with the gate closed and
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
//! [`Opened`], [`Gate::alone`] and [`Gate::revoke`] sleep until all guards are gone: the
//! caller must not hold one, nor anything that the holder of a guard may wait for. The first and the
//! last wait for an [`Alone`] as well, and so does [`Gate::enter_or_wait`].

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
        Mutex,
        MutexGuard, //
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
/// `value` is only borrowed while `guards` counts the borrower, and either `state` was [`OPEN`] after
/// it had been counted, or the borrower holds `control` and `state` is not [`REVOKED`]. It is only modified while `state` is [`REVOKED`], by the holder of `control` who
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

    /// As [`enter`](Self::enter), but waits while somebody is [alone](Self::alone).
    ///
    /// Not for whom somebody waits that is alone.
    pub fn enter_or_wait(&self) -> Option<Entered<'_, T>> {
        self.enter().or_else(|| {
            let _control = self.control.lock();
            self.enter()
        })
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

    /// Closes an open gate to everybody but the caller, and waits until all others have left. It opens
    /// again when what this returns is dropped. `None` if the gate is not open.
    ///
    /// The power stays: who wants to take it waits.
    pub fn alone(&self) -> Option<Alone<'_, T>> {
        let control = self.control.lock();
        if self.state.load(Acquire) != OPEN {
            return None;
        }
        self.shut(CLOSED);
        self.guards.fetch_add(1, Full);
        // SAFETY: We are counted, hold `control`, and the state is `CLOSED`. By the type invariants
        // nobody modifies the value before both have ended, which is when `Alone` is dropped.
        let value = unsafe { &*self.value.get() };
        // There is one as long as the gate is not revoked.
        value.as_ref().map(|value| Alone {
            entered: Entered { gate: self, value },
            _control: control,
        })
    }

    /// Closes the gate for ever, and drops the value once everybody has left.
    pub fn revoke(&self) {
        let control = self.control.lock();
        if self.state.load(Acquire) == REVOKED {
            return;
        }
        self.shut(REVOKED);
        // SAFETY: We hold `control`, have set `REVOKED` and have seen no guard since; nobody becomes
        // one in this state.
        let value = unsafe { (*self.value.get()).take() };
        drop(control);
        drop(value);
    }
}

/// Revokes a gate when it is dropped: for the driver's binding, whose end that is.
pub struct RevokeOnDrop<T>(pub Arc<Gate<T>>);

impl<T> Drop for RevokeOnDrop<T> {
    fn drop(&mut self) {
        self.0.revoke();
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

/// Proof that a [`Gate`] is closed to everybody else, and that there is power behind it.
///
/// # Invariants
///
/// The state of the gate was [`OPEN`] before, and is [`CLOSED`] since `_control` is held.
pub struct Alone<'a, T> {
    // Before `_control`: as long as this is counted, nobody else may close the gate.
    entered: Entered<'a, T>,
    _control: MutexGuard<'a, ()>,
}

impl<'a, T> Deref for Alone<'a, T> {
    type Target = Entered<'a, T>;

    #[inline]
    fn deref(&self) -> &Entered<'a, T> {
        &self.entered
    }
}

impl<T> Drop for Alone<'_, T> {
    fn drop(&mut self) {
        self.entered.gate.state.xchg(OPEN, Full);
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
