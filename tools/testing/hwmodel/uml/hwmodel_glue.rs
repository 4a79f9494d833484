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
use hwmodel::host::BusError;
use hwmodel::host::Host;
use hwmodel::host::Wire;
use hwmodel::npu::iommu::Version;
use hwmodel::record::Record;
use hwmodel::Block;
use hwmodel::Chip;
use hwmodel::Expected;
use hwmodel::Step;
use kernel::bindings;
use kernel::error::code::EINVAL;
use kernel::ffi::c_char;
use kernel::ffi::c_int;
use kernel::ffi::c_ulong;
use kernel::ffi::c_void;
use kernel::seq_file::SeqFile;
use kernel::str::CStr;
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
    hardware: UnsafeCell<Chip>,
    expected: Expected,
}

// SAFETY: `hardware` is only reached through `Locked`, which holds the model's lock.
unsafe impl Sync for Model {}

static MODEL: Model = Model {
    hardware: UnsafeCell::new(Chip::new(&hwmodel::product::G610_RK3588, Version::V2)),
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
    type Target = Chip;

    fn deref(&self) -> &Chip {
        // SAFETY: By the type invariant the lock is held, and `self` is borrowed for as long as
        // the reference lives.
        unsafe { &*MODEL.hardware.get() }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Chip {
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

    fn flushed(&self, id: u32) {
        // SAFETY: The core calls this with the model's lock held.
        unsafe { soc_publish_flush_id(id) }
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

/// Does `f` with the model, then publishes what the register of the flush id gives: it changes with
/// clocks and power as well as by flushes.
fn with_model<R>(f: impl FnOnce(&mut Chip) -> R) -> R {
    let mut model = Locked::new();
    let result = f(&mut model);
    // SAFETY: The lock is held.
    unsafe { soc_publish_flush_id(model.gpu.latest_flush()) };
    result
}

/// Chooses the GPU by its name. Returns whether there is one.
///
/// # Safety
///
/// `name` is a NUL-terminated string.
#[no_mangle]
unsafe extern "C" fn model_choose(name: *const c_char) -> bool {
    // SAFETY: The caller guarantees it.
    let name = unsafe { CStr::from_char_ptr(name) };
    name.to_str().is_ok_and(|name| Locked::new().choose(name))
}

#[no_mangle]
extern "C" fn model_fuse(cores: u64) {
    Locked::new().gpu.fuse(cores);
}

#[no_mangle]
extern "C" fn model_read32(nr: u32, offset: u32) -> u32 {
    with_model(|chip| Block::nth(nr).map_or(0, |block| chip.read32(&Soc, block, offset)))
}

#[no_mangle]
extern "C" fn model_write32(nr: u32, offset: u32, value: u32) {
    with_model(|chip| {
        if let Some(block) = Block::nth(nr) {
            chip.write32(&Soc, block, offset, value);
        }
    });
}

#[no_mangle]
extern "C" fn model_access_other(nr: u32, offset: u32, bytes: u32, write: bool) {
    if let Some(block) = Block::nth(nr) {
        Locked::new().access_other(&Soc, block, offset, bytes, write);
    }
}

#[no_mangle]
extern "C" fn model_set_clock(nr: u32, on: bool) {
    with_model(|chip| chip.set_clock(&Soc, nr, on));
}

#[no_mangle]
extern "C" fn model_set_rate(hz: u64) {
    Locked::new().gpu.set_rate(&Soc, hz);
}

#[no_mangle]
extern "C" fn model_set_regulator(on: bool) {
    with_model(|chip| chip.gpu.set_regulator(&Soc, on));
}

#[no_mangle]
extern "C" fn model_set_voltage(microvolt: u32) {
    Locked::new().gpu.set_voltage(&Soc, microvolt);
}

#[no_mangle]
extern "C" fn model_set_old_iommus() {
    Locked::new().npu.set_iommu_version(Version::V1);
}

#[no_mangle]
extern "C" fn model_set_npu_supply(on: bool) {
    Locked::new().npu.set_supply(&Soc, on);
}

#[no_mangle]
extern "C" fn model_set_npu_rate(hz: u64) {
    Locked::new().npu.set_rate(&Soc, hz);
}

#[no_mangle]
extern "C" fn model_set_power_domain(nr: u32, on: bool) {
    with_model(|chip| chip.set_domain(&Soc, nr, on));
}

#[no_mangle]
extern "C" fn model_set_reset(line: u32, asserted: bool) {
    Locked::new().set_reset(&Soc, line, asserted);
}

/// # Safety
///
/// `until_ns` is valid for a write.
#[no_mangle]
unsafe extern "C" fn model_step(until_ns: *mut u64) -> u32 {
    match with_model(|chip| chip.step(&Soc)) {
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
    Locked::new().delivered(&Soc, hwirq);
}

#[no_mangle]
extern "C" fn model_abandoned(hwirq: u32) {
    Locked::new().abandoned(&Soc, hwirq);
}

/// A file of debugfs that is being shown.
struct Shown<'a>(&'a SeqFile);

impl fmt::Write for Shown<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.call_printf(format_args!("{text}"));
        Ok(())
    }
}

/// Shows what `f` writes. An overflow of the file is repaired by who called the show function.
///
/// # Safety
///
/// `m` is the file that a show function was called for.
unsafe fn show(m: *mut bindings::seq_file, f: impl FnOnce(&mut Shown<'_>) -> fmt::Result) {
    // SAFETY: Inside of a show function the file is this thread's alone.
    let _ = f(&mut Shown(unsafe { SeqFile::from_raw(m) }));
}

/// # Safety
///
/// `m` is the file that a show function was called for.
#[no_mangle]
unsafe extern "C" fn model_show_counters(m: *mut bindings::seq_file) {
    // SAFETY: The caller guarantees it.
    unsafe { show(m, |out| Locked::new().show_counters(out)) }
}

/// # Safety
///
/// `m` is the file that a show function was called for.
#[no_mangle]
unsafe extern "C" fn model_show_records(m: *mut bindings::seq_file) {
    // SAFETY: The caller guarantees it.
    unsafe { show(m, |out| Locked::new().show_records(out)) }
}

/// # Safety
///
/// `m` is the file that a show function was called for.
#[no_mangle]
unsafe extern "C" fn model_show_inject(m: *mut bindings::seq_file) {
    // SAFETY: The caller guarantees it.
    unsafe { show(m, |out| hwmodel::chip::show_help(out)) }
}

/// # Safety
///
/// `m` is the file that a show function was called for.
#[no_mangle]
unsafe extern "C" fn model_show_pwr(m: *mut bindings::seq_file) {
    // SAFETY: The caller guarantees it.
    unsafe { show(m, |out| Locked::new().gpu.show_pwr_log(out)) }
}

#[no_mangle]
extern "C" fn model_clear_pwr() {
    Locked::new().gpu.clear_pwr_log();
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
    Locked::new().clear_counters();
}

#[no_mangle]
extern "C" fn model_clear_records() {
    Locked::new().clear_records();
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
        None => with_model(|chip| chip.inject(&Soc, line).is_ok()),
    };
    if done {
        0
    } else {
        EINVAL.to_errno()
    }
}
