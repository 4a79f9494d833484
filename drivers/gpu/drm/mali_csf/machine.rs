// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Switching the GPU on and off: clocks, registers, caches, MMU, firmware, scheduler.
//!
//! Every step is a value whose drop undoes it. What runs is one value that holds them in the reverse
//! order, so that an attempt that fails half-way and an orderly end both unwind as they should.
//!
//! # Locking
//!
//! `inner` is a mutex around all that changes when the GPU is switched. It is the outermost lock of
//! the driver: nobody takes it but the PM core's callbacks, probe and unbind, and nobody who is
//! waited for here.
//!
//! # Ordering
//!
//! Up: clocks, gate, GPU interrupt, reset where there was trouble, L2 cache, MMU interrupt, job
//! interrupt, the MCU's address space, MCU, scheduler, flush id. Down: the reverse. Groups are saved to
//! memory when the scheduler is put to sleep, and firmware when it is halted. Address spaces lose their
//! slots; they get one again when a group that uses them does.
//!
//! # Blocking
//!
//! Switching waits for the firmware and for the GPU, in bounded time, and for who is inside the gate.
//! It allocates when firmware has to be loaded again. So it must not happen between the commit and the
//! signal of a job: a job holds its use of the GPU from before its commit.

use kernel::{
    device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};
use soc::gate::Opened;

use crate::{
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
        let gpu_irq = self.gpu_irq.listen();
        self.gpu.reset_if_needed()?;
        self.gpu.l2_power_on()?;
        let l2 = L2(self.gpu.clone());
        self.mmu.revived();
        let mmu_irq = self.mmu_irq.listen();
        Ok(Raised {
            _spaces: Spaces(self.mmu.clone()),
            _mmu_irq: mmu_irq,
            _l2: l2,
            _gpu_irq: gpu_irq,
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
    _l2: L2,
    _gpu_irq: Listening<gpu::Block>,
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
        if !self.fw.halt(&self.mcu) {
            self.gpu.require_reset();
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
            .inspect_err(|_| self.blocks.gpu.require_reset())?;
        Ok((
            Booted::new(self.fw.clone(), self.blocks.gpu.clone(), mcu),
            raised,
        ))
    }

    /// Gets everything to run: from where the firmware was halted, or, if that fails, from a reset and
    /// with firmware that is loaded again.
    fn run(&self, dev: &device::Device) -> Result<Running> {
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
    _registers: Opened<Window, Clocked>,
}

struct Inner {
    hardware: Option<Hardware>,
    on: Option<On>,
}

/// The GPU as something that can be switched on and off.
#[pin_data]
pub(crate) struct Machine {
    dev: ARef<device::Device>,
    supplies: Supplies,
    regs: Arc<Regs>,
    flush_id: Arc<FlushId>,
    #[pin]
    inner: Mutex<Inner>,
}

impl Machine {
    /// A GPU that has supplies but no clocks.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        dev: &device::Device,
        supplies: Supplies,
        regs: Arc<Regs>,
        flush_id: Arc<FlushId>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                dev: dev.into(),
                supplies,
                regs,
                flush_id,
                inner <- new_mutex!(
                    Inner {
                        hardware: None,
                        on: None,
                    },
                    "Machine::inner"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// The supplies and clocks.
    pub(crate) fn supplies(&self) -> &Supplies {
        &self.supplies
    }

    /// Takes over what probe has got to run. From now on it is switched off and on again as a whole.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the GPU is not switched on.
    pub(crate) fn adopt(
        &self,
        blocks: Blocks,
        fw: Arc<Firmware>,
        sched: Arc<Scheduler>,
        booted: Booted,
        raised: Raised,
    ) -> Result {
        let mut inner = self.inner.lock();
        let on = inner.on.as_mut().ok_or(ENODEV)?;
        on.running = Some(Running {
            _sched: Awake(sched.clone()),
            _booted: booted,
            _raised: raised,
        });
        on.flush_id = Some(self.flush_id.show());
        inner.hardware = Some(Hardware { blocks, fw, sched });
        Ok(())
    }

    /// Frees the interrupts. The GPU is switched off for good.
    pub(crate) fn dismantle(&self) {
        let hardware = self.inner.lock().hardware.take();
        drop(hardware);
    }
}

impl Machine {
    /// Switches on what there is.
    fn switch_on(&self, hardware: Option<&Hardware>) -> Result<On> {
        let registers = self.regs.open(self.supplies.clock(&self.dev)?)?;
        let running = hardware
            .map(|hardware| hardware.run(&self.dev))
            .transpose()?;
        Ok(On {
            flush_id: running.is_some().then(|| self.flush_id.show()),
            running,
            _registers: registers,
        })
    }
}

impl soc::pm::Operations for Machine {
    fn resume(&self) -> Result {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
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
        let on = self.inner.lock().on.take();
        drop(on);
    }
}
