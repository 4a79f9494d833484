// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The permission to block belongs to the task that has claimed it.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::MayBlock;

fn other_task(f: impl FnOnce() + Send + 'static) {
    f();
}

pub fn test() {
    #[cfg(mistake)]
    {
        let ctx = MayBlock::new();
        other_task(move || drop(ctx));
    }
    #[cfg(not(mistake))]
    other_task(|| drop(MayBlock::new()));
}
