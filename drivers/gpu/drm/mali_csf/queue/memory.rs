// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the queues of a group have in the group's VM, in one BO: a sync object, the counters of jobs, and
//! a ring each.
//!
//! A buffer object costs more kernel memory than a small ring does, so they share one: first the sync
//! objects, each with its queue's counters behind it, then the rings, each from a page on.
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
use crate::ring::{
    Ring,
    Stamp,
    STAMPS_SIZE, //
};
use crate::vm::{
    GpuVa,
    MapFlags,
    Vm, //
};

/// Size of a 64-bit sync object in bytes: a 64-bit sequence number, a 32-bit status, padding up to
/// where the counters begin. With the counters of the jobs that may be in a ring it fills what is a
/// power of two.
const SYNCOBJ_SIZE: usize = STAMPS_SIZE;

/// Offset of the status in a sync object.
const SYNCOBJ_STATUS: usize = 8;

/// Rings begin at multiples of this.
const RING_ALIGN: usize = 4096;

/// Where things are in the BO.
struct Layout {
    /// Offsets of the sync objects.
    syncs: KVec<usize>,
    /// Offsets of the rings.
    rings: KVec<usize>,
    /// Bytes in all.
    size: usize,
}

impl Layout {
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if the sizes do not fit into an address space.
    fn new(rings: impl ExactSizeIterator<Item = Ring> + Clone) -> Result<Self> {
        let mut size = 0usize;
        let mut syncs = KVec::with_capacity(rings.len(), GFP_KERNEL)?;
        let mut offsets = KVec::with_capacity(rings.len(), GFP_KERNEL)?;

        for ring in rings.clone() {
            syncs.push(size, GFP_KERNEL)?;
            let stamps = usize::try_from(ring.depth())? * STAMPS_SIZE;
            size = size.checked_add(SYNCOBJ_SIZE + stamps).ok_or(EINVAL)?;
        }
        size = size.next_multiple_of(RING_ALIGN);
        for ring in rings {
            // The sizes of rings are multiples of their alignment.
            offsets.push(size, GFP_KERNEL)?;
            size = size
                .checked_add(usize::try_from(ring.size())?)
                .ok_or(EINVAL)?;
        }
        Ok(Self {
            syncs,
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
    pub(crate) fn sync(&self, index: usize, ring: &Ring) -> Result<SyncObject> {
        let offset = *self.layout.syncs.get(index).ok_or(EINVAL)?;
        Ok(SyncObject {
            va: self.bo.va_of(offset, SYNCOBJ_SIZE)?,
            bo: self.bo.clone(),
            offset,
            jobs: u64::from(ring.depth()),
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

/// A queue's sync object, where the GPU counts finished jobs, and what these leave behind.
pub(crate) struct SyncObject {
    bo: Arc<KernelBo>,
    offset: usize,
    va: GpuVa,
    /// Jobs whose counters there is room for.
    jobs: u64,
}

/// What a job has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Core clock cycles.
    pub(crate) cycles: u64,
    /// Ticks of the system timestamp.
    pub(crate) ticks: u64,
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

    /// Where job `seqno` stores its counters, in bytes from the sync object.
    pub(crate) fn stamps(&self, seqno: u64) -> i16 {
        let index = usize::try_from(seqno % self.jobs).unwrap_or(0);
        // Within a page: [`crate::ring::MAX_DEPTH`].
        i16::try_from(SYNCOBJ_SIZE + index * STAMPS_SIZE).unwrap_or(0)
    }

    /// What job `seqno` has taken, once it has finished.
    pub(crate) fn spent(&self, seqno: u64) -> Option<Spent> {
        let mem = self.bo.map().ok()?;
        let at = self
            .offset
            .checked_add(usize::try_from(self.stamps(seqno)).ok()?)?;
        let read = |stamp: Stamp| mem.read64(at + usize::from(stamp.offset())).ok();

        Some(Spent {
            // A job that was cut short leaves one of them as it was.
            cycles: read(Stamp::CyclesAfter)?.saturating_sub(read(Stamp::CyclesBefore)?),
            ticks: read(Stamp::TimeAfter)?.saturating_sub(read(Stamp::TimeBefore)?),
        })
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
        assert_eq!(layout.syncs.as_slice(), &[0, 1024, 1024 + 4096]);
        assert_eq!(
            layout.rings.as_slice(),
            &[8192, 8192 + 4096, 8192 + 4096 + 65536]
        );
        assert_eq!(layout.size, 8192 + 4096 + 65536 + 8192);
        Ok(())
    }

    #[test]
    fn the_largest_ring_takes_one_page_besides_itself() -> Result {
        assert_eq!(layout(&[65536])?.rings.as_slice(), &[4096]);
        Ok(())
    }

    #[test]
    fn a_small_group_takes_one_page_besides_its_rings() -> Result {
        let layout = layout(&[4096; 3])?;
        assert_eq!(layout.rings.first(), Some(&4096));
        assert_eq!(layout.size, 4 * 4096);
        Ok(())
    }

    #[test]
    fn the_counters_of_all_jobs_in_a_ring_are_within_reach_of_the_sync_object() -> Result {
        let depth = usize::try_from(Ring::new(crate::ring::MAX_SIZE)?.depth())?;
        let end = SYNCOBJ_SIZE + depth * STAMPS_SIZE;
        assert!(end <= usize::from(i16::MAX.unsigned_abs()));
        Ok(())
    }
}
