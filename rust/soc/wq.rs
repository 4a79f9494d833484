// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Workqueues of one's own, and the operations on work items that the `kernel` crate lacks.
//!
//! # Locking
//!
//! None but the workqueue core's.
//!
//! # Ordering
//!
//! A work item that is pending owns a reference to its `Arc`. Whoever takes it off the queue without
//! running it takes over that reference: [`cancel_sync`] and its relatives drop it after the item is
//! known not to run.
//!
//! # Blocking
//!
//! The `_sync` functions and dropping a [`Workqueue`] wait for running items: not to be called from
//! the item itself, nor with a lock held that the item takes. The others do not sleep.

use core::{
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    ffi::c_int,
    prelude::*,
    str::CStrExt,
    sync::Arc,
    time::Jiffies,
    workqueue::{
        HasDelayedWork,
        HasWork,
        Queue,
        Work,
        WorkItem, //
    }, //
};

/// A workqueue that belongs to its creator.
///
/// Items may be needed to free memory: it has a rescuer (`WQ_MEM_RECLAIM`). Dropping it waits for
/// all items and destroys it; it must not be dropped by one of its items.
///
/// # Invariants
///
/// The pointer is a workqueue that nobody else destroys.
pub struct Workqueue(NonNull<bindings::workqueue_struct>);

// SAFETY: Workqueues are made to be used by several tasks at once, and can be destroyed by any.
unsafe impl Send for Workqueue {}
// SAFETY: As above.
unsafe impl Sync for Workqueue {}

impl Workqueue {
    /// Items run on any CPU, at the same time.
    pub fn unbound(name: &'static CStr) -> Result<Self> {
        Self::new(name, bindings::wq_flags_WQ_UNBOUND, 0)
    }

    /// As [`Workqueue::unbound`], by workers of the highest ordinary priority.
    pub fn highpri(name: &'static CStr) -> Result<Self> {
        Self::new(
            name,
            bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags_WQ_HIGHPRI,
            0,
        )
    }

    /// Items run on any CPU, one after the other in the order in which they were queued.
    pub fn ordered(name: &'static CStr) -> Result<Self> {
        Self::new(
            name,
            bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags___WQ_ORDERED,
            1,
        )
    }

    fn new(name: &'static CStr, flags: bindings::wq_flags, max_active: c_int) -> Result<Self> {
        // SAFETY: The format takes one string, which is what it gets.
        let ptr = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                flags | bindings::wq_flags_WQ_MEM_RECLAIM,
                max_active,
                name.as_char_ptr(),
            )
        };

        // INVARIANT: The workqueue is new.
        Ok(Self(NonNull::new(ptr).ok_or(ENOMEM)?))
    }

    /// Waits until every item that is queued now has run.
    pub fn flush(&self) {
        // SAFETY: By the type's invariant the workqueue is valid.
        unsafe { bindings::__flush_workqueue(self.0.as_ptr()) };
    }
}

impl Deref for Workqueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        // SAFETY: By the type's invariant the workqueue is valid as long as `self` is.
        unsafe { Queue::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for Workqueue {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the workqueue is ours to destroy, and it is not used
        // after this.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}

fn raw_work<T, const ID: u64>(this: &Arc<T>) -> *mut bindings::work_struct
where
    T: HasWork<T, ID>,
{
    let ptr = Arc::as_ptr(this).cast_mut();

    // SAFETY: `ptr` points to a valid `T`, as long as the `Arc` lives.
    unsafe { Work::raw_get(T::raw_get_work(ptr)) }
}

/// # Safety
///
/// The caller must have taken over a reference that a pending work item owned.
unsafe fn drop_pending<T>(this: &Arc<T>) {
    // SAFETY: The reference was made by `Arc::into_raw()` when the item was queued, and the caller
    // owns it.
    drop(unsafe { Arc::from_raw(Arc::as_ptr(this)) });
}

/// Takes the item off its queue if it is pending, and waits for it if it is running. Returns whether
/// it was pending.
pub fn cancel_sync<T, const ID: u64>(this: &Arc<T>) -> bool
where
    T: HasWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    // SAFETY: The work item is initialised, as `this` is, and lives as long.
    let pending = unsafe { bindings::cancel_work_sync(raw_work(this)) };
    if pending {
        // SAFETY: The item was pending and will not run, so the reference that it owned is ours.
        unsafe { drop_pending(this) };
    }
    pending
}

/// As [`cancel_sync`]; and the item cannot be queued any more. Trying to do so is harmless.
pub fn disable_sync<T, const ID: u64>(this: &Arc<T>) -> bool
where
    T: HasWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    // SAFETY: As in `cancel_sync`.
    let pending = unsafe { bindings::disable_work_sync(raw_work(this)) };
    if pending {
        // SAFETY: As in `cancel_sync`.
        unsafe { drop_pending(this) };
    }
    pending
}

fn raw_delayed_work<T, const ID: u64>(this: &Arc<T>) -> *mut bindings::delayed_work
where
    T: HasDelayedWork<T, ID>,
{
    let work = raw_work(this);

    // SAFETY: `HasDelayedWork` says that the work item is inside of a `delayed_work`.
    unsafe { kernel::container_of!(work, bindings::delayed_work, work) }
}

/// As [`cancel_sync`], for an item with a timer.
pub fn cancel_delayed_sync<T, const ID: u64>(this: &Arc<T>) -> bool
where
    T: HasDelayedWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    // SAFETY: The item is initialised, as `this` is, and lives as long.
    let pending = unsafe { bindings::cancel_delayed_work_sync(raw_delayed_work(this)) };
    if pending {
        // SAFETY: The item was pending and will not run, so the reference that it owned is ours.
        unsafe { drop_pending(this) };
    }
    pending
}

/// As [`disable_sync`], for an item with a timer.
pub fn disable_delayed_sync<T, const ID: u64>(this: &Arc<T>) -> bool
where
    T: HasDelayedWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    // SAFETY: As in `cancel_delayed_sync`.
    let pending = unsafe { bindings::disable_delayed_work_sync(raw_delayed_work(this)) };
    if pending {
        // SAFETY: As in `cancel_delayed_sync`.
        unsafe { drop_pending(this) };
    }
    pending
}

/// Takes the item off its queue, or stops its timer, if it is pending. Does not wait for it if it is
/// running. Returns whether it was pending. Works in any context.
pub fn cancel_delayed<T, const ID: u64>(this: &Arc<T>) -> bool
where
    T: HasDelayedWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    // SAFETY: The item is initialised, as `this` is, and lives as long.
    let pending = unsafe { bindings::cancel_delayed_work(raw_delayed_work(this)) };
    if pending {
        // SAFETY: The item was pending and will not run, so the reference that it owned is ours.
        unsafe { drop_pending(this) };
    }
    pending
}

/// Lets the item run `delay` jiffies from now, instead of when it would have run. Of two calls at the
/// same time one decides. Without effect on a disabled item. Works in any context.
pub fn mod_delayed<T, const ID: u64>(wq: &Workqueue, this: Arc<T>, delay: Jiffies)
where
    T: HasDelayedWork<T, ID> + WorkItem<ID, Pointer = Arc<T>> + Send + Sync + 'static,
{
    cancel_delayed::<_, ID>(&this);
    // If it is disabled, or somebody else was faster, the reference comes back and is dropped.
    let _ = wq.enqueue_delayed::<_, ID>(this, delay);
}
