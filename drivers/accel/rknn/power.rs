// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What goes with the power of a core: clocks, registers, the rate, and its address space.
//!
//! # Locking
//!
//! `attached` is the mutex of the address space that a core has. It is taken where fences are about to signal, so
//! nothing is allocated under it; [`crate::core`] says what comes before it, and after. `on` is a mutex for one
//! assignment.
//!
//! # Ordering
//!
//! Clocks, registers, the rate; and back. A core that is switched off has ended its job before, and loses its
//! address space.
//!
//! # Blocking
//!
//! Switching off waits for the core's job, and for those inside of the gate of its registers.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        SetOnce, //
    }, //
};
use soc::{
    clk::{
        Clocks,
        Running as Clocked, //
    },
    gate::Opened,
    iommu::{
        Attachment,
        Domain,
        Master, //
    },
    pm::Operations, //
};

use crate::{
    core::{
        Core,
        CLOCKS, //
    },
    devfreq::{
        Scaled,
        Scaling, //
    },
    regs::{
        Regs,
        Windows, //
    }, //
};

struct Attached {
    attachment: Option<Attachment>,
    /// A job runs in it.
    busy: bool,
}

/// The address space that a core has.
#[pin_data]
pub(crate) struct Tables {
    #[pin]
    attached: Mutex<Attached>,
}

impl Tables {
    /// None.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            attached <- new_mutex!(
                Attached {
                    attachment: None,
                    busy: false,
                },
                "Tables::attached"
            ),
        })
    }

    /// Gives the device the address space of a job, unless it has it.
    pub(crate) fn switch(&self, master: &Master, domain: &Arc<Domain>) -> Result {
        let mut attached = self.attached.lock();
        let has = attached
            .attachment
            .as_ref()
            .is_some_and(|attachment| Arc::ptr_eq(attachment.domain(), domain));

        if !has {
            // Only one at a time.
            attached.attachment = None;
            attached.attachment = Some(master.attach(domain)?);
        }
        attached.busy = true;
        Ok(())
    }

    /// The job has ended.
    pub(crate) fn rest(&self) {
        self.attached.lock().busy = false;
    }

    /// Has the device reset by `pulse`, and its IOMMU with it, and takes the address space away. The line of
    /// both must be off.
    pub(crate) fn reset(&self, pulse: impl FnOnce()) {
        let mut attached = self.attached.lock();

        match &attached.attachment {
            Some(attachment) => attachment.domain().still(pulse),
            None => pulse(),
        }
        attached.attachment = None;
        attached.busy = false;
    }

    /// Takes the address space away, if it is the one that is meant and no job runs in it.
    pub(crate) fn take(&self, meant: impl FnOnce(&Arc<Domain>) -> bool) {
        let mut attached = self.attached.lock();

        if attached
            .attachment
            .as_ref()
            .is_some_and(|attachment| !attached.busy && meant(attachment.domain()))
        {
            attached.attachment = None;
        }
    }
}

/// A core that is on. The order of the fields is the order in which it is switched off.
struct On {
    _scaled: Scaled,
    _registers: Opened<Windows, Clocked<CLOCKS>>,
}

/// Clocks, registers and the address space, which go with the power.
#[pin_data]
pub(crate) struct Power {
    clocks: Arc<Clocks<CLOCKS>>,
    regs: Arc<Regs>,
    tables: Arc<Tables>,
    scaling: Arc<Scaling>,
    /// Who runs jobs here, once that is known.
    core: SetOnce<Arc<Core>>,
    #[pin]
    on: Mutex<Option<On>>,
}

impl Power {
    /// A core that is off.
    pub(crate) fn new(
        clocks: Arc<Clocks<CLOCKS>>,
        regs: Arc<Regs>,
        tables: Arc<Tables>,
        scaling: Arc<Scaling>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            clocks,
            regs,
            tables,
            scaling,
            core: SetOnce::new(),
            on <- new_mutex!(None, "Power::on"),
        })
    }

    /// From now on `core` runs jobs.
    pub(crate) fn set_core(&self, core: Arc<Core>) {
        self.core.populate(core);
    }
}

impl Operations for Power {
    fn resume(&self) -> Result {
        let registers = self.regs.open(self.clocks.enable()?)?;
        *self.on.lock() = Some(On {
            _scaled: self.scaling.start(),
            _registers: registers,
        });
        if let Some(core) = self.core.as_ref() {
            core.sched().go_on(core);
        }
        Ok(())
    }

    fn suspend(&self) {
        // Unless the system goes to sleep there is no job.
        if let Some(core) = self.core.as_ref() {
            core.sched().pause(core);
        }
        self.tables.take(|_| true);
        let on = self.on.lock().take();
        // Waits for those inside of the gate, so not with the lock held.
        drop(on);
    }

    fn awake(&self) {
        if let Some(core) = self.core.as_ref() {
            core.sched().start_all();
        }
    }
}
