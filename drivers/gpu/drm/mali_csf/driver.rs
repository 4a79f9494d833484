// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Binding to a GPU, and letting go of it.
//!
//! Everything that is brought up is a value whose drop takes it down again. Probe makes them in order
//! and [`Bound`] holds them in the reverse order, so that a probe that fails half-way and an unbind
//! both unwind as they should. What is switched off while the GPU is idle is the [`machine`]'s.
//!
//! [`machine`]: crate::machine
//!
//! # Locking
//!
//! None of its own.
//!
//! # Ordering
//!
//! Up: power domains are found, supplies, governor of the rate, registers, power domains, clocks, reset,
//! GPU interrupt, L2 cache, MMU, firmware, scheduler, device node. Down: device node and whoever is
//! inside an ioctl, resets, scheduler, firmware, MMU, interrupts, L2 cache, clocks, power domains,
//! registers, governor, supplies.
//!
//! # Blocking
//!
//! Unbind waits for the firmware to give up its groups and to halt, and for all register accesses to
//! end; each of these waits is bounded.

use drm::{
    DriverInfo,
    Features, //
};
use kernel::{
    device, of, platform,
    prelude::*,
    seq_file::SeqFile,
    sync::{
        aref::ARef,
        Arc, //
    },
};
use shims::uapi;
use soc::{
    devfreq::Load,
    dma::Coherency,
    gate::RevokeOnDrop,
    pm::{
        Handle,
        PowerDomains,
        Runtime, //
    }, //
};

use crate::{
    bind,
    devfreq::Scaling,
    file::{
        self,
        usage::{
            self,
            Moment, //
        },
    },
    flush_id::FlushId,
    fw::{
        self,
        Firmware, //
    },
    gem, gpu, group, heap,
    irq::{
        Line,
        Requested, //
    },
    machine::{
        Blocks,
        Booted,
        Machine,
        Resets, //
    },
    mmu::Mmu,
    power::Supplies,
    query,
    regs::{
        self,
        irq::{
            Block as IntBlock, //
        },
        Regs,
        Window, //
    },
    sched::Scheduler,
};

/// The DRM device of a GPU.
pub(crate) type DrmDevice = drm::Device<Driver>;

/// An open file.
pub(crate) type DrmFile = drm::File<Driver>;

/// Proof that the driver is bound, and the way to [`Bound`].
pub(crate) type Entered<'a> = drm::Entered<'a, Driver>;

/// One GPU. Those who keep a reference after unbind find its registers gone.
pub(crate) struct Device {
    /// The device on the bus, for log messages.
    pub(crate) dev: ARef<device::Device>,
    /// What the GPU is.
    pub(crate) info: gpu::Info,
    /// Counters and cache flushes.
    pub(crate) gpu: Arc<gpu::Block>,
    /// Address spaces.
    pub(crate) mmu: Arc<Mmu>,
    /// The firmware.
    pub(crate) fw: Arc<Firmware>,
    /// When it has work.
    pub(crate) load: Arc<Load>,
    /// A moment soon after the GPU had its clocks.
    pub(crate) began: Moment,
}

/// How long the GPU stays on when nobody uses it, in ms.
const AUTOSUSPEND_MS: u32 = 50;

/// A machine whose interrupts are freed on drop.
struct Assembled(Arc<Machine>);

impl Drop for Assembled {
    fn drop(&mut self) {
        self.0.dismantle();
    }
}

/// A scheduler that is told about events.
struct Scheduling {
    sched: Arc<Scheduler>,
    signals: Arc<fw::Signals>,
    mmu: Arc<Mmu>,
}

impl Drop for Scheduling {
    fn drop(&mut self) {
        self.sched.unplug();
        self.signals.set_scheduler(None);
        self.mmu.set_scheduler(None);
    }
}

/// What exists while the driver is bound. The order of the fields is the order of teardown.
pub(crate) struct Bound {
    _resets: Resets,
    scheduling: Scheduling,
    device: Arc<Device>,
    flush_id: Arc<FlushId>,
    power: Runtime,
    assembled: Assembled,
    _gate: RevokeOnDrop<Window>,
}

impl Bound {
    /// The GPU.
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The scheduler.
    pub(crate) fn sched(&self) -> &Arc<Scheduler> {
        &self.scheduling.sched
    }

    /// The way to uses of the GPU, each of which keeps it powered.
    pub(crate) fn power(&self) -> &Arc<Handle> {
        self.power.handle()
    }

    /// What switches the GPU.
    pub(crate) fn machine(&self) -> &Arc<Machine> {
        &self.assembled.0
    }

    /// Supplies and clocks.
    pub(crate) fn supplies(&self) -> &Supplies {
        self.assembled.0.supplies()
    }
}

/// The driver: for the platform bus, and for the DRM core.
pub(crate) struct Driver;

/// Brings the GPU up, up to the scheduler.
fn bring_up(
    pdev: &platform::Device<device::Core<'_>>,
    ddev: &DrmDevice,
    asn_hash: Option<gpu::AsnHash>,
) -> Result<Bound> {
    let dev: &device::Device<device::Bound> = pdev.as_ref();
    let plain: &device::Device = dev;

    let domains = PowerDomains::attach(dev)?;
    let supplies = Arc::new(Supplies::on(dev)?, GFP_KERNEL)?;
    let scaling = Scaling::new(dev, &supplies)?;
    let window = Window::map(pdev, 0, c"mali_csf")?;
    let regs = Arc::pin_init(Regs::new(window), GFP_KERNEL)?;
    let gate = RevokeOnDrop(regs.clone());
    let flush_id = FlushId::new(ddev, pdev.resource_by_index(0).ok_or(ENODEV)?)?;

    let machine = Machine::new(plain, scaling, supplies, regs.clone(), flush_id.clone())?;
    let assembled = Assembled(machine.clone());
    let mut power = Runtime::start(dev, domains, machine.clone())?;

    let coherent = soc::dma::coherency(dev) == Some(Coherency::Coherent);
    let working = soc::nvmem::mask(dev, c"shader-present")?;
    let info = gpu::Info::read(plain, &regs::enter(&regs)?, coherent, working)?;
    info.log(plain);
    soc::dma::set_mask(pdev, info.pa_bits())?;

    let blocks = blocks(pdev, &regs, info, coherent, asn_hash)?;
    let raised = blocks.raise()?;
    let began = blocks.gpu.moment()?;
    let parameters = fw::Parameters {
        arch: info.arch(),
        cores: info.shader_present,
        timer_hz: drm::time::arch_timer_rate(),
        core_hz: machine.supplies().max_hz(),
    };
    let (gpu, mmu, signals) = (
        blocks.gpu.clone(),
        blocks.mmu.clone(),
        blocks.signals.clone(),
    );
    let (fw, mcu) = Firmware::boot(ddev, &mmu, &regs, &signals, &blocks.job_irq, parameters)?;
    let booted = Booted::new(fw.clone(), gpu.clone(), mcu);

    let device = Arc::new(
        Device {
            dev: plain.into(),
            info,
            gpu,
            mmu: mmu.clone(),
            fw: fw.clone(),
            load: machine.load().clone(),
            began,
        },
        GFP_KERNEL,
    )?;
    let sched = Scheduler::new(&device)?;
    signals.set_scheduler(Some(sched.clone()));
    mmu.set_scheduler(Some(sched.clone()));
    let scheduling = Scheduling {
        sched: sched.clone(),
        signals,
        mmu,
    };
    let resets = machine.adopt(blocks, fw, sched, booted, raised)?;
    power.autosuspend(AUTOSUSPEND_MS);

    Ok(Bound {
        _resets: resets,
        scheduling,
        device,
        flush_id,
        power,
        assembled,
        _gate: gate,
    })
}

/// The blocks of the GPU, with nothing enabled.
fn blocks(
    pdev: &platform::Device<device::Core<'_>>,
    regs: &Arc<Regs>,
    info: gpu::Info,
    coherent: bool,
    asn_hash: Option<gpu::AsnHash>,
) -> Result<Blocks> {
    let plain: &device::Device = pdev.as_ref();

    let gpu_line = Line::new(regs.clone(), IntBlock::Gpu)?;
    let block = gpu::Block::new(
        plain.into(),
        regs.clone(),
        gpu_line.clone(),
        &info,
        coherent,
        asn_hash,
    );
    let gpu = Arc::pin_init(block, GFP_KERNEL)?;
    let gpu_irq = Requested::new(pdev, c"gpu", c"mali_csf-gpu", gpu_line, gpu.clone())?;

    let mmu_line = Line::new(regs.clone(), IntBlock::Mmu)?;
    let mmu = Mmu::new(
        plain.into(),
        regs.clone(),
        gpu.clone(),
        mmu_line.clone(),
        info,
    );
    let mmu = Arc::pin_init(mmu, GFP_KERNEL)?;
    let mmu_irq = Requested::new(pdev, c"mmu", c"mali_csf-mmu", mmu_line, mmu.clone())?;

    let signals = Arc::pin_init(fw::Signals::new(regs.clone()), GFP_KERNEL)?;
    let job_line = Line::new(regs.clone(), IntBlock::Job)?;
    let job_irq = Requested::new(pdev, c"job", c"mali_csf-job", job_line, signals.clone())?;
    Ok(Blocks {
        gpu,
        gpu_irq,
        mmu,
        mmu_irq,
        signals,
        job_irq,
    })
}

/// What an SoC needs of its GPU, and the GPU cannot tell.
pub(crate) struct Soc {
    asn_hash: Option<gpu::AsnHash>,
}

impl Soc {
    const PLAIN: Self = Self { asn_hash: None };
    const MT8196: Self = Self {
        asn_hash: Some([0xb, 0xe, 0]),
    };
}

kernel::of_device_table!(
    OF_TABLE,
    <Driver as platform::Driver>::IdInfo,
    [
        (of::DeviceId::new(c"mediatek,mt8196-mali"), Soc::MT8196),
        (of::DeviceId::new(c"rockchip,rk3588-mali"), Soc::PLAIN),
        (of::DeviceId::new(c"arm,mali-valhall-csf"), Soc::PLAIN)
    ]
);

impl platform::Driver for Driver {
    type IdInfo = Soc;
    type Data<'bound> = ();
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = Some(&OF_TABLE);

    fn probe<'bound>(
        pdev: &'bound platform::Device<device::Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        let dev: &device::Device<device::Bound> = pdev.as_ref();
        let ddev = drm::UnregisteredDevice::<Self>::new(dev, Ok::<(), Error>(()))?;
        if let Err(err) = ddev.use_huge_pages() {
            dev_warn!(dev, "no huge pages for buffers ({})\n", err.to_errno());
        }
        let bound = bring_up(pdev, &ddev, info.and_then(|soc| soc.asn_hash))?;
        ddev.register(dev, Ok::<Bound, Error>(bound), |_| Ok(()))?;
        Ok(())
    }
}

/// What the jobs of `file` have taken, in the words that tools look for.
fn show_usage(bound: &Bound, file: &DrmFile, p: &mut drm::fdinfo::Printer<'_>) {
    let device = bound.device();
    let used = file.usage();
    let rate = drm::time::arch_timer_rate();
    let now = device.gpu.last_moment(device.began);
    let ns = usage::nanoseconds(used.ticks(), rate, device.began, now);
    p.print(fmt!("drm-engine-panthor:\t{ns} ns\n"));
    let (max, current) = (bound.supplies().max_hz(), bound.supplies().core_hz());
    p.print(fmt!("drm-cycles-panthor:\t{}\n", used.cycles()));
    p.print(fmt!("drm-maxfreq-panthor:\t{max} Hz\n"));
    p.print(fmt!("drm-curfreq-panthor:\t{current} Hz\n"));
}

/// The file `sched` in debugfs; empty after unbind.
fn show_sched(dev: &DrmDevice, m: &SeqFile) -> Result {
    if let Some(dev) = dev.enter() {
        dev.bound().sched().show(m);
    }
    Ok(())
}

/// The file `reset` in debugfs: whatever is written to it, the GPU is reset.
fn reset(dev: &DrmDevice, _value: u64) -> Result {
    dev.enter().ok_or(ENODEV)?.bound().machine().reset_now()
}

#[vtable]
impl drm::Driver for Driver {
    type Data = ();
    type Bound = Bound;
    type File = file::File;
    type Object = gem::BoData;

    const INFO: DriverInfo = DriverInfo {
        major: 1,
        minor: 9,
        patchlevel: 0,
        name: c"panthor",
        desc: c"Arm Mali CSF",
    };
    const SHRINKER: Option<&'static CStr> = Some(c"drm-mali_csf");
    const FEATURES: Features = Features::RENDER
        .or(Features::SYNCOBJ)
        .or(Features::SYNCOBJ_TIMELINE);

    const DEBUGFS: &'static [drm::debugfs::Entry<Self>] = &[
        drm::debugfs::Entry {
            name: c"gems",
            show: gem::show_all,
        },
        drm::debugfs::Entry {
            name: c"sched",
            show: show_sched,
        },
    ];
    const CONTROLS: &'static [drm::debugfs::Control<Self>] = &[drm::debugfs::Control {
        name: c"reset",
        set: reset,
    }];

    drm::ioctls! {
        IOWR 0 DEV_QUERY(uapi::drm_panthor_dev_query, RENDER_ALLOW) => query::dev_query,
        IOWR 1 VM_CREATE(uapi::drm_panthor_vm_create, RENDER_ALLOW) => file::vm_create,
        IOWR 2 VM_DESTROY(uapi::drm_panthor_vm_destroy, RENDER_ALLOW) => file::vm_destroy,
        IOWR 3 VM_BIND(uapi::drm_panthor_vm_bind, RENDER_ALLOW) => bind::vm_bind,
        IOWR 4 VM_GET_STATE(uapi::drm_panthor_vm_get_state, RENDER_ALLOW) => file::vm_get_state,
        IOWR 5 BO_CREATE(uapi::drm_panthor_bo_create, RENDER_ALLOW) => file::bo_create,
        IOWR 6 BO_MMAP_OFFSET(uapi::drm_panthor_bo_mmap_offset, RENDER_ALLOW) =>
            file::bo_mmap_offset,
        IOWR 7 GROUP_CREATE(uapi::drm_panthor_group_create, RENDER_ALLOW) => group::create,
        IOWR 8 GROUP_DESTROY(uapi::drm_panthor_group_destroy, RENDER_ALLOW) => group::destroy,
        IOWR 9 GROUP_SUBMIT(uapi::drm_panthor_group_submit, RENDER_ALLOW) =>
            group::submit::group_submit,
        IOWR 10 GROUP_GET_STATE(uapi::drm_panthor_group_get_state, RENDER_ALLOW) =>
            group::get_state,
        IOWR 11 TILER_HEAP_CREATE(uapi::drm_panthor_tiler_heap_create, RENDER_ALLOW) =>
            heap::create,
        IOWR 12 TILER_HEAP_DESTROY(uapi::drm_panthor_tiler_heap_destroy, RENDER_ALLOW) =>
            heap::destroy,
        IOWR 13 BO_SET_LABEL(uapi::drm_panthor_bo_set_label, RENDER_ALLOW) => file::bo_set_label,
        IOWR 14 SET_USER_MMIO_OFFSET(uapi::drm_panthor_set_user_mmio_offset, RENDER_ALLOW) =>
            file::set_user_mmio_offset,
        IOWR 15 BO_SYNC(uapi::drm_panthor_bo_sync, RENDER_ALLOW) => file::bo_sync,
        IOWR 16 BO_QUERY_INFO(uapi::drm_panthor_bo_query_info, RENDER_ALLOW) =>
            file::bo_query_info,
    }

    fn imported(_dev: &DrmDevice) -> impl PinInit<gem::BoData, Error> {
        gem::BoData::new(0, gem::Owner::User)
    }

    fn show_fdinfo(dev: &DrmDevice, file: &DrmFile, p: &mut drm::fdinfo::Printer<'_>) {
        if let Some(dev) = dev.enter() {
            show_usage(dev.bound(), file, p);
        }
        p.memory_stats(file);
    }

    fn mmap(
        _dev: &drm::Entered<'_, Self>,
        file: &drm::File<Self>,
        request: &drm::mmap::Request,
    ) -> Result<drm::mmap::Claim> {
        file::mmap(file, request)
    }

    fn mmap_fault(
        dev: &drm::Entered<'_, Self>,
        fault: &drm::mmap::Fault<'_, Self>,
    ) -> drm::mmap::Outcome {
        dev.bound().flush_id.serve(fault)
    }
}
