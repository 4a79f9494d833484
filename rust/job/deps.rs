// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a job waits for.
//!
//! # Locking
//!
//! None of its own. [`Deps::add`] has exclusive access. Later, [`Deps::ready`] and [`Deps::disarm`]
//! are called by the one task that holds the queue's runner role, while callbacks may run at any
//! time under the locks of their fences; the two share only `unresolved`, which is atomic, and what
//! does not change any more.
//!
//! # Ordering
//!
//! `unresolved` starts with one for the task that registers the callbacks, so that it does not reach
//! zero before all are registered. Whoever brings it to zero knows that all fences have signalled:
//! the callback that does so wakes the queue, exactly once.
//!
//! # Blocking
//!
//! [`Deps::add`] allocates. The others take locks of fences, one at a time, and do not sleep.

use core::{
    cell::Cell,
    ffi::c_void, //
};

use kernel::{
    bindings,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        }, //
    },
    types::Opaque, //
};

use crate::{
    Fence,
    MayBlock, //
};

/// Who is to be woken when the last dependency has signalled.
#[derive(Clone, Copy)]
pub(crate) struct Waker {
    target: *const c_void,
    wake: unsafe fn(*const c_void),
}

impl Waker {
    /// # Safety
    ///
    /// `wake(target)` must be safe to call, in any context and under the lock of a fence, as long as
    /// a [`Deps`] that was given this waker is armed.
    pub(crate) unsafe fn new(target: *const c_void, wake: unsafe fn(*const c_void)) -> Self {
        Self { target, wake }
    }
}

/// One fence to wait for.
struct Dep {
    cb: Opaque<bindings::dma_fence_cb>,
    fence: ARef<Fence>,
    /// Where to count down; set when the callback is registered.
    deps: Cell<*const Deps>,
}

enum Stage {
    /// Nothing is registered.
    New,
    /// Callbacks are registered, or were called.
    Armed,
    /// Nothing is registered any more.
    Done,
}

/// How many of a job's fences are compared with a new one. They stand for the contexts that it really
/// waits for; one that is not found among them is waited for twice, at worst.
const COMPARED: usize = 64;

/// The dependencies of one job.
///
/// # Invariants
///
/// In stage `Armed` neither the value nor its `list` moves or changes, and every element whose `deps`
/// is not null has a callback that was added to its fence.
pub(crate) struct Deps {
    // A job is dropped where its fence is signalled, which is no place for freeing what is mapped. So there
    // is a limit to how many fit into one piece of memory.
    list: KVec<Dep>,
    unresolved: Atomic<u32>,
    stage: Cell<Stage>,
    waker: Waker,
}

// SAFETY: The waker may be called from any task, by the contract of its constructor, and the fences
// may be used from any.
unsafe impl Send for Deps {}

impl Deps {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            list: KVec::new(),
            unresolved: Atomic::new(0),
            stage: Cell::new(Stage::New),
            waker,
        }
    }

    /// Adds the unsignalled leaves of `fence`, except those that signal no later than one of the first
    /// that are there, and those of the context `except`.
    pub(crate) fn add(&mut self, _ctx: &MayBlock, fence: &Fence, except: Option<u64>) -> Result {
        let list = &mut self.list;

        fence.for_each_unsignaled(|leaf| {
            if except == Some(leaf.context()) {
                return Ok(());
            }
            for dep in list.iter_mut().take(COMPARED) {
                if core::ptr::eq(&*dep.fence, leaf) {
                    return Ok(());
                }
                // A fence of a job that was not committed yet has no number, so it compares with
                // nothing.
                if leaf.seqno() == 0 || dep.fence.seqno() == 0 {
                    continue;
                }
                if dep.fence.is_later_or_same(leaf) {
                    return Ok(());
                }
                if leaf.is_later_or_same(&dep.fence) {
                    dep.fence = leaf.into();
                    return Ok(());
                }
            }
            list.push(
                Dep {
                    cb: Opaque::uninit(),
                    fence: leaf.into(),
                    deps: Cell::new(core::ptr::null()),
                },
                // User space has chosen how many: it is charged for them, and a failure is no news.
                GFP_KERNEL_ACCOUNT | __GFP_NOWARN,
            )?;
            Ok(())
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there never was anything to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether all have signalled, and if so, the first error among them. If not, the waker will be
    /// called once they have.
    ///
    /// # Safety
    ///
    /// If the answer is `None`, neither this value nor the waker's target may move or go away before
    /// `ready` has said otherwise or `disarm` was called. Only one task at a time may call either.
    pub(crate) unsafe fn ready(&self) -> Option<Result> {
        match self.stage.replace(Stage::Armed) {
            Stage::New => {
                if self.list.iter().all(|dep| dep.fence.is_signaled()) {
                    self.stage.set(Stage::Done);
                    return Some(self.result());
                }
                if !self.arm() {
                    return None;
                }
            }
            Stage::Armed => {
                if self.unresolved.load(Relaxed) != 0 {
                    return None;
                }
            }
            Stage::Done => {
                self.stage.set(Stage::Done);
                return Some(self.result());
            }
        }
        // The last callback has counted, but may still be on its way to the waker.
        self.disarm();
        Some(self.result())
    }

    /// Registers the callbacks. Returns whether all fences had signalled when it was done.
    fn arm(&self) -> bool {
        self.unresolved.store(1, Relaxed);
        for dep in &self.list {
            dep.deps.set(self);
            self.unresolved.fetch_add(1, Relaxed);
            // SAFETY: The fence is alive. The node stays where it is until it is removed from the
            // fence, by the promise that the caller of `ready` gave.
            let ret = unsafe {
                bindings::dma_fence_add_callback(dep.fence.as_raw(), dep.cb.get(), Some(signalled))
            };
            if ret != 0 {
                dep.deps.set(core::ptr::null());
                self.unresolved.fetch_sub(1, Relaxed);
            }
        }
        self.unresolved.fetch_sub(1, Full) == 1
    }

    /// Removes all callbacks. When it returns, none is running, and the waker is not called any more.
    pub(crate) fn disarm(&self) {
        if matches!(self.stage.replace(Stage::Done), Stage::Armed) {
            for dep in &self.list {
                if !dep.deps.get().is_null() {
                    // SAFETY: By the type's invariant the callback was added to this fence. This
                    // takes the fence's lock, under which the callback runs.
                    unsafe {
                        bindings::dma_fence_remove_callback(dep.fence.as_raw(), dep.cb.get())
                    };
                    dep.deps.set(core::ptr::null());
                }
            }
        }
    }

    fn result(&self) -> Result {
        self.list
            .iter()
            .find_map(|dep| dep.fence.status()?.err())
            .map_or(Ok(()), Err)
    }
}

impl Drop for Deps {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// # Safety
///
/// `cb` must be the `cb` of a `Dep` of an armed `Deps`.
unsafe extern "C" fn signalled(_fence: *mut bindings::dma_fence, cb: *mut bindings::dma_fence_cb) {
    // SAFETY: By the requirement of this function, and because `Opaque` is a transparent wrapper.
    let dep = unsafe { kernel::container_of!(Opaque::cast_from(cb), Dep, cb) };
    // SAFETY: The callback was added after `deps` was set, and is removed before it is cleared.
    let deps = unsafe { &*(*dep).deps.get() };
    let waker = deps.waker;

    if deps.unresolved.fetch_sub(1, Full) == 1 {
        // SAFETY: By the contract of `Waker::new`: the dependencies are armed, since disarming takes
        // the lock of the fence, under which this runs.
        unsafe { (waker.wake)(waker.target) };
    }
}
