// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Locking the reservations of many buffers, and adding fences to them.
//!
//! # Locking
//!
//! Reservations are wound/wait mutexes. They can be locked in any order; when two tasks would wait
//! for each other, the younger one has to unlock everything and start again. [`with_locked()`] does
//! that: it runs the closure that locks again, as often as needed.
//!
//! # Ordering
//!
//! Slots for fences are reserved while locking, where it may fail. Adding fences afterwards cannot
//! fail, which is why the number of slots is fixed up front.
//!
//! # Blocking
//!
//! Locking sleeps and allocates. With everything locked, no memory may be allocated that is
//! reclaimed by waiting for a fence that this task is about to publish.

use crate::{
    gem,
    resv::Usage,
    Driver, //
};
use core::{
    cell::Cell,
    marker::PhantomData,
    pin::pin, //
};
use job::Fence;
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// How to lock.
#[derive(Clone, Copy)]
pub struct Flags(u32);

impl Flags {
    /// Neither.
    pub const NONE: Self = Self(0);
    /// A signal ends the wait for a lock, with `ERESTARTSYS`.
    pub const INTERRUPTIBLE: Self = Self(shims::SHIM_DRM_EXEC_INTERRUPTIBLE_WAIT);
    /// An object that is already locked is no error.
    pub const IGNORE_DUPLICATES: Self = Self(shims::SHIM_DRM_EXEC_IGNORE_DUPLICATES);

    /// Both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A locking context, initialised until it drops.
struct Context {
    exec: Opaque<bindings::drm_exec>,
    _pin: core::marker::PhantomPinned,
    _task: NotThreadSafe,
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: The context was initialised, and is dropped once. Unlocks what is locked.
        unsafe { bindings::drm_exec_fini(self.exec.get()) };
    }
}

/// How many objects are locked before the list of them has to grow.
const FEW: u32 = 8;

/// One attempt to lock everything.
///
/// # Invariants
///
/// `exec` is initialised, and in the locking phase. Every object in it has `fences` slots reserved.
pub struct Attempt<'a> {
    exec: *mut bindings::drm_exec,
    fences: u32,
    _context: PhantomData<&'a mut Context>,
}

impl Attempt<'_> {
    pub(crate) fn as_raw(&mut self) -> *mut bindings::drm_exec {
        self.exec
    }

    pub(crate) fn fences(&self) -> u32 {
        self.fences
    }

    /// Locks an object and reserves slots for fences in it.
    ///
    /// # Errors
    ///
    /// To be handed on by the closure, which is run again if the error says so. `EALREADY` for an
    /// object that is already locked, without [`Flags::IGNORE_DUPLICATES`].
    pub fn prepare<D: Driver>(&mut self, obj: &gem::Object<D>) -> Result {
        // SAFETY: The context is in its locking phase, and the object valid; the context takes a
        // reference to it.
        to_result(unsafe {
            match self.fences {
                0 => bindings::drm_exec_lock_obj(self.exec, obj.as_raw()),
                fences => bindings::drm_exec_prepare_obj(self.exec, obj.as_raw(), fences),
            }
        })
    }
}

/// Everything is locked.
///
/// # Invariants
///
/// `exec` is initialised, and holds all locks. Every object in it has at least `slots` slots for
/// fences left.
pub struct Locked<'a> {
    exec: *mut bindings::drm_exec,
    slots: Cell<u32>,
    _context: PhantomData<&'a mut Context>,
}

impl Locked<'_> {
    /// Takes one slot of every object.
    pub(crate) fn take_slot(&self) -> Result<*mut bindings::drm_exec> {
        let left = self.slots.get().checked_sub(1).ok_or(EINVAL)?;

        self.slots.set(left);
        Ok(self.exec)
    }

    /// Adds a fence to every object that is locked.
    ///
    /// # Errors
    ///
    /// `EINVAL` when called more often than there are slots, which is a mistake of the driver.
    pub fn add_fence(&self, fence: &Fence, usage: Usage) -> Result {
        let exec = self.take_slot()?;

        // SAFETY: The context holds the locks of its objects, and each has had a slot left. The
        // reservation takes a reference to the fence.
        unsafe {
            for i in 0..(*exec).num_objects {
                // CAST: A `u32` fits.
                let obj = *(*exec).objects.add(i as usize);

                bindings::dma_resv_add_fence((*obj).resv, fence.as_raw(), usage.as_raw());
            }
        }
        Ok(())
    }
}

/// Locks reservations with `lock`, then runs `commit`, then unlocks.
///
/// `lock` calls [`Attempt::prepare()`] and its likes, and hands their errors on. It may run several
/// times, each time with nothing locked. `fences` slots are reserved in every object, so that fences
/// can be added that often.
///
/// # Errors
///
/// What `lock` or `commit` returned; contention is not among it.
pub fn with_locked<R>(
    flags: Flags,
    fences: u32,
    mut lock: impl FnMut(&mut Attempt<'_>) -> Result,
    commit: impl FnOnce(&Locked<'_>) -> Result<R>,
) -> Result<R> {
    let context = pin!(Context {
        exec: Opaque::uninit(),
        _pin: core::marker::PhantomPinned,
        _task: NotThreadSafe,
    });
    let exec = context.exec.get();

    // SAFETY: The context is pinned, so it stays where it is until it drops.
    unsafe { bindings::drm_exec_init(exec, flags.0, FEW) };

    // SAFETY: The context is initialised. The function unlocks everything after contention, and says
    // whether there has to be another attempt.
    while unsafe { bindings::drm_exec_cleanup(exec) } {
        let result = lock(&mut Attempt {
            exec,
            fences,
            _context: PhantomData,
        });

        // SAFETY: The context is initialised. Contention is the one error that the next attempt
        // resolves, whatever the closure has made of it.
        if unsafe { (*exec).contended.is_null() } {
            result?;
        }
    }

    // INVARIANT: The last attempt had no contention, so all is locked. Slots that were reserved when
    // an object was locked are still there, as only the holder of the lock can use them.
    commit(&Locked {
        exec,
        slots: Cell::new(fences),
        _context: PhantomData,
    })
}
