// SPDX-License-Identifier: GPL-2.0 OR MIT

//! TRANSTAB, TRANSCFG and MEMATTR: what they mean and which values are valid.

/// ADRMODE of TRANSCFG.
const ADRMODE_UNMAPPED: u64 = 1;
const ADRMODE_IDENTITY: u64 = 2;
const ADRMODE_AARCH64_4K: u64 = 6;

/// The fields of TRANSCFG that exist.
const TRANSCFG_FIELDS: u64 = 0xf // ADRMODE
    | (0x1f << 6) // INA_BITS
    | (0x1f << 14) // OUTA_BITS
    | (1 << 22) // SL_CONCAT
    | (0x3 << 24) // PTW_MEMATTR
    | (0x3 << 28) // PTW_SH
    | (1 << 30) // R_ALLOCATE
    | (0xf << 33); // DISABLE_HIER_AP, DISABLE_AF_FAULT, WXN, XREADABLE

/// The narrowest input address that the walker takes.
const VA_BITS_MIN: u64 = 25;

/// A table walk's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Physical address of the top table.
    pub base: u64,
    /// Width of input addresses.
    pub input_bits: u32,
    /// MEMATTR: eight attribute bytes.
    pub memattr: u64,
    /// Entries whose access flag is clear do not fault.
    pub no_access_flag_fault: bool,
    /// Writable memory is not executable.
    pub write_not_execute: bool,
    /// Permissions of table entries are ignored.
    pub no_hierarchy: bool,
}

/// How an address space translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every access is terminated.
    Unmapped,
    /// Virtual is physical.
    Identity,
    /// Through tables with a granule of 4 KiB.
    Table(Table),
}

/// What is wrong with a configuration.
pub type Wrong = &'static str;

impl Mode {
    /// Decodes the three registers.
    pub fn decode(
        transtab: u64,
        transcfg: u64,
        memattr: u64,
        va_bits: u32,
        pa_bits: u32,
    ) -> Result<Mode, Wrong> {
        if transcfg & !TRANSCFG_FIELDS != 0 {
            return Err("reserved bits of TRANSCFG");
        }
        match transcfg & 0xf {
            ADRMODE_UNMAPPED => return Ok(Mode::Unmapped),
            ADRMODE_IDENTITY => return Ok(Mode::Identity),
            ADRMODE_AARCH64_4K => (),
            _ => return Err("unsupported ADRMODE"),
        }
        let input_bits = 55u64.saturating_sub((transcfg >> 6) & 0x1f);
        if input_bits < VA_BITS_MIN || input_bits > u64::from(va_bits) {
            return Err("INA_BITS");
        }
        if !matches!((transcfg >> 24) & 3, 1 | 2) {
            return Err("PTW_MEMATTR");
        }
        if (transcfg >> 28) & 3 == 1 {
            return Err("PTW_SH");
        }
        if transtab & 0xfff != 0 {
            return Err("TRANSTAB is not aligned");
        }
        if transtab >> pa_bits != 0 {
            return Err("TRANSTAB is beyond the physical address space");
        }
        if transtab == 0 {
            return Err("TRANSTAB is zero");
        }
        for index in 0..8 {
            attributes(memattr, index)?;
        }
        Ok(Mode::Table(Table {
            base: transtab,
            input_bits: u32::try_from(input_bits).unwrap_or(va_bits),
            memattr,
            no_access_flag_fault: transcfg & (1 << 34) != 0,
            write_not_execute: transcfg & (1 << 35) != 0,
            no_hierarchy: transcfg & (1 << 33) != 0,
        }))
    }
}

/// Memory type of an attribute byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Shared between cores, cached in the L2 only.
    Shared,
    /// Not cached.
    NonCacheable,
    /// Cached, write-back.
    WriteBack,
    /// Accesses fault.
    Fault,
}

/// One attribute byte of MEMATTR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Memory type.
    pub memory: Type,
    /// Shareability mode: 0 GPU-internal, 1 CPU inner, 2 CPU inner with shader coherency.
    pub share: u8,
}

/// Decodes attribute byte `index` (0 to 7).
pub fn attributes(memattr: u64, index: u32) -> Result<Attributes, Wrong> {
    let byte = memattr.checked_shr(index * 8).unwrap_or(0) & 0xff;
    let memory = match byte >> 6 {
        0 => Type::Shared,
        1 => Type::NonCacheable,
        2 => Type::WriteBack,
        _ => Type::Fault,
    };
    let share = match (byte >> 4) & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => return Err("shareability of MEMATTR"),
    };
    if byte != 0 && memory != Type::Fault && (byte >> 2) & 3 < 2 {
        return Err("allocation policy of MEMATTR");
    }
    Ok(Attributes { memory, share })
}
