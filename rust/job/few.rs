// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A vector whose first elements need no memory of their own.
//!
//! User space chooses how many jobs a submission has and how many syncs a job, and nearly always the
//! answer is one or two. What collects them on the way to the commit would allocate and free a dozen
//! times for each submission.

use core::{
    mem::MaybeUninit,
    ops::{
        Deref,
        DerefMut, //
    },
    slice, //
};

use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// A vector with room for `N` elements inside of itself.
///
/// # Invariants
///
/// The first `len` elements of `inside` are initialised. If `outside` has an element, `len` is zero.
pub struct Few<T, const N: usize> {
    inside: [MaybeUninit<T>; N],
    len: usize,
    outside: KVVec<T>,
}

impl<T, const N: usize> Few<T, N> {
    /// An empty vector. Does not allocate.
    pub const fn new() -> Self {
        // INVARIANT: None is initialised.
        Self {
            inside: [const { MaybeUninit::uninit() }; N],
            len: 0,
            outside: KVVec::new(),
        }
    }

    /// An empty vector with room for `capacity` elements.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn with_capacity(capacity: usize, flags: Flags) -> Result<Self> {
        let mut this = Self::new();

        this.reserve(capacity, flags)?;
        Ok(this)
    }

    /// Makes room for so many elements more: adding them allocates nothing.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn reserve(&mut self, additional: usize, flags: Flags) -> Result {
        if self.outside.is_empty() {
            let wanted = self.len.checked_add(additional).ok_or(ENOMEM)?;

            if wanted > N {
                self.outside.reserve(wanted, flags)?;
            }
        } else {
            self.outside.reserve(additional, flags)?;
        }
        Ok(())
    }

    /// Adds an element at the end.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. The element is dropped then.
    pub fn push(&mut self, value: T, flags: Flags) -> Result {
        if self.outside.is_empty() {
            if let Some(place) = self.inside.get_mut(self.len) {
                place.write(value);
                // INVARIANT: One more was initialised.
                self.len += 1;
                return Ok(());
            }
            self.outside.reserve(N + 1, flags)?;
            self.move_out();
        }
        self.outside.push(value, flags)?;
        Ok(())
    }

    /// Moves all elements to where there is room for them.
    fn move_out(&mut self) {
        let len = core::mem::take(&mut self.len);

        // INVARIANT: `len` is zero now.
        for place in &self.inside[..len] {
            // SAFETY: By the type's invariant the element was initialised. With the length taken
            // away, nobody else uses or drops it.
            let value = unsafe { place.assume_init_read() };

            // There is room, so this neither allocates nor fails.
            let _ = self.outside.push(value, GFP_NOWAIT);
        }
    }

    /// Drops all elements but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.outside.truncate(len);
        while self.len > len {
            // INVARIANT: What is dropped here counts no more.
            self.len -= 1;
            // SAFETY: It was the last one that is initialised, and is dropped once.
            unsafe { self.inside[self.len].assume_init_drop() };
        }
    }
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        if !self.outside.is_empty() {
            return &self.outside;
        }
        // SAFETY: By the type's invariant. `MaybeUninit<T>` has the layout of `T`.
        unsafe { slice::from_raw_parts(self.inside.as_ptr().cast(), self.len) }
    }
}

impl<T, const N: usize> DerefMut for Few<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        if !self.outside.is_empty() {
            return &mut self.outside;
        }
        // SAFETY: As in `deref`, and the borrow is exclusive.
        unsafe { slice::from_raw_parts_mut(self.inside.as_mut_ptr().cast(), self.len) }
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a Few<T, N> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a mut Few<T, N> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T, const N: usize> Drop for Few<T, N> {
    fn drop(&mut self) {
        self.truncate(0);
    }
}
