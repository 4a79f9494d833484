// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Workers are not created inside of a section.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Domain,
    MayBlock, //
};

pub fn test(ctx: &mut MayBlock) {
    #[cfg(mistake)]
    let _ = ctx.signalling(|_sig| Domain::new(ctx, c"workers").is_ok());
    #[cfg(not(mistake))]
    {
        let _ = Domain::new(ctx, c"workers").is_ok();
        ctx.signalling(|_sig| ());
    }
}
