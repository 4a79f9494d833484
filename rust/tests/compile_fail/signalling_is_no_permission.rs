// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What allocates does not take a `Signalling` for a `MayBlock`.
//!
//! error: E0308
//! says: expected `&MayBlock`, found `&Signalling

use job::{
    FenceSlot,
    MayBlock,
    Signalling, //
};

pub fn test(ctx: &MayBlock, sig: &Signalling<'_>) {
    #[cfg(mistake)]
    let _ = (ctx, FenceSlot::new(sig));
    #[cfg(not(mistake))]
    let _ = (sig, FenceSlot::new(ctx));
}
