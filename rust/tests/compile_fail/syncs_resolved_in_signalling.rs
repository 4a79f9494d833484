// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Syncobjs are looked up, and memory for their points is allocated, before the commit.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use drm::{
    syncs::Requests,
    Driver,
    File, //
};
use job::MayBlock;

pub fn test<D: Driver>(ctx: &mut MayBlock, file: &File<D>, requests: Requests) {
    #[cfg(mistake)]
    let _ = ctx.signalling(|_sig| requests.resolve(ctx, file).is_ok());
    #[cfg(not(mistake))]
    {
        let _ = requests.resolve(ctx, file).is_ok();
        ctx.signalling(|_sig| ());
    }
}
