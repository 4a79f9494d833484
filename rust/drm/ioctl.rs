// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Dispatch of ioctls to typed handlers.

use crate::{
    Device,
    Driver,
    Entered,
    File, //
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    ffi::{
        c_int,
        c_void, //
    },
    ioctl::{
        _IOR,
        _IOW,
        _IOWR, //
    },
    prelude::*,
    str::as_char_ptr_in_const_context,
    uapi, //
};
use zerocopy::{
    FromBytes,
    IntoBytes, //
};

/// The caller must be authenticated, or use a render node.
pub const AUTH: u32 = bindings::drm_ioctl_flags_DRM_AUTH;
/// The caller must be the current DRM master.
pub const MASTER: u32 = bindings::drm_ioctl_flags_DRM_MASTER;
/// The caller must have `CAP_SYS_ADMIN`.
pub const ROOT_ONLY: u32 = bindings::drm_ioctl_flags_DRM_ROOT_ONLY;
/// The ioctl is allowed on render nodes.
pub const RENDER_ALLOW: u32 = bindings::drm_ioctl_flags_DRM_RENDER_ALLOW;
/// No restriction on an accel node; on a primary node, none either.
pub const ANY: u32 = 0;

/// Which way the argument of an ioctl is copied.
#[derive(Clone, Copy)]
pub enum Direction {
    /// From the kernel to user space.
    IOR,
    /// From user space to the kernel.
    IOW,
    /// Both ways; the copy back happens even if the ioctl fails.
    IOWR,
}

/// One entry of a driver's ioctl table. [`ioctls!`](crate::ioctls) makes them.
///
/// # Invariants
///
/// The function in it expects a `Device<D>` and a file that is open on it.
#[repr(transparent)]
pub struct Descriptor<D: Driver>(bindings::drm_ioctl_desc, PhantomData<fn(D)>);

// SAFETY: A descriptor is constant, and what it points to is static.
unsafe impl<D: Driver> Sync for Descriptor<D> {}

/// Makes the descriptor of driver ioctl `nr`. Not to be called directly: see
/// [`ioctls!`](crate::ioctls).
#[doc(hidden)]
pub const fn descriptor<D, T, H>(
    direction: Direction,
    nr: u32,
    name: &'static CStr,
    flags: u32,
    _handler: H,
) -> Descriptor<D>
where
    D: Driver,
    T: FromBytes + IntoBytes,
    H: Fn(&Entered<'_, D>, &mut T, &File<D>) -> Result<u32> + Copy,
{
    assert!(
        size_of::<H>() == 0,
        "a handler must be a function, not a pointer to one"
    );

    // CAST: A `u8` fits.
    let ty = uapi::DRM_IOCTL_BASE as u32;
    let nr = uapi::DRM_COMMAND_BASE + nr;
    let cmd = match direction {
        Direction::IOR => _IOR::<T>(ty, nr),
        Direction::IOW => _IOW::<T>(ty, nr),
        Direction::IOWR => _IOWR::<T>(ty, nr),
    };

    // INVARIANT: `dispatch` is that of `D`.
    Descriptor(
        bindings::drm_ioctl_desc {
            cmd,
            flags,
            func: Some(dispatch::<D, T, H>),
            name: as_char_ptr_in_const_context(name),
        },
        PhantomData,
    )
}

/// # Safety
///
/// Only for `struct drm_ioctl_desc`: `dev` must be a `Device<D>`, `file` open on it, and `data` point
/// to as many bytes as `T` has. A value of type `H` must exist.
unsafe extern "C" fn dispatch<D, T, H>(
    dev: *mut bindings::drm_device,
    data: *mut c_void,
    file: *mut bindings::drm_file,
) -> c_int
where
    D: Driver,
    T: FromBytes + IntoBytes,
    H: Fn(&Entered<'_, D>, &mut T, &File<D>) -> Result<u32> + Copy,
{
    // SAFETY: `descriptor()`, which alone names this function, was given a value of `H` and has
    // checked that it has no size; `H` is `Copy`, so another one may be made.
    let handler = unsafe { core::ptr::NonNull::<H>::dangling().read() };
    // SAFETY: By this function's requirements.
    let dev = unsafe { Device::<D>::from_raw(dev) };
    // SAFETY: By this function's requirements.
    let file = unsafe { File::<D>::from_raw(file) };

    let Some(dev) = dev.enter() else {
        return ENODEV.to_errno();
    };

    // The core's buffer need not be aligned for `T`.
    // SAFETY: `data` is large enough, initialised, and any bytes make a `T`.
    let mut args = unsafe { data.cast::<T>().read_unaligned() };
    let ret = handler(&dev, &mut args, file);
    // SAFETY: As above; a `T` has no padding, so all bytes that go to user space are initialised.
    unsafe { data.cast::<T>().write_unaligned(args) };

    match ret {
        Ok(value) => c_int::try_from(value).unwrap_or(ERANGE.to_errno()),
        Err(e) => e.to_errno(),
    }
}

/// Declares the ioctls of a driver, inside its `impl drm::Driver`.
///
/// The numbers count from 0 without gaps. A handler has the type
/// `fn(&Entered<'_, D>, &mut T, &File<D>) -> Result<u32>`; what it returns is the result of the ioctl.
/// Its argument is a copy: shorter structures of older user space are extended with zeroes, and what
/// the handler changes is copied back, also when it returns an error. When the device is unplugged,
/// the handler is not called and user space gets `ENODEV`.
///
/// ```ignore
/// drm::ioctls! {
///     IOWR 0 DEV_QUERY(uapi::drm_panthor_dev_query, RENDER_ALLOW) => file::dev_query,
///     IOWR 1 VM_CREATE(uapi::drm_panthor_vm_create, AUTH | RENDER_ALLOW) => file::vm_create,
/// }
/// ```
#[macro_export]
macro_rules! ioctls {
    ($($dir:ident $nr:literal $name:ident($ty:ty, $($flag:ident)|+) => $handler:expr),+ $(,)?) => {
        const IOCTLS: &'static [$crate::ioctl::Descriptor<Self>] = {
            const {
                let mut next = 0;
                $(
                    ::core::assert!($nr == next, "ioctl numbers must count from 0 without gaps");
                    next += 1;
                )+
                let _ = next;
            }
            &[$(
                $crate::ioctl::descriptor::<Self, $ty, _>(
                    $crate::ioctl::Direction::$dir,
                    $nr,
                    ::kernel::c_str!(::core::stringify!($name)),
                    $($crate::ioctl::$flag)|+,
                    $handler,
                ),
            )+]
        };
    };
}
