// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Group slots: state changes, configuration and status, and the execution of their streams.
//!
//! # Restarting
//!
//! Any access to interface memory may have to be tried again ([`Hitch::Retry`]). A request counts
//! as served only after everything it asks for is done; serving it again from the start does no
//! harm.

mod report;
mod state;

use super::events;
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
use super::layout::exception;
use super::layout::ring_in;
use super::layout::ring_out;
use super::layout::MAX_STREAMS;
use crate::bus::Bus;
use crate::cs::Block;
use crate::cs::Cx;
use crate::cs::Endpoints;
use crate::cs::Limits;
use crate::cs::Scope;
use crate::cs::Stream;
use crate::cs::Trouble;
use crate::host::Line;
use crate::mmu::Requester;
use crate::record::Kind;
use crate::record::Place;

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
    /// How widely the last burst wants a synchronization update to be announced.
    pub(crate) notify: Option<Scope>,
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
            notify: None,
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
        self.notify = None;
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
        // Those that are rung while there is no group are for the next one: a host rings them before it
        // asks for the group to be started, and the firmware may look at the slot in between.
        if rung != heard && self.active {
            self.rung |= rung ^ heard;
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
        let Some(stream) = self.streams.get(index) else {
            return Ok(());
        };
        let (started, dead) = (stream.started, stream.block == Block::Dead);
        match req & cs_in::STATE_MASK {
            cs_in::START if !started && !dead && ack & cs_in::STATE_MASK != cs_in::START => {
                return self.start_stream(bus, ctl, index, false);
            }
            // It never came up.
            cs_in::STOP if dead && !started => {
                if let Some(stream) = self.streams.get_mut(index) {
                    stream.reset();
                }
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
        // A doorbell that was meant for something else can come before the host knows of a fault.
        let reported = self.trouble.get(index).is_some_and(Option::is_none);
        if let Some(stream) = self.streams.get_mut(index) {
            let answered = reported && (req ^ ack) & cs_in::FAULT == 0;
            if stream.block == Block::FaultAck && answered {
                stream.block = Block::None;
            }
        }
        self.take_heap_answer(bus, ctl, index)?;
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

    /// The host's answer to an exhausted heap, if the stream waits for one and it is there.
    fn take_heap_answer(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &Ctl<'_>,
        index: usize,
    ) -> Result<(), Hitch> {
        let reported = self.trouble.get(index).is_some_and(Option::is_none);
        let (Some(io), Some(stream)) = (ctl.io.streams.get(index), self.streams.get_mut(index))
        else {
            return Ok(());
        };
        if stream.block != Block::HeapAnswer || !reported {
            return Ok(());
        }
        let req = iface::read32(bus, io.input + cs_in::REQ)?;
        let ack = iface::read32(bus, io.output + cs_out::ACK)?;
        if (req ^ ack) & cs_in::TILER_OOM == 0 {
            stream.heap_answer = Some(iface::read64(bus, io.input + cs_in::HEAP_START)?);
        }
        Ok(())
    }

    /// An answer that was given before the group is suspended is not lost.
    fn take_heap_answers(&mut self, bus: &mut Bus<'_>, ctl: &Ctl<'_>) -> Result<(), Hitch> {
        (0..ctl.streams).try_for_each(|index| self.take_heap_answer(bus, ctl, index))
    }

    /// When a delayed acknowledgement is due.
    pub(crate) fn late_at(&self) -> Option<u64> {
        match (self.late, self.late_stream) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
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

    /// Runs one stream. How widely a synchronization update is to be announced is left in
    /// [`Group::notify`], whatever the result is.
    pub(crate) fn run(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
        index: usize,
        budget: u32,
    ) -> Result<(), Hitch> {
        let product = bus.product();
        let limits = Limits {
            registers: product.stream_registers,
            scoreboards: product.scoreboards,
        };
        let Some(stream) = self.streams.get_mut(index) else {
            return Ok(());
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
        self.notify = cx.notify;
        let extract_moved = stream.extract_dirty;
        let (output, extract) = (stream.ring.output, stream.ring.extract);
        // Whoever is told of trouble looks there to find the job that is in it.
        let withheld = ctl.faults.extract_late && result.is_ok() && stream.has_instructions();
        if let Err(trouble) = result {
            self.fail(index, trouble);
        }
        if self.progress.get(index).copied() != before {
            for stream in &mut self.streams {
                stream.recheck |= stream.block == Block::Progress;
            }
        }
        if extract_moved {
            if !withheld {
                iface::write64(bus, output + ring_out::EXTRACT, extract)?;
            }
            if let Some(stream) = self.streams.get_mut(index) {
                stream.extract_dirty = false;
            }
            self.extract_event(bus, ctl, index)?;
        }
        Ok(())
    }

    /// Whether EXTRACT in memory is up to date for all streams.
    pub(crate) fn extracts_are_written(&self) -> bool {
        self.streams.iter().all(|stream| !stream.extract_dirty)
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
}

/// A stream on the memory bus.
fn requester(as_nr: u8, group: u8, queue: u8) -> Requester {
    Requester {
        as_nr,
        source: 0x100 | u16::from(group) << 4 | u16::from(queue),
    }
}
