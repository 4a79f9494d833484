// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A second claim of the same task is as useless inside of `MayBlock::signalling`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    FenceSlot,
    MayBlock, //
};

pub fn test(ctx: &mut MayBlock, other: &MayBlock) {
    #[cfg(mistake)]
    ctx.signalling(|_sig| FenceSlot::new(other)).ok();
    #[cfg(not(mistake))]
    {
        let _ = FenceSlot::new(other);
        ctx.signalling(|_sig| ());
    }
}
