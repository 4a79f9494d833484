// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Groups: what user space submits to and what the scheduler moves in and out of slots.
//!
//! **Locking.** What changes is in the group's [`Link`] (a spinlock), in its job queues, and in
//! the scheduler's tables. `blocked`, `listed` and `served` belong to whoever holds the scheduler's state lock.
//!
//! **Ordering.** The scheduler holds a reference from creation until all fences of a destroyed
//! group have signalled and the group has left its slot, so neither a running job nor an
//! interrupt can outlive the memory that it uses.
//!
//! **Blocking.** Dropping a group unmaps its memory and may sleep: the last reference is dropped
//! in an ioctl, at file close or by the scheduler's reaper, never on the way to a fence.

use job::Domain;
use job::MayBlock;
use job::OnDependencyError;
use job::QueueConfig;
use job::Signalling;
use kernel::prelude::*;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use kernel::sync::Arc;
use shims::uapi;

pub(crate) mod args;
pub(crate) mod link;
pub(crate) mod state;
pub(crate) mod submit;
pub(crate) mod wait;

use crate::driver::{
    DrmFile,
    Entered, //
};
use crate::file::usage::Usage;
use crate::file::{
    File,
    UserVm, //
};
use crate::fw::{
    Blocked,
    CoreMasks,
    Cs,
    Csg,
    Endpoints,
    Firmware, //
};
use crate::gem::KernelBo;
use crate::heap::Pool;
use crate::mmu;
use crate::queue::memory::QueueMemory;
use crate::queue::{
    Queue,
    QueueBackend,
    QueueFence,
    JOB_TIMEOUT_MS, //
};
use crate::sched::policy::{
    Priority,
    VmKey, //
};
use crate::sched::roster::Listed;
use crate::sched::Scheduler;
use crate::vm::Vm;
use args::{
    Cores,
    GroupArgs,
    QueueArgs, //
};
use link::Link;
use wait::{
    Verdict,
    Wait, //
};

/// A group of queues that share a VM and a slot.
pub(crate) struct Group {
    vm: Arc<Vm>,
    heaps: Arc<Pool>,
    priority: Priority,
    compute: Cores,
    fragment: Cores,
    tiler: Cores,
    suspend: KernelBo,
    protected_suspend: KernelBo,
    queues: KVec<Queue>,
    /// After the queues: they belong to it.
    _domain: Arc<Domain>,
    link: Arc<Link>,
    /// Process that created it, for messages.
    pid: i32,
    /// Queues that waited for a sync object when the group left its slot, and were not released
    /// since.
    blocked: Atomic<u32>,
    /// What these wait for; one entry per queue.
    waits: KVec<Wait>,
    /// Number of a [`Listed`].
    listed: Atomic<u32>,
    /// Nanoseconds in slots that it is charged with.
    served: Atomic<u64>,
}

impl Group {
    /// Creates a group that the scheduler doesn't know yet.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and what [`KernelBo::new`] returns.
    pub(crate) fn new(
        sched: &Scheduler,
        fw: &Arc<Firmware>,
        vm: &UserVm,
        args: &GroupArgs,
        queue_args: &[QueueArgs],
        usage: &Arc<Usage>,
    ) -> Result<Arc<Self>> {
        let ctx = MayBlock::new();
        let heaps = vm.heaps().clone();
        let vm = vm.vm().clone();
        let csif = fw.csif();
        let suspend = fw.alloc_suspend_buf(csif.suspend_size)?;
        let protected_suspend = fw.alloc_suspend_buf(csif.protm_suspend_size)?;
        let memory = QueueMemory::new(&vm, queue_args)?;
        let ifaces = fw.alloc_queue_ifaces(queue_args.len())?;
        let link = Link::new(fw.clone(), sched.core().clone())?;

        let mut queues = KVec::with_capacity(queue_args.len(), GFP_KERNEL)?;
        let mut waits = KVec::with_capacity(queue_args.len(), GFP_KERNEL)?;
        for (index, args) in queue_args.iter().enumerate() {
            let backend = QueueBackend::new(
                u32::try_from(index).map_err(|_| EINVAL)?,
                args.priority,
                csif,
                (
                    memory.ring(index, args.ring)?,
                    memory.sync(index, &args.ring)?,
                ),
                ifaces.get(index)?,
                link.clone(),
                usage.clone(),
            );
            let config = QueueConfig {
                credits: QueueBackend::credits(&args.ring),
                timeout: Some(JOB_TIMEOUT_MS),
                on_dependency_error: OnDependencyError::Run,
            };
            queues.push(
                Queue::new::<QueueFence>(&ctx, sched.domain(), config, backend)?,
                GFP_KERNEL,
            )?;
            waits.push(Wait::new(), GFP_KERNEL)?;
        }

        Ok(Arc::new(
            Self {
                vm,
                heaps,
                priority: args.priority,
                compute: args.compute,
                fragment: args.fragment,
                tiler: args.tiler,
                suspend,
                protected_suspend,
                queues,
                _domain: sched.domain().clone(),
                link,
                pid: kernel::current!().group_leader().pid(),
                blocked: Atomic::new(0),
                waits,
                listed: Atomic::new(0),
                served: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// The VM of all its queues.
    pub(crate) fn vm(&self) -> &Arc<Vm> {
        &self.vm
    }

    /// The tiler heaps of its VM.
    pub(crate) fn heaps(&self) -> &Pool {
        &self.heaps
    }

    /// On which of the scheduler's lists it is.
    pub(crate) fn listed(&self) -> Listed {
        match self.listed.load(Relaxed) {
            1 => Listed::Ready,
            2 => Listed::Blocked,
            _ => Listed::No,
        }
    }

    /// It was put on a list, or taken off.
    pub(crate) fn set_listed(&self, listed: Listed) {
        let number = match listed {
            Listed::No => 0u32,
            Listed::Ready => 1,
            Listed::Blocked => 2,
        };
        self.listed.store(number, Relaxed);
    }

    /// How much time in slots it is charged with, in nanoseconds.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    /// It is charged with so much.
    pub(crate) fn set_served(&self, served: u64) {
        self.served.store(served, Relaxed);
    }

    /// Identity of the VM for the scheduling policy.
    pub(crate) fn vm_key(&self) -> VmKey {
        VmKey(Arc::as_ptr(&self.vm).addr())
    }

    /// Scheduling priority.
    pub(crate) fn priority(&self) -> Priority {
        self.priority
    }

    /// Its queues.
    pub(crate) fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// The part that it shares with its queues.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Process id of the creator.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// One bit per queue.
    pub(crate) fn all_queues(&self) -> u32 {
        (0..32)
            .take(self.queues.len())
            .fold(0, |mask, n| mask | 1 << n)
    }

    fn numbered(&self) -> impl Iterator<Item = (u32, &Queue)> {
        (0..32).zip(self.queues.iter())
    }

    /// The streams of `csg` that the queues use.
    fn streams<'a>(&self, csg: &Csg<'a>) -> impl Iterator<Item = (u32, Cs<'a>)> {
        let csg = *csg;
        (0..32)
            .take(self.queues.len())
            .filter_map(move |n| Some((n, csg.cs(n)?)))
    }

    /// Queues with jobs that the GPU has not finished.
    pub(crate) fn busy_queues(&self) -> u32 {
        self.numbered()
            .filter(|(_, queue)| !queue.backend().is_drained())
            .fold(0, |mask, (n, _)| mask | 1 << n)
    }

    /// Whether a job was submitted whose fence has not signalled.
    pub(crate) fn has_jobs(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_idle())
    }

    /// Whether a slot would be of no use to it now: no jobs, or all wait for somebody else.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy_queues() & !self.blocked.load(Relaxed) == 0
    }

    /// Whether a queue waits for a sync object, as far as is known.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed) != 0
    }

    /// A sync object somewhere has changed: looks at those that the queues of the group, which is not
    /// in a slot, wait for. `note` hears of each verdict. Queues that go on waiting stay blocked.
    pub(crate) fn look_at_waits(&self, mut note: impl FnMut(Verdict)) {
        let blocked = self.blocked.load(Relaxed);
        let mut still = 0;
        for (n, wait) in (0..32).zip(&self.waits) {
            if blocked & (1 << n) == 0 {
                continue;
            }
            let verdict = wait.verdict(&self.vm);
            if verdict == Verdict::Waits {
                still |= 1 << n;
            }
            note(verdict);
        }
        self.blocked.store(still, Relaxed);
    }

    /// Programs everything that the firmware needs to know before it starts or resumes the group
    /// in `csg`.
    pub(crate) fn program(&self, csg: &Csg<'_>, slot_priority: u8, space: &mmu::Active) {
        self.blocked.store(0, Relaxed);
        for ((_, queue), (_, cs)) in self.numbered().zip(self.streams(csg)) {
            cs.program(&queue.backend().enter(csg.slot()));
        }
        csg.program(
            &CoreMasks {
                compute: self.compute.mask,
                fragment: self.fragment.mask,
                // A subset of the tilers that exist: there are no more than 32 of them.
                other: u32::try_from(self.tiler.mask).unwrap_or(0),
            },
            &Endpoints {
                max_compute: self.compute.max,
                max_fragment: self.fragment.max,
                max_tiler: self.tiler.max,
                priority: slot_priority,
            },
            space.slot(),
            Some(self.suspend.va()),
            Some(self.protected_suspend.va()),
        );
        csg.ring_cs(self.all_queues());
    }

    /// Whether jobs were inserted since [`Group::program`].
    pub(crate) fn has_news(&self) -> bool {
        self.queues.iter().any(|queue| queue.backend().has_news())
    }

    /// The group has left `csg`: notes which queues wait for a sync object, and stops the
    /// streams, so that the next group finds them clean.
    pub(crate) fn left(&self, csg: &Csg<'_>) {
        self.refresh(csg);
        for (_, cs) in self.streams(csg) {
            cs.stop();
        }
    }

    /// Notes which queues wait for which sync objects, while the group is in `csg` and the firmware
    /// has just reported its status.
    pub(crate) fn refresh(&self, csg: &Csg<'_>) {
        let mut blocked = 0;
        for ((n, cs), wait) in self.streams(csg).zip(&self.waits) {
            let status = cs.status();
            if let (Blocked::SyncWait(reported), 0) = (status.blocked, status.scoreboards) {
                wait.set(&reported);
                blocked |= 1 << n;
            }
        }
        self.blocked.store(blocked, Relaxed);
    }

    /// Job timers run while the group is in a slot.
    pub(crate) fn start_timers(&self) {
        for queue in &self.queues {
            queue.timer_resume();
        }
    }

    /// Job timers stop with the group, except where it is up to somebody else to release a
    /// blocked queue: that wait has an end, too.
    pub(crate) fn stop_timers(&self) {
        let blocked = self.blocked.load(Relaxed);
        let waits_for_others = self.is_idle();
        for (n, queue) in self.numbered() {
            if !(waits_for_others && blocked & (1 << n) != 0) {
                queue.timer_suspend();
            }
        }
    }

    /// Signals the fences of what the GPU has finished, and runs what became ready.
    pub(crate) fn check(&self, sig: &Signalling<'_>) {
        for queue in &self.queues {
            queue.check(sig);
        }
    }

    /// Ends the group, which must not be in a slot: all its fences signal, with the error that
    /// its status says, except those of jobs that the GPU has finished.
    pub(crate) fn finish(&self, sig: &Signalling<'_>) {
        self.link.update(|status| status.end());
        let status = self.link.status();
        for (n, queue) in self.numbered() {
            let error = status.error(n);
            queue.close(error, sig);
            // A job that is on its way into the ring now is among the running ones afterwards.
            queue.stop(sig);
            queue.check(sig);
            queue.finish_running(sig, |_| Some(Err(error)));
            queue.backend().abandon();
            queue.timer_suspend();
            queue.restart(sig);
        }
    }
}

/// GROUP_CREATE.
pub(crate) fn create(
    dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_group_create,
    file: &DrmFile,
) -> Result<u32> {
    let device = dev.bound().device();
    let csif = device.fw.csif();
    if args.queues.count > args::MAX_QUEUES {
        return Err(EINVAL);
    }
    let raw = drm::uobj::read_array::<uapi::drm_panthor_queue_create>(
        args.queues.array,
        args.queues.count,
        args.queues.stride,
        drm::min_size!(uapi::drm_panthor_queue_create, ringbuf_size),
    )?;
    let priority = args::check_priority(args.priority, File::is_privileged(file))?;
    let info = &device.info;
    let group_args = GroupArgs::parse(
        args,
        priority,
        args::Present {
            shader: info.shader_present,
            tiler: info.tiler_present,
        },
    )?;
    args::check_queue_count(args.queues.count, csif.cs_slots)?;
    let vm = file.vms().get(group_args.vm_id).ok_or(EINVAL)?;
    let mut queue_args = KVec::with_capacity(raw.len(), GFP_KERNEL)?;
    for queue in &raw {
        queue_args.push(QueueArgs::parse(queue)?, GFP_KERNEL)?;
    }

    let sched = dev.bound().sched();
    args.group_handle = file.groups().insert_with(|| {
        let group = Group::new(
            sched,
            &device.fw,
            &vm,
            &group_args,
            &queue_args,
            file.usage(),
        )?;
        sched.add(group.clone())?;
        Ok(group)
    })?;
    Ok(0)
}

/// GROUP_DESTROY.
pub(crate) fn destroy(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_group_destroy,
    file: &DrmFile,
) -> Result<u32> {
    if args.pad != 0 {
        return Err(EINVAL);
    }
    let group = file.groups().remove(args.group_handle).ok_or(EINVAL)?;
    group.link().fail(|status| status.destroy());
    Ok(0)
}

/// GROUP_GET_STATE.
pub(crate) fn get_state(
    _dev: &Entered<'_>,
    args: &mut uapi::drm_panthor_group_get_state,
    file: &DrmFile,
) -> Result<u32> {
    if args.pad != 0 {
        return Err(EINVAL);
    }
    let group = file.groups().get(args.group_handle).ok_or(EINVAL)?;
    let (state, fatal_queues) = group.link().status().to_uapi();
    *args = uapi::drm_panthor_group_get_state {
        state,
        fatal_queues,
        ..Default::default()
    };
    Ok(0)
}
