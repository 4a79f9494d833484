// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Words that the host and the MCU share.
//!
//! An interface is a pair of blocks: the host writes the input block, the firmware the output block.
//! A *request* is a bit that differs between the input's request word and the output's acknowledge
//! word; whoever sees the difference acts, and makes them equal when done.
//!
//! # Locking
//!
//! Request words are read, changed and written back by interrupt threads and by the scheduler:
//! [`Shared::requests`] is a spinlock around that. It is innermost.
//!
//! # Ordering
//!
//! All accesses are volatile and in program order; a doorbell, which is a register, comes after all
//! writes before it.
//!
//! # Blocking
//!
//! Nothing here sleeps.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

use super::image::SHARED_START;
use crate::gem::Vmap;
use drm::gem::dma_mb;

/// The shared section.
#[pin_data]
pub(super) struct Shared {
    map: Vmap,
    #[pin]
    requests: SpinLock<()>,
}

impl Shared {
    pub(super) fn new(map: Vmap) -> impl PinInit<Self> {
        pin_init!(Self {
            map,
            requests <- new_spinlock!((), "Shared::requests"),
        })
    }

    /// The block of `size` bytes that starts `offset` bytes into the section.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it reaches beyond the section or is not aligned to words.
    pub(super) fn block(&self, offset: usize, size: usize) -> Result<Block> {
        let end = offset.checked_add(size).ok_or(EINVAL)?;
        if end > self.map.len() || offset % 4 != 0 {
            return Err(EINVAL);
        }
        Ok(Block { offset, size })
    }

    /// The block of `size` bytes at MCU address `va`.
    ///
    /// # Errors
    ///
    /// As [`Shared::block`].
    pub(super) fn block_at_va(&self, va: u32, size: usize) -> Result<Block> {
        let offset = va.checked_sub(SHARED_START).ok_or(EINVAL)?;
        self.block(usize::try_from(offset)?, size)
    }

    /// Word at byte `at` of `block`.
    pub(super) fn read(&self, block: Block, at: usize) -> u32 {
        debug_assert!(at + 4 <= block.size);
        // The block was checked to be inside of the section, and `at` is one of the layout's.
        self.map.read32(block.offset + at).unwrap_or(0)
    }

    /// Two words at byte `at`, low half first.
    pub(super) fn read64(&self, block: Block, at: usize) -> u64 {
        crate::regs::join(self.read(block, at), self.read(block, at + 4))
    }

    /// Writes the word at byte `at` of `block`.
    pub(super) fn write(&self, block: Block, at: usize, value: u32) {
        debug_assert!(at + 4 <= block.size);
        // As in `read`.
        let _ = self.map.write32(block.offset + at, value);
    }

    /// Writes two words at byte `at`, low half first.
    pub(super) fn write64(&self, block: Block, at: usize, value: u64) {
        let (lo, hi) = crate::regs::halves(value);
        self.write(block, at, lo);
        self.write(block, at + 4, hi);
    }

    /// Replaces the bits `mask` of the word at byte `at` with those of `value`.
    pub(super) fn update(&self, block: Block, at: usize, value: u32, mask: u32) {
        let _requests = self.requests.lock();
        let old = self.read(block, at);
        self.write(block, at, old & !mask | value & mask);
    }

    /// Makes each of `bits` a request: different from what is acknowledged.
    pub(super) fn toggle(&self, pair: &Pair, request: usize, acknowledge: usize, bits: u32) {
        let _requests = self.requests.lock();
        let old = self.read(pair.input, request);
        let acked = self.read(pair.output, acknowledge);
        self.write(pair.input, request, old & !bits | !acked & bits);
    }

    /// Those of `bits` that differ between request and acknowledge word.
    pub(super) fn pending(
        &self,
        pair: &Pair,
        request: usize,
        acknowledge: usize,
        bits: u32,
    ) -> u32 {
        (self.read(pair.input, request) ^ self.read(pair.output, acknowledge)) & bits
    }

    /// Takes the firmware's requests out of `bits`, and acknowledges them.
    pub(super) fn take(&self, pair: &Pair, request: usize, acknowledge: usize, bits: u32) -> u32 {
        let acked = self.read(pair.output, acknowledge);
        let events = (self.read(pair.input, request) ^ acked) & bits;
        self.update(pair.input, request, acked, events);
        // The firmware raises no event that it believes to be pending, so it has to see the acknowledgement
        // before the caller looks at what the event is about.
        dma_mb();
        events
    }
}

/// A block of words, checked to be inside of the shared section.
#[derive(Clone, Copy)]
pub(super) struct Block {
    offset: usize,
    size: usize,
}

/// The blocks of one interface.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// Written by the host.
    pub(super) input: Block,
    /// Written by the firmware.
    pub(super) output: Block,
}
