// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Binding to a core, and letting go of it.
//!
//! # Locking
//!
//! None of its own.
//!
//! # Ordering
//!
//! Up: power domains, supplies, IOMMU, reset lines, clocks, registers, power, operating points, reset,
//! interrupt, scheduler. Down in reverse: the core ends its job and gets no other, its interrupt is freed, it is
//! switched off, and with that its address space taken away.
//!
//! # Blocking
//!
//! Unbinding waits for the core's job, whose time is limited.

use ::job::Signalling;
use kernel::{
    device,
    of,
    platform,
    prelude::*,
    sync::Arc, //
};
use soc::{
    clk::{
        ClkSpec,
        Clocks, //
    },
    dma::{
        self,
        Coherency, //
    },
    facade,
    gate::RevokeOnDrop,
    iommu::Master,
    irq::{
        Irq,
        Line, //
    },
    pm::{
        PowerDomains,
        Runtime, //
    },
    reset::Resets, //
};

use crate::{
    core::{
        Core,
        Interrupt,
        Parts,
        CLOCKS, //
    },
    devfreq::Chosen,
    driver::NPU,
    npu::{
        Npu,
        COMPATIBLE, //
    },
    power::{
        Power,
        Tables, //
    },
    regs::{
        Regs,
        Windows, //
    }, //
};

/// How long an idle core stays on: longer than what lies between two inferences of a camera's stream,
/// as switching it on again costs more than it saves there.
const AUTOSUSPEND_MS: u32 = 250;

/// A core that the scheduler knows. Dropped, it is idle, and unknown.
struct Seated(Arc<Core>, Arc<Npu>);

impl Drop for Seated {
    fn drop(&mut self) {
        self.1.sched().leave(&self.0, |work| {
            let queue = work.end(Err(ENODEV));
            drop(work);
            Signalling::section(|sig| queue.check_deferred(sig));
        });
    }
}

/// A core without jobs. Dropped, it lets go of its reset lines and its watchdog.
struct Retired(Arc<Core>);

impl Drop for Retired {
    fn drop(&mut self) {
        self.0.retire();
    }
}

/// What exists while the driver is bound to a core. The order of the fields is the order of teardown.
pub(crate) struct Data {
    _seated: Seated,
    _irq: Irq<Interrupt>,
    _retired: Retired,
    _runtime: Runtime,
    _chosen: Option<Chosen>,
    _mapped: RevokeOnDrop<Windows>,
}

fn bring_up(pdev: &platform::Device<device::Core<'_>>, npu: &Arc<Npu>, index: u32) -> Result<Data> {
    let dev: &device::Device<device::Bound> = pdev.as_ref();
    let plain: &device::Device = dev;

    let domains = PowerDomains::attach(dev)?;
    // Without one, the power domain brings it.
    for supply in [c"npu", c"sram"] {
        soc::probe::enable_supply(dev, supply)?;
    }
    let master = Master::new(dev)?;
    let resets = Resets::get(dev, &[c"srst_a", c"srst_h"])?;
    let names: [_; CLOCKS] = [c"aclk", c"hclk", c"npu", c"pclk"];
    let specs = names.map(|name| ClkSpec {
        name,
        optional: false,
    });
    let clocks = Arc::new(Clocks::get(dev, specs)?, GFP_KERNEL)?;
    let windows = Windows::map(pdev)?;
    let regs = Arc::pin_init(Regs::new(windows), GFP_KERNEL)?;
    let mapped = RevokeOnDrop(regs.clone());

    let tables = Arc::pin_init(Tables::new(), GFP_KERNEL)?;
    let scaling = npu.scaling().clone();
    let power = Power::new(clocks.clone(), regs.clone(), tables.clone(), scaling);
    let power = Arc::pin_init(power, GFP_KERNEL)?;
    let mut runtime = Runtime::start(dev, domains, power.clone()).map_err(|err| {
        let why =
            fmt!("cannot be switched on: check its clocks, its supplies and its power domain");
        soc::probe::failed(dev, err, why)
    })?;
    // It stays on until the end of this.
    let chosen = npu.scaling().adopt(dev)?;
    let core = Core::new(Parts {
        dev: plain.into(),
        index,
        regs: regs.clone(),
        resets,
        interrupt: Line::by_index(pdev, 0)?,
        master,
        tables,
        handle: runtime.handle().clone(),
        sched: npu.sched().clone(),
        load: npu.scaling().load().clone(),
        wq: npu.watchdogs().clone(),
    })?;
    let retired = Retired(core.clone());
    power.set_core(core.clone());
    let version = regs.enter().ok_or(ENODEV)?.version();
    let interrupt = Arc::new(Interrupt(core.clone()), GFP_KERNEL)?;
    let irq = Irq::request_by_index(pdev, 0, c"rknn", true, interrupt)?;

    runtime.autosuspend(AUTOSUSPEND_MS);
    npu.sched().join(&core)?;
    let seated = Seated(core.clone(), npu.clone());
    npu.sched().start_all();
    dev_info!(dev, "core {index}, version {version:#x}\n");
    Ok(Data {
        _seated: seated,
        _irq: irq,
        _retired: retired,
        _runtime: runtime,
        _chosen: chosen,
        _mapped: mapped,
    })
}

/// The driver, for the platform bus.
pub(crate) struct CoreDriver;

kernel::of_device_table!(
    OF_TABLE,
    <CoreDriver as platform::Driver>::IdInfo,
    [(of::DeviceId::new(COMPATIBLE), ())]
);

impl platform::Driver for CoreDriver {
    type IdInfo = ();
    type Data<'bound> = Data;
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = Some(&OF_TABLE);

    fn probe<'bound>(
        pdev: &'bound platform::Device<device::Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        let dev: &device::Device<device::Bound> = pdev.as_ref();
        let npu = NPU.get().ok_or(ENODEV)?;
        let index = facade::node_index(dev, COMPATIBLE);
        let coherent = dma::coherency(dev) == Some(Coherency::Coherent);
        let result = bring_up(pdev, &npu, index);

        match &result {
            Err(err) if *err == EPROBE_DEFER => {}
            result => npu.settled(index, result.is_ok(), coherent)?,
        }
        result
    }
}
