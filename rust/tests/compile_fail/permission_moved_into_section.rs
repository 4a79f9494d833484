// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A `MayBlock` cannot be given away to a section.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    MayBlock,
    Signalling, //
};

pub fn test() {
    let ctx = MayBlock::new();
    #[cfg(mistake)]
    Signalling::section(move |_sig| drop(ctx));
    #[cfg(not(mistake))]
    {
        drop(ctx);
        Signalling::section(|_sig| ());
    }
}
