// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A queue is not torn down by who signals fences: that waits for its worker.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Backend,
    MayBlock,
    Queue,
    Signalling, //
};
use kernel::error::code::ENODEV;

pub fn test<B: Backend>(ctx: &mut MayBlock, queue: Queue<B>) {
    #[cfg(mistake)]
    Signalling::section(|_sig| queue.teardown(ctx, ENODEV));
    #[cfg(not(mistake))]
    {
        Signalling::section(|_sig| ());
        queue.teardown(ctx, ENODEV);
    }
}
