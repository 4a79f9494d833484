// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job that is in a batch belongs to the batch.
//!
//! error: E0382
//! says: borrow of moved value: `job`

use job::{
    Backend,
    Batch,
    Fence,
    MayBlock,
    Prepared, //
};

pub fn test<B: Backend>(ctx: &MayBlock, batch: &mut Batch<B>, mut job: Prepared<B>, fence: &Fence) {
    #[cfg(not(mistake))]
    let _ = job.add_dependency(ctx, fence);
    let _ = batch.push(ctx, job);
    #[cfg(mistake)]
    let _ = job.add_dependency(ctx, fence);
}
