// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The global interface: configuration, ping, halt, group doorbells, idleness.

use super::faults::Event;
use super::faults::Faults;
use super::faults::Level;
use super::iface;
use super::iface::Blocks;
use super::iface::Hitch;
use super::layout;
use super::layout::glb_in;
use super::layout::glb_out;
use crate::bus::Bus;
use crate::gpu_control::TIMESTAMP_HZ;
use crate::host::Line;
use crate::record::Kind;
use crate::record::Place;

/// Interrupt of the global interface.
pub(crate) const JOB_IRQ_GLOBAL: u32 = 1 << 31;

/// From this interface version on, a state field replaces the HALT bit.
const STATE_FIELD: u32 = layout::version(4, 1, 0);

/// What the host asked the whole firmware to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Go on.
    Run,
    /// Halt.
    Halt,
}

/// State of the global interface.
pub(crate) struct Global {
    /// A doorbell was rung.
    pub(crate) kick: bool,
    /// When a delayed acknowledgement is due.
    pub(crate) late: Option<u64>,
    /// Shader cores that groups may use.
    pub(crate) core_mask: u64,
    /// No progress for so many cycles is too long; zero turns it off.
    pub(crate) progress_cycles: u64,
    /// IDLE_TIMER: hysteresis before GLB_IDLE.
    idle_timer: u32,
    idle_enabled: bool,
    idle_since: Option<u64>,
    idle_raised: bool,
}

impl Global {
    /// As after power-on.
    pub(crate) const fn new() -> Self {
        Self {
            kick: false,
            late: None,
            core_mask: 0,
            progress_cycles: 0,
            idle_timer: 0,
            idle_enabled: false,
            idle_since: None,
            idle_raised: false,
        }
    }

    /// As after power-on.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }

    /// Serves the requests. Returns the groups whose doorbells were rung, and what to do.
    pub(crate) fn process(
        &mut self,
        bus: &mut Bus<'_>,
        io: Blocks,
        version: u32,
        faults: &Faults,
    ) -> Result<(u32, Outcome), Hitch> {
        let req = iface::read32(bus, io.input + glb_in::REQ)?;
        let ack = iface::read32(bus, io.output + glb_out::ACK)?;
        let diff = req ^ ack;
        if diff & glb_in::CFG_PROGRESS_TIMER != 0 {
            let value = iface::read32(bus, io.input + glb_in::PROGRESS_TIMER)?;
            self.progress_cycles = u64::from(value) * glb_in::TIMER_UNIT;
        }
        if diff & glb_in::CFG_ALLOC_EN != 0 {
            self.core_mask = iface::read64(bus, io.input + glb_in::CORE_EN_MASK)?;
            let absent = self.core_mask & !bus.usable_cores();
            if absent != 0 {
                let note = "absent shader cores enabled";
                bus.env.record(Kind::GroupConfig, Place::Mcu, absent, note);
            }
        }
        // A firmware that was booted again finds the bit set on both sides.
        if diff & glb_in::IDLE_EN != 0 || !self.idle_enabled {
            self.idle_timer = iface::read32(bus, io.input + glb_in::IDLE_TIMER)?;
        }
        self.idle_enabled = req & glb_in::IDLE_EN != 0;

        let (halt, state_bits) = if version >= STATE_FIELD {
            let state = (req & glb_in::STATE_MASK) >> glb_in::STATE_SHIFT;
            (state == glb_in::STATE_HALT, glb_in::STATE_MASK)
        } else {
            (req & glb_in::HALT != 0, glb_in::HALT)
        };
        let halt = halt && !faults.halt_hang;
        // Protected mode is never entered: this firmware has none.
        let mut done = glb_in::REQUESTS & !glb_in::PROTM_ENTER;
        if halt || req & state_bits != ack & state_bits && !faults.halt_hang {
            done |= state_bits;
        }
        let new = faults.acknowledge(Level::Glb, (req, ack), done, &mut self.late, bus.env.now);
        let irq_mask = iface::read32(bus, io.input + glb_in::ACK_IRQ_MASK)?;

        let rung = iface::read32(bus, io.input + glb_in::DOORBELL_REQ)?;
        let heard = iface::read32(bus, io.output + glb_out::DOORBELL_ACK)?;
        if rung != heard {
            iface::write32(bus, io.output + glb_out::DOORBELL_ACK, rung)?;
        }
        if new != ack {
            iface::write32(bus, io.output + glb_out::ACK, new)?;
            if (new ^ ack) & irq_mask != 0 {
                bus.env.raise(Line::Job, JOB_IRQ_GLOBAL);
            }
        }
        Ok((
            rung ^ heard,
            if halt { Outcome::Halt } else { Outcome::Run },
        ))
    }

    /// Follows the groups' idleness: raises GLB_IDLE once it has lasted. Returns the time at which
    /// there will be something to do.
    pub(crate) fn idle(
        &mut self,
        bus: &mut Bus<'_>,
        io: Blocks,
        idle: bool,
        faults: &mut Faults,
    ) -> Result<Option<u64>, Hitch> {
        if !idle || !self.idle_enabled {
            self.idle_since = None;
            self.idle_raised = false;
            return Ok(None);
        }
        let since = *self.idle_since.get_or_insert(bus.env.now);
        if self.idle_raised {
            return Ok(None);
        }
        let due = since.saturating_add(timer_to_ns(bus, self.idle_timer));
        if bus.env.now < due {
            return Ok(Some(due));
        }
        let event = Event {
            level: Level::Glb,
            bit: glb_in::IDLE,
        };
        if !faults.drops(event) {
            let req = iface::read32(bus, io.input + glb_in::REQ)?;
            let ack = iface::read32(bus, io.output + glb_out::ACK)?;
            if (req ^ ack) & glb_in::IDLE == 0 {
                let irq_mask = iface::read32(bus, io.input + glb_in::ACK_IRQ_MASK)?;
                iface::write32(bus, io.output + glb_out::ACK, ack ^ glb_in::IDLE)?;
                if irq_mask & glb_in::IDLE != 0 {
                    bus.env.raise(Line::Job, JOB_IRQ_GLOBAL);
                }
            }
        }
        self.idle_raised = true;
        Ok(None)
    }
}

/// The value of a timer as time.
fn timer_to_ns(bus: &Bus<'_>, timer: u32) -> u64 {
    let ticks = u64::from(timer & glb_in::TIMER_VALUE) * glb_in::TIMER_UNIT;
    if timer & glb_in::TIMER_GPU_CLOCK != 0 {
        return cycles_to_ns(bus, ticks);
    }
    ticks.saturating_mul(1000) / (TIMESTAMP_HZ / 1_000_000)
}

/// A number of core cycles as time at the present clock rate.
pub(crate) fn cycles_to_ns(bus: &Bus<'_>, cycles: u64) -> u64 {
    let mhz = (bus.core_hz() / 1_000_000).max(1);
    cycles.saturating_mul(1000) / mhz
}
