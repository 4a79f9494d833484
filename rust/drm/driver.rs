// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a driver tells the DRM core about itself.

use crate::{
    debugfs,
    fdinfo,
    gem,
    ioctl,
    mmap,
    Device,
    DriverFile,
    Entered,
    File, //
};
use kernel::{
    bindings,
    module::this_module,
    prelude::*,
    str::as_char_ptr_in_const_context, //
};

/// Name and version of a driver, as user space sees them.
pub struct DriverInfo {
    /// Major version: changes when the interface breaks.
    pub major: i32,
    /// Minor version: grows with the interface.
    pub minor: i32,
    /// Patch level.
    pub patchlevel: i32,
    /// The name by which user space recognises the interface.
    pub name: &'static CStr,
    /// A description for humans.
    pub desc: &'static CStr,
}

/// What a driver offers beyond GEM, which every driver of this crate has.
#[derive(Clone, Copy)]
pub struct Features(u32);

impl Features {
    /// Nothing more.
    pub const NONE: Self = Self(0);
    /// A render node, usable without being the DRM master.
    pub const RENDER: Self = Self(bindings::drm_driver_feature_DRIVER_RENDER);
    /// Synchronisation objects for explicit fencing.
    pub const SYNCOBJ: Self = Self(bindings::drm_driver_feature_DRIVER_SYNCOBJ);
    /// Synchronisation objects with a timeline.
    pub const SYNCOBJ_TIMELINE: Self = Self(bindings::drm_driver_feature_DRIVER_SYNCOBJ_TIMELINE);

    /// A node under `/dev/accel` instead of those for graphics.
    pub const ACCEL: Self = Self(bindings::drm_driver_feature_DRIVER_COMPUTE_ACCEL);

    /// Both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A DRM driver.
///
/// `D::Data` lives as long as the device object, which open files keep alive after the hardware has
/// gone. `D::Bound` lives only while the driver is bound to its device and the device is registered:
/// whatever touches the hardware belongs there. It can be reached through [`Entered::bound()`] only.
#[vtable]
pub trait Driver: Sized + Send + Sync + 'static {
    /// Data of the device object.
    type Data: Send + Sync;

    /// Data of the bound scope.
    type Bound: Send + Sync + 'static;

    /// Data of an open file.
    type File: DriverFile<Driver = Self>;

    /// The driver's part of a buffer object.
    type Object: Send + Sync + 'static;

    /// Name and version.
    const INFO: DriverInfo;

    /// Features beyond GEM.
    const FEATURES: Features;

    /// The driver's ioctls; written with [`ioctls!`](crate::ioctls).
    const IOCTLS: &'static [ioctl::Descriptor<Self>];

    /// The name under which memory reclaim knows the driver, if its buffers can be taken back when
    /// memory is short. Its address spaces implement
    /// [`DriverGpuVm::evict()`](crate::gpuvm::DriverGpuVm::evict) then, and its submissions restore
    /// what was taken. The device's debugfs directory has a file `shrink`: it says how many pages
    /// could be taken, and takes as many as are written to it.
    const SHRINKER: Option<&'static CStr> = None;

    /// Makes the driver's part of a buffer that somebody else has made.
    ///
    /// A driver that does not say how cannot import foreign dma-bufs.
    fn imported(_dev: &Device<Self>) -> impl PinInit<Self::Object, Error> {
        NotImported
    }

    /// Files in the device's debugfs directory.
    const DEBUGFS: &'static [debugfs::Entry<Self>] = &[];

    /// Files there that take a number.
    const CONTROLS: &'static [debugfs::Control<Self>] = &[];

    /// The device is unplugged: nobody is inside the bound scope, nobody will enter it again.
    ///
    /// Called before `bound` is dropped, so that work can be stopped and reference cycles broken.
    fn unplugged(_dev: &Device<Self>, _bound: &Self::Bound) {}

    /// Adds the driver's lines to `/proc/PID/fdinfo/FD`.
    fn show_fdinfo(_dev: &Device<Self>, _file: &File<Self>, _p: &mut fdinfo::Printer<'_>) {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Decides what an `mmap()` of the device node refers to.
    ///
    /// Everything is a buffer object unless the driver claims the range as pages of its own, which
    /// [`Driver::mmap_fault()`] then provides.
    fn mmap(
        _dev: &Entered<'_, Self>,
        _file: &File<Self>,
        _request: &mmap::Request,
    ) -> Result<mmap::Claim> {
        Ok(mmap::Claim::Gem)
    }

    /// Provides a page of a range that [`Driver::mmap()`] has claimed.
    fn mmap_fault(_dev: &Entered<'_, Self>, fault: &mmap::Fault<'_, Self>) -> mmap::Outcome {
        fault.sigbus()
    }
}

/// Makes no object.
struct NotImported;

// SAFETY: It always fails, and leaves the memory as it is.
unsafe impl<T> PinInit<T, Error> for NotImported {
    unsafe fn __init(self, _slot: *mut T) -> Result {
        Err(EOPNOTSUPP)
    }
}

/// The C structures of a driver.
pub(crate) struct Vtable<D: Driver>(core::marker::PhantomData<D>);

impl<D: Driver> Vtable<D> {
    pub(crate) const DRIVER: bindings::drm_driver = bindings::drm_driver {
        open: Some(File::<D>::open_callback),
        postclose: Some(File::<D>::postclose_callback),
        release: Some(Device::<D>::release_callback),
        show_fdinfo: if D::HAS_SHOW_FDINFO {
            Some(fdinfo::show_callback::<D>)
        } else {
            None
        },
        debugfs_init: if D::DEBUGFS.is_empty() && D::CONTROLS.is_empty() && D::SHRINKER.is_none() {
            None
        } else {
            Some(debugfs::init_callback::<D>)
        },
        major: D::INFO.major,
        minor: D::INFO.minor,
        patchlevel: D::INFO.patchlevel,
        name: as_char_ptr_in_const_context(D::INFO.name).cast_mut(),
        desc: as_char_ptr_in_const_context(D::INFO.desc).cast_mut(),
        gem_prime_import: Some(gem::Object::<D>::import_callback),
        gem_prime_import_sg_table: if D::HAS_IMPORTED {
            Some(gem::Object::<D>::import_table_callback)
        } else {
            None
        },
        driver_features: bindings::drm_driver_feature_DRIVER_GEM | D::FEATURES.0,
        // CAST: A descriptor is a transparent wrapper of the C structure.
        ioctls: D::IOCTLS.as_ptr().cast(),
        num_ioctls: {
            assert!(
                D::IOCTLS.len() <= 0x60,
                "the range of driver ioctls has 96 numbers"
            );

            let mut i = 0;
            let mut num = 0;

            while i < D::IOCTLS.len() {
                i += 1;
                num += 1;
            }
            num
        },
        fops: &Self::FOPS,
        ..pin_init::zeroed()
    };

    const FOPS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<D::OwnerModule>().as_ptr(),
        open: Some(if D::FEATURES.0 & Features::ACCEL.0 != 0 {
            shims::shim_accel_open
        } else {
            bindings::drm_open
        }),
        release: Some(bindings::drm_release),
        unlocked_ioctl: Some(bindings::drm_ioctl),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: Some(bindings::drm_compat_ioctl),
        poll: Some(bindings::drm_poll),
        read: Some(bindings::drm_read),
        llseek: Some(bindings::noop_llseek),
        mmap: Some(mmap::mmap_callback::<D>),
        show_fdinfo: if D::HAS_SHOW_FDINFO {
            Some(bindings::drm_show_fdinfo)
        } else {
            None
        },
        fop_flags: bindings::FOP_UNSIGNED_OFFSET,
        ..pin_init::zeroed()
    };
}
