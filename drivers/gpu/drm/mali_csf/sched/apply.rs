// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Carrying out a [`Plan`]: the requests to the firmware and their acknowledgements.
//!
//! **Locking.** The caller holds the scheduler's state lock. `residents` is taken for moments.
//!
//! **Ordering.** Those who leave do so before those who enter, so that their slots and their
//! address spaces are free. The last events of a slot are handled while it still belongs to the
//! group that they are meant for.
//!
//! **Blocking.** Each of the two rounds of requests waits for at most [`ACK_TIMEOUT_MS`]: what came in
//! time for one slot is what the others get.

use job::Signalling;
use kernel::prelude::*;
use kernel::sync::atomic::Full;
use kernel::sync::Arc;
use kernel::time::Instant;

use super::events;
use super::policy::{
    Exit,
    Plan, //
};
use super::roster::Listed;
use super::{
    Core,
    Seat,
    State, //
};
use crate::fw::{
    Csg,
    CsgReq,
    CsgSlot,
    CsgState, //
};
use crate::group::state;
use crate::group::Group;

/// Time that the firmware has to acknowledge a request, in milliseconds.
///
/// It takes microseconds. A firmware that misses it costs a reset, so this leaves room for a
/// processor that was busy elsewhere.
const ACK_TIMEOUT_MS: u32 = 1000;

/// The firmware didn't do as it was told in time, or can't be reached.
pub(super) struct Stuck;

impl From<Error> for Stuck {
    fn from(_: Error) -> Self {
        Stuck
    }
}

pub(super) fn csg(core: &Core, index: usize) -> Option<Csg<'_>> {
    let index = u32::try_from(index).ok()?;
    Some(
        core.device
            .fw
            .csg(CsgSlot::new(index, core.device.fw.csif())?),
    )
}

/// The state that the firmware says the slot is in.
fn acked(csg: &Csg<'_>) -> Option<CsgState> {
    [
        CsgState::Terminate,
        CsgState::Start,
        CsgState::Suspend,
        CsgState::Resume,
    ]
    .into_iter()
    .find(|state| u32::from(*state as u8) == csg.acked_state())
}

fn wait(core: &Core, csg: &Csg<'_>, bits: CsgReq, timeout_ms: u32) -> Result<(), Stuck> {
    csg.wait_acks(bits, timeout_ms).map_err(|_| {
        dev_err!(
            core.device.dev,
            "CSG slot {}: request not acknowledged\n",
            csg.slot().index()
        );
        Stuck
    })
}

/// Carries out `plan`.
pub(super) fn apply(
    core: &Arc<Core>,
    state: &mut State,
    plan: &Plan,
    sig: &Signalling<'_>,
) -> Result<(), Stuck> {
    leave(core, state, plan, sig)?;
    enter(core, state, plan, sig)
}

/// Asks the firmware what the groups in slots wait for, if there are more groups with work than
/// slots, or if that is needed to know whether the GPU has work: else it makes no difference.
pub(super) fn refresh(core: &Core, state: &State) -> Result<(), Stuck> {
    let seated = state
        .seats
        .iter()
        .flatten()
        .filter(|seat| seat.group.link().can_run() && seat.group.busy_queues() != 0)
        .count();
    let doubtful = core.doubtful.xchg(false, Full);
    if !doubtful && seated + state.roster.ready().len() <= core.slots {
        return Ok(());
    }
    let mut slots = 0;
    for (index, seat) in state.seats.iter().enumerate() {
        let (Some(seat), Some(csg)) = (seat, csg(core, index)) else {
            continue;
        };
        if seat.group.busy_queues() != 0 {
            csg.request(CsgReq::STATUS_UPDATE);
            slots |= csg.slot().bit();
        }
    }
    if slots == 0 {
        return Ok(());
    }
    core.device.fw.ring_csgs(slots)?;
    for (index, seat) in state.seats.iter().enumerate() {
        let (Some(seat), Some(csg)) = (seat, csg(core, index)) else {
            continue;
        };
        if slots & csg.slot().bit() != 0 {
            wait(core, &csg, CsgReq::STATUS_UPDATE, ACK_TIMEOUT_MS)?;
            seat.group.refresh(&csg);
        }
    }
    Ok(())
}

/// First round: groups leave, and those that stay get their new priorities.
fn leave(
    core: &Arc<Core>,
    state: &mut State,
    plan: &Plan,
    sig: &Signalling<'_>,
) -> Result<(), Stuck> {
    let seat_of = |state: &State, group: usize| {
        let group = state.seen.groups.get(group)?;
        let index = state.seat_of(group)?;
        Some((group.clone(), index, csg(core, index)?))
    };

    let mut slots = 0;
    // Slots whose last request was never acknowledged: another one would be no better.
    let mut late = 0;
    for leave in plan.leave.iter() {
        let Some((group, _, csg)) = seat_of(state, leave.group) else {
            continue;
        };
        group.link().leaving();
        if csg.pending(CsgReq::STATE) {
            late |= csg.slot().bit();
            continue;
        }
        csg.request_state(match leave.exit {
            Exit::Suspend => CsgState::Suspend,
            Exit::Terminate => CsgState::Terminate,
        });
        slots |= csg.slot().bit();
    }
    for stay in plan.stay.iter() {
        if let (Some(priority), Some((_, _, csg))) =
            (stay.new_slot_priority, seat_of(state, stay.group))
        {
            csg.set_priority(priority);
            csg.request(CsgReq::ENDPOINT_CONFIG);
            slots |= csg.slot().bit();
        }
    }
    let mut done = match late {
        0 => Ok(()),
        _ => Err(Stuck),
    };
    if slots == 0 {
        return done;
    }
    core.device.fw.ring_csgs(slots)?;

    let mut timeout_ms = ACK_TIMEOUT_MS;
    for leave in plan.leave.iter() {
        let Some((group, index, csg)) = seat_of(state, leave.group) else {
            continue;
        };
        if late & csg.slot().bit() != 0 {
            continue;
        }
        if wait(core, &csg, CsgReq::STATE, timeout_ms).is_err() {
            timeout_ms = 0;
            done = Err(Stuck);
            continue;
        }
        group
            .link()
            .update(|status| status.acknowledged(acked(&csg)));
        events::drain(core, csg.slot(), sig);
        // All that it will have done is in memory now, whether there was an event for it or not.
        group.check(sig);
        group.left(&csg);
        group.stop_timers();
        vacate(core, state, index);
        if group.link().status().state() == state::State::Unknown {
            done = Err(Stuck);
        }
        state.sort(&group, sig);
        // Work that came after the snapshot, while the group was still in its slot, was announced
        // by its doorbell only, and the plan does not know of it.
        let was_idle = state.seen.views.get(leave.group).is_some_and(|v| v.idle);
        if was_idle && group.listed() == Listed::Ready {
            core.kick();
        }
    }
    for stay in plan.stay.iter() {
        if let (Some(priority), Some((_, index, csg))) =
            (stay.new_slot_priority, seat_of(state, stay.group))
        {
            wait(core, &csg, CsgReq::ENDPOINT_CONFIG, timeout_ms)?;
            if let Some(seat) = state.seats.get_mut(index).and_then(Option::as_mut) {
                seat.slot_priority = priority;
            }
        }
    }
    done
}

/// Second round: groups enter.
fn enter(
    core: &Arc<Core>,
    state: &mut State,
    plan: &Plan,
    sig: &Signalling<'_>,
) -> Result<(), Stuck> {
    let mut slots = 0;
    let mut done = Ok(());
    for enter in plan.enter.iter() {
        let Some(group) = state.seen.groups.get(enter.group).cloned() else {
            continue;
        };
        let free = state
            .seats
            .iter()
            .take(core.slots)
            .position(|seat| seat.is_none());
        let Some((index, csg)) = free.and_then(|index| Some((index, csg(core, index)?))) else {
            break;
        };
        let space = match group.vm().activate() {
            Ok(space) => space,
            Err(_) if core.device.gpu.needs_reset() => {
                done = Err(Stuck);
                break;
            }
            Err(err) if err == EAGAIN => {
                // The fault is of those who are in slots already. When they are gone it is this one's turn.
                events::blame(core, sig);
                continue;
            }
            Err(_) => {
                // Its VM can't be used any more: that is this group's problem only.
                group.link().update(|s| s.fatal(group.all_queues()));
                state.sort(&group, sig);
                continue;
            }
        };
        state.roster.list(&group, Listed::No);
        group.program(&csg, enter.slot_priority, &space);
        if let Some(resident) = core.residents.lock().get_mut(index) {
            *resident = Some(group.clone());
        }
        // Should the slot's doorbell be rung for somebody else in between, it must not start with a configuration
        // that is not its own.
        csg.request(CsgReq::ENDPOINT_CONFIG);
        csg.request_state(group.link().status().entry());
        slots |= csg.slot().bit();
        if let Some(seat) = state.seats.get_mut(index) {
            *seat = Some(Seat {
                group,
                slot_priority: enter.slot_priority,
                idle: false,
                charged: Instant::now(),
                _space: space,
            });
        }
    }
    if slots == 0 {
        return done;
    }
    core.device.fw.ring_csgs(slots)?;

    let mut timeout_ms = ACK_TIMEOUT_MS;
    for (index, seat) in state.seats.iter().enumerate() {
        let (Some(seat), Some(csg)) = (seat, csg(core, index)) else {
            continue;
        };
        if slots & csg.slot().bit() == 0 {
            continue;
        }
        let requested = CsgReq::STATE | CsgReq::ENDPOINT_CONFIG;
        if wait(core, &csg, requested, timeout_ms).is_err() {
            timeout_ms = 0;
            done = Err(Stuck);
        } else if started(core, &seat.group, &csg).is_err() {
            done = Err(Stuck);
        }
    }
    done
}

/// The firmware runs `group` in `csg`.
fn started(core: &Arc<Core>, group: &Group, csg: &Csg<'_>) -> Result<(), Stuck> {
    group
        .link()
        .update(|status| status.acknowledged(acked(csg)));
    if group.link().status().state() != state::State::Active {
        return Err(Stuck);
    }
    if group
        .link()
        .entered(csg.slot(), || group.busy_queues() == 0)
    {
        core.feed();
    }
    group.start_timers();
    if group.has_news() {
        core.device.fw.ring(csg.slot().doorbell())?;
    }
    Ok(())
}

/// The slot belongs to nobody.
pub(super) fn vacate(core: &Core, state: &mut State, index: usize) {
    let resident = core.residents.lock().get_mut(index).and_then(Option::take);
    let seat = state.seats.get_mut(index).and_then(Option::take);
    drop((resident, seat));
}
