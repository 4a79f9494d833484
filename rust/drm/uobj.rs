// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Structures that grow: exchange with user space that is older or newer than the kernel.
//!
//! Every structure has a smallest size, that of its first version ([`min_size!`](crate::min_size)).
//! User space says how large its own version is:
//!
//! | user space | to the kernel | to user space |
//! |---|---|---|
//! | smaller than the smallest | `EINVAL` | `EINVAL` |
//! | older | the rest is zero | cut off |
//! | the same | copied | copied |
//! | newer | `E2BIG`, unless the rest is zero | the rest is zeroed |

use job::Few;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    str::CString, //
};
use zerocopy::{
    FromBytes,
    Immutable,
    IntoBytes, //
};

/// The size of a structure up to and including a field.
///
/// ```ignore
/// drm::uobj::read_array::<uapi::drm_panthor_sync_op>(
///     array, count, stride, drm::min_size!(uapi::drm_panthor_sync_op, timeline_value))
/// ```
#[macro_export]
macro_rules! min_size {
    ($ty:ty, $last:ident) => {{
        const fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
            ::core::mem::size_of::<F>()
        }
        ::core::mem::offset_of!($ty, $last) + size_of_field::<$ty, _>(|s| &s.$last)
    }};
}

fn size(user_size: u32, min: usize) -> Result<usize> {
    let user_size = usize::try_from(user_size)?;

    if user_size < min {
        return Err(EINVAL);
    }
    Ok(user_size)
}

/// Copies a structure to user space.
///
/// # Errors
///
/// `EINVAL` if `user_size` is smaller than `min`, `EFAULT`.
pub fn write<T: IntoBytes + Immutable>(ptr: u64, user_size: u32, min: usize, obj: &T) -> Result {
    let user_size = size(user_size, min)?;
    let bytes = obj.as_bytes();
    let known = user_size.min(bytes.len());

    // SAFETY: `bytes` is valid for `known` bytes; the function checks the user's address.
    to_result(unsafe { shims::shim_copy_to_user(ptr, bytes.as_ptr().cast(), known) })?;
    if user_size > known {
        let tail = ptr.checked_add(u64::try_from(known)?).ok_or(EFAULT)?;

        // SAFETY: The function checks the user's address.
        to_result(unsafe { shims::shim_clear_user(tail, user_size - known) })?;
    }
    Ok(())
}

/// Copies a structure from user space.
///
/// # Errors
///
/// `EINVAL` if `user_size` is smaller than `min`, `E2BIG` if it is larger than the structure and the
/// rest is not zero, `EFAULT`.
pub fn read<T: FromBytes + IntoBytes>(ptr: u64, user_size: u32, min: usize) -> Result<T> {
    let user_size = size(user_size, min)?;

    read_one(ptr, user_size)
}

fn read_one<T: FromBytes + IntoBytes>(ptr: u64, user_size: usize) -> Result<T> {
    let mut obj = T::new_zeroed();
    let bytes = obj.as_mut_bytes();

    // SAFETY: `bytes` is valid for its length; the function checks the user's address.
    to_result(unsafe {
        shims::shim_copy_struct_from_user(bytes.as_mut_ptr().cast(), bytes.len(), ptr, user_size)
    })?;
    Ok(obj)
}

/// The largest array that is copied, in bytes. What is larger cannot be meant, and the kernel's memory
/// is not there to find out.
const MAX_ARRAY: usize = 64 << 20;

/// How many structures are copied without allocating.
const FEW: usize = 4;

/// Copies an array of structures from user space, each `stride` bytes after the one before.
///
/// # Errors
///
/// None if `count` is zero. Otherwise `EINVAL` if `stride` is smaller than `min`, `ENOMEM` if the
/// array does not fit into memory or is larger than 64 MiB, and for each structure `E2BIG` and
/// `EFAULT` as in [`read()`].
pub fn read_array<T: FromBytes + IntoBytes>(
    ptr: u64,
    count: u32,
    stride: u32,
    min: usize,
) -> Result<Few<T, FEW>> {
    if count == 0 {
        return Ok(Few::new());
    }

    let stride = size(stride, min)?;
    let count = usize::try_from(count)?;

    if count > MAX_ARRAY / size_of::<T>().max(1) {
        return Err(ENOMEM);
    }
    // User space chooses the size, so it is charged for it, and its failure is no news.
    let mut array = Few::with_capacity(count, GFP_KERNEL_ACCOUNT | __GFP_NOWARN)?;
    let mut at = ptr;

    for _ in 0..count {
        array.push(read_one::<T>(at, stride)?, GFP_KERNEL)?;
        // A wrapped address cannot be read; the element before it may have been the last.
        at = at.wrapping_add(u64::try_from(stride)?);
    }
    Ok(array)
}

/// Copies a string from user space.
///
/// # Errors
///
/// `E2BIG` if it does not end within `max` bytes, its end included; `EFAULT`, `ENOMEM`.
pub fn read_string(ptr: u64, max: usize) -> Result<CString> {
    // SAFETY: The function checks the user's address.
    let string = from_err_ptr(unsafe { shims::shim_strndup_user(ptr, max) }).map_err(|e| {
        if e == EINVAL {
            E2BIG
        } else {
            e
        }
    })?;
    // SAFETY: It is a string of the kernel's own now, which nobody else knows.
    let copy = CString::try_from(unsafe { CStr::from_char_ptr(string) });

    // SAFETY: As above; it was allocated by `kmalloc()`.
    unsafe { kernel::bindings::kfree(string.cast()) };
    Ok(copy?)
}
