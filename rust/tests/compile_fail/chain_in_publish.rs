// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A timeline's point cannot be allocated when fences are being published.
//!
//! error: E0502
//! says: cannot borrow `*ctx`

use drm::syncobj::Chain;
use job::{
    Backend,
    Batch,
    MayBlock, //
};

pub fn test<B: Backend>(ctx: &mut MayBlock, batch: Batch<B>) {
    #[cfg(mistake)]
    let _ = batch.commit(ctx, |_sig, _fences| Chain::new(ctx));
    #[cfg(not(mistake))]
    {
        let _ = Chain::new(ctx);
        batch.commit(ctx, |_sig, _fences| ());
    }
}
