// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the entries of a submission wait for and signal: syncobjs, and each other.
//!
//! A submission is an array of entries, each with an array of operations on syncobjs. It goes one way:
//!
//! | step | type | what it does |
//! |---|---|---|
//! | copy | [`Requests`] | the driver turns its own structures into [`SyncOp`]s, entry by entry |
//! | look up | [`Syncs`] | finds all objects that are signalled, and allocates what that takes |
//! | prepare | [`Syncs::prepare`] | makes a job of each entry, with what it has to wait for |
//! | publish | [`Syncs::publish`] | puts the jobs' fences into the objects, as a part of the commit |
//!
//! The operations of an entry have no order among themselves: it waits first, and signals when its job
//! is done. A wait is resolved by the last of the entries *before* it that signals the same point of
//! the same object; if there is none, by the fence that the object holds at the time of the call. The
//! point has to be exactly the same: a later point of a timeline that an earlier entry signals does not
//! count. When several entries signal the same, the object gets the fence of the last. Objects get their
//! fences in the order in which the submission names them first.
//!
//! # Locking
//!
//! None of its own. A submission is private to the task that makes it until it is committed.
//!
//! # Ordering
//!
//! All operations are known before the first object is looked up; all look-ups and allocations come
//! before the commit; fences become visible inside of the commit, when nothing can fail any more.
//!
//! # Blocking
//!
//! Nothing here waits for a fence. What allocates takes a [`MayBlock`]. Publishing takes a
//! [`Signalling`], and leaves freeing to the time after the commit.

#[path = "syncs/index.rs"]
mod index;

use job::{
    Backend,
    Batch,
    Fence,
    Few,
    MayBlock,
    Prepared,
    Signalling, //
};
use kernel::{
    alloc::Flags,
    prelude::*,
    sync::aref::ARef, //
};

use crate::{
    syncobj::{
        self,
        Chain,
        Syncobj, //
    },
    Driver,
    File, //
};

use index::Index;

/// For arrays whose size user space has chosen: it is charged for them, and a failure is no news.
fn user_sized() -> Flags {
    GFP_KERNEL_ACCOUNT | __GFP_NOWARN
}

/// How many of everything a submission has without allocating.
const FEW: usize = 4;

/// What of a syncobj is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The fence in it.
    Binary,
    /// A point of its timeline. Point zero is the same as [`Point::Binary`].
    Timeline(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Wait,
    Signal,
}

/// What is waited for or signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    handle: u32,
    /// Zero for the fence in the object itself.
    point: u64,
}

impl Key {
    const fn new(handle: u32, point: Point) -> Self {
        let point = match point {
            Point::Binary => 0,
            Point::Timeline(point) => point,
        };
        Self { handle, point }
    }
}

/// One operation. The handle was not looked up yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOp {
    key: Key,
    action: Action,
}

impl SyncOp {
    /// The entry waits.
    pub const fn wait(handle: u32, point: Point) -> Self {
        Self {
            key: Key::new(handle, point),
            action: Action::Wait,
        }
    }

    /// The entry signals.
    pub const fn signal(handle: u32, point: Point) -> Self {
        Self {
            key: Key::new(handle, point),
            action: Action::Signal,
        }
    }
}

/// The operations of all entries of a submission.
pub struct Requests {
    ops: Few<SyncOp, FEW>,
    /// Where in `ops` the operations of each entry end; the next entry's begin there.
    ends: Few<usize, FEW>,
}

impl Requests {
    /// Of no entry, with memory for `entries`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn with_capacity(_ctx: &MayBlock, entries: usize) -> Result<Self> {
        Ok(Self {
            ops: Few::new(),
            ends: Few::with_capacity(entries, user_sized())?,
        })
    }

    /// Adds an entry: turns the driver's structures into operations, with `parse`.
    ///
    /// # Errors
    ///
    /// What `parse` returns, and `ENOMEM`. The entry was not added then.
    pub fn push<T>(
        &mut self,
        _ctx: &MayBlock,
        raw: &[T],
        parse: impl Fn(&T) -> Result<SyncOp>,
    ) -> Result {
        let start = self.ops.len();

        self.ends.reserve(1, user_sized())?;
        self.ops.reserve(raw.len(), user_sized())?;
        for raw in raw {
            let pushed = parse(raw).and_then(|op| self.ops.push(op, user_sized()));

            if let Err(err) = pushed {
                self.ops.truncate(start);
                return Err(err);
            }
        }
        self.ends.push(self.ops.len(), user_sized())?;
        Ok(())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The operations of an entry.
    pub fn entry(&self, index: usize) -> &[SyncOp] {
        let end = self.ends.get(index).copied().unwrap_or(0);

        self.ops.get(self.start(index)..end).unwrap_or(&[])
    }

    fn start(&self, index: usize) -> usize {
        let before = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));

        before.copied().unwrap_or(0)
    }

    /// The entry that the operation at `position` belongs to.
    fn entry_of(&self, position: usize) -> usize {
        self.ends.partition_point(|end| *end <= position)
    }

    /// Looks up all that is signalled, and allocates what publishing will need.
    ///
    /// # Errors
    ///
    /// `EINVAL` if an unknown object is to be signalled; `ENOMEM`.
    pub fn resolve<'a, D: Driver>(self, ctx: &MayBlock, file: &'a File<D>) -> Result<Syncs<'a, D>> {
        let index = Index::new(ctx, &self.ops)?;
        let runs = index.runs(ctx)?;
        let mut targets = Few::with_capacity(runs.len(), user_sized())?;

        for run in &runs {
            let chain = match run.key.point {
                0 => None,
                _ => Some(Chain::new(ctx)?),
            };
            let target = Target {
                syncobj: Syncobj::find(file, run.key.handle).map_err(|_| EINVAL)?,
                point: run.key.point,
                chain,
                entry: self.entry_of(run.last),
            };

            targets.push(target, user_sized())?;
        }
        Ok(Syncs {
            file,
            requests: self,
            index,
            targets,
        })
    }
}

/// A point of an object that will be signalled.
struct Target {
    syncobj: Syncobj,
    point: u64,
    /// The link of the timeline, for a point other than zero.
    chain: Option<Chain>,
    /// The last entry that signals it.
    entry: usize,
}

/// A submission whose objects were found. Dropping it leaves no trace.
pub struct Syncs<'a, D: Driver> {
    file: &'a File<D>,
    requests: Requests,
    index: Index,
    targets: Few<Target, FEW>,
}

impl<'a, D: Driver> Syncs<'a, D> {
    /// Makes a job of each entry, in their order and with what it has to wait for.
    ///
    /// `make` gets the index of the entry. The jobs and the fences of the batch have the same indices.
    ///
    /// # Errors
    ///
    /// What `make` returns, and as [`Syncs::add_dependencies`].
    pub fn prepare<B: Backend>(
        &self,
        ctx: &MayBlock,
        mut make: impl FnMut(usize) -> Result<Prepared<B>>,
    ) -> Result<Batch<B>> {
        let mut batch = Batch::new();

        for entry in 0..self.requests.len() {
            let mut job = make(entry)?;

            self.add_dependencies(
                ctx,
                entry,
                |earlier| batch.fence(earlier),
                |fence| job.add_dependency(ctx, fence),
            )?;
            batch.push(ctx, job)?;
        }
        Ok(batch)
    }

    /// Calls `add` with each fence that an entry has to wait for; `fence_of` knows the fences of the
    /// entries before it. This is what [`Syncs::prepare`] does for every entry.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no such object, `EINVAL` if it has no fence yet (nor does an earlier entry
    /// provide one), and what `add` returns.
    pub fn add_dependencies<'f>(
        &self,
        _ctx: &MayBlock,
        entry: usize,
        fence_of: impl Fn(usize) -> Option<&'f Fence>,
        mut add: impl FnMut(&Fence) -> Result,
    ) -> Result {
        let requests = &self.requests;
        let start = requests.start(entry);
        let ops = requests.entry(entry).iter();

        for SyncOp { key, .. } in ops.filter(|op| op.action == Action::Wait) {
            match self.index.last_before(*key, start) {
                Some(signal) => add(fence_of(requests.entry_of(signal)).ok_or(EINVAL)?)?,
                None => add(&*syncobj::find_fence(self.file, key.handle, key.point)?)?,
            }
        }
        Ok(())
    }

    /// Whether an entry signals something.
    pub fn signals(&self, entry: usize) -> bool {
        let ops = self.requests.entry(entry);

        ops.iter().any(|op| op.action == Action::Signal)
    }

    /// Puts the fences of the entries into the objects, in the order of the entries. Neither fails nor
    /// allocates.
    ///
    /// It is for the closure of [`Batch::commit`], which returns what is left, so that it is freed
    /// after the commit. Objects of entries beyond the end of `fences` stay as they are.
    pub fn publish(self, sig: &Signalling<'_>, fences: &[ARef<Fence>]) -> Published<'a, D> {
        self.publish_with(sig, |entry| fences.get(entry))
    }

    /// As [`Syncs::publish`], where a job may stand for several entries: `fence_of` knows the fence of
    /// each.
    pub fn publish_with<'f>(
        mut self,
        _sig: &Signalling<'_>,
        fence_of: impl Fn(usize) -> Option<&'f ARef<Fence>>,
    ) -> Published<'a, D> {
        for target in &mut self.targets {
            let Some(fence) = fence_of(target.entry) else {
                continue;
            };
            match target.chain.take() {
                Some(chain) => target.syncobj.add_point(chain, fence, target.point),
                None => target.syncobj.replace_fence(Some(fence)),
            }
        }
        Published { _syncs: self }
    }
}

/// What is left of a submission that was committed.
#[must_use = "it is to be dropped after the commit: freeing it may sleep"]
pub struct Published<'a, D: Driver> {
    _syncs: Syncs<'a, D>,
}
