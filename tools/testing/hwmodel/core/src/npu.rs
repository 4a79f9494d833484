// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The NPU of an RK3588: three cores, each behind an IOMMU of its own.
//!
//! A core's window holds everything that belongs to it: the program controller (PC) at 0x0000, the
//! convolution accelerator (CNA) at 0x1000, the accumulator (CORE) at 0x3000, the data processing
//! unit (DPU) at 0x4000 with its read DMA at 0x5000, and the banks of its IOMMU at 0x9000 (core 0
//! only) and 0xa000.

use crate::bus::Env;
use crate::bus::Step;
use crate::counters::Counter;
use crate::counters::Counters;
use crate::gpu::BUS_POISON;
use crate::host::Host;
use crate::host::Wire;
use crate::inject;
use crate::inject::InjectError;
use crate::irq::Output;
use crate::record::Kind;
use crate::record::Place;
use crate::record::Records;

mod convolution;
mod core;
mod geometry;
mod inputs;
pub mod iommu;
mod list;
mod pc;
mod registers;

use self::core::Core;
use self::inputs::Inputs;
pub use self::inputs::NpuClock;
pub use self::inputs::NpuDomain;

/// One of the three cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreId {
    /// The one that the other two depend on.
    Core0,
    /// The second.
    Core1,
    /// The third.
    Core2,
}

impl CoreId {
    /// All of them.
    pub const ALL: [CoreId; 3] = [CoreId::Core0, CoreId::Core1, CoreId::Core2];

    /// A small number for tables.
    pub const fn index(self) -> usize {
        match self {
            CoreId::Core0 => 0,
            CoreId::Core1 => 1,
            CoreId::Core2 => 2,
        }
    }

    /// The name in records and commands.
    pub const fn name(self) -> &'static str {
        match self {
            CoreId::Core0 => "npu0",
            CoreId::Core1 => "npu1",
            CoreId::Core2 => "npu2",
        }
    }

    /// The element of a table that belongs to the core.
    pub(crate) fn of<T>(self, table: &[T; 3]) -> &T {
        let [a, b, c] = table;
        match self {
            CoreId::Core0 => a,
            CoreId::Core1 => b,
            CoreId::Core2 => c,
        }
    }

    /// The same, to be changed.
    pub(crate) fn of_mut<T>(self, table: &mut [T; 3]) -> &mut T {
        let [a, b, c] = table;
        match self {
            CoreId::Core0 => a,
            CoreId::Core1 => b,
            CoreId::Core2 => c,
        }
    }
}

/// Size of a core's window in bytes.
pub const WINDOW: u32 = 0x1_0000;

/// The interrupt outputs of the cores.
pub(crate) type Outputs = [Output; 3];

/// Services for the NPU's blocks.
pub(crate) type NpuEnv<'a> = Env<'a, Outputs>;

/// Misbehaviours of the NPU: syntax and meaning. N is the number of a core; COUNT is 1 if it is not
/// given.
pub const HELP: &[(&str, &str)] = &[
    (
        "npu hang N [COUNT]",
        "the next tasks of core N never complete",
    ),
    ("npu delay NS", "tasks take that long at least"),
    (
        "npu pause NS",
        "between two lists of a chain that much time passes",
    ),
    (
        "npu dma-error N [COUNT]",
        "the next tasks of core N end in a DMA error",
    ),
    (
        "npu prefetch N [COUNT]",
        "the next kicks of core N that are done had a DMA error beyond their last list",
    ),
    (
        "npu irq drop N [COUNT]",
        "the next rising edges of core N's line are lost",
    ),
    (
        "npu irq reset N [COUNT]",
        "the next resets of core N raise its line for as long as they last",
    ),
    (
        "npu fault N IOVA",
        "the next access of core N to this page faults in its IOMMU",
    ),
    (
        "npu iommu stuck N [COUNT]",
        "the next commands to the IOMMU of core N have no effect",
    ),
];

/// Where in a core's window a register is.
enum Target {
    Pc,
    Unit,
    Iommu { bank: usize, reg: u32 },
    DeadPage,
    Hole,
}

fn target(core: CoreId, off: u32) -> Target {
    match off & !0xfff {
        0x0000 => Target::Pc,
        0x1000 | 0x3000 => Target::Unit,
        0x2000 => Target::DeadPage,
        0x9000 if core == CoreId::Core0 => Target::Iommu {
            bank: 0,
            reg: off & 0xfff,
        },
        0xa000 => Target::Iommu {
            bank: if core == CoreId::Core0 { 1 } else { 0 },
            reg: off & 0xfff,
        },
        _ => Target::Hole,
    }
}

/// The NPU. Constructible in a constant, so that it can live in a static: it is large.
pub struct Npu {
    inputs: Inputs,
    cores: [Core; 3],
    outputs: Outputs,
    counters: Counters,
    records: Records,
    /// Which core works in the next step.
    turn: CoreId,
}

impl Npu {
    /// Clocks, supply and power domains are off. `version` is that of the IOMMUs.
    pub const fn new(version: iommu::Version) -> Self {
        Self {
            inputs: Inputs::new(),
            cores: [
                Core::new(CoreId::Core0, version, 2),
                Core::new(CoreId::Core1, version, 1),
                Core::new(CoreId::Core2, version, 1),
            ],
            outputs: [
                Output::new(Wire::Npu(CoreId::Core0), Counter::IrqNpu),
                Output::new(Wire::Npu(CoreId::Core1), Counter::IrqNpu),
                Output::new(Wire::Npu(CoreId::Core2), Counter::IrqNpu),
            ],
            counters: Counters::new(),
            records: Records::new(),
            turn: CoreId::Core0,
        }
    }

    /// IOMMUs of another version than the one that it was made with. Before anybody uses them.
    pub fn set_iommu_version(&mut self, version: iommu::Version) {
        for core in &mut self.cores {
            core.set_iommu_version(version);
        }
    }

    fn parts<'a>(
        &'a mut self,
        host: &'a dyn Host,
    ) -> (&'a mut [Core; 3], &'a mut Inputs, NpuEnv<'a>) {
        let env = Env {
            host,
            now: host.now_ns(),
            records: &mut self.records,
            counters: &mut self.counters,
            irqs: &mut self.outputs,
        };
        (&mut self.cores, &mut self.inputs, env)
    }

    /// Looks for lines that nobody serves.
    fn look_at_lines(env: &mut NpuEnv<'_>, cores: &[Core; 3]) {
        for id in CoreId::ALL {
            if id.of_mut(env.irqs).is_stuck(env.now) {
                let pending = id.of(cores).pending();
                env.record(Kind::LineStuck, Place::Line(Wire::Npu(id)), pending, "");
            }
        }
    }

    /// Whether a register may be accessed now; records why not.
    fn reachable(&mut self, host: &dyn Host, id: CoreId, off: u32, target: &Target) -> bool {
        let place = Place::NpuRegister { core: id, off };
        let (cores, inputs, mut env) = self.parts(host);
        Self::look_at_lines(&mut env, cores);
        let missing = match target {
            Target::Iommu { .. } => inputs.missing_for_iommu(id),
            _ => inputs.missing(id),
        };
        if let Some((kind, note)) = missing {
            env.record(kind, place, 0, note);
            return false;
        }
        if id.of(cores).in_reset() {
            env.record(Kind::InReset, place, 0, "");
            return false;
        }
        true
    }

    fn check_width(&mut self, host: &dyn Host, id: CoreId, off: u32) -> bool {
        let good = off % 4 == 0 && off < WINDOW;
        if !good {
            let (_, _, mut env) = self.parts(host);
            let place = Place::NpuRegister { core: id, off };
            env.record(Kind::Width, place, 4, "unaligned or outside");
        }
        good
    }

    /// A register read of 32 bits.
    pub fn read32(&mut self, host: &dyn Host, id: CoreId, off: u32) -> u32 {
        self.counters.count(Counter::NpuMmioRead);
        let target = target(id, off);
        if !self.check_width(host, id, off) || !self.reachable(host, id, off, &target) {
            return BUS_POISON;
        }
        let place = Place::NpuRegister { core: id, off };
        let (cores, _, mut env) = self.parts(host);
        id.of_mut(env.irqs).attended();
        let core = id.of_mut(cores);
        match target {
            Target::Pc => core.read_pc(&mut env, off),
            Target::Unit => core.read_unit(&mut env, off),
            Target::Iommu { bank, reg } => core.read_iommu(&mut env, bank, reg, off),
            Target::DeadPage => {
                env.record(Kind::NpuDeadPage, place, 0, "read");
                BUS_POISON
            }
            Target::Hole => {
                env.record(Kind::Hole, place, 0, "read");
                0
            }
        }
    }

    /// A register write of 32 bits.
    pub fn write32(&mut self, host: &dyn Host, id: CoreId, off: u32, value: u32) {
        self.counters.count(Counter::NpuMmioWrite);
        let target = target(id, off);
        if !self.check_width(host, id, off) || !self.reachable(host, id, off, &target) {
            return;
        }
        let place = Place::NpuRegister { core: id, off };
        let (cores, _, mut env) = self.parts(host);
        id.of_mut(env.irqs).attended();
        let core = id.of_mut(cores);
        match target {
            Target::Pc => core.write_pc(&mut env, off, value),
            Target::Unit => core.write_unit(&mut env, off, value),
            Target::Iommu { bank, reg } => core.write_iommu(&mut env, bank, (reg, off), value),
            Target::DeadPage => env.record(Kind::NpuDeadPage, place, u64::from(value), "write"),
            Target::Hole => env.record(Kind::Hole, place, u64::from(value), "write"),
        }
        core.drive(&mut env);
        env.host.wake();
    }

    /// An access of another width than 32 bits: never carried out.
    pub fn access_other(&mut self, host: &dyn Host, id: CoreId, off: u32, bytes: u32, write: bool) {
        let note = if write { "write" } else { "read" };
        let (_, _, mut env) = self.parts(host);
        let place = Place::NpuRegister { core: id, off };
        env.record(Kind::Width, place, u64::from(bytes), note);
    }

    /// Carries out a change of the surroundings. What a core that runs needs may not go; what
    /// loses its power loses its state.
    fn change(&mut self, host: &dyn Host, input: &'static str, f: impl FnOnce(&mut Inputs)) {
        let (cores, inputs, mut env) = self.parts(host);
        let before = CoreId::ALL.map(|id| inputs.missing(id).is_none());
        let in_order = inputs.out_of_order().is_none();
        f(inputs);
        for id in CoreId::ALL {
            let core = id.of_mut(cores);
            if *id.of(&before) && inputs.missing(id).is_some() && core.is_live() {
                let note = "a task runs";
                let value = u64::try_from(id.index()).unwrap_or(0);
                env.record(Kind::GatedBusy, Place::Input(input), value, note);
            }
            if !inputs.is_powered(id) {
                core.power_lost(&mut env);
            }
        }
        if let Some(note) = inputs.out_of_order().filter(|_| in_order) {
            env.record(Kind::PowerOrder, Place::Input(input), 0, note);
        }
        env.host.wake();
    }

    /// A clock was switched.
    pub fn set_clock(&mut self, host: &dyn Host, clock: NpuClock, on: bool) {
        self.change(host, clock.name(), |inputs| inputs.set_clock(clock, on));
    }

    /// The clock that all cores share has another rate. Whoever sets it needs the NPU's power for that.
    pub fn set_rate(&mut self, host: &dyn Host, hz: u64) {
        let (_, inputs, mut env) = self.parts(host);
        if !inputs.is_powered(CoreId::Core0) {
            let place = Place::Input(NpuClock::Npu.name());
            env.record(Kind::NpuRate, place, hz, "");
        }
        inputs.set_rate(hz);
    }

    /// The supply was switched.
    pub fn set_supply(&mut self, host: &dyn Host, on: bool) {
        self.change(host, "npu supply", |inputs| inputs.set_supply(on));
    }

    /// A power domain was switched.
    pub fn set_domain(&mut self, host: &dyn Host, domain: NpuDomain, on: bool) {
        let (_, inputs, mut env) = self.parts(host);
        if let Some(hz) = inputs.too_fast_for(domain, on) {
            let note = if on { "on" } else { "off" };
            env.record(Kind::NpuDomainRate, Place::Input(domain.name()), hz, note);
        }
        self.change(host, domain.name(), |inputs| inputs.set_domain(domain, on));
    }

    /// A reset line was asserted or released. `ahb` tells which of the core's two it is.
    pub fn set_reset(&mut self, host: &dyn Host, id: CoreId, ahb: bool, asserted: bool) {
        let (cores, _, mut env) = self.parts(host);
        id.of_mut(cores).set_reset(&mut env, ahb, asserted);
        env.host.wake();
    }

    /// Does a bounded amount of one core's work.
    pub fn step(&mut self, host: &dyn Host) -> Step {
        let turn = self.turn;
        self.turn = match turn {
            CoreId::Core0 => CoreId::Core1,
            CoreId::Core1 => CoreId::Core2,
            CoreId::Core2 => CoreId::Core0,
        };
        let (cores, inputs, mut env) = self.parts(host);
        Self::look_at_lines(&mut env, cores);
        let mut next = Step::Idle;
        for id in CoreId::ALL {
            let core = id.of_mut(cores);
            if inputs.missing(id).is_some() {
                continue;
            }
            if id == turn {
                core.step(&mut env);
            }
            next = next.sooner(core.next(&env));
        }
        for output in env.irqs.iter() {
            next = next.sooner(Step::at(output.deadline()));
        }
        next
    }

    /// The interrupt controller ran the handlers of a core's line.
    pub fn delivered(&mut self, host: &dyn Host, id: CoreId) {
        let (_, _, mut env) = self.parts(host);
        if let Some(times) = id.of_mut(env.irqs).delivered() {
            let place = Place::Line(Wire::Npu(id));
            env.record(Kind::IrqStorm, place, u64::from(times), "");
        }
    }

    /// The last handler of a core's line was removed while the line was high.
    pub fn abandoned(&mut self, host: &dyn Host, id: CoreId) {
        let (cores, _, mut env) = self.parts(host);
        let pending = id.of(cores).pending();
        let place = Place::Line(Wire::Npu(id));
        env.record(Kind::LineStuck, place, pending, "no handler is left");
    }

    /// The level of a core's interrupt output.
    pub fn line_is_high(&self, id: CoreId) -> bool {
        id.of(&self.outputs).is_high()
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts from zero again.
    pub fn clear_counters(&mut self) {
        self.counters.clear();
    }

    /// The records.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Forgets the records.
    pub fn clear_records(&mut self) {
        self.records.clear();
    }

    /// Behaves well again.
    pub fn clear_injections(&mut self) {
        for core in &mut self.cores {
            core.clear_injections();
        }
        for output in &mut self.outputs {
            output.inject_drop(0);
        }
    }

    /// Carries out a line of misbehaviour that begins with `npu`.
    pub fn inject(&mut self, host: &dyn Host, line: &str) -> Result<(), InjectError> {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("npu") {
            return Err(InjectError::Unknown);
        }
        let first = words.next().ok_or(InjectError::Missing)?;
        if matches!(first, "delay" | "pause") {
            let ns = inject::number(words.next())?;
            inject::end(&mut words)?;
            for core in &mut self.cores {
                if first == "delay" {
                    core.inject_delay(ns);
                } else {
                    core.inject_pause(ns);
                }
            }
            return Ok(());
        }
        let second = match first {
            "irq" | "iommu" => words.next().ok_or(InjectError::Missing)?,
            _ => "",
        };
        let nr = inject::number32(words.next())?;
        let id = CoreId::ALL
            .into_iter()
            .find(|id| u32::try_from(id.index()) == Ok(nr))
            .ok_or(InjectError::Argument)?;
        let fault = (first == "fault").then(|| inject::number32(words.next()));
        let count = match fault {
            Some(_) => 1,
            None => inject::count(&mut words)?,
        };
        inject::end(&mut words)?;
        let core = id.of_mut(&mut self.cores);
        match (first, second, fault) {
            ("hang", "", None) => core.inject_hangs(count),
            ("dma-error", "", None) => core.inject_dma_errors(count),
            ("prefetch", "", None) => core.inject_prefetches(count),
            ("irq", "drop", None) => id.of_mut(&mut self.outputs).inject_drop(count),
            ("irq", "reset", None) => core.inject_noisy_resets(count),
            ("iommu", "stuck", None) => core.inject_iommu_stuck(count),
            ("fault", "", Some(iova)) => core.inject_fault(iova?),
            _ => return Err(InjectError::Unknown),
        }
        host.wake();
        Ok(())
    }
}
