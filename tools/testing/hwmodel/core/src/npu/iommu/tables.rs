// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Two levels of tables: a directory of 1024 entries, each for a table of 1024 pages of 4 KiB.

use super::super::NpuEnv;
use super::tlb::Entry;
use crate::host::BusError;
use crate::record::Kind;
use crate::record::Place;

/// The generation, which decides how an entry holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Physical addresses of 32 bits.
    V1,
    /// Physical addresses of 40 bits: bits 11:8 of an entry are bits 35:32 of the address, bits
    /// 7:4 are bits 39:36.
    V2,
}

const VALID: u32 = 1;
const READABLE: u32 = 1 << 1;
const WRITABLE: u32 = 1 << 2;

/// Whether an entry, or the directory's address, is valid.
pub(crate) fn is_valid(entry: u32) -> bool {
    entry & VALID != 0
}

impl Version {
    /// The physical address in an entry.
    pub fn address(self, entry: u32) -> u64 {
        let low = u64::from(entry & 0xffff_f000);
        match self {
            Version::V1 => low,
            Version::V2 => {
                let entry = u64::from(entry);
                low | (entry & 0xf00) << 24 | (entry & 0xf0) << 32
            }
        }
    }

    /// Whether a directory entry has bits set that mean nothing.
    pub(crate) fn reserved(self, entry: u32) -> bool {
        let mask = match self {
            Version::V1 => 0xffe,
            Version::V2 => 0x00e,
        };
        entry & mask != 0
    }

    /// Whether a page entry has bits set that mean nothing, or mean what no driver asks for.
    fn page_reserved(self, entry: u32) -> bool {
        let mask = match self {
            Version::V1 => 0xe00,
            Version::V2 => 0x008,
        };
        entry & mask != 0
    }
}

/// Reads one entry.
pub(crate) fn entry_at(env: &NpuEnv<'_>, pa: u64) -> Result<u32, BusError> {
    let mut bytes = [0; 4];
    env.host.read(pa, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Finds the translation of an address in the tables.
pub(crate) fn walk(
    env: &mut NpuEnv<'_>,
    version: Version,
    directory: u32,
    place: Place,
    iova: u32,
) -> Result<Option<Entry>, BusError> {
    let mut read = |pa: u64| {
        entry_at(env, pa).inspect_err(|_| {
            env.record(Kind::WalkOutsideRam, place, pa, "NPU");
        })
    };
    let dte = read(version.address(directory) + u64::from(iova >> 22) * 4)?;
    if !is_valid(dte) {
        return Ok(None);
    }
    let source = version.address(dte) + u64::from(iova >> 12 & 0x3ff) * 4;
    let pte = read(source)?;
    if !is_valid(pte) {
        return Ok(None);
    }
    if version.reserved(dte) || version.page_reserved(pte) {
        env.record(Kind::PteReserved, place, u64::from(pte), "NPU");
    }
    Ok(Some(Entry {
        page: iova & !0xfff,
        base: version.address(pte),
        readable: pte & READABLE != 0,
        writable: pte & WRITABLE != 0,
        raw: pte,
        source,
    }))
}
