// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Fences and job queues whose types enforce the rules of `struct dma_fence`.
//!
//! A fence is a promise to everybody: whoever sees it may wait for it, in places where memory is
//! being reclaimed too. Hence nothing that happens between the moment a fence can be seen and the
//! moment it signals may allocate, or wait for somebody who allocates. This crate makes the two
//! sides of that line different types:
//!
//! - [`MayBlock`] is held by code that may allocate and sleep. What allocates or waits takes it.
//! - [`Signalling`] is handed to code that runs on the other side. While it exists, the `MayBlock`
//!   of the task is borrowed and cannot be used.
//!
//! A [`PendingFence`] has one owner, who signals it by value; everybody else holds a [`Fence`].
//! A [`Queue`] takes jobs through *prepare* (can fail), *commit* (cannot), *run* and *complete*.

#![deny(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

#[path = "job/context.rs"]
mod context;
#[path = "job/deps.rs"]
mod deps;
#[path = "job/domain.rs"]
mod domain;
#[path = "job/fence.rs"]
mod fence;
#[path = "job/few.rs"]
mod few;
#[path = "job/fifo.rs"]
mod fifo;
#[path = "job/queue.rs"]
mod queue;
#[path = "job/slot.rs"]
mod slot;

#[path = "job/stats.rs"]
pub mod stats;

pub use context::MayBlock;
pub use context::Signalling;
pub use domain::Domain;
pub use fence::Attached;
pub use fence::Callback;
pub use fence::Fence;
pub use fence::FenceCallback;
pub use fence::Wait;
pub use few::Few;
pub use queue::Backend;
pub use queue::Batch;
pub use queue::Cancelled;
pub use queue::OnDependencyError;
pub use queue::Prepared;
pub use queue::Queue;
pub use queue::QueueConfig;
pub use queue::QueueStats;
pub use queue::Rewind;
pub use queue::Run;
pub use slot::FenceNames;
pub use slot::FenceSlot;
pub use slot::PendingFence;
pub use slot::Timeline;

/// What the crate's messages begin with.
const __LOG_PREFIX: &[u8] = b"job\0";
