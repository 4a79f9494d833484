// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a submission signals is published once.
//!
//! error: E0382
//! says: use of moved value: `syncs`

use drm::{
    syncs::Syncs,
    Driver, //
};
use job::{
    Fence,
    Signalling, //
};
use kernel::sync::aref::ARef;

pub fn test<D: Driver>(syncs: Syncs<'_, D>, sig: &Signalling<'_>, fences: &[ARef<Fence>]) {
    let first = syncs.publish(sig, fences);
    #[cfg(mistake)]
    drop(syncs.publish(sig, fences));
    drop(first);
}
