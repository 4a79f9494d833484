// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the blocks see of each other: services ([`Env`]) and the GPU's own memory bus ([`Bus`]).

use crate::counters::Counter;
use crate::counters::Counters;
use crate::gpu_control::GpuControl;
use crate::host::Host;
use crate::host::Line;
use crate::irq::Irqs;
use crate::irq::Source;
use crate::mmu::Access;
use crate::mmu::Mmu;
use crate::mmu::MmuError;
use crate::mmu::Requester;
use crate::power::Power;
use crate::record::Kind;
use crate::record::Place;
use crate::record::Record;
use crate::record::Records;

/// What [`crate::Gpu::step`] and the processor's own step want next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do before the next register access.
    Idle,
    /// More to do at once.
    Again,
    /// Something is due at this absolute time in nanoseconds.
    Until(u64),
}

impl Step {
    /// The more urgent of two.
    pub fn sooner(self, other: Step) -> Step {
        match (self, other) {
            (Step::Again, _) | (_, Step::Again) => Step::Again,
            (Step::Until(a), Step::Until(b)) => Step::Until(a.min(b)),
            (Step::Until(a), Step::Idle) | (Step::Idle, Step::Until(a)) => Step::Until(a),
            (Step::Idle, Step::Idle) => Step::Idle,
        }
    }

    /// From an optional deadline.
    pub fn at(deadline: Option<u64>) -> Step {
        deadline.map_or(Step::Idle, Step::Until)
    }
}

/// Services for every block: time, records, counters, interrupt outputs. `I` are the outputs: the
/// GPU's unless it says otherwise.
pub struct Env<'a, I = Irqs> {
    /// The machine around the model.
    pub host: &'a dyn Host,
    /// The time of this call in nanoseconds.
    pub now: u64,
    pub(crate) records: &'a mut Records,
    pub(crate) counters: &'a mut Counters,
    pub(crate) irqs: &'a mut I,
}

impl<I> Env<'_, I> {
    /// Records a misuse.
    pub fn record(&mut self, kind: Kind, place: Place, value: u64, note: &'static str) {
        let record = Record {
            kind,
            place,
            value,
            note,
            time_ns: self.now,
        };
        let announced = self.host.record(&record);
        self.records.push(record, announced);
    }

    /// Counts an event.
    pub fn count(&mut self, counter: Counter) {
        self.counters.count(counter);
    }
}

impl Env<'_> {
    /// Raises interrupt events.
    pub fn raise(&mut self, source: impl Into<Source>, bits: u32) {
        self.irqs
            .raise(self.host, self.now, self.counters, source.into(), bits);
    }

    /// An access finds everything done that was written before it.
    pub(crate) fn writes_arrive(&mut self) {
        self.irqs.arrive(self.host, self.now, self.counters);
    }
}

/// The GPU as its processor and its command streams see it.
pub struct Bus<'a> {
    /// Time, records, counters, interrupts.
    pub env: Env<'a>,
    pub(crate) mmu: &'a mut Mmu,
    pub(crate) gpu: &'a mut GpuControl,
    pub(crate) power: &'a mut Power,
}

impl Bus<'_> {
    /// Reads memory through an address space.
    ///
    /// `access` is [`Access::Read`], [`Access::Execute`] or [`Access::Atomic`]. The range may cross
    /// pages.
    pub fn read(
        &mut self,
        who: Requester,
        va: u64,
        access: Access,
        buf: &mut [u8],
    ) -> Result<(), MmuError> {
        if !self.power.l2_ready() {
            let place = Place::Virtual {
                as_nr: who.as_nr,
                va,
            };
            self.env.record(Kind::DmaUnpowered, place, 0, "read");
            return Err(MmuError::Aborted);
        }
        self.mmu.read(&mut self.env, who, va, access, buf)
    }

    /// Writes memory through an address space. The range may cross pages; nothing is written if
    /// any part of it faults.
    pub fn write(&mut self, who: Requester, va: u64, buf: &[u8]) -> Result<(), MmuError> {
        if !self.power.l2_ready() {
            let place = Place::Virtual {
                as_nr: who.as_nr,
                va,
            };
            self.env.record(Kind::DmaUnpowered, place, 0, "write");
            return Err(MmuError::Aborted);
        }
        self.mmu.write(&mut self.env, who, va, buf)
    }

    /// Reads a little-endian word.
    pub fn read32(&mut self, who: Requester, va: u64) -> Result<u32, MmuError> {
        let mut buf = [0; 4];
        self.read(who, va, Access::Read, &mut buf)?;
        Ok(u32::from_le_bytes(buf))
    }

    /// Reads a little-endian double word.
    pub fn read64(&mut self, who: Requester, va: u64) -> Result<u64, MmuError> {
        let mut buf = [0; 8];
        self.read(who, va, Access::Read, &mut buf)?;
        Ok(u64::from_le_bytes(buf))
    }

    /// Writes a little-endian word.
    pub fn write32(&mut self, who: Requester, va: u64, value: u32) -> Result<(), MmuError> {
        self.write(who, va, &value.to_le_bytes())
    }

    /// Writes a little-endian double word.
    pub fn write64(&mut self, who: Requester, va: u64, value: u64) -> Result<(), MmuError> {
        self.write(who, va, &value.to_le_bytes())
    }

    /// Whether the address would translate for this access; raises and records nothing.
    pub fn probe(&mut self, who: Requester, va: u64, access: Access) -> bool {
        self.mmu.probe(&mut self.env, who, va, access)
    }

    /// Cache maintenance from a command stream. `flush_id` is the value of LATEST_FLUSH that the
    /// stream was built with: when a full flush has happened since, nothing is done. Returns
    /// whether the flush was carried out.
    pub fn flush_caches(&mut self, flush_id: u32) -> bool {
        let flushed = self.gpu.stream_flush(&mut self.env, flush_id);
        if flushed {
            self.mmu.caches_cleaned();
        }
        flushed
    }

    /// MCU_STATUS changed: raises the GPU interrupt that tells.
    pub fn mcu_status_changed(&mut self) {
        self.env
            .raise(Line::Gpu, crate::gpu_control::IRQ_MCU_STATUS_CHANGED);
    }

    /// The GPU's system timestamp (what GPU_TIMESTAMP reads).
    pub fn timestamp(&self) -> u64 {
        self.gpu.timestamp(self.env.now)
    }

    /// The GPU's cycle counter (what GPU_CYCLE_COUNT reads).
    pub fn cycle_count(&self) -> u64 {
        self.gpu.cycle_count(self.env.now)
    }

    /// The core clock's rate in Hz, 0 while it stands still: the unit of the MCU's timers.
    pub fn core_hz(&self) -> u64 {
        self.gpu.core_hz()
    }

    /// Cores of each kind: what the MCU may hand out to groups.
    pub fn product(&self) -> &'static crate::product::Product {
        self.gpu.product()
    }

    /// Shader cores that work.
    pub fn usable_cores(&self) -> u64 {
        self.gpu.usable_cores()
    }

    /// Powers the given shader and tiler cores, as the MCU does when a group starts. A request for
    /// a core that is not present is ignored.
    pub fn power_cores(&mut self, shaders: u64, tilers: u64) {
        self.power.processor_request(&mut self.env, shaders, tilers);
    }
}
