// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The whole GPU: decodes register accesses, and lets time pass for every block.

use crate::bus::Bus;
use crate::bus::Env;
use crate::bus::Step;
use crate::counters::Counter;
use crate::counters::Counters;
use crate::gpu_control::Event;
use crate::gpu_control::GpuControl;
use crate::host::Host;
use crate::host::Line;
use crate::host::Wire;
use crate::inject;
use crate::inject::InjectError;
use crate::inject::Misbehaviour;
use crate::irq::Irqs;
use crate::irq::Source;
use crate::mcu::Mcu;
use crate::mmu::Mmu;
use crate::power;
use crate::power::pwr;
use crate::power::Power;
use crate::product::Product;
use crate::record::Kind;
use crate::record::Place;
use crate::record::Records;
use crate::soc::Clock;
use crate::soc::Soc;

/// What a bus without a responder returns.
pub(crate) const BUS_POISON: u32 = 0xdead_beef;

/// Size of the register window in bytes.
pub(crate) const WINDOW: u32 = 0x20_0000;

const GPU_IRQ: u32 = 0x20;
const MCU_CONTROL: u32 = 0x700;
const MCU_STATUS: u32 = 0x704;
/// MCU_STATUS: the processor runs.
const MCU_ENABLED: u32 = 1;
const PWR_IRQ: u32 = 0x800;
const JOB_IRQ: u32 = 0x1000;
const MMU_IRQ: u32 = 0x2000;
const AS_FIRST: u32 = 0x2400;
const AS_LAST: u32 = 0x27ff;
const LATEST_FLUSH: u32 = 0x1_0000;
const DOORBELL_FIRST: u32 = 0x8_0000;
const DOORBELL_STRIDE: u32 = 0x1_0000;
/// Doorbell pages: what fits into the window.
const DOORBELLS: u32 = (WINDOW - DOORBELL_FIRST) / DOORBELL_STRIDE;

/// Where a register is.
enum Target {
    Irq(Source, u32),
    Power(power::Block, power::Group),
    Pwr(pwr::Register),
    McuControl,
    McuStatus,
    Space,
    LatestFlush,
    Doorbell(u32),
    Control,
    Hole,
}

fn target(off: u32, has_pwr: bool) -> Target {
    match off {
        0x20..=0x2f => Target::Irq(Source::Gpu, off - GPU_IRQ),
        0x800..=0x80f if has_pwr => Target::Irq(Source::Pwr, off - PWR_IRQ),
        0x1000..=0x100f => Target::Irq(Source::Job, off - JOB_IRQ),
        0x2000..=0x200f => Target::Irq(Source::Mmu, off - MMU_IRQ),
        0x810..=0xfff if has_pwr => pwr::decode(off).map_or(Target::Hole, Target::Pwr),
        0x100..=0x27f if has_pwr => Target::Hole,
        0x100..=0x27f => match power::decode(off) {
            Some((block, group)) => Target::Power(block, group),
            None => Target::Hole,
        },
        MCU_CONTROL => Target::McuControl,
        MCU_STATUS => Target::McuStatus,
        0..=0x3ff => Target::Control,
        AS_FIRST..=AS_LAST => Target::Space,
        LATEST_FLUSH => Target::LatestFlush,
        _ => match off.checked_sub(DOORBELL_FIRST) {
            Some(rest) if rest % DOORBELL_STRIDE == 0 && rest / DOORBELL_STRIDE < DOORBELLS => {
                Target::Doorbell(rest / DOORBELL_STRIDE)
            }
            _ => Target::Hole,
        },
    }
}

/// The GPU. Constructible in a constant, so that it can live in a static: it is large.
pub struct Gpu {
    soc: Soc,
    control: GpuControl,
    power: Power,
    mmu: Mmu,
    mcu: Mcu,
    irqs: Irqs,
    counters: Counters,
    records: Records,
}

impl Gpu {
    /// A GPU whose clocks, supply and power domain are off.
    pub const fn new(product: &'static Product) -> Self {
        Self {
            soc: Soc::new(),
            control: GpuControl::new(product),
            power: Power::new(product),
            mmu: Mmu::new(product),
            mcu: Mcu::new(),
            irqs: Irqs::new(),
            counters: Counters::new(),
            records: Records::new(),
        }
    }

    /// Becomes another product. For when everything is off.
    pub fn choose(&mut self, product: &'static Product) {
        self.control.choose(product);
        self.power = Power::new(product);
        self.mmu.choose(product);
        self.mmu.set_coherent(self.control.is_coherent());
    }

    /// Only these of its shader cores work. For when everything is off.
    pub fn fuse(&mut self, usable: u64) {
        self.control.fuse(usable);
    }

    /// Splits into the processor and what it sees.
    pub(crate) fn parts<'a>(&'a mut self, host: &'a dyn Host) -> (&'a mut Mcu, Bus<'a>) {
        let bus = Bus {
            env: Env {
                host,
                now: host.now_ns(),
                records: &mut self.records,
                counters: &mut self.counters,
                irqs: &mut self.irqs,
            },
            mmu: &mut self.mmu,
            gpu: &mut self.control,
            power: &mut self.power,
        };
        (&mut self.mcu, bus)
    }

    fn record(
        &mut self,
        host: &dyn Host,
        kind: Kind,
        place: Place,
        value: u64,
        note: &'static str,
    ) {
        let (_, mut bus) = self.parts(host);
        bus.env.record(kind, place, value, note);
    }

    /// Lets everything happen that is due.
    fn advance(&mut self, host: &dyn Host) {
        if !self.soc.is_running() {
            return;
        }
        let (mcu, mut bus) = self.parts(host);
        if bus.gpu.advance(&mut bus.env) {
            bus.mmu.caches_cleaned();
        }
        bus.power.advance(&mut bus.env);
        // At most one command per slot can be due.
        for _ in 0..crate::mmu::SPACES {
            match bus.mmu.advance(&mut bus.env) {
                Some((as_nr, Some(enabled))) => mcu.address_space_changed(&mut bus, as_nr, enabled),
                Some((_, None)) => (),
                None => break,
            }
            // Whoever stalled behind the command may go on.
            bus.env.host.wake();
        }
        if let Some((kind, place, value)) = bus.env.irqs.stuck(bus.env.now) {
            bus.env.record(kind, place, value, "");
        }
    }

    /// Whether a register may be accessed now; records why not.
    fn reachable(&mut self, host: &dyn Host, off: u32, target: &Target) -> bool {
        if let Some((kind, note)) = self.soc.missing() {
            self.record(host, kind, Place::Register(off), 0, note);
            return false;
        }
        self.advance(host);
        // While a reset is in progress only the blocks that can report its end answer, and the page that
        // processes have mapped: they read it at any time, and nobody can tell them not to.
        let answers = matches!(
            target,
            Target::Irq(..) | Target::Pwr(pwr::Register::Status) | Target::LatestFlush
        );
        if self.control.in_reset() && !answers {
            self.record(host, Kind::InReset, Place::Register(off), 0, "");
            return false;
        }
        true
    }

    /// A register read of 32 bits.
    pub fn read32(&mut self, host: &dyn Host, off: u32) -> u32 {
        self.counters.count(Counter::MmioRead);
        if off % 4 != 0 || off >= WINDOW {
            self.record(
                host,
                Kind::Width,
                Place::Register(off),
                4,
                "unaligned or outside",
            );
            return BUS_POISON;
        }
        let target = target(off, self.control.product().has_pwr());
        if !self.reachable(host, off, &target) {
            return BUS_POISON;
        }
        let (mcu, mut bus) = self.parts(host);
        bus.env.writes_arrive();
        match target {
            Target::Irq(source, reg) => {
                if let Some(pending) = bus.env.irqs.looked_at(source) {
                    let note = "pending events are read and never cleared";
                    let place = Place::Line(Wire::Gpu(source.line()));
                    bus.env
                        .record(Kind::IrqStorm, place, u64::from(pending), note);
                }
                let block = bus.env.irqs.block(source);
                match reg {
                    0x0 => block.rawstat(),
                    0x8 => block.mask(),
                    0xc => block.status(),
                    _ => {
                        bus.env
                            .record(Kind::WriteOnly, Place::Register(off), 0, "IRQ_CLEAR");
                        0
                    }
                }
            }
            Target::Power(block, group) => bus.power.read(&mut bus.env, off, block, group),
            Target::Pwr(register) => {
                let in_reset = bus.gpu.in_reset();
                bus.power.pwr_read(&mut bus.env, off, register, in_reset)
            }
            Target::McuControl => mcu.control_value(),
            Target::McuStatus => mcu.read_status(&mut bus),
            Target::Space => bus.mmu.read_register(&mut bus.env, off),
            Target::LatestFlush => bus.gpu.latest_flush(),
            Target::Doorbell(_) => {
                bus.env
                    .record(Kind::WriteOnly, Place::Register(off), 0, "doorbell");
                0
            }
            Target::Control => {
                let active = bus.power.is_moving();
                bus.gpu.read(&mut bus.env, off, active)
            }
            Target::Hole => {
                bus.env.record(Kind::Hole, Place::Register(off), 0, "read");
                0
            }
        }
    }

    /// A register write of 32 bits.
    pub fn write32(&mut self, host: &dyn Host, off: u32, value: u32) {
        self.counters.count(Counter::MmioWrite);
        let place = Place::Register(off);
        if off % 4 != 0 || off >= WINDOW {
            self.record(host, Kind::Width, place, 4, "unaligned or outside");
            return;
        }
        let target = target(off, self.control.product().has_pwr());
        if !self.reachable(host, off, &target) {
            return;
        }
        let (mcu, mut bus) = self.parts(host);
        bus.env.writes_arrive();
        let mut event = None;
        match target {
            Target::Irq(source, reg) => {
                let env = &mut bus.env;
                match reg {
                    0x4 => env
                        .irqs
                        .clear(env.host, env.now, env.counters, source, value),
                    0x8 => env
                        .irqs
                        .set_mask(env.host, env.now, env.counters, source, value),
                    _ => env.record(Kind::ReadOnly, place, u64::from(value), "interrupt state"),
                }
            }
            Target::Power(block, group) => {
                let runs = mcu.status() == MCU_ENABLED;
                if (block, group) == (power::Block::L2, power::Group::On) && value != 0 {
                    bus.gpu.check_l2_config(&mut bus.env, place);
                }
                bus.power
                    .write(&mut bus.env, off, value, (block, group), runs);
            }
            Target::Pwr(register) => {
                let runs = mcu.status() == MCU_ENABLED;
                event = bus
                    .power
                    .pwr_write(&mut bus.env, bus.gpu, (off, value), register, runs);
            }
            Target::McuControl => {
                mcu.control(&mut bus, value);
                bus.env.host.wake();
            }
            Target::Space => bus.mmu.write_register(&mut bus.env, off, value),
            Target::McuStatus | Target::LatestFlush => {
                bus.env.record(Kind::ReadOnly, place, u64::from(value), "");
            }
            Target::Doorbell(page) => {
                let global = page == 0;
                let counter = if global {
                    Counter::DoorbellGlobal
                } else {
                    Counter::DoorbellCsg
                };
                bus.env.count(counter);
                mcu.doorbell(&mut bus, page, value);
                bus.env.host.wake();
            }
            Target::Control => {
                let l2_on = bus.power.l2_in_use();
                event = bus.gpu.write(&mut bus.env, off, value, l2_on);
            }
            Target::Hole => bus.env.record(Kind::Hole, place, u64::from(value), "write"),
        }
        match event {
            Some(Event::ResetBegins) => self.reset_blocks(host, true),
            Some(Event::Coherency(on)) => self.mmu.set_coherent(on),
            None => (),
        }
    }

    /// An access of another width than 32 bits: never carried out.
    pub fn access_other(&mut self, host: &dyn Host, off: u32, bytes: u32, write: bool) {
        let note = if write { "write" } else { "read" };
        self.record(
            host,
            Kind::Width,
            Place::Register(off),
            u64::from(bytes),
            note,
        );
    }

    /// Every block goes to its reset state. The masks on the GPU's line survive a reset by command,
    /// because the end of the reset is reported through one; nothing survives a loss of power.
    fn reset_blocks(&mut self, host: &dyn Host, by_command: bool) {
        self.control.reset();
        self.power.reset();
        self.mmu.reset();
        self.mmu.set_coherent(self.control.is_coherent());
        self.mcu.reset();
        let (_, bus) = self.parts(host);
        let env = bus.env;
        for source in Source::ALL {
            let keep_mask = by_command && source.line() == Line::Gpu;
            env.irqs
                .reset(env.host, env.now, env.counters, source, keep_mask);
        }
    }

    /// Takes over a change of clocks, supply or domain. `input` names what changed, for records.
    fn surroundings_changed(&mut self, host: &dyn Host, input: &'static str) {
        let running = self.soc.is_running();
        let hz = self.soc.rate_hz();
        self.control
            .set_rate(host.now_ns(), if running { hz } else { 0 });
        if !running {
            return;
        }
        let microvolts = self.soc.microvolts();
        let enough = self
            .control
            .product()
            .voltage_for(hz)
            .is_some_and(|uv| uv <= microvolts);
        if !enough {
            let note = "clock too fast for the voltage";
            self.record(host, Kind::Undervolt, Place::Input(input), hz, note);
        }
        host.wake();
    }

    /// Something that the running MCU needs is about to go.
    fn withdraw(&mut self, host: &dyn Host, input: &'static str) {
        if self.soc.is_running() && self.mcu.status() == MCU_ENABLED {
            self.record(
                host,
                Kind::GatedBusy,
                Place::Input(input),
                0,
                "MCU is enabled",
            );
        }
    }

    /// A clock of the GPU was switched.
    pub fn set_clock(&mut self, host: &dyn Host, clock: Clock, on: bool) {
        self.advance(host);
        if !on {
            self.withdraw(host, clock.name());
        }
        self.soc.set_clock(clock, on);
        self.surroundings_changed(host, clock.name());
    }

    /// The core clock runs at another rate.
    pub fn set_rate(&mut self, host: &dyn Host, hz: u64) {
        self.advance(host);
        self.soc.set_rate(hz);
        self.surroundings_changed(host, Clock::Core.name());
    }

    /// The supply was switched. Without it nothing is kept.
    pub fn set_regulator(&mut self, host: &dyn Host, on: bool) {
        self.advance(host);
        if !on {
            self.withdraw(host, "supply");
        }
        self.soc.set_supply(on);
        self.lost_power(host, on, "supply");
    }

    /// The supply has another voltage.
    pub fn set_voltage(&mut self, host: &dyn Host, microvolts: u32) {
        self.advance(host);
        self.soc.set_microvolts(microvolts);
        self.surroundings_changed(host, "supply");
    }

    /// The power domain was switched. Without it nothing is kept.
    pub fn set_power_domain(&mut self, host: &dyn Host, on: bool) {
        self.advance(host);
        if !on {
            self.withdraw(host, "domain");
        }
        self.soc.set_domain(on);
        self.lost_power(host, on, "domain");
    }

    fn lost_power(&mut self, host: &dyn Host, on: bool, input: &'static str) {
        if !on {
            self.control.power_lost();
            self.reset_blocks(host, false);
        }
        self.surroundings_changed(host, input);
    }

    /// Does a bounded amount of the processor's work.
    pub fn step(&mut self, host: &dyn Host) -> Step {
        if !self.soc.is_running() {
            return Step::Idle;
        }
        self.advance(host);
        let in_reset = self.control.in_reset();
        let (mcu, mut bus) = self.parts(host);
        let mut next = if in_reset {
            Step::Idle
        } else {
            mcu.step(&mut bus)
        };
        next = next.sooner(Step::at(bus.gpu.deadline()));
        next = next.sooner(Step::at(bus.power.deadline()));
        next = next.sooner(Step::at(bus.mmu.deadline()));
        next.sooner(Step::at(bus.env.irqs.deadline()))
    }

    /// The interrupt controller ran the handlers of a line.
    pub fn delivered(&mut self, host: &dyn Host, line: Line) {
        if let Some(times) = self.irqs.delivered(line) {
            self.record(
                host,
                Kind::IrqStorm,
                Place::Line(Wire::Gpu(line)),
                u64::from(times),
                "",
            );
        }
    }

    /// The last handler of a line was removed while the line was high.
    pub fn abandoned(&mut self, host: &dyn Host, line: Line) {
        let status = u64::from(self.irqs.status(line));
        self.record(
            host,
            Kind::LineStuck,
            Place::Line(Wire::Gpu(line)),
            status,
            "no handler is left",
        );
    }

    /// The level of an interrupt output.
    pub fn line_is_high(&self, line: Line) -> bool {
        self.irqs.is_high(line)
    }

    /// LATEST_FLUSH, for the page that user space maps; what a read of the bus gives while the GPU has
    /// no power or no clock.
    pub fn latest_flush(&self) -> u32 {
        if self.soc.is_running() {
            self.control.latest_flush()
        } else {
            BUS_POISON
        }
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

    /// The commands of the PWR block, a line each.
    pub fn show_pwr_log(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        self.power.show_pwr_log(out)
    }

    /// Forgets the commands of the PWR block.
    pub fn clear_pwr_log(&mut self) {
        self.power.clear_pwr_log();
    }

    /// For tests: what the table walker finds for a page in an address space, as a table entry for
    /// that page alone; 0 if nothing is mapped there. Looks at memory and leaves no trace.
    pub fn leaf(&self, host: &dyn Host, as_nr: u8, va: u64) -> u64 {
        self.mmu.leaf(host, as_nr, va)
    }

    /// Carries out a line of misbehaviour.
    pub fn inject(&mut self, host: &dyn Host, line: &str) -> Result<(), InjectError> {
        let mut words = line.split_ascii_whitespace();
        if line.split_ascii_whitespace().next() == Some("mcu") {
            words.next();
            self.mcu.inject(&mut words)?;
            host.wake();
            return Ok(());
        }
        let misbehaviour = Misbehaviour::parse(&mut words)?;
        let (mcu, mut bus) = self.parts(host);
        match misbehaviour {
            Misbehaviour::Clear => {
                mcu.clear_injections();
                bus.gpu.clear_injections(bus.env.now);
                bus.power.clear_injections(bus.env.now);
                bus.mmu.clear_injections(bus.env.now);
                for line in Line::ALL {
                    bus.env.irqs.inject_drop(line, 0);
                    bus.env.irqs.inject_repeat(line.into(), 0);
                }
                bus.env.irqs.inject_posted(false);
            }
            Misbehaviour::Provoke => {
                bus.env
                    .record(Kind::Provoked, Place::Register(0), 0, "on request");
            }
            Misbehaviour::ResetHang(n) => bus.gpu.inject_reset_hangs(n),
            Misbehaviour::ResetDelay(ns) => bus.gpu.inject_reset_ns(ns),
            Misbehaviour::FlushHang(n) => bus.gpu.inject_flush_hangs(n),
            Misbehaviour::FlushDelay(ns) => bus.gpu.inject_flush_ns(ns),
            Misbehaviour::L2Hang(n) => bus.power.inject_l2_hangs(n),
            Misbehaviour::L2Fail(n) => bus.power.inject_l2_ignored(n),
            Misbehaviour::PwrHang(n) => bus.power.inject_pwr_hangs(n),
            Misbehaviour::PwrRefuse(n) => bus.power.inject_pwr_refusal(n),
            Misbehaviour::AsHang(as_nr, n) if !bus.mmu.inject_hangs(as_nr, n) => {
                return Err(InjectError::Argument);
            }
            Misbehaviour::AsHang(..) => (),
            Misbehaviour::AsDelay(ns) => bus.mmu.inject_delay(ns),
            Misbehaviour::IrqDrop(line, n) => bus.env.irqs.inject_drop(line, n),
            Misbehaviour::IrqPosted => bus.env.irqs.inject_posted(true),
            Misbehaviour::IrqRepeat(line, n) => bus.env.irqs.inject_repeat(line.into(), n),
            Misbehaviour::FaultVa { as_nr, va, code } if !bus.mmu.inject_fault(as_nr, va, code) => {
                return Err(InjectError::Argument);
            }
            Misbehaviour::FaultVa { .. } => (),
            Misbehaviour::GpuId(id) => bus.gpu.inject_id(id),
            Misbehaviour::FaultGpu { code, address } => {
                bus.gpu.fault(&mut bus.env, code, address);
            }
        }
        host.wake();
        Ok(())
    }

    /// Syntax and meaning of every misbehaviour.
    pub fn inject_help() -> impl Iterator<Item = (&'static str, &'static str)> {
        inject::HELP.iter().chain(Mcu::HELP.iter()).copied()
    }
}
