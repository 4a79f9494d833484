// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Who has a reference to a pending fence cannot signal it.
//!
//! error: E0507
//! says: cannot move out of `*fence`

use job::{
    PendingFence,
    Signalling, //
};

#[cfg(mistake)]
pub fn test(fence: &PendingFence, sig: &Signalling<'_>) {
    fence.signal(Ok(()), sig);
}

#[cfg(not(mistake))]
pub fn test(fence: PendingFence, sig: &Signalling<'_>) {
    fence.signal(Ok(()), sig);
}
