// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A callback cannot be allocated inside of `Signalling::section`.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Callback,
    FenceCallback,
    MayBlock,
    Signalling, //
};

struct Count;

impl FenceCallback for Count {
    fn signaled(&self) {}
}

pub fn test(ctx: &MayBlock) {
    #[cfg(mistake)]
    Signalling::section(|_sig| Callback::new(ctx, Count));
    #[cfg(not(mistake))]
    {
        let _ = Callback::new(ctx, Count);
        Signalling::section(|_sig| ());
    }
}
