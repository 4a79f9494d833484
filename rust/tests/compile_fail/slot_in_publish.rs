// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Memory for a fence cannot be allocated inside of the closure that publishes a commit's fences.
//!
//! error: E0502
//! says: cannot borrow `*ctx`

use job::{
    Backend,
    Batch,
    FenceSlot,
    MayBlock, //
};

pub fn test<B: Backend>(ctx: &mut MayBlock, batch: Batch<B>) {
    #[cfg(mistake)]
    batch.commit(ctx, |_sig, _fences| FenceSlot::new(ctx));
    #[cfg(not(mistake))]
    {
        let _ = FenceSlot::new(ctx);
        batch.commit(ctx, |_sig, _fences| ());
    }
}
