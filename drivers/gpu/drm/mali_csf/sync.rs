// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Synchronisation operations as the uAPI has them.

use drm::syncs::{
    Point,
    Requests,
    SyncOp, //
};
use job::MayBlock;
use kernel::prelude::*;
use shims::uapi;

/// The C enumerations that name bit 31 are signed; the fields that hold their values aren't.
pub(crate) const fn bits(value: i32) -> u32 {
    u32::from_ne_bytes(value.to_ne_bytes())
}

const TYPE_MASK: u32 = bits(uapi::DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_MASK);
const TYPE_BINARY: u32 = bits(uapi::DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_SYNCOBJ);
const TYPE_TIMELINE: u32 = bits(uapi::DRM_PANTHOR_SYNC_OP_HANDLE_TYPE_TIMELINE_SYNCOBJ);
const SIGNAL: u32 = bits(uapi::DRM_PANTHOR_SYNC_OP_SIGNAL);

/// # Errors
///
/// `EINVAL`: unknown flag or handle type, or a point on a binary syncobj.
fn parse(raw: &uapi::drm_panthor_sync_op) -> Result<SyncOp> {
    if raw.flags & !(TYPE_MASK | SIGNAL) != 0 {
        return Err(EINVAL);
    }
    let point = match raw.flags & TYPE_MASK {
        TYPE_BINARY if raw.timeline_value == 0 => Point::Binary,
        TYPE_TIMELINE => Point::Timeline(raw.timeline_value),
        _ => return Err(EINVAL),
    };
    Ok(match raw.flags & SIGNAL {
        0 => SyncOp::wait(raw.handle, point),
        _ => SyncOp::signal(raw.handle, point),
    })
}

/// Copies and checks the operations of one entry.
///
/// # Errors
///
/// Those of [`drm::uobj::read_array`]; `EINVAL` for an unknown flag or handle type, and for a point of
/// a binary syncobj; `ENOMEM`.
pub(crate) fn read(
    ctx: &MayBlock,
    requests: &mut Requests,
    array: &uapi::drm_panthor_obj_array,
) -> Result {
    let raw = drm::uobj::read_array::<uapi::drm_panthor_sync_op>(
        array.array,
        array.count,
        array.stride,
        drm::min_size!(uapi::drm_panthor_sync_op, timeline_value),
    )?;

    requests.push(ctx, &raw, parse)
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
        assert_eq!(parse(&raw(0, 0))?, SyncOp::wait(7, Point::Binary));
        assert_eq!(
            parse(&raw(0x8000_0000, 0))?,
            SyncOp::signal(7, Point::Binary)
        );
        assert_eq!(
            parse(&raw(0x8000_0001, 3))?,
            SyncOp::signal(7, Point::Timeline(3))
        );
        assert_eq!(parse(&raw(1, 3))?, SyncOp::wait(7, Point::Timeline(3)));
        Ok(())
    }

    #[test]
    fn a_point_on_a_binary_syncobj_is_refused() {
        assert_eq!(parse(&raw(0, 1)), Err(EINVAL));
        assert_eq!(parse(&raw(0x8000_0000, 1)), Err(EINVAL));
    }

    #[test]
    fn unknown_handle_types_and_flags_are_refused() {
        assert_eq!(parse(&raw(2, 0)), Err(EINVAL));
        assert_eq!(parse(&raw(0xff, 0)), Err(EINVAL));
        assert_eq!(parse(&raw(0x100, 0)), Err(EINVAL));
        assert_eq!(parse(&raw(0x4000_0000, 0)), Err(EINVAL));
    }

    #[test]
    fn point_zero_of_a_timeline_is_the_object_itself() -> Result {
        assert_eq!(parse(&raw(1, 0))?, parse(&raw(0, 0))?);
        Ok(())
    }

    #[test]
    fn an_entry_that_is_refused_leaves_no_operation_behind() -> Result {
        let ctx = MayBlock::new();
        let mut requests = Requests::with_capacity(&ctx, 0)?;

        requests.push(&ctx, &[raw(0, 0)], parse)?;
        assert_eq!(
            requests.push(&ctx, &[raw(1, 3), raw(2, 0)], parse),
            Err(EINVAL)
        );
        requests.push(&ctx, &[], parse)?;
        requests.push(&ctx, &[raw(1, 5), raw(1, 6)], parse)?;
        assert_eq!(requests.len(), 3);
        assert_eq!(requests.entry(0), [SyncOp::wait(7, Point::Binary)]);
        assert!(requests.entry(1).is_empty());
        assert_eq!(requests.entry(2).len(), 2);
        assert!(requests.entry(3).is_empty());
        Ok(())
    }
}
