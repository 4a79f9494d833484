// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The configuration space: an ordinary function with memory BARs of 32 bits and MSI-X.

use crate::machine::LINES;

/// Size of the configuration space.
pub const SIZE: usize = 256;

/// The vendor that emulators use for devices that no other vendor makes.
pub const VENDOR: u16 = 0x1234;
/// The device.
pub const DEVICE: u16 = 0x6d63;

/// The registers of the GPU.
pub const BAR_GPU: u32 = 0;
/// The registers of the NPU's cores, one after the other.
pub const BAR_NPU: u32 = 1;
/// The block around both.
pub const BAR_CONTROL: u32 = 2;
/// The table and the pending bits of MSI-X, which the client emulates.
pub const BAR_MSIX: u32 = 4;

/// Sizes of the BARs, powers of two; 0 for those that are not there.
pub const BAR_SIZES: [u32; 6] = [0x20_0000, 0x4_0000, 0x4_0000, 0, 0x1000, 0];

const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const CLASS: usize = 0x0a;
const BARS: usize = 0x10;
const SUBSYSTEM_VENDOR: usize = 0x2c;
const SUBSYSTEM: usize = 0x2e;
const CAPABILITIES: usize = 0x34;
const INTERRUPT_LINE: usize = 0x3c;
const MSIX: usize = 0x40;

/// STATUS: there is a list of capabilities.
const STATUS_CAPABILITIES: u16 = 0x10;
/// COMMAND: memory accesses, bus master, no legacy interrupt.
const COMMAND_WRITABLE: u16 = 0x406;
/// A processing accelerator.
const CLASS_ACCELERATOR: u16 = 0x1200;
const CAPABILITY_MSIX: u8 = 0x11;
/// Message control: enable and function mask.
const MSIX_WRITABLE: u16 = 0xc000;
const PENDING_BITS: u32 = 0x800;

/// The present content.
pub struct Config {
    bytes: [u8; SIZE],
    /// Which bits can be written.
    writable: [u8; SIZE],
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// As after power-on.
    pub fn new() -> Self {
        let mut config = Self {
            bytes: [0; SIZE],
            writable: [0; SIZE],
        };
        let last_message = u16::try_from(LINES - 1).unwrap_or(0);
        config.set16(0, VENDOR);
        config.set16(2, DEVICE);
        config.set16(STATUS, STATUS_CAPABILITIES);
        config.set16(CLASS, CLASS_ACCELERATOR);
        config.set16(SUBSYSTEM_VENDOR, VENDOR);
        config.set16(SUBSYSTEM, DEVICE);
        config.bytes[CAPABILITIES] = u8::try_from(MSIX).unwrap_or(0);
        config.bytes[MSIX] = CAPABILITY_MSIX;
        config.set16(MSIX + 2, last_message);
        config.set32(MSIX + 4, BAR_MSIX);
        config.set32(MSIX + 8, PENDING_BITS | BAR_MSIX);

        config.permit(COMMAND, &COMMAND_WRITABLE.to_le_bytes());
        config.permit(INTERRUPT_LINE, &[0xff]);
        config.permit(MSIX + 2, &MSIX_WRITABLE.to_le_bytes());
        for (nr, size) in BAR_SIZES.into_iter().enumerate() {
            // What can't be written tells the size.
            if size != 0 {
                config.permit(BARS + 4 * nr, &(!(size - 1)).to_le_bytes());
            }
        }
        config
    }

    fn set16(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    fn set32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn permit(&mut self, at: usize, bits: &[u8]) {
        self.writable[at..at + bits.len()].copy_from_slice(bits);
    }

    /// Reads any range; nothing if it is not inside.
    pub fn read(&self, at: usize, data: &mut [u8]) -> Option<()> {
        data.copy_from_slice(self.bytes.get(at..at.checked_add(data.len())?)?);
        Some(())
    }

    /// Writes any range; nothing if it is not inside.
    pub fn write(&mut self, at: usize, data: &[u8]) -> Option<()> {
        let range = at..at.checked_add(data.len())?;
        let writable = self.writable.get(range.clone())?;
        for ((byte, mask), new) in self
            .bytes
            .get_mut(range)?
            .iter_mut()
            .zip(writable)
            .zip(data)
        {
            *byte = *byte & !mask | new & mask;
        }
        Some(())
    }
}
