// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The life of a group as a state machine without side effects.
//!
//! ```text
//!            START acked              SUSPEND acked
//!  Created ---------------> Active ------------------> Suspended
//!     |                      |  ^                          |
//!     |                      |  '------ RESUME acked ------|
//!     | no longer able       | TERMINATE acked             | no longer able
//!     '--------------------> Terminated <------------------'
//! ```
//!
//! Any other acknowledgement makes the state Unknown: what the firmware knows of the group can't
//! be trusted then, and nothing is saved from it.
//!
//! Beside the state, a group collects reasons why it can't run any more: it was destroyed, one of
//! its queues met a fatal fault, a job of it ran for too long, or the device was reset under it.

use kernel::prelude::*;
use shims::uapi;

use crate::fw::CsgState;

/// Where a group is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Never in a slot.
    Created,
    /// In a slot, and the firmware runs it.
    Active,
    /// Out of its slot, to be resumed from its suspend buffer.
    Suspended,
    /// Ended.
    Terminated,
    /// The firmware acknowledged something that makes no sense.
    Unknown,
}

/// State of a group and the reasons why it may not run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    state: State,
    fatal_queues: u32,
    timed_out: bool,
    innocent: bool,
    destroyed: bool,
    ended: bool,
}

impl Status {
    /// A group that was just created.
    pub(crate) fn new() -> Self {
        Self {
            state: State::Created,
            fatal_queues: 0,
            timed_out: false,
            innocent: false,
            destroyed: false,
            ended: false,
        }
    }

    /// Whether the group may be given a slot, and jobs.
    pub(crate) fn can_run(&self) -> bool {
        !matches!(self.state, State::Terminated | State::Unknown)
            && self.fatal_queues == 0
            && !self.timed_out
            && !self.destroyed
    }

    /// Where it is in its life.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Whether user space gave it up.
    pub(crate) fn is_destroyed(&self) -> bool {
        self.destroyed
    }

    /// User space gave it up.
    pub(crate) fn destroy(&mut self) {
        self.destroyed = true;
    }

    /// The queues in `mask` can't continue.
    pub(crate) fn fatal(&mut self, mask: u32) {
        self.fatal_queues |= mask;
        self.innocent = false;
    }

    /// Whether a queue met a fatal fault.
    pub(crate) fn has_fatal(&self) -> bool {
        self.fatal_queues != 0
    }

    /// A job of this group ran for too long.
    pub(crate) fn time_out(&mut self) {
        self.timed_out = true;
        self.innocent = false;
    }

    /// The group goes down with the device; not by its own fault unless one was noted before.
    pub(crate) fn lose_device(&mut self) {
        if self.can_run() {
            self.timed_out = true;
            self.innocent = true;
        }
    }

    /// The request that brings the group into a slot.
    pub(crate) fn entry(&self) -> CsgState {
        match self.state {
            State::Suspended => CsgState::Resume,
            _ => CsgState::Start,
        }
    }

    /// The firmware acknowledged the state field; `None` with a value that has no meaning.
    pub(crate) fn acknowledged(&mut self, acked: Option<CsgState>) {
        if acked.is_none() {
            // Not its own fault.
            self.lose_device();
        }
        self.state = match acked {
            Some(CsgState::Start | CsgState::Resume) => State::Active,
            Some(CsgState::Suspend) => State::Suspended,
            Some(CsgState::Terminate) => State::Terminated,
            None => State::Unknown,
        };
    }

    /// The group is out of its slot for ever, and all its fences are about to signal.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        if self.state != State::Unknown {
            self.state = State::Terminated;
        }
    }

    /// Whether nothing will ever happen to it again.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// What the unfinished jobs of queue `index` end with.
    pub(crate) fn error(&self, index: u32) -> Error {
        if 1u32.checked_shl(index).unwrap_or(0) & self.fatal_queues != 0 {
            EINVAL
        } else if self.timed_out {
            ETIMEDOUT
        } else {
            ECANCELED
        }
    }

    /// `state` and `fatal_queues` of `drm_panthor_group_get_state`.
    pub(crate) fn to_uapi(self) -> (u32, u32) {
        let mut flags = 0;
        if self.timed_out {
            flags |= uapi::DRM_PANTHOR_GROUP_STATE_TIMEDOUT;
        }
        if self.fatal_queues != 0 {
            flags |= uapi::DRM_PANTHOR_GROUP_STATE_FATAL_FAULT;
        }
        if self.innocent && self.timed_out && self.fatal_queues == 0 {
            flags |= uapi::DRM_PANTHOR_GROUP_STATE_INNOCENT;
        }
        (flags, self.fatal_queues)
    }
}

#[kernel::macros::kunit_tests(mali_csf_group_state)]
mod tests {
    use super::*;

    #[test]
    fn a_new_group_can_run_and_has_to_be_started() {
        let status = Status::new();
        assert!(status.can_run());
        assert!(matches!(status.entry(), CsgState::Start));
        assert_eq!(status.to_uapi(), (0, 0));
    }

    #[test]
    fn a_suspended_group_is_resumed() {
        let mut status = Status::new();
        status.acknowledged(Some(CsgState::Start));
        assert_eq!(status.state(), State::Active);
        status.acknowledged(Some(CsgState::Suspend));
        assert_eq!(status.state(), State::Suspended);
        assert!(status.can_run());
        assert!(matches!(status.entry(), CsgState::Resume));
    }

    #[test]
    fn nonsense_from_the_firmware_ends_the_group() {
        let mut status = Status::new();
        status.acknowledged(None);
        assert_eq!(status.state(), State::Unknown);
        assert!(!status.can_run());
        assert_eq!(
            status.to_uapi().0,
            uapi::DRM_PANTHOR_GROUP_STATE_TIMEDOUT | uapi::DRM_PANTHOR_GROUP_STATE_INNOCENT
        );
    }

    #[test]
    fn a_fatal_queue_takes_the_group_with_it_and_only_its_own_jobs_are_invalid() {
        let mut status = Status::new();
        status.fatal(1 << 2);
        assert!(!status.can_run());
        assert_eq!(status.error(2), EINVAL);
        assert_eq!(status.error(0), ECANCELED);
        assert_eq!(
            status.to_uapi(),
            (uapi::DRM_PANTHOR_GROUP_STATE_FATAL_FAULT, 4)
        );
    }

    #[test]
    fn a_time_out_is_no_fatal_fault() {
        let mut status = Status::new();
        status.time_out();
        assert_eq!(status.error(0), ETIMEDOUT);
        assert_eq!(
            status.to_uapi(),
            (uapi::DRM_PANTHOR_GROUP_STATE_TIMEDOUT, 0)
        );
    }

    #[test]
    fn only_groups_without_a_fault_of_their_own_are_innocent() {
        let mut bystander = Status::new();
        bystander.lose_device();
        assert_eq!(
            bystander.to_uapi().0,
            uapi::DRM_PANTHOR_GROUP_STATE_TIMEDOUT | uapi::DRM_PANTHOR_GROUP_STATE_INNOCENT
        );
        let mut guilty = Status::new();
        guilty.time_out();
        guilty.lose_device();
        assert_eq!(guilty.to_uapi().0, uapi::DRM_PANTHOR_GROUP_STATE_TIMEDOUT);
    }

    #[test]
    fn a_destroyed_group_cancels_its_jobs() {
        let mut status = Status::new();
        status.destroy();
        assert!(!status.can_run());
        assert_eq!(status.error(31), ECANCELED);
    }
}
