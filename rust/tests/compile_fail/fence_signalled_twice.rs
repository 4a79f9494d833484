// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A fence has one end: signalling takes it away from its owner.
//!
//! error: E0382
//! says: use of moved value: `fence`

use job::{
    PendingFence,
    Signalling, //
};

pub fn test(fence: PendingFence, sig: &Signalling<'_>) {
    fence.signal(Ok(()), sig);
    #[cfg(mistake)]
    fence.signal(Ok(()), sig);
}
