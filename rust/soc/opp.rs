// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The operating points of a device: clock rate and supply voltage that go together.
//!
//! # Locking
//!
//! None of its own; the OPP core serialises changes of one table.
//!
//! # Ordering
//!
//! Set up as configuration, table, current point; undone in reverse order. Without a current point the
//! OPP core has the supply switched off.
//!
//! # Blocking
//!
//! Everything here may sleep.

use kernel::{
    clk::Hertz,
    device::{
        Bound,
        Device, //
    },
    error::to_result,
    ffi::c_int,
    prelude::*,
    str::CStrExt,
    sync::aref::ARef, //
};

use crate::raw_device;

/// The OPP table of a device, from the device tree or provided by its power domain.
///
/// # Invariants
///
/// `config` is a token of the OPP core, if any; `own_table` says whether this value has added the
/// device's table.
pub struct Opp {
    dev: ARef<Device>,
    config: Option<c_int>,
    own_table: bool,
}

impl Opp {
    /// Adds the device tree's table, with the supply `regulator` under the control of the OPP core. The rates
    /// are those of `clock`, or of the first clock of the device tree if there is no name.
    ///
    /// If the device has a table already, its power domain has brought it and controls the supply;
    /// then the table is used as it is. A missing supply is no error.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no table, or the kernel has no operating points, `EPROBE_DEFER` if the supply is not there yet.
    pub fn from_dt(
        dev: &Device<Bound>,
        clock: Option<&'static CStr>,
        regulator: &'static CStr,
    ) -> Result<Self> {
        let mut this = Self {
            dev: ARef::from(&**dev),
            config: None,
            own_table: false,
        };

        // SAFETY: The device is valid.
        if unsafe { shims::c::shim_opp_has_table(raw_device(dev)) } {
            return Ok(this);
        }

        let clock = clock.map_or(core::ptr::null(), |name| name.as_char_ptr());
        // SAFETY: The device is valid, and the names are not used after the call.
        let token = unsafe {
            shims::c::shim_opp_configure(raw_device(dev), clock, regulator.as_char_ptr())
        };
        match to_result(token) {
            Ok(()) => this.config = Some(token),
            // No supply, or no operating points at all in this kernel.
            Err(err) if err == ENODEV || err == EOPNOTSUPP => (),
            Err(err) => return Err(err),
        }

        // SAFETY: The device is valid.
        to_result(unsafe { shims::c::shim_opp_add_table(raw_device(dev)) })?;
        this.own_table = true;
        Ok(this)
    }

    /// Sets the lowest point that is at least as fast as `rate`, or the fastest one, and switches
    /// the supply on. Returns the point's rate.
    pub fn set_initial(&self, rate: Hertz) -> Result<Hertz> {
        let mut hz = rate.as_hz();

        // SAFETY: The device is valid, and so is the place for the rate.
        to_result(unsafe { shims::c::shim_opp_set_nearest(raw_device(&*self.dev), &mut hz) })?;
        Ok(Hertz(hz))
    }

    /// Sets the point for `rate`.
    pub fn set_rate(&self, rate: Hertz) -> Result {
        // SAFETY: The device is valid.
        to_result(unsafe { shims::c::shim_opp_set_rate(raw_device(&*self.dev), rate.as_hz()) })
    }

    /// The rate of the fastest point; 0 Hz if there is none.
    pub fn max_rate(&self) -> Hertz {
        // SAFETY: The device is valid.
        Hertz(unsafe { shims::c::shim_opp_max_rate(raw_device(&*self.dev)) })
    }
}

impl Drop for Opp {
    fn drop(&mut self) {
        if self.own_table {
            // SAFETY: The device is valid, and by the type's invariant the table is ours.
            unsafe { shims::c::shim_opp_remove_table(raw_device(&*self.dev)) };
        }
        if let Some(token) = self.config {
            // SAFETY: By the type's invariant the token is valid, and it is not used again.
            unsafe { shims::c::shim_opp_clear(token) };
        }
    }
}
