// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the jobs of a file have taken of the GPU, for `/proc/PID/fdinfo/FD`.
//!
//! **Locking, blocking.** None: two counters that only grow.
//!
//! **Ordering.** A job is counted before its fence signals, so whoever has waited for it sees it.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use crate::queue::memory::Spent;

const NS_PER_S: u64 = 1_000_000_000;

/// See the top of the file.
pub(crate) struct Usage {
    cycles: Atomic<u64>,
    ticks: Atomic<u64>,
}

impl Usage {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            cycles: Atomic::new(0),
            ticks: Atomic::new(0),
        }
    }

    /// A job has finished.
    pub(crate) fn add(&self, job: Spent) {
        self.cycles.fetch_add(job.cycles, Relaxed);
        self.ticks.fetch_add(job.ticks, Relaxed);
    }

    /// Core clock cycles.
    pub(crate) fn cycles(&self) -> u64 {
        self.cycles.load(Relaxed)
    }

    /// Ticks of the system timestamp.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.load(Relaxed)
    }
}

/// A moment, by the system timestamp and by the kernel's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// In ticks.
    pub(crate) ticks: u64,
    /// In nanoseconds.
    pub(crate) ns: u64,
}

/// Nanoseconds in `ticks` of a timestamp of `rate` ticks per second, rounded up.
fn at_rate(ticks: u64, rate: u64) -> u64 {
    // Whole seconds apart, so that the product does not leave 64 bits.
    let (seconds, rest) = match (ticks.checked_div(rate), ticks.checked_rem(rate)) {
        (Some(seconds), Some(rest)) => (seconds, rest),
        _ => return 0,
    };
    let rest = match rest.checked_mul(NS_PER_S) {
        Some(product) => product.div_ceil(rate),
        // With such a rate there are many ticks in a nanosecond.
        None => rest.div_ceil((rate / NS_PER_S).max(1)),
    };
    seconds.saturating_mul(NS_PER_S).saturating_add(rest)
}

/// Nanoseconds in `ticks` of the system timestamp.
///
/// Where the kernel knows the timestamp's `rate`, by that; it is 0 on machines without an Arm
/// timer, where the rate is what was seen between two moments.
pub(crate) fn nanoseconds(ticks: u64, rate: u64, from: Moment, to: Moment) -> u64 {
    if rate != 0 {
        return at_rate(ticks, rate);
    }
    let (mut passed, mut ns) = (
        to.ticks.saturating_sub(from.ticks),
        to.ns.saturating_sub(from.ns),
    );
    // The ratio is good enough with 32 bits, and the arithmetic stays within 64 then.
    while passed > u64::from(u32::MAX) || ns > u64::from(u32::MAX) {
        passed >>= 1;
        ns >>= 1;
    }
    if ns == 0 {
        return 0;
    }
    at_rate(ticks, passed.saturating_mul(NS_PER_S) / ns)
}

#[kernel::macros::kunit_tests(mali_csf_file_usage)]
mod tests {
    use super::*;

    const START: Moment = Moment { ticks: 7, ns: 1000 };

    fn after(seconds: u64, rate: u64) -> Moment {
        Moment {
            ticks: START.ticks + seconds * rate,
            ns: START.ns + seconds * NS_PER_S,
        }
    }

    #[test]
    fn a_known_rate_is_used() {
        let end = after(1, 1);
        assert_eq!(nanoseconds(24_000_000, 24_000_000, START, end), NS_PER_S);
        assert_eq!(nanoseconds(1, 24_000_000, START, end), 42);
        assert_eq!(nanoseconds(u64::MAX / 2, 24_000_000, START, end), u64::MAX);
    }

    #[test]
    fn an_unknown_rate_is_what_was_seen() {
        for seconds in [1, 1000, 1_000_000] {
            let ns = nanoseconds(24_000_000, 0, START, after(seconds, 24_000_000));
            assert!(ns.abs_diff(NS_PER_S) < 10_000);
        }
    }

    #[test]
    fn without_a_second_moment_there_is_no_time() {
        assert_eq!(nanoseconds(24_000_000, 0, START, START), 0);
    }
}
