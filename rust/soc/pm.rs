// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Power management of a device: when it runs, and who makes it run.
//!
//! A driver says how its device is switched on and off ([`Operations`]). [`Runtime::start`] switches
//! it on, [`Handle::get`] hands out uses, each of which keeps it on, and dropping the [`Runtime`]
//! switches it off for good. In between, the PM core switches it off when the last use has been gone
//! for the autosuspend delay, and for as long as the system sleeps, uses or not.
//!
//! In a kernel without power management the device is switched on by [`Runtime::start`] and off when
//! the [`Runtime`] is dropped, and never in between; callers see no difference.
//!
//! The driver has to be registered through [`Platform`].
//!
//! # Locking
//!
//! The PM core never calls two operations of a device at the same time.
//!
//! # Ordering
//!
//! Power domains are switched on in the order of the device tree, before the device, and off in the
//! reverse order, after it.
//!
//! An operation runs only between the begin of [`Runtime::start`] and the end of the drop of the
//! [`Runtime`]: runtime PM is enabled last and disabled first, and the device lock, which unbinding
//! holds, keeps system sleep out.
//!
//! # Blocking
//!
//! [`Handle::get`] waits for an operation, in which memory may be allocated: not to be called where
//! fences are about to signal, for which there is [`Handle::get_if_active`]. Dropping the [`Runtime`]
//! waits as well: neither with a lock held that an operation takes. Dropping an [`Active`] never sleeps and may be done in any context.

use core::{
    marker::PhantomData,
    mem::offset_of,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    driver::{
        DriverLayout,
        RegistrationOps, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    ffi::{
        c_int,
        c_void, //
    },
    platform,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            AtomicFlag,
            Release, //
        },
        Arc, //
    },
    types::Opaque,
    ThisModule, //
};

use crate::raw_device;

/// How a device is switched on and off.
pub trait Operations: Send + Sync + 'static {
    /// Switches the device on. What was done has to be undone if a step fails; the next use tries
    /// again.
    ///
    /// # Errors
    ///
    /// Whoever asked for the device gets the error.
    fn resume(&self) -> Result;

    /// Switches the device off.
    fn suspend(&self);

    /// The system has slept, and uses of the device can be had again: time to go on with what has
    /// waited meanwhile. [`Operations::resume`] is too early for that.
    fn awake(&self) {}
}

/// A platform driver whose devices have power management.
///
/// Takes the place of [`platform::Adapter`] in a registration.
pub struct Platform<T: platform::Driver>(PhantomData<T>);

// SAFETY: As for `platform::Adapter`: `platform_driver` is a C structure, with its `device_driver` at
// that offset; the adapter's callbacks are the ones that set the private data.
unsafe impl<T: platform::Driver> DriverLayout for Platform<T> {
    type DriverType = bindings::platform_driver;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = offset_of!(bindings::platform_driver, driver);
}

// SAFETY: The work is done by `platform::Adapter`, which keeps to the rules of this trait.
unsafe impl<T: platform::Driver> RegistrationOps for Platform<T> {
    unsafe fn register(
        reg: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        // SAFETY: The structure is initialised, and nobody else uses it before it is registered.
        unsafe { (*reg.get()).driver.pm = &OPS };
        // SAFETY: The caller keeps to the same rules.
        unsafe { platform::Adapter::<T>::register(reg, name, module) }
    }

    unsafe fn unregister(reg: &Opaque<Self::DriverType>) {
        // SAFETY: The caller keeps to the same rules.
        unsafe { platform::Adapter::<T>::unregister(reg) }
    }
}

/// The same for all drivers; without power management nobody calls it.
static OPS: bindings::dev_pm_ops = bindings::dev_pm_ops {
    suspend: Some(shims::shim_soc_pm_force_suspend),
    resume: Some(shims::shim_soc_pm_force_resume),
    freeze: Some(shims::shim_soc_pm_force_suspend),
    thaw: Some(shims::shim_soc_pm_force_resume),
    poweroff: Some(shims::shim_soc_pm_force_suspend),
    restore: Some(shims::shim_soc_pm_force_resume),
    complete: Some(complete),
    runtime_suspend: Some(runtime_suspend),
    runtime_resume: Some(runtime_resume),
    ..pin_init::zeroed()
};

/// What the PM core's callbacks find through the device.
struct Callbacks {
    operations: Arc<dyn Operations>,
    handle: Arc<Handle>,
    domains: PowerDomains,
}

impl Callbacks {
    /// Switches the power domains on, then the device.
    fn resume(&self) -> Result {
        self.domains.on()?;
        self.operations.resume().inspect_err(|_| self.domains.off())
    }

    /// Switches the device off, then the power domains.
    fn suspend(&self) {
        self.operations.suspend();
        self.domains.off();
    }

    /// What [`Runtime::start`] has installed.
    ///
    /// # Safety
    ///
    /// Only inside a callback of [`OPS`], which `dev` is that of.
    unsafe fn of<'a>(dev: *mut bindings::device) -> Option<&'a Self> {
        // SAFETY: The device is valid. What was installed is a `Callbacks` that stays valid until it
        // was removed, which waits for the PM core's callbacks.
        unsafe {
            shims::shim_soc_pm_installed(dev)
                .cast::<Self>()
                .cast_const()
                .as_ref()
        }
    }
}

/// # Safety
///
/// Only for the PM core.
unsafe extern "C" fn runtime_resume(dev: *mut bindings::device) -> c_int {
    // SAFETY: We are a callback of this device.
    let Some(callbacks) = (unsafe { Callbacks::of(dev) }) else {
        return 0;
    };
    match callbacks.resume() {
        Ok(()) => 0,
        Err(err) => err.to_errno(),
    }
}

/// # Safety
///
/// Only for the PM core.
unsafe extern "C" fn runtime_suspend(dev: *mut bindings::device) -> c_int {
    // SAFETY: We are a callback of this device.
    if let Some(callbacks) = unsafe { Callbacks::of(dev) } {
        callbacks.suspend();
    }
    0
}

/// # Safety
///
/// Only for the PM core.
unsafe extern "C" fn complete(dev: *mut bindings::device) {
    // SAFETY: We are a callback of this device.
    if let Some(callbacks) = unsafe { Callbacks::of(dev) } {
        callbacks.operations.awake();
    }
}

/// The way to uses of a device. Outlives the driver's binding.
pub struct Handle {
    dev: ARef<Device>,
    /// The driver has let go of the device.
    gone: AtomicFlag,
}

impl Handle {
    /// Makes the device run, and keeps it running. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` after the driver was unbound; what [`Operations::resume`] has failed with. A failure
    /// does not last: the next call tries again.
    pub fn get(self: &Arc<Self>) -> Result<Active> {
        if self.gone.load(Acquire) {
            return Err(ENODEV);
        }
        // SAFETY: The device is valid.
        let result = to_result(unsafe { shims::shim_soc_pm_get(raw_device(&*self.dev)) });
        // Since it was looked at, it may have gone: the PM core has an error of its own for that.
        if result.is_err() && self.gone.load(Acquire) {
            return Err(ENODEV);
        }
        // INVARIANT: If it worked, it was counted just now.
        result.map(|()| Active(self.clone()))
    }

    /// Keeps the device running if it runs. Does not sleep.
    pub fn get_if_active(self: &Arc<Self>) -> Option<Active> {
        if self.gone.load(Acquire) {
            return None;
        }
        // SAFETY: The device is valid.
        let active = unsafe { shims::shim_soc_pm_get_if_active(raw_device(&*self.dev)) };
        active.then(|| Active(self.clone()))
    }
}

/// A use of a device, which runs as long as this exists, unless the system sleeps.
///
/// # Invariants
///
/// Counted in the device's usage count.
pub struct Active(Arc<Handle>);

impl Drop for Active {
    fn drop(&mut self) {
        // SAFETY: The device is valid, and by the type's invariant the count is ours to drop.
        unsafe { shims::shim_soc_pm_put_autosuspend(raw_device(&*self.0.dev)) };
    }
}

/// A device under power management. Dropped, the device is switched off.
///
/// # Invariants
///
/// `callbacks` is installed at the device, whose driver is bound.
pub struct Runtime {
    callbacks: KBox<Callbacks>,
    /// The use that began with the binding.
    first: Option<Active>,
    /// Without power management: it was switched on.
    on: bool,
}

impl Runtime {
    /// Switches the device on, which has `domains`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the driver was not registered through [`Platform`]; `EBUSY` if the device is under power
    /// management already; `ENOMEM`; what
    /// [`Operations::resume`] fails with.
    pub fn start(
        dev: &Device<Bound>,
        domains: PowerDomains,
        operations: Arc<dyn Operations>,
    ) -> Result<Self> {
        let raw = raw_device(dev);
        // SAFETY: The device is bound, so it has a driver.
        if !ptr::eq(unsafe { (*(*raw).driver).pm }, &OPS) {
            return Err(EINVAL);
        }
        let handle = Arc::new(
            Handle {
                dev: (&**dev).into(),
                gone: AtomicFlag::new(false),
            },
            GFP_KERNEL,
        )?;
        let callbacks = KBox::new(
            Callbacks {
                operations,
                handle,
                domains,
            },
            GFP_KERNEL,
        )?;
        let data = ptr::from_ref::<Callbacks>(&callbacks).cast::<c_void>();
        // SAFETY: The device is bound. The callbacks stay where they are until they are removed.
        to_result(unsafe { shims::shim_soc_pm_install(raw, data.cast_mut()) })?;
        // INVARIANT: They were installed just now.
        let mut this = Self {
            callbacks,
            first: None,
            on: false,
        };

        // SAFETY: The device is valid, and `drop` undoes this.
        unsafe { shims::shim_soc_pm_enable(raw) };
        if !cfg!(CONFIG_PM) {
            this.callbacks.resume()?;
            this.on = true;
        }
        this.first = Some(this.callbacks.handle.get()?);
        Ok(this)
    }

    /// The way to uses of the device.
    pub fn handle(&self) -> &Arc<Handle> {
        &self.callbacks.handle
    }

    /// From now on the device is switched off when it was not used for `ms` milliseconds.
    pub fn autosuspend(&mut self, ms: u32) {
        let delay = c_int::try_from(ms).unwrap_or(c_int::MAX);
        // SAFETY: The device is valid.
        unsafe { shims::shim_soc_pm_use_autosuspend(self.raw(), delay) };
        self.first = None;
    }

    fn raw(&self) -> *mut bindings::device {
        raw_device(&*self.callbacks.handle.dev)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let raw = self.raw();
        self.callbacks.handle.gone.store(true, Release);
        self.first = None;
        // SAFETY: The device is valid, and `start` has enabled this.
        let active = unsafe { shims::shim_soc_pm_disable(raw) };
        if active || self.on {
            self.callbacks.suspend();
        }
        // SAFETY: The device is valid, and was just switched off. By the type's invariant the
        // callbacks are installed; runtime PM is disabled, and the device lock held, so that the PM
        // core does not use them.
        unsafe {
            shims::shim_soc_pm_set_suspended(raw);
            shims::shim_soc_pm_remove(raw);
        }
    }
}

/// The power domains of a device that has several: the bus attaches the one of a device that has one.
///
/// Whoever has a [`Runtime`] with them has no further business with them: they are on while the device
/// is. Dropped, they are detached.
///
/// # Invariants
///
/// The pointer is what attaching has returned, and is not detached by anybody else.
pub struct PowerDomains(Option<NonNull<shims::shim_power_domains>>);

// SAFETY: What the pointer is good for can be done by any task.
unsafe impl Send for PowerDomains {}
// SAFETY: Switching them on and off is counted by the PM core, which has locks of its own.
unsafe impl Sync for PowerDomains {}

impl PowerDomains {
    /// Attaches them, in the order of the device tree. None of them is on yet.
    ///
    /// # Errors
    ///
    /// `EPROBE_DEFER` if one is not there yet; others if one does not exist, which is said, with the
    /// name that the device tree has for it.
    pub fn attach(dev: &Device<Bound>) -> Result<Self> {
        // SAFETY: The device is bound.
        let domains = from_err_ptr(unsafe { shims::shim_power_domains_attach(raw_device(dev)) })?;
        // INVARIANT: They were attached just now.
        Ok(Self(NonNull::new(domains)))
    }

    /// Switches all of them on, in order, or none.
    fn on(&self) -> Result {
        let Some(domains) = self.0 else {
            return Ok(());
        };
        // SAFETY: By the type's invariant they are attached.
        to_result(unsafe { shims::shim_power_domains_on(domains.as_ptr()) })
    }

    /// Undoes one [`Self::on`], in reverse order.
    fn off(&self) {
        if let Some(domains) = self.0 {
            // SAFETY: By the type's invariant they are attached.
            unsafe { shims::shim_power_domains_off(domains.as_ptr()) };
        }
    }
}

impl Drop for PowerDomains {
    fn drop(&mut self) {
        if let Some(domains) = self.0 {
            // SAFETY: By the type's invariant they are attached; this is their end.
            unsafe { shims::shim_power_domains_detach(domains.as_ptr()) };
        }
    }
}
