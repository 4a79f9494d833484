// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Signalling a fence takes the proof of being inside a section.
//!
//! error: E0308
//! says: expected `&Signalling<'_>`, found `&MayBlock`

use job::{
    MayBlock,
    PendingFence, //
};

pub fn test(fence: PendingFence, ctx: &mut MayBlock) {
    #[cfg(mistake)]
    fence.signal(Ok(()), &*ctx);
    #[cfg(not(mistake))]
    ctx.signalling(|sig| fence.signal(Ok(()), sig));
}
