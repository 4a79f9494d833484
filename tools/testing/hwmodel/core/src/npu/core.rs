// SPDX-License-Identifier: GPL-2.0 OR MIT

//! One core: takes register lists, runs what they describe, and tells.

use super::convolution::Convolution;
use super::convolution::Progress;
use super::geometry::Geometry;
use super::geometry::Refusal;
use super::iommu::Iommu;
use super::iommu::Master;
use super::iommu::Refused;
use super::iommu::Version;
use super::list;
use super::list::unit;
use super::list::Word;
use super::pc::event;
use super::pc::List;
use super::pc::Pc;
use super::pc::Written;
use super::registers::reg;
use super::registers::Registers;
use super::CoreId;
use super::NpuEnv;
use crate::bus::Step;
use crate::counters::Counter;
use crate::inject::due;
use crate::inject::NEVER;
use crate::record::Kind;
use crate::record::Place;

/// What starting a task takes.
const TASK_NS: u64 = 5_000;
/// Multiplications done in a nanosecond.
const MACS_PER_NS: u64 = 1024;
/// Words of a list that are fetched in one step.
const FETCH: usize = 32;

/// What the core does.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing.
    Idle,
    /// It fetches a list.
    Fetch {
        list: List,
        /// The words taken so far.
        at: u32,
        /// Whether the list has said that it is complete.
        barrier: bool,
    },
    /// It calculates.
    Run(Geometry),
    /// Its results are written; the task takes until then.
    Wait(u64),
    /// The next list of the chain begins then.
    Pause(u64),
    /// A task that never ends.
    Hung,
    /// It met an error, and waits for a reset.
    Stopped,
}

/// Memory, through the core's IOMMU.
pub(crate) struct Memory<'a, 'b> {
    pub(crate) env: &'a mut NpuEnv<'b>,
    pub(crate) iommu: &'a mut Iommu,
    pub(crate) core: CoreId,
}

impl Memory<'_, '_> {
    fn pieces(iova: u32, len: usize) -> impl Iterator<Item = (u32, usize)> {
        let mut done = 0;
        core::iter::from_fn(move || {
            let at = iova.wrapping_add(u32::try_from(done).ok()?);
            let room = usize::try_from(0x1000 - (at & 0xfff)).ok()?;
            let piece = room.min(len - done);
            done += piece;
            (piece > 0).then_some((at, piece))
        })
    }

    fn outside(&mut self, iova: u32, pa: u64, write: bool) -> Refused {
        let core = self.core;
        let place = Place::Iova { core, iova };
        let note = if write { "write" } else { "read" };
        self.env.record(Kind::DmaOutsideRam, place, pa, note);
        Refused::Error { write }
    }

    /// Reads; the range may cross pages.
    pub(crate) fn read(&mut self, who: Master, iova: u32, buf: &mut [u8]) -> Result<(), Refused> {
        let mut rest = buf;
        for (at, piece) in Self::pieces(iova, rest.len()) {
            let pa = self.iommu.translate(self.env, who, at, false)?;
            let (now, later) = core::mem::take(&mut rest).split_at_mut(piece);
            rest = later;
            if self.env.host.read(pa, now).is_err() {
                return Err(self.outside(at, pa, false));
            }
        }
        Ok(())
    }

    /// Writes what lies in one page.
    pub(crate) fn write(&mut self, iova: u32, buf: &[u8]) -> Result<(), Refused> {
        let mut rest = buf;
        for (at, piece) in Self::pieces(iova, rest.len()) {
            let pa = self.iommu.translate(self.env, Master::Control, at, true)?;
            let (now, later) = rest.split_at(piece);
            rest = later;
            if self.env.host.write(pa, now).is_err() {
                return Err(self.outside(at, pa, true));
            }
        }
        Ok(())
    }
}

/// One core.
pub(crate) struct Core {
    id: CoreId,
    pc: Pc,
    registers: Registers,
    iommu: Iommu,
    convolution: Convolution,
    state: State,
    /// Tasks that the present kick still has to run, the present one included.
    left: u32,
    started: u64,
    /// The weights that the buffer holds: where they came from and how many bytes.
    loaded: Option<(u32, u32)>,
    resets: [bool; 2],
    hangs: u32,
    dma_errors: u32,
    /// Kicks that still read beyond their last list.
    prefetches: u32,
    delay_ns: u64,
    pause_ns: u64,
    /// Resets that still raise the line for as long as they last.
    noisy_resets: u32,
    /// The present one does.
    noisy: bool,
}

impl Core {
    pub(crate) const fn new(id: CoreId, version: Version, banks: usize) -> Self {
        Self {
            id,
            pc: Pc::new(),
            registers: Registers::new(),
            iommu: Iommu::new(id, version, banks),
            convolution: Convolution::new(),
            state: State::Idle,
            left: 0,
            started: 0,
            loaded: None,
            resets: [false; 2],
            hangs: 0,
            dma_errors: 0,
            prefetches: 0,
            delay_ns: 0,
            pause_ns: 0,
            noisy_resets: 0,
            noisy: false,
        }
    }

    fn record(
        &self,
        env: &mut NpuEnv<'_>,
        kind: Kind,
        off: u32,
        value: impl Into<u64>,
        note: &'static str,
    ) {
        let core = self.id;
        let place = Place::NpuRegister { core, off };
        env.record(kind, place, value.into(), note);
    }

    pub(crate) fn set_iommu_version(&mut self, version: Version) {
        self.iommu.set_version(version);
    }

    /// Whether a task runs, so that the core may access memory.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.state, State::Idle | State::Stopped)
    }

    /// Whether a reset line is asserted.
    pub(crate) fn in_reset(&self) -> bool {
        let [axi, ahb] = self.resets;
        axi || ahb
    }

    /// Events of the core and its IOMMU that assert the line.
    pub(crate) fn pending(&self) -> u64 {
        u64::from(self.pc.pending()) << 32 | u64::from(self.iommu.pending())
    }

    /// The line follows the events.
    pub(crate) fn drive(&mut self, env: &mut NpuEnv<'_>) {
        let active = self.pending() != 0 || self.noisy;
        let output = self.id.of_mut(env.irqs);
        output.drive(env.host, env.now, env.counters, active);
    }

    fn reset(&mut self, env: &mut NpuEnv<'_>) {
        self.pc = Pc::new();
        self.registers.reset();
        self.iommu.reset();
        self.state = State::Idle;
        self.left = 0;
        self.loaded = None;
        self.drive(env);
    }

    /// Nothing is kept without power.
    pub(crate) fn power_lost(&mut self, env: &mut NpuEnv<'_>) {
        self.reset(env);
    }

    /// A reset line was asserted or released. The IOMMU is reset with the core: they share buses
    /// and clocks, and it has no reset line of its own.
    pub(crate) fn set_reset(&mut self, env: &mut NpuEnv<'_>, ahb: bool, asserted: bool) {
        let was = self.in_reset();
        let [axi_line, ahb_line] = &mut self.resets;
        *(if ahb { ahb_line } else { axi_line }) = asserted;
        if !was && asserted {
            env.count(Counter::NpuReset);
            self.noisy = self.noisy_resets > 0;
            self.noisy_resets = self.noisy_resets.saturating_sub(1);
            self.reset(env);
        }
        if was && !self.in_reset() {
            self.noisy = false;
            self.drive(env);
        }
    }

    pub(crate) fn read_pc(&mut self, env: &mut NpuEnv<'_>, off: u32) -> u32 {
        match self.pc.read(off) {
            Some(value) => value,
            None if off == 0x24 => {
                self.record(env, Kind::WriteOnly, off, 0_u32, "");
                0
            }
            None => {
                self.record(env, Kind::Hole, off, 0_u32, "read");
                0
            }
        }
    }

    pub(crate) fn write_pc(&mut self, env: &mut NpuEnv<'_>, off: u32, value: u32) {
        const ENABLE: u32 = 0x08;
        if off == ENABLE && value & 1 == 0 && self.is_live() {
            let note = "it runs on";
            self.record(env, Kind::NpuTakenBack, off, value, note);
        }
        match self.pc.write(off, value) {
            Written::Stored => (),
            Written::Start { again } => self.kick(env, again),
            Written::Nowhere if self.pc.read(off).is_some() => {
                self.record(env, Kind::ReadOnly, off, value, "");
            }
            Written::Nowhere => self.record(env, Kind::Hole, off, value, "write"),
        }
    }

    pub(crate) fn read_unit(&mut self, env: &mut NpuEnv<'_>, off: u32) -> u32 {
        match off {
            reg::CNA_S_STATUS | reg::CORE_S_STATUS => u32::from(self.is_live()),
            _ => match self.registers.read(off) {
                Some(value) => value,
                None => {
                    self.record(env, Kind::Hole, off, 0_u32, "read");
                    0
                }
            },
        }
    }

    pub(crate) fn write_unit(&mut self, env: &mut NpuEnv<'_>, off: u32, value: u32) {
        match off {
            reg::CNA_S_STATUS | reg::CORE_S_STATUS => {
                self.record(env, Kind::ReadOnly, off, value, "");
            }
            reg::CNA_OPERATION_ENABLE | reg::CORE_OPERATION_ENABLE => {
                let note = "a unit started by the CPU";
                self.record(env, Kind::NpuUnsupported, off, value, note);
            }
            _ if !self.pc.is_cpu_selected() => {
                let note = "a unit's register written while lists write them";
                self.record(env, Kind::NpuConfig, off, value, note);
            }
            _ if !self.registers.write(off, value) => {
                self.record(env, Kind::Hole, off, value, "write");
            }
            _ => (),
        }
    }

    pub(crate) fn read_iommu(&self, env: &mut NpuEnv<'_>, bank: usize, reg: u32, off: u32) -> u32 {
        self.iommu.read(env, bank, (reg, off), self.is_live())
    }

    pub(crate) fn write_iommu(
        &mut self,
        env: &mut NpuEnv<'_>,
        bank: usize,
        reg: (u32, u32),
        value: u32,
    ) {
        let live = self.is_live();
        self.iommu.write(env, bank, reg, value, live);
    }

    fn kick(&mut self, env: &mut NpuEnv<'_>, again: bool) {
        const ENABLE: u32 = 0x08;
        env.count(Counter::NpuKick);
        if !matches!(self.state, State::Idle) {
            let note = "kicked while it runs or waits for a reset";
            self.record(env, Kind::NpuBusy, ENABLE, 1_u32, note);
            return;
        }
        if again {
            let note = "it is still 1";
            self.record(env, Kind::NpuEnable, ENABLE, 1_u32, note);
            return;
        }
        if self.pc.is_cpu_selected() || self.pc.dma_base() != 0 {
            let note = "a task without a list, or with an address offset";
            self.record(env, Kind::NpuUnsupported, ENABLE, 1_u32, note);
            self.state = State::Stopped;
            return;
        }
        self.iommu.check(env);
        self.left = self.pc.task_number();
        if self.left == 0 {
            self.record(env, Kind::NpuConfig, 0x30, 0_u32, "no task is asked for");
            self.state = State::Stopped;
            return;
        }
        self.begin(env);
    }

    /// Starts the task whose list the PC's registers name.
    fn begin(&mut self, env: &mut NpuEnv<'_>) {
        self.started = env.now;
        if due(0, 0, &mut self.hangs) == NEVER {
            self.pc.task_begun();
            self.state = State::Hung;
            return;
        }
        if due(0, 0, &mut self.dma_errors) == NEVER {
            self.stop(env, false);
            return;
        }
        self.state = State::Fetch {
            list: self.pc.list(),
            at: 0,
            barrier: false,
        };
    }

    /// Stops with a DMA error.
    fn stop(&mut self, env: &mut NpuEnv<'_>, write: bool) {
        self.pc.raw |= if write {
            event::DMA_WRITE_ERROR
        } else {
            event::DMA_READ_ERROR
        };
        self.state = State::Stopped;
        self.drive(env);
    }

    fn fetch(
        &mut self,
        env: &mut NpuEnv<'_>,
        list: List,
        at: u32,
        mut barrier: bool,
    ) -> Result<(), Refused> {
        let mut raw = [0; 8 * FETCH];
        let count = usize::try_from(list.words - at).map_or(FETCH, |left| left.min(FETCH));
        let raw = raw.get_mut(..8 * count).unwrap_or_default();
        let mut memory = Memory {
            env,
            iommu: &mut self.iommu,
            core: self.id,
        };
        memory.read(Master::Control, list.iova.wrapping_add(8 * at), raw)?;
        let mut position = at;
        for bytes in raw.chunks_exact(8) {
            let word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
            let good = match list::decode(word) {
                Word::Nop => true,
                Word::Barrier => {
                    barrier = true;
                    true
                }
                Word::Unit { off, value } => self.registers.write(off, value),
                Word::Next { off, value } => self.pc.write_next(off, value),
                Word::Enable(units) => {
                    self.enable(env, units, barrier);
                    return Ok(());
                }
                Word::DeadPage(off) => {
                    self.record(env, Kind::NpuDeadPage, off, word, "by a list");
                    self.state = State::Stopped;
                    return Ok(());
                }
                Word::Unsupported(off) => {
                    self.record(env, Kind::NpuUnsupported, off, word, "pooling");
                    self.state = State::Stopped;
                    return Ok(());
                }
                Word::Bad => false,
            };
            if !good {
                let note = "no such target or register";
                self.record(env, Kind::NpuList, 8 * position, word, note);
                self.state = State::Stopped;
                return Ok(());
            }
            position += 1;
        }
        if position >= list.words {
            let note = "the list ends without starting anything";
            self.record(env, Kind::NpuList, 8 * position, list.iova, note);
            self.state = State::Stopped;
            return Ok(());
        }
        self.state = State::Fetch {
            list,
            at: position,
            barrier,
        };
        Ok(())
    }

    /// The list is complete: the units begin.
    fn enable(&mut self, env: &mut NpuEnv<'_>, units: u32, barrier: bool) {
        if !barrier {
            let note = "units are started without a barrier before";
            self.record(env, Kind::NpuList, 0x08, units, note);
        }
        let geometry = if units & unit::ALL == unit::ALL {
            Geometry::new(&self.registers)
        } else {
            Err(Refusal {
                kind: Kind::NpuUnsupported,
                off: 0x08,
                note: "not all units take part",
            })
        };
        let geometry = match geometry {
            Ok(geometry) => geometry,
            Err(refusal) => {
                let value = self.registers.get(refusal.off);
                self.record(env, refusal.kind, refusal.off, value, refusal.note);
                self.state = State::Stopped;
                return;
            }
        };
        let weights = (geometry.weights, geometry.kernels);
        if geometry.weights_reused && self.loaded != Some(weights) {
            let note = "weights are used again that were never loaded";
            self.record(env, Kind::NpuConfig, reg::CNA_CBUF_CON0, weights.0, note);
        }
        self.loaded = Some(weights);
        self.convolution.start();
        self.pc.task_begun();
        self.state = State::Run(geometry);
    }

    fn run(&mut self, env: &mut NpuEnv<'_>, geometry: &Geometry) -> Result<(), Refused> {
        let mut memory = Memory {
            env,
            iommu: &mut self.iommu,
            core: self.id,
        };
        let progress = self.convolution.step(&mut memory, geometry)?;
        if progress == Progress::Done {
            let ns = (TASK_NS + self.convolution.macs() / MACS_PER_NS).max(self.delay_ns);
            self.state = State::Wait(self.started.saturating_add(ns));
        }
        Ok(())
    }

    fn complete(&mut self, env: &mut NpuEnv<'_>) {
        env.count(match self.id {
            CoreId::Core0 => Counter::Npu0Task,
            CoreId::Core1 => Counter::Npu1Task,
            CoreId::Core2 => Counter::Npu2Task,
        });
        self.left -= 1;
        let second = self.registers.is_second();
        self.registers.advance();
        self.pc.task_done(second, self.left == 0);
        if self.left == 0 {
            if due(0, 0, &mut self.prefetches) == NEVER {
                self.pc.raw |= event::DMA_READ_ERROR;
            }
            self.state = State::Idle;
            self.id.of_mut(env.irqs).renew();
            self.drive(env);
        } else if self.pause_ns == 0 {
            self.begin(env);
        } else {
            self.state = State::Pause(env.now.saturating_add(self.pause_ns));
        }
    }

    /// Does a bounded amount of work.
    pub(crate) fn step(&mut self, env: &mut NpuEnv<'_>) {
        if self.in_reset() {
            return;
        }
        let done = match self.state {
            State::Fetch { list, at, barrier } => self.fetch(env, list, at, barrier),
            State::Run(geometry) => self.run(env, &geometry),
            State::Wait(until) if until <= env.now => {
                self.complete(env);
                Ok(())
            }
            State::Pause(until) if until <= env.now => {
                self.begin(env);
                Ok(())
            }
            State::Idle | State::Wait(_) | State::Pause(_) | State::Hung | State::Stopped => Ok(()),
        };
        match done {
            Ok(()) => (),
            Err(Refused::Wait) => self.drive(env),
            Err(Refused::Error { write }) => self.stop(env, write),
        }
    }

    /// When there is something to do.
    pub(crate) fn next(&self, env: &NpuEnv<'_>) -> Step {
        match self.state {
            _ if self.in_reset() => Step::Idle,
            State::Fetch { .. } | State::Run(_) if !self.iommu.is_waiting() => Step::Again,
            State::Wait(until) | State::Pause(until) if until <= env.now => Step::Again,
            State::Wait(until) | State::Pause(until) => Step::Until(until),
            _ => Step::Idle,
        }
    }

    pub(crate) fn inject_hangs(&mut self, count: u32) {
        self.hangs = count;
    }

    pub(crate) fn inject_dma_errors(&mut self, count: u32) {
        self.dma_errors = count;
    }

    pub(crate) fn inject_prefetches(&mut self, count: u32) {
        self.prefetches = count;
    }

    pub(crate) fn inject_noisy_resets(&mut self, count: u32) {
        self.noisy_resets = count;
    }

    pub(crate) fn inject_delay(&mut self, ns: u64) {
        self.delay_ns = ns;
    }

    pub(crate) fn inject_pause(&mut self, ns: u64) {
        self.pause_ns = ns;
    }

    pub(crate) fn inject_fault(&mut self, iova: u32) {
        self.iommu.inject_fault(iova);
    }

    pub(crate) fn inject_iommu_stuck(&mut self, count: u32) {
        self.iommu.inject_stuck(count);
    }

    pub(crate) fn clear_injections(&mut self) {
        self.hangs = 0;
        self.dma_errors = 0;
        self.prefetches = 0;
        self.delay_ns = 0;
        self.pause_ns = 0;
        self.noisy_resets = 0;
        self.iommu.clear_injections();
    }
}
