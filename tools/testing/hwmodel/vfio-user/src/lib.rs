// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The hardware model as a process of its own: one PCI function behind vfio-user.
//!
//! [`machine`] is what the model's core lives in: memory, time, interrupts, a thread for its
//! processor. [`device`] is the PCI function, [`config`] its configuration space, [`control`] the
//! block of registers through which a guest drives the clocks, resets, supplies and power domains
//! around the GPU and the NPU, and asks for counters and records.

#![forbid(unsafe_code)]
#![deny(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

pub mod config;
pub mod control;
pub mod device;
pub mod machine;
pub mod memory;
