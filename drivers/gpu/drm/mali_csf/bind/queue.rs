// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Binds that wait for their turn: the queue of a VM, and the way into it.
//!
//! The operations of a call become as few jobs as its waits and signals permit: a job ends with an
//! operation that signals, and before one that has to wait when there is something to be done before
//! it. A fence thus stands for everything up to its operation and for nothing after it.
//!
//! **Locking.** The VM's reservation and those of the external BOs that are mapped are held from the
//! reservation of fence slots to the end of the commit. A job is executed with the VM's lock held.
//!
//! **Ordering.** Copy and validate everything, look up and allocate everything, lock, commit,
//! publish. Jobs are executed in the order of their commits, when their waits are over.
//!
//! **Blocking.** Preparing allocates. A job waits for the hardware, in bounded time, and for nothing
//! else. What it has set free is dropped by a worker.

use drm::exec;
use drm::resv::Usage;
use drm::syncs::{
    Requests,
    Syncs, //
};
use job::Backend;
use job::Batch;
use job::Domain;
use job::Fence;
use job::FenceNames;
use job::MayBlock;
use job::OnDependencyError;
use job::Prepared;
use job::QueueConfig;
use job::Run;
use job::Signalling;
use kernel::prelude::*;
use kernel::sync::aref::ARef;
use kernel::sync::Arc;
use shims::uapi;

use super::Request;
use crate::driver::{
    Driver,
    DrmFile, //
};
use crate::file::UserVm;
use crate::gem::Bo;
use crate::sync;
use crate::vm::{
    Change,
    Vm, //
};

/// Names of the fences that binds signal.
struct BindFence;

impl FenceNames for BindFence {
    const DRIVER: &'static CStr = c"panthor";
    const TIMELINE: &'static CStr = c"vm-bind";
}

/// Operations that are executed together.
pub(crate) struct BindJob {
    vm: Arc<Vm>,
    /// Taken by the drop.
    change: Option<Change>,
}

impl BindJob {
    fn new(vm: &Arc<Vm>) -> Result<Self> {
        Ok(Self {
            vm: vm.clone(),
            change: Some(Change::new(vm)?),
        })
    }

    fn is_empty(&self) -> bool {
        self.change.as_ref().is_none_or(Change::is_empty)
    }
}

impl Drop for BindJob {
    fn drop(&mut self) {
        self.change = None;
        // The worker that comes by here runs jobs too, and must not wait for a reservation.
        self.vm.clean_up_later();
    }
}

/// The driver's side of a bind queue.
pub(crate) struct BindBackend {
    vm: Arc<Vm>,
}

impl Backend for BindBackend {
    type Job = BindJob;

    const DEFER_DROP: bool = true;

    /// Executes the operations.
    ///
    /// # Errors
    ///
    /// `EINVAL` if an earlier job has failed, or the VM is destroyed; why this one has failed.
    fn run(&self, job: &mut BindJob, _sig: &Signalling<'_>) -> Result<Run> {
        let change = job.change.as_mut().ok_or(EINVAL)?;
        self.vm.execute_queued(change)?;
        Ok(Run::Done)
    }

    fn doorbell(&self, _sig: &Signalling<'_>) {}

    fn poll(&self, _job: &BindJob) -> Option<Result> {
        // Nothing is started that has to be waited for.
        None
    }
}

/// The queue of a VM.
pub(crate) struct Queue {
    jobs: job::Queue<BindBackend>,
    /// After the queue: it belongs to it.
    _domain: Arc<Domain>,
}

impl Queue {
    /// An empty queue.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(vm: &Arc<Vm>, domain: &Arc<Domain>) -> Result<Self> {
        let ctx = MayBlock::new();
        let config = QueueConfig {
            credits: 0,
            timeout: None,
            on_dependency_error: OnDependencyError::Run,
        };
        let backend = BindBackend { vm: vm.clone() };
        Ok(Self {
            jobs: job::Queue::new::<BindFence>(&ctx, domain, config, Ok::<_, Error>(backend))?,
            _domain: domain.clone(),
        })
    }

    /// Ends what waits, with an error, and takes no more.
    pub(crate) fn close(&self) {
        Signalling::section(|sig| self.jobs.close(ECANCELED, sig));
    }
}

/// The jobs of a call, in the making.
struct Assembly<'a> {
    vm: &'a UserVm,
    batch: Batch<BindBackend>,
    /// The job that operations are added to.
    open: Option<Prepared<BindBackend>>,
    /// Index in the batch of the job of each operation.
    job_of: KVVec<usize>,
    /// What is mapped and has a reservation of its own.
    external: KVVec<ARef<Bo>>,
}

impl<'a> Assembly<'a> {
    fn new(vm: &'a UserVm) -> Self {
        Self {
            vm,
            batch: Batch::new(),
            open: None,
            job_of: KVVec::new(),
            external: KVVec::new(),
        }
    }

    /// The job that operations are added to.
    fn job(&mut self, ctx: &MayBlock) -> Result<&mut Prepared<BindBackend>> {
        if self.open.is_none() {
            let job = BindJob::new(self.vm.vm())?;
            // A queue that was closed belongs to a VM that is unknown by now.
            let prepared = self.vm.binds().jobs.prepare(ctx, job, 0);
            self.open = Some(prepared.map_err(|err| if err == ENOMEM { ENOMEM } else { EINVAL })?);
        }
        self.open.as_mut().ok_or(EINVAL)
    }

    /// No more operations for the open job.
    fn close_job(&mut self, ctx: &MayBlock) -> Result {
        if let Some(job) = self.open.take() {
            // Each needs a slot for its fence in everything that is locked.
            if self.batch.len() >= usize::try_from(exec::MAX_FENCES)? {
                return Err(EINVAL);
            }
            self.batch.push(ctx, job)?;
        }
        Ok(())
    }

    /// What an operation has to wait for, other than what is before it in the queue anyway.
    fn waits(
        &self,
        ctx: &MayBlock,
        syncs: &Syncs<'_, Driver>,
        entry: usize,
    ) -> Result<KVVec<ARef<Fence>>> {
        let own = self.vm.binds().jobs.context();
        let mut waits = KVVec::new();

        syncs.add_dependencies(
            ctx,
            entry,
            |earlier| self.batch.fence(*self.job_of.get(earlier)?),
            |fence| {
                if fence.context() != own && !fence.is_signaled() {
                    waits.push(fence.into(), GFP_KERNEL)?;
                }
                Ok(())
            },
        )?;
        Ok(waits)
    }

    /// Adds an operation, with what it waits for and signals.
    fn add(
        &mut self,
        ctx: &MayBlock,
        request: Request,
        syncs: &Syncs<'_, Driver>,
        file: &DrmFile,
    ) -> Result {
        let entry = self.job_of.len();
        let waits = self.waits(ctx, syncs, entry)?;
        if !waits.is_empty() && self.open.as_ref().is_some_and(|job| !job.job().is_empty()) {
            self.close_job(ctx)?;
        }
        let vm = self.vm.vm().clone();
        let job = self.job(ctx)?;
        for fence in &waits {
            job.add_dependency(ctx, fence)?;
        }

        let change = job.job_mut().change.as_mut().ok_or(EINVAL)?;
        let mapped = request.add_to(change, &vm, file)?;
        if let Some(bo) = mapped.filter(|bo| bo.shared_resv().is_none()) {
            let known = self
                .external
                .last()
                .is_some_and(|last| core::ptr::eq(&**last, &*bo));
            if !known {
                self.external.push(bo, GFP_KERNEL)?;
            }
        }

        self.job_of.push(self.batch.len(), GFP_KERNEL)?;
        if syncs.signals(entry) {
            self.close_job(ctx)?;
        }
        Ok(())
    }

    /// Commits all jobs, after which nothing can fail.
    fn commit(mut self, mut ctx: MayBlock, syncs: Syncs<'_, Driver>) -> Result {
        self.close_job(&ctx)?;
        let Self {
            vm,
            batch,
            job_of,
            external,
            ..
        } = self;
        let slots = u32::try_from(batch.len()).map_err(|_| ENOMEM)?;
        let gpuvm = vm.vm().gpuvm();
        let published = exec::with_locked(
            exec::Flags::INTERRUPTIBLE.or(exec::Flags::IGNORE_DUPLICATES),
            slots,
            |attempt| {
                gpuvm.prepare_own(attempt)?;
                external.iter().try_for_each(|bo| attempt.prepare(bo))
            },
            |locked| {
                Ok(batch.commit(&mut ctx, |sig, fences| {
                    for fence in fences {
                        // As many slots as fences were reserved in everything that is locked.
                        let _ = locked.add_fence(fence, Usage::Bookkeep);
                    }
                    syncs.publish_with(sig, |entry| fences.get(*job_of.get(entry)?))
                }))
            },
        )?;
        drop(published);
        Ok(())
    }
}

/// Does [`submit`], but for the cleaning up.
fn assemble(vm: &UserVm, raw: &[uapi::drm_panthor_vm_bind_op], file: &DrmFile) -> Result {
    let ctx = MayBlock::new();
    let mut requests = KVVec::with_capacity(raw.len(), GFP_KERNEL_ACCOUNT)?;
    let mut syncs = Requests::with_capacity(&ctx, raw.len())?;
    for raw in raw {
        requests.push(Request::parse_queued(raw)?, GFP_KERNEL_ACCOUNT)?;
        sync::read(&ctx, &mut syncs, &raw.syncs)?;
    }

    let syncs = syncs.resolve(&ctx, file)?;
    let mut assembly = Assembly::new(vm);
    for request in requests {
        assembly.add(&ctx, request, &syncs, file)?;
    }
    assembly.commit(ctx, syncs)
}

/// An asynchronous VM_BIND.
///
/// # Errors
///
/// Nothing was queued then. `EINVAL` if the VM is unusable or destroyed, for operations that become more
/// than [`exec::MAX_FENCES`] jobs, for an unknown syncobj to
/// signal and one to wait for that has no fence; `ENOENT` for an unknown syncobj to wait for; as
/// [`Request::parse_queued`], [`Change::add`] and [`sync::read`]; `EFAULT`, `E2BIG`, `ENOMEM`;
/// `ERESTARTSYS` if a signal arrives while reservations are locked.
pub(super) fn submit(vm: &UserVm, raw: &[uapi::drm_panthor_vm_bind_op], file: &DrmFile) -> Result {
    if raw.is_empty() {
        return Ok(());
    }
    if !vm.vm().takes_mappings() {
        return Err(EINVAL);
    }
    let done = assemble(vm, raw, file);
    vm.vm().gpuvm().deferred_cleanup();
    done
}
