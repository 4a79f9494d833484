// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Safe abstractions of the DRM subsystem for drivers of render and compute devices.
//!
//! The layer needs nothing of the `kernel` crate's own `drm` module, so it works in a kernel that
//! builds DRM as a module. It owns `struct drm_driver`, the file operations and the GEM functions;
//! a driver fills in traits and calls nothing unsafe.
//!
//! | what | where |
//! |---|---|
//! | what a driver is, and the device that it makes | [`Driver`], [`UnregisteredDevice`], [`Device`] |
//! | data that only exists while the hardware is there | [`Entered`] |
//! | open files and their ioctls | [`File`], [`ioctls!`], [`uobj`], [`mmap`] |
//! | buffer objects | [`gem`] |
//! | GPU virtual address spaces | [`gpuvm`], [`mm`] |
//! | locking reservations, fences between drivers | [`exec`], [`resv`], [`syncobj`] |
//! | what a submission waits for and signals | [`syncs`] |
//! | what user space may look at | [`fdinfo`], [`debugfs`] |
//! | who asks, and when | [`task`], [`time`] |
//!
//! # Life of a device
//!
//! A driver's probe makes an [`UnregisteredDevice`]; buffers and address spaces can be made with it.
//! [`UnregisteredDevice::register()`] takes the data of the bound scope, [`Driver::Bound`], lets the
//! driver bring the hardware up, and shows the device to user space. At unbind that scope ends:
//! nobody enters it any more, those inside leave, and the data is dropped. The [`Device`] itself,
//! and the files and buffers that refer to it, live on until their last user lets go of them.

#![deny(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::undocumented_unsafe_blocks
)]

#[path = "drm/debugfs.rs"]
pub mod debugfs;
#[path = "drm/device.rs"]
mod device;
#[path = "drm/dma.rs"]
mod dma;
#[path = "drm/driver.rs"]
mod driver;
#[path = "drm/exec.rs"]
pub mod exec;
#[path = "drm/fdinfo.rs"]
pub mod fdinfo;
#[path = "drm/file.rs"]
mod file;
#[path = "drm/gem.rs"]
pub mod gem;
#[path = "drm/gpuvm.rs"]
pub mod gpuvm;
#[path = "drm/ioctl.rs"]
pub mod ioctl;
#[path = "drm/mm.rs"]
pub mod mm;
#[path = "drm/mmap.rs"]
pub mod mmap;
#[path = "drm/resv.rs"]
pub mod resv;
#[path = "drm/syncobj.rs"]
pub mod syncobj;
#[path = "drm/syncs.rs"]
pub mod syncs;
#[path = "drm/task.rs"]
pub mod task;
#[path = "drm/time.rs"]
pub mod time;
#[path = "drm/uobj.rs"]
pub mod uobj;

pub use device::Device;
pub use device::Entered;
pub use device::UnregisteredDevice;
pub use driver::Driver;
pub use driver::DriverInfo;
pub use driver::Features;
pub use file::DriverFile;
pub use file::File;
