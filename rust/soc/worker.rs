// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A thread of one's own that runs work items at real-time priority.
//!
//! Workqueues have no such threads: even those of `WQ_HIGHPRI` are ordinary tasks, which wait as long
//! as real-time tasks run, and share the processor with every busy loop.
//!
//! # Locking
//!
//! None but the worker's own, inside of the C functions.
//!
//! # Ordering
//!
//! Items of one worker run one after the other, in the order in which they were queued. An item that
//! is pending owns a reference to its `Arc`; it is given to [`WorkerItem::run`], or taken back by
//! [`cancel_sync`].
//!
//! # Blocking
//!
//! [`cancel_sync`], [`Worker::flush`] and dropping a [`Worker`] wait for running items: not to be
//! called from an item of that worker. Queueing works in any context.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    error::from_err_ptr,
    prelude::*,
    str::CStrExt,
    sync::Arc,
    types::Opaque, //
};

/// Whether the current task runs at real-time or deadline priority, its own or one lent by a task
/// that waits for it.
#[inline]
pub fn current_is_realtime() -> bool {
    // SAFETY: The function has no requirements.
    unsafe { shims::c::shim_soc_current_is_realtime() }
}

/// The thread.
///
/// # Invariants
///
/// The pointer is a worker that nobody else destroys.
pub struct Worker(NonNull<shims::c::kthread_worker>);

// SAFETY: Workers are made to be given items by several tasks at once, and can be destroyed by any.
unsafe impl Send for Worker {}
// SAFETY: As above.
unsafe impl Sync for Worker {}

impl Worker {
    /// Starts a thread called `name`, of `SCHED_FIFO` at the kernel's default priority.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` if the current task is being killed.
    pub fn realtime(name: &'static CStr) -> Result<Self> {
        // SAFETY: The name is a C string.
        let ptr =
            from_err_ptr(unsafe { shims::c::shim_soc_worker_create_realtime(name.as_char_ptr()) })?;

        // INVARIANT: The worker is new.
        Ok(Self(NonNull::new(ptr).ok_or(ENOMEM)?))
    }

    /// Queues the item of `this`. Works in any context.
    ///
    /// # Errors
    ///
    /// If it is queued already, or is being cancelled, the reference comes back.
    pub fn queue<T: HasItem + WorkerItem>(&self, this: Arc<T>) -> Result<(), Arc<T>> {
        let ptr = Arc::into_raw(this);

        // SAFETY: By the type's invariant the worker is valid. The item is initialised, as what it
        // is part of is, and the reference that was just given up keeps it alive until it has run.
        if unsafe { shims::c::kthread_queue_work(self.0.as_ptr(), raw_item(ptr)) } {
            Ok(())
        } else {
            // SAFETY: The reference was not taken.
            Err(unsafe { Arc::from_raw(ptr) })
        }
    }

    /// Waits until every item that is queued now has run.
    pub fn flush(&self) {
        // SAFETY: By the type's invariant the worker is valid.
        unsafe { shims::c::kthread_flush_worker(self.0.as_ptr()) };
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant the worker is ours to destroy, and it is not used after
        // this. The function waits for the items that are queued.
        unsafe { shims::c::kthread_destroy_worker(self.0.as_ptr()) };
    }
}

/// What a worker does for a `Self` that was queued.
pub trait WorkerItem: Send + Sync + 'static {
    /// Called by the worker's thread; may sleep.
    fn run(this: Arc<Self>);
}

/// The part of a `T` by which it is queued.
#[pin_data]
#[repr(transparent)]
pub struct Item<T> {
    #[pin]
    work: Opaque<shims::c::kthread_work>,
    _of: PhantomData<fn(T)>,
}

// SAFETY: The C side locks what it does with the item.
unsafe impl<T> Send for Item<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Item<T> {}

impl<T: HasItem + WorkerItem> Item<T> {
    /// An item that is not queued.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is memory for an item, and stays where it is. `run::<T>` is called with
            // items of a `T` only, as `HasItem` promises that this is one.
            work <- Opaque::ffi_init(|slot| unsafe {
                shims::c::shim_soc_worker_item_init(slot, Some(run::<T>))
            }),
            _of: PhantomData,
        })
    }
}

/// Types with an [`Item`]; see [`impl_has_item!`](crate::impl_has_item).
///
/// # Safety
///
/// The two functions must be inverses of each other: from the value to a field of it, and back.
pub unsafe trait HasItem: Sized {
    /// The item of `this`.
    ///
    /// # Safety
    ///
    /// `this` must point to a `Self`, initialised or not.
    unsafe fn raw_item(this: *const Self) -> *mut Item<Self>;

    /// What `item` is the item of.
    ///
    /// # Safety
    ///
    /// `item` must be the item of a `Self`.
    unsafe fn from_raw_item(item: *mut Item<Self>) -> *const Self;
}

/// Implements [`HasItem`](worker::HasItem) by a field.
///
/// ```ignore
/// soc::impl_has_item! { impl{T: Trait} HasItem for Foo<T> { self.urgent } }
/// ```
#[macro_export]
macro_rules! impl_has_item {
    ($(impl{$($generics:tt)*} HasItem for $self:ty { self.$field:ident })*) => {$(
        // SAFETY: Both functions are about the same field, whose type the compiler checks.
        unsafe impl<$($generics)*> $crate::worker::HasItem for $self {
            #[inline]
            unsafe fn raw_item(this: *const Self) -> *mut $crate::worker::Item<Self> {
                // SAFETY: The caller passes a valid pointer; no reference is made.
                unsafe { &raw const (*this).$field }.cast_mut()
            }

            #[inline]
            unsafe fn from_raw_item(item: *mut $crate::worker::Item<Self>) -> *const Self {
                // SAFETY: The caller passes the field of a `Self`.
                unsafe { ::kernel::container_of!(item, Self, $field) }
            }
        }
    )*};
}

fn raw_item<T: HasItem>(this: *const T) -> *mut shims::c::kthread_work {
    // SAFETY: The callers in this file have it from an `Arc`. `Item` and `Opaque` are transparent.
    unsafe { T::raw_item(this) }.cast()
}

/// # Safety
///
/// `work` must be the item of a `T` to which the item owns a reference.
unsafe extern "C" fn run<T: HasItem + WorkerItem>(work: *mut shims::c::kthread_work) {
    // SAFETY: By the requirement of this function. `Item` and `Opaque` are transparent.
    let this = unsafe { T::from_raw_item(work.cast()) };

    // SAFETY: `Worker::queue` has given the reference to the item, which has left the queue.
    T::run(unsafe { Arc::from_raw(this) });
}

/// Takes the item off its worker if it is pending, and waits for it if it is running. Returns whether
/// it was pending.
pub fn cancel_sync<T: HasItem + WorkerItem>(this: &Arc<T>) -> bool {
    let ptr = Arc::as_ptr(this);

    // SAFETY: The item is initialised, as `this` is, and lives as long. One that was never queued is
    // recognised by the function.
    let pending = unsafe { shims::c::kthread_cancel_work_sync(raw_item(ptr)) };
    if pending {
        // SAFETY: The item was pending and will not run, so the reference that it owned is ours.
        drop(unsafe { Arc::from_raw(ptr) });
    }
    pending
}
