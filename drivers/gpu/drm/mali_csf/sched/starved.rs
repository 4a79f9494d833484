// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Groups whose tiler waits for memory: finds them, and hands over what their heaps have grown by.
//!
//! **Locking.** `residents` for moments, to look at a stream and to answer it; the heap pool's
//! mutex in between, never both.
//!
//! **Ordering.** A group that has left its slot meanwhile is not answered: the firmware asks again
//! when the group is back. That may be in the same slot, before it asks, so that each look at a stream
//! begins with whether it asks at all. An answer is given before the group is asked to leave its slot,
//! when it is part of what the firmware saves, or not at all.
//!
//! **Blocking.** Allocates, on a workqueue of its own: nothing that signals a fence waits for it,
//! except the GPU job that asks.

use job::MayBlock;
use job::Signalling;
use kernel::prelude::*;
use kernel::sync::atomic::Relaxed;
use kernel::sync::Arc;

use super::Core;
use crate::fw::{
    Cs,
    Csg,
    CsgSlot, //
};
use crate::group::Group;
use crate::heap::oom::Request;

/// Runs `f` with the slot of `group`, unless it has lost it.
fn with_slot<R>(
    core: &Core,
    slot: CsgSlot,
    group: &Arc<Group>,
    f: impl FnOnce(&Csg<'_>) -> R,
) -> Option<R> {
    let residents = core.residents.lock();
    let resident = residents.get(slot.index())?.as_ref()?;
    Arc::ptr_eq(resident, group).then(|| f(&core.device.fw.csg(slot)))
}

/// A group in a slot with queues that wait, which are taken off it.
fn next(core: &Core) -> Option<(CsgSlot, Arc<Group>, u32)> {
    let residents = core.residents.lock();
    (0..).zip(residents.iter()).find_map(|(index, group)| {
        let group = group.as_ref()?;
        let queues = group.link().take_starved();
        let slot = CsgSlot::new(index, core.device.fw.csif())?;
        (queues != 0).then(|| (slot, group.clone(), queues))
    })
}

/// Serves all groups that wait.
pub(super) fn serve(core: &Arc<Core>) {
    let _may_block = MayBlock::new();
    while let Some((slot, group, queues)) = next(core) {
        for n in (0..32).filter(|n| queues & (1 << n) != 0) {
            serve_queue(core, slot, &group, n);
        }
    }
}

fn serve_queue(core: &Arc<Core>, slot: CsgSlot, group: &Arc<Group>, n: u32) {
    // What a stream that does not ask says of its heap is from an earlier time, or of another group.
    let request = with_slot(core, slot, group, |csg| {
        let cs = csg.cs(n).filter(Cs::is_tiler_oom)?;
        Some(Request::read(&cs))
    });
    let Some(request) = request.flatten() else {
        return;
    };
    let served = request.and_then(|request| Ok((request, request.serve(group.heaps())?)));
    let Ok((request, chunk)) = served else {
        dev_warn!(
            core.device.dev,
            "CSG slot {} CS {}: tiler out of memory, and no heap to grow, pid={}\n",
            slot.index(),
            n,
            group.pid()
        );
        group.link().fail(|status| status.fatal(1 << n));
        return;
    };
    let answered = Signalling::section(|_| {
        with_slot(core, slot, group, |csg| {
            let cs = csg.cs(n).filter(|cs| request.is_of(cs))?;
            group.link().while_in_slot(|| {
                cs.tiler_oom_reply(chunk);
                csg.ring_cs(1 << n);
                // Refused only if the device is going away, which ends all groups.
                let _ = core.device.fw.ring_csgs(slot.bit());
            })
        })
    });
    if answered.flatten().is_none() {
        core.cost.chunks_late.fetch_add(1u64, Relaxed);
        request.give_back(group.heaps(), chunk);
    }
}
