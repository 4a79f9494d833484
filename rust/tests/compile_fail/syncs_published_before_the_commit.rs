// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Fences are published inside of a commit, and nowhere else.
//!
//! error: E0308
//! says: expected `&Signalling<'_>`, found `&MayBlock`

use drm::{
    syncs::Syncs,
    Driver, //
};
use job::{
    Backend,
    Batch,
    MayBlock, //
};

pub fn test<B: Backend, D: Driver>(ctx: &mut MayBlock, syncs: Syncs<'_, D>, batch: Batch<B>) {
    #[cfg(mistake)]
    let published = (syncs.publish(&*ctx, &[]), batch);
    #[cfg(not(mistake))]
    let published = batch.commit(ctx, |sig, fences| syncs.publish(sig, fences));
    drop(published);
}
