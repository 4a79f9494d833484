// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A `Signalling` does not outlive its section.
//!
//! error: none
//! says: lifetime may not live long enough

use job::{
    PendingFence,
    Signalling, //
};

pub fn test(fence: PendingFence) {
    #[cfg(mistake)]
    {
        let sig = Signalling::section(|sig| sig);
        fence.signal(Ok(()), sig);
    }
    #[cfg(not(mistake))]
    Signalling::section(|sig| fence.signal(Ok(()), sig));
}
