// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job is submitted once.
//!
//! error: E0382
//! says: use of moved value: `job`

use job::{
    Backend,
    Batch,
    MayBlock,
    Prepared, //
};

pub fn test<B: Backend>(ctx: &MayBlock, batch: &mut Batch<B>, job: Prepared<B>) {
    let _ = batch.push(ctx, job);
    #[cfg(mistake)]
    let _ = batch.push(ctx, job);
}
