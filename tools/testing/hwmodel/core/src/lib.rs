// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Functional model of a Mali GPU with a command stream frontend, and of an NPU with its IOMMUs.
//!
//! The model executes: registers, address spaces with a table walker and cached translations, the
//! MCU with its interfaces, command streams, and the NPU's register lists. It is strict: what real hardware would not
//! forgive is recorded with its place. It allocates nothing and never blocks, so that the same
//! code runs inside a kernel and under `cargo test`.
//!
//! Locking: none inside. Whoever hosts the model serialises all calls. Nothing here loops for
//! longer than a bounded amount of work; what takes time on hardware takes time here, by deadlines
//! that [`Gpu::step`] and [`Npu::step`] report.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

pub mod bits;
pub mod bus;
pub mod chip;
pub mod counters;
mod cs;
pub mod gpu_control;
pub mod host;
pub mod inject;
pub mod irq;
pub mod mcu;
pub mod mmu;
pub mod npu;
pub mod power;
pub mod product;
pub mod record;
pub mod soc;

mod gpu;

pub use bus::Step;
pub use chip::Block;
pub use chip::Chip;
pub use chip::Expected;
pub use gpu::Gpu;
pub use host::BusError;
pub use host::Host;
pub use host::Line;
pub use host::Wire;
pub use inject::InjectError;
pub use npu::Npu;
pub use product::Product;
pub use record::Kind;
pub use record::Record;
pub use soc::Clock;

#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;
