// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Getting all groups out of their slots, because the GPU is about to be switched off or reset.
//!
//! Whoever the firmware can save goes on later and never knows. It is asked for that like at any other
//! decision, only that there are no slots in the plan. Firmware that was found to be silent is asked as
//! well: it may be one request or one slot that it does not serve. What cannot be saved ends.
//!
//! **Locking.** The caller holds the scheduler's state lock. `residents` is taken for moments.
//!
//! **Ordering.** What was saved is written back from the GPU's caches before it counts as saved: a reset
//! forgets what is in them. What the firmware has reported of a group is looked at before the group is
//! taken for innocent.
//!
//! **Blocking.** Waits for one round of requests and for one flush, each of them in bounded time; part
//! of the way from commit to signal.

use job::Signalling;
use kernel::sync::Arc;

use super::apply;
use super::events;
use super::policy::{
    Place,
    MAX_SLOTS, //
};
use super::{
    Core,
    State, //
};
use crate::group::state::{
    self,
    Status, //
};

/// Takes all groups out of their slots. Nobody gets one: `state` says that the GPU is asleep.
pub(super) fn evacuate(core: &Arc<Core>, state: &mut State, sig: &Signalling<'_>) {
    let gpu = &core.device.gpu;

    for seat in state.seats.iter().flatten() {
        // The time that this takes is nobody's fault.
        seat.group.stop_timers();
    }
    let occupied = state.seats.iter().any(Option::is_some);
    if core.rotate(state, sig).is_err() {
        gpu.distrust();
    }
    // Without a reset in sight as well: one may turn out to be the only way to switch the GPU off.
    if occupied && gpu.flush_caches().is_err() {
        distrust_saved(state, sig);
    }
    for index in 0..MAX_SLOTS {
        strand(core, state, index, sig);
    }
}

/// What the last decision has saved may not have got to memory.
fn distrust_saved(state: &mut State, sig: &Signalling<'_>) {
    for index in 0..state.seen.groups.len() {
        let (Some(group), Some(view)) = (state.seen.groups.get(index), state.seen.views.get(index))
        else {
            continue;
        };
        let saved = group.link().status().state() == state::State::Suspended;
        if saved && matches!(view.place, Place::Slot { .. }) {
            let group = group.clone();
            group.link().update(Status::lose_device);
            state.sort(&group, sig);
        }
    }
}

/// Ends the group that is still in a slot, if there is one: the slot is about to go.
fn strand(core: &Arc<Core>, state: &mut State, index: usize, sig: &Signalling<'_>) {
    let seat = state.seats.get(index).and_then(Option::as_ref);
    let (Some(group), Some(csg)) = (seat.map(|seat| seat.group.clone()), apply::csg(core, index))
    else {
        return;
    };
    group.link().leaving();
    events::drain(core, csg.slot(), sig);
    group.link().update(Status::lose_device);
    apply::vacate(core, state, index);
    state.sort(&group, sig);
}
