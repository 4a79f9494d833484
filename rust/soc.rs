// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a driver for a block of a SoC needs besides the `kernel` crate: I/O page tables fed from
//! preallocated pages, clocks, operating points, rates that follow the load, power management,
//! interrupts, workqueues.
//!
//! Nothing here knows a driver. Everything that is public is safe to call.

#![deny(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

#[path = "soc/clk.rs"]
pub mod clk;
#[path = "soc/devfreq.rs"]
pub mod devfreq;
#[path = "soc/dma.rs"]
pub mod dma;
#[path = "soc/facade.rs"]
pub mod facade;
#[path = "soc/gate.rs"]
pub mod gate;
#[path = "soc/io.rs"]
pub mod io;
#[path = "soc/iommu.rs"]
pub mod iommu;
#[path = "soc/irq.rs"]
pub mod irq;
#[path = "soc/nvmem.rs"]
pub mod nvmem;
#[path = "soc/opp.rs"]
pub mod opp;
#[path = "soc/pgtable.rs"]
pub mod pgtable;
#[path = "soc/pm.rs"]
pub mod pm;
#[path = "soc/probe.rs"]
pub mod probe;
#[path = "soc/reset.rs"]
pub mod reset;
#[path = "soc/wait.rs"]
pub mod wait;
#[path = "soc/worker.rs"]
pub mod worker;
#[path = "soc/wq.rs"]
pub mod wq;

use kernel::{
    bindings,
    device::{
        Device,
        DeviceContext, //
    }, //
};

/// The C device, valid as long as `dev` is.
fn raw_device<Ctx: DeviceContext>(dev: &Device<Ctx>) -> *mut bindings::device {
    // `Device` is a transparent wrapper of the C structure.
    core::ptr::from_ref(dev).cast_mut().cast()
}
