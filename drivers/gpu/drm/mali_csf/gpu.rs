// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The GPU block: what it is, reset, power of the L2 cache, cache flushes.
//!
//! # Locking
//!
//! `flush` serialises cache flushes, of which the hardware takes one at a time. It is the innermost
//! of the driver's mutexes: holders of an address space lock take it. `seen` is for those who ask for
//! the time, and nothing is taken inside of it. `resets` is a spinlock around a reference that is
//! cloned out of it. `flushed` is a spinlock between who begins a flush and the interrupt thread, around what
//! both do with the event of its end.
//!
//! # Ordering
//!
//! What is left of an earlier flush is forgotten before the command of the next one is written, both under
//! one lock. The interrupt thread, which may have looked when the earlier one had just ended, looks again with
//! that lock held before it takes the event and notes the end: so it is always that of the flush that was
//! begun last, and whoever waits for that looks for the event and for the note.
//!
//! Whoever finds the GPU in trouble notes that first and asks for a reset afterwards; the note goes when a
//! reset is complete, and with it all that was known to be stuck. That the GPU was settled by a reset is noted
//! until somebody asks.
//!
//! # Blocking
//!
//! A flush is polled for without sleeping at first. After that it waits for the interrupt thread of this
//! block, which takes no lock that a caller could hold.
//! A reset is polled for, with everybody else kept away from the registers: no line may be reporting,
//! as nobody could serve it. Each wait ends after [`COMPLETION_MS`].

use kernel::{
    device,
    io::{
        poll::read_poll_timeout_atomic,
        Io as _, //
    },
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            AtomicFlag,
            Full,
            Release, //
        },
        Arc,
        Mutex,
        SpinLock, //
    },
    time::Delta, //
};
use soc::wait::WaitQueue;

use crate::{
    file::usage::Moment,
    irq::{
        Events,
        Line, //
    },
    machine::Machine,
    regs::{
        self,
        gpu::*,
        irq::Block as IntBlock,
        Hw,
        Regs, //
    },
};

mod control;
mod info;
mod pwr;

use control::Control;
pub(crate) use info::Info;

/// Longest time that a reset or a cache flush may take, in ms: far more than it needs, as there is
/// nothing better to do with a GPU that is late than to wait.
const COMPLETION_MS: u32 = 1000;

/// How often the end of a flush is looked for without giving the CPU away, a microsecond each: a flush
/// with little to write back takes a few, which is less than an interrupt and two tasks that wake up.
const FLUSH_SPINS: usize = 20;

/// How often a reset is looked at; long enough that the CPU is given away meanwhile.
const RESET_POLL: Delta = Delta::from_micros(20);

/// First architecture with an [`AsnHash`] that can be set.
const ARCH_ASN_HASH: u32 = 11;

/// By which addresses are spread over the slices of the L2 cache, where the SoC's memory needs another way
/// than that of the GPU.
pub(crate) type AsnHash = [u32; 3];

/// State of the GPU block.
#[pin_data]
pub(crate) struct Block {
    dev: ARef<device::Device>,
    regs: Arc<Regs>,
    /// Through which events are reported.
    line: Arc<Line>,
    control: Control,
    coherent: bool,
    asn_hash: Option<AsnHash>,
    /// Its state is unknown: it has to be reset before it is used.
    needs_reset: AtomicFlag,
    /// A reset was begun and did not end.
    reset_stuck: AtomicFlag,
    /// A flush did not end.
    flush_stuck: AtomicFlag,
    /// The GPU was settled by a reset: what was in its caches is not in memory.
    discarded: AtomicFlag,
    /// The interrupt thread has taken the end of the flush that was begun last.
    #[pin]
    flushed: SpinLock<bool>,
    #[pin]
    done: WaitQueue,
    #[pin]
    flush: Mutex<()>,
    #[pin]
    seen: Mutex<Option<Moment>>,
    #[pin]
    resets: SpinLock<Option<Arc<Machine>>>,
}

impl Block {
    /// `line`: that of this block. `coherent`: the GPU's accesses snoop the CPU's caches. `asn_hash`: what the
    /// SoC needs, if it does.
    pub(crate) fn new(
        dev: ARef<device::Device>,
        regs: Arc<Regs>,
        line: Arc<Line>,
        info: &Info,
        coherent: bool,
        asn_hash: Option<AsnHash>,
    ) -> impl PinInit<Self> {
        let control = info.control;
        let can_hash = info.arch().0 >= ARCH_ASN_HASH;
        if asn_hash.is_some() && !can_hash {
            dev_err!(dev, "the SoC needs an L2 hash, which this GPU has not\n");
        }
        line.enable(int::FAULT | int::PROTECTED_FAULT);
        pin_init!(Self {
            dev,
            regs,
            line,
            control,
            coherent,
            asn_hash: asn_hash.filter(|_| can_hash),
            needs_reset: AtomicFlag::new(true),
            reset_stuck: AtomicFlag::new(false),
            flush_stuck: AtomicFlag::new(false),
            discarded: AtomicFlag::new(false),
            flushed <- new_spinlock!(false, "Block::flushed"),
            done <- soc::new_wait_queue!("Block::done"),
            flush <- new_mutex!((), "Block::flush"),
            seen <- new_mutex!(None, "Block::seen"),
            resets <- new_spinlock!(None, "Block::resets"),
        })
    }

    /// Whom to ask for a reset; `None` before the machine goes away.
    pub(crate) fn set_resets(&self, machine: Option<Arc<Machine>>) {
        let old = core::mem::replace(&mut *self.resets.lock(), machine);
        drop(old);
    }

    /// Whether the GPU's accesses snoop the CPU's caches.
    pub(crate) fn coherent(&self) -> bool {
        self.coherent
    }

    /// Writes the command for a flush. Returns whether it has ended already.
    fn begin_flush(&self) -> Result<bool> {
        let hw = regs::enter(&self.regs)?;
        {
            let mut flushed = self.flushed.lock();
            IntBlock::Gpu.clear(&hw, int::CLEAN_CACHES_COMPLETED);
            *flushed = false;
            hw.write_reg(GPU_COMMAND::flush_caches());
        }
        let ended = read_poll_timeout_atomic(
            || Ok(self.flush_has_ended(&hw)),
            |ended| *ended,
            Delta::from_micros(1),
            FLUSH_SPINS,
        );
        Ok(ended.is_ok())
    }

    /// Whether the flush that was begun last has ended, whoever has noticed.
    fn flush_has_ended(&self, hw: &Hw<'_>) -> bool {
        let flushed = self.flushed.lock();
        *flushed || IntBlock::Gpu.rawstat(hw) & int::CLEAN_CACHES_COMPLETED != 0
    }

    /// Waits until the interrupt thread has seen a flush end, or until the hardware says so and the
    /// thread is late.
    fn wait_flushed(&self) -> Result {
        let flushed = || *self.flushed.lock();
        if self.done.wait_timeout(COMPLETION_MS, flushed)
            || self.flush_has_ended(&regs::enter(&self.regs)?)
        {
            return Ok(());
        }
        dev_err!(self.dev, "cache flush timed out\n");
        Err(ETIMEDOUT)
    }

    /// Resets the GPU. The L2 cache is off afterwards. No interrupt line may be reporting.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`, `ENODEV`; `EPERM` if the hardware allows none.
    fn soft_reset(&self) -> Result {
        let hw = regs::alone(&self.regs)?;
        // A second command would not be taken before the first one is done.
        if !self.reset_stuck.load(Acquire) {
            self.control.begin_reset(&self.dev, &hw)?;
        }
        let done = regs::poll(
            || self.control.has_reset(&hw),
            |done| *done,
            RESET_POLL,
            Delta::from_millis(i64::from(COMPLETION_MS)),
        );
        self.reset_stuck.store(done == Err(ETIMEDOUT), Release);
        done.inspect_err(|err| match *err == ETIMEDOUT {
            true => dev_err!(self.dev, "soft reset timed out\n"),
            false => dev_err!(self.dev, "soft reset refused\n"),
        })?;
        self.control.forget_reset(&hw);
        self.flush_stuck.store(false, Release);
        self.needs_reset.store(false, Release);
        Ok(())
    }

    /// The GPU has just been given power: nothing of before is going on any more.
    pub(crate) fn powered(&self) {
        self.reset_stuck.store(false, Release);
        self.flush_stuck.store(false, Release);
    }

    /// The state of the GPU is not known: it is reset before it is used again. For those who are about
    /// to switch it on or off.
    pub(crate) fn distrust(&self) {
        self.needs_reset.store(true, Release);
    }

    /// Something in the GPU does not do what it must, and nothing but a reset helps: sees to it that
    /// there is one. Does not sleep.
    pub(crate) fn require_reset(&self) {
        self.distrust();
        let machine = self.resets.lock().clone();
        if let Some(machine) = machine {
            machine.request_reset();
        }
    }

    /// Whether the GPU is of no use before it was reset.
    pub(crate) fn needs_reset(&self) -> bool {
        self.needs_reset.load(Acquire)
    }

    /// Resets the GPU if that is the only way to a known state.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`, `ENODEV`; `EPERM` if the hardware allows none.
    pub(crate) fn reset_if_needed(&self) -> Result {
        match self.needs_reset() {
            true => self.soft_reset(),
            false => Ok(()),
        }
    }

    /// Brings the GPU to where its clocks and its power may go: everything in its caches is written
    /// back, or given up with a reset. The MCU has stopped, or never will.
    pub(crate) fn settle(&self) {
        if !self.needs_reset() && self.l2_power_off().is_ok() {
            return;
        }
        self.discarded.store(true, Release);
        // If that fails too, it is tried again before the GPU is used again.
        self.distrust();
        let _ = self.soft_reset();
    }

    /// Whether something that was written before the GPU was [settled](Self::settle) may never have got to
    /// memory. Says so once.
    pub(crate) fn take_discarded(&self) -> bool {
        self.discarded.xchg(false, Full)
    }

    /// Cleans and invalidates the caches that the GPU writes to, and invalidates the others.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`, also if an earlier one is still going on; `ENODEV`.
    pub(crate) fn flush_caches(&self) -> Result {
        let _flush = self.flush.lock();
        if self.flush_stuck.load(Acquire) {
            return Err(ETIMEDOUT);
        }
        if self.begin_flush()? {
            return Ok(());
        }
        self.line.enable(int::CLEAN_CACHES_COMPLETED);
        let done = self.wait_flushed();
        self.line.disable(int::CLEAN_CACHES_COMPLETED);
        done.inspect_err(|_| {
            self.flush_stuck.store(true, Release);
            self.require_reset();
        })
    }

    /// Powers the L2 cache. The firmware powers the other blocks when it needs them.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`, `ENODEV`; `EPERM` if the hardware refuses.
    pub(crate) fn l2_power_on(&self) -> Result {
        let hw = regs::enter(&self.regs)?;
        // The protocol and the configuration are taken over when the cache is powered.
        let protocol = if self.coherent {
            coherency::ACE_LITE
        } else {
            coherency::NONE
        };
        hw.write_reg(COHERENCY_PROTOCOL::from_raw(protocol));
        if let Some(hash) = self.asn_hash {
            for (n, value) in hash.into_iter().enumerate() {
                hw.write(regs::at(n)?, ASN_HASH::from_raw(value));
            }
            let config = hw.read(L2_CONFIG).with_asn_hash_enable(true);
            hw.write_reg(config);
        }

        self.control.l2_on(&self.dev, &hw).inspect_err(|_| {
            dev_err!(self.dev, "L2 cache does not power on\n");
            self.distrust();
        })
    }

    /// Takes power from the L2 cache, which writes back what it holds.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`, `ENODEV`.
    fn l2_power_off(&self) -> Result {
        let hw = regs::enter(&self.regs)?;
        self.control
            .l2_off(&self.dev, &hw)
            .inspect_err(|_| dev_err!(self.dev, "L2 cache does not power off\n"))
    }

    /// The way to the counters, for a caller who uses the GPU. Waits while the GPU is being reset.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub(crate) fn counters(&self) -> Result<Counters<'_>> {
        Ok(Counters(self.regs.enter_or_wait().ok_or(ENODEV)?))
    }

    /// The system timestamp and the kernel's clock, read together.
    ///
    /// # Errors
    ///
    /// `ENODEV`.
    pub(crate) fn moment(&self) -> Result<Moment> {
        drm::time::uninterrupted(|| {
            Ok(Moment {
                ticks: Counters(regs::enter(&self.regs)?).timestamp(),
                ns: drm::time::local_clock(),
            })
        })
    }

    /// A [moment](Self::moment), as late as is known: that of the last call with the GPU on, or `began`
    /// if there was none. The GPU is not switched on for this.
    pub(crate) fn last_moment(&self, began: Moment) -> Moment {
        let mut seen = self.seen.lock();
        if let Ok(now) = self.moment() {
            *seen = Some(now);
        }
        seen.unwrap_or(began)
    }
}

/// The GPU's counters, which can be read as long as this exists.
pub(crate) struct Counters<'a>(Hw<'a>);

impl Counters<'_> {
    /// System timestamp, in ticks of its own rate.
    pub(crate) fn timestamp(&self) -> u64 {
        regs::read_counter(
            || self.0.read(TIMESTAMP_LO).into_raw(),
            || self.0.read(TIMESTAMP_HI).into_raw(),
        )
    }

    /// What the GPU adds to the system timestamp, in its ticks.
    pub(crate) fn timestamp_offset(&self) -> u64 {
        let lo = self.0.read(TIMESTAMP_OFFSET_LO).into_raw();
        regs::join(lo, self.0.read(TIMESTAMP_OFFSET_HI).into_raw())
    }

    /// Cycles of the core clock.
    pub(crate) fn cycle_count(&self) -> u64 {
        regs::read_counter(
            || self.0.read(CYCLE_COUNT_LO).into_raw(),
            || self.0.read(CYCLE_COUNT_HI).into_raw(),
        )
    }
}

impl Events for Block {
    fn handle(&self, events: u32) -> Option<u32> {
        let hw = self.regs.enter()?;
        IntBlock::Gpu.clear(&hw, events & !int::CLEAN_CACHES_COMPLETED);

        if events & int::FAULT != 0 {
            let status = hw.read(GPU_FAULT_STATUS);
            let lo = hw.read(GPU_FAULT_ADDRESS_LO).into_raw();
            let address = regs::join(lo, hw.read(GPU_FAULT_ADDRESS_HI).into_raw());
            dev_warn!(
                self.dev,
                "GPU fault, code {:#x}, status {:#x}, at {address:#x}\n",
                status.code().get(),
                status.into_raw()
            );
        }
        if events & int::PROTECTED_FAULT != 0 {
            dev_warn!(self.dev, "GPU fault in protected mode\n");
        }

        if events & int::CLEAN_CACHES_COMPLETED != 0 {
            let mut flushed = self.flushed.lock();
            if IntBlock::Gpu.rawstat(&hw) & int::CLEAN_CACHES_COMPLETED != 0 {
                IntBlock::Gpu.clear(&hw, int::CLEAN_CACHES_COMPLETED);
                *flushed = true;
            }
        }
        self.done.wake_all();
        None
    }
}
