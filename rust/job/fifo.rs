// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A queue of boxed nodes that takes no memory of its own.

use core::{
    cell::Cell,
    ptr::NonNull, //
};

use kernel::prelude::*;

/// The link inside of a node.
pub(crate) struct Link<T>(Cell<Option<NonNull<T>>>);

impl<T> Link<T> {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(None))
    }
}

/// A node that can be in one [`Fifo`].
pub(crate) trait Linked: Sized {
    fn link(&self) -> &Link<Self>;
}

/// First in, first out.
///
/// # Invariants
///
/// The nodes are a chain through their links from `first` to `last`. Each came out of a `KBox`, which
/// the list owns. The links are only touched through the list.
pub(crate) struct Fifo<T: Linked> {
    first: Option<NonNull<T>>,
    last: Option<NonNull<T>>,
    len: usize,
}

// SAFETY: The list owns its nodes.
unsafe impl<T: Linked + Send> Send for Fifo<T> {}

impl<T: Linked> Fifo<T> {
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            last: None,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn push(&mut self, node: KBox<T>) {
        let node = NonNull::from(KBox::leak(node));

        // SAFETY: The node is ours.
        unsafe { node.as_ref() }.link().0.set(None);
        match self.last.replace(node) {
            // SAFETY: By the type's invariant the node is valid. Its link is only touched through
            // this list, which is borrowed mutably.
            Some(last) => unsafe { last.as_ref() }.link().0.set(Some(node)),
            None => self.first = Some(node),
        }
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<KBox<T>> {
        let node = self.first?;

        // SAFETY: By the type's invariant the node is valid.
        self.first = unsafe { node.as_ref() }.link().0.take();
        if self.first.is_none() {
            self.last = None;
        }
        self.len -= 1;
        // SAFETY: By the type's invariant the node came out of a `KBox`, and it has left the list.
        Some(unsafe { KBox::from_raw(node.as_ptr()) })
    }

    /// Puts all nodes of `other` behind those of this one.
    pub(crate) fn append(&mut self, mut other: Self) {
        let Some(first) = other.first.take() else {
            return;
        };
        match self.last.replace(first) {
            // SAFETY: By the type's invariant the node is valid. Its link is only touched through
            // this list, which is borrowed mutably.
            Some(last) => unsafe { last.as_ref() }.link().0.set(Some(first)),
            None => self.first = Some(first),
        }
        self.last = other.last.take();
        self.len += core::mem::take(&mut other.len);
    }

    /// The first node. It stays valid until it is popped.
    pub(crate) fn first_ptr(&self) -> Option<NonNull<T>> {
        self.first
    }

    pub(crate) fn first(&self) -> Option<&T> {
        // SAFETY: By the type's invariant the node is valid, and it is not popped while the list is
        // borrowed.
        self.first.map(|node| unsafe { node.as_ref() })
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut T> {
        // SAFETY: By the type's invariant the node is valid and owned by the list, which is borrowed
        // mutably.
        self.first.map(|mut node| unsafe { node.as_mut() })
    }

    /// All nodes in order. They stay valid until they are popped; somebody may be using them.
    pub(crate) fn iter_ptr(&self) -> impl Iterator<Item = NonNull<T>> + '_ {
        core::iter::successors(self.first, |node| {
            // SAFETY: By the type's invariant the node is valid, and it is not popped while the list
            // is borrowed. Its link is only touched through the list.
            unsafe { node.as_ref() }.link().0.get()
        })
    }

    /// Calls `f` with every node in order, until it returns `false`.
    pub(crate) fn for_each_mut(&mut self, mut f: impl FnMut(&mut T) -> bool) {
        let mut next = self.first;
        while let Some(mut node) = next {
            // SAFETY: By the type's invariant the node is valid and owned by the list, which is
            // borrowed mutably.
            let node = unsafe { node.as_mut() };
            if !f(node) {
                break;
            }
            next = node.link().0.get();
        }
    }
}

impl<T: Linked> Drop for Fifo<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
