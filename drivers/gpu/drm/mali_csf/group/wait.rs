// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a queue of a group without a slot waits for, and whether that has happened.
//!
//! The firmware looks after the waits of groups in slots. When a group leaves its slot, the firmware
//! says what each of its queues waits for, and from then on it is the driver that looks at the sync
//! object whenever one may have changed.
//!
//! **Locking.** Belongs to whoever holds the scheduler's state lock. The map of the VM, in which the
//! object is looked up, has a lock of its own, which is taken inside.
//!
//! **Ordering.** What changes after a look is announced after it, too, and provokes another look.
//!
//! **Blocking.** Nothing is allocated: a word is read where the map says that it is.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::fw::SyncWait;
use crate::vm::{
    GpuVa,
    Vm, //
};

const IS_64BIT: u32 = 1 << 0;
const GREATER: u32 = 1 << 1;

/// Whether a wait has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The object has the value that was waited for.
    Over,
    /// It has not.
    Waits,
    /// The object can't be looked at: let the firmware try.
    Unknown,
}

/// The verdict about `wait` if its object holds `word`.
fn judge(wait: &SyncWait, word: Option<u64>) -> Verdict {
    let Some(word) = word else {
        return Verdict::Unknown;
    };
    match (word > wait.value) == wait.greater {
        true => Verdict::Over,
        false => Verdict::Waits,
    }
}

/// The wait of a queue that is blocked; of any other queue, something without a meaning.
pub(super) struct Wait {
    va: Atomic<u64>,
    value: Atomic<u64>,
    kind: Atomic<u32>,
}

impl Wait {
    pub(super) fn new() -> Self {
        Self {
            va: Atomic::new(0),
            value: Atomic::new(0),
            kind: Atomic::new(0),
        }
    }

    pub(super) fn set(&self, wait: &SyncWait) {
        let mut kind = 0;
        if wait.is_64bit {
            kind |= IS_64BIT;
        }
        if wait.greater {
            kind |= GREATER;
        }
        self.va.store(wait.va.get(), Relaxed);
        self.value.store(wait.value, Relaxed);
        self.kind.store(kind, Relaxed);
    }

    fn get(&self) -> SyncWait {
        let kind = self.kind.load(Relaxed);
        SyncWait {
            va: GpuVa::new(self.va.load(Relaxed)),
            value: self.value.load(Relaxed),
            is_64bit: kind & IS_64BIT != 0,
            greater: kind & GREATER != 0,
        }
    }

    /// Looks at the object in `vm`.
    pub(super) fn verdict(&self, vm: &Vm) -> Verdict {
        let wait = self.get();
        judge(&wait, vm.read_word(wait.va, wait.is_64bit))
    }
}

#[kernel::macros::kunit_tests(mali_csf_group_wait)]
mod tests {
    use super::*;

    fn wait(is_64bit: bool, greater: bool, value: u64) -> SyncWait {
        SyncWait {
            va: GpuVa::new(0x1000),
            value,
            is_64bit,
            greater,
        }
    }

    #[test]
    fn a_wait_for_more_is_over_when_there_is_more() {
        let wait = wait(false, true, 7);
        assert_eq!(judge(&wait, Some(7)), Verdict::Waits);
        assert_eq!(judge(&wait, Some(8)), Verdict::Over);
    }

    #[test]
    fn a_wait_for_less_or_equal_is_over_when_they_are_equal() {
        let wait = wait(false, false, 7);
        assert_eq!(judge(&wait, Some(8)), Verdict::Waits);
        assert_eq!(judge(&wait, Some(7)), Verdict::Over);
        assert_eq!(judge(&wait, Some(0)), Verdict::Over);
    }

    #[test]
    fn values_have_no_sign_and_all_their_bits() {
        assert_eq!(
            judge(&wait(true, true, u64::MAX - 1), Some(u64::MAX)),
            Verdict::Over
        );
        assert_eq!(
            judge(&wait(true, true, 1 << 32), Some(u64::from(u32::MAX))),
            Verdict::Waits
        );
    }

    #[test]
    fn an_object_that_can_not_be_looked_at_proves_nothing() {
        assert_eq!(judge(&wait(true, true, 0), None), Verdict::Unknown);
    }

    #[test]
    fn what_is_noted_is_what_was_reported() {
        let note = Wait::new();
        for reported in [
            wait(false, false, 1),
            wait(true, false, 1 << 40),
            wait(false, true, 9),
            wait(true, true, u64::MAX),
        ] {
            note.set(&reported);
            assert_eq!(note.get(), reported);
        }
    }
}
