// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Who looks at a fence after its owner has signalled it needs a reference of its own.
//!
//! error: E0505
//! says: cannot move out of `pending` because it is borrowed

use job::{
    PendingFence,
    Signalling, //
};
use kernel::sync::aref::ARef;

pub fn test(pending: PendingFence, sig: &Signalling<'_>) -> bool {
    #[cfg(mistake)]
    let fence = pending.fence();
    #[cfg(not(mistake))]
    let fence = ARef::from(pending.fence());
    pending.signal(Ok(()), sig);
    fence.is_signaled()
}
