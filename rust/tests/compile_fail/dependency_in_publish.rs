// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job gets no further dependency when others are being committed: that allocates.
//!
//! error: E0502
//! says: cannot borrow `*ctx`

use job::{
    Backend,
    Batch,
    Fence,
    MayBlock,
    Prepared, //
};

pub fn test<B: Backend>(ctx: &mut MayBlock, batch: Batch<B>, job: &mut Prepared<B>, fence: &Fence) {
    #[cfg(mistake)]
    let _ = batch.commit(ctx, |_sig, _fences| job.add_dependency(ctx, fence));
    #[cfg(not(mistake))]
    {
        let _ = job.add_dependency(ctx, fence);
        batch.commit(ctx, |_sig, _fences| ());
    }
}
