// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job cannot be prepared inside of `MayBlock::signalling`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Backend,
    MayBlock,
    Queue, //
};

pub fn test<B: Backend>(ctx: &mut MayBlock, queue: &Queue<B>, job: B::Job) {
    #[cfg(mistake)]
    ctx.signalling(|_sig| queue.prepare(ctx, job, 1));
    #[cfg(not(mistake))]
    {
        let _ = queue.prepare(ctx, job, 1);
        ctx.signalling(|_sig| ());
    }
}
