// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Events from the firmware to the host.
//!
//! An event is pending while its bit differs between request and acknowledgement word. Raising an
//! event that is pending already changes nothing: the host has yet to look.

use super::faults::Event;
use super::faults::Faults;
use super::faults::Level;
use super::iface;
use super::iface::Blocks;
use super::iface::GroupBlocks;
use super::iface::Hitch;
use super::layout::cs_in;
use super::layout::cs_out;
use super::layout::csg_in;
use super::layout::csg_out;
use crate::bus::Bus;
use crate::host::Line;

/// Raises an event of a group.
pub(crate) fn raise_group(
    bus: &mut Bus<'_>,
    io: Blocks,
    id: u8,
    bit: u32,
    faults: &mut Faults,
) -> Result<(), Hitch> {
    let event = Event {
        level: Level::Csg,
        bit,
    };
    let irq = 1u32.wrapping_shl(u32::from(id));
    let req = iface::read32(bus, io.input + csg_in::REQ)?;
    let ack = iface::read32(bus, io.output + csg_out::ACK)?;
    let irq_mask = iface::read32(bus, io.input + csg_in::ACK_IRQ_MASK)?;
    if faults.drops(event) {
        return Ok(());
    }
    if (req ^ ack) & bit == 0 {
        iface::write32(bus, io.output + csg_out::ACK, ack ^ bit)?;
        if irq_mask & bit != 0 {
            bus.env.raise(Line::Job, irq);
        }
    }
    if faults.repeats(event) {
        bus.env.raise(Line::Job, irq);
    }
    Ok(())
}

/// Raises an event of a stream.
pub(crate) fn raise_stream(
    bus: &mut Bus<'_>,
    group: &GroupBlocks,
    id: u8,
    stream: u8,
    bit: u32,
    faults: &mut Faults,
) -> Result<(), Hitch> {
    let Some(&io) = group.streams.get(usize::from(stream)) else {
        return Ok(());
    };
    let req = iface::read32(bus, io.input + cs_in::REQ)?;
    let ack = iface::read32(bus, io.output + cs_out::ACK)?;
    let irq_mask = iface::read32(bus, io.input + cs_in::ACK_IRQ_MASK)?;
    if faults.drops(Event {
        level: Level::Cs,
        bit,
    }) {
        return Ok(());
    }
    if (req ^ ack) & bit == 0 {
        iface::write32(bus, io.output + cs_out::ACK, ack ^ bit)?;
    }
    if irq_mask & bit != 0 {
        interrupt_stream(bus, group.io, id, stream)?;
    }
    Ok(())
}

/// Tells the host to look at a stream.
pub(crate) fn interrupt_stream(
    bus: &mut Bus<'_>,
    io: Blocks,
    id: u8,
    stream: u8,
) -> Result<(), Hitch> {
    let bit = 1u32.wrapping_shl(u32::from(stream));
    let req = iface::read32(bus, io.output + csg_out::CS_IRQ_REQ)?;
    let ack = iface::read32(bus, io.input + csg_in::CS_IRQ_ACK)?;
    if (req ^ ack) & bit == 0 {
        iface::write32(bus, io.output + csg_out::CS_IRQ_REQ, req ^ bit)?;
    }
    bus.env.raise(Line::Job, 1u32.wrapping_shl(u32::from(id)));
    Ok(())
}
