// SPDX-License-Identifier: GPL-2.0 OR MIT

//! SUBMIT: one way from user space's arrays to the lanes.
//!
//! # Locking
//!
//! The reservations of all buffers that the jobs name are held from the look at their fences to the
//! end of the commit.
//!
//! # Ordering
//!
//! Copy and check everything, look everything up, switch cores on, lock, prepare, commit. A job waits for those that
//! have written what it names, and for those that have read what it writes: jobs of others by the
//! fences in the reservations, earlier jobs of the same call by their own.
//!
//! # Blocking
//!
//! Waits for cores to be switched on, and for reservation locks, interruptibly. Never for a fence.

use ::job::{
    Batch,
    Fence,
    MayBlock,
    Queue, //
};
use drm::{
    exec,
    resv::Usage,
    uobj, //
};
use kernel::{
    alloc::Flags,
    prelude::*,
    rbtree::RBTree,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use shims::uapi;

use crate::{
    driver::{
        DrmFile,
        Entered, //
    },
    gem::Bo,
    job::{
        Job,
        Lane,
        Task, //
    },
    sched::{
        Ticket,
        LANES, //
    }, //
};

/// Most jobs of a call. A buffer that all of them name needs as many slots for fences, in one piece of
/// memory, and a job that writes it looks at all that have read it.
const MAX_JOBS: u32 = 4096;

/// For what there is as much of as user space asks for: it is charged for it, and a failure is no news.
fn user_sized() -> Flags {
    GFP_KERNEL_ACCOUNT | __GFP_NOWARN
}

/// A buffer that one or several of the jobs name.
struct Buffer {
    bo: ARef<Bo>,
    /// How many do, and which was the last.
    users: u32,
    user: Option<usize>,
    /// The last job of this call that writes it, and those that have read it since.
    writer: Option<usize>,
    readers: KVVec<usize>,
}

/// What a job does with a buffer, by its place among the buffers.
#[derive(Clone, Copy)]
struct Access {
    buffer: usize,
    write: bool,
}

/// One job of the call.
struct Request {
    tasks: KVVec<Task>,
    accesses: KVVec<Access>,
}

/// All that a call asks for.
struct Requests {
    requests: KVVec<Request>,
    buffers: KVVec<Buffer>,
    /// Where a buffer is among them, by its address.
    places: RBTree<usize, usize>,
}

impl Requests {
    /// # Errors
    ///
    /// `EINVAL` for more than [`MAX_JOBS`], a job without tasks, a list without words, structure sizes that are too small,
    /// counts that overflow and buffers of other files; `ENOENT` for an unknown handle; `EFAULT`, `E2BIG`, `ENOMEM`.
    fn read(args: &uapi::drm_rocket_submit, file: &DrmFile) -> Result<Self> {
        if args.job_count > MAX_JOBS {
            return Err(EINVAL);
        }
        let jobs = uobj::read_array::<uapi::drm_rocket_job>(
            args.jobs,
            args.job_count,
            args.job_struct_size,
            drm::min_size!(uapi::drm_rocket_job, out_bo_handle_count),
        )?;
        let mut this = Self {
            requests: KVVec::with_capacity(jobs.len(), user_sized())?,
            buffers: KVVec::new(),
            places: RBTree::new(),
        };

        for job in &jobs {
            let request = this.read_job(job, file)?;
            this.requests.push(request, user_sized())?;
        }
        Ok(this)
    }

    fn read_job(&mut self, job: &uapi::drm_rocket_job, file: &DrmFile) -> Result<Request> {
        if job.task_count == 0 {
            return Err(EINVAL);
        }
        job.in_bo_handle_count
            .checked_add(job.out_bo_handle_count)
            .ok_or(EINVAL)?;
        let raw = uobj::read_array::<uapi::drm_rocket_task>(
            job.tasks,
            job.task_count,
            job.task_struct_size,
            drm::min_size!(uapi::drm_rocket_task, regcmd_count),
        )?;
        let mut tasks = KVVec::with_capacity(raw.len(), user_sized())?;

        for task in &raw {
            tasks.push(Task::new(task.regcmd, task.regcmd_count)?, user_sized())?;
        }
        let mut accesses = KVVec::new();

        // Writers first: who writes a buffer need not read it as well.
        self.read_handles(
            file,
            (job.out_bo_handles, job.out_bo_handle_count),
            true,
            &mut accesses,
        )?;
        self.read_handles(
            file,
            (job.in_bo_handles, job.in_bo_handle_count),
            false,
            &mut accesses,
        )?;
        Ok(Request { tasks, accesses })
    }

    fn read_handles(
        &mut self,
        file: &DrmFile,
        (array, count): (u64, u32),
        write: bool,
        accesses: &mut KVVec<Access>,
    ) -> Result {
        const SIZE: u32 = 4;
        let handles = uobj::read_array::<u32>(array, count, SIZE, size_of::<u32>())?;

        for handle in &handles {
            let bo = file.lookup(*handle)?;

            // It has come from elsewhere, and means nothing in this file's lists.
            bo.address_in(file.space()).ok_or(EINVAL)?;
            let place = self.place(bo)?;
            let job = Some(self.requests.len());
            let buffer = self.buffers.get_mut(place).ok_or(EINVAL)?;

            // Once for each job is enough.
            if core::mem::replace(&mut buffer.user, job) != job {
                buffer.users += 1;
                let access = Access {
                    buffer: place,
                    write,
                };
                accesses.push(access, user_sized())?;
            }
        }
        Ok(())
    }

    /// The place of a buffer, which it gets if it has none.
    fn place(&mut self, bo: ARef<Bo>) -> Result<usize> {
        let key = core::ptr::from_ref::<Bo>(&bo).addr();

        if let Some(place) = self.places.get(&key) {
            return Ok(*place);
        }
        let place = self.buffers.len();
        self.buffers.push(
            Buffer {
                bo,
                users: 0,
                user: None,
                writer: None,
                readers: KVVec::new(),
            },
            user_sized(),
        )?;
        self.places
            .try_create_and_insert(key, place, user_sized())?;
        Ok(place)
    }
}

/// Chooses the lane for a job.
///
/// Behind a job that it waits for it loses nothing; so that lane is the best, unless another job is
/// behind that one already. Otherwise the shortest is.
///
/// `lengths` are the lanes' jobs, `behind` the lanes whose last job is one that this job waits for.
fn choose(lengths: &[usize], behind: &[bool]) -> Option<usize> {
    lengths
        .iter()
        .zip(behind)
        .enumerate()
        .min_by_key(|(_, (length, behind))| (!**behind, **length))
        .map(|(lane, _)| lane)
}

/// The lanes, while jobs are being added to them.
struct Lanes<'a> {
    queues: &'a [Arc<Queue<Lane>>],
    lengths: [usize; LANES],
    /// The fence of the last job of each that is committed.
    last: [Option<ARef<Fence>>; LANES],
    /// The last of the jobs of this call in each.
    newest: [Option<usize>; LANES],
}

impl<'a> Lanes<'a> {
    fn new(queues: &'a [Arc<Queue<Lane>>]) -> Self {
        let each = |lane: usize| queues.get(lane);

        Self {
            queues,
            lengths: core::array::from_fn(|lane| {
                each(lane).map_or(usize::MAX, |queue| queue.waiting() + queue.running())
            }),
            last: core::array::from_fn(|lane| each(lane).and_then(|queue| queue.last_fence())),
            newest: [None; LANES],
        }
    }

    fn is_last(&self, lane: usize, fence: &Fence) -> bool {
        let last = self.last.get(lane).and_then(Option::as_ref);
        let newest = self.newest.get(lane).copied().flatten();

        newest.is_none() && last.is_some_and(|last| core::ptr::eq(&**last, fence))
    }

    fn is_newest(&self, lane: usize, job: usize) -> bool {
        self.newest.get(lane).copied().flatten() == Some(job)
    }

    fn add(&mut self, lane: usize, job: usize) {
        if let (Some(length), Some(newest)) =
            (self.lengths.get_mut(lane), self.newest.get_mut(lane))
        {
            *length = length.saturating_add(1);
            *newest = Some(job);
        }
    }
}

/// Everything is locked: makes jobs of the requests, each with what it has to wait for.
fn prepare(
    ctx: &MayBlock,
    file: &DrmFile,
    requests: &mut Requests,
    tickets: &Arc<KVec<Ticket>>,
    locked: &exec::Locked<'_>,
) -> Result<Batch<Lane>> {
    let mut batch = Batch::new();
    let mut lanes = Lanes::new(file.lanes());
    let Requests {
        requests, buffers, ..
    } = requests;

    for (index, request) in requests.iter_mut().enumerate() {
        let mut behind = [false; LANES];
        let mut held = KVVec::with_capacity(request.accesses.len(), user_sized())?;

        for access in &request.accesses {
            let buffer = buffers.get(access.buffer).ok_or(EINVAL)?;

            held.push(buffer.bo.clone(), user_sized())?;
            locked.for_each_fence(&buffer.bo, access.waits_for(), |fence| {
                for (lane, behind) in behind.iter_mut().enumerate() {
                    *behind |= lanes.is_last(lane, fence);
                }
                Ok(())
            })?;
            for (lane, behind) in behind.iter_mut().enumerate() {
                *behind |= access.earlier(buffer).any(|job| lanes.is_newest(lane, job));
            }
        }
        let lane = choose(&lanes.lengths, &behind).ok_or(EINVAL)?;
        let queue = lanes.queues.get(lane).ok_or(EINVAL)?;
        let tasks = core::mem::replace(&mut request.tasks, KVVec::new());
        let job = Job::new(file.space(), queue, tasks, held, tickets)?;
        let mut prepared = queue.prepare(ctx, job, 1)?;

        for access in &request.accesses {
            let buffer = buffers.get_mut(access.buffer).ok_or(EINVAL)?;

            locked.for_each_fence(&buffer.bo, access.waits_for(), |fence| {
                prepared.add_dependency(ctx, fence)
            })?;
            for job in access.earlier(buffer) {
                prepared.add_dependency(ctx, batch.fence(job).ok_or(EINVAL)?)?;
            }
            if access.write {
                buffer.writer = Some(index);
                buffer.readers.truncate(0);
            } else {
                buffer.readers.push(index, user_sized())?;
            }
        }
        lanes.add(lane, index);
        batch.push(ctx, prepared)?;
    }
    Ok(batch)
}

impl Access {
    /// Which fences of the buffer matter.
    fn waits_for(&self) -> Usage {
        if self.write {
            Usage::Read
        } else {
            Usage::Write
        }
    }

    /// Which earlier jobs of the same call matter.
    fn earlier<'a>(&self, buffer: &'a Buffer) -> impl Iterator<Item = usize> + 'a {
        let readers: &[usize] = if self.write { &buffer.readers } else { &[] };

        Iterator::chain(buffer.writer.into_iter(), readers.iter().copied())
    }
}

/// SUBMIT.
///
/// # Errors
///
/// No job was queued then. As [`Requests::read`]; `EINVAL` if a reserved field is not zero; `ENODEV`
/// without a core; `ERESTARTSYS` if a signal arrives while reservations are locked.
pub(crate) fn submit(
    dev: &Entered<'_>,
    args: &mut uapi::drm_rocket_submit,
    file: &DrmFile,
) -> Result<u32> {
    if args.reserved != 0 {
        return Err(EINVAL);
    }
    if args.job_count == 0 {
        return Ok(0);
    }
    let mut ctx = MayBlock::new();
    let mut requests = Requests::read(args, file)?;
    let jobs = requests.requests.len();
    let tickets = dev.bound().sched.tickets(&ctx, file.client(), jobs)?;
    let tickets = Arc::new(tickets, GFP_KERNEL)?;

    // The closures run one after the other, but both borrow.
    let requests = core::cell::RefCell::new(&mut requests);
    exec::with_locked(
        exec::Flags::INTERRUPTIBLE,
        0,
        |attempt| {
            for buffer in &requests.borrow().buffers {
                attempt.prepare_slots(&buffer.bo, buffer.users)?;
            }
            Ok(())
        },
        |locked| {
            let mut requests = requests.borrow_mut();
            let batch = prepare(&ctx, file, &mut requests, &tickets, locked)?;

            batch.commit(&mut ctx, |_, fences| {
                for (request, fence) in requests.requests.iter().zip(fences) {
                    for access in &request.accesses {
                        let usage = if access.write {
                            Usage::Write
                        } else {
                            Usage::Read
                        };
                        if let Some(buffer) = requests.buffers.get(access.buffer) {
                            // Each has a slot for each job that names it.
                            let _ = locked.add_fence_to(&buffer.bo, fence, usage);
                        }
                    }
                }
            });
            Ok(())
        },
    )?;
    Ok(0)
}

#[kernel::macros::kunit_tests(rknn_submit)]
mod tests {
    use super::*;

    #[test]
    fn a_job_goes_where_what_it_waits_for_is_last() {
        assert_eq!(choose(&[3, 0, 0], &[true, false, false]), Some(0));
    }

    #[test]
    fn a_job_that_waits_for_nothing_goes_into_the_shortest_lane() {
        assert_eq!(choose(&[2, 1, 3], &[false; 3]), Some(1));
        assert_eq!(choose(&[0, 0, 0], &[false; 3]), Some(0));
    }

    #[test]
    fn of_several_lanes_to_wait_behind_the_shortest_is_taken() {
        assert_eq!(choose(&[2, 1, 0], &[true, true, false]), Some(1));
    }
}
