// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the firmware reports: finished jobs, faults, idle groups.
//!
//! **Locking.** `residents` is held while the events of a slot are taken and handled, so that they
//! reach the group that they belong to, and one handler at a time.
//!
//! **Ordering.** An event is acknowledged before what it is about is looked at: what happens after
//! that raises a new one. Faults are the exception: a stream stands still until its fault is acknowledged, so
//! that is noted first, for the job that EXTRACT is in. Faults are also noted before finished jobs are looked
//! for, so that a job's fence carries its error.
//!
//! **Blocking.** Runs in the interrupt thread, from the tick, and wherever an MMU fault is
//! handled. It signals fences and gives ready jobs to the ring; it waits for nothing.

use job::Signalling;
use kernel::prelude::*;
use kernel::sync::atomic::{
    Full,
    Relaxed, //
};
use kernel::sync::Arc;

use super::Core;
use crate::fw::{
    Csg,
    CsgSlot,
    Exception, //
};
use crate::group::state::Status;
use crate::group::Group;

/// Interrupt thread: events of the slots in `csgs`, and global ones.
pub(super) fn handle(core: &Arc<Core>, csgs: u32, global: bool) {
    Signalling::section(|sig| {
        let mut kick =
            global && core.device.fw.take_global_events().idle && core.contended.load(Relaxed);
        for index in (0..32).filter(|n| csgs & (1 << n) != 0) {
            if let Some(slot) = CsgSlot::new(index, core.device.fw.csif()) {
                kick |= take(core, slot, sig);
            }
        }
        if kick {
            core.kick();
        }
    });
}

/// The tick: takes the last events of a slot before it changes hands.
pub(super) fn drain(core: &Arc<Core>, slot: CsgSlot, sig: &Signalling<'_>) {
    take(core, slot, sig);
}

/// Takes and handles the events of a slot. Returns whether a decision is needed.
fn take(core: &Arc<Core>, slot: CsgSlot, sig: &Signalling<'_>) -> bool {
    let residents = core.residents.lock();
    let group = residents.get(slot.index()).and_then(Option::as_ref);
    take_for(
        core,
        &core.device.fw.csg(slot),
        group.map(|group| &**group),
        sig,
    )
}

fn take_for(core: &Arc<Core>, csg: &Csg<'_>, group: Option<&Group>, sig: &Signalling<'_>) -> bool {
    let events = csg.take_events();
    let Some(group) = group else {
        // Left over from a group that is gone: acknowledged, that's all.
        return false;
    };
    let mut kick = false;
    let mut answered = 0;
    let mut starved = 0;

    for (n, queue) in (0..32).zip(group.queues()) {
        if events.cs & (1 << n) == 0 {
            continue;
        }
        let Some(cs) = csg.cs(n) else { continue };
        let events = cs.events();
        if let Some(fatal) = events.fatal {
            report(core, "FATAL", csg, n, group, &fatal);
            group.link().update(|status| status.fatal(1 << n));
            if fatal.is_unrecoverable() {
                core.device.gpu.require_reset();
            }
            kick = true;
        }
        if let Some(fault) = events.fault {
            report(core, "FAULT", csg, n, group, &fault);
            queue.backend().note_fault();
            answered |= 1 << n;
        }
        cs.acknowledge(&events);
        if events.tiler_oom {
            starved |= 1 << n;
        }
    }
    if starved != 0 {
        group.link().starve(starved);
        core.feed();
    }
    if events.progress_timeout {
        dev_warn!(
            core.device.dev,
            "CSG slot {}: no progress, pid={}\n",
            csg.slot().index(),
            group.pid()
        );
        group.link().update(Status::time_out);
        kick = true;
    }
    if events.idle {
        kick |= core.contended.load(Relaxed);
        match group.busy_queues() {
            0 => group.link().progressed(|| group.busy_queues() == 0),
            _ => core.doubt(),
        }
    }
    if events.sync_update {
        group.check(sig);
        group.link().progressed(|| group.busy_queues() == 0);
        if core.waiting.load(Relaxed) {
            core.doubt();
        }
        core.sync_updated.xchg(true, Full);
        kick |= core.blocked.load(Relaxed);
    }
    if answered != 0 {
        csg.ring_cs(answered);
        // Refused only if the device is going away, which ends all groups.
        let _ = core.device.fw.ring_csgs(csg.slot().bit());
    }
    kick
}

fn report(core: &Core, kind: &str, csg: &Csg<'_>, cs: u32, group: &Group, what: &Exception) {
    dev_warn!(
        core.device.dev,
        "CS_{}: CSG slot {} CS {}, {} (0x{:x}), data 0x{:x}, info 0x{:x}, pid={}\n",
        kind,
        csg.slot().index(),
        cs,
        what.name(),
        what.code,
        what.data,
        what.info,
        group.pid()
    );
}

/// An address space was stopped by a fault.
pub(super) fn mmu_fault(core: &Arc<Core>) {
    Signalling::section(|sig| blame(core, sig));
}

/// Ends the groups in slots that use an address space which was stopped by a fault.
pub(super) fn blame(core: &Arc<Core>, sig: &Signalling<'_>) {
    let residents = core.residents.lock();
    for (index, group) in (0..).zip(residents.iter()) {
        let Some(group) = group.as_ref().filter(|group| group.vm().has_fault()) else {
            continue;
        };
        group.vm().report_fault();
        if let Some(slot) = CsgSlot::new(index, core.device.fw.csif()) {
            take_for(core, &core.device.fw.csg(slot), Some(group), sig);
        }
        if !group.link().status().has_fatal() {
            group.link().update(|s| s.fatal(group.all_queues()));
        }
    }
    drop(residents);
    core.kick();
}
