// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The self-check table inside the code section of a test firmware image.
//!
//! The generator of test images and the model's processor share this file, and nothing else: it
//! says what the table looks like, not how either side uses it.
//!
//! The table starts [`OFFSET`] bytes after the reset handler. All words are little-endian:
//!
//! | words | content |
//! |-------|---------|
//! | 2     | [`MAGIC`] |
//! | 1     | format version, [`FORMAT`] |
//! | 1     | interface version that the firmware reports |
//! | 1     | number of entries |
//! | 1     | zero |
//! | 5 per entry | address, size, section flags, size of the initial data, CRC-32 of that data |
//! | 1     | CRC-32 of all words before |
//!
//! The checksum of the section that contains the table leaves the table out, which has its own.

/// Marks the table.
pub const MAGIC: [u32; 2] = [0x4c65_5366, 0x6b43_4843];

/// Offset of two vectors that the processor reserves: there, [`MAGIC`] says that the image has a
/// table. Firmware of other origin has zeros.
pub const VECTOR_MARK: u32 = 0x1c;

/// Format version.
pub const FORMAT: u32 = 1;

/// Distance of the table from the reset handler in bytes.
pub const OFFSET: u32 = 8;

/// Most entries.
pub const MAX_ENTRIES: u32 = 16;

/// Bytes before the first entry.
pub const HEADER_SIZE: u32 = 24;

/// Bytes of an entry.
pub const ENTRY_SIZE: u32 = 20;

/// Size of a table of `count` entries in bytes, its checksum included.
pub const fn table_size(count: u32) -> u32 {
    HEADER_SIZE + count * ENTRY_SIZE + 4
}

/// Distance of group control blocks in the shared section of a test image in bytes.
pub const GROUP_STRIDE: u64 = 0xa0;

/// Distance of stream control blocks in the shared section of a test image in bytes.
pub const STREAM_STRIDE: u64 = 0xc;

/// Size of the part of the shared section that holds control blocks: its initial data.
pub const CONTROL_SIZE: u64 = 0x2000;

/// Section flag: readable.
pub const FLAG_RD: u32 = 1 << 0;
/// Section flag: writable.
pub const FLAG_WR: u32 = 1 << 1;
/// Section flag: executable.
pub const FLAG_EX: u32 = 1 << 2;
/// Section flag: shared with the host.
pub const FLAG_SHARED: u32 = 1 << 30;
/// Section flag: what follows the initial data is zero.
pub const FLAG_ZERO: u32 = 1 << 31;

const NIBBLES: [u32; 16] = nibbles();

const fn nibbles() -> [u32; 16] {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let mut crc: u32 = i;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 != 0 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[i as usize] = crc;
        i += 1;
    }
    table
}

/// A CRC-32 (the one of Ethernet and zip) in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc(u32);

impl Crc {
    /// Of nothing.
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let mut crc = self.0 ^ u32::from(byte);
            for _ in 0..2 {
                let low = NIBBLES.get((crc & 0xf) as usize).copied().unwrap_or(0);
                crc = crc >> 4 ^ low;
            }
            self.0 = crc;
        }
    }

    /// The checksum.
    pub const fn value(self) -> u32 {
        !self.0
    }
}

impl Default for Crc {
    fn default() -> Self {
        Self::new()
    }
}
