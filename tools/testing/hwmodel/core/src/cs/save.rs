// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Streams as sequences of words, for suspend buffers.

use super::ops::Op;
use super::ops::MAX_OPS;
use super::stream::Block;
use super::stream::Frame;
use super::stream::Stream;
use super::stream::CALL_DEPTH;
use crate::bits::high;
use crate::bits::low;

const ERROR: u64 = 1 << 0;
const DEAD: u64 = 1 << 1;
const IN_HANDLER: u64 = 1 << 2;
const HEAP_ANSWER: u64 = 1 << 3;

fn small(word: u64) -> usize {
    usize::from(word.to_le_bytes()[0])
}

impl Stream {
    /// Hands all state to `put`, word by word.
    ///
    /// What the stream waits for is not part of it: the instruction that waits is executed again. An
    /// answer of the host that it has waited for is.
    pub(crate) fn save<E>(
        &self,
        now: u64,
        mut put: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        for pair in self.regs.chunks_exact(2) {
            let [lo, hi] = [0, 1].map(|i| u64::from(pair.get(i).copied().unwrap_or(0)));
            put(lo | hi << 32)?;
        }
        put(self.ring.extract)?;
        put(self.depth.try_into().unwrap_or(0))?;
        for frame in &self.frames {
            put(frame.pc)?;
            put(frame.end)?;
        }
        put(self.handler.pc)?;
        put(self.handler.end)?;
        put(self.heap)?;
        put(self.heap_need)?;
        put(self.heap_answer.unwrap_or(0))?;
        let mut flags = 0;
        for (set, flag) in [
            (self.error, ERROR),
            (self.block == Block::Dead, DEAD),
            (self.handler_depth.is_some(), IN_HANDLER),
            (self.heap_answer.is_some(), HEAP_ANSWER),
        ] {
            if set {
                flags |= flag;
            }
        }
        let handler_depth: u64 = self.handler_depth.unwrap_or(0).try_into().unwrap_or(0);
        put(flags
            | u64::from(self.sb_endpoint) << 8
            | u64::from(self.sb_other) << 16
            | u64::from(self.resources) << 24
            | handler_depth << 32)?;
        put(self.ops.iter().count().try_into().unwrap_or(0))?;
        for op in self.ops.iter() {
            for word in op.save(now) {
                put(word)?;
            }
        }
        Ok(())
    }

    /// Takes all state from `get`. Returns whether it makes sense.
    pub(crate) fn restore<E>(
        &mut self,
        now: u64,
        mut get: impl FnMut() -> Result<u64, E>,
    ) -> Result<bool, E> {
        for pair in self.regs.chunks_exact_mut(2) {
            let word = get()?;
            if let [lo, hi] = pair {
                *lo = low(word);
                *hi = high(word);
            }
        }
        self.ring.extract = get()?;
        self.depth = small(get()?);
        for frame in &mut self.frames {
            *frame = Frame {
                pc: get()?,
                end: get()?,
            };
        }
        self.handler = Frame {
            pc: get()?,
            end: get()?,
        };
        self.heap = get()?;
        self.heap_need = get()?;
        let answer = get()?;
        let flags = get()?;
        self.error = flags & ERROR != 0;
        self.block = if flags & DEAD != 0 {
            Block::Dead
        } else {
            Block::None
        };
        let bytes = flags.to_le_bytes();
        self.sb_endpoint = bytes[1] & 0xf;
        self.sb_other = bytes[2] & 0xf;
        self.resources = bytes[3];
        self.handler_depth = (flags & IN_HANDLER != 0).then_some(usize::from(bytes[4]));
        self.recheck = false;
        self.stalled = false;
        self.heap_answer = (flags & HEAP_ANSWER != 0).then_some(answer);
        self.ops.clear();
        let count = small(get()?);
        if self.depth > CALL_DEPTH || count > MAX_OPS {
            return Ok(false);
        }
        for _ in 0..count {
            let words = [get()?, get()?, get()?, get()?];
            match Op::restore(words, now) {
                Some(op) if self.ops.push(op).is_ok() => (),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}
