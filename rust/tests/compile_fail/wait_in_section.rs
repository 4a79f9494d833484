// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A fence cannot be waited for inside of `Signalling::section`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Fence,
    MayBlock,
    Signalling,
    Wait, //
};

pub fn test(ctx: &MayBlock, fence: &Fence) {
    #[cfg(mistake)]
    Signalling::section(|_sig| fence.wait(ctx, Wait::INTERRUPTIBLE));
    #[cfg(not(mistake))]
    {
        let _ = fence.wait(ctx, Wait::INTERRUPTIBLE);
        Signalling::section(|_sig| ());
    }
}
