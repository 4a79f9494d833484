// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Group slots: state changes, configuration and status, and the execution of their streams.
//!
//! # Restarting
//!
//! Any access to interface memory may have to be tried again ([`Hitch::Retry`]). A request counts
//! as served only after everything it asks for is done; serving it again from the start does no
//! harm.

use super::events;
use super::faults::Faults;
use super::faults::Level;
use super::iface;
use super::iface::Blocks;
use super::iface::GroupBlocks;
use super::iface::Hitch;
use super::iface::MCU;
use super::layout;
use super::layout::cs_in;
use super::layout::cs_out;
use super::layout::csg_in;
use super::layout::csg_out;
use super::layout::exception;
use super::layout::ring_in;
use super::layout::ring_out;
use super::layout::MAX_STREAMS;
use super::suspend;
use super::suspend::Damage;
use crate::bus::Bus;
use crate::counters::Counter;
use crate::cs::Block;
use crate::cs::Cx;
use crate::cs::Endpoints;
use crate::cs::Limits;
use crate::cs::Ring;
use crate::cs::Scope;
use crate::cs::Stream;
use crate::cs::Trouble;
use crate::host::Line;
use crate::mmu::Access;
use crate::mmu::Requester;
use crate::record::Kind;
use crate::record::Place;

/// From this interface version on, endpoints are configured in a 64-bit word.
const WIDE_ENDPOINTS: u32 = layout::version(4, 0, 0);

/// What a group needs from the rest of the firmware.
pub(crate) struct Ctl<'a> {
    /// Its blocks.
    pub(crate) io: &'a GroupBlocks,
    /// Its slot.
    pub(crate) id: u8,
    /// Interface version.
    pub(crate) version: u32,
    /// Streams of a group.
    pub(crate) streams: usize,
    /// Misbehaviour.
    pub(crate) faults: &'a mut Faults,
}

/// A group slot.
pub(crate) struct Group {
    /// A group is on the slot.
    pub(crate) active: bool,
    /// A doorbell was rung for the group.
    pub(crate) kick: bool,
    /// Streams whose doorbells were rung.
    pub(crate) rung: u32,
    /// When a delayed acknowledgement is due.
    pub(crate) late: Option<u64>,
    /// All streams are idle, and the host was told.
    pub(crate) idle: bool,
    /// Address space of the group.
    pub(crate) as_nr: u8,
    /// Shader cores that the group may use.
    pub(crate) shaders: u64,
    /// Tilers that the group may use.
    pub(crate) tilers: u64,
    /// A SYNC_UPDATE event is to be raised.
    pub(crate) sync_updated: bool,
    /// The streams.
    pub(crate) streams: [Stream; MAX_STREAMS],
    /// State that the last request asked for, once it was carried out.
    state: u32,
    endpoints: Endpoints,
    suspend_buf: u64,
    progress: [u64; MAX_STREAMS],
    /// REQ of each stream as last served.
    served: [u32; MAX_STREAMS],
    late_stream: Option<u64>,
    trouble: [Option<Trouble>; MAX_STREAMS],
    stuck_since: Option<u64>,
    stuck_reported: bool,
}

impl Group {
    /// Empty.
    pub(crate) const fn new() -> Self {
        Self {
            active: false,
            kick: false,
            rung: 0,
            late: None,
            idle: false,
            as_nr: 0,
            shaders: 0,
            tilers: 0,
            sync_updated: false,
            streams: [const { Stream::new() }; MAX_STREAMS],
            state: csg_in::TERMINATE,
            endpoints: Endpoints {
                compute: false,
                fragment: false,
                tiler: false,
            },
            suspend_buf: 0,
            progress: [0; MAX_STREAMS],
            served: [0; MAX_STREAMS],
            late_stream: None,
            trouble: [None; MAX_STREAMS],
            stuck_since: None,
            stuck_reported: false,
        }
    }

    /// As after power-on.
    pub(crate) fn reset(&mut self) {
        self.empty();
        self.kick = false;
        self.late = None;
        self.state = csg_in::TERMINATE;
        self.endpoints = Endpoints::default();
        self.shaders = 0;
        self.tilers = 0;
    }

    /// No group on the slot.
    fn empty(&mut self) {
        self.active = false;
        self.rung = 0;
        self.idle = false;
        self.sync_updated = false;
        self.as_nr = 0;
        for stream in &mut self.streams {
            stream.reset();
        }
        self.suspend_buf = 0;
        self.progress.fill(0);
        self.served.fill(0);
        self.late_stream = None;
        self.trouble.fill(None);
        self.stuck_since = None;
        self.stuck_reported = false;
    }

    /// The firmware was booted: takes over the state that the host was last told.
    pub(crate) fn booted(&mut self, bus: &mut Bus<'_>, io: Blocks) -> Result<(), Hitch> {
        self.reset();
        self.state = iface::read32(bus, io.output + csg_out::ACK)? & csg_in::STATE_MASK;
        Ok(())
    }

    fn record(&self, bus: &mut Bus<'_>, id: u8, kind: Kind, value: u64, note: &'static str) {
        bus.env.record(kind, Place::Group(id), value, note);
    }

    /// Serves requests and doorbells.
    pub(crate) fn process(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<(), Hitch> {
        let io = ctl.io.io;
        let req = iface::read32(bus, io.input + csg_in::REQ)?;
        let ack = iface::read32(bus, io.output + csg_out::ACK)?;
        let diff = req ^ ack;
        if diff & csg_in::ENDPOINT_CONFIG != 0 {
            self.configure(bus, ctl)?;
        }
        let wanted = req & csg_in::STATE_MASK;
        if wanted != self.state {
            self.change_state(bus, ctl, wanted)?;
            self.state = wanted;
        }
        if self.active {
            for index in 0..ctl.streams {
                self.process_stream(bus, ctl, index)?;
            }
            if diff & csg_in::STATUS_UPDATE != 0 {
                self.write_status(bus, ctl)?;
            }
        }
        let rung = iface::read32(bus, io.input + csg_in::DOORBELL_REQ)?;
        let heard = iface::read32(bus, io.output + csg_out::DOORBELL_ACK)?;
        if rung != heard {
            if self.active {
                self.rung |= rung ^ heard;
            }
            iface::write32(bus, io.output + csg_out::DOORBELL_ACK, rung)?;
        }
        let done = csg_in::REQUESTS;
        let now = bus.env.now;
        let new = ctl
            .faults
            .acknowledge(Level::Csg, (req, ack), done, &mut self.late, now);
        if new != ack {
            let irq_mask = iface::read32(bus, io.input + csg_in::ACK_IRQ_MASK)?;
            iface::write32(bus, io.output + csg_out::ACK, new)?;
            if (new ^ ack) & irq_mask != 0 {
                bus.env
                    .raise(Line::Job, 1u32.wrapping_shl(u32::from(ctl.id)));
            }
        }
        Ok(())
    }

    /// ENDPOINT_CONFIG: cores and priority.
    fn configure(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<(), Hitch> {
        let io = ctl.io.io;
        let request = if ctl.version >= WIDE_ENDPOINTS {
            iface::read64(bus, io.input + csg_in::ENDPOINT_REQ2)?
        } else {
            u64::from(iface::read32(bus, io.input + csg_in::ENDPOINT_REQ)?)
        };
        let compute = iface::read64(bus, io.input + csg_in::ALLOW_COMPUTE)?;
        let fragment = iface::read64(bus, io.input + csg_in::ALLOW_FRAGMENT)?;
        let tilers = u64::from(iface::read32(bus, io.input + csg_in::ALLOW_OTHER)?);
        let present = bus.product().shader_present;
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

    fn change_state(
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

    /// START and RESUME.
    fn start(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>, resume: bool) -> Result<(), Hitch> {
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
        self.active = true;
        Ok(())
    }

    /// Reads the suspend buffer. Returns the set of streams that were in it.
    fn restore(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<u32, Hitch> {
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
    fn start_stream(
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
    fn leave(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<(), Hitch> {
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

    /// Serves the requests of one stream.
    fn process_stream(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        index: usize,
    ) -> Result<(), Hitch> {
        let Some(&Blocks { input, output }) = ctl.io.streams.get(index) else {
            return Ok(());
        };
        let req = iface::read32(bus, input + cs_in::REQ)?;
        let ack = iface::read32(bus, output + cs_out::ACK)?;
        let Some(started) = self.streams.get(index).map(|s| s.started) else {
            return Ok(());
        };
        match req & cs_in::STATE_MASK {
            cs_in::START if !started && ack & cs_in::STATE_MASK != cs_in::START => {
                return self.start_stream(bus, ctl, index, false);
            }
            cs_in::STOP if started => {
                if let Some(stream) = self.streams.get_mut(index) {
                    let ring = stream.ring.output;
                    let extract = stream.ring.extract;
                    iface::write64(bus, ring + ring_out::EXTRACT, extract)?;
                    iface::write32(bus, ring + ring_out::ACTIVE, 0)?;
                    stream.reset();
                }
            }
            _ => (),
        }
        if let Some(stream) = self.streams.get_mut(index) {
            match stream.block {
                Block::FaultAck if (req ^ ack) & cs_in::FAULT == 0 => stream.block = Block::None,
                Block::HeapAnswer if (req ^ ack) & cs_in::TILER_OOM == 0 => {
                    let answer = iface::read64(bus, input + cs_in::HEAP_START)?;
                    stream.heap_answer = Some(answer);
                }
                _ => (),
            }
        }
        if let Some(served) = self.served.get_mut(index) {
            *served = req;
        }
        let done = cs_in::REQUESTS & !cs_in::EXTRACT_EVENT;
        let late = &mut self.late_stream;
        let new = ctl
            .faults
            .acknowledge(Level::Cs, (req, ack), done, late, bus.env.now);
        if new != ack {
            iface::write32(bus, output + cs_out::ACK, new)?;
            let irq_mask = iface::read32(bus, input + cs_in::ACK_IRQ_MASK)?;
            if (new ^ ack) & irq_mask & cs_in::STATE_MASK != 0 {
                let stream = u8::try_from(index).unwrap_or(0);
                events::interrupt_stream(bus, ctl.io.io, ctl.id, stream)?;
            }
        }
        Ok(())
    }

    /// When a delayed acknowledgement is due.
    pub(crate) fn late_at(&self) -> Option<u64> {
        match (self.late, self.late_stream) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// STATUS_UPDATE: the status fields of all streams.
    fn write_status(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<(), Hitch> {
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

    /// Notes why a stream cannot go on: it is reported later.
    pub(crate) fn fail(&mut self, index: usize, trouble: Trouble) {
        if let Some(stream) = self.streams.get_mut(index) {
            match trouble {
                Trouble::Stall => return,
                Trouble::Fatal { .. } => stream.kill(),
                Trouble::Fault { .. } => {
                    stream.error = true;
                    stream.block = Block::FaultAck;
                }
                Trouble::HeapExhausted => stream.block = Block::HeapAnswer,
            }
        }
        if let Some(slot) = self.trouble.get_mut(index) {
            *slot = Some(trouble);
        }
    }

    /// Reads INSERT of the streams whose doorbells were rung.
    pub(crate) fn read_inserts(&mut self, bus: &mut Bus<'_>, id: u8) -> Result<(), Hitch> {
        for index in 0..MAX_STREAMS {
            let bit = 1u32 << index;
            if self.rung & bit == 0 {
                continue;
            }
            let Some(stream) = self.streams.get_mut(index) else {
                break;
            };
            if stream.started && stream.block != Block::Dead {
                let insert = iface::read64(bus, stream.ring.input + ring_in::INSERT)?;
                stream.recheck = true;
                if let Err(error) = stream.ring.set_insert(insert) {
                    let queue = u8::try_from(index).unwrap_or(0);
                    let place = Place::Queue { group: id, queue };
                    bus.env
                        .record(Kind::RingBounds, place, insert, error.note());
                    let kind = exception::CS_CONFIG_FAULT;
                    self.fail(index, Trouble::Fatal { kind, info: insert });
                }
            }
            self.rung &= !bit;
        }
        Ok(())
    }

    /// Runs one stream. Returns how widely a synchronization update is to be announced.
    pub(crate) fn run(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        index: usize,
        budget: u32,
    ) -> Result<Option<Scope>, Hitch> {
        let product = bus.product();
        let limits = Limits {
            registers: product.stream_registers,
            scoreboards: product.scoreboards,
        };
        let Some(stream) = self.streams.get_mut(index) else {
            return Ok(None);
        };
        let queue = u8::try_from(index).unwrap_or(0);
        let before = self.progress.get(index).copied();
        let mut cx = Cx {
            bus: &mut *bus,
            who: requester(self.as_nr, ctl.id, queue),
            group: ctl.id,
            queue,
            limits,
            endpoints: self.endpoints,
            progress: &mut self.progress,
            hang: &mut ctl.faults.job_hang,
            notify: None,
        };
        let result = stream.run(&mut cx, budget);
        let notify = cx.notify;
        let extract_moved = stream.extract_dirty;
        let (output, extract) = (stream.ring.output, stream.ring.extract);
        if let Err(trouble) = result {
            self.fail(index, trouble);
        }
        if self.progress.get(index).copied() != before {
            for stream in &mut self.streams {
                stream.recheck |= stream.block == Block::Progress;
            }
        }
        if extract_moved {
            iface::write64(bus, output + ring_out::EXTRACT, extract)?;
            if let Some(stream) = self.streams.get_mut(index) {
                stream.extract_dirty = false;
            }
            self.extract_event(bus, ctl, index)?;
        }
        Ok(notify)
    }

    /// EXTRACT_EVENT: tells the host once that EXTRACT moved.
    fn extract_event(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        index: usize,
    ) -> Result<(), Hitch> {
        let asked = self
            .served
            .get(index)
            .is_some_and(|s| s & cs_in::EXTRACT_EVENT != 0);
        let Some(&Blocks { output, .. }) = ctl.io.streams.get(index) else {
            return Ok(());
        };
        let ack = iface::read32(bus, output + cs_out::ACK)?;
        let told = ack & cs_in::EXTRACT_EVENT != 0;
        if asked && !told {
            iface::write32(bus, output + cs_out::ACK, ack | cs_in::EXTRACT_EVENT)?;
            let stream = u8::try_from(index).unwrap_or(0);
            events::interrupt_stream(bus, ctl.io.io, ctl.id, stream)?;
        } else if !asked && told {
            iface::write32(bus, output + cs_out::ACK, ack & !cs_in::EXTRACT_EVENT)?;
        }
        Ok(())
    }

    /// Whether something is left to report.
    pub(crate) fn has_reports(&self) -> bool {
        self.trouble.iter().any(Option::is_some)
    }

    /// Reports what went wrong in streams.
    pub(crate) fn report(&mut self, bus: &mut Bus<'_>, ctl: &mut Ctl<'_>) -> Result<(), Hitch> {
        for index in 0..MAX_STREAMS {
            let Some(Some(trouble)) = self.trouble.get(index).copied() else {
                continue;
            };
            self.report_one(bus, ctl, index, trouble)?;
            if let Some(slot) = self.trouble.get_mut(index) {
                *slot = None;
            }
        }
        Ok(())
    }

    fn report_one(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        index: usize,
        trouble: Trouble,
    ) -> Result<(), Hitch> {
        let (Some(&io), Some(stream)) = (ctl.io.streams.get(index), self.streams.get(index)) else {
            return Ok(());
        };
        let queue = u8::try_from(index).unwrap_or(0);
        let out = io.output;
        iface::write64(bus, out + cs_out::STATUS_CMD_PTR, stream.pc())?;
        let event = match trouble {
            Trouble::Stall => return Ok(()),
            Trouble::Fatal { kind, info } => {
                iface::write32(bus, out + cs_out::FATAL, u32::from(kind))?;
                iface::write64(bus, out + cs_out::FATAL_INFO, info)?;
                bus.env.count(Counter::Faults);
                cs_in::FATAL
            }
            Trouble::Fault { kind, info } => {
                iface::write32(bus, out + cs_out::FAULT, u32::from(kind))?;
                iface::write64(bus, out + cs_out::FAULT_INFO, info)?;
                bus.env.count(Counter::Faults);
                cs_in::FAULT
            }
            Trouble::HeapExhausted => {
                let who = requester(self.as_nr, ctl.id, queue);
                let counts = stream.heap_counts(bus, who).map_err(|_| Hitch::Retry)?;
                for (at, count) in [
                    cs_out::HEAP_VT_START,
                    cs_out::HEAP_VT_END,
                    cs_out::HEAP_FRAG_END,
                ]
                .into_iter()
                .zip(counts)
                {
                    iface::write32(bus, out + at, count)?;
                }
                iface::write64(bus, out + cs_out::HEAP_ADDRESS, stream.heap)?;
                cs_in::TILER_OOM
            }
        };
        events::raise_stream(bus, ctl.io, ctl.id, queue, event, ctl.faults)
    }

    /// The address space of the group was disabled: what waits for it is terminated.
    pub(crate) fn address_space_gone(&mut self) {
        for index in 0..MAX_STREAMS {
            let Some(stream) = self.streams.get(index) else {
                break;
            };
            let caught = stream.stalled || stream.has_job() || stream.wants_to_run(u64::MAX);
            if stream.started && stream.block != Block::Dead && caught {
                let info = stream.pc();
                self.fail(
                    index,
                    Trouble::Fatal {
                        kind: exception::CS_BUS_FAULT,
                        info,
                    },
                );
            }
        }
    }

    fn stream_is_idle(&self, index: usize) -> bool {
        let (Some(stream), Some(served)) = (self.streams.get(index), self.served.get(index)) else {
            return true;
        };
        if !stream.started {
            return true;
        }
        match stream.block {
            Block::Dead => true,
            Block::None => stream.is_drained() && served & cs_in::IDLE_EMPTY != 0,
            Block::Sync { .. } => {
                !stream.recheck && !stream.is_busy() && served & cs_in::IDLE_SYNC_WAIT != 0
            }
            Block::Resource(_) => !stream.is_busy() && served & cs_in::IDLE_RESOURCE_REQ != 0,
            _ => false,
        }
    }

    /// Follows the streams' idleness, and raises CSG_IDLE when all have become idle.
    pub(crate) fn update_idle(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
    ) -> Result<(), Hitch> {
        let quiet = self.rung == 0 && !self.kick && !self.has_reports();
        let idle = quiet && (0..ctl.streams).all(|index| self.stream_is_idle(index));
        if idle == self.idle {
            return Ok(());
        }
        let io = ctl.io.io;
        iface::write32(bus, io.output + csg_out::STATUS_STATE, u32::from(idle))?;
        if idle {
            events::raise_group(bus, io, ctl.id, csg_in::IDLE, ctl.faults)?;
        }
        self.idle = idle;
        Ok(())
    }

    /// Raises the progress timer event when jobs have been stuck for `timeout` nanoseconds (zero:
    /// never). Returns the time at which there will be something to do.
    pub(crate) fn watch_progress(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        timeout: u64,
    ) -> Result<Option<u64>, Hitch> {
        let stuck = self.streams.iter().any(Stream::has_stuck_job);
        if !stuck || timeout == 0 {
            self.stuck_since = None;
            self.stuck_reported = false;
            return Ok(None);
        }
        let due = self
            .stuck_since
            .get_or_insert(bus.env.now)
            .saturating_add(timeout);
        if self.stuck_reported {
            return Ok(None);
        }
        if bus.env.now < due {
            return Ok(Some(due));
        }
        events::raise_group(bus, ctl.io.io, ctl.id, csg_in::PROGRESS_TIMER, ctl.faults)?;
        self.stuck_reported = true;
        Ok(None)
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::new()
    }
}

/// A stream on the memory bus.
fn requester(as_nr: u8, group: u8, queue: u8) -> Requester {
    Requester {
        as_nr,
        source: 0x100 | u16::from(group) << 4 | u16::from(queue),
    }
}
