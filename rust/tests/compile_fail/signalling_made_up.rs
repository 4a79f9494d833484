// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Nobody makes a `Signalling` but the functions that begin and end the section.
//!
//! error: E0624
//! says: associated function `begin` is private

use job::{
    PendingFence,
    Signalling, //
};

pub fn test(fence: PendingFence) {
    #[cfg(mistake)]
    fence.signal(Ok(()), &Signalling::begin());
    #[cfg(not(mistake))]
    Signalling::section(|sig| fence.signal(Ok(()), sig));
}
