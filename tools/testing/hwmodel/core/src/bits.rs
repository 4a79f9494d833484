// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Halves of 64-bit registers.

/// Bits 31:0.
pub const fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Bits 63:32.
pub const fn high(value: u64) -> u32 {
    low(value >> 32)
}

/// Replaces the half of a 64-bit register that `off` (its bit 2) selects.
pub fn set_half(target: &mut u64, off: u32, value: u32) {
    if off & 4 == 0 {
        *target = (*target & !0xffff_ffff) | u64::from(value);
    } else {
        *target = (*target & 0xffff_ffff) | (u64::from(value) << 32);
    }
}

/// The half of a 64-bit register that `off` (its bit 2) selects.
pub const fn half(value: u64, off: u32) -> u32 {
    if off & 4 == 0 {
        low(value)
    } else {
        high(value)
    }
}
