// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which entries of a submission signal what.

use job::{
    Few,
    MayBlock, //
};
use kernel::prelude::*;

use super::{
    user_sized,
    Action,
    Key,
    SyncOp,
    FEW, //
};

/// One operation that signals, by what it signals and then by its place in the submission.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Signal {
    key: Key,
    position: usize,
}

/// All signals of a submission.
///
/// # Invariants
///
/// The list is sorted.
pub(super) struct Index(Few<Signal, FEW>);

/// The signals of one point of one object.
pub(super) struct Run {
    pub(super) key: Key,
    /// Places of the first and of the last of them.
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Index {
    /// The index of all operations of a submission, in the order of its entries.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(_ctx: &MayBlock, ops: &[SyncOp]) -> Result<Self> {
        let signals = || {
            ops.iter()
                .enumerate()
                .filter(|(_, op)| op.action == Action::Signal)
        };
        let mut list = Few::with_capacity(signals().count(), user_sized())?;

        for (position, op) in signals() {
            list.push(
                Signal {
                    key: op.key,
                    position,
                },
                user_sized(),
            )?;
        }
        heapsort(&mut list);
        // INVARIANT: It was just sorted.
        Ok(Self(list))
    }

    /// The place of the last signal of `key` before `position`.
    pub(super) fn last_before(&self, key: Key, position: usize) -> Option<usize> {
        let end = self
            .0
            .partition_point(|signal| *signal < Signal { key, position });
        let signal = self.0.get(end.checked_sub(1)?)?;

        (signal.key == key).then_some(signal.position)
    }

    /// What is signalled, in the order of the first signal of each.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn runs(&self, _ctx: &MayBlock) -> Result<Few<Run, FEW>> {
        let groups = || self.0.chunk_by(|a, b| a.key == b.key);
        let mut runs = Few::with_capacity(groups().count(), user_sized())?;

        for group in groups() {
            if let (Some(first), Some(last)) = (group.first(), group.last()) {
                runs.push(
                    Run {
                        key: first.key,
                        first: first.position,
                        last: last.position,
                    },
                    user_sized(),
                )?;
            }
        }
        heapsort_by(&mut runs, |a, b| a.first < b.first);
        Ok(runs)
    }
}

fn heapsort<T: Ord>(items: &mut [T]) {
    heapsort_by(items, |a, b| a < b);
}

/// Sorts in place with a few words of stack, whatever the length: `core`'s sort keeps a scratch area
/// of a kilobyte on the stack, which a kernel does not have to spare, and the stable one allocates.
fn heapsort_by<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    for root in (0..items.len() / 2).rev() {
        sift_down(items, root, &less);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sift_down(&mut items[..end], 0, &less);
    }
}

/// Makes a heap of `items` again, of which only `root` may be smaller than one of its children.
fn sift_down<T>(items: &mut [T], mut root: usize, less: &impl Fn(&T, &T) -> bool) {
    loop {
        let left = 2 * root + 1;
        if left >= items.len() {
            return;
        }
        let right = left + 1;
        let child = if right < items.len() && less(&items[left], &items[right]) {
            right
        } else {
            left
        };
        if !less(&items[root], &items[child]) {
            return;
        }
        items.swap(root, child);
        root = child;
    }
}
