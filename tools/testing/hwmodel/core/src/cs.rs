// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The command stream interpreter.
//!
//! A [`Stream`] executes what its host put into a ring, and the streams that the ring calls, in
//! bounded bursts. It knows its registers, its call stack, its scoreboards and its instructions;
//! what surrounds it (groups, requests, events) belongs to the processor in [`crate::mcu`].

pub mod decode;
mod exec;
mod heap;
mod ops;
mod ring;
mod save;
mod stream;

pub use decode::Limits;
pub use decode::Scope;
pub use ring::Ring;
pub use stream::Block;
pub use stream::Cx;
pub use stream::Endpoints;
pub use stream::Stream;
pub use stream::Trouble;
