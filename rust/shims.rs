// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Raw bindings: the bottom of the Rust crates in this tree.
//!
//! Everything here is for the crates beside it, which build safe types on top. A driver uses only
//! [`uapi`], the structures and constants of the user-space interfaces.
//!
//! The declarations come from bindgen, run on `shims/shims.h` and on `shims/uapi.h` during the
//! build. Types are never generated twice: a function signature refers to the types of
//! [`kernel::bindings`], or to the opaque ones declared below where the kernel's bindings lack them.

pub use c::*;
pub use kernel::bindings;

/// C functions that [`kernel::bindings`] does not declare.
///
/// The safety requirements are those of the C functions.
#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub
)]
pub mod c {
    use kernel::{
        bindings::*,
        ffi, //
    };

    /// `struct drm_syncobj`, only ever handled by pointer.
    #[repr(C)]
    pub struct drm_syncobj {
        _opaque: [u8; 0],
    }

    /// `struct dma_fence_chain`, only ever handled by pointer.
    #[repr(C)]
    pub struct dma_fence_chain {
        _opaque: [u8; 0],
    }

    /// `struct iommu_domain`, only ever handled by pointer.
    #[repr(C)]
    pub struct iommu_domain {
        _opaque: [u8; 0],
    }

    /// `struct iommu_group`, only ever handled by pointer.
    #[repr(C)]
    pub struct iommu_group {
        _opaque: [u8; 0],
    }

    /// `struct reset_control`, only ever handled by pointer.
    #[repr(C)]
    pub struct reset_control {
        _opaque: [u8; 0],
    }

    /// `struct shim_power_domains`, only ever handled by pointer.
    #[repr(C)]
    pub struct shim_power_domains {
        _opaque: [u8; 0],
    }

    /// `struct shim_devfreq`, only ever handled by pointer.
    #[repr(C)]
    pub struct shim_devfreq {
        _opaque: [u8; 0],
    }

    /// `struct kthread_worker`, only ever handled by pointer.
    #[repr(C)]
    pub struct kthread_worker {
        _opaque: [u8; 0],
    }

    /// `struct kthread_work`, embedded by those who queue it.
    #[repr(C, align(8))]
    pub struct kthread_work {
        _opaque: [u8; SHIM_SOC_WORKER_ITEM_SIZE as usize],
    }

    include!(env!("SHIMS_GENERATED"));
}

/// Structures and constants of the user-space interfaces.
///
/// All structures are plain data without padding: any bytes make a valid value, and a value can be
/// handed out as bytes.
#[allow(
    clippy::all,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub
)]
pub mod uapi {
    use kernel::ffi;
    use zerocopy_derive::{
        FromBytes,
        Immutable,
        IntoBytes,
        KnownLayout, //
    };

    type __u8 = u8;
    type __u16 = u16;
    type __u32 = u32;
    type __u64 = u64;
    type __s32 = i32;
    type __s64 = i64;

    include!(env!("SHIMS_UAPI_GENERATED"));
}
