// SPDX-License-Identifier: GPL-2.0 OR MIT

//! All buffer objects of a device, for those who look at them.
//!
//! # Locking
//!
//! The list is protected by a mutex, under which nothing is called and nothing is allocated.
//!
//! # Ordering
//!
//! An object is in the list from when it is complete until it begins to be freed. It is looked at only
//! by those who have got a reference, which fails once the last one has gone.
//!
//! # Blocking
//!
//! Nobody who holds the mutex waits for anything.

use super::Object;
use crate::{
    Device,
    Driver, //
};
use core::{
    cell::UnsafeCell,
    ptr::null_mut, //
};
use kernel::{
    bindings,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Mutex, //
    }, //
};

/// The place of an object in the list.
///
/// # Invariants
///
/// If `obj` is not null, the node is in the list of the object's device, and part of the object. The
/// fields are accessed under the mutex of that list.
pub(crate) struct Node(UnsafeCell<Link>);

struct Link {
    prev: *const Node,
    next: *const Node,
    obj: *mut bindings::drm_gem_object,
}

impl Node {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(Link {
            prev: null_mut(),
            next: null_mut(),
            obj: null_mut(),
        }))
    }
}

/// The first node.
struct Head(*const Node);

// SAFETY: The list may be used by any task that holds its mutex.
unsafe impl Send for Head {}

/// The objects of a device.
///
/// # Invariants
///
/// The nodes in the list are valid, and do not move.
#[pin_data]
pub(crate) struct Objects {
    #[pin]
    head: Mutex<Head>,
}

impl Objects {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            head <- new_mutex!(Head(null_mut()), "drm::Objects"),
        })
    }

    /// # Safety
    ///
    /// `node` must be part of `obj`, which must be initialised, of the same device, and not in the
    /// list. It must stay valid where it is until [`Objects::remove()`].
    pub(super) unsafe fn add(&self, node: &Node, obj: *mut bindings::drm_gem_object) {
        let mut head = self.head.lock();

        // INVARIANT: The node goes into the list.
        // SAFETY: The list is locked, and all nodes in it are valid.
        unsafe {
            *node.0.get() = Link {
                prev: null_mut(),
                next: head.0,
                obj,
            };
            if let Some(next) = head.0.as_ref() {
                (*next.0.get()).prev = node;
            }
        }
        head.0 = node;
    }

    /// Takes a node off the list, if it is in it.
    pub(super) fn remove(&self, node: &Node) {
        let mut head = self.head.lock();

        // INVARIANT: The node is not in the list any more.
        // SAFETY: The list is locked, and all nodes in it are valid.
        unsafe {
            let link = &mut *node.0.get();

            if core::mem::replace(&mut link.obj, null_mut()).is_null() {
                return;
            }
            match link.prev.as_ref() {
                Some(prev) => (*prev.0.get()).next = link.next,
                None => head.0 = link.next,
            }
            if let Some(next) = link.next.as_ref() {
                (*next.0.get()).prev = link.prev;
            }
        }
    }
}

impl<D: Driver> Device<D> {
    /// The buffer objects of the device, youngest first. Those that are made meanwhile are left out.
    pub fn objects(&self) -> impl Iterator<Item = ARef<Object<D>>> + '_ {
        Iter {
            dev: self,
            last: None,
        }
    }
}

struct Iter<'a, D: Driver> {
    dev: &'a Device<D>,
    /// What was looked at last, which is in the list as long as there is a reference to it.
    last: Option<ARef<Object<D>>>,
}

impl<D: Driver> Iterator for Iter<'_, D> {
    type Item = ARef<Object<D>>;

    fn next(&mut self) -> Option<ARef<Object<D>>> {
        let head = self.dev.all_objects().head.lock();
        let mut at = match &self.last {
            // SAFETY: The list is locked, and the node in it.
            Some(last) => unsafe { (*last.node.0.get()).next },
            None => head.0,
        };
        let mut found = None;

        // SAFETY: All nodes in the list are valid while it is locked, and with them the objects that
        // contain them, even if their last reference has gone.
        while let Some(node) = unsafe { at.as_ref() } {
            // SAFETY: As above.
            let (next, obj) = unsafe { ((*node.0.get()).next, (*node.0.get()).obj) };

            // SAFETY: As above. The reference becomes that of the `ARef`.
            unsafe {
                if shims::shim_gem_get_unless_zero(obj) {
                    found = Object::from_raw_owned(obj);
                    break;
                }
            }
            at = next;
        }
        drop(head);
        // This may be the last reference to the one before, so not with the list locked.
        self.last = found.clone();
        found
    }
}
