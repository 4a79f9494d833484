// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A batch is committed once.
//!
//! error: E0382
//! says: use of moved value: `batch`

use job::{
    Backend,
    Batch,
    MayBlock, //
};

pub fn test<B: Backend>(ctx: &mut MayBlock, batch: Batch<B>) {
    batch.commit(ctx, |_sig, _fences| ());
    #[cfg(mistake)]
    batch.commit(ctx, |_sig, _fences| ());
}
