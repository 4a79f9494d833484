// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The fences of a buffer cannot be waited for inside of a section.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use drm::{
    gem,
    resv::{
        self,
        Usage, //
    },
    Driver, //
};
use job::MayBlock;

pub fn test<D: Driver>(ctx: &mut MayBlock, obj: &gem::Object<D>) {
    #[cfg(mistake)]
    let _ = ctx.signalling(|_sig| resv::wait(ctx, obj, Usage::Write, true, 1));
    #[cfg(not(mistake))]
    {
        let _ = resv::wait(ctx, obj, Usage::Write, true, 1);
        ctx.signalling(|_sig| ());
    }
}
