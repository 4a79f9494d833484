// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Synchronisation operations of a submission: waits and signals on syncobjs.
//!
//! **Locking.** None of its own. A submission is private to the task that makes it until it is
//! committed.
//!
//! **Ordering.** All operations of all entries are parsed before the first syncobj is looked up,
//! all look-ups and allocations come before the commit, and fences become visible in syncobjs
//! inside the commit, when nothing can fail any more.
//!
//! **Blocking.** Only look-ups and allocations; nothing here waits for a fence.
//!
//! A wait sees the signals of the entries before it in the same submission, and only for exactly
//! the same handle and point; else it takes what the syncobj holds at the time of the call.

use drm::syncobj;
use job::Fence;
use kernel::prelude::*;
use kernel::sync::aref::ARef;
use shims::uapi;

use crate::driver::DrmFile;

/// One validated operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncOp {
    /// Syncobj handle.
    pub(crate) handle: u32,
    /// Timeline point, 0 for a binary syncobj.
    pub(crate) point: u64,
    /// Signal, or wait.
    pub(crate) signal: bool,
}

/// The C enumerations that name bit 31 are signed; the fields that hold their values aren't.
pub(crate) const fn bits(value: i32) -> u32 {
    u32::from_ne_bytes(value.to_ne_bytes())
}

const TYPE_MASK: u32 = bits(uapi::DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_MASK);
const TYPE_BINARY: u32 = bits(uapi::DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_SYNCOBJ);
const TYPE_TIMELINE: u32 = bits(uapi::DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_TIMELINE_SYNCOBJ);
const SIGNAL: u32 = bits(uapi::DRM_PANTHOR_SYNC_OP_SIGNAL);

impl SyncOp {
    /// # Errors
    ///
    /// `EINVAL`: unknown flag or handle type, or a point on a binary syncobj.
    pub(crate) fn parse(raw: &uapi::drm_panthor_sync_op) -> Result<Self> {
        if raw.flags & !(TYPE_MASK | SIGNAL) != 0 {
            return Err(EINVAL);
        }
        match raw.flags & TYPE_MASK {
            TYPE_BINARY if raw.timeline_value == 0 => {}
            TYPE_TIMELINE => {}
            _ => return Err(EINVAL),
        }
        Ok(Self {
            handle: raw.handle,
            point: raw.timeline_value,
            signal: raw.flags & SIGNAL != 0,
        })
    }

    /// Copies and checks an array of operations.
    ///
    /// # Errors
    ///
    /// Those of [`drm::uobj::read_array`] and [`SyncOp::parse`], `ENOMEM`.
    pub(crate) fn read_array(array: &uapi::drm_panthor_obj_array) -> Result<KVVec<Self>> {
        let raw = drm::uobj::read_array::<uapi::drm_panthor_sync_op>(
            array.array,
            array.count,
            array.stride,
            drm::min_size!(uapi::drm_panthor_sync_op, timeline_value),
        )?;
        let mut ops = KVVec::with_capacity(raw.len(), GFP_KERNEL)?;
        for op in &raw {
            ops.push(Self::parse(op)?, GFP_KERNEL)?;
        }
        Ok(ops)
    }
}

/// A syncobj that the submission signals.
struct Signal {
    handle: u32,
    point: u64,
    syncobj: syncobj::Syncobj,
    /// Preallocated link of the timeline, for a point other than 0.
    chain: Option<syncobj::Chain>,
    /// Index of the last entry that signals it.
    entry: usize,
}

/// All signals of a submission, one per handle and point.
pub(crate) struct Signals(KVVec<Signal>);

impl Signals {
    pub(crate) fn new() -> Self {
        Self(KVVec::new())
    }

    /// Notes that `entry` signals what `op` names. Entries come in ascending order.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an unknown handle, `ENOMEM`.
    pub(crate) fn add(&mut self, file: &DrmFile, op: &SyncOp, entry: usize) -> Result {
        if let Some(known) = self.find_mut(op) {
            known.entry = entry;
            return Ok(());
        }
        let chain = match op.point {
            0 => None,
            _ => Some(syncobj::Chain::new()?),
        };
        let syncobj = syncobj::Syncobj::find(file, op.handle).map_err(|_| EINVAL)?;
        self.0.push(
            Signal {
                handle: op.handle,
                point: op.point,
                syncobj,
                chain,
                entry,
            },
            GFP_KERNEL,
        )?;
        Ok(())
    }

    fn find_mut(&mut self, op: &SyncOp) -> Option<&mut Signal> {
        self.0
            .iter_mut()
            .find(|signal| signal.handle == op.handle && signal.point == op.point)
    }

    /// The entry noted so far that signals what `op` waits for.
    pub(crate) fn source(&mut self, op: &SyncOp) -> Option<usize> {
        self.find_mut(op).map(|signal| signal.entry)
    }

    /// Puts the fences of the entries into the syncobjs. Can't fail.
    pub(crate) fn publish(self, fences: &[ARef<Fence>]) {
        for signal in self.0 {
            let Some(fence) = fences.get(signal.entry) else {
                continue;
            };
            match signal.chain {
                Some(chain) => signal.syncobj.add_point(chain, fence, signal.point),
                None => signal.syncobj.replace_fence(Some(fence)),
            }
        }
    }
}

#[kernel::macros::kunit_tests(mali_csf_sync)]
mod tests {
    use super::*;

    fn raw(flags: u32, timeline_value: u64) -> uapi::drm_panthor_sync_op {
        uapi::drm_panthor_sync_op {
            flags,
            handle: 7,
            timeline_value,
        }
    }

    #[test]
    fn binary_and_timeline_waits_and_signals_are_told_apart() -> Result {
        assert!(!SyncOp::parse(&raw(0, 0))?.signal);
        assert!(SyncOp::parse(&raw(0x8000_0000, 0))?.signal);
        assert_eq!(
            SyncOp::parse(&raw(0x8000_0001, 3))?,
            SyncOp {
                handle: 7,
                point: 3,
                signal: true
            }
        );
        assert!(!SyncOp::parse(&raw(1, 3))?.signal);
        Ok(())
    }

    #[test]
    fn a_point_on_a_binary_syncobj_is_refused() {
        assert_eq!(SyncOp::parse(&raw(0, 1)), Err(EINVAL));
        assert_eq!(SyncOp::parse(&raw(0x8000_0000, 1)), Err(EINVAL));
    }

    #[test]
    fn unknown_handle_types_and_flags_are_refused() {
        assert_eq!(SyncOp::parse(&raw(2, 0)), Err(EINVAL));
        assert_eq!(SyncOp::parse(&raw(0xff, 0)), Err(EINVAL));
        assert_eq!(SyncOp::parse(&raw(0x100, 0)), Err(EINVAL));
        assert_eq!(SyncOp::parse(&raw(0x4000_0000, 0)), Err(EINVAL));
    }

    #[test]
    fn point_zero_of_a_timeline_is_accepted() {
        assert!(SyncOp::parse(&raw(1, 0)).is_ok());
    }
}
