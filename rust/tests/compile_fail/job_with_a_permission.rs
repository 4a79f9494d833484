// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job cannot bring a permission to block to where it is run.
//!
//! error: E0277
//! says: appears within the type `MayBlock`

use job::{
    Backend,
    MayBlock,
    Run,
    Signalling, //
};
use kernel::prelude::*;

#[cfg(mistake)]
type Payload = MayBlock;
#[cfg(not(mistake))]
type Payload = fn() -> MayBlock;

struct Hardware;

impl Backend for Hardware {
    type Job = Payload;

    fn run(&self, _job: &mut Payload, _sig: &Signalling<'_>) -> Result<Run> {
        Ok(Run::Done)
    }

    fn doorbell(&self, _sig: &Signalling<'_>) {}

    fn poll(&self, _job: &Payload) -> Option<Result> {
        None
    }
}
