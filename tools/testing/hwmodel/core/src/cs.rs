// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The command stream interpreter.
//!
//! A [`Stream`] executes what its host put into a ring, and the streams that the ring calls, in
//! bounded bursts. It knows its registers, its call stack, its scoreboards and its instructions;
//! what surrounds it (groups, requests, events) belongs to the processor in [`crate::mcu`].

mod access;
mod decode;
mod exec;
mod heap;
mod jobs;
mod ops;
mod ring;
mod save;
mod stream;

pub(crate) use decode::Limits;
pub(crate) use decode::Scope;
pub(crate) use ring::Ring;
pub(crate) use stream::Block;
pub(crate) use stream::Cx;
pub(crate) use stream::Endpoints;
pub(crate) use stream::Stream;
pub(crate) use stream::Trouble;
