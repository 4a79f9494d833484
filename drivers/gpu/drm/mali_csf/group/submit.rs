// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GROUP_SUBMIT: one way from user space's arrays to the rings.
//!
//! **Locking.** The VM's reservation and those of its external BOs are held from the reservation
//! of fence slots to the end of the commit.
//!
//! **Ordering.** Copy and validate everything, look up and allocate everything, lock, restore what
//! memory reclaim has taken, commit, publish. The jobs of one call are committed in the order of its array, and a later one may wait
//! for what an earlier one signals.
//!
//! **Blocking.** Waits for reservation locks, interruptibly, and for memory if reclaim has taken some
//! from the VM. Never for a fence.

use drm::exec;
use drm::resv::Usage;
use drm::syncs::Requests;
use job::{
    Few,
    MayBlock, //
};
use kernel::prelude::*;
use shims::uapi;

use super::args::SubmitArgs;
use crate::driver::{
    DrmFile,
    Entered, //
};
use crate::queue::Job;
use crate::sync;
use crate::vm;

/// What the group says to a job that comes too late is `EINVAL`, whatever ended it.
fn gone(err: Error) -> Error {
    if err == ENOMEM {
        ENOMEM
    } else {
        EINVAL
    }
}

/// GROUP_SUBMIT.
///
/// # Errors
///
/// Nothing was submitted then. `EINVAL`: padding not zero, more than [`exec::MAX_FENCES`] entries, an unknown group, one that can't run any
/// more or whose VM is unusable, an unknown syncobj to signal, one to wait for that has no fence, and as [`SubmitArgs::parse`]
/// and [`sync::read`]; `ENOENT` for an unknown syncobj to wait for; `EFAULT`, `E2BIG`; `ENOMEM`, also
/// if there is no memory for what was taken from the VM, which stays as it is then; `ERESTARTSYS` if a
/// signal arrives while reservations are locked; `ETIMEDOUT` and others if the GPU is lost, or was off
/// and can't be switched on.
pub(crate) fn group_submit(
    dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_group_submit,
    file: &DrmFile,
) -> Result<u32> {
    if args.pad != 0 || args.queue_submits.count > exec::MAX_FENCES {
        return Err(EINVAL);
    }
    let raw = drm::uobj::read_array::<uapi::drm_panthor_queue_submit>(
        args.queue_submits.array,
        args.queue_submits.count,
        args.queue_submits.stride,
        drm::min_size!(uapi::drm_panthor_queue_submit, syncs),
    )?;
    if raw.is_empty() {
        return Ok(0);
    }
    let group = file.groups().get(args.group_handle).ok_or(EINVAL)?;
    if !group.link().can_run() || group.vm().state() == vm::State::Unusable {
        return Err(EINVAL);
    }
    let mut ctx = MayBlock::new();
    let mut entries: Few<_, 4> = Few::with_capacity(raw.len(), GFP_KERNEL)?;
    let mut requests = Requests::with_capacity(&ctx, raw.len())?;
    for raw in &raw {
        entries.push(SubmitArgs::parse(raw, group.queues().len())?, GFP_KERNEL)?;
        sync::read(&ctx, &mut requests, &raw.syncs)?;
    }

    let syncs = requests.resolve(&ctx, file)?;
    let batch = syncs.prepare(&ctx, |index| {
        let args = entries.get(index).ok_or(EINVAL)?;
        let queue = group.queues().get(args.queue).ok_or(EINVAL)?;
        let job = Job::new(args.stream, dev.bound().power())?;
        let credits = job.credits();

        queue.prepare(&ctx, job, credits).map_err(gone)
    })?;

    let slots = u32::try_from(batch.len()).map_err(|_| ENOMEM)?;
    let owner = group.vm();
    let vm = owner.gpuvm();
    let published = exec::with_locked(
        exec::Flags::INTERRUPTIBLE.or(exec::Flags::IGNORE_DUPLICATES),
        slots,
        |attempt| vm.prepare(attempt),
        |locked| {
            owner.restore(&ctx, locked)?;
            Ok(batch.commit(&mut ctx, |sig, fences| {
                for fence in fences {
                    // As many slots as fences were reserved in everything that is locked.
                    let _ = vm.add_fence(locked, fence, Usage::Bookkeep, Usage::Bookkeep);
                }
                syncs.publish(sig, fences)
            }))
        },
    )?;
    drop(published);
    Ok(0)
}
