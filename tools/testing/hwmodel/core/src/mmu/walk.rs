// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The table walker: VMSAv8-64 stage 1 with a granule of 4 KiB, as ADRMODE AARCH64_4K selects it.

use crate::bus::Env;
use crate::host::Host;
use crate::record::Kind;
use crate::record::Place;

use super::config::attributes;
use super::config::Table;
use super::config::Type;
use super::tlb::Entry;
use super::Access;

/// EXCEPTION_TYPE of a translation fault at level 0; further levels follow.
pub const TRANSLATION_FAULT: u8 = 0xc0;
/// A permission fault at level 0.
pub const PERMISSION_FAULT: u8 = 0xc8;
/// An access flag fault at level 0 (only levels 1 to 3 occur).
pub const ACCESS_FLAG_FAULT: u8 = 0xd8;
/// The virtual address is too wide.
pub const ADDRESS_SIZE_FAULT_IN: u8 = 0xe0;
/// An output address is too wide, at level 0.
pub const ADDRESS_SIZE_FAULT_OUT: u8 = 0xe4;
/// The attribute index selects a faulting type, at level 0.
pub const MEMORY_ATTRIBUTE_FAULT: u8 = 0xe8;

/// Bits of a leaf entry that the hardware ignores and software may change at any time.
const SOFTWARE: u64 = 0xf << 55;

/// The last level.
const LAST: u8 = 3;

const VALID: u64 = 1 << 0;
const TABLE: u64 = 1 << 1;
const AP_USER: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
const ACCESS_FLAG: u64 = 1 << 10;
const EXECUTE_NEVER: u64 = 1 << 54;
const OUTPUT: u64 = 0x0000_ffff_ffff_f000;
/// Bits 51:48 are output address only with a granule of 64 KiB.
const LEAF_RESERVED: u64 = 0x000f << 48;
/// Hierarchical permissions of table entries.
const TABLE_EXECUTE_NEVER: u64 = 1 << 60;
const TABLE_READ_ONLY: u64 = 1 << 62;
const TABLE_NOT_USER: u64 = 1 << 61;

/// Shareability of a leaf: outer.
const SH_OUTER: u64 = 2;

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Physical address of the page or block.
    pub output: u64,
    /// The table entry, with the restrictions of the tables above it applied.
    pub raw: u64,
    /// The level.
    pub level: u8,
    /// log2 of the size.
    pub shift: u32,
}

impl Leaf {
    /// The entry as it would be if `va`, an address in the page or block, had a page of its own.
    pub fn as_page(&self, va: u64) -> u64 {
        let offset = va & ((1u64 << self.shift) - 1);
        (self.raw & !OUTPUT) | ((self.output + offset) & OUTPUT)
    }

    /// Physical address of the 4 KiB around `va`, an address in the page or block.
    pub fn page(&self, va: u64) -> u64 {
        self.as_page(va) & OUTPUT
    }
}

/// Why a walk did not end at a page or block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A fault with this EXCEPTION_TYPE.
    Fault(u8),
    /// A table is outside of the device's memory.
    Bus,
}

/// What is wrong with a table entry, if anything.
type Wrong = Option<(Kind, &'static str)>;

/// A walk with the configuration it runs under.
#[derive(Clone, Copy)]
pub struct Walk {
    /// The address space's tables.
    pub table: Table,
    /// Width of virtual addresses of the product.
    pub va_bits: u32,
    /// Width of physical addresses of the product.
    pub pa_bits: u32,
    /// Whether system coherency is on.
    pub coherent: bool,
}

impl Walk {
    /// Translates, and records what is wrong with the tables on the way.
    pub fn run(&self, env: &mut Env<'_>, as_nr: u8, va: u64) -> Result<Leaf, Error> {
        let mut wrong = None;
        let result = self.descend(env.host, va, &mut wrong);
        let place = Place::Virtual { as_nr, va };
        if let Some(((kind, note), raw)) = wrong {
            env.record(kind, place, raw, note);
        }
        result
    }

    /// Translates, and records nothing.
    pub fn quietly(&self, host: &dyn Host, va: u64) -> Option<Leaf> {
        self.descend(host, va, &mut None).ok()
    }

    /// Whether the tables say something else than a cached translation. What software may change
    /// at any time does not count.
    pub fn changed(&self, env: &Env<'_>, entry: &Entry) -> bool {
        let fresh = self.quietly(env.host, entry.base());
        fresh
            .is_none_or(|leaf| leaf.level != entry.level || (leaf.raw ^ entry.raw) & !SOFTWARE != 0)
    }

    /// The level at which walks start.
    fn first_level(&self) -> u8 {
        match self.table.input_bits {
            0..=30 => 2,
            31..=39 => 1,
            _ => 0,
        }
    }

    fn descend(
        &self,
        host: &dyn Host,
        va: u64,
        wrong: &mut Option<((Kind, &'static str), u64)>,
    ) -> Result<Leaf, Error> {
        if va >> self.table.input_bits != 0 {
            return Err(Error::Fault(ADDRESS_SIZE_FAULT_IN));
        }
        let mut table = self.table.base;
        let mut restrict_set = 0;
        let mut restrict_clear = 0;
        let mut level = self.first_level();
        loop {
            let shift = 12 + 9 * u32::from(LAST - level);
            let index = (va >> shift) & 0x1ff;
            let mut bytes = [0; 8];
            if host.read(table + index * 8, &mut bytes).is_err() {
                *wrong = Some(((Kind::WalkOutsideRam, "table"), table + index * 8));
                return Err(Error::Bus);
            }
            let raw = u64::from_le_bytes(bytes);
            if raw & VALID == 0 {
                return Err(Error::Fault(TRANSLATION_FAULT + level));
            }
            let output = raw & OUTPUT;
            if output >> self.pa_bits != 0 {
                *wrong = Some(((Kind::PteReserved, "output address is too wide"), raw));
                return Err(Error::Fault(ADDRESS_SIZE_FAULT_OUT + level));
            }
            if level < LAST && raw & TABLE != 0 {
                if !self.table.no_hierarchy {
                    restrict_set |= if raw & TABLE_READ_ONLY != 0 {
                        AP_READ_ONLY
                    } else {
                        0
                    };
                    restrict_set |= if raw & TABLE_EXECUTE_NEVER != 0 {
                        EXECUTE_NEVER
                    } else {
                        0
                    };
                    restrict_clear |= if raw & TABLE_NOT_USER != 0 {
                        AP_USER
                    } else {
                        0
                    };
                }
                table = output;
                level += 1;
                continue;
            }
            let block = level == 1 || level == 2;
            if (level == LAST && raw & TABLE == 0) || (level < LAST && !block) {
                *wrong = Some(((Kind::PteReserved, "reserved descriptor type"), raw));
                return Err(Error::Fault(TRANSLATION_FAULT + level));
            }
            if let Some(found) = self.leaf_wrong(raw, shift) {
                *wrong = Some((found, raw));
            }
            return Ok(Leaf {
                output: output & !((1u64 << shift) - 1),
                raw: (raw | restrict_set) & !restrict_clear,
                level,
                shift,
            });
        }
    }

    /// Rules that a leaf entry breaks although it translates.
    fn leaf_wrong(&self, raw: u64, shift: u32) -> Wrong {
        if raw & LEAF_RESERVED != 0 {
            return Some((Kind::PteReserved, "bits 51:48"));
        }
        if raw & OUTPUT & ((1u64 << shift) - 1) != 0 {
            return Some((Kind::PteReserved, "block is not aligned"));
        }
        let share = (raw >> 8) & 3;
        if share == 1 {
            return Some((Kind::PteAttributes, "reserved shareability"));
        }
        match attributes(self.table.memattr, attribute_index(raw)) {
            Ok(found) if found.memory == Type::WriteBack && !self.coherent => {
                // Without system coherency, cached memory may be shared inside the GPU only.
                if found.share != 0 {
                    return Some((
                        Kind::PteAttributes,
                        "CPU-shareable and write-back, no coherency",
                    ));
                }
                if share == SH_OUTER {
                    return Some((Kind::PteAttributes, "outer and write-back, no coherency"));
                }
                None
            }
            Ok(_) => None,
            Err(note) => Some((Kind::PteAttributes, note)),
        }
    }

    /// Whether the GPU's caches keep what is written through a leaf entry.
    pub fn is_cached(&self, raw: u64) -> bool {
        attributes(self.table.memattr, attribute_index(raw))
            .is_ok_and(|found| matches!(found.memory, Type::Shared | Type::WriteBack))
    }

    /// Whether a leaf entry permits an access, else the EXCEPTION_TYPE.
    pub fn permits(&self, raw: u64, level: u8, access: Access) -> Result<(), u8> {
        let fault = match attributes(self.table.memattr, attribute_index(raw)) {
            Ok(found) => found.memory == Type::Fault,
            Err(_) => true,
        };
        if fault {
            return Err(MEMORY_ATTRIBUTE_FAULT + level);
        }
        if raw & ACCESS_FLAG == 0 && !self.table.no_access_flag_fault {
            return Err(ACCESS_FLAG_FAULT + level);
        }
        let writable = raw & AP_READ_ONLY == 0;
        let executable = raw & EXECUTE_NEVER == 0 && !(self.table.write_not_execute && writable);
        let permitted = raw & AP_USER != 0
            && match access {
                Access::Read => true,
                Access::Write | Access::Atomic => writable,
                Access::Execute => executable,
            };
        if permitted {
            Ok(())
        } else {
            Err(PERMISSION_FAULT + level)
        }
    }
}

fn attribute_index(raw: u64) -> u32 {
    match (raw >> 2) & 7 {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 3,
        4 => 4,
        5 => 5,
        6 => 6,
        _ => 7,
    }
}
