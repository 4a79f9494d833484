// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the queues of a group have in the group's VM: a sync object and a ring each, in one BO.
//!
//! A buffer object costs more kernel memory than a small ring does, so they share one: first the sync
//! objects, then the rings, each from a page on.
//!
//! **Locking, ordering, blocking.** None: offsets are decided once. The rules for what is in the memory
//! are in [`super`].

use kernel::prelude::*;
use kernel::sync::Arc;

use crate::gem::{
    KernelBo,
    Place, //
};
use crate::group::args::QueueArgs;
use crate::ring::Ring;
use crate::vm::{
    GpuVa,
    MapFlags,
    Vm, //
};

/// Size of a 64-bit sync object in bytes: a 64-bit sequence number, a 32-bit status, padding.
const SYNCOBJ_SIZE: usize = 16;

/// Offset of the status in a sync object.
const SYNCOBJ_STATUS: usize = 8;

/// Rings begin at multiples of this.
const RING_ALIGN: usize = 4096;

/// Where things are in the BO.
struct Layout {
    /// Offsets of the rings.
    rings: KVec<usize>,
    /// Bytes in all.
    size: usize,
}

impl Layout {
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if the sizes do not fit into an address space.
    fn new(rings: impl ExactSizeIterator<Item = Ring>) -> Result<Self> {
        let syncobjs = rings.len().checked_mul(SYNCOBJ_SIZE).ok_or(EINVAL)?;
        let mut size = syncobjs.next_multiple_of(RING_ALIGN);
        let mut offsets = KVec::with_capacity(rings.len(), GFP_KERNEL)?;

        for ring in rings {
            // The sizes of rings are multiples of their alignment.
            offsets.push(size, GFP_KERNEL)?;
            size = size
                .checked_add(usize::try_from(ring.size())?)
                .ok_or(EINVAL)?;
        }
        Ok(Self {
            rings: offsets,
            size,
        })
    }
}

/// The memory of all queues of a group.
pub(crate) struct QueueMemory {
    bo: Arc<KernelBo>,
    layout: Layout,
}

impl QueueMemory {
    /// Memory in `vm` for queues as in `args`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and what [`KernelBo::new`] returns.
    pub(crate) fn new(vm: &Arc<Vm>, args: &[QueueArgs]) -> Result<Self> {
        let layout = Layout::new(args.iter().map(|args| args.ring))?;
        let flags = MapFlags::NOEXEC.or(MapFlags::UNCACHED);
        let bo = KernelBo::new(vm, layout.size, flags, Place::Anywhere)?;
        Ok(Self {
            bo: Arc::new(bo, GFP_KERNEL)?,
            layout,
        })
    }

    /// The sync object of queue `index`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are not so many queues.
    pub(crate) fn sync(&self, index: usize) -> Result<SyncObject> {
        let offset = index.checked_mul(SYNCOBJ_SIZE).ok_or(EINVAL)?;
        Ok(SyncObject {
            va: self.bo.va_of(offset, SYNCOBJ_SIZE)?,
            bo: self.bo.clone(),
            offset,
        })
    }

    /// The memory of ring `index`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are not so many queues.
    pub(crate) fn ring(&self, index: usize, ring: Ring) -> Result<RingMemory> {
        let offset = *self.layout.rings.get(index).ok_or(EINVAL)?;
        Ok(RingMemory {
            va: self.bo.va_of(offset, usize::try_from(ring.size())?)?,
            bo: self.bo.clone(),
            offset,
            ring,
        })
    }
}

/// A queue's sync object: where the GPU counts finished jobs.
pub(crate) struct SyncObject {
    bo: Arc<KernelBo>,
    offset: usize,
    va: GpuVa,
}

impl SyncObject {
    /// Where the GPU sees it.
    pub(crate) fn va(&self) -> GpuVa {
        self.va
    }

    /// Number of finished jobs.
    pub(crate) fn seqno(&self) -> u64 {
        self.bo
            .map()
            .and_then(|mem| mem.read64(self.offset))
            .unwrap_or(0)
    }

    /// Releases whoever waits for the queue on the GPU: all jobs up to `seqno` count as
    /// finished, with an error.
    pub(crate) fn abandon(&self, seqno: u64) {
        if let Ok(mem) = self.bo.map() {
            let _ = mem.write32(self.offset + SYNCOBJ_STATUS, u32::MAX);
            let _ = mem.write64(self.offset, seqno);
        }
    }
}

/// A queue's ring.
pub(crate) struct RingMemory {
    bo: Arc<KernelBo>,
    offset: usize,
    va: GpuVa,
    ring: Ring,
}

impl RingMemory {
    /// Its geometry.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Where the GPU sees it.
    pub(crate) fn va(&self) -> GpuVa {
        self.va
    }

    /// Writes `words` at position `pos`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if they are more than the ring holds; nothing the GPU was told of has changed then.
    pub(crate) fn write(&self, pos: u64, words: &[u64]) -> Result {
        let mem = self.bo.map()?;
        let step = size_of::<u64>();
        let mut words = words.iter();

        for piece in self.ring.pieces(pos, words.len() * step) {
            for n in 0..piece.len / step {
                let word = words.next().ok_or(EINVAL)?;
                mem.write64(self.offset + piece.offset + n * step, *word)?;
            }
        }
        match words.next() {
            None => Ok(()),
            Some(_) => Err(EINVAL),
        }
    }
}

#[kernel::macros::kunit_tests(mali_csf_queue_memory)]
mod tests {
    use super::*;

    fn layout(sizes: &[u32]) -> Result<Layout> {
        let mut rings = KVec::new();
        for size in sizes {
            rings.push(Ring::new(*size)?, GFP_KERNEL)?;
        }
        Layout::new(rings.iter().copied())
    }

    #[test]
    fn rings_follow_the_sync_objects_without_gaps() -> Result {
        let layout = layout(&[4096, 65536, 8192])?;
        assert_eq!(layout.rings.as_slice(), &[4096, 8192, 8192 + 65536]);
        assert_eq!(layout.size, 4096 + 4096 + 65536 + 8192);
        Ok(())
    }

    #[test]
    fn thirty_two_sync_objects_take_one_page() -> Result {
        let layout = layout(&[4096; 32])?;
        assert_eq!(layout.rings.first(), Some(&4096));
        assert_eq!(layout.size, 33 * 4096);
        Ok(())
    }
}
