// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Suspend buffers: the state of a group's streams in memory, so that the slot can be reused.
//!
//! The layout is private to the firmware. A header (magic, set of streams, checksum) comes last
//! when a buffer is written and is checked first when one is read, so that a buffer that was
//! never written, was damaged, or belongs to something else is refused.

use super::iface;
use super::iface::Hitch;
use super::image::Crc;
use super::layout::MAX_STREAMS;
use crate::bits::low;
use crate::bus::Bus;
use crate::cs::Stream;

/// Size of a suspend buffer that the interface reports, in bytes.
pub(crate) const BUFFER_SIZE: u32 = 0x4000;

/// Size of a protected mode suspend buffer that the interface reports, in bytes.
pub(crate) const PROTECTED_BUFFER_SIZE: u32 = 0x1000;

const MAGIC: u64 = 0x6469_6c61_7647_5343;

/// Header: magic, streams, checksum.
const HEADER: u64 = 64;

/// Space for a stream.
const STREAM: u64 = 0x600;

const _: () = assert!(HEADER + STREAM * MAX_STREAMS as u64 <= BUFFER_SIZE as u64);

/// Why a buffer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// There is no valid header.
    Header,
    /// The checksum is wrong, or the content makes no sense.
    Content,
    /// See [`Hitch`].
    Hitch(Hitch),
}

impl From<Hitch> for Damage {
    fn from(hitch: Hitch) -> Self {
        Damage::Hitch(hitch)
    }
}

/// Writes the streams in `started` with their progress counters.
pub(crate) fn save(
    bus: &mut Bus<'_>,
    buffer: u64,
    streams: &[Stream; MAX_STREAMS],
    progress: &[u64; MAX_STREAMS],
) -> Result<(), Hitch> {
    // Until the new content is complete there is none.
    iface::write64(bus, buffer, 0)?;
    let now = bus.env.now;
    let mut crc = Crc::new();
    let mut mask = 0u64;
    let mut base = buffer + HEADER;
    for (index, (stream, &count)) in streams.iter().zip(progress).enumerate() {
        if stream.started {
            mask |= 1 << index;
            let mut at = base;
            let mut put = |word: u64| {
                crc.add(&word.to_le_bytes());
                let result = iface::write64(bus, at, word);
                at += 8;
                result
            };
            put(count)?;
            stream.save(now, &mut put)?;
        }
        base += STREAM;
    }
    iface::write64(bus, buffer + 8, mask)?;
    iface::write64(bus, buffer + 16, u64::from(crc.value()))?;
    iface::write64(bus, buffer, MAGIC)
}

/// Reads a buffer back. The streams in it are restored except for their rings' addresses, which
/// the host programs anew. Returns the set of streams.
pub(crate) fn restore(
    bus: &mut Bus<'_>,
    buffer: u64,
    streams: &mut [Stream; MAX_STREAMS],
    progress: &mut [u64; MAX_STREAMS],
) -> Result<u32, Damage> {
    if iface::read64(bus, buffer)? != MAGIC {
        return Err(Damage::Header);
    }
    let mask = iface::read64(bus, buffer + 8)?;
    let expected = iface::read64(bus, buffer + 16)?;
    let now = bus.env.now;
    let mut crc = Crc::new();
    let mut base = buffer + HEADER;
    for (index, (stream, count)) in streams.iter_mut().zip(progress).enumerate() {
        if mask >> index & 1 != 0 {
            let mut at = base;
            let mut get = || -> Result<u64, Hitch> {
                let word = iface::read64(bus, at)?;
                crc.add(&word.to_le_bytes());
                at += 8;
                Ok(word)
            };
            *count = get()?;
            if !stream.restore(now, &mut get)? {
                return Err(Damage::Content);
            }
        }
        base += STREAM;
    }
    if u64::from(crc.value()) != expected {
        return Err(Damage::Content);
    }
    Ok(low(mask))
}

/// Marks a buffer as used up: a group is resumed once.
pub(crate) fn discard(bus: &mut Bus<'_>, buffer: u64) -> Result<(), Hitch> {
    iface::write64(bus, buffer, 0)
}
