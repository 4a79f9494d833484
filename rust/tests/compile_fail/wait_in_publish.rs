// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A fence cannot be waited for inside of the closure that publishes a commit's fences.
//!
//! error: E0502
//! says: cannot borrow `*ctx`

use job::{
    Backend,
    Batch,
    Fence,
    MayBlock,
    Wait, //
};

pub fn test<B: Backend>(ctx: &mut MayBlock, fence: &Fence, batch: Batch<B>) {
    #[cfg(mistake)]
    batch.commit(ctx, |_sig, _fences| fence.wait(ctx, Wait::INTERRUPTIBLE));
    #[cfg(not(mistake))]
    {
        let _ = fence.wait(ctx, Wait::INTERRUPTIBLE);
        batch.commit(ctx, |_sig, _fences| ());
    }
}
