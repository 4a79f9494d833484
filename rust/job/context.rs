// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The two contexts of fence code, as types.

use core::marker::PhantomData;

use kernel::types::NotThreadSafe;

/// The permission to allocate with `GFP_KERNEL` and to sleep.
///
/// A task makes one where it enters the driver (an ioctl, a work item that is not part of a
/// signalling path, probe) and hands out references to it. A commit, or a section opened with
/// [`MayBlock::signalling`], borrows it mutably, so that nothing inside can use it.
pub struct MayBlock {
    // Neither `Send` nor `Sync`: the permission belongs to one task, and `!Sync` is what keeps a
    // `&MayBlock` out of the closure of `Signalling::section`.
    _task: NotThreadSafe,
}

impl MayBlock {
    /// Claims the permission for the current task.
    ///
    /// Lockdep complains if the task holds a lock that forbids sleeping or is inside a signalling
    /// section.
    #[allow(clippy::new_without_default, reason = "a claim is made in full sight")]
    #[inline]
    pub fn new() -> Self {
        // SAFETY: The function has no requirements; it only checks.
        unsafe { shims::c::shim_job_may_block() };
        Self {
            _task: NotThreadSafe,
        }
    }

    /// Runs `f` as a signalling critical section, in which the permission cannot be used.
    ///
    /// That `f` is `Send` means that it has captured no other claim of the task either.
    #[inline]
    pub fn signalling<R>(&mut self, f: impl FnOnce(&Signalling<'_>) -> R + Send) -> R {
        f(&Signalling::begin())
    }

    /// As [`MayBlock::signalling`], for a commit: what publishes fences holds reservation locks, which
    /// belong to the task, so it cannot be `Send`.
    #[inline]
    pub(crate) fn committing<R>(&mut self, f: impl FnOnce(&Signalling<'_>) -> R) -> R {
        f(&Signalling::begin())
    }
}

/// The proof of being inside a signalling critical section.
///
/// Lockdep sees the section as well, through `dma_fence_begin_signalling()`.
///
/// # Invariants
///
/// `cookie` is what `dma_fence_begin_signalling()` returned to this task, and the section that it
/// stands for has not ended.
pub struct Signalling<'a> {
    cookie: bool,
    _scope: PhantomData<&'a ()>,
    _task: NotThreadSafe,
}

impl Signalling<'_> {
    /// Runs `f` as a signalling critical section.
    ///
    /// For code that holds no [`MayBlock`]: interrupt threads, work items that signal fences. That
    /// `f` is `Send` means that it has captured no reference to a `MayBlock` either.
    #[inline]
    pub fn section<R>(f: impl FnOnce(&Signalling<'_>) -> R + Send) -> R {
        f(&Signalling::begin())
    }

    #[inline]
    pub(crate) fn begin() -> Self {
        // INVARIANT: The section begins here and ends when the value is dropped.
        Self {
            // SAFETY: The function has no requirements; `drop` calls its counterpart.
            cookie: unsafe { shims::c::shim_job_begin_signalling() },
            _scope: PhantomData,
            _task: NotThreadSafe,
        }
    }
}

impl Drop for Signalling<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the cookie belongs to a section of this task that has
        // not ended.
        unsafe { shims::c::shim_job_end_signalling(self.cookie) };
    }
}
