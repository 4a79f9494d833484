// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Kernel mappings of buffer objects.

use super::Object;
use crate::Driver;
use core::{
    ops::Range,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

/// A word that the memory of an object is accessed by, in one piece.
///
/// # Safety
///
/// Every bit pattern must be a value, and the processor must access an aligned value at once.
pub unsafe trait Word: Copy {}

// SAFETY: Plain integers, no larger than a register.
unsafe impl Word for u8 {}
// SAFETY: As above.
unsafe impl Word for u16 {}
// SAFETY: As above.
unsafe impl Word for u32 {}
// SAFETY: As above. A 32-bit processor accesses it in two halves, which is what drivers of 64-bit
// fields have to expect there.
unsafe impl Word for u64 {}

/// A window on the memory of an object, mapped for the kernel.
///
/// The device, user space and other windows may access the same memory at any time. Hence there are
/// no references into it; words are read and written in one piece, and what was read once may have
/// changed. All offsets are relative to the window and checked.
///
/// # Invariants
///
/// `base` is valid for volatile access of `len` bytes until [`Object::unmap_kernel()`] is called for
/// this window.
pub struct Vmap<D: Driver> {
    obj: ARef<Object<D>>,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: All access is volatile, or made by C functions, and needs no particular task.
unsafe impl<D: Driver> Send for Vmap<D> {}
// SAFETY: As above.
unsafe impl<D: Driver> Sync for Vmap<D> {}

impl<D: Driver> Object<D> {
    /// Maps the whole object for the kernel.
    ///
    /// Allocates the memory of the object, if that was not done yet, and sleeps.
    ///
    /// # Errors
    ///
    /// `EINVAL` if somebody else has made the buffer: there need not be memory to map. `ENOMEM`.
    pub fn vmap(&self) -> Result<Vmap<D>> {
        // INVARIANT: The mapping covers the object, and is counted for this window.
        Ok(Vmap {
            base: self.map_kernel()?,
            len: self.size(),
            obj: self.into(),
        })
    }
}

impl<D: Driver> Drop for Vmap<D> {
    fn drop(&mut self) {
        // SAFETY: The window has counted itself as a user of the mapping.
        unsafe { self.obj.unmap_kernel() };
    }
}

impl<D: Driver> Vmap<D> {
    /// The object.
    pub fn object(&self) -> &Object<D> {
        &self.obj
    }

    /// The length of the window in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a window is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// A smaller window on the same memory, which keeps the mapping by itself.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is empty or not inside this one.
    pub fn slice(&self, offset: usize, len: usize) -> Result<Self> {
        if len == 0 {
            return Err(EINVAL);
        }
        let base = self.at(offset, len)?;

        // The mapping exists, so this only counts; it is the same address.
        self.obj.map_kernel()?;
        // INVARIANT: The window is inside `self`, and counted.
        Ok(Self {
            obj: self.obj.clone(),
            base,
            len,
        })
    }

    fn range(&self, offset: usize, len: usize) -> Result<Range<usize>> {
        let end = offset.checked_add(len).ok_or(EINVAL)?;

        if end > self.len {
            return Err(EINVAL);
        }
        Ok(offset..end)
    }

    /// The address of `len` bytes at `offset`.
    fn at(&self, offset: usize, len: usize) -> Result<NonNull<u8>> {
        let range = self.range(offset, len)?;

        // SAFETY: The range is inside the window.
        Ok(unsafe { self.base.add(range.start) })
    }

    fn word<T: Word>(&self, offset: usize) -> Result<NonNull<T>> {
        let ptr = self.at(offset, size_of::<T>())?.cast::<T>();

        if !ptr.is_aligned() {
            return Err(EINVAL);
        }
        Ok(ptr)
    }

    /// Reads a word.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not inside the window, or not aligned.
    pub fn read<T: Word>(&self, offset: usize) -> Result<T> {
        // SAFETY: The word is inside the window and aligned, and any bits are a value.
        Ok(unsafe { self.word::<T>(offset)?.read_volatile() })
    }

    /// Writes a word.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not inside the window, or not aligned.
    pub fn write<T: Word>(&self, offset: usize, value: T) -> Result {
        // SAFETY: The word is inside the window and aligned.
        unsafe { self.word::<T>(offset)?.write_volatile(value) };
        Ok(())
    }

    /// Reads a 32-bit word; see [`Vmap::read()`].
    pub fn read32(&self, offset: usize) -> Result<u32> {
        self.read(offset)
    }

    /// Reads a 64-bit word; see [`Vmap::read()`].
    pub fn read64(&self, offset: usize) -> Result<u64> {
        self.read(offset)
    }

    /// Writes a 32-bit word; see [`Vmap::write()`].
    pub fn write32(&self, offset: usize, value: u32) -> Result {
        self.write(offset, value)
    }

    /// Writes a 64-bit word; see [`Vmap::write()`].
    pub fn write64(&self, offset: usize, value: u64) -> Result {
        self.write(offset, value)
    }

    /// Copies bytes into the window, in no particular order.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they do not fit.
    pub fn copy_from_slice(&self, offset: usize, src: &[u8]) -> Result {
        let dst = self.at(offset, src.len())?;

        // SAFETY: Both are valid for that many bytes.
        unsafe { shims::shim_memcpy(dst.as_ptr().cast(), src.as_ptr().cast(), src.len()) };
        Ok(())
    }

    /// Copies bytes out of the window, in no particular order.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the window has fewer.
    pub fn copy_to_slice(&self, offset: usize, dst: &mut [u8]) -> Result {
        let src = self.at(offset, dst.len())?;

        // SAFETY: Both are valid for that many bytes.
        unsafe { shims::shim_memcpy(dst.as_mut_ptr().cast(), src.as_ptr().cast(), dst.len()) };
        Ok(())
    }

    /// Sets `len` bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are not all inside the window.
    pub fn fill(&self, offset: usize, len: usize, byte: u8) -> Result {
        let dst = self.at(offset, len)?;

        // SAFETY: The bytes are inside the window.
        unsafe { shims::shim_memset(dst.as_ptr().cast(), byte.into(), len) };
        Ok(())
    }
}

/// Writes to memory before this are seen by the device before those after it.
pub fn dma_wmb() {
    // SAFETY: A barrier has no requirements.
    unsafe { shims::shim_dma_wmb() };
}

/// Reads of memory that the device writes, before this, happen before those after it.
pub fn dma_rmb() {
    // SAFETY: A barrier has no requirements.
    unsafe { shims::shim_dma_rmb() };
}

/// Orders all access to memory that is shared with the device.
pub fn dma_mb() {
    // SAFETY: A barrier has no requirements.
    unsafe { shims::shim_dma_mb() };
}
