// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Clocks that user space compares with those of the device.

/// A time of a clock that counts from the start of the system.
#[derive(Clone, Copy)]
pub struct Timespec {
    secs: i64,
    nanos: u32,
}

impl Timespec {
    fn now(raw: bool) -> Self {
        let mut now = Self { secs: 0, nanos: 0 };

        // SAFETY: Both pointers are valid for writing.
        unsafe { shims::shim_time_monotonic(raw, &mut now.secs, &mut now.nanos) };
        now
    }

    /// `CLOCK_MONOTONIC`.
    pub fn monotonic() -> Self {
        Self::now(false)
    }

    /// `CLOCK_MONOTONIC_RAW`.
    pub fn monotonic_raw() -> Self {
        Self::now(true)
    }

    /// The same time as the calling task sees it in its time namespace.
    pub fn in_time_namespace(mut self) -> Self {
        // SAFETY: Both pointers are valid for reading and writing.
        unsafe { shims::shim_time_add_namespace(&mut self.secs, &mut self.nanos) };
        self
    }

    /// The whole seconds.
    pub fn secs(&self) -> i64 {
        self.secs
    }

    /// The rest, in nanoseconds.
    pub fn nanos(&self) -> u32 {
        self.nanos
    }
}

/// A clock of this processor, in nanoseconds: fast, for differences only.
pub fn local_clock() -> u64 {
    // SAFETY: The function has no requirements.
    unsafe { shims::shim_time_local_clock() }
}

/// The rate of the architecture's timer in Hz; zero where there is none.
pub fn arch_timer_rate() -> u64 {
    // SAFETY: The function has no requirements.
    unsafe { shims::shim_time_arch_timer_rate() }
}

/// Runs `f` on this processor without interruption. It must be short, and must not sleep.
pub fn uninterrupted<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: What is stopped here is allowed again below, on the same processor.
    let flags = unsafe { shims::shim_time_stop_interruptions() };
    let result = f();

    // SAFETY: The flags are those from above.
    unsafe { shims::shim_time_allow_interruptions(flags) };
    result
}
