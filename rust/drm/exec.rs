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
//! fail, which is why the number of slots is fixed up front: either one for everything that is locked,
//! or one for each object, but never both. Reserving slots is not additive, so two numbers for one
//! reservation would be the larger of them.
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
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
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

    const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
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

/// How many slots for fences can be reserved at once. A reservation keeps its fences in one array, of
/// contiguous memory, which holds those that are there already as well.
pub const MAX_FENCES: u32 = 1 << 14;

fn check_slots(slots: u32) -> Result {
    if slots > MAX_FENCES {
        return Err(ENOMEM);
    }
    Ok(())
}

/// Of all attempts of all contexts, this one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    context: u64,
    attempt: u64,
}

/// One attempt to lock everything.
///
/// # Invariants
///
/// `exec` is initialised, and in the locking phase. Every object in it has `fences` slots reserved.
pub struct Attempt<'a> {
    exec: *mut bindings::drm_exec,
    flags: Flags,
    fences: u32,
    stamp: Stamp,
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
        self.lock(obj, self.fences)?;
        // Its slots are everybody's.
        obj.fence_slots().set(self.stamp, 0);
        Ok(())
    }

    /// As [`Attempt::prepare()`], with a number of slots of the object's own, for
    /// [`Locked::add_fence_to()`].
    ///
    /// # Errors
    ///
    /// As [`Attempt::prepare()`]; `ENOMEM` for more than [`MAX_FENCES`]. `EINVAL` if slots are reserved
    /// in every object, or with [`Flags::IGNORE_DUPLICATES`], which are mistakes of the driver.
    pub fn prepare_slots<D: Driver>(&mut self, obj: &gem::Object<D>, slots: u32) -> Result {
        if self.fences != 0 || self.flags.contains(Flags::IGNORE_DUPLICATES) {
            return Err(EINVAL);
        }
        check_slots(slots)?;
        self.lock(obj, slots)?;
        obj.fence_slots().set(self.stamp, slots);
        Ok(())
    }

    fn lock<D: Driver>(&mut self, obj: &gem::Object<D>, slots: u32) -> Result {
        // SAFETY: The context is in its locking phase, and the object valid; the context takes a
        // reference to it.
        to_result(unsafe {
            match slots {
                0 => bindings::drm_exec_lock_obj(self.exec, obj.as_raw()),
                slots => bindings::drm_exec_prepare_obj(self.exec, obj.as_raw(), slots),
            }
        })
    }
}

/// The slots for fences that were reserved in one object, for itself alone. Changed under the object's
/// reservation only.
///
/// # Invariants
///
/// From the attempt `attempt` of the context `context` on, as long as that holds the reservation, there
/// are `left` slots in it. The context holds it by way of no other object, and takes slots by way of
/// none.
pub(crate) struct FenceSlots {
    context: Atomic<u64>,
    attempt: Atomic<u64>,
    left: Atomic<u32>,
}

impl FenceSlots {
    pub(crate) const fn new() -> Self {
        Self {
            context: Atomic::new(0),
            attempt: Atomic::new(0),
            left: Atomic::new(0),
        }
    }

    fn set(&self, stamp: Stamp, left: u32) {
        self.context.store(stamp.context, Relaxed);
        self.attempt.store(stamp.attempt, Relaxed);
        self.left.store(left, Relaxed);
    }

    fn take(&self, stamp: Stamp) -> Result {
        let left = self.left.load(Relaxed);
        let reserved = Stamp {
            context: self.context.load(Relaxed),
            attempt: self.attempt.load(Relaxed),
        };

        if reserved != stamp || left == 0 {
            return Err(EINVAL);
        }
        self.left.store(left - 1, Relaxed);
        Ok(())
    }
}

/// Everything is locked.
///
/// # Invariants
///
/// `exec` is initialised, and holds all locks, which it took in the attempt `stamp`. Every object in it
/// has at least `slots` slots for fences left.
pub struct Locked<'a> {
    exec: *mut bindings::drm_exec,
    slots: Cell<u32>,
    stamp: Stamp,
    _context: PhantomData<&'a mut Context>,
}

impl Locked<'_> {
    pub(crate) fn as_raw(&self) -> *mut bindings::drm_exec {
        self.exec
    }

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

impl Locked<'_> {
    fn holds<D: Driver>(&self, obj: &gem::Object<D>) -> Result {
        // SAFETY: Context and object are valid.
        if unsafe { shims::shim_exec_holds(self.exec, obj.as_raw()) } {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// Adds a fence to one object.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an object that was not locked by [`Attempt::prepare_slots()`], or that has no slot left,
    /// which are mistakes of the driver.
    pub fn add_fence_to<D: Driver>(
        &self,
        obj: &gem::Object<D>,
        fence: &Fence,
        usage: Usage,
    ) -> Result {
        self.holds(obj)?;
        obj.fence_slots().take(self.stamp)?;
        // SAFETY: The context holds the object's lock, and by the invariants of `FenceSlots` one of the
        // slots that it has reserved was left. The reservation takes a reference to the fence.
        unsafe {
            bindings::dma_resv_add_fence((*obj.as_raw()).resv, fence.as_raw(), usage.as_raw())
        };
        Ok(())
    }

    /// Calls `f` with the fences of one object, up to and including those of `usage`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an object that is not locked; what `f` returns.
    pub fn for_each_fence<D: Driver, F: FnMut(&Fence) -> Result>(
        &self,
        obj: &gem::Object<D>,
        usage: Usage,
        mut f: F,
    ) -> Result {
        self.holds(obj)?;
        // SAFETY: The reservation is locked. `visit` gets a pointer to an `F`, which is what it
        // expects.
        to_result(unsafe {
            shims::shim_resv_for_each(
                (*obj.as_raw()).resv,
                usage.as_raw(),
                Some(visit::<F>),
                core::ptr::from_mut(&mut f).cast(),
            )
        })
    }
}

/// # Safety
///
/// `fence` must be valid during the call, and `data` point to an `F` that nobody else uses.
unsafe extern "C" fn visit<F: FnMut(&Fence) -> Result>(
    fence: *mut bindings::dma_fence,
    data: *mut c_void,
) -> c_int {
    // SAFETY: By this function's requirements.
    let (f, fence) = unsafe { (&mut *data.cast::<F>(), Fence::from_raw(fence)) };

    match f(fence) {
        Ok(()) => 0,
        Err(err) => err.to_errno(),
    }
}

/// Locks reservations with `lock`, then runs `commit`, then unlocks.
///
/// `lock` calls [`Attempt::prepare()`] and its likes, and hands their errors on. It may run several
/// times, each time with nothing locked. `fences` slots are reserved in every object, so that fences
/// can be added that often; none if objects have [slots of their own](Attempt::prepare_slots).
///
/// # Errors
///
/// `ENOMEM` for more than [`MAX_FENCES`] slots; what `lock` or `commit` returned. Contention is not among
/// it.
pub fn with_locked<R>(
    flags: Flags,
    fences: u32,
    mut lock: impl FnMut(&mut Attempt<'_>) -> Result,
    commit: impl FnOnce(&Locked<'_>) -> Result<R>,
) -> Result<R> {
    check_slots(fences)?;

    let context = pin!(Context {
        exec: Opaque::uninit(),
        _pin: core::marker::PhantomPinned,
        _task: NotThreadSafe,
    });
    let exec = context.exec.get();

    // SAFETY: The context is pinned, so it stays where it is until it drops.
    unsafe { bindings::drm_exec_init(exec, flags.0, FEW) };
    let mut stamp = Stamp {
        context: 0,
        attempt: 0,
    };

    // SAFETY: The context is initialised. The function unlocks everything after contention, and says
    // whether there has to be another attempt.
    while unsafe { bindings::drm_exec_cleanup(exec) } {
        stamp = Stamp {
            // SAFETY: The context has begun to lock, by which it got its number.
            context: unsafe { shims::shim_exec_stamp(exec) },
            attempt: stamp.attempt + 1,
        };
        let result = lock(&mut Attempt {
            exec,
            flags,
            fences,
            stamp,
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
        stamp,
        _context: PhantomData,
    })
}
