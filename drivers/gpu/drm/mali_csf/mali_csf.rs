// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Driver for Arm Mali GPUs with a command stream frontend.
//!
//! It speaks the user-space interface of the kernel's panthor driver and calls itself so.
//!
//! | what | where |
//! |---|---|
//! | binding, and the table of ioctls | `driver` |
//! | switching on and off, the rate | `machine`, `power`, `devfreq` |
//! | registers, interrupts, reset, caches | `regs`, `irq`, `gpu` |
//! | address spaces and virtual memory | `mmu`, `vm`, `gem` |
//! | firmware and its interface | `fw` |
//! | files, queries, binds | `file`, `flush_id`, `query`, `bind` |
//! | groups, queues, submissions | `group`, `queue`, `ring`, `sync` |
//! | who runs when | `sched` |

#![forbid(unsafe_code)]
#![deny(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod bind;
mod devfreq;
mod driver;
mod file;
mod flush_id;
mod fw;
mod gem;
mod gpu;
mod group;
mod heap;
mod irq;
mod machine;
mod mmu;
mod power;
mod query;
mod queue;
mod regs;
mod ring;
mod sched;
mod sync;
mod vm;

kernel::module_driver!(<T>, soc::pm::Platform<T>, {
    type: driver::Driver,
    name: "mali_csf",
    authors: ["The mali_csf authors"],
    description: "Arm Mali GPUs with a command stream frontend",
    license: "Dual MIT/GPL",
    firmware: [
        "arm/mali/arch10.8/mali_csffw.bin",
        "arm/mali/arch10.10/mali_csffw.bin",
        "arm/mali/arch10.12/mali_csffw.bin",
        "arm/mali/arch11.8/mali_csffw.bin",
        "arm/mali/arch12.8/mali_csffw.bin",
        "arm/mali/arch13.8/mali_csffw.bin",
        "arm/mali/arch14.8/mali_csffw.bin",
    ],
});
