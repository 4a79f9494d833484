// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Between the C half of the glue and the model's core.
//!
//! **Locking**: the model is one value behind one lock, which the C half owns (soc.c). [`Locked`]
//! is the proof that it is held, and the only way to the model.
//!
//! **Ordering**: before the lock is released, the flush id is published to the RAM page that
//! processes map, so that no process reads an older one than the register would show.
//!
//! **Blocking**: nothing here waits; all of it can be called in any context in which the model's
//! lock can be taken.

#![deny(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_lossless
)]

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::Deref;
use core::ops::DerefMut;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use hwmodel::host::BusError;
use hwmodel::host::Host;
use hwmodel::host::Line;
use hwmodel::record::Kind;
use hwmodel::record::Record;
use hwmodel::Clock;
use hwmodel::Gpu;
use hwmodel::Step;
use kernel::bindings;
use kernel::error::code::EINVAL;
use kernel::ffi::c_char;
use kernel::ffi::c_int;
use kernel::ffi::c_ulong;
use kernel::ffi::c_void;
use kernel::seq_file::SeqFile;
use kernel::str::CStrExt as _;

extern "C" {
    fn soc_lock() -> c_ulong;
    fn soc_unlock(flags: c_ulong);
    fn soc_ram_read(pa: u64, buf: *mut c_void, len: usize) -> c_int;
    fn soc_ram_write(pa: u64, buf: *const c_void, len: usize) -> c_int;
    fn soc_now_ns() -> u64;
    fn soc_set_line(line: u32, high: bool);
    fn soc_wake();
    fn soc_publish_flush_id(id: u32);
}

/// The model and what the glue keeps about it.
struct Model {
    gpu: UnsafeCell<Gpu>,
    expected: Expected,
}

// SAFETY: `gpu` is only reached through `Locked`, which holds the model's lock.
unsafe impl Sync for Model {}

static MODEL: Model = Model {
    gpu: UnsafeCell::new(Gpu::new(&hwmodel::product::G610_RK3588)),
    expected: Expected::new(),
};

/// The model with its lock held.
///
/// # Invariants
///
/// `soc_lock()` was called, and `soc_unlock()` was not since.
struct Locked {
    flags: c_ulong,
}

impl Locked {
    fn new() -> Self {
        // INVARIANT: this takes the lock, `drop` releases it.
        Self {
            // SAFETY: No function that the core calls (`Soc`) gets here, so that this context
            // does not hold the lock yet.
            flags: unsafe { soc_lock() },
        }
    }
}

impl Deref for Locked {
    type Target = Gpu;

    fn deref(&self) -> &Gpu {
        // SAFETY: By the type invariant the lock is held, and `self` is borrowed for as long as
        // the reference lives.
        unsafe { &*MODEL.gpu.get() }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Gpu {
        // SAFETY: By the type invariant the lock is held, and `self` is mutably borrowed for as
        // long as the reference lives.
        unsafe { &mut *MODEL.gpu.get() }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the lock is held.
        unsafe { soc_unlock(self.flags) }
    }
}

/// How many records the core keeps at most.
const MARKS: usize = 256;

/// Records that a test announced.
struct Expected {
    /// Those still to come, by kind.
    left: [AtomicU64; Kind::ALL.len()],
    /// One bit for each record that the core keeps: it was announced.
    marks: [AtomicU64; MARKS / 64],
    /// Records since the last reset, announced or not.
    seen: AtomicU64,
    /// Those of them that were announced.
    hits: AtomicU64,
}

impl Expected {
    const fn new() -> Self {
        Self {
            left: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            marks: [const { AtomicU64::new(0) }; MARKS / 64],
            seen: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    fn left(&self, kind: Kind) -> Option<&AtomicU64> {
        let index = Kind::ALL.iter().position(|&k| k == kind)?;
        self.left.get(index)
    }

    fn mark(&self, index: usize) -> Option<(&AtomicU64, u64)> {
        Some((self.marks.get(index / 64)?, 1 << (index % 64)))
    }

    /// Notes a record. Returns whether it was announced.
    fn take(&self, kind: Kind) -> bool {
        let index = self.seen.fetch_add(1, Relaxed);
        let announced = self.left(kind).is_some_and(|left| {
            left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1))
                .is_ok()
        });
        if announced {
            self.hits.fetch_add(1, Relaxed);
            if let Some((word, bit)) = usize::try_from(index).ok().and_then(|i| self.mark(i)) {
                word.fetch_or(bit, Relaxed);
            }
        }
        announced
    }

    /// Whether the record at this position since the last reset was announced.
    fn is_marked(&self, index: usize) -> bool {
        self.mark(index)
            .is_some_and(|(word, bit)| word.load(Relaxed) & bit != 0)
    }

    /// Parses the rest of `expect KIND COUNT`.
    fn announce(&self, rest: &str) -> Option<()> {
        let (kind, count) = rest.trim().split_once(' ')?;
        let count = count.trim().parse().ok()?;
        self.left(Kind::from_name(kind)?)?.store(count, Relaxed);
        Some(())
    }

    /// Forgets the past; what is announced stays so.
    fn clear(&self) {
        self.seen.store(0, Relaxed);
        self.hits.store(0, Relaxed);
        for word in &self.marks {
            word.store(0, Relaxed);
        }
    }
}

/// Writes a line to the kernel log, at error level.
fn log(args: fmt::Arguments<'_>) {
    // SAFETY: The format string is NUL-terminated and takes one `%pA`, which is a pointer to
    // `fmt::Arguments` that lives until the end of the call.
    unsafe {
        bindings::_printk(
            c"\x013hwmodel: %pA\n".as_char_ptr(),
            core::ptr::from_ref(&args).cast::<c_void>(),
        );
    }
}

/// The machine that the model lives in.
struct Soc;

impl Host for Soc {
    fn read(&self, pa: u64, buf: &mut [u8]) -> Result<(), BusError> {
        // SAFETY: `buf` is valid for writes of its length.
        match unsafe { soc_ram_read(pa, buf.as_mut_ptr().cast(), buf.len()) } {
            0 => Ok(()),
            _ => Err(BusError),
        }
    }

    fn write(&self, pa: u64, buf: &[u8]) -> Result<(), BusError> {
        // SAFETY: `buf` is valid for reads of its length.
        match unsafe { soc_ram_write(pa, buf.as_ptr().cast(), buf.len()) } {
            0 => Ok(()),
            _ => Err(BusError),
        }
    }

    fn now_ns(&self) -> u64 {
        // SAFETY: Can be called in any context.
        unsafe { soc_now_ns() }
    }

    fn set_line(&self, line: Line, high: bool) {
        // SAFETY: The core calls this with the model's lock held.
        unsafe { soc_set_line(hwirq(line), high) }
    }

    fn wake(&self) {
        // SAFETY: The core calls this with the model's lock held.
        unsafe { soc_wake() }
    }

    fn record(&self, record: &Record) {
        if MODEL.expected.take(record.kind) {
            log(format_args!("expected {record}"));
        } else {
            log(format_args!("RECORD {record}"));
        }
    }
}

fn hwirq(line: Line) -> u32 {
    match line {
        Line::Job => 0,
        Line::Mmu => 1,
        Line::Gpu => 2,
    }
}

fn line(hwirq: u32) -> Option<Line> {
    Line::ALL.iter().copied().find(|&l| self::hwirq(l) == hwirq)
}

/// Does `f` with the model, then publishes the flush id.
fn with_model<R>(f: impl FnOnce(&mut Gpu) -> R) -> R {
    let mut model = Locked::new();
    let result = f(&mut model);
    // SAFETY: The lock is held, and `soc_iomem_init()` ran before there was any access.
    unsafe { soc_publish_flush_id(model.latest_flush()) };
    result
}

#[no_mangle]
extern "C" fn model_read32(offset: u32) -> u32 {
    with_model(|gpu| gpu.read32(&Soc, offset))
}

#[no_mangle]
extern "C" fn model_write32(offset: u32, value: u32) {
    with_model(|gpu| gpu.write32(&Soc, offset, value));
}

#[no_mangle]
extern "C" fn model_access_other(offset: u32, bytes: u32, write: bool) {
    Locked::new().access_other(&Soc, offset, bytes, write);
}

#[no_mangle]
extern "C" fn model_set_clock(clock: u32, on: bool) {
    let clock = match clock {
        0 => Clock::Core,
        1 => Clock::CoreGroup,
        2 => Clock::Stacks,
        _ => return,
    };
    Locked::new().set_clock(&Soc, clock, on);
}

#[no_mangle]
extern "C" fn model_set_rate(hz: u64) {
    Locked::new().set_rate(&Soc, hz);
}

#[no_mangle]
extern "C" fn model_set_regulator(on: bool) {
    Locked::new().set_regulator(&Soc, on);
}

#[no_mangle]
extern "C" fn model_set_voltage(microvolt: u32) {
    Locked::new().set_voltage(&Soc, microvolt);
}

#[no_mangle]
extern "C" fn model_set_power_domain(on: bool) {
    Locked::new().set_power_domain(&Soc, on);
}

/// # Safety
///
/// `until_ns` is valid for a write.
#[no_mangle]
unsafe extern "C" fn model_step(until_ns: *mut u64) -> u32 {
    match with_model(|gpu| gpu.step(&Soc)) {
        Step::Idle => 0,
        Step::Again => 1,
        Step::Until(time) => {
            // SAFETY: The caller guarantees that it is valid for a write.
            unsafe { until_ns.write(time) };
            2
        }
    }
}

#[no_mangle]
extern "C" fn model_delivered(hwirq: u32) {
    if let Some(line) = line(hwirq) {
        Locked::new().delivered(&Soc, line);
    }
}

#[no_mangle]
extern "C" fn model_abandoned(hwirq: u32) {
    if let Some(line) = line(hwirq) {
        Locked::new().abandoned(&Soc, line);
    }
}

/// # Safety
///
/// `m` is the file that a show function was called for.
#[no_mangle]
unsafe extern "C" fn model_show_counters(m: *mut bindings::seq_file) {
    // SAFETY: Inside of a show function the file is this thread's alone.
    let m = unsafe { SeqFile::from_raw(m) };
    for (name, value) in Locked::new().counters().iter() {
        m.call_printf(format_args!("{name} {value}\n"));
    }
}

/// # Safety
///
/// `m` is the file that a show function was called for.
#[no_mangle]
unsafe extern "C" fn model_show_records(m: *mut bindings::seq_file) {
    // SAFETY: Inside of a show function the file is this thread's alone.
    let m = unsafe { SeqFile::from_raw(m) };
    let model = Locked::new();
    let records = model.records();
    let unexpected = records
        .total()
        .saturating_sub(MODEL.expected.hits.load(Relaxed));

    m.call_printf(format_args!("{unexpected} records\n"));
    for (index, record) in records.iter().enumerate() {
        let mark = if MODEL.expected.is_marked(index) {
            "expected "
        } else {
            ""
        };
        m.call_printf(format_args!("{mark}{record}\n"));
    }
}

/// # Safety
///
/// `m` is the file that a show function was called for.
#[no_mangle]
unsafe extern "C" fn model_show_inject(m: *mut bindings::seq_file) {
    // SAFETY: Inside of a show function the file is this thread's alone.
    let m = unsafe { SeqFile::from_raw(m) };
    for (syntax, meaning) in Gpu::inject_help() {
        m.call_printf(format_args!("{syntax}: {meaning}\n"));
    }
    m.call_printf(format_args!(
        "expect KIND COUNT: the next COUNT records of that kind are no failure\n"
    ));
}

#[no_mangle]
extern "C" fn model_clear_counters() {
    Locked::new().clear_counters();
}

#[no_mangle]
extern "C" fn model_clear_records() {
    let mut model = Locked::new();
    model.clear_records();
    MODEL.expected.clear();
}

/// # Safety
///
/// `line` is valid for reads of `len` bytes.
#[no_mangle]
unsafe extern "C" fn model_inject(line: *const c_char, len: usize) -> c_int {
    // SAFETY: The caller guarantees it.
    let line = unsafe { core::slice::from_raw_parts(line.cast::<u8>(), len) };
    let Ok(line) = core::str::from_utf8(line) else {
        return EINVAL.to_errno();
    };

    let done = match line.trim().strip_prefix("expect ") {
        Some(rest) => MODEL.expected.announce(rest).is_some(),
        None => with_model(|gpu| gpu.inject(&Soc, line).is_ok()),
    };
    if done {
        0
    } else {
        EINVAL.to_errno()
    }
}
