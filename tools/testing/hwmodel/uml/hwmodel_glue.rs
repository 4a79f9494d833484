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
use hwmodel::counters::Counter;
use hwmodel::host::BusError;
use hwmodel::host::Host;
use hwmodel::host::Wire;
use hwmodel::npu::iommu::Version;
use hwmodel::npu::CoreId;
use hwmodel::npu::NpuClock;
use hwmodel::npu::NpuDomain;
use hwmodel::record::Kind;
use hwmodel::record::Record;
use hwmodel::Clock;
use hwmodel::Gpu;
use hwmodel::InjectError;
use hwmodel::Npu;
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

/// What is modelled.
struct Hardware {
    gpu: Gpu,
    npu: Npu,
}

/// The model and what the glue keeps about it.
struct Model {
    hardware: UnsafeCell<Hardware>,
    expected: Expected,
}

// SAFETY: `hardware` is only reached through `Locked`, which holds the model's lock.
unsafe impl Sync for Model {}

static MODEL: Model = Model {
    hardware: UnsafeCell::new(Hardware {
        gpu: Gpu::new(&hwmodel::product::G610_RK3588),
        npu: Npu::new(Version::V2),
    }),
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
    type Target = Hardware;

    fn deref(&self) -> &Hardware {
        // SAFETY: By the type invariant the lock is held, and `self` is borrowed for as long as
        // the reference lives.
        unsafe { &*MODEL.hardware.get() }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Hardware {
        // SAFETY: By the type invariant the lock is held, and `self` is mutably borrowed for as
        // long as the reference lives.
        unsafe { &mut *MODEL.hardware.get() }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the lock is held.
        unsafe { soc_unlock(self.flags) }
    }
}

/// Records that a test announced and that are still to come, by kind.
struct Expected {
    left: [AtomicU64; Kind::ALL.len()],
}

impl Expected {
    const fn new() -> Self {
        Self {
            left: [const { AtomicU64::new(0) }; Kind::ALL.len()],
        }
    }

    fn left(&self, kind: Kind) -> Option<&AtomicU64> {
        let index = Kind::ALL.iter().position(|&k| k == kind)?;
        self.left.get(index)
    }

    /// Takes one, if one was announced.
    fn take(&self, kind: Kind) -> bool {
        self.left(kind).is_some_and(|left| {
            left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1))
                .is_ok()
        })
    }

    /// Parses the rest of `expect KIND COUNT`.
    fn announce(&self, rest: &str) -> Option<()> {
        let (kind, count) = rest.trim().split_once(' ')?;
        let count = count.trim().parse().ok()?;
        self.left(Kind::from_name(kind)?)?.store(count, Relaxed);
        Some(())
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

    fn set_line(&self, wire: Wire, high: bool) {
        if let Ok(hwirq) = u32::try_from(wire.index()) {
            // SAFETY: The core calls this with the model's lock held.
            unsafe { soc_set_line(hwirq, high) }
        }
    }

    fn wake(&self) {
        // SAFETY: The core calls this with the model's lock held.
        unsafe { soc_wake() }
    }

    fn record(&self, record: &Record) -> bool {
        let announced = MODEL.expected.take(record.kind);
        if announced {
            log(format_args!("expected {record}"));
        } else {
            log(format_args!("RECORD {record}"));
        }
        announced
    }
}

/// The output behind an interrupt input.
fn wire(hwirq: u32) -> Option<Wire> {
    Wire::ALL
        .iter()
        .copied()
        .find(|w| u32::try_from(w.index()) == Ok(hwirq))
}

/// The element of a table that an index of the C half means.
fn nth<T: Copy>(all: &[T], index: u32) -> Option<T> {
    all.get(usize::try_from(index).ok()?).copied()
}

/// A block of registers.
enum Block {
    Gpu,
    Npu(CoreId),
}

/// The block behind a number of `enum soc_block`.
fn block(nr: u32) -> Option<Block> {
    match nr.checked_sub(1) {
        None => Some(Block::Gpu),
        Some(core) => nth(&CoreId::ALL, core).map(Block::Npu),
    }
}

/// Does `f` with the model, then publishes the flush id.
fn with_model<R>(f: impl FnOnce(&mut Hardware) -> R) -> R {
    let mut model = Locked::new();
    let result = f(&mut model);
    // SAFETY: The lock is held.
    unsafe { soc_publish_flush_id(model.gpu.latest_flush()) };
    result
}

#[no_mangle]
extern "C" fn model_read32(nr: u32, offset: u32) -> u32 {
    with_model(|hw| match block(nr) {
        Some(Block::Gpu) => hw.gpu.read32(&Soc, offset),
        Some(Block::Npu(core)) => hw.npu.read32(&Soc, core, offset),
        None => 0,
    })
}

#[no_mangle]
extern "C" fn model_write32(nr: u32, offset: u32, value: u32) {
    with_model(|hw| match block(nr) {
        Some(Block::Gpu) => hw.gpu.write32(&Soc, offset, value),
        Some(Block::Npu(core)) => hw.npu.write32(&Soc, core, offset, value),
        None => (),
    });
}

#[no_mangle]
extern "C" fn model_access_other(nr: u32, offset: u32, bytes: u32, write: bool) {
    let mut model = Locked::new();
    match block(nr) {
        Some(Block::Gpu) => model.gpu.access_other(&Soc, offset, bytes, write),
        Some(Block::Npu(core)) => model.npu.access_other(&Soc, core, offset, bytes, write),
        None => (),
    }
}

#[no_mangle]
extern "C" fn model_set_clock(nr: u32, on: bool) {
    let Ok(nr) = usize::try_from(nr) else {
        return;
    };
    with_model(|hw| match nr.checked_sub(Clock::ALL.len()) {
        None => {
            if let Some(&clock) = Clock::ALL.get(nr) {
                hw.gpu.set_clock(&Soc, clock, on);
            }
        }
        Some(nr) => {
            if let Some(&clock) = NpuClock::ALL.get(nr) {
                hw.npu.set_clock(&Soc, clock, on);
            }
        }
    });
}

#[no_mangle]
extern "C" fn model_set_rate(hz: u64) {
    Locked::new().gpu.set_rate(&Soc, hz);
}

#[no_mangle]
extern "C" fn model_set_regulator(on: bool) {
    with_model(|hw| hw.gpu.set_regulator(&Soc, on));
}

#[no_mangle]
extern "C" fn model_set_voltage(microvolt: u32) {
    Locked::new().gpu.set_voltage(&Soc, microvolt);
}

#[no_mangle]
extern "C" fn model_set_npu_supply(on: bool) {
    Locked::new().npu.set_supply(&Soc, on);
}

#[no_mangle]
extern "C" fn model_set_power_domain(nr: u32, on: bool) {
    with_model(|hw| match nr.checked_sub(1) {
        None => hw.gpu.set_power_domain(&Soc, on),
        Some(nr) => {
            if let Some(domain) = nth(&NpuDomain::ALL, nr) {
                hw.npu.set_domain(&Soc, domain, on);
            }
        }
    });
}

#[no_mangle]
extern "C" fn model_set_reset(line: u32, asserted: bool) {
    if let Some(core) = nth(&CoreId::ALL, line / 2) {
        let ahb = line % 2 == 1;
        Locked::new().npu.set_reset(&Soc, core, ahb, asserted);
    }
}

/// # Safety
///
/// `until_ns` is valid for a write.
#[no_mangle]
unsafe extern "C" fn model_step(until_ns: *mut u64) -> u32 {
    match with_model(|hw| hw.gpu.step(&Soc).sooner(hw.npu.step(&Soc))) {
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
    let mut model = Locked::new();
    match wire(hwirq) {
        Some(Wire::Gpu(line)) => model.gpu.delivered(&Soc, line),
        Some(Wire::Npu(core)) => model.npu.delivered(&Soc, core),
        None => (),
    }
}

#[no_mangle]
extern "C" fn model_abandoned(hwirq: u32) {
    let mut model = Locked::new();
    match wire(hwirq) {
        Some(Wire::Gpu(line)) => model.gpu.abandoned(&Soc, line),
        Some(Wire::Npu(core)) => model.npu.abandoned(&Soc, core),
        None => (),
    }
}

/// # Safety
///
/// `m` is the file that a show function was called for.
#[no_mangle]
unsafe extern "C" fn model_show_counters(m: *mut bindings::seq_file) {
    // SAFETY: Inside of a show function the file is this thread's alone.
    let m = unsafe { SeqFile::from_raw(m) };
    let model = Locked::new();
    for &counter in Counter::ALL {
        // No event is counted by both.
        let value = model.gpu.counters().get(counter) + model.npu.counters().get(counter);
        m.call_printf(format_args!("{} {value}\n", counter.name()));
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
    let (gpu, npu) = (model.gpu.records(), model.npu.records());
    let unexpected = gpu.unannounced() + npu.unannounced();

    m.call_printf(format_args!("{unexpected} records\n"));
    for (record, announced) in gpu.entries().chain(npu.entries()) {
        let mark = if announced { "expected " } else { "" };
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
    for (syntax, meaning) in Gpu::inject_help().chain(hwmodel::npu::HELP.iter().copied()) {
        m.call_printf(format_args!("{syntax}: {meaning}\n"));
    }
    m.call_printf(format_args!(
        "expect KIND COUNT: the next COUNT records of that kind are no failure\n"
    ));
}

/// # Safety
///
/// `leaves` is valid for writes of `count` entries.
#[no_mangle]
unsafe extern "C" fn model_leaves(as_nr: u32, page: u64, leaves: *mut u64, count: usize) {
    // SAFETY: The caller guarantees it.
    let leaves = unsafe { core::slice::from_raw_parts_mut(leaves, count) };
    let model = Locked::new();
    let as_nr = u8::try_from(as_nr).unwrap_or(u8::MAX);

    for (page, leaf) in (page..).zip(leaves) {
        *leaf = model.gpu.leaf(&Soc, as_nr, page << 12);
    }
}

#[no_mangle]
extern "C" fn model_clear_counters() {
    let mut model = Locked::new();
    model.gpu.clear_counters();
    model.npu.clear_counters();
}

#[no_mangle]
extern "C" fn model_clear_records() {
    let mut model = Locked::new();
    model.gpu.clear_records();
    model.npu.clear_records();
}

/// Asks one of the blocks to misbehave, or both to behave well again.
fn inject(hw: &mut Hardware, line: &str) -> Result<(), InjectError> {
    match line.split_ascii_whitespace().next() {
        Some("npu") => hw.npu.inject(&Soc, line),
        first => {
            hw.gpu.inject(&Soc, line)?;
            if first == Some("clear") {
                hw.npu.clear_injections();
            }
            Ok(())
        }
    }
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
        None => with_model(|hw| inject(hw, line).is_ok()),
    };
    if done {
        0
    } else {
        EINVAL.to_errno()
    }
}
