// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A section belongs to the task that is inside of it.
//!
//! error: E0277
//! says: appears within the type `Signalling

use job::{
    PendingFence,
    Signalling, //
};

fn other_task(f: impl FnOnce() + Send) {
    f();
}

pub fn test(fence: PendingFence, sig: &Signalling<'_>) {
    #[cfg(mistake)]
    other_task(|| fence.signal(Ok(()), sig));
    #[cfg(not(mistake))]
    {
        let _ = sig;
        other_task(|| Signalling::section(|sig| fence.signal(Ok(()), sig)));
    }
}
