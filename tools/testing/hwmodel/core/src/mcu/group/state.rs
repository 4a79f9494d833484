// SPDX-License-Identifier: GPL-2.0 OR MIT

//! State changes of a group: what it is configured with, and how it gets on its slot and off it.

use super::super::exception::Exception;
use super::super::iface;
use super::super::iface::Blocks;
use super::super::iface::Hitch;
use super::super::iface::MCU;
use super::super::layout;
use super::super::layout::cs_in;
use super::super::layout::cs_out;
use super::super::layout::csg_in;
use super::super::layout::csg_out;
use super::super::layout::exception;
use super::super::layout::ring_in;
use super::super::layout::ring_out;
use super::super::suspend;
use super::super::suspend::Damage;
use super::Ctl;
use super::Group;
use crate::bus::Bus;
use crate::counters::Counter;
use crate::cs::Endpoints;
use crate::cs::Ring;
use crate::cs::Trouble;
use crate::mmu::Access;
use crate::record::Kind;
use crate::record::Place;

/// From this interface version on, endpoints are configured in a 64-bit word.
const WIDE_ENDPOINTS: u32 = layout::version(4, 0, 0);

impl Group {
    /// ENDPOINT_CONFIG: cores and priority.
    pub(super) fn configure(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<(), Hitch> {
        let io = ctl.io.io;
        let request = if ctl.version >= WIDE_ENDPOINTS {
            iface::read64(bus, io.input + csg_in::ENDPOINT_REQ2)?
        } else {
            u64::from(iface::read32(bus, io.input + csg_in::ENDPOINT_REQ)?)
        };
        let compute = iface::read64(bus, io.input + csg_in::ALLOW_COMPUTE)?;
        let fragment = iface::read64(bus, io.input + csg_in::ALLOW_FRAGMENT)?;
        let tilers = u64::from(iface::read32(bus, io.input + csg_in::ALLOW_OTHER)?);
        let present = bus.usable_cores();
        if (compute | fragment) & !present != 0 {
            let value = (compute | fragment) & !present;
            self.record(
                bus,
                ctl.id,
                Kind::GroupConfig,
                value,
                "absent shader cores allowed",
            );
        }
        if tilers & !bus.product().tiler_present != 0 {
            self.record(
                bus,
                ctl.id,
                Kind::GroupConfig,
                tilers,
                "absent tilers allowed",
            );
        }
        self.endpoints = Endpoints {
            compute: request & 0xff != 0 && compute != 0,
            fragment: request >> 8 & 0xff != 0 && fragment != 0,
            tiler: request >> 16 & 0xf != 0 && tilers != 0,
        };
        self.shaders = (compute | fragment) & present;
        self.tilers = tilers & bus.product().tiler_present;
        let word = crate::bits::low(request);
        iface::write32(bus, io.output + csg_out::STATUS_ENDPOINT_REQ, word)?;
        iface::write32(bus, io.output + csg_out::STATUS_ENDPOINT_CURRENT, word)
    }

    pub(super) fn change_state(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        wanted: u32,
    ) -> Result<(), Hitch> {
        match wanted {
            csg_in::START | csg_in::RESUME => {
                if self.active {
                    let note = "started on a slot that is in use";
                    self.record(
                        bus,
                        ctl.id,
                        Kind::InterfaceProtocol,
                        u64::from(wanted),
                        note,
                    );
                    self.empty();
                }
                self.start(bus, ctl, wanted == csg_in::RESUME)?;
                bus.env.count(if wanted == csg_in::START {
                    Counter::CsgStart
                } else {
                    Counter::CsgResume
                });
            }
            csg_in::SUSPEND if self.active => {
                self.fail_on_leaving(ctl);
                // What went wrong is not part of what is saved.
                self.report(bus, ctl)?;
                self.take_heap_answers(bus, ctl)?;
                self.write_status(bus, ctl)?;
                if self.suspend_buf == 0 {
                    let note = "suspended without a suspend buffer";
                    self.record(bus, ctl.id, Kind::SuspendBuffer, 0, note);
                } else {
                    suspend::save(bus, self.suspend_buf, &self.streams, &self.progress)?;
                }
                self.leave(bus, ctl)?;
                bus.env.count(Counter::CsgSuspend);
            }
            csg_in::TERMINATE if self.active => {
                self.leave(bus, ctl)?;
                bus.env.count(Counter::CsgTerminate);
            }
            // A group that is not there can be neither suspended nor terminated, and both are
            // harmless: the firmware may have been booted again in between.
            csg_in::SUSPEND | csg_in::TERMINATE => (),
            other => {
                let note = "unknown group state";
                self.record(bus, ctl.id, Kind::InterfaceProtocol, u64::from(other), note);
            }
        }
        Ok(())
    }

    /// An exception that was asked for when the group leaves.
    fn fail_on_leaving(&mut self, ctl: &mut Ctl<'_>) {
        let due = |e: &Exception| e.leaving && e.is_for(ctl.id, self.as_nr);
        let Some(exception) = ctl.faults.exception.filter(due) else {
            return;
        };
        let index = usize::from(exception.stream);
        if self.streams.get(index).is_some_and(|s| s.started) {
            ctl.faults.exception = None;
            self.fail(index, exception.trouble());
        }
    }

    /// START and RESUME.
    pub(super) fn start(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        resume: bool,
    ) -> Result<(), Hitch> {
        self.empty();
        let io = ctl.io.io;
        let config = iface::read32(bus, io.input + csg_in::CONFIG)?;
        let as_nr = config & 0xf;
        if as_nr == 0 || bus.product().as_present >> as_nr & 1 == 0 {
            let note = "address space of the group";
            self.record(bus, ctl.id, Kind::GroupConfig, u64::from(config), note);
        }
        self.as_nr = u8::try_from(as_nr).unwrap_or(0);
        self.suspend_buf = iface::read64(bus, io.input + csg_in::SUSPEND_BUF)?;
        if self.suspend_buf != 0 {
            let last = self.suspend_buf + u64::from(suspend::BUFFER_SIZE) - 1;
            let first = self.suspend_buf;
            if first % 64 != 0
                || !bus.probe(MCU, first, Access::Write)
                || !bus.probe(MCU, last, Access::Write)
            {
                let note = "suspend buffer is not mapped writable";
                self.record(bus, ctl.id, Kind::SuspendBuffer, first, note);
                self.suspend_buf = 0;
            }
        }
        let mut restored = 0;
        if resume {
            restored = self.restore(bus, ctl)?;
        }
        for index in 0..ctl.streams {
            let Some(cs) = ctl.io.streams.get(index) else {
                break;
            };
            let cs_req = iface::read32(bus, cs.input + cs_in::REQ)?;
            let again = restored >> index & 1 != 0;
            if cs_req & cs_in::STATE_MASK == cs_in::START {
                self.start_stream(bus, ctl, index, again)?;
            } else if again {
                let note = "stream is not started again with its group";
                self.record(bus, ctl.id, Kind::InterfaceProtocol, index as u64, note);
                if let Some(stream) = self.streams.get_mut(index) {
                    stream.reset();
                }
            }
        }
        let state = io.output + csg_out::STATUS_STATE;
        iface::write32(bus, state, 0)?;
        // Only now, when nothing has to be tried again, is the buffer used up.
        if restored != 0 {
            suspend::discard(bus, self.suspend_buf)?;
        }
        self.active = true;
        Ok(())
    }

    /// Reads the suspend buffer. Returns the set of streams that were in it.
    pub(super) fn restore(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<u32, Hitch> {
        let buffer = self.suspend_buf;
        let note = if buffer == 0 {
            "resumed without a suspend buffer"
        } else {
            match suspend::restore(bus, buffer, &mut self.streams, &mut self.progress) {
                Ok(streams) => return Ok(streams),
                Err(Damage::Hitch(hitch)) => return Err(hitch),
                Err(Damage::Header) => "resumed from a buffer that holds no suspended group",
                Err(Damage::Content) => "suspend buffer is damaged",
            }
        };
        self.record(bus, ctl.id, Kind::SuspendBuffer, buffer, note);
        for stream in &mut self.streams {
            stream.reset();
        }
        let trouble = Trouble::Fatal {
            kind: exception::FIRMWARE_INTERNAL_ERROR,
            info: buffer,
        };
        if let Some(slot) = self.trouble.first_mut() {
            *slot = Some(trouble);
        }
        Ok(0)
    }

    /// Programs a stream from its input block. `again` if its state was restored.
    pub(super) fn start_stream(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        index: usize,
        again: bool,
    ) -> Result<(), Hitch> {
        let Some(&Blocks { input, output }) = ctl.io.streams.get(index) else {
            return Ok(());
        };
        let config = iface::read32(bus, input + cs_in::CONFIG)?;
        let mut ring = Ring {
            base: iface::read64(bus, input + cs_in::RINGBUF_BASE)?,
            size: iface::read32(bus, input + cs_in::RINGBUF_SIZE)?,
            input: iface::read64(bus, input + cs_in::RINGBUF_INPUT)?,
            output: iface::read64(bus, input + cs_in::RINGBUF_OUTPUT)?,
            insert: 0,
            extract: 0,
        };
        let place = Place::Queue {
            group: ctl.id,
            queue: u8::try_from(index).unwrap_or(0),
        };
        let mapped = bus.probe(MCU, ring.input, Access::Read)
            && bus.probe(MCU, ring.output, Access::Write)
            && ring.input % 8 == 0
            && ring.output % 8 == 0;
        let problem = match ring.check() {
            Err(error) => Some((u64::from(ring.size), error.note())),
            Ok(()) if !mapped => Some((ring.input, "ring pages are not mapped for the MCU")),
            Ok(()) => None,
        };
        if let Some((value, note)) = problem {
            bus.env.record(Kind::QueueConfig, place, value, note);
            self.fail(
                index,
                Trouble::Fatal {
                    kind: exception::CS_CONFIG_FAULT,
                    info: value,
                },
            );
            return Ok(());
        }
        let initial = iface::read64(bus, ring.input + ring_in::EXTRACT_INIT)?;
        let Some(stream) = self.streams.get_mut(index) else {
            return Ok(());
        };
        ring.extract = if again { stream.ring.extract } else { initial };
        ring.insert = ring.extract;
        if again && initial != ring.extract {
            bus.env.record(
                Kind::RingBounds,
                place,
                initial,
                "extract on resume is not where the ring was suspended",
            );
        }
        iface::write64(bus, ring.output + ring_out::EXTRACT, ring.extract)?;
        iface::write32(bus, ring.output + ring_out::ACTIVE, 1)?;
        stream.ring = ring;
        let [priority, doorbell, ..] = config.to_le_bytes();
        stream.priority = priority & 0xf;
        stream.doorbell = doorbell;
        stream.started = true;
        // Nothing that an earlier user of the slot left pending concerns this one.
        let req = iface::read32(bus, input + cs_in::REQ)?;
        iface::write32(bus, output + cs_out::ACK, req)?;
        if let Some(served) = self.served.get_mut(index) {
            *served = req;
        }
        Ok(())
    }

    /// SUSPEND and TERMINATE, after the state was saved.
    pub(super) fn leave(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<(), Hitch> {
        for (stream, io) in self.streams.iter().zip(&ctl.io.streams) {
            if !stream.started {
                continue;
            }
            iface::write64(
                bus,
                stream.ring.output + ring_out::EXTRACT,
                stream.ring.extract,
            )?;
            iface::write32(bus, stream.ring.output + ring_out::ACTIVE, 0)?;
            let ack = iface::read32(bus, io.output + cs_out::ACK)?;
            iface::write32(bus, io.output + cs_out::ACK, ack & !cs_in::STATE_MASK)?;
        }
        self.empty();
        Ok(())
    }

    /// STATUS_UPDATE: the status fields of all streams.
    pub(super) fn write_status(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
    ) -> Result<(), Hitch> {
        for (stream, io) in self.streams.iter_mut().zip(&ctl.io.streams) {
            if !stream.started {
                continue;
            }
            iface::write64(
                bus,
                stream.ring.output + ring_out::EXTRACT,
                stream.ring.extract,
            )?;
            stream.extract_dirty = false;
            let (pointer, value) = stream.wait_sync();
            let out = io.output;
            iface::write64(bus, out + cs_out::STATUS_CMD_PTR, stream.pc())?;
            iface::write64(bus, out + cs_out::STATUS_WAIT_SYNC_POINTER, pointer)?;
            for (at, word) in [
                (cs_out::STATUS_WAIT, stream.wait_status()),
                (cs_out::STATUS_REQ_RESOURCE, u32::from(stream.resources())),
                (cs_out::STATUS_WAIT_SYNC_VALUE, crate::bits::low(value)),
                (cs_out::STATUS_WAIT_SYNC_VALUE_HI, crate::bits::high(value)),
                (cs_out::STATUS_SCOREBOARDS, u32::from(stream.scoreboards())),
                (cs_out::STATUS_BLOCKED_REASON, stream.blocked_reason()),
            ] {
                iface::write32(bus, out + at, word)?;
            }
        }
        Ok(())
    }
}
