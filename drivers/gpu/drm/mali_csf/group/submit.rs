// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GROUP_SUBMIT: one way from user space's arrays to the rings.
//!
//! **Locking.** The VM's reservation and those of its external BOs are held from the reservation
//! of fence slots to the end of the commit.
//!
//! **Ordering.** Copy and validate everything, look up and allocate everything, lock, commit,
//! publish. The jobs of one call are committed in the order of its array, and a later one may wait
//! for what an earlier one signals.
//!
//! **Blocking.** Waits for reservation locks, interruptibly. Never for a fence.

use drm::exec;
use drm::resv::Usage;
use drm::syncobj;
use job::Batch;
use job::MayBlock;
use kernel::prelude::*;
use shims::uapi;

use super::args::SubmitArgs;
use crate::driver::{
    DrmFile,
    Entered, //
};
use crate::queue::{
    Job,
    QueueBackend, //
};
use crate::sync::{
    Signals,
    SyncOp, //
};

/// One validated entry.
struct Entry {
    args: SubmitArgs,
    syncs: KVVec<SyncOp>,
}

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
/// Nothing was submitted then. `EINVAL`: padding not zero, an unknown group, one that can't run any
/// more, and as [`SubmitArgs::parse`], [`SyncOp::parse`] and [`Signals::add`]; what looking up a
/// fence to wait for returns; `EFAULT`, `E2BIG`, `ENOMEM`; `ERESTARTSYS` if a signal arrives while
/// reservations are locked.
pub(crate) fn group_submit(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_group_submit,
    file: &DrmFile,
) -> Result<u32> {
    if args.pad != 0 {
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
    if !group.link().can_run() {
        return Err(EINVAL);
    }
    let mut entries = KVVec::with_capacity(raw.len(), GFP_KERNEL)?;
    for raw in &raw {
        let args = SubmitArgs::parse(raw, group.queues().len())?;
        let syncs = SyncOp::read_array(&raw.syncs)?;
        entries.push(Entry { args, syncs }, GFP_KERNEL)?;
    }

    let mut ctx = MayBlock::new();
    let mut signals = Signals::new();
    let mut batch = Batch::<QueueBackend>::new();
    for (index, entry) in entries.iter().enumerate() {
        let queue = group.queues().get(entry.args.queue).ok_or(EINVAL)?;
        let job = Job::new(entry.args.stream);
        let credits = job.credits();
        let mut job = queue.prepare(&ctx, job, credits).map_err(gone)?;
        for op in entry.syncs.iter().filter(|op| !op.signal) {
            match signals.source(op) {
                Some(earlier) => {
                    let fence = batch.fence(earlier).ok_or(EINVAL)?;
                    job.add_dependency(&ctx, fence)?;
                }
                None => {
                    let fence = syncobj::find_fence(file, op.handle, op.point)?;
                    job.add_dependency(&ctx, &fence)?;
                }
            }
        }
        for op in entry.syncs.iter().filter(|op| op.signal) {
            signals.add(file, op, index)?;
        }
        batch.push(&ctx, job)?;
    }

    let slots = u32::try_from(batch.len()).map_err(|_| ENOMEM)?;
    let vm = group.vm().gpuvm();
    exec::with_locked(
        exec::Flags::INTERRUPTIBLE.or(exec::Flags::IGNORE_DUPLICATES),
        slots,
        |attempt| vm.prepare(attempt),
        |locked| {
            batch.commit(&mut ctx, |_sig, fences| {
                for fence in fences {
                    // As many slots as fences were reserved in everything that is locked.
                    let _ = vm.add_fence(locked, fence, Usage::Bookkeep, Usage::Bookkeep);
                }
                signals.publish(fences);
            });
            Ok(())
        },
    )?;
    Ok(0)
}
