// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A pending fence has one owner.
//!
//! error: E0599
//! says: no method named `clone` found for struct `PendingFence`

use job::PendingFence;
use kernel::sync::aref::ARef;

pub fn test(fence: PendingFence) {
    #[cfg(mistake)]
    let _ = fence.clone();
    // What others see of it can be shared as often as one likes.
    #[cfg(not(mistake))]
    let _ = ARef::from(fence.fence()).clone();
}
