// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The register window and the way to it.
//!
//! Registers are reached through [`Regs`], a gate that is closed while the GPU is not powered or in
//! reset and gone after unbind. Code that touches registers holds a [`Hw`], which is the proof that
//! they answer.
//!
//! All registers are 32 bits wide. A 64-bit value is two of them; it is written low half first, as
//! the hardware takes some of them over with the high half.
//!
//! Source of offsets and fields: `drivers/gpu/drm/panthor/panthor_*_regs.h`.

use kernel::{
    io::{
        poll::read_poll_timeout,
        register::{
            Array,
            RegisterArray,
            RegisterArrayLoc, //
        },
        Io as _, //
    },
    prelude::*,
    sizes::SZ_2M,
    time::{
        delay::fsleep,
        Delta, //
    },
};

pub(crate) mod gpu;
pub(crate) mod irq;
pub(crate) mod mcu;
pub(crate) mod mmu;
pub(crate) mod pwr;

/// The mapped registers.
pub(crate) type Window = soc::io::Registers<SZ_2M>;

/// The gate in front of the registers.
pub(crate) type Regs = soc::gate::Gate<Window>;

/// Access to the registers: they are powered and not in reset as long as this lives.
pub(crate) type Hw<'a> = soc::gate::Entered<'a, Window>;

/// Access to the registers that nobody else has at the same time.
pub(crate) type Alone<'a> = soc::gate::Alone<'a, Window>;

/// Offset of the page with LATEST_FLUSH, which user space may map.
pub(crate) const FLUSH_ID_PAGE: usize = 0x1_0000;

/// Joins the halves of a 64-bit value.
pub(crate) fn join(lo: u32, hi: u32) -> u64 {
    u64::from(lo) | u64::from(hi) << 32
}

/// Splits a 64-bit value into low and high half.
pub(crate) fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    )
}

/// Reads a 64-bit counter, whose low half may wrap between two reads.
pub(crate) fn read_counter(mut lo: impl FnMut() -> u32, mut hi: impl FnMut() -> u32) -> u64 {
    let mut high = hi();
    loop {
        let low = lo();
        let again = hi();
        if again == high {
            return join(low, high);
        }
        high = again;
    }
}

/// Location of element `index` of a register array.
///
/// # Errors
///
/// `EINVAL` if there is no such element.
pub(crate) fn at<T: RegisterArray + Array>(index: usize) -> Result<RegisterArrayLoc<T>> {
    T::try_at(index).ok_or(EINVAL)
}

/// Enters the gate.
///
/// # Errors
///
/// `ENODEV` while the registers can't be used.
pub(crate) fn enter(regs: &Regs) -> Result<Hw<'_>> {
    regs.enter().ok_or(ENODEV)
}

/// Keeps everybody else out, and waits until they have left. Not with a lock held that they may take.
///
/// # Errors
///
/// `ENODEV` if the registers can't be used.
pub(crate) fn alone(regs: &Regs) -> Result<Alone<'_>> {
    regs.alone().ok_or(ENODEV)
}

/// Reads with `read` until `done` says so, with pauses of `pause`, for at least `timeout`. Sleeps.
///
/// A task may be kept from running for longer than `timeout`. Hence the last reading is one that
/// comes after a pause, whatever the clock says.
///
/// # Errors
///
/// `ETIMEDOUT`, and what `read` fails with.
pub(crate) fn poll<T>(
    mut read: impl FnMut() -> Result<T>,
    mut done: impl FnMut(&T) -> bool,
    pause: Delta,
    timeout: Delta,
) -> Result<T> {
    match read_poll_timeout(&mut read, &mut done, pause, timeout) {
        Err(err) if err == ETIMEDOUT => {
            fsleep(pause);
            let value = read()?;
            if done(&value) {
                Ok(value)
            } else {
                Err(ETIMEDOUT)
            }
        }
        result => result,
    }
}

/// Rings doorbell page `index`.
///
/// # Errors
///
/// `EINVAL` if there is no such page.
pub(crate) fn ring(hw: &Hw<'_>, index: usize) -> Result {
    hw.write(at(index)?, mcu::DOORBELL::zeroed().with_const_ring::<1>());
    Ok(())
}
