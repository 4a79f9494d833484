// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A fence cannot be waited for inside of `MayBlock::signalling`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Fence,
    MayBlock,
    Wait, //
};

pub fn test(ctx: &mut MayBlock, fence: &Fence) {
    #[cfg(mistake)]
    ctx.signalling(|_sig| fence.wait(ctx, Wait::INTERRUPTIBLE));
    #[cfg(not(mistake))]
    {
        let _ = fence.wait(ctx, Wait::INTERRUPTIBLE);
        ctx.signalling(|_sig| ());
    }
}
