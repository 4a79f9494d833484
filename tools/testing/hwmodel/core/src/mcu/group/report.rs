// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a group tells its host: faults, exhausted heaps, idleness, lack of progress.

use super::super::events;
use super::super::iface;
use super::super::iface::Hitch;
use super::super::layout::cs_in;
use super::super::layout::cs_out;
use super::super::layout::csg_in;
use super::super::layout::csg_out;
use super::super::layout::exception;
use super::super::layout::MAX_STREAMS;
use super::requester;
use super::Ctl;
use super::Group;
use crate::bus::Bus;
use crate::counters::Counter;
use crate::cs::Block;
use crate::cs::Stream;
use crate::cs::Trouble;

impl Group {
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

    /// A report of an exhausted heap that was asked for: the stream knows nothing of it.
    pub(crate) fn ask_for_heap(
        &mut self,
        bus: &mut Bus<'_>,
        ctl: &mut Ctl<'_>,
    ) -> Result<(), Hitch> {
        match ctl.faults.heap_ask {
            Some((group, stream)) if group == ctl.id => {
                self.report_one(bus, ctl, stream.into(), Trouble::HeapExhausted)?;
                ctl.faults.heap_ask = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn report_one(
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
                let counts = ctl.faults.heap_counts.unwrap_or(counts);
                let address = ctl.faults.heap_address.unwrap_or(stream.heap);
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
                iface::write64(bus, out + cs_out::HEAP_ADDRESS, address)?;
                ctl.faults.heap_counts = None;
                ctl.faults.heap_address = None;
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

    pub(super) fn stream_is_idle(&self, index: usize) -> bool {
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
        if ctl.faults.progress == Some(ctl.id) {
            events::raise_group(bus, ctl.io.io, ctl.id, csg_in::PROGRESS_TIMER, ctl.faults)?;
            ctl.faults.progress = None;
        }
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
