// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Tiler heap: what a draw takes from it, and what happens when it is exhausted.
//!
//! RUN_IDVS names a tiler context (register pair 40), which names a heap descriptor with the chunk
//! in use: base, bottom and top. A chunk starts with a 64-byte header whose first double word
//! links the next chunk, as address plus size in pages in the low 12 bits. A draw takes memory
//! from the bottom of the chunk in use, goes on with the linked chunk, then with chunks that
//! FINISH_FRAGMENT gave back, and then asks the host.
//!
//! The heap context (HEAP_SET) is opaque to software. This model counts render passes in its
//! first three words and keeps the list of free chunks in its third double word.

use super::access::memory;
use super::decode::HeapOp;
use super::jobs::DRAW_SIZE;
use super::stream::Cx;
use super::stream::Stream;
use super::stream::Trouble;
use crate::bits::low;
use crate::bus::Bus;
use crate::mcu::layout::exception;
use crate::mmu::Requester;

/// Register pair of the tiler context.
const TILER_CONTEXT: u8 = 40;
/// Heap descriptor in the tiler context.
const CONTEXT_HEAP: u64 = 24;
/// Size of the chunk in the heap descriptor.
const HEAP_SIZE: u64 = 4;
/// Base of the chunk in the heap descriptor.
const HEAP_BASE: u64 = 8;
/// First free byte in the heap descriptor.
const HEAP_BOTTOM: u64 = 16;
/// End of the free bytes in the heap descriptor.
const HEAP_TOP: u64 = 24;
/// Header of a chunk.
const CHUNK_HEADER: u64 = 64;
/// Free list in the heap context.
const FREE_LIST: u64 = 16;
/// What a vertex takes.
const VERTEX_BYTES: u64 = 32;
/// What the largest draw takes: enough for several chunks of any size.
const LARGEST_DRAW: u64 = 32 << 20;
/// Chunks that one attempt looks at.
const CHUNKS_PER_ATTEMPT: u32 = 8;

/// Address part of a chunk link.
const fn link_address(link: u64) -> u64 {
    link & !0xfff
}

/// Size part of a chunk link in bytes.
const fn link_size(link: u64) -> u64 {
    (link & 0xfff) << 12
}

impl Stream {
    /// Takes memory for a draw. Returns `false` if the exception handler was called instead: the
    /// draw is executed again when that returns.
    pub(super) fn consume_heap(&mut self, cx: &mut Cx<'_, '_>) -> Result<bool, Trouble> {
        let context = self.reg64(TILER_CONTEXT);
        if context == 0 || self.heap == 0 {
            return Ok(true);
        }
        let va = context.wrapping_add(CONTEXT_HEAP);
        let heap = cx.bus.read64(cx.who, va).map_err(memory(va))?;
        if heap == 0 {
            return Ok(true);
        }
        if self.heap_need == 0 {
            let [count, instances] = DRAW_SIZE.map(|reg| u64::from(self.reg(reg)));
            let bytes = count.saturating_mul(instances).saturating_mul(VERTEX_BYTES);
            self.heap_need = bytes.clamp(CHUNK_HEADER, LARGEST_DRAW);
        }
        for _ in 0..CHUNKS_PER_ATTEMPT {
            let at = |offset: u64| heap.wrapping_add(offset);
            let bottom = cx
                .bus
                .read64(cx.who, at(HEAP_BOTTOM))
                .map_err(memory(heap))?;
            let top = cx.bus.read64(cx.who, at(HEAP_TOP)).map_err(memory(heap))?;
            let taken = top.saturating_sub(bottom).min(self.heap_need);
            let bottom = bottom.saturating_add(taken);
            cx.bus
                .write64(cx.who, at(HEAP_BOTTOM), bottom)
                .map_err(memory(heap))?;
            self.heap_need -= taken;
            if self.heap_need == 0 {
                return Ok(true);
            }
            let Some(link) = self.next_chunk(cx, heap)? else {
                return Ok(false);
            };
            let (base, size) = (link_address(link), link_size(link));
            cx.bus
                .write32(cx.who, at(HEAP_SIZE), low(size))
                .map_err(memory(heap))?;
            for (offset, value) in [
                (HEAP_BASE, base),
                (HEAP_BOTTOM, base.wrapping_add(CHUNK_HEADER)),
                (HEAP_TOP, base.wrapping_add(size)),
            ] {
                cx.bus
                    .write64(cx.who, at(offset), value)
                    .map_err(memory(heap))?;
            }
            self.heap_answer = None;
        }
        Err(Trouble::Stall)
    }

    /// The link to the chunk after the one in use, `None` if the exception handler was called.
    fn next_chunk(&mut self, cx: &mut Cx<'_, '_>, heap: u64) -> Result<Option<u64>, Trouble> {
        let va = heap.wrapping_add(HEAP_BASE);
        let base = cx.bus.read64(cx.who, va).map_err(memory(va))?;
        if let Some(answer) = self.heap_answer {
            if answer == 0 {
                self.heap_answer = None;
                return self.call_handler();
            }
            if base != 0 {
                cx.bus.write64(cx.who, base, answer).map_err(memory(base))?;
            }
            return Ok(Some(answer));
        }
        if base != 0 {
            let next = cx.bus.read64(cx.who, base).map_err(memory(base))?;
            if link_size(next) > CHUNK_HEADER {
                return Ok(Some(next));
            }
        }
        let va = self.heap.wrapping_add(FREE_LIST);
        let free = cx.bus.read64(cx.who, va).map_err(memory(va))?;
        if link_size(free) <= CHUNK_HEADER {
            return Err(Trouble::HeapExhausted);
        }
        let chunk = link_address(free);
        let rest = cx.bus.read64(cx.who, chunk).map_err(memory(chunk))?;
        cx.bus.write64(cx.who, chunk, 0).map_err(memory(chunk))?;
        if base != 0 {
            cx.bus.write64(cx.who, base, free).map_err(memory(base))?;
        }
        cx.bus.write64(cx.who, va, rest).map_err(memory(va))?;
        Ok(Some(free))
    }

    fn call_handler(&mut self) -> Result<Option<u64>, Trouble> {
        let pc = self.pc();
        let exhausted = Trouble::Fatal {
            kind: exception::OOM,
            info: pc,
        };
        if self.handler.pc == self.handler.end || self.handler_depth.is_some() {
            return Err(exhausted);
        }
        let depth = self.depth;
        self.push_frame(self.handler, pc)?;
        self.handler_depth = Some(depth);
        Ok(None)
    }

    /// Gives chunks back: a list from `first` to `last`, both as links.
    pub(super) fn free_chunks(
        &mut self,
        cx: &mut Cx<'_, '_>,
        first: u64,
        last: u64,
    ) -> Result<(), Trouble> {
        if self.heap == 0 || first == 0 || last == 0 {
            return Ok(());
        }
        let va = self.heap.wrapping_add(FREE_LIST);
        let head = cx.bus.read64(cx.who, va).map_err(memory(va))?;
        if head == first {
            return Ok(());
        }
        let tail = link_address(last);
        cx.bus.write64(cx.who, tail, head).map_err(memory(tail))?;
        cx.bus.write64(cx.who, va, first).map_err(memory(va))
    }

    /// Counts a step of a render pass.
    pub(super) fn count_heap(&mut self, cx: &mut Cx<'_, '_>, op: HeapOp) -> Result<(), Trouble> {
        if self.heap == 0 {
            return Ok(());
        }
        let va = self.heap.wrapping_add(match op {
            HeapOp::TilingStarted => 0,
            HeapOp::TilingCompleted => 4,
            HeapOp::FragmentCompleted => 8,
        });
        let count = cx.bus.read32(cx.who, va).map_err(memory(va))?;
        cx.bus
            .write32(cx.who, va, count.wrapping_add(1))
            .map_err(memory(va))
    }

    /// Render passes started, tiled and completed, for the host.
    pub(crate) fn heap_counts(
        &self,
        bus: &mut Bus<'_>,
        who: Requester,
    ) -> Result<[u32; 3], Trouble> {
        let mut counts = [0; 3];
        if self.heap == 0 {
            return Ok(counts);
        }
        for (va, count) in (0..3)
            .map(|i| self.heap.wrapping_add(i * 4))
            .zip(&mut counts)
        {
            *count = bus.read32(who, va).map_err(memory(va))?;
        }
        Ok(counts)
    }
}
