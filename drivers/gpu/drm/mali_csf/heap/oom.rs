// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The tiler ran out of memory: what the firmware is answered.
//!
//! **Locking.** The state of the stream is read, and the answer given, with the scheduler's
//! `residents` held, so that the group can't lose its slot in between. The memory is allocated
//! without it.
//!
//! **Ordering.** If the group has left its slot while the memory was allocated, the chunk goes
//! back: the firmware asks again when the group runs again.
//!
//! **Blocking.** Allocates. It runs on a workqueue that no fence depends on but through the GPU, as
//! every growth of a heap does.

use kernel::prelude::*;

use super::Pool;
use crate::fw::{
    Cs,
    HeapOom, //
};

/// What is to be asked of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Address of the heap's context.
    context: u64,
    /// Render passes that have begun and are not finished.
    in_flight: u32,
}

impl Request {
    /// Reads what the stream in `cs` asks for.
    ///
    /// # Errors
    ///
    /// `EINVAL` if its counters contradict each other.
    pub(crate) fn read(cs: &Cs<'_>) -> Result<Self> {
        Self::parse(&cs.heap())
    }

    fn parse(oom: &HeapOom) -> Result<Self> {
        // More fragment work done than tiling, or a tiler that asks between render passes.
        if oom.frag_end > oom.vt_end || oom.vt_end >= oom.vt_start {
            return Err(EINVAL);
        }
        Ok(Self {
            context: oom.address,
            in_flight: oom.vt_start - oom.frag_end,
        })
    }

    /// Whether the stream in `cs` still asks for that.
    pub(crate) fn is_of(&self, cs: &Cs<'_>) -> bool {
        cs.is_tiler_oom() && cs.heap().address == self.context
    }

    /// Gets a chunk. `Ok(0)` is a valid answer to the firmware: there is none, find another way.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such heap.
    pub(crate) fn serve(&self, pool: &Pool) -> Result<u64> {
        match pool.grow(self.context, self.in_flight) {
            Err(err) if err == ENOMEM => Ok(0),
            other => other,
        }
    }

    /// The answer could not be given.
    pub(crate) fn give_back(&self, pool: &Pool, chunk: u64) {
        if chunk != 0 {
            pool.give_back(self.context, chunk);
        }
    }
}

#[kernel::macros::kunit_tests(mali_csf_heap_oom)]
mod tests {
    use super::*;

    fn oom(vt_start: u32, vt_end: u32, frag_end: u32) -> HeapOom {
        HeapOom {
            address: 0x1000,
            vt_start,
            vt_end,
            frag_end,
        }
    }

    #[test]
    fn render_passes_in_flight_are_those_begun_and_not_finished() {
        assert_eq!(
            Request::parse(&oom(5, 4, 2)),
            Ok(Request {
                context: 0x1000,
                in_flight: 3
            })
        );
    }

    #[test]
    fn counters_that_contradict_each_other_are_refused() {
        assert_eq!(Request::parse(&oom(5, 3, 4)), Err(EINVAL));
        assert_eq!(Request::parse(&oom(5, 5, 4)), Err(EINVAL));
        assert_eq!(Request::parse(&oom(3, 4, 2)), Err(EINVAL));
    }
}
