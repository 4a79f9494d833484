// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Memory for a fence cannot be allocated inside of `MayBlock::signalling`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    FenceSlot,
    MayBlock, //
};

pub fn test(ctx: &mut MayBlock) {
    #[cfg(mistake)]
    ctx.signalling(|_sig| FenceSlot::new(ctx));
    #[cfg(not(mistake))]
    {
        let _ = FenceSlot::new(ctx);
        ctx.signalling(|_sig| ());
    }
}
