// SPDX-License-Identifier: GPL-2.0 OR MIT

//! KUnit tests of the crates, as a module: they run when it is loaded.

#![deny(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

#[path = "job_end.rs"]
mod job_end;
#[path = "job_example.rs"]
mod job_example;
#[path = "job_fence.rs"]
mod job_fence;
#[path = "job_few.rs"]
mod job_few;
#[path = "job_priority.rs"]
mod job_priority;
#[path = "job_queue.rs"]
mod job_queue;
#[path = "job_rig.rs"]
mod job_rig;
#[path = "job_stress.rs"]
mod job_stress;
#[path = "soc_gate.rs"]
mod soc_gate;
#[path = "soc_pgtable.rs"]
mod soc_pgtable;
#[path = "soc_pgtable_cost.rs"]
mod soc_pgtable_cost;

use kernel::prelude::*;

struct RustKunit;

impl kernel::Module for RustKunit {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

module! {
    type: RustKunit,
    name: "rust_kunit",
    authors: ["mali_csf developers"],
    description: "KUnit tests of the Rust crates under the drivers",
    license: "Dual MIT/GPL",
    params: {
        stress_jobs: i32 {
            default: 4000,
            description: "How many jobs the stress test submits",
        },
        stress_seed: i32 {
            default: 1,
            description: "Seed of the stress test's disorder",
        },
    },
}
