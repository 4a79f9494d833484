// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is behind a mapping.
//!
//! A sparse mapping has no buffer of user space: all of it shows one block of memory, over and over, so
//! that the GPU can access any address of it. Nobody cares for the content. The block is the VM's own,
//! because what one VM writes there no other shall read; it is made when it is first needed.
//!
//! The offset of a sparse mapping in its memory is its address. As the block is aligned and repeats
//! after its size, the page table can use blocks wherever a mapping holds a whole one.

use drm::gem::{
    Flags,
    Mapped,
    Pinned,
    Segment, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use shims::uapi;

use super::{
    cut,
    GpuVa,
    MapFlags,
    Vm, //
};
use crate::{
    driver::Driver,
    gem::{
        Bo,
        BoData,
        Owner, //
    },
};

/// After how many pieces others may run.
const BREATH: u64 = 1024;

/// Memory that is mapped, or is about to be. It stays as long as this does.
#[derive(Clone)]
pub(crate) struct Memory {
    buffer: Mapped<Driver>,
    size: u64,
    repeated: bool,
}

/// How something is mapped, and what.
#[derive(Clone)]
pub(crate) struct Mapping {
    /// How.
    pub(super) flags: MapFlags,
    /// What; nothing while memory reclaim has it.
    pub(super) memory: Option<Memory>,
}

impl Memory {
    /// That of a buffer.
    pub(super) fn of(buffer: &Pinned<Driver>) -> Result<Self> {
        Ok(Self {
            buffer: buffer.mapped(),
            size: u64::try_from(buffer.size())?,
            repeated: false,
        })
    }

    /// That of a buffer, repeated for ever.
    pub(super) fn repeated(buffer: &Pinned<Driver>) -> Result<Self> {
        Ok(Self {
            repeated: true,
            ..Self::of(buffer)?
        })
    }

    /// Whether it has no end.
    pub(super) fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// The word at `offset`: see [`Mapped::read_word()`].
    fn read_word(&self, offset: u64, wide: bool) -> Option<u64> {
        let offset = match self.repeated {
            true => offset % self.size,
            false => offset,
        };
        self.buffer.read_word(offset, wide)
    }

    /// Calls `f` with what is contiguous of `len` bytes from `offset` on, in order, until it fails.
    /// What is beyond the end of a buffer is left out. Does not allocate.
    pub(super) fn try_for_each(
        &self,
        offset: u64,
        len: u64,
        mut f: impl FnMut(Segment) -> Result,
    ) -> Result {
        if !self.repeated {
            return self.buffer.segments(offset, len).try_for_each(f);
        }
        let mut done = 0;
        let mut pieces = 0;
        while done < len {
            let at = (offset + done) % self.size;
            let part = (self.size - at).min(len - done);
            self.buffer.segments(at, part).try_for_each(&mut f)?;
            done += part;
            pieces += 1;
            if pieces % BREATH == 0 {
                drm::task::cond_resched();
            }
        }
        Ok(())
    }
}

impl Vm {
    /// The word of 4 bytes, or of 8 if `wide`, that the GPU reads at `va`. `None` if there is none, it
    /// is not aligned, or it is in memory of others. Neither allocates nor waits for more than a change
    /// of the map.
    pub(crate) fn read_word(&self, va: GpuVa, wide: bool) -> Option<u64> {
        let tree = self.tree.lock();
        // Mappings are whole pages: an aligned word is in one of them.
        let mapping = tree.find_first(va.get(), 1)?;
        let inside = va.get().checked_sub(mapping.addr())?;
        let memory = mapping.data().memory.as_ref()?;
        memory.read_word(mapping.gem_offset().checked_add(inside)?, wide)
    }

    /// The memory behind sparse mappings.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also if there is no block of contiguous memory.
    pub(super) fn sparse_memory(&self) -> Result<ARef<Bo>> {
        let mut memory = self.sparse.lock();
        if let Some(bo) = &*memory {
            return Ok(bo.clone());
        }
        let mut flags = Flags::NO_MMAP.or(Flags::CONTIGUOUS);
        if self.coherent() {
            flags = flags.or(Flags::WRITE_BACK);
        }
        let bo = Bo::new(
            &self.ddev,
            cut::BLOCK,
            flags,
            Some(self.gpuvm.resv()),
            BoData::new(uapi::DRM_PANTHOR_BO_NO_MMAP, Owner::Kernel),
        )?;
        Ok(memory.insert(bo).clone())
    }
}
