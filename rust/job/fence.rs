// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The shared view of a fence, and callbacks on it.
//!
//! # Locking
//!
//! Every fence has a spinlock of its own, taken with interrupts disabled inside the C functions
//! that are called here. No lock of this crate is held when they are called, except that a callback
//! runs under the lock of the fence that signals: it must take no other fence's lock.
//!
//! # Ordering
//!
//! The error of a fence is written before its signalled bit is set, and is read only after the bit
//! was seen. A callback that was removed, or whose removal found it already called, has returned:
//! removal takes the fence's lock, under which callbacks run.
//!
//! # Blocking
//!
//! Only [`Fence::wait`] blocks. It takes a [`MayBlock`], so it cannot be called where the fence that
//! it waits for is being signalled.

use core::{
    pin::Pin,
    ptr::NonNull, //
};

use kernel::{
    alloc::AllocError,
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_long,
        c_void, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    time::Jiffies,
    types::Opaque, //
};

use crate::MayBlock;

/// A fence as everybody but its owner sees it, whoever made it.
///
/// A reference may be dropped in any context: the memory is freed through `kfree_rcu()`.
///
/// # Invariants
///
/// The `struct dma_fence` is initialised, and its reference count is not zero.
#[repr(transparent)]
pub struct Fence(Opaque<bindings::dma_fence>);

// SAFETY: `struct dma_fence` is made to be used by several tasks at once, and its last reference
// can be dropped anywhere.
unsafe impl Send for Fence {}
// SAFETY: As above.
unsafe impl Sync for Fence {}

// SAFETY: The fence is not freed before its reference count drops to zero.
unsafe impl AlwaysRefCounted for Fence {
    #[inline]
    fn inc_ref(&self) {
        // SAFETY: By the type's invariant there is a reference that keeps the fence alive.
        unsafe { shims::c::shim_job_fence_get(self.as_raw()) };
    }

    #[inline]
    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference that it owns.
        unsafe { shims::c::shim_job_fence_put(obj.as_ptr().cast()) };
    }
}

/// How to wait.
#[derive(Clone, Copy)]
pub struct Wait {
    /// Whether a signal ends the wait.
    pub interruptible: bool,
    /// The longest time to wait, in jiffies.
    pub timeout: Option<Jiffies>,
}

impl Wait {
    /// For ever, or until a signal arrives.
    pub const INTERRUPTIBLE: Self = Self {
        interruptible: true,
        timeout: None,
    };

    /// For ever.
    pub const UNINTERRUPTIBLE: Self = Self {
        interruptible: false,
        timeout: None,
    };

    /// The same, but not longer than `timeout` jiffies.
    pub const fn timeout(self, timeout: Jiffies) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }
}

impl Fence {
    /// Borrows a fence of the C side.
    ///
    /// # Safety
    ///
    /// `ptr` must point to an initialised fence, to which somebody holds a reference during `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(ptr: *mut bindings::dma_fence) -> &'a Self {
        // SAFETY: The caller vouches for the pointer, and the type is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }

    /// Takes over a reference that the C side has handed out. `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// `ptr` must be null, or point to an initialised fence to which the caller owns a reference.
    #[inline]
    pub unsafe fn from_raw_owned(ptr: *mut bindings::dma_fence) -> Option<ARef<Self>> {
        // SAFETY: The caller owns the reference, and gives it away.
        NonNull::new(ptr.cast::<Self>()).map(|ptr| unsafe { ARef::from_raw(ptr) })
    }

    /// The C fence.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::dma_fence {
        self.0.get()
    }

    /// A fence that has signalled without an error.
    pub fn stub() -> ARef<Self> {
        // SAFETY: The function returns a reference to a fence that lives for ever.
        unsafe {
            ARef::from_raw(NonNull::new_unchecked(
                bindings::dma_fence_get_stub().cast(),
            ))
        }
    }

    /// Whether the fence has signalled.
    ///
    /// A fence of another driver may be signalled by the question.
    #[inline]
    pub fn is_signaled(&self) -> bool {
        // SAFETY: By the type's invariant the fence is initialised and alive.
        unsafe { shims::c::shim_job_fence_is_signaled(self.as_raw()) }
    }

    /// How the fence has signalled; `None` if it has not.
    pub fn status(&self) -> Option<Result> {
        // SAFETY: By the type's invariant the fence is initialised and alive.
        match unsafe { bindings::dma_fence_get_status(self.as_raw()) } {
            0 => None,
            status => Some(to_result(status.min(0))),
        }
    }

    /// The context: fences with the same context signal in the order of their seqnos.
    #[inline]
    pub fn context(&self) -> u64 {
        // SAFETY: By the type's invariant the fence is initialised; its context never changes.
        unsafe { (*self.as_raw()).context }
    }

    /// The place in the context.
    #[inline]
    pub fn seqno(&self) -> u64 {
        // SAFETY: By the type's invariant the fence is initialised; its seqno does not change once
        // it was published.
        unsafe { (*self.as_raw()).seqno }
    }

    /// Whether this fence is of the same context as `other` and does not signal before it.
    pub fn is_later_or_same(&self, other: &Self) -> bool {
        // SAFETY: By the type's invariant both are initialised and alive.
        unsafe { shims::c::shim_job_fence_is_later_or_same(self.as_raw(), other.as_raw()) }
    }

    /// Waits until the fence has signalled, with or without an error.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` if the time is over, `ERESTARTSYS` if a signal has arrived.
    pub fn wait(&self, _ctx: &MayBlock, wait: Wait) -> Result {
        let timeout = wait
            .timeout
            .and_then(|timeout| c_long::try_from(timeout).ok())
            .unwrap_or(c_long::MAX);

        // SAFETY: By the type's invariant the fence is initialised and alive. The timeout is not
        // negative.
        let ret =
            unsafe { bindings::dma_fence_wait_timeout(self.as_raw(), wait.interruptible, timeout) };
        match ret {
            0 => Err(ETIMEDOUT),
            1.. => Ok(()),
            _ => Err(c_int::try_from(ret).map_or(EINVAL, Error::from_errno)),
        }
    }

    /// Asks the fence's owner to see to it that the fence signals without being polled.
    pub fn enable_signaling(&self) {
        // SAFETY: By the type's invariant the fence is initialised and alive.
        unsafe { bindings::dma_fence_enable_signaling(self.as_raw()) };
    }

    /// Calls `f` with every unsignalled leaf of this fence: the members of an array, the links of a
    /// chain, or the fence itself. Stops at the first error and returns it.
    pub fn for_each_unsignaled<F: FnMut(&Fence) -> Result>(&self, mut f: F) -> Result {
        // SAFETY: `visit::<F>` may be called with a valid fence and a pointer to an `F`, which is
        // what it gets, and no call happens after the function has returned.
        to_result(unsafe {
            shims::c::shim_job_fence_visit_leaves(
                self.as_raw(),
                Some(visit::<F>),
                core::ptr::from_mut(&mut f).cast(),
            )
        })
    }
}

/// # Safety
///
/// `leaf` must be a valid fence, and `f` point to an `F` that nobody else uses.
unsafe extern "C" fn visit<F: FnMut(&Fence) -> Result>(
    leaf: *mut bindings::dma_fence,
    f: *mut c_void,
) -> c_int {
    // SAFETY: By the requirements of this function.
    let (leaf, f) = unsafe { (Fence::from_raw(leaf), &mut *f.cast::<F>()) };

    if leaf.is_signaled() {
        return 0;
    }
    f(leaf).map_or_else(Error::to_errno, |()| 0)
}

/// What happens when a fence signals.
pub trait FenceCallback: Send + Sync + 'static {
    /// Runs once, under the lock of the fence and possibly in a hard interrupt handler: it may
    /// count, wake a task or queue a work item. It must not take a lock of any fence, so it can
    /// neither ask nor signal one.
    fn signaled(&self);
}

#[repr(C)]
struct Node<T> {
    cb: Opaque<bindings::dma_fence_cb>,
    data: T,
}

/// A callback that is not attached to a fence: all memory that it needs.
pub struct Callback<T: FenceCallback>(Pin<KBox<Node<T>>>);

impl<T: FenceCallback> Callback<T> {
    /// Allocates the callback.
    pub fn new(_ctx: &MayBlock, data: T) -> Result<Self, AllocError> {
        let node = KBox::new(
            Node {
                cb: Opaque::uninit(),
                data,
            },
            GFP_KERNEL,
        )?;
        Ok(Self(node.into()))
    }

    /// Attaches the callback to `fence`.
    ///
    /// # Errors
    ///
    /// If the fence has signalled, the callback comes back, and will not be called.
    pub fn attach(self, fence: ARef<Fence>) -> Result<Attached<T>, Self> {
        let cb = self.0.cb.get();

        // SAFETY: The fence is alive. `cb` is embedded in a node that `called::<T>` expects, and
        // that does not move or go away before the callback was removed: `Attached` sees to that.
        let ret =
            unsafe { bindings::dma_fence_add_callback(fence.as_raw(), cb, Some(called::<T>)) };
        if ret != 0 {
            return Err(self);
        }

        // INVARIANT: The callback was just added to that fence.
        Ok(Attached {
            node: Some(self.0),
            fence,
        })
    }
}

/// # Safety
///
/// `cb` must be the callback of a `Node<T>` that outlives the call.
unsafe extern "C" fn called<T: FenceCallback>(
    _fence: *mut bindings::dma_fence,
    cb: *mut bindings::dma_fence_cb,
) {
    // SAFETY: `cb` is the first field of a `Node<T>` with C layout, by the requirement of this
    // function. Only shared references to `data` exist.
    let data = unsafe { &(*cb.cast::<Node<T>>()).data };

    data.signaled();
}

/// A callback that is attached to a fence. Dropping it removes it; after that it does not run.
///
/// # Invariants
///
/// The callback of `node` was added to `fence` and not removed.
pub struct Attached<T: FenceCallback> {
    node: Option<Pin<KBox<Node<T>>>>,
    fence: ARef<Fence>,
}

impl<T: FenceCallback> Attached<T> {
    /// The fence.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Takes the callback off the fence, whether it was called or not.
    pub fn detach(mut self) -> Option<Callback<T>> {
        self.remove();
        self.node.take().map(Callback)
    }

    fn remove(&mut self) {
        if let Some(node) = &self.node {
            // SAFETY: By the type's invariant the callback was added to this fence. The lock of the
            // fence, which this takes, is not held here: `FenceCallback` forbids it.
            unsafe { bindings::dma_fence_remove_callback(self.fence.as_raw(), node.cb.get()) };
        }
    }
}

impl<T: FenceCallback> Drop for Attached<T> {
    fn drop(&mut self) {
        self.remove();
    }
}
