// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A `Signalling` cannot be put aside for later.
//!
//! error: E0521
//! says: borrowed data escapes outside of closure

use job::{
    Backend,
    Batch,
    Fence,
    MayBlock,
    Signalling, //
};
use kernel::sync::aref::ARef;

pub fn test<B: Backend>(ctx: &mut MayBlock, batch: Batch<B>) {
    #[cfg(mistake)]
    let mut kept: Option<&Signalling<'_>> = None;
    #[cfg(not(mistake))]
    let mut kept: Option<ARef<Fence>> = None;

    #[cfg(mistake)]
    batch.commit(ctx, |sig, _fences| kept = Some(sig));
    #[cfg(not(mistake))]
    batch.commit(ctx, |_sig: &Signalling<'_>, fences| {
        kept = fences.first().cloned()
    });
    drop(kept);
}
