// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Work that a stream has issued but that is not complete: what its scoreboards count.
//!
//! An operation is in the list from its issue to its completion, in issue order. A scoreboard
//! entry is "non-zero" while an operation that signals it is in the list; an operation waits for
//! those in front of it and, as its own entry is counted before it waits, for itself: one that
//! waits for the entry that it signals never starts (Mesa's `cs_defer()` refuses to make one).

/// Operations that a stream can have in flight before it stalls.
pub(crate) const MAX_OPS: usize = 16;

/// What kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A job on an endpoint.
    Job,
    /// End of a render pass's tiling.
    FinishTiling,
    /// End of a render pass.
    FinishFragment,
    /// Cache maintenance.
    Flush,
    /// An update of a synchronization object.
    Sync,
    /// A store of GPU state.
    Store,
    /// Render pass counting.
    Heap,
    /// A trace point.
    Trace,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Job,
        Kind::FinishTiling,
        Kind::FinishFragment,
        Kind::Flush,
        Kind::Sync,
        Kind::Store,
        Kind::Heap,
        Kind::Trace,
    ];
}

/// [`Op::flags`]: the operation counts as progress of its stream.
pub(crate) const PROGRESS: u32 = 1 << 8;
/// [`Op::flags`] of [`Kind::Sync`]: 64 bits.
pub(crate) const SYNC_WIDE: u32 = 1 << 9;
/// [`Op::flags`] of [`Kind::Sync`]: set, not add.
pub(crate) const SYNC_SET: u32 = 1 << 10;
/// [`Op::flags`] of [`Kind::Sync`]: tell the own group only.
pub(crate) const SYNC_GROUP: u32 = 1 << 11;
/// [`Op::flags`] of [`Kind::Sync`]: pass an error on.
pub(crate) const SYNC_PROPAGATE: u32 = 1 << 12;
/// [`Op::flags`] of [`Kind::FinishFragment`]: count the render pass.
pub(crate) const COUNT: u32 = 1 << 13;
/// [`Op::flags`]: a number that refines the kind.
pub(crate) const SELECT: u32 = 0xff;

/// The duration of a job that hangs.
pub(crate) const FOREVER: u64 = u64::MAX;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    /// What it does.
    pub(crate) kind: Kind,
    /// How exactly.
    pub(crate) flags: u32,
    /// First operand: mostly an address.
    pub(crate) addr: u64,
    /// Second operand.
    pub(crate) value: u64,
    /// Scoreboard entries that it waits for.
    pub(crate) wait: u16,
    /// Scoreboard entry that it holds.
    pub(crate) signal: u8,
    /// Whether it has started.
    pub(crate) running: bool,
    /// When it is complete if it runs, how long it takes if it does not, in nanoseconds.
    pub(crate) time: u64,
}

impl Op {
    const NONE: Op = Op {
        kind: Kind::Trace,
        flags: 0,
        addr: 0,
        value: 0,
        wait: 0,
        signal: 0,
        running: false,
        time: 0,
    };

    /// Words of [`Op::save`].
    pub(crate) const WORDS: usize = 4;

    /// For the suspend buffer; `now` turns a deadline into a remaining time.
    pub(crate) fn save(&self, now: u64) -> [u64; Op::WORDS] {
        let remaining = match (self.running, self.time) {
            (_, FOREVER) => FOREVER,
            (true, due) => due.saturating_sub(now),
            (false, duration) => duration,
        };
        let head = self.kind as u64
            | u64::from(self.running) << 8
            | u64::from(self.signal) << 16
            | u64::from(self.wait) << 24
            | u64::from(self.flags & 0xff_ffff) << 40;
        [head, self.addr, self.value, remaining]
    }

    /// The opposite of [`Op::save`].
    pub(crate) fn restore(words: [u64; Op::WORDS], now: u64) -> Option<Op> {
        let [head, addr, value, remaining] = words;
        let bytes = head.to_le_bytes();
        let kind = *Kind::ALL.get(usize::from(bytes[0]))?;
        let running = bytes[1] != 0;
        Some(Op {
            kind,
            running,
            signal: bytes[2] & 0xf,
            wait: (head >> 24 & 0xffff) as u16,
            flags: (head >> 40 & 0xff_ffff) as u32,
            addr,
            value,
            time: if running {
                now.saturating_add(remaining)
            } else {
                remaining
            },
        })
    }
}

/// There are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The operations of a stream, in issue order.
pub(crate) struct Ops {
    list: [Op; MAX_OPS],
    len: usize,
}

impl Ops {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            list: [Op::NONE; MAX_OPS],
            len: 0,
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Those in the list.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Op> + '_ {
        self.list.iter().take(self.len)
    }

    /// Adds one.
    pub(crate) fn push(&mut self, op: Op) -> Result<(), Full> {
        let slot = self.list.get_mut(self.len).ok_or(Full)?;
        *slot = op;
        self.len += 1;
        Ok(())
    }

    /// Whether one more fits.
    pub(crate) fn has_room(&self) -> bool {
        self.len < MAX_OPS
    }

    /// Non-zero scoreboard entries.
    pub(crate) fn busy(&self) -> u16 {
        self.iter()
            .fold(0, |mask, op| mask | 1u16.wrapping_shl(u32::from(op.signal)))
    }

    /// Whether a job is in flight.
    pub(crate) fn has_job(&self) -> bool {
        self.iter().any(|op| op.kind == Kind::Job)
    }

    /// When the next operation is complete.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.iter()
            .filter(|op| op.running && op.time != FOREVER)
            .map(|op| op.time)
            .min()
    }

    /// Starts what may start at `now`, and returns the first operation that is due with its place
    /// in the list. The caller carries it out and then calls [`Ops::remove`].
    pub(crate) fn due(&mut self, now: u64) -> Option<(usize, Op)> {
        let mut before = 0u16;
        for (i, op) in self.list.iter_mut().take(self.len).enumerate() {
            let own = 1u16.wrapping_shl(u32::from(op.signal));
            if !op.running && (before | own) & op.wait == 0 {
                op.running = true;
                op.time = now.saturating_add(op.time);
            }
            if op.running && op.time <= now && op.time != FOREVER {
                return Some((i, *op));
            }
            before |= own;
        }
        None
    }

    /// Completes an operation.
    pub(crate) fn remove(&mut self, index: usize) {
        if index < self.len {
            self.list.copy_within(index + 1..self.len, index);
            self.len -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(kind: Kind, wait: u16, signal: u8, time: u64) -> Op {
        Op {
            kind,
            wait,
            signal,
            time,
            ..Op::NONE
        }
    }

    #[test]
    fn deferred_operation_waits_for_those_in_front_only() {
        let mut ops = Ops::new();
        ops.push(op(Kind::Job, 0, 1, 100)).unwrap();
        ops.push(op(Kind::Sync, 1 << 1, 3, 0)).unwrap();
        ops.push(op(Kind::Store, 0, 2, 0)).unwrap();
        ops.push(op(Kind::Job, 0, 1, FOREVER)).unwrap();
        assert_eq!(ops.busy(), 0b1110);
        let (i, first) = ops.due(1000).unwrap();
        assert_eq!((i, first.kind), (2, Kind::Store));
        ops.remove(i);
        assert_eq!(ops.due(1000), None);
        assert_eq!(ops.deadline(), Some(1100));
        let (i, job) = ops.due(1100).unwrap();
        assert_eq!((i, job.kind), (0, Kind::Job));
        ops.remove(i);
        let (i, sync) = ops.due(1100).unwrap();
        assert_eq!((i, sync.kind), (0, Kind::Sync));
        ops.remove(i);
        assert_eq!(ops.due(u64::MAX), None);
    }

    #[test]
    fn an_operation_that_waits_for_itself_never_starts() {
        let mut ops = Ops::new();
        ops.push(op(Kind::Store, 0xff, 0, 0)).unwrap();
        assert_eq!(ops.due(u64::MAX), None);
        assert_eq!(ops.busy(), 1);
    }

    #[test]
    fn a_hanging_job_is_never_due() {
        let mut ops = Ops::new();
        ops.push(op(Kind::Job, 0, 0, FOREVER)).unwrap();
        assert_eq!(ops.due(u64::MAX), None);
        assert_eq!(ops.deadline(), None);
        assert!(ops.has_job());
    }

    #[test]
    fn saved_operation_comes_back_with_its_remaining_time() {
        let mut ops = Ops::new();
        let mut job = op(Kind::Job, 0x81, 3, 500);
        job.flags = PROGRESS | 2;
        job.addr = 0x1234_5678_9abc;
        ops.push(job).unwrap();
        assert_eq!(ops.due(1000), None);
        let saved = *ops.iter().next().unwrap();
        let back = Op::restore(saved.save(1200), 5000).unwrap();
        assert_eq!(back.time, 5300);
        assert_eq!(
            Op {
                time: saved.time,
                ..back
            },
            saved
        );
    }

    #[test]
    fn the_list_is_bounded() {
        let mut ops = Ops::new();
        for _ in 0..MAX_OPS {
            ops.push(op(Kind::Sync, 0, 0, 0)).unwrap();
        }
        assert!(!ops.has_room());
        assert_eq!(ops.push(op(Kind::Sync, 0, 0, 0)), Err(Full));
    }
}
