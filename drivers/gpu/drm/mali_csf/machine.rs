// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Switching the GPU on and off: clocks, registers, caches, MMU, firmware, scheduler. And resetting it,
//! which is both, but for clocks and power.
//!
//! Every step is a value whose drop undoes it. What runs is one value that holds them in the reverse
//! order, so that an attempt that fails half-way and an orderly end both unwind as they should.
//!
//! A reset is asked for by whoever finds that the hardware or the firmware does not do what it must
//! ([`gpu::Block::require_reset`]), or by hand. It drops what runs and makes it anew, with firmware that
//! is loaded again. Groups that the firmware can still save, or has saved before, go on afterwards. If
//! it fails, all groups end and the GPU is switched off, whatever the PM core believes. It is switched
//! on again when the PM core thinks that it is time to, or by hand.
//!
//! # Locking
//!
//! `inner` is a mutex around all that changes when the GPU is switched. It is the outermost lock of
//! the driver: nobody takes it but the PM core's callbacks, probe, unbind and the reset, and nobody who
//! is waited for here.
//!
//! # Ordering
//!
//! Up: clocks, gate, the governor of the rate, reset where there was trouble, GPU interrupt, L2 cache,
//! MMU interrupt, job interrupt, the MCU's address space, MCU, scheduler, flush id. Down: the reverse,
//! but the L2 cache is nearly the last, as it may take a reset to get rid of it, in which no interrupt
//! can be served. Groups are saved to memory when the scheduler is put to sleep, and firmware when it is
//! halted. Address spaces lose their slots; they get one again when a group that uses them does.
//! What does not get out of the caches on the way down is lost with the reset that this takes: groups that
//! were saved only to there have ended, and firmware is loaded again.
//!
//! Resets end before the scheduler does at unbind. One that comes when the GPU is off has nothing to do:
//! the note that there was trouble stays until the GPU is switched on.
//!
//! # Blocking
//!
//! Switching waits for the firmware and for the GPU, in bounded time, and for who is inside the gate.
//! To switch on may take memory in other parts of the kernel. So it must not happen between the commit
//! and the signal of a job: a job holds its use of the GPU from before its commit.
//!
//! The fences of jobs that go on after a reset wait for it. Hence it is a signalling section of its own:
//! it takes no memory, not even to load the firmware, and waits for nothing that does. It does wait for
//! `inner`, outside of the section. Who holds that switches the GPU on or off meanwhile, and there is
//! no job that needs the reset then: it was saved, or has ended, when the GPU was switched off.

use job::Signalling;
use kernel::{
    device,
    impl_has_work,
    new_mutex,
    new_work,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            AtomicFlag,
            Full, //
        },
        Arc,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use soc::{
    devfreq::Load,
    gate::Opened,
    wq::{
        self,
        Workqueue, //
    }, //
};

use crate::{
    devfreq::{
        Scaled,
        Scaling, //
    },
    flush_id::{
        self,
        FlushId, //
    },
    fw::{
        self,
        Firmware, //
    },
    gpu,
    irq::{
        Listening,
        Requested, //
    },
    mmu::Mmu,
    power::{
        Clocked,
        Supplies, //
    },
    regs::{
        Regs,
        Window, //
    },
    sched::Scheduler,
};

/// The blocks of the GPU, with their interrupts.
pub(crate) struct Blocks {
    pub(crate) gpu: Arc<gpu::Block>,
    pub(crate) gpu_irq: Arc<Requested<gpu::Block>>,
    pub(crate) mmu: Arc<Mmu>,
    pub(crate) mmu_irq: Arc<Requested<Mmu>>,
    pub(crate) signals: Arc<fw::Signals>,
    pub(crate) job_irq: Arc<Requested<fw::Signals>>,
}

impl Blocks {
    /// Gets the blocks into a state in which the MCU can boot. The gate is open.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`, `ENODEV`.
    pub(crate) fn raise(&self) -> Result<Raised> {
        self.gpu.reset_if_needed()?;
        let gpu_irq = self.gpu_irq.listen();
        self.gpu.l2_power_on()?;
        let l2 = L2(self.gpu.clone());
        self.mmu.revived();
        let mmu_irq = self.mmu_irq.listen();
        Ok(Raised {
            _spaces: Spaces(self.mmu.clone()),
            _mmu_irq: mmu_irq,
            _gpu_irq: gpu_irq,
            _l2: l2,
        })
    }
}

/// An L2 cache with power.
struct L2(Arc<gpu::Block>);

impl Drop for L2 {
    fn drop(&mut self) {
        self.0.settle();
    }
}

/// Address spaces, all taken from their owners on drop.
struct Spaces(Arc<Mmu>);

impl Drop for Spaces {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// Blocks that work.
pub(crate) struct Raised {
    _spaces: Spaces,
    _mmu_irq: Listening<Mmu>,
    _gpu_irq: Listening<gpu::Block>,
    _l2: L2,
}

/// Firmware that runs; halted and stopped on drop.
pub(crate) struct Booted {
    fw: Arc<Firmware>,
    gpu: Arc<gpu::Block>,
    mcu: fw::Mcu,
}

impl Booted {
    /// `mcu` is what `fw` runs on.
    pub(crate) fn new(fw: Arc<Firmware>, gpu: Arc<gpu::Block>, mcu: fw::Mcu) -> Self {
        Self { fw, gpu, mcu }
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if self.gpu.needs_reset() {
            self.fw.give_up();
        } else if !self.fw.halt(&self.mcu) {
            self.gpu.distrust();
        }
    }
}

/// A scheduler that decides; its groups are saved to memory on drop.
struct Awake(Arc<Scheduler>);

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.sleep();
    }
}

/// Everything that has to run for jobs to run.
struct Running {
    _sched: Awake,
    _booted: Booted,
    _raised: Raised,
}

/// What is switched on, once it exists.
struct Hardware {
    blocks: Blocks,
    fw: Arc<Firmware>,
    sched: Arc<Scheduler>,
}

impl Hardware {
    /// One attempt to get everything to run.
    fn try_run(&self) -> Result<(Booted, Raised)> {
        let raised = self.blocks.raise()?;
        let mcu = self
            .fw
            .restart(&self.blocks.job_irq)
            .inspect_err(|_| self.blocks.gpu.distrust())?;
        Ok((
            Booted::new(self.fw.clone(), self.blocks.gpu.clone(), mcu),
            raised,
        ))
    }

    /// Gets everything to run: from where the firmware was halted, or, if that fails, from a reset and
    /// with firmware that is loaded again.
    fn run(&self, dev: &device::Device) -> Result<Running> {
        if self.blocks.gpu.take_discarded() {
            self.fw.distrust_memory();
        }
        let goes_on = self.fw.is_halted();
        let (booted, raised) = self.try_run().or_else(|err| match goes_on {
            true => {
                dev_warn!(dev, "resume failed ({err:?}), loading the firmware again\n");
                self.try_run()
            }
            false => Err(err),
        })?;
        self.sched.wake();
        Ok(Running {
            _sched: Awake(self.sched.clone()),
            _booted: booted,
            _raised: raised,
        })
    }
}

/// A GPU that is switched on. The order of the fields is the order in which it is switched off.
struct On {
    flush_id: Option<flush_id::Shown>,
    running: Option<Running>,
    _scaled: Scaled,
    _registers: Opened<Window, Clocked>,
}

impl On {
    /// Makes what runs anew, with a reset in between.
    fn restart(&mut self, hardware: &Hardware, dev: &device::Device) -> Result {
        self.running = None;
        self.running = Some(hardware.run(dev)?);
        Ok(())
    }
}

struct Inner {
    hardware: Option<Hardware>,
    on: Option<On>,
}

/// The GPU as something that can be switched on and off.
#[pin_data]
pub(crate) struct Machine {
    dev: ARef<device::Device>,
    scaling: Scaling,
    supplies: Arc<Supplies>,
    regs: Arc<Regs>,
    flush_id: Arc<FlushId>,
    /// Somebody wants a reset, trouble or not.
    asked: AtomicFlag,
    /// For resets.
    wq: Workqueue,
    #[pin]
    reset: Work<Self>,
    #[pin]
    inner: Mutex<Inner>,
}

impl_has_work! {
    impl HasWork<Self> for Machine { self.reset }
}

impl WorkItem for Machine {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.reset();
    }
}

/// A machine that resets the GPU when it has to. Dropped, it does not any more, and is not in the middle
/// of it.
pub(crate) struct Resets {
    machine: Arc<Machine>,
    gpu: Arc<gpu::Block>,
}

impl Drop for Resets {
    fn drop(&mut self) {
        self.gpu.set_resets(None);
        wq::disable_sync(&self.machine);
    }
}

impl Machine {
    /// A GPU that has supplies but no clocks.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        dev: &device::Device,
        scaling: Scaling,
        supplies: Arc<Supplies>,
        regs: Arc<Regs>,
        flush_id: Arc<FlushId>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                dev: dev.into(),
                scaling,
                supplies,
                regs,
                flush_id,
                asked: AtomicFlag::new(false),
                wq: Workqueue::unbound(c"mali_csf-reset")?,
                reset <- new_work!("Machine::reset"),
                inner <- new_mutex!(
                    Inner {
                        hardware: None,
                        on: None,
                    },
                    "Machine::inner"
                ),
            }? Error),
            GFP_KERNEL,
        )
    }

    /// The supplies and clocks.
    pub(crate) fn supplies(&self) -> &Supplies {
        &self.supplies
    }

    /// By which the scheduler says when there is work.
    pub(crate) fn load(&self) -> &Arc<Load> {
        self.scaling.load()
    }

    /// Takes over what probe has got to run. From now on it is switched off and on again as a whole,
    /// and reset if need be.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the GPU is not switched on.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        blocks: Blocks,
        fw: Arc<Firmware>,
        sched: Arc<Scheduler>,
        booted: Booted,
        raised: Raised,
    ) -> Result<Resets> {
        let resets = Resets {
            machine: self.clone(),
            gpu: blocks.gpu.clone(),
        };
        let mut inner = self.inner.lock();
        let on = inner.on.as_mut().ok_or(ENODEV)?;
        on.running = Some(Running {
            _sched: Awake(sched.clone()),
            _booted: booted,
            _raised: raised,
        });
        on.flush_id = Some(self.flush_id.show());
        blocks.gpu.set_resets(Some(self.clone()));
        inner.hardware = Some(Hardware { blocks, fw, sched });
        Ok(resets)
    }

    /// Frees the interrupts. The GPU is switched off for good.
    pub(crate) fn dismantle(&self) {
        let hardware = self.inner.lock().hardware.take();
        drop(hardware);
    }

    /// There is to be a reset soon. Does not sleep.
    pub(crate) fn request_reset(self: &Arc<Self>) {
        // If it is queued already, that one will do.
        let _ = self.wq.enqueue(self.clone());
    }

    /// Resets the GPU, if it is switched on, and waits for that. One that is going on anyway will do.
    ///
    /// # Errors
    ///
    /// `EIO` if it fails.
    pub(crate) fn reset_now(self: &Arc<Self>) -> Result {
        self.asked.xchg(true, Full);
        self.request_reset();
        self.wq.flush();
        match &self.inner.lock().hardware {
            Some(hardware) if hardware.sched.is_lost() => Err(EIO),
            _ => Ok(()),
        }
    }

    /// The work item.
    fn reset(&self) {
        let mut inner = self.inner.lock();
        let Inner {
            hardware: Some(hardware),
            on,
        } = &mut *inner
        else {
            return;
        };
        let gpu = &hardware.blocks.gpu;
        let asked = self.asked.xchg(false, Full);
        let dev = &*self.dev;
        let done = match on {
            Some(on) if asked || gpu.needs_reset() => {
                dev_warn!(dev, "resetting the GPU\n");
                gpu.distrust();
                Signalling::section(|_| on.restart(hardware, dev))
            }
            // The last one has failed.
            None if asked && hardware.sched.is_lost() => self
                .switch_on(Some(hardware))
                .map(|again| *on = Some(again)),
            _ => return,
        };
        if let Err(err) = done {
            dev_err!(dev, "GPU is lost, reset failed: {err:?}\n");
            *on = None;
            hardware.sched.lose();
        }
        // Whoever has asked meanwhile has got what was asked for.
        self.asked.xchg(false, Full);
    }
}

impl Machine {
    /// Switches on what there is.
    fn switch_on(&self, hardware: Option<&Hardware>) -> Result<On> {
        let registers = self.regs.open(self.supplies.clock(&self.dev)?)?;
        let scaled = self.scaling.start();
        let running = hardware
            .map(|hardware| hardware.run(&self.dev))
            .transpose()?;
        Ok(On {
            flush_id: running.is_some().then(|| self.flush_id.show()),
            running,
            _scaled: scaled,
            _registers: registers,
        })
    }
}

impl soc::pm::Operations for Machine {
    fn resume(&self) -> Result {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if let Some(hardware) = &inner.hardware {
            hardware.blocks.gpu.powered();
        }
        let on = self.switch_on(inner.hardware.as_ref()).inspect_err(|err| {
            dev_err!(self.dev, "cannot switch the GPU on: {err:?}\n");
            // After system sleep there may be jobs, which nobody would try to resume the GPU for.
            if let Some(hardware) = &inner.hardware {
                hardware.sched.strand();
            }
        })?;
        inner.on = Some(on);
        Ok(())
    }

    fn suspend(&self) {
        let mut inner = self.inner.lock();
        inner.on = None;
        // One that is lost counts as found: the next attempt to switch it on will tell.
        if let Some(hardware) = &inner.hardware {
            hardware.sched.found();
        }
    }
}
