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

use core::ptr;

use kernel::{
    bindings,
    clk::Hertz,
    device::{
        Bound,
        Device, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    ffi::{
        c_int,
        c_ulong, //
    },
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
    /// Adds the device tree's table, with the supply `regulator` under the control of the OPP core.
    ///
    /// If the device has a table already, its power domain has brought it and controls the supply;
    /// then the table is used as it is. A missing supply is no error.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no table, `EPROBE_DEFER` if the supply is not there yet.
    pub fn from_dt(dev: &Device<Bound>, regulator: &'static CStr) -> Result<Self> {
        let mut this = Self {
            dev: ARef::from(&**dev),
            config: None,
            own_table: false,
        };

        // SAFETY: The device is valid.
        let table = from_err_ptr(unsafe { bindings::dev_pm_opp_get_opp_table(raw_device(dev)) });
        if matches!(table, Ok(table) if !table.is_null()) {
            // SAFETY: The reference was handed out just now.
            unsafe { bindings::dev_pm_opp_put_opp_table(table?) };
            return Ok(this);
        }

        let names = [regulator.as_char_ptr(), ptr::null()];
        let mut config = bindings::dev_pm_opp_config {
            regulator_names: names.as_ptr(),
            ..Default::default()
        };
        // SAFETY: The device is valid; the configuration and the null-terminated array of names are
        // not used after the call.
        let token = unsafe { bindings::dev_pm_opp_set_config(raw_device(dev), &mut config) };
        match to_result(token) {
            Ok(()) => this.config = Some(token),
            Err(err) if err == ENODEV => (),
            Err(err) => return Err(err),
        }

        // SAFETY: The device is valid.
        to_result(unsafe { bindings::dev_pm_opp_of_add_table(raw_device(dev)) })?;
        this.own_table = true;
        Ok(this)
    }

    /// Sets the lowest point that is at least as fast as `rate`, or the fastest one, and switches
    /// the supply on. Returns the point's rate.
    pub fn set_initial(&self, rate: Hertz) -> Result<Hertz> {
        let mut freq: c_ulong = rate.as_hz();

        // SAFETY: The device is valid.
        let mut opp = from_err_ptr(unsafe {
            bindings::dev_pm_opp_find_freq_ceil(raw_device(&*self.dev), &mut freq)
        });
        if matches!(&opp, Err(err) if *err == ERANGE) {
            // SAFETY: The device is valid.
            opp = from_err_ptr(unsafe {
                bindings::dev_pm_opp_find_freq_floor(raw_device(&*self.dev), &mut freq)
            });
        }
        let opp = opp?;

        // SAFETY: The device is valid, and so is the point that was just found.
        let ret = to_result(unsafe { bindings::dev_pm_opp_set_opp(raw_device(&*self.dev), opp) });
        // SAFETY: Finding the point has handed out this reference.
        unsafe { bindings::dev_pm_opp_put(opp) };
        ret.map(|()| Hertz(freq))
    }

    /// Sets the point for `rate`.
    pub fn set_rate(&self, rate: Hertz) -> Result {
        // SAFETY: The device is valid.
        to_result(unsafe { bindings::dev_pm_opp_set_rate(raw_device(&*self.dev), rate.as_hz()) })
    }

    /// The rate of the fastest point.
    pub fn max_rate(&self) -> Result<Hertz> {
        let mut freq = c_ulong::MAX;

        // SAFETY: The device is valid.
        let opp = from_err_ptr(unsafe {
            bindings::dev_pm_opp_find_freq_floor(raw_device(&*self.dev), &mut freq)
        })?;
        // SAFETY: Finding the point has handed out this reference.
        unsafe { bindings::dev_pm_opp_put(opp) };
        Ok(Hertz(freq))
    }
}

impl Drop for Opp {
    fn drop(&mut self) {
        if self.own_table {
            // SAFETY: The device is valid. Without a point the OPP core drops its vote for the
            // supply; there is nothing to do about a failure.
            unsafe { bindings::dev_pm_opp_set_opp(raw_device(&*self.dev), ptr::null_mut()) };
            // SAFETY: By the type's invariant the table is ours.
            unsafe { bindings::dev_pm_opp_of_remove_table(raw_device(&*self.dev)) };
        }
        if let Some(token) = self.config {
            // SAFETY: By the type's invariant the token is valid, and it is not used again.
            unsafe { bindings::dev_pm_opp_clear_config(token) };
        }
    }
}
