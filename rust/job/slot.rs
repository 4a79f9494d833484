// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The owner's side of a fence: memory, initialisation, signalling.
//!
//! # Locking
//!
//! None of its own. The fence's inline spinlock is taken by the C functions.
//!
//! # Ordering
//!
//! A fence's seqno is final before anybody outside of this crate can see the fence; its error is
//! written before it signals.
//!
//! # Blocking
//!
//! Only [`FenceSlot::new`] can sleep (it allocates). Signalling and dropping work in any context.
//!
//! # Life after the module
//!
//! A fence that has signalled may be referenced for a long time by others (a sync file, a
//! reservation), longer than the module that made it is loaded. Its memory is a plain `kmalloc()`
//! allocation that the fence core frees by itself, its lock is inside, and the core detaches it from
//! our `dma_fence_ops` when it signals, because these have neither `release` nor `wait`. The names
//! are constants of the module; the core reads them under RCU and only before the fence has
//! signalled, and a module's memory is freed after a grace period.

use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull, //
};

use kernel::{
    alloc::AllocError,
    bindings,
    error::code::ECANCELED,
    ffi::c_char,
    prelude::*,
    str::CStrExt,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    }, //
};

use crate::{
    stats, //
    Fence,
    MayBlock,
    Signalling,
};

/// The names that a fence shows as long as it has not signalled.
pub trait FenceNames: 'static {
    /// The driver's name.
    const DRIVER: &'static CStr;
    /// The name of the kind of timeline.
    const TIMELINE: &'static CStr;
}

struct OpsOf<N>(PhantomData<N>);

impl<N: FenceNames> OpsOf<N> {
    const OPS: bindings::dma_fence_ops = bindings::dma_fence_ops {
        get_driver_name: Some(driver_name::<N>),
        get_timeline_name: Some(timeline_name::<N>),
        enable_signaling: None,
        signaled: None,
        wait: None,
        release: None,
        set_deadline: None,
    };
}

extern "C" fn driver_name<N: FenceNames>(_fence: *mut bindings::dma_fence) -> *const c_char {
    N::DRIVER.as_char_ptr()
}

extern "C" fn timeline_name<N: FenceNames>(_fence: *mut bindings::dma_fence) -> *const c_char {
    N::TIMELINE.as_char_ptr()
}

/// A fence context, whose fences signal in the order in which they were made.
pub struct Timeline {
    context: u64,
    last: Atomic<u64>,
    ops: &'static bindings::dma_fence_ops,
}

impl Timeline {
    /// Makes a new context.
    pub fn new<N: FenceNames>() -> Self {
        Self {
            // SAFETY: The function has no requirements but a number that is not zero.
            context: unsafe { bindings::dma_fence_context_alloc(1) },
            last: Atomic::new(0),
            ops: &OpsOf::<N>::OPS,
        }
    }

    /// The number of the context.
    pub fn context(&self) -> u64 {
        self.context
    }

    /// The next seqno, from 1. Callers that need an order among themselves hold a lock.
    pub(crate) fn next_seqno(&self) -> u64 {
        self.last.fetch_add(1, Relaxed).wrapping_add(1)
    }
}

/// The memory of one fence.
pub struct FenceSlot(KBox<MaybeUninit<bindings::dma_fence>>);

impl FenceSlot {
    /// Allocates it.
    #[inline]
    pub fn new(_ctx: &MayBlock) -> Result<Self, AllocError> {
        Ok(Self(KBox::new_uninit(GFP_KERNEL)?))
    }

    /// Makes the next fence of `timeline`. Its owner must signal the fences of a timeline in the
    /// order in which they were armed.
    pub fn arm(self, timeline: &Timeline) -> PendingFence {
        let mut fence = self.arm_unnumbered(timeline);
        fence.number(timeline.next_seqno());
        fence.committed = true;
        fence
    }

    /// Makes a fence of `timeline` that gets its seqno later.
    pub(crate) fn arm_unnumbered(self, timeline: &Timeline) -> PendingFence {
        let raw = KBox::into_raw(self.0).cast::<bindings::dma_fence>();

        // SAFETY: `raw` is memory for a fence, of which we are the only user. The ops live as long
        // as the module, which is long enough (see the top of this file). No lock is passed, so
        // that the fence uses its own.
        unsafe {
            bindings::dma_fence_init64(
                raw,
                timeline.ops,
                core::ptr::null_mut(),
                timeline.context,
                0,
            )
        };
        stats::count_created();

        // INVARIANT: The fence was just initialised with one reference, which is ours. The memory
        // comes from `kmalloc()`, which is what the core's `kfree_rcu()` expects.
        PendingFence {
            // SAFETY: A `KBox` is never null. `Fence` is a transparent wrapper.
            fence: unsafe { ARef::from_raw(NonNull::new_unchecked(raw.cast::<Fence>())) },
            committed: false,
            signalled: false,
        }
    }
}

/// A fence that has not signalled, in the hands of the one who can signal it.
///
/// Dropping it signals the fence with `ECANCELED`, and reports it: somebody was promised a result.
///
/// # Invariants
///
/// The fence is one of ours, and only this value signals it.
pub struct PendingFence {
    fence: ARef<Fence>,
    committed: bool,
    signalled: bool,
}

impl PendingFence {
    /// The fence as others see it.
    #[inline]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Signals the fence, with `result` as its status.
    #[inline]
    pub fn signal(mut self, result: Result, _sig: &Signalling<'_>) {
        self.complete(result);
    }

    pub(crate) fn number(&mut self, seqno: u64) {
        // SAFETY: By the type's invariant the fence is initialised. It was not published yet, so
        // nobody reads the seqno.
        unsafe { (*self.fence.as_raw()).seqno = seqno };
    }

    /// From now on somebody was promised a result.
    pub(crate) fn commit(&mut self) {
        self.committed = true;
    }

    fn complete(&mut self, result: Result) {
        let raw = self.fence.as_raw();

        if let Err(err) = result {
            // SAFETY: The fence is alive and has not signalled, since only we can do that.
            unsafe { shims::c::shim_job_fence_set_error(raw, err.to_errno()) };
        }
        // SAFETY: The fence is alive.
        unsafe { bindings::dma_fence_signal(raw) };
        self.signalled = true;
        stats::count_signalled();
    }
}

impl Drop for PendingFence {
    fn drop(&mut self) {
        if self.signalled {
            return;
        }
        if self.committed {
            stats::count_dropped();
            pr_err!(
                "dma_fence {}:{} was dropped unsignalled\n",
                self.fence.context(),
                self.fence.seqno()
            );
        }
        self.complete(Err(ECANCELED));
    }
}
