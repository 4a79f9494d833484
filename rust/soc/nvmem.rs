// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What fuses and the like say about a device.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    error::to_result,
    prelude::*,
    str::CStrExt, //
};

use crate::{
    probe,
    raw_device, //
};

/// A mask of parts that work, which is the content of the device's cell `name`. `None` if its device tree
/// has no such cell. Sleeps.
///
/// # Errors
///
/// What a cell that cannot be read fails with, `EPROBE_DEFER` if its provider is not there yet, `EINVAL`
/// for a mask without any part; all of them are said. A kernel that cannot read cells at all gives
/// `EOPNOTSUPP`, for a device that has this one: parts that do not work must not be used.
pub fn mask(dev: &Device<Bound>, name: &'static CStr) -> Result<Option<u64>> {
    let mut value = 0;

    // SAFETY: The device is valid, and so is the place for the value; the name is not used after the call.
    let read = unsafe { shims::c::shim_nvmem_u64(raw_device(dev), name.as_char_ptr(), &mut value) };
    match to_result(read) {
        Err(err) if err == ENOENT => Ok(None),
        Ok(()) if value == 0 => Err(EINVAL),
        Ok(()) => Ok(Some(value)),
        Err(err) => Err(err),
    }
    .map_err(|err| {
        let why = fmt!(
            "cannot use the cell \"{name}\": check nvmem-cells in the device tree, the driver of what \
             has it, and CONFIG_NVMEM"
        );
        probe::failed(dev, err, why)
    })
}
