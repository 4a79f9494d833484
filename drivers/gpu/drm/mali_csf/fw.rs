// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The firmware: loading it, booting it, talking to it.
//!
//! # Locking
//!
//! Request words have a lock of their own, see [`words`]. `sched` in [`Signals`] is a spinlock around
//! a reference that is cloned out of it. Nothing else is written after the firmware has booted.
//!
//! # Ordering
//!
//! Load, enable the MCU's address space, unmask the job interrupt, start, wait for the interrupt,
//! read the interface table, configure. Stopping goes backwards: halt the MCU while its interrupt
//! still works, stop, mask; the address space and the L2 cache go later. Firmware that was halted
//! goes on from its memory at the next start; any other has to be loaded again.
//!
//! # Blocking
//!
//! Waits for acknowledgements end when the job interrupt thread wakes them, or after their timeout.
//! That thread tells the scheduler as well: what waits for an acknowledgement must not hold a lock
//! that the scheduler takes in its event handlers.

use kernel::{
    device, impl_has_delayed_work,
    io::Io as _,
    new_delayed_work, new_spinlock,
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
        SpinLock, //
    },
    time::{
        msecs_to_jiffies,
        Delta, //
    },
    workqueue::{
        DelayedWork,
        WorkItem, //
    },
};
use soc::{
    wait::WaitQueue,
    wq::Workqueue, //
};

use crate::{
    driver::DrmDevice,
    gem::{
        KernelBo,
        Place, //
    },
    irq::{
        Events,
        Listening,
        Requested, //
    },
    mmu::{
        Active,
        Mmu, //
    },
    regs::{
        self,
        irq::{
            Block as IntBlock,
            JOB_GLOBAL, //
        },
        mcu::*,
        Regs, //
    },
    sched::Scheduler,
    vm::{
        MapFlags,
        Vm, //
    },
};

pub(crate) mod group;
mod iface;
pub(crate) mod image;
mod layout;
mod memory;
mod ring;
pub(crate) mod stream;
mod words;

pub(crate) use group::*;
pub(crate) use iface::Csif;
pub(crate) use ring::QueueIface;
pub(crate) use ring::QueueIfaces;
pub(crate) use stream::*;

use iface::Interface;
use image::{
    SHARED_SIZE,
    SHARED_START, //
};
use layout::{
    glb,
    ACK,
    DOORBELL_ACK,
    DOORBELL_REQ,
    REQ, //
};
use memory::Memory;
use words::Shared;

/// Longest time that the firmware may take to boot, in ms.
const BOOT_MS: u32 = 1000;

/// Longest time that it may take to halt.
const HALT_TIMEOUT: Delta = Delta::from_millis(1000);

/// Longest time that the MCU may take to stop.
const STOP_TIMEOUT: Delta = Delta::from_millis(1000);

/// How often the state of the MCU is polled; long enough that the CPU is given away meanwhile.
const MCU_POLL: Delta = Delta::from_micros(20);

/// Time between two pings, in ms.
const PING_INTERVAL_MS: u32 = 12_000;

/// Longest time that the firmware may take to answer a ping, in ms.
const PING_MS: u32 = 1000;

/// How long an idle core keeps its power, in µs.
const POWEROFF_US: u64 = 10_000;

/// How long the GPU has to be idle before the firmware says so, in µs.
const IDLE_US: u64 = 800;

/// How many GPU cycles a group may go without progress.
const PROGRESS_CYCLES: u32 = 5 * 500 * 1024 * 1024;

/// The firmware's timers count units of so many ticks.
const TIMER_UNIT: u64 = 1024;

/// What the job interrupt wakes.
#[pin_data]
pub(crate) struct Signals {
    regs: Arc<Regs>,
    booted: AtomicFlag,
    #[pin]
    acked: WaitQueue,
    #[pin]
    sched: SpinLock<Option<Arc<Scheduler>>>,
}

impl Signals {
    pub(crate) fn new(regs: Arc<Regs>) -> impl PinInit<Self> {
        pin_init!(Self {
            regs,
            booted: AtomicFlag::new(false),
            acked <- soc::new_wait_queue!("Signals::acked"),
            sched <- new_spinlock!(None, "Signals::sched"),
        })
    }

    /// Whom to tell about events; `None` before the scheduler goes away.
    pub(crate) fn set_scheduler(&self, sched: Option<Arc<Scheduler>>) {
        let old = core::mem::replace(&mut *self.sched.lock(), sched);
        drop(old);
    }

    fn scheduler(&self) -> Option<Arc<Scheduler>> {
        self.sched.lock().clone()
    }
}

impl Events for Signals {
    fn handle(&self, events: u32) -> Option<u32> {
        let seen = {
            let hw = self.regs.enter()?;
            IntBlock::Job.clear(&hw, events);
            // What has happened is in memory, so the write has to arrive before that is looked at.
            IntBlock::Job.rawstat(&hw)
        };
        let global = events & JOB_GLOBAL != 0;
        if global {
            self.booted.store(true, Release);
        }
        self.acked.wake_all();
        if let Some(sched) = self.scheduler() {
            sched.fw_events(events & !JOB_GLOBAL, global);
        }
        Some(seen)
    }
}

/// Global events that were waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GlbEvents {
    /// No group has anything to do.
    pub(crate) idle: bool,
}

/// What the firmware has to know about the GPU.
pub(crate) struct Parameters {
    /// Architecture, major and minor, to choose an image by.
    pub(crate) arch: (u32, u32),
    /// Cores that may be used.
    pub(crate) cores: u64,
    /// Rate of the system's timer, in Hz, which is the GPU's timestamp as well; zero if there is none.
    pub(crate) timer_hz: u64,
    /// Highest rate of the core clock, in Hz: without that timer the firmware's count its cycles, and take
    /// longer at a lower one.
    pub(crate) core_hz: u64,
}

/// Firmware that has booted.
#[pin_data]
pub(crate) struct Firmware {
    dev: ARef<device::Device>,
    regs: Arc<Regs>,
    signals: Arc<Signals>,
    iface: Interface,
    memory: Arc<Memory>,
    parameters: Parameters,
    /// It was halted, and its memory is as it has left it.
    halted: AtomicFlag,
    wq: Arc<Workqueue>,
    #[pin]
    ping: DelayedWork<Self>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Firmware { self.ping }
}

/// A running MCU; stopped on drop, before its memory can go away.
pub(crate) struct Mcu {
    dev: ARef<device::Device>,
    regs: Arc<Regs>,
    _listening: Listening<Signals>,
    /// Keeps the MCU's address space in its slot.
    _active: Active,
    _memory: Arc<Memory>,
}

impl Mcu {
    /// Starts the MCU and waits until it says that it has booted.
    fn start(
        dev: &device::Device,
        regs: &Arc<Regs>,
        signals: &Signals,
        line: &Arc<Requested<Signals>>,
        memory: Arc<Memory>,
    ) -> Result<Self> {
        let active = memory.vm().activate()?;
        signals.booted.store(false, Release);
        line.line().enable(u32::MAX);
        let listening = line.listen();
        regs::enter(regs)?.write_reg(MCU_CONTROL::auto());
        let this = Self {
            dev: dev.into(),
            regs: regs.clone(),
            _listening: listening,
            _active: active,
            _memory: memory,
        };

        let booted = signals
            .acked
            .wait_timeout(BOOT_MS, || signals.booted.load(Acquire));
        if !booted {
            let hw = regs::enter(regs)?;
            if IntBlock::Job.rawstat(&hw) & JOB_GLOBAL == 0 {
                let state = McuState::from(hw.read(MCU_STATUS));
                dev_err!(
                    dev,
                    "firmware does not boot, MCU is {}: install the file that linux-firmware has for \
                     this GPU\n",
                    state.name()
                );
                return Err(ETIMEDOUT);
            }
        }
        Ok(this)
    }

    fn wait(&self, state: McuState, timeout: Delta) -> Result {
        let hw = regs::enter(&self.regs)?;
        regs::poll(
            || Ok(McuState::from(hw.read(MCU_STATUS))),
            |now| *now == state,
            MCU_POLL,
            timeout,
        )?;
        Ok(())
    }
}

impl Drop for Mcu {
    fn drop(&mut self) {
        let Some(hw) = self.regs.enter() else { return };
        hw.write_reg(MCU_CONTROL::disable());
        drop(hw);
        if self.wait(McuState::Disabled, STOP_TIMEOUT).is_err() {
            dev_err!(self.dev, "MCU does not stop\n");
        }
    }
}

impl Firmware {
    /// Loads the firmware and boots it. `line` is the job interrupt, which reports to `signals`.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no image for this architecture, `EINVAL` if the image or the interface
    /// that it shows is malformed, `ETIMEDOUT` if it does not boot, `ENOMEM`.
    pub(crate) fn boot(
        ddev: &DrmDevice,
        mmu: &Arc<Mmu>,
        regs: &Arc<Regs>,
        signals: &Arc<Signals>,
        line: &Arc<Requested<Signals>>,
        parameters: Parameters,
    ) -> Result<(Arc<Self>, Mcu)> {
        let dev = mmu.dev();
        let auto = u64::from(SHARED_START)..u64::from(SHARED_START) + u64::from(SHARED_SIZE);
        let vm = Vm::new_mcu(ddev, mmu, auto)?;
        let (memory, map) = Memory::load(dev, vm, parameters.arch)?;
        let mcu = Mcu::start(dev, regs, signals, line, memory.clone())?;

        let shared = Arc::pin_init(Shared::new(map), GFP_KERNEL)?;
        let iface = Interface::parse(dev, shared)?;
        let wq = Arc::new(Workqueue::unbound(c"mali_csf-ping")?, GFP_KERNEL)?;
        let this = Arc::pin_init(
            pin_init!(Self {
                dev: dev.into(),
                regs: regs.clone(),
                signals: signals.clone(),
                iface,
                memory,
                parameters,
                halted: AtomicFlag::new(false),
                wq,
                ping <- new_delayed_work!("Firmware::ping"),
            }),
            GFP_KERNEL,
        )?;
        this.configure()?;
        Ok((this, mcu))
    }

    /// Starts it again, after [`Self::halt`] and a time without power or with a reset. It goes on from
    /// its memory if it was halted; else it is loaded again.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` if it does not boot, `ENODEV`. The next attempt loads it again.
    pub(crate) fn restart(self: &Arc<Self>, line: &Arc<Requested<Signals>>) -> Result<Mcu> {
        if self.halted.xchg(false, Full) {
            self.request_halt(false);
        } else {
            self.memory.reload()?;
        }
        let mcu = Mcu::start(
            &self.dev,
            &self.regs,
            &self.signals,
            line,
            self.memory.clone(),
        )?;
        self.configure()?;
        Ok(mcu)
    }

    /// Whether it was halted, and can go on from its memory.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Acquire)
    }

    /// Tells the firmware what it may use and how long to wait, and starts the watchdog.
    fn configure(self: &Arc<Self>) -> Result {
        let parameters = &self.parameters;
        let (shared, input) = (self.shared(), self.iface.global.input);
        let (hz, source) = match parameters.timer_hz {
            0 => (parameters.core_hz, glb::TIMER_GPU_CLOCK),
            hz => (hz, 0),
        };
        let timer = |us: u64| {
            // Without a known rate, the longest time keeps the firmware from switching off too early.
            let ticks = us.saturating_mul(hz).div_ceil(1_000_000);
            let units = match hz {
                0 => glb::TIMER_MAX,
                _ => u32::try_from(ticks.div_ceil(TIMER_UNIT)).unwrap_or(glb::TIMER_MAX),
            };
            units.min(glb::TIMER_MAX) | source
        };

        shared.write64(input, glb::input::CORE_EN_MASK, parameters.cores);
        shared.write(input, glb::input::POWEROFF_TIMER, timer(POWEROFF_US));
        // The unit is 1024 cycles here too.
        shared.write(input, glb::input::PROGRESS_TIMER, PROGRESS_CYCLES >> 10);
        shared.write(input, glb::input::IDLE_TIMER, timer(IDLE_US));

        let configured =
            glb::req::CFG_ALLOC_EN | glb::req::CFG_POWEROFF_TIMER | glb::req::CFG_PROGRESS_TIMER;
        let mut acknowledged = configured | glb::req::PING | glb::req::IDLE_EN | glb::req::IDLE;
        if self.iface.since(4, 1) {
            acknowledged |= glb::req::STATE;
        }
        shared.write(input, glb::input::ACK_IRQ_MASK, acknowledged);

        let enabled = glb::req::IDLE_EN | glb::req::COUNTER_EN;
        shared.update(input, REQ, enabled, enabled);
        shared.toggle(&self.iface.global, REQ, ACK, configured);
        self.ring(Doorbell::GLOBAL)?;

        soc::wq::mod_delayed(&self.wq, self.clone(), msecs_to_jiffies(PING_INTERVAL_MS));
        Ok(())
    }

    /// Tells the firmware to halt, or that it may run.
    fn request_halt(&self, halt: bool) {
        let input = self.iface.global.input;
        let (value, mask) = match (self.iface.since(4, 1), halt) {
            (true, true) => (glb::req::STATE_HALT, glb::req::STATE),
            (true, false) => (glb::req::STATE_ACTIVE, glb::req::STATE),
            (false, true) => (glb::req::HALT, glb::req::HALT),
            (false, false) => (0, glb::req::HALT),
        };
        self.shared().update(input, REQ, value, mask);
    }

    /// Waits until firmware with a state field says itself that it has halted.
    fn wait_halt_acknowledged(&self) -> Result {
        let shared = self.shared();
        if self.iface.since(4, 1) {
            regs::poll(
                || Ok(shared.pending(&self.iface.global, REQ, ACK, glb::req::STATE)),
                |pending| *pending == 0,
                MCU_POLL,
                HALT_TIMEOUT,
            )?;
        }
        Ok(())
    }

    /// Stops the watchdog and halts the MCU, which brings its memory into order. Nothing may be on a
    /// group slot any more. The MCU is still to be stopped. Returns whether it has halted.
    pub(crate) fn halt(self: &Arc<Self>, mcu: &Mcu) -> bool {
        soc::wq::cancel_delayed_sync(self);
        self.request_halt(true);
        let halted = self
            .ring(Doorbell::GLOBAL)
            .and_then(|()| mcu.wait(McuState::Halted, HALT_TIMEOUT))
            .and_then(|()| self.wait_halt_acknowledged())
            .is_ok();
        if !halted {
            dev_warn!(self.dev, "MCU does not halt\n");
        }
        self.halted.store(halted, Release);
        halted
    }

    /// Stops the watchdog of firmware that is not asked to halt, because nothing it does is of any use
    /// any more. The MCU is still to be stopped.
    pub(crate) fn give_up(self: &Arc<Self>) {
        soc::wq::cancel_delayed_sync(self);
        self.halted.store(false, Release);
    }

    /// Its memory is not as it has left it: the next start loads it again.
    pub(crate) fn distrust_memory(&self) {
        self.halted.store(false, Release);
    }

    /// Whether it answers. Sleeps, at most [`PING_MS`] if it does not.
    fn answers(&self) -> bool {
        let global = &self.iface.global;
        let pending = || self.shared().pending(global, REQ, ACK, glb::req::PING) != 0;

        self.shared().toggle(global, REQ, ACK, glb::req::PING);
        self.ring(Doorbell::GLOBAL).is_ok() && self.wait(PING_MS, || !pending())
    }

    fn shared(&self) -> &Shared {
        &self.iface.shared
    }

    fn iface(&self) -> &Interface {
        &self.iface
    }

    /// Waits until `done`, which reads words of the interface, is true.
    fn wait(&self, timeout_ms: u32, done: impl FnMut() -> bool) -> bool {
        self.signals.acked.wait_timeout(timeout_ms, done)
    }

    /// What the firmware offers.
    pub(crate) fn csif(&self) -> &Csif {
        &self.iface.csif
    }

    /// A group slot.
    pub(crate) fn csg(&self, slot: CsgSlot) -> Csg<'_> {
        // A `CsgSlot` is smaller than the number of slots in `csif()`, which is that of `groups`.
        Csg::new(self, slot, &self.iface.groups[slot.index()])
    }

    /// Rings a doorbell. Does not sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the hardware is gone.
    pub(crate) fn ring(&self, doorbell: Doorbell) -> Result {
        regs::ring(&regs::enter(&self.regs)?, usize::from(doorbell.index()))
    }

    /// Tells the firmware that the slots in `slots` have requests. Does not sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the hardware is gone.
    pub(crate) fn ring_csgs(&self, slots: u32) -> Result {
        let global = &self.iface.global;
        self.shared()
            .toggle(global, DOORBELL_REQ, DOORBELL_ACK, slots);
        self.ring(Doorbell::GLOBAL)
    }

    /// Takes and acknowledges the global events that are waiting.
    pub(crate) fn take_global_events(&self) -> GlbEvents {
        let global = &self.iface.global;
        let events = self.shared().take(global, REQ, ACK, glb::req::IDLE);
        GlbEvents {
            idle: events & glb::req::IDLE != 0,
        }
    }

    /// Memory for the ring buffer interfaces of the `count` queues of a group.
    ///
    /// # Errors
    ///
    /// `ENOSPC`, `ENOMEM`.
    pub(crate) fn alloc_queue_ifaces(&self, count: usize) -> Result<QueueIfaces> {
        QueueIfaces::new(self.memory.vm(), count)
    }

    /// Memory for a suspended group; `size` bytes as [`Csif`] says.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `size` is 0, `ENOSPC`, `ENOMEM`.
    pub(crate) fn alloc_suspend_buf(&self, size: u32) -> Result<KernelBo> {
        let size = usize::try_from(size)?;
        KernelBo::new_gpu_only(self.memory.vm(), size, MapFlags::NOEXEC, Place::Anywhere)
    }
}

impl WorkItem for Firmware {
    type Pointer = Arc<Self>;

    /// The watchdog: firmware that does not answer needs a reset.
    fn run(this: Arc<Self>) {
        if this.answers() {
            soc::wq::mod_delayed(&this.wq, this.clone(), msecs_to_jiffies(PING_INTERVAL_MS));
            return;
        }
        // Out of reach is not the same as silent: somebody is switching it off then.
        if this.regs.enter().is_none() {
            return;
        }
        dev_err!(this.dev, "firmware does not answer\n");
        if let Some(sched) = this.signals.scheduler() {
            sched.require_reset();
        }
    }
}
