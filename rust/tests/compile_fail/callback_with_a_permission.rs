// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What runs when a fence signals cannot have a permission to block with it.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::FenceCallback;
#[cfg(mistake)]
use job::MayBlock;

struct Count {
    #[cfg(mistake)]
    _ctx: MayBlock,
}

#[cfg(mistake)]
impl FenceCallback for Count {
    fn signaled(&self) {}
}

#[cfg(not(mistake))]
impl FenceCallback for Count {
    fn signaled(&self) {}
}
