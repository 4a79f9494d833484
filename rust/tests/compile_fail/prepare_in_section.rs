// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job cannot be prepared inside of `Signalling::section`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Backend,
    MayBlock,
    Queue,
    Signalling, //
};

pub fn test<B: Backend>(ctx: &MayBlock, queue: &Queue<B>, job: B::Job) {
    #[cfg(mistake)]
    Signalling::section(|_sig| queue.prepare(ctx, job, 1));
    #[cfg(not(mistake))]
    {
        let _ = queue.prepare(ctx, job, 1);
        Signalling::section(|_sig| ());
    }
}
