// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Driver for the NPU of Rockchip's RK3588.
//!
//! It speaks the user-space interface of the kernel's rocket driver and calls itself so.
//!
//! | what | where |
//! |---|---|
//! | the module, the node, the table of ioctls | `driver` |
//! | cores that come and go | `npu`, `probe` |
//! | a core: registers, jobs, interrupts, resets | `core`, `regs` |
//! | switching cores on and off, the rate | `power`, `devfreq` |
//! | who runs where | `sched`, `job` |
//! | files, buffers, address spaces | `file`, `gem`, `space` |
//! | submissions | `submit` |

#![forbid(unsafe_code)]
#![deny(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod core;
mod devfreq;
mod driver;
mod file;
mod gem;
mod job;
mod npu;
mod power;
mod probe;
mod regs;
mod sched;
mod space;
mod submit;

kernel::prelude::module! {
    type: driver::Module,
    name: "rknn",
    authors: ["The rknn authors"],
    description: "NPU of Rockchip's RK3588",
    license: "Dual MIT/GPL",
    params: {
        all_cores: bool {
            default: false,
            description: "Switch all cores on while one of them has work (default: those that have work)",
        },
        chain: bool {
            default: true,
            description: "Run lists that go on to the next one by themselves in one go (default: yes)",
        },
    },
}
