// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A callback cannot be allocated inside of `MayBlock::signalling`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Callback,
    FenceCallback,
    MayBlock, //
};

struct Count;

impl FenceCallback for Count {
    fn signaled(&self) {}
}

pub fn test(ctx: &mut MayBlock) {
    #[cfg(mistake)]
    ctx.signalling(|_sig| Callback::new(ctx, Count));
    #[cfg(not(mistake))]
    {
        let _ = Callback::new(ctx, Count);
        ctx.signalling(|_sig| ());
    }
}
