// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A queue is not torn down inside of a section: that waits for its worker.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Backend,
    MayBlock,
    Queue, //
};
use kernel::error::code::ENODEV;

pub fn test<B: Backend>(ctx: &mut MayBlock, queue: Queue<B>) {
    #[cfg(mistake)]
    ctx.signalling(|_sig| queue.teardown(ctx, ENODEV));
    #[cfg(not(mistake))]
    {
        ctx.signalling(|_sig| ());
        queue.teardown(ctx, ENODEV);
    }
}
