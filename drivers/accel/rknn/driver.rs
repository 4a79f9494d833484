// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The module and its DRM device.
//!
//! # Locking
//!
//! None of its own.
//!
//! # Ordering
//!
//! Up: the facade, the driver of the cores, and with the cores the node. Down: the cores, each of which
//! ends its job first; then the facade, and with it the node. The module cannot go while a file is open
//! or a buffer is exported.
//!
//! # Blocking
//!
//! Unloading waits for the cores' jobs, whose time is limited.

use drm::{
    DriverInfo,
    Features, //
};
use kernel::{
    driver::Registration,
    prelude::*,
    sync::Arc,
    InPlaceModule,
    ModuleMetadata,
    ThisModule, //
};
use shims::uapi;
use soc::{
    facade::{
        Filled,
        Slot, //
    },
    pm::Platform, //
};

use crate::{
    file,
    gem::BoData,
    npu::{
        Npu,
        Waiting, //
    },
    probe::CoreDriver,
    sched::Sched,
    submit, //
};

/// The DRM device.
pub(crate) type DrmDevice = drm::Device<Driver>;

/// An open file.
pub(crate) type DrmFile = drm::File<Driver>;

/// Proof that there is a node, and the way to [`Bound`].
pub(crate) type Entered<'a> = drm::Entered<'a, Driver>;

/// Where the cores find each other.
pub(crate) static NPU: Slot<Npu> = Slot::new();

/// What exists as long as the node does.
pub(crate) struct Bound {
    /// Who runs where.
    pub(crate) sched: Arc<Sched>,
    /// What the files' queues share.
    pub(crate) domain: ::job::Domain,
    /// The NPU snoops the CPU's caches.
    pub(crate) coherent: bool,
}

/// The driver, for the DRM core.
pub(crate) struct Driver;

#[vtable]
impl drm::Driver for Driver {
    type Data = ();
    type Bound = Bound;
    type File = file::File;
    type Object = BoData;

    const INFO: DriverInfo = DriverInfo {
        major: 1,
        minor: 0,
        patchlevel: 0,
        name: c"rocket",
        desc: c"RK3588 NPU",
    };
    const FEATURES: Features = Features::ACCEL;

    drm::ioctls! {
        IOWR 0 CREATE_BO(uapi::drm_rocket_create_bo, ANY) => file::create_bo,
        IOW 1 SUBMIT(uapi::drm_rocket_submit, ANY) => submit::submit,
        IOW 2 PREP_BO(uapi::drm_rocket_prep_bo, ANY) => file::prep_bo,
        IOW 3 FINI_BO(uapi::drm_rocket_fini_bo, ANY) => file::fini_bo,
    }

    fn imported(_dev: &DrmDevice) -> impl PinInit<BoData, Error> {
        BoData::nowhere()
    }

    fn show_fdinfo(_dev: &DrmDevice, file: &DrmFile, p: &mut drm::fdinfo::Printer<'_>) {
        file::show_fdinfo(file, p);
    }
}

/// The module. The order of the fields is the order of teardown.
#[pin_data]
pub(crate) struct Module {
    #[pin]
    _cores: Registration<Platform<CoreDriver>>,
    _waiting: Waiting,
    _npu: Filled<Npu>,
}

impl InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _npu: NPU.fill(Npu::new()?)?,
            _waiting: Waiting(NPU.get().ok_or(ENODEV)?),
            _cores <- Registration::new(<Self as ModuleMetadata>::NAME, module),
        })
    }
}
