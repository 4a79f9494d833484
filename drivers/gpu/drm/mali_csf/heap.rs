// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Tiler heaps: memory that the tiler of the GPU takes chunk by chunk.
//!
//! A heap is a context, which the firmware and the GPU own, and a list of chunks. User space gets
//! the addresses of both and hands them to the GPU (HEAP_SET). When the tiler runs out of chunks
//! the firmware asks for another one, see [`oom`].
//!
//! **Locking.** One mutex per pool, taken in ioctls and by the work item that answers the
//! firmware. Memory is allocated with it held; it is never taken on the way from commit to signal.
//!
//! **Ordering.** A chunk's header is written before the GPU learns of the chunk. A heap's memory
//! goes back when user space destroys the heap or the VM; GPU work that still uses it then faults.
//!
//! **Blocking.** Allocates and maps memory.

use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{
    Arc,
    Mutex, //
};
use shims::uapi;

pub(crate) mod oom;

use crate::driver::{
    DrmFile,
    Entered, //
};
use crate::gem::{
    KernelBo,
    Place, //
};
use crate::vm::{
    GpuVa,
    MapFlags,
    Vm, //
};

/// Most heaps of a VM.
const MAX_HEAPS: usize = 128;

/// Bytes that a heap context has at least.
const CONTEXT_SIZE: u32 = 32;

const PAGE: u32 = 4 << 10;
const MIN_CHUNK: u32 = 128 << 10;
const MAX_CHUNK: u32 = 8 << 20;

/// What a heap may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    chunk_size: u32,
    initial_chunks: u32,
    max_chunks: u32,
    target_in_flight: u32,
}

impl Limits {
    /// # Errors
    ///
    /// `EINVAL`: no initial chunk, or more of them than the heap may have; chunks that are not whole
    /// pages, or not 128 KiB to 8 MiB long.
    fn parse(raw: &uapi::drm_panthor_tiler_heap_create) -> Result<Self> {
        if raw.initial_chunk_count == 0
            || raw.initial_chunk_count > raw.max_chunks
            || raw.chunk_size % PAGE != 0
            || !(MIN_CHUNK..=MAX_CHUNK).contains(&raw.chunk_size)
        {
            return Err(EINVAL);
        }
        Ok(Self {
            chunk_size: raw.chunk_size,
            initial_chunks: raw.initial_chunk_count,
            max_chunks: raw.max_chunks,
            target_in_flight: raw.target_in_flight,
        })
    }

    /// Whether a heap of `chunks` chunks may have one more while `in_flight` render passes use it.
    /// If not, the firmware waits for one to end, or asks user space's exception handler.
    fn may_grow(&self, chunks: usize, in_flight: u32) -> bool {
        let max = usize::try_from(self.max_chunks).unwrap_or(usize::MAX);
        in_flight <= self.target_in_flight && chunks < max
    }
}

/// How a chunk is referred to, by the one before it and to the firmware: its address, with its
/// size in pages in the low 12 bits.
fn chunk_link(va: GpuVa, size: u32) -> u64 {
    (va.get() & !u64::from(PAGE - 1)) | u64::from(size / PAGE)
}

/// Distance of two contexts: they don't share a line of the L2 cache.
fn context_stride(l2_line: u32) -> u32 {
    CONTEXT_SIZE.max(l2_line)
}

struct Heap {
    limits: Limits,
    chunks: KVec<KernelBo>,
}

impl Heap {
    /// Adds a chunk that links to the one at `next`.
    fn add_chunk(&mut self, vm: &Arc<Vm>, next: u64) -> Result<GpuVa> {
        let size = usize::try_from(self.limits.chunk_size).map_err(|_| EINVAL)?;
        let mut chunk = KernelBo::new(vm, size, MapFlags::NOEXEC, Place::Anywhere)?;
        chunk.map()?.write64(0, next)?;
        chunk.unmap_cpu();
        let va = chunk.va();
        self.chunks.push(chunk, GFP_KERNEL)?;
        Ok(va)
    }
}

struct State {
    /// Made with the first heap.
    contexts: Option<KernelBo>,
    heaps: KVec<Option<Heap>>,
    destroyed: bool,
}

/// The heaps of a VM.
#[pin_data]
pub(crate) struct Pool {
    vm: Arc<Vm>,
    stride: u32,
    #[pin]
    state: Mutex<State>,
}

/// Where a new heap is.
struct Created {
    id: u32,
    context: GpuVa,
    first_chunk: GpuVa,
}

impl Pool {
    /// No heaps for `vm`, on a GPU with `l2_line` bytes in a line of its L2 cache.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(vm: Arc<Vm>, l2_line: u32) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                vm,
                stride: context_stride(l2_line),
                state <- new_mutex!(
                    State {
                        contexts: None,
                        heaps: KVec::new(),
                        destroyed: false,
                    },
                    "mali_csf::heap::Pool"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Offset of context `id` in the BO of the contexts, in bytes.
    fn context_offset(&self, id: usize) -> Result<usize> {
        let stride = usize::try_from(self.stride).map_err(|_| EINVAL)?;
        id.checked_mul(stride).ok_or(EINVAL)
    }

    /// # Errors
    ///
    /// `EBUSY` if the VM has 128 heaps, `EINVAL` if it was destroyed, `ENOMEM`, `ENOSPC`.
    fn create(&self, limits: Limits) -> Result<Created> {
        let mut heap = Heap {
            limits,
            chunks: KVec::new(),
        };
        let mut state = self.state.lock();
        if state.destroyed {
            return Err(EINVAL);
        }
        if state.contexts.is_none() {
            state.contexts = Some(KernelBo::new(
                &self.vm,
                self.context_offset(MAX_HEAPS)?,
                MapFlags::NOEXEC,
                Place::Anywhere,
            )?);
        }
        let id = match state.heaps.iter().position(Option::is_none) {
            Some(id) => id,
            None if state.heaps.len() < MAX_HEAPS => {
                state.heaps.push(None, GFP_KERNEL)?;
                state.heaps.len() - 1
            }
            None => return Err(EBUSY),
        };

        let mut first_chunk = GpuVa::new(0);
        let mut next = 0;
        for _ in 0..limits.initial_chunks {
            first_chunk = heap.add_chunk(&self.vm, next)?;
            next = chunk_link(first_chunk, limits.chunk_size);
        }

        let offset = self.context_offset(id)?;
        let contexts = state.contexts.as_ref().ok_or(EINVAL)?;
        let stride = usize::try_from(self.stride).map_err(|_| EINVAL)?;
        contexts.map()?.fill(offset, stride, 0)?;
        let offset = u64::try_from(offset).map_err(|_| EINVAL)?;
        let context = contexts.va().get().checked_add(offset).ok_or(EINVAL)?;
        if let Some(entry) = state.heaps.get_mut(id) {
            *entry = Some(heap);
        }
        Ok(Created {
            id: u32::try_from(id).map_err(|_| EBUSY)?,
            context: GpuVa::new(context),
            first_chunk,
        })
    }

    /// # Errors
    ///
    /// `ENOENT` if the VM never had a heap, `EINVAL` for an unknown one.
    fn destroy(&self, id: u32) -> Result {
        let heap = {
            let mut state = self.state.lock();
            if state.contexts.is_none() {
                return Err(ENOENT);
            }
            let id = usize::try_from(id).map_err(|_| EINVAL)?;
            state.heaps.get_mut(id).and_then(Option::take)
        };
        // Dropped without the lock.
        heap.map(drop).ok_or(EINVAL)
    }

    /// The VM is given up: no heap is left, and none can be made.
    pub(crate) fn destroy_all(&self) {
        let (contexts, heaps) = {
            let mut state = self.state.lock();
            state.destroyed = true;
            (
                state.contexts.take(),
                core::mem::replace(&mut state.heaps, KVec::new()),
            )
        };
        drop((contexts, heaps));
    }

    /// The heap whose context is at `va`.
    fn index_of(&self, state: &State, va: u64) -> Option<usize> {
        let start = state.contexts.as_ref()?.va().get();
        let offset = va.checked_sub(start)?;
        let stride = u64::from(self.stride);
        (offset % stride == 0)
            .then_some(offset / stride)
            .and_then(|id| usize::try_from(id).ok())
    }

    /// Adds a chunk to the heap whose context is at `context`, and returns how the firmware is
    /// told of it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such heap; `ENOMEM` if it may not grow, or can't.
    fn grow(&self, context: u64, in_flight: u32) -> Result<u64> {
        let mut state = self.state.lock();
        let id = self.index_of(&state, context).ok_or(EINVAL)?;
        let heap = state
            .heaps
            .get_mut(id)
            .and_then(Option::as_mut)
            .ok_or(EINVAL)?;
        if !heap.limits.may_grow(heap.chunks.len(), in_flight) {
            return Err(ENOMEM);
        }
        let va = heap.add_chunk(&self.vm, 0).map_err(|_| ENOMEM)?;
        Ok(chunk_link(va, heap.limits.chunk_size))
    }

    /// Takes back a chunk that the firmware was not told of after all.
    fn give_back(&self, context: u64, link: u64) {
        let va = link & !u64::from(PAGE - 1);
        let chunk = {
            let mut state = self.state.lock();
            let Some(heap) = self
                .index_of(&state, context)
                .and_then(|id| state.heaps.get_mut(id)?.as_mut())
            else {
                return;
            };
            let index = heap.chunks.iter().position(|chunk| chunk.va().get() == va);
            index.and_then(|index| heap.chunks.remove(index).ok())
        };
        drop(chunk);
    }
}

/// A heap handle: the VM's id and the heap's index.
fn handle(vm_id: u32, id: u32) -> u32 {
    vm_id << 16 | id & 0xffff
}

/// TILER_HEAP_CREATE.
///
/// # Errors
///
/// `EINVAL` for an unknown VM and as [`Limits::parse`]; else as [`Pool::create`].
pub(crate) fn create(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_tiler_heap_create,
    file: &DrmFile,
) -> Result<u32> {
    let vm = file.vms().get(args.vm_id).ok_or(EINVAL)?;
    let created = vm.heaps().create(Limits::parse(args)?)?;
    args.handle = handle(args.vm_id, created.id);
    args.tiler_heap_ctx_gpu_va = created.context.get();
    args.first_heap_chunk_gpu_va = created.first_chunk.get();
    Ok(0)
}

/// TILER_HEAP_DESTROY.
///
/// # Errors
///
/// `EINVAL` for padding that is not zero, an unknown VM or heap; `ENOENT` if the VM never had one.
pub(crate) fn destroy(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_tiler_heap_destroy,
    file: &DrmFile,
) -> Result<u32> {
    if args.pad != 0 {
        return Err(EINVAL);
    }
    let vm = file.vms().get(args.handle >> 16).ok_or(EINVAL)?;
    vm.heaps().destroy(args.handle & 0xffff)?;
    Ok(0)
}

#[kernel::macros::kunit_tests(mali_csf_heap)]
mod tests {
    use super::*;

    fn args() -> uapi::drm_panthor_tiler_heap_create {
        uapi::drm_panthor_tiler_heap_create {
            vm_id: 1,
            initial_chunk_count: 5,
            chunk_size: 2 << 20,
            max_chunks: 64,
            target_in_flight: 65535,
            ..Default::default()
        }
    }

    #[test]
    fn a_heap_as_mesa_creates_it_is_accepted() {
        assert!(Limits::parse(&args()).is_ok());
    }

    #[test]
    fn a_heap_has_at_least_one_chunk_and_at_most_its_maximum() {
        for (initial, max) in [(0, 64), (65, 64), (0, 0)] {
            let raw = uapi::drm_panthor_tiler_heap_create {
                initial_chunk_count: initial,
                max_chunks: max,
                ..args()
            };
            assert_eq!(Limits::parse(&raw), Err(EINVAL));
        }
    }

    #[test]
    fn chunks_are_whole_pages_of_128_kib_to_8_mib() {
        for (size, good) in [
            (128 << 10, true),
            (8 << 20, true),
            ((128 << 10) - 4096, false),
            ((8 << 20) + 4096, false),
            ((2 << 20) + 2048, false),
        ] {
            let raw = uapi::drm_panthor_tiler_heap_create {
                chunk_size: size,
                ..args()
            };
            assert_eq!(Limits::parse(&raw).is_ok(), good);
        }
    }

    #[test]
    fn a_link_is_the_address_with_the_size_in_pages() {
        let va = GpuVa::new(0xffff_8020_0000);
        assert_eq!(chunk_link(va, 2 << 20), 0xffff_8020_0200);
        assert_eq!(chunk_link(va, 8 << 20), 0xffff_8020_0800);
    }

    #[test]
    fn contexts_do_not_share_a_cache_line() {
        assert_eq!(context_stride(64), 64);
        assert_eq!(context_stride(16), 32);
    }

    #[test]
    fn growth_ends_with_the_maximum_or_too_many_render_passes() -> Result {
        let mut raw = args();
        raw.target_in_flight = 2;
        let limits = Limits::parse(&raw)?;
        assert!(limits.may_grow(63, 2));
        assert!(!limits.may_grow(64, 0));
        assert!(!limits.may_grow(5, 3));
        Ok(())
    }

    #[test]
    fn a_handle_names_vm_and_heap() {
        assert_eq!(handle(3, 7), 0x3_0007);
    }
}
