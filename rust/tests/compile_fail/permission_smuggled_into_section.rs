// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A reference to a `MayBlock` does not get into a section inside of something else either.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    FenceSlot,
    MayBlock,
    Signalling, //
};

struct Submission<'a> {
    #[cfg(mistake)]
    ctx: &'a MayBlock,
    #[cfg(not(mistake))]
    number: &'a u32,
}

impl Submission<'_> {
    fn go_on(&self) {
        #[cfg(mistake)]
        let _ = FenceSlot::new(self.ctx);
        #[cfg(not(mistake))]
        let _ = self.number;
    }
}

pub fn test(ctx: &MayBlock) {
    let _ = FenceSlot::new(ctx);
    let submission = Submission {
        #[cfg(mistake)]
        ctx,
        #[cfg(not(mistake))]
        number: &1,
    };
    Signalling::section(|_sig| submission.go_on());
}
