// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Waiting for a condition that is not behind a lock.
//!
//! The kernel crate's condition variable belongs to a lock. A register, a word that a device writes
//! or an atomic has none; for those the kernel has wait queues.
//!
//! # Locking
//!
//! None of its own; the wait queue's spinlock is inside the C functions.
//!
//! # Ordering
//!
//! A waiter puts itself on the queue before it evaluates the condition, and a waker makes the
//! condition true before it looks at the queue. Both are full barriers, so that no wake-up is lost.
//!
//! # Blocking
//!
//! Waiting sleeps. Waking never does, and is allowed in hard interrupt context.

use core::ptr;

use kernel::{
    bindings,
    prelude::*,
    str::CStr,
    sync::LockClassKey,
    time::{
        msecs_to_jiffies,
        Jiffies, //
    },
    types::Opaque, //
};

/// A queue of tasks that wait for conditions.
///
/// Wraps `struct wait_queue_head`.
#[pin_data]
pub struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A `struct wait_queue_head` is not tied to the task that initialised it.
unsafe impl Send for WaitQueue {}

// SAFETY: All functions called on it take its internal spinlock.
unsafe impl Sync for WaitQueue {}

/// Creates a [`WaitQueue`] initialiser with a lock class of its own.
#[macro_export]
macro_rules! new_wait_queue {
    ($name:literal) => {
        $crate::wait::WaitQueue::new(::kernel::c_str!($name), ::kernel::static_lock_class!())
    };
}

impl WaitQueue {
    /// An empty queue. Use [`new_wait_queue!`](crate::new_wait_queue).
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writes and pinned; name and key live for ever.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
        })
    }

    /// Lets all waiters evaluate their conditions again.
    pub fn wake_all(&self) {
        // SAFETY: `head` was initialised in `new` and is pinned.
        unsafe {
            bindings::__wake_up(self.head.get(), bindings::TASK_NORMAL, 0, ptr::null_mut());
        }
    }

    /// Waits until `cond` is true. Not interruptible.
    ///
    /// `cond` is called with the task about to sleep: it must not sleep itself.
    pub fn wait(&self, cond: impl FnMut() -> bool) {
        // `MAX_SCHEDULE_TIMEOUT` never ends, so that only `cond` does.
        self.wait_jiffies(isize::MAX, cond);
    }

    /// Waits until `cond` is true, at most `timeout_ms` milliseconds. Not interruptible. Returns what
    /// `cond` said last; it is always asked once more after the time is up.
    ///
    /// `cond` is called with the task about to sleep: it must not sleep itself.
    pub fn wait_timeout(&self, timeout_ms: u32, cond: impl FnMut() -> bool) -> bool {
        let jiffies: Jiffies = msecs_to_jiffies(timeout_ms);
        self.wait_jiffies(isize::try_from(jiffies).unwrap_or(isize::MAX), cond)
    }

    fn wait_jiffies(&self, mut left: isize, mut cond: impl FnMut() -> bool) -> bool {
        if cond() {
            return true;
        }

        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: `entry` is valid for writes. It stays where it is until `finish_wait` below.
        unsafe { bindings::init_wait_entry(entry.get(), 0) };
        let done = loop {
            // SAFETY: Both are initialised, and `finish_wait` takes the entry off the queue before
            // this frame ends. An uninterruptible waiter ignores signals, so that the result is 0.
            unsafe {
                bindings::prepare_to_wait_event(
                    self.head.get(),
                    entry.get(),
                    kernel::task::TASK_UNINTERRUPTIBLE,
                )
            };
            if cond() {
                break true;
            }
            if left <= 0 {
                break false;
            }
            // SAFETY: Called from process context by the contract of this function.
            left = unsafe { bindings::schedule_timeout(left) };
        };
        // SAFETY: The entry was initialised above and is on this queue or on none.
        unsafe { bindings::finish_wait(self.head.get(), entry.get()) };
        done
    }
}
