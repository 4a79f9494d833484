// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Memory for a fence cannot be allocated inside of `Signalling::section`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    FenceSlot,
    MayBlock,
    Signalling, //
};

pub fn test(ctx: &MayBlock) {
    #[cfg(mistake)]
    Signalling::section(|_sig| FenceSlot::new(ctx));
    #[cfg(not(mistake))]
    {
        let _ = FenceSlot::new(ctx);
        Signalling::section(|_sig| ());
    }
}
