// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A callback cannot be allocated inside of the closure that publishes a commit's fences.
//!
//! error: E0502
//! says: cannot borrow `*ctx`

use job::{
    Backend,
    Batch,
    Callback,
    FenceCallback,
    MayBlock, //
};

struct Count;

impl FenceCallback for Count {
    fn signaled(&self) {}
}

pub fn test<B: Backend>(ctx: &mut MayBlock, batch: Batch<B>) {
    #[cfg(mistake)]
    batch.commit(ctx, |_sig, _fences| Callback::new(ctx, Count));
    #[cfg(not(mistake))]
    {
        let _ = Callback::new(ctx, Count);
        batch.commit(ctx, |_sig, _fences| ());
    }
}
