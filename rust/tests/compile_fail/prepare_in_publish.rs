// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job cannot be prepared inside of the closure that publishes a commit's fences.
//!
//! error: E0502
//! says: cannot borrow `*ctx`

use job::{
    Backend,
    Batch,
    MayBlock,
    Queue, //
};

pub fn test<B: Backend>(ctx: &mut MayBlock, queue: &Queue<B>, job: B::Job, batch: Batch<B>) {
    #[cfg(mistake)]
    batch.commit(ctx, |_sig, _fences| queue.prepare(ctx, job, 1));
    #[cfg(not(mistake))]
    {
        let _ = queue.prepare(ctx, job, 1);
        batch.commit(ctx, |_sig, _fences| ());
    }
}
