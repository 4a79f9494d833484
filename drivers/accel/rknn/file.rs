// SPDX-License-Identifier: GPL-2.0 OR MIT

//! An open file: its address space, its lanes, its buffers.
//!
//! # Locking
//!
//! None of its own: what a file has does not change while it is open.
//!
//! # Ordering
//!
//! When a file is closed its lanes are closed first, so that none of its jobs comes to the scheduler any
//! more; then those that wait there are taken back. Jobs that are on a core go on, and keep what they use.
//!
//! # Blocking
//!
//! Closing does not wait for jobs.

use ::job::{
    MayBlock,
    Queue,
    Signalling, //
};
use drm::resv::{
    self,
    Usage, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        msecs_to_jiffies,
        Msecs, //
    }, //
};
use shims::uapi;

use crate::{
    driver::{
        Driver,
        DrmFile,
        Entered, //
    },
    gem,
    job::Lane,
    sched::{
        Sched,
        LANES, //
    },
    space::Space, //
};

/// A place among the scheduler's files.
struct Client {
    id: u64,
    sched: Arc<Sched>,
}

impl Drop for Client {
    fn drop(&mut self) {
        Signalling::section(|sig| {
            self.sched.close(self.id, |work| {
                let queue = work.end(Err(ECANCELED));
                drop(work);
                queue.check_deferred(sig);
            });
        });
    }
}

/// State of an open file.
pub(crate) struct File {
    space: Arc<Space>,
    lanes: KVec<Arc<Queue<Lane>>>,
    client: Client,
}

impl File {
    /// The file's address space.
    pub(crate) fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// The number by which the scheduler knows the file.
    pub(crate) fn client(&self) -> u64 {
        self.client.id
    }

    /// The file's lanes.
    pub(crate) fn lanes(&self) -> &[Arc<Queue<Lane>>] {
        &self.lanes
    }
}

impl drm::DriverFile for File {
    type Driver = Driver;

    fn open(dev: &Entered<'_>) -> Result<Pin<KBox<Self>>> {
        let ctx = MayBlock::new();
        let bound = dev.bound();
        let sched = &bound.sched;
        let space = sched
            .find_core(|core| match Space::new(core.master()) {
                // It is just going; there may be others.
                Err(err) if err == ENODEV => None,
                result => Some(result),
            })
            .ok_or(ENODEV)??;
        let client = Client {
            id: sched.open()?,
            sched: sched.clone(),
        };
        let mut lanes = KVec::with_capacity(LANES, GFP_KERNEL)?;

        for index in 0..LANES {
            let lane = Lane::queue(&ctx, &bound.domain, sched, client.id, index)?;
            lanes.push(lane, GFP_KERNEL)?;
        }
        let file = Self {
            space,
            lanes,
            client,
        };
        Ok(KBox::pin(file, GFP_KERNEL)?)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        Signalling::section(|sig| {
            Queue::close_all(self.lanes.iter().map(|lane| &**lane), ECANCELED, sig);
        });
        self.client.sched.forget(&self.space);
    }
}

/// CREATE_BO.
pub(crate) fn create_bo(
    dev: &Entered<'_>,
    args: &mut uapi::drm_rocket_create_bo,
    file: &DrmFile,
) -> Result<u32> {
    if args.size == 0 {
        return locate_bo(dev, args, file);
    }
    let bo = gem::create(dev, file.space(), args.size.into())?;

    args.dma_address = bo.address_in(file.space()).ok_or(EINVAL)?;
    args.offset = bo.mmap_offset()?;
    args.handle = bo.create_handle(file)?;
    Ok(0)
}

/// CREATE_BO of what is there already: where it is.
fn locate_bo(
    dev: &Entered<'_>,
    args: &mut uapi::drm_rocket_create_bo,
    file: &DrmFile,
) -> Result<u32> {
    if args.handle == 0 {
        return Err(EINVAL);
    }
    let bo = file.lookup(args.handle)?;
    let size = u32::try_from(bo.size()).map_err(|_| EINVAL)?;

    args.dma_address = gem::locate(dev, file.space(), &bo)?;
    args.offset = bo.mmap_offset()?;
    args.size = size;
    Ok(0)
}

/// The jiffies until `at`, in nanoseconds of `CLOCK_MONOTONIC`. None are left if that is past.
fn jiffies_until(at: i64) -> u32 {
    let now = drm::time::Timespec::monotonic();
    let now = now
        .secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(now.nanos().into());
    let Ok(ns) = u64::try_from(at.saturating_sub(now)) else {
        return 0;
    };
    match Msecs::try_from(ns.div_ceil(1_000_000)) {
        Ok(ms) => u32::try_from(msecs_to_jiffies(ms)).unwrap_or(u32::MAX),
        Err(_) => u32::MAX,
    }
}

/// PREP_BO.
pub(crate) fn prep_bo(
    dev: &Entered<'_>,
    args: &mut uapi::drm_rocket_prep_bo,
    file: &DrmFile,
) -> Result<u32> {
    if args.reserved != 0 {
        return Err(EINVAL);
    }
    let bo = file.lookup(args.handle)?;
    let timeout = jiffies_until(args.timeout_ns);

    if !resv::wait(&MayBlock::new(), &bo, Usage::Write, true, timeout)? {
        return Err(if timeout == 0 { EBUSY } else { ETIMEDOUT });
    }
    // The caches of a buffer that somebody else has made are that one's business.
    if !dev.bound().coherent && !bo.is_imported() {
        bo.pin()?.sync_for_cpu(0, u64::try_from(bo.size())?);
    }
    Ok(0)
}

/// FINI_BO.
pub(crate) fn fini_bo(
    dev: &Entered<'_>,
    args: &mut uapi::drm_rocket_fini_bo,
    file: &DrmFile,
) -> Result<u32> {
    if args.reserved != 0 {
        return Err(EINVAL);
    }
    let bo = file.lookup(args.handle)?;

    if !dev.bound().coherent && !bo.is_imported() {
        bo.pin()?.sync_for_device(0, u64::try_from(bo.size())?);
    }
    Ok(0)
}

/// The lines of fdinfo: the time of all cores together, and memory.
pub(crate) fn show_fdinfo(file: &DrmFile, p: &mut drm::fdinfo::Printer<'_>) {
    p.print(fmt!("drm-engine-npu:\t{} ns\n", file.space().busy_ns()));
    p.print(fmt!("drm-engine-capacity-npu:\t{LANES}\n"));
    p.memory_stats(file);
}
